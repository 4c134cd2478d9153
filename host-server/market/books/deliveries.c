#include "host-server/market/books/deliveries.h"

#include "host-server/market/books/money-json.h"

#include <openssl/sha.h>
#include <gio/gio.h>
#include <string.h>

void
delivery_record_free (DeliveryRecord *record)
{
  if (record == NULL)
    return;
  g_free (record->provider);
  g_free (record->webhook_id);
  g_free (record->kept);
  g_free (record->state);
  g_free (record->outcome);
  g_free (record->reason);
  g_free (record->note);
  g_free (record->refund);
  g_free (record->secret);
  g_free (record->headers);
  g_bytes_unref (record->body);
  g_free (record);
}

#define ARRIVED                                                                                              \
  "SELECT i.provider, i.webhook_id, u.id, u.state, i.outcome, u.reason, u.note, u.refund, i.secret,"         \
  " i.headers, i.body, i.received_us, COALESCE (u.closed_us, 0) FROM inbox i LEFT JOIN unmatched u"          \
  " ON u.provider = i.provider AND u.webhook_id = i.webhook_id "
#define FOUND                                                                                                \
  "SELECT u.provider, u.webhook_id, u.id, u.state, NULL, u.reason, u.note, u.refund, NULL, NULL, u.body,"    \
  " u.first_seen_us, u.closed_us FROM unmatched u WHERE NOT EXISTS (SELECT 1 FROM inbox i"                   \
  " WHERE i.provider = u.provider AND i.webhook_id = u.webhook_id) "

static DeliveryRecord *
read_row (DbQuery *query)
{
  DeliveryRecord *record = g_new0 (DeliveryRecord, 1);
  char **const texts[]
      = { &record->provider, &record->webhook_id, &record->kept,   &record->state,  &record->outcome,
          &record->reason,   &record->note,       &record->refund, &record->secret, &record->headers };
  for (gsize i = 0; i < G_N_ELEMENTS (texts); i++)
    *texts[i] = db_dup_text (query, (int)i);
  gsize length;
  const void *body = db_get_blob (query, 10, &length);
  record->body = g_bytes_new (body, length);
  record->received_us = db_get_int (query, 11);
  record->closed_us = db_get_int (query, 12);
  return record;
}

/* The first row; NULL without @error if there is none. */
static DeliveryRecord *
take_first (DbQuery *take_query, GError **error)
{
  g_autoptr (DbQuery) query = take_query;
  gboolean is_found;
  return turn_find (query, &is_found, error) && is_found ? read_row (query) : NULL;
}

static DeliveryRecord *
find_of_provider (Db *db, const char *provider, const char *webhook_id, GError **error)
{
  GError *local = NULL;
  DeliveryRecord *record = take_first (
      db_query (db, ARRIVED "WHERE i.provider = ? AND i.webhook_id = ?", "ss", provider, webhook_id), &local);
  if (record == NULL && local == NULL)
    record = take_first (
        db_query (db, FOUND "AND u.provider = ? AND u.webhook_id = ?", "ss", provider, webhook_id), &local);
  if (local != NULL)
    g_propagate_error (error, local);
  return record;
}

DeliveryRecord *
delivery_find (const Desk *desk, Db *db, const char *id, gboolean *is_ambiguous, GError **error)
{
  GError *local = NULL;
  *is_ambiguous = FALSE;
  g_autoptr (DeliveryRecord) found = take_first (db_query (db, ARRIVED "WHERE u.id = ?", "s", id), &local);
  if (found == NULL && local == NULL)
    found = take_first (db_query (db, FOUND "AND u.id = ?", "s", id), &local);
  const char *slash = strchr (id, '/');
  if (found == NULL && local == NULL && slash != NULL)
    {
      g_autofree char *provider = g_strndup (id, (gsize)(slash - id));
      found = find_of_provider (db, provider, slash + 1, &local);
    }
  /* By provider: that is what the index begins with. */
  for (guint i = 0; i < desk->providers->len && slash == NULL && local == NULL; i++)
    {
      const Provider *provider = g_ptr_array_index (desk->providers, i);
      g_autoptr (DeliveryRecord) one = find_of_provider (db, provider->name, id, &local);
      *is_ambiguous |= one != NULL && found != NULL;
      if (one != NULL && found == NULL)
        found = g_steal_pointer (&one);
    }
  if (local == NULL)
    return *is_ambiguous ? NULL : g_steal_pointer (&found);
  g_propagate_error (error, local);
  return NULL;
}

static gboolean
call_each (DbQuery *take_query, DeliveryFunc func, gpointer data, GError **error)
{
  g_autoptr (DbQuery) query = take_query;
  GError *local = NULL;
  while (db_next (query, &local))
    {
      g_autoptr (DeliveryRecord) record = read_row (query);
      func (record, data);
    }
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, local);
  return FALSE;
}

gboolean
deliveries_list (Db *db, const char *provider, gint64 since_us, const char *outcome, guint limit,
                 DeliveryFunc func, gpointer data, GError **error)
{
  return call_each (db_query (db,
                              ARRIVED "WHERE i.received_us >= ? AND i.provider = COALESCE (?, i.provider)"
                                      " AND (CAST (? AS TEXT) IS NULL OR i.outcome = ? OR u.state = ?)"
                                      " ORDER BY i.received_us DESC LIMIT ?",
                              "issssi", since_us, provider, outcome, outcome, outcome, (gint64)limit),
                    func, data, error)
         && call_each (db_query (db,
                                 FOUND "AND u.first_seen_us >= ? AND u.provider = COALESCE (?, u.provider)"
                                       " AND u.state = COALESCE (?, u.state)"
                                       " ORDER BY u.first_seen_us DESC LIMIT ?",
                                 "issi", since_us, provider, outcome, (gint64)limit),
                       func, data, error);
}

gboolean
deliveries_list_unmatched (Db *db, const char *provider, DeliveryFunc func, gpointer data, GError **error)
{
  return call_each (
      db_query (db,
                "SELECT u.provider, u.webhook_id, u.id, u.state, NULL, u.reason, u.note, u.refund, NULL,"
                " NULL, u.body, u.first_seen_us, u.closed_us FROM unmatched u WHERE u.provider = ?",
                "s", provider),
      func, data, error);
}

/* Those found when asking have our own form; no webhook-id has a colon. */
static gboolean
is_found_by_us (const DeliveryRecord *record)
{
  return strchr (record->webhook_id, ':') != NULL;
}

MoneyEvent *
delivery_read_event (const Desk *desk, const DeliveryRecord *record, GError **error)
{
  gsize length;
  const void *body = g_bytes_get_data (record->body, &length);
  if (is_found_by_us (record))
    return money_event_read_json (body, length, error);
  const Provider *provider = desk_find_provider (desk, record->provider);
  if (provider != NULL)
    return provider->type->read_event (body, length, error);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "its provider is not configured any more");
  return NULL;
}

void
delivery_replay_clear (DeliveryReplay *replay)
{
  g_clear_pointer (&replay->reason, g_free);
  g_clear_pointer (&replay->order, g_free);
  memset (replay, 0, sizeof *replay);
}

static gboolean
note_outcome (Turn *turn, const DeliveryRecord *record, BooksOutcome books, const char *reason,
              GError **error)
{
  gboolean is_settled = books == BOOKS_APPLIED || books == BOOKS_KNOWN;
  gboolean is_unmatched = books == BOOKS_NO_ORDER || books == BOOKS_MISMATCH;
  /* "applied" stays the word of the delivery that did it. */
  if (record->outcome != NULL && !(books == BOOKS_KNOWN && g_str_equal (record->outcome, "applied"))
      && !db_run (turn->db, error, "UPDATE inbox SET outcome = ? WHERE provider = ? AND webhook_id = ?",
                  "sss", books_outcome_to_text (books), record->provider, record->webhook_id))
    return FALSE;
  if (record->kept != NULL)
    return db_run (turn->db, error, "UPDATE unmatched SET state = ?, reason = ?, retry_us = 0 WHERE id = ?",
                   "sss", is_settled ? "matched" : "review", is_settled ? record->reason : reason,
                   record->kept);
  gsize length;
  const void *body = g_bytes_get_data (record->body, &length);
  return !is_unmatched
         || books_keep_unmatched (turn, record->provider, record->webhook_id, reason, body, length, FALSE,
                                  error);
}

gboolean
delivery_replay (Turn *turn, const DeliveryRecord *record, DeliveryReplay *replay, GError **error)
{
  delivery_replay_clear (replay);
  replay->is_closed = g_strcmp0 (record->state, "closed") == 0 || g_strcmp0 (record->state, "refunding") == 0;
  if (replay->is_closed)
    return TRUE;

  g_autoptr (GError) fault = NULL;
  g_autoptr (MoneyEvent) event = delivery_read_event (turn->desk, record, &fault);
  const Provider *provider = desk_find_provider (turn->desk, record->provider);
  if (event == NULL || provider == NULL)
    {
      replay->is_poison = TRUE;
      replay->reason = g_strdup (fault != NULL ? fault->message : "its provider is not configured any more");
      return TRUE;
    }
  replay->order = g_strdup (event->order);

  Evidence evidence = { "callback", record->webhook_id, NULL };
  if (g_str_has_prefix (record->webhook_id, "poll:"))
    evidence = (Evidence){ "poll" };
  else if (g_str_has_prefix (record->webhook_id, "reconcile:"))
    evidence = (Evidence){ "reconcile" };
  guint8 digest[EVIDENCE_DIGEST_BYTES];
  gsize length;
  const void *body = g_bytes_get_data (record->body, &length);
  if (evidence.webhook_id != NULL)
    evidence.digest = SHA256 (body, length, digest);
  const char *reason = "";
  if (!books_apply (turn, provider, event, &evidence, &replay->books, &reason, error))
    return FALSE;
  if (replay->books == BOOKS_NO_ORDER || replay->books == BOOKS_MISMATCH)
    replay->reason = g_strdup (reason);
  turn_log (turn, LOG_LEVEL_INFO, "delivery taken again by hand provider=%s id=%s: %s", record->provider,
            record->webhook_id, books_outcome_to_text (replay->books));
  return note_outcome (turn, record, replay->books, reason, error);
}

gboolean
delivery_close (Turn *turn, const char *kept, const char *note, gboolean *is_done, GError **error)
{
  if (!db_run (turn->db, error,
               "UPDATE unmatched SET state = 'closed', note = ?, closed_us = ?, retry_us = 0 WHERE id = ?"
               " AND state IN ('waiting', 'review')",
               "sis", note, turn->now_us, kept))
    return FALSE;
  *is_done = db_get_changes (turn->db) == 1;
  if (*is_done)
    turn_log (turn, LOG_LEVEL_INFO, "delivery closed by hand unmatched=%s: %s", kept, note);
  return TRUE;
}

gboolean
delivery_begin_refund (Turn *turn, const char *kept, const char *payment, gboolean *is_done, GError **error)
{
  if (!db_run (turn->db, error,
               "UPDATE unmatched SET state = 'refunding', refunded_payment = ?, retry_us = 0 WHERE id = ?"
               " AND state IN ('waiting', 'review', 'refunding')",
               "ss", payment, kept))
    return FALSE;
  *is_done = db_get_changes (turn->db) == 1;
  return TRUE;
}

gboolean
delivery_end_refund (Turn *turn, const char *kept, const char *refund, const char *note, GError **error)
{
  turn_log (turn, LOG_LEVEL_INFO, "unmatched payment %s unmatched=%s refund=%s: %s",
            refund != NULL ? "given back" : "not given back", kept, refund != NULL ? refund : "-", note);
  if (refund == NULL)
    return db_run (
        turn->db, error,
        "UPDATE unmatched SET state = 'review', note = ?, refunded_payment = NULL WHERE id = ? AND state ="
        " 'refunding'",
        "ss", note, kept);
  return db_run (turn->db, error,
                 "UPDATE unmatched SET state = 'closed', refund = ?, note = ?, closed_us = ? WHERE id = ?"
                 " AND state = 'refunding'",
                 "ssis", refund, note, turn->now_us, kept);
}

gboolean
delivery_find_stray_refund (Turn *turn, const Provider *provider, const MoneyEvent *event,
                            BooksOutcome *outcome, GError **error)
{
  if (event->kind != MONEY_REFUND)
    return TRUE;
  /* It went back whole, so every refund of that payment is ours. */
  gboolean is_found;
  g_autoptr (DbQuery) query
      = db_query (turn->db, "SELECT 1 FROM unmatched WHERE provider = ? AND refunded_payment = ?", "ss",
                  provider->name, event->payment);
  if (!turn_find (query, &is_found, error))
    return FALSE;
  if (is_found)
    *outcome = BOOKS_KNOWN;
  return TRUE;
}
