"""A small XMPP client for tests: blocking, exact, and able to say anything at any moment.

It hides nothing: what it reads and writes can be looked at, each step of a login is a method of its own, and
send_bytes() sends whatever it is given. Everything waits with a time-out and fails with what did arrive."""

import base64
import itertools
import socket
import ssl
import time

from lib import stanza
from lib.scram import Scram
from lib.stanza import CLIENT, STANZA_ERRORS, STREAM_ERRORS, STREAMS

TLS = "urn:ietf:params:xml:ns:xmpp-tls"
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
BIND = "urn:ietf:params:xml:ns:xmpp-bind"
SM = "urn:xmpp:sm:3"
PING = "urn:xmpp:ping"

TIMEOUT_S = 20  # patient: the machine may be busy with other things


class StreamClosed(AssertionError):
    """The stream or the connection ended while something was awaited."""


class SaslFailure(Exception):
    def __init__(self, condition):
        super().__init__(condition)
        self.condition = condition


class Client:
    def __init__(self, address, domain, *, context=None):
        """Connects to (host, port); `context` is the TLS client context used by starttls() and tls()."""
        self.domain, self.context = domain, context
        self.socket = socket.create_connection(address, timeout=TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = stanza.StreamReader()
        self.is_eof = False
        self.received = b""
        self.features = None
        self.jid = None
        self.seen = []
        self.optional = []  # patterns of elements that next() passes over
        self.numbers = itertools.count(1)

    # --- bytes

    def send_bytes(self, data):
        self.socket.settimeout(TIMEOUT_S)
        self.socket.sendall(data)

    def send(self, xml):
        self.send_bytes(xml.encode() if isinstance(xml, str) else xml)

    def _read(self, deadline):
        """Reads once; False at the end of the connection; raises TimeoutError."""
        if self.is_eof:
            return False
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.socket.settimeout(left)
        try:
            data = self.socket.recv(65536)
        except (ConnectionResetError, BrokenPipeError, ssl.SSLError):
            data = b""
        self.received += data
        if not data:
            self.is_eof = True
            return False
        self.reader.feed(data)
        return True

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # --- elements

    def next(self, timeout=TIMEOUT_S):
        """The next whole element. Stream errors are elements like any other."""
        deadline = time.monotonic() + timeout
        while True:
            while self.reader.elements:
                element = self.reader.elements.pop(0)
                if not self.is_optional(element):
                    return element
            if self.reader.is_closed:
                raise StreamClosed("the stream was closed")
            try:
                alive = self._read(deadline)
            except TimeoutError:
                raise AssertionError(f"nothing came within {timeout:g} s") from None
            if not alive and not self.reader.elements:
                raise StreamClosed("the connection was closed")

    def is_optional(self, element):
        return any(stanza.difference(pattern, element, {}) is None for pattern in self.optional)

    def expect(self, pattern, timeout=TIMEOUT_S, bound=None):
        """The next element must be as the pattern says (see stanza.py)."""
        element = self.next(timeout)
        fault = stanza.difference(stanza.parse(pattern), element, {} if bound is None else bound)
        assert fault is None, f"{fault}\nexpected: {pattern}\nreceived: {stanza.show(element)}"
        return element

    def expect_any_order(self, patterns, timeout=TIMEOUT_S, bound=None):
        bound = {} if bound is None else bound
        left = list(patterns)
        found = []
        while left:
            try:
                element = self.next(timeout)
            except AssertionError as error:
                raise AssertionError("\n".join([f"{error}, still missing:", *left])) from None
            faults = []
            for pattern in left:
                fault = stanza.difference(stanza.parse(pattern), element, bound)
                if fault is None:
                    left.remove(pattern)
                    found.append(element)
                    break
                faults.append(fault)
            else:
                raise AssertionError("\n".join([f"received: {stanza.show(element)}", *faults]))
        return found

    def skip_until(self, pattern, timeout=TIMEOUT_S, bound=None):
        """Reads until an element is as the pattern says, and returns it; `seen` holds those before it."""
        deadline = time.monotonic() + timeout
        seen = self.seen = []
        wanted = stanza.parse(pattern)
        while True:
            try:
                element = self.next(max(deadline - time.monotonic(), 0.001))
            except AssertionError as error:
                raise AssertionError(f"{error}; wanted {pattern}; saw {[stanza.show(e) for e in seen]}") from None
            if stanza.difference(wanted, element, {} if bound is None else bound) is None:
                return element
            seen.append(element)

    def barrier(self):
        """A ping to the server and back: what the server did for this session before is done. Returns the
        elements that came before the answer."""
        name = f"barrier-{next(self.numbers)}"
        self.send(f"<iq type='get' to='{self.domain}' id='{name}'><ping xmlns='{PING}'/></iq>")
        before = []
        while True:
            element = self.next()
            if element.tag == f"{{{CLIENT}}}iq" and element.get("id") == name:
                return before
            before.append(element)

    def expect_nothing(self):
        before = self.barrier()
        assert not before, f"unexpected: {[stanza.show(element) for element in before]}"

    def expect_closed(self, timeout=TIMEOUT_S):
        """The server closes the connection; elements before that are returned."""
        deadline = time.monotonic() + timeout
        try:
            while self._read(deadline):
                pass
        except TimeoutError:
            raise AssertionError(f"still open after {timeout} s") from None
        elements, self.reader.elements = self.reader.elements, []
        return elements

    def expect_stream_error(self, condition, timeout=TIMEOUT_S):
        """A stream error of RFC 6120 §4.9.3 with this condition (or one of several: 'a|b'), and then the end of
        stream and connection."""
        *_, error = [None, *self.expect_closed(timeout)]
        assert error is not None and error.tag == f"{{{STREAMS}}}error", \
            f"closed without a stream error; last bytes: {self.received[-300:]!r}"
        names = [child.tag for child in error]
        assert any(f"{{{STREAM_ERRORS}}}{one}" in names for one in condition.split("|")), \
            f"stream error {names} where {condition} was expected"
        assert self.reader.is_closed, "the stream was not closed with </stream:stream>"
        return error

    def request(self, kind, payload, to=None, timeout=TIMEOUT_S):
        """Sends an IQ and returns the answer; other elements that come before stay queued, in order."""
        name = f"request-{next(self.numbers)}"
        target = f" to='{to}'" if to else ""
        self.send(f"<iq type='{kind}' id='{name}'{target}>{payload}</iq>")
        return self.answer_to(name, timeout)

    def answer_to(self, name, timeout=TIMEOUT_S):
        before = []
        deadline = time.monotonic() + timeout
        try:
            while True:
                element = self.next(max(deadline - time.monotonic(), 0.001))
                if element.tag == f"{{{CLIENT}}}iq" and element.get("id") == name and \
                        element.get("type") in ("result", "error"):
                    return element
                before.append(element)
        finally:
            self.reader.elements[:0] = before

    # --- a login, step by step

    def header(self, **attributes):
        values = {"to": self.domain, "version": "1.0", "xmlns": CLIENT, "xmlns:stream": STREAMS, **attributes}
        return "<stream:stream" + "".join(f" {k.replace('_', ':')}='{v}'" for k, v in values.items() if v) + ">"

    def open(self, **attributes):
        """Opens (or restarts) the stream and reads the features."""
        self.reader = stanza.StreamReader()
        self.send("<?xml version='1.0'?>" + self.header(**attributes))
        self.features = self.next()
        assert self.features.tag == f"{{{STREAMS}}}features", stanza.show(self.features)
        return self.features

    def tls(self):
        """TLS from the first byte, or after <proceed/>."""
        self.socket.settimeout(TIMEOUT_S)
        self.socket = self.context.wrap_socket(self.socket, server_hostname=self.domain)
        return self

    def starttls(self):
        self.open()
        self.send(f"<starttls xmlns='{TLS}'/>")
        answer = self.next()
        assert answer.tag == f"{{{TLS}}}proceed", stanza.show(answer)
        return self.tls()

    def mechanisms(self):
        return [child.text for child in self.features.iter(f"{{{SASL}}}mechanism")]

    def sasl_step(self, xml):
        """Sends one SASL element; ('challenge' | 'success', bytes) or SaslFailure."""
        self.send(xml)
        element = self.next()
        name = element.tag.removeprefix(f"{{{SASL}}}")
        if name == "failure":
            raise SaslFailure([child.tag.removeprefix(f"{{{SASL}}}") for child in element
                               if child.tag != f"{{{SASL}}}text"][0])
        assert name in ("challenge", "success"), stanza.show(element)
        return name, base64.b64decode(element.text or "")

    def auth(self, mechanism, initial):
        text = base64.b64encode(initial).decode() or "="
        return self.sasl_step(f"<auth xmlns='{SASL}' mechanism='{mechanism}'>{text}</auth>")

    def respond(self, data):
        return self.sasl_step(f"<response xmlns='{SASL}'>{base64.b64encode(data).decode()}</response>")

    def authenticate(self, user, password, mechanism="SCRAM-SHA-256"):
        if mechanism == "PLAIN":
            name, _ = self.auth("PLAIN", f"\0{user}\0{password}".encode())
            assert name == "success", name
            return
        scram = Scram(mechanism, user, password)
        name, challenge = self.auth(mechanism, scram.first())
        assert name == "challenge", name
        name, outcome = self.respond(scram.final(challenge))
        if name == "challenge":  # RFC 5802 lets the signature come before the success
            scram.verify(outcome)
            name, outcome = self.respond(b"")
            assert name == "success", name
        else:
            scram.verify(outcome)

    def bind(self, resource=None):
        wish = f"<resource>{resource}</resource>" if resource else ""
        answer = self.request("set", f"<bind xmlns='{BIND}'>{wish}</bind>")
        assert answer.get("type") == "result", stanza.show(answer)
        self.jid = answer.findtext(f"{{{BIND}}}bind/{{{BIND}}}jid")
        return self.jid

    def login(self, user, password, resource=None, mechanism="SCRAM-SHA-256"):
        """Everything from the connection on to a bound resource, over STARTTLS."""
        self.starttls()
        self.open()
        if mechanism not in self.mechanisms():
            raise AssertionError(f"{mechanism} is not offered: {self.mechanisms()}")
        self.authenticate(user, password, mechanism)
        self.open()
        self.bind(resource)
        return self


def error_condition(element):
    """(type, condition) of a stanza error."""
    error = element.find(f"{{{CLIENT}}}error")
    if element.get("type") != "error" or error is None:
        raise AssertionError(f"not an error: {stanza.show(element)}")
    names = [child.tag.removeprefix(f"{{{STANZA_ERRORS}}}") for child in error
             if child.tag.startswith(f"{{{STANZA_ERRORS}}}") and not child.tag.endswith("}text")]
    return error.get("type"), names[0] if names else None
