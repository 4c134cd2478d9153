"""Purchases through the vendors' sample server as it really is: well, slow, failing and lying. Each ends with the books
even: the user's serials, the provider's ledger and the vendor's register say the same."""

import datetime
import itertools

import pytest

from lib.market import SERIALS, Shop, read_serials
from lib.process import wait_until
from lib.vendor import PluginServer, PythonServer
from lib.xmpp import error_condition

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    one = Shop(tmp_path_factory.mktemp("vendors"), market={"vendor_timeout_s": "1"})
    try:
        yield one.start()
    finally:
        one.stop()


@pytest.fixture
def own_shop(tmp_path, started):
    return lambda **market: started(Shop(tmp_path / "shop", market=market))


@pytest.fixture
def vendor(shop, tmp_path):
    """Makes a plugin of its own and the server it is sold by; names that no other test uses."""
    servers = []

    def open_vendor(*arguments, at=None, fallback=None, term=None, kind=PluginServer):
        where = at or shop
        name = f"chess-{next(_numbers)}"
        server = kind(tmp_path, name, *arguments, secret=where.vendor_secret).start()
        servers.append(server)
        where.plugin(name, source="plugin-server", base=server.base, fallback=fallback, term=term)
        if fallback == "pool":
            where.fill(name, [f"FALLBACK-{name}-{number}" for number in range(3)])
        return server
    yield open_vendor
    for server in servers:
        if server.process:
            server.stop()


@pytest.fixture
def customer(shop, enter):
    return lambda at=None: enter(at or shop)


def refunded(shop, order):
    """What the provider gave back."""
    return sum(refund["amount"] for payment in shop.checkout(order)["payments"] for refund in payment["refunds"])


def vendor_is_in_fault(shop, plugin):
    return any(row["plugin"] == plugin and row["state"] == "fault" for row in shop.host.hostctl_json("plugin", "list"))


# --- slow

def test_answer_after_the_time_out_is_found_by_asking(shop, vendor, customer):
    server = vendor("--mode", "slow", "--delay", "3")
    _order, (state, serial, _epoch) = customer().purchase(server.plugin)
    assert state == "active" and list(server.requests().values()) == [(serial, False)]
    assert server.session(serial)[0] == 200


def test_late_answer_after_a_fallback_is_void_at_the_vendor(shop, vendor, customer):
    """It made a serial, says so too late, and denies it when asked: voided before the fallback is asked."""
    server = vendor("--mode", "slow", "--delay", "3", "--fault", "forget", fallback="pool")
    order, (state, serial, _epoch) = customer().purchase(server.plugin)
    assert state == "active" and serial.startswith("FALLBACK-")
    [(surplus, is_void)] = server.requests().values()
    assert surplus is not None and is_void and server.session(surplus)[0] == 401
    assert refunded(shop, order) == 0


# --- failing

def test_server_that_fails_and_then_works_sells_one_serial(shop, vendor, customer):
    server = vendor("--fault", "error:2")
    order, (state, serial, _epoch) = customer().purchase(server.plugin)
    assert state == "active" and list(server.requests().values()) == [(serial, False)] and refunded(shop, order) == 0


def test_busy_server_is_waited_for(shop, vendor, customer):
    server = vendor("--fault", "busy:2")
    _order, (state, serial, _epoch) = customer().purchase(server.plugin)
    assert state == "active" and list(server.requests().values()) == [(serial, False)]


def test_server_that_fails_for_ever_is_voided_before_its_fallback(shop, vendor, customer):
    server = vendor("--mode", "failing", fallback="pool")
    _order, (state, serial, _epoch) = customer().purchase(server.plugin)
    assert state == "active" and serial.startswith("FALLBACK-")
    [request] = server.requests()
    assert server.requests()[request] == (None, True), "remembered, although it made nothing"
    server.restart_with()
    assert server.issue(request)[0] == 410, "what comes late is refused"


def test_no_fallback_without_certainty(shop, vendor, customer):
    """The vendor can neither issue nor void: the order is paid and waits, whatever its fallback has in store."""
    server = vendor("--mode", "failing", "--fault", "void-error", fallback="pool")
    alice = customer()
    order = alice.buy(server.plugin)
    alice.press(order)
    wait_until(lambda: any(row["state"] == "voiding" for row in shop.order(order.get("id"))["issue"]), what="the voiding")
    assert alice.serials() == {} and alice.state(order.get("id")) == "paid"
    server.restart_with("--mode", "failing")
    shop.wait_order(order.get("id"), "fulfilled")
    assert alice.serials()[server.plugin][1].startswith("FALLBACK-")
    assert list(server.requests().values()) == [(None, True)]


def test_vendor_that_does_not_remember_unseen_voids_is_no_certainty(shop, vendor, customer):
    server = vendor("--mode", "failing", "--fault", "unseen:1", fallback="pool")
    alice = customer()
    order = alice.buy(server.plugin)
    alice.press(order)
    wait_until(lambda: vendor_is_in_fault(shop, server.plugin), what="the alarm")
    shop.wait_order(order.get("id"), "fulfilled")
    assert list(server.requests().values()) == [(None, True)] and refunded(shop, order.get("id")) == 0


def test_answer_that_was_lost_is_found_by_asking(shop, vendor, customer):
    server = vendor("--fault", "lost:1")
    _order, (_state, serial, _epoch) = customer().purchase(server.plugin)
    assert list(server.requests().values()) == [(serial, False)]


def test_final_no_gives_the_money_back(shop, vendor, customer):
    server = vendor("--fault", "refuse")
    alice = customer()
    order = alice.buy(server.plugin)
    alice.press(order)
    shop.wait_order(order.get("id"), "refunded")
    assert alice.serials() == {} and refunded(shop, order.get("id")) == 500
    assert not any(serial for serial, _is_void in server.requests().values())


def test_refusal_that_is_no_json_is_not_final(shop, vendor, customer):
    server = vendor("--fault", "mumble:2")
    alice = customer()
    order = alice.buy(server.plugin)
    alice.press(order)
    shop.wait_order(order.get("id"), "fulfilled")
    assert refunded(shop, order.get("id")) == 0


def test_deadline_gives_the_money_back_and_voids_when_the_vendor_returns(own_shop, vendor, customer):
    """Nobody can say whether a serial was made: after issue_deadline_s the buyer is paid back, and the vendor hears of
    it as soon as it hears anything."""
    shop = own_shop(issue_deadline_s="2", vendor_timeout_s="0.5")
    server = vendor("--fault", "lost", "--fault", "forget", "--fault", "void-error", at=shop)
    alice = customer(at=shop)
    order = alice.buy(server.plugin)
    alice.press(order)
    shop.wait_order(order.get("id"), "refunded")
    assert alice.serials() == {} and refunded(shop, order.get("id")) == 500
    [(made, is_void)] = server.requests().values()
    assert made is not None and not is_void
    server.restart_with()
    wait_until(lambda: all(is_void for _serial, is_void in server.requests().values()), what="the vendor to be told")
    assert server.session(made)[0] == 401


# --- lying

@pytest.mark.parametrize("fallback", [None, "pool"])
def test_serial_of_another_user_is_never_delivered(shop, vendor, customer, fallback):
    """Uniqueness refuses it: the request is voided, the money goes back or the fallback serves, and the other user
    keeps the serial."""
    server = vendor(fallback=fallback)
    alice, bob = customer(), customer()
    _order, (_state, hers, _epoch) = alice.purchase(server.plugin)
    server.restart_with("--fault", "other")
    order = bob.buy(server.plugin)
    bob.press(order)
    shop.wait_order(order.get("id"), "fulfilled" if fallback else "refunded")
    assert refunded(shop, order.get("id")) == (0 if fallback else 500)
    his = bob.serials().get(server.plugin, (None, None))[1]
    assert his is None if not fallback else his.startswith("FALLBACK-")
    assert alice.serials()[server.plugin][:2] == ("active", hers) and server.session(hers)[0] == 200
    wait_until(lambda: list(server.requests().values()).count((None, True)) == 1, what="the request to be voided")


def test_what_is_no_serial_stops_sales_until_the_vendor_has_mended_it(shop, vendor, customer):
    server = vendor("--mode", "lying")
    alice, bob = customer(), customer()
    order = alice.buy(server.plugin)
    alice.press(order)
    wait_until(lambda: vendor_is_in_fault(shop, server.plugin), what="the alarm")
    assert error_condition(bob.buy(server.plugin))[1] == "service-unavailable"
    server.restart_with()
    # One of the lies may have been a serial to look at, and then it was nobody's yet: it is hers.
    shop.wait_order(order.get("id"), "fulfilled", timeout=30)
    state, serial, _epoch = alice.serials()[server.plugin]
    assert state == "active" and serial in ("SAME-SAME-SAME-SAME", *[made for made, _is_void in server.requests().values()])
    wait_until(lambda: bob.buy(server.plugin).get("state") == "awaiting-payment", what="sales to go on")


@pytest.mark.parametrize("fault", ["html", "empty", "control", "huge", "date:1", "redirect", "deny"])
def test_answer_that_the_host_cannot_take_is_a_configuration_fault(shop, vendor, customer, fault):
    server = vendor("--fault", fault)
    alice = customer()
    order = alice.buy(server.plugin)
    alice.press(order)
    wait_until(lambda: vendor_is_in_fault(shop, server.plugin), what="the alarm")
    server.restart_with()
    shop.wait_order(order.get("id"), "fulfilled", timeout=30)
    assert list(server.requests().values()) == [(alice.serials()[server.plugin][1], False)]
    assert not vendor_is_in_fault(shop, server.plugin) and refunded(shop, order.get("id")) == 0


def test_another_serial_for_the_same_request_changes_nothing_for_the_buyer(shop, vendor, customer):
    """The first answer is lost, the second tells another serial than is kept: one is delivered, and no other ever."""
    server = vendor("--fault", "lost:1", "--fault", "forget:1", "--fault", "change")
    alice = customer()
    order, (state, serial, epoch) = alice.purchase(server.plugin)
    assert state == "active" and alice.serials()[server.plugin] == ("active", serial, epoch)
    assert len(shop.order(order)["issue"]) == 1


# --- what follows a sale

def test_refund_is_told_to_the_vendor_and_ends_its_sessions(shop, vendor, customer):
    server = vendor()
    alice = customer()
    order, (_state, serial, _epoch) = alice.purchase(server.plugin)
    session = server.session(serial)[1]
    assert server.request("GET", "/v1/quote?topic=", None, {"X-Session": session})[0] == 200
    payment = shop.checkout(order)["payments"][0]["payment"]
    shop.callback(shop.event(order, "payment.refunded", payment=payment, refund=f"re_{order}"))
    assert alice.serials()[server.plugin][:2] == ("revoked", None)
    wait_until(lambda: list(server.requests().values()) == [(serial, True)], what="the vendor to be told")
    assert server.request("GET", "/v1/quote?topic=", None, {"X-Session": session})[0] == 401


def test_refused_serial_is_void_at_the_vendor_and_its_replacement_is_not(shop, vendor, customer):
    server = vendor(term="P1M")
    alice = customer()
    _order, (_state, first, _epoch) = alice.purchase(server.plugin)
    answer = alice.ask("set", f"<rejected xmlns='{SERIALS}' plugin='{server.plugin}' reason='bad'/>")
    assert answer.get("type") == "result"
    second = wait_until(lambda: alice.serials()[server.plugin][1] not in (None, first) and alice.serials()[server.plugin][1],
                        what="the replacement")
    wait_until(lambda: server.session(first)[0] == 401, what="the refused one to be void")
    assert server.session(second)[0] == 200
    assert sorted(request.rsplit(".", 1)[1] for request in server.requests()) == ["0", "1"]


def test_renewal_keeps_the_serial_that_the_vendor_keeps(shop, vendor, customer):
    server = vendor(term="P1M")
    alice = customer()
    _order, (_state, first, _epoch) = alice.purchase(server.plugin)
    order = alice.buy(server.plugin)
    alice.press(order)
    shop.wait_order(order.get("id"), "fulfilled")
    answer = alice.ask("get", f"<serials xmlns='{SERIALS}'/>")
    [plugin] = answer.iter(f"{{{SERIALS}}}plugin")
    assert read_serials(answer[0])[server.plugin][:2] == ("active", first)
    told = [server.ask("GET", f"/v1/serials/{request}")[1]["expires"] for request in server.requests()]
    ends = [datetime.datetime.fromisoformat(text.replace("Z", "+00:00")) for text in (max(told), plugin.get("expires"))]
    assert abs(ends[0] - ends[1]) < datetime.timedelta(minutes=5), "host and vendor count alike"
    assert {serial for serial, _is_void in server.requests().values()} == {first}


def test_rotation_of_the_shared_secret_loses_no_sale(shop, vendor, customer, tmp_path):
    """The vendor takes the old and the new secret; which one the host signs with makes no difference."""
    path = tmp_path / "secrets"
    path.write_text("whsec_" + "QUFB" * 8 + "\n" + shop.vendor_secret + "\n")
    server = vendor("--secret-file", path)
    _order, (state, _serial, _epoch) = customer().purchase(server.plugin)
    assert state == "active"


@pytest.mark.parametrize("term", [None, "P1M"])
def test_python_sample_sells_and_hears_of_the_refund(shop, vendor, customer, term):
    server = vendor(kind=PythonServer, term=term)
    alice = customer()
    order, (state, serial, _epoch) = alice.purchase(server.plugin)
    assert state == "active" and list(server.requests().values()) == [(serial, False)]
    server.kill()
    server.arguments = ("--listen", server.address)
    server.start()
    [request] = server.requests()
    assert server.ask("GET", f"/v1/serials/{request}")[1]["serial"] == serial
    payment = shop.checkout(order)["payments"][0]["payment"]
    shop.callback(shop.event(order, "payment.refunded", payment=payment, refund=f"re_{order}"))
    wait_until(lambda: list(server.requests().values()) == [(serial, True)], what="the vendor to be told")
