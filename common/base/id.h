/* Identifiers made from the system's random generator and the clock. */
#pragma once

#include "common/base/clock.h"

/* A UUIDv7 (RFC 9562 §5.7), 36 characters, lower case: ids that are stored and indexed grow with time. */
char *id_new_uuid7 (const Clock *clock);
/* @prefix followed by a UUIDv7 in 26 characters of lower-case base32hex, which sorts as the time does: "o_…". */
char *id_new_sortable (const char *prefix, const Clock *clock);
/* What sorts before every id that id_new_sortable() makes from the millisecond of @wall_us on, and behind all before:
 * the ids of a time are found by the index that holds them. */
char *id_floor_sortable (const char *prefix, gint64 wall_us);
/* @bytes random bytes (at most 64) as lower-case base32, for what must not be guessed. */
char *id_new_random (gsize bytes);
