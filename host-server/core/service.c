#include "host-server/core/service.h"

#include "common/base/db.h"
#include "common/base/log.h"
#include "common/base/text.h"

#include <string.h>

/* A request's way: services_take() finds its lane; if that is free and nothing holds the session, the handler
 * runs at once on the lent stanza (nothing is copied unless the handler keeps the request). Otherwise a copy
 * waits in the lane. Answering frees the lane, and what waits goes on. */

typedef enum
{
  LANE_MESSENGER, /* D and the account */
  LANE_MARKET,
  N_LANES,
} Lane;

typedef struct
{
  ServiceRequest *running[N_LANES]; /* lent: answered later by their handlers */
  GQueue waiting[N_LANES];          /* of Waiting */
  guint n_waiting;
  gboolean is_reading_held;
} SessionRequests;

typedef struct
{
  Stanza *stanza;
  ServiceTarget target;
} Waiting;

typedef struct
{
  ServiceTarget target;
  StanzaType type;
  const char *element;
  const char *ns;
} Key;

typedef struct
{
  Key key;
  ServiceFlags flags;
  ServiceHandler handler;
  gpointer data;
} Service;

typedef struct
{
  char *id;
  char *full_jid;
  gint64 deadline_us; /* monotonic */
  PushDone done;
  gpointer data;
  GList *link; /* in Services.pushes */
} Push;

typedef struct
{
  ServicesGone gone;
  gpointer data;
} Gone;

struct Services
{
  gatomicrefcount refs; /* the owner's and one of each request */
  gboolean is_closed;
  SessionBook *book;
  const Jid *domain;
  const Jid *market;
  const Clock *clock;
  GMainContext *context;
  xmpp_ctx_t *strophe;
  GHashTable *table; /* Key -> Service */
  GPtrArray *features[N_SERVICE_TARGETS];
  GString *stream_features;
  gsize max_tree_bytes;
  guint max_waiting;

  GHashTable *pushes_by_id; /* id -> Push, which it owns */
  GQueue pushes;            /* the same in the order of their deadlines */
  GSource *push_timer;
  guint64 push_counter;
  GArray *gone; /* of Gone */
};

struct ServiceRequest
{
  guint refs;
  gboolean is_answered;
  Services *services;
  ServiceTarget target;
  Session *session;     /* NULL before login */
  const Stanza *stanza; /* lent by the stream while the handler runs; our copy once it is kept */
  gboolean owns_stanza;
  xmpp_stanza_t *tree; /* the whole IQ */

  char *address;
  ServicesReply reply;
  gpointer reply_data;
  GDestroyNotify free_reply_data;
};

/* ---- the table ---- */

static guint
key_hash (gconstpointer data)
{
  const Key *key = data;
  return g_str_hash (key->element) * 31 + g_str_hash (key->ns) * 7 + (guint)key->target * 3
         + (guint)key->type;
}

static gboolean
key_equal (gconstpointer a_data, gconstpointer b_data)
{
  const Key *a = a_data, *b = b_data;
  return a->target == b->target && a->type == b->type && strcmp (a->element, b->element) == 0
         && strcmp (a->ns, b->ns) == 0;
}

void
services_add (Services *services, ServiceTarget target, StanzaType type, const char *element, const char *ns,
              ServiceFlags flags, ServiceHandler handler, gpointer data)
{
  Service *service = g_new0 (Service, 1);
  service->key = (Key){ target, type, element, ns };
  service->flags = flags;
  service->handler = handler;
  service->data = data;
  gboolean is_new = g_hash_table_insert (services->table, &service->key, service);
  g_assert (is_new); /* two rooms want the same element */
}

static int
compare_texts (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

void
services_add_feature (Services *services, ServiceTarget target, const char *feature)
{
  GPtrArray *features = services->features[target];
  g_ptr_array_set_size (features, (int)features->len - 1); /* the NULL at the end */
  for (guint i = 0; i < features->len; i++)
    if (strcmp (g_ptr_array_index (features, i), feature) == 0)
      feature = NULL, i = features->len;
  if (feature != NULL)
    g_ptr_array_add (features, (gpointer)feature);
  g_ptr_array_sort (features, compare_texts);
  g_ptr_array_add (features, NULL);
}

const char *const *
services_get_features (const Services *services, ServiceTarget target)
{
  return (const char *const *)services->features[target]->pdata;
}

void
services_add_stream_feature (Services *services, const char *xml)
{
  g_string_append (services->stream_features, xml);
}

const char *
services_get_stream_features (const Services *services)
{
  return services->stream_features->str;
}

void
services_set_tree_limit (Services *services, gsize bytes)
{
  services->max_tree_bytes = bytes;
}

void
services_set_waiting_limit (Services *services, guint requests)
{
  services->max_waiting = requests;
}

/* ---- requests ---- */

static void services_unref (Services *services);

static ServiceRequest *
request_new (Services *services, ServiceTarget target, const Stanza *stanza)
{
  ServiceRequest *request = g_new0 (ServiceRequest, 1);
  request->refs = 1;
  g_atomic_ref_count_inc (&services->refs);
  request->services = services;
  request->target = target;
  request->stanza = stanza;
  return request;
}

ServiceRequest *
service_request_ref (ServiceRequest *request)
{
  request->refs++;
  if (!request->owns_stanza)
    {
      request->stanza = stanza_copy (request->stanza);
      request->owns_stanza = TRUE;
    }
  return request;
}

void
service_request_unref (ServiceRequest *request)
{
  if (request == NULL || --request->refs > 0)
    return;
  g_assert (request->is_answered); /* a handler gave back a request it never answered */
  if (request->tree != NULL)
    xmpp_stanza_release (request->tree);
  if (request->owns_stanza)
    stanza_free ((Stanza *)request->stanza);
  if (request->free_reply_data != NULL)
    request->free_reply_data (request->reply_data);
  g_clear_pointer (&request->session, session_unref);
  services_unref (request->services);
  g_free (request->address);
  g_free (request);
}

const Jid *
service_request_get_sender (const ServiceRequest *request)
{
  return request->session != NULL ? session_get_jid (request->session) : NULL;
}

const char *
service_request_get_account (const ServiceRequest *request)
{
  return request->session != NULL ? session_get_account (request->session) : NULL;
}

Session *
service_request_get_session (const ServiceRequest *request)
{
  return request->session;
}

const char *
service_request_get_address (const ServiceRequest *request)
{
  return request->address;
}

StanzaType
service_request_get_type (const ServiceRequest *request)
{
  return request->stanza->type;
}

const Stanza *
service_request_get_stanza (const ServiceRequest *request)
{
  return request->stanza;
}

xmpp_stanza_t *
service_request_get_tree (ServiceRequest *request)
{
  if (request->tree == NULL)
    {
      StanzaRoot root = { .with_xmlns = TRUE };
      g_autoptr (GString) xml = g_string_sized_new (request->stanza->payload_length + 256);
      stanza_write (request->stanza, &root, xml);
      request->tree = xmpp_stanza_new_from_string (request->services->strophe, xml->str);
      g_assert (request->tree != NULL); /* wire has read the same bytes */
    }
  xmpp_stanza_t *child = xmpp_stanza_get_children (request->tree);
  while (child != NULL && xmpp_stanza_is_text (child))
    child = xmpp_stanza_get_next (child);
  return child;
}

static SessionRequests *
peek_requests (Session *session)
{
  return session_get_slot (session, SESSION_SLOT_REQUESTS);
}

static Lane
lane_of (ServiceTarget target)
{
  return target == SERVICE_MARKET ? LANE_MARKET : LANE_MESSENGER;
}

static void
send_answer (ServiceRequest *request, const GString *xml)
{
  request->is_answered = TRUE;
  if (request->services->is_closed)
    return;
  if (request->session == NULL)
    {
      request->reply (xml->str, xml->len, request->reply_data);
      return;
    }
  if (!session_is_alive (request->session))
    return;
  session_send_xml (request->session, xml->str, xml->len);
  SessionRequests *requests = peek_requests (request->session);
  Lane lane = lane_of (request->target);
  if (requests != NULL && requests->running[lane] == request)
    {
      requests->running[lane] = NULL;
      services_resume (request->services, request->session);
    }
}

void
service_request_reply (ServiceRequest *request, const char *payload)
{
  const Stanza *stanza = request->stanza;
  g_assert (!request->is_answered);
  g_autoptr (GString) xml = g_string_sized_new (256);
  g_string_append (xml, "<iq type='result'");
  text_append_xml_attribute (xml, "id", stanza->id);
  text_append_xml_attribute (xml, "from", stanza->to != NULL ? jid_get_full (stanza->to) : NULL);
  text_append_xml_attribute (xml, "to", stanza->from != NULL ? jid_get_full (stanza->from) : NULL);
  if (payload != NULL)
    {
      g_string_append_c (xml, '>');
      g_string_append (xml, payload);
      g_string_append (xml, "</iq>");
    }
  else
    g_string_append (xml, "/>");
  send_answer (request, xml);
}

void
service_request_refuse_with (ServiceRequest *request, StanzaError error, const char *text,
                             const char *application, const char *payload)
{
  g_assert (!request->is_answered);
  g_autoptr (GString) xml = g_string_sized_new (256);
  stanza_write_error (request->stanza, error, text, application, xml);
  if (payload != NULL) /* behind the root's start tag, whose attributes hold no `<` */
    g_string_insert (xml, strstr (xml->str, "<error ") - xml->str, payload);
  send_answer (request, xml);
}

void
service_request_refuse (ServiceRequest *request, StanzaError error, const char *text, const char *application)
{
  service_request_refuse_with (request, error, text, application, NULL);
}

void
service_request_fail (ServiceRequest *request, const char *area, const GError *error)
{
  const Jid *sender = service_request_get_sender (request);
  log_error (area, "request failed sender=%s element=%s: %s", sender != NULL ? jid_get_full (sender) : "-",
             request->stanza->n_children > 0 ? request->stanza->children[0].name : "-",
             error != NULL ? error->message : "no reason given");
  gboolean is_stuck = g_error_matches (error, DB_ERROR, DB_ERROR_FULL)
                      || g_error_matches (error, DB_ERROR, DB_ERROR_READ_ONLY);
  service_request_refuse (
      request, STANZA_ERROR_INTERNAL_SERVER_ERROR,
      is_stuck ? "the server has no room to store anything; nothing was changed, please try again later"
               : NULL,
      NULL);
}

/* ---- from the stream to the handler ---- */

static gboolean
is_of_domain (const Services *services, const Jid *sender)
{
  return strcmp (jid_get_domain (sender), jid_get_domain (services->domain)) == 0;
}

/* Runs the handler, or refuses. Unless it is answered then, the handler has kept it. */
static void
run (Services *services, ServiceRequest *request)
{
  const Stanza *stanza = request->stanza;
  const Service *service = NULL;
  StanzaError error = STANZA_ERROR_SERVICE_UNAVAILABLE;
  const char *text = NULL;

  if (stanza->n_children != 1) /* RFC 6120 §8.2.3 */
    {
      error = STANZA_ERROR_BAD_REQUEST;
      text = "an IQ of type get or set has exactly one child";
    }
  else
    {
      Key key = { request->target, stanza->type, stanza->children[0].name, stanza->children[0].ns };
      service = g_hash_table_lookup (services->table, &key);
    }
  if (service != NULL && request->session == NULL && !(service->flags & SERVICE_BEFORE_LOGIN))
    {
      service = NULL;
      error = STANZA_ERROR_NOT_AUTHORIZED;
    }
  else if (service != NULL && request->session != NULL && request->target == SERVICE_MARKET
           && !(service->flags & SERVICE_OPEN)
           && !is_of_domain (services, session_get_jid (request->session)))
    {
      service = NULL;
      error = STANZA_ERROR_FORBIDDEN;
    }
  else if (service != NULL && !(service->flags & SERVICE_TREE_FREE) && services->max_tree_bytes > 0
           && stanza->payload_length > services->max_tree_bytes)
    {
      service = NULL;
      error = STANZA_ERROR_POLICY_VIOLATION;
      text = "the request is too large";
    }

  if (service != NULL)
    service->handler (request, service->data);
  else
    service_request_refuse (request, error, text, NULL);

  if (!request->is_answered && request->refs == 1)
    {
      log_error ("core", "a handler dropped its request element=%s", stanza->children[0].name);
      service_request_refuse (request, STANZA_ERROR_INTERNAL_SERVER_ERROR, NULL, NULL);
    }
}

static void
waiting_free (gpointer data)
{
  Waiting *waiting = data;
  stanza_free (waiting->stanza);
  g_free (waiting);
}

static void
requests_free (gpointer data)
{
  SessionRequests *requests = data;
  for (Lane lane = 0; lane < N_LANES; lane++)
    g_queue_clear_full (&requests->waiting[lane], waiting_free);
  g_free (requests);
}

static SessionRequests *
need_requests (Session *session)
{
  SessionRequests *requests = peek_requests (session);
  if (requests == NULL)
    {
      requests = g_new0 (SessionRequests, 1);
      session_set_slot (session, SESSION_SLOT_REQUESTS, requests, requests_free);
    }
  return requests;
}

static void
run_for_session (Services *services, Session *session, ServiceTarget target, const Stanza *stanza)
{
  ServiceRequest *request = request_new (services, target, stanza);
  request->session = session_ref (session);
  run (services, request);
  if (!request->is_answered && session_is_alive (session))
    need_requests (session)->running[lane_of (target)] = request;
  service_request_unref (request);
}

void
services_resume (Services *services, Session *session)
{
  SessionRequests *requests = peek_requests (session);
  if (requests == NULL || requests->n_waiting == 0)
    return;

  G_GNUC_UNUSED g_autoptr (Session) guard = session_ref (session);
  for (Lane lane = 0; lane < N_LANES; lane++)
    while (session_is_alive (session) && !session_is_held (session) && requests->running[lane] == NULL
           && !g_queue_is_empty (&requests->waiting[lane]))
      {
        Waiting *waiting = g_queue_pop_head (&requests->waiting[lane]);
        requests->n_waiting--;
        run_for_session (services, session, waiting->target, waiting->stanza);
        waiting_free (waiting);
        requests = peek_requests (session);
        if (requests == NULL)
          return;
      }
  if (requests->is_reading_held && requests->n_waiting <= services->max_waiting / 2
      && session_is_alive (session))
    {
      requests->is_reading_held = FALSE;
      session_hold_reading (session, FALSE);
    }
}

static void take_push_answer (Services *services, Session *sender, const Stanza *stanza);

void
services_take (Services *services, Session *sender, ServiceTarget target, const Stanza *stanza)
{
  if (stanza->type == STANZA_TYPE_RESULT || stanza->type == STANZA_TYPE_ERROR)
    {
      if (target == SERVICE_MARKET)
        take_push_answer (services, sender, stanza);
      return;
    }
  SessionRequests *requests = peek_requests (sender);
  Lane lane = lane_of (target);
  gboolean is_free
      = requests == NULL || (requests->running[lane] == NULL && g_queue_is_empty (&requests->waiting[lane]));
  if (is_free && !session_is_held (sender))
    {
      run_for_session (services, sender, target, stanza);
      return;
    }

  requests = need_requests (sender);
  Waiting *waiting = g_new (Waiting, 1);
  waiting->stanza = stanza_copy (stanza);
  waiting->target = target;
  g_queue_push_tail (&requests->waiting[lane], waiting);
  requests->n_waiting++;
  if (!requests->is_reading_held && requests->n_waiting >= services->max_waiting)
    {
      requests->is_reading_held = TRUE;
      session_hold_reading (sender, TRUE);
    }
}

void
services_take_before_login (Services *services, const char *address, const Stanza *stanza,
                            ServicesReply reply, gpointer data, GDestroyNotify free_data)
{
  ServiceRequest *request = request_new (services, SERVICE_DOMAIN, stanza);
  request->address = g_strdup (address);
  request->reply = reply;
  request->reply_data = data;
  request->free_reply_data = free_data;
  if (stanza->kind == STANZA_IQ && (stanza->type == STANZA_TYPE_GET || stanza->type == STANZA_TYPE_SET))
    run (services, request);
  else
    request->is_answered = TRUE; /* nothing that may be answered */
  service_request_unref (request);
}

/* ---- pushes ---- */

static void
push_free (gpointer data)
{
  Push *push = data;
  g_free (push->id);
  g_free (push->full_jid);
  g_free (push);
}

static void
push_end (Services *services, Push *push, PushOutcome outcome)
{
  PushDone done = push->done;
  gpointer data = push->data;
  g_queue_delete_link (&services->pushes, push->link);
  g_hash_table_remove (services->pushes_by_id, push->id);
  if (done != NULL)
    done (outcome, data);
}

static void
take_push_answer (Services *services, Session *sender, const Stanza *stanza)
{
  Push *push = stanza->id != NULL ? g_hash_table_lookup (services->pushes_by_id, stanza->id) : NULL;
  if (push == NULL || strcmp (push->full_jid, jid_get_full (session_get_jid (sender))) != 0)
    return;
  push_end (services, push, stanza->type == STANZA_TYPE_RESULT ? PUSH_ACCEPTED : PUSH_REFUSED);
}

static void arm_push_timer (Services *services);

static gboolean
expire_pushes (gpointer data)
{
  Services *services = data;
  g_clear_pointer (&services->push_timer, g_source_unref);
  gint64 now_us = clock_get_monotonic_us (services->clock);
  for (Push *push; (push = g_queue_peek_head (&services->pushes)) != NULL && push->deadline_us <= now_us;)
    push_end (services, push, push->full_jid[0] != '\0' ? PUSH_TIMED_OUT : PUSH_NO_SESSION);
  arm_push_timer (services);
  return G_SOURCE_REMOVE;
}

static void
arm_push_timer (Services *services)
{
  Push *push = g_queue_peek_head (&services->pushes);
  if (push == NULL || services->push_timer != NULL)
    return;
  gint64 wait_us = push->deadline_us - clock_get_monotonic_us (services->clock);
  services->push_timer = g_timeout_source_new (wait_us > 0 ? (guint)(wait_us / 1000) + 1 : 0);
  g_source_set_callback (services->push_timer, expire_pushes, services, NULL);
  g_source_attach (services->push_timer, services->context);
}

void
services_push (Services *services, const char *full_jid, const char *payload, PushDone done, gpointer data)
{
  Session *session = session_book_find (services->book, full_jid);
  Push *push = g_new0 (Push, 1);
  push->id = g_strdup_printf ("push-%" G_GUINT64_FORMAT, ++services->push_counter);
  push->full_jid = g_strdup (full_jid);
  push->done = done;
  push->data = data;
  push->deadline_us = clock_get_monotonic_us (services->clock);
  if (session != NULL)
    {
      push->deadline_us += (gint64)PUSH_TIMEOUT_S * G_USEC_PER_SEC;
      g_queue_push_tail (&services->pushes, push);
      push->link = g_queue_peek_tail_link (&services->pushes);
    }
  g_hash_table_insert (services->pushes_by_id, push->id, push);
  if (session == NULL)
    {
      /* Nobody there: told from the main loop, before any time-out. */
      g_queue_push_head (&services->pushes, push);
      push->link = g_queue_peek_head_link (&services->pushes);
      if (services->push_timer != NULL)
        {
          g_source_destroy (services->push_timer);
          g_clear_pointer (&services->push_timer, g_source_unref);
        }
      push->full_jid[0] = '\0'; /* no answer can be for it */
      arm_push_timer (services);
      return;
    }

  g_autoptr (GString) xml = g_string_sized_new (strlen (payload) + 256);
  g_string_append (xml, "<iq type='set'");
  text_append_xml_attribute (xml, "id", push->id);
  text_append_xml_attribute (xml, "from", jid_get_full (services->market));
  text_append_xml_attribute (xml, "to", full_jid);
  g_string_append_c (xml, '>');
  g_string_append (xml, payload);
  g_string_append (xml, "</iq>");
  arm_push_timer (services);
  session_send_xml (session, xml->str, xml->len);
}

void
services_add_gone (Services *services, ServicesGone gone, gpointer data)
{
  Gone entry = { gone, data };
  g_array_append_val (services->gone, entry);
}

static void
session_ended (Session *session, gpointer data)
{
  Services *services = data;
  const char *full_jid = jid_get_full (session_get_jid (session));
  for (GList *link = services->pushes.head; link != NULL;)
    {
      Push *push = link->data;
      link = link->next;
      if (strcmp (push->full_jid, full_jid) == 0)
        push_end (services, push, PUSH_NO_SESSION);
    }
  for (guint i = 0; i < services->gone->len; i++)
    {
      Gone *entry = &g_array_index (services->gone, Gone, i);
      entry->gone (full_jid, entry->data);
    }
}

/* ---- life ---- */

Services *
services_new (SessionBook *book, Hooks *hooks, const Jid *domain, const Jid *market, const Clock *clock)
{
  Services *services = g_new0 (Services, 1);
  g_atomic_ref_count_init (&services->refs);
  services->book = book;
  services->domain = domain;
  services->market = market;
  services->clock = clock;
  services->context = g_main_context_ref_thread_default ();
  services->strophe = xmpp_ctx_new (NULL, NULL);
  services->table = g_hash_table_new_full (key_hash, key_equal, NULL, g_free);
  for (ServiceTarget target = 0; target < N_SERVICE_TARGETS; target++)
    {
      services->features[target] = g_ptr_array_new ();
      g_ptr_array_add (services->features[target], NULL);
    }
  services->stream_features = g_string_new (NULL);
  services->max_tree_bytes = 128 * 1024;
  services->max_waiting = 64;
  services->pushes_by_id = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, push_free);
  services->gone = g_array_new (FALSE, FALSE, sizeof (Gone));
  hooks_add_session (hooks, HOOK_SESSION_ENDED, session_ended, services);
  return services;
}

static void
services_unref (Services *services)
{
  if (!g_atomic_ref_count_dec (&services->refs))
    return;
  xmpp_ctx_free (services->strophe);
  g_free (services);
}

void
services_free (Services *services)
{
  if (services == NULL)
    return;
  services->is_closed = TRUE;
  while (!g_queue_is_empty (&services->pushes))
    push_end (services, g_queue_peek_head (&services->pushes), PUSH_NO_SESSION);
  if (services->push_timer != NULL)
    g_source_destroy (services->push_timer);
  g_clear_pointer (&services->push_timer, g_source_unref);
  g_hash_table_unref (services->pushes_by_id);
  g_hash_table_unref (services->table);
  for (ServiceTarget target = 0; target < N_SERVICE_TARGETS; target++)
    g_ptr_array_unref (services->features[target]);
  g_string_free (services->stream_features, TRUE);
  g_array_unref (services->gone);
  g_main_context_unref (services->context);
  services_unref (services);
}
