"""Thousands of callbacks that lie, beside a few that do not: the first change nothing, the second everything they should."""

import asyncio
import json
import sqlite3
import threading

from lib.billing import SECRET
from lib.hostile import Lies, attack, digest_tables
from lib.market import Shop

MONEY = ["purchase", "purchase_line", "purchase_request", "ledger", "refund", "inbox", "unmatched", "entitlement",
         "entitlement_version", "generation", "issued_serial", "pool_key", "job"]
N_LIES = 6000


def open_book(shop):
    return sqlite3.connect(f"file:{shop.host.data}/market.db?mode=ro", uri=True)


def prepare(shop):
    """(what was taken, what somebody would like): three purchases, and three orders nobody has paid or given back."""
    known, wanted = [], []
    alice, bob = shop.customer(), shop.customer()
    alice.serials()
    for plugin in ("weather", "quotes", "dice"):
        order, _serial = alice.purchase(plugin)
        payment = shop.order(order)["ledger"][0]["payment"]
        unpaid = bob.buy(plugin).get("id")
        wanted += [shop.event(order, "payment.refunded", payment=payment, refund="re_1"),
                   shop.event(order, "payment.disputed", payment=payment, dispute="dp_1"),
                   shop.event(order, "payment.dispute_lost", payment=payment, dispute="dp_1"),
                   shop.event(unpaid), shop.event(unpaid, "checkout.declined")]
    with open_book(shop) as book:
        known = book.execute("SELECT webhook_id, body FROM inbox").fetchall()
    alice.close()
    bob.close()
    return known, [json.dumps(event).encode() for event in wanted]


def test_thousands_of_lies_change_nothing_and_the_truth_gets_through(tmp_path):
    # Nothing of ours may move by itself meanwhile: the orders that wait are not asked after.
    shop = Shop(tmp_path / "shop", market={"poll_s": "600"}, limits={"http_connections_per_address": "256"})
    try:
        shop.start()
        known, wanted = prepare(shop)
        assert len(known) == 3
        with open_book(shop) as book:
            before = digest_tables(book, MONEY)
        outcome = asyncio.run(attack(shop.host.addresses["http"], Lies("stub", SECRET, known, wanted), N_LIES, 40))
        assert outcome["wrong"] == []
        with open_book(shop) as book:
            assert digest_tables(book, MONEY) == before
        assert set(outcome["counts"]["replayed"]) == {200} and set(outcome["counts"]["forged"]) == {401}

        # The same again while somebody buys: every purchase comes to its serial, and nothing besides is recorded.
        liar = threading.Thread(target=lambda: asyncio.run(
            attack(shop.host.addresses["http"], Lies("stub", SECRET, known, wanted, seed=2), N_LIES, 40)))
        liar.start()
        carol = shop.customer()
        carol.serials()
        bought = [carol.purchase(plugin)[1] for plugin in ("weather", "quotes", "dice")]
        liar.join()
        carol.close()
        assert all(state == "active" and serial for state, serial, _epoch in bought)
        with open_book(shop) as book:
            assert book.execute("SELECT outcome, COUNT (*) FROM inbox GROUP BY outcome").fetchall() == [("applied", 6)]
            assert book.execute("SELECT COUNT (*) FROM ledger").fetchone() == (6,)
            assert book.execute("SELECT COUNT (*) FROM unmatched").fetchone() == (0,)
            states = dict(book.execute("SELECT phase, COUNT (*) FROM purchase GROUP BY phase").fetchall())
        assert states == {"fulfilled": 6, "awaiting-payment": 3}
    finally:
        shop.stop()
