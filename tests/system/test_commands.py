"""Commands of standard clients (XEP-0050 with XEP-0004): buying, and what is told afterwards."""

import pytest

from lib.commands import COMMANDS, Commander, INFO, OOB, submit
from lib.market import MARKET, Shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    one = Shop(tmp_path_factory.mktemp("shop"))
    one.start()
    yield one
    one.stop()


class Buyer(Commander):
    """A user of a standard client: it has sent presence, and never asks for serials."""

    def __init__(self, shop, name=None, is_there=True):
        self.shop, self.name = shop, name or shop.user()
        super().__init__(shop.host.login(self.name), shop.host.domain)
        if is_there:
            self.client.send("<presence/>")
            self.client.barrier()

    def close(self):
        self.client.close()

    def order(self, plugin):
        return self.run("buy", {"plugin": plugin}, {})

    def press(self, answer, action="pay"):
        status, _text = self.shop.stub.press({"url": answer.urls[0]}, action)
        assert status == 303

    def message(self, timeout=15):
        return self.client.skip_until(f"<message from='{self.to}' type='chat'><body/></message>", timeout)


@pytest.fixture
def buyer(shop):
    one = Buyer(shop)
    yield one
    one.close()


def test_a_standard_client_buys(shop, buyer):
    """Choose, confirm, pay; a message says when it is there, and my-plugins shows the serial."""
    first = buyer.send("buy")
    assert (first.status, first.execute, first.actions) == ("executing", "next", ["next"])
    assert first.options("plugin") == ["dice", "quotes", "weather"]
    second = buyer.send("buy", first.session, "next", submit({"plugin": "weather"}))
    assert (second.status, second.execute, second.actions) == ("executing", "complete", ["prev", "complete"])
    assert second.session == first.session
    assert second.value("price") == "5.00 EUR" and second.value("provider") == "stub (127.0.0.1)"
    assert second.value("term") == "for ever" and second.value("vendor") == "acme"
    third = buyer.send("buy", second.session, "complete", submit({}))
    assert third.status == "completed" and third.value("state") == "awaiting-payment"
    assert third.urls == [third.value("charge")] and third.urls[0] in third.said("info")
    buyer.press(third)
    message = buyer.message()
    order = message.find(f"{{{MARKET}}}order")
    assert order.get("id") == third.value("order") and order.get("state") == "fulfilled"
    assert "Weather is yours" in message.findtext("{jabber:client}body")
    [mine] = buyer.run("my-plugins").rows()
    assert mine["plugin"] == "weather" and mine["state"] == "active" and mine["serial"]
    assert mine["serial"] not in message.findtext("{jabber:client}body")
    [bought] = buyer.run("orders").rows()
    assert bought["state"] == "fulfilled" and bought["order"] == order.get("id")
