/* What stands on sale and what it is sold from, for whoever may change it: the operator (hostctl), and
 * vendors' members and administrators (commands of standard clients).
 *
 * @member is the account that asks; NULL is the operator, who may everything. A member acts for its own
 * vendors only, and does not reach into the host's machine: which keygens and which servers inside the
 * operator's network there are is for the operator and administrators to say. */
#pragma once

#include "host-server/market/books/plugins.h"
#include "host-server/market/books/pool.h"
#include "host-server/market/market.h"

#define OFFER_MAX_MANIFEST 16384 /* bytes, of a member's */
#define OFFER_MAX_PLUGINS  200   /* of a vendor, before its members may add no more */

/* @problem is NULL if it was done; else why not, for people: lower case, no full stop. All is lent. */
typedef void (*OfferPut) (Market *market, const Plugin *plugin, const char *problem, gpointer data);
typedef void (*OfferRetired) (Market *market, const char *problem, gpointer data);
typedef void (*OfferFilled) (Market *market, const PoolImport *imported, const char *problem, gpointer data);

/* Puts @plugin on sale or replaces what is on sale under its id; takes @plugin. */
void offer_put (Market *market, const char *member, Plugin *take_plugin, OfferPut done, gpointer data);
/* Takes it off; open orders go on. */
void offer_retire (Market *market, const char *member, const char *plugin, OfferRetired done, gpointer data);
/* Adds keys (of Secret; taken) to its pool. */
void offer_fill (Market *market, const char *member, const char *plugin, GPtrArray *take_keys,
                 gboolean is_dry_run, OfferFilled done, gpointer data);
/* What pool_parse() complains of, as one line. NULL: nothing. */
char *offer_describe_faults (const GArray *faults);
