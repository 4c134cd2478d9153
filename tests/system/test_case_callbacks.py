"""Cases of docs/money.md: what a delivery of the provider does, and what it must not do. Here the test is the courier:
billing-stub keeps its ledger and delivers nothing, so every callback is one that the test carries."""

import concurrent.futures
import json
import resource
import time

import pytest

from lib.billing import SECRET, sign
from lib.cases import CasesShop
from lib.process import wait_until
from test_callback_envelope import send, request as raw_request


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    shop = CasesShop(tmp_path_factory.mktemp("shop"), stub=("--fault", "drop"),
                     market={"unmatched_retry_s": "0.1,0.2", "unmatched_alarm_s": "0.4"})
    try:
        yield shop.start()
    finally:
        shop.stop()


@pytest.fixture
def polled_shop(tmp_path, started):
    return started(CasesShop(tmp_path / "shop", stub=("--fault", "drop"), market={"poll_s": "0.2"}))


@pytest.fixture
def paid(shop):
    """An order that is paid at the provider, who has told nobody so far."""
    case = shop.enter().order(shop.sell("plugin-server"))
    case.pay()
    return case


FULFILLED = {"books": "fulfilled/paid; payment 500; serial issued", "provider": "paid: 500", "vendor": "issued",
             "serial": "active"}
UNTOUCHED = {"books": "awaiting-payment/pending", "provider": "paid: 500", "vendor": "", "serial": "none", "told": ""}


# --- told more than once


def test_case_same_webhook_id_again(paid):
    paid.tell(webhook_id=f"msg_{paid.id}")
    paid.settle(**FULFILLED, told="paid fulfilled +active")
    paid.tell(webhook_id=f"msg_{paid.id}")
    paid.settle(**FULFILLED, told="")


def test_case_same_webhook_id_with_another_body(shop, paid):
    name = f"msg_{paid.id}"
    paid.tell(webhook_id=name)
    paid.tell(webhook_id=name, payment="pay_other", amount=1)
    paid.settle(**FULFILLED, told="paid fulfilled +active")
    shop.wait_alarm("delivery again", name, "with another body")


def test_case_replayed_within_the_window(shop, paid):
    body = json.dumps(paid.event()).encode()
    name, timestamp = f"msg_{paid.id}", str(int(time.time()) - 200)
    headers = [("webhook-id", name), ("webhook-timestamp", timestamp), ("webhook-signature", sign(SECRET, name, timestamp, body))]
    first = send(shop.host, raw_request(headers, body))
    paid.settle(**FULFILLED, told="paid fulfilled +active")
    for _ in range(3):
        again = send(shop.host, raw_request(headers, body))
        assert (again[0], again[2]) == (first[0], first[2]) == (200, b"{}")
    paid.settle(**FULFILLED, told="")


def test_case_same_payment_under_a_new_id(paid):
    paid.tell()
    paid.settle(**FULFILLED, told="paid fulfilled +active")
    paid.tell()
    paid.settle(**FULFILLED, told="")


def test_case_same_payment_by_polling_and_then_by_callback(polled_shop):
    case = polled_shop.enter().order(polled_shop.sell("plugin-server"))
    case.pay()
    case.settle(**FULFILLED, told="paid fulfilled +active")
    assert [row["by"] for row in case.books()["ledger"]] == ["poll"]
    case.tell()
    case.settle(**FULFILLED, told="")


def test_case_provider_never_calls(polled_shop):
    paid, declined = (polled_shop.enter().order(polled_shop.sell("pool")) for _ in range(2))
    paid.pay()
    declined.decline_there()
    paid.settle(books="fulfilled/paid; payment 500; serial issued", provider="paid: 500", vendor="free 1, delivered 1",
                serial="active", told="paid fulfilled +active")
    declined.settle(books="declined/failed", provider="declined", vendor="free 2", serial="none", told="declined")


def test_case_two_deliveries_at_once(shop, paid):
    event = paid.event()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda number: shop.callback(event, webhook_id=f"msg_{number % 4}_{paid.id}"), range(16)))
    assert statuses == [200] * 16
    paid.settle(**FULFILLED, told="paid fulfilled +active")


# --- told of what is not ours


def test_case_unknown_order(shop, paid):
    paid.tell(order="o_nobody", payment=f"pay_for_nobody_{paid.id}")
    shop.wait_alarm("delivery still unmatched", "no such order")
    paid.settle(**UNTOUCHED)


@pytest.mark.parametrize("change, reason", [({"currency": "USD"}, "another currency"), ({"merchant": "someone-else"}, "another merchant"),
                                            ({"checkout": "cs_other"}, "another checkout")])
def test_case_other_currency_or_merchant(shop, paid, change, reason):
    before = len([line for line in shop.alarms() if reason in line])
    paid.tell(**change)
    wait_until(lambda: len([line for line in shop.alarms() if "kept unmatched" in line and reason in line]) == before + 1)
    paid.settle(**UNTOUCHED)
    paid.tell()  # and the order goes on with money that is its own
    paid.settle(**FULFILLED, told="paid fulfilled +active")


def test_case_other_mode(shop, paid):
    paid.tell(live=False)
    wait_until(lambda: "delivery of the other mode ignored" in shop.log())
    paid.settle(**UNTOUCHED)


# --- not told by the provider at all


def market_lines(shop):
    """Without alarms, which come when they are due, about what earlier tests left."""
    return [line for line in shop.log().splitlines()
            if (" market: " in line or " http: " in line) and " market: stuck " not in line]


@pytest.mark.parametrize("change", [
    {"secret": "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}, {"headers": {"webhook-signature": "v2,AAAA"}},
    {"headers": {"webhook-signature": "AAAA"}}, {"webhook_id": "has a blank"}, {"age": 301}, {"age": -302},
    {"headers": {"webhook-timestamp": "now"}}, {"headers": {"webhook-signature": " ".join(["v1,AAAA"] * 17)}}],
    ids=["wrong key", "unknown version", "no version", "bad characters", "stale", "from the future", "no time",
         "17 signatures"])
def test_case_forged(shop, paid, change):
    change = dict(change)
    lines_before = market_lines(shop)
    if "age" in change:
        change["at"] = time.time() - change.pop("age")
    for _ in range(3):
        assert shop.callback(paid.event(), **change) == 401
    paid.settle(**UNTOUCHED)
    assert market_lines(shop) == lines_before, "a stranger can fill the log"


def test_case_forged_has_one_answer(shop, paid):
    body = json.dumps(paid.event()).encode()
    now = str(int(time.time()))
    good = {"webhook-id": f"msg_{paid.id}", "webhook-timestamp": now,
            "webhook-signature": sign(SECRET, f"msg_{paid.id}", now, body)}
    answers = {send(shop.host, raw_request({**good, **change}.items(), body))[::2]
               for change in [{"webhook-signature": "v1,AAAA"}, {"webhook-id": "a b"}, {"webhook-timestamp": "1"},
                              {"webhook-timestamp": "x"}, {"webhook-signature": " ".join(["v1,AAAA"] * 17)}]}
    assert len(answers) == 1 and answers.pop()[0] == 401
    paid.settle(**UNTOUCHED)


def test_case_envelope_header_missing_empty_or_repeated(shop, paid):
    body = json.dumps(paid.event()).encode()
    now = str(int(time.time()))
    good = [("webhook-id", f"msg_{paid.id}"), ("webhook-timestamp", now),
            ("webhook-signature", sign(SECRET, f"msg_{paid.id}", now, body))]
    for number, (name, value) in enumerate(good):
        for replacement in [[], [(name, "")], [(name, value), (name.upper(), value)]]:
            assert send(shop.host, raw_request(good[:number] + replacement + good[number + 1:], body))[0] == 400
    paid.settle(**UNTOUCHED)


def test_case_body_too_large(shop, paid):
    text = json.dumps(paid.event())
    assert shop.callback(None, body=text.encode() + b" " * (20001 - len(text))) == 413
    paid.settle(**UNTOUCHED)
    assert shop.callback(None, body=text.encode() + b" " * (20000 - len(text))) == 200
    paid.settle(**FULFILLED, told="paid fulfilled +active")


@pytest.mark.parametrize("spoil", [
    lambda event: b"not json", lambda event: b"[]", lambda event: json.dumps({**event, "data": None}).encode(),
    lambda event: json.dumps({**event, "data": {**event["data"], "amount": 500.0}}).encode(),
    lambda event: json.dumps({**event, "data": {**event["data"], "amount": 0}}).encode(),
    lambda event: json.dumps({**event, "data": {key: value for key, value in event["data"].items() if key != "payment"}}).encode(),
    lambda event: json.dumps({**event, "data": {key: value for key, value in event["data"].items() if key != "live"}}).encode(),
], ids=["not JSON", "no object", "no data", "10.0", "0", "no payment", "no live"])
def test_case_poison(shop, paid, spoil):
    before = len([line for line in shop.alarms() if "kept unmatched" in line])
    assert shop.callback(None, body=spoil(paid.event())) == 200
    wait_until(lambda: len([line for line in shop.alarms() if "kept unmatched" in line]) == before + 1, what="it is kept")
    paid.settle(**UNTOUCHED)


def test_case_store_full(shop, paid):
    """What cannot be recorded is not acknowledged; the provider's next attempt finds room."""
    body = json.dumps(paid.event()).encode()
    name, now = f"msg_{paid.id}", str(int(time.time()))
    data = raw_request([("webhook-id", name), ("webhook-timestamp", now), ("webhook-signature", sign(SECRET, name, now, body))], body)
    pid = shop.host.process.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    try:
        for _ in range(3):
            status, head, _text = send(shop.host, data)
            assert status == 503 and "\r\nretry-after: " in head
        paid.settle(**UNTOUCHED)
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))
    wait_until(lambda: send(shop.host, data)[0] == 200, what="room")
    paid.settle(**FULFILLED, told="paid fulfilled +active")


# --- told in another order than it happened


def test_case_refund_before_the_payment(paid):
    paid.refund_there(500)
    paid.tell("payment.refunded")
    paid.settle(books="awaiting-payment/pending; refund 500", provider="paid: 500 (refund 500 done)", vendor="",
                serial="none", told="")
    paid.tell()
    paid.settle(books="refunded/refunded; refund 500, payment 500", provider="paid: 500 (refund 500 done)", vendor="",
                serial="none", told="refunded")


def test_case_part_refund_before_the_payment(paid):
    """A part of it went back before we knew of it: no serial, and the rest goes back too."""
    paid.refund_there(200)
    paid.tell("payment.refunded")
    paid.tell()
    paid.settle(books="refunded/refunded; refund 200, payment 500, refund 300; back 300 confirmed",
                provider="paid: 500 (refund 200 done, refund 300 done)", vendor="", serial="none", told="refunding refunded")


@pytest.mark.parametrize("end, books, provider, told", [
    ("lost", "charged-back/charged-back; dispute 500, payment 500, dispute-lost 500", "paid: 500 (dispute lost)", "refunded"),
    ("won", "refunded/refunded; dispute 500, payment 500, dispute-won 500, refund 500; back 500 confirmed",
     "paid: 500 (refund 500 done, dispute won)", "refunded")])
def test_case_dispute_before_the_payment(paid, end, books, provider, told):
    """No serial comes of it; nothing is refunded while the bank decides, and then only if the money stayed here."""
    paid.dispute("open")
    paid.tell("payment.disputed")
    paid.settle(books="awaiting-payment/disputed; dispute 500", provider="paid: 500 (dispute open)", vendor="",
                serial="none", told="")
    paid.tell()
    paid.settle(books="refund-due/disputed; dispute 500, payment 500", provider="paid: 500 (dispute open)", vendor="",
                serial="none", told="refunding")
    paid.dispute(end)
    paid.tell(f"payment.dispute_{end}")
    paid.settle(books=books, provider=provider, vendor="", serial="none", told=told)


def test_case_dispute_won_before_the_payment(paid):
    """Opened and won before we heard of the payment: it was reversed once, and yields nothing."""
    paid.dispute("open")
    opened = paid.event("payment.disputed")
    paid.dispute("won")
    paid.tell("payment.dispute_won")
    assert paid.shop.callback(opened) == 200
    paid.tell()
    paid.settle(books="refunded/refunded; dispute-won 500, dispute 500, payment 500, refund 500; back 500 confirmed",
                provider="paid: 500 (refund 500 done, dispute won)", vendor="", serial="none", told="refunding refunded")


@pytest.mark.parametrize("source", ["keygen", "plugin-server", "pool"])
def test_case_refund_before_the_payment_of_a_reserved_order(shop, source):
    """It goes back before the serial was anybody's."""
    case = shop.enter().order(shop.sell(source, policy="reserve"))
    case.pay()
    case.refund_there(500)
    case.tell("payment.refunded")
    case.tell()
    case.settle(books="refunded/refunded; refund 500, payment 500; serial abandoned", provider="paid: 500 (refund 500 done)",
                vendor={"keygen": "", "plugin-server": "void", "pool": "free 2"}[source], serial="none", told="refunded")
