#include "host-server/store/schema.h"

/* Rows carry the account's UUID, not its name: a name that is registered anew is another user. `seq` is the
 * account's own count of changes, the version of RFC 6121 §2.6: an item carries the count at which it changed
 * last, and a removed one stays as a tombstone until there are too many. */
static const char *const roster_steps[] = {
  "CREATE TABLE roster ("
  "  account TEXT PRIMARY KEY,"
  "  seq BIGINT NOT NULL,"                   /* the last change */
  "  pruned_seq BIGINT NOT NULL DEFAULT 0);" /* tombstones up to here are gone */
  "CREATE TABLE roster_item ("
  "  account TEXT NOT NULL,"
  "  jid TEXT NOT NULL,"
  "  kind BIGINT NOT NULL," /* RosterKind */
  "  state BIGINT NOT NULL," /* Subscription */
  "  is_approved BIGINT NOT NULL,"
  "  name TEXT,"
  "  group_xml TEXT NOT NULL,"
  "  request BLOB," /* the subscription request that waits for an answer */
  "  seq BIGINT NOT NULL,"
  "  PRIMARY KEY (account, jid));"
  "CREATE INDEX roster_item_by_seq ON roster_item (account, seq);",
};

static const char *const offline_steps[] = {
  "CREATE TABLE offline_message ("
  "  account TEXT NOT NULL,"
  "  id BIGINT NOT NULL,"
  "  stanza BLOB NOT NULL,"
  "  n_bytes BIGINT NOT NULL,"
  "  PRIMARY KEY (account, id));"
  "CREATE TABLE offline_count ("
  "  account TEXT PRIMARY KEY,"
  "  last_id BIGINT NOT NULL," /* grows for as long as the account lives */
  "  messages BIGINT NOT NULL,"
  "  bytes BIGINT NOT NULL);",
};

const SchemaFamily roster_schema = { "roster", STORE_CHAT, roster_steps, G_N_ELEMENTS (roster_steps) };
const SchemaFamily offline_schema = { "offline", STORE_CHAT, offline_steps, G_N_ELEMENTS (offline_steps) };
