/* host-module-check: what a vendor needs before anything is sent to a host. A subcommand is a row in main.c's
 * table and a file of its own. */
#pragma once

#include "plugin-abi/check/object.h"
#include "plugin-abi/check/report.h"

#include <sys/types.h>

typedef enum
{
  CHECK_GOOD = 0,
  CHECK_REFUSED = 1, /* what was checked is not good */
  CHECK_USAGE = 2,   /* or nothing could be checked here */
} CheckExit;

/* As root vendor code runs as this user unless told otherwise: one that is nobody's. */
#define CHECK_OWN_USER 61499u

/* ---- checks of one file ---- */

typedef struct
{
  const char *file;
  const char *serial;    /* plugins: checked and started with it; NULL: none */
  uid_t uid;             /* the user vendor code runs as; 0: this one */
  guint n_seeds;         /* keygens */
  const char *manifest;  /* functions, here and below: the plugin's; NULL: none */
  const char *names;     /* instead of the manifest's */
  const char *resources; /* a folder or a list (resource_files_read()); NULL: none */
  char *const *calls;    /* "FUNCTION" or "FUNCTION ARGUMENT"; NULL-terminated, NULL: none */
  guint n_calls;
  guint deadline_ms;
  gint64 memory_bytes;
} CheckOptions;

/* Each fills @report and returns; FALSE if nothing could be checked at all, with *@problem (the caller frees
 * it). */
typedef gboolean (*CheckFunc) (const CheckOptions *options, Report *report, char **problem);

gboolean check_keygen (const CheckOptions *options, Report *report, char **problem);
gboolean check_function (const CheckOptions *options, Report *report, char **problem);
gboolean check_legacy (const CheckOptions *options, Report *report, char **problem);
gboolean check_native (const CheckOptions *options, Report *report, char **problem);

/* Reads the object at @path and adds the row "object". NULL: the row says why. */
Object *check_object (const char *path, Report *report);

/* ---- subcommands with arguments of their own; @argv begins with the subcommand's name ---- */

CheckExit check_function_run (int argc, char **argv); /* function-run.c */
CheckExit check_pack (int argc, char **argv);         /* pack.c */
CheckExit check_keygen_key (int argc, char **argv);   /* pack.c */
