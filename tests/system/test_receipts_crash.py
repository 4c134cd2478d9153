"""kill -9 around the commits that receipts live on: what was committed has its receipt, once, and what was signed stays."""

import json
import sqlite3
import urllib.request

import pytest

from lib.crash import CrashingShop
from lib.jose import verify
from lib.market import MARKET, Customer, read_serials
from lib.process import wait_until


@pytest.fixture
def shop(tmp_path, started):
    return started(CrashingShop(tmp_path / "shop"))


def chain(shop, order):
    with urllib.request.urlopen(f"http://{shop.host.addresses['http']}/.well-known/jwks.json", timeout=10) as answer:
        keys = json.load(answer)
    lines = shop.host.hostctl("order", "receipt", order, "--all").stdout.splitlines()
    return [verify(json.loads(line)["receipt"], keys, "stoa-receipt+jwt") for line in lines]


def stored(shop):
    with sqlite3.connect(f"file:{shop.host.data}/market.db?mode=ro", uri=True) as db:
        return db.execute("SELECT seq, delivered_us > 0, jws FROM receipt ORDER BY line, seq").fetchall()


def test_a_crash_after_the_fulfilments_commit_loses_no_receipt(shop):
    name = shop.user()
    shop.arm("issue-committed")
    alice = Customer(shop, name)
    alice.serials()
    order = alice.buy("weather")
    alice.press(order)
    shop.wait_dead()
    assert stored(shop) == [(1, 0, None)]
    shop.revive()
    shop.wait_order(order.get("id"), "fulfilled")
    [claims] = chain(shop, order.get("id"))
    assert (claims["order"], claims["reason"], claims["paid"]) == (order.get("id"), "fulfilled", 500)
    assert claims["payments"][0]["by"] == "callback" and claims["delivered"] is None


def test_a_crash_before_the_fulfilments_commit_leaves_no_receipt_behind(shop):
    name = shop.user()
    shop.arm("issue-called")
    alice = Customer(shop, name)
    alice.serials()
    order = alice.buy("weather")
    alice.press(order)
    shop.wait_dead()
    assert stored(shop) == []
    shop.revive()
    shop.wait_order(order.get("id"), "fulfilled")
    assert [one["reason"] for one in chain(shop, order.get("id"))] == ["fulfilled"]


def test_a_receipt_that_was_signed_before_the_crash_is_the_one_that_is_given(shop):
    name = shop.user()
    alice = Customer(shop, name)
    alice.serials()
    order, _serial = alice.purchase("dice")
    shop.arm("receipt-signed")
    again = Customer(shop, name)
    again.client.send(f"<iq type='get' id='r' to='{again.to}'><receipt xmlns='{MARKET}' order='{order}'/></iq>")
    shop.wait_dead()
    [(_seq, _delivered, jws)] = stored(shop)
    shop.revive()
    [line] = shop.host.hostctl("order", "receipt", order).stdout.splitlines()
    assert jws and json.loads(line)["receipt"] == jws


def test_a_crash_after_a_refunds_commit_supersedes_once(shop):
    name = shop.user()
    alice = Customer(shop, name)
    alice.serials()
    order, _serial = alice.purchase("dice")
    payment = shop.checkout(order)["payments"][0]["payment"]
    event = shop.event(order, "payment.refunded", payment=payment, refund=f"re_{order}", amount=200)
    shop.arm("callback-committed")
    with pytest.raises(OSError):
        shop.callback(event, webhook_id="msg_refund")
    shop.wait_dead()
    shop.revive()
    assert shop.callback(event, webhook_id="msg_refund") == 200
    assert [(one["reason"], one["refunded"]) for one in chain(shop, order)] == [("fulfilled", 0), ("refund", 200)]


def test_a_delivery_that_was_noted_survives(shop):
    name = shop.user()
    shop.arm("delivery-committed")
    alice = Customer(shop, name)
    alice.serials()
    order = alice.buy("dice")
    alice.press(order)
    assert read_serials(alice.push_of("serials"))["dice"][0] == "active"
    shop.wait_dead()
    shop.revive()
    [claims] = wait_until(lambda: chain(shop, order.get("id")), what="the receipt")
    assert claims["delivered"] >= claims["fulfilled"]
