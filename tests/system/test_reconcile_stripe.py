"""The operator's commands with a provider that does things its own way: sessions in a list, refunds as running totals,
secrets that it makes itself."""

import json

import pytest

from lib.process import wait_until
from lib.stripe import Stripe, StripeShop

QUIET = {"poll_s": "600"}


@pytest.fixture
def stripe():
    double = Stripe()
    yield double
    double.close()


@pytest.fixture
def shop(tmp_path, stripe, started):
    return started(StripeShop(tmp_path / "shop", stripe, market=QUIET))


@pytest.fixture
def alice(customer):
    return customer()


def reconcile(shop, *arguments):
    run = shop.host.hostctl("reconcile", "--from-provider", *arguments, "--json", check=False)
    return run.returncode, [json.loads(line) for line in run.stdout.splitlines()]


def test_what_no_event_told_is_applied_and_the_second_time_there_is_nothing(shop, stripe, alice):
    stripe.is_sending = False
    bob = shop.customer()
    paid, open_order = alice.buy("dice").get("id"), bob.buy("dice").get("id")
    bob.close()
    intent = stripe.pay(paid)
    code, rows = reconcile(shop)
    assert code == 1 and [(row["kind"], row["subject"]) for row in rows] == [("applied", paid)]
    shop.wait_order(paid, "fulfilled")
    assert reconcile(shop) == (0, [])
    for amount in (100, 150):
        stripe.refund(intent, amount)
        code, rows = reconcile(shop)
        assert code == 1 and [row["kind"] for row in rows] == ["applied"]
    assert sum(row["amount"] for row in shop.order(paid)["ledger"] if row["kind"] == "refund") == 250
    assert reconcile(shop) == (0, [])
    assert shop.order(open_order)["state"] == "awaiting-payment"


def test_our_own_refund_is_in_the_books_by_its_total(shop, stripe, alice):
    order = alice.buy("dice").get("id")
    alice.decline(order)
    wait_until(lambda: stripe.session_of(order)["status"] == "expired", what="the session's end")
    stripe.session_of(order).update(status="open")
    stripe.pay(order)
    shop.wait_order(order, "refunded")
    assert reconcile(shop) == (0, [])


def test_a_rotation_takes_the_secret_that_stripe_made(shop, stripe, alice, tmp_path):
    run = shop.host.hostctl("billing", "rotate", "stripe", check=False)
    assert run.returncode == 1 and "makes its secrets itself" in run.stderr
    path = tmp_path / "secret"
    path.write_text("whsec_rolled_secret_abcdefghijklmnop\n")
    shop.host.hostctl("billing", "rotate", "stripe", path)
    stripe.secrets = [path.read_text().strip()]
    order = alice.buy("dice").get("id")
    stripe.pay(order)
    shop.wait_order(order, "fulfilled")
    current, old = shop.host.hostctl_json("billing", "list")
    assert current["last-used"] and not old["last-used"] and "old secret" not in shop.log()


def test_an_event_is_shown_and_taken_again(shop, stripe, alice):
    order = alice.buy("dice").get("id")
    intent = stripe.pay(order)
    shop.wait_order(order, "fulfilled")
    [line] = shop.host.hostctl_json("webhook", "log", "--outcome", "applied")
    [shown] = shop.host.hostctl_json("webhook", "show", line["id"])
    assert shown["ledger"]["order"] == order and shown["event"]["payment"] == intent
    assert [name.lower() for name in shown["headers"]] == ["stripe-signature"]
    [again] = shop.host.hostctl_json("webhook", "replay", line["id"])
    assert (again["outcome"], again["changed"]) == ("known", False)
    stripe.refund(intent, 100)
    wait_until(lambda: len(shop.order(order)["ledger"]) == 2, what="the refund")
    [refund] = [row for row in shop.host.hostctl_json("webhook", "log", "--outcome", "applied") if row["what"] == "refund"]
    [shown] = shop.host.hostctl_json("webhook", "show", refund["id"])
    assert shown["ledger"]["amount"] == 100 and shown["ledger"]["order"] == order
