#include "host-server/store/schema.h"

static const char *const probe_steps[] = {
  "CREATE TABLE store_probe (id BIGINT PRIMARY KEY, n BIGINT NOT NULL);"
  "CREATE TABLE store_fact (name TEXT PRIMARY KEY, value BLOB NOT NULL)",
};
static const SchemaFamily market_file_schema
    = { "store", STORE_MARKET, probe_steps, G_N_ELEMENTS (probe_steps) };
static const SchemaFamily chat_file_schema = { "store", STORE_CHAT, probe_steps, G_N_ELEMENTS (probe_steps) };

/* A family refers to tables of those before it only. */
static const SchemaFamily *const families[] = {
  &market_file_schema, &chat_file_schema, &accounts_schema, &market_schema, &operations_schema,
  &signing_schema, &receipts_schema, &commands_schema, &packages_schema, &functions_schema, &function_results_schema,
  &roster_schema, &offline_schema,
};

static gboolean
is_known (const char *name, StoreFile file)
{
  for (gsize i = 0; i < G_N_ELEMENTS (families); i++)
    if (families[i]->file == file && g_str_equal (families[i]->name, name))
      return TRUE;
  return FALSE;
}

gboolean
schema_migrate (Db *db, StoreFile file, GError **error)
{
  for (gsize i = 0; i < G_N_ELEMENTS (families); i++)
    if (families[i]->file == file
        && !db_migrate_family (db, families[i]->name, families[i]->steps, families[i]->n_steps, error))
      return FALSE;

  g_autoptr (DbQuery) query = db_query (db, "SELECT name FROM schema_family ORDER BY name", "");
  GError *local = NULL;
  while (db_next (query, &local))
    if (!is_known (db_get_text (query, 0), file))
      {
        g_set_error (error, DB_ERROR, DB_ERROR_NEWER,
                     "written by a newer version (it has the tables of '%s')", db_get_text (query, 0));
        return FALSE;
      }
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, local);
  return FALSE;
}
