"""Commands of standard clients (XEP-0050 with XEP-0004): buying, and what is told afterwards."""

import sqlite3

import pytest

from lib.commands import COMMANDS, Commander, INFO, OOB, submit
from lib.market import MARKET, ScriptedProvider, Shop


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
            self.client.reader.elements[:0] = [element for element in self.client.barrier()
                                               if not element.tag.endswith("presence")]

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
    assert second.value("price") == "Price: 5.00 EUR, for ever" and second.value("provider") == "Paid at: stub (127.0.0.1)"
    assert second.value("name") == "Weather 1.0, by acme" and second.value("summary") == "all about weather"
    third = buyer.send("buy", second.session, "complete", submit({}))
    assert third.status == "completed" and third.value("state") == "awaiting-payment"
    assert third.urls == [third.value("charge")] and third.urls[0] in third.said("info")
    buyer.press(third)
    message = buyer.message()
    order = message.find(f"{{{MARKET}}}order")
    assert order.get("id") == third.value("order") and order.get("state") == "fulfilled"
    assert "Weather is yours" in message.findtext("{jabber:client}body")
    [mine] = buyer.run("my-plugins").rows()
    assert mine["id"] == "weather" and mine["State"] == "active" and mine["Serial"] and mine["Until"] == "for ever"
    assert mine["Serial"] not in message.findtext("{jabber:client}body")
    [bought] = buyer.run("orders").rows()
    assert bought["State"] == "fulfilled" and bought["id"] == order.get("id")


def test_the_market_lists_its_commands(shop, buyer):
    assert buyer.nodes() == ["catalog", "buy", "my-plugins", "orders", "decline"]
    [info] = buyer.disco(INFO, "buy")
    identity = info.find(f"{{{INFO}}}identity")
    assert (identity.get("category"), identity.get("type")) == ("automation", "command-node")
    features = {feature.get("var") for feature in info.findall(f"{{{INFO}}}feature")}
    assert features == {COMMANDS, "jabber:x:data"}
    [info] = buyer.disco(INFO, COMMANDS)
    assert info.find(f"{{{INFO}}}identity").get("type") == "command-list"
    market = buyer.client.request("get", f"<query xmlns='{INFO}'/>", buyer.to)
    assert {COMMANDS, "jabber:x:data", OOB} <= {one.get("var") for one in market[0]}
    assert buyer.disco(INFO, "dance").get("type") == "error"
    domain = buyer.client.request("get", f"<query xmlns='{INFO}' node='buy'/>", shop.host.domain)
    assert domain.get("type") == "error"


def test_the_catalog_is_a_list(shop, buyer):
    rows = {row["id"]: row for row in buyer.run("catalog").rows()}
    assert {"weather", "quotes", "dice"} <= rows.keys()
    assert rows["dice"] == {"id": "dice", "Name": "Dice", "Price": "5.00 EUR", "For": "for ever", "Yours": "no",
                            "Vendor": "acme", "Version": "1.0", "What it is": "all about dice"}


def test_a_plugin_named_at_the_start_is_taken(shop, buyer):
    second = buyer.send("buy", payload=submit({"plugin": "dice"}))
    assert second.value("name").startswith("Dice 1.0") and second.actions == ["prev", "complete"]
    first = buyer.send("buy", second.session, "prev")
    assert first.value("plugin") == "dice"
    assert buyer.send("buy", payload=submit({"plugin": "chess"})).error()[:2] == ("bad-request", "bad-payload")


def test_a_session_makes_one_order_whatever_is_repeated(shop, buyer):
    first = buyer.send("buy", payload=submit({"plugin": "weather"}))
    third = buyer.send("buy", first.session, "complete")
    assert third.status == "completed"
    for action in ("complete", "execute", "next", "prev", "cancel", None):
        assert buyer.send("buy", first.session, action).error()[:2] == ("not-allowed", "session-expired")
    assert len(buyer.run("orders").rows()) == 1
    again = buyer.send("buy", payload=submit({"plugin": "weather"}))
    assert again.command.find(".//{jabber:x:data}instructions").text.startswith("You have an open order")
    same = buyer.send("buy", again.session, "complete")
    assert same.value("order") == third.value("order") and same.urls == third.urls


def test_what_cannot_be_bought_is_said_before_the_confirmation(shop, buyer):
    shop.plugin("empty", source="pool")
    buyer.press(buyer.order("quotes"))
    buyer.message()
    assert buyer.send("buy", payload=submit({"plugin": "quotes"})).notes == [("error", "Not ordered: it is yours already.")]
    nothing = buyer.send("buy", payload=submit({"plugin": "empty"}))
    assert nothing.status == "completed" and nothing.notes == [("error", "Not ordered: out of stock.")]
    shop.plugin("broken", source="keygen", module="no-such-module.so")
    broken = buyer.send("buy", payload=submit({"plugin": "broken"}))
    assert broken.notes == [("error", "Not ordered: it cannot be sold at the moment.")]
    choice = buyer.send("buy")
    assert {"empty", "broken", "quotes"} <= set(choice.options("plugin"))
    labels = [option.get("label") for option in choice.form.iter("{jabber:x:data}option")]
    assert "Quotes, 5.00 EUR (yours already)" in labels
    assert [row["id"] for row in buyer.run("orders").rows() if row["Plugin"] != "quotes"] == []
    for name in ("empty", "broken"):
        shop.host.hostctl("plugin", "retire", name)


def test_a_free_plugin_needs_no_charge(shop, buyer):
    shop.plugin("gift", source="keygen", module="libweather-keygen.so", price=0)
    second = buyer.send("buy", payload=submit({"plugin": "gift"}))
    assert second.value("price") == "Price: free, for ever" and "provider" not in second.fields()
    third = buyer.send("buy", second.session, "complete")
    assert third.status == "completed" and not third.urls and "charge" not in third.fields()
    assert "Gift is yours" in buyer.message().findtext("{jabber:client}body")
    shop.host.hostctl("plugin", "retire", "gift")


def test_a_subscription_is_renewed(shop, buyer):
    shop.plugin("tides", source="keygen", module="libweather-keygen.so", term="P1M")
    first = buyer.send("buy", payload=submit({"plugin": "tides"}))
    assert first.value("price") == "Price: 5.00 EUR, for 1 month"
    assert first.form.findtext("{jabber:x:data}title") == "Buy Tides"
    buyer.press(buyer.send("buy", first.session, "complete"))
    buyer.message()
    [before] = buyer.run("my-plugins").rows()
    again = buyer.send("buy", payload=submit({"plugin": "tides"}))
    assert again.form.findtext("{jabber:x:data}title") == "Renew Tides"
    buyer.press(buyer.send("buy", again.session, "complete"))
    buyer.message()
    [after] = buyer.run("my-plugins").rows()
    assert after["Until"] > before["Until"] and after["State"] == "active"
    shop.host.hostctl("plugin", "retire", "tides")


def test_a_price_that_changed_after_it_was_shown_is_not_charged(shop, buyer):
    shop.plugin("tide", source="keygen", module="libweather-keygen.so", price=100)
    second = buyer.send("buy", payload=submit({"plugin": "tide"}))
    assert second.value("price") == "Price: 1.00 EUR, for ever"
    shop.plugin("tide", source="keygen", module="libweather-keygen.so", price=99900)
    third = buyer.send("buy", second.session, "complete")
    assert third.status == "completed" and "The price has changed" in third.said("error")
    assert buyer.run("orders").rows() == []
    forged = buyer.send("buy", payload=submit({"plugin": "tide"}))
    refused = buyer.send("buy", forged.session, "complete", submit({"quote": "1 EUR"}))
    assert refused.error()[:2] == ("bad-request", "bad-payload")
    assert buyer.send("buy", forged.session, "complete").value("price") == "999.00 EUR"
    shop.host.hostctl("plugin", "retire", "tide")


def test_an_order_is_declined(shop, buyer):
    assert buyer.run("decline").notes == [("info", "You have no order that waits to be paid.")]
    order = buyer.order("weather").value("order")
    choice = buyer.send("decline")
    assert choice.options("order") == [order]
    done = buyer.send("decline", choice.session, "complete", submit({"order": order}))
    assert done.value("state") == "declined" and done.said("info")
    bought = buyer.order("dice")
    choice = buyer.send("decline")
    buyer.press(bought)
    buyer.message()
    late = buyer.send("decline", choice.session, "complete", submit({"order": bought.value("order")}))
    assert late.notes == [("error", "It is too late to decline: it is paid already.")]
    assert late.value("state") == "fulfilled"


def test_a_buyer_who_is_away_finds_the_message_later(shop):
    buyer = Buyer(shop, is_there=False)
    answer = buyer.order("weather")
    buyer.close()
    buyer.press(answer)
    shop.wait_order(answer.value("order"), "fulfilled")
    later = Buyer(shop, buyer.name)
    message = later.message()
    assert message.find(f"{{{MARKET}}}order").get("state") == "fulfilled"
    assert message.find("{urn:xmpp:delay}delay") is not None
    later.close()


def test_only_sessions_that_get_no_pushes_are_told(shop):
    """One user, a standard client and one that asked for its serials: each hears of it once, in its own way."""
    buyer = Buyer(shop)
    native = shop.customer(buyer.name, "native")
    native.client.send("<presence/>")
    native.client.barrier()
    native.serials()
    answer = buyer.order("weather")
    buyer.press(answer)
    buyer.message()
    native.push_of("serials")
    assert not [element for element in native.client.barrier() if element.tag.endswith("message")]
    bought = native.buy("dice")  # by the native protocol: nobody is told by message
    native.press(bought)
    native.push_of("order", id=bought.get("id"), state="fulfilled")
    assert not [element for element in buyer.client.barrier() if element.tag.endswith("message")]
    buyer.close()
    native.close()


def test_a_late_charging_page_is_told_by_message(tmp_path):
    """The provider cannot be had for longer than a command waits; then a message brings the address."""
    provider = ScriptedProvider()
    shop = Shop(tmp_path, provider=provider)
    shop.start()
    buyer = Buyer(shop)
    is_down, made = [True], provider.answer
    provider.answer = lambda *call: (503, {"error": "later"}) if is_down[0] else made(*call)
    try:
        answer = buyer.order("weather")
        assert answer.status == "completed" and not answer.urls and "A message brings" in answer.said("info")
        is_down[0] = False
        message = buyer.message(30)
        url = message.findtext(f"{{{OOB}}}x/{{{OOB}}}url")
        assert url.startswith(provider.base) and url in message.findtext("{jabber:client}body")
        assert buyer.run("orders").rows()[0]["Charging page"] == url
    finally:
        buyer.close()
        shop.stop()
        provider.close()


def test_a_refund_is_told_by_message(shop, buyer):
    answer = buyer.order("weather")
    buyer.press(answer)
    assert buyer.message().find(f"{{{MARKET}}}order").get("state") == "fulfilled"
    shop.host.hostctl("order", "refund", answer.value("order"))
    told = [buyer.message().find(f"{{{MARKET}}}order").get("state") for _ in range(2)]
    assert told == ["refunding", "refunded"]
    [mine] = buyer.run("my-plugins").rows()
    assert mine["State"] == "revoked" and "Serial" not in mine


def test_a_message_that_was_due_survives_a_kill(tmp_path):
    """The row of the commit is there until the message has left: killed in between, it leaves after the start."""
    shop = Shop(tmp_path)
    shop.start()
    buyer = Buyer(shop)
    try:
        answer = buyer.order("weather")
        name = buyer.name
        buyer.close()
        buyer.press(answer)
        shop.wait_order(answer.value("order"), "fulfilled")
        with sqlite3.connect(shop.host.folder / "data" / "market.db") as books:
            assert books.execute("SELECT COUNT (*) FROM notice").fetchone() == (0,)
            books.execute("INSERT INTO notice (id, purchase, state) VALUES ('n_left', ?, 'refunded')",
                          (answer.value("order"),))
        shop.host.kill()
        shop.host.start()
        later = Buyer(shop, name)
        assert [later.message().get("id") for _ in range(2)][1] == "n_left"
        later.close()
    finally:
        shop.stop()


def test_a_name_that_was_registered_anew_is_told_nothing(shop):
    buyer = Buyer(shop)
    answer = buyer.order("weather")
    buyer.close()
    shop.host.hostctl("user", "remove", f"{buyer.name}@{shop.host.domain}")
    shop.wait_order(answer.value("order"), "declined")
    shop.host.add_user(buyer.name)
    other = Buyer(shop, buyer.name)
    assert shop.callback(shop.event(answer.value("order"))) == 200  # money after the end
    shop.wait_order(answer.value("order"), "review")  # the provider does not know that payment
    other.client.expect_nothing()
    assert other.run("orders").rows() == []
    other.close()
