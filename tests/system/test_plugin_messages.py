"""Plugins that see and send messages, between two people who chat; what they are agreed to; how they are. The real client,
the real server, the sandbox."""

import itertools
import os

import pytest

from lib.host import Host
from lib.plugins import Ground
from lib.process import wait_until

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    one = Host(tmp_path_factory.mktemp("server")).start()
    yield one
    one.stop()


@pytest.fixture
def ground(server):
    one = Ground(server)
    yield one
    one.close()


@pytest.fixture
def person(server, ground):
    def make(*plugins):
        name = f"person{next(_numbers)}"
        server.add_user(name)
        device = ground.device(name)
        for plugin in plugins:
            device.must("plugin", "install", plugin, "--yes")
        return device
    return make


@pytest.fixture
def listening():
    listeners = []

    def make(device):
        listeners.append(device.listen())
        listeners[-1].wait("online")
        return listeners[-1]
    yield make
    for one in listeners:
        one.stop()


def state(device, plugin):
    [row] = [row for row in device.must("plugin", "list") if row["id"] == plugin]
    return row["state"], row["reason"]


# --- messages ---

def test_what_is_received_is_converted_for_the_user_alone(ground, person, listening):
    alice, bob = person(ground.sample("units")), person()
    ear, other = listening(alice), listening(bob)
    assert ear.wait("plugin")["running"]
    bob.must("send", alice.jid, "it is 95 F here, and 12 miles to the beach")
    shown = ear.wait("notification")
    assert (shown["plugin"], shown["title"], shown["text"]) == ("units", bob.jid, "95 °F = 35 °C, 12 mi = 19 km")
    assert ear.bodies() == ["it is 95 F here, and 12 miles to the beach"]
    bob.must("send", alice.jid, "nothing to convert")
    ear.wait("message", 2)
    assert len(ear.events("notification")) == 1 and not other.bodies() and not ear.events("plugin-sent")


def test_what_is_sent_is_converted_for_the_other_and_two_plugins_do_not_answer_each_other(ground, person, listening):
    alice, bob = person(ground.sample("units")), person(ground.sample("units"))
    for one in (alice, bob):
        [_running, answer] = one.must("plugin", "use", "units", "--", "units", "share", "on")
        assert answer["text"] == "What you write will be converted for the other."
    ear = listening(bob)
    assert ear.wait("plugin")["running"]
    screen = ground.screen(alice)
    screen.wait("Units")
    screen.enter(f"/chat {bob.jid}")
    screen.enter("12 miles to go")
    screen.wait("me [Units]: 12 mi = 19 km")
    ear.wait("message", 2)
    assert ear.bodies() == ["12 miles to go", "12 mi = 19 km"]
    # All that could follow from it has followed when a later message has come back and forth.
    bob.must("send", alice.jid, "thanks")
    screen.wait("thanks")
    screen.enter("bye")
    ear.wait("message", 3)
    assert ear.bodies() == ["12 miles to go", "12 mi = 19 km", "bye"] and not ear.events("plugin-sent")
    assert screen.text().count("12 mi = 19 km") == 1


def test_a_plugin_writes_only_to_the_open_chat_and_to_whom_the_user_allows(ground, person, listening):
    alice, bob = person(ground.herald("messages=send")), person()
    ear, other = listening(alice), listening(bob)
    assert ear.wait("plugin")["running"]
    bob.must("send", alice.jid, "answer one")
    ear.wait("message")
    assert alice.must("plugin", "allow", "herald", bob.jid) == [{"event": "allowed", "plugin": "herald", "peer": bob.jid}]
    bob.must("send", alice.jid, "answer two")
    assert other.wait("message")["body"] == "two"
    assert ear.wait("plugin-sent") == {"event": "plugin-sent", "plugin": "herald", "to": bob.jid, "body": "two"}
    alice.must("plugin", "forbid", "herald", bob.jid)
    bob.must("send", alice.jid, "answer three")
    ear.wait("message", 3)
    alice.must("send", bob.jid, "by hand")
    other.wait("message", 2)
    assert other.bodies() == ["two", "by hand"]


def test_a_plugin_that_only_sees_cannot_send(ground, person, listening):
    alice, bob = person(ground.herald("messages=see")), person()
    alice.must("plugin", "allow", "herald", bob.jid)
    ear, other = listening(alice), listening(bob)
    assert ear.wait("plugin")["running"]
    bob.must("send", alice.jid, "answer me")
    ear.wait("message")
    alice.must("send", bob.jid, "by hand")
    other.wait("message")
    assert other.bodies() == ["by hand"] and not ear.events("plugin-sent")


@pytest.mark.parametrize("word, why", [("hang", "did not answer in time and was stopped"), ("crash", "crashed")])
def test_a_filter_that_breaks_does_not_stop_the_chat(ground, person, listening, word, why):
    alice, bob = person(ground.herald("messages=see")), person()
    other = listening(bob)
    screen = ground.screen(alice)
    screen.wait("Herald")
    screen.enter(f"/chat {bob.jid}")
    bob.must("send", alice.jid, word)
    for number in range(5):
        bob.must("send", alice.jid, f"still there {number}?")
        screen.wait(f"still there {number}?")
        screen.enter(f"yes {number}")
        other.wait("message", number + 1)
    assert other.bodies() == [f"yes {number}" for number in range(5)]
    wait_until(lambda: state(alice, "herald")[0] == "crashed", 15, "the end of the plugin")
    assert why in state(alice, "herald")[1]
    screen.enter("/plugins")
    screen.wait(f"crashed ({why}")
    screen.enter("/use herald")
    wait_until(lambda: state(alice, "herald")[0] == "running", 15, "the plugin's return")


# --- consent ---

def test_what_a_plugin_asks_for_is_shown_and_nothing_is_installed_without_a_yes(ground, person):
    alice = person()
    path = ground.herald("messages=send\ndata=64K\nconnect=192.0.2.7:443\nread=/usr/share/dict\nthreads=yes\nidentity=yes\n"
                         "functions=yes")
    code, [shown, _failure], _err = alice.run("plugin", "install", path)
    assert code == 1 and alice.must("plugin", "list") == []
    assert shown["event"] == "permissions" and shown["all"] == shown["new"] == [
        "connect to 192.0.2.7:443", "read /usr/share/dict", "keep up to 64 KiB of its own data", "run up to 16 threads",
        "learn your address, not only a name made up for its vendor",
        "see every message that you receive and send while it runs",
        "write messages in your name, in the chat that is open and to those you allow it",
        "send what you give it to its vendor's functions on your server"]
    screen = ground.screen(alice, "plugin", "install", path, ready="Install it?")
    assert all(line in screen.text() for line in shown["all"])
    screen.enter("n")
    assert screen.end() == 1 and alice.must("plugin", "list") == []
    screen = ground.screen(alice, "plugin", "install", path, ready="Install it?")
    screen.enter("y")
    assert screen.end() == 0 and state(alice, "herald") == ("verified", "")


def test_an_upgrade_asks_again_only_for_more(ground, person):
    alice = person(ground.herald("data=4K\nmessages=see"))
    [shown, done] = alice.must("plugin", "install", ground.herald("data=4K", version="1.1"))
    assert shown["new"] == [] and done["version"] == "1.1"
    code, [shown, _failure], _err = alice.run("plugin", "install", ground.herald("data=4K\nmessages=send", version="1.2"))
    assert code == 1 and [line.split()[0] for line in shown["new"]] == ["see", "write"] and len(shown["all"]) == 3
    assert alice.must("plugin", "list")[0]["version"] == "1.1"
    alice.must("plugin", "install", ground.herald("data=4K\nmessages=send", version="1.2"), "--yes")
    assert alice.must("plugin", "list")[0]["version"] == "1.2"


def test_a_plugin_whose_agreement_is_gone_does_not_run(ground, person):
    alice = person(ground.herald("data=4K"))
    agreed = alice.folder / "plugins/herald/agreed"
    os.unlink(agreed)
    assert state(alice, "herald") == ("refused", "you have not agreed that it may: keep up to 4 KiB of its own data")
    code, _objects, err = alice.run("plugin", "use", "herald", "--", "herald", "seen")
    assert code == 5 and "you have not agreed" in err


# --- states ---

def test_the_list_says_how_each_plugin_is(ground, person, listening):
    alice = person(ground.herald("messages=see"))
    assert state(alice, "herald") == ("verified", "")
    ear = listening(alice)
    ear.wait("plugin")
    assert state(alice, "herald") == ("running", "")
    assert alice.must("plugin", "list")[0]["kind"] == "native"
    assert ear.stop() == 0
    assert state(alice, "herald") == ("verified", "")
    [library] = (alice.folder / "plugins/herald").glob("*/libherald.so")
    with open(library, "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"!")
    kind, why = state(alice, "herald")
    assert kind == "refused" and "is not the object that" in why
