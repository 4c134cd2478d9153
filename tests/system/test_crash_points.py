"""kill -9 at every named point on the way of a purchase (host-server/market/books/crash.h), for every source, and restart:
before a commit nothing had happened, after it the work goes on by itself. Who was interrupted does the same again, as
clients and providers do; in the end books, serials, the provider's ledger and the vendor's list agree."""

import re
import uuid

import pytest

from lib.crash import CrashingShop, assert_revoked, assert_settled
from lib.host import HostctlError
from lib.market import Customer, read_serials
from lib.process import ROOT, program, wait_until
from lib.xmpp import StreamClosed

POINTS = re.findall(r'X \([A-Z_]+, "([a-z-]+)"\)', (ROOT / "host-server/market/books/crash.h").read_text())
SOURCES = {"weather": "keygen", "quotes": "plugin-server", "dice": "pool"}
GONE = (StreamClosed, OSError, AssertionError, HostctlError)  # what is seen of a server that dies


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    shop = CrashingShop(tmp_path_factory.mktemp("shop"))
    try:
        yield shop.start()
    finally:
        shop.stop()


@pytest.fixture(scope="module")
def deaf_shop(tmp_path_factory):
    """No callback ever comes: it has to ask."""
    shop = CrashingShop(tmp_path_factory.mktemp("deaf-shop"), stub=("--fault", "drop"))
    try:
        yield shop.start()
    finally:
        shop.stop()


class Buyer:
    """A user with one wish, who asks for it with the same request id until it is done."""

    def __init__(self, shop, plugin):
        self.shop, self.plugin = shop, plugin
        self.name, self.request, self.order = shop.user(), str(uuid.uuid4()), None
        self.held = {}  # on entering; later changes are pushed

    def enter(self):
        customer = Customer(self.shop, self.name)
        self.held = customer.serials()
        return customer

    def open_order(self, customer):
        """Asks until there is a charge, or no more need of one."""
        def asked():
            order = customer.buy(self.plugin, self.request)
            has_charge = order.find("{urn:stoa:market:1}charge") is not None
            return [order] if has_charge or order.get("state") != "awaiting-payment" else None
        [order] = wait_until(asked, what="the charge")
        self.order = order.get("id")
        return order

    def buy(self):
        customer = self.enter()
        try:
            order = self.open_order(customer)
            if self.order not in self.shop.pressed and order.find("{urn:stoa:market:1}charge") is not None:
                self.shop.pressed.add(self.order)
                customer.press(order)
            while self.held.get(self.plugin, ("",))[0] != "active":
                self.held.update(read_serials(customer.push_of("serials")))
            customer.client.barrier()  # our answers to the pushes were read
        finally:
            customer.close()

    def decline(self):
        customer = self.enter()
        try:
            self.open_order(customer)
            customer.decline(self.order)
        finally:
            customer.close()

    def reject(self):
        """The plugin refuses the first serial; the epoch of what is held then."""
        customer = self.enter()
        try:
            def answered():
                answer = customer.ask("set", f"<rejected xmlns='urn:stoa:serials:1' plugin='{self.plugin}' reason='bad' epoch='1'/>")
                return int(answer[0].get("epoch")) if answer.get("type") == "result" else None
            return wait_until(answered, what="the replacement")
        finally:
            customer.close()


def until_dead(shop, act):
    """Does it while the server dies."""
    try:
        act()
    except GONE:
        pass
    shop.wait_dead()


def buying(shop, point, plugin):
    buyer = Buyer(shop, plugin)
    shop.arm(point)
    until_dead(shop, buyer.buy)
    shop.revive()
    buyer.buy()
    assert_settled(shop, buyer.name, buyer.order, plugin)


def buying_in_doubt(shop, point, plugin):
    """The plugin server's first answer says nothing certain."""
    def unclear(method, *arguments):
        if method == "POST":
            return 503, {}
        shop.vendor.answers.append(unclear)  # something that an earlier test left to be voided
        return shop.vendor.answer(method, *arguments)
    shop.vendor.answers[:] = [unclear]
    buying(shop, point, plugin)


def starting(shop, point, plugin):
    """It dies while it takes up what was left: a charge that was paid while it was down."""
    buyer = Buyer(shop, plugin)
    customer = buyer.enter()
    order = buyer.open_order(customer)
    shop.host.kill()
    customer.press(order)
    customer.close()
    shop.host.process = None
    shop.arm(point)
    shop.wait_dead()
    shop.revive()
    assert_settled(shop, buyer.name, buyer.order, plugin)


def declining(shop, point, plugin):
    buyer = Buyer(shop, plugin)
    shop.arm(point)
    until_dead(shop, buyer.decline)
    shop.revive()
    buyer.decline()
    shown = shop.wait_order(buyer.order, "declined")
    assert shown["ledger"] == [] and shown["refunds"] == [] and shown["issue"] == []
    wait_until(lambda: shop.checkout(buyer.order)["status"] == "declined", what="the checkout cancelled")
    customer = buyer.enter()
    assert customer.serials() == {}
    customer.close()


def refunding(shop, point, plugin):
    """The vendor refuses, so we give the money back."""
    buyer = Buyer(shop, plugin)
    customer = buyer.enter()
    order = buyer.open_order(customer)
    customer.close()
    shop.arm(point)
    until_dead(shop, lambda: customer.press(order))
    shop.revive()
    # The provider's callback may settle the order before our own request, sent again, finds the refund done.
    shop.wait_order(buyer.order, "refunded")
    wait_until(lambda: [(row["amount"], row["state"]) for row in shop.order(buyer.order)["refunds"]] == [(500, "confirmed")],
               what="one confirmed refund")
    [payment] = shop.checkout(buyer.order)["payments"]
    assert [(row["amount"], row["status"]) for row in payment["refunds"]] == [(500, "done")]
    customer = buyer.enter()
    assert customer.serials() == {}
    customer.close()


def refunded_at_the_provider(shop, point, plugin):
    buyer = Buyer(shop, plugin)
    buyer.buy()
    shop.arm(point)
    until_dead(shop, lambda: shop.refund_at_provider(buyer.order))
    shop.revive()
    shop.refund_at_provider(buyer.order)  # done already, if it was
    assert_revoked(shop, buyer.name, buyer.order, plugin)


def rejecting(shop, point, plugin):
    buyer = Buyer(shop, plugin)
    buyer.buy()
    shop.arm(point)
    until_dead(shop, buyer.reject)
    shop.revive()
    assert buyer.reject() == 2
    shown = shop.order(buyer.order)
    assert shown["state"] == "fulfilled" and [row["state"] for row in shown["issue"]] == ["issued", "issued"]
    if plugin == "quotes":
        line = next(iter(name for name in shop.vendor.issued if name.endswith(".1")))
        wait_until(lambda: line[:-1] + "0" in shop.vendor.voided, what="the refused serial voided")


def asking_for_the_receipt(shop, point, plugin):
    buyer = Buyer(shop, plugin)
    buyer.buy()

    def ask():
        customer = buyer.enter()
        try:
            return customer.ask("get", f"<receipt xmlns='urn:stoa:market:1' order='{buyer.order}'/>")
        finally:
            customer.close()
    shop.arm(point)
    until_dead(shop, ask)
    shop.revive()
    assert ask().get("type") == "result"
    assert_settled(shop, buyer.name, buyer.order, plugin)


def of(scenario, names, plugins=tuple(SOURCES)):
    return [(scenario, name, plugin) for name in names.split() for plugin in plugins]


CASES = [
    *of(buying, "order-decided order-committed order-answered checkout-sending checkout-called checkout-decided"
                " checkout-committed callback-received callback-decided callback-committed callback-answered issue-decided"
                " issue-committed push-sent push-acknowledged delivery-committed"),
    *of(buying, "issue-sending issue-called", ["weather", "quotes"]),  # a pool is not called
    *of(buying_in_doubt, "issue-asking", ["quotes"]),
    *of(buying, "poll-sending poll-called poll-decided poll-committed"),  # of deaf_shop
    *of(starting, "start-decided start-committed due-decided due-committed"),
    *of(declining, "decline-decided decline-committed cancel-sending cancel-called cancel-decided cancel-committed", ["dice"]),
    *of(refunding, "refund-sending refund-called refund-decided refund-committed", ["never"]),
    *of(refunded_at_the_provider, "callback-received callback-decided callback-committed callback-answered"),
    *of(refunded_at_the_provider, "void-sending void-called void-decided void-committed", ["quotes"]),
    *of(rejecting, "reject-decided reject-committed"),
    *of(asking_for_the_receipt, "receipt-signed", ["dice"]),
]


@pytest.mark.parametrize("scenario,point,plugin", [
    pytest.param(*case, id="-".join([case[0].__name__, *case[1:]])) for case in CASES])
def test_a_crash_at_any_point_neither_loses_nor_doubles(shop, deaf_shop, scenario, point, plugin):
    shop = deaf_shop if point.startswith("poll-") else shop
    shop.vendor.answers.clear()
    scenario(shop, point, plugin)


def test_every_crash_point_is_tried():
    assert len(POINTS) == len(set(POINTS)) > 40
    assert {point for _scenario, point, _plugin in CASES} == set(POINTS)


def test_only_the_crashing_server_has_crash_points():
    """What is installed cannot be told to die: host-server never has them, and no build makes the other unasked."""
    def found(name):
        image = program(name).read_bytes()
        return {point for point in [*POINTS, "STOA_CRASH_AT"] if b"\0" + point.encode() + b"\0" in image}
    assert found("host-server") == set()
    assert found("host-server-crashing") == {*POINTS, "STOA_CRASH_AT"}
    assert re.search(r"option \('test_hooks', type: 'boolean', value: false", (ROOT / "meson_options.txt").read_text())
