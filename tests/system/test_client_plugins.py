"""System 1 as its user meets it: host-client, a plugin that judges its serial by its own rules, the market, the
provider's page. The plugin is a vendor's object made here, so that it can be told what to do."""

import itertools
import json
import subprocess

import pytest

from lib.market import Shop
from lib.process import ROOT, wait_until

_numbers = itertools.count(1)

# Good serials begin with GOOD; its commands do what their names say. A serial that ends in -old runs out at work.
SOURCE = """
#include <stdlib.h>
#include <string.h>
static int is_old;
int probe_check (const char *serial)
{
  if (serial == NULL || *serial == 0) return -2;
  if (strncmp (serial, "OLD", 3) == 0) return -3;
  is_old = strstr (serial, "-old") != NULL;
  return strncmp (serial, "GOOD", 4) == 0 ? 0 : -2;
}
int probe_echo (const char *input, char *output, int size)
{
  if (is_old) return -3;
  strncpy (output, input, size - 1);
  output[size - 1] = 0;
  return 0;
}
int probe_crash (const char *input, char *output, int size)
{
  abort ();
}
"""

DESCRIPTOR = """[Plugin]
format=1
id={id}
name={name}
version=1.0
object=lib{id}.so
sha256=@SHA256@

[Permissions]
data=4K

[Symbols]
check=int probe_check (cstr serial)

[Return check]
0=ok
-2=bad-serial
-3=expired

[Return {id}]
0=ok
-3=expired

[Return {id}-crash]
0=ok

[Command {id}]
call=int probe_echo (cstr input, buf 1024 output, i32 sizeof(output))
help=Says it again

[Command {id}-crash]
call=int probe_crash (cstr input, buf 1024 output, i32 sizeof(output))
help=Crashes
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    one = Shop(tmp_path_factory.mktemp("shop"))
    try:
        yield one.start()
    finally:
        one.stop()


@pytest.fixture(scope="module")
def vendor_object(tmp_path_factory):
    folder = tmp_path_factory.mktemp("object")
    (folder / "probe.c").write_text(SOURCE)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / "probe.so", folder / "probe.c"], check=True)
    return folder / "probe.so"


@pytest.fixture
def probe(shop, vendor_object, ground):
    """Puts a plugin on sale whose serials are these, in this order: (its id, its descriptor's path)."""
    def make(*serials, price=500):
        name = f"probe{next(_numbers)}"
        shop.plugin(name, source="pool", price=price)
        shop.fill(name, serials)
        folder = ground / f"vendor-{name}"
        folder.mkdir()
        target = folder / f"lib{name}.so"
        target.write_bytes(vendor_object.read_bytes())
        (folder / "template").write_text(DESCRIPTOR.format(id=name, name=name.capitalize()))
        subprocess.run([ROOT / "vendor-kit/plugins/describe", folder / "template", target, folder / f"{name}.legacy"],
                       check=True)
        return name, folder / f"{name}.legacy"
    return make


@pytest.fixture
def screen():
    screens = []

    def show(one):
        screens.append(one.terminal())
        screens[-1].wait("/help shows what you can do")
        return screens[-1]
    yield show
    for one in screens:
        one.kill()


class Running:
    """A command at work, its objects as they come."""

    def __init__(self, one, *words):
        self.process = one.spawn("--json", *words)

    def next(self, event, **values):
        for line in self.process.stdout:
            found = json.loads(line)
            if found.get("event") == event and all(found.get(key) == value for key, value in values.items()):
                return found
        raise AssertionError(f"ended before {event} {values}: {self.process.stderr.read()}")

    def charge(self):
        while True:
            found = self.next("order", state="awaiting-payment")
            if "charge" in found:
                return found

    def end(self):
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, [json.loads(line) for line in out.splitlines()], err


def press(shop, order, action="pay"):
    status, _text = shop.stub.press({"url": order["charge"]}, action)
    assert status == 303


def use(shop, one, plugin, *words):
    """`plugin use --yes`, paid when the page is there: (exit code, what came after the page, standard error)."""
    running = Running(one, "plugin", "use", plugin, "--yes", *words)
    press(shop, running.charge())
    return running.end()


def results(objects):
    return [one["text"] for one in objects if one.get("event") == "result"]


def orders(one):
    return [(order["plugin"], order["state"]) for order in one.must("order")]


def test_first_use_buys_a_serial_and_runs_the_command(shop, probe, device):
    plugin, descriptor = probe("GOOD-1234-5678")
    one = device(descriptor)
    code, objects, err = use(shop, one, plugin, "--", plugin, "hello", "there")
    assert code == 0, err
    assert results(objects) == ["hello there"]
    assert orders(one) == [(plugin, "fulfilled")]
    serial, = one.must("serials")
    assert serial["state"] == "active" and serial["serial"].startswith("GOOD…") and "1234" not in serial["serial"]
    revealed, = one.must("serials", "--reveal")
    assert revealed["serial"] == "GOOD-1234-5678"


def test_second_use_and_second_device_simply_have_it(shop, probe, device):
    plugin, descriptor = probe("GOOD-1234-5678", "GOOD-2")
    one = device(descriptor)
    assert use(shop, one, plugin)[0] == 0
    for again in (one, device(descriptor, user=one.user)):
        objects = again.must("plugin", "use", plugin, "--", plugin, "again")
        assert [item["event"] for item in objects] == ["ready", "result"]
    assert orders(one) == [(plugin, "fulfilled")]


def test_no_loses_nothing(probe, device):
    plugin, descriptor = probe("GOOD-1")
    one = device(descriptor)
    code, objects, _ = one.run("plugin", "use", plugin)
    assert code == 1
    assert objects[0] == {"event": "ask", "plugin": plugin, "reason": "needs-registration"}
    assert orders(one) == []


def test_answer_of_a_plugin_is_sent_to_a_friend(shop, probe, device):
    plugin, descriptor = probe("GOOD-1")
    one, friend = device(descriptor), device()
    inbox = friend.listen()
    try:
        inbox.wait("online")
        assert use(shop, one, plugin, "--to", friend.jid, "--", plugin, "for you")[0] == 0
        assert inbox.wait("message")["body"] == "for you"
    finally:
        inbox.stop()


def test_refused_serial_is_replaced_without_a_second_payment(shop, probe, device):
    plugin, descriptor = probe("WRONG-1", "GOOD-2")
    one = device(descriptor)
    code, objects, err = use(shop, one, plugin, "--", plugin, "works")
    assert code == 0, err
    assert results(objects) == ["works"]
    assert orders(one) == [(plugin, "fulfilled")]
    revealed, = one.must("serials", "--reveal")
    assert revealed["serial"] == "GOOD-2"


def test_second_refusal_asks_anew_and_says_that_the_serial_is_bad(shop, probe, device):
    plugin, descriptor = probe("WRONG-1", "WRONG-2", "GOOD-3")
    one = device(descriptor)
    running = Running(one, "plugin", "use", plugin, "--yes")
    press(shop, running.charge())
    asked = running.next("ask")
    assert asked["reason"] == "bad"
    press(shop, running.charge())
    code, _, err = running.end()
    assert code == 0, err


def test_expired_is_told_apart_from_never_registered(shop, probe, device):
    plugin, descriptor = probe("OLD-1", "OLD-2", "GOOD-3")
    one = device(descriptor)
    running = Running(one, "plugin", "use", plugin, "--yes")
    assert running.next("ask")["reason"] == "needs-registration"
    press(shop, running.charge())
    assert running.next("ask")["reason"] == "expired"
    press(shop, running.charge())
    code, _, err = running.end()
    assert code == 0, err


def test_serial_that_runs_out_at_work_leads_to_the_dialogue(shop, probe, device):
    """The plugin accepts it and then says that it has expired; another serial makes the command run."""
    plugin, descriptor = probe("GOOD-1-old", "GOOD-2")
    one = device(descriptor)
    code, objects, err = use(shop, one, plugin, "--", plugin, "at last")
    assert code == 0, err
    assert results(objects) == ["at last"]


def test_what_is_in_dispute_is_not_sold_again_but_explained(shop, probe, device):
    plugin, descriptor = probe("GOOD-1")
    one = device(descriptor)
    running = Running(one, "plugin", "use", plugin, "--yes")
    order = running.charge()
    press(shop, order)
    assert running.end()[0] == 0
    payment = shop.checkout(order["order"])["payments"][0]["payment"]
    for action, state in [("open", "suspended"), ("won", "active")]:
        assert shop.stub.call("POST", "/v1/test/disputes", {"payment": payment, "action": action})[0] == 200
        wait_until(lambda: [row["state"] for row in shop.host.hostctl_json("serial", "list", one.user)
                            if row["plugin"] == plugin] == [state], what=state)
        code, _, err = Running(one, "plugin", "use", plugin, "--yes").end()
        assert code == (1 if state == "suspended" else 0), err
        assert ("in dispute" in err) == (state == "suspended")


def test_declined_on_the_page(shop, probe, device):
    plugin, _ = probe("GOOD-1")
    one = device()
    running = Running(one, "buy", plugin, "--yes")
    press(shop, running.charge(), "decline")
    code, objects, _ = running.end()
    assert code == 1
    assert objects[-1]["event"] == "ended" and objects[-1]["state"] == "declined"
    assert orders(one) == [(plugin, "declined")]
    assert one.must("serials") == []


def test_declined_by_command(shop, probe, device):
    plugin, _ = probe("GOOD-1")
    one = device()
    running = Running(one, "buy", plugin, "--yes")
    order = running.charge()["order"]
    declined, = one.must("decline", order)
    assert declined["state"] == "declined"
    assert running.end()[0] == 1
    code, objects, err = one.run("decline", "o_nosuchorder")
    assert code == 1 and "item-not-found" in err


def test_buying_what_does_not_exist_is_refused(device):
    one = device()
    assert one.run("buy", "no-such-plugin", "--yes")[0] == 1
    assert one.run("plugin", "use", "no-such-plugin")[0] == 1


def test_a_large_answer_needs_nothing_behind_it(shop, device):
    """Several TLS records long: what rests in the client's libraries would wait for the next stanza, or for ever."""
    for number in range(60):
        shop.plugin(f"filler-{number}", source="pool")
    one = device()
    for _ in range(8):
        assert len(one.must("catalog")) > 60


def test_catalog_shows_and_finds(probe, device):
    plugin, _ = probe("GOOD-1", price=1250)
    entry, = device().must("catalog", plugin)
    assert (entry["id"], entry["price"], entry["currency"], entry["owned"]) == (plugin, 1250, "EUR", False)


def test_purchase_goes_on_after_the_client_was_killed(shop, probe, device):
    plugin, descriptor = probe("GOOD-1", "GOOD-2")
    one = device(descriptor)
    running = Running(one, "plugin", "use", plugin, "--yes")
    order = running.charge()
    running.process.kill()
    running.process.communicate()
    resumed = Running(one, "plugin", "use", plugin)
    again = resumed.charge()
    assert again["order"] == order["order"], "the same order, and nobody was asked"
    press(shop, again)
    code, _, err = resumed.end()
    assert code == 0, err
    assert orders(one) == [(plugin, "fulfilled")]


def test_purchase_paid_while_the_client_was_away(shop, probe, device):
    plugin, descriptor = probe("GOOD-1", "GOOD-2")
    one = device(descriptor)
    running = Running(one, "plugin", "use", plugin, "--yes")
    order = running.charge()
    running.process.kill()
    running.process.communicate()
    press(shop, order)
    shop.wait_order(order["order"], "fulfilled")
    objects = one.must("plugin", "use", plugin, "--", plugin, "there it is")
    assert results(objects) == ["there it is"]
    assert not any(item["event"] in ("ask", "order") for item in objects)


def test_purchase_survives_a_restart_of_the_server(shop, probe, device):
    plugin, descriptor = probe("GOOD-1", "GOOD-2")
    one = device(descriptor)
    shop.host.groups["xmpp"]["listen"] = "%s:%d" % shop.host.address
    shop.host.groups["http"]["listen"] = shop.host.addresses["http"]
    shop.host.write_config()
    shop.host.restart()
    running = Running(one, "plugin", "use", plugin, "--yes", "--", plugin, "back")
    order = running.charge()
    shop.host.restart(hard=True)
    press(shop, order)
    code, objects, err = running.end()
    assert code == 0, err
    assert results(objects) == ["back"]
    assert orders(one) == [(plugin, "fulfilled")]


def test_crash_is_the_plugins_failure(shop, probe, device):
    plugin, descriptor = probe("GOOD-1")
    one = device(descriptor)
    assert use(shop, one, plugin)[0] == 0
    code, _, err = one.run("plugin", "use", plugin, "--", f"{plugin}-crash")
    assert code == 5
    assert len(err.splitlines()) == 1
    one.must("plugin", "use", plugin, "--", plugin, "still here")


def test_changed_object_is_not_installed(probe, device):
    plugin, descriptor = probe("GOOD-1")
    with open(descriptor.parent / f"lib{plugin}.so", "ab") as target:
        target.write(b"\0")
    assert device().run("plugin", "install", descriptor)[0] == 5


def test_installed_plugins_are_listed(probe, device):
    plugin, descriptor = probe("GOOD-1")
    listed, = device(descriptor).must("plugin", "list")
    assert (listed["id"], listed["kind"]) == (plugin, "legacy")
    assert plugin in listed["commands"]


def test_serials_never_reach_a_log(shop, probe, device):
    plugin, descriptor = probe("GOOD-SECRET-SERIAL")
    one = device(descriptor)
    code, objects, err = use(shop, one, plugin, "--verbose", "--", plugin, "x")
    assert code == 0
    assert "state=" in err, "the log was on"
    assert "SECRET-SERIAL" not in err + json.dumps(objects) and "secret-word" not in err


# --- on the terminal

def test_dialogue_on_the_terminal(shop, probe, device, screen):
    plugin, descriptor = probe("GOOD-1234-5678")
    one = device(descriptor)
    shown = screen(one)
    shown.enter(f"/{plugin} hello")
    shown.wait("needs to be registered. Register it?")
    shown.enter("n")
    shown.wait("stays off, as you chose")
    shown.enter(f"/{plugin} hello again")
    wait_until(lambda: shown.text().count("stays off, as you chose") == 2, what="the no is remembered")
    assert shown.text().count("Register it?") == 1
    shown.enter(f"/buy {plugin}")
    shown.wait(f"Register {plugin.capitalize()}?")
    shown.enter("y")
    shown.wait("Pay at 127.0.0.1")
    url = next(word for word in shown.text().split() if word.startswith("http://"))
    press(shop, {"charge": url})
    shown.wait("is registered and ready")
    shown.enter(f"/{plugin} hello")
    shown.wait(f"[{plugin.capitalize()}] hello")
    shown.enter("/serials")
    shown.wait("GOOD…")
    assert "1234-5678" not in shown.text()
    shown.enter("/quit")
    assert shown.end() == 0


def test_answer_into_the_open_chat_and_a_crash_in_one_line(shop, probe, device, screen):
    plugin, descriptor = probe("GOOD-1")
    one, friend = device(descriptor), device()
    assert use(shop, one, plugin)[0] == 0
    inbox = friend.listen()
    try:
        inbox.wait("online")
        shown = screen(one)
        shown.enter(f"/{plugin}! into nothing")
        shown.wait("there is no open chat")
        shown.enter(f"/chat {friend.jid}")
        shown.enter(f"/{plugin}! sun")
        assert inbox.wait("message")["body"] == "sun"
        shown.wait("me: sun")
        before = shown.text()
        shown.enter(f"/{plugin}-crash")
        shown.wait(f"/use {plugin} starts it again")
        lines = [line for line in shown.text()[len(before):].splitlines() if plugin.capitalize() in line]
        assert len(lines) == 1, lines
        shown.enter(f"/use {plugin}")
        wait_until(lambda: shown.text().count("is registered and ready") == 2, what="running again")
        shown.enter(f"/{plugin}! and rain")
        assert inbox.wait("message", 2)["body"] == "and rain"
        shown.enter("/quit")
        assert shown.end() == 0
    finally:
        inbox.stop()


def test_open_purchase_is_taken_up_when_the_client_starts(shop, probe, device, screen):
    plugin, descriptor = probe("GOOD-1")
    one = device(descriptor)
    running = Running(one, "plugin", "use", plugin, "--yes")
    order = running.charge()
    running.process.kill()
    running.process.communicate()
    shown = screen(one)
    shown.wait("Pay at 127.0.0.1")
    press(shop, order)
    shown.wait("is registered and ready")
    shown.enter("/orders")
    shown.wait(order["order"] + "  " + plugin + "  fulfilled")
    shown.enter("/quit")
    assert shown.end() == 0
