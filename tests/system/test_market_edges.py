"""The market from outside, off the main road: with the vendors' sample server, the market's address, and requests that make
no sense."""

import pytest

from lib.market import MARKET, SERIALS, Shop
from lib.stanza import show
from lib.vendor import PluginServer
from lib.xmpp import PING, error_condition

DISCO_INFO = "http://jabber.org/protocol/disco#info"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    one = Shop(tmp_path_factory.mktemp("edges"))
    try:
        yield one.start()
    finally:
        one.stop()


@pytest.fixture
def sample(shop, tmp_path):
    """The vendors' sample server, selling `quotes` for ever and for a month."""
    server = PluginServer(tmp_path, "quotes", secret=shop.vendor_secret).start()
    yield server
    if server.process:
        server.stop()


@pytest.mark.parametrize("term", [None, "P1M"])
def test_a_purchase_at_the_sample_plugin_server(shop, customer, sample, term):
    shop.plugin("quotes", source="plugin-server", base=sample.base, term=term)
    alice = customer()
    _, (state, serial, _) = alice.purchase("quotes")
    assert state == "active"
    status, answer = sample.request("POST", "/v1/session", f'{{"serial": "{serial}"}}',
                                    {"Content-Type": "application/json"})
    assert status == 200 and "session" in answer, "the plugin's own server knows the serial"


def test_a_plugin_server_that_is_away_delivers_when_it_is_back(shop, customer, sample):
    shop.plugin("quotes", source="plugin-server", base=sample.base)
    alice = customer()
    order = alice.buy("quotes")
    sample.kill()
    alice.press(order)
    alice.push_of("order", id=order.get("id"), state="paid")
    sample.arguments = (*sample.arguments, "--listen", sample.address)
    sample.start()
    alice.push_of("order", id=order.get("id"), state="fulfilled", timeout=30)
    assert alice.serials()["quotes"][0] == "active"


def test_the_markets_own_address(customer):
    alice = customer()
    features = [one.get("var") for one in alice.ask("get", f"<query xmlns='{DISCO_INFO}'/>").iter(
        f"{{{DISCO_INFO}}}feature")]
    assert SERIALS in features and MARKET in features
    assert alice.ask("get", f"<ping xmlns='{PING}'/>").get("type") == "result"
    alice.client.send(f"<message id='m' to='{alice.to}' type='chat'><body>hello?</body></message>")
    answer = alice.client.skip_until("<message type='error' id='m'/>")
    assert error_condition(answer) == ("cancel", "service-unavailable")
    items = alice.client.request("get", "<query xmlns='http://jabber.org/protocol/disco#items'/>", to="stoa.test")
    assert alice.to in show(items)


@pytest.mark.parametrize("payload, conditions", [
    (f"<order xmlns='{MARKET}' plugin='none-of-that-name' request='0b8f6a0e-0000-4000-8000-000000000001'/>",
     ["item-not-found"]),
    (f"<order xmlns='{MARKET}' plugin='weather'/>", ["bad-request"]),
    (f"<order xmlns='{MARKET}' plugin='weather' request=''/>", ["bad-request"]),
    (f"<order xmlns='{MARKET}' plugin='weather' request='{'x' * 2000}'/>", ["bad-request"]),
    (f"<order xmlns='{MARKET}' plugin='../../etc' request='1'/>", ["bad-request", "item-not-found"]),
    (f"<order xmlns='{MARKET}'/>", ["bad-request"]),
    (f"<order xmlns='{MARKET}' id='o_x' action='explode'/>", ["bad-request", "item-not-found"]),
    (f"<order xmlns='{MARKET}' id='o_x' action='decline'/>", ["item-not-found", "bad-request"]),
    (f"<rejected xmlns='{SERIALS}' plugin='weather' reason='whim'/>", ["bad-request"]),
    (f"<rejected xmlns='{SERIALS}' reason='bad'/>", ["bad-request"]),
    (f"<serials xmlns='{SERIALS}'><serial>mine</serial></serials>", ["bad-request", "service-unavailable"]),
], ids=["no such plugin", "no request", "empty request", "long request", "a path", "nothing", "no such action",
        "no such order", "no such reason", "no plugin", "a push by a client"])
def test_requests_that_make_no_sense(customer, payload, conditions):
    answer = customer().ask("set", payload)
    assert error_condition(answer)[1] in conditions, show(answer)


def test_a_push_from_somebody_else_is_no_push(customer):
    """What a stranger sends comes from the stranger; and nobody can send as the market."""
    alice, mallory = customer(), customer()
    mallory.client.send(f"<iq type='set' id='p' to='{alice.client.jid}'><serials xmlns='{SERIALS}' since='0' ver='9'/></iq>")
    assert alice.client.next().get("from") == mallory.client.jid
    mallory.client.send(f"<iq type='set' id='p' from='{alice.to}' to='{alice.client.jid}'>"
                        f"<serials xmlns='{SERIALS}' since='0' ver='9'/></iq>")
    mallory.client.expect_stream_error("invalid-from")
    alice.client.expect_nothing()
