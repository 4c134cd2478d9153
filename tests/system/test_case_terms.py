"""Cases of docs/money.md: terms and renewals, replacement of serials, and what a person decides about an order."""

import datetime
import json
import time

import pytest

from lib.cases import CasesShop
from lib.host import HostctlError
from lib.market import MARKET, SERIALS
from lib.process import wait_until
from lib.xmpp import error_condition

SOURCES = ["keygen", "plugin-server", "pool"]
DAY = 86400
BOUGHT = "fulfilled/paid; payment 500; serial issued"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    shop = CasesShop(tmp_path_factory.mktemp("shop"), stub=("--fault", "late"))
    try:
        yield shop.start()
    finally:
        shop.stop()


@pytest.fixture
def own_shop(tmp_path, started):
    """One whose clocks the test may turn."""
    return started(CasesShop(tmp_path / "shop"))


def expiry(customer, plugin):
    answer = customer.ask("get", f"<serials xmlns='{SERIALS}'/>")
    [text] = [child.get("expires") for child in answer[0] if child.get("id") == plugin]
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def again(shop, customer):
    """The same user after a restart."""
    customer.close()
    return shop.enter(customer.name)


def reject(customer, plugin, reason="bad"):
    answer = customer.ask("set", f"<rejected xmlns='{SERIALS}' plugin='{plugin}' reason='{reason}'/>")
    assert answer.get("type") == "result"
    return answer[0]


# --- renewals


@pytest.mark.parametrize("source", SOURCES)
def test_case_renewal_before_expiry(shop, source):
    """The term is added to what is left. The serial is the new one, or, if the vendor wants that, the same with a later end."""
    plugin, alice = shop.sell(source, term="P3D"), shop.enter()
    first = alice.bought(plugin)
    before, serial = expiry(alice, plugin), first.serial()[1]
    renewal = alice.order(plugin)
    assert renewal.state == "awaiting-payment"
    renewal.pay()
    vendor = {"keygen": "", "plugin-server": "issued", "pool": "delivered 2"}[source]
    renewal.settle(books=BOUGHT, provider="paid: 500", vendor=vendor, serial="active", told="paid fulfilled +active")
    assert expiry(alice, plugin) - before == 3 * DAY
    assert (renewal.serial()[1] == serial) == (source == "plugin-server")
    first.settle(books=BOUGHT, provider="paid: 500", vendor=vendor, serial="active", told="+active")


def test_case_renewal_reserved_and_declined(shop):
    """What was set aside for it is let go, and what the user has stays."""
    for source, vendor in (("plugin-server", "void"), ("pool", "free 1, delivered 1"), ("keygen", "")):
        plugin, alice = shop.sell(source, policy="reserve", term="P3D"), shop.enter()
        first = alice.bought(plugin)
        end, serial = expiry(alice, plugin), first.serial()[1]
        renewal = alice.order(plugin)
        renewal.decline()
        renewal.settle(books="declined/failed; serial abandoned", provider="declined", vendor=vendor, serial="active",
                       told="declined")
        assert (expiry(alice, plugin), renewal.serial()[1]) == (end, serial)
        if source == "plugin-server":
            assert shop.servers[plugin].session(serial)[0] == 200
        again = alice.bought(plugin)
        assert abs(expiry(alice, plugin) - end - 3 * DAY) < 2
        if source == "plugin-server":
            again.refund_there(500)
            wait_until(lambda: again.books()["state"] == "refunded", what="refunded")
            assert shop.servers[plugin].session(serial)[0] == 200


def test_case_expiry_is_pushed(own_shop):
    shop = own_shop
    plugin, alice = shop.sell("plugin-server", term="P1D"), shop.enter()
    case = alice.bought(plugin)
    left = expiry(alice, plugin) - time.time()
    alice.close()
    shop.age(left - 3)
    alice = case.customer = shop.enter(alice.name)
    case.n_heard = 0
    assert case.serial()[0] == "active"
    case.settle(books=BOUGHT, provider="paid: 500", vendor="issued", serial="expired", told="+expired")
    assert reject(alice, plugin, "expired").tag == f"{{{SERIALS}}}registration-needed"


def test_case_expiry_is_found_at_login(own_shop):
    plugin, alice = own_shop.sell("pool", term="P1D"), own_shop.enter()
    alice.bought(plugin)
    alice.close()
    own_shop.age(2 * DAY)
    assert own_shop.enter(alice.name).serials()[plugin][:2] == ("expired", None)


def test_case_renewal_after_expiry(own_shop):
    """The same entitlement, from now on."""
    shop = own_shop
    plugin, alice = shop.sell("pool", term="P1D"), shop.enter()
    alice.bought(plugin)
    alice.close()
    shop.age(5 * DAY)
    wait_until(lambda: "active -> expired" in shop.log(), what="the expiry, so that nobody is told of it later")
    alice = shop.enter(alice.name)
    epoch = alice.serials()[plugin][2]
    renewal = alice.order(plugin)
    assert renewal.state == "awaiting-payment"
    renewal.pay()
    renewal.settle(books=BOUGHT, provider="paid: 500", vendor="delivered 2", serial="active", told="paid fulfilled +active")
    assert abs(expiry(alice, plugin) - time.time() - DAY) < 60
    assert alice.serials()[plugin][2] == epoch + 1


def test_case_part_refund_of_a_renewal(shop):
    plugin, alice = shop.sell("plugin-server", term="P3D"), shop.enter()
    alice.bought(plugin)
    renewal = alice.bought(plugin)
    before = expiry(alice, plugin)
    renewal.refund_there(200)
    renewal.settle(books="fulfilled/part-refunded; payment 500, refund 200; serial issued", provider="paid: 500 (refund 200 done)",
                   vendor="issued", serial="active", told="")
    assert expiry(alice, plugin) == before


@pytest.mark.parametrize("source", SOURCES)
def test_case_full_refund_of_a_renewal(shop, source):
    """The term is what the first purchase paid for, and the serial is that of the first purchase."""
    plugin, alice = shop.sell(source, term="P3D"), shop.enter()
    first = alice.bought(plugin)
    before, serial = expiry(alice, plugin), first.serial()[1]
    renewal = alice.bought(plugin)
    renewal.refund_there(500)
    renewal.settle(books="refunded/refunded; payment 500, refund 500; serial issued", provider="paid: 500 (refund 500 done)",
                   vendor={"keygen": "", "plugin-server": "void", "pool": "delivered 1, burned 1"}[source], serial="active",
                   told="refunded +active")
    assert (expiry(alice, plugin), renewal.serial()[1]) == (before, serial)
    first.settle(books=BOUGHT, provider="paid: 500",
                 vendor={"keygen": "", "plugin-server": "issued", "pool": "delivered 1, burned 1"}[source], serial="active",
                 told="+active +active")


def test_case_full_refund_of_what_was_renewed(shop):
    """The renewal stays: it counts from its own day."""
    plugin, alice = shop.sell("plugin-server", term="P3D"), shop.enter()
    first, renewal = alice.bought(plugin), alice.bought(plugin)
    serial = renewal.serial()[1]
    first.hear("+active")
    first.refund_there(500)
    first.settle(books="refunded/refunded; payment 500, refund 500; serial issued", provider="paid: 500 (refund 500 done)",
                 vendor="void", serial="active", told="refunded +active")
    assert renewal.serial()[1] == serial and abs(expiry(alice, plugin) - time.time() - 3 * DAY) < 60
    assert shop.servers[plugin].session(serial)[0] == 200, "the vendor honours it still"


def test_case_dispute_of_a_renewal(shop):
    """Only what it added is set aside."""
    plugin, alice = shop.sell("pool", term="P3D"), shop.enter()
    first = alice.bought(plugin)
    before = expiry(alice, plugin)
    renewal = alice.bought(plugin)
    longer = expiry(alice, plugin)
    renewal.dispute("open")
    renewal.settle(books="fulfilled/disputed; payment 500, dispute 500; serial issued", provider="paid: 500 (dispute open)",
                   vendor="delivered 2", serial="active", told="+active")
    assert (expiry(alice, plugin), first.serial()) == (before, renewal.serial())
    renewal.dispute("won")
    renewal.settle(books="fulfilled/paid; payment 500, dispute 500, dispute-won 500; serial issued",
                   provider="paid: 500 (dispute won)", vendor="delivered 2", serial="active", told="+active")
    assert expiry(alice, plugin) == longer


def test_case_dispute_of_what_was_renewed(shop):
    """The renewal stays, counted from its own day."""
    plugin, alice = shop.sell("plugin-server", term="P3D"), shop.enter()
    first = alice.bought(plugin)
    renewal = alice.bought(plugin)
    first.hear("+active")
    first.dispute("open")
    first.settle(books="fulfilled/disputed; payment 500, dispute 500; serial issued", provider="paid: 500 (dispute open)",
                 vendor="issued", serial="active", told="+active")
    assert abs(expiry(alice, plugin) - time.time() - 3 * DAY) < 60
    first.dispute("lost")
    first.settle(books="charged-back/charged-back; payment 500, dispute 500, dispute-lost 500; serial issued",
                 provider="paid: 500 (dispute lost)", vendor="void", serial="active", told="refunded")
    assert shop.servers[plugin].session(renewal.serial()[1])[0] == 200


# --- a vendor's own end, and serials that are refused


def test_case_vendor_ends_a_serial_early(own_shop):
    """Another is asked for by itself before that, and the entitlement keeps the end that was paid for."""
    shop = own_shop
    plugin, alice = shop.sell("plugin-server", term="P3D"), shop.enter()

    def make_short(forward):
        status, body = forward()
        in_two_hours = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 7200))
        return status, json.dumps({**json.loads(body), "expires": in_two_hours}).encode()
    shop.wires[plugin].faults += [make_short] * 5  # however often it is asked
    case = alice.bought(plugin)
    shop.wires[plugin].faults.clear()
    serial, end = case.serial()[1], expiry(alice, plugin)
    assert abs(end - time.time() - 3 * DAY) < 60
    alice.close()
    gate = shop.gate("before", plugin)
    shop.age(7200 - 600)  # within a tenth of the serial's life before its end
    alice = case.customer = shop.enter(alice.name)
    case.n_heard = 0
    assert gate.reached.wait(10) and case.serial() == ("active", serial)
    gate.is_open.set()
    case.settle(books="fulfilled/paid; payment 500; serial issued, serial issued", provider="paid: 500", vendor="issued, issued",
                serial="active", told="+active")
    assert case.serial()[1] != serial and abs(expiry(alice, plugin) - (end - 6600)) < 1
    # That was the vendor's doing: the one replacement is still there for a serial that is bad.
    assert reject(alice, plugin).findtext(f"{{{SERIALS}}}serial")


@pytest.mark.parametrize("source", SOURCES)
def test_case_serial_refused_by_its_plugin(shop, source):
    """One replacement; what was refused is void."""
    alice = shop.enter()
    case = alice.bought(shop.sell(source))
    first = case.serial()[1]
    answer = reject(alice, case.plugin)
    second = answer.findtext(f"{{{SERIALS}}}serial")
    assert second and second != first
    case.settle(books="fulfilled/paid; payment 500; serial issued, serial issued", provider="paid: 500",
                vendor={"keygen": "", "plugin-server": "void, issued", "pool": "delivered 1, burned 1"}[source], serial="active",
                told="+active")
    assert case.serial()[1] == second


@pytest.mark.parametrize("source", SOURCES)
def test_case_replacement_refused_too(shop, source):
    """A person must look: no third serial, no refund by itself, and a new order is allowed."""
    alice = shop.enter()
    case = alice.bought(shop.sell(source, keys=3))
    reject(alice, case.plugin)
    assert reject(alice, case.plugin).tag == f"{{{SERIALS}}}registration-needed"
    case.settle(books="review/paid; payment 500; serial issued, serial issued", provider="paid: 500",
                vendor={"keygen": "", "plugin-server": "void, void", "pool": "free 1, burned 2"}[source], serial="revoked",
                told="+active review +revoked")
    shop.wait_alarm("the replacement of a serial was refused too", case.id)
    assert alice.order(case.plugin).state == "awaiting-payment"


# --- what a person decides


@pytest.fixture
def in_review(shop):
    """A fulfilled order whose plugin refused both serials."""
    alice = shop.enter()
    case = alice.bought(shop.sell("plugin-server"))
    reject(alice, case.plugin)
    reject(alice, case.plugin)
    case.settle(books="review/paid; payment 500; serial issued, serial issued", provider="paid: 500", vendor="void, void",
                serial="revoked", told="+active review +revoked")
    return case


def test_case_resolve_as_paid(shop, in_review):
    """Its serial is obtained anew."""
    shop.host.hostctl("order", "resolve", in_review.id, "--as", "paid", "--note", "the vendor has mended its server")
    in_review.settle(books="fulfilled/paid; payment 500; serial issued, serial issued, serial issued", provider="paid: 500",
                     vendor="void, void, issued", serial="active", told="paid fulfilled +active")


def test_case_resolve_as_refund(shop, in_review):
    shop.host.hostctl("order", "resolve", in_review.id, "--as", "refund")
    in_review.settle(books="refunded/refunded; payment 500, refund 500; back 500 confirmed; serial issued, serial issued",
                     provider="paid: 500 (refund 500 done)", vendor="void, void", serial="revoked", told="refunding refunded")


def test_case_resolve_as_closed(shop, in_review):
    """Nothing more is done; the client sees what the order was."""
    shop.host.hostctl("order", "resolve", in_review.id, "--as", "closed", "--note", "settled by letter")
    in_review.settle(books="closed/paid; payment 500; serial issued, serial issued", provider="paid: 500", vendor="void, void",
                     serial="revoked", told="fulfilled")
    assert in_review.customer.state(in_review.id) == "fulfilled"
    assert in_review.books()["reason"] == "settled by letter"


def test_case_resolve_as_fulfilled(tmp_path):
    """The provider would not give an excess back: a person lets it be, and the user keeps what was bought."""
    shop = CasesShop(tmp_path / "shop", stub=("--fault", "overpay:300", "--fault", "refuse-refund"))
    try:
        shop.start()
        case = shop.enter().order(shop.sell("pool"))
        case.pay()
        case.settle(books="review/overpaid; payment 800; back 300 rejected; serial issued",
                    provider="paid: 800 (refund 300 refused)", vendor="free 1, delivered 1", serial="active", told="paid fulfilled +active review")
        serial = case.serial()[1]
        shop.host.hostctl("order", "resolve", case.id, "--as", "fulfilled")
        case.settle(books="fulfilled/overpaid; payment 800; back 300 rejected; serial issued",
                    provider="paid: 800 (refund 300 refused)", vendor="free 1, delivered 1", serial="active", told="fulfilled")
        assert case.serial()[1] == serial
    finally:
        shop.stop()


def test_case_resolve_as_fulfilled_needs_a_serial_that_is_good(shop, in_review):
    """What the vendor was asked to void is of no use to anybody."""
    with pytest.raises(HostctlError, match="no serial was issued that the user could keep"):
        shop.host.hostctl("order", "resolve", in_review.id, "--as", "fulfilled")
    in_review.settle(books="review/paid; payment 500; serial issued, serial issued", provider="paid: 500", vendor="void, void",
                     serial="revoked", told="")


@pytest.mark.parametrize("source", SOURCES)
def test_case_serial_revoked_by_hand(shop, source):
    """All of it, renewals too; the money stays."""
    plugin, alice = shop.sell(source, term="P3D"), shop.enter()
    first, renewal = alice.bought(plugin), alice.bought(plugin)
    serial = renewal.serial()[1]
    shop.host.hostctl("serial", "revoke", alice.name, plugin)
    for case, told in ((first, "+active +revoked"), (renewal, "+revoked")):
        case.settle(books=BOUGHT, provider="paid: 500",
                    vendor={"keygen": "", "plugin-server": "void", "pool": "burned 2"}[source], serial="revoked", told=told)
    if source == "plugin-server":
        assert shop.servers[plugin].session(serial)[0] == 401, "the vendor honours it no more"


@pytest.mark.parametrize("words, why", [
    (["resolve", "--as", "paid"], "not in review"), (["resolve", "--as", "whim"], "--as paid, fulfilled, refund or closed"),
    (["refund", "--amount", "501"], "more than is held"), (["refund", "--amount", "0"], "--amount"),
    (["refund", "--amount", "1.5"], "--amount")])
def test_case_decision_that_cannot_be(shop, words, why):
    case = shop.enter().bought(shop.sell("pool"))
    with pytest.raises(HostctlError, match=why) as refusal:
        shop.host.hostctl("order", words[0], case.id, *words[1:])
    assert refusal.value.status == 1
    case.settle(books=BOUGHT, provider="paid: 500", vendor="free 1, delivered 1", serial="active", told="")


def test_case_host_refunds_a_part(shop):
    case = shop.enter().bought(shop.sell("plugin-server"))
    shop.host.hostctl("order", "refund", case.id, "--amount", "200", "--note", "for the trouble")
    case.settle(books="fulfilled/part-refunded; payment 500, refund 200; back 200 confirmed; serial issued",
                provider="paid: 500 (refund 200 done)", vendor="issued", serial="active", told="")
    shop.host.hostctl("order", "refund", case.id)
    case.settle(books="refunded/refunded; payment 500, refund 200, refund 300; back 200 confirmed, back 300 confirmed; serial issued",
                provider="paid: 500 (refund 200 done, refund 300 done)", vendor="void", serial="revoked",
                told="refunding +revoked refunded")
    with pytest.raises(HostctlError):
        shop.host.hostctl("order", "refund", case.id)


@pytest.mark.parametrize("source", SOURCES)
def test_case_host_refunds_all(shop, source):
    case = shop.enter().bought(shop.sell(source))
    shop.host.hostctl("order", "refund", case.id)
    case.settle(books="refunded/refunded; payment 500, refund 500; back 500 confirmed; serial issued",
                provider="paid: 500 (refund 500 done)",
                vendor={"keygen": "", "plugin-server": "void", "pool": "free 1, burned 1"}[source], serial="revoked",
                told="refunding +revoked refunded")


def test_case_host_refunds_what_waits(shop):
    """What the plugin server makes of it meanwhile is void."""
    plugin = shop.sell("plugin-server")
    case = shop.enter().order(plugin)
    gate = shop.gate("after", plugin)
    case.pay()
    assert gate.reached.wait(10)
    shop.host.hostctl("order", "refund", case.id)
    gate.is_open.set()
    case.settle(books="refunded/refunded; payment 500, refund 500; back 500 confirmed; serial abandoned",
                provider="paid: 500 (refund 500 done)", vendor="void", serial="none", told="paid refunding refunded")


def test_case_host_refunds_while_a_dispute_is_open(shop):
    case = shop.enter().bought(shop.sell("pool"))
    case.dispute("open")
    case.hear("+suspended")
    with pytest.raises(HostctlError, match="a dispute is open"):
        shop.host.hostctl("order", "refund", case.id)
    case.settle(books="fulfilled/disputed; payment 500, dispute 500; serial issued", provider="paid: 500 (dispute open)",
                vendor="free 1, delivered 1", serial="suspended", told="")


@pytest.mark.parametrize("source", SOURCES)
def test_case_free_plugin(shop, source):
    """No billing step, whatever its policy."""
    requests = len(shop.provider.traffic)
    case = shop.enter().order(shop.sell(source, price=0, policy="reserve"))
    assert case.state in ("paid", "fulfilled") and case.answer.find(f"{{{MARKET}}}charge") is None
    case.settle(books="fulfilled/none; serial issued", provider="none",
                vendor={"keygen": "", "plugin-server": "issued", "pool": "free 1, delivered 1"}[source], serial="active",
                told="paid fulfilled +active")
    assert len(shop.provider.traffic) == requests
