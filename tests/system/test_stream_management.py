"""XEP-0198: acknowledgements and resumption."""

import pytest

from lib.stanza import CLIENT, show
from lib.xmpp import SM, error_condition

CONFIG = {"limits": {"resume_s": 2, "unacked_stanzas": 50}}


@pytest.fixture
def managed(session):
    """Logs in and enables stream management: managed (user, resource) → (client, id)."""
    def enable(user=None, resource=None):
        one = session(user, resource)
        one.send(f"<enable xmlns='{SM}' resume='true'/>")
        answer = one.next()
        assert answer.tag == f"{{{SM}}}enabled", show(answer)
        assert answer.get("resume") in ("true", "1") and answer.get("id")
        return one, answer.get("id")
    return enable


def resume(client, user, token, h):
    """A new stream that takes up the old session; the answer element."""
    client.starttls()
    client.open()
    client.authenticate(user, "secret-word")
    client.open()
    client.send(f"<resume xmlns='{SM}' h='{h}' previd='{token}'/>")
    return client.next()


def handled(client):
    """What the server says it has handled."""
    client.send(f"<r xmlns='{SM}'/>")
    while True:
        element = client.next()
        if element.tag == f"{{{SM}}}a":
            return int(element.get("h"))


def without_requests(elements):
    return [element for element in elements if not element.tag.startswith(f"{{{SM}}}")]


def receive(client):
    while True:
        element = client.next()
        if element.tag != f"{{{SM}}}r":
            return element


def test_offered_after_login(session):
    assert session().features.find(f"{{{SM}}}sm") is not None


def test_server_counts_what_it_handled(managed):
    one, _ = managed()
    assert handled(one) == 0
    one.send("<presence/>")
    one.send("<message to='stoa.test' type='headline'/>")
    assert handled(one) == 2


def test_enabling_twice_and_before_binding(managed, client, account):
    one, _ = managed()
    one.send(f"<enable xmlns='{SM}'/>")
    answer = receive(one)
    assert answer.tag in (f"{{{SM}}}failed", "{http://etherx.jabber.org/streams}error"), show(answer)
    early = client()
    early.starttls()
    early.open()
    early.authenticate(account(), "secret-word")
    early.open()
    early.send(f"<enable xmlns='{SM}' resume='true'/>")
    assert early.next().tag == f"{{{SM}}}failed"


def test_resumption_delivers_what_was_not_acknowledged(managed, session, client, account):
    user = account()
    bob, token = managed(user, "phone")
    alice = session()
    alice.send(f"<message to='{bob.jid}' id='1' type='chat'><body>one</body></message>")
    assert receive(bob).get("id") == "1"
    bob.send(f"<a xmlns='{SM}' h='1'/>")
    alice.send(f"<message to='{bob.jid}' id='2' type='chat'><body>two</body></message>")
    alice.barrier()
    bob.close()  # vanished, with 2 on its way
    alice.send(f"<message to='{bob.jid}' id='3' type='chat'><body>three</body></message>")
    alice.barrier()
    again = client()
    answer = resume(again, user, token, 1)
    assert answer.tag == f"{{{SM}}}resumed" and answer.get("previd") == token, show(answer)
    assert int(answer.get("h")) == 0
    assert [receive(again).get("id") for _ in range(2)] == ["2", "3"]
    again.send(f"<message to='{alice.jid}' id='back'/>")
    assert alice.next().get("from") == bob.jid


def test_contacts_do_not_see_a_resumed_absence(managed, session, client, account):
    user = account()
    watching = session(user, "watching")
    watching.send("<presence/>")
    one, token = managed(user, "phone")
    one.send("<presence/>")
    watching.skip_until(f"<presence from='{one.jid}'/>")
    h = handled(one)
    assert h == 1
    one.close()
    assert resume(client(), user, token, 2).tag == f"{{{SM}}}resumed"
    for element in watching.barrier():
        assert element.get("type") != "unavailable", show(element)


def test_not_resumed_in_time_the_messages_are_kept(managed, session, account):
    """After resume_s the session is over: its messages are as for somebody offline, IQs come back."""
    user = account()
    bob, _ = managed(user, "phone")
    bob.send("<presence/>")
    receive(bob)
    alice = session()
    bob.close()
    alice.send(f"<message to='{bob.jid}' id='m' type='chat'><body>later</body></message>")
    alice.send(f"<iq to='{bob.jid}' id='q' type='get'><query xmlns='urn:example:x'/></iq>")
    assert error_condition(alice.answer_to("q", timeout=20))[1] in ("service-unavailable", "recipient-unavailable")
    later = session(user, "desk")
    later.send("<presence/>")
    got = later.skip_until("<message id='m'/>")
    assert got.find("{urn:xmpp:delay}delay") is not None


def test_resumption_by_somebody_else_is_refused(managed, client, account):
    """The id alone opens nothing: the session belongs to its account."""
    victim, thief = account("victim"), account("thief")
    one, token = managed(victim, "phone")
    one.close()
    stranger = client()
    answer = resume(stranger, thief, token, 0)
    assert answer.tag == f"{{{SM}}}failed", show(answer)
    assert stranger.bind("phone").startswith(thief + "@")
    assert resume(client(), victim, token, 0).tag == f"{{{SM}}}resumed"


@pytest.mark.parametrize("token", ["", "x", "0" * 1000, "&lt;&amp;"])
def test_resumption_of_nothing(client, account, token):
    user = account()
    one = client()
    answer = resume(one, user, token, 0)
    assert answer.tag == f"{{{SM}}}failed", show(answer)
    one.bind()
    one.barrier()


def test_acknowledging_more_than_was_sent_ends_the_stream(managed):
    one, _ = managed()
    one.send(f"<a xmlns='{SM}' h='5'/>")
    error = one.expect_stream_error("undefined-condition|policy-violation")
    assert any(SM in child.tag for child in error), show(error)


def test_resuming_with_more_than_was_sent_is_refused(managed, client, account):
    user = account()
    one, token = managed(user)
    one.close()
    other = client()
    answer = resume(other, user, token, 7)
    assert answer.tag != f"{{{SM}}}resumed", show(answer)


@pytest.mark.parametrize("h", ["", "-1", "x", "4294967296", "99999999999999999999"])
def test_a_count_that_is_none(managed, h):
    one, _ = managed()
    one.send(f"<a xmlns='{SM}' h='{h}'/>")
    one.expect_closed()


def test_over_the_unacknowledged_limit_the_session_ends(managed, session, account):
    """Beyond unacked_stanzas nothing more is held for it: its messages are as for somebody offline."""
    user = account()
    deaf, token = managed(user, "phone")
    deaf.send("<presence/>")
    receive(deaf)
    alice = session()
    for number in range(60):
        alice.send(f"<message to='{deaf.jid}' id='{number}' type='chat'><body>x</body></message>")
    alice.barrier()
    deaf.expect_closed()
    later = session(user, "desk")
    later.send("<presence/>")
    got = []
    while len(got) < 60:
        element = later.next()
        if element.tag == f"{{{CLIENT}}}message":
            got.append(element.get("id"))
    assert sorted(got, key=int) == [str(number) for number in range(60)]
    later.expect_nothing()


def test_a_closed_stream_cannot_be_resumed(managed, client, account):
    user = account()
    one, token = managed(user)
    one.send("</stream:stream>")
    one.expect_closed()
    assert resume(client(), user, token, 0).tag == f"{{{SM}}}failed"


def test_resuming_takes_over_a_connection_that_still_lives(managed, client, account):
    """After a change of network the old connection may look alive for long."""
    user = account()
    old, token = managed(user, "phone")
    new = client()
    assert resume(new, user, token, 0).tag == f"{{{SM}}}resumed"
    old.expect_closed()
    new.barrier()
