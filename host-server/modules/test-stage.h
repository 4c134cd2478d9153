/* Where the tests of vendors' modules play: a folder of its own, real processes, a clock that stands still.
 */
#pragma once

#include "host-server/modules/modules.h"

typedef struct
{
  char *folder;
  Clock *clock;
  Modules *modules;
} Fixture;

/* What a call came to. */
typedef struct
{
  gboolean is_done;
  ModulesOutcome outcome;
  char *serial;
  gint64 expires_s;
  char *reason;
} Outcome;

void outcome_clear (Outcome *outcome);

/* @first_user: GUINT_TO_POINTER of the first of the users for modules when the test runs as root; nobody has
 * them, nor another test that runs meanwhile. */
void set_up (Fixture *fixture, gconstpointer first_user);
void tear_down (Fixture *fixture, gconstpointer first_user);

/* Puts the file @from into the folder as @name. */
void copy_file (Fixture *fixture, const char *from, const char *name);

/* @module and @plugin are borrowed. */
ModulesKeygenRequest make_request (const char *module, const char *plugin);
/* For modules_keygen_call() with an Outcome. */
void on_done (const ModulesKeygenResult *result, gpointer outcome);
/* Asks, and waits for the answer. @outcome is empty before; (out): for outcome_clear(). */
void call (Fixture *fixture, const ModulesKeygenRequest *request, Outcome *outcome);
