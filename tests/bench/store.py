"""Fills a market's store with the orders of years: what many customers leave behind, written as quickly as SQLite can, while
no server runs. Rows and indexes are those of the server that made the file."""

import os
import sqlite3
import time

PLUGINS = 20
DAYS = 730
INBOX_DAYS = 90
FILLER_KEYS = 3  # one order in so many took a key of a pool

# Account k, and the account of order i: every account buys again and again, in no order. Accounts were made over the same time
# as the orders, so that their UUIDs (version 7) grow with it.
ACCOUNT = "printf ('%08x-%04x-7%03x-8%03x-%012x', ({0} * 60000) >> 16, ({0} * 60000) & 65535, {0} & 4095, {0} & 4095, {0})"
OWNER = "(i * 611953 + 13) % :accounts"
ORDER = "'o_00' || printf ('%010d', i) || substr (hex, 1, 14)"
LINE = "'l_00' || printf ('%010d', i) || substr (hex, 1, 14)"
AT = ":from_us + i * :step_us"
# 90 of 100 are fulfilled, 4 refunded, 6 declined
PHASE = "CASE WHEN i % 100 < 90 THEN 'fulfilled' WHEN i % 100 < 94 THEN 'refunded' ELSE 'declined' END"
PAID = "i % 100 < 94"
# The same random digits for all rows of an order, without keeping them.
BATCH = """CREATE TEMP TABLE batch AS
  WITH RECURSIVE n (i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :end)
  SELECT i, hex, {account} AS account, {order} AS "order", {line} AS line, {at} AS at, k FROM
    (SELECT i, lower (hex (randomblob (16))) AS hex, {owner} AS k FROM n)""".format(
    account=ACCOUNT.format("k"), order=ORDER, line=LINE, at=AT, owner=OWNER)

ROWS = {
    "purchase": f"""INSERT INTO purchase (id, version, account, user, provider, phase, payment, price_minor, currency, checkout,
        checkout_try, charge_url, expires_us, is_decline_wanted, is_declined_by_user, paid_us, poll_us, polls, reason, created_us,
        changed_us) SELECT "order", 5, account, 'f' || k || '@bench.test', 'bench', {PHASE}, CASE WHEN i % 100 < 90 THEN 'paid'
        WHEN i % 100 < 94 THEN 'refunded' ELSE 'failed' END, 499, 'EUR', 'c_' || "order", 0, 'https://pay.example/c/' || "order",
        at + 1800000000, 0, i % 100 >= 94, CASE WHEN {PAID} THEN at + 60000000 ELSE 0 END, 0, 2, 'issued', at, at + 61000000
        FROM batch""",
    "purchase_line": f"""INSERT INTO purchase_line (id, purchase, account, plugin, term, price_minor, is_renewal, is_open)
        SELECT line, "order", account, 'filler' || (i / :accounts % {PLUGINS}), '', 499, 0, 0 FROM batch""",
    "purchase_request": """INSERT INTO purchase_request (account, request, purchase) SELECT account,
        substr (hex, 1, 8) || '-' || substr (hex, 9, 4) || '-4' || substr (hex, 13, 3) || '-8' || substr (hex, 16, 3) || '-'
        || substr (hex, 19, 12), "order" FROM batch""",
    "ledger": f"""INSERT INTO ledger (provider, id, kind, purchase, payment, amount_minor, source, recorded_us)
        SELECT 'bench', 'pay_' || hex, 'payment', "order", 'pay_' || hex, 499, 'callback', at + 60000000 FROM batch WHERE {PAID}""",
    "ledger (refunds)": """INSERT INTO ledger (provider, id, kind, purchase, payment, amount_minor, source, recorded_us)
        SELECT 'bench', 're_' || hex, 'refund', "order", 'pay_' || hex, 499, 'callback', at + 61000000 FROM batch
        WHERE i % 100 BETWEEN 90 AND 93""",
    "refund": """INSERT INTO refund (id, version, purchase, payment, amount_minor, reason, state, provider_refund, created_us,
        changed_us) SELECT 'r_00' || substr ("order", 5), 3, "order", 'pay_' || hex, 499, 'asked for', 'confirmed', 're_' || hex,
        at + 60500000, at + 61000000 FROM batch WHERE i % 100 BETWEEN 90 AND 93""",
    "generation": f"""INSERT INTO generation (line, generation, version, state, source, is_fallback, counter, paid_us, deadline_us,
        reason) SELECT line, 0, 3, 'issued', 'pool', 0, 0, at + 60000000, at + 86400000000, '' FROM batch WHERE {PAID}""",
    "issued_serial": f"""INSERT INTO issued_serial (plugin, digest, account, line, generation)
        SELECT 'filler' || (i / :accounts % {PLUGINS}), randomblob (32), account, line, 0 FROM batch WHERE {PAID}""",
    "entitlement": f"""INSERT OR IGNORE INTO entitlement (account, plugin, state, line, generation, sealed, expires_us, epoch, ver)
        SELECT account, 'filler' || (i / :accounts % {PLUGINS}), CASE WHEN i % 100 < 90 THEN 'active' ELSE 'revoked' END, line, 0,
        randomblob (60), 0, 1, i / :accounts + 1 FROM batch WHERE {PAID}""",
    "pool_key": f"""INSERT INTO pool_key (plugin, digest, sealed, state, line, generation)
        SELECT 'filler' || (i / :accounts % {PLUGINS}), randomblob (32), randomblob (48), 'delivered', line, 0 FROM batch
        WHERE {PAID} AND i % {FILLER_KEYS} = 0""",
    "inbox": f"""INSERT INTO inbox (provider, webhook_id, digest, outcome, body, received_us)
        SELECT 'bench', 'msg_' || hex, randomblob (32), 'applied', CAST ('{{"type":"checkout.paid","timestamp":"2026-01-01T00:00:00Z",'
        || '"data":{{"merchant":"bench","order":"' || "order" || '","checkout":"c_' || "order" || '","payment":"pay_' || hex ||
        '","amount":499,"currency":"EUR","live":true}}}}' AS BLOB), at + 60000000 FROM batch WHERE {PAID} AND at >= :inbox_us""",
}
PEOPLE = {
    "account": f"""INSERT INTO account (uuid, local, created_us) SELECT {ACCOUNT.format("k")}, 'f' || k, :from_us + k FROM people""",
    "account_verifier": f"""INSERT INTO account_verifier (account, hash, iterations, salt, stored_key, server_key)
        SELECT {ACCOUNT.format("k")}, hash, 4096, randomblob (16), randomblob (20 + 12 * hash), randomblob (20 + 12 * hash)
        FROM people, (SELECT 0 AS hash UNION ALL SELECT 1)""",
    "entitlement_version": f"""INSERT INTO entitlement_version (account, ver) SELECT {ACCOUNT.format("k")}, :orders / :accounts + 1
        FROM people""",
}
BATCH_ROWS = 200_000


def fill(path, orders, accounts, say=lambda text: None):
    """Adds that many orders and accounts to a store whose server is stopped, and puts the accounts that are there (the
    benchmark's own) among them: their next orders fall on pages anywhere, as those of real customers do."""
    began = time.monotonic()
    book = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "foreign_keys=OFF", "locking_mode=EXCLUSIVE", "cache_size=-4000000",
                   "temp_store=MEMORY"):
        book.execute(f"PRAGMA {pragma}").fetchall()
    now_us = int(time.time() * 1e6)
    from_us, step_us = now_us - DAYS * 86_400_000_000, DAYS * 86_400_000_000 // max(orders, 1)
    values = {"orders": orders, "accounts": accounts, "from_us": from_us, "step_us": step_us,
              "inbox_us": now_us - INBOX_DAYS * 86_400_000_000}

    def run(statement):
        names = {name: value for name, value in values.items() if f":{name}" in statement}
        book.execute(statement, names)

    # Indexes that are not part of a key are made at the end, sorted, which is many times quicker.
    indexes = book.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN"
                           " ('purchase', 'purchase_line', 'purchase_request', 'ledger', 'refund', 'inbox', 'entitlement',"
                           " 'pool_key')").fetchall()
    spread(book, accounts)
    for name, _sql in indexes:
        book.execute(f"DROP INDEX {name}")
    book.execute("BEGIN")
    columns = [row[1] for row in book.execute("PRAGMA table_info (plugin)")]
    own = {"id": "?", "term": "''", "is_retired": "1"}
    filler = ", ".join(own.get(column, column) for column in columns)
    for number in range(PLUGINS):
        book.execute(f"INSERT INTO plugin SELECT {filler} FROM plugin WHERE source = 'pool' LIMIT 1", (f"filler{number}",))
    run("CREATE TEMP TABLE people AS WITH RECURSIVE n (k) AS (SELECT 0 UNION ALL SELECT k + 1 FROM n WHERE k + 1 < :accounts)"
        " SELECT k FROM n")
    for statement in PEOPLE.values():
        run(statement)
    for first in range(0, orders, BATCH_ROWS):
        values["first"], values["end"] = first, min(first + BATCH_ROWS, orders)
        run(BATCH)
        for statement in ROWS.values():
            run(statement)
        book.execute("DROP TABLE batch")
        if (first // BATCH_ROWS) % 10 == 9:
            say(f"{values['end']:,} orders after {time.monotonic() - began:.0f} s")
    book.execute("COMMIT")
    for _name, sql in indexes:
        book.execute(sql)
    book.execute("PRAGMA journal_mode=WAL").fetchall()
    size = path.stat().st_size
    book.close()
    os.sync()  # or the disk is still busy with it while the first figures are taken
    say(f"{orders:,} orders and {accounts:,} accounts: {size / 1e9:.1f} GB in {time.monotonic() - began:.0f} s")


def spread(book, accounts):
    """Gives the accounts that are there UUIDs between those to come."""
    own = [row[0] for row in book.execute("SELECT uuid FROM account").fetchall()]
    for number, uuid in enumerate(own):
        beside = book.execute("SELECT " + ACCOUNT.format(number * accounts // len(own))).fetchone()[0]
        moved = beside[:24] + "f" + beside[25:]
        book.execute("UPDATE account SET uuid = ? WHERE uuid = ?", (moved, uuid))
        book.execute("UPDATE account_verifier SET account = ? WHERE account = ?", (moved, uuid))
