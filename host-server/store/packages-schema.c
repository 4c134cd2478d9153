#include "host-server/store/schema.h"

/* Packages of plugins, the vendors' keys they are signed with, and the document that says which of both the
 * host stands by. Nothing is ever removed: what was revoked stays so. */

static const char *const steps[] = {
  "CREATE TABLE vendor_key ("
  "  key TEXT PRIMARY KEY," /* Ed25519, base64url */
  "  vendor TEXT NOT NULL REFERENCES vendor (id),"
  "  from_us BIGINT NOT NULL,"
  "  to_us BIGINT NOT NULL,"      /* 0: open */
  "  revoked_us BIGINT NOT NULL," /* 0: it is not */
  "  reason TEXT NOT NULL,"
  "  created_us BIGINT NOT NULL);"
  "CREATE TABLE package ("
  "  hash TEXT PRIMARY KEY," /* SHA-256 of the manifest, hex */
  "  plugin TEXT NOT NULL REFERENCES plugin (id),"
  "  version TEXT NOT NULL,"
  "  key TEXT NOT NULL REFERENCES vendor_key (key),"
  "  sha256 TEXT NOT NULL," /* of the file */
  "  size BIGINT NOT NULL,"
  "  permissions TEXT NOT NULL,"
  "  is_restricted BIGINT NOT NULL,"
  "  is_offered BIGINT NOT NULL," /* 1: the one that the catalog names */
  "  added_us BIGINT NOT NULL,"
  "  revoked_us BIGINT NOT NULL,"
  "  reason TEXT NOT NULL,"
  "  UNIQUE (plugin, version));"
  "CREATE UNIQUE INDEX package_offered ON package (plugin) WHERE is_offered = 1;"
  "CREATE TABLE trust_document ("
  "  number BIGINT PRIMARY KEY,"
  "  kid TEXT NOT NULL," /* the host's key that signed it */
  "  jws TEXT NOT NULL)",
};

const SchemaFamily packages_schema = { "packages", STORE_MARKET, steps, G_N_ELEMENTS (steps) };
