#include "host-server/store/schema.h"

static const char *const steps[] = {
  "CREATE TABLE account ("
  "  uuid TEXT PRIMARY KEY,"
  "  local TEXT NOT NULL UNIQUE,"
  "  created_us BIGINT NOT NULL);"
  "CREATE TABLE account_verifier ("
  "  account TEXT NOT NULL REFERENCES account (uuid) ON DELETE CASCADE,"
  "  hash BIGINT NOT NULL," /* ScramHash */
  "  iterations BIGINT NOT NULL,"
  "  salt BLOB NOT NULL,"
  "  stored_key BLOB NOT NULL,"
  "  server_key BLOB NOT NULL,"
  "  PRIMARY KEY (account, hash));"
  "CREATE TABLE account_removal ("
  "  room TEXT NOT NULL,"
  "  account TEXT NOT NULL,"
  "  local TEXT NOT NULL,"
  "  PRIMARY KEY (room, account));",
};

const SchemaFamily accounts_schema = { "accounts", STORE_MARKET, steps, G_N_ELEMENTS (steps) };
