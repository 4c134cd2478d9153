/* `host-module-check function run`: a call as a host makes it. The host's own executor makes it, in a program
 * of its own: nothing of a server is in this one. */
#include "common/module/launch.h"
#include "plugin-abi/check/check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

CheckExit
check_function_run (int argc, char **argv)
{
  g_autofree char *program = launch_find_program ("function-emulator", "host-server/functions");
  g_autofree char *user = geteuid () == 0 ? g_strdup_printf ("--uid=%u", CHECK_OWN_USER) : NULL;
  g_autoptr (GPtrArray) arguments = g_ptr_array_new ();
  if (program == NULL)
    {
      fputs ("host-module-check: function-emulator is not installed\n", stderr);
      return CHECK_USAGE;
    }
  g_ptr_array_add (arguments, program);
  if (user != NULL) /* another that is given comes behind it and wins */
    g_ptr_array_add (arguments, user);
  for (int i = 1; i < argc; i++)
    g_ptr_array_add (arguments, argv[i]);
  g_ptr_array_add (arguments, NULL);
  execv (program, (char **)arguments->pdata);
  fprintf (stderr, "host-module-check: cannot start '%s': %s\n", program, g_strerror (errno));
  return CHECK_USAGE;
}
