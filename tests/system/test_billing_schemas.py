"""docs/schemas: everything that host-server and billing-stub say to each other is as the schemas say, and every schema and
type of callback is seen. What a provider could get wrong, the schemas refuse as the host does."""

import http.client
import json
import re

import jsonschema
import pytest

from lib.billing import KEY
from lib.market import Shop
from lib.process import ROOT, wait_until
from lib.recorder import Recorder

SCHEMAS = ROOT / "docs" / "schemas"
CALLBACKS = {"checkout.paid", "checkout.declined", "checkout.expired", "payment.refunded", "payment.disputed",
             "payment.dispute_won", "payment.dispute_lost"}

# (method, path, status) → the schemas of request and answer
ROUTES = [
    ("POST", r"/v1/checkouts", 201, "checkout-request", "checkout-made"),
    ("GET", r"/v1/checkouts/[^/?]+", 200, None, "checkout"),
    ("POST", r"/v1/checkouts/[^/]+/cancel", 200, None, "checkout"),
    ("POST", r"/v1/checkouts/[^/]+/cancel", 409, None, "checkout"),
    ("GET", r"/v1/checkouts\?since=[^&]+", 200, None, "checkouts"),
    ("POST", r"/v1/refunds", 201, "refund-request", "refund"),
    ("GET", r"/v1/refunds/[^/]+", 200, None, "refund"),
    ("POST", r"/v1/billing/stub", 200, "callback", None),
]


def validator(name):
    schema = json.loads((SCHEMAS / f"billing-{name}.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    resolver = jsonschema.RefResolver(base_uri=f"{SCHEMAS.as_uri()}/", referrer=schema)
    return jsonschema.Draft202012Validator(schema, resolver=resolver)


def read(body):
    return json.loads(body, parse_float=lambda text: pytest.fail(f"{text} is no integer"))


class Traffic:
    def __init__(self, *recorders):
        self.recorders, self.seen = recorders, set()

    def check(self, name, body, where):
        self.seen.add(name)
        faults = [error.message for error in validator(name).iter_errors(read(body))]
        assert not faults, f"{where} is not {name}: {faults}: {body}"

    def judge(self):
        for exchange in [one for recorder in self.recorders for one in recorder.exchanges]:
            where = f"{exchange.method} {exchange.path} {exchange.status}"
            routes = [route for route in ROUTES if route[0] == exchange.method and route[2] == exchange.status
                      and re.fullmatch(route[1], exchange.path)]
            if not routes:
                assert exchange.status >= 400, f"{where} is in no schema"
                self.check("error", exchange.answer, where)
                continue
            [(_method, _path, _status, request, answer)] = routes
            if request is not None:
                self.check(request, exchange.body, where)
            else:
                assert exchange.body == b"", where
            if answer is not None:
                self.check(answer, exchange.answer, where)

    def callbacks(self):
        return {read(one.body)["type"] for recorder in self.recorders for one in recorder.exchanges
                if one.path.startswith("/v1/billing/")}


class RecordedShop(Shop):
    """host-server and billing-stub with a recorder each way."""

    def __init__(self, folder):
        self.to_stub, self.to_host = Recorder(lambda: self.stub.address), Recorder(lambda: self.host.addresses["http"])
        super().__init__(folder, provider=self.to_stub, stub=["--fault", "overpay:30", "--fault", "pending-refund:1500"],
                         market={"poll_s": "0.3", "order_expiry_s": "6"})
        self.traffic = Traffic(self.to_stub, self.to_host)

    def start(self):
        super().start()
        self.host.groups["http"]["public_url"] = self.to_host.base
        self.host.write_config()
        self.host.restart()
        return self

    def stop(self):
        try:
            super().stop()
        finally:
            self.to_stub.close()
            self.to_host.close()

    def call_stub(self, method, path):
        """What a merchant may ask and the host had no reason to."""
        connection = http.client.HTTPConnection(self.to_stub.base.removeprefix("http://"), timeout=10)
        connection.request(method, path, headers={"Authorization": f"Bearer {KEY}"})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, body


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    shop = RecordedShop(tmp_path_factory.mktemp("shop"))
    try:
        yield shop.start()
    finally:
        shop.stop()


def test_what_host_and_stub_say_is_as_the_schemas_say(shop):
    """Bought and overpaid, so that the host gives something back, which is pending for a while; disputed; declined at the
    page and by the user; expired; cancelled when it was paid; listed; and asked for what is not there."""
    alice, bob, carol = customers = [shop.customer() for _ in range(3)]
    for one in customers:
        one.serials()
    expiring = bob.buy("dice").get("id")
    bought, _serial = alice.purchase("weather")
    for order, end in [(bought, "won"), (carol.purchase("quotes")[0], "lost")]:
        payment = shop.order(order)["ledger"][0]["id"]
        for action in ["open", end]:
            assert shop.stub.call("POST", "/v1/test/disputes", {"payment": payment, "action": action})[0] == 200
    alice.press(alice.buy("dice"), "decline")
    alice.decline(alice.buy("quotes").get("id"))
    assert shop.call_stub("POST", f"/v1/checkouts/{shop.order(bought)['checkout']}/cancel")[0] == 409
    assert shop.call_stub("GET", f"/v1/checkouts/{shop.order(bought)['checkout']}")[0] == 200
    shop.host.hostctl("billing", "check", "stub", "--live")
    shop.wait_order(expiring, "expired", timeout=20)
    wait_until(lambda: shop.traffic.callbacks() >= CALLBACKS, 20, "every type of callback")
    wait_until(lambda: shop.order(bought)["refunds"][0]["state"] == "confirmed", 20, "the refund confirmed")
    for one in customers:
        one.close()
    shop.traffic.judge()
    assert shop.traffic.seen == {path.stem.removeprefix("billing-") for path in SCHEMAS.glob("billing-*.json")}


GOOD = {"type": "payment.refunded", "timestamp": "2026-11-23T10:24:39Z",
        "data": {"merchant": "m_1", "order": "o_1", "checkout": "c_1", "payment": "p_1", "refund": "r_1", "amount": 499,
                 "currency": "EUR", "live": True}}


def changed(**changes):
    data = {**GOOD["data"], **changes}
    return {**GOOD, "data": {name: value for name, value in data.items() if value is not ...}}


@pytest.mark.parametrize("event", [
    changed(amount=0), changed(amount=-1), changed(amount=4.99), changed(amount="499"), changed(amount=2 ** 53),
    changed(amount=...), changed(currency="eur"), changed(currency=...), changed(order="o 1"), changed(order=""),
    changed(order="o" * 256), changed(merchant=...), changed(live="yes"), changed(live=...), changed(refund=...),
    changed(payment=7), {**GOOD, "data": []}, {**GOOD, "data": None}, {"type": "checkout.paid"}, [], "checkout.paid"])
def test_what_the_schema_of_callbacks_refuses_the_host_keeps_for_a_person(shop, event):
    assert list(validator("callback").iter_errors(GOOD)) == []
    assert list(validator("callback").iter_errors(event))
    body = json.dumps(event).encode()
    assert shop.callback(None, body=body) == 200
    assert "delivery kept unmatched" in shop.log()


@pytest.mark.parametrize("name", sorted(path.stem.removeprefix("billing-") for path in SCHEMAS.glob("billing-*.json")))
def test_every_schema_is_one_and_says_what_it_is_for(name):
    schema = json.loads((SCHEMAS / f"billing-{name}.json").read_text())
    assert schema["$id"] == f"billing-{name}.json" and schema["title"] and schema["description"]
    validator(name)
    assert f"schemas/billing-{name}.json" in (ROOT / "docs/billing.md").read_text()
