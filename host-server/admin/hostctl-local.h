/* Commands of hostctl that need no server: they are read and run here, without --config. */
#pragma once

#include "common/base/secret.h"

#include <jansson.h>

typedef struct
{
  char **words; /* what follows the command's name, NULL-terminated; lent */
  gboolean is_json;
  /* The first line of standard input, without echo if it is a terminal; NULL: there is none. */
  Secret *(*read_secret) (const char *what);
  /* The JWKS of the server of --config, with @data, a new reference; NULL after saying why not, and then *@code
   * is how to end. */
  json_t *(*ask_keys) (gpointer data, int *code);
  gpointer data;
} HostctlLocalCall;

typedef struct
{
  const char *name;      /* one or two words */
  const char *arguments; /* as help shows them */
  const char *help;
  int (*run) (const HostctlLocalCall *call); /* the exit code */
} HostctlLocal;
