/* Time as the program sees it. Rooms take a Clock instead of asking the system, so that a test can hold it.
 *
 * Wall time is microseconds since 1970 UTC and can jump; monotonic time is microseconds from an arbitrary
 * start and cannot. Intervals are measured with the monotonic one. */
#pragma once

#include <glib.h>

typedef struct Clock Clock;

Clock *clock_new_system (void);
/* A clock that stands still at @wall_us until clock_advance_us() moves it. */
Clock *clock_new_fake (gint64 wall_us);
void clock_free (Clock *clock);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Clock, clock_free)

gint64 clock_get_wall_us (const Clock *clock);
gint64 clock_get_monotonic_us (const Clock *clock);
/* Moves a fake clock, both of its times, by @us; a programming error on a system clock. */
void clock_advance_us (Clock *clock, gint64 us);

/* RFC 3339 in UTC, whole seconds: "2026-11-23T10:24:39Z". The caller frees it. */
char *clock_dup_rfc3339 (gint64 wall_us);
/* Reads RFC 3339 with any offset and fraction; FALSE if @text is not such a time. */
gboolean clock_parse_rfc3339 (const char *text, gint64 *wall_us);
