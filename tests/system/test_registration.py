"""In-band registration (XEP-0077) over the wire: before login, and about oneself after it."""

import pytest

from lib.stanza import show
from lib.xmpp import CLIENT, SaslFailure, StreamClosed, error_condition

CONFIG = {"registration": {"open": "true"}, "limits": {"registrations_per_hour": 4}}
REGISTER = "jabber:iq:register"
FEATURE = "{http://jabber.org/features/iq-register}register"
PASSWORD = "correct horse"


def fields(user, password=PASSWORD):
    return f"<query xmlns='{REGISTER}'><username>{user}</username><password>{password}</password></query>"


def secured(host):
    client = host.connect()
    client.starttls()
    client.open()
    return client


def register(host, user):
    with secured(host) as client:
        answer = client.request("set", fields(user), to=host.domain)
        assert answer.get("type") == "result", show(answer)


@pytest.fixture
def open_host(own_host):
    """A server of the test's own: the rate is counted for the address all tests come from."""
    own_host.groups["registration"] = CONFIG["registration"]
    own_host.groups["limits"] = dict(CONFIG["limits"])
    own_host.write_config()
    return own_host.start()


def test_register_and_log_in_on_the_same_stream(open_host):
    with secured(open_host) as client:
        assert client.features.find(FEATURE) is not None
        form = client.request("get", f"<query xmlns='{REGISTER}'/>", to=open_host.domain)
        query = form.find(f"{{{REGISTER}}}query")
        assert {child.tag.split("}")[1] for child in query} == {"instructions", "username", "password"}
        answer = client.request("set", fields("Alice"), to=open_host.domain)
        assert answer.get("type") == "result", show(answer)
        client.authenticate("alice", PASSWORD)
        client.open()
        assert client.bind().startswith("alice@stoa.test/")
        assert client.features.find(FEATURE) is None


def test_refusals_leave_no_account(open_host):
    with secured(open_host) as client:
        for payload, condition in [(fields("al ice"), "not-acceptable"), (fields("bob", "short"), "not-acceptable"),
                                   (f"<query xmlns='{REGISTER}'><username>bob</username></query>",
                                    "not-acceptable"),
                                   (f"<query xmlns='{REGISTER}'><remove/></query>", "unexpected-request")]:
            answer = client.request("set", payload, to=open_host.domain)
            assert error_condition(answer)[1] == condition, show(answer)
    assert open_host.hostctl_json("user", "list") == []


def test_never_in_clear(open_host):
    """A password sent before TLS would be anybody's."""
    with open_host.connect() as client:
        client.open()
        assert client.features.find(FEATURE) is None
        try:
            answer = client.request("set", fields("alice"), to=open_host.domain)
            assert answer.get("type") == "error", show(answer)
        except StreamClosed:
            pass
    assert open_host.hostctl_json("user", "list") == []


def test_rate(open_host):
    with secured(open_host) as client:
        for number in range(4):
            assert client.request("set", fields(f"u{number}"), to=open_host.domain).get("type") == "result"
        answer = client.request("set", fields("u4"), to=open_host.domain)
        assert error_condition(answer) == ("wait", "resource-constraint")
    assert len(open_host.hostctl_json("user", "list")) == 4


def test_closed_by_default(own_host):
    own_host.start()
    with secured(own_host) as client:
        assert client.features.find(FEATURE) is None
        try:
            answer = client.request("set", fields("alice"), to=own_host.domain)
            assert answer.get("type") == "error", show(answer)
        except StreamClosed:
            pass
    assert own_host.hostctl_json("user", "list") == []


def test_password_change(open_host):
    register(open_host, "alice")
    with open_host.login("alice", password=PASSWORD) as alice:
        answer = alice.request("set", fields("alice", "battery staple"), to=open_host.domain)
        assert answer.get("type") == "result", show(answer)
        alice.expect_nothing()  # and goes on
    with pytest.raises(SaslFailure):
        open_host.login("alice", password=PASSWORD)
    open_host.login("alice", password="battery staple").close()


def test_removal_leaves_nothing_to_the_next_owner_of_the_name(open_host):
    for name in ("alice", "bob"):
        register(open_host, name)
    alice, bob = (open_host.login(name, password=PASSWORD) for name in ("alice", "bob"))
    for client in (alice, bob):
        client.request("get", "<query xmlns='jabber:iq:roster'/>")
    alice.send("<presence type='subscribe' to='bob@stoa.test'/>")
    alice.barrier()
    bob.send("<presence type='subscribed' to='alice@stoa.test'/>")
    bob.barrier()
    alice.send("<presence type='unavailable'/>")
    bob.send("<message to='alice@stoa.test' type='chat'><body>for the old one</body></message>")
    bob.barrier()
    other = open_host.login("alice", password=PASSWORD)

    alice.send(f"<iq type='set' id='bye'><query xmlns='{REGISTER}'><remove/></query></iq>")
    assert alice.answer_to("bye").get("type") == "result"
    alice.expect_stream_error("not-authorized")
    other.expect_stream_error("not-authorized")
    bob.skip_until("<presence type='unsubscribe' from='alice@stoa.test'/>")
    with pytest.raises(SaslFailure):
        open_host.login("alice", password=PASSWORD)

    register(open_host, "alice")
    with open_host.login("alice", password=PASSWORD) as alice:
        roster = alice.request("get", "<query xmlns='jabber:iq:roster'/>")
        assert list(roster.iter("{jabber:iq:roster}item")) == []
        alice.send("<presence/>")
        assert not [element for element in alice.barrier() if element.tag == f"{{{CLIENT}}}message"]
    bob.close()
