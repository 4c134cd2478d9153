"""A market under test: host-server with a vendor's plugins on sale, billing-stub as the provider, and a plugin server that
answers as it is told. What a test asks of the books it asks of the server (hostctl), of the user's serials, and of
the provider's own ledger."""

import http.client
import itertools
import json
import os
import pathlib
import time
import urllib.parse
import uuid

from lib.billing import KEY, MERCHANT, SECRET, Stub, sign
from lib.host import Host, key_file
from lib.party import Party
from lib.process import BUILD, wait_until

SERIALS = "urn:stoa:serials:1"
MARKET = "urn:stoa:market:1"

QUICK = {"poll_s": "0.3,0.5", "keygen_retry_s": "0,0.1,0.2", "vendor_timeout_s": "2", "sweep_s": "0.5",
         "refund_retry_s": "0,0.2,0.5,1,2", "unmatched_retry_s": "0.1,0.3,0.5", "unmatched_alarm_s": "1",
         "lease_margin_s": "1", "expiry_grace_s": "0"}


class VendorServer(Party):
    """A plugin server. `answers`: functions (method, request id, body) → (status, object) for the next requests; then it
    issues, remembers and voids as it should, but for the plugins in `refused`."""

    accepts = ("GET", "POST", "DELETE")

    def __init__(self):
        self.answers = []
        self.issued, self.voided, self.requests, self.refused = {}, set(), [], set()
        super().__init__()

    def handle(self, request, body):
        body = json.loads(body) if body else None
        name = body["request"] if body else urllib.parse.unquote(request.path.rsplit("/", 1)[1])
        self.requests.append((request.command, name, body))
        answer = self.answers.pop(0) if self.answers else self.answer
        status, value = answer(request.command, name, body)
        return status, b"" if value is None else value if isinstance(value, bytes) else json.dumps(value).encode(), {}

    def answer(self, method, name, body):
        if method == "DELETE":
            self.voided.add(name)
            return 204, None
        if method == "GET":
            return (200, {"serial": self.issued[name]}) if name in self.issued else (404, {"error": "not issued"})
        if name in self.voided:
            return 410, {"error": "void"}
        if body["plugin"] in self.refused:
            return 422, {"error": "no"}
        return 201, {"serial": self.issued.setdefault(name, f"VENDOR-{name}")}

    def methods(self):
        return [method for method, _name, _body in self.requests]


class ScriptedProvider(Party):
    """A provider that answers as it is told: `answers`: functions (method, path, key, body) → (status, object) for the next
    requests; then it makes checkouts, reports them open, cancels, and refunds at once."""

    accepts = ("GET", "POST")

    def __init__(self):
        self.answers, self.requests, self.checkouts, self.refunds = [], [], {}, {}
        super().__init__()

    def handle(self, request, body):
        body, key = json.loads(body) if body else None, request.headers.get("Idempotency-Key")
        self.requests.append((request.command, request.path, key, body))
        answer = self.answers.pop(0) if self.answers else self.answer
        status, value = answer(request.command, request.path, key, body)
        return status, json.dumps(value).encode(), {}

    def answer(self, method, path, key, body):
        name = path.split("/")[3] if path.count("/") > 2 else None
        if path == "/v1/checkouts":
            checkout = self.checkouts.setdefault(key, {"checkout": f"cs_{key}", "order": body["order"], "status": "open",
                                                       "amount": body["amount"], "currency": body["currency"],
                                                       "payments": []})
            return 201, {"checkout": checkout["checkout"], "url": f"{self.base}/pay/{key}"}
        if path == "/v1/refunds":
            refund = self.refunds.setdefault(key, {"refund": f"re_{key}", "status": "done"})
            return 201, refund
        if path.startswith("/v1/refunds/"):
            return 200, {"refund": name, "status": "done"}
        checkout = self.checkouts[name.removeprefix("cs_")]
        if path.endswith("/cancel"):
            checkout["status"] = "declined"
        return 200, checkout

    def of(self, method, path):
        return [(key, body) for one, where, key, body in self.requests if (one, where) == (method, path)]


def modules_config():
    modules = {"folder": BUILD / "keygen-modules"}
    if os.geteuid() == 0:
        modules["uid_base"] = 61000 + 64 * int(os.environ.get("STOA_PART", 0))  # three run at a time
    return modules


class Shop:
    """The parties on disk; start() brings them up."""

    def __init__(self, folder, market=None, stub=(), limits=None, webhook_secret=SECRET,
                 provider=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.stub = Stub(self.folder, "--retry-factor", "0.02", *stub)
        self.vendor = VendorServer()
        self.market = {**QUICK, **(market or {})}
        self.limits, self.webhook_secret = limits or {}, webhook_secret
        self.provider = provider
        self.numbers = itertools.count(1)
        self.host = None

    def start(self):
        self.stub.start()
        self.host = Host(self.folder / "host", config={
            "billing stub": {"type": "standard", "mode": "live", "merchant": MERCHANT,
                             "base": self.provider.base if self.provider else f"http://{self.stub.address}", "api_key": KEY,
                             "webhook_secret": self.webhook_secret},
            "market": self.market, "modules": modules_config(), "limits": self.limits})
        self.host.start()
        [vendor] = self.host.hostctl_json("vendor", "add", "acme")
        self.vendor_secret = vendor["secret"]
        self.plugin("weather", source="keygen", module="libweather-keygen.so")
        self.plugin("quotes", source="plugin-server", base=self.vendor.base)
        self.plugin("dice", source="pool")
        self.fill("dice", [f"DICE-{number}" for number in range(40)])
        return self

    def stop(self):
        try:
            if self.host is not None:
                self.host.stop()
        finally:
            self.vendor.close()
            self.stub.stop()

    # --- what is on sale

    def plugin(self, name, *, source, price=500, base=None, module=None, fallback=None, term=None, currency="EUR",
               policy=None, items=None):
        """`items`: what is sold inside it, {id: its group}."""
        groups = {"Plugin": {"id": name, "name": name.capitalize(), "vendor": "acme", "version": "1.0",
                             "summary": f"all about {name}", "price": price, "currency": currency, "term": term},
                  "Serial": {"source": source, "module": module, "fallback": fallback, "policy": policy}}
        if base:
            groups["PluginServer"] = {"base": base}
        if items:
            groups["Functions"] = {"user_data": "4K"}
            groups.update({f"Item {item}": keys for item, keys in items.items()})
        path = self.folder / f"{name}.manifest"
        path.write_text(key_file(groups))
        self.host.hostctl("plugin", "add", path)

    def fill(self, plugin, keys):
        path = self.folder / "keys"
        path.write_text("".join(f"{key}\n" for key in keys))
        self.host.hostctl("pool", "import", plugin, path)

    def user(self, name="buyer"):
        name = f"{name}{next(self.numbers)}"
        self.host.add_user(name)
        return name

    def customer(self, name=None, resource=None):
        """A logged-in client that listens for its serials."""
        return Customer(self, name or self.user(), resource)

    # --- the provider's and the operator's side

    def callback(self, event, *, webhook_id=None, secret=SECRET, at=None, headers=None, body=None):
        """Delivers an event as the provider would; the status."""
        body = json.dumps(event).encode() if body is None else body
        webhook_id = webhook_id or f"msg_{uuid.uuid4().hex}"
        timestamp = int(time.time() if at is None else at)
        values = {"webhook-id": webhook_id, "webhook-timestamp": str(timestamp),
                  "webhook-signature": sign(secret, webhook_id, timestamp, body), "Content-Type": "application/json"}
        values.update(headers or {})
        connection = http.client.HTTPConnection(self.host.addresses["http"], timeout=10)
        try:
            connection.request("POST", "/v1/billing/stub", body,
                               {name: value for name, value in values.items() if value is not None})
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    def event(self, order, kind="checkout.paid", **changes):
        """An event of an order as the provider would report it."""
        shown = self.order(order)
        data = {"merchant": MERCHANT, "order": order, "checkout": shown["checkout"], "payment": f"pay_{order}",
                "amount": shown["price"], "currency": shown["currency"], "live": True, **changes}
        return {"type": kind, "timestamp": "2026-11-23T12:00:00Z", "data": data}

    def order(self, order):
        [shown] = self.host.hostctl_json("order", "show", order)
        return shown

    def wait_order(self, order, state, timeout=15):
        def reached():
            shown = self.order(order)
            return shown if shown["state"] == state else None
        try:
            return wait_until(reached, timeout, f"order in state {state}")
        except TimeoutError as error:
            raise AssertionError(f"{error}: {self.order(order)}\n{self.host.process.log()[-3000:]}") from None

    def checkout(self, order):
        """The provider's own record."""
        return self.stub.get({"checkout": self.order(order)["checkout"]})

    def log(self):
        return self.host.process.log()


class Customer:
    def __init__(self, shop, name, resource=None):
        self.shop, self.name = shop, name
        self.client = shop.host.login(name, resource)
        self.to = f"market.{shop.host.domain}"
        self.ver = None
        self.pushed = []

    def close(self):
        self.client.close()

    def ask(self, kind, payload, timeout=10):
        return self.client.request(kind, payload, self.to, timeout)

    def serials(self, ver=None):
        """{plugin: (state, serial or None, epoch)}, or None if unchanged."""
        held = f" ver='{ver}'" if ver is not None else ""
        answer = self.ask("get", f"<serials xmlns='{SERIALS}'{held}/>")
        assert answer.get("type") == "result", answer
        [element] = answer
        self.ver = element.get("ver")
        return None if element.get("unchanged") == "true" else read_serials(element)

    def buy(self, plugin, request=None, timeout=10):
        """The order element of the answer, or the error IQ. `plugin`: "game", or an item of it, "game/coins"."""
        application, _, item = plugin.partition("/")
        wanted = f"application='{application}' item='{item}'" if item else f"plugin='{plugin}'"
        answer = self.ask("set", f"<order xmlns='{MARKET}' {wanted} request='{request or uuid.uuid4()}'/>", timeout)
        return answer[0] if answer.get("type") == "result" else answer

    def decline(self, order):
        answer = self.ask("set", f"<order xmlns='{MARKET}' id='{order}' action='decline'/>")
        return answer[0] if answer.get("type") == "result" else answer

    def state(self, order):
        answer = self.ask("get", f"<order xmlns='{MARKET}' id='{order}'/>")
        return answer[0].get("state")

    def press(self, order, action="pay"):
        """Presses a button of the charging page."""
        url = order.find(f"{{{MARKET}}}charge").get("url")
        status, _text = self.shop.stub.press({"url": url}, action)
        assert status == 303, status

    def next_push(self, timeout=10):
        """The next push from the market, answered as a client must."""
        deadline = time.monotonic() + timeout
        while True:
            element = self.client.next(max(deadline - time.monotonic(), 0.001))
            if element.get("type") == "set" and element.get("from") == self.to:
                self.client.send(f"<iq type='result' id='{element.get('id')}' to='{self.to}'/>")
                self.pushed.append(element[0])
                return element[0]

    def push_of(self, name, timeout=10, **attributes):
        """Reads pushes until one of that element with those attributes."""
        deadline = time.monotonic() + timeout
        while True:
            element = self.next_push(max(deadline - time.monotonic(), 0.001))
            if element.tag.endswith("}" + name) and all(element.get(key) == value for key, value in attributes.items()):
                return element

    def purchase(self, plugin):
        """The whole of it: order, page, callback, serial."""
        order = self.buy(plugin)
        self.press(order)
        return order.get("id"), read_serials(self.push_of("serials"))[plugin]


def read_serials(element):
    return {child.get("id"): (child.get("state"), child.findtext(f"{{{SERIALS}}}serial"), int(child.get("epoch")))
            for child in element}
