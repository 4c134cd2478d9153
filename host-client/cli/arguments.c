#include "host-client/cli/arguments.h"

#include <string.h>

typedef enum
{
  OPTION_YES = 1 << 0,
  OPTION_FOR = 1 << 1,
  OPTION_TO = 1 << 2,
  OPTION_REVEAL = 1 << 3,
  OPTION_REMEMBER = 1 << 4,
} OwnOption;

typedef struct
{
  const char *name, *second; /* @second: the word that must follow; NULL: none, or any */
  CommandKind kind;
  guint least, most; /* words behind the name */
  guint options;     /* OwnOptions that belong to it */
} CommandForm;

static const CommandForm forms[] = {
  { "login", NULL, COMMAND_LOGIN, 0, 0, OPTION_REMEMBER },
  { "send", NULL, COMMAND_SEND, 2, 2, 0 },
  { "listen", NULL, COMMAND_LISTEN, 0, 0, OPTION_FOR },
  { "roster", "list", COMMAND_ROSTER, 1, 1, 0 },
  { "roster", "add", COMMAND_ROSTER, 2, 3, 0 },
  { "roster", "remove", COMMAND_ROSTER, 2, 2, 0 },
  { "roster", "accept", COMMAND_ROSTER, 2, 2, 0 },
  { "roster", "deny", COMMAND_ROSTER, 2, 2, 0 },
  { "catalog", NULL, COMMAND_CATALOG, 0, 1, 0 },
  { "serials", NULL, COMMAND_SERIALS, 0, 0, OPTION_REVEAL },
  { "buy", NULL, COMMAND_BUY, 1, 1, OPTION_YES },
  { "item", "list", COMMAND_ITEM, 2, 2, 0 },
  { "item", "buy", COMMAND_ITEM, 3, 3, OPTION_YES },
  { "order", NULL, COMMAND_ORDER, 0, 1, 0 },
  { "decline", NULL, COMMAND_DECLINE, 1, 1, 0 },
  { "receipt", NULL, COMMAND_RECEIPT, 1, 1, 0 },
  { "function", "call", COMMAND_FUNCTION, 3, 4, 0 },
  { "plugin", "list", COMMAND_PLUGIN, 1, 1, 0 },
  { "plugin", "check", COMMAND_PLUGIN, 2, 2, 0 },
  { "plugin", "install", COMMAND_PLUGIN, 2, 2, OPTION_YES },
  { "plugin", "allow", COMMAND_PLUGIN, 3, 3, 0 },
  { "plugin", "forbid", COMMAND_PLUGIN, 3, 3, 0 },
  { "plugin", "remove", COMMAND_PLUGIN, 2, 2, 0 },
  { "plugin", "rollback", COMMAND_PLUGIN, 2, 2, OPTION_YES },
  { "plugin", "use", COMMAND_PLUGIN, 2, 1000, OPTION_YES | OPTION_TO },
};

const char *
arguments_peek_help (void)
{
  return "usage: host-client [OPTION…] [COMMAND]\n"
         "\n"
         "Without a command: interactive.\n"
         "\n"
         "  login [--remember]         log in and out again; --remember keeps the password in the keyring\n"
         "  send JID TEXT              send one message\n"
         "  listen [--for S]           print messages as they arrive, for ever or for S seconds\n"
         "  roster list|add JID [NAME]|remove JID|accept JID|deny JID\n"
         "  catalog [WORDS]            plugins that can be had\n"
         "  serials [--reveal]         your plugins and their serials, masked unless --reveal is given\n"
         "  buy PLUGIN [--yes]         register a plugin: order it, pay, receive its serial\n"
         "  item list APPLICATION      what can be bought inside it, and how much of it you have\n"
         "  item buy APPLICATION ITEM [--yes]\n"
         "                             order it, pay, have it\n"
         "  order [ID]                 one of your orders, or all of them\n"
         "  decline ID                 give up an order that is not paid\n"
         "  receipt ID                 the host's signed receipt of a fulfilled order, verified\n"
         "  function call APPLICATION NAME [ARGUMENT]\n"
         "                             run a function that its vendor keeps on the server\n"
         "  plugin list                installed plugins and how they are\n"
         "  plugin check FILE          whether a .legacy or .plugin file and its object are right, for "
         "vendors\n"
         "  plugin install ID [--yes]  the market's package of a plugin, or its newer version; shows what it "
         "asks\n"
         "                             for, and --yes agrees to that\n"
         "  plugin install FILE [--yes]    the same of a .legacy or .plugin file with its object beside it\n"
         "  plugin remove ID           its files; what it kept stays\n"
         "  plugin rollback ID [--yes] the version that was installed before\n"
         "  plugin allow|forbid ID JID     whom a plugin may write to besides the chat that is open\n"
         "  plugin use ID [--yes] [--to JID] [-- COMMAND INPUT…]\n"
         "                             start a plugin, register it if need be, run one of its commands\n"
         "\n"
         "  --account JID              may be left out if there is only one\n"
         "  --password-fd N            read the password's line from this file descriptor\n"
         "  --config DIR               instead of the user's own folder\n"
         "  --server HOST:PORT         instead of what the account's domain says\n"
         "  --direct-tls               TLS from the first byte instead of STARTTLS\n"
         "  --pin SHA256               trust this certificate (hex, of its DER form) and no other\n"
         "  --json                     one JSON object a line\n"
         "  --verbose                  say on standard error what happens\n"
         "  --version, --help\n"
         "\n"
         "exit codes: 0 done, 1 refused, 2 usage, 3 cannot connect, 4 not authenticated, 5 the plugin "
         "failed\n";
}

void
arguments_free (Arguments *arguments)
{
  if (arguments == NULL)
    return;
  g_free (arguments->account);
  g_free (arguments->config);
  g_free (arguments->server);
  g_free (arguments->pin);
  g_free (arguments->to);
  g_strfreev (arguments->words);
  g_free (arguments);
}

/* Accepts `ab:cd:…` as certificates are often shown, and upper case. */
static char *
read_pin (const char *text)
{
  g_autoptr (GString) hex = g_string_new (NULL);
  for (const char *p = text; *p != '\0'; p++)
    {
      if (*p == ':')
        continue;
      if (!g_ascii_isxdigit (*p))
        return NULL;
      g_string_append_c (hex, g_ascii_tolower (*p));
    }
  return hex->len == 64 ? g_strdup (hex->str) : NULL;
}

static const CommandForm *
find_form (const Arguments *arguments, const char *name, GError **error)
{
  gboolean is_known = FALSE;
  const char *second = arguments->n_words > 0 ? arguments->words[0] : NULL;
  for (gsize i = 0; i < G_N_ELEMENTS (forms); i++)
    {
      if (strcmp (forms[i].name, name) != 0)
        continue;
      is_known = TRUE;
      if (forms[i].second != NULL && g_strcmp0 (forms[i].second, second) != 0)
        continue;
      if (arguments->n_words >= forms[i].least && arguments->n_words <= forms[i].most)
        return &forms[i];
    }
  if (is_known)
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, "wrong arguments for '%s'", name);
  else
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, "unknown command '%s'", name);
  return NULL;
}

static gboolean
check_own_options (const CommandForm *form, guint given, GError **error)
{
  static const char *const names[] = { "--yes", "--for", "--to", "--reveal", "--remember" };
  guint allowed = form != NULL ? form->options : 0;
  for (gsize i = 0; i < G_N_ELEMENTS (names); i++)
    if ((given & ~allowed) & (1u << i))
      {
        g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, "%s does not belong here", names[i]);
        return FALSE;
      }
  return TRUE;
}

static gboolean
check_values (Arguments *arguments, gboolean has_password_fd, gboolean has_for, GError **error)
{
  if (arguments->pin != NULL)
    {
      g_autofree char *typed = g_steal_pointer (&arguments->pin);
      arguments->pin = read_pin (typed);
      if (arguments->pin == NULL)
        {
          g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "--pin needs 64 hex digits");
          return FALSE;
        }
    }
  if (has_password_fd && (arguments->password_fd < 0 || arguments->password_fd > 65535))
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "--password-fd needs a file descriptor");
      return FALSE;
    }
  if (has_for && !(arguments->listen_s > 0 && arguments->listen_s <= 1e6))
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "--for needs seconds");
      return FALSE;
    }
  return TRUE;
}

Arguments *
arguments_parse (const char *const *argv, GError **error)
{
  g_autoptr (Arguments) arguments = g_new0 (Arguments, 1);
  arguments->password_fd = -2;
  arguments->listen_s = -1;
  double listen_s = -1;
  g_auto (GStrv) words = NULL;
  const GOptionEntry entries[] = {
    { "account", 0, 0, G_OPTION_ARG_STRING, &arguments->account, NULL, NULL },
    { "password-fd", 0, 0, G_OPTION_ARG_INT, &arguments->password_fd, NULL, NULL },
    { "config", 0, 0, G_OPTION_ARG_FILENAME, &arguments->config, NULL, NULL },
    { "server", 0, 0, G_OPTION_ARG_STRING, &arguments->server, NULL, NULL },
    { "direct-tls", 0, 0, G_OPTION_ARG_NONE, &arguments->is_direct_tls, NULL, NULL },
    { "pin", 0, 0, G_OPTION_ARG_STRING, &arguments->pin, NULL, NULL },
    { "json", 0, 0, G_OPTION_ARG_NONE, &arguments->is_json, NULL, NULL },
    { "verbose", 0, 0, G_OPTION_ARG_NONE, &arguments->is_verbose, NULL, NULL },
    { "version", 0, 0, G_OPTION_ARG_NONE, &arguments->is_version, NULL, NULL },
    { "yes", 0, 0, G_OPTION_ARG_NONE, &arguments->has_yes, NULL, NULL },
    { "for", 0, 0, G_OPTION_ARG_DOUBLE, &listen_s, NULL, NULL },
    { "to", 0, 0, G_OPTION_ARG_STRING, &arguments->to, NULL, NULL },
    { "reveal", 0, 0, G_OPTION_ARG_NONE, &arguments->has_reveal, NULL, NULL },
    { "remember", 0, 0, G_OPTION_ARG_NONE, &arguments->has_remember, NULL, NULL },
    { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &words, NULL, NULL },
    { NULL },
  };
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_option_context_add_main_entries (context, entries, NULL);
  g_option_context_set_help_enabled (context, FALSE);
  g_auto (GStrv) copy = g_strdupv ((char **)argv);
  if (!g_option_context_parse_strv (context, &copy, error))
    return NULL;

  gboolean has_for = listen_s != -1, has_password_fd = arguments->password_fd != -2;
  arguments->listen_s = listen_s;
  if (!has_password_fd)
    arguments->password_fd = -1;
  if (words != NULL && words[0] != NULL)
    {
      arguments->words = g_strdupv (words + 1);
      arguments->n_words = g_strv_length (arguments->words);
    }
  const CommandForm *form = NULL;
  if (arguments->words != NULL && (form = find_form (arguments, words[0], error)) == NULL)
    return NULL;
  guint given = (arguments->has_yes ? OPTION_YES : 0) | (has_for ? OPTION_FOR : 0)
                | (arguments->to != NULL ? OPTION_TO : 0) | (arguments->has_reveal ? OPTION_REVEAL : 0)
                | (arguments->has_remember ? OPTION_REMEMBER : 0);
  if (!check_own_options (form, given, error) || !check_values (arguments, has_password_fd, has_for, error))
    return NULL;
  arguments->command = form != NULL ? form->kind : COMMAND_INTERACTIVE;
  return g_steal_pointer (&arguments);
}
