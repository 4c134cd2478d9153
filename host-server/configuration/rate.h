/* How often each of many strangers may do something: so many times an hour, in a table of bounded size. */
#pragma once

#include "common/base/clock.h"

typedef struct Rate Rate;

Rate *rate_new (const Clock *clock);
void rate_free (Rate *rate);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Rate, rate_free)

/* Counts one more for @key; FALSE if it has had @per_hour already in the hour that began with its first. 0:
 * no limit. A table that is full of keys with hours still running refuses new ones. */
gboolean rate_take (Rate *rate, const char *key, guint per_hour);
/* The key of a peer: its IPv4 address, or the /64 network of its IPv6 address, which is one customer's. */
char *rate_dup_address_key (const char *address);
