"""GET /metrics, and alarm lines: said once and again after a while, for each thing that is stuck."""

import sqlite3

import pytest

from lib.billing import MERCHANT
from lib.market import Shop
from lib.metrics import get, metrics
from lib.process import wait_until

QUIET = {"poll_s": "600", "expiry_grace_s": "60", "order_expiry_s": "3600", "sweep_s": "0.1"}


@pytest.fixture
def open_shop(tmp_path):
    shops = []

    def start(**options):
        shops.append(Shop(tmp_path / "shop", market={**QUIET, **options.pop("market", {})}, **options))
        return shops[-1].start()
    yield start
    for one in shops:
        one.stop()


def wait_metric(shop, name, value):
    try:
        wait_until(lambda: metrics(shop).get(name) == value, what=f"{name} = {value}")
    except TimeoutError as error:
        raise AssertionError(f"{error}: {metrics(shop)}") from None


def lost_payment():
    data = {"merchant": MERCHANT, "order": "o_00000000000000000000000000", "checkout": "cs_lost", "payment": "pay_lost",
            "amount": 500, "currency": "EUR", "live": True}
    return {"type": "checkout.paid", "timestamp": "2026-11-23T12:00:00Z", "data": data}


def test_metrics_follow_what_happens(open_shop):
    shop = open_shop()
    alice = shop.customer()
    alice.serials()
    alice.purchase("dice")
    order = alice.buy("weather").get("id")
    shop.callback(shop.event(order), headers={"webhook-signature": "v1,AAAA"})
    shop.callback(None, body=b"{")
    shop.callback(lost_payment(), webhook_id="msg_l")
    shop.callback(lost_payment(), webhook_id="msg_l")
    wait_metric(shop, 'stoa_unmatched{state="review"}', 2)
    now = metrics(shop)
    assert now['stoa_order_changes_total{state="fulfilled"}'] == 1
    assert now['stoa_orders{state="awaiting-payment"}'] == 1
    assert now["stoa_callbacks_refused_total"] == 1
    assert (now['stoa_callbacks_total{outcome="applied"}'], now['stoa_callbacks_total{outcome="poison"}'],
            now['stoa_callbacks_total{outcome="unmatched"}'], now['stoa_callbacks_total{outcome="duplicate"}']) == (1, 1, 1, 1)
    assert now["stoa_poison"] == 1 and now['stoa_pool_free{plugin="dice"}'] == 39
    assert now['stoa_provider_up{provider="stub"}'] == 1 and now["stoa_sales_open"] == 1 and now["stoa_store_epoch"] == 1
    assert now['stoa_reconcile_timestamp_seconds{scope="provider"}'] == 0
    assert now["stoa_sessions"] == 1 and now["stoa_ready"] == 1
    assert now['stoa_http_requests_total{route="POST /v1/billing/stub"}'] >= 4
    assert any(name.startswith('stoa_secret_ends_timestamp_seconds{key="billing:stub s_') for name in now)
    assert shop.host.hostctl("reconcile", check=False).returncode == 1
    wait_metric(shop, 'stoa_reconcile_differences{scope="store"}', 2)
    shop.host.hostctl("webhook", "close", "msg_l")
    wait_metric(shop, 'stoa_unmatched{state="review"}', 1)
    alice.close()


@pytest.mark.parametrize("whom, status", [("loopback", 200), ("open", 200), ("off", 403)])
def test_metrics_are_for_whom_the_configuration_says(open_shop, whom, status):
    shop = open_shop()
    shop.host.groups["http"]["metrics"] = whom
    shop.host.write_config()
    shop.host.restart()
    assert get(shop)[0].status == status


def test_a_silent_provider_shows(open_shop):
    shop = open_shop(market={"vendor_timeout_s": "1"})
    address = shop.stub.address
    shop.stub.kill()
    alice = shop.customer()
    alice.buy("dice")
    wait_metric(shop, 'stoa_provider_up{provider="stub"}', 0)
    answer, text = get(shop, "/readyz")
    assert answer.status == 200 and "does not answer" in text
    wait_metric(shop, 'stoa_orders{state="created"}', 1)
    assert metrics(shop)['stoa_jobs{kind="checkout"}'] == 1
    shop.stub.start("--listen", address)
    wait_metric(shop, 'stoa_provider_up{provider="stub"}', 1)
    alice.close()


def test_each_stuck_thing_is_an_alarm_once(open_shop):
    shop = open_shop()
    alice = shop.customer()
    alice.serials()
    stuck, _serial = alice.purchase("weather")
    alice.close()
    shop.callback(lost_payment())
    shop.host.stop()
    with sqlite3.connect(shop.host.data / "market.db") as db:
        db.execute("UPDATE purchase SET phase = 'review', changed_us = 1 WHERE id = ?", (stuck,))
        db.execute("INSERT INTO refund VALUES ('r_old', 1, ?, 'pay_x', 1, '', 'due', NULL, 1, 1)", (stuck,))
        db.execute("INSERT INTO job (kind, key, subject, attempt, not_before_us, owner, lease_until_us, fence, created_us)"
                   " VALUES ('void', 'void:l_x.0', 'l_x.0', 0, 4000000000000000, '', 0, 1, 1)")
        db.execute("UPDATE pool_key SET state = 'burned' WHERE plugin = 'dice' AND id % 40 > 2")
        db.execute("UPDATE webhook_secret SET not_after_us = CAST(strftime('%s') AS INTEGER) * 1000000 + 3600000000")
    shop.host.start()
    lines = [f"stuck order={stuck}", "stuck refund=r_old", "stuck job=void:l_x.0", "stuck unmatched=u_",
             "pool is low plugin=dice free=", "a secret ends at"]
    wait_until(lambda: all(line in shop.log() for line in lines), what="the alarms")
    looks = metrics(shop)["stoa_alarms_total"]
    wait_until(lambda: metrics(shop)['stoa_stuck{kind="order"}'] == 1, what="looked again")
    for line in lines[:4]:
        assert shop.log().count(line) == 1, line
    assert metrics(shop)["stoa_alarms_total"] == looks >= 6
    assert all("error" in said for said in shop.log().splitlines() if any(line in said for line in lines))


def test_an_alarm_is_repeated_while_it_lasts(open_shop):
    shop = open_shop(market={"alarm_s": "0.3", "unmatched_alarm_s": "0.1"})
    shop.callback(lost_payment(), webhook_id="msg_l")
    wait_until(lambda: shop.log().count("stuck unmatched=u_") >= 2, what="said again")
    shop.host.hostctl("webhook", "close", "msg_l")
    wait_metric(shop, 'stoa_stuck{kind="unmatched"}', 0)
    said = shop.log().count("stuck unmatched=u_")
    before = metrics(shop)["stoa_alarms_total"]
    shop.callback(lost_payment(), webhook_id="msg_2")
    wait_until(lambda: metrics(shop)["stoa_alarms_total"] > before, what="the next one")
    assert shop.log().count("stuck unmatched=u_") > said
