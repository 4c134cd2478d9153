"""Buying with profanity, typed as a person does: the commands' lists and forms on its screen."""

import contextlib
import re
import shutil

import pytest

from interop.test_profanity import Terminal
from lib.market import Shop
from lib.process import wait_until

pytestmark = pytest.mark.skipif(not (shutil.which("profanity") and shutil.which("tmux")),
                                reason="profanity and tmux are not installed")


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    one = Shop(tmp_path_factory.mktemp("shop"))
    one.start()
    yield one
    one.stop()


def can_list(terminal):
    """profanity refuses commands until it has found somebody who serves them."""
    terminal.type("/cmd list market.stoa.test")
    terminal.wait_for("my-plugins", "does not support ad hoc commands")
    return "my-plugins" in terminal.screen()


@contextlib.contextmanager
def profanity(shop, folder, user):
    terminal = Terminal(folder, "profanity")
    try:
        terminal.wait_for("Type '/help'")
        terminal.type(f"/connect {user}@stoa.test server 127.0.0.1 port {shop.host.address[1]} tls trust")
        terminal.wait_for("Enter password")
        terminal.type("secret-word")
        terminal.wait_for("logged in successfully")
        wait_until(lambda: can_list(terminal), 30, "the market found by service discovery")
        yield terminal
        terminal.type("/quit")
    finally:
        terminal.close()


def test_profanity_buys(shop, tmp_path):
    user = shop.user()
    with profanity(shop, tmp_path / "one", user) as terminal:
        terminal.type("/cmd exec catalog market.stoa.test")
        terminal.wait_for("Plugins on sale")
        terminal.wait_for("Price: 5.00 EUR")

        terminal.type("/cmd exec buy market.stoa.test")
        terminal.wait_for("[field1] Plugin (required)")
        terminal.type("/form help field1")
        terminal.wait_for("<value> is one of")
        terminal.type("/field1 weather")
        terminal.wait_for("Field updated")
        terminal.type("/form submit")
        terminal.wait_for("Form title: Buy Weather")
        terminal.wait_for("Price: 5.00 EUR, for ever")
        terminal.wait_for("Paid at: stub (127.0.0.1)")
        terminal.type("/form submit")
        terminal.wait_for("Charging page: http")
        url = re.search(r"Charging page: (http\S+)", terminal.screen())[1]
        assert "awaiting-payment" in terminal.screen()
        terminal.type("/win 1")
        terminal.wait_for("Pay 5.00 EUR at 127.0.0.1: http")

        status, _page = shop.stub.press({"url": url}, "pay")
        assert status == 303
        terminal.wait_for("chat message: market.stoa.test")
        terminal.type("/msg market.stoa.test")
        terminal.wait_for("Weather is yours.")
    with profanity(shop, tmp_path / "two", user) as terminal:
        terminal.type("/cmd exec my-plugins market.stoa.test")
        terminal.wait_for("Form title: Your plugins")
        terminal.wait_for("State: active")
        terminal.wait_for("Serial: ")


def test_profanity_is_told_what_is_wrong(shop, tmp_path):
    with profanity(shop, tmp_path, shop.user()) as terminal:
        terminal.type("/cmd exec decline market.stoa.test")
        terminal.wait_for("You have no order that waits to be paid.")
        terminal.type("/cmd exec buy market.stoa.test")
        terminal.wait_for("[field1] Plugin (required)")
        terminal.type("/form submit")
        terminal.wait_for("Error executing command buy: Plugin (plugin): is required")
