"""What stream management acknowledges is on the disk: killed at any moment, the server still has it."""

import pytest

from lib.stanza import show
from lib.xmpp import CLIENT, StreamClosed

SM = "urn:xmpp:sm:3"
CONFIG = {"limits": {"stanzas_per_s": 0, "bytes_per_s": 0}}


def flood(messages):
    """Messages to bob, each with a request to acknowledge, to be sent in one go: the server is in the midst of them
    when it is killed. (One thread alone may use a TLS connection.)"""
    return "".join(f"<message to='bob@stoa.test' type='chat' id='{number}'><body>{number}</body></message>"
                   f"<r xmlns='{SM}'/>" for number in range(messages))


@pytest.mark.parametrize("acknowledged", [1, 40, 300])
def test_acknowledged_messages_survive_kill_9(own_host, acknowledged):
    own_host.groups["limits"] = CONFIG["limits"]
    own_host.write_config()
    own_host.start()
    for name in ("alice", "bob"):
        own_host.add_user(name)
    alice = own_host.login("alice")
    alice.send(f"<enable xmlns='{SM}'/>")
    answer = alice.next()
    assert answer.tag == f"{{{SM}}}enabled", show(answer)

    alice.send(flood(900))
    handled = 0
    while handled < acknowledged:
        answer = alice.next()
        assert answer.tag == f"{{{SM}}}a", show(answer)
        assert int(answer.get("h")) >= handled
        handled = int(answer.get("h"))
    own_host.kill()
    try:
        while True:  # what was said before the end counts
            handled = int(alice.next().get("h"))
    except (StreamClosed, OSError):
        pass
    alice.close()

    own_host.start()
    with own_host.login("bob") as bob:
        bob.send("<presence/>")
        got = []
        while len(got) < handled:
            element = bob.next()
            if element.tag == f"{{{CLIENT}}}message":
                got.append(element.get("id"))
    assert got[:handled] == [str(number) for number in range(handled)]
