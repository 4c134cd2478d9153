"""The cases of docs/money.md as a test plays and judges them: a shop whose parties are all real (host-server, billing-stub, and a
plugin-server of its own for each plugin that has one), and of every purchase the four views that must agree: the books
(hostctl and the provider's ledger), the user's serial, the vendor's register or pool, and what the client was told.

Views are short texts, so that a test shows them as a table would:

    books     fulfilled/overpaid; payment 800, refund 300; back 300 confirmed; serial issued
              the order and its payment; the ledger; our refund rows; the generations of its serial
    provider  paid: 800 (refund 300 done)
    vendor    issued   (or void, unknown: of each request, asked of the plugin server itself)
              free 1, delivered 1   (of a pool);   nothing, of a keygen
    serial    active, suspended, expired, revoked, or none
    told      the states the order was pushed with, and +STATE for the plugin's serial, in order"""

import itertools
import pathlib
import shutil
import sqlite3
import threading
import time
import urllib.parse
import uuid

from lib.billing import MERCHANT, Form
from lib.market import MARKET, Customer, Shop, read_serials
from lib.party import Party, pass_on
from lib.process import BUILD, wait_until
from lib.vendor import PluginServer

# Nothing is asked of the provider but where a test wants it, so who told whom what is certain.
STEADY = {"poll_s": "600", "vendor_timeout_s": "1", "keygen_retry_s": "0,0.1,0.2", "sweep_s": "0.3",
          "refund_retry_s": "0,0.1,0.2,0.5,1", "lease_margin_s": "1", "expiry_grace_s": "0"}


class Wire(Party):
    """The network between the host and somebody it asks. `faults`: for the next requests, a function of forward, which
    passes the request on and returns (status, body); it returns what the host gets, None for a broken connection."""

    accepts = ("GET", "POST", "DELETE")

    def __init__(self, target):
        self.target, self.faults, self.traffic = target, [], []
        super().__init__()

    def handle(self, request, body):
        self.traffic.append((request.command, request.path, request.headers.get("Idempotency-Key")))

        def forward():
            return pass_on(request, body, self.target())[:2]
        fault = self.faults.pop(0) if self.faults else None
        try:
            answer = fault(forward) if fault else forward()
        except OSError:  # who should answer has gone
            return None
        return answer and (*answer, {})


def lost_request(_forward):
    return None


def lost_answer(forward):
    forward()


class Gate:
    """A fault that holds a request until the test opens it; then it goes on, or its answer does."""

    def __init__(self):
        self.reached, self.is_open = threading.Event(), threading.Event()

    def before(self, forward):
        self.reached.set()
        return forward() if self.is_open.wait(20) else None

    def after(self, forward):
        answer = forward()
        self.reached.set()
        return answer if self.is_open.wait(20) else None

    def instead(self, _forward):
        self.reached.set()
        return (503, b"{}") if self.is_open.wait(20) else None


class CasesShop(Shop):
    def __init__(self, folder, market=None, stub=(), modules=None, **options):
        self.modules = modules
        super().__init__(folder, market={**STEADY, **(market or {})}, stub=stub, **options)
        self.provider = Wire(lambda: self.stub.address)
        self.servers, self.wires, self.names = {}, {}, itertools.count(1)
        self.customers = []

    def start(self):
        super().start()
        if self.modules:
            self.host.groups["modules"]["folder"] = self.modules
        self.host.groups["http"]["listen"] = self.host.addresses["http"]  # where the provider calls, after a restart too
        self.host.write_config()
        if self.modules:
            self.host.restart()
        return self

    def stop(self):
        for customer in self.customers:
            customer.close()
        try:
            super().stop()
        finally:
            for wire in [self.provider, *self.wires.values()]:
                wire.close()
            for server in self.servers.values():
                if server.process:
                    server.stop()

    def enter(self, name=None, resource=None):
        """A customer who listens for their serials."""
        customer = Listening(self, name or self.user(), resource)
        self.customers.append(customer)
        customer.serials()
        return customer

    # --- what is on sale

    def sell(self, source, *, keys=2, faults=(), fallback=None, module="libweather-keygen.so", **options):
        """Puts a plugin of its own on sale: its name. `keys`: how many its pool has."""
        name = f"{source}-{next(self.names)}"
        base = None
        if "plugin-server" in (source, fallback):
            server = self.servers[name] = PluginServer(
                self.folder, name, *(word for fault in faults for word in ("--fault", fault)), secret=self.vendor_secret).start()
            self.wires[name] = Wire(lambda: server.address)
            base = self.wires[name].base
        self.plugin(name, source=source, fallback=fallback, base=base,
                    module=module if "keygen" in (source, fallback) else None, **options)
        if "pool" in (source, fallback) and keys:
            self.fill(name, [f"{name}-KEY-{number}" for number in range(1, keys + 1)])
        return name

    def gate(self, side, plugin=None):
        """Holds the host's next request to the plugin's server, or to the provider: before it arrives, its answer after,
        or instead of both, and then the answer is 503."""
        gate = Gate()
        (self.wires[plugin] if plugin else self.provider).faults.append(getattr(gate, side))
        return gate

    def pool(self, plugin):
        [row] = [row for row in self.host.hostctl_json("pool", "status") if row["plugin"] == plugin]
        return ", ".join(f"{state} {row[state]}" for state in ("free", "reserved", "delivered", "burned") if row[state])

    # --- time

    def age(self, seconds):
        """Lets that much time pass for what users are entitled to, while the server is down."""
        self.host.stop()
        with sqlite3.connect(self.host.data / "market.db") as db:
            for table, columns in {"entitlement": ("expires_us", "reissue_us"), "entitlement_line": ("granted_us",),
                                   "generation": ("expires_us", "reissue_us")}.items():
                for column in columns:
                    db.execute(f"UPDATE {table} SET {column} = {column} - ? WHERE {column} > 0", (int(seconds * 1e6),))
        db.close()
        self.host.start()

    # --- what an operator sees

    def alarms(self):
        return [line for line in self.log().splitlines() if " error " in line.lower()]

    def wait_alarm(self, *words):
        wait_until(lambda: any(all(word in line for word in words) for line in self.alarms()), 10,
                   f"an alarm of {words}; there are {self.alarms()}")


class Listening(Customer):
    """A customer who can say exactly what they were told."""

    def drain(self):
        """Everything that was sent to this session by now is in `pushed`."""
        for element in self.client.barrier():
            if element.get("type") == "set" and element.get("from") == self.to:
                self.client.send(f"<iq type='result' id='{element.get('id')}' to='{self.to}'/>")
                self.pushed.append(element[0])

    def order(self, plugin, request=None):
        """Orders it: the Case."""
        return Case(self, plugin, request)

    def bought(self, plugin):
        """Buys it, and has it."""
        case = self.order(plugin)
        case.pay()
        while case.told()[-2:] != ["fulfilled", "+active"]:
            self.next_push()
        case.n_heard = len(self.pushed)
        return case


class Case:
    """One order, and what each party has of it."""

    def __init__(self, customer, plugin, request=None):
        self.customer, self.shop, self.plugin = customer, customer.shop, plugin
        self.n_heard = len(customer.pushed)
        self.answer = customer.buy(plugin, request)
        assert self.answer.tag == f"{{{MARKET}}}order", self.answer
        self.id, self.state = self.answer.get("id"), self.answer.get("state")
        self.form = None

    # --- the four views

    def books(self):
        return self.shop.order(self.id)

    def write_books(self, shown):
        parts = [f"{shown['state']}/{shown['payment']}",
                 ", ".join(f"{row['kind']} {row['amount']}" for row in shown["ledger"]),
                 ", ".join(f"back {row['amount']} {row['state']}" for row in shown["refunds"]),
                 ", ".join(f"serial {row['state']}" for row in shown["issue"])]
        return "; ".join(part for part in parts if part)

    def write_provider(self, shown):
        if shown["checkout"] is None:
            return "none"
        checkout = self.shop.stub.get(shown)
        payments = []
        for payment in checkout["payments"]:
            more = [f"refund {row['amount']} {row['status']}" for row in sorted(payment["refunds"], key=lambda row: row["amount"])] \
                + [f"dispute {row['status']}" for row in payment["disputes"]]
            payments.append(f"{payment['amount']}" + (f" ({', '.join(more)})" if more else ""))
        return f"{checkout['status']}: {' + '.join(payments)}" if payments else checkout["status"]

    def write_vendor(self, shown):
        parts = []
        server = self.shop.servers.get(self.plugin)
        if server is not None and server.process:
            words = {200: "issued", 404: "unknown", 410: "void"}
            parts += [words[server.ask("GET", f"/v1/serials/{row['request']}")[0]] for row in shown["issue"]]
        pool = [row for row in self.shop.host.hostctl_json("pool", "status") if row["plugin"] == self.plugin]
        if pool:
            parts.append(self.shop.pool(self.plugin))
        return ", ".join(part for part in parts if part)

    def serial(self):
        """(state, serial) as the user's client has it."""
        state, serial, _epoch = self.customer.serials().get(self.plugin, ("none", None, 0))
        return state, serial

    def told(self):
        tokens = []
        for element in self.customer.pushed[self.n_heard:]:
            if element.get("id") == self.id:
                tokens.append(element.get("state"))
            elif element.tag.endswith("}serials") and self.plugin in read_serials(element):
                tokens.append("+" + read_serials(element)[self.plugin][0])
        return tokens

    def hear(self, *tokens, timeout=15):
        """The client is told exactly this since it was last asked."""
        deadline = time.monotonic() + timeout
        while len(self.told()) < len(tokens):
            try:
                self.customer.next_push(max(deadline - time.monotonic(), 0.001))
            except AssertionError:
                break
        self.customer.drain()
        assert self.told() == list(tokens), f"told {self.told()}, not {list(tokens)}"
        self.n_heard = len(self.customer.pushed)

    def settle_books(self, *, books, provider, vendor, timeout=15):
        """What the three parties have written down comes to be this."""
        expected = {"books": books, "provider": provider, "vendor": vendor}
        seen = {}

        def reached():
            shown = self.books()
            seen.update(books=self.write_books(shown), provider=self.write_provider(shown), vendor=self.write_vendor(shown))
            return seen == expected
        try:
            wait_until(reached, timeout)
        except TimeoutError:
            log = "\n".join(line for line in self.shop.log().splitlines() if self.id in line or self.plugin in line)
            wrong = "\n".join(f"{view}: {seen[view]}\n  not {text}" for view, text in expected.items() if seen[view] != text)
            raise AssertionError(f"{wrong}\n{log[-4000:]}") from None

    def settle(self, *, books, provider, vendor, serial, told, timeout=15):
        """All views come to be this."""
        self.settle_books(books=books, provider=provider, vendor=vendor, timeout=timeout)
        self.hear(*told.split())
        state, _serial = self.serial()
        assert state == serial, f"the user's serial is {state}, not {serial}"

    # --- what happens

    def pay(self):
        self.customer.press(self.answer)

    def open_page(self):
        """Loads the charging page, to press its buttons later, whatever has happened then."""
        url = self.answer.find(f"{{{MARKET}}}charge").get("url")
        _answer, text = self.shop.stub.page({"url": url})
        self.form = Form(text)

    @property
    def is_page_open(self):
        """Whether that page had its buttons: the order's time was not over yet."""
        return self.form.action is not None

    def pay_opened_page(self):
        answer, _text = self.shop.stub.request(
            "POST", self.form.action, urllib.parse.urlencode({**self.form.fields, "action": "pay"}),
            {"Content-Type": "application/x-www-form-urlencoded"})
        assert answer.status == 303

    def decline_there(self):
        self.customer.press(self.answer, "decline")

    def decline(self):
        return self.customer.decline(self.id)

    def payment(self, number=0):
        return self.shop.checkout(self.id)["payments"][number]

    def refund_there(self, amount, number=0):
        """The provider gives money back by its own decision."""
        status, answer = self.shop.stub.call(
            "POST", "/v1/refunds", {"payment": self.payment(number)["payment"], "amount": amount, "currency": "EUR",
                                    "reason": "asked by the buyer"}, key=f"k_{uuid.uuid4().hex}")
        assert status == 201, answer

    def dispute(self, action, number=0):
        """The buyer's bank: open, won or lost."""
        status, answer = self.shop.stub.call("POST", "/v1/test/disputes",
                                             {"payment": self.payment(number)["payment"], "action": action})
        assert status == 200, answer

    def event(self, kind="checkout.paid", number=0, **changes):
        """What the provider tells of it, made of its own ledger."""
        checkout = self.shop.checkout(self.id)
        data = {"merchant": MERCHANT, "order": self.id, "checkout": checkout["checkout"], "amount": checkout["amount"],
                "currency": checkout["currency"], "live": True}
        if kind.startswith("payment.") or kind == "checkout.paid":
            payment = checkout["payments"][number]
            data.update(payment=payment["payment"], amount=payment["amount"])
            if kind == "payment.refunded":
                data.update(refund=payment["refunds"][-1]["refund"], amount=payment["refunds"][-1]["amount"])
            elif kind != "checkout.paid":
                data.update(dispute=payment["disputes"][0]["dispute"])
        return {"type": kind, "timestamp": "2026-11-23T12:00:00Z", "data": {**data, **changes}}

    def tell(self, kind="checkout.paid", number=0, webhook_id=None, **changes):
        """Delivers it, and it is recorded."""
        assert self.shop.callback(self.event(kind, number, **changes), webhook_id=webhook_id) == 200


def copy_modules(folder, **orders):
    """A folder of keygens to configure: those that are built, and copies of the hostile one that do as they are told."""
    folder = pathlib.Path(folder)
    folder.mkdir()
    for keygen in [*BUILD.glob("keygen-modules/*.so"), *BUILD.glob("tests/keygens/*.so")]:
        shutil.copy(keygen, folder)
    [hostile] = BUILD.glob("tests/hostile/hostile.so")
    for name, order in orders.items():
        content = bytearray(hostile.read_bytes())
        at = content.index(b"HOSTILE-ORDERS:")
        text = f"HOSTILE-ORDERS: {order} call 0\0".encode()
        content[at:at + len(text)] = text
        (folder / f"{name}.so").write_bytes(content)
    for path in [folder, *folder.parents]:  # modules run as users of their own
        if path.owner() == pathlib.Path(folder).owner() and path != pathlib.Path("/tmp"):
            path.chmod(path.stat().st_mode | 0o011)
    return folder
