"""No statement of a running server reads a whole table that grows with its users. Everything a market does is done once; what
SQLite was asked to prepare is recorded (statements.c) and its plan is asked for on the same tables."""

import re
import sqlite3
import uuid

import pytest

from lib.market import MARKET, SERIALS, Shop
from lib.process import program, wait_until

# Tables that hold what an operator made by hand, or a row for each pool that is on sale.
SMALL = {"plugin", "item", "vendor", "webhook_secret", "market_key", "signing_key", "store_fact", "store_probe", "schema_family",
         "sqlite_master", "sqlite_schema", "account_removal", "reconciliation", "restoration"}

# Indexes of what is not settled yet, and of nothing else: what is counted or listed by them is little.
UNSETTLED = {"purchase_unsettled", "refund_open", "unmatched_open"}

# A statement that begins like this may read what it does, and why.
ALLOWED = {
    "UPDATE job SET owner = '', lease_until_us = 0": "once, at the start: every job that is under way",
    "SELECT kind, COUNT (*), MIN (created_us) FROM job": "the gauges, on the reader's thread: work that is under way",
    "SELECT key, kind, 'attempt ' || attempt, created_us FROM job": "the alarms, on the reader's thread",
    "INSERT INTO receipt (line, seq, reason, ledger_seq": "the largest row id of the ledger",
    "SELECT uuid, local, created_us FROM account": "`user list`, by the operator",
    "SELECT p.id, p.user, l.plugin, p.phase": "`order list`, by the operator: newest first with a limit, on the reader's thread",
}

# The first entries of an index, and no more.
FIRST = re.compile(r"SELECT \S.* FROM \w+ ORDER BY \S.* LIMIT [1?]")

# What must have been seen, or the test proves nothing.
PATH = ["FROM purchase_request WHERE account", "COUNT (*) FROM purchase_line WHERE account", "INSERT INTO purchase ",
        "INSERT INTO ledger", "FROM inbox WHERE provider", "INSERT INTO inbox", "UPDATE purchase SET version", "INSERT INTO job",
        "FROM job WHERE", "DELETE FROM job WHERE id", "INSERT INTO generation", "INSERT INTO issued_serial", "FROM pool_key WHERE",
        "INSERT INTO entitlement ", "FROM purchase WHERE poll_us > 0", "MIN (poll_us)", "FROM job ORDER BY", "changed_us <= ?", "DELETE FROM inbox",
        "DELETE FROM unmatched", "FROM unmatched WHERE retry_us", "INSERT INTO refund", "state IN ('due', 'sent')",
        "INSERT INTO purchase_request", "INSERT INTO entitlement_version", "UPDATE entitlement_line SET state = 'ended'",
        "FROM item WHERE application", "FROM item_line WHERE line", "INSERT INTO item_line", "FROM function_value WHERE account",
        "INSERT INTO function_space", "UPDATE item_line SET state = 'forgotten'", "SELECT e.line, l.term, e.granted_us", "FROM purchase WHERE account = ?", "is_open = 1"]


class RecordingShop(Shop):
    """Its server is started with every statement recorded."""

    def record(self):
        self.host.groups["http"]["listen"] = self.host.addresses["http"]
        self.host.write_config()
        self.host.stop()
        self.host.start(env={"LD_PRELOAD": str(program("statements.so")), "STOA_STATEMENTS": str(self.host.folder / "statements"),
                             "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0"})
        return self

    def statements(self, file):
        """Texts that were prepared for a file of the data folder."""
        parts = (self.host.folder / "statements").read_bytes().decode().split("\0")[:-1]
        return {" ".join(sql.split()) for path, sql in zip(parts[::2], parts[1::2]) if path.endswith("/" + file)}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    shop = RecordingShop(tmp_path_factory.mktemp("shop"), market={"order_expiry_s": "3"})
    try:
        shop.start()
        shop.record()
        live_through_everything(shop)
        yield shop
    finally:
        shop.stop()


def live_through_everything(shop):
    shop.plugin("never", source="plugin-server", base=shop.vendor.base)
    shop.plugin("brief", source="pool", term="P1D")
    shop.plugin("gift", source="keygen", module="libweather-keygen.so", price=0)
    shop.fill("brief", ["BRIEF-1", "BRIEF-2"])
    with_serials = shop.customer()
    with_serials.serials()
    for plugin in ("weather", "quotes", "dice", "brief"):
        order, _serial = with_serials.purchase(plugin)
        shop.callback(shop.event(order), webhook_id="msg_again")
        shop.callback(shop.event(order), webhook_id="msg_again")
    with_serials.buy("gift")
    live_through_items(shop)
    for plugin in ("weather", "quotes", "dice"):
        with_serials.ask("set", f"<rejected xmlns='{SERIALS}' plugin='{plugin}' reason='bad'/>")
    renewed, _serial = with_serials.buy("brief"), shop.log()
    with_serials.press(renewed)
    shop.wait_order(renewed.get("id"), "fulfilled")
    for payload in ("<orders xmlns='{}'/>", "<orders xmlns='{}'><set xmlns='http://jabber.org/protocol/rsm'><max>1</max><before/>"
                    "</set></orders>", "<orders xmlns='{}'><set xmlns='http://jabber.org/protocol/rsm'><max>1</max><after>"
                    + renewed.get("id") + "</after></set></orders>", "<catalog xmlns='{}'/>",
                    f"<order xmlns='{{}}' id='{renewed.get('id')}'/>"):
        assert with_serials.ask("get", payload.format(MARKET)).get("type") == "result"

    undecided = shop.customer()
    request = str(uuid.uuid4())
    undecided.buy("dice", request), undecided.buy("dice", request), undecided.buy("dice")
    order = undecided.buy("quotes").get("id")
    undecided.decline(order)
    unlucky = shop.customer()
    unlucky.serials()
    shop.vendor.answers[:] = [lambda *_: (422, {"error": "no"})]
    refunded = unlucky.buy("never")
    unlucky.press(refunded)
    shop.wait_order(refunded.get("id"), "refunded")
    shop.vendor.answers[:] = [lambda *_: (503, {})]
    unlucky.purchase("quotes")
    left = unlucky.buy("dice").get("id")

    expire_now(shop)
    paid = shop.order(renewed.get("id"))
    unknown = {**shop.event(renewed.get("id"))["data"], "order": "o_nobody"}
    shop.callback({"type": "checkout.paid", "timestamp": "2026-01-01T00:00:00Z", "data": unknown})
    shop.callback(None, body=b"poison")
    shop.callback(shop.event(renewed.get("id"), "payment.refunded", payment=paid["ledger"][0]["payment"], refund="re_by_hand"))
    with_serials.serials()
    shop.host.hostctl("order", "list"), shop.host.hostctl("order", "show", order), shop.host.hostctl("pool", "status")
    shop.host.hostctl("serial", "list", with_serials.name), shop.host.hostctl("serial", "revoke", with_serials.name, "gift")
    shop.host.hostctl("plugin", "list"), shop.host.hostctl("user", "list"), shop.host.hostctl("plugin", "retire", "never")
    shop.wait_order(left, "expired")
    shop.host.hostctl("user", "remove", f"{undecided.name}@{shop.host.domain}")
    for customer in (with_serials, undecided, unlucky):
        customer.close()
    wait_until(lambda: any("MIN (poll_us)" in sql for sql in shop.statements("market.db")), what="a sweep")


def live_through_items(shop):
    """An item that is bought, disputed, and given back."""
    shop.plugin("game", source="keygen", module="libweather-keygen.so", price=0, items={"coins": {"name": "Coins", "price": 200}})
    player = shop.customer()
    player.serials()
    shop.wait_order(player.buy("game").get("id"), "fulfilled")
    order = player.buy("game/coins")
    player.press(order)
    paid = shop.wait_order(order.get("id"), "fulfilled")["ledger"][0]["payment"]
    for kind in ("payment.disputed", "payment.dispute_won"):
        assert shop.callback(shop.event(order.get("id"), kind, payment=paid, dispute="d_1")) == 200
    assert shop.callback(shop.event(order.get("id"), "payment.refunded", payment=paid, refund="r_1")) == 200
    shop.wait_order(order.get("id"), "refunded")
    assert player.ask("get", f"<items xmlns='{MARKET}' application='game'/>").get("type") == "result"
    shop.host.hostctl("item", "list"), shop.host.hostctl("order", "show", order.get("id"))
    player.close()
    shop.host.hostctl("user", "remove", f"{player.name}@{shop.host.domain}")


def expire_now(shop):
    """A term that is over, without waiting for a day."""
    with sqlite3.connect(shop.host.data / "market.db", timeout=10) as book:
        book.execute("UPDATE entitlement_line SET granted_us = 1 WHERE plugin = 'brief'")
        book.execute("UPDATE entitlement SET expires_us = 1 WHERE plugin = 'brief'")
    wait_until(lambda: "active -> expired" in shop.log(), what="the expiry")


def find_scans(path, statements):
    """'statement: plan' of those that read a whole table or an index from end to end."""
    book = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    found = []
    for sql in sorted(statements):
        if not re.match("SELECT|INSERT|UPDATE|DELETE|WITH", sql) or any(sql.startswith(one) for one in ALLOWED):
            continue
        count = len(re.findall(r"\?", sql))
        for row in book.execute("EXPLAIN QUERY PLAN " + sql, [None] * count):
            # A MIN or MAX without an index is called a search, too.
            table = re.match(r"SCAN (\w+)|SEARCH (\w+)$", row[3])
            name = table and (table.group(1) or table.group(2))
            is_first = "USING" in row[3] and FIRST.fullmatch(sql)
            if row[3].split()[-1] in UNSETTLED:
                continue
            if table and not is_first and aliases(sql).get(name, name) not in SMALL:
                found.append(f"{sql}\n    {row[3]}")
    book.close()
    return found


def aliases(sql):
    """{alias: table}; one CONSTANT row and a subquery, whose own tables are in the plan too, count as small."""
    found = {alias: table for table, alias in re.findall(r"(?:FROM|JOIN|,) (\w+) (?:AS )?([a-z])\b", sql)}
    return {"CONSTANT": "plugin", **{alias: "plugin" for alias in re.findall(r"\) AS (\w+)", sql)}, **found}


@pytest.mark.parametrize("file", ["market.db", "chat.db"])
def test_no_statement_reads_a_whole_table(shop, file):
    found = find_scans(shop.host.data / file, shop.statements(file))
    assert not found, "\n".join(found)


def test_the_whole_path_of_a_purchase_was_seen(shop):
    statements = shop.statements("market.db")
    assert len(statements) > 60
    missing = [part for part in PATH if not any(part in sql for sql in statements)]
    assert not missing, "\n".join([*missing, "", *sorted(statements)])


def test_a_scan_would_be_found(shop):
    assert find_scans(shop.host.data / "market.db", ["SELECT id FROM purchase WHERE reason = ?"])
