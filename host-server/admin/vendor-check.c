#include "host-server/admin/vendor-check.h"

#include "common/base/text.h"
#include "host-server/admin/hostctl-print.h"
#include "host-server/admin/vendor-check-rows.h"

#include <gio/gio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_FAILED        1
#define EXIT_USAGE         2
#define EXIT_NO_CONNECTION 3
#define NAME_WIDTH         17
#define MAX_SECRET_FILE    4096
#define STANDARD_TIMEOUT_S 10.0 /* vendor_timeout_s */
#define MAX_TIMEOUT_S      300.0

typedef struct
{
  const char *url;
  char **words; /* with @url among them */
  char *plugin, *term, *secret_file, *ca_file;
  int secret_fd;
  double timeout_s;
} Options;

static void
options_clear (Options *options)
{
  g_strfreev (options->words);
  g_free (options->plugin);
  g_free (options->term);
  g_free (options->secret_file);
  g_free (options->ca_file);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Options, options_clear)

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

static gboolean
read_options (Options *options, const HostctlLocalCall *call, GError **error)
{
  const GOptionEntry entries[]
      = { { "plugin", 0, 0, G_OPTION_ARG_STRING, &options->plugin, "The plugin's id, as in its manifest",
            "ID" },
          { "term", 0, 0, G_OPTION_ARG_STRING, &options->term, "Its term, if it has one", "P1Y" },
          { "secret-file", 0, 0, G_OPTION_ARG_FILENAME, &options->secret_file,
            "The secret shared with the host is the first line of this file (standard input)", "FILE" },
          { "secret-fd", 0, 0, G_OPTION_ARG_INT, &options->secret_fd, "The same of a file descriptor", "N" },
          { "timeout", 0, 0, G_OPTION_ARG_DOUBLE, &options->timeout_s, "The host's vendor_timeout_s (10)",
            "SECONDS" },
          { "ca-file", 0, 0, G_OPTION_ARG_FILENAME, &options->ca_file,
            "Roots to trust instead of the system's", "FILE" },
          { NULL } };
  g_autoptr (GPtrArray) words = g_ptr_array_new ();
  g_ptr_array_add (words, g_strdup ("vendor check"));
  for (char **word = call->words; *word != NULL; word++)
    g_ptr_array_add (words, g_strdup (*word));
  g_ptr_array_add (words, NULL);
  options->words = (char **)g_ptr_array_free (g_steal_pointer (&words), FALSE);

  g_autoptr (GOptionContext) context = g_option_context_new ("URL");
  g_option_context_set_help_enabled (context, FALSE);
  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse_strv (context, &options->words, error))
    return FALSE;
  const char *reason = NULL;
  if (g_strv_length (options->words) != 2 || options->plugin == NULL)
    reason = "usage: hostctl vendor check URL --plugin ID [--term TERM] [--secret-file FILE | --secret-fd N]"
             " [--timeout S] [--ca-file FILE] [--json]";
  else if (!text_is_market_id (options->plugin))
    reason = "--plugin takes an id such as weather";
  else if (options->secret_file != NULL && options->secret_fd >= 0)
    reason = "--secret-file and --secret-fd exclude each other";
  else if (!(options->timeout_s >= 0.1 && options->timeout_s <= MAX_TIMEOUT_S))
    reason = "--timeout takes 0.1 to 300 seconds";
  if (reason == NULL)
    {
      options->url = options->words[1];
      return TRUE;
    }
  g_set_error_literal (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, reason);
  return FALSE;
}

/* The first line of @bytes, which are wiped; NULL if it is empty. */
static Secret *
take_first_line (char *bytes, gsize length)
{
  gsize end = 0;
  while (end < length && bytes[end] != '\n' && bytes[end] != '\r')
    end++;
  Secret *secret = end > 0 ? secret_new (bytes, end) : NULL;
  secret_wipe (bytes, length);
  return secret;
}

static Secret *
read_secret_fd (int fd)
{
  char bytes[MAX_SECRET_FILE];
  gsize length = 0;
  ssize_t n;
  while (length < sizeof bytes && (n = read (fd, bytes + length, sizeof bytes - length)) > 0)
    length += (gsize)n;
  return take_first_line (bytes, length);
}

static Secret *
load_secret (const Options *options, const HostctlLocalCall *call)
{
  if (options->secret_fd >= 0)
    return read_secret_fd (options->secret_fd);
  if (options->secret_file == NULL)
    return call->read_secret ("secret shared with the host");
  g_autofree char *bytes = NULL;
  gsize length;
  return g_file_get_contents (options->secret_file, &bytes, &length, NULL) ? take_first_line (bytes, length)
                                                                           : NULL;
}

/* --- what is shown */

static void
print_row (const char *name, const Row *row, gboolean is_json)
{
  static const char *const words[] = { "pass", "fail", "skipped" };
  g_autofree char *reason = g_utf8_make_valid (row->reason->str, -1);
  if (is_json)
    {
      json_t *object
          = json_pack ("{s:s, s:s, s:s}", "check", name, "result", words[row->result], "reason", reason);
      char *text = json_dumps (object, JSON_COMPACT);
      puts (text);
      free (text);
      json_decref (object);
    }
  else
    {
      g_autofree char *shown = hostctl_dup_shown (reason);
      printf ("%-8s %-*s%s\n", words[row->result], *shown != '\0' ? NAME_WIDTH : 0, name, shown);
    }
  fflush (stdout);
}

static Row
try_row (Check *check, const CheckRow *candidate)
{
  Row row = { ROW_PASSED, g_string_new (NULL) };
  if (candidate->needs_serial && check->serial == NULL)
    {
      row.result = ROW_SKIPPED;
      g_string_assign (row.reason, "there is no serial to try it with");
    }
  else
    candidate->run (check, &row);
  return row;
}

/* Whether the first request of all did not even reach a server. */
static gboolean
cannot_connect (const Check *check)
{
  return check->requests->len == 1 && check->issued != NULL
         && (check->issued->outcome == HTTP_CANNOT_CONNECT || check->issued->outcome == HTTP_TLS_REFUSED);
}

static int
run_rows (Check *check, const char *url, gboolean is_json)
{
  gsize n;
  const CheckRow *rows = check_get_rows (&n);
  int code = EXIT_SUCCESS;
  for (gsize i = 0; i < n && code != EXIT_NO_CONNECTION; i++)
    {
      Row row = try_row (check, &rows[i]);
      if (i == 0 && cannot_connect (check))
        code = fail (EXIT_NO_CONNECTION, "cannot connect to '%s': %s", url, check->issued->reason);
      else
        print_row (rows[i].name, &row, is_json);
      if (row.result == ROW_FAILED && code == EXIT_SUCCESS)
        code = EXIT_FAILED;
      g_string_free (row.reason, TRUE);
    }
  return code;
}

/* A base that the host would not call at all: http where it has to be https is the vendor's to mend, the rest
 * is no URL. */
static int
refuse_base (const Options *options, const GError *error, gboolean is_json)
{
  g_autofree char *secure
      = g_str_has_prefix (options->url, "http://") ? g_strconcat ("https://", options->url + 7, NULL) : NULL;
  g_autoptr (HttpBase) base = secure != NULL ? http_base_new (secure, NULL) : NULL;
  if (base == NULL)
    return fail (EXIT_USAGE, "%s", error->message);
  Row row = { ROW_FAILED, g_string_new (error->message) };
  print_row ("address", &row, is_json);
  g_string_free (row.reason, TRUE);
  return EXIT_FAILED;
}

int
vendor_check (const HostctlLocalCall *call)
{
  g_auto (Options) options = { .secret_fd = -1, .timeout_s = STANDARD_TIMEOUT_S };
  g_autoptr (GError) error = NULL;
  if (!read_options (&options, call, &error))
    return fail (EXIT_USAGE, "%s", error->message);
  g_autoptr (HttpBase) base = http_base_new (options.url, &error);
  if (base == NULL)
    return refuse_base (&options, error, call->is_json);
  g_autoptr (Secret) secret = load_secret (&options, call);
  if (secret == NULL)
    return fail (EXIT_USAGE, "the secret could not be read: it is one line, whsec_…");

  AskerOptions asked = { base, secret, options.ca_file, options.timeout_s };
  g_autoptr (Asker) asker = asker_new (&asked, &error);
  if (asker == NULL)
    return fail (EXIT_USAGE, "the secret is no good: %s", error->message);
  g_autoptr (Clock) clock = clock_new_system ();
  g_auto (Check) check;
  check_init (&check, asker, clock);
  check.plugin = options.plugin;
  check.term = options.term;
  check.timeout_s = options.timeout_s;
  return run_rows (&check, options.url, call->is_json);
}
