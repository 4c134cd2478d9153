#include "host-server/market/books/books.h"
#include "host-server/market/books/entitlements.h"
#include "host-server/market/books/issue.h"
#include "host-server/market/room.h"

#define CLAIM_LIMIT 256
#define INBOX_KEEP_US                                                                                        \
  (G_GINT64_CONSTANT (90) * 86400 * G_USEC_PER_SEC) /* senders repeat an id for days, money.md */
#define CLOCK_SLACK_US (2 * G_USEC_PER_SEC)

/* What waits for a time: one timer for the earliest of it, and a look every sweep_s at everything, which also
 * raises the alarms. */

typedef struct
{
  char *purchase, *provider, *checkout;
} Poll;

typedef struct
{
  gboolean is_sweep;
  GArray *polls;     /* of Poll */
} Due;

static void
poll_clear (gpointer data)
{
  Poll *poll = data;
  g_free (poll->purchase);
  g_free (poll->provider);
  g_free (poll->checkout);
}

/* The next question is set at once, so that a crash or a slow answer neither doubles nor loses one. */
static gboolean
claim_polls (Turn *turn, GArray *polls, GError **error)
{
  const MarketSettings *settings = &turn->desk->settings;
  GError *local = NULL;
  g_autoptr (GArray) ends = g_array_new (FALSE, FALSE, sizeof (gint64));
  g_autoptr (GArray) counts = g_array_new (FALSE, FALSE, sizeof (gint64));
  {
    g_autoptr (DbQuery) query
        = db_query (turn->db,
                    "SELECT id, provider, checkout, expires_us, polls FROM purchase"
                    " WHERE poll_us > 0 AND poll_us <= ? AND checkout IS NOT NULL LIMIT ?",
                    "ii", turn->now_us, (gint64)CLAIM_LIMIT);
    while (db_next (query, &local))
      {
        Poll poll = { db_dup_text (query, 0), db_dup_text (query, 1), db_dup_text (query, 2) };
        gint64 end_us = db_get_int (query, 3) + settings->expiry_grace_us, n = db_get_int (query, 4) + 1;
        g_array_append_val (polls, poll);
        g_array_append_val (ends, end_us);
        g_array_append_val (counts, n);
      }
  }
  for (guint i = 0; i < polls->len && local == NULL; i++)
    {
      gint64 end_us = g_array_index (ends, gint64, i), n = g_array_index (counts, gint64, i);
      gint64 pause = settings_get_pause (settings->poll_us, settings->n_poll,
                                         (guint)MIN (n, (gint64)settings->n_poll - 1));
      gint64 next_us = turn->now_us + MAX (pause, 100 * 1000);
      /* One question falls on the moment at which the order may expire. */
      if (turn->now_us < end_us)
        next_us = MIN (next_us, end_us);
      turn_wake (turn, next_us);
      db_run (turn->db, &local,
              "UPDATE purchase SET poll_us = ?, polls = ?, version = version + 1 WHERE id = ?", "iis",
              next_us, n, g_array_index (polls, Poll, i).purchase);
    }
  if (local == NULL)
    {
      gboolean is_found;
      g_autoptr (DbQuery) query
          = db_query (turn->db, "SELECT MIN (poll_us) FROM purchase WHERE poll_us > 0", "");
      if (turn_find (query, &is_found, &local) && is_found && !db_is_null (query, 0))
        turn_wake (turn, db_get_int (query, 0));
    }
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, local);
  return FALSE;
}

static gboolean
purge (Turn *turn, GError **error)
{
  return db_run (turn->db, error, "DELETE FROM inbox WHERE received_us < ?", "i",
                 turn->now_us - INBOX_KEEP_US)
         && db_run (turn->db, error, "DELETE FROM unmatched WHERE state = 'matched' AND first_seen_us < ?",
                    "i", turn->now_us - turn->desk->settings.unmatched_keep_us);
}

static gboolean
due_work (Turn *turn, gpointer data, GError **error)
{
  Due *due = data;
  g_array_set_size (due->polls, 0);
  return jobs_claim_due (turn, CLAIM_LIMIT, error) && claim_polls (turn, due->polls, error)
         && books_retry_unmatched (turn, error) && entitlements_expire (turn, NULL, error)
         && issue_due_reissues (turn, error)
         && (!due->is_sweep || purge (turn, error));
}

static void
due_done (Market *market, gpointer data, const GError *error)
{
  Due *due = data;
  if (error != NULL)
    log_error ("market", "what is due could not be looked at: %s", error->message);
  for (guint i = 0; error == NULL && !market->is_closing && i < due->polls->len; i++)
    {
      const Poll *poll = &g_array_index (due->polls, Poll, i);
      payments_poll (market, poll->purchase, poll->provider, poll->checkout);
    }
  g_array_unref (due->polls);
  g_free (due);
}

static void
look (Market *market, gboolean is_sweep)
{
  Due *due = g_new0 (Due, 1);
  due->is_sweep = is_sweep;
  due->polls = g_array_new (FALSE, FALSE, sizeof (Poll));
  g_array_set_clear_func (due->polls, poll_clear);
  market_write_step (market, DUE, due_work, due_done, due);
}

void
sweep_due (Market *market)
{
  look (market, FALSE);
}

static gboolean
timer_fired (gpointer data)
{
  Market *market = data;
  g_clear_pointer (&market->timer, g_source_unref);
  market->timer_us = 0;
  sweep_due (market);
  return G_SOURCE_REMOVE;
}

static void
clear_timer (Market *market)
{
  if (market->timer != NULL)
    g_source_destroy (market->timer);
  g_clear_pointer (&market->timer, g_source_unref);
  market->timer_us = 0;
}

void
sweep_wake_at (Market *market, gint64 due_us)
{
  if (market->is_closing || (market->timer_us != 0 && market->timer_us <= due_us))
    return;
  clear_timer (market);
  gint64 wait_us = CLAMP (due_us - clock_get_wall_us (market->desk.clock), 0, market->desk.settings.sweep_us);
  market->timer_us = due_us;
  market->timer = g_timeout_source_new ((guint)(wait_us / 1000) + 1);
  g_source_set_callback (market->timer, timer_fired, market, NULL);
  g_source_attach (market->timer, g_main_context_get_thread_default ());
}

/* Terms and retries are kept in wall time. A clock that is set back gives nothing back that has expired, but
 * somebody must know. */
static void
watch_clock (Market *market)
{
  gint64 wall_us = clock_get_wall_us (market->desk.clock),
         monotonic_us = clock_get_monotonic_us (market->desk.clock);
  gint64 expected_us = market->seen_wall_us + (monotonic_us - market->seen_monotonic_us);
  if (market->seen_wall_us != 0 && wall_us < expected_us - CLOCK_SLACK_US)
    log_error ("market", "the clock was set back by %" G_GINT64_FORMAT " s",
               (expected_us - wall_us) / G_USEC_PER_SEC);
  market->seen_wall_us = wall_us;
  market->seen_monotonic_us = monotonic_us;
}

static gboolean
sweep_fired (gpointer data)
{
  watch_clock (data);
  rings_flush (data);
  look (data, TRUE);
  gauges_look (data);
  return G_SOURCE_CONTINUE;
}

void
sweep_init (Market *market)
{
  market->sweep = g_timeout_source_new ((guint)(market->desk.settings.sweep_us / 1000));
  g_source_set_callback (market->sweep, sweep_fired, market, NULL);
  g_source_attach (market->sweep, g_main_context_get_thread_default ());
  look (market, TRUE);
  gauges_look (market);
}

void
sweep_stop (Market *market)
{
  clear_timer (market);
  if (market->sweep != NULL)
    g_source_destroy (market->sweep);
  g_clear_pointer (&market->sweep, g_source_unref);
}
