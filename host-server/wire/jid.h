/* XMPP addresses (RFC 7622 in the profile of RFC 6122: nodeprep, nameprep, resourceprep by libidn).
 *
 * A Jid is prepared, immutable and shared by reference; two are the same address when their full texts are
 * the same bytes. Each part is at most 1,023 bytes after preparation. */
#pragma once

#include <glib.h>

typedef struct Jid Jid;

#define JID_MAX_PART 1023

/* Parses and prepares "local@domain/resource". NULL if it is not an address. Thread-safe. */
Jid *jid_new (const char *text, gsize length);
/* From raw parts; @local and @resource may be NULL. NULL if a part is not valid. */
Jid *jid_new_parts (const char *local, const char *domain, const char *resource);
/* The address without its resource: @jid itself with one more reference if it has none. */
Jid *jid_to_bare (const Jid *jid);
Jid *jid_with_resource (const Jid *bare, const char *resource);
Jid *jid_ref (const Jid *jid);
void jid_unref (Jid *jid);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Jid, jid_unref)

/* Lent texts; they live as long as the Jid. A bare Jid's full text is its bare text. */
const char *jid_get_full (const Jid *jid);
const char *jid_get_bare (const Jid *jid);
const char *jid_get_local (const Jid *jid); /* NULL: the address of a domain */
const char *jid_get_domain (const Jid *jid);
const char *jid_get_resource (const Jid *jid); /* NULL: a bare address */

/* The same escaped for an attribute value in either quote. */
const char *jid_peek_full_xml (const Jid *jid, gsize *length);
const char *jid_peek_bare_xml (const Jid *jid, gsize *length);

gboolean jid_equal (const Jid *a, const Jid *b);
gboolean jid_equal_bare (const Jid *a, const Jid *b);
