"""The provider being slow, broken, or of another mind: checkouts, cancellations and refunds."""

import shutil
import time

import pytest

from lib.market import MARKET, ScriptedProvider, Shop, read_serials
from lib.process import BUILD, wait_until
from lib.xmpp import error_condition


@pytest.fixture
def provider():
    provider = ScriptedProvider()
    yield provider
    provider.close()


@pytest.fixture
def open_shop(tmp_path, provider, started):
    return lambda **market: started(Shop(tmp_path / "shop", market=market, provider=provider))


def charge_of(order):
    charge = order.find(f"{{{MARKET}}}charge")
    return charge.get("url") if charge is not None else None


def charge_for(customer, order):
    """From the answer, or from the push if it came late."""
    return charge_of(order) or charge_of(customer.push_of("order", id=order.get("id"), state="awaiting-payment"))


def test_a_slow_checkout_is_answered_in_time_and_its_charge_pushed(open_shop, provider, enter):
    def slow(*arguments):
        time.sleep(5.5)
        return provider.answer(*arguments)
    provider.answers[:] = [slow]
    alice = enter(open_shop(vendor_timeout_s="10"))
    began = time.monotonic()
    order = alice.buy("dice")
    assert time.monotonic() - began < 5
    assert order.get("state") == "awaiting-payment" and charge_of(order) is None
    push = alice.push_of("order", id=order.get("id"), state="awaiting-payment")
    assert charge_of(push) == f"{provider.base}/pay/{order.get('id')}"


def test_a_checkout_that_times_out_is_asked_for_again_with_the_same_key(open_shop, provider, enter):
    def late(*arguments):
        value = provider.answer(*arguments)
        time.sleep(2.5)
        return value
    provider.answers[:] = [late]
    alice = enter(open_shop())
    order = alice.buy("dice")
    assert charge_for(alice, order) is not None
    assert [key for key, _body in provider.of("POST", "/v1/checkouts")] == [order.get("id")] * 2


def test_a_repeated_failure_gets_a_new_key(open_shop, provider, enter):
    provider.answers[:] = [lambda *_: (500, {})] * 2
    alice = enter(open_shop())
    order = alice.buy("dice")
    assert charge_for(alice, order) is not None
    keys = [key for key, _body in provider.of("POST", "/v1/checkouts")]
    assert keys == [order.get("id"), order.get("id"), order.get("id") + ".1"]


def test_a_refused_checkout_ends_the_order_without_a_charge(open_shop, provider, enter):
    provider.answers[:] = [lambda *_: (422, {"error": "this merchant may not"})]
    shop = open_shop()
    alice = enter(shop)
    order = alice.buy("dice")
    assert order.get("state") == "expired" and charge_of(order) is None
    assert "422" in shop.order(order.get("id"))["reason"]
    assert charge_of(alice.buy("dice")) is not None  # a new request is a new order


@pytest.mark.parametrize("answer", [{"checkout": "cs_1", "url": "http://example.org/pay"},
                                    {"checkout": "cs_1", "url": "javascript:alert(1)"},
                                    {"checkout": "has a blank", "url": "https://example.org/"},
                                    {"url": "https://example.org/"}, []])
def test_an_answer_that_is_none_is_not_shown_to_anybody(open_shop, provider, enter, answer):
    provider.answers[:] = [lambda *_: (201, answer)]
    alice = enter(open_shop())
    order = alice.buy("dice")
    assert charge_for(alice, order) == f"{provider.base}/pay/{order.get('id')}"  # of the second attempt


def test_declining_before_there_is_a_charge_declines_it_when_it_comes(open_shop, provider, enter):
    def slow(*arguments):
        time.sleep(4.6)
        return provider.answer(*arguments)
    provider.answers[:] = [slow]
    shop = open_shop(vendor_timeout_s="10")
    alice = enter(shop)
    order = alice.buy("dice")
    assert charge_of(order) is None
    assert alice.decline(order.get("id")).get("state") == "declined"
    wait_until(lambda: provider.checkouts[order.get("id")]["status"] == "declined", what="the checkout cancelled")


def test_money_that_follows_a_decline_on_the_page_is_found_without_its_callback(open_shop, provider, enter):
    """It is not polled any more; but when it cannot be paid any more, it is looked at once again."""
    shop = open_shop(order_expiry_s="1.5")
    alice = enter(shop)
    order = alice.buy("dice").get("id")
    assert shop.callback(shop.event(order, "checkout.declined")) == 200
    shop.wait_order(order, "declined")
    provider.checkouts[order].update(status="paid", payments=[{"payment": "pay_1", "amount": 500, "refunds": [], "disputes": []}])
    shown = shop.wait_order(order, "refunded")
    assert [row["by"] for row in shown["ledger"]] == ["poll", "refund"]
    assert alice.serials() == {}


def test_a_payment_that_crosses_the_decline_goes_back(open_shop, provider, enter):
    shop = open_shop()
    alice = enter(shop)
    order = alice.buy("dice").get("id")

    def paid(_method, _path, _key, _body):
        checkout = provider.checkouts[order]
        checkout.update(status="paid", payments=[{"payment": "pay_1", "amount": 500, "refunds": [], "disputes": []}])
        return 409, checkout
    provider.answers[:] = [paid]
    alice.decline(order)
    shown = shop.wait_order(order, "refunded")
    [(key, body)] = provider.of("POST", "/v1/refunds")
    assert (body["payment"], body["amount"], body["currency"]) == ("pay_1", 500, "EUR")
    assert key == shown["refunds"][0]["refund"]
    assert alice.serials() == {}




def test_a_pending_refund_is_followed_until_it_is_done(open_shop, provider, enter):
    shop = open_shop()
    alice = enter(shop)
    order = alice.buy("dice").get("id")
    event = shop.event(order)
    alice.decline(order)
    wait_until(lambda: provider.checkouts[order]["status"] == "declined")
    provider.answers[:] = [lambda *_: (201, {"refund": "re_7", "status": "pending"}),
                           lambda *_: (200, {"refund": "re_7", "status": "pending"})]
    shop.callback(event)
    alice.push_of("order", id=order, state="refunding")
    alice.push_of("order", id=order, state="refunded")
    [refund] = shop.order(order)["refunds"]
    assert (refund["state"], refund["provider-refund"]) == ("confirmed", "re_7")
    assert len(provider.of("POST", "/v1/refunds")) == 1 and len(provider.of("GET", "/v1/refunds/re_7")) == 2


def test_a_refund_is_sent_again_with_its_key_until_the_provider_answers(open_shop, provider, enter):
    shop = open_shop()
    alice = enter(shop)
    order = alice.buy("dice").get("id")
    event = shop.event(order)
    alice.decline(order)
    wait_until(lambda: provider.checkouts[order]["status"] == "declined")

    def lost(*arguments):
        provider.answer(*arguments)
        return 502, {}
    provider.answers[:] = [lost, lambda *_: (503, {}), lambda *_: (429, {})]
    shop.callback(event)
    shop.wait_order(order, "refunded")
    keys = {key for key, _body in provider.of("POST", "/v1/refunds")}
    assert len(keys) == 1 and len(provider.refunds) == 1 and len(shop.order(order)["refunds"]) == 1


def test_a_refused_refund_is_for_a_person(open_shop, provider, enter):
    shop = open_shop()
    alice = enter(shop)
    order = alice.buy("dice").get("id")
    event = shop.event(order)
    alice.decline(order)
    wait_until(lambda: provider.checkouts[order]["status"] == "declined")
    provider.answers[:] = [lambda *_: (201, {"refund": "re_8", "status": "refused"})]
    shop.callback(event)
    shop.wait_order(order, "review")
    alice.push_of("order", id=order, state="review")
    assert "refund refused" in shop.log()


def test_a_wrong_key_at_the_provider_is_an_alarm_and_not_the_users_fault(open_shop, provider, enter):
    provider.answers[:] = [lambda *_: (401, {})] * 2
    shop = open_shop()
    alice = enter(shop)
    assert charge_for(alice, alice.buy("dice")) is not None
    assert "its configuration must be looked at" in shop.log()


def test_a_keygen_that_dies_after_the_money_gives_it_back(open_shop, provider, enter, tmp_path):
    """Same inputs again with pauses, then there is no other source."""
    folder = tmp_path / "modules"
    folder.mkdir()
    [hostile] = BUILD.glob("tests/hostile/hostile.so")
    bytes_ = bytearray(hostile.read_bytes())
    at = bytes_.index(b"HOSTILE-ORDERS:")
    orders = b"HOSTILE-ORDERS: call_abort call 0\0"
    bytes_[at:at + len(orders)] = orders
    (folder / "dying.so").write_bytes(bytes_)
    for keygen in BUILD.glob("keygen-modules/*.so"):
        shutil.copy(keygen, folder)
    tmp_path.chmod(0o755)
    folder.chmod(0o755)
    shop = open_shop()
    shop.host.groups["modules"]["folder"] = folder
    shop.host.write_config()
    shop.host.restart()
    shop.plugin("dying", source="keygen", module="dying.so")
    alice = enter(shop)
    order = alice.buy("dying")
    assert not order.tag.endswith("iq"), error_condition(order)
    assert shop.callback(shop.event(order.get("id"))) == 200
    shown = shop.wait_order(order.get("id"), "refunded", timeout=30)
    assert shown["issue"][0]["state"] == "failed-final" and alice.serials() == {}
    # The healthy one beside it is not touched.
    other = alice.buy("weather")
    assert shop.callback(shop.event(other.get("id"))) == 200
    assert read_serials(alice.push_of("serials"))["weather"][0] == "active"
