/* The tables of ledger.db. ledger.c alone includes it. */
#pragma once

static const char *const schema[] = {
  "CREATE TABLE checkouts (id TEXT PRIMARY KEY, idempotency_key TEXT NOT NULL UNIQUE, request TEXT NOT NULL,"
  "  merchant_order TEXT NOT NULL, amount INTEGER NOT NULL CHECK (amount > 0), currency TEXT NOT NULL,"
  "  description TEXT NOT NULL, buyer TEXT NOT NULL, callback TEXT NOT NULL, token TEXT NOT NULL,"
  "  expires_us INTEGER NOT NULL, status INTEGER NOT NULL, touched_us INTEGER NOT NULL);"
  "CREATE INDEX checkouts_touched ON checkouts (touched_us, id);"
  "CREATE INDEX checkouts_open ON checkouts (expires_us) WHERE status = 0;"
  "CREATE TABLE payments (id TEXT PRIMARY KEY, checkout TEXT NOT NULL REFERENCES checkouts (id),"
  "  amount INTEGER NOT NULL CHECK (amount > 0), created_us INTEGER NOT NULL);"
  "CREATE INDEX payments_checkout ON payments (checkout);"
  "CREATE TABLE refunds (id TEXT PRIMARY KEY, idempotency_key TEXT NOT NULL UNIQUE, request TEXT NOT NULL,"
  "  payment TEXT NOT NULL REFERENCES payments (id), amount INTEGER NOT NULL CHECK (amount > 0),"
  "  currency TEXT NOT NULL, reason TEXT NOT NULL, status TEXT NOT NULL, due_us INTEGER NOT NULL);"
  "CREATE INDEX refunds_payment ON refunds (payment);"
  "CREATE INDEX refunds_pending ON refunds (due_us) WHERE status = 'pending';"
  "CREATE TABLE disputes (id TEXT PRIMARY KEY, payment TEXT NOT NULL UNIQUE REFERENCES payments (id),"
  "  status TEXT NOT NULL);"
  "CREATE TABLE events (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, callback TEXT NOT NULL,"
  "  body TEXT NOT NULL, attempt INTEGER NOT NULL, due_us INTEGER NOT NULL, status TEXT NOT NULL);"
  "CREATE INDEX events_waiting ON events (due_us, number) WHERE status = 'waiting';"
  "CREATE TABLE disabled_callbacks (callback TEXT PRIMARY KEY, since_us INTEGER NOT NULL);",
};
