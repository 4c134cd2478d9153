/* One SASL exchange of a stream (RFC 6120 §6): its elements in, its answers out. */
#pragma once

#include "host-server/wire/scram.h"
#include "host-server/wire/xml-reader.h"

#define SASL_NS "urn:ietf:params:xml:ns:xmpp-sasl"

typedef struct Sasl Sasl;

typedef enum
{
  SASL_CONTINUES,
  SASL_NEEDS_PASSWORD_CHECK,
  SASL_SUCCEEDED,
  SASL_FAILED, /* the failure is written */
} SaslOutcome;

/* Fills in the verifier of a prepared localpart, a false one if there is no such account (then FALSE). */
typedef gboolean (*SaslFind) (const char *local, ScramHash hash, ScramVerifier *verifier, gpointer data);

/* PLAIN is known only with @is_secure. */
Sasl *sasl_new (const Jid *domain, gboolean is_secure, SaslFind find, gpointer data);
void sasl_free (Sasl *sasl);

SaslOutcome sasl_begin (Sasl *sasl, const XmlElement *auth, GString *out);
SaslOutcome sasl_continue (Sasl *sasl, const XmlElement *response, GString *out);
SaslOutcome sasl_password_checked (Sasl *sasl, gboolean is_right, GString *out);

/* The name that logs in, prepared if it can be; NULL before it was said. Lent. */
const char *sasl_get_local (const Sasl *sasl);
const Jid *sasl_get_jid (const Sasl *sasl); /* bare; after success */
Secret *sasl_take_password (Sasl *sasl);    /* PLAIN */

void sasl_write_mechanisms (GString *out, gboolean is_secure);
void sasl_write_failure (GString *out, const char *condition);
