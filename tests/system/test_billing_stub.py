"""The payment provider for development, from outside: docs of the protocol, section 9 and 12."""

import concurrent.futures
import json
import subprocess
import time

import pytest

from lib.billing import KEY, MERCHANT, SECRET, Form, Receiver, Stub
from lib.process import program, wait_until


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def start(tmp_path):
    stubs = []

    def start_stub(*arguments):
        stub = Stub(tmp_path, *arguments).start()
        stubs.append(stub)
        return stub

    yield start_stub
    for stub in stubs:
        stub.stop()


def test_paying_on_the_page_is_told_once_and_signed(start, receiver):
    stub = start()
    checkout = stub.checkout(receiver.url, description="<b>Weather</b> & \"more\"")
    answer, text = stub.page(checkout)
    assert answer.status == 200 and answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "4.99 EUR" in text and "&lt;b&gt;Weather&lt;/b&gt; &amp; " in text and "<b>" not in text
    assert Form(text).scripts == 0
    status, text = stub.press(checkout, "pay")
    assert status == 303 and "Paid, thank you" in text and "<form" not in text

    delivery = receiver.next()
    assert delivery.is_authentic() and delivery.path == "/v1/billing/stub"
    event = delivery.event
    payment = event["data"].pop("payment")
    assert event["type"] == "checkout.paid"
    assert event["data"] == {"merchant": MERCHANT, "order": "o_1", "checkout": checkout["checkout"], "amount": 499,
                             "currency": "EUR", "live": True}
    assert stub.get(checkout) == {
        "checkout": checkout["checkout"], "order": "o_1", "status": "paid", "amount": 499, "currency": "EUR",
        "payments": [{"payment": payment, "amount": 499, "refunds": [], "disputes": []}]}
    assert receiver.is_quiet(0.3)


def test_declining_charges_nothing(start, receiver):
    stub = start()
    checkout = stub.checkout(receiver.url)
    status, text = stub.press(checkout, "decline")
    assert status == 303 and "nothing was charged" in text
    assert receiver.next().event["type"] == "checkout.declined"
    assert stub.get(checkout)["status"] == "declined" and stub.get(checkout)["payments"] == []


def test_form_without_the_pages_token_is_refused(start, receiver):
    stub = start()
    checkout = stub.checkout(receiver.url)
    path = "/pay/" + checkout["checkout"]
    for body in ["action=pay", "action=pay&token=", "action=pay&token=x", "action=pay&token=x&token=x", ""]:
        assert stub.request("POST", path, body)[0].status == 403
    _answer, text = stub.page(checkout)
    token = Form(text).fields["token"]
    assert stub.request("POST", path, f"action=steal&token={token}")[0].status == 400
    other = stub.checkout(receiver.url, order="o_2")
    assert stub.request("POST", "/pay/" + other["checkout"], f"action=pay&token={token}")[0].status == 403
    assert stub.request("GET", "/pay/co_unknown")[0].status == 404
    assert stub.get(checkout)["status"] == "open"
    assert receiver.is_quiet(0.2)


def test_idempotency_key_gives_the_same_checkout(start, receiver):
    stub = start()
    body = stub.order(receiver.url)
    first = stub.call("POST", "/v1/checkouts", body, key="k1")
    assert first[0] == 201
    assert stub.call("POST", "/v1/checkouts", body, key="k1") == first
    assert stub.call("POST", "/v1/checkouts", json.dumps(body, indent=4, sort_keys=True), key="k1") == first
    assert stub.call("POST", "/v1/checkouts", {**body, "amount": 500}, key="k1")[0] == 409
    assert stub.call("POST", "/v1/checkouts", body, key="k2")[1]["checkout"] != first[1]["checkout"]
    assert stub.call("POST", "/v1/checkouts", body)[0] == 400

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _i: stub.call("POST", "/v1/checkouts", body, key="k3"), range(16)))
    assert len({answer["checkout"] for _status, answer in answers}) == 1


@pytest.mark.parametrize("changes", [
    {"amount": 0}, {"amount": -1}, {"amount": 10.0}, {"amount": "10"}, {"amount": 2**53}, {"amount": None},
    {"currency": "eur"}, {"currency": "EU"}, {"currency": None}, {"order": ""}, {"order": None},
    {"callback": "http://192.0.2.1/x"}, {"callback": "ftp://127.0.0.1/"}, {"callback": "https://u@h.example/"},
    {"expires": "tomorrow"}, {"expires": None}, {"buyer": 7}, {"description": "x" * 501},
])
def test_checkout_that_is_not_whole_is_refused(start, receiver, changes):
    stub = start()
    body = stub.order(**{"callback": receiver.url, **changes})
    status, answer = stub.call("POST", "/v1/checkouts", body, key="k")
    assert status == 400 and "error" in answer


def test_interface_needs_the_merchants_key(start, receiver):
    stub = start()
    body = json.dumps(stub.order(receiver.url))
    for bearer in [None, "", "wrong", KEY + "x", KEY[:-1]]:
        assert stub.call("POST", "/v1/checkouts", body, key="k", bearer=bearer)[0] == 401
        assert stub.call("GET", "/v1/checkouts?since=2020-01-01T00:00:00Z", bearer=bearer)[0] == 401
    for text in ["", "[]", "{", '{"order":"a","order":"b"}', body + "x", "\xff"]:
        assert stub.call("POST", "/v1/checkouts", text.encode("latin-1"), key="k")[0] == 400
    assert stub.call("POST", "/v1/checkouts", "x" * 20000, key="k")[0] == 413
    expired = stub.order(receiver.url, expires="2020-01-01T00:00:00Z")
    assert stub.call("POST", "/v1/checkouts", expired, key="k")[0] == 422


def test_cancel_may_be_repeated_and_loses_against_payment(start, receiver):
    stub = start()
    checkout = stub.checkout(receiver.url)
    cancel = f"/v1/checkouts/{checkout['checkout']}/cancel"
    for _i in range(2):
        status, answer = stub.call("POST", cancel)
        assert (status, answer["status"]) == (200, "declined")
    _answer, text = stub.page(checkout)
    assert "<form" not in text

    paid = stub.checkout(receiver.url, order="o_2")
    stub.press(paid, "pay")
    status, answer = stub.call("POST", f"/v1/checkouts/{paid['checkout']}/cancel")
    assert (status, answer["status"]) == (409, "paid")
    assert stub.call("POST", "/v1/checkouts/co_x/cancel")[0] == 404


def test_checkout_expires_and_says_so(start, receiver):
    stub = start()
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
    checkout = stub.checkout(receiver.url, expires=soon)
    assert receiver.next().event["type"] == "checkout.expired"
    assert stub.get(checkout)["status"] == "expired"
    _answer, text = stub.page(checkout)
    assert "expired" in text and "<form" not in text


def test_refunds_are_idempotent_and_never_exceed_the_payment(start, receiver):
    stub = start()
    checkout = stub.checkout(receiver.url)
    stub.press(checkout, "pay")
    payment = receiver.next().event["data"]["payment"]

    def refund(key, amount, **changes):
        body = {"payment": payment, "amount": amount, "currency": "EUR", "reason": "not delivered", **changes}
        return stub.call("POST", "/v1/refunds", body, key=key)

    status, first = refund("r1", 100)
    assert status == 201 and first["status"] == "done"
    assert refund("r1", 100) == (201, first)
    assert refund("r1", 101)[0] == 409
    assert refund("r2", 400)[0] == 422
    assert refund("r2", 100, currency="USD")[0] == 422
    assert refund("r2", 100, payment="pay_x")[0] == 404
    assert refund("r2", 399)[0] == 201
    assert refund("r3", 1)[0] == 422
    assert stub.call("GET", f"/v1/refunds/{first['refund']}") == (200, first)
    assert stub.call("GET", "/v1/refunds/re_x")[0] == 404
    events = sorted((receiver.next().event for _i in range(2)), key=lambda event: event["data"]["amount"])  # in any order
    assert [(event["type"], event["data"]["amount"]) for event in events] \
        == [("payment.refunded", 100), ("payment.refunded", 399)]
    assert {event["data"]["payment"] for event in events} == {payment}
    assert events[0]["data"]["refund"] == first["refund"]
    assert [refund["amount"] for refund in stub.get(checkout)["payments"][0]["refunds"]] in ([100, 399], [399, 100])


def test_disputes_open_once_and_end_once(start, receiver):
    stub = start()
    stub.press(stub.checkout(receiver.url), "pay")
    payment = receiver.next().event["data"]["payment"]

    def dispute(action):
        return stub.call("POST", "/v1/test/disputes", {"payment": payment, "action": action})[0]

    assert [dispute(action) for action in ["won", "open", "open", "lost", "won"]] == [409, 200, 409, 200, 409]
    events = [receiver.next().event for _i in range(2)]
    assert {event["type"] for event in events} == {"payment.disputed", "payment.dispute_lost"}
    assert events[0]["data"]["dispute"] == events[1]["data"]["dispute"]


def test_delivery_is_retried_under_the_same_id_until_taken(start, receiver):
    stub = start("--retry-factor", "0.004")
    receiver.answers = [(500, {}), (302, {"Location": "/elsewhere"})]
    stub.press(stub.checkout(receiver.url), "pay")
    tries = [receiver.next() for _i in range(3)]
    assert len({delivery.id for delivery in tries}) == 1
    assert all(delivery.is_authentic() for delivery in tries)
    assert {delivery.path for delivery in tries} == {"/v1/billing/stub"}
    assert tries[1].at - tries[0].at >= 0.02     # 5 s x 0.004
    assert tries[2].at - tries[1].at >= 1.2      # 5 min x 0.004
    assert receiver.is_quiet(0.3)


def test_retry_after_is_waited_for(start, receiver):
    stub = start("--retry-factor", "0.001")
    receiver.answers = [(503, {"Retry-After": "2"})]
    stub.press(stub.checkout(receiver.url), "pay")
    first, second = receiver.next(), receiver.next()
    assert second.at - first.at >= 1.9


def test_gone_ends_all_deliveries_to_the_address(start, receiver):
    stub = start("--retry-factor", "0.001")
    receiver.answers = [(410, {})]
    first = stub.checkout(receiver.url)
    second = stub.checkout(receiver.url, order="o_2")
    stub.press(first, "pay")
    receiver.next()
    assert receiver.is_quiet(0.5)
    stub.press(second, "pay")
    assert receiver.is_quiet(0.5)
    assert stub.get(second)["status"] == "paid"


def test_ledger_survives_kill_and_delivers_what_it_owes(start, receiver):
    stub = start("--retry-factor", "0.01", "--fault", "delay:1500")
    checkout = stub.checkout(receiver.url)
    assert stub.press(checkout, "pay")[0] == 303
    stub.kill()
    assert receiver.is_quiet(0.1)
    stub.start()
    assert stub.get(checkout)["status"] == "paid"
    assert receiver.next().event["data"]["checkout"] == checkout["checkout"]
    assert stub.call("POST", "/v1/checkouts", stub.order(receiver.url, order="o_9"), key="o_9")[0] == 201


def test_changed_checkouts_are_listed_since_a_time(start, receiver):
    stub = start()
    checkouts = [stub.checkout(receiver.url, order=f"o_{i}") for i in range(3)]
    status, answer = stub.call("GET", "/v1/checkouts?since=2020-01-01T00:00:00Z")
    assert status == 200 and [one["order"] for one in answer["checkouts"]] == ["o_0", "o_1", "o_2"]
    stub.press(checkouts[0], "pay")
    _status, answer = stub.call("GET", "/v1/checkouts?since=2020-01-01T00:00:00Z")
    assert [(one["order"], one["status"]) for one in answer["checkouts"]] \
        == [("o_1", "open"), ("o_2", "open"), ("o_0", "paid")]
    assert stub.call("GET", "/v1/checkouts?since=2100-01-01T00:00:00Z")[1] == {"checkouts": []}
    assert stub.call("GET", "/v1/checkouts")[0] == 400
    assert stub.call("GET", "/v1/checkouts?since=x")[0] == 400


def test_long_list_is_read_in_pages(start, receiver):
    stub = start()
    orders = [f"o_{i}" for i in range(620)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda order: stub.checkout(receiver.url, order=order), orders))
    seen, since, n_pages = set(), "2020-01-01T00:00:00Z", 0
    while since is not None:
        status, answer = stub.call("GET", f"/v1/checkouts?since={since}")
        assert status == 200 and n_pages < 4
        seen |= {one["order"] for one in answer["checkouts"]}
        since, n_pages = answer.get("next"), n_pages + 1
    assert seen == set(orders) and n_pages == 2


# --- faults

def test_fault_duplicate_repeats_the_same_id(start, receiver):
    stub = start("--fault", "duplicate:2")
    stub.press(stub.checkout(receiver.url), "pay")
    tries = [receiver.next() for _i in range(3)]
    assert len({delivery.id for delivery in tries}) == 1 and all(delivery.is_authentic() for delivery in tries)
    assert receiver.is_quiet(0.3)


def test_fault_renumber_repeats_the_payment_under_another_id(start, receiver):
    stub = start("--fault", "renumber")
    stub.press(stub.checkout(receiver.url), "pay")
    tries = [receiver.next() for _i in range(2)]
    assert len({delivery.id for delivery in tries}) == 2
    assert len({delivery.event["data"]["payment"] for delivery in tries}) == 1


def test_fault_delay_comes_late(start, receiver):
    stub = start("--fault", "delay:700")
    stub.press(stub.checkout(receiver.url), "pay")
    assert receiver.is_quiet(0.5)
    assert receiver.next().event["type"] == "checkout.paid"


def test_fault_forge_sends_three_lies_before_the_truth(start, receiver):
    stub = start("--fault", "forge")
    stub.press(stub.checkout(receiver.url), "pay")
    tries = [receiver.next() for _i in range(4)]
    assert [delivery.is_authentic() for delivery in tries] == [False, False, False, True]
    assert abs(tries[1].timestamp - tries[3].timestamp) >= 500
    assert tries[2].body != tries[3].body
    assert receiver.is_quiet(0.3)


def test_fault_drop_is_seen_by_polling_only(start, receiver):
    stub = start("--fault", "drop:1")
    checkout = stub.checkout(receiver.url)
    stub.press(checkout, "pay")
    assert receiver.is_quiet(0.4)
    assert stub.get(checkout)["status"] == "paid"
    stub.press(stub.checkout(receiver.url, order="o_2"), "pay")
    assert receiver.next().event["data"]["order"] == "o_2"


def test_fault_reorder_lets_the_second_event_overtake(start, receiver):
    stub = start("--fault", "reorder:1500")
    stub.press(stub.checkout(receiver.url), "pay")
    stub.press(stub.checkout(receiver.url, order="o_2"), "pay")
    assert [receiver.next().event["data"]["order"] for _i in range(2)] == ["o_2", "o_1"]


def test_fault_underpay_then_the_rest_can_be_paid(start, receiver):
    stub = start("--fault", "underpay:200")
    checkout = stub.checkout(receiver.url)
    _status, text = stub.press(checkout, "pay")
    assert "Part of it is paid" in text and "Pay 2.00 EUR" in text
    stub.press(checkout, "pay")
    assert {receiver.next().event["data"]["amount"] for _i in range(2)} == {299, 200}
    assert stub.get(checkout)["status"] == "paid"


@pytest.mark.parametrize("fault, field, value", [
    ("overpay:5", "amount", 504), ("currency", "currency", "XTS"), ("merchant", "merchant", "somebody-else"),
    ("test-mode", "live", False)])
def test_fault_changes_one_field_of_the_event(start, receiver, fault, field, value):
    stub = start("--fault", fault)
    stub.press(stub.checkout(receiver.url), "pay")
    delivery = receiver.next()
    assert delivery.is_authentic() and delivery.event["data"][field] == value


def test_fault_late_takes_money_after_the_decline(start, receiver):
    stub = start("--fault", "late")
    checkout = stub.checkout(receiver.url)
    _answer, text = stub.page(checkout)
    token = Form(text).fields["token"]
    stub.press(checkout, "decline")
    assert stub.request("POST", "/pay/" + checkout["checkout"], f"token={token}&action=pay")[0].status == 303
    assert {receiver.next().event["type"] for _i in range(2)} == {"checkout.declined", "checkout.paid"}


def test_fault_error_and_lost_answers_are_repaired_by_the_key(start, receiver):
    stub = start("--fault", "error:1", "--fault", "lost:1")
    body = stub.order(receiver.url)
    assert [stub.call("POST", "/v1/checkouts", body, key="k")[0] for _i in range(4)] == [503, 500, 201, 201]
    assert len(stub.call("GET", "/v1/checkouts?since=2020-01-01T00:00:00Z")[1]["checkouts"]) == 1


def test_fault_refuse_slow_and_refunds(start, receiver):
    stub = start("--fault", "refuse:1", "--fault", "slow:300", "--fault", "refuse-refund:1",
                 "--fault", "pending-refund:500")
    begin = time.monotonic()
    assert stub.call("POST", "/v1/checkouts", stub.order(receiver.url), key="k")[0] == 422
    assert time.monotonic() - begin >= 0.3
    stub.press(stub.checkout(receiver.url), "pay")
    payment = receiver.next().event["data"]["payment"]
    body = {"payment": payment, "amount": 499, "currency": "EUR", "reason": "x"}
    assert stub.call("POST", "/v1/refunds", body, key="r1")[1]["status"] == "refused"
    status, refund = stub.call("POST", "/v1/refunds", body, key="r2")
    assert refund["status"] == "pending"
    assert receiver.next().event["data"]["refund"] == refund["refund"]
    assert wait_until(lambda: stub.call("GET", f"/v1/refunds/{refund['refund']}")[1]["status"] == "done")


# --- command line

@pytest.mark.parametrize("arguments, says", [
    ([], "are needed"), (["--fault", "nonsense"], "there are: duplicate"), (["--fault", "delay:x"], "x"),
    (["--bogus"], "bogus")])
def test_usage_is_explained(tmp_path, arguments, says):
    full = ["--listen", "127.0.0.1:0", "--data", tmp_path, "--api-key", KEY, "--webhook-secret", SECRET,
            "--merchant", MERCHANT] if arguments else []
    run = subprocess.run([program("billing-stub"), *full, *arguments], capture_output=True, text=True, timeout=10)
    assert run.returncode == 2 and says in run.stderr and run.stdout == ""


@pytest.mark.parametrize("change", [("--webhook-secret", "whsec_"), ("--webhook-secret", "secret"),
                                    ("--listen", "0.0.0.0:0"), ("--listen", "nonsense"), ("--data", "/proc/x")])
def test_start_that_cannot_work_is_an_error(tmp_path, change):
    options = {"--listen": "127.0.0.1:0", "--data": tmp_path, "--api-key": KEY, "--webhook-secret": SECRET,
               "--merchant": MERCHANT, **dict([change])}
    run = subprocess.run([program("billing-stub"), *[word for pair in options.items() for word in pair]],
                         capture_output=True, text=True, timeout=10)
    assert run.returncode == 1 and run.stderr.startswith("billing-stub: ") and run.stdout == ""
