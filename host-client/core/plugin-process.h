/* One runner process with one plugin in it: launched, confined, loaded, asked, ended.
 *
 * Knows frames and time-outs, not what a plugin's words mean to the user: that is plugin.c. Part of
 * host-client/core/plugin*. */
#pragma once

#include "host-client/core/plugin-host.h"

typedef struct PluginProcess PluginProcess;

typedef enum
{
  PLUGIN_END_CRASHED, /* by itself, by a time-out, or by a limit */
  PLUGIN_END_REFUSED, /* it could not be confined, and nothing was loaded; or it keeps more than it may */
} PluginEnd;

/* Each comes from the host's context, never from within a call into the process. None comes after ended() or
 * plugin_process_let_go(). Texts are UTF-8 without control characters. */
typedef struct
{
  /* The answer to the load request; @needs_serial counts if @status is OK, @reason if it is not. */
  void (*loaded) (PluginProcess *process, FrameStatus status, const char *reason, gboolean needs_serial,
                  gpointer data);
  /* The answer to plugin_process_ask(), judged by its row. */
  void (*answered) (PluginProcess *process, const Frame *answer, gpointer data);
  void (*log) (PluginProcess *process, guint32 level, const char *line, gpointer data);
  void (*notify) (PluginProcess *process, const char *title, const char *text, gpointer data);
  void (*command_added) (PluginProcess *process, const char *name, const char *help, gpointer data);
  /* A granted request that is not the process's own business: FRAME_OP_WATCH_MESSAGES, SEND_MESSAGE,
   * REQUEST_FUNCTION, RUN_FUNCTION, ASK_PURCHASE, POLL_PURCHASE. What is owed an answer gets it by
   * plugin_process_answer(). */
  void (*asked) (PluginProcess *process, const Frame *frame, gpointer data);
  /* The process is gone and this object with it. */
  void (*ended) (PluginProcess *process, PluginEnd end, const char *reason, gpointer data);
} PluginProcessEvents;

/* Who the plugin works for; texts are copied where needed. */
typedef struct
{
  gboolean is_to_run;   /* else its symbols are only looked up */
  const char *jid;      /* NULL when it is not to run */
  const char *user;     /* pairwise, NULL: none */
  const Secret *serial; /* NULL: none */
  gint64 expires;
} PluginAssignment;

/* Starts it; loaded() or ended() follows. NULL with a PLUGIN_ERROR. */
PluginProcess *plugin_process_start (PluginHost *host, PluginPackage *package,
                                     const PluginAssignment *assignment, const PluginProcessEvents *events,
                                     gpointer data, GError **error);
/* Sends one request (begun with FRAME_ASK; its call id is set here) and gives it @timeout_ms, after which the
 * process is killed and ended() says why. Only one may be open. */
void plugin_process_ask (PluginProcess *process, Frame *request, guint timeout_ms);
/* Sends an answer, or another frame that is not an ASK. */
void plugin_process_answer (PluginProcess *process, const Frame *frame);
/* Kills it; ended() follows with @reason. */
void plugin_process_kill (PluginProcess *process, PluginEnd end, const char *reason);
/* Kills it and is done with it: no event follows, the object frees itself. */
void plugin_process_let_go (PluginProcess *process);

/* @text made fit to be shown: valid UTF-8 of at most @max bytes without control characters (newlines and tabs
 * become blanks if @is_line), and with every occurrence of @serial (nullable) masked. Caller frees it. */
char *plugin_text_clean (const char *text, gsize max, gboolean is_line, const Secret *serial);
