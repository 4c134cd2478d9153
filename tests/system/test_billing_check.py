"""`hostctl billing check NAME`: what a billing integrator is told, by good providers and by ones that are not."""

import json
import subprocess

import pytest

from lib.market import ScriptedProvider, Shop
from lib.process import program, wait_until
from lib.stripe import Stripe, StripeShop

READING = ["reachable", "key-accepted", "wrong-key-refused", "unknown-checkout", "unknown-refund"]
WRITING = ["create", "create-again", "create-key-reused", "report", "cancel", "cancel-again", "report-cancelled", "list",
           "callback"]


def check(host, *arguments):
    """(exit status, {check: (result, detail)}, what went to standard error)"""
    run = host.hostctl("billing", "check", *arguments, "--json", check=False)
    rows = [json.loads(line) for line in run.stdout.splitlines()]
    assert all(set(row) == {"check", "result", "detail"} for row in rows)
    return run.returncode, {row["check"]: (row["result"], row["detail"]) for row in rows}, run.stderr


def results(rows):
    return {name: result for name, (result, _detail) in rows.items()}


class KeyedProvider(ScriptedProvider):
    """Knows its key, its checkouts and a list: what a provider must. `spoil`: {check: function of (status, answer)}. Has no
    checkouts that end in a moment unless `is_brief`, so that nobody waits for a callback that it never makes."""

    def __init__(self):
        super().__init__()
        self.spoil, self.is_brief = {}, False

    api_key = "sk_test_key"

    def handle(self, request, body):
        self.is_known = request.headers.get("Authorization") == f"Bearer {self.api_key}"
        return super().handle(request, body)

    def answer(self, method, path, key, body):
        status, value = self.judge(method, path, key, body)
        name = ("list" if path.startswith("/v1/checkouts?") else
                "cancel" if path.endswith("/cancel") else
                "create" if method == "POST" else "report")
        return self.spoil[name](status, value) if self.is_known and name in self.spoil else (status, value)

    def judge(self, method, path, key, body):
        if not self.is_known:
            return 401, {"error": "who?"}
        if path.startswith("/v1/checkouts?since="):
            return 200, {"checkouts": list(self.checkouts.values())}
        name = path.split("/")[3].removeprefix("cs_") if path.count("/") > 2 else None
        if name is not None and name not in self.checkouts:
            return 404, {"error": "no such thing"}
        if method == "POST" and key and key.endswith(".2") and not self.is_brief:
            return 422, {"error": "too soon"}
        if method == "POST" and name is None and key in self.checkouts and self.checkouts[key]["amount"] != body["amount"]:
            return 409, {"error": "the key was used otherwise"}
        return super().answer(method, path, key, body)


@pytest.fixture
def provider():
    provider = KeyedProvider()
    yield provider
    provider.close()


@pytest.fixture
def open_shop(tmp_path):
    shops = []

    def start(*, mode="test", **options):
        shop = Shop(tmp_path / "shop", **options)
        shops.append(shop)
        shop.start()
        shop.host.groups["billing stub"]["mode"] = mode
        shop.host.write_config()
        shop.host.restart()
        return shop
    yield start
    for shop in shops:
        shop.stop()


def test_the_stub_passes_every_check_and_the_books_do_not_notice(open_shop):
    shop = open_shop()
    status, rows, _error = check(shop.host, "stub")
    assert list(rows) == READING + WRITING
    assert set(results(rows).values()) == {"pass"}, rows
    assert status == 0
    assert shop.host.hostctl_json("order", "list") == []
    assert "unmatched" not in shop.log() and "ERROR" not in shop.log()
    text = shop.host.hostctl("billing", "check", "stub").stdout
    assert "wrong-key-refused" in text and text.splitlines()[0].split() == ["CHECK", "RESULT", "DETAIL"]


def test_stripe_passes_every_check(tmp_path):
    stripe = Stripe()
    shop = StripeShop(tmp_path / "shop", stripe).start()
    try:
        for currency in ["EUR", "JPY", "MGA", "KWD"]:
            status, rows, _error = check(shop.host, "stripe", "--currency", currency)
            assert list(rows) == READING + WRITING
            assert set(results(rows).values()) == {"pass"}, rows
            assert status == 0
        assert [session["status"] for session in stripe.sessions.values()] == ["expired"] * 8
        shop.wait_taken()
        assert "unmatched" not in shop.log()
        # A wrong webhook secret is what an operator would never see before the first buyer.
        stripe.secrets = ["whsec_somebody_elses_0123456789"]
        stripe.is_sending = True
        status, rows, error = check(shop.host, "stripe")
        assert status == 1 and results(rows)["callback"] == "fail"
        assert "not authentic" in rows["callback"][1] and "1 of 14 checks failed" in error
    finally:
        stripe.outbox.queue.clear()
        stripe.secrets = [shop.billing["webhook_secret"]]
        shop.stop()
        stripe.close()


def test_nothing_is_made_in_live_mode(open_shop, provider):
    shop = open_shop(mode="live", provider=provider)
    status, rows, error = check(shop.host, "stub")
    assert status == 1 and rows == {} and "it is in live mode" in error
    assert provider.requests == []
    status, rows, _error = check(shop.host, "stub", "--live")
    assert status == 0
    assert results(rows) == {**dict.fromkeys(READING, "pass"), **dict.fromkeys(WRITING, "skip")}
    assert {method for method, *_rest in provider.requests} == {"GET"}


def test_a_provider_that_never_calls_back_is_told(open_shop, provider):
    provider.is_brief = True
    status, rows, _error = check(open_shop(provider=provider).host, "stub")
    assert status == 1
    assert {name for name, result in results(rows).items() if result != "pass"} == {"callback"}
    assert rows["callback"][1] == "none came"


def hide_amount(status, value):
    return status, {key: item for key, item in value.items() if key != "amount"}


@pytest.mark.parametrize("what, spoil, failed", [
    ("report", lambda status, value: (status, {**value, "amount": 5}) if status == 200 else (status, value), "report"),
    ("report", lambda status, value: (status, {**value, "amount": 500.0}) if status == 200 else (status, value), "report"),
    ("report", hide_amount, "report"),
    ("report", lambda status, value: (status, {**value, "currency": "USD"}) if status == 200 else (status, value), "report"),
    ("report", lambda status, value: (status, {**value, "status": "open"}) if status == 200 else (status, value),
     "report-cancelled"),
    ("report", lambda status, value: (200, {"checkout": "cs_1"}) if status == 404 else (status, value), "unknown-checkout"),
    ("cancel", lambda status, value: (409, value), "cancel"),
    ("cancel", lambda _status, value: (200, {**value, "status": "open"}), "cancel"),
    ("list", lambda _status, _value: (200, {"checkouts": []}), "list"),
    ("list", lambda _status, _value: (404, {"error": "not here"}), "list"),
    ("create", lambda status, value: (422, {"error": "no"}), "create"),
])
def test_what_a_provider_does_otherwise_is_named(open_shop, provider, what, spoil, failed):
    provider.spoil[what] = spoil
    status, rows, _error = check(open_shop(provider=provider).host, "stub")
    assert status == 1 and results(rows)[failed] == "fail", rows
    if failed == "create":
        assert {results(rows)[name] for name in WRITING[1:]} == {"skip"}


def test_a_key_that_makes_two_checkouts_is_named(open_shop, provider):
    numbers = iter(range(100))

    def another(status, value):
        name = f"extra{next(numbers)}"
        provider.checkouts[name] = {**provider.checkouts[next(iter(provider.checkouts))], "checkout": f"cs_{name}"}
        return 201, {"checkout": f"cs_{name}", "url": f"{provider.base}/pay/{name}"}
    provider.spoil["create"] = another
    _status, rows, _error = check(open_shop(provider=provider).host, "stub")
    assert results(rows)["create"] == "pass"
    assert results(rows)["create-again"] == results(rows)["create-key-reused"] == "fail"


def test_a_provider_that_takes_any_key_or_not_ours_is_named(open_shop, provider):
    shop = open_shop(provider=provider)
    provider.api_key = "another"
    status, rows, _error = check(shop.host, "stub")
    assert status == 1 and results(rows)["reachable"] == "pass" and results(rows)["key-accepted"] == "fail"
    assert "401" in rows["key-accepted"][1]
    provider.api_key = "sk_test_of_somebody_else"
    assert results(check(shop.host, "stub")[1])["wrong-key-refused"] == "fail"


def test_a_provider_that_is_not_there_fails_and_the_rest_is_skipped(open_shop, provider):
    shop = open_shop(provider=provider)
    provider.server.server_close()
    status, rows, _error = check(shop.host, "stub")
    assert status == 1
    assert results(rows) == {**dict.fromkeys(READING, "fail"), "create": "fail", **dict.fromkeys(WRITING[1:], "skip")}


def test_a_provider_that_lets_no_checkout_end_soon_is_not_blamed(open_shop, provider):
    status, rows, _error = check(open_shop(provider=provider).host, "stub")
    assert status == 0 and rows["callback"][0] == "skip" and "422" in rows["callback"][1]


def test_a_server_that_is_stopped_in_the_middle_of_a_check_stops(open_shop, provider):
    provider.is_brief = True
    shop = open_shop(provider=provider, market={"vendor_timeout_s": "30"})
    command = subprocess.Popen([program("hostctl"), "--config", shop.host.config_path, "billing", "check", "stub"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: any(key and key.endswith(".2") for _m, _p, key, _b in provider.requests), what="the last step")
        shop.host.restart()
        _out, error = command.communicate(timeout=10)
        assert command.returncode in (1, 3), error
    finally:
        command.kill()
        command.wait()


@pytest.mark.parametrize("arguments, said", [(["nobody"], "no [billing nobody]"), (["stub", "--currency", "euro"],
                                                                                  "three capital letters")])
def test_what_cannot_be_checked_is_said(open_shop, provider, arguments, said):
    status, rows, error = check(open_shop(provider=provider).host, *arguments)
    assert status == 1 and rows == {} and said in error
