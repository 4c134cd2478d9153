/* The kinds of code host-module-check looks at; main.c has the table. */
#pragma once

#include "plugin-abi/check/object.h"
#include "plugin-abi/check/report.h"

#include <sys/types.h>

typedef struct
{
  const char *file;
  const char *serial; /* plugins: checked and started with it; NULL: none */
  uid_t uid;          /* the user vendor code runs as; 0: this one */
  guint n_seeds;
  guint deadline_ms;
  gint64 memory_bytes;
} CheckOptions;

/* Each fills @report and returns; FALSE if nothing could be checked at all, with *@problem (the caller frees
 * it). */
typedef gboolean (*CheckFunc) (const CheckOptions *options, Report *report, char **problem);

gboolean check_keygen (const CheckOptions *options, Report *report, char **problem);
gboolean check_legacy (const CheckOptions *options, Report *report, char **problem);
gboolean check_native (const CheckOptions *options, Report *report, char **problem);

/* Reads the object at @path and adds the row "object". NULL: the row says why. */
Object *check_object (const char *path, Report *report);
