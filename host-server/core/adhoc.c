#include "host-server/core/adhoc.h"

#include "common/base/id.h"
#include "common/base/secret.h"
#include "common/base/text.h"
#include "host-server/core/session.h"

#include <stdarg.h>
#include <string.h>

#define NS_INFO    "http://jabber.org/protocol/disco#info"
#define NS_ITEMS   "http://jabber.org/protocol/disco#items"
#define KEY_BYTES  32
#define NAME_BYTES 16 /* of a session's random name, and of the tag behind it */

#define APPLICATION(condition) "<" condition " xmlns='" NS_COMMANDS "'/>"

typedef struct
{
  AdhocCommand command;
  gpointer data;
} Entry;

/* The commands of one address. */
typedef struct
{
  Adhoc *adhoc;
  ServiceTarget target;
  const Jid *address;
  GPtrArray *entries; /* of Entry */
} Board;

typedef struct
{
  guint n_refs; /* the list's and the running call's */
  char *id;
  char *bare;
  char *full_jid;
  const Entry *entry;
  GPtrArray *forms;  /* of Form: those asked so far, the last being filled in */
  gint64 touched_us; /* monotonic */
  gboolean is_running;
  GList *link; /* in Adhoc.idle_order; NULL: not listed */
} AdhocSession;

struct Adhoc
{
  Services *services;
  const Clock *clock;
  Board boards[N_SERVICE_TARGETS];
  Secret *key;          /* of the tags in session ids */
  GHashTable *sessions; /* id -> AdhocSession, listed ones */
  GQueue idle_order;    /* of AdhocSession: the one touched longest ago first */
  guint max_per_user, max_total;
  gint64 idle_us;
};

struct AdhocCall
{
  Adhoc *adhoc;
  ServiceRequest *request;
  AdhocSession *session;
  GString *notes;
  GString *payload;
  xmpp_stanza_t *preset; /* a submission that came with the first request; in the request's tree */
};

/* ---- sessions ---- */

static void
session_free_ref (AdhocSession *session)
{
  if (--session->n_refs > 0)
    return;
  g_free (session->id);
  g_free (session->bare);
  g_free (session->full_jid);
  g_ptr_array_unref (session->forms);
  g_free (session);
}

static void
unlist (Adhoc *adhoc, AdhocSession *session)
{
  if (session->link == NULL)
    return;
  g_queue_delete_link (&adhoc->idle_order, session->link);
  session->link = NULL;
  g_hash_table_remove (adhoc->sessions, session->id);
  session_free_ref (session);
}

/* What ties an id to us, to one address and to one command. */
static char *
make_tag (const Adhoc *adhoc, const char *name, const char *full_jid, const char *node)
{
  gsize key_length;
  const guint8 *key = secret_peek_bytes (adhoc->key, &key_length);
  g_autoptr (GHmac) hmac = g_hmac_new (G_CHECKSUM_SHA256, key, key_length);
  g_hmac_update (hmac, (const guchar *)name, (gssize)strlen (name) + 1);
  g_hmac_update (hmac, (const guchar *)node, (gssize)strlen (node) + 1);
  g_hmac_update (hmac, (const guchar *)full_jid, (gssize)strlen (full_jid));
  guint8 digest[32];
  gsize length = sizeof digest;
  g_hmac_get_digest (hmac, digest, &length);
  return text_to_base32 (digest, NAME_BYTES);
}

static AdhocSession *
session_new (Adhoc *adhoc, const Entry *entry, const Jid *sender)
{
  AdhocSession *session = g_new0 (AdhocSession, 1);
  g_autofree char *name = id_new_random (NAME_BYTES);
  g_autofree char *tag = make_tag (adhoc, name, jid_get_full (sender), entry->command.node);
  session->n_refs = 1;
  session->id = g_strconcat (name, ".", tag, NULL);
  session->bare = g_strdup (jid_get_bare (sender));
  session->full_jid = g_strdup (jid_get_full (sender));
  session->entry = entry;
  session->forms = g_ptr_array_new_with_free_func ((GDestroyNotify)form_free);
  return session;
}

static gboolean
is_ours (const Adhoc *adhoc, const char *id, const char *full_jid, const char *node)
{
  const char *dot = strchr (id, '.');
  if (dot == NULL)
    return FALSE;
  g_autofree char *name = g_strndup (id, (gsize)(dot - id));
  g_autofree char *tag = make_tag (adhoc, name, full_jid, node);
  return secret_equal_bytes (tag, strlen (tag), dot + 1, strlen (dot + 1));
}

static void
drop_idle (Adhoc *adhoc)
{
  gint64 now_us = clock_get_monotonic_us (adhoc->clock);
  for (GList *link = adhoc->idle_order.head; link != NULL;)
    {
      AdhocSession *session = link->data;
      link = link->next;
      if (now_us - session->touched_us < adhoc->idle_us)
        break;
      if (!session->is_running)
        unlist (adhoc, session);
    }
}

static void
touch (Adhoc *adhoc, AdhocSession *session)
{
  session->touched_us = clock_get_monotonic_us (adhoc->clock);
  g_queue_unlink (&adhoc->idle_order, session->link);
  g_queue_push_tail_link (&adhoc->idle_order, session->link);
}

/* Lets the user's oldest idle session go if there are too many. */
static void
make_room_for (Adhoc *adhoc, const char *bare)
{
  guint n_own = 0;
  AdhocSession *oldest = NULL;
  if (adhoc->max_per_user == 0)
    return;
  for (GList *link = adhoc->idle_order.head; link != NULL; link = link->next)
    {
      AdhocSession *session = link->data;
      if (strcmp (session->bare, bare) != 0)
        continue;
      n_own++;
      if (oldest == NULL && !session->is_running)
        oldest = session;
    }
  if (n_own >= adhoc->max_per_user && oldest != NULL)
    unlist (adhoc, oldest);
}

/* FALSE: there are too many sessions in all. */
static gboolean
list (Adhoc *adhoc, AdhocSession *session)
{
  if (session->link != NULL)
    {
      touch (adhoc, session);
      return TRUE;
    }
  make_room_for (adhoc, session->bare);
  if (adhoc->max_total > 0 && adhoc->idle_order.length >= adhoc->max_total)
    return FALSE;
  session->n_refs++;
  session->touched_us = clock_get_monotonic_us (adhoc->clock);
  g_queue_push_tail (&adhoc->idle_order, session);
  session->link = adhoc->idle_order.tail;
  g_hash_table_insert (adhoc->sessions, session->id, session);
  return TRUE;
}

static void
address_gone (const char *full_jid, gpointer data)
{
  Adhoc *adhoc = data;
  for (GList *link = adhoc->idle_order.head; link != NULL;)
    {
      AdhocSession *session = link->data;
      link = link->next;
      if (strcmp (session->full_jid, full_jid) == 0)
        unlist (adhoc, session);
    }
}

guint
adhoc_count_sessions (const Adhoc *adhoc)
{
  return adhoc->idle_order.length;
}

/* ---- the call ---- */

static AdhocCall *
call_new (Adhoc *adhoc, ServiceRequest *request, AdhocSession *session)
{
  AdhocCall *call = g_new0 (AdhocCall, 1);
  call->adhoc = adhoc;
  call->request = service_request_ref (request);
  call->session = session;
  session->n_refs++;
  session->is_running = TRUE;
  call->notes = g_string_new (NULL);
  call->payload = g_string_new (NULL);
  return call;
}

static void
call_free (AdhocCall *call)
{
  call->session->is_running = FALSE;
  session_free_ref (call->session);
  service_request_unref (call->request);
  secret_wipe (call->notes->str, call->notes->len);
  g_string_free (call->notes, TRUE);
  g_string_free (call->payload, TRUE);
  g_free (call);
}

const Jid *
adhoc_call_get_sender (const AdhocCall *call)
{
  return service_request_get_sender (call->request);
}

const char *
adhoc_call_get_account (const AdhocCall *call)
{
  return service_request_get_account (call->request);
}

const char *
adhoc_call_get_session (const AdhocCall *call)
{
  return call->session->id;
}

static const Form *
find_form (const AdhocCall *call, const char *var)
{
  const GPtrArray *forms = call->session->forms;
  for (guint i = forms->len; i > 0; i--)
    if (form_has (g_ptr_array_index (forms, i - 1), var))
      return g_ptr_array_index (forms, i - 1);
  return NULL;
}

const char *
adhoc_call_get (const AdhocCall *call, const char *var)
{
  const Form *form = find_form (call, var);
  return form != NULL ? form_get (form, var) : NULL;
}

gboolean
adhoc_call_get_bool (const AdhocCall *call, const char *var)
{
  const Form *form = find_form (call, var);
  return form != NULL && form_get_bool (form, var);
}

char *
adhoc_call_dup_lines (const AdhocCall *call, const char *var)
{
  const Form *form = find_form (call, var);
  return form != NULL ? form_dup_lines (form, var) : g_strdup ("");
}

void
adhoc_call_note (AdhocCall *call, AdhocNote type, const char *format, ...)
{
  static const char *const types[] = { "info", "warn", "error" };
  va_list args;
  va_start (args, format);
  g_autofree char *text = g_strdup_vprintf (format, args);
  va_end (args);
  g_string_append_printf (call->notes, "<note type='%s'>", types[type]);
  text_append_xml (call->notes, text);
  g_string_append (call->notes, "</note>");
}

void
adhoc_call_add_payload (AdhocCall *call, const char *xml)
{
  g_string_append (call->payload, xml);
}

/* Whether the form being filled in is the last one. */
static gboolean
is_last_form (const AdhocSession *session)
{
  guint next = session->forms->len;
  return next >= ADHOC_MAX_STAGES - 1 || session->entry->command.stages[next + 1] == NULL;
}

static void
append_actions (const AdhocSession *session, GString *xml)
{
  const char *forward = is_last_form (session) ? "complete" : "next";
  g_string_append_printf (xml, "<actions execute='%s'>%s<%s/></actions>", forward,
                          session->forms->len > 1 ? "<prev/>" : "", forward);
}

static void
reply (AdhocCall *call, const char *status, const Form *form, FormUse use)
{
  const AdhocSession *session = call->session;
  GString *xml = g_string_new ("<command xmlns='" NS_COMMANDS "' xml:lang='en'");
  text_append_xml_attribute (xml, "node", session->entry->command.node);
  text_append_xml_attribute (xml, "sessionid", session->id);
  text_append_xml_attribute (xml, "status", status);
  g_string_append_c (xml, '>');
  if (form != NULL && use == FORM_TO_FILL)
    append_actions (session, xml);
  g_string_append_len (xml, call->notes->str, (gssize)call->notes->len);
  if (form != NULL)
    form_write (form, use, xml);
  g_string_append_len (xml, call->payload->str, (gssize)call->payload->len);
  g_string_append (xml, "</command>");
  service_request_reply (call->request, xml->str);
  secret_wipe (xml->str, xml->len); /* serials may stand in it */
  g_string_free (xml, TRUE);
  call_free (call);
}

/* An error shows the command that it is about (section 3.7), by which clients find their session. */
static void
refuse_as (ServiceRequest *request, StanzaError error, const char *text, const char *application)
{
  xmpp_stanza_t *command = service_request_get_tree (request);
  g_autoptr (GString) xml = g_string_new ("<command xmlns='" NS_COMMANDS "'");
  text_append_xml_attribute (xml, "node", xmpp_stanza_get_attribute (command, "node"));
  text_append_xml_attribute (xml, "sessionid", xmpp_stanza_get_attribute (command, "sessionid"));
  text_append_xml_attribute (xml, "action", xmpp_stanza_get_attribute (command, "action"));
  g_string_append (xml, "/>");
  service_request_refuse_with (request, error, text, application, xml->str);
}

static void
refuse (ServiceRequest *request, const char *text, const char *application)
{
  refuse_as (request, STANZA_ERROR_BAD_REQUEST, text, application);
}

static void
refuse_payload (AdhocCall *call, const GError *error)
{
  refuse (call->request, error->message, APPLICATION ("bad-payload"));
  call_free (call);
}

static void
show_last_form (AdhocCall *call)
{
  AdhocSession *session = call->session;
  /* Who has gone meanwhile comes back with another session, if at all. */
  if (session_is_alive (service_request_get_session (call->request)) && !list (call->adhoc, session))
    {
      refuse_as (call->request, STANZA_ERROR_RESOURCE_CONSTRAINT,
                 "too many commands are open; try again later", NULL);
      call_free (call);
      return;
    }
  reply (call, "executing", g_ptr_array_index (session->forms, session->forms->len - 1), FORM_TO_FILL);
}

static void
run_stage (AdhocCall *call)
{
  const Entry *entry = call->session->entry;
  entry->command.stages[call->session->forms->len](call, entry->data);
}

void
adhoc_call_ask (AdhocCall *call, Form *take_form)
{
  AdhocSession *session = call->session;
  g_assert (session->forms->len < ADHOC_MAX_STAGES - 1
            && session->entry->command.stages[session->forms->len + 1] != NULL);
  g_ptr_array_add (session->forms, take_form);
  xmpp_stanza_t *preset = g_steal_pointer (&call->preset);
  g_autoptr (GError) error = NULL;
  if (preset == NULL)
    show_last_form (call);
  else if (form_fill (take_form, preset, &error))
    run_stage (call);
  else
    refuse_payload (call, error);
}

void
adhoc_call_ask_again (AdhocCall *call)
{
  g_assert (call->session->forms->len > 0);
  show_last_form (call);
}

void
adhoc_call_done (AdhocCall *call, Form *take_result)
{
  g_autoptr (Form) result = take_result;
  unlist (call->adhoc, call->session);
  reply (call, "completed", result, FORM_RESULT);
}

void
adhoc_call_fail (AdhocCall *call, const char *area, const GError *error)
{
  unlist (call->adhoc, call->session);
  service_request_fail (call->request, area, error);
  call_free (call);
}

/* ---- requests ---- */

typedef enum
{
  ACTION_EXECUTE,
  ACTION_NEXT,
  ACTION_COMPLETE,
  ACTION_PREV,
  ACTION_CANCEL,
  ACTION_UNKNOWN,
} Action;

static Action
read_action (const char *text)
{
  static const char *const actions[] = { "execute", "next", "complete", "prev", "cancel" };
  if (text == NULL)
    return ACTION_EXECUTE;
  Action action = ACTION_EXECUTE;
  while (action < ACTION_UNKNOWN && strcmp (actions[action], text) != 0)
    action++;
  return action;
}

/* What is said is said in English. The stream's language is a wish, and is answered in English; a language
 * that the command itself names is a condition (section 3.7).
 * COMPAT: libstrophe's trees have xml:lang under the name `lang`. */
static gboolean
speaks (const char *lang)
{
  return lang == NULL || lang[0] == '\0'
         || (g_ascii_strncasecmp (lang, "en", 2) == 0 && (lang[2] == '\0' || lang[2] == '-'));
}

static const Entry *
find_entry (const Board *board, const char *node)
{
  for (guint i = 0; i < board->entries->len; i++)
    {
      const Entry *entry = g_ptr_array_index (board->entries, i);
      if (strcmp (entry->command.node, node) == 0)
        return entry;
    }
  return NULL;
}

static gboolean
is_allowed (const Entry *entry, const ServiceRequest *request)
{
  return entry->command.is_allowed == NULL
         || entry->command.is_allowed (service_request_get_account (request), entry->data);
}

static void
begin (Adhoc *adhoc, ServiceRequest *request, const Entry *entry, xmpp_stanza_t *command)
{
  AdhocSession *session = session_new (adhoc, entry, service_request_get_sender (request));
  AdhocCall *call = call_new (adhoc, request, session);
  session_free_ref (session); /* the call's alone, until it asks something */
  call->preset = tree_find (command, "x", NS_FORM);
  run_stage (call);
}

static void
go_on (Adhoc *adhoc, ServiceRequest *request, AdhocSession *session, Action action, xmpp_stanza_t *command)
{
  gboolean is_last = is_last_form (session);
  if (action == ACTION_EXECUTE)
    action = is_last ? ACTION_COMPLETE : ACTION_NEXT;
  if ((action == ACTION_PREV && session->forms->len < 2) || (action == ACTION_NEXT && is_last)
      || (action == ACTION_COMPLETE && !is_last))
    {
      refuse (request, "this stage does not take that action", APPLICATION ("bad-action"));
      return;
    }
  touch (adhoc, session);
  AdhocCall *call = call_new (adhoc, request, session);
  if (action == ACTION_CANCEL)
    {
      unlist (adhoc, session);
      reply (call, "canceled", NULL, FORM_RESULT);
      return;
    }
  if (action == ACTION_PREV)
    {
      g_ptr_array_set_size (session->forms, (int)session->forms->len - 1);
      show_last_form (call);
      return;
    }
  g_autoptr (GError) error = NULL;
  Form *form = g_ptr_array_index (session->forms, session->forms->len - 1);
  if (form_fill (form, tree_find (command, "x", NS_FORM), &error))
    run_stage (call);
  else
    refuse_payload (call, error);
}

static void
handle_command (ServiceRequest *request, gpointer data)
{
  Board *board = data;
  Adhoc *adhoc = board->adhoc;
  xmpp_stanza_t *command = service_request_get_tree (request);
  const char *node = xmpp_stanza_get_attribute (command, "node");
  const char *id = xmpp_stanza_get_attribute (command, "sessionid");
  Action action = read_action (xmpp_stanza_get_attribute (command, "action"));
  const Entry *entry = node != NULL ? find_entry (board, node) : NULL;
  const char *full_jid = jid_get_full (service_request_get_sender (request));

  drop_idle (adhoc);
  AdhocSession *session = id != NULL ? g_hash_table_lookup (adhoc->sessions, id) : NULL;
  if (node == NULL)
    refuse (request, "<command/>: 'node' is missing", NULL);
  else if (entry == NULL)
    refuse_as (request, STANZA_ERROR_ITEM_NOT_FOUND, NULL, NULL);
  else if (!is_allowed (entry, request))
    refuse_as (request, STANZA_ERROR_FORBIDDEN, NULL, NULL);
  else if (!speaks (xmpp_stanza_get_attribute (command, "lang")))
    refuse (request, "commands are spoken in English", APPLICATION ("bad-locale"));
  else if (action == ACTION_UNKNOWN)
    refuse (request, "no such action", APPLICATION ("malformed-action"));
  else if (id == NULL && action == ACTION_EXECUTE)
    begin (adhoc, request, entry, command);
  else if (id == NULL || !is_ours (adhoc, id, full_jid, node))
    refuse (request, "no such session of this command", APPLICATION ("bad-sessionid"));
  else if (session == NULL || session->is_running)
    refuse_as (request, STANZA_ERROR_NOT_ALLOWED, "this session has ended", APPLICATION ("session-expired"));
  else
    go_on (adhoc, request, session, action, command);
}

/* ---- service discovery ---- */

static const char *
get_node (ServiceRequest *request)
{
  return xmpp_stanza_get_attribute (service_request_get_tree (request), "node");
}

static GString *
begin_query (const char *ns, const char *node)
{
  GString *xml = g_string_new ("<query");
  text_append_xml_attribute (xml, "xmlns", ns);
  text_append_xml_attribute (xml, "node", node);
  g_string_append_c (xml, '>');
  return xml;
}

static void
append_identity (GString *xml, const char *type, const char *name)
{
  g_string_append (xml, "<identity category='automation'");
  text_append_xml_attribute (xml, "type", type);
  text_append_xml_attribute (xml, "name", name);
  g_string_append (xml, "/><feature var='" NS_COMMANDS "'/>");
}

static void
append_items (const Board *board, const ServiceRequest *request, GString *xml)
{
  for (guint i = 0; i < board->entries->len; i++)
    {
      const Entry *entry = g_ptr_array_index (board->entries, i);
      if (!is_allowed (entry, request))
        continue;
      g_string_append (xml, "<item");
      text_append_xml_attribute (xml, "jid", jid_get_full (board->address));
      text_append_xml_attribute (xml, "node", entry->command.node);
      text_append_xml_attribute (xml, "name", entry->command.name);
      g_string_append (xml, "/>");
    }
}

static gboolean
answer (Adhoc *adhoc, ServiceTarget target, ServiceRequest *request, gboolean is_items)
{
  const Board *board = &adhoc->boards[target];
  const char *node = get_node (request);
  gboolean is_list = board->entries->len > 0 && g_strcmp0 (node, NS_COMMANDS) == 0;
  const Entry *entry = node != NULL ? find_entry (board, node) : NULL;
  if (!is_list && entry == NULL)
    return FALSE;
  if (!is_list && !is_allowed (entry, request))
    {
      service_request_refuse (request, STANZA_ERROR_FORBIDDEN, NULL, NULL);
      return TRUE;
    }
  g_autoptr (GString) xml = begin_query (is_items ? NS_ITEMS : NS_INFO, node);
  if (is_items && is_list)
    append_items (board, request, xml);
  if (!is_items)
    append_identity (xml, is_list ? "command-list" : "command-node",
                     is_list ? "Commands" : entry->command.name);
  if (!is_items && !is_list)
    g_string_append (xml, "<feature var='" NS_FORM "'/>");
  g_string_append (xml, "</query>");
  service_request_reply (request, xml->str);
  return TRUE;
}

gboolean
adhoc_answer_info (Adhoc *adhoc, ServiceTarget target, ServiceRequest *request)
{
  return answer (adhoc, target, request, FALSE);
}

gboolean
adhoc_answer_items (Adhoc *adhoc, ServiceTarget target, ServiceRequest *request)
{
  return answer (adhoc, target, request, TRUE);
}

/* ---- life ---- */

void
adhoc_add (Adhoc *adhoc, ServiceTarget target, const AdhocCommand *command, gpointer data)
{
  Board *board = &adhoc->boards[target];
  g_assert (board->address != NULL && command->stages[0] != NULL
            && find_entry (board, command->node) == NULL);
  if (board->entries->len == 0)
    {
      services_add (adhoc->services, target, STANZA_TYPE_SET, "command", NS_COMMANDS, SERVICE_DEFAULT,
                    handle_command, board);
      services_add_feature (adhoc->services, target, NS_COMMANDS);
      services_add_feature (adhoc->services, target, NS_FORM);
    }
  Entry *entry = g_new (Entry, 1);
  entry->command = *command;
  entry->data = data;
  g_ptr_array_add (board->entries, entry);
}

Adhoc *
adhoc_new (Services *services, const Jid *domain, const Jid *market, const Clock *clock)
{
  Adhoc *adhoc = g_new0 (Adhoc, 1);
  adhoc->services = services;
  adhoc->clock = clock;
  for (ServiceTarget target = 0; target < N_SERVICE_TARGETS; target++)
    adhoc->boards[target] = (Board){ adhoc, target, NULL, g_ptr_array_new_with_free_func (g_free) };
  adhoc->boards[SERVICE_DOMAIN].address = domain;
  adhoc->boards[SERVICE_MARKET].address = market;
  adhoc->key = secret_new_random (KEY_BYTES);
  adhoc->sessions = g_hash_table_new (g_str_hash, g_str_equal);
  adhoc_set_limits (adhoc, 10, 2000, G_GINT64_CONSTANT (600) * G_USEC_PER_SEC);
  services_add_gone (services, address_gone, adhoc);
  return adhoc;
}

void
adhoc_set_limits (Adhoc *adhoc, guint per_user, guint total, gint64 idle_us)
{
  adhoc->max_per_user = per_user;
  adhoc->max_total = total;
  adhoc->idle_us = idle_us;
}

void
adhoc_free (Adhoc *adhoc)
{
  if (adhoc == NULL)
    return;
  while (!g_queue_is_empty (&adhoc->idle_order))
    unlist (adhoc, g_queue_peek_head (&adhoc->idle_order));
  g_hash_table_unref (adhoc->sessions);
  secret_free (adhoc->key);
  for (ServiceTarget target = 0; target < N_SERVICE_TARGETS; target++)
    g_ptr_array_unref (adhoc->boards[target].entries);
  g_free (adhoc);
}
