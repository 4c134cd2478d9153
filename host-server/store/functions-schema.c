#include "host-server/store/schema.h"

/* Protected functions. What a call must not lose lies in market.db: the user's data, and the results of calls
 * that changed or read it, in the same commit. Results of calls that left no trace lie in chat.db, where a
 * commit costs no wait for the disk: a power failure that takes one away costs a second run. */

#define RESULT_TABLES                                                                                        \
  "CREATE TABLE function_result ("                                                                           \
  "  account TEXT NOT NULL,"                                                                                 \
  "  application TEXT NOT NULL,"                                                                             \
  "  request TEXT NOT NULL,"                                                                                 \
  "  digest BLOB NOT NULL," /* SHA-256 of the function's name and the argument */                            \
  "  result BLOB NOT NULL,"                                                                                  \
  "  ended_us BIGINT NOT NULL,"                                                                              \
  "  PRIMARY KEY (account, application, request));"                                                          \
  "CREATE INDEX function_result_ended ON function_result (ended_us);"                                        \
  "CREATE TABLE function_result_total ("                                                                     \
  "  account TEXT NOT NULL,"                                                                                 \
  "  application TEXT NOT NULL,"                                                                             \
  "  bytes BIGINT NOT NULL," /* what its results are charged */                                              \
  "  PRIMARY KEY (account, application));"

static const char *const market_steps[] = {
  "CREATE TABLE function_application ("
  "  application TEXT PRIMARY KEY REFERENCES plugin (id),"
  "  manifest TEXT NOT NULL,"
  "  revision BIGINT NOT NULL," /* raised with every change of the manifest and of the resources */
  "  changed_us BIGINT NOT NULL);"

  /* The user's data. version rises with every change; a value carries the one it was written with. */
  "CREATE TABLE function_space ("
  "  account TEXT NOT NULL,"
  "  application TEXT NOT NULL,"
  "  version BIGINT NOT NULL,"
  "  bytes BIGINT NOT NULL," /* what its values are charged */
  "  PRIMARY KEY (account, application));"
  "CREATE TABLE function_value ("
  "  account TEXT NOT NULL,"
  "  application TEXT NOT NULL,"
  "  key TEXT NOT NULL,"
  "  version BIGINT NOT NULL,"
  "  value BLOB NOT NULL,"
  "  PRIMARY KEY (account, application, key));"

  /* is_open: callers may have it by resource.get. A removed one keeps its number, value NULL. */
  "CREATE TABLE function_resource ("
  "  application TEXT NOT NULL,"
  "  name TEXT NOT NULL,"
  "  version BIGINT NOT NULL,"
  "  kind TEXT NOT NULL," /* table | text | picture | counter | bytes */
  "  is_open BIGINT NOT NULL,"
  "  value BLOB,"
  "  changed_us BIGINT NOT NULL,"
  "  PRIMARY KEY (application, name));"

  RESULT_TABLES,
};

static const char *const chat_steps[] = {
  RESULT_TABLES

  /* For the vendor. */
  "CREATE TABLE function_log ("
  "  id INTEGER PRIMARY KEY,"
  "  application TEXT NOT NULL,"
  "  at_us BIGINT NOT NULL,"
  "  level TEXT NOT NULL,"
  "  function TEXT NOT NULL,"
  "  user TEXT NOT NULL," /* pairwise name */
  "  text TEXT NOT NULL);"
  "CREATE INDEX function_log_application ON function_log (application, id)",
};

const SchemaFamily functions_schema
    = { "functions", STORE_MARKET, market_steps, G_N_ELEMENTS (market_steps) };
const SchemaFamily function_results_schema
    = { "function-results", STORE_CHAT, chat_steps, G_N_ELEMENTS (chat_steps) };
