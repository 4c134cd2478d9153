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

#define EXIT_USAGE 2

typedef struct
{
  char *listen, *data, *secret, *plugin, *mode, *key;
} Options;

static void
options_clear (Options *options)
{
  g_free (options->listen);
  g_free (options->data);
  g_free (options->secret);
  g_free (options->plugin);
  g_free (options->mode);
  g_free (options->key);
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

static gboolean
read_options (Options *options, Mode *mode, int *argc, char ***argv, GError **error)
{
  const GOptionEntry entries[]
      = { { "listen", 0, 0, G_OPTION_ARG_STRING, &options->listen, "Address to listen on; port 0: any",
            "HOST:PORT" },
          { "data", 0, 0, G_OPTION_ARG_FILENAME, &options->data, "Folder for the register", "DIR" },
          { "secret", 0, 0, G_OPTION_ARG_STRING, &options->secret, "Shared with the host", "whsec_..." },
          { "plugin", 0, 0, G_OPTION_ARG_STRING, &options->plugin,
            "The plugin served: weather, quotes, or any other", "ID" },
          { "mode", 0, 0, G_OPTION_ARG_STRING, &options->mode, "How it behaves to the host",
            "normal|slow|failing|lying" },
          { "key", 0, 0, G_OPTION_ARG_FILENAME, &options->key, "Private key that signs serials (quotes)",
            "FILE" },
          { NULL } };
  g_autoptr (GOptionContext) context = g_option_context_new ("- the server of a plugin's vendor");
  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, argc, argv, error))
    return FALSE;
  gboolean is_whole = *argc == 1 && options->listen != NULL && options->data != NULL
                      && options->secret != NULL && options->plugin != NULL;
  if (!is_whole)
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
                 "--listen, --data, --secret and --plugin are needed; see --help");
  else if (!text_is_market_id (options->plugin) || !read_mode (options->mode, mode))
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                   "--plugin takes an id such as weather, --mode normal, slow, failing or lying");
      return FALSE;
    }
  return is_whole;
}

static gboolean
on_signal (gpointer loop)
{
  g_main_loop_quit (loop);
  return G_SOURCE_CONTINUE;
}

static WebhookRing *
take_ring (char *text, GError **error)
{
  g_autoptr (Secret) secret = secret_new (text, strlen (text));
  secret_wipe (text, strlen (text));
  g_autoptr (WebhookRing) ring = webhook_ring_new ();
  return webhook_ring_add (ring, secret, 0, 0, error) ? g_steal_pointer (&ring) : NULL;
}

static gboolean
serve (Options *options, Mode mode, GError **error)
{
  g_autoptr (Clock) clock = clock_new_system ();
  g_autoptr (WebhookRing) ring = take_ring (options->secret, error);
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
  G_GNUC_UNUSED g_autoptr (HostApi) api = host_api_new (routes, maker, reg, service, ring, clock, mode);
  g_autoptr (HttpServer) server
      = http_server_start (&(HttpServerOptions){ .listen = options->listen }, routes, NULL, error);
  if (server == NULL)
    return FALSE;
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
  g_auto (Options) options = { NULL };
  Mode mode = MODE_NORMAL;
  g_autoptr (GError) error = NULL;
  if (!read_options (&options, &mode, &argc, &argv, &error))
    {
      fprintf (stderr, "plugin-server: %s\n", error->message);
      return EXIT_USAGE;
    }
  if (serve (&options, mode, &error))
    return EXIT_SUCCESS;
  fprintf (stderr, "plugin-server: %s\n", error->message);
  return EXIT_FAILURE;
}
