/* billing-stub: a payment provider for development, with a durable ledger and faults on demand (docs: billing
 * guide).
 *
 * It speaks the provider's side of protocol.md section 9. Its first line on standard output is
 * {"http":"127.0.0.1:PORT"}, the address it listens on. */
#include "billing-stub/api.h"
#include "billing-stub/page.h"
#include "common/base/log.h"

#include <errno.h>
#include <glib-unix.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE 2

typedef struct
{
  char *listen, *data, *api_key, *webhook_secret, *merchant, *ca_file;
  char **faults;
  double retry_factor;
} Options;

static void
options_clear (Options *options)
{
  g_free (options->listen);
  g_free (options->data);
  g_free (options->api_key);
  g_free (options->webhook_secret);
  g_free (options->merchant);
  g_free (options->ca_file);
  g_strfreev (options->faults);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Options, options_clear)

static gboolean
read_options (Options *options, int *argc, char ***argv, GError **error)
{
  const GOptionEntry entries[] = {
    { "listen", 0, 0, G_OPTION_ARG_STRING, &options->listen, "Address to listen on; port 0: any",
      "HOST:PORT" },
    { "data", 0, 0, G_OPTION_ARG_FILENAME, &options->data, "Folder for the ledger", "DIR" },
    { "api-key", 0, 0, G_OPTION_ARG_STRING, &options->api_key, "The merchant's key", "KEY" },
    { "webhook-secret", 0, 0, G_OPTION_ARG_STRING, &options->webhook_secret, "Signs callbacks", "whsec_..." },
    { "merchant", 0, 0, G_OPTION_ARG_STRING, &options->merchant, "The merchant's id in callbacks", "ID" },
    { "retry-factor", 0, 0, G_OPTION_ARG_DOUBLE, &options->retry_factor, "Scales the pauses between retries",
      "F" },
    { "fault", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options->faults, "Something to do wrong, may be repeated",
      "KIND[:N]" },
    { "ca-file", 0, 0, G_OPTION_ARG_FILENAME, &options->ca_file, "Roots for https callbacks", "FILE" },
    { NULL }
  };
  g_autoptr (GOptionContext) context = g_option_context_new ("- a payment provider for development");
  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, argc, argv, error))
    return FALSE;
  gboolean is_whole = *argc == 1 && options->listen != NULL && options->data != NULL
                      && options->api_key != NULL && options->webhook_secret != NULL
                      && options->merchant != NULL && options->retry_factor >= 0 && *options->api_key != '\0'
                      && *options->merchant != '\0';
  if (!is_whole)
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
                 "--listen, --data, --api-key, --webhook-secret and --merchant are needed; see --help");
  return is_whole;
}

static gboolean
on_signal (gpointer loop)
{
  g_main_loop_quit (loop);
  return G_SOURCE_CONTINUE;
}

static Secret *
take_secret (char *text)
{
  Secret *secret = secret_new (text, strlen (text));
  secret_wipe (text, strlen (text));
  return secret;
}

static gboolean
serve (Options *options, Faults *faults, GError **error)
{
  g_autoptr (Secret) api_key = take_secret (options->api_key);
  g_autoptr (Secret) webhook_secret = take_secret (options->webhook_secret);
  g_autoptr (Clock) clock = clock_new_system ();
  g_autoptr (WebhookRing) ring = webhook_ring_new ();
  if (!webhook_ring_add (ring, webhook_secret, 0, 0, error))
    return FALSE;
  if (g_mkdir_with_parents (options->data, 0700) != 0)
    {
      g_set_error (error, G_FILE_ERROR, g_file_error_from_errno (errno), "cannot make '%s': %s",
                   options->data, g_strerror (errno));
      return FALSE;
    }
  g_autoptr (Ledger) ledger = ledger_open (options->data, clock, options->merchant, faults, error);
  if (ledger == NULL)
    return FALSE;
  g_autoptr (HttpRoutes) routes = http_routes_new ();
  g_autoptr (HttpClient) client = http_client_new (NULL, options->ca_file, 0);
  g_autoptr (Delivery) delivery = delivery_new (ledger, client, ring, clock, faults, options->retry_factor);
  g_autoptr (Api) api = api_new (routes, ledger, delivery, faults, api_key);
  G_GNUC_UNUSED g_autoptr (Page) page = page_new (routes, ledger, delivery, options->merchant);
  g_autoptr (HttpServer) server
      = http_server_start (&(HttpServerOptions){ .listen = options->listen }, routes, NULL, error);
  if (server == NULL)
    return FALSE;
  g_autofree char *url = g_strconcat ("http://", http_server_peek_address (server), NULL);
  api_set_public_url (api, url);
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  guint terminate = g_unix_signal_add (SIGTERM, on_signal, loop),
        interrupt = g_unix_signal_add (SIGINT, on_signal, loop);
  printf ("{\"http\":\"%s\"}\n", http_server_peek_address (server));
  fflush (stdout);
  g_main_loop_run (loop);
  g_source_remove (terminate);
  g_source_remove (interrupt);
  return TRUE;
}

int
main (int argc, char **argv)
{
  setlocale (LC_ALL, "");
  log_init (LOG_LEVEL_INFO);
  g_auto (Options) options = { .retry_factor = 1 };
  g_autoptr (GError) error = NULL;
  Faults faults = { 0 };
  gboolean is_good = read_options (&options, &argc, &argv, &error);
  for (char **fault = options.faults; is_good && fault != NULL && *fault != NULL; fault++)
    is_good = faults_add (&faults, *fault, &error);
  if (!is_good)
    {
      fprintf (stderr, "billing-stub: %s\n", error->message);
      return EXIT_USAGE;
    }
  if (serve (&options, &faults, &error))
    return EXIT_SUCCESS;
  fprintf (stderr, "billing-stub: %s\n", error->message);
  return EXIT_FAILURE;
}
