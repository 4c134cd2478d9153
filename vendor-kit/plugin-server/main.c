/* plugin-server: the server a plugin vendor runs, as a sample to start from. The host obtains serials from
 * it, plugins open a session with them, and get what the vendor sells (docs: vendor guide).
 *
 * Its first line on standard output is {"http":"127.0.0.1:PORT"}, the address it listens on. */
#include "common/base/log.h"
#include "common/base/text.h"
#include "vendor-kit/plugin-server/host-api.h"

#include <errno.h>
#include <glib-unix.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE     2
#define STANDARD_DELAY 15.0
#define MAX_DELAY      3600.0

typedef struct
{
  char *listen, *data, *plugin, *mode, *key, *secret_file;
  char **secrets, **faults;
  double delay_s;
} Options;

static void
options_clear (Options *options)
{
  g_free (options->listen);
  g_free (options->data);
  g_free (options->plugin);
  g_free (options->mode);
  g_free (options->key);
  g_free (options->secret_file);
  g_strfreev (options->secrets);
  g_strfreev (options->faults);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Options, options_clear)

static gboolean
read_mode (const char *text, Mode *mode)
{
  static const char *const names[] = { "normal", "slow", "failing", "lying", NULL };
  for (guint i = 0; names[i] != NULL; i++)
    if (text == NULL || strcmp (text, names[i]) == 0)
      {
        *mode = (Mode)i;
        return TRUE;
      }
  return FALSE;
}

/* What --mode, --fault and --delay ask for. */
static gboolean
read_liar (const Options *options, LiarOptions *liar, GError **error)
{
  if (!read_mode (options->mode, &liar->mode))
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                   "--mode is normal, slow, failing or lying");
      return FALSE;
    }
  if (!(options->delay_s >= 0 && options->delay_s <= MAX_DELAY))
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "--delay is 0 to %.0f seconds",
                   MAX_DELAY);
      return FALSE;
    }
  liar->delay_s = options->delay_s;
  for (char **fault = options->faults; fault != NULL && *fault != NULL; fault++)
    if (!faults_add (&liar->faults, *fault, error))
      return FALSE;
  return TRUE;
}

static gboolean
read_options (Options *options, LiarOptions *liar, int *argc, char ***argv, GError **error)
{
  const GOptionEntry entries[] = {
    { "listen", 0, 0, G_OPTION_ARG_STRING, &options->listen, "Address to listen on; port 0: any",
      "HOST:PORT" },
    { "data", 0, 0, G_OPTION_ARG_FILENAME, &options->data, "Folder for the register", "DIR" },
    { "secret", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options->secrets,
      "Shared with the host; may be repeated: any of them will do", "whsec_..." },
    { "secret-file", 0, 0, G_OPTION_ARG_FILENAME, &options->secret_file,
      "The same from a file, one a line; read again upon SIGHUP", "FILE" },
    { "plugin", 0, 0, G_OPTION_ARG_STRING, &options->plugin,
      "The plugin served: weather, quotes, or any other", "ID" },
    { "key", 0, 0, G_OPTION_ARG_FILENAME, &options->key, "Private key that signs serials (quotes)", "FILE" },
    { "mode", 0, 0, G_OPTION_ARG_STRING, &options->mode, "How it behaves to the host",
      "normal|slow|failing|lying" },
    { "delay", 0, 0, G_OPTION_ARG_DOUBLE, &options->delay_s, "How late a slow answer comes (15)", "SECONDS" },
    { "fault", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options->faults, "Something to do wrong, may be repeated",
      "KIND[:N]" },
    { NULL }
  };
  g_autoptr (GOptionContext) context = g_option_context_new ("- the server of a plugin's vendor");
  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, argc, argv, error))
    return FALSE;
  if (*argc != 1 || options->listen == NULL || options->data == NULL || options->plugin == NULL
      || (options->secrets == NULL) == (options->secret_file == NULL))
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
                   "--listen, --data, --plugin, and either --secret or --secret-file are needed; see --help");
      return FALSE;
    }
  if (!text_is_market_id (options->plugin))
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "--plugin takes an id such as weather");
      return FALSE;
    }
  return read_liar (options, liar, error);
}

static gboolean
on_signal (gpointer loop)
{
  g_main_loop_quit (loop);
  return G_SOURCE_CONTINUE;
}

/* A ring of the secrets @texts, which are wiped. */
static WebhookRing *
make_ring (char **texts, GError **error)
{
  g_autoptr (WebhookRing) ring = webhook_ring_new ();
  gboolean is_good = TRUE;
  for (; *texts != NULL; texts++)
    {
      g_strstrip (*texts);
      g_autoptr (Secret) secret = secret_new (*texts, strlen (*texts));
      secret_wipe (*texts, strlen (*texts));
      if (is_good && secret_get_length (secret) > 0)
        is_good = webhook_ring_add (ring, secret, 0, 0, error);
    }
  if (is_good && webhook_ring_get_length (ring) == 0)
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "there is no secret");
      is_good = FALSE;
    }
  return is_good ? g_steal_pointer (&ring) : NULL;
}

static WebhookRing *
load_ring (const char *path, GError **error)
{
  g_autofree char *text = NULL;
  gsize length;
  if (!g_file_get_contents (path, &text, &length, error))
    return NULL;
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  secret_wipe (text, length);
  WebhookRing *ring = make_ring (lines, error);
  if (ring == NULL)
    g_prefix_error (error, "'%s': ", path);
  return ring;
}

typedef struct
{
  HostApi *api;
  const char *secret_file;
} Reload;

static gboolean
on_hangup (gpointer data)
{
  const Reload *reload = data;
  g_autoptr (GError) error = NULL;
  WebhookRing *ring = reload->secret_file != NULL ? load_ring (reload->secret_file, &error) : NULL;
  if (ring != NULL)
    {
      log_info ("main", "secrets read again n=%u", webhook_ring_get_length (ring));
      host_api_take_ring (reload->api, ring);
    }
  else if (error != NULL)
    log_error ("main", "the secrets stay as they were: %s", error->message);
  return G_SOURCE_CONTINUE;
}

static void
run (HttpServer *server, HostApi *api, const Options *options)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  Reload reload = { api, options->secret_file };
  guint sources[]
      = { g_unix_signal_add (SIGTERM, on_signal, loop), g_unix_signal_add (SIGINT, on_signal, loop),
          g_unix_signal_add (SIGHUP, on_hangup, &reload) };
  printf ("{\"http\":\"%s\"}\n", http_server_peek_address (server));
  fflush (stdout);
  g_main_loop_run (loop);
  for (gsize i = 0; i < G_N_ELEMENTS (sources); i++)
    g_source_remove (sources[i]);
}

static gboolean
serve (Options *options, const LiarOptions *faults, GError **error)
{
  g_autoptr (Clock) clock = clock_new_system ();
  g_autoptr (WebhookRing) ring = options->secrets != NULL ? make_ring (options->secrets, error)
                                                          : load_ring (options->secret_file, error);
  if (ring == NULL)
    return FALSE;
  g_autoptr (Maker) maker = maker_new (options->plugin, options->key, error);
  if (maker == NULL)
    return FALSE;
  if (g_mkdir_with_parents (options->data, 0700) != 0)
    {
      g_set_error (error, G_FILE_ERROR, g_file_error_from_errno (errno), "cannot make '%s': %s",
                   options->data, g_strerror (errno));
      return FALSE;
    }
  g_autoptr (Register) reg = register_open (options->data, clock, error);
  if (reg == NULL)
    return FALSE;
  g_autoptr (HttpRoutes) routes = http_routes_new ();
  g_autoptr (Service) service = service_new (routes, maker, reg, clock);
  g_autoptr (Liar) liar = liar_new (faults, reg);
  g_autoptr (HostApi) api = host_api_new (routes, maker, reg, service, clock, liar);
  host_api_take_ring (api, g_steal_pointer (&ring));
  g_autoptr (HttpServer) server
      = http_server_start (&(HttpServerOptions){ .listen = options->listen }, routes, NULL, error);
  if (server == NULL)
    return FALSE;
  run (server, api, options);
  return TRUE;
}

int
main (int argc, char **argv)
{
  setlocale (LC_ALL, "");
  log_init (LOG_LEVEL_INFO);
  g_auto (Options) options = { .delay_s = STANDARD_DELAY };
  LiarOptions faults = { .mode = MODE_NORMAL };
  g_autoptr (GError) error = NULL;
  if (!read_options (&options, &faults, &argc, &argv, &error))
    {
      fprintf (stderr, "plugin-server: %s\n", error->message);
      return EXIT_USAGE;
    }
  if (serve (&options, &faults, &error))
    return EXIT_SUCCESS;
  fprintf (stderr, "plugin-server: %s\n", error->message);
  return EXIT_FAILURE;
}
