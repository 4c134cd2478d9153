/* Vendor plugins as the client sees them: installed files, and for each one in use a confined process.
 *
 * Nothing of a plugin is ever loaded into this process: its descriptor is read by a parser of ours, its
 * object is opened, checked and run by plugin-runner. There is no user interface here and no dialogue: what a
 * plugin says about its serial is reported as a PluginState, and the caller decides what to ask the user.
 *
 * One process serves one attempt with one serial: old libraries read theirs once, often before any call, so
 * another serial means another process (about a millisecond).
 *
 * All functions are called, and all callbacks come, on the thread that runs the PluginHost's main context. A
 * callback may call any function of this file but those that free the object it came from. */
#pragma once

#include <gio/gio.h>

#include "common/base/clock.h"
#include "common/base/secret.h"
#include "common/module/package.h"

#define PLUGIN_ERROR (plugin_error_quark ())
GQuark plugin_error_quark (void);

typedef enum
{
  PLUGIN_ERROR_DESCRIPTOR,  /* the text file is not a descriptor; the message names file, group and key */
  PLUGIN_ERROR_HASH,        /* the object's bytes are not those the descriptor names */
  PLUGIN_ERROR_SYMBOLS,     /* the object does not load, or lacks a symbol the descriptor names */
  PLUGIN_ERROR_UNSUPPORTED, /* what this host cannot run: another architecture, no sandbox, root without uids
                             */
  PLUGIN_ERROR_NOT_INSTALLED,
  PLUGIN_ERROR_STORAGE,     /* the folder cannot be read or written */
  PLUGIN_ERROR_RUNNER,      /* plugin-runner is missing or failed */
  PLUGIN_ERROR_CONSENT,     /* it asks for more than the user agreed to; the message says what */
  PLUGIN_ERROR_NOT_OFFERED, /* the market has no such plugin */
  PLUGIN_ERROR_DOWNLOAD,    /* its package cannot be had */
  PLUGIN_ERROR_NOT_TRUSTED, /* its package is not signed, not complete, older than what is installed, or
                               revoked */
} PluginErrorCode;

/* ---- what is installed ---- */

typedef enum
{
  PLUGIN_KIND_LEGACY, /* NAME.legacy: an untouched object, called through its descriptor */
  PLUGIN_KIND_NATIVE, /* NAME.plugin: an object written for host/plugin.h */
} PluginKind;

typedef enum
{
  PLUGIN_MESSAGES_NONE,
  PLUGIN_MESSAGES_SEE,
  PLUGIN_MESSAGES_SEND,
} PluginMessages;

typedef struct
{
  char *name; /* "weather" for /weather */
  char *help; /* one line, or "" */
} PluginCommand;

/* A descriptor's public part. Immutable; what it grants is what the user is shown before installing. */
typedef struct
{
  PluginKind kind;
  char *id;
  char *name;
  char *version;
  char *object;       /* file name beside the descriptor */
  char *sha256;       /* of the object, 64 hex digits */
  char **connect;     /* "host:port", empty: no network */
  char **read_paths;  /* further files and folders it may read */
  guint64 data_bytes; /* its private folder */
  gboolean has_threads;
  gboolean sees_identity; /* it is told the JID, not only the pairwise name */
  gboolean calls_functions;
  gboolean asks_purchases;
  PluginMessages messages;
  PluginCommand *commands; /* of a legacy plugin; a native one registers its own when it runs */
  gsize n_commands;
  char *hash; /* of descriptor and object together: names this installed copy */
} PluginInfo;

void plugin_info_free (PluginInfo *info);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PluginInfo, plugin_info_free)

/* Reads and checks a descriptor file by its ending, .legacy or .plugin, and the hash of the object beside it.
 * Loads nothing. NULL with PLUGIN_ERROR_DESCRIPTOR, _HASH or _STORAGE. */
PluginInfo *plugin_info_read (const char *path, GError **error);

/* All that it asks for, each in plain words ("connect to plugins.vendor.example:7443"); empty: nothing.
 * Caller frees (g_strfreev). */
char **plugin_info_describe (const PluginInfo *info);

/* ---- the host of all plugins of one client ---- */

typedef struct PluginHost PluginHost;

typedef struct
{
  const char *folder; /* the client's CONFIG folder; plugins live in CONFIG/plugins. Made with mode 0700 */
  const char *runner_path; /* plugin-runner, NULL: beside this program, in the build folder, or in libexec */
  GMainContext *context;   /* NULL: the thread-default one */
  const Clock *clock;
  guint32 uid_base; /* first of 64 uids for plugins when we run as root; 0: none, and then as root every
                     * plugin is refused */
} PluginHostOptions;

/* Starts the supervisor process. NULL with PLUGIN_ERROR_RUNNER, _STORAGE or _UNSUPPORTED. Strings of @options
 * are copied, its clock must outlive the host. */
PluginHost *plugin_host_new (const PluginHostOptions *options, GError **error);
/* All Plugins of it must have been freed; ends the supervisor and with it whatever is left of its children.
 */
void plugin_host_free (PluginHost *host);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PluginHost, plugin_host_free)

/* What is installed, sorted by id: an array of PluginInfo *, to be unreffed (g_ptr_array_unref). Entries that
 * cannot be read are logged and left out. */
GPtrArray *plugin_host_list (PluginHost *host);
/* One of them; NULL with PLUGIN_ERROR_NOT_INSTALLED, or what is wrong with its files. Caller frees it. */
PluginInfo *plugin_host_find (PluginHost *host, const char *id, GError **error);

/* What @info asks for beyond what the user agreed to for the plugin of its id, as plugin_info_describe(). */
char **plugin_host_list_unagreed (PluginHost *host, const PluginInfo *info);
/* The user was shown what @info asks for and agreed: this very copy, and no other, may be installed. */
void plugin_host_agree (PluginHost *host, const PluginInfo *info);

/* Installs the descriptor @path and the object beside it: checks syntax and hash, copies both by content hash
 * into CONFIG/plugins/ID, and lets a confined runner open the object and look up every symbol the descriptor
 * names. Only then does the new copy become current, in one step; a plugin that runs goes on with its old one
 * until it is restarted. What asks for more than was agreed is refused with PLUGIN_ERROR_CONSENT. */
void plugin_host_install_async (PluginHost *host, const char *path, GCancellable *cancellable,
                                GAsyncReadyCallback callback, gpointer user_data);
/* The installed plugin (caller frees it), or NULL with any PLUGIN_ERROR but _NOT_INSTALLED. */
PluginInfo *plugin_host_install_finish (PluginHost *host, GAsyncResult *result, GError **error);

/* The same for a package that was read, and so verified, and that the host of @domain vouches for; installed
 * as it is, under its hash. The previous version is kept. Lends @package until it is over. */
void plugin_host_install_package_async (PluginHost *host, const Package *package, const char *domain,
                                        GCancellable *cancellable, GAsyncReadyCallback callback,
                                        gpointer user_data);
/* What a package's descriptor says. NULL with PLUGIN_ERROR_DESCRIPTOR. */
PluginInfo *plugin_info_of_package (const Package *package, GError **error);
/* Why @package may not take the place of what is installed: a version does not fall, and means one package
 * only. NULL: it may. The caller frees it. */
char *plugin_host_dup_objection (PluginHost *host, const Package *package);
/* The version of @id that was installed before (caller frees it), or NULL with PLUGIN_ERROR_NOT_INSTALLED if
 * there is none, or another of find's errors. */
PluginInfo *plugin_host_find_previous (PluginHost *host, const char *id, GError **error);
/* Makes that one the version that is used, and the other way round. FALSE with an error of
 * plugin_host_find_previous(), or with PLUGIN_ERROR_CONSENT if it asks for more than was agreed. */
gboolean plugin_host_roll_back (PluginHost *host, const char *id, GError **error);

/* Forgets the plugin and removes its copies; its data folders stay. FALSE if it is not installed, or in use.
 */
gboolean plugin_host_remove (PluginHost *host, const char *id, GError **error);

/* The addresses that @id may write to for @account besides the chat that is open (NULL-terminated, caller
 * frees), and their change. FALSE with PLUGIN_ERROR_STORAGE. */
char **plugin_host_list_peers (PluginHost *host, const char *id, const char *account);
gboolean plugin_host_allow (PluginHost *host, const char *id, const char *account, const char *peer,
                            gboolean is_allowed, GError **error);
/* Whether it was found to judge a serial when it was installed. */
gboolean plugin_host_needs_serial (PluginHost *host, const char *id);

/* ---- one plugin in use by one account ---- */

typedef struct Plugin Plugin;

typedef enum
{
  PLUGIN_STATE_OFF,          /* no process; the state a Plugin begins in, and after plugin_stop() */
  PLUGIN_STATE_STARTING,     /* the process loads the object and asks it about the serial */
  PLUGIN_STATE_RUNNING,      /* it accepted its serial (or needs none): commands work */
  PLUGIN_STATE_NEEDS_SERIAL, /* it cannot be used without one, and none was given */
  PLUGIN_STATE_BAD_SERIAL,   /* it refused the serial */
  PLUGIN_STATE_EXPIRED,      /* it says the serial's time is over */
  PLUGIN_STATE_REFUSED,      /* it or we refused for another cause, see PluginReport.verdict and .reason */
  PLUGIN_STATE_CRASHED,      /* the process ended by itself, hung past its call time-out, or was stopped for
                              * using more than half a core for 30 s */
} PluginState;

/* What the plugin said when asked, finer than the state. */
typedef enum
{
  PLUGIN_VERDICT_NONE, /* it was not asked, or did not answer */
  PLUGIN_VERDICT_OK,
  PLUGIN_VERDICT_BAD_SERIAL,
  PLUGIN_VERDICT_EXPIRED,
  PLUGIN_VERDICT_NOT_YET_VALID,
  PLUGIN_VERDICT_WRONG_USER,
  PLUGIN_VERDICT_SEATS,       /* too many devices use it */
  PLUGIN_VERDICT_RETRY_LATER, /* its server cannot be reached, say */
  PLUGIN_VERDICT_ERROR,
} PluginVerdict;

typedef struct
{
  PluginState state;
  PluginVerdict verdict;
  const char
      *reason;    /* one UTF-8 line to show, "" if there is nothing to say; it may hold the plugin's words */
  gint64 expires; /* Unix seconds, as the plugin itself reported them; 0: it did not */
} PluginReport;

/* ---- how all of them are ---- */

typedef enum
{
  PLUGIN_STATUS_INSTALLED, /* its files are there */
  PLUGIN_STATUS_VERIFIED,  /* a confined runner has loaded this copy and found what it names; it does not run
                            */
  PLUGIN_STATUS_RUNNING,
  PLUGIN_STATUS_EXPIRED,
  PLUGIN_STATUS_CRASHED,
  PLUGIN_STATUS_REFUSED, /* its files are not what they should be, it was not agreed to what it asks, its
                          * serial is not accepted, or it does not want to start: the reason says which */
} PluginStatusKind;

typedef struct
{
  char *id;
  PluginInfo *info; /* NULL: its files cannot be read */
  PluginStatusKind kind;
  char *reason; /* one line, or "" */
} PluginStatus;

const char *plugin_status_name (PluginStatusKind kind); /* "installed" … */
/* All that are installed, sorted by id, as @account (nullable) last met them, in whichever process of the
 * client: an array of PluginStatus *, to be unreffed. */
GPtrArray *plugin_host_list_states (PluginHost *host, const char *account);
/* Writes down what a plugin's state became. */
void plugin_host_note_state (PluginHost *host, const PluginInfo *info, const char *account,
                             const PluginReport *report);

/* ---- its commands ---- */

typedef enum
{
  PLUGIN_RESULT_OK,      /* @text is the answer */
  PLUGIN_RESULT_FAILED,  /* the plugin answered with an error; @text is its words, or our account of its code
                          */
  PLUGIN_RESULT_EXPIRED, /* … because its serial's time is over: the plugin's state is EXPIRED now */
  PLUGIN_RESULT_BAD_SERIAL,
  PLUGIN_RESULT_GONE, /* the plugin crashed, hung or was stopped before it answered */
} PluginResult;

typedef enum
{
  PLUGIN_SEND_DONE,   /* the outbox has it */
  PLUGIN_SEND_DENIED, /* not to this peer */
  PLUGIN_SEND_BUSY,   /* not now */
} PluginSendOutcome;

/* How a function ended, for plugin_answer_call(): as HostResult of host/module.h. */
typedef struct
{
  guint result;
  const char *reason; /* one line, "" if the result is HOST_OK */
  GBytes *value;      /* nullable */
} PluginCallOutcome;

/* Every callback may be NULL. Strings live until the callback returns; they are UTF-8 without control
 * characters but newline and tab, whatever the plugin sent. */
typedef struct
{
  /* The state changed; called once per change, never from within plugin_start() or plugin_stop(). */
  void (*state) (Plugin *plugin, const PluginReport *report, gpointer user_data);
  /* plugin_peek_commands() has changed. */
  void (*commands) (Plugin *plugin, gpointer user_data);
  /* A line for the log; @level as GLib's, at most 20 lines for each call into the plugin. */
  void (*log) (Plugin *plugin, GLogLevelFlags level, const char *line, gpointer user_data);
  /* The plugin wants the user to see this now: a reminder, say. At most one a second. */
  void (*notify) (Plugin *plugin, const char *title, const char *text, gpointer user_data);
  /* The plugin, which was granted messages=send, sends @text to @peer (NULL: the chat that is open). At most
   * 20 a minute. NULL: nothing may be sent. */
  PluginSendOutcome (*send) (Plugin *plugin, const char *peer, const char *text, gpointer user_data);
  /* The plugin, which was granted functions=yes, calls @function of its application: answer by
   * plugin_answer_call() with @call, now or later. At most 8 are open. NULL: there are no functions. */
  void (*call) (Plugin *plugin, guint call, const char *function, GBytes *argument, gpointer user_data);
  /* The plugin, which was granted purchases=yes, wants the user to be asked whether to buy @item of its
   * application: answer by plugin_answer_wish(), now or later. At most one is open, and 3 come in a minute.
   * NULL: nobody can be asked. */
  void (*wish) (Plugin *plugin, const char *item, gpointer user_data);
} PluginEvents;

/* Makes the object for the installed plugin @id and the account @jid (bare JID). @events is copied. NULL as
 * plugin_host_find(). Starts nothing. The plugin's private folder is CONFIG/plugin-data/JID/ID. */
Plugin *plugin_new (PluginHost *host, const char *id, const char *jid, const PluginEvents *events,
                    gpointer user_data, GError **error);
/* Stops it without a state event, and answers open commands with PLUGIN_RESULT_GONE before it returns. */
void plugin_free (Plugin *plugin);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Plugin, plugin_free)

const PluginInfo *plugin_peek_info (const Plugin *plugin);
/* Its latest report; lives until the next call into the plugin or its context. */
const PluginReport *plugin_peek_report (const Plugin *plugin);
/* Commands that work now or will when it runs: @n of them. */
const PluginCommand *plugin_peek_commands (const Plugin *plugin, gsize *n);

/* What the market knows of this plugin and user. */
typedef struct
{
  const Secret *serial; /* NULL: none */
  const char *user;     /* the pairwise name, NULL: none */
  gint64 expires;       /* Unix seconds, 0: never */
} PluginLicence;

/* Starts the plugin, or starts it anew with another licence (an old process is stopped without an event).
 * @licence (nullable: no serial) is copied. Reports STARTING and then RUNNING, NEEDS_SERIAL, BAD_SERIAL,
 * EXPIRED, REFUSED or CRASHED; after any but RUNNING there is no process. */
void plugin_start (Plugin *plugin, const PluginLicence *licence);

/* As plugin_start() with the licence it last had. After crashes the descriptor's `restart=N/Ss` (default
 * 3/60s) is the limit: FALSE, and nothing happens, if it crashed more often than that in that time. */
gboolean plugin_restart (Plugin *plugin);

/* Lets the plugin say goodbye (`stop`, within its call time-out) and ends the process; reports OFF. */
void plugin_stop (Plugin *plugin);

typedef struct
{
  gboolean is_sent; /* by the user; else received */
  gboolean is_late; /* it waited on the server */
  const char *peer; /* bare JID */
  const char *text;
  gint64 time_s; /* Unix seconds */
} PluginMessage;

/* Hands a copy of @message to the plugin if it runs, was granted messages= and watches this way. Returns at
 * once: 32 copies wait for a plugin that is slow, later ones are dropped. */
void plugin_show_message (Plugin *plugin, const PluginMessage *message);

/* The function @call (of PluginEvents.call) has ended. Nothing happens if the process that called it is gone.
 */
void plugin_answer_call (Plugin *plugin, guint call, const PluginCallOutcome *outcome);

/* What became of @item, which the plugin wished for: @outcome as HostPurchaseOutcome of host/plugin.h,
 * @reason one line or
 * "". Nothing happens if the process that wished for it is gone. */
void plugin_answer_wish (Plugin *plugin, const char *item, guint outcome, const char *reason);

typedef void (*PluginResultFunc) (Plugin *plugin, PluginResult result, const char *text, gpointer user_data);

/* Runs one command with what the user typed behind its name (≤ 48 KiB, "" if nothing). Commands of one plugin
 * run one after the other. @callback comes exactly once, never from within this call: with
 * PLUGIN_RESULT_FAILED if the plugin does not run or has no such command. */
void plugin_run_command (Plugin *plugin, const char *command, const char *input, PluginResultFunc callback,
                         gpointer user_data);
