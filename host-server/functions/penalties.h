/* Users whose calls of an application fail again and again are made to wait: their input may be what kills
 * it, and each try costs a process. Others are served meanwhile. */
#pragma once

#include "common/base/clock.h"

#define PENALTY_FAULTS 5  /* in a row */
#define PENALTY_S      60 /* from the last of them */

typedef struct Penalties Penalties;

Penalties *penalties_new (const Clock *clock);
void penalties_free (Penalties *penalties);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Penalties, penalties_free)

gboolean penalties_must_wait (Penalties *penalties, const char *application, const char *account);
/* A call of theirs crashed, was late or made no sense; or ended otherwise. */
void penalties_note (Penalties *penalties, const char *application, const char *account, gboolean is_fault);
