#include "host-server/store/schema.h"

/* The keys that the host signs with. Rows are never removed: what was signed once stays verifiable. */

static const char *const steps[] = {
  "CREATE TABLE signing_key ("
  "  kid TEXT PRIMARY KEY,"
  "  public_jwk TEXT NOT NULL,"
  "  sealed BLOB," /* the private JWK; NULL once it is retired: nobody can sign with it any more */
  "  from_us BIGINT NOT NULL,"
  "  retired_us BIGINT NOT NULL);" /* 0: in use */
  "CREATE UNIQUE INDEX signing_key_in_use ON signing_key (retired_us) WHERE retired_us = 0",
  /* A JWS in which the retired key names its successor; NULL: in use, or retired before there were such. */
  "ALTER TABLE signing_key ADD COLUMN succession TEXT",
};

const SchemaFamily signing_schema = { "signing", STORE_MARKET, steps, G_N_ELEMENTS (steps) };
