"""hostctl webhook: what came, what it meant, and what a person can do about what fitted nowhere."""

import hashlib
import json

import pytest

from lib.billing import MERCHANT
from lib.market import Shop
from lib.process import wait_until


@pytest.fixture
def shop(tmp_path, started):
    return started(Shop(tmp_path / "shop", market={"poll_s": "600", "expiry_grace_s": "60", "stuck_s": "3600"}))


@pytest.fixture
def alice(customer):
    return customer()


def log(shop, *arguments):
    return shop.host.hostctl_json("webhook", "log", *arguments)


def show(shop, webhook_id):
    [shown] = shop.host.hostctl_json("webhook", "show", webhook_id)
    return shown


def unknown_order(shop, payment="pay_lost", amount=500):
    data = {"merchant": MERCHANT, "order": "o_00000000000000000000000000", "checkout": "cs_lost", "payment": payment,
            "amount": amount, "currency": "EUR", "live": True}
    return {"type": "checkout.paid", "timestamp": "2026-11-23T12:00:00Z", "data": data}


def test_a_delivery_is_shown_with_what_it_did(shop, alice):
    order = alice.buy("dice").get("id")
    event = shop.event(order)
    assert shop.callback(event, webhook_id="msg_first") == 200
    shop.wait_order(order, "fulfilled")
    [line] = log(shop)
    assert (line["id"], line["provider"], line["outcome"], line["what"], line["order"], line["kept"]) == \
        ("msg_first", "stub", "applied", "payment", order, None)
    [key] = shop.host.hostctl_json("billing", "list")
    assert line["key"] == key["key"]

    shown = show(shop, "msg_first")
    body = json.dumps(event)
    assert shown["body"] == body and shown["sha256"] == hashlib.sha256(body.encode()).hexdigest()
    assert set(shown["headers"]) == {"webhook-id", "webhook-timestamp", "webhook-signature"}
    assert shown["headers"]["webhook-id"] == "msg_first"
    assert shown["event"]["payment"] == f"pay_{order}" and shown["event"]["amount"] == 500
    assert (shown["ledger"]["order"], shown["ledger"]["by"], shown["ledger"]["amount"]) == (order, "callback", 500)
    assert shown["order-state"] == "fulfilled"


def test_the_log_is_chosen_by_provider_time_and_outcome(shop, alice):
    order = alice.buy("dice").get("id")
    shop.callback(shop.event(order), webhook_id="msg_good")
    shop.callback(None, webhook_id="msg_poison", body=b"{")
    shop.callback(shop.event(order), webhook_id="msg_again")
    assert [line["id"] for line in log(shop)] == ["msg_again", "msg_poison", "msg_good"], "newest first"
    assert [line["id"] for line in log(shop, "stub", "--outcome", "poison")] == ["msg_poison"]
    assert [line["id"] for line in log(shop, "--outcome", "known")] == ["msg_again"]
    assert log(shop, "other") == []
    assert len(log(shop, "--since", "1h")) == 3 and log(shop, "--since", "2100-01-01T00:00:00Z") == []
    for bad in (["--since", "yesterday"], ["--outcome", "nice"]):
        assert shop.host.hostctl("webhook", "log", *bad, check=False).returncode == 1


def test_a_forged_delivery_is_counted_and_not_kept(shop, alice):
    order = alice.buy("dice").get("id")
    assert shop.callback(shop.event(order), webhook_id="msg_forged", headers={"webhook-signature": "v1,AAAA"}) == 401
    assert log(shop) == []
    run = shop.host.hostctl("webhook", "show", "msg_forged", check=False)
    assert run.returncode == 1 and "not kept" in run.stderr


def test_a_mismatch_is_replayed_once_its_cause_is_gone(shop, alice):
    """The merchant's name was wrong in the configuration; after that is put right the payment is taken."""
    order = alice.buy("dice").get("id")
    assert shop.callback(shop.event(order, merchant="renamed"), webhook_id="msg_m") == 200
    [line] = log(shop)
    assert (line["outcome"], line["state"]) == ("mismatch", "review") and line["kept"].startswith("u_")
    assert show(shop, line["kept"])["reason"] == "another merchant"
    [again] = shop.host.hostctl_json("webhook", "replay", line["kept"])
    assert (again["outcome"], again["changed"], again["reason"]) == ("mismatch", False, "another merchant")
    assert shop.order(order)["payment"] == "pending"

    alice.close()
    shop.host.groups["billing stub"]["merchant"] = "renamed"
    shop.host.write_config()
    shop.host.restart()
    [done] = shop.host.hostctl_json("webhook", "replay", "msg_m")
    assert (done["outcome"], done["changed"], done["order"]) == ("applied", True, order)
    shop.wait_order(order, "fulfilled")
    assert (log(shop)[0]["outcome"], log(shop)[0]["state"]) == ("applied", "matched")
    [twice] = shop.host.hostctl_json("webhook", "replay", "msg_m")
    assert (twice["outcome"], twice["changed"]) == ("known", False)
    assert len(shop.order(order)["ledger"]) == 1 and log(shop)[0]["outcome"] == "applied"


def test_a_delivery_of_the_other_mode_is_replayed_after_the_mode_was_put_right(shop, alice):
    order = alice.buy("dice").get("id")
    shop.callback(shop.event(order, live=False), webhook_id="msg_t")
    assert log(shop)[0]["outcome"] == "other-mode" and log(shop)[0]["kept"] is None
    [again] = shop.host.hostctl_json("webhook", "replay", "msg_t")
    assert (again["outcome"], again["changed"]) == ("other-mode", False)
    alice.close()
    shop.host.groups["billing stub"]["mode"] = "test"
    shop.host.write_config()
    shop.host.restart()
    [done] = shop.host.hostctl_json("webhook", "replay", "stub/msg_t")
    assert (done["outcome"], done["changed"]) == ("applied", True)
    shop.wait_order(order, "fulfilled")


def test_poison_says_why_and_stays_poison(shop):
    shop.callback(None, webhook_id="msg_p", body=b"\xff{")
    [line] = log(shop)
    assert (line["outcome"], line["state"], line["order"]) == ("poison", "review", None)
    shown = show(shop, "msg_p")
    assert shown["event"] is None and shown["unreadable"] and shown["ledger"] is None
    [again] = shop.host.hostctl_json("webhook", "replay", "msg_p")
    assert (again["outcome"], again["changed"]) == ("poison", False) and again["reason"]


def test_a_delivery_that_was_applied_is_replayed_without_effect(shop, alice):
    order = alice.buy("dice").get("id")
    shop.callback(shop.event(order), webhook_id="msg_a")
    before = shop.wait_order(order, "fulfilled")
    [again] = shop.host.hostctl_json("webhook", "replay", "msg_a")
    assert (again["outcome"], again["changed"]) == ("known", False)
    assert shop.order(order) == before


def test_a_closed_one_alarms_no_more_and_is_not_applied(shop):
    shop.callback(unknown_order(shop), webhook_id="msg_l")
    wait_until(lambda: log(shop)[0]["state"] == "review", what="given up")
    assert shop.host.hostctl("reconcile", check=False).returncode == 1
    kept = log(shop)[0]["kept"]
    [closed] = shop.host.hostctl_json("webhook", "close", kept, "--note", "another shop's")
    assert closed["state"] == "closed"
    assert show(shop, kept)["note"] == "another shop's"
    assert shop.host.hostctl("reconcile", check=False).returncode == 0
    run = shop.host.hostctl("webhook", "replay", kept, check=False)
    assert run.returncode == 1 and "another shop's" in run.stderr
    assert shop.host.hostctl("webhook", "close", kept, check=False).returncode == 1, "twice"
    assert shop.host.hostctl("webhook", "close", "msg_none", check=False).returncode == 1


def test_what_does_not_wait_is_not_closed(shop, alice):
    order = alice.buy("dice").get("id")
    shop.callback(shop.event(order), webhook_id="msg_a")
    run = shop.host.hostctl("webhook", "close", "msg_a", check=False)
    assert run.returncode == 1 and "does not wait" in run.stderr


def test_an_unmatched_payment_of_the_ledger_is_not_given_back_beside_it(shop, alice):
    """The same payment for another order: giving it back would take the first order's money."""
    first, second = alice.buy("dice").get("id"), alice.buy("weather").get("id")
    shop.callback(shop.event(first, payment="pay_1"))
    shop.wait_order(first, "fulfilled")
    shop.callback(shop.event(second, payment="pay_1"), webhook_id="msg_m")
    assert log(shop)[0]["outcome"] == "mismatch"
    run = shop.host.hostctl("webhook", "refund", "msg_m", check=False)
    assert run.returncode == 1 and first in run.stderr
    assert shop.order(first)["refunds"] == []


def test_only_a_payment_that_waits_is_given_back(shop, alice):
    order = alice.buy("dice").get("id")
    shop.callback(shop.event(order), webhook_id="msg_a")
    shop.callback(unknown_order(shop) | {"type": "checkout.declined"}, webhook_id="msg_d")
    shop.callback(None, webhook_id="msg_p", body=b"{")
    for webhook_id in ("msg_a", "msg_d", "msg_p", "msg_none"):
        assert shop.host.hostctl("webhook", "refund", webhook_id, check=False).returncode == 1
    # The provider does not know the payment: it says no, and the delivery waits for a person again.
    shop.callback(unknown_order(shop), webhook_id="msg_l")
    run = shop.host.hostctl("webhook", "refund", "msg_l", check=False)
    assert run.returncode == 1 and "refused" in run.stderr
    assert log(shop)[0]["state"] == "review"
