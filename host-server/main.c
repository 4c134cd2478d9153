#include "common/base/log.h"
#include "host-server/server.h"

#include <glib-unix.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

typedef struct
{
  GMainLoop *loop;
  HostServer *server;
} Program;

static gboolean
on_reload (gpointer data)
{
  Program *program = data;
  g_autoptr (GError) error = NULL;
  if (host_server_reload (program->server, &error))
    log_info ("server", "configuration read again");
  else
    log_error ("server", "configuration not changed: %s", error->message);
  return G_SOURCE_CONTINUE;
}

static void
on_drained (gpointer data)
{
  Program *program = data;
  g_main_loop_quit (program->loop);
}

static gboolean
on_terminate (gpointer data)
{
  Program *program = data;
  log_info ("server", "draining");
  host_server_drain (program->server, on_drained, program);
  return G_SOURCE_CONTINUE;
}

/* Every session is a descriptor. */
static void
raise_descriptors (void)
{
  struct rlimit limit;
  if (getrlimit (RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max)
    {
      limit.rlim_cur = limit.rlim_max;
      setrlimit (RLIMIT_NOFILE, &limit);
    }
}

int
main (int argc, char **argv)
{
  g_autofree char *config = NULL;
  g_autofree char *backup = NULL;
  gboolean is_verbose = FALSE, is_json = FALSE;
  const GOptionEntry entries[] = {
    { "config", 'c', 0, G_OPTION_ARG_FILENAME, &config, "the configuration file", "FILE" },
    { "verbose", 'v', 0, G_OPTION_ARG_NONE, &is_verbose, "log more", NULL },
    { "restore", 0, 0, G_OPTION_ARG_FILENAME, &backup,
      "put a backup in the place of the store, and end; no server may run", "FOLDER" },
    { "json", 0, 0, G_OPTION_ARG_NONE, &is_json, "with --restore: say what was done as JSON", NULL },
    G_OPTION_ENTRY_NULL,
  };
  g_autoptr (GOptionContext) options = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;
  Program program = { 0 };

  g_option_context_add_main_entries (options, entries, NULL);
  if (!g_option_context_parse (options, &argc, &argv, &error) || config == NULL || argc > 1)
    {
      g_printerr ("host-server: %s\n", error != NULL ? error->message : "usage: host-server --config FILE");
      return 2;
    }
  log_init (is_verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
  if (backup != NULL)
    {
      if (host_server_restore (config, backup, is_json, &error))
        return EXIT_SUCCESS;
      g_printerr ("host-server: %s\n", error->message);
      return 1;
    }
  raise_descriptors ();
  /* A peer or a log reader that has gone, and a file that may not grow, are errors to be answered. */
  signal (SIGPIPE, SIG_IGN);
  signal (SIGXFSZ, SIG_IGN);
  program.loop = g_main_loop_new (NULL, FALSE);
  /* Before the server says where it listens: who reads that may end it at once. They run in the loop. */
  guint sources[] = { g_unix_signal_add (SIGHUP, on_reload, &program),
                      g_unix_signal_add (SIGTERM, on_terminate, &program),
                      g_unix_signal_add (SIGINT, on_terminate, &program) };
  program.server = host_server_new (config, &error);
  if (program.server == NULL)
    {
      g_printerr ("host-server: %s\n", error->message);
      g_main_loop_unref (program.loop);
      return 1;
    }
  g_main_loop_run (program.loop);
  for (gsize i = 0; i < G_N_ELEMENTS (sources); i++)
    g_source_remove (sources[i]);
  host_server_free (program.server);
  g_main_loop_unref (program.loop);
  return EXIT_SUCCESS;
}
