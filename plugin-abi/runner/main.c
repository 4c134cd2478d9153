/* plugin-runner: carries vendor code for host-server and host-client, which start it; not for use by hand. */
#include "plugin-abi/runner/plan.h"

#include <stdio.h>
#include <string.h>

int
main (int argc, char **argv)
{
  if (argc == 2 && strcmp (argv[1], "--supervise") == 0)
    return runner_supervise ();
  if (argc == 2 && strcmp (argv[1], "--run") == 0)
    return runner_run ();
  fputs ("plugin-runner is started by host-server and host-client\n", stderr);
  return 2;
}
