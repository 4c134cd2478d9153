"""Cases of docs/money.md: money that is late, short, too much, given back or disputed, and what a person decides."""

import time

import pytest

from lib.cases import CasesShop
from lib.host import HostctlError
from lib.market import MARKET, SERIALS
from lib.process import wait_until
from lib.xmpp import error_condition

SOURCES = ["keygen", "plugin-server", "pool"]
HAS = {"keygen": "", "plugin-server": "issued", "pool": "free 1, delivered 1"}  # the vendor's view of a serial,
ENDED = {"keygen": "", "plugin-server": "void", "pool": "free 1, burned 1"}  # and of one that must not be used any more
BACK = "refunded/refunded; payment 500, refund 500; back 500 confirmed"
PROVIDER_BACK = "paid: 500 (refund 500 done)"
NOTHING = {"keygen": "", "plugin-server": "", "pool": "free 2"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    shop = CasesShop(tmp_path_factory.mktemp("shop"), stub=("--fault", "late"))
    try:
        yield shop.start()
    finally:
        shop.stop()


@pytest.fixture
def open_shop(tmp_path):
    shops = []

    def open_one(*faults, **market):
        arguments = [word for fault in faults for word in ("--fault", fault)]
        shops.append(CasesShop(tmp_path / f"shop{len(shops)}", market=market, stub=arguments))
        return shops[-1].start()
    yield open_one
    for one in shops:
        one.stop()


# --- late money


def order_with_page(order):
    """What `order` makes, with its page opened while it could still be paid: another one, where this machine was slower
    than an order's time."""
    for _ in range(10):
        case = order()
        case.open_page()
        if case.is_page_open:
            return case
    raise AssertionError("no page could be opened in an order's time")


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("policy", ["on-payment", "reserve"])
def test_case_user_declines(shop, source, policy):
    """What was set aside for it is let go, and the checkout cancelled."""
    case = shop.enter().order(shop.sell(source, policy=policy))
    held = {"keygen": "", "plugin-server": "issued", "pool": "free 1, reserved 1"}[source]
    is_held = policy == "reserve"
    case.settle(books="awaiting-payment/pending" + "; serial held" * is_held, provider="open",
                vendor=held if is_held else NOTHING[source], serial="none", told="")
    assert case.decline().get("state") == "declined"
    let_go = {"keygen": "", "plugin-server": "void", "pool": "free 2"}[source]
    case.settle(books="declined/failed" + "; serial abandoned" * is_held, provider="declined",
                vendor=let_go if is_held else NOTHING[source], serial="none", told="declined")
    assert case.decline().get("state") == "declined", "again is the same"


def test_case_user_declines_at_the_provider(shop):
    case = shop.enter().order(shop.sell("pool", policy="reserve"))
    case.decline_there()
    case.settle(books="declined/failed; serial abandoned", provider="declined", vendor="free 2", serial="none", told="declined")


def test_case_user_declines_after_paying(shop):
    alice = shop.enter()
    case = alice.bought(shop.sell("plugin-server"))
    refusal = case.decline()
    assert error_condition(refusal) == ("wait", "unexpected-request") or error_condition(refusal)[1] == "unexpected-request"
    assert refusal.find(f".//{{{MARKET}}}order").get("state") == "fulfilled"
    case.settle(books="fulfilled/paid; payment 500; serial issued", provider="paid: 500", vendor="issued", serial="active", told="")


@pytest.mark.parametrize("policy, back, vendor", [("on-payment", "", "free 2"), ("reserve", "; serial abandoned", "free 2")])
@pytest.mark.parametrize("where", ["by the user", "at the provider"])
def test_case_money_after_a_decline(shop, policy, back, vendor, where):
    case = shop.enter().order(shop.sell("pool", policy=policy))
    case.open_page()
    if where == "by the user":
        assert case.decline().get("state") == "declined"
    else:
        case.decline_there()
    case.settle(books="declined/failed" + back, provider="declined", vendor=vendor, serial="none", told="declined")
    case.pay_opened_page()
    case.settle(books="refunded/refunded; payment 500, refund 500; back 500 confirmed" + back,
                provider="paid: 500 (refund 500 done)", vendor=vendor, serial="none", told="refunding refunded")


LATE = [("honour", "fulfilled/paid; payment 500; serial issued", "paid: 500", "free 1, delivered 1", "active", "paid fulfilled +active"),
        ("refund", "refunded/refunded; payment 500, refund 500; back 500 confirmed", "paid: 500 (refund 500 done)", "free 2", "none",
         "refunding refunded"),
        ("review", "review/paid; payment 500", "paid: 500", "free 2", "none", "review")]


@pytest.mark.parametrize("policy, books, provider, vendor, serial, told", LATE, ids=[row[0] for row in LATE])
def test_case_money_after_expiry(open_shop, policy, books, provider, vendor, serial, told):
    shop = open_shop("late", order_expiry_s="1.2", late_payment=policy)
    case = order_with_page(lambda: shop.enter().order(shop.sell("pool")))
    case.settle(books="expired/expired", provider="expired", vendor="free 2", serial="none", told="expired")
    case.pay_opened_page()
    case.settle(books=books, provider=provider, vendor=vendor, serial=serial, told=told)


def test_case_money_after_expiry_when_bought_again(open_shop):
    """Late money is honoured only if nothing of the plugin is owned or open by then."""
    shop = open_shop("late", order_expiry_s="3")
    first = order_with_page(lambda: shop.enter().order(shop.sell("pool")))
    first.settle(books="expired/expired", provider="expired", vendor="free 2", serial="none", told="expired")
    second = first.customer.order(first.plugin)
    first.pay_opened_page()
    first.settle(books="refunded/refunded; payment 500, refund 500; back 500 confirmed",
                 provider="paid: 500 (refund 500 done)", vendor="free 2", serial="none", told="refunding refunded")
    second.pay()
    second.settle(books="fulfilled/paid; payment 500; serial issued", provider="paid: 500", vendor="free 1, delivered 1",
                  serial="active", told="paid fulfilled +active")


def test_case_money_after_expiry_when_retired(open_shop):
    """What is not sold any more is not had by paying late."""
    shop = open_shop("late", order_expiry_s="1.2")
    case = order_with_page(lambda: shop.enter().order(shop.sell("pool")))
    case.hear("expired")
    shop.host.hostctl("plugin", "retire", case.plugin)
    case.pay_opened_page()
    case.settle(books=BACK, provider=PROVIDER_BACK, vendor="free 2", serial="none", told="refunding refunded")


RESOLVED = [
    ("paid", "fulfilled/paid; payment 500; serial issued", "paid: 500", "free 1, delivered 1", "active", "paid fulfilled +active"),
    ("refund", BACK, PROVIDER_BACK, "free 2", "none", "refunding refunded"),
    ("closed", "closed/paid; payment 500", "paid: 500", "free 2", "none", "expired")]


@pytest.mark.parametrize("decision, books, provider, vendor, serial, told", RESOLVED, ids=[row[0] for row in RESOLVED])
def test_case_resolve_late_money(open_shop, decision, books, provider, vendor, serial, told):
    """Under late_payment=review a person decides; what was closed comes back when its money moves again."""
    shop = open_shop("late", order_expiry_s="1.2", late_payment="review")
    case = order_with_page(lambda: shop.enter().order(shop.sell("pool")))
    case.settle(books="expired/expired", provider="expired", vendor="free 2", serial="none", told="expired")
    case.pay_opened_page()
    case.hear("review")
    with pytest.raises(HostctlError, match="no serial"):
        shop.host.hostctl("order", "resolve", case.id, "--as", "fulfilled")
    shop.host.hostctl("order", "resolve", case.id, "--as", decision)
    case.settle(books=books, provider=provider, vendor=vendor, serial=serial, told=told)
    if decision == "closed":
        case.refund_there(500)
        case.settle(books="review/refunded; payment 500, refund 500", provider=PROVIDER_BACK, vendor=vendor, serial=serial,
                    told="review")


def test_case_reserved_order_expires(open_shop):
    """What was set aside is let go; late money gets another serial."""
    shop = open_shop("late", reserve_hold_s="1.2")
    cases = {source: order_with_page(lambda: shop.enter().order(shop.sell(source, policy="reserve"))) for source in SOURCES}
    for source, case in cases.items():
        case.settle(books="expired/expired; serial abandoned", provider="expired",
                    vendor={"keygen": "", "plugin-server": "void", "pool": "free 2"}[source], serial="none", told="expired")
        case.pay_opened_page()
        case.settle(books="fulfilled/paid; payment 500; serial abandoned, serial issued", provider="paid: 500",
                    vendor={"keygen": "", "plugin-server": "void, issued", "pool": "free 1, delivered 1"}[source],
                    serial="active", told="paid fulfilled +active")


def test_case_reserved_order_expires_and_the_key_is_gone(open_shop):
    shop = open_shop("late", reserve_hold_s="1.2")
    late = order_with_page(lambda: shop.enter().order(shop.sell("pool", policy="reserve", keys=1)))
    late.settle(books="expired/expired; serial abandoned", provider="expired", vendor="free 1", serial="none", told="expired")
    shop.enter().bought(late.plugin)
    late.pay_opened_page()
    late.settle(books="refunded/refunded; payment 500, refund 500; back 500 confirmed; serial abandoned, serial failed-final",
                provider="paid: 500 (refund 500 done)", vendor="delivered 1", serial="none", told="paid refunding refunded")


def test_case_expiry_waits_for_the_provider(open_shop):
    """Unreachable is not unpaid."""
    shop = open_shop(order_expiry_s="1", poll_s="0.1")
    case = shop.enter().order(shop.sell("pool"))
    asked = shop.log().count("checkout could not be asked after")
    shop.stub.stop()
    wait_until(lambda: shop.log().count("checkout could not be asked after") >= asked + 4, what="asking in vain")
    end = time.time() + 1.2
    wait_until(lambda: time.time() > end and shop.log().count("checkout could not be asked after") > asked + 8)
    assert case.books()["state"] == "awaiting-payment" and case.serial()[0] == "none"
    case.hear()


# --- too little, too much


def test_case_underpaid_then_the_rest(open_shop):
    shop = open_shop("underpay:120")
    case = shop.enter().order(shop.sell("plugin-server"))
    case.pay()
    case.settle(books="awaiting-payment/underpaid; payment 380", provider="open: 380", vendor="", serial="none", told="")
    case.pay()
    case.settle(books="fulfilled/paid; payment 380, payment 120; serial issued", provider="paid: 380 + 120", vendor="issued",
                serial="active", told="paid fulfilled +active")


def test_case_underpaid_at_expiry(open_shop):
    shop = open_shop("underpay:120", order_expiry_s="1.5")
    case = shop.enter().order(shop.sell("plugin-server"))
    case.pay()
    case.settle(books="refunded/refunded; payment 380, refund 380; back 380 confirmed", provider="expired: 380 (refund 380 done)",
                vendor="", serial="none", told="refunding refunded")


@pytest.mark.parametrize("policy", ["on-payment", "reserve"])
def test_case_overpaid(open_shop, policy):
    shop = open_shop("overpay:300")
    case = shop.enter().order(shop.sell("plugin-server", policy=policy))
    case.pay()
    case.settle(books="fulfilled/paid; payment 800, refund 300; back 300 confirmed; serial issued",
                provider="paid: 800 (refund 300 done)", vendor="issued", serial="active",
                told="paid fulfilled +active" if policy == "on-payment" else "fulfilled +active")


def test_case_dispute_about_an_excess(open_shop):
    """What is left of the money is the price: nothing is suspended; but nothing is refunded meanwhile either."""
    shop = open_shop("overpay:300", "drop")
    case = shop.enter().order(shop.sell("plugin-server"))
    gate = shop.gate("instead")
    case.pay()
    case.tell()
    assert gate.reached.wait(10)
    case.settle(books="fulfilled/overpaid; payment 800; back 300 due; serial issued", provider="paid: 800", vendor="issued",
                serial="active", told="paid fulfilled +active")
    case.dispute("open")
    case.tell("payment.disputed", amount=300)
    gate.is_open.set()
    case.settle(books="fulfilled/disputed; payment 800, dispute 300; back 300 sent; serial issued",
                provider="paid: 800 (dispute open)", vendor="issued", serial="active", told="")
    case.dispute("lost")
    case.tell("payment.dispute_lost", amount=300)
    case.settle(books="fulfilled/paid; payment 800, dispute 300, dispute-lost 300; back 300 dropped; serial issued",
                provider="paid: 800 (dispute lost)", vendor="issued", serial="active", told="")


# --- money that goes back


@pytest.mark.parametrize("source", SOURCES)
def test_case_full_refund(shop, source):
    alice = shop.enter()
    case = alice.bought(shop.sell(source))
    epoch = alice.serials()[case.plugin][2]
    serial = case.serial()[1]
    case.refund_there(500)
    case.settle(books="refunded/refunded; payment 500, refund 500; serial issued", provider="paid: 500 (refund 500 done)",
                vendor=ENDED[source], serial="revoked", told="refunded +revoked")
    assert alice.serials()[case.plugin] == ("revoked", None, epoch + 1)
    if source == "plugin-server":
        assert shop.servers[case.plugin].session(serial)[0] == 401, "the vendor honours it no more"
    # Bought again it is another serial: what was refunded is never sold to anybody.
    again = alice.bought(case.plugin)
    other = shop.enter().order(case.plugin) if source != "pool" else None
    assert again.serial()[0] == "active" and again.serial()[1] != serial
    if source == "pool":
        assert shop.pool(case.plugin) == "delivered 1, burned 1"
        assert error_condition(shop.enter().buy(case.plugin))[1] == "resource-constraint"
    else:
        assert other.state == "awaiting-payment"


def test_case_part_refund(shop):
    case = shop.enter().bought(shop.sell("plugin-server"))
    case.refund_there(200)
    case.settle(books="fulfilled/part-refunded; payment 500, refund 200; serial issued", provider="paid: 500 (refund 200 done)",
                vendor="issued", serial="active", told="")


def test_case_part_refund_then_the_rest(shop):
    case = shop.enter().bought(shop.sell("pool"))
    case.refund_there(200)
    case.refund_there(300)
    case.settle(books="refunded/refunded; payment 500, refund 200, refund 300; serial issued",
                provider="paid: 500 (refund 200 done, refund 300 done)", vendor="free 1, burned 1", serial="revoked",
                told="refunded +revoked")


def test_case_refund_while_issuing(shop):
    """It is finished to a known state, not delivered, and the vendor asked to void it."""
    plugin = shop.sell("plugin-server")
    gate = shop.gate("after", plugin)
    case = shop.enter().order(plugin)
    case.pay()
    assert gate.reached.wait(10)
    case.refund_there(500)
    case.settle(books="refunded/refunded; payment 500, refund 500; serial abandoned", provider="paid: 500 (refund 500 done)",
                vendor="void", serial="none", told="paid refunded")
    gate.is_open.set()
    case.settle(books="refunded/refunded; payment 500, refund 500; serial abandoned", provider="paid: 500 (refund 500 done)",
                vendor="void", serial="none", told="")


def test_case_part_refund_while_issuing(shop):
    plugin = shop.sell("plugin-server")
    gate = shop.gate("after", plugin)
    case = shop.enter().order(plugin)
    case.pay()
    assert gate.reached.wait(10)
    case.refund_there(100)
    wait_until(lambda: case.books()["payment"] == "part-refunded")
    gate.is_open.set()
    case.settle(books="fulfilled/part-refunded; payment 500, refund 100; serial issued", provider="paid: 500 (refund 100 done)",
                vendor="issued", serial="active", told="paid fulfilled +active")


def test_case_refund_of_a_refused_refund(open_shop):
    """The provider will not give it back: a person must."""
    shop = open_shop("late", "refuse-refund")
    case = shop.enter().order(shop.sell("pool"))
    case.open_page()
    case.decline()
    case.pay_opened_page()
    case.settle(books="review/paid; payment 500; back 500 rejected", provider="paid: 500 (refund 500 refused)", vendor="free 2",
                serial="none", told="declined refunding review")
    shop.wait_alarm("refund refused", case.id)


# --- disputes


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("end", ["won", "lost"])
def test_case_dispute_of_a_fulfilled_order(shop, source, end):
    alice = shop.enter()
    case = alice.bought(shop.sell(source))
    serial = case.serial()[1]
    case.dispute("open")
    case.settle(books="fulfilled/disputed; payment 500, dispute 500; serial issued", provider="paid: 500 (dispute open)",
                vendor=HAS[source], serial="suspended", told="+suspended")
    assert error_condition(alice.buy(case.plugin)) == ("cancel", "conflict"), "it is still theirs"
    case.dispute(end)
    if end == "won":
        case.settle(books="fulfilled/paid; payment 500, dispute 500, dispute-won 500; serial issued",
                    provider="paid: 500 (dispute won)", vendor=HAS[source], serial="active", told="+active")
        assert case.serial()[1] == serial
    else:
        case.settle(books="charged-back/charged-back; payment 500, dispute 500, dispute-lost 500; serial issued",
                    provider="paid: 500 (dispute lost)", vendor=ENDED[source], serial="revoked", told="refunded +revoked")


@pytest.mark.parametrize("end", ["won", "lost"])
def test_case_dispute_while_issuing(shop, end):
    """Finished and withheld; then delivered, or voided."""
    plugin = shop.sell("plugin-server")
    gate = shop.gate("after", plugin)
    case = shop.enter().order(plugin)
    case.pay()
    assert gate.reached.wait(10)
    case.dispute("open")
    wait_until(lambda: case.books()["payment"] == "disputed")
    gate.is_open.set()
    case.settle(books="fulfilled/disputed; payment 500, dispute 500; serial issued", provider="paid: 500 (dispute open)",
                vendor="issued", serial="suspended", told="paid fulfilled +suspended")
    assert case.serial()[1] is None
    case.dispute(end)
    if end == "won":
        case.settle(books="fulfilled/paid; payment 500, dispute 500, dispute-won 500; serial issued",
                    provider="paid: 500 (dispute won)", vendor="issued", serial="active", told="+active")
    else:
        case.settle(books="charged-back/charged-back; payment 500, dispute 500, dispute-lost 500; serial issued",
                    provider="paid: 500 (dispute lost)", vendor="void", serial="revoked", told="refunded +revoked")


def test_case_dispute_lost_while_issuing(shop):
    """Opened and lost before the plugin server has answered: its answer is not delivered, and voided."""
    plugin = shop.sell("plugin-server")
    gate = shop.gate("after", plugin)
    case = shop.enter().order(plugin)
    case.pay()
    assert gate.reached.wait(10)
    case.dispute("open")
    case.dispute("lost")
    wait_until(lambda: case.books()["state"] == "charged-back")
    gate.is_open.set()
    case.settle(books="charged-back/charged-back; payment 500, dispute 500, dispute-lost 500; serial abandoned",
                provider="paid: 500 (dispute lost)", vendor="void", serial="none", told="paid refunded")


@pytest.mark.parametrize("end, books, provider, told", [
    ("won", "refunded/refunded; payment 500, dispute 500, dispute-won 500, refund 500; back 500 confirmed",
     "paid: 500 (refund 500 done, dispute won)", "refunded"),
    ("lost", "charged-back/charged-back; payment 500, dispute 500, dispute-lost 500; back 500 dropped", "paid: 500 (dispute lost)",
     "refunded")])
def test_case_dispute_while_a_refund_is_due(open_shop, end, books, provider, told):
    """The refund waits while the bank decides, so that the money does not go back twice."""
    shop = open_shop("late", poll_s="0.2")
    case = shop.enter().order(shop.sell("pool"))
    case.open_page()
    case.decline()
    case.settle(books="declined/failed", provider="declined", vendor="free 2", serial="none", told="declined")
    gate = shop.gate("instead")
    case.pay_opened_page()
    assert gate.reached.wait(10)
    case.dispute("open")
    wait_until(lambda: case.books()["payment"] == "disputed")
    gate.is_open.set()
    case.settle(books="refund-due/disputed; payment 500, dispute 500; back 500 sent", provider="paid: 500 (dispute open)",
                vendor="free 2", serial="none", told="refunding")
    case.dispute(end)
    case.settle(books=books, provider=provider, vendor="free 2", serial="none", told=told)


def test_case_dispute_lost_after_a_part_refund(shop):
    """It takes what was left."""
    case = shop.enter().bought(shop.sell("plugin-server"))
    case.refund_there(200)
    wait_until(lambda: case.books()["payment"] == "part-refunded")
    case.dispute("open")
    case.hear("+suspended")
    case.dispute("lost")
    case.settle(books="charged-back/charged-back; payment 500, refund 200, dispute 500, dispute-lost 500; serial issued",
                provider="paid: 500 (refund 200 done, dispute lost)", vendor="void", serial="revoked", told="refunded +revoked")


def test_case_refund_by_the_provider_while_disputed(shop):
    """The provider may: then nothing is left to decide about."""
    case = shop.enter().bought(shop.sell("plugin-server"))
    case.dispute("open")
    case.hear("+suspended")
    case.refund_there(500)
    case.settle(books="refunded/disputed; payment 500, dispute 500, refund 500; serial issued",
                provider="paid: 500 (refund 500 done, dispute open)", vendor="void", serial="revoked", told="refunded +revoked")
    case.dispute("won")
    case.settle(books="refunded/refunded; payment 500, dispute 500, refund 500, dispute-won 500; serial issued",
                provider="paid: 500 (refund 500 done, dispute won)", vendor="void", serial="revoked", told="")


def test_case_dispute_of_a_refunded_order(shop):
    """If the bank takes it as well, the money went back twice: a person must ask the provider."""
    case = shop.enter().bought(shop.sell("pool"))
    case.refund_there(500)
    case.hear("refunded", "+revoked")
    case.dispute("open")
    wait_until(lambda: case.books()["payment"] == "disputed")
    case.settle(books="refunded/disputed; payment 500, refund 500, dispute 500; serial issued",
                provider="paid: 500 (refund 500 done, dispute open)", vendor="free 1, burned 1", serial="revoked", told="")
    case.dispute("lost")
    case.settle(books="review/refunded; payment 500, refund 500, dispute 500, dispute-lost 500; serial issued",
                provider="paid: 500 (refund 500 done, dispute lost)", vendor="free 1, burned 1", serial="revoked", told="review")
    shop.host.hostctl("order", "resolve", case.id, "--as", "closed", "--note", "the bank took nothing")
    case.settle(books="closed/refunded; payment 500, refund 500, dispute 500, dispute-lost 500; serial issued",
                provider="paid: 500 (refund 500 done, dispute lost)", vendor="free 1, burned 1", serial="revoked", told="refunded")


def test_case_dispute_in_review(shop):
    """A refund that a person decides on waits for the bank too."""
    alice = shop.enter()
    case = alice.bought(shop.sell("pool", keys=3))
    for _ in range(2):
        alice.ask("set", f"<rejected xmlns='{SERIALS}' plugin='{case.plugin}' reason='bad'/>")
    case.hear("+active", "review", "+revoked")
    case.dispute("open")
    case.settle(books="review/disputed; payment 500, dispute 500; serial issued, serial issued",
                provider="paid: 500 (dispute open)", vendor="free 1, burned 2", serial="revoked", told="")
    shop.host.hostctl("order", "resolve", case.id, "--as", "refund")
    case.settle(books="refund-due/disputed; payment 500, dispute 500; serial issued, serial issued",
                provider="paid: 500 (dispute open)", vendor="free 1, burned 2", serial="revoked", told="refunding")
    case.dispute("lost")
    case.settle(books="charged-back/charged-back; payment 500, dispute 500, dispute-lost 500; serial issued, serial issued",
                provider="paid: 500 (dispute lost)", vendor="free 1, burned 2", serial="revoked", told="refunded")
