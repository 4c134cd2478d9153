/* plugin-runner on a kernel without Landlock (landless.h), under a host that believes it is there: the runner
 * has to refuse by itself. The build says what the kernel answers. */
#include "tests/hostile/landless.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int
main (int argc, char **argv)
{
  char path[4096];
  ssize_t length = readlink ("/proc/self/exe", path, sizeof path - 64);
  if (length <= 0 || argc < 2)
    return 2;
  path[length] = '\0';
  *strrchr (path, '/') = '\0';
  strcat (path, "/../../plugin-abi/plugin-runner");
  if (!landless_begin (LANDLESS_FAILURE))
    return 3;
  execv (path, argv);
  perror (path);
  return 4;
}
