#include "host-server/market/operator/reconcile-walk.h"

#include "host-server/market/books/deliveries.h"
#include "host-server/market/books/money-json.h"
#include "host-server/market/books/purchases.h"

#include <string.h>

#define MAX_ATTEMPTS  4    /* of one question */
#define MAX_PAUSE_S   30   /* that a provider may ask for */
#define MAX_CONFIRMED 1000 /* checkouts that no list had and that are asked after one by one */

/* A report as it was lent, with what comes of it. */
typedef struct
{
  char *checkout, *order, *currency;
  gint64 amount_minor; /* that was asked for; 0: not said */
  GPtrArray *events;   /* of MoneyEvent */
} Report;

typedef struct
{
  const char *kind; /* static */
  char *subject, *what;
} Difference;

struct Walk
{
  Market *market;
  WalkCalls calls;
  gpointer data;
  gint64 since_us, started_us;
  WalkCount count;

  guint at;             /* the provider that is asked */
  char *after;          /* the next page; NULL: the first */
  gboolean is_listed;   /* there is no page left */
  gboolean is_searched; /* what no page had is in @missing */
  guint attempt;        /* of this question */
  gint64 asked_us;      /* monotonic */
  GSource *pause;       /* before the next question */
  gboolean is_stopped;  /* a read or write is under way, and ends it */

  GHashTable *strays; /* "payment pay_1" -> its state, of what is unmatched already */
  GArray *
      seen; /* of guint64: hashes of the checkouts of this provider; 8 bytes each are bearable for millions */
  GPtrArray *missing; /* of Report without events: ours, and in no page; the last is asked after next */

  GPtrArray *reports; /* of Report, on their way through the writer */
  GPtrArray *found;   /* of Difference, from there */
  gint64 n_applied;
};

static void ask (Walk *walk);

static void
report_free (gpointer data)
{
  Report *one = data;
  g_free (one->checkout);
  g_free (one->order);
  g_free (one->currency);
  if (one->events != NULL)
    g_ptr_array_unref (one->events);
  g_free (one);
}

static void
difference_free (gpointer data)
{
  Difference *difference = data;
  g_free (difference->subject);
  g_free (difference->what);
  g_free (difference);
}

static void
drop_pause (Walk *walk)
{
  if (walk->pause != NULL)
    g_source_destroy (walk->pause);
  g_clear_pointer (&walk->pause, g_source_unref);
}

static void
walk_free (Walk *walk)
{
  drop_pause (walk);
  g_free (walk->after);
  g_hash_table_unref (walk->strays);
  g_array_unref (walk->seen);
  g_ptr_array_unref (walk->missing);
  g_ptr_array_unref (walk->reports);
  g_ptr_array_unref (walk->found);
  g_free (walk);
}

static void
end_walk (Walk *walk, const char *fault)
{
  walk->market->walk = NULL;
  walk->calls.done (&walk->count, fault, walk->data);
  walk_free (walk);
}

static Provider *
peek_provider (const Walk *walk)
{
  return g_ptr_array_index (walk->market->desk.providers, walk->at);
}

/* SipHash would be keyed; here nobody chooses what collides, and a collision only hides one missing checkout.
 */
static guint64
hash_checkout (const char *checkout)
{
  guint64 hash = G_GUINT64_CONSTANT (14695981039346656037);
  for (const char *at = checkout; *at != '\0'; at++)
    hash = (hash ^ (guchar)*at) * G_GUINT64_CONSTANT (1099511628211);
  return hash;
}

static int
compare_hashes (gconstpointer a, gconstpointer b)
{
  guint64 one = *(const guint64 *)a, other = *(const guint64 *)b;
  return one < other ? -1 : one > other;
}

/* Inside the turn: one report against the ledger. */

G_GNUC_PRINTF (4, 5)
static void
note (Walk *walk, const char *kind, const char *subject, const char *format, ...)
{
  va_list args;
  va_start (args, format);
  Difference *difference = g_new0 (Difference, 1);
  difference->kind = kind;
  difference->subject = g_strdup (subject);
  difference->what = g_strdup_vprintf (format, args);
  va_end (args);
  g_ptr_array_add (walk->found, difference);
}

static const char *
get_id (const MoneyEvent *event)
{
  return event->refund != NULL ? event->refund : event->dispute != NULL ? event->dispute : event->payment;
}

static char *
dup_stray_key (const MoneyEvent *event)
{
  return g_strconcat (money_event_kind_to_text (event->kind), " ", get_id (event), NULL);
}

/* What cannot be applied waits for a person, once, whoever reported it first. */
static gboolean
keep (Turn *turn, Walk *walk, const Provider *provider, const MoneyEvent *event, const char *reason,
      GError **error)
{
  g_autofree char *key = dup_stray_key (event);
  if (g_hash_table_contains (walk->strays, key))
    return TRUE;
  g_autofree char *id = g_strconcat ("reconcile:", get_id (event), NULL);
  g_autofree char *text = money_event_dup_json (event);
  return books_keep_unmatched (turn, provider->name, id, reason, text, strlen (text), FALSE, error);
}

static gboolean
apply_event (Turn *turn, Walk *walk, const Provider *provider, const MoneyEvent *event, GError **error)
{
  BooksOutcome outcome;
  const char *reason;
  if (!books_apply (turn, provider, event, &(Evidence){ "reconcile" }, &outcome, &reason, error))
    return FALSE;
  if (outcome == BOOKS_NO_ORDER || outcome == BOOKS_MISMATCH)
    return keep (turn, walk, provider, event, reason, error);
  if (outcome != BOOKS_APPLIED)
    return TRUE;
  walk->n_applied++;
  note (walk, "applied", event->order != NULL ? event->order : get_id (event),
        "%s %s of %" G_GINT64_FORMAT " %s was missing in the ledger", money_event_kind_to_text (event->kind),
        get_id (event), event->amount_minor, event->currency != NULL ? event->currency : "");
  return TRUE;
}

/* A payment of an order that we do not have is nobody's matter once all of it went back. */
static gboolean
apply_strays (Turn *turn, Walk *walk, const Provider *provider, const Report *one, GError **error)
{
  gint64 held = 0;
  for (guint i = 0; i < one->events->len; i++)
    {
      const MoneyEvent *event = g_ptr_array_index (one->events, i);
      held += event->kind == MONEY_PAYMENT  ? event->amount_minor
              : event->kind == MONEY_REFUND ? -event->amount_minor
                                            : 0;
    }
  for (guint i = 0; i < one->events->len && held > 0; i++)
    {
      const MoneyEvent *event = g_ptr_array_index (one->events, i);
      if (event->kind == MONEY_PAYMENT && !apply_event (turn, walk, provider, event, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
has_event (const Report *one, const char *kind, const char *id, const char *payment)
{
  for (guint i = 0; i < one->events->len; i++)
    {
      const MoneyEvent *event = g_ptr_array_index (one->events, i);
      gboolean is_kind = g_str_equal (kind, money_event_kind_to_text (event->kind))
                         || (g_str_has_prefix (kind, "dispute") && event->dispute != NULL);
      /* A running total stands for every refund of its payment. */
      if (is_kind
          && g_str_equal (event->is_total ? event->payment : get_id (event), event->is_total ? payment : id))
        return TRUE;
    }
  return FALSE;
}

/* What the ledger has and the provider does not know. */
static gboolean
find_denied (Turn *turn, Walk *walk, const Report *one, GError **error)
{
  GError *local = NULL;
  g_autoptr (DbQuery) query = db_query (
      turn->db, "SELECT kind, id, amount_minor, payment FROM ledger WHERE purchase = ? ORDER BY seq", "s",
      one->order);
  while (db_next (query, &local))
    if (!has_event (one, db_get_text (query, 0), db_get_text (query, 1), db_get_text (query, 3)))
      note (walk, "denied", one->order, "the ledger has %s %s of %" G_GINT64_FORMAT ", the provider does not",
            db_get_text (query, 0), db_get_text (query, 1), db_get_int (query, 2));
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, local);
  return FALSE;
}

static gboolean
compare_report (Turn *turn, Walk *walk, const Provider *provider, const Report *one, GError **error)
{
  GError *local = NULL;
  g_autoptr (Purchase) purchase = purchase_load (turn->db, one->order, &local);
  if (local != NULL)
    {
      g_propagate_error (error, local);
      return FALSE;
    }
  if (purchase == NULL)
    return apply_strays (turn, walk, provider, one, error);
  for (guint i = 0; i < one->events->len; i++)
    if (!apply_event (turn, walk, provider, g_ptr_array_index (one->events, i), error))
      return FALSE;
  gboolean is_its = g_str_equal (purchase->provider, provider->name)
                    && (purchase->checkout == NULL || g_str_equal (purchase->checkout, one->checkout));
  gboolean is_same
      = one->amount_minor == 0
        || (one->amount_minor == purchase->price_minor && g_strcmp0 (one->currency, purchase->currency) == 0);
  if (is_its && !is_same)
    note (walk, "amount-differs", one->order,
          "we ask %" G_GINT64_FORMAT " %s, the provider %" G_GINT64_FORMAT " %s", purchase->price_minor,
          purchase->currency, one->amount_minor, one->currency);
  return !is_its || find_denied (turn, walk, one, error);
}

static gboolean
compare_work (Turn *turn, gpointer data, GError **error)
{
  Walk *walk = data;
  const Provider *provider = peek_provider (walk);
  g_ptr_array_set_size (walk->found, 0);
  walk->n_applied = 0;
  for (guint i = 0; i < walk->reports->len; i++)
    if (!compare_report (turn, walk, provider, g_ptr_array_index (walk->reports, i), error))
      return FALSE;
  return TRUE;
}

/* On the main context: question after question. */

static gboolean
pause_over (gpointer data)
{
  Walk *walk = data;
  drop_pause (walk);
  ask (walk);
  return G_SOURCE_REMOVE;
}

static void
ask_after (Walk *walk, gint64 pause_us)
{
  walk->pause = g_timeout_source_new ((guint)(pause_us / 1000));
  g_source_set_callback (walk->pause, pause_over, walk, NULL);
  g_source_attach (walk->pause, g_main_context_get_thread_default ());
}

static void
compare_done (Market *market, gpointer data, const GError *error)
{
  Walk *walk = data;
  if (error != NULL || walk->is_stopped)
    {
      g_autofree char *fault
          = error != NULL ? g_strdup_printf ("what the provider said could not be stored: %s", error->message)
                          : g_strdup ("the server stops");
      end_walk (walk, fault);
      return;
    }
  for (guint i = 0; i < walk->found->len; i++)
    {
      const Difference *difference = g_ptr_array_index (walk->found, i);
      walk->calls.found (difference->kind, difference->subject, difference->what, walk->data);
    }
  for (guint i = 0; i < walk->reports->len; i++)
    {
      guint64 hash = hash_checkout (((Report *)g_ptr_array_index (walk->reports, i))->checkout);
      g_array_append_val (walk->seen, hash);
    }
  walk->count.checkouts += walk->reports->len;
  walk->count.applied += walk->n_applied;
  walk->calls.told (&walk->count, walk->data);
  g_ptr_array_set_size (walk->reports, 0);
  walk->attempt = 0;
  ask_after (walk, clock_get_monotonic_us (market->desk.clock) - walk->asked_us);
}

static gpointer
copy_event (gconstpointer event, gpointer unused)
{
  return money_event_copy (event);
}

static void
take_report (Walk *walk, const ProviderReport *said)
{
  const GPtrArray *events = said->events;
  Report *one = g_new0 (Report, 1);
  one->checkout = g_strdup (said->checkout);
  one->order = g_strdup (said->order);
  one->amount_minor = said->amount_minor;
  one->currency = g_strdup (said->currency);
  one->events
      = events != NULL ? g_ptr_array_copy ((GPtrArray *)events, copy_event, NULL) : g_ptr_array_new ();
  g_ptr_array_set_free_func (one->events, (GDestroyNotify)money_event_free);
  g_ptr_array_add (walk->reports, one);
}

/* TRUE if the question has no answer: it is asked again, or the walk ends. */
static gboolean
has_failed (Walk *walk, const ProviderReply *reply)
{
  if (reply->outcome == PROVIDER_OK)
    return FALSE;
  gboolean is_final = reply->outcome == PROVIDER_FAULT || reply->outcome == PROVIDER_REFUSED
                      || reply->outcome == PROVIDER_CONFLICT;
  if (!is_final && ++walk->attempt < MAX_ATTEMPTS && reply->retry_after_s <= MAX_PAUSE_S)
    {
      ask_after (walk, MAX (reply->retry_after_s, (gint64)1 << (walk->attempt - 1)) * G_USEC_PER_SEC);
      return TRUE;
    }
  g_autofree char *fault
      = g_strdup_printf ("provider '%s' does not answer: %s", peek_provider (walk)->name, reply->reason);
  end_walk (walk, fault);
  return TRUE;
}

static void
cancel_call (gpointer data)
{
  end_walk (data, "the server stops");
}

static void
begin_question (Walk *walk)
{
  walk->asked_us = clock_get_monotonic_us (walk->market->desk.clock);
  market_begin_call (walk->market, walk, cancel_call);
}

static void
end_question (Walk *walk, const ProviderReply *reply)
{
  market_end_call (walk->market, walk);
  gauges_note_provider (walk->market, peek_provider (walk), reply->outcome);
}

static void
got_page (const ProviderReply *reply, gpointer data)
{
  Walk *walk = data;
  end_question (walk, reply);
  if (has_failed (walk, reply))
    return;
  for (guint i = 0; reply->reports != NULL && i < reply->reports->len; i++)
    take_report (walk, g_ptr_array_index (reply->reports, i));
  g_free (walk->after);
  walk->after = g_strdup (reply->next);
  walk->is_listed = reply->next == NULL;
  market_write (walk->market, compare_work, compare_done, walk);
}

static void
got_checkout (const ProviderReply *reply, gpointer data)
{
  Walk *walk = data;
  end_question (walk, reply);
  if (reply->outcome != PROVIDER_REFUSED && has_failed (walk, reply))
    return;
  const Report *one = g_ptr_array_index (walk->missing, walk->missing->len - 1);
  if (reply->outcome == PROVIDER_REFUSED)
    {
      g_autofree char *what = g_strdup_printf ("provider '%s' does not know its checkout %s",
                                               peek_provider (walk)->name, one->checkout);
      walk->calls.found ("checkout-unknown", one->order, what, walk->data);
    }
  else
    {
      ProviderReport said = { .checkout = one->checkout,
                              .order = reply->order != NULL ? reply->order : one->order,
                              .events = reply->events,
                              .amount_minor = reply->amount_minor };
      g_strlcpy (said.currency, reply->currency != NULL ? reply->currency : "", sizeof said.currency);
      take_report (walk, &said);
    }
  g_ptr_array_set_size (walk->missing, (int)walk->missing->len - 1);
  market_write (walk->market, compare_work, compare_done, walk);
}

/* Our orders that no page had. Those that were made while we asked may be in none. */
static gboolean
missing_work (Db *db, gpointer data, GError **error)
{
  Walk *walk = data;
  GError *local = NULL;
  g_ptr_array_set_size (walk->missing, 0);
  g_array_sort (walk->seen, compare_hashes);
  g_autoptr (DbQuery) query = db_query (
      db,
      "SELECT id, checkout FROM purchase WHERE provider = ? AND checkout IS NOT NULL AND created_us >= ?"
      " AND created_us < ?",
      "sii", peek_provider (walk)->name, walk->since_us, walk->started_us);
  while (walk->missing->len < MAX_CONFIRMED && db_next (query, &local))
    {
      guint64 hash = hash_checkout (db_get_text (query, 1));
      if (g_array_binary_search (walk->seen, &hash, compare_hashes, NULL))
        continue;
      Report *one = g_new0 (Report, 1);
      one->order = db_dup_text (query, 0);
      one->checkout = db_dup_text (query, 1);
      g_ptr_array_add (walk->missing, one);
    }
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, local);
  return FALSE;
}

static gboolean
end_if_stopped (Walk *walk, const GError *error)
{
  if (error == NULL && !walk->is_stopped)
    return FALSE;
  end_walk (walk, error != NULL ? error->message : "the server stops");
  return TRUE;
}

static void
ask_for_missing (Walk *walk)
{
  Provider *provider = peek_provider (walk);
  if (walk->missing->len > 0)
    {
      const Report *one = g_ptr_array_index (walk->missing, walk->missing->len - 1);
      begin_question (walk);
      provider->type->get_checkout (provider, one->checkout, got_checkout, walk);
      return;
    }
  walk->at++;
  walk->is_listed = walk->is_searched = FALSE;
  g_clear_pointer (&walk->after, g_free);
  g_array_set_size (walk->seen, 0);
  ask (walk);
}

static void
missing_done (gpointer data, const GError *error)
{
  Walk *walk = data;
  walk->is_searched = TRUE;
  if (!end_if_stopped (walk, error))
    ask_for_missing (walk);
}

static void
note_stray (DeliveryRecord *record, gpointer data)
{
  Walk *walk = data;
  g_autoptr (MoneyEvent) event = delivery_read_event (&walk->market->desk, record, NULL);
  if (event != NULL && get_id (event) != NULL)
    g_hash_table_add (walk->strays, dup_stray_key (event));
}

static gboolean
strays_work (Db *db, gpointer data, GError **error)
{
  Walk *walk = data;
  g_hash_table_remove_all (walk->strays);
  return deliveries_list_unmatched (db, peek_provider (walk)->name, note_stray, walk, error);
}

static void
ask_for_page (Walk *walk)
{
  Provider *provider = peek_provider (walk);
  begin_question (walk);
  provider->type->list_checkouts (provider, walk->since_us, walk->after, got_page, walk);
}

static void
strays_done (gpointer data, const GError *error)
{
  Walk *walk = data;
  if (!end_if_stopped (walk, error))
    ask_for_page (walk);
}

/* The next question, or the end. */
static void
ask (Walk *walk)
{
  Store *store = walk->market->server->store;
  if (walk->at >= walk->market->desk.providers->len)
    end_walk (walk, NULL);
  else if (peek_provider (walk)->type->list_checkouts == NULL)
    {
      g_autofree char *fault
          = g_strdup_printf ("provider '%s' cannot list its checkouts", peek_provider (walk)->name);
      end_walk (walk, fault);
    }
  else if (!walk->is_listed && walk->after == NULL)
    store_read (store, STORE_MARKET, strays_work, strays_done, walk);
  else if (!walk->is_listed)
    ask_for_page (walk);
  else if (!walk->is_searched)
    store_read (store, STORE_MARKET, missing_work, missing_done, walk);
  else
    ask_for_missing (walk);
}

gboolean
walk_start (Market *market, gint64 since_us, const WalkCalls *calls, gpointer data)
{
  if (market->walk != NULL)
    return FALSE;
  Walk *walk = market->walk = g_new0 (Walk, 1);
  walk->market = market;
  walk->calls = *calls;
  walk->data = data;
  walk->since_us = since_us;
  walk->started_us = clock_get_wall_us (market->desk.clock);
  walk->strays = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  walk->seen = g_array_new (FALSE, FALSE, sizeof (guint64));
  walk->missing = g_ptr_array_new_with_free_func (report_free);
  walk->reports = g_ptr_array_new_with_free_func (report_free);
  walk->found = g_ptr_array_new_with_free_func (difference_free);
  ask (walk);
  return TRUE;
}

void
walk_stop (Market *market)
{
  Walk *walk = market->walk;
  if (walk == NULL)
    return;
  walk->is_stopped = TRUE;
  if (walk->pause != NULL)
    end_walk (walk, "the server stops");
}
