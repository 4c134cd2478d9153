/* A Plugin is a small state machine over its process:
 *
 *   OFF --start--> STARTING: confined, loaded, then the phases init, check, start, each one request
 *   STARTING --every phase ok--> RUNNING; --a phase says no--> BAD_SERIAL, EXPIRED or REFUSED, and no process
 *   RUNNING: one command at a time, the others wait
 *   any --the process ends--> CRASHED (or REFUSED, if it could not be confined)
 *   RUNNING --stop--> the phase stop, then OFF
 *
 * Events and results are posted, never called from within a call of the user's. */
#include "host-client/core/plugin-broker.h"
#include "host-client/core/plugin-private.h"

#include "common/base/log.h"

#include <host/plugin.h>
#include <string.h>

#define MAX_COMMANDS    16
#define MAX_QUEUED      32
#define MAX_INPUT_BYTES (48 * 1024)
#define MAX_TEXT        65536

/* Something to tell the user of this object at the next turn of the loop. */
typedef struct
{
  PluginRequest *request; /* with @result and @text; NULL: @report */
  PluginResult result;
  char *text; /* the report's reason, or the result's text */
  PluginReport report;
} Post;

/* ---- telling the user ---- */

static void
request_free (PluginRequest *request)
{
  if (request == NULL)
    return;
  g_free (request->name);
  g_free (request->input);
  g_clear_pointer (&request->value, g_bytes_unref);
  g_free (request);
}

static void
post_free (Post *post)
{
  request_free (post->request);
  g_free (post->text);
  g_free (post);
}

static gboolean
deliver_posts (gpointer data)
{
  Plugin *plugin = data;
  Post *post = g_queue_pop_head (&plugin->posts);
  gboolean has_more = !g_queue_is_empty (&plugin->posts);

  if (!has_more)
    g_clear_pointer (&plugin->post_source, g_source_unref);
  if (post->request != NULL)
    post->request->callback (plugin, post->result, post->text, post->request->data);
  else if (plugin->events.state != NULL)
    {
      post->report.reason = post->text;
      plugin->events.state (plugin, &post->report, plugin->data);
    }
  post_free (post);
  return has_more ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static Post *
add_post (Plugin *plugin)
{
  Post *post = g_new0 (Post, 1);

  g_queue_push_tail (&plugin->posts, post);
  if (plugin->post_source == NULL)
    {
      plugin->post_source = g_idle_source_new ();
      g_source_set_priority (plugin->post_source, G_PRIORITY_DEFAULT);
      g_source_set_callback (plugin->post_source, deliver_posts, plugin, NULL);
      g_source_attach (plugin->post_source, plugin->host->context);
    }
  return post;
}

/* Takes @request. */
static void
post_result (Plugin *plugin, PluginRequest *request, PluginResult result, const char *text)
{
  Post *post;

  if (request->callback == NULL) /* nobody asked */
    {
      request_free (request);
      return;
    }
  post = add_post (plugin);
  post->request = request;
  post->result = result;
  post->text = plugin_text_clean (text, MAX_TEXT, FALSE, plugin->serial);
}

static void
report (Plugin *plugin, PluginState state, PluginVerdict verdict, const char *reason, gint64 expires)
{
  Post *post = add_post (plugin);
  char *clean = plugin_text_clean (reason, 500, TRUE, plugin->serial);

  g_free (plugin->reason);
  plugin->reason = clean;
  plugin->report = (PluginReport){ .state = state, .verdict = verdict, .reason = clean, .expires = expires };
  post->report = plugin->report;
  post->text = g_strdup (clean);
}

/* ---- commands ---- */

static void
command_clear (gpointer data)
{
  PluginCommand *command = data;

  g_free (command->name);
  g_free (command->help);
}

/* The commands that the descriptor names; a native plugin adds its own when it runs. */
static void
reset_commands (Plugin *plugin)
{
  g_array_set_size (plugin->commands, 0);
  for (gsize i = 0; i < plugin->package->info->n_commands; i++)
    {
      PluginCommand command = { g_strdup (plugin->package->info->commands[i].name),
                                g_strdup (plugin->package->info->commands[i].help) };

      g_array_append_val (plugin->commands, command);
    }
}

static gboolean
has_command (const Plugin *plugin, const char *name)
{
  for (guint i = 0; i < plugin->commands->len; i++)
    if (g_str_equal (g_array_index (plugin->commands, PluginCommand, i).name, name))
      return TRUE;
  return FALSE;
}

static void
write_request (const PluginRequest *request, Frame *frame)
{
  gsize length = 0;
  gconstpointer bytes = request->value != NULL ? g_bytes_get_data (request->value, &length) : "";

  frame_begin (frame, request->op, FRAME_ASK, 0);
  if (request->op != FRAME_OP_COMMAND)
    {
      frame_put_u32 (frame, request->number);
      if (request->op != FRAME_OP_PURCHASE_RESULT)
        frame_put_u32 (frame, request->detail);
    }
  frame_put_text (frame, request->name);
  if (request->op != FRAME_OP_FUNCTION_RESULT)
    frame_put_text (frame, request->input);
  else
    frame_put_bytes (frame, bytes, length);
  if (request->op == FRAME_OP_MESSAGE)
    frame_put_i64 (frame, request->time_s);
}

static void
run_next (Plugin *plugin)
{
  g_autofree Frame *frame = NULL;

  if (plugin->report.state != PLUGIN_STATE_RUNNING || plugin->is_stopping || plugin->running != NULL
      || g_queue_is_empty (&plugin->waiting))
    return;
  plugin->running = g_queue_pop_head (&plugin->waiting);
  frame = g_new (Frame, 1);
  write_request (plugin->running, frame);
  plugin_process_ask (plugin->process, frame, plugin->package->descriptor->call_timeout_ms);
}

void
plugin_ask (Plugin *plugin, PluginRequest *take_request)
{
  g_queue_push_tail (&plugin->waiting, take_request);
  run_next (plugin);
}

static void
fail_commands (Plugin *plugin, const char *reason)
{
  PluginRequest *request = g_steal_pointer (&plugin->running);

  if (request != NULL)
    post_result (plugin, request, PLUGIN_RESULT_GONE, reason);
  while ((request = g_queue_pop_head (&plugin->waiting)) != NULL)
    post_result (plugin, request, PLUGIN_RESULT_GONE, reason);
}

/* Ends the process, if there is one, with no event from it. */
static void
drop_process (Plugin *plugin, const char *reason)
{
  if (plugin->process != NULL)
    plugin_process_let_go (g_steal_pointer (&plugin->process));
  plugin->is_stopping = FALSE;
  plugin->watched_ways = 0;
  plugin->has_missed_copies = FALSE;
  g_array_set_size (plugin->calls, 0);
  plugin_wishes_drop (&plugin->wishes);
  fail_commands (plugin, reason);
}

/* ---- the process's life ---- */

static void
end_with (Plugin *plugin, PluginState state, PluginVerdict verdict, const char *reason, gint64 expires)
{
  drop_process (plugin, reason);
  report (plugin, state, verdict, reason, expires);
}

static void
end_with_class (Plugin *plugin, guint class, const char *text, gint64 expires)
{
  static const struct
  {
    PluginState state;
    PluginVerdict verdict;
    const char *text; /* if the plugin has no words for it */
  } ends[] = {
    [DESCRIPTOR_CLASS_OK] = { PLUGIN_STATE_REFUSED, PLUGIN_VERDICT_ERROR, "" },
    [DESCRIPTOR_CLASS_BAD_SERIAL]
    = { PLUGIN_STATE_BAD_SERIAL, PLUGIN_VERDICT_BAD_SERIAL, "does not accept its serial" },
    [DESCRIPTOR_CLASS_EXPIRED]
    = { PLUGIN_STATE_EXPIRED, PLUGIN_VERDICT_EXPIRED, "says that its serial has expired" },
    [DESCRIPTOR_CLASS_NOT_YET_VALID]
    = { PLUGIN_STATE_REFUSED, PLUGIN_VERDICT_NOT_YET_VALID, "says that its serial is not valid yet" },
    [DESCRIPTOR_CLASS_WRONG_USER]
    = { PLUGIN_STATE_REFUSED, PLUGIN_VERDICT_WRONG_USER, "says that its serial is another user's" },
    [DESCRIPTOR_CLASS_SEATS]
    = { PLUGIN_STATE_REFUSED, PLUGIN_VERDICT_SEATS, "is in use on too many devices" },
    [DESCRIPTOR_CLASS_RETRY_LATER]
    = { PLUGIN_STATE_REFUSED, PLUGIN_VERDICT_RETRY_LATER, "cannot start now; try again later" },
    [DESCRIPTOR_CLASS_ERROR] = { PLUGIN_STATE_REFUSED, PLUGIN_VERDICT_ERROR, "could not start" },
  };

  if (class >= G_N_ELEMENTS (ends))
    class = DESCRIPTOR_CLASS_ERROR;
  end_with (plugin, ends[class].state, ends[class].verdict, *text != '\0' ? text : ends[class].text, expires);
}

static void
ask_phase (Plugin *plugin, guint phase)
{
  const Descriptor *descriptor = plugin->package->descriptor;
  guint steps = descriptor->phases[phase].n_steps;
  g_autofree Frame *frame = g_new (Frame, 1);

  plugin->phase = phase;
  frame_begin (frame, FRAME_OP_PHASE, FRAME_ASK, 0);
  frame_put_u32 (frame, phase);
  plugin_process_ask (plugin->process, frame, descriptor->call_timeout_ms * MAX (steps, 1));
}

/* Whether the plugin has anything to do in this phase; a native one has always, as far as we know. */
static gboolean
has_phase (const Plugin *plugin, guint phase)
{
  return plugin->package->descriptor->kind == DESCRIPTOR_NATIVE
         || plugin->package->descriptor->phases[phase].n_steps > 0;
}

/* Goes on with the phase @phase or, if the plugin has none such, the next; behind the last it runs. */
static void
go_on (Plugin *plugin, guint phase)
{
  while (phase < DESCRIPTOR_PHASE_STOP && !has_phase (plugin, phase))
    phase++;
  if (phase < DESCRIPTOR_PHASE_STOP)
    {
      ask_phase (plugin, phase);
      return;
    }
  report (plugin, PLUGIN_STATE_RUNNING, PLUGIN_VERDICT_OK, "", plugin->report.expires);
  run_next (plugin);
}

static void
on_loaded (PluginProcess *process, FrameStatus status, const char *reason, gboolean needs_serial,
           gpointer data)
{
  Plugin *plugin = data;

  if (status != FRAME_STATUS_OK)
    end_with (plugin, PLUGIN_STATE_REFUSED, PLUGIN_VERDICT_NONE, reason, 0);
  else if (needs_serial && plugin->serial == NULL)
    end_with (plugin, PLUGIN_STATE_NEEDS_SERIAL, PLUGIN_VERDICT_NONE, "needs a serial", 0);
  else
    go_on (plugin, DESCRIPTOR_PHASE_INIT);
}

static void
take_phase (Plugin *plugin, const Frame *answer)
{
  FrameReader reader;
  gint64 expires;
  guint32 class;

  frame_read (&reader, answer);
  if (plugin->phase == DESCRIPTOR_PHASE_STOP)
    {
      end_with (plugin, PLUGIN_STATE_OFF, PLUGIN_VERDICT_NONE, "", 0);
      return;
    }
  if (answer->header.status != FRAME_STATUS_OK)
    {
      end_with_class (plugin, DESCRIPTOR_CLASS_ERROR,
                      answer->header.length > 0 ? frame_get_text (&reader) : "", 0);
      return;
    }
  class = frame_get_u32 (&reader);
  expires = frame_get_i64 (&reader);
  if (expires > 0)
    plugin->report.expires = expires;
  if (class != DESCRIPTOR_CLASS_OK)
    end_with_class (plugin, class, frame_get_text (&reader), expires);
  else
    go_on (plugin, plugin->phase + 1);
}

static void
take_command (Plugin *plugin, const Frame *answer)
{
  PluginRequest *request = g_steal_pointer (&plugin->running);
  FrameReader reader;
  guint32 class = DESCRIPTOR_CLASS_ERROR;
  const char *text = "";

  frame_read (&reader, answer);
  if (answer->header.status == FRAME_STATUS_OK)
    class = frame_get_u32 (&reader);
  if (frame_reader_has_more (&reader))
    text = frame_get_text (&reader);
  switch (class)
    {
    case DESCRIPTOR_CLASS_OK:
      post_result (plugin, request, PLUGIN_RESULT_OK, text);
      run_next (plugin);
      break;
    case DESCRIPTOR_CLASS_BAD_SERIAL:
    case DESCRIPTOR_CLASS_EXPIRED:
      post_result (plugin, request,
                   class == DESCRIPTOR_CLASS_EXPIRED ? PLUGIN_RESULT_EXPIRED : PLUGIN_RESULT_BAD_SERIAL,
                   text);
      end_with_class (plugin, class, text, 0);
      break;
    default:
      post_result (plugin, request, PLUGIN_RESULT_FAILED, *text != '\0' ? text : "the plugin failed");
      run_next (plugin);
      break;
    }
}

static void
on_answered (PluginProcess *process, const Frame *answer, gpointer data)
{
  Plugin *plugin = data;

  if (answer->header.op == FRAME_OP_PHASE)
    take_phase (plugin, answer);
  else if (answer->header.op == FRAME_OP_COMMAND)
    take_command (plugin, answer);
  else /* it has seen what we showed it */
    {
      g_clear_pointer (&plugin->running, request_free);
      run_next (plugin);
    }
}

static void
on_log (PluginProcess *process, guint32 level, const char *line, gpointer data)
{
  Plugin *plugin = data;

  if (plugin->events.log != NULL)
    plugin->events.log (plugin,
                        level == 0   ? G_LOG_LEVEL_CRITICAL
                        : level == 1 ? G_LOG_LEVEL_WARNING
                                     : G_LOG_LEVEL_INFO,
                        line, plugin->data);
}

static void
on_notify (PluginProcess *process, const char *title, const char *text, gpointer data)
{
  Plugin *plugin = data;

  if (plugin->events.notify != NULL)
    plugin->events.notify (plugin, title, text, plugin->data);
}

static void
on_command_added (PluginProcess *process, const char *name, const char *help, gpointer data)
{
  Plugin *plugin = data;
  PluginCommand command;
  gsize length = strlen (name);

  if (plugin->package->info->kind != PLUGIN_KIND_NATIVE || plugin->commands->len >= MAX_COMMANDS || length < 1
      || length > 32 || strspn (name, "abcdefghijklmnopqrstuvwxyz0123456789-") != length || name[0] == '-'
      || has_command (plugin, name))
    {
      if (plugin->refused_commands++ == 0)
        log_warning ("plugin", "plugin=%s a command was refused", plugin->package->info->id);
      return;
    }
  command.name = g_strdup (name);
  command.help = plugin_text_clean (help, 200, TRUE, NULL);
  g_array_append_val (plugin->commands, command);
  if (plugin->events.commands != NULL)
    plugin->events.commands (plugin, plugin->data);
}

static void
on_ended (PluginProcess *process, PluginEnd end, const char *reason, gpointer data)
{
  Plugin *plugin = data;
  gboolean was_stopping = plugin->is_stopping;
  gint64 now_us = clock_get_monotonic_us (plugin->host->clock);

  plugin->process = NULL;
  if (was_stopping)
    end_with (plugin, PLUGIN_STATE_OFF, PLUGIN_VERDICT_NONE, "", 0);
  else if (end == PLUGIN_END_REFUSED)
    end_with (plugin, PLUGIN_STATE_REFUSED, PLUGIN_VERDICT_NONE, reason, 0);
  else
    {
      g_array_append_val (plugin->crashes, now_us);
      end_with (plugin, PLUGIN_STATE_CRASHED, PLUGIN_VERDICT_NONE, reason, 0);
    }
}

static const PluginProcessEvents process_events
    = { on_loaded, on_answered, on_log, on_notify, on_command_added, plugin_take_asked, on_ended };

/* ---- what the user calls ---- */

Plugin *
plugin_new (PluginHost *host, const char *id, const char *jid, const PluginEvents *events, gpointer user_data,
            GError **error)
{
  g_autoptr (PluginPackage) package = plugin_package_find (host->plugins_folder, id, error);
  Plugin *plugin;

  if (package == NULL)
    return NULL;
  plugin = g_new0 (Plugin, 1);
  plugin->host = host;
  plugin->package = g_steal_pointer (&package);
  plugin->jid = g_strdup (jid);
  if (events != NULL)
    plugin->events = *events;
  plugin->data = user_data;
  plugin->reason = g_strdup ("");
  plugin->report.reason = plugin->reason;
  plugin->commands = g_array_new (FALSE, TRUE, sizeof (PluginCommand));
  g_array_set_clear_func (plugin->commands, command_clear);
  plugin->crashes = g_array_new (FALSE, FALSE, sizeof (gint64));
  plugin->calls = g_array_new (FALSE, FALSE, sizeof (PluginOpenCall));
  g_queue_init (&plugin->waiting);
  g_queue_init (&plugin->posts);
  reset_commands (plugin);
  g_ptr_array_add (host->plugins, plugin);
  return plugin;
}

void
plugin_free (Plugin *plugin)
{
  Post *post;

  if (plugin == NULL)
    return;
  drop_process (plugin, "was stopped");
  while ((post = g_queue_pop_head (&plugin->posts)) != NULL)
    {
      if (post->request != NULL)
        post->request->callback (plugin, post->result, post->text, post->request->data);
      post_free (post);
    }
  if (plugin->post_source != NULL)
    {
      g_source_destroy (plugin->post_source);
      g_source_unref (plugin->post_source);
    }
  g_ptr_array_remove (plugin->host->plugins, plugin);
  plugin_package_unref (plugin->package);
  g_array_unref (plugin->commands);
  g_array_unref (plugin->crashes);
  g_array_unref (plugin->calls);
  secret_free (plugin->serial);
  g_free (plugin->user);
  g_free (plugin->reason);
  g_free (plugin->jid);
  g_free (plugin);
}

const PluginInfo *
plugin_peek_info (const Plugin *plugin)
{
  return plugin->package->info;
}

const PluginReport *
plugin_peek_report (const Plugin *plugin)
{
  return &plugin->report;
}

const PluginCommand *
plugin_peek_commands (const Plugin *plugin, gsize *n)
{
  *n = plugin->commands->len;
  return (const PluginCommand *)(void *)plugin->commands->data;
}

/* Starts a process with the licence we hold. */
static void
begin (Plugin *plugin)
{
  PluginAssignment assignment = { .is_to_run = TRUE,
                                  .jid = plugin->jid,
                                  .user = plugin->user,
                                  .serial = plugin->serial,
                                  .expires = plugin->expires };
  g_autoptr (PluginPackage) package = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) missing = NULL;

  drop_process (plugin, "was started anew");
  package = plugin_package_find (plugin->host->plugins_folder, plugin->package->info->id, &error);
  if (package == NULL)
    {
      report (plugin, PLUGIN_STATE_REFUSED, PLUGIN_VERDICT_NONE, error->message, 0);
      return;
    }
  plugin_package_unref (plugin->package);
  plugin->package = g_steal_pointer (&package);
  reset_commands (plugin);
  missing = plugin_host_list_unagreed (plugin->host, plugin->package->info);
  if (missing[0] != NULL)
    {
      g_autofree char *text = plugin_dup_unagreed_text (missing);

      report (plugin, PLUGIN_STATE_REFUSED, PLUGIN_VERDICT_NONE, text, 0);
      return;
    }
  if (plugin->package->descriptor->needs_serial && plugin->serial == NULL)
    {
      report (plugin, PLUGIN_STATE_NEEDS_SERIAL, PLUGIN_VERDICT_NONE, "needs a serial", 0);
      return;
    }
  report (plugin, PLUGIN_STATE_STARTING, PLUGIN_VERDICT_NONE, "", 0);
  plugin->process
      = plugin_process_start (plugin->host, plugin->package, &assignment, &process_events, plugin, &error);
  if (plugin->process == NULL)
    report (plugin, PLUGIN_STATE_REFUSED, PLUGIN_VERDICT_NONE, error->message, 0);
  else if (plugin->package->descriptor->n_connect > 0 && plugin_broker_why_not () != NULL)
    on_log (plugin->process, 1, plugin_broker_why_not (), plugin);
}

void
plugin_start (Plugin *plugin, const PluginLicence *licence)
{
  Secret *serial = licence != NULL && licence->serial != NULL ? secret_copy (licence->serial) : NULL;
  char *user = licence != NULL ? g_strdup (licence->user) : NULL;

  secret_free (plugin->serial);
  plugin->serial = serial;
  g_free (plugin->user);
  plugin->user = user;
  plugin->expires = licence != NULL ? licence->expires : 0;
  begin (plugin);
}

gboolean
plugin_restart (Plugin *plugin)
{
  const Descriptor *descriptor = plugin->package->descriptor;
  gint64 since_us
      = clock_get_monotonic_us (plugin->host->clock) - (gint64)descriptor->restart_period_s * G_USEC_PER_SEC;

  while (plugin->crashes->len > 0 && g_array_index (plugin->crashes, gint64, 0) < since_us)
    g_array_remove_index (plugin->crashes, 0);
  if (plugin->report.state == PLUGIN_STATE_CRASHED && plugin->crashes->len > descriptor->restarts)
    return FALSE;
  begin (plugin);
  return TRUE;
}

void
plugin_stop (Plugin *plugin)
{
  if (plugin->is_stopping)
    return;
  if (plugin->process == NULL)
    {
      if (plugin->report.state != PLUGIN_STATE_OFF)
        report (plugin, PLUGIN_STATE_OFF, PLUGIN_VERDICT_NONE, "", 0);
      return;
    }
  /* One that is in the middle of something cannot be asked to say goodbye. */
  if (plugin->report.state != PLUGIN_STATE_RUNNING || plugin->running != NULL
      || !has_phase (plugin, DESCRIPTOR_PHASE_STOP))
    {
      end_with (plugin, PLUGIN_STATE_OFF, PLUGIN_VERDICT_NONE, "was stopped", 0);
      return;
    }
  plugin->is_stopping = TRUE;
  fail_commands (plugin, "was stopped");
  ask_phase (plugin, DESCRIPTOR_PHASE_STOP);
}

void
plugin_run_command (Plugin *plugin, const char *command, const char *input, PluginResultFunc callback,
                    gpointer user_data)
{
  PluginRequest *request = g_new0 (PluginRequest, 1);
  const char *wrong = NULL;

  request->op = FRAME_OP_COMMAND;
  request->name = g_strdup (command);
  request->input = g_strdup (input);
  request->callback = callback;
  request->data = user_data;
  if (plugin->report.state != PLUGIN_STATE_RUNNING || plugin->is_stopping)
    wrong = "the plugin does not run";
  else if (!has_command (plugin, command))
    wrong = "the plugin has no such command";
  else if (strlen (input) > MAX_INPUT_BYTES)
    wrong = "that is too long";
  else if (plugin->waiting.length >= MAX_QUEUED)
    wrong = "too many commands wait for the plugin";
  if (wrong != NULL)
    {
      post_result (plugin, request, PLUGIN_RESULT_FAILED, wrong);
      return;
    }
  plugin_ask (plugin, request);
}

/* The longest text of at most @max bytes that @text begins with. */
static char *
dup_start (const char *text, gsize max)
{
  gsize length = strlen (text);

  while (length > max)
    length = (gsize)(g_utf8_find_prev_char (text, text + length) - text);
  return g_strndup (text, length);
}

void
plugin_show_message (Plugin *plugin, const PluginMessage *message)
{
  guint32 way = message->is_sent ? HOST_MESSAGE_SENT : HOST_MESSAGE_RECEIVED;
  PluginRequest *request;

  if (plugin->report.state != PLUGIN_STATE_RUNNING || plugin->is_stopping
      || plugin->package->info->messages == PLUGIN_MESSAGES_NONE || (plugin->watched_ways & way) == 0)
    return;
  if (plugin->waiting.length >= MAX_QUEUED)
    {
      if (!plugin->has_missed_copies)
        log_info ("plugin", "plugin=%s is slow and misses messages", plugin->package->info->id);
      plugin->has_missed_copies = TRUE;
      return;
    }
  request = g_new0 (PluginRequest, 1);
  request->op = FRAME_OP_MESSAGE;
  request->number = way;
  request->detail = message->is_late;
  request->name = g_strdup (message->peer);
  request->input = dup_start (message->text, MAX_TEXT);
  request->time_s = message->time_s;
  plugin_ask (plugin, request);
}
