"""Stanzas as ElementTree elements: an incremental stream reader, and matching against a pattern.

A pattern is XML too. Every attribute and child it names must be in the stanza; what it does not name may be
there. `{name}` as an attribute's value or as text takes what it meets the first time and must meet the same
afterwards; `{any}` meets whatever is there; an attribute whose pattern is `{none}` must be absent. A child
named `<none xmlns='test:pattern'/>` says that the stanza has no children but those listed."""

import re
import xml.etree.ElementTree as ElementTree
import xml.parsers.expat

CLIENT = "jabber:client"
STREAMS = "http://etherx.jabber.org/streams"
STREAM_ERRORS = "urn:ietf:params:xml:ns:xmpp-streams"
STANZA_ERRORS = "urn:ietf:params:xml:ns:xmpp-stanzas"
ONLY = "{test:pattern}none"


def parse(text):
    """One element from text whose default namespace is jabber:client."""
    wrapped = f"<x xmlns='{CLIENT}' xmlns:stream='{STREAMS}'>{text}</x>"
    children = list(ElementTree.fromstring(wrapped))
    if len(children) != 1:
        raise ValueError(f"not one element: {text}")
    return children[0]


def parse_all(text):
    return list(ElementTree.fromstring(f"<x xmlns='{CLIENT}' xmlns:stream='{STREAMS}'>{text}</x>"))


def show(element):
    return ElementTree.tostring(element, encoding="unicode")


def _meets(pattern, actual, bound):
    match = re.fullmatch(r"\{(\w+)\}", pattern)
    if not match:
        return pattern == actual
    name = match.group(1)
    if name == "any":
        return actual is not None
    if name == "none":
        return actual is None
    return actual is not None and bound.setdefault(name, actual) == actual


def difference(pattern, actual, bound):
    """None if `actual` is as `pattern` says (new names are then added to `bound`), else what differs."""
    trial = dict(bound)
    fault = _difference(pattern, actual, trial)
    if fault is None:
        bound.update(trial)
    return fault


def _difference(pattern, actual, bound):
    if pattern.tag != actual.tag:
        return f"<{actual.tag}> where <{pattern.tag}> was expected"
    for name, value in pattern.attrib.items():
        if not _meets(value, actual.get(name), bound):
            return f"{name}={actual.get(name)!r} in <{actual.tag}> where {value!r} was expected"
    text = (pattern.text or "").strip()
    if text and not _meets(text, (actual.text or "").strip(), bound):
        return f"text {actual.text!r} in <{actual.tag}> where {text!r} was expected"
    left = list(actual)
    for wanted in pattern:
        if wanted.tag == ONLY:
            continue
        faults = []
        for child in left:
            trial = dict(bound)
            fault = _difference(wanted, child, trial)
            if fault is None:
                bound.update(trial)
                left.remove(child)
                break
            faults.append(fault)
        else:
            near = f" ({'; '.join(faults)})" if faults else ""
            return f"no <{wanted.tag}> as expected in <{actual.tag}>{near}"
    if left and any(wanted.tag == ONLY for wanted in pattern):
        return f"unexpected <{left[0].tag}> in <{actual.tag}>"
    return None


class StreamReader:
    """Bytes in, whole top-level elements out. `header` holds the stream header's attributes once seen."""

    def __init__(self):
        self.header = None
        self.header_tag = None
        self.is_closed = False
        self.elements = []
        self._rest = b""
        self._stack = []
        self._builder = None
        # Without a declared encoding, so that a wrong one is seen.
        self._parser = xml.parsers.expat.ParserCreate("UTF-8", "}")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text

    @staticmethod
    def _name(name):
        return "{" + name if "}" in name else name

    def _start(self, name, attributes):
        name = self._name(name)
        attributes = {self._name(key): value for key, value in attributes.items()}
        if self.header is None:
            self.header, self.header_tag = attributes, name
            return
        if not self._stack:
            self._builder = ElementTree.TreeBuilder()
        self._stack.append(name)
        self._builder.start(name, attributes)

    def _end(self, name):
        if not self._stack:
            self.is_closed = True
            return
        self._builder.end(self._stack.pop())
        if not self._stack:
            self.elements.append(self._builder.close())

    def _text(self, text):
        if self._stack:
            self._builder.data(text)

    def feed(self, data):
        """Expat may put off an unfinished token, so it is fed up to the last '>' only."""
        self._rest += data
        cut = self._rest.rfind(b">") + 1
        if cut:
            now, self._rest = self._rest[:cut], self._rest[cut:]
            self._parser.Parse(now, False)
