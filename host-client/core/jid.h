/* Addresses of people and services (RFC 7622, prepared by the profiles of RFC 6122 as the servers do). */
#pragma once

#include <glib.h>

#define JID_PART_MAX 1023 /* bytes */

/* The bare JID that @text (what a person typed, bare or full) means: prepared, without a resource. NULL if it
 * is not a JID. A domain alone is a JID too. */
char *jid_prepare_bare (const char *text);
/* The same, with the resource if it has one. */
char *jid_prepare (const char *text);

/* Parts of a JID that a server stamped. The caller frees them. */
char *jid_dup_bare (const char *jid);
char *jid_dup_domain (const char *jid);
/* NULL if there is none. */
char *jid_dup_local (const char *jid);
/* Lent; NULL if there is none. */
const char *jid_peek_resource (const char *jid);
