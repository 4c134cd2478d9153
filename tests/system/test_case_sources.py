"""Cases of docs/money.md: the sources of serials, the provider and the client when they fail, and what is taken off sale."""

import concurrent.futures
import os
import shutil

import pytest

from lib.cases import CasesShop, copy_modules, lost_answer, lost_request
from lib.market import MARKET, SERIALS
from lib.process import wait_until
from lib.stanza import show
from lib.xmpp import error_condition

PAID = "fulfilled/paid; payment 500; serial issued"
BACK = "refunded/refunded; payment 500, refund 500; back 500 confirmed"
PROVIDER_BACK = "paid: 500 (refund 500 done)"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parties")
    shop = CasesShop(folder / "shop", modules=copy_modules(folder / "modules", dying="call_abort", same="none"))
    try:
        yield shop.start()
    finally:
        shop.stop()


@pytest.fixture
def open_shop(tmp_path, started):
    return lambda modules=None, **market: started(CasesShop(tmp_path / "shop", market=market, modules=modules))


def charge_of(order):
    charge = order.find(f"{{{MARKET}}}charge")
    return charge.get("url") if charge is not None else None


# --- keygens


def test_case_keygen_fails_and_works_again(open_shop, tmp_path):
    """The same generation with the same inputs; the user sees that it is being prepared."""
    folder = copy_modules(tmp_path / "modules", mended="call_abort")
    shop = open_shop(folder, keygen_retry_s="0,0.3,0.6,1")
    case = shop.enter().order(shop.sell("keygen", module="mended.so"))
    case.pay()
    wait_until(lambda: f"issue failed order={case.id}" in shop.log(), what="the first failure")
    assert case.customer.state(case.id) == "paid"
    shutil.copy(folder / "libweather-keygen.so", folder / "next")
    os.replace(folder / "next", folder / "mended.so")
    case.settle(books=PAID, provider="paid: 500", vendor="", serial="active", told="paid fulfilled +active")
    [row] = case.books()["issue"]
    assert (row["generation"], row["counter"], row["source"]) == (0, 0, "keygen")


@pytest.mark.parametrize("fallback, vendor", [("pool", "free 1, delivered 1"), ("plugin-server", "issued")])
def test_case_keygen_fails_and_the_fallback_serves(shop, fallback, vendor):
    case = shop.enter().order(shop.sell("keygen", module="dying.so", fallback=fallback))
    case.pay()
    case.settle(books=PAID, provider="paid: 500", vendor=vendor, serial="active", told="paid fulfilled +active")
    assert case.books()["issue"][0]["source"] == fallback
    shop.wait_alarm("source gave up", case.id, "source=keygen")


def test_case_keygen_fails_for_good(open_shop, tmp_path):
    shop = open_shop(copy_modules(tmp_path / "modules", dying="call_abort"))
    case = shop.enter().order(shop.sell("keygen", module="dying.so"))
    case.pay()
    case.settle(books=BACK + "; serial failed-final", provider=PROVIDER_BACK, vendor="", serial="none",
                told="paid refunding refunded")
    shop.wait_alarm(case.id, "issuing -> refund-due")


def test_case_keygen_returns_a_used_serial(shop):
    """It is asked with the next counter, which is recorded."""
    plugin = shop.sell("keygen", module="counting.so")
    for number in range(3):
        case = shop.enter().order(plugin)
        case.pay()
        case.settle(books=PAID, provider="paid: 500", vendor="", serial="active", told="paid fulfilled +active")
        assert case.serial()[1] == f"COUNT-{number}" and case.books()["issue"][0]["counter"] == number


def test_case_keygen_has_only_used_serials(shop):
    plugin = shop.sell("keygen", module="same.so")
    shop.enter().bought(plugin)
    case = shop.enter().order(plugin)
    case.pay()
    case.settle(books=BACK + "; serial failed-final", provider=PROVIDER_BACK, vendor="", serial="none",
                told="paid refunding refunded")
    assert case.books()["issue"][0]["counter"] == 16


# --- plugin servers


@pytest.mark.parametrize("fault, asked", [("heard", ["POST", "GET"]), ("not heard", ["POST", "GET", "POST"])])
def test_case_plugin_server_times_out(shop, fault, asked):
    """It is asked what came of the request, and only then sent the same one again."""
    plugin = shop.sell("plugin-server")
    gate = shop.gate("after" if fault == "heard" else "instead", plugin)
    case = shop.enter().order(plugin)
    case.pay()
    case.settle(books=PAID, provider="paid: 500", vendor="issued", serial="active", told="paid fulfilled +active")
    assert gate.reached.is_set()
    gate.is_open.set()
    traffic = shop.wires[plugin].traffic
    assert [method for method, _path, _key in traffic[:len(asked)]] == asked
    case.settle(books=PAID, provider="paid: 500", vendor="issued", serial="active", told="")


def test_case_plugin_server_in_doubt_is_voided_before_the_fallback(shop):
    """It has issued, but nobody heard: only its word that the request is void lets another source be asked."""
    plugin = shop.sell("plugin-server", fallback="pool")
    wire = shop.wires[plugin]
    wire.faults[:] = [lost_answer, lost_request, lost_request, lost_request, lost_request]
    case = shop.enter().order(plugin)
    case.pay()
    case.settle(books=PAID, provider="paid: 500", vendor="void, free 1, delivered 1", serial="active",
                told="paid fulfilled +active")
    assert case.serial()[1] == f"{plugin}-KEY-1"
    methods = [method for method, path, _key in wire.traffic if path.startswith("/v1/serials")]
    assert methods[0] == "POST" and methods[-1] == "DELETE" and "POST" not in methods[1:-1]


@pytest.mark.parametrize("side", ["before", "after"])
def test_case_plugin_server_answers_late_after_a_fallback(shop, side):
    """What was on its way all the time, there or back, is void when it arrives."""
    plugin = shop.sell("plugin-server", fallback="pool")
    gate = shop.gate(side, plugin)
    shop.wires[plugin].faults += [lost_request, lost_request]
    case = shop.enter().order(plugin)
    case.pay()
    expected = {"books": PAID, "provider": "paid: 500", "vendor": "void, free 1, delivered 1", "serial": "active"}
    case.settle(**expected, told="paid fulfilled +active")
    serial = case.serial()
    gate.is_open.set()
    case.settle(**expected, told="")
    assert case.serial() == serial


def test_case_plugin_server_gives_anothers_serial(shop):
    """A serial belongs to one user for ever: this one is refused, and asked to be void."""
    plugin = shop.sell("plugin-server", fallback="pool", faults=["same"])
    first = shop.enter().bought(plugin)
    case = shop.enter().order(plugin)
    case.pay()
    case.settle(books=PAID, provider="paid: 500", vendor="void, free 1, delivered 1", serial="active",
                told="paid fulfilled +active")
    assert first.serial()[1] != case.serial()[1]


def test_case_plugin_server_refuses(shop):
    plugin = shop.sell("plugin-server", faults=["refuse"])
    case = shop.enter().order(plugin)
    case.pay()
    case.settle(books=BACK + "; serial failed-final", provider=PROVIDER_BACK, vendor="unknown", serial="none",
                told="paid refunding refunded")


# --- pools


def test_case_pool_empty_before_money(shop):
    plugin = shop.sell("pool", keys=0)
    for policy in ("on-payment", "reserve"):
        shop.plugin(plugin, source="pool", policy=policy)
        alice = shop.enter()
        refusal = alice.buy(plugin)
        assert error_condition(refusal) == ("wait", "resource-constraint")
        assert refusal.find(f".//{{{MARKET}}}out-of-stock") is not None
        assert shop.host.hostctl_json("order", "list", alice.name) == [] and alice.serials() == {}


def test_case_pool_empty_after_money(shop):
    """Two pay for the last key: one gets it, the other the money."""
    plugin = shop.sell("pool", keys=1)
    cases = [shop.enter().order(plugin) for _ in range(2)]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda case: case.pay(), cases))
    ends = [wait_until(lambda: case.books()["state"] in ("fulfilled", "refunded") and case.books()["state"]) for case in cases]
    assert sorted(ends) == ["fulfilled", "refunded"]
    got, lost = cases if ends[0] == "fulfilled" else cases[::-1]
    got.settle(books=PAID, provider="paid: 500", vendor="delivered 1", serial="active", told="paid fulfilled +active")
    lost.settle(books=BACK + "; serial failed-final", provider=PROVIDER_BACK, vendor="delivered 1", serial="none",
                told="paid refunding refunded")


def test_case_pool_empty_with_reserve(shop):
    """The last key is set aside for one of two who have not paid yet; nobody else can order."""
    plugin = shop.sell("pool", keys=1, policy="reserve")
    first, bob = shop.enter().order(plugin), shop.enter()
    assert error_condition(bob.buy(plugin)) == ("wait", "resource-constraint")
    first.settle(books="awaiting-payment/pending; serial held", provider="open", vendor="reserved 1", serial="none", told="")
    first.decline()
    first.settle(books="declined/failed; serial abandoned", provider="declined", vendor="free 1", serial="none", told="declined")
    case = bob.order(plugin)
    case.pay()
    case.settle(books=PAID, provider="paid: 500", vendor="delivered 1", serial="active", told="fulfilled +active")


@pytest.mark.parametrize("policy", ["on-payment", "reserve"])
def test_case_pool_empty_and_the_fallback_serves(shop, policy):
    plugin = shop.sell("pool", keys=0, fallback="plugin-server", policy=policy)
    case = shop.enter().order(plugin)
    case.pay()
    case.settle(books=PAID, provider="paid: 500", vendor="issued", serial="active",
                told="paid fulfilled +active" if policy == "on-payment" else "fulfilled +active")


def test_case_pool_low_water(shop):
    plugin = shop.sell("pool", keys=11)
    shop.enter().bought(plugin)
    wait_until(lambda: f"pool is low plugin={plugin} free=10" in shop.log(), what="the warning")


@pytest.mark.parametrize("source", ["keygen", "plugin-server", "pool"])
def test_case_reserve(shop, source):
    """The serial is there before the money, and the client's at once with it."""
    case = shop.enter().order(shop.sell(source, policy="reserve"))
    held = {"keygen": "", "plugin-server": "issued", "pool": "free 1, reserved 1"}[source]
    case.settle(books="awaiting-payment/pending; serial held", provider="open", vendor=held, serial="none", told="")
    case.pay()
    case.settle(books=PAID, provider="paid: 500",
                vendor={"keygen": "", "plugin-server": "issued", "pool": "free 1, delivered 1"}[source], serial="active",
                told="fulfilled +active")


@pytest.mark.parametrize("source, options, vendor", [
    ("plugin-server", {"faults": ["refuse"]}, "unknown"), ("keygen", {"module": "same.so"}, "")])
def test_case_reserve_cannot_be_had(shop, source, options, vendor):
    """Refused before any money; the provider never hears of it."""
    plugin = shop.sell(source, policy="reserve", **options)
    if source == "keygen":
        shop.enter().bought(plugin)  # the only serial it has
    case = shop.enter().order(plugin)
    assert case.state == "refused" or case.state == "awaiting-payment" and charge_of(case.answer) is None
    case.settle(books="refused/none; serial failed-final", provider="none", vendor=vendor, serial="none", told="refused")


def test_case_user_declines_while_reserving(shop):
    """On another device, while the first one waits: it ends as soon as the serial is there to be let go, and there was
    never a charge."""
    plugin, alice = shop.sell("plugin-server", policy="reserve"), shop.enter()
    tablet = shop.enter(alice.name, "tablet")
    gate = shop.gate("after", plugin)
    alice.client.send(f"<iq type='set' id='buy' to='{alice.to}'><order xmlns='{MARKET}' plugin='{plugin}' request='r-1'/></iq>")
    assert gate.reached.wait(10)
    [row] = shop.host.hostctl_json("order", "list", alice.name)
    tablet.client.send(f"<iq type='set' id='no' to='{alice.to}'><order xmlns='{MARKET}' id='{row['order']}' action='decline'/></iq>")
    tablet.client.barrier()
    gate.is_open.set()
    answers = [tablet.client.answer_to("no")[0], alice.client.answer_to("buy")[0]]
    assert [(answer.get("state"), charge_of(answer)) for answer in answers] == [("declined", None)] * 2
    case = alice.order(plugin, "r-1")
    assert case.id == row["order"]
    case.n_heard = 0
    case.settle(books="declined/failed; serial abandoned", provider="none", vendor="void", serial="none", told="declined")


def test_case_reserve_answers_late(shop):
    """The buyer is not kept waiting; what comes afterwards is void."""
    plugin, alice = shop.sell("plugin-server", policy="reserve"), shop.enter()
    gate = shop.gate("after", plugin)
    shop.wires[plugin].faults += [lost_request] * 3
    case = alice.order(plugin)
    case.settle(books="refused/none; serial abandoned", provider="none", vendor="void", serial="none", told="refused")
    gate.is_open.set()
    case.settle(books="refused/none; serial abandoned", provider="none", vendor="void", serial="none", told="")


def test_case_open_reserves_are_limited(open_shop):
    shop = open_shop(open_reserves_per_user="2")
    alice = shop.enter()
    cases = [alice.order(shop.sell("pool", policy="reserve")) for _ in range(2)]
    third = shop.sell("pool", policy="reserve")
    assert error_condition(alice.buy(third)) == ("wait", "resource-constraint") and shop.pool(third) == "free 2"
    cases[0].decline()
    assert alice.order(third).state == "awaiting-payment" and shop.pool(third) == "free 1, reserved 1"


# --- the provider


@pytest.mark.parametrize("fault", ["lost", "late", "broken"])
def test_case_checkout_times_out(shop, fault):
    """Asked again with the same key: one checkout."""
    wire = shop.provider
    start = len(wire.traffic)
    if fault == "late":
        gate = shop.gate("after")
    else:
        wire.faults.append(lost_answer if fault == "lost" else lost_request)
    alice = shop.enter()
    case = alice.order(shop.sell("pool"))
    if charge_of(case.answer) is None:
        case.answer = alice.push_of("order", id=case.id, state="awaiting-payment")
    if fault == "late":
        gate.is_open.set()
    assert [row for row in wire.traffic[start:]] == [("POST", "/v1/checkouts", case.id)] * 2
    case.settle(books="awaiting-payment/pending", provider="open", vendor="free 2", serial="none",
                told="awaiting-payment" if case.told() else "")
    case.pay()
    case.settle(books=PAID, provider="paid: 500", vendor="free 1, delivered 1", serial="active", told="paid fulfilled +active")


@pytest.mark.parametrize("policy", ["on-payment", "reserve"])
def test_case_checkout_refused(shop, policy):
    shop.provider.faults.append(lambda _forward: (422, b'{"error":"this merchant may not"}'))
    plugin, alice = shop.sell("pool", policy=policy), shop.enter()
    case = alice.order(plugin)
    assert case.state == "expired" and charge_of(case.answer) is None
    case.settle(books="expired/expired" + ("; serial abandoned" if policy == "reserve" else ""), provider="none", vendor="free 2",
                serial="none", told="expired")
    assert "422" in case.books()["reason"]
    assert charge_of(alice.order(plugin).answer) is not None, "a new request is a new order"


def test_case_checkout_failure_replayed_under_its_key(shop):
    start = len(shop.provider.traffic)
    shop.provider.faults += [lambda _forward: (500, b"{}")] * 2
    alice = shop.enter()
    case = alice.order(shop.sell("pool"))
    assert [key for _method, _path, key in shop.provider.traffic[start:]] == [case.id, case.id, f"{case.id}.1"]
    case.settle(books="awaiting-payment/pending", provider="open", vendor="free 2", serial="none",
                told="awaiting-payment" if case.told() else "")


# --- the client


@pytest.mark.parametrize("source", ["keygen", "plugin-server", "pool"])
def test_case_client_offline(shop, source):
    """Paid on the page after the client had gone: the serial waits for the next login, the same bytes each time."""
    alice = shop.enter()
    case = alice.order(shop.sell(source))
    alice.close()
    case.pay()
    wait_until(lambda: case.books()["state"] == "fulfilled", what="fulfilled")
    answers = []
    for _ in range(3):
        alice = case.customer = shop.enter(alice.name)
        answers.append(show(alice.ask("get", f"<serials xmlns='{SERIALS}'/>")[0]))
        alice.close()
    assert len(set(answers)) == 1
    case.customer, case.n_heard = shop.enter(alice.name), 0
    case.settle(books=PAID, provider="paid: 500",
                vendor={"keygen": "", "plugin-server": "issued", "pool": "free 1, delivered 1"}[source], serial="active", told="")


def test_case_answer_to_the_client_lost(shop):
    """The client goes before the push and the answer it had asked for are read."""
    alice = shop.enter()
    case = alice.order(shop.sell("pool"))
    alice.client.send(f"<iq type='get' id='never' to='{alice.to}'><serials xmlns='{SERIALS}'/></iq>")
    case.pay()
    alice.client.close()
    wait_until(lambda: case.books()["state"] == "fulfilled", what="fulfilled")
    again = case.customer = shop.enter(alice.name)
    case.n_heard = 0
    assert again.serials() == {case.plugin: ("active", f"{case.plugin}-KEY-1", 1)}
    case.settle(books=PAID, provider="paid: 500", vendor="free 1, delivered 1", serial="active", told="")


def test_case_client_asks_again_with_the_same_request(shop):
    """The answer to the order was lost: the same order, for ever."""
    alice, plugin = shop.enter(), shop.sell("pool")
    case = alice.order(plugin, request="r-1")
    assert alice.buy(plugin, "r-1").get("id") == case.id == alice.buy(plugin, "r-2").get("id")
    case.pay()
    case.settle(books=PAID, provider="paid: 500", vendor="free 1, delivered 1", serial="active", told="paid fulfilled +active")
    assert [alice.buy(plugin, name).get("state") for name in ("r-1", "r-2")] == ["fulfilled"] * 2


# --- off sale


def test_case_plugin_retired_with_open_orders(shop):
    case = shop.enter().order(shop.sell("plugin-server"))
    shop.host.hostctl("plugin", "retire", case.plugin)
    assert error_condition(shop.enter().buy(case.plugin)) == ("cancel", "item-not-found")
    case.pay()
    case.settle(books=PAID, provider="paid: 500", vendor="issued", serial="active", told="paid fulfilled +active")


def test_case_plugin_repriced_with_open_orders(shop):
    plugin = shop.sell("pool")
    case = shop.enter().order(plugin)
    shop.plugin(plugin, source="pool", price=900)
    dearer = shop.enter().order(plugin)
    assert (case.answer.get("price"), dearer.answer.get("price")) == ("500", "900")
    case.pay()
    case.settle(books=PAID, provider="paid: 500", vendor="free 1, delivered 1", serial="active", told="paid fulfilled +active")
    dearer.pay()
    dearer.settle(books="fulfilled/paid; payment 900; serial issued", provider="paid: 900", vendor="delivered 2", serial="active",
                  told="paid fulfilled +active")


def test_case_source_quarantined(open_shop, tmp_path):
    """No new orders; what is paid waits, until the vendor has mended its module."""
    folder = copy_modules(tmp_path / "modules", worn="call_abort")
    shop = open_shop(folder, keygen_retry_s="0,0.2,0.2,0.2,0.2,0.2,0.2,0.2,0.2,0.2,0.2")
    case = shop.enter().order(shop.sell("keygen", module="worn.so"))
    case.pay()
    wait_until(lambda: any(row["module"] == "worn.so" and row["state"] == "crashed"
                           for row in shop.host.hostctl_json("module", "list")), what="the quarantine")
    bob = shop.enter()
    assert error_condition(bob.buy(case.plugin))[1] == "service-unavailable"
    assert case.customer.state(case.id) == "paid"
    shutil.copy(folder / "libweather-keygen.so", folder / "next")
    os.replace(folder / "next", folder / "worn.so")
    case.settle(books=PAID, provider="paid: 500", vendor="", serial="active", told="paid fulfilled +active")
    assert bob.order(case.plugin).state == "awaiting-payment"


def test_case_source_unhealthy(shop):
    """A plugin server that denies us is a fault of somebody's configuration: an alarm, and no new sales meanwhile."""
    plugin = shop.sell("plugin-server")
    gate = shop.gate("instead", plugin)
    shop.wires[plugin].faults[:] = [lambda _forward: (401, b'{"error":"who are you"}'), lambda _forward: (403, b""), gate.instead]
    case = shop.enter().order(plugin)
    case.pay()
    shop.wait_alarm("source is misconfigured", plugin)
    bob = shop.enter()
    assert error_condition(bob.buy(plugin))[1] == "service-unavailable"
    assert gate.reached.wait(10) and case.customer.state(case.id) == "paid"
    gate.is_open.set()
    case.settle(books=PAID, provider="paid: 500", vendor="issued", serial="active", told="paid fulfilled +active")
    assert bob.order(plugin).state == "awaiting-payment"


def test_case_source_away_until_the_deadline(open_shop):
    """Nobody could say whether it was issued, so no other source was asked; the money goes back, and the request is voided as
    soon as somebody hears it."""
    shop = open_shop(issue_deadline_s="0.6")
    plugin = shop.sell("plugin-server", fallback="pool")
    server = shop.servers[plugin]
    case = shop.enter().order(plugin)
    server.kill()
    case.pay()
    case.settle(books=BACK + "; serial abandoned", provider=PROVIDER_BACK, vendor="free 2", serial="none",
                told="paid refunding refunded")
    server.start()
    case.settle(books=BACK + "; serial abandoned", provider=PROVIDER_BACK, vendor="void, free 2", serial="none", told="")


def test_case_account_removed(shop):
    """Open orders are declined, what is paid but not issued goes back, and what was had is void, renewals too."""
    alice = shop.enter()
    renewed = shop.sell("plugin-server", term="P3D")
    had, renewal, pool = alice.bought(renewed), alice.bought(renewed), alice.bought(shop.sell("pool"))
    serial = renewal.serial()[1]
    unpaid, reserved = alice.order(shop.sell("pool")), alice.order(shop.sell("pool", policy="reserve"))
    waiting = alice.order(shop.sell("plugin-server"))
    gate = shop.gate("after", waiting.plugin)
    waiting.pay()
    assert gate.reached.wait(10)
    shop.host.hostctl("user", "remove", f"{alice.name}@{shop.host.domain}")
    gate.is_open.set()
    for case, books, provider, vendor in [
            (unpaid, "declined/failed", "declined", "free 2"),
            (reserved, "declined/failed; serial abandoned", "declined", "free 2"),
            (waiting, BACK + "; serial abandoned", PROVIDER_BACK, "void"),
            (had, PAID, "paid: 500", "void"), (renewal, PAID, "paid: 500", "void"), (pool, PAID, "paid: 500", "free 1, burned 1")]:
        case.settle_books(books=books, provider=provider, vendor=vendor)
    assert shop.servers[renewed].session(serial)[0] == 401
    # The name belongs to somebody else now.
    shop.host.add_user(alice.name)
    again = shop.enter(alice.name)
    assert again.serials() == {}
    assert error_condition(again.ask("get", f"<order xmlns='{MARKET}' id='{had.id}'/>"))[1] == "item-not-found"


def test_case_account_removed_while_reserving(shop):
    plugin, alice = shop.sell("plugin-server", policy="reserve"), shop.enter()
    gate = shop.gate("after", plugin)
    alice.client.send(f"<iq type='set' id='buy' to='{alice.to}'><order xmlns='{MARKET}' plugin='{plugin}' request='r-1'/></iq>")
    assert gate.reached.wait(10)
    [row] = shop.host.hostctl_json("order", "list", alice.name)
    shop.host.hostctl("user", "remove", f"{alice.name}@{shop.host.domain}")
    gate.is_open.set()
    order = row["order"]
    wait_until(lambda: shop.order(order)["state"] == "declined", what="declined")
    [issue] = shop.order(order)["issue"]
    assert issue["state"] == "abandoned" and shop.order(order)["checkout"] is None
    wait_until(lambda: shop.servers[plugin].ask("GET", f"/v1/serials/{issue['request']}")[0] == 410, what="the void")
