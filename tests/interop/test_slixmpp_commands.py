"""Buying with slixmpp's plugins for ad-hoc commands and data forms, as a program that knows nothing of Stoa would."""

import asyncio

import pytest

from lib.market import Shop

slixmpp = pytest.importorskip("slixmpp")
pytestmark = pytest.mark.usefixtures("loop")


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    one = Shop(tmp_path_factory.mktemp("shop"))
    one.start()
    yield one
    one.stop()


class Person(slixmpp.ClientXMPP):
    def __init__(self, shop, name):
        super().__init__(f"{name}@{shop.host.domain}/slixmpp", "secret-word")
        self.shop = shop
        self.market = f"market.{shop.host.domain}"
        self.ca_certs = str(shop.host.certificate.certificate)
        for plugin in ("xep_0004", "xep_0030", "xep_0050", "xep_0066"):
            self.register_plugin(plugin)
        self.messages, self.is_up, self.answers = asyncio.Queue(), asyncio.Event(), asyncio.Queue()
        self.add_event_handler("session_start", self.started)
        self.add_event_handler("message", self.messages.put_nowait)

    async def started(self, _event):
        await self.get_roster()
        self.send_presence()
        self.is_up.set()

    async def come(self):
        self.connect(self.shop.host.address)
        await asyncio.wait_for(self.is_up.wait(), 10)
        return self

    def answered(self, iq, session):
        self.answers.put_nowait((iq, session))

    def failed(self, iq, session):
        self.answers.put_nowait((iq, session))

    async def answer(self):
        return await asyncio.wait_for(self.answers.get(), 15)

    def command(self, node):
        self["xep_0050"].start_command(self.market, node, {"next": self.answered, "error": self.failed})

    def fill(self, iq, session, values, *, is_last):
        form = iq["command"]["form"]
        form.reply()
        for name, value in values.items():
            form.get_fields()[name]["value"] = value
        session["payload"] = form
        session["next"] = self.answered
        (self["xep_0050"].complete_command if is_last else self["xep_0050"].continue_command)(session)

    async def rows(self, node):
        """A list's rows: {what names it: its lines}."""
        self.command(node)
        iq, _session = await self.answer()
        assert iq["command"]["status"] == "completed"
        return {name: field["value"].split("\n") for name, field in iq["command"]["form"].get_fields().items()}


def run(scene):
    asyncio.get_event_loop().run_until_complete(asyncio.wait_for(scene, 60))


def test_slixmpp_buys_and_sees_message_and_serial(shop):
    async def scene():
        person = await Person(shop, shop.user()).come()
        found = await person["xep_0050"].get_commands(person.market)
        assert {item[1] for item in found["disco_items"]["items"]} == {"catalog", "buy", "my-plugins", "orders", "decline"}
        assert set(await person.rows("catalog")) == {"dice", "quotes", "weather"}

        person.command("buy")
        iq, session = await person.answer()
        options = [option["value"] for option in iq["command"]["form"].get_fields()["plugin"]["options"]]
        assert options == ["dice", "quotes", "weather"] and iq["command"]["actions"] == {"next"}
        person.fill(iq, session, {"plugin": "quotes"}, is_last=False)
        iq, session = await person.answer()
        assert iq["command"]["form"].get_fields()["price"]["value"] == "Price: 5.00 EUR, for ever"
        assert iq["command"]["actions"] == {"prev", "complete"}
        person.fill(iq, session, {}, is_last=True)
        iq, _session = await person.answer()
        assert iq["command"]["status"] == "completed"
        url = iq["command"]["form"].get_fields()["charge"]["value"]
        assert url == iq["command"].xml.find("{jabber:x:oob}x/{jabber:x:oob}url").text
        assert any(url in text for _kind, text in iq["command"]["notes"])

        status, _page = await asyncio.to_thread(shop.stub.press, {"url": url}, "pay")
        assert status == 303
        message = await asyncio.wait_for(person.messages.get(), 15)
        assert message["from"] == person.market and message["type"] == "chat"
        assert message["body"].startswith("Quotes is yours.")
        [(name, mine)] = (await person.rows("my-plugins")).items()
        assert name == "quotes" and "State: active" in mine and any(line.startswith("Serial: VENDOR-") for line in mine)
        [order] = (await person.rows("orders")).values()
        assert "State: fulfilled" in order
        await person.disconnect()
    run(scene())


def test_slixmpp_goes_back_cancels_and_is_told_of_errors(shop):
    async def scene():
        person = await Person(shop, shop.user()).come()
        person.command("buy")
        iq, session = await person.answer()
        person.fill(iq, session, {"plugin": "chess"}, is_last=False)
        iq, _session = await person.answer()
        assert iq["type"] == "error" and iq["error"]["condition"] == "bad-request"
        assert iq["error"].xml.find("{http://jabber.org/protocol/commands}bad-payload") is not None
        person.command("buy")
        iq, session = await person.answer()
        person.fill(iq, session, {"plugin": "dice"}, is_last=False)
        iq, session = await person.answer()
        back = await person["xep_0050"].send_command(person.market, "buy", sessionid=iq["command"]["sessionid"], action="prev")
        assert back["command"]["form"].get_fields()["plugin"]["value"] == "dice"
        gone = await person["xep_0050"].send_command(person.market, "buy", sessionid=iq["command"]["sessionid"], action="cancel")
        assert gone["command"]["status"] == "canceled"
        assert await person.rows("orders") == {}
        await person.disconnect()
    run(scene())
