/* What a host says about its vendors' packages (docs/packages.md): the keys it accepts and the packages it
 * has revoked, in a document that it signs and numbers; and how a new signing key of the host follows an old
 * one.
 *
 * A document with a lower number than one already seen is not to be believed: somebody shows an old one. */
#pragma once

#include "common/base/jws.h"

#define TRUST_TYPE       "stoa-trust+jwt"
#define SUCCESSION_TYPE  "stoa-key+jwt"
#define TRUST_MAX_REASON 100 /* bytes */
#define TRUST_MAX_CHAIN  1000

typedef struct
{
  char *vendor;
  char *key; /* Ed25519, base64url */
  gint64 from_s;
  gint64 to_s;      /* 0: open */
  gint64 revoked_s; /* 0: it is not */
} TrustKey;

typedef struct
{
  char *hash; /* of the package: SHA-256 of its manifest, hex */
  char *plugin;
  char *version;
  char *reason;
  gint64 revoked_s;
} TrustRevocation;

typedef struct
{
  char *issuer;
  gint64 number; /* from 1 */
  gint64 issued_s;
  GPtrArray *keys;        /* of TrustKey */
  GPtrArray *revocations; /* of TrustRevocation */
} Trust;

Trust *trust_new (void);
void trust_free (Trust *trust);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Trust, trust_free)
void trust_add_key (Trust *trust, const TrustKey *key);                      /* copied */
void trust_add_revocation (Trust *trust, const TrustRevocation *revocation); /* copied */

/* The payload to be signed as TRUST_TYPE; the caller frees it. */
char *trust_dup_json (const Trust *trust);
/* Verifies @jws by @keys and reads it. NULL with G_IO_ERROR_INVALID_DATA. */
Trust *trust_verify (const JwsKeySet *keys, const char *jws, GError **error);

typedef enum
{
  TRUST_KEY_GOOD,
  TRUST_KEY_UNKNOWN, /* not in the document, or another vendor's */
  TRUST_KEY_EARLY,   /* its time has not come */
  TRUST_KEY_LATE,    /* its time is over */
  TRUST_KEY_REVOKED,
} TrustKeyVerdict;

/* Whether @key signs for @vendor (NULL: whoever it is) at @now_s. */
TrustKeyVerdict trust_judge_key (const Trust *trust, const char *vendor, const char *key, gint64 now_s);
/* A clause for people: "the host has revoked the key that signed it". Not of TRUST_KEY_GOOD. */
const char *trust_key_verdict_to_text (TrustKeyVerdict verdict);
/* NULL: @hash is not revoked. Lent. */
const TrustRevocation *trust_find_revocation (const Trust *trust, const char *hash);

/* --- succession of the host's keys */

/* The payload in which a retiring key names its successor, to be signed by it as SUCCESSION_TYPE. */
char *succession_dup_json (const char *successor_jwk, gint64 retired_s);
/* From the public JWK @jwk along @statements (of char *, oldest first): each must be signed by the key before
 * it, but that those before @jwk's own are passed over: who asks twice at once may know more by the second
 * answer. The last key's public JWK, for the caller to free; a copy of @jwk if there are no statements. NULL
 * with G_IO_ERROR_INVALID_DATA. */
char *succession_follow (const char *jwk, const GPtrArray *statements, GError **error);
