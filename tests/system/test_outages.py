"""An hour without the provider, a plugin server that answers late, twice, or with another's serial, and a disk that fills up
between an order and its serial: what happens meanwhile, and that nobody has to look after it. Times are a thousandth."""

import json
import resource
import signal
import socket
import sqlite3
import threading
import time

import pytest

from lib.market import Shop
from lib.process import wait_until
from lib.stanza import STANZA_ERRORS
from lib.xmpp import error_condition
from stress import books

# As by default, a thousandth of it; but what one answer may take is not that short.
HOUR_S = 3.6
THOUSANDTH = {"poll_s": "0.005,0.015,0.06,0.3", "refund_retry_s": "0,0.005,0.3,1.8,7.2,18", "order_expiry_s": "1.8",
              "expiry_grace_s": "0.06", "vendor_timeout_s": "0.3", "lease_margin_s": "0.1", "sweep_s": "0.1",
              "unmatched_retry_s": "0.1,0.3,0.5", "keygen_retry_s": "0,0.1,0.2"}


@pytest.fixture
def open_shop(tmp_path, started):
    return lambda **options: started(Shop(tmp_path / "shop", **options))


# --- the provider


def go_away(shop, how):
    """Connections are refused, or taken and never answered."""
    if how == "silent":
        shop.stub.process.popen.send_signal(signal.SIGSTOP)
    else:
        shop.stub.kill()


def come_back(shop, how):
    if how == "silent":
        shop.stub.process.popen.send_signal(signal.SIGCONT)
    else:
        shop.stub.arguments = (*shop.stub.arguments, "--listen", shop.stub.address)
        shop.stub.start()


@pytest.mark.parametrize("how", ["refused", "silent"])
def test_after_an_hour_without_the_provider_every_order_settles_by_itself(open_shop, enter, how):
    # Events begin late, so that those of what happens just before are still to be told when it goes away.
    shop = open_shop(market=THOUSANDTH, stub=("--fault", "delay:400"))
    shop.plugin("never", source="plugin-server", base=shop.vendor.base)
    shop.vendor.refused.add("never")
    paid, refused, declining, waiting, crossing, late = (enter(shop) for _ in range(6))

    orders = {name: who.buy(plugin) for name, who, plugin in (
        ("refused by the vendor", refused, "never"), ("paid, not told", paid, "dice"), ("declined meanwhile", declining, "dice"),
        ("nobody pays", waiting, "weather"), ("declined while paid", crossing, "weather"))}
    refused.press(orders["refused by the vendor"])
    paid.press(orders["paid, not told"])
    crossing.press(orders["declined while paid"])
    go_away(shop, how)
    began = time.monotonic()
    declining.decline(orders["declined meanwhile"].get("id"))
    crossing.decline(orders["declined while paid"].get("id"))
    orders["ordered meanwhile"] = late.buy("dice", timeout=8)
    assert orders["ordered meanwhile"].get("state") in ("awaiting-payment", "expired")
    wait_until(lambda: time.monotonic() - began > HOUR_S, what="the hour")
    assert shop.order(orders["nobody pays"].get("id"))["state"] == "awaiting-payment"  # not without asking
    come_back(shop, how)

    ends = {"refused by the vendor": {"refunded"}, "paid, not told": {"fulfilled"}, "declined meanwhile": {"declined"},
            "nobody pays": {"expired"}, "declined while paid": {"fulfilled", "refunded"}, "ordered meanwhile": {"expired"}}
    ledger, market = shop.folder / "ledger" / "ledger.db", shop.host.data / "market.db"
    wait_until(lambda: not books.find_open(market) and not books.find_untold(ledger), timeout=40, what="rest")
    found = {name: shop.order(order.get("id"))["state"] for name, order in orders.items()}
    assert {name: state for name, state in found.items() if state not in ends[name]} == {}
    assert books.audit(market) + books.compare_with_provider(market, ledger) == []
    assert shop.checkout(orders["declined meanwhile"].get("id"))["status"] in ("declined", "expired")  # by itself, by then
    assert paid.serials()["dice"][0] == "active" and refused.serials() == {}
    for row in sqlite3.connect(f"file:{market}?mode=ro", uri=True).execute("SELECT state, reason FROM unmatched"):
        pytest.fail(f"a person has to look at {row}")


# --- the plugin server


def test_a_plugin_server_that_answers_after_the_time_out_gives_one_serial(open_shop, enter):
    """It makes the serial at once and answers when nobody listens any more; asked again, it says the same."""
    shop = open_shop(market={"vendor_timeout_s": "0.3"})

    def late(*arguments):
        answer = shop.vendor.answer(*arguments)
        time.sleep(1)
        return answer
    shop.vendor.answers[:] = [late]
    alice = enter(shop)
    order, (state, serial, _epoch) = alice.purchase("quotes")
    assert state == "active" and list(shop.vendor.issued.values()) == [serial]
    methods = shop.vendor.methods()  # on a slow machine the question may come late as well, and be put again
    assert methods[0] == "POST" and set(methods[1:]) == {"GET"} and shop.vendor.voided == set()
    assert [row["state"] for row in shop.order(order)["issue"]] == ["issued"]


def test_a_plugin_server_that_makes_it_after_the_time_out_makes_one(open_shop, enter):
    """Asked meanwhile it knows nothing yet, and gets the same request again."""
    shop = open_shop(market={"vendor_timeout_s": "0.3"})

    def late(*arguments):
        time.sleep(0.8)
        return shop.vendor.answer(*arguments)
    shop.vendor.answers[:] = [late]
    _order, (state, serial, _epoch) = enter(shop).purchase("quotes")
    assert state == "active"
    wait_until(lambda: shop.vendor.methods().count("POST") >= 2 and not shop.vendor.answers, what="the late one")
    time_passed = threading.Event()
    time_passed.wait(1)  # the late answer's own time
    assert list(shop.vendor.issued.values()) == [serial]
    assert len({name for _method, name, _body in shop.vendor.requests}) == 1


class TwiceAnsweringVendor:
    """Every answer is sent twice on the same connection, the second a little later and with the serial before it."""

    def __init__(self):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.base = "http://127.0.0.1:%d" % self.server.getsockname()[1]
        self.issued, self.connections = {}, 0
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                link, _address = self.server.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.talk, args=(link,), daemon=True).start()

    def talk(self, link):
        reader = link.makefile("rb")
        while first := reader.readline():
            length = 0
            while (line := reader.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            if first.startswith(b"POST"):
                name = json.loads(reader.read(length))["request"]
                stale = list(self.issued.values())[-1:] or ["STALE"]
                serial = self.issued.setdefault(name, f"TWICE-{name}")
                for text in (serial, stale[0]):
                    body = json.dumps({"serial": text}).encode()
                    try:
                        link.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                    except OSError:
                        return
                    threading.Event().wait(0.05)

    def close(self):
        self.server.close()


def test_a_plugin_server_that_answers_twice_gives_nobody_anothers_serial(open_shop, enter):
    """The second answer is no answer to what is asked next."""
    vendor = TwiceAnsweringVendor()
    try:
        shop = open_shop()
        shop.plugin("twice", source="plugin-server", base=vendor.base)
        given = []
        for _ in range(4):
            order, (state, serial, _epoch) = enter(shop).purchase("twice")
            assert state == "active"
            [issue] = shop.order(order)["issue"]
            given.append(serial)
        assert given == list(vendor.issued.values()) and len(set(given)) == 4
    finally:
        vendor.close()


@pytest.mark.parametrize("fallback", ["pool", None])
def test_a_plugin_server_that_hands_out_anothers_serial_is_not_believed(open_shop, enter, fallback):
    shop = open_shop()
    shop.plugin("shared", source="plugin-server", base=shop.vendor.base, fallback=fallback)
    shop.fill("shared", ["SPARE-1"])
    alice, bob = enter(shop), enter(shop)
    _order, (_state, hers, _epoch) = alice.purchase("shared")
    honest = shop.vendor.answer
    shop.vendor.answer = lambda method, *more: honest(method, *more) if method == "DELETE" else (201, {"serial": hers})
    order = bob.buy("shared")
    bob.press(order)
    if fallback:
        shop.wait_order(order.get("id"), "fulfilled")
        assert bob.serials()["shared"][:2] == ("active", "SPARE-1")
    else:
        shop.wait_order(order.get("id"), "refunded")
        assert bob.serials() == {}
        assert books.compare_with_provider(shop.host.data / "market.db", shop.folder / "ledger" / "ledger.db") == []
    assert alice.serials()["shared"][:2] == ("active", hers)
    wait_until(lambda: len(shop.vendor.voided) == 1, what="the vendor told that it is not used")
    assert shop.vendor.voided.isdisjoint(shop.vendor.issued)  # hers is not what was voided


# --- the disk


def set_room(shop, has_room):
    pid = shop.host.process.pid
    _soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard if has_room else 0, hard))


def test_a_disk_that_fills_up_in_the_middle_stops_purchases_until_there_is_room(open_shop, enter):
    """Between the money and the serial of one order, before the money of another, before a third: each says so and nothing
    is half done; when there is room, all three go on where they were."""
    shop = open_shop()
    alice, bob, carol = enter(shop), enter(shop), enter(shop)
    is_asked, may_answer = threading.Event(), threading.Event()

    def hold(*arguments):
        is_asked.set()
        may_answer.wait(20)
        return shop.vendor.answer(*arguments)
    shop.vendor.answers[:] = [hold]
    issuing, waiting = alice.buy("quotes"), bob.buy("dice")
    alice.press(issuing)
    assert is_asked.wait(10)
    set_room(shop, False)
    may_answer.set()

    refusal = carol.buy("weather", request="r1")
    assert error_condition(refusal)[1] == "internal-server-error"
    text = refusal.findtext(f"{{jabber:client}}error/{{{STANZA_ERRORS}}}text")
    assert "no room" in text and "try again later" in text
    bob.press(waiting)
    refusal = bob.decline(waiting.get("id"))
    assert "no room" in refusal.findtext(f"{{jabber:client}}error/{{{STANZA_ERRORS}}}text")
    assert alice.state(issuing.get("id")) == "paid" and bob.state(waiting.get("id")) == "awaiting-payment"
    assert alice.serials() == {} and bob.serials() == {}

    set_room(shop, True)
    shop.wait_order(issuing.get("id"), "fulfilled", timeout=30)
    shop.wait_order(waiting.get("id"), "fulfilled", timeout=30)
    order = wait_until(lambda: [one for one in [carol.buy("weather", request="r1")] if one.tag.endswith("}order")], what="room")[0]
    carol.press(order)
    shop.wait_order(order.get("id"), "fulfilled")
    market = shop.host.data / "market.db"
    assert books.audit(market) + books.compare_with_provider(market, shop.folder / "ledger" / "ledger.db") == []
    assert list(alice.serials()) == ["quotes"] and list(bob.serials()) == ["dice"] and list(carol.serials()) == ["weather"]
