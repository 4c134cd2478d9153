/* What this device believes of a host's word about packages (docs/packages.md): the host's key, pinned at the
 * first login, and its last trust document. Both lie in the file CONFIG/trust/DOMAIN.
 *
 * A new key of the host is believed if the one before signed it; a document, if the key signed it and its
 * number did not fall. */
#pragma once

#include "common/protocol/trust-stanza.h"
#include "host-client/core/session.h"

typedef struct
{
  char *jwk; /* the host's public key */
  char *kid;
  char *document; /* JWS */
  Trust *trust;   /* the document, read */
} HostTrust;

void host_trust_free (HostTrust *held);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (HostTrust, host_trust_free)

/* What is kept of @domain in @folder (CONFIG), verified again. NULL without @error if there is nothing, with
 * @error if it is damaged. */
HostTrust *host_trust_load (const char *folder, const char *domain, GError **error);
/* What follows from @held (NULL: nothing yet, the key is pinned now) and the host's @answer. NULL with
 * G_IO_ERROR_INVALID_DATA if the answer is not to be believed. */
HostTrust *host_trust_follow (const HostTrust *held, const TrustAnswer *answer, GError **error);
gboolean host_trust_save (const HostTrust *held, const char *folder, const char *domain, GError **error);

/* @held is lent; NULL with @problem, a clause for people. */
typedef void (*HostTrustFunc) (const HostTrust *held, const char *problem, gpointer data);
/* Asks the host and keeps what it says. Without @callback a problem is logged. */
void host_trust_refresh (Session *session, const char *folder, HostTrustFunc callback, gpointer data);
