#include "host-server/store/schema.h"

/* What standard clients need beyond the native protocol: roles of accounts, and the messages that tell of
 * orders. */

static const char *const steps[] = {
  /* role: administrator | vendor; vendor: '' for an administrator. */
  "CREATE TABLE account_role ("
  "  account TEXT NOT NULL REFERENCES account (uuid) ON DELETE CASCADE,"
  "  role TEXT NOT NULL,"
  "  vendor TEXT NOT NULL,"
  "  created_us BIGINT NOT NULL,"
  "  PRIMARY KEY (account, role, vendor));"

  /* Orders whose users are told by messages. */
  "CREATE TABLE notice_order (purchase TEXT PRIMARY KEY REFERENCES purchase (id));"
  /* Messages that have not left yet. */
  "CREATE TABLE notice ("
  "  id TEXT PRIMARY KEY,"
  "  purchase TEXT NOT NULL REFERENCES purchase (id),"
  "  state TEXT NOT NULL);"

  /* For a vendor's sales. */
  "CREATE INDEX purchase_line_plugin ON purchase_line (plugin, id)",
};

const SchemaFamily commands_schema = { "commands", STORE_MARKET, steps, G_N_ELEMENTS (steps) };
