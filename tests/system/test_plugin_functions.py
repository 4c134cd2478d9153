"""Functions as a plugin's user meets them: the sample application on the server, its native plugin, and a library whose
old host's function it is."""

import pathlib

import pytest

from lib.functions import FunctionShop
from lib.plugins import Ground
from lib.process import BUILD, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
CALLER = """[Plugin]
format=1
id=forecast
name=Old forecast
version=1.0
object=libcaller.so
sha256=@SHA256@
[Permissions]
functions=yes
[Provide]
call_forecast=cstr (cstr input) -> function forecast
call_places=cstr (cstr input) -> function places
[Command ask]
call=int caller_ask (cstr input, buf 4096 output, i32 sizeof(output))
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    one = FunctionShop(tmp_path_factory.mktemp("shop"))
    try:
        one.start()
        one.install(BUILD / "vendor-kit/functions/libforecast.so")
        one.application("forecast", "libforecast.so", ["forecast", "places"], rate=0, application_data="64K")
        one.resource("forecast", "climate.csv", (ROOT / "vendor-kit/functions/forecast/climate.csv").read_text())
        yield one
    finally:
        one.stop()


@pytest.fixture
def ground(shop):
    one = Ground(shop.host)
    yield one
    one.close()


@pytest.fixture
def owner(shop, ground):
    customer = shop.caller("forecast")
    customer.close()
    return ground.device(customer.name)


def test_the_native_plugin_asks_the_server(ground, owner):
    owner.must("plugin", "install", ground.sample("forecast"), "--yes")
    answer = owner.must("plugin", "use", "forecast", "--", "forecast", "Lisbon", "2026-07-14")[-1]
    assert answer["text"].startswith("Lisbon, 14 July: ")
    assert owner.must("plugin", "use", "forecast", "--", "forecast", "Lisbon", "2026-07-14")[-1] == answer
    assert "Lisbon" in owner.must("plugin", "use", "forecast", "--", "places")[-1]["text"].split("\n")
    code, _objects, err = owner.run("plugin", "use", "forecast", "--", "forecast", "Atlantis")
    assert code == 5 and "does not know that place" in err


def test_a_library_calls_the_function_as_its_old_hosts(ground, owner):
    owner.must("plugin", "install", ground.ship(BUILD / "host-client/core/test-objects/libcaller.so", CALLER, "legacy"), "--yes")
    assert owner.must("plugin", "use", "forecast", "--", "ask", "Lisbon 2026-07-14")[-1]["text"].startswith("Lisbon, 14 July: ")
    assert owner.run("plugin", "use", "forecast", "--", "ask", "Atlantis 2026-07-14")[0] == 5


def test_who_does_not_own_it_is_told_so(shop, ground):
    stranger = ground.device(shop.user())
    stranger.must("plugin", "install", ground.sample("forecast"), "--yes")
    code, _objects, err = stranger.run("plugin", "use", "forecast", "--", "forecast", "Lisbon")
    assert code == 5 and "you do not own the forecast" in err


def test_a_call_made_while_the_server_is_away_is_answered_when_it_is_back(shop, ground):
    shop.probe("herald")
    customer = shop.caller("herald")
    customer.close()
    device = ground.device(customer.name)
    device.must("plugin", "install", ground.herald("functions=yes"), "--yes")
    host = shop.host
    host.groups["xmpp"]["listen"] = "%s:%d" % host.address
    host.write_config()
    screen = ground.screen(device)
    screen.enter("/use herald")
    screen.wait("ready")
    screen.enter("/herald call - echo here")
    screen.wait("[Herald] 0 1")
    host.stop()
    screen.wait("offline:")
    screen.enter("/herald call - echo later")
    screen.wait("[Herald] 0 2")
    host.start()
    screen.enter("/reconnect")

    def outcome():
        screen.enter("/herald outcome")
        return "2 0 later|" in screen.text()
    wait_until(outcome, 20, "the answer")
