#include "host-client/core/plugin-process.h"

#include "common/base/log.h"
#include "host-client/core/plugin-broker.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONFINE_TIMEOUT_MS 10000
#define LOAD_EXTRA_MS      2000 /* beyond the call time-out: the object's libraries are read from disk */
#define MAX_TIMERS         16
#define MAX_RESOLVING      4
#define MAX_LOG_LINES      20 /* for one request, or in LOG_WINDOW_US without one */
#define LOG_WINDOW_US      (10 * G_USEC_PER_SEC)
#define NOTIFY_GAP_US      G_USEC_PER_SEC
#define WATCH_MS           5000
#define MAX_FRAMES_A_S     500 /* of its own accord, not in answer to us */

struct PluginProcess
{
  PluginHost *host;
  PluginPackage *package;
  PluginProcessEvents events;
  gpointer data;
  Launch *launch;
  PluginBroker *broker; /* NULL: no network */
  GCancellable *resolving;
  guint n_resolving;
  uid_t uid;

  Frame *load; /* until it is sent */
  char *jid;
  Secret *serial; /* to be masked in what the plugin says */

  guint32 open_call; /* 0: none */
  guint16 open_op;
  GSource *deadline;
  GSource *timers[MAX_TIMERS];

  char *folder;   /* its private one; NULL: none */
  GSource *watch; /* over the folder */
  gint64 second_us;
  guint frames_this_second;

  guint log_lines;
  gint64 log_since_us;
  gint64 notified_us;

  gboolean is_let_go;
  PluginEnd end; /* why we killed it; end_reason NULL: we did not */
  char *end_reason;
};

/* ---- what a plugin says ---- */

char *
plugin_text_clean (const char *text, gsize max, gboolean is_line, const Secret *serial)
{
  g_autofree char *cut = g_strndup (text, max);
  g_autofree char *valid = g_utf8_make_valid (cut, -1);
  g_autoptr (GString) clean = g_string_new (NULL);

  for (const char *p = valid; *p != '\0'; p = g_utf8_next_char (p))
    {
      gunichar c = g_utf8_get_char (p);

      if (c == '\n' || c == '\t')
        g_string_append_c (clean, is_line ? ' ' : (char)c);
      else if (!g_unichar_iscntrl (c) && c != 0x2028 && c != 0x2029 && !(c >= 0x202a && c <= 0x202e)
               && !(c >= 0x2066 && c <= 0x2069)) /* nor what turns the line's direction */
        g_string_append_unichar (clean, c);
    }
  if (serial != NULL && secret_get_length (serial) >= 4)
    g_string_replace (clean, secret_peek_text (serial), "…", 0);
  g_strstrip (clean->str);
  return g_strdup (clean->str);
}

static void
take_log (PluginProcess *process, guint32 level, const char *text)
{
  gint64 now_us = g_get_monotonic_time ();
  g_autofree char *line = NULL;

  if (process->open_call == 0 && now_us - process->log_since_us > LOG_WINDOW_US)
    {
      process->log_lines = 0;
      process->log_since_us = now_us;
    }
  if (process->log_lines++ >= MAX_LOG_LINES || process->events.log == NULL)
    return;
  line = plugin_text_clean (text, 500, TRUE, process->serial);
  process->events.log (process, level, line, process->data);
}

static void
take_notify (PluginProcess *process, const char *title, const char *text)
{
  gint64 now_us = g_get_monotonic_time ();
  g_autofree char *clean_title = NULL;
  g_autofree char *clean_text = NULL;

  if ((process->notified_us != 0 && now_us - process->notified_us < NOTIFY_GAP_US)
      || process->events.notify == NULL)
    return;
  process->notified_us = now_us;
  clean_title = plugin_text_clean (title, 200, TRUE, process->serial);
  clean_text = plugin_text_clean (text, 2000, FALSE, process->serial);
  process->events.notify (process, clean_title, clean_text, process->data);
}

/* ---- time ---- */

static GSource *
add_timeout (PluginProcess *process, guint ms, GSourceFunc function, gpointer data)
{
  GSource *source = g_timeout_source_new (ms);

  g_source_set_callback (source, function, data, NULL);
  g_source_attach (source, process->host->context);
  return source;
}

static void
clear_source (GSource **source)
{
  if (*source == NULL)
    return;
  g_source_destroy (*source);
  g_clear_pointer (source, g_source_unref);
}

static gboolean
on_deadline (gpointer data)
{
  PluginProcess *process = data;

  clear_source (&process->deadline);
  plugin_process_kill (process, PLUGIN_END_CRASHED, "did not answer in time and was stopped");
  return G_SOURCE_REMOVE;
}

static void
set_deadline (PluginProcess *process, guint ms)
{
  clear_source (&process->deadline);
  if (ms > 0)
    process->deadline = add_timeout (process, ms, on_deadline, process);
}

/* Whether its private folder holds no more than the descriptor asked for; if not it is killed. */
static gboolean
keeps_quota (PluginProcess *process)
{
  g_autofree char *reason = NULL;

  if (process->folder == NULL
      || plugin_host_is_within_quota (process->folder, process->package->descriptor->data_bytes))
    return TRUE;
  reason = g_strdup_printf ("keeps more in '%s' than its descriptor asked for, and was stopped",
                            process->folder);
  plugin_process_kill (process, PLUGIN_END_REFUSED, reason);
  return FALSE;
}

/* What it writes between calls, or in a long one. (The supervisor sees to processor time.) */
static gboolean
on_watch (gpointer data)
{
  (void)keeps_quota (data);
  return G_SOURCE_CONTINUE;
}

typedef struct
{
  PluginProcess *process;
  guint32 number;
} Timer;

static gboolean
on_timer (gpointer data)
{
  Timer *timer = data;
  PluginProcess *process = timer->process;
  g_autofree Frame *frame = g_new (Frame, 1);

  frame_begin (frame, FRAME_OP_TIMER, FRAME_EVENT, 0);
  frame_put_u32 (frame, timer->number);
  (void)launch_send (process->launch, frame);
  clear_source (&process->timers[timer->number]); /* frees the timer */
  return G_SOURCE_REMOVE;
}

static void
take_timer (PluginProcess *process, guint32 number, gint64 ms)
{
  Timer *timer;

  if (number >= MAX_TIMERS)
    return;
  clear_source (&process->timers[number]);
  if (ms < 0)
    return;
  timer = g_new0 (Timer, 1);
  timer->process = process;
  timer->number = number;
  process->timers[number] = g_timeout_source_new ((guint)MIN (ms, G_MAXINT));
  g_source_set_callback (process->timers[number], on_timer, timer, g_free);
  g_source_attach (process->timers[number], process->host->context);
}

/* ---- what a plugin asks ---- */

static void
answer_status (PluginProcess *process, const FrameHeader *asked, FrameStatus status, const char *reason)
{
  g_autofree Frame *frame = g_new (Frame, 1);

  frame_answer (frame, asked, status, reason);
  (void)launch_send (process->launch, frame);
}

typedef struct
{
  PluginProcess *process; /* valid while cancellable is not cancelled */
  GCancellable *cancellable;
  FrameHeader asked;
  guint32 family;
  char *host;
} Resolution;

static void
resolution_free (Resolution *resolution)
{
  g_object_unref (resolution->cancellable);
  g_free (resolution->host);
  g_free (resolution);
}

static void
on_resolved (GObject *source, GAsyncResult *result, gpointer data)
{
  Resolution *resolution = data;
  PluginProcess *process = resolution->process;
  g_autofree Frame *frame = g_new (Frame, 1);
  GList *addresses = g_resolver_lookup_by_name_with_flags_finish (G_RESOLVER (source), result, NULL);
  guint n = 0;

  if (!g_cancellable_is_cancelled (resolution->cancellable))
    {
      process->n_resolving--;
      frame_begin (frame, FRAME_OP_RESOLVE, FRAME_ANSWER, resolution->asked.call);
      for (GList *item = addresses; item != NULL && n < 16; item = item->next)
        {
          GInetAddress *address = item->data;

          if ((resolution->family == AF_INET && g_inet_address_get_family (address) != G_SOCKET_FAMILY_IPV4)
              || (resolution->family == AF_INET6
                  && g_inet_address_get_family (address) != G_SOCKET_FAMILY_IPV6)
              || !plugin_broker_hand_out (process->broker, resolution->host, address))
            continue;
          frame_put_bytes (frame, g_inet_address_to_bytes (address),
                           g_inet_address_get_native_size (address));
          n++;
        }
      if (n == 0)
        frame_answer (frame, &resolution->asked, FRAME_STATUS_FAILED,
                      "the name has no address that is granted");
      (void)launch_send (process->launch, frame);
    }
  g_resolver_free_addresses (addresses);
  resolution_free (resolution);
}

static void
take_resolve (PluginProcess *process, const FrameHeader *asked, const char *host, guint32 family)
{
  g_autoptr (GResolver) resolver = g_resolver_get_default ();
  Resolution *resolution;

  if (process->broker == NULL || !plugin_broker_is_granted (process->package->descriptor, host))
    {
      answer_status (process, asked, FRAME_STATUS_REFUSED, "the host is not granted");
      return;
    }
  if (process->n_resolving >= MAX_RESOLVING)
    {
      answer_status (process, asked, FRAME_STATUS_BUSY, NULL);
      return;
    }
  process->n_resolving++;
  resolution = g_new0 (Resolution, 1);
  resolution->process = process;
  resolution->cancellable = g_object_ref (process->resolving);
  resolution->asked = *asked;
  resolution->family = family;
  resolution->host = g_strdup (host);
  g_main_context_push_thread_default (process->host->context);
  g_resolver_lookup_by_name_with_flags_async (resolver, host, G_RESOLVER_NAME_LOOKUP_FLAGS_DEFAULT,
                                              process->resolving, on_resolved, resolution);
  g_main_context_pop_thread_default (process->host->context);
}

static void
take_store_get (PluginProcess *process, const FrameHeader *asked, const char *key)
{
  PluginStore *store = plugin_host_get_store (process->host);
  g_autofree Frame *frame = g_new (Frame, 1);
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) value = NULL;
  gsize length = 0;
  gconstpointer bytes = NULL;

  if (store != NULL)
    value = plugin_store_get (store, process->jid, process->package->info->id, key, &error);
  if (store == NULL || error != NULL)
    {
      answer_status (process, asked, FRAME_STATUS_FAILED, "the store cannot be read");
      return;
    }
  if (value != NULL)
    bytes = g_bytes_get_data (value, &length);
  frame_begin (frame, FRAME_OP_STORE_GET, FRAME_ANSWER, asked->call);
  frame_put_u32 (frame, value != NULL);
  frame_put_bytes (frame, bytes, length);
  (void)launch_send (process->launch, frame);
}

static void
take_store_put (PluginProcess *process, const FrameHeader *asked, FrameReader *reader)
{
  PluginStore *store = plugin_host_get_store (process->host);
  const char *key = frame_get_text (reader);
  gboolean is_kept = frame_get_u32 (reader) != 0;
  gsize length;
  const guint8 *bytes = frame_get_bytes (reader, &length);
  g_autoptr (GBytes) value = is_kept ? g_bytes_new (bytes, length) : NULL;
  PluginStoreResult result = PLUGIN_STORE_FAILED;
  g_autoptr (GError) error = NULL;

  if (store != NULL)
    result = plugin_store_put (store, process->jid, process->package->info->id, key, value,
                               process->package->descriptor->data_bytes, &error);
  if (error != NULL)
    log_warning ("plugin", "cannot keep a value plugin=%s: %s", process->package->info->id, error->message);
  switch (result)
    {
    case PLUGIN_STORE_KEPT:
      answer_status (process, asked, FRAME_STATUS_OK, NULL);
      break;
    case PLUGIN_STORE_FULL:
    case PLUGIN_STORE_BAD:
      answer_status (process, asked, FRAME_STATUS_REFUSED, "over the quota");
      break;
    case PLUGIN_STORE_FAILED:
      answer_status (process, asked, FRAME_STATUS_FAILED, "the store cannot be written");
      break;
    }
}

/* ---- frames ---- */

static void
take_answer (PluginProcess *process, const Frame *frame)
{
  FrameReader reader;

  if (process->open_call == 0 || frame->header.call != process->open_call
      || frame->header.op != process->open_op)
    {
      plugin_process_kill (process, PLUGIN_END_CRASHED, "answered what was not asked and was stopped");
      return;
    }
  process->open_call = 0;
  process->log_lines = 0;
  set_deadline (process, 0);
  if (!keeps_quota (process))
    return;
  frame_read (&reader, frame);
  if (frame->header.op == FRAME_OP_LOAD_PLUGIN)
    {
      gboolean is_fine = frame->header.status == FRAME_STATUS_OK;
      guint32 bits = is_fine ? frame_get_u32 (&reader) : 0;
      g_autofree char *reason = plugin_text_clean (
          is_fine || frame->header.length == 0 ? "" : frame_get_text (&reader), 500, TRUE, process->serial);

      if (is_fine)
        launch_set_phase (process->launch, FRAME_PHASE_SERVE);
      process->events.loaded (process, (FrameStatus)frame->header.status, reason,
                              (bits & FRAME_LOADED_NEEDS_SERIAL) != 0, process->data);
      return;
    }
  process->events.answered (process, frame, process->data);
}

/* A thread of the plugin wants its first thread: what comes from us is handled there. */
static void
send_back (PluginProcess *process)
{
  g_autofree Frame *frame = g_new (Frame, 1);

  frame_begin (frame, FRAME_OP_WAKE, FRAME_EVENT, 0);
  (void)launch_send (process->launch, frame);
}

/* What it sends costs us work, which its own limits do not count. */
static gboolean
is_flooding (PluginProcess *process)
{
  gint64 now_us = g_get_monotonic_time ();

  if (now_us - process->second_us >= G_USEC_PER_SEC)
    {
      process->second_us = now_us;
      process->frames_this_second = 0;
    }
  return ++process->frames_this_second > MAX_FRAMES_A_S;
}

static void
on_frame (Launch *launch, const Frame *frame, gpointer data)
{
  PluginProcess *process = data;
  FrameReader reader;
  const char *first;
  guint32 number;

  if (process->is_let_go || process->end_reason != NULL)
    return;
  if (frame->header.flags == FRAME_ANSWER)
    {
      take_answer (process, frame);
      return;
    }
  if (is_flooding (process))
    {
      plugin_process_kill (process, PLUGIN_END_CRASHED, "sent more than a plugin may and was stopped");
      return;
    }
  frame_read (&reader, frame);
  switch (frame->header.op)
    {
    case FRAME_OP_LOG:
      number = frame_get_u32 (&reader);
      take_log (process, number, frame_get_text (&reader));
      break;
    case FRAME_OP_NOTIFY:
      first = frame_get_text (&reader);
      take_notify (process, first, frame_get_text (&reader));
      break;
    case FRAME_OP_ADD_COMMAND:
      first = frame_get_text (&reader);
      if (process->events.command_added != NULL)
        process->events.command_added (process, first, frame_get_text (&reader), process->data);
      break;
    case FRAME_OP_SET_TIMER:
      number = frame_get_u32 (&reader);
      take_timer (process, number, frame_get_i64 (&reader));
      break;
    case FRAME_OP_WAKE:
      send_back (process);
      break;
    case FRAME_OP_RESOLVE:
      first = frame_get_text (&reader);
      take_resolve (process, &frame->header, first, frame_get_u32 (&reader));
      break;
    case FRAME_OP_STORE_GET:
      take_store_get (process, &frame->header, frame_get_text (&reader));
      break;
    case FRAME_OP_STORE_PUT:
      take_store_put (process, &frame->header, &reader);
      break;
    case FRAME_OP_WATCH_MESSAGES:
    case FRAME_OP_SEND_MESSAGE:
    case FRAME_OP_REQUEST_FUNCTION:
    case FRAME_OP_RUN_FUNCTION:
    case FRAME_OP_ASK_PURCHASE:
    case FRAME_OP_POLL_PURCHASE:
      if (process->events.asked != NULL)
        process->events.asked (process, frame, process->data);
      break;
    default: /* a row that is not a client plugin's */
      plugin_process_kill (process, PLUGIN_END_CRASHED, "sent what no plugin sends and was stopped");
      break;
    }
}

static void
on_ready (Launch *launch, const LaunchReady *ready, gpointer data)
{
  PluginProcess *process = data;

  if (process->is_let_go || process->end_reason != NULL)
    {
      if (ready->listener >= 0)
        close (ready->listener);
      return;
    }
  if (ready->listener >= 0)
    process->broker = plugin_broker_new (ready->listener, launch_get_pid (launch), launch_get_pidfd (launch),
                                         process->package->descriptor);
  if (process->folder != NULL)
    process->watch = add_timeout (process, WATCH_MS, on_watch, process);
  launch_set_phase (launch, FRAME_PHASE_LOAD);
  plugin_process_ask (process, process->load, process->package->descriptor->call_timeout_ms + LOAD_EXTRA_MS);
  secret_wipe (process->load, sizeof *process->load);
  g_clear_pointer (&process->load, g_free);
}

static void
on_strike (Launch *launch, const char *reason, gpointer data)
{
  PluginProcess *process = data;

  log_warning ("plugin", "plugin=%s %s", process->package->info->id, reason);
}

static void
clear_work (PluginProcess *process)
{
  set_deadline (process, 0);
  clear_source (&process->watch);
  for (guint i = 0; i < MAX_TIMERS; i++)
    clear_source (&process->timers[i]);
  g_cancellable_cancel (process->resolving);
  g_clear_pointer (&process->broker, plugin_broker_free);
}

static void
process_free (PluginProcess *process)
{
  clear_work (process);
  plugin_host_give_uid (process->host, process->uid);
  plugin_package_unref (process->package);
  g_object_unref (process->resolving);
  if (process->load != NULL)
    secret_wipe (process->load, sizeof *process->load);
  g_free (process->load);
  g_free (process->jid);
  g_free (process->folder);
  secret_free (process->serial);
  g_free (process->end_reason);
  g_free (process);
}

static char *
describe_end (const LaunchEnd *end)
{
  switch (end->kind)
    {
    case LAUNCH_ENDED_EXIT:
      return g_strdup_printf ("ended by itself (exit status %d)", end->code);
    case LAUNCH_ENDED_SIGNAL:
      if (end->code == SIGSYS)
        return g_strdup ("tried what plugins must not do and was stopped");
      return g_strdup_printf ("crashed (%s)", g_strsignal (end->code));
    default:
      return g_strdup (end->reason);
    }
}

static void
on_ended (Launch *launch, const LaunchEnd *end, gpointer data)
{
  PluginProcess *process = data;
  g_autofree char *reason = NULL;
  PluginEnd how = process->end;

  clear_work (process);
  if (!process->is_let_go)
    {
      if (process->end_reason != NULL)
        reason = g_steal_pointer (&process->end_reason);
      else
        {
          how = end->kind == LAUNCH_ENDED_REFUSED ? PLUGIN_END_REFUSED : PLUGIN_END_CRASHED;
          reason = describe_end (end);
        }
      process->events.ended (process, how, reason, process->data);
    }
  process_free (process);
}

/* ---- life ---- */

static Frame *
make_load (PluginPackage *package, const PluginAssignment *assignment)
{
  Frame *frame = g_new0 (Frame, 1);
  const char *jid = assignment->jid != NULL ? assignment->jid : "";
  const char *at = strchr (jid, '@');
  gsize length;
  gconstpointer text = g_bytes_get_data (package->text, &length);

  frame_begin (frame, FRAME_OP_LOAD_PLUGIN, FRAME_ASK, 0);
  frame_put_u32 (frame, assignment->is_to_run ? FRAME_LOAD_TO_RUN : FRAME_LOAD_TO_VERIFY);
  frame_put_text (frame, package->file);
  frame_put_bytes (frame, text, length);
  frame_put_text (frame, assignment->user);
  frame_put_text (frame, package->descriptor->sees_identity ? jid : "");
  frame_put_text (frame, at != NULL ? at + 1 : jid);
  frame_put_text (frame, assignment->serial != NULL ? secret_peek_text (assignment->serial) : "");
  frame_put_text (frame, g_get_language_names ()[0]);
  frame_put_i64 (frame, assignment->expires);
  return frame;
}

/* What may cross the channel is what the descriptor asks for: plugin.c starts nothing that asks for more than
 * the user agreed to. */
static unsigned
find_grants (const Descriptor *descriptor, gboolean may_connect)
{
  unsigned grants = may_connect ? FRAME_GRANT_CONNECT : 0;

  if (descriptor->messages != DESCRIPTOR_MESSAGES_NONE)
    grants |= FRAME_GRANT_SEE_MESSAGES;
  if (descriptor->messages == DESCRIPTOR_MESSAGES_SEND)
    grants |= FRAME_GRANT_SEND_MESSAGES;
  if (descriptor->calls_functions)
    grants |= FRAME_GRANT_FUNCTIONS;
  if (descriptor->asks_purchases)
    grants |= FRAME_GRANT_PURCHASES;
  return grants;
}

static const LaunchEvents launch_events = { on_ready, on_frame, on_strike, on_ended };

PluginProcess *
plugin_process_start (PluginHost *host, PluginPackage *package, const PluginAssignment *assignment,
                      const PluginProcessEvents *events, gpointer data, GError **error)
{
  const Descriptor *descriptor = package->descriptor;
  gboolean may_connect
      = assignment->is_to_run && descriptor->n_connect > 0 && plugin_broker_why_not () == NULL;
  g_autofree char *folder = NULL;
  g_autoptr (GError) failed = NULL;
  PluginProcess *process;
  LaunchSpec spec = {
    .kind = descriptor->kind == DESCRIPTOR_LEGACY ? "legacy" : "native",
    .profile = descriptor->has_threads ? LAUNCH_CLIENT_THREADS : LAUNCH_CLIENT,
    .read = (const char *const *)package->info->read_paths,
    .data_bytes = (gint64)descriptor->data_bytes,
    .memory_bytes = (gint64)descriptor->memory_bytes,
    .may_connect = may_connect,
    .grants = find_grants (descriptor, may_connect),
  };

  spec.uid = plugin_host_take_uid (host);
  if (assignment->is_to_run && descriptor->data_bytes > 0)
    {
      folder = plugin_host_make_data_folder (host, assignment->jid, descriptor->id, spec.uid, error);
      if (folder == NULL)
        {
          plugin_host_give_uid (host, spec.uid);
          return NULL;
        }
      spec.data = folder;
    }
  spec.sealed_object = plugin_package_open_object (package, error);
  if (spec.sealed_object < 0)
    {
      plugin_host_give_uid (host, spec.uid);
      return NULL;
    }

  process = g_new0 (PluginProcess, 1);
  process->host = host;
  process->package = plugin_package_ref (package);
  process->events = *events;
  process->data = data;
  process->resolving = g_cancellable_new ();
  process->uid = spec.uid;
  process->jid = g_strdup (assignment->jid);
  process->folder = g_strdup (folder);
  process->serial = assignment->serial != NULL ? secret_copy (assignment->serial) : NULL;
  process->load = make_load (package, assignment);
  process->launch = launcher_start (host->launcher, &spec, &launch_events, process, &failed);
  close (spec.sealed_object);
  if (process->launch == NULL)
    {
      g_set_error_literal (error, PLUGIN_ERROR, PLUGIN_ERROR_UNSUPPORTED, failed->message);
      process_free (process);
      return NULL;
    }
  set_deadline (process, CONFINE_TIMEOUT_MS);
  return process;
}

void
plugin_process_ask (PluginProcess *process, Frame *request, guint timeout_ms)
{
  g_return_if_fail (process->open_call == 0);

  process->open_call = launch_next_call (process->launch);
  process->open_op = request->header.op;
  process->log_lines = 0;
  request->header.call = process->open_call;
  set_deadline (process, timeout_ms);
  if (!launch_send (process->launch, request))
    plugin_process_kill (process, PLUGIN_END_CRASHED, "does not take requests and was stopped");
}

void
plugin_process_answer (PluginProcess *process, const Frame *frame)
{
  (void)launch_send (process->launch, frame);
}

void
plugin_process_kill (PluginProcess *process, PluginEnd end, const char *reason)
{
  if (process->end_reason != NULL || process->is_let_go)
    return;
  process->end = end;
  process->end_reason = g_strdup (reason);
  set_deadline (process, 0);
  launch_stop (process->launch, reason);
}

void
plugin_process_let_go (PluginProcess *process)
{
  process->is_let_go = TRUE;
  clear_work (process);
  launch_stop (process->launch, "no longer wanted");
}
