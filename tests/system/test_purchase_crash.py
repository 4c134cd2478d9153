"""kill -9 between any two steps of a purchase, and restart: before a commit nothing had happened, after it the work goes
on by itself. At the end books, serials and the provider's ledger agree: paid once, one serial, or all money back."""

import json
import resource
import time
import uuid

import pytest

from lib.host import split_address
from lib.market import Customer, Shop
from lib.process import Process, program, wait_until


class CrashingShop(Shop):
    """Its server dies at the point named by crash_at, and is then restarted as an ordinary one."""

    def arm(self, point):
        """Restarts the server so that it dies at the point."""
        self.host.stop()
        self.host.groups["http"]["listen"] = self.host.addresses["http"]  # the provider keeps calling the same address
        self.host.write_config()
        (self.host.data / "addresses.json").unlink(missing_ok=True)
        self.host.process = Process([program("host-server-crashing"), "--config", self.host.config_path],
                                    self.host.folder / "output", env={"STOA_CRASH_AT": point})
        self.read_addresses()

    def read_addresses(self):
        path = self.host.data / "addresses.json"
        self.host.process.wait_for(path.exists, what="listening")
        self.host.addresses = json.loads(path.read_text())
        self.host.address = split_address(self.host.addresses["xmpp"])

    def wait_dead(self):
        status = wait_until(lambda: self.host.process.popen.poll(), timeout=30, what="the crash")
        assert status == -9, status

    def revive(self):
        (self.host.data / "addresses.json").unlink(missing_ok=True)
        self.host.process = None
        self.host.start()


@pytest.fixture
def shop(tmp_path):
    shop = CrashingShop(tmp_path / "shop")
    try:
        yield shop.start()
    finally:
        shop.stop()


def find_order(shop, name):
    rows = [row for row in shop.host.hostctl_json("order", "list") if row["user"].startswith(name + "@")]
    assert len(rows) <= 1, rows
    return rows[0]["order"] if rows else None


def press_when_it_can_be(shop, customer, request, plugin):
    """Asks with the same request id until there is a charge, and pays it."""
    def charge():
        order = customer.buy(plugin, request)
        return order if order.find("{urn:stoa:market:1}charge") is not None else None
    order = wait_until(charge, what="the charge")
    customer.press(order)
    return order.get("id")


def assert_settled(shop, name, order, plugin):
    """One payment, one serial, nothing owed to anybody."""
    shown = shop.wait_order(order, "fulfilled")
    assert [row["kind"] for row in shown["ledger"]] == ["payment"] and shown["refunds"] == []
    assert [row["state"] for row in shown["issue"]] == ["issued"]
    checkout = shop.checkout(order)
    assert checkout["status"] == "paid" and len(checkout["payments"]) == 1
    assert checkout["payments"][0]["refunds"] == []
    customer = Customer(shop, name)
    [(found, (state, serial, epoch))] = customer.serials().items()
    assert (found, state, epoch) == (plugin, "active", 1) and serial
    customer.close()
    [row] = shop.host.hostctl_json("serial", "list", name)
    assert row["state"] == "active"
    return serial


@pytest.mark.parametrize("plugin", ["weather", "quotes", "dice"])
@pytest.mark.parametrize("point", ["order-created-committed", "checkout-called", "checkout-committed"])
def test_a_crash_before_the_charge_is_known_loses_nothing(shop, point, plugin):
    name, request = shop.user(), str(uuid.uuid4())
    shop.arm(point)
    customer = Customer(shop, name)
    customer.client.send(f"<iq type='set' id='x' to='{customer.to}'><order xmlns='urn:stoa:market:1' plugin='{plugin}'"
                         f" request='{request}'/></iq>")
    shop.wait_dead()
    customer.close()
    shop.revive()
    customer = Customer(shop, name)
    order = press_when_it_can_be(shop, customer, request, plugin)
    customer.close()
    assert find_order(shop, name) == order
    assert_settled(shop, name, order, plugin)


AFTER_MONEY = [(point, plugin) for point in ("callback-decided", "callback-committed", "issue-called", "issue-committed")
               for plugin in ("weather", "quotes", "dice") if (point, plugin) != ("issue-called", "dice")]


@pytest.mark.parametrize("point,plugin", AFTER_MONEY)  # a pool is not called
def test_a_crash_after_the_money_still_brings_one_serial(shop, point, plugin):
    name, request = shop.user(), str(uuid.uuid4())
    shop.arm(point)
    customer = Customer(shop, name)
    order = press_when_it_can_be(shop, customer, request, plugin)
    shop.wait_dead()
    customer.close()
    shop.revive()
    serial = assert_settled(shop, name, order, plugin)
    if plugin == "quotes":
        assert list(shop.vendor.issued.values()) == [serial]
    if plugin == "dice":
        [row] = [row for row in shop.host.hostctl_json("pool", "status") if row["plugin"] == "dice"]
        assert row["delivered"] == 1


@pytest.mark.parametrize("point", ["decline-committed", "cancel-called"])
def test_a_crash_while_declining_charges_nothing(shop, point):
    name = shop.user()
    shop.arm(point)
    customer = Customer(shop, name)
    order = customer.buy("dice").get("id")
    customer.client.send(f"<iq type='set' id='x' to='{customer.to}'><order xmlns='urn:stoa:market:1' id='{order}'"
                         " action='decline'/></iq>")
    shop.wait_dead()
    customer.close()
    shop.revive()
    assert shop.order(order)["state"] == "declined"
    wait_until(lambda: shop.checkout(order)["status"] == "declined", what="the checkout cancelled")
    customer = Customer(shop, name)
    assert customer.serials() == {}
    customer.close()


@pytest.mark.parametrize("point", ["refund-called", "refund-committed"])
def test_a_crash_while_refunding_gives_the_money_back_once(shop, point):
    shop.plugin("never", source="plugin-server", base=shop.vendor.base)
    shop.vendor.answers[:] = [lambda *_: (422, {"error": "no"})]
    name = shop.user()
    shop.arm(point)
    customer = Customer(shop, name)
    order = customer.buy("never")
    customer.press(order)
    shop.wait_dead()
    customer.close()
    shop.revive()
    shop.wait_order(order.get("id"), "refunded")
    # The provider's callback may settle the order before our own request, sent again, finds the refund done.
    wait_until(lambda: [(row["amount"], row["state"]) for row in shop.order(order.get("id"))["refunds"]]
               == [(500, "confirmed")], what="one confirmed refund")
    [payment] = shop.checkout(order.get("id"))["payments"]
    assert [(row["amount"], row["status"]) for row in payment["refunds"]] == [(500, "done")]
    customer = Customer(shop, name)
    assert customer.serials() == {}
    customer.close()


@pytest.mark.timeout_s(240)
def test_kills_at_random_moments_leave_the_books_even(shop):
    """Twelve buyers, the server killed again and again under them."""
    names = [shop.user() for _ in range(12)]
    requests = {name: str(uuid.uuid4()) for name in names}
    orders = {}
    plugins = ["weather", "quotes", "dice"]
    shop.host.groups["http"]["listen"] = shop.host.addresses["http"]
    shop.host.write_config()
    for turn, name in enumerate(names):
        customer = Customer(shop, name)
        orders[name] = press_when_it_can_be(shop, customer, requests[name], plugins[turn % 3])
        customer.close()
        time.sleep(0.004 * turn)
        shop.host.restart(hard=True)
    serials = [assert_settled(shop, name, orders[name], plugins[turn % 3]) for turn, name in enumerate(names)]
    assert len(set(serials)) == len(serials)


def test_a_full_disk_acknowledges_no_money(shop):
    """A callback that cannot be recorded is 503; the provider's next attempt finds room, and pays for one serial."""
    customer = Customer(shop, shop.user())
    order = customer.buy("dice").get("id")
    event = shop.event(order)
    pid = shop.host.process.pid
    _soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    assert shop.callback(event, webhook_id="msg_full") == 503
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
    wait_until(lambda: shop.callback(event, webhook_id="msg_full") == 200, what="the store's recovery")
    shown = shop.wait_order(order, "fulfilled")
    assert len(shown["ledger"]) == 1 and len(shown["issue"]) == 1
    assert list(customer.serials()) == ["dice"]
    customer.close()
