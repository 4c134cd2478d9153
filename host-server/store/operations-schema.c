#include "host-server/store/schema.h"

/* What the operator's commands keep: when the store was compared with itself and with its providers, and that it came
 * from a backup. */
static const char *const steps[] = {
  "CREATE TABLE reconciliation ("
  "  started_us BIGINT PRIMARY KEY,"
  "  ended_us BIGINT NOT NULL,"
  "  is_from_provider BIGINT NOT NULL,"
  "  since_us BIGINT NOT NULL," /* of the providers' checkouts; 0: they were not asked */
  "  orders BIGINT NOT NULL,"
  "  checkouts BIGINT NOT NULL,"
  "  differences BIGINT NOT NULL);"

  /* One row for each time the store was restored. epoch: that of the store since then; the first store's is 1. Sales
   * are closed while a row has reconciled_us 0. */
  "CREATE TABLE restoration ("
  "  epoch BIGINT PRIMARY KEY,"
  "  restored_us BIGINT NOT NULL,"
  "  backup_us BIGINT NOT NULL," /* the newest thing that the backup knows of */
  "  reconciled_us BIGINT NOT NULL);",
};

const SchemaFamily operations_schema = { "operations", STORE_MARKET, steps, G_N_ELEMENTS (steps) };
