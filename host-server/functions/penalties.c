#include "host-server/functions/penalties.h"

#define MAX_RECORDS 10000

typedef struct
{
  guint n_faults;
  gint64 last_us; /* monotonic */
} Record;

struct Penalties
{
  const Clock *clock;
  GHashTable *records; /* application and account → Record; of those whose last call failed */
};

Penalties *
penalties_new (const Clock *clock)
{
  Penalties *penalties = g_new0 (Penalties, 1);
  penalties->clock = clock;
  penalties->records = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  return penalties;
}

void
penalties_free (Penalties *penalties)
{
  g_hash_table_unref (penalties->records);
  g_free (penalties);
}

static char *
make_key (const char *application, const char *account)
{
  return g_strconcat (application, "\n", account, NULL);
}

static gboolean
is_past (gpointer key, gpointer value, gpointer data)
{
  return *(const gint64 *)data - ((const Record *)value)->last_us >= PENALTY_S * G_USEC_PER_SEC;
}

gboolean
penalties_must_wait (Penalties *penalties, const char *application, const char *account)
{
  gint64 now_us = clock_get_monotonic_us (penalties->clock);
  g_autofree char *key = make_key (application, account);
  const Record *record = g_hash_table_lookup (penalties->records, key);
  return record != NULL && record->n_faults >= PENALTY_FAULTS && !is_past (NULL, (gpointer)record, &now_us);
}

void
penalties_note (Penalties *penalties, const char *application, const char *account, gboolean is_fault)
{
  gint64 now_us = clock_get_monotonic_us (penalties->clock);
  g_autofree char *key = make_key (application, account);
  if (!is_fault)
    {
      g_hash_table_remove (penalties->records, key);
      return;
    }
  Record *record = g_hash_table_lookup (penalties->records, key);
  if (record == NULL)
    {
      /* Those that failed long ago make room; if that is not enough, this one is let off. */
      if (g_hash_table_size (penalties->records) >= MAX_RECORDS)
        g_hash_table_foreach_remove (penalties->records, is_past, &now_us);
      if (g_hash_table_size (penalties->records) >= MAX_RECORDS)
        return;
      record = g_new0 (Record, 1);
      g_hash_table_insert (penalties->records, g_steal_pointer (&key), record);
    }
  /* After the wait one call decides. */
  record->n_faults = record->n_faults >= PENALTY_FAULTS ? PENALTY_FAULTS : record->n_faults + 1;
  record->last_us = now_us;
}
