/* hostctl: administration from the command line (protocol.md section 11).
 *
 * The server greets with the table of its commands; the words of the command line are read by that table,
 * files are read here, and a secret comes from the first line of standard input. The few commands that are
 * for people without a server are in a table of their own.
 */
#include "host-server/admin/hostctl-local.h"
#include "host-server/admin/hostctl-print.h"
#include "host-server/admin/hostctl-receipt.h"
#include "host-server/admin/vendor-check.h"

#include "common/base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <glib.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#define EXIT_REFUSED       1
#define EXIT_USAGE         2
#define EXIT_NO_CONNECTION 3
#define MAX_FILE           (16 * 1024 * 1024)
#define MAX_SECRET         4096

static const char usage[]
    = "usage: hostctl --config FILE [--json] COMMAND [ARGUMENT...]\n"
      "       hostctl --config FILE help [COMMAND]\n"
      "       hostctl vendor check URL --plugin ID [OPTION...]      without a server; for vendors\n"
      "       hostctl receipt verify FILE [OPTION...]               without a server; for who has a receipt\n"
      "exit codes: 0 done, 1 refused or not found, 2 usage, 3 no connection to the server\n";

typedef struct
{
  const char *config;
  gboolean is_json;
  GPtrArray *words; /* what is not ours, in order */
  guint n_words;    /* of them before a "--": after it nothing is an option */
} CommandLine;

G_GNUC_PRINTF (2, 3)
static int
fail (int code, const char *format, ...)
{
  va_list list;
  va_start (list, format);
  g_autofree char *text = g_strdup_vprintf (format, list);
  va_end (list);
  fprintf (stderr, "hostctl: %s\n", text);
  return code;
}

/* --- the connection */

/* The data folder, from the server's own file; the rest of that file is the server's to judge. */
static char *
find_data_folder (const char *path, GError **error)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  if (!g_key_file_load_from_file (file, path, G_KEY_FILE_NONE, error))
    {
      g_prefix_error (error, "cannot read '%s': ", path);
      return NULL;
    }
  char *data = g_key_file_get_string (file, "server", "data", error);
  if (data == NULL)
    g_prefix_error (error, "'%s': ", path);
  return data;
}

static int
connect_to (const char *folder)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int folder_fd = -1;
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  gsize n = (gsize)g_snprintf (address.sun_path, sizeof address.sun_path, "%s/control.sock", folder);
  if (n >= sizeof address.sun_path)
    {
      folder_fd = open (folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
      g_snprintf (address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/control.sock", folder_fd);
    }
  if (connect (fd, (struct sockaddr *)&address, sizeof address) != 0)
    {
      int code = errno;
      close (fd);
      fd = -1;
      errno = code;
    }
  if (folder_fd >= 0)
    close (folder_fd);
  return fd;
}

/* The next line as JSON; NULL if the connection ended or says no JSON. */
static json_t *
read_line (FILE *stream)
{
  char *line = NULL;
  size_t size = 0;
  ssize_t length = getline (&line, &size, stream);
  json_t *object = length > 0 ? json_loadb (line, (size_t)length, JSON_REJECT_DUPLICATES, NULL) : NULL;
  if (line != NULL)
    secret_wipe (line, size);
  free (line);
  return object;
}

static gboolean
write_line (int fd, const json_t *object)
{
  char *text = json_dumps (object, JSON_COMPACT);
  gsize length = strlen (text), done = 0;
  text[length++] = '\n'; /* in the place of its NUL */
  while (done < length)
    {
      ssize_t n = send (fd, text + done, length - done, MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        break;
      done += (gsize)n;
    }
  secret_wipe (text, length);
  free (text);
  return done == length;
}

/* --- what needs no server */

static const HostctlLocal local_commands[] = {
  { "vendor check",
    "URL --plugin ID [--term TERM] [--secret-file FILE | --secret-fd N] [--timeout S] [--ca-file FILE]",
    "try a plugin server as the host would; needs no server", vendor_check },
  { "receipt verify", HOSTCTL_RECEIPT_ARGUMENTS,
    "check a receipt with the host's public keys; needs no server if they are given", hostctl_receipt_verify },
};

/* --- help */

static char *
dup_synopsis (const json_t *command)
{
  GString *text = g_string_new (json_string_value (json_object_get (command, "name")));
  size_t i;
  json_t *argument;
  json_array_foreach (json_object_get (command, "arguments"), i, argument)
  {
    const char *name = json_string_value (json_object_get (argument, "name"));
    const char *kind = json_string_value (json_object_get (argument, "kind"));
    const char *value = g_strcmp0 (kind, "value") == 0 ? " VALUE" : "";
    gboolean is_optional = json_is_true (json_object_get (argument, "optional"));
    g_string_append_printf (text, is_optional ? " [%s%s]" : " %s%s", name, value);
  }
  return g_string_free (text, FALSE);
}

static void
print_help (const json_t *command, int width)
{
  g_autofree char *synopsis = dup_synopsis (command);
  const char *secret = json_string_value (json_object_get (command, "secret"));
  printf ("  %-*s  %s", width, synopsis, json_string_value (json_object_get (command, "help")));
  if (secret != NULL)
    printf (" (%s: first line of standard input)", secret);
  putchar ('\n');
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  const json_t *const *one = a, *const *other = b;
  return g_strcmp0 (json_string_value (json_object_get (*one, "name")),
                    json_string_value (json_object_get (*other, "name")));
}

static void
add_local_commands (json_t *commands)
{
  for (gsize i = 0; i < G_N_ELEMENTS (local_commands); i++)
    json_array_append_new (commands, json_pack ("{s:s, s:s, s:[{s:s, s:s}]}", "name", local_commands[i].name,
                                                "help", local_commands[i].help, "arguments", "name",
                                                local_commands[i].arguments, "kind", "word"));
}

static int
help (json_t *commands, const CommandLine *line)
{
  add_local_commands (commands);
  g_autoptr (GString) wanted = g_string_new (NULL);
  for (guint i = 1; i < line->words->len; i++)
    g_string_append_printf (wanted, "%s%s", i > 1 ? " " : "", (char *)line->words->pdata[i]);
  g_autoptr (GPtrArray) shown = g_ptr_array_new ();
  int width = 0;
  size_t i;
  json_t *command;
  json_array_foreach (commands, i, command)
  {
    if (!g_str_has_prefix (json_string_value (json_object_get (command, "name")), wanted->str))
      continue;
    g_ptr_array_add (shown, command);
    g_autofree char *synopsis = dup_synopsis (command);
    int length = (int)strlen (synopsis);
    width = length <= 44 ? MAX (width, length) : width;
  }
  g_ptr_array_sort (shown, compare_names);
  for (guint at = 0; at < shown->len; at++)
    print_help (shown->pdata[at], width);
  return shown->len > 0 ? EXIT_SUCCESS : fail (EXIT_REFUSED, "no command '%s'", wanted->str);
}

/* --- the command */

/* The command whose name has the most of @line's first words. */
static const json_t *
find_command (const json_t *commands, const CommandLine *line, guint *n_names)
{
  const json_t *found = NULL;
  g_autoptr (GString) wanted = g_string_new (NULL);
  for (guint n = 0; n < MIN (line->words->len, 3); n++)
    {
      size_t i;
      json_t *command;
      g_string_append_printf (wanted, "%s%s", n > 0 ? " " : "", (char *)line->words->pdata[n]);
      json_array_foreach (commands, i, command)
      {
        if (g_strcmp0 (json_string_value (json_object_get (command, "name")), wanted->str) != 0)
          continue;
        found = command;
        *n_names = n + 1;
      }
    }
  return found;
}

static json_t *
find_option (const json_t *command, const char *word, gsize length)
{
  size_t i;
  json_t *argument;
  json_array_foreach (json_object_get (command, "arguments"), i, argument)
  {
    const char *name = json_string_value (json_object_get (argument, "name"));
    if (strlen (name) == length && strncmp (name, word, length) == 0)
      return argument;
  }
  return NULL;
}

/* The @index-th argument that is a word in its place. */
static json_t *
find_positional (const json_t *command, guint index)
{
  size_t i;
  json_t *argument;
  json_array_foreach (json_object_get (command, "arguments"), i, argument)
  {
    if (json_string_value (json_object_get (argument, "name"))[0] != '-' && index-- == 0)
      return argument;
  }
  return NULL;
}

static json_t *
load_file (const char *path, const char *absolute)
{
  g_autofree char *bytes = NULL;
  gsize length;
  g_autoptr (GError) error = NULL;
  if (!g_file_get_contents (path, &bytes, &length, &error))
    {
      fail (EXIT_REFUSED, "cannot read '%s': %s", path, error->message);
      return NULL;
    }
  if (length > MAX_FILE)
    {
      fail (EXIT_REFUSED, "'%s' is larger than 16 MiB", path);
      return NULL;
    }
  g_autofree char *content = g_base64_encode ((const guchar *)bytes, length);
  json_t *file = json_pack ("{ssss}", "path", absolute, "content", content);
  secret_wipe (bytes, length);
  secret_wipe (content, strlen (content));
  if (file == NULL)
    fail (EXIT_REFUSED, "the name of '%s' is not UTF-8", path);
  return file;
}

/* What goes to the server for @word; NULL after saying why not. */
static json_t *
read_word (const json_t *argument, const char *word)
{
  const char *kind = json_string_value (json_object_get (argument, "kind"));
  json_t *value = NULL;
  g_autofree char *absolute = g_canonicalize_filename (word, NULL);
  if (strcmp (kind, "file") == 0)
    return load_file (word, absolute);
  value = json_string (strcmp (kind, "path") == 0 ? absolute : word);
  if (value == NULL)
    fail (EXIT_USAGE, "'%s' is not UTF-8", word);
  return value;
}

/* Reads an option at @words[*at] and what belongs to it. */
static int
take_option (json_t *arguments, const json_t *command, const CommandLine *line, guint *at)
{
  const char *word = line->words->pdata[*at];
  gsize length = strcspn (word, "=");
  const json_t *argument = find_option (command, word, length);
  if (argument == NULL)
    return fail (EXIT_USAGE, "%s has no option '%s'", json_string_value (json_object_get (command, "name")),
                 word);
  const char *name = json_string_value (json_object_get (argument, "name"));
  json_t *value = json_true ();
  if (strcmp (json_string_value (json_object_get (argument, "kind")), "value") == 0)
    {
      if (word[length] == '\0' && *at + 1 >= line->words->len)
        return fail (EXIT_USAGE, "%s needs a value", name);
      value = read_word (argument, word[length] == '=' ? word + length + 1 : line->words->pdata[++*at]);
    }
  else if (word[length] == '=')
    return fail (EXIT_USAGE, "%s takes no value", name);
  if (value == NULL)
    return EXIT_USAGE;
  json_object_set_new (arguments, name, value);
  return EXIT_SUCCESS;
}

static int
missing (const json_t *command)
{
  g_autofree char *synopsis = dup_synopsis (command);
  return fail (EXIT_USAGE, "usage: hostctl --config FILE %s", synopsis);
}

static int
read_arguments (json_t *arguments, const json_t *command, const CommandLine *line, guint at)
{
  guint index = 0;
  for (; at < line->words->len; at++)
    {
      const char *word = line->words->pdata[at];
      if (at < line->n_words && word[0] == '-' && word[1] == '-')
        {
          int code = take_option (arguments, command, line, &at);
          if (code != EXIT_SUCCESS)
            return code;
          continue;
        }
      const json_t *argument = find_positional (command, index++);
      if (argument == NULL)
        return missing (command);
      json_t *value = read_word (argument, word);
      if (value == NULL)
        return strcmp (json_string_value (json_object_get (argument, "kind")), "file") == 0 ? EXIT_REFUSED
                                                                                            : EXIT_USAGE;
      json_object_set_new (arguments, json_string_value (json_object_get (argument, "name")), value);
    }
  const json_t *next = find_positional (command, index);
  return next == NULL || json_is_true (json_object_get (next, "optional")) ? EXIT_SUCCESS : missing (command);
}

/* Waits for standard input; FALSE if somebody wants us to end first. */
static gboolean
wait_for_input (int signals)
{
  struct pollfd waiting[] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = signals, .events = POLLIN } };
  while (poll (waiting, G_N_ELEMENTS (waiting), -1) < 0)
    if (errno != EINTR)
      return FALSE;
  return waiting[1].revents == 0;
}

/* The bytes up to the first line feed or the end; 0 if there are none, too many, or a signal came. */
static gsize
read_first_line (char *bytes, gsize size, int signals)
{
  gsize length = 0;
  while (length < size && wait_for_input (signals))
    {
      ssize_t n = read (STDIN_FILENO, bytes + length, 1);
      if (n < 0)
        return 0;
      if (n == 0 || bytes[length] == '\n')
        {
          if (length > 0 && bytes[length - 1] == '\r')
            length--;
          return length;
        }
      length++;
    }
  return 0;
}

/* The first line of standard input; from a terminal without echo, which comes back whatever happens. NULL if
 * there is none. */
static Secret *
read_secret (const char *what)
{
  sigset_t ending, before;
  sigemptyset (&ending);
  sigaddset (&ending, SIGINT);
  sigaddset (&ending, SIGTERM);
  sigaddset (&ending, SIGHUP);
  sigprocmask (SIG_BLOCK, &ending, &before);
  int signals = signalfd (-1, &ending, SFD_CLOEXEC);
  struct termios shown, hidden;
  gboolean is_terminal = tcgetattr (STDIN_FILENO, &shown) == 0;
  if (is_terminal)
    {
      hidden = shown;
      hidden.c_lflag &= (tcflag_t)~ECHO;
      hidden.c_lflag |= ECHONL;
      tcsetattr (STDIN_FILENO, TCSAFLUSH, &hidden);
      fprintf (stderr, "%s: ", what);
    }
  char bytes[MAX_SECRET];
  gsize length = read_first_line (bytes, sizeof bytes, signals);
  if (is_terminal)
    tcsetattr (STDIN_FILENO, TCSAFLUSH, &shown);
  close (signals);
  sigprocmask (SIG_SETMASK, &before, NULL); /* a signal that came takes its effect here */
  Secret *secret = length > 0 ? secret_new (bytes, length) : NULL;
  secret_wipe (bytes, sizeof bytes);
  return secret;
}

/* For a person who waits, and nobody else. */
static void
tell (const char *progress)
{
  if (isatty (STDERR_FILENO) == 1)
    fprintf (stderr, "hostctl: %s\n", progress);
}

static int
print_answer (FILE *stream, gboolean is_list, gboolean is_json)
{
  json_t *rows = json_array ();
  json_t *line = NULL;
  int code = -1;
  while (code < 0 && (line = read_line (stream)) != NULL)
    {
      json_t *row = json_object_get (line, "row");
      const char *refused = json_string_value (json_object_get (line, "refused"));
      const char *misused = json_string_value (json_object_get (line, "usage"));
      if (row != NULL && is_json)
        {
          char *text = json_dumps (row, JSON_COMPACT);
          puts (text);
          free (text);
        }
      const char *progress = json_string_value (json_object_get (line, "progress"));
      if (row != NULL)
        json_array_append (rows, row);
      else if (progress != NULL)
        tell (progress);
      else if (refused != NULL)
        code = fail (EXIT_REFUSED, "%s", refused);
      else if (misused != NULL)
        code = fail (EXIT_USAGE, "%s", misused);
      else
        code = EXIT_SUCCESS;
      json_decref (line);
    }
  if (code == EXIT_SUCCESS && is_json && !is_list && json_array_size (rows) == 0)
    puts ("{}");
  if (!is_json && is_list && (code == EXIT_SUCCESS || json_array_size (rows) > 0))
    hostctl_print_list (stdout, rows);
  if (code == EXIT_SUCCESS && !is_json && !is_list && json_array_size (rows) > 0)
    hostctl_print_object (stdout, json_array_get (rows, 0));
  json_decref (rows);
  return code >= 0
             ? code
             : fail (EXIT_NO_CONNECTION, "the server went away; whether the command was done is not known");
}

static int
run (int fd, FILE *stream, const json_t *commands, const CommandLine *line)
{
  const char *first = line->words->pdata[0];
  const char *second = line->words->len > 1 ? line->words->pdata[1] : NULL;
  guint n_names = 0;
  const json_t *command = find_command (commands, line, &n_names);
  if (command == NULL)
    return fail (EXIT_USAGE, "no command '%s%s%s'; hostctl --config FILE help lists them", first,
                 second != NULL ? " " : "", second != NULL ? second : "");
  const char *name = json_string_value (json_object_get (command, "name"));
  const char *wanted = json_string_value (json_object_get (command, "secret"));

  json_t *arguments = json_object ();
  int code = read_arguments (arguments, command, line, n_names);
  g_autoptr (Secret) secret = code == EXIT_SUCCESS && wanted != NULL ? read_secret (wanted) : NULL;
  if (code == EXIT_SUCCESS && wanted != NULL && secret == NULL)
    code = fail (EXIT_USAGE, "the first line of standard input must be the %s", wanted);
  json_t *request = json_pack ("{ssso}", "command", name, "arguments", arguments);
  if (secret != NULL && json_object_set_new (request, "secret", json_string (secret_peek_text (secret))) != 0)
    code = fail (EXIT_USAGE, "the %s is not UTF-8", wanted);
  if (code == EXIT_SUCCESS && !write_line (fd, request))
    code = fail (EXIT_NO_CONNECTION, "the server went away");
  json_decref (request);
  return code == EXIT_SUCCESS
             ? print_answer (stream, json_is_true (json_object_get (command, "list")),
                             line->is_json || json_is_true (json_object_get (command, "document")))
             : code;
}

/* A connection whose greeting has been read into *@greeting; NULL after saying why not. */
static FILE *
greet (const CommandLine *line, json_t **greeting, int *code)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *folder = find_data_folder (line->config, &error);
  *greeting = NULL;
  *code = EXIT_NO_CONNECTION;
  if (folder == NULL)
    {
      *code = fail (EXIT_USAGE, "%s", error->message);
      return NULL;
    }
  int fd = connect_to (folder);
  if (fd < 0)
    {
      fail (EXIT_NO_CONNECTION, "no server on '%s': %s", folder, g_strerror (errno));
      return NULL;
    }
  FILE *stream = fdopen (fd, "r");
  *greeting = read_line (stream);
  if (json_is_array (json_object_get (*greeting, "commands")))
    return stream;
  fail (EXIT_NO_CONNECTION, "the server on '%s' does not talk to this user", folder);
  json_decref (*greeting);
  fclose (stream);
  return NULL;
}

/* What the server answers to `key show`. */
static json_t *
ask_keys (gpointer data, int *code)
{
  const CommandLine *line = data;
  json_t *greeting, *answer = NULL, *row = NULL;
  if (line->config == NULL)
    {
      *code = fail (EXIT_USAGE, "--jwks FILE is needed (or --config FILE of a running server)");
      return NULL;
    }
  FILE *stream = greet (line, &greeting, code);
  if (stream == NULL)
    return NULL;
  json_t *request = json_pack ("{s:s, s:{}}", "command", "key show", "arguments");
  if (write_line (fileno (stream), request) && (answer = read_line (stream)) != NULL)
    row = json_incref (json_object_get (answer, "row"));
  if (row == NULL)
    *code = fail (EXIT_NO_CONNECTION, "the server does not say what its keys are");
  json_decref (request);
  json_decref (answer);
  json_decref (greeting);
  fclose (stream);
  return row;
}

static const HostctlLocal *
find_local (const CommandLine *line)
{
  for (gsize i = 0; i < G_N_ELEMENTS (local_commands); i++)
    {
      g_auto (GStrv) names = g_strsplit (local_commands[i].name, " ", 2);
      guint n = g_strv_length (names);
      gboolean is_it = line->words->len >= n;
      for (guint at = 0; at < n && is_it; at++)
        is_it = strcmp (line->words->pdata[at], names[at]) == 0;
      if (is_it)
        return &local_commands[i];
    }
  return NULL;
}

static int
run_local (const HostctlLocal *command, const CommandLine *line)
{
  guint n_names = strchr (command->name, ' ') != NULL ? 2 : 1;
  g_autoptr (GPtrArray) words = g_ptr_array_new ();
  for (guint i = n_names; i < line->words->len; i++)
    g_ptr_array_add (words, line->words->pdata[i]);
  g_ptr_array_add (words, NULL);
  return command->run (&(HostctlLocalCall){ (char **)words->pdata, line->is_json, read_secret, ask_keys, (gpointer)line });
}

/* A restore replaces what a server has open, so it is the one command for a server that is stopped: its own program
 * does it. */
static int
restore (const CommandLine *line)
{
  if (line->words->len != 2)
    return fail (EXIT_USAGE, "usage: hostctl --config FILE restore FOLDER");
  static const char *const places[] = { "host-server", "../host-server" }; /* installed; in the build folder */
  g_autofree char *self = g_file_read_link ("/proc/self/exe", NULL);
  g_autofree char *folder = g_path_get_dirname (self != NULL ? self : ".");
  for (gsize i = 0; i < G_N_ELEMENTS (places); i++)
    {
      g_autofree char *program = g_build_filename (folder, places[i], NULL);
      if (g_file_test (program, G_FILE_TEST_IS_REGULAR))
        execl (program, program, "--config", line->config, "--restore", line->words->pdata[1],
               line->is_json ? "--json" : NULL, NULL);
    }
  return fail (EXIT_REFUSED, "cannot find host-server beside hostctl; host-server --restore does the same");
}

/* TRUE also if the folder cannot be found, which is said by whoever asks next. */
static gboolean
has_server (const CommandLine *line)
{
  g_autofree char *folder = find_data_folder (line->config, NULL);
  int fd = folder != NULL ? connect_to (folder) : -1;
  if (fd >= 0)
    close (fd);
  return folder == NULL || fd >= 0;
}

static int
talk (const CommandLine *line)
{
  json_t *greeting;
  int code;
  if (strcmp (line->words->pdata[0], "restore") == 0 && !has_server (line))
    return restore (line);
  FILE *stream = greet (line, &greeting, &code);
  if (stream == NULL)
    return code;
  json_t *commands = json_object_get (greeting, "commands");
  if (strcmp (line->words->pdata[0], "help") == 0)
    code = help (commands, line);
  else
    code = run (fileno (stream), stream, commands, line);
  json_decref (greeting);
  fclose (stream);
  return code;
}

/* --json and --config may stand anywhere before "--". */
static void
read_command_line (int argc, char **argv, CommandLine *line)
{
  for (int i = 1; i < argc; i++)
    {
      if (strcmp (argv[i], "--json") == 0)
        line->is_json = TRUE;
      else if (strcmp (argv[i], "--config") == 0 && i + 1 < argc)
        line->config = argv[++i];
      else if (g_str_has_prefix (argv[i], "--config="))
        line->config = argv[i] + strlen ("--config=");
      else if (strcmp (argv[i], "--") == 0)
        {
          line->n_words = line->words->len;
          while (++i < argc)
            g_ptr_array_add (line->words, argv[i]);
          return;
        }
      else
        g_ptr_array_add (line->words, argv[i]);
    }
  line->n_words = line->words->len;
}

int
main (int argc, char **argv)
{
  setlocale (LC_ALL, "");
  if (argc == 2 && (strcmp (argv[1], "--help") == 0 || strcmp (argv[1], "-h") == 0))
    {
      fputs (usage, stdout);
      return EXIT_SUCCESS;
    }
  if (argc == 2 && strcmp (argv[1], "--version") == 0)
    {
      puts ("hostctl " STOA_VERSION);
      return EXIT_SUCCESS;
    }
  g_autoptr (GPtrArray) words = g_ptr_array_new ();
  CommandLine line = { .words = words };
  read_command_line (argc, argv, &line);
  const HostctlLocal *local = find_local (&line);
  if (local != NULL)
    return run_local (local, &line);
  if (line.config == NULL || words->len == 0 || ((char *)words->pdata[0])[0] == '-')
    {
      fputs (usage, stderr);
      return EXIT_USAGE;
    }
  int code = talk (&line);
  if (fflush (stdout) != 0 || ferror (stdout))
    return fail (EXIT_REFUSED, "cannot write the answer: %s", g_strerror (errno));
  return code;
}
