"""System 1 from outside: a purchase with each source as it should go, lists and administration. What can go wrong with money
and serials (docs/money.md, "Cases") is in test_case_*.py, crashes in test_purchase_crash.py."""

import json
import uuid

import pytest

from lib.billing import SECRET
from lib.market import MARKET, SERIALS, Shop, read_serials
from lib.xmpp import error_condition


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    shop = Shop(tmp_path_factory.mktemp("shop"), limits={"open_orders_per_user": 3})
    try:
        yield shop.start()
    finally:
        shop.stop()


# --- the way it should go


@pytest.mark.parametrize("plugin", ["weather", "quotes", "dice"])
def test_a_paid_order_brings_one_serial(shop, customer, plugin):
    alice = customer()
    order = alice.buy(plugin)
    assert order.get("state") == "awaiting-payment" and order.get("price") == "500"
    assert alice.serials() == {}
    alice.press(order)
    alice.push_of("order", id=order.get("id"), state="paid")
    alice.push_of("order", id=order.get("id"), state="fulfilled")
    push = alice.push_of("serials")
    state, serial, epoch = read_serials(push)[plugin]
    assert (state, epoch) == ("active", 1) and serial
    assert push.get("since") == "0" and push.get("ver") == "1"
    assert alice.serials() == {plugin: ("active", serial, 1)}
    assert alice.serials(ver="1") is None
    shown = shop.order(order.get("id"))
    assert (shown["state"], shown["payment"]) == ("fulfilled", "paid")
    assert [row["kind"] for row in shown["ledger"]] == ["payment"] and shown["refunds"] == []
    assert shop.checkout(order.get("id"))["status"] == "paid"


def test_a_second_device_simply_has_the_serials(customer):
    alice = customer()
    _order, bought = alice.purchase("dice")
    other = customer(alice.name, "tablet")
    assert other.serials() == {"dice": bought}


def test_every_device_hears_of_it(customer):
    alice = customer()
    other = customer(alice.name, "tablet")
    _order, bought = alice.purchase("dice")
    assert read_serials(other.push_of("serials"))["dice"] == bought


def test_the_pairwise_name_is_stable_for_the_vendor_and_is_not_the_address(shop, customer):
    alice, bob = customer(), customer()
    names = []
    for one in (alice, bob):
        one.purchase("quotes")
        answer = one.ask("get", f"<serials xmlns='{SERIALS}'/>")
        names.append(answer[0][0].get("user"))
    told = [body["user"] for method, _name, body in shop.vendor.requests if method == "POST"]
    assert names == told[-2:] and names[0] != names[1]
    assert all(len(name) == 26 and name.isalnum() and name.islower() for name in names)
    assert not any(alice.name in json.dumps(body) for _m, _n, body in shop.vendor.requests if body)


def test_the_same_request_is_the_same_order_for_ever(customer):
    alice = customer()
    request = str(uuid.uuid4())
    first = alice.buy("dice", request)
    assert alice.buy("dice", request).get("id") == first.get("id")
    alias = alice.buy("dice", "an alias")
    assert alias.get("id") == first.get("id")
    alice.press(first)
    alice.push_of("serials")
    assert alice.buy("dice", request).get("state") == "fulfilled"
    assert alice.buy("dice", "an alias").get("id") == first.get("id")


def test_what_is_owned_for_ever_is_not_sold_again(customer):
    alice = customer()
    alice.purchase("dice")
    refusal = alice.buy("dice")
    assert error_condition(refusal) == ("cancel", "conflict")
    assert refusal.find(f".//{{{MARKET}}}already-owned") is not None


def test_nobody_sees_another_users_order(customer):
    alice, bob = customer(), customer()
    order = alice.buy("dice").get("id")
    answer = bob.ask("get", f"<order xmlns='{MARKET}' id='{order}'/>")
    assert error_condition(answer) == ("cancel", "item-not-found")
    assert error_condition(bob.decline(order)) == ("cancel", "item-not-found")


def test_open_orders_are_limited(shop, customer):
    shop.plugin("fourth", source="pool")
    shop.fill("fourth", ["FOURTH-1"])
    alice = customer()
    for plugin in ("dice", "quotes", "weather"):
        assert alice.buy(plugin).get("state") == "awaiting-payment"
    assert error_condition(alice.buy("fourth")) == ("wait", "resource-constraint")


def test_a_missing_module_is_not_sold(shop, customer):
    shop.plugin("absent", source="keygen", module="libnothing.so")
    assert error_condition(customer().buy("absent"))[1] == "service-unavailable"


# --- refused serials


def reject(customer, plugin, epoch=None):
    said = f" epoch='{epoch}'" if epoch is not None else ""
    answer = customer.ask("set", f"<rejected xmlns='{SERIALS}' plugin='{plugin}' reason='bad'{said}/>")
    assert answer.get("type") == "result"
    return answer[0]


@pytest.mark.parametrize("plugin", ["weather", "quotes", "dice"])
def test_a_refused_serial_is_replaced_once(shop, customer, plugin):
    alice = customer()
    order, (_state, first, epoch) = alice.purchase(plugin)
    answer = reject(alice, plugin, epoch)
    second = answer.findtext(f"{{{SERIALS}}}serial")
    assert answer.tag == f"{{{SERIALS}}}plugin" and second and second != first
    assert int(answer.get("epoch")) == epoch + 1
    # The other device is late with the same news.
    assert reject(alice, plugin, epoch).findtext(f"{{{SERIALS}}}serial") == second
    assert reject(alice, plugin, epoch + 1).tag == f"{{{SERIALS}}}registration-needed"
    assert alice.serials()[plugin][:2] == ("revoked", None)
    assert shop.order(order)["state"] == "review" and shop.order(order)["refunds"] == []
    assert alice.buy(plugin).get("id") != order


def test_refusing_what_one_does_not_have_needs_registration(customer):
    assert reject(customer(), "weather").tag == f"{{{SERIALS}}}registration-needed"


# --- lists


def test_the_catalog_is_paged_searched_and_says_what_is_owned(customer):
    alice = customer()
    alice.purchase("dice")
    answer = alice.ask("get", f"<catalog xmlns='{MARKET}' query='DICE'/>")
    [entry] = [child for child in answer[0] if child.tag == f"{{{MARKET}}}plugin"]
    assert entry.get("id") == "dice" and entry.get("owned") == "true" and entry.get("price") == "500"
    rsm = "http://jabber.org/protocol/rsm"
    seen, after = [], ""
    while True:
        page = f"<after>{after}</after>" if after else ""
        answer = alice.ask("get", f"<catalog xmlns='{MARKET}'><set xmlns='{rsm}'><max>2</max>{page}</set></catalog>")
        ids = [child.get("id") for child in answer[0] if child.tag == f"{{{MARKET}}}plugin"]
        if not ids:
            break
        assert len(ids) <= 2
        seen += ids
        after = answer[0].findtext(f"{{{rsm}}}set/{{{rsm}}}last")
        assert after == ids[-1]
    assert seen == sorted(set(seen)) and {"dice", "quotes", "weather"} <= set(seen)
    refusal = alice.ask("get", f"<catalog xmlns='{MARKET}'><set xmlns='{rsm}'><after>nope</after></set></catalog>")
    assert error_condition(refusal)[1] == "item-not-found"


def test_the_history_is_ones_own_newest_first(customer):
    alice = customer()
    orders = []
    for _ in range(3):
        order = alice.buy("dice").get("id")
        alice.decline(order)
        orders.insert(0, order)
    answer = alice.ask("get", f"<orders xmlns='{MARKET}'/>")
    found = [(child.get("id"), child.get("state")) for child in answer[0] if child.tag == f"{{{MARKET}}}order"]
    assert found == [(order, "declined") for order in orders]


# --- administration


def test_a_revoked_serial_is_pushed(shop, customer):
    alice = customer()
    alice.purchase("dice")
    shop.host.hostctl("serial", "revoke", alice.name, "dice")
    assert read_serials(alice.push_of("serials"))["dice"] == ("revoked", None, 2)
    assert [row["state"] for row in shop.host.hostctl_json("serial", "list", alice.name)] == ["revoked"]


def test_a_pool_import_says_what_is_wrong_and_imports_nothing_then(shop):
    shop.plugin("keys", source="pool")
    path = shop.folder / "bad"
    path.write_bytes(b"GOOD-1\n\nGOOD-1\nB\xc3\xa4D\n")
    run = shop.host.hostctl("pool", "import", "keys", path, check=False)
    assert run.returncode == 1 and "line 3: a duplicate" in run.stderr + run.stdout and "line 4:" in run.stderr + run.stdout
    path.write_text("GOOD-1\nGOOD-2\n")
    assert shop.host.hostctl_json("pool", "import", "keys", path, "--dry-run")[0]["added"] == 2
    assert shop.host.hostctl_json("pool", "import", "keys", path)[0]["added"] == 2
    assert shop.host.hostctl_json("pool", "import", "keys", path)[0] == {"plugin": "keys", "added": 0, "known": 2,
                                                                         "dry-run": False}
    [row] = [row for row in shop.host.hostctl_json("pool", "status") if row["plugin"] == "keys"]
    assert (row["free"], row["delivered"], row["burned"]) == (2, 0, 0)


def test_no_secret_is_in_the_log(shop, customer):
    alice = customer()
    serials = [alice.purchase(plugin)[1][1] for plugin in ("weather", "quotes", "dice")]
    log = shop.log()
    for secret in [*serials, shop.vendor_secret, SECRET]:
        assert secret not in log
