"""kill -9 at random moments of a purchase, and a disk without room in the middle of one. Each named point by itself:
test_crash_points.py; many kills under load: tests/stress."""

import resource
import time
import uuid

import pytest

from lib.crash import CrashingShop, assert_settled
from lib.market import Customer
from lib.process import wait_until


@pytest.fixture
def shop(tmp_path, started):
    return started(CrashingShop(tmp_path / "shop"))


def press_when_it_can_be(shop, customer, request, plugin):
    """Asks with the same request id until there is a charge, and pays it."""
    def charge():
        order = customer.buy(plugin, request)
        return order if order.find("{urn:stoa:market:1}charge") is not None else None
    order = wait_until(charge, what="the charge")
    customer.press(order)
    return order.get("id")


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
