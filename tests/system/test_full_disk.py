"""A disk that is full: nothing is acknowledged that is not stored, what was acknowledged is delivered, other traffic goes
on, and the server goes back to work by itself. A limit on the size of files stands for the disk."""

import resource
import urllib.error
import urllib.request

import pytest

from lib.host import HostctlError
from lib.process import wait_until
from lib.xmpp import CLIENT, error_condition

LIMIT = 300_000
TEXT = "x" * 10_000


def readiness(host):
    try:
        with urllib.request.urlopen(f"http://{host.addresses['http']}/readyz") as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def set_file_limit(host, size):
    _, hard = resource.prlimit(host.process.popen.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(host.process.popen.pid, resource.RLIMIT_FSIZE, (hard if size is None else size, hard))


def send_until_refused(alice):
    """Names of the messages that were answered by nothing but the ping behind them, and the first error."""
    kept = []
    for number in range(200):
        alice.send(f"<message to='bob@stoa.test' type='chat' id='m{number}'><body>{TEXT}</body></message>")
        answers = alice.barrier()
        if answers:
            return kept, answers[0]
        kept.append(f"m{number}")
    raise AssertionError("the disk never became full")


def receive(client, count):
    names = []
    while len(names) < count:
        element = client.next()
        if element.tag == f"{{{CLIENT}}}message":
            names.append(element.get("id"))
    return names


def test_full_disk_and_back(own_host):
    own_host.start()
    for name in ("alice", "bob", "carol"):
        own_host.add_user(name)
    alice, carol = own_host.login("alice"), own_host.login("carol")
    carol.send("<presence/>")
    carol.barrier()
    assert readiness(own_host) == 200

    set_file_limit(own_host, LIMIT)
    kept, refusal = send_until_refused(alice)
    assert kept
    assert error_condition(refusal)[1] == "internal-server-error"
    assert readiness(own_host) == 503
    answer = alice.request("set", "<query xmlns='jabber:iq:roster'><item jid='bob@stoa.test'/></query>")
    assert error_condition(answer)[1] == "internal-server-error"
    set_file_limit(own_host, 0)
    with pytest.raises(HostctlError, match="cannot add"):
        own_host.add_user("dave")

    # Between those who are there nothing has changed.
    alice.send("<message to='carol@stoa.test' type='chat' id='live'><body>still here</body></message>")
    carol.expect("<message from='{any}' id='live'><body>still here</body></message>")
    # What was acknowledged reaches its reader even now.
    with own_host.login("bob") as bob:
        bob.send("<presence/>")
        assert receive(bob, len(kept)) == kept

    set_file_limit(own_host, None)
    wait_until(lambda: readiness(own_host) == 200, what="readiness")
    answer = alice.request("set", "<query xmlns='jabber:iq:roster'><item jid='bob@stoa.test'/></query>")
    assert answer.get("type") == "result"
    own_host.add_user("dave")

    alice.close()
    carol.close()
    own_host.restart(hard=True)
    with own_host.login("alice") as alice:
        roster = alice.request("get", "<query xmlns='jabber:iq:roster'/>")
        assert [item.get("jid") for item in roster.iter("{jabber:iq:roster}item")] == ["bob@stoa.test"]
    own_host.login("dave").close()
