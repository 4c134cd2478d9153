"""The audit: what must be true of market.db at any moment, read while the server is dead, and what must be true of all
parties' books together once everything has come to rest."""

import json
import sqlite3

ENDS = {"fulfilled", "declined", "expired", "refunded", "review", "charged-back", "refused", "closed"}
UNDER_WAY = {"paid": "issue", "issuing": "issue", "created": "checkout", "reserving": "reserve"}

# Each gives a row for every violation: its text is the first column.
ALWAYS = {
    "no paid line waits for nothing": """
        SELECT p.id || ' is ' || p.phase || ' and no job works on it' FROM purchase p JOIN purchase_line l ON l.purchase = p.id
        WHERE p.phase IN ('paid', 'issuing') AND NOT EXISTS
          (SELECT 1 FROM job WHERE kind = 'issue' AND (subject = l.id || '.0' OR subject = l.id || '.1'))""",
    "money on an order is taken notice of": """
        SELECT p.id || ' has ' || SUM (CASE g.kind WHEN 'payment' THEN g.amount_minor WHEN 'refund' THEN -g.amount_minor ELSE 0 END)
          || ' and is ' || p.phase
        FROM purchase p JOIN ledger g ON g.purchase = p.id
        WHERE p.phase IN ('created', 'awaiting-payment', 'declined', 'expired', 'refused')
        GROUP BY p.id HAVING SUM (CASE g.kind WHEN 'payment' THEN g.amount_minor WHEN 'refund' THEN -g.amount_minor ELSE 0 END)
          >= p.price_minor""",
    "what is refunded is owed and sent": """
        SELECT p.id || ' is ' || p.phase || ' without a refund' FROM purchase p
        WHERE p.phase IN ('refund-due', 'refunding')
          AND NOT EXISTS (SELECT 1 FROM refund r JOIN job j ON j.kind = 'refund' AND j.subject = r.id WHERE r.purchase = p.id)""",
    "an open order waits for something": """
        SELECT p.id || ' is ' || p.phase || ' and nothing will happen' FROM purchase p
        WHERE (p.phase = 'awaiting-payment' AND p.poll_us = 0)
          OR (p.phase = 'created' AND NOT EXISTS (SELECT 1 FROM job WHERE kind = 'checkout' AND subject = p.id))""",
    "no serial without payment": """
        SELECT e.account || ' has ' || e.plugin || ' by ' || p.id || ', which is ' || p.phase
        FROM entitlement e JOIN purchase_line l ON l.id = e.line JOIN purchase p ON p.id = l.purchase
        WHERE e.state = 'active' AND (p.phase NOT IN ('fulfilled', 'review') OR p.price_minor >
          (SELECT COALESCE (SUM (CASE kind WHEN 'payment' THEN amount_minor WHEN 'refund' THEN -amount_minor ELSE 0 END), 0)
           FROM ledger WHERE purchase = p.id))""",
    "what is fulfilled has its serial": """
        SELECT p.id || ' is fulfilled without a serial' FROM purchase p JOIN purchase_line l ON l.purchase = p.id
        WHERE p.phase = 'fulfilled' AND (NOT EXISTS
            (SELECT 1 FROM generation WHERE line = l.id AND generation = 0 AND state = 'issued')
          OR NOT EXISTS (SELECT 1 FROM entitlement WHERE account = l.account AND plugin = l.plugin))""",
    "one serial for a line's generation": """
        SELECT line || '.' || generation || ' has ' || COUNT (*) || ' serials' FROM issued_serial
        GROUP BY line, generation HAVING COUNT (*) > 1""",
    "one key for a line's generation": """
        SELECT line || '.' || generation || ' has ' || COUNT (*) || ' keys' FROM pool_key WHERE state = 'delivered'
        GROUP BY line, generation HAVING COUNT (*) > 1""",
    "refunds never exceed payments": """
        SELECT p.id || ' paid ' || p.amount_minor || ', refunded ' || SUM (r.amount_minor) FROM ledger p
        JOIN ledger r ON r.payment = p.id AND r.purchase = p.purchase AND r.kind = 'refund'
        WHERE p.kind = 'payment' GROUP BY p.id HAVING SUM (r.amount_minor) > p.amount_minor""",
    "what is planned to be refunded is not more than there is": """
        SELECT r.purchase || ' has ' || SUM (r.amount_minor) || ' to be refunded' FROM refund r
        WHERE r.state IN ('due', 'sent') GROUP BY r.purchase HAVING SUM (r.amount_minor) >
          (SELECT SUM (CASE kind WHEN 'payment' THEN amount_minor ELSE 0 END) FROM ledger WHERE purchase = r.purchase)""",
    "one open order for a user and plugin": """
        SELECT account || ' ' || plugin FROM purchase_line WHERE is_open = 1 GROUP BY account, plugin HAVING COUNT (*) > 1""",
}


def open_book(path):
    book = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    book.row_factory = sqlite3.Row
    return book


def audit(path):
    """Violations in market.db at this moment."""
    book = open_book(path)
    try:
        found = [f"{name}: {row[0]}" for name, statement in ALWAYS.items() for row in book.execute(statement)]
        [check] = book.execute("PRAGMA quick_check").fetchone()
        return found if check == "ok" else [*found, f"market.db: {check}"]
    finally:
        book.close()


def find_untold(ledger):
    """What the provider has yet to do or to tell."""
    book = open_book(ledger)
    try:
        n_events = book.execute("SELECT COUNT (*) FROM events WHERE status IN ('waiting', 'sending')")
        n_refunds = book.execute("SELECT COUNT (*) FROM refunds WHERE status = 'pending'")
        found = {"event at the provider": n_events.fetchone()[0], "refund at the provider": n_refunds.fetchone()[0]}
        return {name: n for name, n in found.items() if n}
    finally:
        book.close()


def find_open(path):
    """What has not come to rest: {phase or job kind: how many}."""
    book = open_book(path)
    try:
        counts = dict(book.execute("SELECT phase, COUNT (*) FROM purchase GROUP BY phase").fetchall())
        jobs = dict(book.execute("SELECT 'job ' || kind, COUNT (*) FROM job GROUP BY kind").fetchall())
        late = book.execute("SELECT COUNT (*) FROM unmatched WHERE state = 'waiting'").fetchone()[0]
        return {**{phase: n for phase, n in counts.items() if phase not in ENDS}, **jobs, **({"unmatched": late} if late else {})}
    finally:
        book.close()


def summarize(path):
    book = open_book(path)
    try:
        return {
            "orders": book.execute("SELECT COUNT (*) FROM purchase").fetchone()[0],
            "ended": dict(book.execute("SELECT phase, COUNT (*) FROM purchase GROUP BY phase ORDER BY 2 DESC").fetchall()),
            "reviews": dict(book.execute("SELECT reason, COUNT (*) FROM purchase WHERE phase = 'review' GROUP BY reason").fetchall()),
            "inbox": dict(book.execute("SELECT outcome, COUNT (*) FROM inbox GROUP BY outcome").fetchall()),
            "longest_from_paid_to_end_s": round(book.execute(
                "SELECT COALESCE (MAX (changed_us - paid_us), 0) FROM purchase WHERE phase = 'fulfilled' AND paid_us > 0")
                .fetchone()[0] / 1e6, 2),
        }
    finally:
        book.close()


def compare_with_provider(market, ledger):
    """The provider's ledger against ours, event by event."""
    ours, theirs = open_book(market), open_book(ledger)
    try:
        payments = {row["id"]: (row["purchase"], row["amount_minor"])
                    for row in ours.execute("SELECT id, purchase, amount_minor FROM ledger WHERE kind = 'payment'")}
        refunds = {row["id"]: (row["payment"], row["amount_minor"])
                   for row in ours.execute("SELECT id, payment, amount_minor FROM ledger WHERE kind = 'refund'")}
        their_payments = {row["id"]: (row["merchant_order"], row["amount"]) for row in theirs.execute(
            "SELECT p.id, c.merchant_order, p.amount FROM payments p JOIN checkouts c ON c.id = p.checkout")}
        their_refunds = {row["id"]: (row["payment"], row["amount"])
                         for row in theirs.execute("SELECT id, payment, amount FROM refunds WHERE status = 'done'")}
        found = [f"payment {one} is only in one ledger, or differs" for one in
                 {key for key, _value in set(payments.items()) ^ set(their_payments.items())}]
        found += [f"refund {one} is only in one ledger, or differs" for one in
                  {key for key, _value in set(refunds.items()) ^ set(their_refunds.items())}]
        found += [f"order {row[0]} was charged {row[1]} times" for row in theirs.execute(
            "SELECT c.merchant_order, COUNT (*) FROM payments p JOIN checkouts c ON c.id = p.checkout"
            " GROUP BY c.merchant_order HAVING COUNT (*) > 1")]
        found += [f"{row[0]} pays {row[2]} times for {row[1]}" for row in ours.execute(
            "SELECT l.account, l.plugin, COUNT (*) FROM purchase p JOIN purchase_line l ON l.purchase = p.id"
            " WHERE p.price_minor > 0 AND p.phase NOT IN ('review', 'charged-back', 'closed') AND"
            "  (SELECT SUM (CASE kind WHEN 'payment' THEN amount_minor WHEN 'refund' THEN -amount_minor ELSE 0 END)"
            "   FROM ledger WHERE purchase = p.id) > 0 GROUP BY l.account, l.plugin HAVING COUNT (*) > 1")]
        found += [f"a person has to look at a delivery: {row[0]}" for row in
                  ours.execute("SELECT reason FROM unmatched WHERE state = 'review'")]
        found += [f"refund {row[0]} is {row[1]}" for row in
                  ours.execute("SELECT id, state FROM refund WHERE state NOT IN ('confirmed', 'rejected')")]
        return found
    finally:
        ours.close()
        theirs.close()


def compare_with_vendor(market, vendor):
    """What the vendor thinks is in use against what we gave out of it."""
    book = open_book(market)
    try:
        given = {f"{row[0]}.{row[1]}": row[2] for row in book.execute(
            "SELECT e.line, e.generation, e.state FROM entitlement e JOIN generation g ON g.line = e.line AND"
            " g.generation = e.generation WHERE g.source = 'plugin-server'")}
        in_use = {name for name, state in given.items() if state in ("active", "suspended")}
        theirs = {name for name in vendor.issued if name not in vendor.voided}
        # A dispute that a person must look at keeps its serial; nothing else may.
        held = {f"{row[0]}.{row[1]}" for row in book.execute(
            "SELECT g.line, g.generation FROM generation g JOIN purchase_line l ON l.id = g.line JOIN purchase p ON"
            " p.id = l.purchase WHERE p.phase = 'review'")}
        return [*(f"{name} is in use here and not at the vendor" for name in in_use - theirs),
                *(f"{name} is issued at the vendor and not in use here" for name in theirs - in_use - held),
                *(f"{name} was another's serial and is in use" for name in vendor.others & in_use)]
    finally:
        book.close()


def entitlements(market):
    """{user: {plugin: (state, epoch, source, request)}} of everybody."""
    book = open_book(market)
    try:
        found = {}
        for row in book.execute(
                "SELECT a.local, e.plugin, e.state, e.epoch, g.source, e.line || '.' || e.generation FROM entitlement e"
                " JOIN account a ON a.uuid = e.account JOIN generation g ON g.line = e.line AND g.generation = e.generation"):
            found.setdefault(row[0], {})[row[1]] = tuple(row)[2:]
        return found
    finally:
        book.close()


def dump(value):
    return json.dumps(value, indent=2, sort_keys=False)
