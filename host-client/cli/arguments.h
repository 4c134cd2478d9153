/* The command line (protocol.md section 12). */
#pragma once

#include <glib.h>

typedef enum
{
  EXIT_DONE,
  EXIT_REFUSED, /* declined, not licensed, not found */
  EXIT_USAGE,
  EXIT_NO_CONNECTION,
  EXIT_NOT_AUTHENTICATED,
  EXIT_PLUGIN_FAILED,
} ExitCode;

typedef enum
{
  COMMAND_INTERACTIVE,
  COMMAND_LOGIN,
  COMMAND_SEND,
  COMMAND_LISTEN,
  COMMAND_ROSTER,
  COMMAND_CATALOG,
  COMMAND_SERIALS,
  COMMAND_BUY,
  COMMAND_ORDER,
  COMMAND_DECLINE,
  COMMAND_RECEIPT,
  COMMAND_PLUGIN,
  COMMAND_FUNCTION,
  COMMAND_ITEM,
} CommandKind;

typedef struct
{
  char *account; /* NULL: not said */
  char *config;  /* NULL: the user's own */
  char *server;
  char *pin;       /* 64 lower-case hex digits */
  int password_fd; /* -1: not said */
  gboolean is_direct_tls, is_json, is_verbose, is_version, has_yes, has_reveal, has_remember;
  double listen_s; /* -1: for ever */
  char *to;        /* a JID, as typed */
  CommandKind command;
  char **words; /* behind the command's name */
  guint n_words;
} Arguments;

/* Reads a command line (NULL-terminated; left as it is). NULL with a G_OPTION_ERROR whose message is for the
 * user. */
Arguments *arguments_parse (const char *const *argv, GError **error);
void arguments_free (Arguments *arguments);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Arguments, arguments_free)

/* How to use the program. */
const char *arguments_peek_help (void);
