"""Kill -9 at any moment: what was acknowledged is there afterwards."""

from lib.stanza import CLIENT

ROSTER = "jabber:iq:roster"


def roster_of(client):
    answer = client.request("get", f"<query xmlns='{ROSTER}'/>")
    return {item.get("jid"): item for item in answer.iter(f"{{{ROSTER}}}item")}


def test_accounts_survive(own_host):
    own_host.start()
    own_host.add_user("alice")
    own_host.restart(hard=True)
    own_host.login("alice").close()


def test_offline_messages_survive_and_come_once(own_host):
    """The sender's next request is answered after its message was stored."""
    own_host.start()
    for name in ("alice", "bob"):
        own_host.add_user(name)
    alice = own_host.login("alice")
    for number in range(20):
        alice.send(f"<message to='bob@stoa.test' id='{number}' type='chat'><body>é{number}</body></message>")
    alice.barrier()
    own_host.restart(hard=True)
    with own_host.login("bob") as bob:
        bob.send("<presence/>")
        got = [element for element in [bob.next() for _ in range(21)] if element.tag == f"{{{CLIENT}}}message"]
        assert [element.get("id") for element in got] == [str(number) for number in range(20)]
        assert got[3].findtext(f"{{{CLIENT}}}body") == "é3"
        bob.barrier()
        bob.send("</stream:stream>")
        bob.expect_closed()
    own_host.restart(hard=True)
    with own_host.login("bob") as bob:
        bob.send("<presence/>")
        assert bob.next().tag == f"{{{CLIENT}}}presence"
        bob.expect_nothing()


def test_roster_survives(own_host):
    own_host.start()
    for name in ("alice", "bob"):
        own_host.add_user(name)
    with own_host.login("alice") as alice, own_host.login("bob") as bob:
        roster_of(alice)
        roster_of(bob)
        answer = alice.request("set", f"<query xmlns='{ROSTER}'><item jid='bob@stoa.test' name='Bob &lt;b>'>"
                               "<group>Pals</group></item></query>")
        assert answer.get("type") == "result"
        bob.send("<presence/>")
        bob.barrier()
        alice.send("<presence type='subscribe' to='bob@stoa.test'/>")
        bob.skip_until("<presence type='subscribe'/>")
        bob.send("<presence type='subscribed' to='alice@stoa.test'/>")
        alice.skip_until(f"<iq><query xmlns='{ROSTER}'><item jid='bob@stoa.test' subscription='to'/></query></iq>")
        own_host.restart(hard=True)
    with own_host.login("alice") as alice, own_host.login("bob") as bob:
        item = roster_of(alice)["bob@stoa.test"]
        assert item.get("subscription") == "to" and item.get("name") == "Bob <b>" and item.get("ask") is None
        assert [group.text for group in item] == ["Pals"]
        assert roster_of(bob)["alice@stoa.test"].get("subscription") == "from"


def test_subscription_requests_survive(own_host):
    own_host.start()
    for name in ("alice", "bob"):
        own_host.add_user(name)
    with own_host.login("alice") as alice:
        roster_of(alice)
        alice.send("<presence type='subscribe' to='bob@stoa.test'/>")
        alice.skip_until(f"<iq><query xmlns='{ROSTER}'><item ask='subscribe'/></query></iq>")
    own_host.restart(hard=True)
    with own_host.login("bob") as bob:
        bob.send("<presence/>")
        bob.skip_until("<presence type='subscribe' from='alice@stoa.test'/>")


def test_killed_in_the_middle_of_a_flood(own_host):
    """At each of several moments: every message whose successor was answered is there, in order, once."""
    own_host.start()
    for name in ("alice", "bob"):
        own_host.add_user(name)
    sent = 0
    expected = []
    for moment in (1, 7, 23):
        alice = own_host.login("alice")
        for _ in range(moment):
            alice.send(f"<message to='bob@stoa.test' id='{sent}' type='chat'><body>{sent}</body></message>")
            expected.append(str(sent))
            sent += 1
        alice.barrier()
        for _ in range(5):  # these may or may not be there
            alice.send(f"<message to='bob@stoa.test' id='maybe-{sent}' type='chat'><body>x</body></message>")
        own_host.restart(hard=True)
        alice.close()
    with own_host.login("bob") as bob:
        bob.send("<presence/>")
        got = [element.get("id") for element in bob.barrier() if element.tag == f"{{{CLIENT}}}message"]
    assert [name for name in got if not name.startswith("maybe")] == expected


def test_stop_says_goodbye(own_host):
    own_host.start()
    own_host.add_user("alice")
    with own_host.login("alice") as alice:
        own_host.stop()
        error = alice.expect_stream_error("system-shutdown")
        assert error is not None


def test_backup_while_running_can_be_opened(own_host, tmp_path):
    own_host.start()
    own_host.add_user("alice")
    own_host.hostctl("backup", tmp_path / "backup")
    files = [path for path in tmp_path.rglob("*") if "backup" in str(path.relative_to(tmp_path)) and path.is_file()]
    assert files, "no backup was written"
