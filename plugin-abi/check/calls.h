/* A server module under check, whatever its kind: loaded as a server loads it, called one call after the
 * other, with what went wrong and how long it took. */
#pragma once

#include "plugin-abi/check/carrier.h"
#include "plugin-abi/check/check.h"

/* After so many calls that went wrong the rest would only repeat it. */
#define CALLS_MAX_FAULTS 5

typedef struct
{
  const CheckOptions *options;
  Report *report;
  const char *kind;         /* LaunchSpec.kind */
  const char *object;       /* path */
  const char *described_as; /* the descriptor's file name; NULL: the module has none */
  GBytes *descriptor;       /* its text */
  int attachment;           /* goes along with the load request; -1: nothing */
  const CarrierAsks *asks;
  gpointer asks_data;

  Carrier *carrier; /* NULL: not loaded */
  guint n_calls;
  guint n_faults;
  char *first_fault;
  GArray *latencies_us; /* gint64 */
} Calls;

/* @calls begins as zeros but for what comes before `carrier`. */
void calls_begin (Calls *calls);
void calls_clear (Calls *calls);

/* Starts the module anew, in another process. NULL, or why it does not load (the caller frees it); *@problem:
 * why nothing can be loaded here. */
char *calls_load (Calls *calls, char **problem);
/* The same for the first time, with the rows "load" and "abi". FALSE: it did not load. */
gboolean calls_load_first (Calls *calls, char **problem);

/* Makes a call; carrier_peek_answer() then. FALSE: it went wrong, which is noted; carrier_get_reason() says
 * how. */
gboolean calls_make (Calls *calls, const Frame *request);
/* The last call went wrong after all. */
void calls_note_fault (Calls *calls, const char *what);
/* Whether it is worth while to go on. */
gboolean calls_may_go_on (const Calls *calls);

/* The row "exports": the @needed symbols (NULL-terminated), and little else. */
void calls_check_exports (const Object *object, const char *const *needed, Report *report);
/* The rows "crashes", "limits" and "speed". */
void calls_report (Calls *calls);
