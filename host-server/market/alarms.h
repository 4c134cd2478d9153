/* Alarms: what a person must look at is an error line in the log, said once and again after a while as long
 * as it lasts, not at every look. On the main context. */
#pragma once

#include "common/base/clock.h"

typedef struct Alarms Alarms;

/* @repeat_us: until the same alarm is said again. @clock is lent. */
Alarms *alarms_new (const Clock *clock, gint64 repeat_us);
void alarms_free (Alarms *alarms);
/* Says it unless it was said under @key ("order o_…") within the last while. */
void alarms_say (Alarms *alarms, const char *key, const char *format, ...) G_GNUC_PRINTF (3, 4);
/* How many lines were written since the start. */
guint64 alarms_get_count (const Alarms *alarms);
