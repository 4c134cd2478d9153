/* Documents and tokens that the host signs: compact JWS (RFC 7515) with ES256, keys as JWK (RFC 7517) on
 * P-256.
 *
 * The header is always {alg, kid, typ}. A key's id is its RFC 7638 thumbprint, so an id cannot be given to
 * another key. What is to be verified is looked at in this order: size, shape, `alg`, `typ`, `kid`; only then
 * is the signature computed. No other algorithm exists here, so none can be confused with ES256. */
#pragma once

#include "common/base/secret.h"

#define JWS_MAX_BYTES        (64 * 1024)  /* of a compact JWS */
#define JWS_MAX_HEADER_BYTES 1024         /* of its first part */
#define JWS_MAX_SET_BYTES    (512 * 1024) /* of a JWKS */
#define JWS_MAX_SET_KEYS     1000

/* A key pair. It never changes; several threads may sign with it at once. */
typedef struct JwsKey JwsKey;

JwsKey *jws_key_new (void);
/* Reads what jws_key_dup_private() wrote; NULL with G_IO_ERROR_INVALID_DATA. */
JwsKey *jws_key_load (const Secret *jwk, GError **error);
JwsKey *jws_key_ref (JwsKey *key);
void jws_key_unref (JwsKey *key);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (JwsKey, jws_key_unref)

/* 43 characters. */
const char *jws_key_peek_kid (const JwsKey *key);
/* The JWK with `d`: for the store, sealed. */
Secret *jws_key_dup_private (const JwsKey *key);
/* {"kty","crv","x","y","kid","use":"sig","alg":"ES256"}; the caller frees it. */
char *jws_key_dup_public (const JwsKey *key);

/* Signs @length bytes (more than none) as a document of @type, the header's `typ`: "stoa-receipt+jwt". The
 * caller frees the compact JWS. NULL with G_IO_ERROR_MESSAGE_TOO_LARGE if it would be more than
 * JWS_MAX_BYTES.
 */
char *jws_sign (const JwsKey *key, const char *type, const void *payload, gsize length, GError **error);

/* Public keys of one issuer. Reading one set from several threads at once is fine, changing it is not. */
typedef struct JwsKeySet JwsKeySet;

JwsKeySet *jws_key_set_new (void);
void jws_key_set_free (JwsKeySet *set);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (JwsKeySet, jws_key_set_free)
/* Adds a public JWK. @retired_s (seconds since 1970; 0: in use) is published with it as `exp`. FALSE with
 * G_IO_ERROR_INVALID_DATA if it is no public P-256 key for ES256, or its `kid` is not its thumbprint. A key
 * that is there already stays. */
gboolean jws_key_set_add (JwsKeySet *set, const char *jwk, gint64 retired_s, GError **error);
/* Reads a JWKS. Keys of other kinds and uses are passed over, as RFC 7517 §5 asks; one of ours that is
 * damaged is an error, and so is a set without a single key. */
JwsKeySet *jws_key_set_parse (const char *json, gsize length, GError **error);
/* {"keys":[…]}, in the order they were added; the caller frees it. */
char *jws_key_set_dup_json (const JwsKeySet *set);
guint jws_key_set_get_length (const JwsKeySet *set);

typedef enum
{
  JWS_VALID,
  JWS_TOO_LARGE,
  JWS_MALFORMED,       /* not three parts of base64url, or the header is not what we write */
  JWS_OTHER_ALGORITHM, /* `alg` is not ES256 */
  JWS_OTHER_TYPE,      /* `typ` is not what was expected */
  JWS_UNKNOWN_KEY,     /* `kid` is not in the set */
  JWS_FORGED,          /* the signature does not fit */
} JwsVerdict;

/* "its signature does not fit": a clause for people. */
const char *jws_verdict_to_text (JwsVerdict verdict);

typedef struct
{
  GBytes *payload;
  char *kid;
  gint64 retired_s; /* of the key; 0: in use. What that means is the caller's to say */
} JwsContent;

void jws_content_clear (JwsContent *content);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (JwsContent, jws_content_clear)

/* Verifies @length bytes. @content is filled for JWS_VALID only. */
JwsVerdict jws_verify (const JwsKeySet *set, const char *jws, gsize length, const char *type,
                       JwsContent *content);
