/* A run of the program: what the command line said, the account's client, and how it ends. */
#pragma once

#include "host-client/cli/arguments.h"
#include "host-client/cli/output.h"
#include "host-client/core/client.h"

typedef struct App App;

/* One command. `start` is called once, when the session is first online; the command ends with app_finish().
 */
typedef struct
{
  CommandKind kind;
  SessionRetry retry;
  gboolean is_lasting;
  gboolean is_offline; /* needs no server: `start` is called at once */
  /* A lost connection is the end, unless the command can go on after it. */
  gboolean survives_loss;
  void (*start) (App *app);
  /* Before the session is opened. NULL: nothing to do. */
  void (*open) (App *app);
  /* The session is OFFLINE and will not try again. FALSE (or NULL): end as every command does. */
  gboolean (*offline) (App *app, const SessionReport *report);
  /* Every later return, and every loss. NULL: none of its business. */
  void (*returned) (App *app);
  void (*lost) (App *app);
} Command;

struct App
{
  const Arguments *arguments;
  const Command *command;
  const Clock *clock;
  Folder *folder;
  Client *client; /* NULL for commands that need no server */
  GMainLoop *loop;
  gboolean is_started, is_finished;
  int exit_code;
  gpointer state; /* the command's own */
  GDestroyNotify free_state;
};

/* Runs the command of @arguments to its end; the program's exit code. */
int app_run (const Arguments *arguments, const Command *command);

/* The command is over: logs out and ends. The first call counts. */
void app_finish (App *app, ExitCode code);
/* Says why on standard error (and as an object with --json), then ends. */
void app_fail (App *app, ExitCode code, const char *format, ...) G_GNUC_PRINTF (3, 4);
/* What to tell the user of a reply that is not a result, and with which exit code to end. */
char *app_dup_reply_text (const Reply *reply, ExitCode *code);

/* What the user must know of a certificate that cannot be trusted. */
char *app_dup_certificate_text (App *app, const SessionReport *report);

/* The account that was named, or the only one there is; NULL: neither. For commands that need no server. */
char *app_dup_account (App *app);

/* Whether someone could be asked. */
gboolean app_has_terminal (void);
/* Asks on the terminal; FALSE without one, or if the answer is not yes. Only before the loop turns. */
gboolean app_ask (const char *question);
