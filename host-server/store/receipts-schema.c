#include "host-server/store/schema.h"

/* Receipts of fulfilled order lines, numbered from 1: each supersedes the one before. A row has the facts as
 * of its moment and is written in the commit that made them true; it is signed when somebody first asks for
 * it, and then never changes again. */

static const char *const steps[] = {
  "CREATE TABLE receipt ("
  "  line TEXT NOT NULL REFERENCES purchase_line (id),"
  "  seq BIGINT NOT NULL,"
  "  reason TEXT NOT NULL,"       /* fulfilled | replaced | delivered | payment | refund | dispute | … */
  "  ledger_seq BIGINT NOT NULL," /* how far the ledger was then; 0: it was empty */
  "  serial_hash BLOB NOT NULL,"  /* salted */
  "  fulfilled_us BIGINT NOT NULL,"
  "  delivered_us BIGINT NOT NULL," /* 0: no client has acknowledged it so far */
  "  recorded_us BIGINT NOT NULL,"
  "  jws TEXT,"
  "  PRIMARY KEY (line, seq))",
};

const SchemaFamily receipts_schema = { "receipts", STORE_MARKET, steps, G_N_ELEMENTS (steps) };
