"""A light XMPP client on asyncio, without TLS: it registers, logs in, asks, and answers pushes."""

import asyncio
import base64
import itertools

from lib.scram import Scram
from lib.stanza import CLIENT, STREAMS, StreamReader

SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
BIND = "urn:ietf:params:xml:ns:xmpp-bind"
PASSWORD = "secret-word"
TIMEOUT_S = 10


class Gone(Exception):
    """The server or the connection went away."""


class Session:
    def __init__(self, domain, on_push):
        self.domain, self.on_push = domain, on_push
        self.market = f"market.{domain}"
        self.numbers = itertools.count(1)
        self.elements, self.waiting = asyncio.Queue(), {}
        self.is_gone, self.task = False, None

    async def open(self, address, user, *, is_new):
        try:
            async with asyncio.timeout(TIMEOUT_S):
                host, port = address
                self.reader, self.writer = await asyncio.open_connection(host, port)
                self.task = asyncio.create_task(self.read())
                await self.restart()
                if is_new:
                    answer = await self.ask("set", f"<query xmlns='jabber:iq:register'><username>{user}</username>"
                                                   f"<password>{PASSWORD}</password></query>", self.domain)
                    is_known = answer.get("type") == "error" and b"conflict" in self.last
                    if answer.get("type") != "result" and not is_known:
                        raise AssertionError(f"no account: {self.last}")
                await self.authenticate(user)
                await self.restart()
                await self.ask("set", f"<bind xmlns='{BIND}'/>", None)
        except (OSError, TimeoutError) as error:
            self.close()
            raise Gone(str(error)) from None
        return self

    def close(self):
        self.is_gone = True
        if self.task is not None:
            self.task.cancel()
            self.writer.close()
        for future in self.waiting.values():
            if not future.done():
                future.set_exception(Gone("closed"))
        self.waiting.clear()

    async def read(self):
        self.stream = StreamReader()
        try:
            while data := await self.reader.read(65536):
                self.last = data
                self.stream.feed(data)
                elements, self.stream.elements = self.stream.elements, []
                for element in elements:
                    self.take(element)
        except OSError:
            pass
        self.is_gone = True
        for future in self.waiting.values():
            if not future.done():
                future.set_exception(Gone("the connection was closed"))
        self.waiting.clear()
        self.elements.put_nowait(None)

    def take(self, element):
        if element.tag != f"{{{CLIENT}}}iq":
            self.elements.put_nowait(element)
        elif element.get("type") in ("result", "error"):
            future = self.waiting.pop(element.get("id"), None)
            if future is not None and not future.done():
                future.set_result(element)
        elif element.get("type") == "set":
            self.send(f"<iq type='result' id='{element.get('id')}' to='{self.market}'/>")
            self.on_push(element[0])

    def send(self, text):
        if self.is_gone:
            raise Gone("closed")
        self.writer.write(text.encode())

    async def next(self):
        element = await self.elements.get()
        if element is None:
            raise Gone("the connection was closed")
        return element

    async def restart(self):
        self.stream = StreamReader()
        self.send(f"<?xml version='1.0'?><stream:stream to='{self.domain}' version='1.0' xmlns='{CLIENT}'"
                  f" xmlns:stream='{STREAMS}'>")
        return await self.next()

    async def authenticate(self, user):
        scram = Scram("SCRAM-SHA-256", user, PASSWORD)
        self.send(f"<auth xmlns='{SASL}' mechanism='SCRAM-SHA-256'>{base64.b64encode(scram.first()).decode()}</auth>")
        challenge = await self.next()
        if not challenge.tag.endswith("}challenge"):
            raise AssertionError(f"not let in: {self.last}")
        final = scram.final(base64.b64decode(challenge.text))
        self.send(f"<response xmlns='{SASL}'>{base64.b64encode(final).decode()}</response>")
        success = await self.next()
        if not success.tag.endswith("}success"):
            raise AssertionError(f"not let in: {self.last}")
        scram.verify(base64.b64decode(success.text))

    async def ask(self, kind, payload, to="market"):
        """The answering IQ. The server being gone, or silent, is Gone."""
        name = f"q{next(self.numbers)}"
        target = f" to='{self.market if to == 'market' else to}'" if to else ""
        self.send(f"<iq type='{kind}' id='{name}'{target}>{payload}</iq>")
        future = self.waiting[name] = asyncio.get_running_loop().create_future()
        try:
            return await asyncio.wait_for(future, TIMEOUT_S)
        except TimeoutError:
            self.waiting.pop(name, None)
            if self.is_gone:
                raise Gone("closed") from None
            raise AssertionError(f"no answer to {payload} in {TIMEOUT_S} s") from None
