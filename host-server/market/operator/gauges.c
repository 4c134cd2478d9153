#include "host-server/core/control.h"
#include "host-server/core/http.h"
#include "host-server/core/metrics.h"
#include "host-server/market/books/pool.h"
#include "host-server/market/books/purchases.h"
#include "host-server/market/books/restored.h"
#include "host-server/market/books/row.h"
#include "host-server/market/room.h"

#include <string.h>

/* What the operator's monitoring shows, and the alarms. Counts of rows are read on the reader thread at each
 * sweep, by indexes that hold what is open alone, so that they cost the same however much was sold; what
 * happens is counted in memory as it happens. */

#define ALARMS_OF_A_KIND 100
#define POOL_COUNT_LIMIT 1000 /* of free keys that are counted */
#define SECRET_WARN_US   (G_GINT64_CONSTANT (86400) * G_USEC_PER_SEC)
#define PROVIDER_WARN_US (60 * G_USEC_PER_SEC)

typedef struct
{
  char *name;
  double value;
} Sample;

/* One family of what was read. */
typedef enum
{
  FAMILY_ORDERS,
  FAMILY_UNMATCHED,
  FAMILY_POISON,
  FAMILY_JOBS,
  FAMILY_JOBS_OLDEST,
  FAMILY_REFUNDS,
  FAMILY_REFUNDS_OLDEST,
  FAMILY_STUCK,
  FAMILY_POOL_FREE,
  FAMILY_POOL_FROZEN,
  FAMILY_SECRET_ENDS,
  FAMILY_SECRET_USED,
  FAMILY_RECONCILED,
  FAMILY_DIFFERENCES,
  FAMILY_SALES_OPEN,
  FAMILY_EPOCH,
  N_FAMILIES,
} Family;

static const struct
{
  const char *name, *label, *help;
} families[N_FAMILIES] = {
  [FAMILY_ORDERS] = { "stoa_orders", "state", "Orders that have not come to an end." },
  [FAMILY_UNMATCHED] = { "stoa_unmatched", "state", "Deliveries and payments that fit no order." },
  [FAMILY_POISON]
  = { "stoa_poison", NULL, "Authentic deliveries that cannot be read and wait for a person." },
  [FAMILY_JOBS] = { "stoa_jobs", "kind", "Work that waits or runs." },
  [FAMILY_JOBS_OLDEST] = { "stoa_jobs_oldest_seconds", "kind", "Age of the oldest of it." },
  [FAMILY_REFUNDS] = { "stoa_refunds", "state", "Refunds that the provider has not confirmed." },
  [FAMILY_REFUNDS_OLDEST] = { "stoa_refunds_oldest_seconds", NULL, "Age of the oldest of them." },
  [FAMILY_STUCK]
  = { "stoa_stuck", "kind", "What should have gone on by itself long ago (at most 100 a kind)." },
  [FAMILY_POOL_FREE] = { "stoa_pool_free", "plugin", "Keys left in a pool (at most 1000 are counted)." },
  [FAMILY_POOL_FROZEN] = { "stoa_pool_frozen", "plugin", "Keys that a restored backup cannot vouch for." },
  [FAMILY_SECRET_ENDS]
  = { "stoa_secret_ends_timestamp_seconds", "key", "When a secret that is still good ends; 0: never." },
  [FAMILY_SECRET_USED]
  = { "stoa_secret_last_used_timestamp_seconds", "key", "When it was used last; 0: never." },
  [FAMILY_RECONCILED]
  = { "stoa_reconcile_timestamp_seconds", "scope", "When the books were compared last; 0: never." },
  [FAMILY_DIFFERENCES] = { "stoa_reconcile_differences", "scope", "What was found then." },
  [FAMILY_SALES_OPEN]
  = { "stoa_sales_open", NULL, "0 after a restore, until it was compared with the provider." },
  [FAMILY_EPOCH] = { "stoa_store_epoch", NULL, "1, and one more for each restore." },
};

typedef struct
{
  char *key, *text;
} Alarm;

typedef struct
{
  Market *market;
  gint64 now_us;
  GArray *samples[N_FAMILIES]; /* of Sample */
  GArray *alarms;              /* of Alarm */
} Look;

/* Of one provider, since the start. */
typedef struct
{
  gint64 answered_us; /* monotonic and wall time of its last answer; 0: none */
  gint64 answered_wall_us;
  gint64 silent_since_us; /* monotonic; 0: it answers */
  guint64 n_failures;
} Reach;

struct Gauges
{
  Look *seen; /* NULL: not read yet */
  gboolean is_looking;
  GHashTable *deliveries; /* meaning (static) -> guint64 */
  guint64 n_shown[ORDER_REVIEW + 1];
  GHashTable *reach; /* provider's name -> Reach */
};

static void
sample_clear (gpointer data)
{
  g_free (((Sample *)data)->name);
}

static void
alarm_clear (gpointer data)
{
  g_free (((Alarm *)data)->key);
  g_free (((Alarm *)data)->text);
}

static void
look_reset (Look *look)
{
  for (guint i = 0; i < N_FAMILIES; i++)
    g_array_set_size (look->samples[i], 0);
  g_array_set_size (look->alarms, 0);
}

static Look *
look_new (Market *market)
{
  Look *look = g_new0 (Look, 1);
  look->market = market;
  look->now_us = clock_get_wall_us (market->desk.clock);
  for (guint i = 0; i < N_FAMILIES; i++)
    {
      look->samples[i] = g_array_new (FALSE, FALSE, sizeof (Sample));
      g_array_set_clear_func (look->samples[i], sample_clear);
    }
  look->alarms = g_array_new (FALSE, FALSE, sizeof (Alarm));
  g_array_set_clear_func (look->alarms, alarm_clear);
  return look;
}

static void
look_free (Look *look)
{
  if (look == NULL)
    return;
  for (guint i = 0; i < N_FAMILIES; i++)
    g_array_unref (look->samples[i]);
  g_array_unref (look->alarms);
  g_free (look);
}

static void
add (Look *look, Family family, const char *name, double value)
{
  Sample sample = { g_strdup (name), value };
  g_array_append_val (look->samples[family], sample);
}

G_GNUC_PRINTF (4, 5)
static void
alarm_about (Look *look, const char *kind, const char *subject, const char *format, ...)
{
  va_list args;
  va_start (args, format);
  Alarm alarm = { g_strconcat (kind, " ", subject, NULL), g_strdup_vprintf (format, args) };
  va_end (args);
  g_array_append_val (look->alarms, alarm);
}

static double
seconds_since (const Look *look, gint64 us)
{
  return (double)MAX (look->now_us - us, 0) / G_USEC_PER_SEC;
}

/* Rows of (name, value, time of the oldest). */
static gboolean
count_by_name (Look *look, DbQuery *take_query, Family family, Family oldest, GError **error)
{
  g_autoptr (DbQuery) query = take_query;
  GError *local = NULL;
  while (db_next (query, &local))
    {
      add (look, family, db_get_text (query, 0), (double)db_get_int (query, 1));
      if (oldest != N_FAMILIES)
        add (look, oldest, db_get_text (query, 0), seconds_since (look, db_get_int (query, 2)));
    }
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, local);
  return FALSE;
}

/* Rows of (subject, state, reason, since): each is an alarm. */
static gboolean
find_stuck (Look *look, DbQuery *take_query, const char *kind, GError **error)
{
  g_autoptr (DbQuery) query = take_query;
  GError *local = NULL;
  guint n = 0;
  for (; db_next (query, &local); n++)
    {
      g_autofree char *since = clock_dup_rfc3339 (db_get_int (query, 3));
      alarm_about (look, kind, db_get_text (query, 0), "stuck %s=%s %s since %s (%s)", kind,
                   db_get_text (query, 0), db_get_text (query, 1), since, db_get_text (query, 2));
    }
  add (look, FAMILY_STUCK, kind, n);
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, local);
  return FALSE;
}

static gboolean
look_at_orders (Look *look, Db *db, GError **error)
{
  gint64 stuck_us = look->now_us - look->market->desk.settings.stuck_us;
  return count_by_name (
             look,
             db_query (
                 db, "SELECT phase, COUNT (*) FROM purchase WHERE " PURCHASE_UNSETTLED " GROUP BY phase", ""),
             FAMILY_ORDERS, N_FAMILIES, error)
         && count_by_name (look,
                           db_query (db,
                                     "SELECT phase, COUNT (*) FROM purchase WHERE poll_us > 0 AND phase ="
                                     " 'awaiting-payment' GROUP BY phase",
                                     ""),
                           FAMILY_ORDERS, N_FAMILIES, error)
         && find_stuck (
             look,
             db_query (db,
                       "SELECT id, phase, reason, changed_us FROM purchase WHERE " PURCHASE_UNSETTLED
                       " AND changed_us <= ? ORDER BY changed_us LIMIT ?",
                       "ii", stuck_us, (gint64)ALARMS_OF_A_KIND),
             "order", error);
}

static gboolean
look_at_refunds (Look *look, Db *db, GError **error)
{
  gint64 stuck_us = look->now_us - look->market->desk.settings.stuck_us;
  {
    gboolean is_found;
    g_autoptr (DbQuery) query
        = db_query (db, "SELECT MIN (created_us) FROM refund WHERE state IN ('due', 'sent')", "");
    if (!turn_find (query, &is_found, error))
      return FALSE;
    add (look, FAMILY_REFUNDS_OLDEST, NULL,
         is_found && !db_is_null (query, 0) ? seconds_since (look, db_get_int (query, 0)) : 0);
  }
  return count_by_name (
             look,
             db_query (
                 db, "SELECT state, COUNT (*) FROM refund WHERE state IN ('due', 'sent') GROUP BY state", ""),
             FAMILY_REFUNDS, N_FAMILIES, error)
         && find_stuck (look,
                        db_query (db,
                                  "SELECT id, state, 'order ' || purchase, created_us FROM refund"
                                  " WHERE state IN ('due', 'sent') AND created_us <= ? LIMIT ?",
                                  "ii", stuck_us, (gint64)ALARMS_OF_A_KIND),
                        "refund", error);
}

/* Checkouts, first issues and refunds are their orders' and refunds' matter. */
static gboolean
look_at_jobs (Look *look, Db *db, GError **error)
{
  gint64 stuck_us = look->now_us - look->market->desk.settings.stuck_us;
  return count_by_name (look,
                        db_query (db, "SELECT kind, COUNT (*), MIN (created_us) FROM job GROUP BY kind", ""),
                        FAMILY_JOBS, FAMILY_JOBS_OLDEST, error)
         && find_stuck (look,
                        db_query (db,
                                  "SELECT key, kind, 'attempt ' || attempt, created_us FROM job WHERE"
                                  " created_us <= ? AND kind NOT IN ('checkout', 'refund')"
                                  " AND NOT (kind = 'issue' AND subject LIKE '%.0') LIMIT ?",
                                  "ii", stuck_us, (gint64)ALARMS_OF_A_KIND),
                        "job", error);
}

static gboolean
look_at_unmatched (Look *look, Db *db, GError **error)
{
  gint64 late_us = look->now_us - look->market->desk.settings.unmatched_alarm_us;
  {
    gboolean is_found;
    g_autoptr (DbQuery) query
        = db_query (db,
                    "SELECT COUNT (*) FROM unmatched u WHERE u.state IN ('waiting', 'review', 'refunding')"
                    " AND EXISTS (SELECT 1 FROM inbox i WHERE i.provider = u.provider AND i.webhook_id ="
                    " u.webhook_id AND i.outcome = 'poison')",
                    "");
    if (!turn_find (query, &is_found, error))
      return FALSE;
    add (look, FAMILY_POISON, NULL, (double)db_get_int (query, 0));
  }
  return count_by_name (
             look,
             db_query (db,
                       "SELECT state, COUNT (*) FROM unmatched WHERE state IN ('waiting', 'review',"
                       " 'refunding') GROUP BY state",
                       ""),
             FAMILY_UNMATCHED, N_FAMILIES, error)
         && find_stuck (look,
                        db_query (db,
                                  "SELECT id, state, provider || ': ' || reason, first_seen_us FROM unmatched"
                                  " WHERE state IN ('waiting', 'review', 'refunding') AND first_seen_us <= ?"
                                  " ORDER BY first_seen_us LIMIT ?",
                                  "ii", late_us, (gint64)ALARMS_OF_A_KIND),
                        "unmatched", error);
}

static gboolean
look_at_pools (Look *look, Db *db, GError **error)
{
  GError *local = NULL;
  g_autoptr (DbQuery) query = db_query (
      db,
      "SELECT id, (SELECT COUNT (*) FROM (SELECT 1 FROM pool_key WHERE plugin = plugin.id AND state ="
      " 'free' LIMIT ?) AS few), (SELECT COUNT (*) FROM pool_key WHERE plugin = plugin.id AND state ="
      " 'frozen') FROM plugin WHERE is_retired = 0 AND (source = 'pool' OR fallback = 'pool')",
      "i", (gint64)POOL_COUNT_LIMIT);
  while (db_next (query, &local))
    {
      const char *plugin = db_get_text (query, 0);
      gint64 n_free = db_get_int (query, 1), n_frozen = db_get_int (query, 2);
      add (look, FAMILY_POOL_FREE, plugin, (double)n_free);
      add (look, FAMILY_POOL_FROZEN, plugin, (double)n_frozen);
      if (n_free <= POOL_LOW_WATER)
        alarm_about (look, "pool", plugin,
                     "pool is low plugin=%s free=%" G_GINT64_FORMAT " frozen=%" G_GINT64_FORMAT, plugin,
                     n_free, n_frozen);
    }
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, local);
  return FALSE;
}

/* An old secret that ends before its successor was seen once: the other side has not been changed. */
static gboolean
look_at_secrets (Look *look, Db *db, GError **error)
{
  GError *local = NULL;
  g_autoptr (DbQuery) query = db_query (
      db,
      "SELECT s.peer, s.id, s.not_after_us, s.last_used_us, EXISTS (SELECT 1 FROM webhook_secret n"
      " WHERE n.peer = s.peer AND (n.not_after_us = 0 OR n.not_after_us > s.not_after_us)"
      " AND (n.last_used_us > 0 OR s.peer LIKE 'vendor:%')) FROM webhook_secret s"
      " WHERE s.not_after_us = 0 OR s.not_after_us > ?",
      "i", look->now_us);
  while (db_next (query, &local))
    {
      const char *peer = db_get_text (query, 0), *id = db_get_text (query, 1);
      gint64 end_us = db_get_int (query, 2);
      g_autofree char *key = g_strconcat (peer, " ", id, NULL);
      add (look, FAMILY_SECRET_ENDS, key, (double)end_us / G_USEC_PER_SEC);
      add (look, FAMILY_SECRET_USED, key, (double)db_get_int (query, 3) / G_USEC_PER_SEC);
      if (end_us == 0 || end_us > look->now_us + SECRET_WARN_US || db_get_int (query, 4) != 0)
        continue;
      g_autofree char *end = clock_dup_rfc3339 (end_us);
      alarm_about (look, "secret", id, "a secret ends at %s and its successor was never used peer=%s key=%s",
                   end, peer, id);
    }
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, local);
  return FALSE;
}

static gboolean
look_at_reconciliations (Look *look, Db *db, GError **error)
{
  for (gint64 is_from_provider = 0; is_from_provider < 2; is_from_provider++)
    {
      const char *scope = is_from_provider != 0 ? "provider" : "store";
      gboolean is_found;
      g_autoptr (DbQuery) query
          = db_query (db,
                      "SELECT ended_us, differences FROM reconciliation WHERE is_from_provider >= ?"
                      " ORDER BY started_us DESC LIMIT 1",
                      "i", is_from_provider);
      if (!turn_find (query, &is_found, error))
        return FALSE;
      add (look, FAMILY_RECONCILED, scope, is_found ? (double)db_get_int (query, 0) / G_USEC_PER_SEC : 0);
      add (look, FAMILY_DIFFERENCES, scope, is_found ? (double)db_get_int (query, 1) : 0);
      if (is_from_provider == 0 && is_found && db_get_int (query, 1) > 0)
        alarm_about (look, "reconcile", "", "the last comparison found %" G_GINT64_FORMAT " differences",
                     db_get_int (query, 1));
    }
  Restored restored;
  if (!restored_read (db, &restored, error))
    return FALSE;
  add (look, FAMILY_SALES_OPEN, NULL, restored.is_open);
  add (look, FAMILY_EPOCH, NULL, (double)restored.epoch);
  if (!restored.is_open)
    alarm_about (look, "restored", "", "sales are closed: %s", RESTORED_NOTE);
  return TRUE;
}

static gboolean
look_work (Db *db, gpointer data, GError **error)
{
  Look *look = data;
  look_reset (look);
  return look_at_orders (look, db, error) && look_at_refunds (look, db, error)
         && look_at_jobs (look, db, error) && look_at_unmatched (look, db, error)
         && look_at_pools (look, db, error) && look_at_secrets (look, db, error)
         && look_at_reconciliations (look, db, error);
}

static void
alarm_about_providers (Market *market)
{
  gint64 now_us = clock_get_monotonic_us (market->desk.clock);
  GHashTableIter iter;
  gpointer name, value;
  g_hash_table_iter_init (&iter, market->gauges->reach);
  while (g_hash_table_iter_next (&iter, &name, &value))
    {
      const Reach *reach = value;
      g_autofree char *key = g_strconcat ("provider ", name, NULL);
      if (reach->silent_since_us != 0 && now_us - reach->silent_since_us >= PROVIDER_WARN_US)
        alarms_say (market->alarms, key, "provider %s does not answer since %" G_GINT64_FORMAT " s",
                    (char *)name, (now_us - reach->silent_since_us) / G_USEC_PER_SEC);
    }
}

static void
look_done (gpointer data, const GError *error)
{
  Look *look = data;
  Market *market = look->market;
  Gauges *gauges = market->gauges;
  gauges->is_looking = FALSE;
  if (error != NULL || market->is_closing)
    {
      if (error != NULL)
        log_error ("market", "what metrics show could not be read: %s", error->message);
      look_free (look);
      return;
    }
  for (guint i = 0; i < look->alarms->len; i++)
    {
      const Alarm *alarm = &g_array_index (look->alarms, Alarm, i);
      alarms_say (market->alarms, alarm->key, "%s", alarm->text);
    }
  alarm_about_providers (market);
  look_free (gauges->seen);
  gauges->seen = look;
}

void
gauges_look (Market *market)
{
  if (market->gauges->is_looking) /* a long read is before us */
    return;
  market->gauges->is_looking = TRUE;
  store_read (market->server->store, STORE_MARKET, look_work, look_done, look_new (market));
}

/* What is counted as it happens. */

void
gauges_note_provider (Market *market, const Provider *provider, ProviderOutcome outcome)
{
  Reach *reach = g_hash_table_lookup (market->gauges->reach, provider->name);
  if (reach == NULL)
    {
      reach = g_new0 (Reach, 1);
      g_hash_table_insert (market->gauges->reach, g_strdup (provider->name), reach);
    }
  gboolean is_answer = outcome == PROVIDER_OK || outcome == PROVIDER_REFUSED || outcome == PROVIDER_CONFLICT;
  gint64 now_us = clock_get_monotonic_us (market->desk.clock);
  if (is_answer)
    {
      reach->answered_us = now_us;
      reach->answered_wall_us = clock_get_wall_us (market->desk.clock);
      reach->silent_since_us = 0;
      return;
    }
  reach->n_failures++;
  if (reach->silent_since_us == 0)
    reach->silent_since_us = now_us;
}

void
gauges_note_delivery (Market *market, const char *meaning)
{
  guint64 *n = g_hash_table_lookup (market->gauges->deliveries, meaning);
  if (n == NULL)
    {
      n = g_new0 (guint64, 1);
      g_hash_table_insert (market->gauges->deliveries, (gpointer)meaning, n);
    }
  (*n)++;
}

void
gauges_note_order (Market *market, OrderState state)
{
  if (state < G_N_ELEMENTS (market->gauges->n_shown))
    market->gauges->n_shown[state]++;
}

/* What is shown. */

static void
write_counters (GString *out, const Market *market)
{
  const Gauges *gauges = market->gauges;
  GHashTableIter iter;
  gpointer key, value;
  metrics_family (out, "stoa_order_changes_total", "counter",
                  "Orders that came to a state as clients see it.");
  for (guint i = 0; i < G_N_ELEMENTS (gauges->n_shown); i++)
    metrics_sample (out, "stoa_order_changes_total", "state", order_state_to_text ((OrderState)i),
                    (double)gauges->n_shown[i]);
  metrics_family (out, "stoa_callbacks_total", "counter", "Authentic deliveries by what they meant.");
  g_hash_table_iter_init (&iter, gauges->deliveries);
  while (g_hash_table_iter_next (&iter, &key, &value))
    metrics_sample (out, "stoa_callbacks_total", "outcome", key, (double)*(guint64 *)value);
  metrics_family (out, "stoa_callbacks_refused_total", "counter",
                  "Deliveries that were not authentic, or not even an envelope.");
  metrics_sample (out, "stoa_callbacks_refused_total", NULL, NULL, (double)market->n_refused_callbacks);
  metrics_family (out, "stoa_alarms_total", "counter", "Alarm lines in the log.");
  metrics_sample (out, "stoa_alarms_total", NULL, NULL, (double)alarms_get_count (market->alarms));
}

static void
write_providers (GString *out, const Market *market)
{
  GHashTableIter iter;
  gpointer name, value;
  metrics_family (out, "stoa_provider_up", "gauge", "Whether the provider answered when it was called last.");
  g_hash_table_iter_init (&iter, market->gauges->reach);
  while (g_hash_table_iter_next (&iter, &name, &value))
    metrics_sample (out, "stoa_provider_up", "provider", name, ((Reach *)value)->silent_since_us == 0);
  metrics_family (out, "stoa_provider_failures_total", "counter", "Calls of it without a proper answer.");
  g_hash_table_iter_init (&iter, market->gauges->reach);
  while (g_hash_table_iter_next (&iter, &name, &value))
    metrics_sample (out, "stoa_provider_failures_total", "provider", name,
                    (double)((Reach *)value)->n_failures);
}

static void
write_metrics (GString *out, gpointer data)
{
  const Market *market = data;
  const Look *seen = market->gauges->seen;
  write_counters (out, market);
  write_providers (out, market);
  for (guint i = 0; i < N_FAMILIES && seen != NULL; i++)
    {
      metrics_family (out, families[i].name, "gauge", families[i].help);
      for (guint k = 0; k < seen->samples[i]->len; k++)
        {
          const Sample *sample = &g_array_index (seen->samples[i], Sample, k);
          metrics_sample (out, families[i].name, families[i].label, sample->name, sample->value);
        }
    }
}

/* Messages and serials are served without a provider, so a silent one is told and takes nobody out of
 * service. */
static const char *
note_provider (gpointer data)
{
  const Market *market = data;
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, market->gauges->reach);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    if (((Reach *)value)->silent_since_us != 0)
      return "a billing provider does not answer";
  return NULL;
}

static json_t *
tell_providers (gpointer data)
{
  const Market *market = data;
  json_t *object = json_object ();
  for (guint i = 0; i < market->desk.providers->len; i++)
    {
      const Provider *provider = g_ptr_array_index (market->desk.providers, i);
      const Reach *reach = g_hash_table_lookup (market->gauges->reach, provider->name);
      json_object_set_new (object, provider->name,
                           json_pack ("{s:s, s:o}", "state",
                                      reach == NULL                 ? "not called yet"
                                      : reach->silent_since_us == 0 ? "answers"
                                                                    : "does not answer",
                                      "answered", row_time (reach != NULL ? reach->answered_wall_us : 0)));
    }
  return object;
}

void
gauges_init (Market *market)
{
  Gauges *gauges = market->gauges = g_new0 (Gauges, 1);
  gauges->deliveries = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, g_free);
  gauges->reach = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  metrics_add (market->server->metrics, write_metrics, market);
  http_add_ready_note (market->server->http, "provider", note_provider, market);
  controls_add_status (market->server->controls, "providers", tell_providers, market);
}

void
gauges_clear (Market *market)
{
  Gauges *gauges = market->gauges;
  look_free (gauges->seen);
  g_hash_table_unref (gauges->deliveries);
  g_hash_table_unref (gauges->reach);
  g_clear_pointer (&market->gauges, g_free);
}
