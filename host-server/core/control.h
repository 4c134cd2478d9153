/* The control socket: the table of administration commands that rooms register in, and the socket in the data
 * folder that `hostctl` speaks to.
 *
 * DATA/control.sock has mode 0600, and the peer must be root or the server's own user. The server greets with
 * the table of commands, the client sends one command with its arguments as one JSON line, the answer is a
 * JSON line for each row and one for the end. hostctl knows no command by itself: names, arguments and help
 * come from here.
 *
 * A handler runs on the main context and answers now or later. A client that goes away does not stop its
 * command. */
#pragma once

#include "common/base/secret.h"

#include <jansson.h>

typedef struct Controls Controls;
typedef struct ControlCall ControlCall;

/* Owns @call until it is ended with control_call_done() or control_call_refuse(). */
typedef void (*ControlHandler) (ControlCall *call, gpointer data);

typedef enum
{
  CONTROL_TEXT,  /* a word in its place */
  CONTROL_FILE,  /* a file that hostctl reads where it runs and sends along (≤ 16 MiB) */
  CONTROL_PATH,  /* a path for the server to use, made absolute by hostctl */
  CONTROL_FLAG,  /* "--dry-run" */
  CONTROL_VALUE, /* "--reason": takes the next word */
} ControlKind;

typedef struct
{
  const char *name; /* "PLUGIN", "FILE"; "--dry-run" for flags and values */
  ControlKind kind;
  gboolean is_optional; /* flags and values always are; optional words come last */
} ControlArgument;

typedef struct
{
  const char *name;                 /* "user add"; one word to three */
  const ControlArgument *arguments; /* up to one with name NULL; NULL: none */
  const char *secret; /* NULL, or what hostctl asks for and reads from the first line of standard
                         input: "password" */
  gboolean is_list;   /* rows are a table; otherwise the answer is one object */
  const char *help;   /* one line, lower case: "create an account" */
  ControlHandler handle;
  gpointer data;
  gboolean is_document; /* rows are JSON to be kept in a file: shown as such, with --json or without */
} ControlCommand;

/* @data_folder exists. Nothing is opened before controls_start(). */
Controls *controls_new (const char *data_folder);
/* Closes the socket and removes it. Calls still open stay with their handlers, and answering them does
 * nothing. */
void controls_free (Controls *controls);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Controls, controls_free)

/* Adds a command; everything but @data is copied. A name taken twice is a programming error. */
void controls_add (Controls *controls, const ControlCommand *command);
/* Takes the data folder for this process (DATA/lock) and listens, on @context (NULL: the thread's default):
 * before anything else in the folder is opened. Commands may be added until the context runs. FALSE with
 * @error (G_IO_ERROR_ADDRESS_IN_USE: another server runs on the folder); a socket left behind by a dead one
 * is replaced. */
gboolean controls_start (Controls *controls, GMainContext *context, GError **error);
/* DATA/control.sock. */
const char *controls_peek_path (const Controls *controls);

/* What `status` shows: each room adds a value under a key of its own; @func returns a new reference, and must
 * not block. */
typedef json_t *(*ControlStatusFunc) (gpointer data);
void controls_add_status (Controls *controls, const char *key, ControlStatusFunc func, gpointer data);
/* All of them as one object, in the order they were added; the caller unrefs it. */
json_t *controls_get_status (const Controls *controls);

/* Arguments by the name in the table; asking for one the command does not have is a programming error.
 * They live as long as the call. */
/* TEXT, PATH and VALUE; NULL if it was left out. UTF-8 without control characters, at most 4,096 bytes. */
const char *control_call_get_text (const ControlCall *call, const char *name);
gboolean control_call_has_flag (const ControlCall *call, const char *name);
/* The bytes of a FILE, followed by an uncounted NUL; NULL if it was left out. */
const char *control_call_get_file (const ControlCall *call, const char *name, gsize *length);
/* The absolute path of a FILE as hostctl saw it, for messages and for what lies beside it. */
const char *control_call_get_file_path (const ControlCall *call, const char *name);
/* The secret asked for; NULL only for commands without one. Never empty. */
const Secret *control_call_peek_secret (const ControlCall *call);

/* Sends a row (a JSON object), taking it. A command that is not a list sends exactly one, or none. Columns of
 * a list are the keys of its first row, in order. */
void control_call_take_row (ControlCall *call, json_t *row);
/* For a person who waits: hostctl shows it on a terminal. */
void control_call_tell (ControlCall *call, const char *format, ...) G_GNUC_PRINTF (2, 3);
/* Ends with success, hostctl's exit code 0. */
void control_call_done (ControlCall *call);
/* Ends with a row and success. */
void control_call_done_with (ControlCall *call, json_t *take_row);
/* Ends with a refusal, exit code 1, after the rows that were sent: `cannot add 'x': reason`, lower case, no full stop. */
void control_call_refuse (ControlCall *call, const char *format, ...) G_GNUC_PRINTF (2, 3);
