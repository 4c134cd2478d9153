"""Purchases through Stripe Checkout: the real server against a double that behaves as Stripe documents."""

import http.client
import itertools
import json
import time
import urllib.parse

import pytest

from lib.host import Host
from lib.market import MARKET, read_serials
from lib.process import wait_until
from lib.stripe import KEY, SECRET, Stripe, StripeShop, sign


@pytest.fixture
def stripe():
    double = Stripe()
    yield double
    double.close()


@pytest.fixture
def open_shop(tmp_path, stripe, started):
    return lambda market=None, **billing: started(StripeShop(tmp_path / "shop", stripe, market=market, **billing))


def charge_of(order):
    return order.find(f"{{{MARKET}}}charge").get("url")


def buy(customer, plugin="dice"):
    order = customer.buy(plugin)
    assert order.get("state") == "awaiting-payment", order
    return order.get("id")


def purchase(shop, customer, plugin="dice"):
    order = buy(customer, plugin)
    intent = shop.provider.pay(order)
    state, serial, _epoch = read_serials(customer.push_of("serials"))[plugin]
    assert state == "active" and serial
    return order, intent, serial


def refunded(shop, order):
    return sum(row["amount"] for row in shop.order(order)["ledger"] if row["kind"] == "refund")


def test_a_purchase_from_order_to_serial(open_shop, stripe, enter):
    shop = open_shop()
    alice = enter(shop)
    order = alice.buy("dice")
    session = stripe.session_of(order.get("id"))
    assert charge_of(order) == session["url"] and "#" in session["url"]
    assert session["client_reference_id"] == session["metadata"]["order"] == order.get("id")
    assert session["intent_metadata"] == {"order": order.get("id")}
    assert alice.name not in json.dumps(session)  # Stripe knows a pairwise name
    intent = stripe.pay(order.get("id"))
    assert read_serials(alice.push_of("serials"))["dice"][0] == "active"
    shown = shop.wait_order(order.get("id"), "fulfilled")
    assert shown["checkout"] == session["id"]
    [row] = shown["ledger"]
    assert (row["kind"], row["id"], row["amount"]) == ("payment", intent, 500)
    shop.wait_taken()


def test_the_order_ends_with_the_session_that_stripe_makes(open_shop, stripe, enter):
    """Stripe's shortest is 30 minutes, the host asks for 35; the order's end is the session's."""
    shop = open_shop({"order_expiry_s": "600"})
    alice = enter(shop)
    order = alice.buy("dice")
    session = stripe.session_of(order.get("id"))
    assert 2000 < session["expires_at"] - time.time() <= 2100
    expires = alice.ask("get", f"<order xmlns='{MARKET}' id='{order.get('id')}'/>")[0].get("expires")
    assert expires == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(session["expires_at"]))


def test_the_buyer_comes_back_to_a_page_of_ours(open_shop, stripe, enter):
    shop = open_shop()
    order = buy(enter(shop))
    session = stripe.session_of(order)
    assert session["success_url"] == session["cancel_url"] == stripe.endpoint + "/return"
    where = urllib.parse.urlsplit(session["success_url"])
    connection = http.client.HTTPConnection(where.netloc, timeout=10)
    connection.request("GET", where.path + "?session_id=%3Cscript%3E")
    answer = connection.getresponse()
    page = answer.read().decode()
    connection.close()
    assert answer.status == 200 and "messenger" in page and "<script" not in page
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_declining_expires_the_session(open_shop, stripe, enter):
    shop = open_shop()
    alice = enter(shop)
    order = buy(alice)
    assert alice.decline(order).get("state") == "declined"
    wait_until(lambda: stripe.session_of(order)["status"] == "expired", what="the session expired")
    shop.wait_taken()
    assert shop.order(order)["state"] == "declined" and shop.order(order)["ledger"] == []


def test_an_expired_session_ends_its_order_after_a_question(open_shop, stripe, enter):
    """The event alone ends nothing; what Stripe answers when asked after the session's end does."""
    stripe.life_s = 3
    shop = open_shop({"poll_s": "300"})
    alice = enter(shop)
    order = buy(alice)
    session = stripe.session_of(order)
    stripe.expire(session["id"])
    shop.wait_taken()
    assert shop.order(order)["state"] == "awaiting-payment"
    alice.push_of("order", id=order, state="expired")
    assert time.time() >= session["expires_at"]
    assert len(stripe.asked("GET", f"/v1/checkout/sessions/{session['id']}")) == 1


def test_a_payment_that_takes_days_waits_and_succeeds(open_shop, stripe, enter):
    shop = open_shop({"poll_s": "0.2"})
    alice = enter(shop)
    order = buy(alice)
    stripe.pay(order, is_instant=False)
    shop.wait_taken()
    asked = f"/v1/checkout/sessions/{stripe.session_of(order)['id']}"
    wait_until(lambda: len(stripe.asked("GET", asked)) > 2, what="the session asked for")
    assert shop.order(order)["state"] == "awaiting-payment" and shop.order(order)["ledger"] == []
    assert alice.serials() == {}
    stripe.settle(order, is_paid=True)
    assert read_serials(alice.push_of("serials"))["dice"][0] == "active"
    shop.wait_order(order, "fulfilled")


def test_a_payment_that_takes_days_can_fail(open_shop, stripe, enter):
    shop = open_shop({"poll_s": "300"})
    alice = enter(shop)
    order = buy(alice)
    stripe.pay(order, is_instant=False)
    stripe.settle(order, is_paid=False)
    alice.push_of("order", id=order, state="declined")
    shop.wait_taken()
    assert alice.serials() == {} and buy(alice) != order  # and the plugin can be bought again


def test_declining_while_the_money_is_on_its_way_gives_it_back(open_shop, stripe, enter):
    shop = open_shop({"poll_s": "300"})
    alice = enter(shop)
    order = buy(alice)
    intent = stripe.pay(order, is_instant=False)
    assert alice.decline(order).get("state") == "declined"
    stripe.settle(order, is_paid=True)
    shop.wait_order(order, "refunded")
    assert stripe.charges[stripe.intents[intent]["latest_charge"]]["amount_refunded"] == 500
    assert alice.serials() == {}


def test_a_payment_that_crosses_the_decline_goes_back_once(open_shop, stripe, enter):
    """Expiring is refused, since the session is complete: the session's report brings the payment."""
    shop = open_shop({"poll_s": "300"})
    alice = enter(shop)
    order = buy(alice)
    stripe.is_sending = False
    intent = stripe.pay(order)
    alice.decline(order)
    shown = shop.wait_order(order, "refunded")
    [(key, form)] = stripe.asked("POST", "/v1/refunds")
    assert form["payment_intent"] == intent and form["amount"] == "500" and key == shown["refunds"][0]["refund"]
    # Now the events of all this arrive, the payment's last.
    for event in reversed(stripe.events):
        assert stripe.deliver(event) == 200
    assert shop.order(order)["state"] == "refunded" and refunded(shop, order) == 500
    assert len(stripe.asked("POST", "/v1/refunds")) == 1 and alice.serials() == {}


def test_polling_finds_the_payment_that_no_event_tells_of(open_shop, stripe, enter):
    stripe.is_sending = False
    shop = open_shop()
    alice = enter(shop)
    order = buy(alice)
    stripe.pay(order)
    assert read_serials(alice.push_of("serials"))["dice"][0] == "active"
    shown = shop.wait_order(order, "fulfilled")
    assert shown["ledger"][0]["by"] == "poll"
    [event] = stripe.of("checkout.session.completed")
    assert stripe.deliver(event) == 200
    assert len(shop.order(order)["ledger"]) == 1


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_part_refunds_are_running_totals_in_any_order_and_again(open_shop, stripe, enter, order):
    shop = open_shop()
    alice = enter(shop)
    bought, intent, serial = purchase(shop, alice)
    shop.wait_taken()
    stripe.is_sending = False
    for amount in (100, 150, 50):
        stripe.refund(intent, amount)
    events = stripe.of("charge.refunded")
    totals = [event["data"]["object"]["amount_refunded"] for event in events]
    assert totals == [100, 250, 300]
    greatest = 0
    for index in [*order, *order]:
        assert stripe.deliver(events[index]) == 200
        greatest = max(greatest, totals[index])
        assert refunded(shop, bought) == greatest
    # The same totals under new ids are the same totals.
    for index in order:
        events[index]["id"] += "again"
        assert stripe.deliver(events[index]) == 200
    assert refunded(shop, bought) == 300 and shop.order(bought)["state"] == "fulfilled"
    assert alice.serials()["dice"][1] == serial
    stripe.refund(intent, 200)
    assert stripe.deliver(stripe.of("charge.refunded")[-1]) == 200
    shop.wait_order(bought, "refunded")
    assert refunded(shop, bought) == 500 and alice.serials()["dice"][0] == "revoked"
    assert stripe.asked("POST", "/v1/refunds") == []


def test_a_refund_before_its_payment_leaves_no_serial(open_shop, stripe, enter):
    stripe.is_sending = False
    shop = open_shop({"poll_s": "300"})
    alice = enter(shop)
    order = buy(alice)
    intent = stripe.pay(order)
    stripe.refund(intent, 500)
    for event in reversed(stripe.events):
        assert stripe.deliver(event) == 200
    shop.wait_order(order, "refunded")
    assert alice.serials() == {} and stripe.asked("POST", "/v1/refunds") == []


def test_our_own_refund_and_its_event_count_once(open_shop, stripe, enter):
    """The host gives back what was paid after the decline; the dashboard had given back a part."""
    stripe.is_sending = False
    shop = open_shop({"poll_s": "300"})
    alice = enter(shop)
    order = buy(alice)
    alice.decline(order)
    wait_until(lambda: stripe.session_of(order)["status"] == "expired")
    stripe.session_of(order).update(status="open")
    intent = stripe.pay(order)
    assert stripe.deliver(stripe.of("checkout.session.completed")[0]) == 200
    shop.wait_order(order, "refunded")
    assert refunded(shop, order) == 500
    for event in stripe.of("charge.refunded") + stripe.of("refund.created"):
        assert stripe.deliver(event) == 200
    assert refunded(shop, order) == 500
    assert [refund["amount"] for refund in stripe.refunds.values()] == [500]
    assert stripe.charges[stripe.intents[intent]["latest_charge"]]["refunded"]


def test_a_pending_refund_is_followed_and_the_event_may_come_first(open_shop, stripe, enter):
    stripe.refund_status = "pending"
    shop = open_shop({"poll_s": "0.2"})
    alice = enter(shop)
    order = buy(alice)
    intent = stripe.pay(order, is_instant=False)
    alice.decline(order)
    stripe.settle(order, is_paid=True)
    wait_until(lambda: stripe.refunds, what="the refund")
    [name] = stripe.refunds
    wait_until(lambda: len(stripe.asked("GET", f"/v1/refunds/{name}")) > 1, what="the refund asked for")
    stripe.refunds[name]["status"] = "succeeded"
    shop.wait_taken()
    shop.wait_order(order, "refunded")
    wait_until(lambda: shop.order(order)["refunds"][0]["state"] == "confirmed", what="the refund confirmed")
    assert refunded(shop, order) == 500 and len(stripe.asked("POST", "/v1/refunds")) == 1
    assert intent == stripe.refunds[name]["payment_intent"]


def test_a_refund_that_fails_at_stripe_is_for_a_person(open_shop, stripe, enter):
    shop = open_shop()
    alice = enter(shop)
    _order, intent, _serial = purchase(shop, alice)
    name = stripe.refund(intent, 100)["id"]
    stripe.fail_refund(name)
    shop.wait_taken()
    wait_until(lambda: f"refund {name} has failed at Stripe" in shop.log(), what="the alarm")


def test_an_inquiry_suspends_nothing(open_shop, stripe, enter):
    shop = open_shop()
    alice = enter(shop)
    order, intent, serial = purchase(shop, alice)
    name = stripe.dispute(intent, "warning_needs_response")
    stripe.move_dispute(name, "warning_under_review")
    stripe.move_dispute(name, "warning_closed")
    shop.wait_taken()
    assert shop.order(order)["state"] == "fulfilled" and alice.serials()["dice"][1] == serial
    assert [row["kind"] for row in shop.order(order)["ledger"]] == ["payment"]


def test_an_inquiry_that_becomes_a_dispute_is_one(open_shop, stripe, enter):
    shop = open_shop()
    alice = enter(shop)
    order, intent, _serial = purchase(shop, alice)
    name = stripe.dispute(intent, "warning_needs_response")
    stripe.move_dispute(name, "needs_response")
    shop.wait_taken()
    assert [(row["kind"], row["id"]) for row in shop.order(order)["ledger"][1:]] == [("dispute", name)]
    stripe.move_dispute(name, "won")
    shop.wait_taken()
    assert [row["kind"] for row in shop.order(order)["ledger"][1:]] == ["dispute", "dispute-won"]


def test_a_lost_dispute_is_in_the_books(open_shop, stripe, enter):
    shop = open_shop()
    alice = enter(shop)
    order, intent, _serial = purchase(shop, alice)
    name = stripe.dispute(intent)
    stripe.move_dispute(name, "under_review")
    stripe.move_dispute(name, "lost")
    shop.wait_taken()
    assert [row["kind"] for row in shop.order(order)["ledger"][1:]] == ["dispute", "dispute-lost"]
    assert "unmatched" not in shop.log()


def test_a_dispute_that_overtakes_its_payment_finds_it(open_shop, stripe, enter):
    stripe.is_sending = False
    shop = open_shop({"poll_s": "300"})
    alice = enter(shop)
    order = buy(alice)
    name = stripe.dispute(stripe.pay(order))
    for event in reversed(stripe.events):
        assert stripe.deliver(event) == 200
    wait_until(lambda: "dispute" in [row["kind"] for row in shop.order(order)["ledger"]], what="the dispute matched")
    assert [row["id"] for row in shop.order(order)["ledger"] if row["kind"] == "dispute"] == [name]


def tamper(stripe, event):
    body = json.dumps(event).encode()
    good = stripe.header(body)
    timestamp, mac = good.split(",")[0], good.split(",")[1]
    return {
        "another secret": (body, sign("whsec_another_secret_of_somebody", body)),
        "a changed byte": (body.replace(b'"amount_total": 500', b'"amount_total": 501'), good),
        "301 s ago": (body, stripe.header(body, time.time() - 301)),
        "302 s ahead": (body, stripe.header(body, time.time() + 302)),
        "only the old scheme": (body, f"{timestamp},v0={mac[3:]}"),
        "no timestamp": (body, mac),
        "two timestamps": (body, f"{timestamp},{good}"),
        "a timestamp of letters": (body, f"t=now,{mac}"),
        "another timestamp": (body, f"t={int(time.time()) - 7},{mac}"),
        "half a signature": (body, good.split(",v0")[0][:-2]),
        "seventeen signatures": (body, timestamp + (",v1=" + "0" * 64) * 16 + "," + mac),
        "Standard Webhooks": (body, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    }


def test_what_is_not_signed_by_stripe_changes_nothing(open_shop, stripe, enter):
    stripe.is_sending = False
    shop = open_shop({"poll_s": "300"})
    alice = enter(shop)
    order = buy(alice)
    stripe.pay(order)
    [event] = stripe.events
    for what, (body, header) in tamper(stripe, event).items():
        assert stripe.deliver(event, body=body, header=header) == 401, what
    assert stripe.deliver(event, header=",") == 401
    assert shop.order(order)["ledger"] == [] and shop.order(order)["state"] == "awaiting-payment"
    assert stripe.deliver(event) == 200
    shop.wait_order(order, "fulfilled")


@pytest.mark.parametrize("values", [[], [""], ["t=1,v1=0", "t=1,v1=0"]], ids=["missing", "empty", "repeated"])
def test_a_header_that_is_not_there_once_is_refused(open_shop, stripe, values):
    open_shop()
    where = urllib.parse.urlsplit(stripe.endpoint)
    connection = http.client.HTTPConnection(where.netloc, timeout=10)
    connection.putrequest("POST", where.path)
    for value in values:
        connection.putheader("Stripe-Signature", value)
    connection.putheader("Content-Length", "2")
    connection.endheaders(b"{}")
    assert connection.getresponse().status == 400
    connection.close()


def test_a_body_over_64_kib_is_refused_and_one_of_30_kb_is_not(open_shop, stripe):
    open_shop()
    event = {"id": "evt_large", "type": "customer.created", "livemode": False, "data": {"object": {"x": "y" * 30000}}}
    assert stripe.deliver(event) == 200
    event["data"]["object"]["x"] = "y" * 65536
    assert stripe.deliver(event) == 413


def test_the_same_event_twice_counts_once_and_changed_is_an_alarm(open_shop, stripe, enter):
    stripe.is_sending = False
    shop = open_shop({"poll_s": "300"})
    alice = enter(shop)
    order = buy(alice)
    stripe.pay(order)
    [event] = stripe.events
    assert [stripe.deliver(event) for _ in range(3)] == [200] * 3
    shop.wait_order(order, "fulfilled")
    event["pending_webhooks"] = 0  # Stripe counts what it has not delivered yet
    assert stripe.deliver(event) == 200
    event["data"]["object"]["amount_total"] = 5
    assert stripe.deliver(event) == 200
    wait_until(lambda: "with another body" in shop.log(), what="the alarm")
    assert shop.log().count("with another body") == 1
    assert len(shop.order(order)["ledger"]) == 1


def test_types_that_nobody_knows_and_other_peoples_sales_are_taken_and_ignored(open_shop, stripe):
    shop = open_shop()
    for number, (kind, thing) in enumerate([
            ("customer.created", {"id": "cus_1", "object": "customer"}),
            ("v2.core.event_destination.ping", {}),
            ("checkout.session.completed", {"id": "cs_1", "mode": "payment", "payment_status": "paid", "metadata": {},
                                            "payment_intent": "pi_1", "amount_total": 5, "currency": "eur"}),
            ("charge.refunded", {"id": "ch_1", "payment_intent": None, "metadata": {}})]):
        event = {"id": f"evt_other{number}", "type": kind, "livemode": False, "data": {"object": thing}}
        assert stripe.deliver(event) == 200
    assert "unmatched" not in shop.log()


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"id":"evt_1"}', b'{"id":"evt_1","type":"charge.refunded"}',
                                  b'{"type":"checkout.session.completed","livemode":false,"data":{"object":[]}}'])
def test_what_is_authentic_and_no_event_is_kept_for_a_person(open_shop, stripe, body):
    shop = open_shop()
    assert [stripe.deliver(None, body=body) for _ in range(2)] == [200, 200]
    assert shop.log().count("delivery kept unmatched") == 1


def test_live_events_move_nothing_in_test_mode(open_shop, stripe, enter):
    stripe.is_sending = False
    shop = open_shop({"poll_s": "300"})
    alice = enter(shop)
    order = buy(alice)
    stripe.pay(order)
    [event] = stripe.events
    event["livemode"] = True
    assert stripe.deliver(event) == 200
    assert shop.order(order)["ledger"] == [] and shop.order(order)["state"] == "awaiting-payment"
    wait_until(lambda: "of the other mode" in shop.log(), what="the warning")


def test_yen_have_no_cents_and_ariary_are_counted_otherwise(open_shop, stripe, enter):
    shop = open_shop()
    for name, price, currency, amount in [("tea", 500, "JPY", 500), ("fish", 700, "ISK", 70000),
                                          ("dates", 5120, "KWD", 5120), ("vanilla", 200000, "MGA", 2000)]:
        shop.plugin(name, source="keygen", module="libweather-keygen.so", price=price, currency=currency)
        alice = enter(shop)
        order, intent, _serial = purchase(shop, alice, name)
        assert stripe.session_of(order)["amount_total"] == amount
        shown = shop.wait_order(order, "fulfilled")
        assert (shown["ledger"][0]["amount"], shown["currency"]) == (price, currency)
        stripe.refund(intent, amount)
        shop.wait_order(order, "refunded")
        assert refunded(shop, order) == price


def test_an_amount_that_stripe_does_not_have_is_refused_before_it_is_asked(open_shop, stripe, enter):
    shop = open_shop()
    shop.plugin("crumb", source="keygen", module="libweather-keygen.so", price=5124, currency="KWD")
    order = enter(shop).buy("crumb")
    assert order.get("state") == "expired"
    assert "cannot charge this amount" in shop.order(order.get("id"))["reason"]
    assert stripe.requests == []


def test_a_session_is_made_once_however_often_it_is_asked_for(open_shop, stripe, enter):
    def lost(method, path, key, form):
        stripe.once(method, path, key, form)
        return 503, {"error": {"type": "api_error"}}
    stripe.answers[:] = [lost, lambda *_: (409, {"error": {"type": "idempotency_error"}}),
                         lambda *_: (429, {"error": {"code": "rate_limit"}})]
    shop = open_shop()
    alice = enter(shop)
    order = buy(alice)
    wait_until(lambda: shop.order(order)["checkout"], what="the session")
    assert len(stripe.sessions) == 1
    assert [key for key, _form in stripe.asked("POST", "/v1/checkout/sessions")] == [order] * 4
    forms = [form for _key, form in stripe.asked("POST", "/v1/checkout/sessions")]
    assert all(form == forms[0] for form in forms)


def test_a_rolled_secret_is_good_beside_the_new_one(open_shop, stripe, enter):
    """Stripe signs with both while a secret is being rolled, and the host takes both while it is being changed."""
    shop = open_shop({"poll_s": "300"})
    alice = enter(shop)
    new = "whsec_rolled_secret_abcdefghijklmnop"
    stripe.secrets = [SECRET, new]
    alice.close()
    shop.restart(webhook_secret=new)
    alice = enter(shop)
    purchase(shop, alice)
    stripe.secrets = [SECRET]  # an attempt that was under way
    stripe.is_sending = False
    bob = enter(shop)
    order = buy(bob)
    stripe.pay(order)
    assert stripe.deliver(stripe.events[-1]) == 200
    shop.wait_order(order, "fulfilled")
    assert "old secret only" in shop.log()
    stripe.secrets = [new]
    stripe.is_sending = True
    purchase(shop, enter(shop))


@pytest.mark.parametrize("change, key", [
    ({"webhook_secret": "short"}, "webhook_secret"), ({"api_key": "sk_live_x"}, "api_key"),
    ({"mode": "live"}, "api_key"), ({"type": "paypal"}, "type"), ({"merchant": "a b"}, "merchant")])
def test_a_configuration_that_makes_no_sense_opens_nothing(tmp_path, stripe, change, key):
    shop = StripeShop(tmp_path / "shop", stripe, **change)
    try:
        host = Host(tmp_path / "host", config=shop.config())
        status, output = host.fail_start()
        assert status != 0 and f"{host.config_path}: [billing stripe] {key}: " in output
        assert KEY not in output and "sk_live_x" not in output
        assert not list(host.data.iterdir())
    finally:
        shop.vendor.close()


def test_a_key_of_the_other_mode_is_an_alarm(open_shop, stripe, enter):
    """The double says livemode false; a live shop must not take that for money."""
    stripe.key = "rk_unmarked"
    shop = open_shop({"poll_s": "300"}, mode="live")
    customer = enter(shop)
    customer.buy("dice")
    wait_until(lambda: "the key is not of the configured mode" in shop.log(), what="the alarm")
