"""Sessions: resource binding (RFC 6120 §7), addresses (§8.1), stanzas and their errors (§8), discovery."""

import pytest

from lib.stanza import CLIENT, show
from lib.xmpp import BIND, PING, error_condition

DISCO_INFO = "http://jabber.org/protocol/disco#info"


def test_server_makes_resources_up(session, account):
    user = account()
    first, second = session(user), session(user)
    assert first.jid != second.jid
    assert first.jid.startswith(f"{user}@stoa.test/")


def test_resource_of_the_clients_choice(session, account):
    user = account()
    assert session(user, "my phone é").jid == f"{user}@stoa.test/my phone é"


def test_same_resource_again(session, account):
    """RFC 6120 §7.7.2.2: whatever the policy, there are never two sessions of one full JID."""
    user = account()
    first, second = session(user, "phone"), session(user, "phone")
    if first.jid == second.jid:
        first.expect_stream_error("conflict")
    second.barrier()


@pytest.mark.parametrize("resource", ["x" * 1024, "a&#x1;b", "&#xE000;&#x200E;"],
                         ids=["too long", "control", "private use"])
def test_resource_that_cannot_be(client, account, resource):
    one = client()
    one.starttls()
    one.open()
    one.authenticate(account(), "secret-word")
    one.open()
    one.send(f"<iq type='set' id='b'><bind xmlns='{BIND}'><resource>{resource}</resource></bind></iq>")
    answer = one.next()
    if answer.tag == f"{{{CLIENT}}}iq":
        assert error_condition(answer) == ("modify", "bad-request")
    else:
        assert "error" in answer.tag


def test_stanza_before_binding(client, account):
    one = client()
    one.starttls()
    one.open()
    one.authenticate(account(), "secret-word")
    one.open()
    one.send("<message to='someone@stoa.test'><body>x</body></message>")
    one.expect_stream_error("not-authorized")


def test_binding_twice(session):
    one = session()
    answer = one.request("set", f"<bind xmlns='{BIND}'><resource>again</resource></bind>")
    assert error_condition(answer)[1] in ("not-allowed", "resource-constraint", "service-unavailable")


@pytest.mark.parametrize("sender", ["someone@stoa.test", "someone@stoa.test/x", "stoa.test", "elsewhere.test", "{other}"])
def test_spoofed_from_ends_the_stream(session, sender):
    one, other = session(), session()
    one.send(f"<message from='{sender.format(other=other.jid)}' to='{other.jid}'><body>trust me</body></message>")
    one.expect_stream_error("invalid-from")
    other.expect_nothing()


@pytest.mark.parametrize("form", ["{bare}", "{full}"])
def test_own_from_is_allowed_and_made_full(session, form):
    one, other = session(), session()
    sender = form.format(full=one.jid, bare=one.jid.split("/")[0])
    one.send(f"<message from='{sender}' to='{other.jid}' id='f'/>")
    other.expect(f"<message from='{one.jid}' id='f'/>")


@pytest.mark.parametrize("to", ["@stoa.test", "a b@stoa.test", "x@", "a@b@c", "", "stoa.test/", "x" * 1024 + "@stoa.test"],
                         ids=["no user", "blank", "no domain", "two ats", "empty", "no resource", "too long"])
def test_address_that_is_malformed(session, to):
    one = session()
    one.send(f"<iq type='get' id='j' to='{to}'><ping xmlns='{PING}'/></iq>")
    answer = one.next()
    assert error_condition(answer)[1] == "jid-malformed", show(answer)


def test_address_of_another_domain(session):
    one = session()
    one.send(f"<iq type='get' id='j' to='someone@elsewhere.test'><ping xmlns='{PING}'/></iq>")
    assert error_condition(one.answer_to("j"))[1] in ("remote-server-not-found", "service-unavailable")


@pytest.mark.parametrize("iq", [
    f"<iq type='get'><ping xmlns='{PING}'/></iq>",
    f"<iq type='ask' id='1'><ping xmlns='{PING}'/></iq>",
    f"<iq id='1'><ping xmlns='{PING}'/></iq>",
    "<iq type='get' id='1'/>",
    f"<iq type='get' id='1'><ping xmlns='{PING}'/><ping xmlns='{PING}'/></iq>",
])
def test_iq_that_breaks_the_rules(session, iq):
    """RFC 6120 §8.2.3: an id, a known type, exactly one child in a request."""
    one = session()
    one.send(iq)
    answer = one.next()
    assert answer.tag == f"{{{CLIENT}}}iq", show(answer)
    assert error_condition(answer)[1] == "bad-request", show(answer)
    one.barrier()


def test_unknown_request_to_the_server(session):
    one = session()
    answer = one.request("get", "<query xmlns='urn:example:unheard-of'/>", to="stoa.test")
    assert error_condition(answer) == ("cancel", "service-unavailable")


def test_request_to_the_server_without_address_is_for_the_account(session):
    one = session()
    assert one.request("get", "<query xmlns='jabber:iq:roster'/>").get("type") == "result"


def test_strangers_do_not_get_at_the_account(session):
    """RFC 6121 §2.1.5: another user's roster is none of one's business."""
    alice, bob = session(), session()
    answer = alice.request("get", "<query xmlns='jabber:iq:roster'/>", to=bob.jid.split("/")[0])
    assert error_condition(answer)[1] in ("service-unavailable", "forbidden")
    assert "item" not in show(answer)


def test_error_answers_carry_the_address_asked(session):
    one = session()
    one.send("<message id='e' to='nobody-there@stoa.test/x' type='chat'><body>x</body></message>")
    answer = one.next()
    assert answer.get("from") == "nobody-there@stoa.test/x" and answer.get("id") == "e"


def test_discovery_of_the_server(session):
    one = session()
    answer = one.request("get", f"<query xmlns='{DISCO_INFO}'/>", to="stoa.test")
    query = answer.find(f"{{{DISCO_INFO}}}query")
    identities = [(one.get("category"), one.get("type")) for one in query.iter(f"{{{DISCO_INFO}}}identity")]
    features = [one.get("var") for one in query.iter(f"{{{DISCO_INFO}}}feature")]
    assert ("server", "im") in identities
    assert DISCO_INFO in features and PING in features


def test_version_and_time(session):
    one = session()
    version = one.request("get", "<query xmlns='jabber:iq:version'/>", to="stoa.test")
    assert version.findtext("{jabber:iq:version}query/{jabber:iq:version}name")
    time = one.request("get", "<time xmlns='urn:xmpp:time'/>", to="stoa.test")
    assert time.findtext("{urn:xmpp:time}time/{urn:xmpp:time}utc").endswith("Z")


def test_closing_makes_unavailable(session, account):
    user = account()
    stays, goes = session(user, "stays"), session(user, "goes")
    stays.send("<presence/>")
    goes.send("<presence/>")
    stays.skip_until(f"<presence from='{goes.jid}'/>")
    goes.close()
    stays.skip_until(f"<presence from='{goes.jid}' type='unavailable'/>")
