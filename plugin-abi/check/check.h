/* host-module-check: what a vendor needs before anything is sent to a host. A subcommand is a row in main.c's
 * table and a file of its own. */
#pragma once

#include <glib.h>

typedef enum
{
  CHECK_GOOD = 0,
  CHECK_REFUSED = 1, /* what was checked is not good */
  CHECK_USAGE = 2,
} CheckExit;

typedef struct
{
  const char *name;
  const char *arguments; /* for the usage */
  const char *help;
  /* @argv begins with the subcommand's name. */
  CheckExit (*run) (int argc, char **argv);
} CheckCommand;

CheckExit check_pack (int argc, char **argv);       /* pack.c */
CheckExit check_keygen_key (int argc, char **argv); /* pack.c */
