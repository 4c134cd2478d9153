"""hostctl reconcile: silent on a healthy shop, however busy, and each kind of difference is found.

What the market never does is done to its stopped store by hand."""

import concurrent.futures
import contextlib
import json
import pathlib
import re
import shutil
import sqlite3
import uuid

import pytest

from lib.market import Shop
from lib.process import wait_until

QUIET = {"poll_s": "600", "expiry_grace_s": "60", "order_expiry_s": "3600"}


def reconcile(host, *arguments):
    """(exit status, rows)"""
    run = host.hostctl("reconcile", *arguments, "--json", check=False)
    return run.returncode, [json.loads(line) for line in run.stdout.splitlines()]


def kinds(rows):
    return {(row["kind"], row["subject"]) for row in rows}


@contextlib.contextmanager
def opened(host):
    """The store of a stopped server."""
    db = sqlite3.connect(host.data / "market.db", isolation_level=None)
    try:
        yield db
    finally:
        db.close()


@pytest.fixture
def shop(tmp_path, started):
    return lambda market=None, **options: started(Shop(tmp_path / "shop", market={**QUIET, **(market or {})}, **options))


class Books:
    """A shop with an order of every sort, stopped; each test changes its store and has it compared."""

    def __init__(self, folder):
        self.shop = Shop(folder, market=QUIET)
        self.folder = folder
        self.ids = {}

    def fill(self):
        shop = self.shop.start()
        shop.plugin("gift", source="pool", price=0)
        shop.fill("gift", ["GIFT-1"])
        shop.plugin("monthly", source="pool", term="P1M")
        shop.fill("monthly", ["MONTH-1", "MONTH-2"])
        alice, bob = shop.customer(), shop.customer()
        alice.serials()
        bob.serials()
        for name, plugin in (("dice", "dice"), ("weather", "weather"), ("quotes", "quotes"), ("monthly", "monthly"),
                             ("renewal", "monthly")):
            self.ids[name], _serial = alice.purchase(plugin)
        self.ids["gift"] = alice.buy("gift").get("id")
        shop.wait_order(self.ids["gift"], "fulfilled")
        shop.plugin("game", source="pool", price=0, items={"coins": {"name": "Coins", "price": 500, "amount": 5}})
        shop.fill("game", ["GAME-1"])
        shop.wait_order(alice.buy("game").get("id"), "fulfilled")
        coins = alice.buy("game/coins")
        alice.press(coins)
        self.ids["coins"] = coins.get("id")
        shop.wait_order(self.ids["coins"], "fulfilled")
        declined = bob.buy("dice")
        bob.decline(declined.get("id"))
        self.ids["declined"] = declined.get("id")
        late = bob.buy("weather")
        bob.press(late)
        shop.wait_order(late.get("id"), "fulfilled")
        [payment] = shop.checkout(late.get("id"))["payments"]
        status, _refund = shop.stub.call("POST", "/v1/refunds", {"payment": payment["payment"], "amount": 500,
                                                                 "currency": "EUR", "reason": "asked"}, key="by-hand")
        assert status == 201
        shop.wait_order(late.get("id"), "refunded")
        self.ids["refunded"] = late.get("id")
        over = bob.buy("quotes")
        bob.press(over)
        self.ids["over"] = over.get("id")
        shop.wait_order(self.ids["over"], "fulfilled")
        assert shop.callback(shop.event(self.ids["over"], payment="pay_again", amount=200)) == 200
        self.ids["open"] = bob.buy("dice").get("id")
        alice.close()
        bob.close()
        # The stub does not know that payment, so the excess cannot go back; it does in the books.
        shop.wait_order(self.ids["over"], "review")
        shop.host.stop()
        with opened(shop.host) as db:
            db.execute("UPDATE refund SET state = 'confirmed', provider_refund = 're_over' WHERE purchase = ?",
                       (self.ids["over"],))
            db.execute("INSERT INTO ledger (provider, id, kind, purchase, payment, amount_minor, source, recorded_us)"
                       " SELECT provider, 're_over', 'refund', purchase, id, 200, 'refund', recorded_us FROM ledger"
                       " WHERE id = 'pay_again' AND purchase = ?", (self.ids["over"],))
            db.execute("UPDATE purchase SET phase = 'fulfilled', payment = 'paid' WHERE id = ?", (self.ids["over"],))
            for name, order in list(self.ids.items()):
                (self.ids[f"{name}.line"], self.ids[f"{name}.account"]) = db.execute(
                    "SELECT id, account FROM purchase_line WHERE purchase = ?", (order,)).fetchone()
        self.kept = self.folder / "market.db"
        shutil.copy(shop.host.data / "market.db", self.kept)

    def compare(self, *statements):
        host = self.shop.host
        shutil.copy(self.kept, host.data / "market.db")
        with opened(host) as db:
            for statement in statements:
                db.execute(statement.format(**{name.replace(".", "_"): value for name, value in self.ids.items()}))
        host.start()
        try:
            return reconcile(host)
        finally:
            host.stop()


@pytest.fixture(scope="module")
def books(tmp_path_factory):
    one = Books(tmp_path_factory.mktemp("books"))
    try:
        one.fill()
        yield one
    finally:
        if one.shop.host.process is None:
            one.shop.host = None
        one.shop.stop()


def test_a_healthy_shop_has_no_difference(books):
    assert books.compare() == (0, [])


LEDGER = "INSERT INTO ledger (provider, id, kind, purchase, payment, amount_minor, source, recorded_us) VALUES "

DIFFERENCES = [
    ("paid-not-taken", "{dice}",
     ["UPDATE purchase SET phase = 'awaiting-payment', poll_us = 4000000000000000 WHERE id = '{dice}'"]),
    ("money-kept", "{dice}", ["UPDATE purchase SET phase = 'declined' WHERE id = '{dice}'"]),
    ("unpaid", "{weather}", ["DELETE FROM ledger WHERE purchase = '{weather}'"]),
    ("given-back-not-taken", "{dice}",
     [LEDGER + "('stub', 're_x', 'refund', '{dice}', (SELECT id FROM ledger WHERE purchase = '{dice}'), 500, 'poll', 1)"]),
    ("refunds-beyond-payments", "{dice}",
     [LEDGER + "('stub', 're_x', 'refund', '{dice}', (SELECT id FROM ledger WHERE purchase = '{dice}'), 900, 'poll', 1)"]),
    ("refund-missing", "{dice}", ["UPDATE purchase SET phase = 'refund-due' WHERE id = '{dice}'"]),
    ("refund-missing", "{over}", ["DELETE FROM ledger WHERE id = 're_over'", "DELETE FROM refund"]),
    ("refunded-not-taken", "{refunded}", ["UPDATE purchase SET phase = 'refunding' WHERE id = '{refunded}'"]),
    ("refund-without-job", None, ["UPDATE refund SET state = 'sent' WHERE purchase = '{over}'"]),
    ("refund-without-ledger", None, ["DELETE FROM ledger WHERE id = 're_over'"]),
    ("refund-differs", None, ["UPDATE ledger SET amount_minor = 100 WHERE id = 're_over'"]),
    ("refund-without-payment", None, ["UPDATE refund SET payment = 'pay_x'"]),
    ("ledger-differs", "pay_again", ["UPDATE ledger SET provider = 'other' WHERE id = 'pay_again'"]),
    ("no-job", "{dice}", ["UPDATE purchase SET phase = 'issuing' WHERE id = '{dice}'"]),
    ("no-job", "{open}", ["UPDATE purchase SET phase = 'created', poll_us = 0, payment = 'none' WHERE id = '{open}'"]),
    ("not-asked", "{open}", ["UPDATE purchase SET poll_us = 0 WHERE id = '{open}'"]),
    ("no-credit", "{coins}", ["DELETE FROM item_line"]),
    ("credit-differs", "{coins_line}", ["UPDATE item_line SET credited = 6"]),
    ("credit-without-payment", "{coins_line}", ["UPDATE purchase SET phase = 'refunded' WHERE id = '{coins}'"]),
    ("counter-differs", "{coins_account} game coins", ["UPDATE function_value SET value = CAST ('6' AS BLOB)"]),
    ("no-serial", "{weather}", ["DELETE FROM issued_serial WHERE line = '{weather_line}'"]),
    ("no-line", "{declined}", ["DELETE FROM purchase_line WHERE purchase = '{declined}'"]),
    ("not-open", "{open}", ["UPDATE purchase_line SET is_open = 0 WHERE purchase = '{open}'"]),
    ("still-open", "{dice}", ["UPDATE purchase_line SET is_open = 1 WHERE purchase = '{dice}'"]),
    ("payment-differs", "{dice}", ["UPDATE purchase SET payment = 'none' WHERE id = '{dice}'"]),
    ("unknown-state", "{dice}", ["UPDATE purchase SET phase = 'dreaming' WHERE id = '{dice}'"]),
    ("charged-back-not-taken", "{dice}",
     [LEDGER + "('stub', 'dp_x', 'dispute-lost', '{dice}', (SELECT id FROM ledger WHERE purchase = '{dice}'), 500, 'poll', 1)"]),
    ("charged-back-without-dispute", "{dice}", ["UPDATE purchase SET phase = 'charged-back' WHERE id = '{dice}'"]),
    ("entitlement-without-line", "{dice_account} dice", ["UPDATE entitlement SET line = 'l_x' WHERE plugin = 'dice'"]),
    ("entitlement-without-payment", "{refunded_account} weather",
     ["UPDATE entitlement SET state = 'active' WHERE account = '{refunded_account}' AND plugin = 'weather'"]),
    ("line-without-payment", "{dice_line}", ["UPDATE purchase SET phase = 'refunded' WHERE id = '{dice}'"]),
    ("entitlement-differs", "{dice_account} dice",
     ["UPDATE entitlement_line SET state = 'ended' WHERE line = '{dice_line}'"]),
    ("serial-unreadable", "{dice_account} dice", ["UPDATE entitlement SET sealed = x'01' WHERE plugin = 'dice'"]),
    ("serial-not-issued", "{weather_account} weather", ["DELETE FROM issued_serial WHERE line = '{weather_line}'"]),
    ("serial-shared", "{dice_account} dice",
     ["UPDATE issued_serial SET account = '{open_account}' WHERE line = '{dice_line}'"]),
    ("serial-without-line", "weather l_x", ["UPDATE issued_serial SET line = 'l_x' WHERE line = '{weather_line}'"]),
    ("two-serials", "{weather_line}.0",
     ["INSERT INTO issued_serial VALUES ('weather', x'00', '{weather_account}', '{weather_line}', 0)"]),
    ("issue-without-serial", "{weather_line}.0", ["DELETE FROM issued_serial WHERE line = '{weather_line}'"]),
    ("issue-without-job", "{weather_line}.0", ["UPDATE generation SET state = 'calling' WHERE line = '{weather_line}'"]),
    ("key-without-line", None, ["UPDATE pool_key SET line = 'l_x' WHERE line = '{dice_line}'"]),
    ("key-differs", None, ["UPDATE pool_key SET generation = 1 WHERE line = '{dice_line}'"]),
    ("key-free-but-issued", None, ["UPDATE pool_key SET state = 'free', line = NULL WHERE line = '{dice_line}'"]),
    ("job-without-subject", "void:l_x.0",
     ["INSERT INTO job (kind, key, subject, attempt, not_before_us, owner, lease_until_us, fence, created_us)"
      " VALUES ('void', 'void:l_x.0', 'l_x.0', 0, 4000000000000000, '', 0, 1, 1)"]),
    ("unmatched", "u_x",
     ["INSERT INTO unmatched (id, provider, webhook_id, state, reason, body, attempt, retry_us, is_alarmed,"
      " first_seen_us) VALUES ('u_x', 'stub', 'msg_x', 'review', 'no such order', '', 0, 0, 0, 1)"]),
]


@pytest.mark.parametrize("kind, subject, statements", DIFFERENCES,
                         ids=[f"{kind}-{number}" for number, (kind, _subject, _statements) in enumerate(DIFFERENCES)])
def test_each_kind_of_difference_is_found(books, kind, subject, statements):
    status, rows = books.compare(*statements)
    assert status == 1
    names = {name.replace(".", "_"): value for name, value in books.ids.items()}
    found = [row for row in rows if row["kind"] == kind]
    assert found, rows
    if subject is not None:
        assert [row["subject"] for row in found] == [subject.format(**names)]
    assert all(set(row) == {"kind", "subject", "what"} and row["what"] for row in rows)


def test_every_kind_of_difference_has_its_test():
    """The checker's own words."""
    source = pathlib.Path(__file__).parents[2] / "host-server/market/books/reconcile.c"
    words = set(re.findall(r'report(?:_rows)?\s*\(\s*check,\s*"([a-z-]+)"', source.read_text()))
    assert words == {kind for kind, _subject, _statements in DIFFERENCES}


@pytest.mark.timeout_s(120)
def test_a_busy_shop_has_no_difference_at_any_moment(shop):
    """Compared again and again while customers buy, decline, pay too much and are given back."""
    one = shop(stub=("--fault", "duplicate", "--fault", "reorder:50"))

    def customer(number):
        buyer = one.customer()
        try:
            for plugin in ("dice", "weather", "quotes"):
                order = buyer.buy(plugin)
                if (number + len(plugin)) % 3 == 0:
                    buyer.decline(order.get("id"))
                    continue
                buyer.press(order)
                one.wait_order(order.get("id"), "fulfilled", timeout=60)
        finally:
            buyer.close()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(customer, number) for number in range(8)]
        looked = 0
        while not all(run.done() for run in runs):
            assert reconcile(one.host) == (0, [])
            looked += 1
        for run in runs:
            run.result()
    assert looked > 3
    assert reconcile(one.host, "--from-provider") == (0, [])


def test_a_person_reads_a_table_and_the_exit_code(books):
    host = books.shop.host
    shutil.copy(books.kept, host.data / "market.db")
    with opened(host) as db:
        db.execute("UPDATE purchase SET payment = 'none' WHERE id = ?", (books.ids["dice"],))
    host.start()
    try:
        run = host.hostctl("reconcile", check=False)
        assert run.returncode == 1 and "1 difference" in run.stderr
        assert run.stdout.splitlines()[0].split() == ["KIND", "SUBJECT", "WHAT"] and books.ids["dice"] in run.stdout
        assert host.hostctl("reconcile", "--since", "1h", check=False).returncode == 1
        assert host.hostctl("reconcile", "--from-provider", "--since", "never", check=False).returncode == 1
    finally:
        host.stop()


# --- with the provider


def test_a_payment_that_no_callback_brought_is_applied(shop):
    one = shop(stub=("--fault", "drop"))
    alice = one.customer()
    alice.serials()
    order = alice.buy("dice")
    alice.press(order)
    status, rows = reconcile(one.host, "--from-provider")
    assert status == 1 and kinds(rows) == {("applied", order.get("id"))} and "500 EUR" in rows[0]["what"]
    alice.push_of("order", id=order.get("id"), state="fulfilled")
    assert one.order(order.get("id"))["ledger"][0]["by"] == "reconcile"
    assert reconcile(one.host, "--from-provider") == (0, [])
    alice.close()


def test_a_refund_that_no_callback_brought_is_applied(shop):
    one = shop(stub=("--fault", "drop"))
    alice = one.customer()
    alice.serials()
    order = alice.buy("dice")
    alice.press(order)
    reconcile(one.host, "--from-provider")
    one.wait_order(order.get("id"), "fulfilled")
    [payment] = one.checkout(order.get("id"))["payments"]
    one.stub.call("POST", "/v1/refunds", {"payment": payment["payment"], "amount": 500, "currency": "EUR",
                                          "reason": "asked"}, key="by-hand")
    status, rows = reconcile(one.host, "--from-provider")
    assert status == 1 and [row["kind"] for row in rows] == ["applied"] and "refund" in rows[0]["what"]
    one.wait_order(order.get("id"), "refunded")
    assert alice.serials()["dice"][0] == "revoked"
    assert reconcile(one.host, "--from-provider") == (0, [])
    alice.close()


def test_what_the_provider_denies_is_reported(shop):
    """A payment that only we know, an amount that differs, and a checkout that the provider never made."""
    one = shop()
    alice = one.customer()
    alice.serials()
    fulfilled, _serial = alice.purchase("dice")
    open_order, lost = alice.buy("weather").get("id"), alice.buy("quotes").get("id")
    alice.close()
    one.host.stop()
    with opened(one.host) as db:
        db.execute("UPDATE ledger SET amount_minor = 501 WHERE purchase = ?", (fulfilled,))
        db.execute(LEDGER + "('stub', 'pay_dreamt', 'payment', ?, 'pay_dreamt', 1, 'callback', 1)", (open_order,))
        db.execute("UPDATE purchase SET payment = 'underpaid' WHERE id = ?", (open_order,))
        db.execute("UPDATE purchase SET payment = 'overpaid' WHERE id = ?", (fulfilled,))
        db.execute("UPDATE purchase SET checkout = 'cs_dreamt' WHERE id = ?", (lost,))
    one.host.start()
    status, rows = reconcile(one.host, "--from-provider")
    assert status == 1
    found = kinds(rows)
    assert ("denied", open_order) in found and ("checkout-unknown", lost) in found
    [kept] = [row for row in rows if row["kind"] == "unmatched"]
    assert "the ledger has this id with another order, payment or amount" in kept["what"]
    assert reconcile(one.host, "--from-provider")[1] == rows, "the same again, and nothing twice"


def test_a_checkout_that_the_list_had_not_is_asked_after(shop):
    """--since later than the order: not a word. Earlier than it, with its checkout changed long ago: asked by itself."""
    one = shop()
    alice = one.customer()
    alice.serials()
    alice.purchase("dice")
    alice.close()
    assert reconcile(one.host, "--from-provider", "--since", "2100-01-01T00:00:00Z") == (0, [])
    assert reconcile(one.host, "--from-provider", "--since", "2000-01-01T00:00:00Z") == (0, [])


def test_a_provider_that_does_not_answer_is_said_so(shop):
    one = shop()
    alice = one.customer()
    order = alice.buy("dice").get("id")
    alice.close()
    one.stub.kill()
    run = one.host.hostctl("reconcile", "--from-provider", check=False)
    assert run.returncode == 1 and "provider 'stub' does not answer" in run.stderr
    assert one.order(order)["state"] == "awaiting-payment"
    assert one.host.hostctl("reconcile", check=False).returncode == 0
    [status] = one.host.hostctl_json("status")
    assert status["providers"]["stub"]["state"] == "does not answer" and status["ready"] is True
    assert status["checks"]["provider"] == "a billing provider does not answer"
    one.stub.start("--listen", one.stub.address)
    assert reconcile(one.host, "--from-provider") == (0, [])
    assert one.host.hostctl_json("status")[0]["checks"]["provider"] == "ok"


def test_a_server_that_stops_ends_a_comparison(shop):
    one = shop()
    alice = one.customer()
    alice.buy("dice")
    alice.close()
    one.stub.kill()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        run = pool.submit(one.host.hostctl, "reconcile", "--from-provider", check=False)
        wait_until(lambda: "command 'reconcile'" in one.log(), what="the command")
        one.host.stop()
        assert run.result().returncode in (1, 3)
    one.stub.start("--listen", one.stub.address)
    one.host.start()


def test_only_one_comparison_with_the_providers_runs(shop):
    one = shop(stub=("--fault", "slow:1500"))
    alice = one.customer()
    alice.buy("dice")
    alice.close()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(one.host.hostctl, "reconcile", "--from-provider", check=False) for _ in range(2)]
        assert sorted(run.result().returncode for run in runs) == [0, 1]
    assert any("under way" in run.result().stderr for run in runs)


def test_many_pages_are_gone_through(shop):
    """More checkouts than fit one page of the provider."""
    one = shop(limits={"open_orders_per_user": 0, "orders_per_user_per_day": 0})
    for number in range(150):
        name = f"o_foreign{uuid.uuid4().hex[:8]}{number}"
        one.stub.checkout("http://127.0.0.1:9/", order=name)
    alice = one.customer()
    order = alice.buy("dice").get("id")
    alice.close()
    assert reconcile(one.host, "--from-provider", "--since", "1h") == (0, [])
    assert "checkouts=151" in one.log(), one.log()[-500:]
    assert one.order(order)["state"] == "awaiting-payment"
