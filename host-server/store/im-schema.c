#include "host-server/store/schema.h"

/* Rows carry the account's UUID, not its name: a name that is registered anew is another user. `seq` is the
 * account's own count of changes, the version of RFC 6121 §2.6: an item carries the count at which it changed
 * last, and a removed one stays as a tombstone for as long as the account asks by versions. */
static const char *const roster_steps[] = {
  "CREATE TABLE roster ("
  "  account TEXT PRIMARY KEY,"
  "  seq BIGINT NOT NULL,"                   /* the last change */
  "  pruned_seq BIGINT NOT NULL DEFAULT 0);" /* tombstones up to here are gone */
  "CREATE TABLE roster_item ("
  "  account TEXT NOT NULL,"
  "  jid TEXT NOT NULL,"
  "  name TEXT,"
  "  group_xml TEXT NOT NULL," /* XML, as it goes into the item */
  "  state BIGINT NOT NULL,"   /* subscription.h */
  "  seq BIGINT NOT NULL,"
  "  request BLOB," /* the subscription request that waits for an answer */
  "  PRIMARY KEY (account, jid));"
  "CREATE INDEX roster_item_by_seq ON roster_item (account, seq);",
};

static const char *const offline_steps[] = {
  "CREATE TABLE offline_message ("
  "  id BIGINT PRIMARY KEY,"
  "  account TEXT NOT NULL,"
  "  stanza BLOB NOT NULL);"
  "CREATE INDEX offline_message_by_account ON offline_message (account, id);"
  "CREATE TABLE offline_count ("
  "  account TEXT PRIMARY KEY,"
  "  messages BIGINT NOT NULL,"
  "  bytes BIGINT NOT NULL);",
};

const SchemaFamily roster_schema = { "roster", STORE_CHAT, roster_steps, G_N_ELEMENTS (roster_steps) };
const SchemaFamily offline_schema = { "offline", STORE_CHAT, offline_steps, G_N_ELEMENTS (offline_steps) };
