"""Buying inside an application, with the real host-server, billing-stub and host-client: the same order machine and books as
for a plugin, and the counter of the user's data that a purchase raises."""

import json
import pathlib
import sqlite3
import uuid
from xml.etree import ElementTree

import pytest

from lib.commands import Commander, submit
from lib.crash import CrashingShop
from lib.functions import receive_call, send_call
from lib.host import HostctlError
from lib.items import ITEMS, ItemShop, Player
from lib.market import MARKET, SERIALS
from lib.plugins import Ground
from lib.process import BUILD, wait_until
from lib.xmpp import StreamClosed, error_condition

ROOT = pathlib.Path(__file__).resolve().parents[2]
BOUGHT = "fulfilled/paid; payment 200; credit counted 5 of 5"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    shop = ItemShop(tmp_path_factory.mktemp("shop"), stub=("--fault", "late"))
    try:
        yield shop.start()
    finally:
        shop.stop()


@pytest.fixture
def ground(shop):
    one = Ground(shop.host)
    yield one
    one.close()


def assert_reconciled(shop):
    shop.host.hostctl("reconcile")


# --- what is on sale


def test_the_catalog_the_list_and_the_operator_show_items(shop):
    player = shop.player()
    catalog = player.ask("get", f"<catalog xmlns='{MARKET}' query='game'/>")[0]
    assert [entry.get("items") for entry in catalog if entry.get("id") == "game"] == ["3"]
    assert player.items()["coins"] == {"name": "Coins", "price": "200", "currency": "EUR", "amount": "5", "counter": "0"}
    assert player.items()["hat"]["amount"] == "1"
    assert error_condition(player.items("chess"))[1] == "item-not-found"
    rows = {row["item"]: row for row in shop.host.hostctl_json("item", "list", "game")}
    assert (rows["coins"]["price"], rows["coins"]["amount"], rows["coins"]["state"]) == (200, 5, "on sale")
    assert [row["items"] for row in shop.host.hostctl_json("plugin", "list") if row["plugin"] == "game"] == [3]


@pytest.mark.parametrize("items, functions, said", [
    ({"coins": {"name": "Coins", "price": "-1"}}, None, "[Item coins] price: must be a whole number"),
    ({"coins": {"name": "Coins", "price": 1, "size": 2}}, None, "[Item coins] size: unknown key"),
    ({"Coins": {"name": "Coins", "price": 1}}, None, "[Item Coins]: its id must match"),
    ({"coins": {"name": "Coins", "price": 1}}, {}, "[Item coins]: needs [Functions] with user_data"),
    ({"coins": {"name": "Coins", "price": 1}}, {"rate": 5}, "[Functions] user_data: missing"),
])
def test_a_manifest_that_makes_no_sense_is_refused(shop, items, functions, said):
    with pytest.raises(HostctlError, match="") as refused:
        shop.game("bad", items=items, functions=functions)
    assert said in str(refused.value)


# --- buying


def test_case_item_bought(shop):
    player = shop.player()
    case = player.order("game/coins")
    assert case.answer.attrib.keys() >= {"application", "item", "price", "currency"} and "plugin" not in case.answer.attrib
    assert player.count() == 0
    case.pay()
    case.settle(books=BOUGHT, provider="paid: 200", told="fulfilled", count=5)
    again = player.bought()
    assert again.id != case.id and player.count() == 10, "purchases add up"
    assert player.call("store.get", "item/coins") == "10"
    assert_reconciled(shop)


def test_case_item_request_again_is_the_same_order(shop):
    player, request = shop.player(), str(uuid.uuid4())
    case = player.order("game/coins", request)
    assert player.order("game/coins", request).id == case.id
    assert player.order("game/coins").id == case.id, "another request while it is open"
    assert player.order("game/hat").id != case.id
    case.pay()
    case.hear("fulfilled")
    assert player.order("game/coins", request).state == "fulfilled"
    assert player.count() == 5


def test_case_item_callback_twice(shop):
    player = shop.player()
    case = player.bought()
    for name in ("msg_again", "msg_again", "msg_other"):
        assert shop.callback(case.event(), webhook_id=f"{name}{case.id[2:]}") == 200
    case.settle(books=BOUGHT, provider="paid: 200", told="", count=5)


def test_case_item_declined(shop):
    player = shop.player()
    case = player.order("game/coins")
    case.decline()
    case.settle(books="declined/failed", provider="declined", told="declined", count=0)
    assert player.order("game/coins").id != case.id, "another can be opened"


def test_case_item_is_free(shop):
    player = shop.player()
    case = player.order("game/hello")
    assert case.state == "fulfilled" and case.answer.find(f"{{{MARKET}}}charge") is None
    case.settle(books="fulfilled/none; credit counted 1 of 1", provider="none", told="fulfilled", count=1)
    assert player.order("game/hello").state == "fulfilled"
    assert player.count("hello") == 2


def test_case_item_not_licensed(shop):
    stranger = shop.enter()
    for plugin, condition in [("game/coins", "forbidden"), ("game/hello", "forbidden"), ("game/gems", "item-not-found"),
                              ("chess/coins", "item-not-found"), ("game/GEMS", "bad-request")]:
        assert error_condition(stranger.buy(plugin))[1] == condition, plugin
    for attributes in ["application='game'", "item='coins'", "plugin='game' application='game' item='coins'"]:
        answer = stranger.ask("set", f"<order xmlns='{MARKET}' {attributes} request='r'/>")
        assert error_condition(answer)[1] == "bad-request", attributes


def test_case_item_of_a_plugin_that_was_revoked(shop):
    player = shop.player()
    case = player.order("game/coins")
    shop.host.hostctl("serial", "revoke", player.name, "game")
    case.pay()
    case.settle_books(books="refunded/refunded; payment 200, refund 200; back 200 confirmed",
                      provider="paid: 200 (refund 200 done)", vendor="")
    assert player.count() == 0
    assert error_condition(player.buy("game/coins"))[1] == "forbidden"


# --- money that goes back


def test_case_item_refunded_after_use(shop):
    player = shop.player()
    case = player.bought()
    assert player.call("put", "item/coins 2") == "kept"
    case.refund_there(100)
    case.settle_books(books="fulfilled/part-refunded; payment 200, refund 100; credit counted 5 of 5",
                      provider="paid: 200 (refund 100 done)", vendor="")
    assert player.count() == 2, "a part refund changes nothing"
    case.refund_there(100)
    case.settle(books="refunded/refunded; payment 200, refund 100, refund 100; credit ended 3 of 5",
                provider="paid: 200 (refund 100 done) (refund 100 done)".replace(") (", ", "), told="refunded", count=0)
    assert "used=3 of=5" in shop.log()
    [row] = shop.host.hostctl_json("reconcile")
    assert (row["kind"], row["subject"]) == ("used-up", "items") and row["what"].startswith("of 1 orders")


def test_case_item_disputed(shop):
    player = shop.player()
    case = player.bought()
    player.call("put", "item/coins 4")
    case.dispute("open")
    case.settle(books="fulfilled/disputed; payment 200, dispute 200; credit disputed 1 of 5",
                provider="paid: 200 (dispute open)", told="", count=0)
    case.dispute("won")
    case.settle(books="fulfilled/paid; payment 200, dispute 200, dispute-won 200; credit counted 5 of 5",
                provider="paid: 200 (dispute won)", told="", count=4)


def test_case_item_dispute_lost(shop):
    player = shop.player()
    case = player.bought()
    player.call("put", "item/coins 1")
    case.dispute("open")
    wait_until(lambda: player.count() == 0, what="what is in dispute is taken away")
    player.bought()
    case.dispute("lost")
    case.settle_books(books="charged-back/charged-back; payment 200, dispute 200, dispute-lost 200; credit ended 4 of 5",
                      provider="paid: 200 (dispute lost)", vendor="")
    assert player.count() == 5, "what was used up is not taken from what was bought later"
    assert_reconciled(shop)


# --- what is no more


def test_case_item_removed_with_open_orders(shop):
    shop.game("brief")
    player = shop.player("brief")
    case = player.order("brief/coins")
    shop.game("brief", items={"hat": ITEMS["hat"]})
    assert error_condition(player.buy("brief/hello"))[1] == "item-not-found"
    assert list(player.items("brief")) == ["hat"]
    shop.host.hostctl("plugin", "retire", "brief")
    assert error_condition(player.buy("brief/hat"))[1] == "item-not-found"
    case.pay()
    case.settle_books(books=BOUGHT, provider="paid: 200", vendor="")
    with sqlite3.connect(shop.host.data / "market.db") as db:
        [(value,)] = db.execute("SELECT value FROM function_value WHERE application = 'brief' AND key = 'item/coins'")
    db.close()
    assert value == b"5"


def test_case_item_account_removed(shop):
    player = shop.player()
    case = player.order("game/coins")
    kept = player.bought("game/hat")
    case.open_page()
    shop.host.hostctl("user", "remove", f"{player.name}@{shop.host.domain}")
    case.settle_books(books="declined/failed", provider="declined", vendor="")
    case.pay_opened_page()
    case.settle_books(books="refunded/refunded; payment 200, refund 200; back 200 confirmed",
                      provider="paid: 200 (refund 200 done)", vendor="")
    kept.refund_there(300)
    kept.settle_books(books="refunded/refunded; payment 300, refund 300; credit forgotten 1 of 1",
                      provider="paid: 300 (refund 300 done)", vendor="")
    with sqlite3.connect(shop.host.data / "market.db") as db:
        assert db.execute("SELECT COUNT (*) FROM function_value WHERE key = 'item/hat' AND account ="
                          " (SELECT account FROM purchase WHERE id = ?)", (kept.id,)).fetchone() == (0,)
    db.close()
    assert_reconciled(shop)


# --- the counter


def test_functions_spend_the_counter_and_nobody_raises_it(shop):
    player = shop.player()
    player.bought()
    for value, said, count in [("6", "refused", 5), ("3.5", "refused", 5), ("-1", "refused", 5), ("many", "refused", 5),
                               ("05", "refused", 5), ("4", "kept", 4), ("5", "refused", 4), ("0", "kept", 0), ("1", "refused", 0)]:
        assert (player.call("put", f"item/coins {value}"), player.count()) == (said, count), value
    assert player.call("put", "item/hat 1") == "refused", "nor makes one"
    assert player.call("bump", "item/coins")[0] == "service-unavailable"
    assert "a counter under item/ can only be made less" in json.dumps(shop.host.hostctl_json("function", "log", "game"))
    for function, argument in [("store.put", "item/coins\n9"), ("store.delete", "item/coins")]:
        assert player.call(function, argument)[0] == "forbidden"
    player.bought()
    assert player.count() == 5
    assert player.call("put", "item/coins") == "kept" and player.count() == 0, "forgetting spends all"
    assert_reconciled(shop)


def test_a_credit_that_was_paid_for_finds_room(shop):
    shop.game("full", functions={"user_data": "300", "rate": 0, "module": "probe.so", "names": "put"})
    player = shop.player("full")
    assert player.call("store.put", "note\n" + "x" * 150, "full") == ""
    assert player.call("store.put", "more\n" + "x" * 150, "full")[1] == "limit-exceeded"
    player.bought("full/coins")
    assert player.count("coins", "full") == 5
    assert player.call("put", "item/coins 4", "full") == "kept", "and can be spent"


def test_a_call_that_runs_meanwhile_sees_the_credit(shop):
    """What it had read has changed: it runs again, and nothing is lost."""
    player = shop.player()
    player.bought()
    other = Player(shop, player.name)
    shop.customers.append(other)
    for count in (5, 10, 15, 20):
        order = player.order("game/coins")
        name = send_call(other, "game", "slow-copy", "item/coins 600")
        wait_until(lambda: [row for row in shop.host.hostctl_json("function", "log", "game") if row["text"] == str(count)],
                   what="the call")
        order.pay()
        order.hear("fulfilled")
        if receive_call(other, name) == str(count + 5):
            return
    pytest.fail("each of the calls ended before the payment was there, or did not run again")


# --- receipts and commands


def test_a_receipt_names_the_item(shop):
    player = shop.player()
    case = player.bought()
    document = json.loads(shop.host.hostctl("order", "receipt", case.id, "--for", "buyer").stdout)
    assert "serial" not in document["disclosures"]
    path = shop.folder / "receipt.json"
    path.write_text(json.dumps(document))
    [verified] = shop.host.hostctl_json("receipt", "verify", path, "--buyer", f"{player.name}@{shop.host.domain}")
    assert verified["valid"] and (verified["claims"]["item"], verified["claims"]["item_amount"]) == ("coins", 5)
    assert "serial" not in verified["claims"]["hashes"] and verified["claims"]["delivered"]
    assert "5 of coins in game by acme" in shop.host.hostctl("receipt", "verify", path).stdout


def test_lists_of_orders_name_the_item(shop):
    player = shop.player()
    case = player.bought()
    [row] = [row for row in shop.host.hostctl_json("order", "list", player.name) if row["order"] == case.id]
    assert (row["plugin"], row["item"], row["state"]) == ("game", "coins", "fulfilled")
    answer = player.ask("set", "<command xmlns='http://jabber.org/protocol/commands' node='orders' action='execute'/>")
    shown = "\n".join(value.text or "" for value in answer.iter("{jabber:x:data}value"))
    assert "Item: coins" in shown, ElementTree.tostring(answer)
    history = player.ask("get", f"<orders xmlns='{MARKET}'/>")[0]
    assert [(order.get("application"), order.get("item")) for order in history if order.get("id") == case.id] == [("game", "coins")]


# --- a server that dies


class CrashingItemShop(ItemShop):
    arm, wait_dead, revive = CrashingShop.arm, CrashingShop.wait_dead, CrashingShop.revive


@pytest.fixture(scope="module")
def crashing_shop(tmp_path_factory):
    shop = CrashingItemShop(tmp_path_factory.mktemp("crashing"), market={"poll_s": "0.2,0.3"})
    try:
        yield shop.start()
    finally:
        shop.stop()


def until_dead(shop, act):
    try:
        act()
    except (OSError, AssertionError, StreamClosed):  # what is seen of a server that dies
        pass
    shop.wait_dead()
    shop.revive()


@pytest.mark.parametrize("point", ["order-decided", "order-committed", "checkout-committed", "callback-decided",
                                   "callback-committed", "callback-answered", "push-sent"])
def test_a_crash_neither_loses_nor_doubles_a_credit(crashing_shop, point):
    shop, request = crashing_shop, str(uuid.uuid4())
    player = shop.player()
    player.close()
    shop.arm(point)
    again = Player(shop, player.name)

    def buy(player):
        player.serials()
        order = wait_until(lambda: [order for order in [player.buy("game/coins", request)]
                                    if order.get("state") != "awaiting-payment" or order.find(f"{{{MARKET}}}charge") is not None],
                           what="the charge")[0]
        if order.get("state") == "awaiting-payment" and shop.checkout(order.get("id"))["status"] == "open":
            player.press(order)
        player.push_of("order", id=order.get("id"), state="fulfilled", timeout=5)
    until_dead(shop, lambda: buy(again))
    again.close()
    last = Player(shop, player.name)
    last.serials()
    order = last.buy("game/coins", request)
    if order.get("state") == "awaiting-payment" and shop.order(order.get("id"))["payment"] == "pending":
        order = wait_until(lambda: [one for one in [last.buy("game/coins", request)]
                                    if one.find(f"{{{MARKET}}}charge") is not None or one.get("state") != "awaiting-payment"])[0]
        if order.get("state") == "awaiting-payment" and shop.checkout(order.get("id"))["status"] == "open":
            last.press(order)
    shown = shop.wait_order(order.get("id"), "fulfilled")
    assert [row["kind"] for row in shown["ledger"]] == ["payment"] and shown["credit"]["credited"] == 5
    assert last.count() == 5
    last.close()
    assert_reconciled(shop)


@pytest.mark.parametrize("point", ["order-decided", "order-committed"])
def test_a_crash_neither_loses_nor_doubles_a_free_credit(crashing_shop, point):
    shop, request = crashing_shop, str(uuid.uuid4())
    player = shop.player()
    player.close()
    shop.arm(point)
    again = Player(shop, player.name)
    until_dead(shop, lambda: again.buy("game/hello", request))
    again.close()
    last = Player(shop, player.name)
    assert last.buy("game/hello", request).get("state") == "fulfilled"
    assert last.count("hello") == 1
    last.close()
    assert_reconciled(shop)


# --- host-client


def press(shop, url, action="pay"):
    status, _text = shop.stub.press({"url": url}, action)
    assert status == 303


def charge_of(process):
    for line in process.stdout:
        shown = json.loads(line)
        if "charge" in shown:
            return shown["charge"]
    raise AssertionError(process.stderr.read())


@pytest.fixture
def device(shop, ground):
    player = shop.player()
    player.close()
    return ground.device(player.name)


def test_the_client_lists_and_buys(shop, device):
    assert {row["item"]: row["counter"] for row in device.must("item", "list", "game")} == {"coins": 0, "hat": 0, "hello": 0}
    code, objects, _err = device.run("item", "buy", "game", "coins")
    assert code == 1 and "--yes is needed" in json.dumps(objects), "nobody is asked without a terminal"
    assert [row for row in device.must("order") if row.get("item")] == []
    process = device.spawn("--json", "item", "buy", "game", "coins", "--yes")
    press(shop, charge_of(process))
    last = [json.loads(line) for line in process.communicate(timeout=20)[0].splitlines()][-1]
    assert process.returncode == 0 and (last["event"], last["plugin"], last["item"]) == ("bought", "game", "coins")
    assert [row["counter"] for row in device.must("item", "list", "game") if row["item"] == "coins"] == [5]
    assert device.must("item", "buy", "game", "hello", "--yes")[-1]["event"] == "bought"
    assert [(row["plugin"], row.get("item")) for row in device.must("order")][0] == ("game", "hello")


def test_the_client_says_why_not(shop, ground, device):
    stranger = ground.device(shop.user())
    code, objects, _err = stranger.run("item", "buy", "game", "coins", "--yes")
    assert code == 1 and objects[-1]["text"] == "you are not licensed for its application"
    code, objects, _err = device.run("item", "buy", "game", "gems")
    assert code == 1 and "sells no item 'gems'" in json.dumps(objects)
    assert device.run("item", "list", "chess")[0] == 1
    process = device.spawn("--json", "item", "buy", "game", "coins", "--yes")
    press(shop, charge_of(process), "decline")
    out, _err = process.communicate(timeout=20)
    assert process.returncode == 1 and json.loads(out.splitlines()[-1])["state"] == "declined"


def test_a_purchase_goes_on_after_the_client_was_killed(shop, ground, device):
    process = device.spawn("--json", "item", "buy", "game", "coins", "--yes")
    url = charge_of(process)
    process.kill()
    process.communicate()
    again = device.spawn("--json", "item", "buy", "game", "coins", "--yes")
    assert charge_of(again) == url, "the same order"
    again.kill()
    again.communicate()
    screen = ground.screen(device)
    screen.wait("Pay at")
    press(shop, url)
    screen.wait("coins of game is yours")
    screen.enter("/items game")
    screen.wait("you have 5")
    screen.enter("/buy game hat")
    screen.wait("Buy 'Hat` for free, or `Cap' in game for 3.00 EUR?")
    screen.enter("n")
    screen.wait("was not bought, as you chose")
    assert [row["item"] for row in device.must("order") if row.get("item")] == ["coins"]


# --- from a standard client


@pytest.fixture
def commander(shop):
    """Somebody's session that knows commands, and nothing of the market's own protocol."""
    clients = []

    def make(customer):
        clients.append(shop.host.login(customer.name))
        clients[-1].send("<presence/>")
        return Commander(clients[-1], shop.host.domain)
    yield make
    for client in clients:
        client.close()


def test_a_standard_client_buys_an_item(shop, commander):
    player = shop.player()
    one = commander(player)
    first = one.send("buy")
    labels = {option.findtext("{jabber:x:data}value"): option.get("label") for option in first.form.iter("{jabber:x:data}option")}
    assert labels["game/coins"] == "Game: 5 of Coins, 2.00 EUR" and labels["game/hello"] == "Game: Hello, free"
    second = one.send("buy", first.session, "next", submit({"plugin": "game/coins"}))
    assert second.form.findtext("{jabber:x:data}title") == "Buy Game: Coins" and second.value("name") == "Game: Coins"
    assert second.value("price") == "Price: 2.00 EUR, adds 5" and second.value("provider") == "Paid at: stub (127.0.0.1)"
    third = one.send("buy", second.session, "complete", submit({}))
    assert third.value("state") == "awaiting-payment" and (third.value("plugin"), third.value("item")) == ("game", "coins")
    again = one.send("buy", payload=submit({"plugin": "game/coins"}))
    assert again.command.find(".//{jabber:x:data}instructions").text.startswith("You have an open order for this.")
    assert shop.stub.press({"url": third.urls[0]}, "pay")[0] == 303
    shop.wait_order(third.value("order"), "fulfilled")
    assert player.count("coins") == 5
    told = one.client.skip_until(f"<message from='{one.to}' type='chat'><body/></message>", 15)
    assert "Game: Coins is yours." in told.findtext("{jabber:client}body")
    free = one.run("buy", {"plugin": "game/hello"}, {})
    assert free.status == "completed" and not free.urls
    wait_until(lambda: player.count("hello") == 1, what="the free item counted")


def test_only_who_has_the_application_is_offered_its_items(shop, commander):
    stranger = commander(shop.enter())
    options = stranger.send("buy").options("plugin")
    assert "game" in options and not [option for option in options if "/" in option]
    forged = stranger.send("buy", payload=submit({"plugin": "game/coins"}))
    assert forged.error()[:2] == ("bad-request", "bad-payload")
    shop.host.hostctl("plugin", "retire", "game")
    try:
        player = next(customer for customer in shop.customers if customer.serials().get("game"))
        assert not [option for option in commander(player).send("buy").options("plugin") if option.startswith("game")]
    finally:
        shop.game()


# --- plugins ask, users decide


@pytest.fixture(scope="module")
def forecast_shop(shop):
    shop.install(BUILD / "vendor-kit/functions/libforecast.so")
    shop.game("forecast", items={"outlooks": {"name": "Outlooks", "price": 100, "amount": 2}},
              functions={"user_data": "4K", "rate": 0, "module": "libforecast.so", "names": "forecast,places,outlook",
                         "application_data": "64K"})
    path = ROOT / "vendor-kit/functions/forecast/climate.csv"
    shop.host.hostctl("resource", "put", "forecast", "climate.csv", path, "--kind", "table")
    return shop


def test_a_native_plugin_asks_and_the_user_decides(forecast_shop, ground):
    shop = forecast_shop
    player = shop.player("forecast")
    device = ground.device(player.name)
    assert "have you asked whether to buy something inside it" in json.dumps(
        device.must("plugin", "install", ground.sample("forecast"), "--yes"))
    screen = ground.screen(device)
    screen.enter("/use forecast")
    screen.wait("ready")
    screen.enter("/outlook Lisbon")
    screen.wait("forecast asks: Buy 2 of 'Outlooks' in forecast for 1.00 EUR?")
    screen.enter("n")
    screen.wait("no outlook was bought")
    assert [row for row in shop.host.hostctl_json("order", "list", player.name) if row["item"]] == []
    screen.enter("/outlook Lisbon")
    screen.wait("you cannot be asked now")  # a no stands for a minute

    device = ground.device(player.name)
    device.must("plugin", "install", ground.sample("forecast"), "--yes")
    screen = ground.screen(device)
    screen.enter("/use forecast")
    screen.wait("ready")
    screen.enter("/outlook Lisbon")
    screen.wait("forecast asks: Buy 2 of 'Outlooks'")
    screen.enter("y")
    screen.wait("Pay at")
    [order] = [row["order"] for row in shop.host.hostctl_json("order", "list", player.name) if row["item"]]
    player.press(player.ask("get", f"<order xmlns='{MARKET}' id='{order}'/>")[0])
    screen.wait("[Forecast] Lisbon: January: ")
    assert player.count("outlooks", "forecast") == 1, "one was used at once"


def test_a_plugin_without_the_permission_cannot_ask(forecast_shop, ground):
    player = forecast_shop.player("forecast")
    device = ground.device(player.name)
    text = (ROOT / "vendor-kit/plugins/forecast/forecast.plugin.in").read_text().replace("purchases=yes\n", "")
    device.must("plugin", "install", ground.ship(BUILD / "vendor-kit/plugins/forecast/libforecast.so", text), "--yes")
    code, _objects, _err = device.run("plugin", "use", "forecast", "--", "outlook", "Lisbon")
    assert code == 5, "the extension is not there, so this sample does not start"


def test_nobody_is_asked_by_a_script(forecast_shop, ground):
    """plugin use --yes agrees to a registration, never to what a plugin wants bought."""
    player = forecast_shop.player("forecast")
    device = ground.device(player.name)
    device.must("plugin", "install", ground.sample("forecast"), "--yes")
    device.run("plugin", "use", "forecast", "--yes", "--", "outlook", "Lisbon")
    assert [row for row in forecast_shop.host.hostctl_json("order", "list", player.name) if row["item"]] == []


def test_a_library_asks_as_its_old_hosts_shop(shop, ground):
    shop.game("anagrams", items={"hints": {"name": "Hints", "price": 0}}, source="pool")
    player = shop.player()
    [game] = player.ask("get", f"<serials xmlns='{SERIALS}'/>")[0]
    shop.fill("anagrams", [anagrams_code(game.get("user"))])
    order = player.buy("anagrams").get("id")
    shop.wait_order(order, "fulfilled")
    device = ground.device(player.name)
    device.must("plugin", "install", anagrams(ground), "--yes")
    device.must("serials")
    screen = ground.screen(device)
    screen.enter("/use anagrams")
    screen.wait("ready")
    screen.enter("/hint listen")
    screen.wait("anagrams asks: Buy 'Hints' in anagrams for free?")
    screen.enter("n")
    screen.wait("was not bought, as you chose")
    screen.enter("/hint listen")
    screen.wait("there was no hint to be had")
    assert player.count("hints", "anagrams") == 0

    device = ground.device(player.name)
    device.must("plugin", "install", anagrams(ground), "--yes")
    device.must("serials")
    screen = ground.screen(device)
    screen.enter("/use anagrams")
    screen.wait("ready")
    screen.enter("/hint listen")
    screen.wait("anagrams asks: ")
    screen.enter("y")
    screen.wait("Hints of Anagrams is yours")
    screen.enter("/hint listen")
    screen.wait("[Anagrams] en...")
    assert player.count("hints", "anagrams") == 1


def anagrams(ground):
    text = (ROOT / "vendor-kit/plugins/anagrams/anagrams.legacy.in").read_text()
    return ground.ship(BUILD / "vendor-kit/plugins/anagrams/libanagrams.so", text, "legacy")


def anagrams_code(owner):
    """As the sample checks it."""
    def crc(text, value):
        for byte in text.encode():
            value ^= byte
            for _bit in range(8):
                value = value >> 1 ^ (0xedb88320 if value & 1 else 0)
        return value
    return "ANA-%08X" % crc(owner, ~crc("eleven plus two", 0) & 0xffffffff)
