"""Webhook secrets that are rotated while callbacks come in, and vendors' secrets."""

import base64
import os
import sqlite3

import pytest

from lib.billing import SECRET, sign
from lib.market import Shop
from lib.process import wait_until

OTHER = "whsec_" + base64.b64encode(b"another secret of thirty-two byt").decode()


@pytest.fixture
def shop(tmp_path, started):
    return started(Shop(tmp_path / "shop", market={"poll_s": "600", "expiry_grace_s": "60"}))


@pytest.fixture
def alice(customer):
    return customer()


def keys(shop, kind="billing", name="stub"):
    who = "provider" if kind == "billing" else "vendor"
    return [row for row in shop.host.hostctl_json(kind, "list") if row[who] == name]


def rotate(shop, *arguments, kind="billing", name="stub"):
    [row] = shop.host.hostctl_json(kind, "rotate", name, *arguments)
    return row


def test_both_secrets_are_good_during_the_overlap(shop, alice):
    new = rotate(shop)["secret"]
    assert new.startswith("whsec_") and new != SECRET
    orders = [alice.buy(plugin).get("id") for plugin in ("dice", "weather")]
    for order, secret in zip(orders, (SECRET, new)):
        assert shop.callback(shop.event(order), secret=secret) == 200
        shop.wait_order(order, "fulfilled")
    first, second = keys(shop)
    assert (first["state"], first["until"]) == ("current", None) and first["last-used"]
    assert second["state"] == "old" and second["until"] and second["last-used"]
    assert [line["key"] for line in shop.host.hostctl_json("webhook", "log")] == [first["key"], second["key"]]


def test_only_an_old_secret_is_an_alarm_once(shop, alice):
    rotate(shop)
    order = alice.buy("dice").get("id")
    for _ in range(3):
        assert shop.callback(shop.event(order)) == 200
    assert shop.log().count("signed with an old secret only peer=billing:stub") == 1


def test_the_new_secret_is_no_alarm(shop, alice):
    new = rotate(shop)["secret"]
    assert shop.callback(shop.event(alice.buy("dice").get("id")), secret=new) == 200
    assert "old secret" not in shop.log()


def test_without_overlap_the_old_secret_ends_at_once_and_stays_ended(shop, alice):
    """Also though it still stands in the configuration file."""
    new = rotate(shop, "--overlap", "0")["secret"]
    order = alice.buy("dice").get("id")
    assert shop.callback(shop.event(order)) == 401
    alice.close()
    shop.host.restart()
    assert "was replaced peer=billing:stub" in shop.log()
    assert shop.callback(shop.event(order)) == 401
    assert [key["state"] for key in keys(shop)] == ["current", "ended"]
    assert shop.callback(shop.event(order), secret=new) == 200
    shop.wait_order(order, "fulfilled")


def test_a_value_that_was_rotated_away_does_not_come_back_by_the_file(shop, alice):
    """Away to another one and back, as a rolled-back configuration would."""
    rotate(shop, "--overlap", "0")
    order = alice.buy("dice").get("id")
    alice.close()
    shop.host.groups["billing stub"]["webhook_secret"] = OTHER
    shop.host.write_config()
    shop.host.restart()
    assert keys(shop)[0]["state"] == "current" and len(keys(shop)) == 3
    assert shop.callback(shop.event(order), secret=OTHER) == 200
    assert "old secret" not in shop.log(), "what the file says is the newest"
    shop.host.groups["billing stub"]["webhook_secret"] = SECRET
    shop.host.write_config()
    shop.host.restart()
    assert len(keys(shop)) == 3
    assert shop.callback(shop.event(order)) == 401


def test_a_secret_of_the_providers_own_is_taken_from_a_file(shop, alice, tmp_path):
    path = tmp_path / "secret"
    path.write_text(OTHER + "\n")
    row = rotate(shop, path)
    assert "secret" not in row, "it was given, so it is not shown"
    assert shop.callback(shop.event(alice.buy("dice").get("id")), secret=OTHER) == 200
    assert shop.host.hostctl("billing", "rotate", "stub", path, check=False).returncode == 1, "known already"
    path.write_text("whsec_short\n")
    run = shop.host.hostctl("billing", "rotate", "stub", path, check=False)
    assert run.returncode == 1 and "whsec_short" not in run.stderr
    assert OTHER not in shop.log() and row["key"] in [key["key"] for key in keys(shop)]


def test_refusals_of_a_rotation(shop):
    for arguments in (["billing", "rotate", "none"], ["vendor", "rotate", "none"],
                      ["billing", "rotate", "stub", "--overlap", "-1"], ["billing", "rotate", "stub", "--overlap", "x"],
                      ["billing", "rotate", "stub", "--overlap", "99999999"]):
        assert shop.host.hostctl(*arguments, check=False).returncode == 1, arguments
    for _ in range(3):
        rotate(shop)
    run = shop.host.hostctl("billing", "rotate", "stub", check=False)
    assert run.returncode == 1 and "already" in run.stderr
    rotate(shop, "--overlap", "0")
    assert [key["state"] for key in keys(shop)] == ["current"] + ["ended"] * 4


def test_a_vendor_sees_both_signatures_during_the_overlap(shop, alice):
    """Whichever secret the vendor's server has, it can verify."""
    seen = []
    new = rotate(shop, kind="vendor", name="acme")["secret"]
    answer = shop.vendor.handle

    def watch(request, body):
        seen.append(dict(request.headers))
        return answer(request, body)
    shop.vendor.handle = watch
    alice.purchase("quotes")
    headers = {name.lower(): value for name, value in seen[0].items()}
    signatures = headers["webhook-signature"].split(" ")
    assert len(signatures) == 2
    [(_method, _name, body)] = shop.vendor.requests
    assert body["plugin"] == "quotes" and new != shop.vendor_secret
    assert all(key["last-used"] for key in keys(shop, "vendor", "acme"))


def test_a_vendors_old_secret_ends(shop, alice):
    rotate(shop, "--overlap", "0", kind="vendor", name="acme")
    assert [key["state"] for key in keys(shop, "vendor", "acme")] == ["current", "ended"]
    [row] = [row for row in keys(shop, "vendor", "acme") if row["state"] == "current"]
    assert row["last-used"] is None and row["plugins"] == 3
    alice.purchase("quotes")
    current, ended = keys(shop, "vendor", "acme")
    assert current["last-used"] and not ended["last-used"]


def test_when_a_secret_was_used_last_is_stored_by_the_sweep(shop, alice):
    """In memory at once; in the store soon after, without a write for each callback."""
    shop.callback(shop.event(alice.buy("dice").get("id")))
    [key] = keys(shop)
    assert key["last-used"]

    def stored():
        with sqlite3.connect(f"file:{shop.host.data}/market.db?mode=ro", uri=True) as db:
            [(used,)] = db.execute("SELECT last_used_us FROM webhook_secret WHERE id = ?", (key["key"],))
            return used
    wait_until(stored, what="the time in the store")
    alice.close()
    shop.host.restart()
    assert keys(shop)[0]["last-used"] == key["last-used"]


def test_a_clean_end_stores_when_secrets_were_used(tmp_path):
    shop = Shop(tmp_path / "shop", market={"sweep_s": "600", "poll_s": "600"}).start()
    try:
        customer = shop.customer()
        assert shop.callback(shop.event(customer.buy("dice").get("id"))) == 200
        customer.close()
        shop.host.restart()
        assert keys(shop)[0]["last-used"]
    finally:
        shop.stop()


def test_a_secret_is_shown_once_and_never_logged(shop):
    new = rotate(shop)["secret"]
    assert new not in shop.host.hostctl("billing", "list", "--json").stdout
    assert new not in shop.log()
    for path in (shop.host.data / "market.db", shop.host.data / "market.db-wal"):
        if os.path.exists(path):
            assert base64.b64decode(new.removeprefix("whsec_")) not in path.read_bytes()
            assert new.encode() not in path.read_bytes()
    assert sign(new, "a", 1, b"") != sign(SECRET, "a", 1, b"")
