"""hostctl restore: what a backup brings back, what it cannot know, and what keeps the shop closed until the provider was
asked."""

import json
import shutil
import sqlite3

import pytest

from lib.host import Host
from lib.market import SERIALS, Shop
from lib.process import wait_until
from lib.stanza import show
from lib.xmpp import error_condition

QUIET = {"poll_s": "600", "expiry_grace_s": "60", "order_expiry_s": "3600"}


@pytest.fixture
def shop(tmp_path):
    one = Shop(tmp_path / "shop", market=QUIET)
    try:
        yield one.start()
    finally:
        one.stop()


def reconcile(shop, *arguments):
    run = shop.host.hostctl("reconcile", "--from-provider", *arguments, "--json", check=False)
    return run.returncode, [json.loads(line) for line in run.stdout.splitlines()]


def backup(shop, name="backup"):
    folder = shop.folder / name
    shop.host.hostctl("backup", folder)
    return folder


def restore(shop, folder):
    shop.host.stop()
    [row] = shop.host.hostctl_json("restore", folder)
    shop.host.start()
    return row


def status(shop):
    [row] = shop.host.hostctl_json("status")
    return row


def ask(shop, sql):
    with sqlite3.connect(f"file:{shop.host.data}/market.db?mode=ro", uri=True) as db:
        return db.execute(sql).fetchall()


def enter(shop, name=None):
    customer = shop.customer(name)
    customer.serials()
    return customer


def test_the_whole_way_back(shop):
    """A backup; then a purchase of a known user, a purchase by a new one, and a refund; then the loss."""
    alice = enter(shop)
    kept, (_state, kept_serial, _epoch) = alice.purchase("weather")
    refunded, _serial = alice.purchase("quotes")
    folder = backup(shop)

    lost, (_state, lost_serial, _epoch) = alice.purchase("dice")
    bob = enter(shop)
    strange, _serial = bob.purchase("weather")
    [payment] = shop.checkout(refunded)["payments"]
    shop.stub.call("POST", "/v1/refunds", {"payment": payment["payment"], "amount": 500, "currency": "EUR",
                                           "reason": "asked"}, key="by-hand")
    shop.wait_order(refunded, "refunded")
    before = alice.serials()
    assert before["quotes"][0] == "revoked" and before["dice"][1] == lost_serial
    held = alice.ver
    alice.close()
    bob.close()

    row = restore(shop, folder)
    assert (row["epoch"], row["sales"]) == (2, "closed") and row["replaced"].startswith(str(shop.host.data))

    # Every version is another one, and higher than any that was given out.
    alice = enter(shop, alice.name)
    now = alice.serials(ver=held)
    assert now is not None and int(alice.ver) > int(held)
    assert now["weather"][:2] == ("active", kept_serial) and now["quotes"][0] == "active" and "dice" not in now
    assert now["quotes"][2] > before["quotes"][2]

    # Nothing is sold, and everybody is told.
    answer = alice.buy("weather" if "weather" not in now else "dice")
    assert error_condition(answer) == ("cancel", "service-unavailable") or \
        error_condition(answer)[1] == "service-unavailable", show(answer)
    assert "nothing is sold" in show(answer)
    assert status(shop)["market"]["sales"].startswith("closed") and status(shop)["market"]["epoch"] == 2
    assert status(shop)["ready"] is True and "reconcile" in status(shop)["checks"]["sales"]
    assert "sales are closed" in shop.log()
    [dice] = [pool for pool in shop.host.hostctl_json("pool", "status") if pool["plugin"] == "dice"]
    assert dice["free"] == 0 and dice["frozen"] == 40

    # The provider knows what was lost.
    code, rows = reconcile(shop)
    assert code == 1
    assert [row["subject"] for row in rows if row["kind"] == "applied"] == [refunded]
    strays = [row for row in rows if row["kind"] == "unmatched"]
    assert len(strays) == 2 and all("no such order" in row["what"] for row in strays)
    alice.push_of("order", id=refunded, state="refunded")
    assert alice.serials()["quotes"][0] == "revoked"
    assert status(shop)["market"]["sales"].startswith("closed"), "differences remain"

    # A person gives the lost payments back, and the sale opens.
    orders = set()
    for row in strays:
        [shown] = shop.host.hostctl_json("webhook", "show", row["subject"])
        orders.add(shown["event"]["order"])
        assert shown["event"]["kind"] == "payment" and shown["event"]["amount"] == 500
        [done] = shop.host.hostctl_json("webhook", "refund", row["subject"], "--note", "lost with the disk")
        assert done["state"] == "closed" and done["payment"] == shown["event"]["payment"]
    assert orders == {lost, strange}
    for row in strays:
        run = shop.host.hostctl("webhook", "refund", row["subject"], check=False)
        assert run.returncode == 1, "once"
    assert reconcile(shop) == (0, [])
    assert status(shop)["market"]["sales"] == "open" and status(shop)["checks"]["sales"] == "ok"
    wait_until(lambda: all(line["state"] != "review" for line in shop.host.hostctl_json("webhook", "log")),
               what="the callbacks of our refunds are known")
    assert error_condition(alice.buy("dice"))[1] in ("resource-constraint", "service-unavailable"), "frozen"
    shop.host.hostctl("pool", "thaw", "dice", "--all")
    assert alice.buy("dice").get("state") == "awaiting-payment"
    assert shop.order(kept)["state"] == "fulfilled"
    alice.close()


def test_an_order_that_was_open_goes_on_with_what_the_provider_knows(shop):
    """Open in the backup, paid before the loss: it is found by asking, and gets its serial; a pool's waits for the thaw."""
    alice = enter(shop)
    keygen, pool = alice.buy("weather"), alice.buy("dice")
    folder = backup(shop)
    for order in (keygen, pool):
        alice.press(order)
        shop.wait_order(order.get("id"), "fulfilled")
    before = alice.serials()
    alice.close()
    restore(shop, folder)
    alice = enter(shop, alice.name)
    code, rows = reconcile(shop)
    assert code == 1 and {row["subject"] for row in rows} == {keygen.get("id"), pool.get("id")}
    shop.wait_order(keygen.get("id"), "fulfilled")
    assert alice.serials()["weather"][1] == before["weather"][1], "the same inputs, the same serial"
    assert shop.order(pool.get("id"))["state"] == "issuing"
    wait_until(lambda: "the pool is frozen" in shop.order(pool.get("id"))["issue"][0]["reason"], what="the reason")
    # The vendor says which keys nobody has: the one that went out is not among them.
    used = before["dice"][1]
    path = shop.folder / "unused"
    path.write_text("".join(f"DICE-{number}\n" for number in range(40) if f"DICE-{number}" != used) + "DICE-999\n")
    [thawed] = shop.host.hostctl_json("pool", "thaw", "dice", path)
    assert thawed == {"plugin": "dice", "thawed": 39, "left": 1, "unknown": 1}
    shop.wait_order(pool.get("id"), "fulfilled", timeout=30)
    assert alice.serials()["dice"][1] != used
    assert reconcile(shop) == (0, [])
    alice.close()


def test_new_keys_are_sold_while_old_ones_are_frozen(shop):
    alice = enter(shop)
    folder = backup(shop)
    alice.close()
    restore(shop, folder)
    assert reconcile(shop) == (0, [])
    shop.fill("dice", ["NEW-1", "DICE-3"])
    [dice] = [pool for pool in shop.host.hostctl_json("pool", "status") if pool["plugin"] == "dice"]
    assert (dice["free"], dice["frozen"]) == (1, 40), "importing a frozen key again does not thaw it"
    alice = enter(shop, alice.name)
    assert alice.purchase("dice")[1][1] == "NEW-1"
    alice.close()
    run = shop.host.hostctl("pool", "thaw", "dice", check=False)
    assert run.returncode == 1 and "--all" in run.stderr


def test_sales_open_though_differences_remain_if_a_person_says_so(shop):
    alice = enter(shop)
    folder = backup(shop)
    alice.purchase("weather")
    alice.close()
    restore(shop, folder)
    assert reconcile(shop)[0] == 1 and status(shop)["market"]["sales"].startswith("closed")
    assert shop.host.hostctl("reconcile", "--open-sales", check=False).returncode == 1, "only with the provider"
    code, _rows = reconcile(shop, "--open-sales")
    assert code == 1 and status(shop)["market"]["sales"] == "open"


def test_comparing_without_the_provider_does_not_open_sales(shop):
    folder = backup(shop)
    restore(shop, folder)
    assert shop.host.hostctl("reconcile", check=False).returncode == 0
    assert status(shop)["market"]["sales"].startswith("closed")
    shop.stub.kill()
    assert shop.host.hostctl("reconcile", "--from-provider", check=False).returncode == 1
    assert status(shop)["market"]["sales"].startswith("closed")
    shop.stub.start("--listen", shop.stub.address)


def test_each_restore_has_an_epoch_of_its_own(shop):
    """Also of an older backup than the one before: the store that is replaced counts."""
    first = backup(shop, "first")
    assert restore(shop, first)["epoch"] == 2
    assert restore(shop, first)["epoch"] == 3
    second = backup(shop, "second")
    assert restore(shop, second)["epoch"] == 4
    assert reconcile(shop) == (0, []) and status(shop)["market"]["epoch"] == 4


def test_a_running_server_is_not_restored(shop):
    folder = backup(shop)
    run = shop.host.hostctl("restore", folder, check=False)
    assert run.returncode == 1 and "stop the server first" in run.stderr
    assert status(shop)["market"] == {"sales": "open", "epoch": 1, "restored": None}
    assert "restore FILE" in shop.host.hostctl("help").stdout


def test_what_is_no_backup_leaves_the_store_as_it_was(shop):
    folder = backup(shop)
    shop.host.stop()
    before = ask(shop, "SELECT COUNT(*) FROM pool_key WHERE state = 'free'")
    damaged, keyless, foreign, newer = (shop.folder / name for name in ("damaged", "keyless", "foreign", "newer"))
    for copy in (damaged, keyless, foreign, newer):
        shutil.copytree(folder, copy)
    content = bytearray((damaged / "market.db").read_bytes())
    content[4096:12288] = bytes(8192)
    (damaged / "market.db").write_bytes(content)
    (keyless / "chat.db").unlink()
    (foreign / "store.key").write_text("0" * 64 + "\n")
    (foreign / "store.key").chmod(0o600)
    with sqlite3.connect(newer / "market.db") as db:
        db.execute("UPDATE schema_family SET version = 99 WHERE name = 'market'")
    for bad in (shop.folder / "nowhere", shop.folder, damaged, keyless, foreign, newer):
        run = shop.host.hostctl("restore", bad, check=False)
        assert run.returncode == 1 and "cannot restore" in run.stderr, (bad, run)
    assert shop.host.hostctl("restore", check=False).returncode == 2
    assert not list(shop.host.data.glob("restore.*")) and not list(shop.host.data.glob("replaced-*"))
    assert ask(shop, "SELECT COUNT(*) FROM pool_key WHERE state = 'free'") == before
    shop.host.start()
    assert status(shop)["market"]["sales"] == "open"


@pytest.mark.parametrize("moved", [[], ["store.key"], ["store.key", "market.db"], ["store.key", "market.db", "chat.db"]],
                         ids=["nothing", "the key", "market.db", "everything"])
def test_a_restore_that_was_broken_off_is_ended_by_the_next_start(shop, moved):
    """As if the machine had died while the files were moved into place."""
    alice = enter(shop)
    order, _serial = alice.purchase("weather")
    folder = backup(shop)
    alice.purchase("dice")
    alice.close()
    host = shop.host
    host.stop()
    spare = shop.folder / "spare"
    shutil.copytree(host.data, spare)
    host.hostctl("restore", folder)
    # Back to the moment after the decision.
    restored = {name: (host.data / name).read_bytes() for name in ("store.key", "market.db", "chat.db")}
    [replaced] = host.data.glob("replaced-*")
    for name in restored:
        if name not in moved:
            shutil.move(replaced / name, host.data / name)
    if not moved:
        shutil.rmtree(replaced)
    ready = host.data / "restore.ready"
    ready.mkdir()
    (ready / "replaced-as").write_text(replaced.name)
    for name, content in restored.items():
        if name not in moved:
            (ready / name).write_bytes(content)
            (ready / name).chmod(0o600)
    (host.data / "market.db-wal").write_bytes(b"the log of another database")
    host.start()
    assert status(shop)["market"]["epoch"] == 2 and not ready.exists()
    assert shop.order(order)["state"] == "fulfilled"
    assert host.hostctl("order", "list", "--json").stdout.count("\n") == 1
    assert sorted(path.name for path in replaced.glob("*.db")) == ["chat.db", "market.db"]


def test_a_half_made_restore_is_never_opened(shop):
    folder = backup(shop)
    host = shop.host
    host.stop()
    partial = host.data / "restore.partial"
    shutil.copytree(folder, partial)
    (partial / "market.db").write_bytes(b"half of it")
    host.start()
    assert status(shop)["market"]["epoch"] == 1
    host.stop()
    [row] = host.hostctl_json("restore", folder)
    assert row["epoch"] == 2 and not partial.exists()
    host.start()


def test_a_restore_on_a_new_machine(shop, tmp_path):
    """The configuration and the backup are all there is."""
    alice = enter(shop)
    _order, (_state, serial, _epoch) = alice.purchase("weather")
    folder = backup(shop)
    alice.close()
    shop.host.stop()
    groups = {group: keys for group, keys in shop.host.groups.items() if group not in ("server", "xmpp", "http")}
    shop.host = Host(tmp_path / "new-machine", config=groups)
    [row] = shop.host.hostctl_json("restore", folder)
    assert row["replaced"] is None
    shop.host.start()
    alice = enter(shop, alice.name)
    assert alice.serials()["weather"][:2] == ("active", serial)
    assert reconcile(shop) == (0, [])
    alice.close()


def test_a_roster_version_of_the_lost_time_gets_the_whole_roster(shop):
    """A version that the client holds from after the backup must not be taken for a later one."""
    alice = shop.customer()
    roster = "jabber:iq:roster"

    def add(name):
        alice.client.request("set", f"<query xmlns='{roster}'><item jid='{name}@stoa.test'/></query>", None)

    def version(held):
        answer = alice.client.request("get", f"<query xmlns='{roster}' ver='{held}'/>", None)
        return answer
    add("first")
    folder = backup(shop)
    add("second")
    add("third")
    [query] = version("")
    held = query.get("ver")
    alice.close()
    restore(shop, folder)
    alice = shop.customer(alice.name)
    answer = version(held)
    [query] = answer
    assert [item.get("jid") for item in query] == ["first@stoa.test"], show(answer)
    assert query.get("ver") != held
    alice.close()


def test_serials_are_pushed_with_the_new_versions(shop):
    alice = enter(shop)
    alice.purchase("weather")
    folder = backup(shop)
    alice.close()
    restore(shop, folder)
    alice = enter(shop, alice.name)
    before = alice.ver
    shop.host.hostctl("serial", "revoke", alice.name, "weather")
    push = alice.push_of("serials")
    assert push.get("since") == before and int(push.get("ver")) > int(before) and push.tag == f"{{{SERIALS}}}serials"
    alice.close()
