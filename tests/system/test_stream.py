"""Streams: RFC 6120 §4 (streams), §5 (STARTTLS), §11 (XML), §4.9 (their errors)."""

import pytest

from lib.stanza import StreamReader
from lib.xmpp import PING, SASL, TLS

STARTTLS = f"<starttls xmlns='{TLS}'/>"


@pytest.fixture
def secure(client):
    """A client with TLS up and the stream opened again, not logged in."""
    one = client()
    one.starttls()
    one.open()
    return one


# --- headers

def test_features_before_tls_offer_nothing_but_tls(client):
    one = client()
    features = one.open()
    assert features.find(f"{{{TLS}}}starttls/{{{TLS}}}required") is not None
    assert not one.mechanisms()


def test_header_answers_with_id_domain_and_version(client, host):
    first, second = client(), client()
    first.open()
    second.open()
    assert first.reader.header["from"] == host.domain
    assert first.reader.header["version"] == "1.0"
    assert first.reader.header["id"] and first.reader.header["id"] != second.reader.header["id"]


def test_direct_tls_goes_straight_to_sasl(host):
    with host.connect_direct_tls() as one:
        one.open()
        assert "SCRAM-SHA-256" in one.mechanisms()
        assert one.features.find(f"{{{TLS}}}starttls") is None


@pytest.mark.parametrize("attributes, condition", [
    ({"to": "elsewhere.test"}, "host-unknown"),
    ({"xmlns:stream": "http://example.net/streams"}, "invalid-namespace|not-well-formed|bad-namespace-prefix"),
    ({"xmlns": "jabber:server"}, "invalid-namespace"),
    ({"xmlns": None}, "invalid-namespace"),
    ({"version": "2.0"}, None),
    ({"version": None}, "unsupported-version"),
])
def test_header_that_is_not_ours(client, attributes, condition):
    one = client()
    values = {"to": one.domain, "version": "1.0", "xmlns": "jabber:client",
              "xmlns:stream": "http://etherx.jabber.org/streams", **attributes}
    text = "<stream:stream" + "".join(f" {key}='{value}'" for key, value in values.items() if value) + ">"
    one.send("<?xml version='1.0'?>" + text)
    if condition:
        one.expect_stream_error(condition)
    else:
        assert one.next().tag.endswith("features")


def test_first_element_that_is_no_stream(client):
    one = client()
    one.send("<?xml version='1.0'?><iq type='get' id='1' xmlns='jabber:client'/>")
    one.expect_stream_error("invalid-namespace|bad-format|invalid-xml|not-well-formed|unsupported-stanza-type")


# --- before login

@pytest.mark.parametrize("stanza", [
    "<message to='someone@stoa.test'><body>hi</body></message>",
    f"<iq type='get' id='1'><ping xmlns='{PING}'/></iq>",
    "<presence/>",
])
def test_stanza_before_login_ends_the_stream(secure, stanza):
    secure.send(stanza)
    secure.expect_stream_error("not-authorized")


def test_starttls_twice_ends_the_stream(secure):
    secure.send(STARTTLS)
    elements = secure.expect_closed()
    assert not any(element.tag.endswith("proceed") for element in elements)


def test_sasl_before_tls_is_refused(client):
    one = client()
    one.open()
    one.send(f"<auth xmlns='{SASL}' mechanism='PLAIN'>AGFsaWNlAHNlY3JldC13b3Jk</auth>")
    tags = [child.tag for element in [one.next()] for child in [element, *element]]
    assert not any(tag.endswith("success") for tag in tags)
    assert any(tag.endswith(("encryption-required", "policy-violation", "not-authorized", "invalid-mechanism"))
               for tag in tags), tags


def test_bytes_pipelined_behind_starttls_are_not_taken_as_secure(client, host):
    """The attack of CVE-2011-0411: what was sent in clear must not be acted upon after the handshake."""
    one = client()
    one.open()
    one.send(STARTTLS + f"<auth xmlns='{SASL}' mechanism='PLAIN'>AGFsaWNlAHNlY3JldC13b3Jk</auth>")
    elements = one.expect_closed()
    assert not any(element.tag.endswith(("success", "challenge")) for element in elements)


def test_plain_bytes_where_tls_should_begin(client):
    one = client()
    one.open()
    one.send(STARTTLS)
    assert one.next().tag == f"{{{TLS}}}proceed"
    one.send(b"<stream:stream to='stoa.test'>" * 20)
    one.expect_closed()


# --- XML

@pytest.mark.parametrize("text, condition", [
    ("<!-- remark -->", "restricted-xml"),
    ("<?target data?>", "restricted-xml"),
    ("<message><body>&unknown;</body></message>", "restricted-xml|not-well-formed"),
    ("<message><!-- inside --><body>x</body></message>", "restricted-xml"),
    ("<message><body>x</message>", "not-well-formed"),
    ("<message a='1' a='2'/>", "not-well-formed"),
    ("<message><body>]]></body></message>", "not-well-formed"),
    ("<message a='<'/>", "not-well-formed"),
    ("<u:message/>", "bad-namespace-prefix|not-well-formed"),
    ("<message><u:body/></message>", "bad-namespace-prefix|not-well-formed"),
    ("<message>&#0;</message>", "not-well-formed"),
    ("<message>&#xFFFF;</message>", "not-well-formed"),
    ("plain text between stanzas", "bad-format|not-well-formed|invalid-xml"),
    ("<unheard-of/>", "unsupported-stanza-type"),
    ("<message xmlns='jabber:server'><body>x</body></message>", "unsupported-stanza-type|invalid-namespace"),
    ("<?xml version='1.0'?>", "not-well-formed|restricted-xml"),
])
def test_xml_that_is_not_allowed(session, text, condition):
    one = session()
    one.send(text)
    one.expect_stream_error(condition)


@pytest.mark.parametrize("data", [
    b"<message><body>\xff</body></message>",
    b"<message><body>\xc0\xaf</body></message>",
    b"<message><body>\xed\xa0\x80</body></message>",
    b"<message><body>\xf4\x90\x80\x80</body></message>",
    b"<message><body>\x01</body></message>",
    b"<message><body>\x00</body></message>",
])
def test_bytes_that_are_no_text(session, data):
    one = session()
    one.send(data)
    one.expect_stream_error("not-well-formed|unsupported-encoding|invalid-xml|bad-format")


@pytest.mark.parametrize("doctype", [
    "<!DOCTYPE stream>",
    "<!DOCTYPE s [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;'>]>",
    "<!DOCTYPE s SYSTEM 'file:///etc/passwd'>",
])
def test_document_types_are_refused(client, doctype):
    one = client()
    one.send("<?xml version='1.0'?>" + doctype + one.header())
    one.expect_stream_error("restricted-xml|not-well-formed")


@pytest.mark.parametrize("encode", [
    lambda text: b"\xff\xfe" + text.encode("utf-16-le"),
    lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
    lambda text: text.encode("utf-16-le"),
    lambda text: text.encode("utf-16-be"),
    lambda text: text.replace("<?xml version='1.0'?>", "<?xml version='1.0' encoding='ISO-8859-1'?>").encode(),
    lambda text: text.replace("<?xml version='1.0'?>", "<?xml version='1.0' encoding='UTF-16'?>").encode(),
], ids=["bom-le", "bom-be", "le", "be", "latin-1", "says-utf-16"])
@pytest.mark.parametrize("in_pieces", [False, True])
def test_other_encodings_are_refused(client, encode, in_pieces):
    one = client()
    data = encode("<?xml version='1.0'?>" + one.header())
    try:
        for piece in ([data[i:i + 1] for i in range(len(data))] if in_pieces else [data]):
            one.send(piece)
    except (BrokenPipeError, ConnectionResetError):
        pass  # refused before everything was sent
    elements = one.expect_closed()
    assert any("unsupported-encoding" in child.tag for element in elements for child in element), \
        one.received


def test_utf16_after_the_restart_of_a_stream_is_refused(client, account):
    """A stream that was UTF-8 until login must not become another encoding behind it: in UTF-16 a harmless
    text holds the bytes of markup."""
    one = client()
    one.starttls()
    one.open()
    one.authenticate(account(), "secret-word")
    one.reader = StreamReader()
    one.send(b"\xff\xfe" + ("<?xml version='1.0'?>" + one.header()).encode("utf-16-le"))
    assert any("unsupported-encoding" in child.tag for element in one.expect_closed() for child in element)


def test_payload_arrives_as_it_was_sent(session):
    """Prefixes, CDATA, character references, white space in attributes, other languages, deep namespaces."""
    alice, bob = session(), session()
    alice.send(f"<message to='{bob.jid}' id='x' xmlns:p='urn:example:p' p:a='1&#10;2&#9;3' xml:lang='de'>"
               "<body xml:lang='el'>καλημέρα &#x1F600; \U0001F600</body><p:x><![CDATA[<&]]>]]&gt;</p:x>"
               "<y xmlns='urn:example:y' z='&lt;&quot;&apos;&amp;'><z xmlns=''/></y></message>")
    got = bob.next()
    assert got.get("{urn:example:p}a") == "1\n2\t3"
    assert got.get("{http://www.w3.org/XML/1998/namespace}lang") == "de"
    assert got.get("from") == alice.jid
    assert got.findtext("{jabber:client}body") == "καλημέρα \U0001F600 \U0001F600"
    assert got.findtext("{urn:example:p}x") == "<&]]>"
    inner = got.find("{urn:example:y}y")
    assert inner.get("z") == "<\"'&" and inner.find("z") is not None


def test_prefix_declared_on_the_stream_reaches_the_other_stream(client, account, session):
    bob = session()
    one = client()
    one.starttls()
    one.open()
    one.authenticate(account(), "secret-word")
    one.open(**{"xmlns:q": "urn:example:q"})
    one.bind()
    one.send(f"<message to='{bob.jid}' q:kind='1'><q:x/></message>")
    got = bob.next()
    assert got.get("{urn:example:q}kind") == "1"
    assert got.find("{urn:example:q}x") is not None


@pytest.mark.timeout_s(120)
def test_a_stream_cut_at_every_byte_means_the_same(session):
    """However TCP cuts the bytes, the stanzas are the same and none waits for the next."""
    alice, bob = session(), session()
    text = (f"<message to='{bob.jid}' id='%d' type='chat'><body>aé€\U0001F600 ]]&gt;</body>"
            "<x xmlns='urn:example:x' a='&quot;>'/></message>").encode()
    for cut in range(1, len(text)):
        alice.send(text[:cut].replace(b"%d", b"%d" % cut))
        alice.send(text[cut:].replace(b"%d", b"%d" % cut))
        if cut % 20 == 0:
            for _ in range(20):
                got = bob.next()
                assert got.findtext("{jabber:client}body") == "aé€\U0001F600 ]]>"


def test_closing_the_stream_is_answered(session):
    one = session()
    one.send("</stream:stream>")
    one.expect_closed()
    assert one.reader.is_closed


def test_white_space_between_stanzas_is_allowed(session):
    one = session()
    one.send(" \n\t  ")
    one.barrier()
