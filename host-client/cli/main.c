#include <signal.h>
#include <locale.h>
#include <stdio.h>

#include "common/base/log.h"
#include "host-client/cli/commands.h"

int
main (int argc, char **argv)
{
  setlocale (LC_ALL, "");
  signal (SIGPIPE, SIG_IGN);
  g_autoptr (GError) error = NULL;
  for (int i = 1; i < argc && g_strcmp0 (argv[i], "--") != 0; i++)
    if (g_strcmp0 (argv[i], "--help") == 0 || g_strcmp0 (argv[i], "-h") == 0)
      {
        fputs (arguments_peek_help (), stdout);
        return EXIT_DONE;
      }
  g_autoptr (Arguments) arguments = arguments_parse ((const char *const *)argv, &error);
  if (arguments == NULL)
    {
      output_error ("%s (--help shows how)", error->message);
      return EXIT_USAGE;
    }
  if (arguments->is_version)
    {
      puts ("host-client 0.1.0");
      return EXIT_DONE;
    }
  log_init (arguments->is_verbose ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING);
  return app_run (arguments, command_find (arguments));
}
