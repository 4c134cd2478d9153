"""System 1 from outside: a purchase with each source, and every way in which money and serials can go wrong that happens
while everybody is up (docs/money.md, "Cases"). Crashes are in test_purchase_crash.py."""

import concurrent.futures
import json
import time
import uuid

import pytest

from lib.billing import SECRET
from lib.market import MARKET, SERIALS, Shop, read_serials
from lib.process import wait_until
from lib.xmpp import error_condition


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    shop = Shop(tmp_path_factory.mktemp("shop"), limits={"open_orders_per_user": 3})
    try:
        yield shop.start()
    finally:
        shop.stop()


@pytest.fixture
def own_shop(tmp_path):
    shops = []

    def open_shop(**options):
        shops.append(Shop(tmp_path / f"shop{len(shops)}", **options))
        return shops[-1].start()
    yield open_shop
    for one in shops:
        one.stop()


@pytest.fixture
def customer(shop):
    customers = []

    def enter(*arguments, at=None):
        customers.append((at or shop).customer(*arguments))
        customers[-1].serials()
        return customers[-1]
    yield enter
    for one in customers:
        one.close()


def only_serial(customer):
    [(plugin, value)] = customer.serials().items()
    return plugin, value


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


def test_a_free_plugin_needs_no_provider(shop, customer):
    shop.plugin("gift", source="keygen", module="libweather-keygen.so", price=0)
    alice = customer()
    order = alice.buy("gift")
    assert order.get("state") in ("paid", "fulfilled") and order.find(f"{{{MARKET}}}charge") is None
    assert read_serials(alice.push_of("serials"))["gift"][0] == "active"


def test_nobody_sees_another_users_order(customer):
    alice, bob = customer(), customer()
    order = alice.buy("dice").get("id")
    answer = bob.ask("get", f"<order xmlns='{MARKET}' id='{order}'/>")
    assert error_condition(answer) == ("cancel", "item-not-found")
    assert error_condition(bob.decline(order)) == ("cancel", "item-not-found")


def test_open_orders_are_limited(customer):
    alice = customer()
    for plugin in ("dice", "quotes", "weather"):
        assert alice.buy(plugin).get("state") == "awaiting-payment"
    assert error_condition(alice.buy("gift")) in [("wait", "resource-constraint"), ("cancel", "item-not-found")]


# --- declining and expiring


def test_a_declined_order_charges_nothing(shop, customer):
    alice = customer()
    order = alice.buy("dice")
    declined = alice.decline(order.get("id"))
    assert declined.get("state") == "declined"
    wait_until(lambda: shop.checkout(order.get("id"))["status"] == "declined", what="the checkout cancelled")
    assert alice.serials() == {} and shop.checkout(order.get("id"))["payments"] == []
    assert alice.decline(order.get("id")).get("state") == "declined"
    assert alice.buy("dice").get("id") != order.get("id")


def test_declining_at_the_provider_ends_the_order(shop, customer):
    alice = customer()
    order = alice.buy("dice")
    alice.press(order, "decline")
    alice.push_of("order", id=order.get("id"), state="declined")
    assert alice.serials() == {}


def test_declining_after_paying_is_too_late(shop, customer):
    alice = customer()
    order, bought = alice.purchase("dice")
    refusal = alice.decline(order)
    assert error_condition(refusal)[1] == "unexpected-request"
    assert refusal.find(f".//{{{MARKET}}}order").get("state") == "fulfilled"
    assert alice.serials() == {"dice": bought}


def test_money_after_a_decline_goes_back(shop, customer):
    alice = customer()
    order = alice.buy("dice").get("id")
    event = shop.event(order)
    alice.decline(order)
    assert shop.callback(event) == 200
    # The stub does not know this payment, so it refuses the refund: a person must look.
    shown = shop.wait_order(order, "review")
    assert shown["refunds"][0]["amount"] == 500 and shown["refunds"][0]["state"] == "rejected"
    assert alice.serials() == {}


def test_an_unpaid_order_expires_only_after_asking(own_shop, customer):
    shop = own_shop(market={"order_expiry_s": "4", "expiry_grace_s": "0.3"})
    alice = customer(at=shop)
    order = alice.buy("dice").get("id")
    alice.push_of("order", id=order, state="expired")
    # Late money is honoured: nothing of the plugin is owned or open.
    assert shop.callback(shop.event(order, payment="late")) == 200
    assert read_serials(alice.push_of("serials"))["dice"][0] == "active"
    assert shop.order(order)["state"] == "fulfilled"


def test_an_order_does_not_expire_while_the_provider_is_away(own_shop, customer):
    shop = own_shop(market={"order_expiry_s": "4"})
    alice = customer(at=shop)
    order = alice.buy("dice").get("id")
    shop.stub.stop()
    time.sleep(5)
    assert shop.order(order)["state"] == "awaiting-payment"


# --- callbacks


def test_a_repeated_delivery_has_one_effect(shop, customer):
    alice = customer()
    order = alice.buy("dice").get("id")
    event = shop.event(order)
    assert shop.callback(event, webhook_id="msg_same_" + order) == 200
    shop.wait_order(order, "fulfilled")
    assert shop.callback(event, webhook_id="msg_same_" + order) == 200
    assert shop.callback(event) == 200  # the same payment under a new id
    shown = shop.order(order)
    assert len(shown["ledger"]) == 1 and shown["refunds"] == [] and len(shown["issue"]) == 1


def test_concurrent_deliveries_have_one_effect(shop, customer):
    alice = customer()
    order = alice.buy("dice").get("id")
    event = shop.event(order)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda number: shop.callback(event, webhook_id=f"msg_{number % 4}_{order}"), range(16)))
    assert statuses == [200] * 16
    shown = shop.wait_order(order, "fulfilled")
    assert len(shown["ledger"]) == 1 and len(shown["issue"]) == 1
    assert len(alice.serials()) == 1


def test_what_is_not_authentic_is_refused_and_changes_nothing(shop, customer):
    alice = customer()
    order = alice.buy("dice").get("id")
    event = shop.event(order)
    now = time.time()
    assert shop.callback(event, secret="whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA") == 401
    assert shop.callback(event, at=now - 301) == 401
    assert shop.callback(event, at=now + 302) == 401
    assert shop.callback(event, headers={"webhook-signature": "v2,AAAA"}) == 401
    assert shop.callback(event, webhook_id="has a blank") == 401
    assert shop.callback(event, headers={"webhook-signature": " ".join(["v1,AAAA"] * 17)}) == 401
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        assert shop.callback(event, headers={name: None}) == 400
        assert shop.callback(event, headers={name: ""}) == 400
    assert shop.callback(None, body=b"x" * 20001) == 413
    shown = shop.order(order)
    assert shown["state"] == "awaiting-payment" and shown["ledger"] == []


def test_poison_is_recorded_and_kept_for_a_person(shop):
    before = shop.log().count("delivery kept unmatched")
    assert shop.callback(None, body=b"not json") == 200
    assert shop.callback({"type": "checkout.paid", "data": {"merchant": "stoa-test"}}) == 200
    assert shop.callback({"type": "something.new", "data": {}}) == 200
    wait_until(lambda: shop.log().count("delivery kept unmatched") == before + 2)


def test_an_unknown_order_is_kept_and_raises_the_alarm(shop, customer):
    alice = customer()
    event = shop.event(alice.buy("dice").get("id"))
    event["data"].update(order="o_nobody", payment="pay_nobody")
    assert shop.callback(event) == 200
    wait_until(lambda: "no such order; a person must look" in shop.log(), what="the alarm")


@pytest.mark.parametrize("change", [{"currency": "USD"}, {"merchant": "someone-else"}, {"live": False},
                                    {"checkout": "cs_other"}])
def test_money_that_is_not_ours_moves_nothing(shop, customer, change):
    alice = customer()
    order = alice.buy("dice").get("id")
    assert shop.callback(shop.event(order, **change)) == 200
    shown = shop.order(order)
    assert shown["state"] == "awaiting-payment" and shown["ledger"] == []
    assert alice.serials() == {}


def test_underpaid_then_the_rest(shop, customer):
    alice = customer()
    order = alice.buy("dice").get("id")
    shop.callback(shop.event(order, amount=499, payment=f"a{order}"))
    shown = shop.order(order)
    assert (shown["state"], shown["payment"]) == ("awaiting-payment", "underpaid") and alice.serials() == {}
    shop.callback(shop.event(order, amount=1, payment=f"b{order}"))
    assert shop.wait_order(order, "fulfilled")["payment"] == "paid"


def test_overpaid_is_fulfilled_and_the_excess_is_a_refund(shop, customer):
    alice = customer()
    order = alice.buy("dice").get("id")
    shop.callback(shop.event(order, amount=800))
    read_serials(alice.push_of("serials"))
    [refund] = shop.order(order)["refunds"]
    assert refund["amount"] == 300


def test_a_full_refund_by_the_provider_revokes(shop, customer):
    alice = customer()
    order, _bought = alice.purchase("dice")
    payment = shop.checkout(order)["payments"][0]["payment"]
    alice.client.barrier()
    shop.callback(shop.event(order, "payment.refunded", payment=payment, refund=f"re_{order}", amount=200))
    assert shop.order(order)["payment"] == "part-refunded" and alice.serials()["dice"][0] == "active"
    shop.callback(shop.event(order, "payment.refunded", payment=payment, refund=f"rf_{order}", amount=300))
    assert shop.order(order)["state"] == "refunded"
    assert read_serials(alice.push_of("serials", timeout=5))["dice"][:2] == ("revoked", None)


def test_a_refund_before_its_payment_yields_no_serial(shop, customer):
    alice = customer()
    order = alice.buy("dice").get("id")
    shop.callback(shop.event(order, "payment.refunded", payment=f"p{order}", refund=f"r{order}"))
    assert shop.order(order)["state"] == "awaiting-payment"
    shop.callback(shop.event(order, payment=f"p{order}"))
    assert shop.order(order)["state"] == "refunded" and alice.serials() == {}


def test_without_callbacks_the_order_is_found_paid_by_asking(own_shop, customer):
    """Here nothing of the provider's is authentic."""
    shop = own_shop(market={"poll_s": "0.2"}, webhook_secret="whsec_" + "QUFB" * 8)
    alice = customer(at=shop)
    order = alice.buy("dice")
    alice.press(order)
    shown = shop.wait_order(order.get("id"), "fulfilled")
    assert [row["by"] for row in shown["ledger"]] == ["poll"]
    # And then the callback comes through after all: the same payment.
    shop.callback(shop.event(order.get("id"), payment=shown["ledger"][0]["id"]), secret=shop.webhook_secret)
    assert len(shop.order(order.get("id"))["ledger"]) == 1


# --- sources that fail


def test_a_vendors_final_no_gives_the_money_back(shop, customer):
    shop.plugin("broken", source="plugin-server", base=shop.vendor.base)
    alice = customer()
    order = alice.buy("broken")
    shop.vendor.answers[:] = [lambda *_: (422, {"error": "no"})]
    alice.press(order)
    shown = shop.wait_order(order.get("id"), "refunded")
    assert alice.serials() == {}
    [refund] = shown["refunds"]
    assert (refund["amount"], refund["state"]) == (500, "confirmed")
    [payment] = shop.checkout(order.get("id"))["payments"]
    assert [(one["refund"], one["amount"], one["status"]) for one in payment["refunds"]] \
        == [(refund["provider-refund"], 500, "done")]
    alice.push_of("order", state="paid")
    alice.push_of("order", state="refunding")
    alice.push_of("order", state="refunded")


def test_a_missing_module_is_not_sold(shop, customer):
    shop.plugin("absent", source="keygen", module="libnothing.so")
    assert error_condition(customer().buy("absent"))[1] == "service-unavailable"


def test_an_empty_pool_is_refused_before_any_money(shop, customer):
    shop.plugin("rare", source="pool")
    refusal = customer().buy("rare")
    assert error_condition(refusal) == ("wait", "resource-constraint")
    assert refusal.find(f".//{{{MARKET}}}out-of-stock") is not None


def test_a_pool_that_ran_empty_after_payment_gives_the_money_back(shop, customer):
    shop.plugin("last", source="pool")
    shop.fill("last", ["THE-ONLY-ONE"])
    alice, bob = customer(), customer()
    orders = [one.buy("last") for one in (alice, bob)]
    alice.press(orders[0])
    assert read_serials(alice.push_of("serials"))["last"][1] == "THE-ONLY-ONE"
    bob.press(orders[1])
    shop.wait_order(orders[1].get("id"), "refunded")
    assert bob.serials() == {}
    assert shop.checkout(orders[1].get("id"))["payments"][0]["refunds"][0]["status"] == "done"


def test_the_fallback_serves_when_the_vendor_says_no(shop, customer):
    shop.plugin("either", source="plugin-server", base=shop.vendor.base, fallback="pool")
    shop.fill("either", ["FALLBACK-1", "FALLBACK-2"])
    shop.vendor.answers[:] = [lambda *_: (409, {"error": "sold out"})]
    alice = customer()
    _order, (state, serial, _epoch) = alice.purchase("either")
    assert (state, serial) == ("active", "FALLBACK-1")


def test_a_plugin_server_that_times_out_is_asked_and_voided_before_the_fallback(shop, customer):
    shop.plugin("slow", source="plugin-server", base=shop.vendor.base, fallback="pool")
    shop.fill("slow", ["SLOW-FALLBACK"])
    late = {}

    def issue_late(method, name, body):
        time.sleep(2.5)
        late[name] = method
        return 201, {"serial": f"LATE-{name}"}

    def fail(*_):
        return 503, {"error": "busy"}

    def gone(*_):
        return 404, {"error": "not issued"}
    start = len(shop.vendor.requests)
    shop.vendor.answers[:] = [issue_late, gone, fail, gone, fail, fail]
    alice = customer()
    order, (state, serial, _epoch) = alice.purchase("slow")
    assert (state, serial) == ("active", "SLOW-FALLBACK")
    methods = shop.vendor.methods()[start:]
    assert methods[0] == "POST" and methods[-1] == "DELETE"
    names = {name for _method, name, _body in shop.vendor.requests[start:]}
    assert len(names) == 1 and names.pop() in shop.vendor.voided
    assert len(shop.order(order)["issue"]) == 1


def test_an_answer_that_was_lost_is_found_by_asking(shop, customer):
    """The vendor issued, its answer did not come: the same request, so the same serial."""
    def lost(method, name, body):
        shop.vendor.issued[name] = f"LOST-{name}"
        return 503, {"error": "the answer is lost"}
    shop.vendor.answers[:] = [lost]
    alice = customer()
    _order, (state, serial, _epoch) = alice.purchase("quotes")
    assert state == "active" and serial.startswith("LOST-")


def test_a_misconfigured_vendor_stops_new_sales_and_paid_lines_wait(shop, customer):
    shop.plugin("shut", source="plugin-server", base=shop.vendor.base)
    shop.vendor.answers[:] = [lambda *_: (401, {"error": "who are you"})]
    alice, bob = customer(), customer()
    order = alice.buy("shut")
    shop.vendor.answers += [lambda *_: (403, None)] * 2
    alice.press(order)
    wait_until(lambda: any(row["plugin"] == "shut" and row["state"] == "fault"
                           for row in shop.host.hostctl_json("plugin", "list")), what="the fault shown")
    assert error_condition(bob.buy("shut"))[1] == "service-unavailable"
    shop.wait_order(order.get("id"), "fulfilled")
    assert bob.buy("shut").get("state") == "awaiting-payment"


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


def test_a_retired_plugin_is_sold_no_more_and_its_open_orders_go_on(shop, customer):
    shop.plugin("old", source="plugin-server", base=shop.vendor.base)
    alice, bob = customer(), customer()
    order = alice.buy("old")
    shop.host.hostctl("plugin", "retire", "old")
    assert error_condition(bob.buy("old"))[1] == "item-not-found"
    alice.press(order)
    assert read_serials(alice.push_of("serials"))["old"][0] == "active"


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


def test_a_removed_account_loses_its_rights_and_its_name_is_another_user(shop, customer):
    alice = customer()
    order, _bought = alice.purchase("dice")
    unpaid = alice.buy("quotes").get("id")
    shop.host.hostctl("user", "remove", f"{alice.name}@{shop.host.domain}")
    shop.wait_order(unpaid, "declined")
    shop.host.add_user(alice.name)
    again = customer(alice.name)
    assert again.serials() == {}
    assert error_condition(again.ask("get", f"<order xmlns='{MARKET}' id='{order}'/>"))[1] == "item-not-found"
