#include "host-server/core/service.h"
#include "host-server/market/books/crash.h"
#include "host-server/market/books/entitlements.h"
#include "host-server/market/books/issue.h"
#include "host-server/market/books/rejected.h"
#include "host-server/market/room.h"

#include <string.h>

/* protocol.md section 2. Who asked for the serials is told of changes until the session goes. That is kept in
 * memory: a session lives in this process and ends with it, and what a session was told is exact only where
 * the answers are made. So the common question, "is 42 still current?", costs one hash and no database. */

#define REPLACE_WAIT_MS 4500 /* `rejected` is answered within 5 s */

/* A user with sessions that listen. */
typedef struct
{
  char *account;
  gint64 ver;
  gint64 next_expiry_us; /* 0: nothing expires */
  char *unchanged;       /* the whole answer to who holds @ver */
  char ver_text[24];
  GPtrArray *sessions; /* of Listener */
} Listening;

typedef struct
{
  char *full_jid;
  Listening *user;
  gint64 ver; /* what the session holds */
} Listener;

struct Subscribers
{
  guint n_refs;
  Market *market;       /* NULL: the room is gone, but for pushes that are under way */
  GHashTable *users;    /* account -> Listening */
  GHashTable *sessions; /* full address -> Listener */
};

static void
listener_free (gpointer data)
{
  Listener *listener = data;
  g_free (listener->full_jid);
  g_free (listener);
}

static void
listening_free (gpointer data)
{
  Listening *user = data;
  g_free (user->account);
  g_free (user->unchanged);
  g_ptr_array_unref (user->sessions);
  g_free (user);
}

/* A push that is under way may outlive the room. */
static void
subscribers_unref (Subscribers *subscribers)
{
  if (--subscribers->n_refs > 0)
    return;
  g_hash_table_unref (subscribers->sessions);
  g_hash_table_unref (subscribers->users);
  g_free (subscribers);
}

static void
drop (Subscribers *subscribers, const char *full_jid)
{
  Listener *listener = g_hash_table_lookup (subscribers->sessions, full_jid);
  if (listener == NULL)
    return;
  Listening *user = listener->user;
  g_ptr_array_remove (user->sessions, listener);
  if (user->sessions->len == 0)
    g_hash_table_remove (subscribers->users, user->account);
  g_hash_table_remove (subscribers->sessions, full_jid);
}

static void
session_gone (const char *full_jid, gpointer data)
{
  Market *market = data;
  drop (market->subscribers, full_jid);
}

static Listening *
listen_to (Subscribers *subscribers, const char *account, const char *full_jid, Listener **listener)
{
  Listening *user = g_hash_table_lookup (subscribers->users, account);
  *listener = g_hash_table_lookup (subscribers->sessions, full_jid);
  if (*listener != NULL && (*listener)->user == user)
    return user;

  drop (subscribers, full_jid); /* a name that was registered anew */
  user = g_hash_table_lookup (subscribers->users, account);
  if (user == NULL)
    {
      user = g_new0 (Listening, 1);
      user->account = g_strdup (account);
      user->ver = -1;
      user->sessions = g_ptr_array_new ();
      g_hash_table_insert (subscribers->users, user->account, user);
    }
  *listener = g_new0 (Listener, 1);
  (*listener)->full_jid = g_strdup (full_jid);
  (*listener)->user = user;
  g_ptr_array_add (user->sessions, *listener);
  g_hash_table_insert (subscribers->sessions, (*listener)->full_jid, *listener);
  return user;
}

static void
remember (Listening *user, gint64 ver, gint64 next_expiry_us)
{
  user->next_expiry_us = next_expiry_us;
  if (user->ver == ver && user->unchanged != NULL)
    return;
  user->ver = ver;
  g_snprintf (user->ver_text, sizeof user->ver_text, "%" G_GINT64_FORMAT, ver);
  g_autoptr (Serials) serials = serials_new (user->ver_text);
  serials->is_unchanged = TRUE;
  GString *xml = g_string_new (NULL);
  serials_write (serials, xml);
  g_free (user->unchanged);
  user->unchanged = g_string_free (xml, FALSE);
}

static void
wipe_string (GString *text)
{
  secret_wipe (text->str, text->len);
  g_string_free (text, TRUE);
}

/* Pushes. */

typedef struct
{
  Subscribers *subscribers;
  char *full_jid;
  char *account; /* NULL: no serial is in it */
  gint64 since, ver;
} Push;

static void
pushed (PushOutcome outcome, gpointer data)
{
  Push *push = data;
  crash_point (PUSH_ACKNOWLEDGED);
  if (outcome != PUSH_ACCEPTED)
    drop (push->subscribers, push->full_jid);
  else if (push->account != NULL && push->subscribers->market != NULL)
    receipts_note_push (push->subscribers->market, push->account, push->since, push->ver);
  subscribers_unref (push->subscribers);
  g_free (push->account);
  g_free (push->full_jid);
  g_free (push);
}

static Push *
push_to (Market *market, const Listener *listener, const char *payload)
{
  Push *push = g_new0 (Push, 1);
  push->subscribers = market->subscribers;
  push->subscribers->n_refs++;
  push->full_jid = g_strdup (listener->full_jid);
  services_push (market->server->services, push->full_jid, payload, pushed, push);
  crash_point (PUSH_SENT);
  return push; /* until the main loop turns */
}

static gboolean
has_serial (const Serials *serials)
{
  for (guint i = 0; i < serials->entries->len; i++)
    if (((const SerialEntry *)g_ptr_array_index (serials->entries, i))->serial != NULL)
      return TRUE;
  return FALSE;
}

gboolean
serials_has_listener (Market *market, const char *full_jid)
{
  return g_hash_table_contains (market->subscribers->sessions, full_jid);
}

/* Pushing may drop a listener from the list it stands in. */
static GPtrArray *
copy_sessions (const Listening *user)
{
  GPtrArray *copy = g_ptr_array_new_with_free_func (g_free);
  for (guint i = 0; i < user->sessions->len; i++)
    g_ptr_array_add (copy, g_strdup (((Listener *)g_ptr_array_index (user->sessions, i))->full_jid));
  return copy;
}

void
serials_push_order (Market *market, const OrderNote *note)
{
  Listening *user = g_hash_table_lookup (market->subscribers->users, note->account);
  if (user == NULL)
    return;
  g_autoptr (GString) xml = g_string_new (NULL);
  order_view_write (note->view, xml);
  g_autoptr (GPtrArray) sessions = copy_sessions (user);
  for (guint i = 0; i < sessions->len; i++)
    {
      const Listener *listener
          = g_hash_table_lookup (market->subscribers->sessions, g_ptr_array_index (sessions, i));
      if (listener != NULL)
        push_to (market, listener, xml->str);
    }
}

void
serials_push_changes (Market *market, const char *account)
{
  g_autofree char *key = g_strconcat ("serials:", account, NULL);
  Listening *user = g_hash_table_lookup (market->subscribers->users, account);
  g_autoptr (GPtrArray) sessions = user != NULL ? copy_sessions (user) : NULL;
  for (guint i = 0; sessions != NULL && i < sessions->len; i++)
    {
      Listener *listener
          = g_hash_table_lookup (market->subscribers->sessions, g_ptr_array_index (sessions, i));
      if (listener == NULL)
        continue;
      g_autoptr (GError) error = NULL;
      gint64 ver, next_expiry_us;
      g_autoptr (Serials) serials = entitlements_read (&market->desk, market_peek_reader (market), account,
                                                       listener->ver, &ver, &next_expiry_us, &error);
      if (serials == NULL)
        {
          log_error ("market", "the serials of account %s cannot be read: %s", account, error->message);
          break;
        }
      remember (listener->user, ver, next_expiry_us);
      if (ver == listener->ver)
        continue; /* told with an earlier change */
      serials->since = g_strdup_printf ("%" G_GINT64_FORMAT, listener->ver);
      GString *xml = g_string_new (NULL);
      serials_write (serials, xml);
      Push *push = push_to (market, listener, xml->str);
      push->account = has_serial (serials) ? g_strdup (account) : NULL;
      push->since = listener->ver;
      push->ver = ver;
      listener->ver = ver;
      wipe_string (xml);
    }
  waiters_wake (market, key);
}

/* The request. */

/* The value of `ver` in the start tag of an element that wire has found well-formed; NULL if it has none.
 * Escapes are left as they are: a version of ours has none. */
static const char *
find_ver (const StanzaChild *element, gsize *length)
{
  const char *end = element->start + element->length;
  for (const char *at = element->start; at < end && *at != '>';)
    {
      if (*at == '\'' || *at == '"')
        {
          const char *close = memchr (at + 1, *at, (gsize)(end - at - 1));
          if (close == NULL)
            return NULL;
          at = close + 1;
          continue;
        }
      if (g_ascii_isspace (*at) && end - at > 5 && memcmp (at + 1, "ver", 3) == 0)
        {
          const char *value = at + 4;
          while (value < end && g_ascii_isspace (*value))
            value++;
          if (value < end && *value == '=')
            {
              for (value++; value < end && g_ascii_isspace (*value);)
                value++;
              const char *close = value < end ? memchr (value + 1, *value, (gsize)(end - value - 1)) : NULL;
              if (close == NULL)
                return NULL;
              *length = (gsize)(close - value - 1);
              return value + 1;
            }
        }
      at++;
    }
  return NULL;
}

static gboolean
holds_current (const ServiceRequest *request, const Listening *user)
{
  const Stanza *stanza = service_request_get_stanza (request);
  const StanzaChild *element = stanza_find_child (stanza, "serials", NS_SERIALS);
  gsize length = 0;
  const char *ver = element != NULL ? find_ver (element, &length) : NULL;
  return ver != NULL && length == strlen (user->ver_text) && memcmp (ver, user->ver_text, length) == 0;
}

static void
answer (Market *market, ServiceRequest *request, Listener *listener)
{
  Listening *user = listener->user;
  g_autoptr (GError) error = NULL;
  gint64 ver, next_expiry_us;
  g_autoptr (Serials) serials = entitlements_read (&market->desk, market_peek_reader (market), user->account,
                                                   0, &ver, &next_expiry_us, &error);
  if (serials == NULL)
    {
      service_request_fail (request, "market", error);
      return;
    }
  remember (user, ver, next_expiry_us);
  listener->ver = ver;
  if (holds_current (request, user))
    {
      service_request_reply (request, user->unchanged);
      return;
    }
  GString *xml = g_string_new (NULL);
  serials_write (serials, xml);
  service_request_reply (request, xml->str);
  wipe_string (xml);
}

typedef struct
{
  ServiceRequest *request;
  char *account;
} Expiry;

static gboolean
expire_work (Turn *turn, gpointer data, GError **error)
{
  Expiry *expiry = data;
  return entitlements_expire (turn, expiry->account, error);
}

static void
expire_done (Market *market, gpointer data, const GError *error)
{
  Expiry *expiry = data;
  Listener *listener;
  if (error != NULL)
    service_request_fail (expiry->request, "market", error);
  else
    {
      listen_to (market->subscribers, expiry->account,
                 jid_get_full (service_request_get_sender (expiry->request)), &listener);
      answer (market, expiry->request, listener);
    }
  service_request_unref (expiry->request);
  g_free (expiry->account);
  g_free (expiry);
}

static void
handle_serials (ServiceRequest *request, gpointer data)
{
  Market *market = data;
  const char *account = service_request_get_account (request);
  Listener *listener;
  Listening *user = listen_to (market->subscribers, account,
                               jid_get_full (service_request_get_sender (request)), &listener);

  if (user->ver < 0)
    {
      /* When the next expiry is must be known before anything is said. */
      g_autoptr (GError) error = NULL;
      gint64 ver, next_expiry_us;
      g_autoptr (Serials) serials = entitlements_read (&market->desk, market_peek_reader (market), account,
                                                       G_MAXINT64, &ver, &next_expiry_us, &error);
      if (serials == NULL)
        {
          service_request_fail (request, "market", error);
          return;
        }
      remember (user, ver, next_expiry_us);
    }
  if (user->next_expiry_us != 0 && clock_get_wall_us (market->desk.clock) >= user->next_expiry_us)
    {
      Expiry *expiry = g_new (Expiry, 1);
      expiry->request = service_request_ref (request);
      expiry->account = g_strdup (account);
      market_write_step (market, DUE, expire_work, expire_done, expiry);
      return;
    }
  if (holds_current (request, user))
    {
      listener->ver = user->ver;
      service_request_reply (request, user->unchanged);
      return;
    }
  answer (market, request, listener);
}

/* `rejected`. */

typedef struct
{
  ServiceRequest *request;
  char *account;
  char *plugin;
  gint64 epoch;         /* of the refused serial as the client said; -1 */
  gint64 refused_epoch; /* as it was */
  gint64 until_us;      /* monotonic */
  RejectedOutcome outcome;
} Rejection;

static void
rejection_free (Rejection *rejection)
{
  service_request_unref (rejection->request);
  g_free (rejection->account);
  g_free (rejection->plugin);
  g_free (rejection);
}

static gboolean
reject_work (Turn *turn, gpointer data, GError **error)
{
  Rejection *rejection = data;
  GError *local = NULL;
  g_autoptr (Entitlement) before = entitlement_load (turn->db, rejection->account, rejection->plugin, &local);
  if (local != NULL)
    {
      g_propagate_error (error, local);
      return FALSE;
    }
  rejection->refused_epoch = before != NULL ? before->epoch : 0;
  return serial_reject (turn, rejection->account, rejection->plugin, rejection->epoch, &rejection->outcome,
                        error);
}

static void reject_waited (Market *market, gpointer data, gboolean is_timed_out);

/* Answers with what there is; waits on if the replacement is still being made. */
static void
reject_answer (Market *market, Rejection *rejection, gboolean is_timed_out)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SerialEntry) entry = entitlement_read_entry (&market->desk, market_peek_reader (market),
                                                          rejection->account, rejection->plugin, &error);
  gboolean is_active = entry != NULL && entry->state == SERIAL_ACTIVE && entry->serial != NULL;
  gboolean is_new
      = is_active && (rejection->outcome == REJECTED_CURRENT || entry->epoch > rejection->refused_epoch);
  gint64 left_ms = (rejection->until_us - clock_get_monotonic_us (market->desk.clock)) / 1000;

  if (error != NULL)
    service_request_fail (rejection->request, "market", error);
  else if (!is_active || rejection->outcome == REJECTED_REGISTRATION_NEEDED)
    service_request_reply (rejection->request, "<registration-needed xmlns='" NS_SERIALS "'/>");
  else if (is_new)
    {
      GString *xml = g_string_new (NULL);
      serial_entry_write (entry, xml);
      service_request_reply (rejection->request, xml->str);
      wipe_string (xml);
    }
  else if (is_timed_out || left_ms <= 0)
    service_request_refuse (rejection->request, STANZA_ERROR_RESOURCE_CONSTRAINT,
                            "the replacement comes as soon as it is there", NULL);
  else
    {
      g_autofree char *key = g_strconcat ("serials:", rejection->account, NULL);
      waiters_add (market, key, (guint)left_ms, reject_waited, rejection);
      return;
    }
  rejection_free (rejection);
}

static void
reject_waited (Market *market, gpointer data, gboolean is_timed_out)
{
  reject_answer (market, data, is_timed_out);
}

static void
reject_done (Market *market, gpointer data, const GError *error)
{
  Rejection *rejection = data;
  if (error != NULL)
    {
      service_request_fail (rejection->request, "market", error);
      rejection_free (rejection);
      return;
    }
  reject_answer (market, rejection, FALSE);
}

static void
handle_rejected (ServiceRequest *request, gpointer data)
{
  Market *market = data;
  g_autoptr (GError) error = NULL;
  g_auto (SerialRejected) rejected = { 0 };
  if (!serial_rejected_read (service_request_get_tree (request), &rejected, &error))
    {
      service_request_refuse (request, STANZA_ERROR_BAD_REQUEST, error->message, NULL);
      return;
    }
  Rejection *rejection = g_new0 (Rejection, 1);
  rejection->request = service_request_ref (request);
  rejection->account = g_strdup (service_request_get_account (request));
  rejection->plugin = g_strdup (rejected.plugin);
  rejection->epoch = rejected.epoch;
  rejection->until_us = clock_get_monotonic_us (market->desk.clock) + REPLACE_WAIT_MS * 1000;
  market_write_step (market, REJECT, reject_work, reject_done, rejection);
}

void
serials_init (Market *market)
{
  market->subscribers = g_new0 (Subscribers, 1);
  market->subscribers->n_refs = 1;
  market->subscribers->market = market;
  market->subscribers->users = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, listening_free);
  market->subscribers->sessions = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, listener_free);

  Services *services = market->server->services;
  services_add_feature (services, SERVICE_MARKET, NS_SERIALS);
  services_add (services, SERVICE_MARKET, STANZA_TYPE_GET, "serials", NS_SERIALS, SERVICE_TREE_FREE,
                handle_serials, market);
  services_add (services, SERVICE_MARKET, STANZA_TYPE_SET, "rejected", NS_SERIALS, SERVICE_DEFAULT,
                handle_rejected, market);
  services_add_gone (services, session_gone, market);
}

void
serials_clear (Market *market)
{
  if (market->subscribers != NULL)
    market->subscribers->market = NULL;
  g_clear_pointer (&market->subscribers, subscribers_unref);
}
