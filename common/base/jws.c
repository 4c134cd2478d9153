#include "common/base/jws.h"

#include "common/base/text.h"

#include <cjose/cjose.h>
#include <gio/gio.h>
#include <jansson.h>
#include <openssl/sha.h>
#include <string.h>

#define COORDINATE_BYTES 32
#define SIGNATURE_BYTES  64

typedef cjose_jwk_t Jwk;
typedef cjose_jws_t Jws;
typedef json_t Json;

static void
jwk_release (Jwk *jwk)
{
  cjose_jwk_release (jwk);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Jwk, jwk_release)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Jws, cjose_jws_release)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Json, json_decref)

struct JwsKey
{
  gatomicrefcount n_refs;
  Jwk *jwk;
  char *public_jwk;
  char *kid;
};

/* --- keys as JSON */

/* A coordinate or scalar of P-256: exactly 32 bytes. */
static const char *
get_coordinate (const Json *jwk, const char *name)
{
  const char *text = json_string_value (json_object_get (jwk, name));
  gsize n = 0;
  g_autofree guint8 *bytes = text != NULL ? text_from_base64url (text, strlen (text), &n) : NULL;
  return bytes != NULL && n == COORDINATE_BYTES ? text : NULL;
}

static gboolean
has_text (const Json *object, const char *name, const char *expected)
{
  return g_strcmp0 (json_string_value (json_object_get (object, name)), expected) == 0;
}

static gboolean
has_text_or_none (const Json *object, const char *name, const char *expected)
{
  return json_object_get (object, name) == NULL || has_text (object, name, expected);
}

/* RFC 7638: SHA-256 over the required members in the order of their names. */
static char *
dup_thumbprint (const char *x, const char *y)
{
  g_autofree char *canonical
      = g_strdup_printf ("{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}", x, y);
  guint8 digest[SHA256_DIGEST_LENGTH];
  SHA256 ((const guint8 *)canonical, strlen (canonical), digest);
  return text_to_base64url (digest, sizeof digest);
}

static gboolean
fail (GError **error, const char *reason)
{
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, reason);
  return FALSE;
}

/* The members that make a key of ours, and its id. */
static gboolean
read_jwk (const Json *jwk, const char **x, const char **y, char **kid, GError **error)
{
  if (!has_text (jwk, "kty", "EC") || !has_text (jwk, "crv", "P-256")
      || !has_text_or_none (jwk, "alg", "ES256") || !has_text_or_none (jwk, "use", "sig"))
    return fail (error, "not a P-256 key for ES256");
  *x = get_coordinate (jwk, "x");
  *y = get_coordinate (jwk, "y");
  if (*x == NULL || *y == NULL)
    return fail (error, "a coordinate of the key is not 32 bytes of base64url");
  g_autofree char *thumbprint = dup_thumbprint (*x, *y);
  if (!has_text_or_none (jwk, "kid", thumbprint))
    return fail (error, "the key's kid is not its thumbprint");
  *kid = g_steal_pointer (&thumbprint);
  return TRUE;
}

static char *
dump (const Json *json)
{
  char *text = json_dumps (json, JSON_COMPACT);
  char *copy = g_strdup (text);
  free (text);
  return copy;
}

static char *
dup_public (const char *kid, const char *x, const char *y)
{
  g_autoptr (Json) jwk = json_pack ("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "kty", "EC", "crv", "P-256", "x",
                                    x, "y", y, "kid", kid, "use", "sig", "alg", "ES256");
  return dump (jwk);
}

/* --- key pairs */

static char *
export_jwk (const Jwk *jwk, gboolean is_private)
{
  cjose_err fault = { 0 };
  char *json = cjose_jwk_to_json (jwk, is_private, &fault);
  if (json == NULL)
    g_error ("a key cannot be written: %s", fault.message);
  char *copy = g_strdup (json);
  secret_wipe (json, strlen (json));
  cjose_get_dealloc () (json);
  return copy;
}

static JwsKey *
wrap (Jwk *take_jwk, GError **error)
{
  g_autoptr (JwsKey) key = g_new0 (JwsKey, 1);
  g_atomic_ref_count_init (&key->n_refs);
  key->jwk = take_jwk;
  g_autofree char *text = export_jwk (take_jwk, FALSE);
  g_autoptr (Json) json = json_loads (text, JSON_REJECT_DUPLICATES, NULL);
  const char *x, *y;
  if (!read_jwk (json, &x, &y, &key->kid, error))
    return NULL;
  key->public_jwk = dup_public (key->kid, x, y);
  return g_steal_pointer (&key);
}

JwsKey *
jws_key_new (void)
{
  cjose_err fault = { 0 };
  Jwk *jwk = cjose_jwk_create_EC_random (CJOSE_JWK_EC_P_256, &fault);
  JwsKey *key = jwk != NULL ? wrap (jwk, NULL) : NULL;
  if (key == NULL)
    g_error ("a key cannot be made: %s", jwk == NULL ? fault.message : "it is none of ours");
  return key;
}

JwsKey *
jws_key_load (const Secret *jwk, GError **error)
{
  gsize length;
  const char *text = (const char *)secret_peek_bytes (jwk, &length);
  g_autoptr (Json) json = json_loadb (text, length, JSON_REJECT_DUPLICATES, NULL);
  cjose_err fault = { 0 };
  if (json == NULL || !has_text (json, "crv", "P-256") || get_coordinate (json, "d") == NULL)
    {
      fail (error, "not a private P-256 key");
      return NULL;
    }
  Jwk *pair = cjose_jwk_import (text, length, &fault);
  if (pair == NULL)
    {
      fail (error, "not a key");
      return NULL;
    }
  return wrap (pair, error);
}

JwsKey *
jws_key_ref (JwsKey *key)
{
  g_atomic_ref_count_inc (&key->n_refs);
  return key;
}

void
jws_key_unref (JwsKey *key)
{
  if (key == NULL || !g_atomic_ref_count_dec (&key->n_refs))
    return;
  cjose_jwk_release (key->jwk);
  g_free (key->public_jwk);
  g_free (key->kid);
  g_free (key);
}

const char *
jws_key_peek_kid (const JwsKey *key)
{
  return key->kid;
}

Secret *
jws_key_dup_private (const JwsKey *key)
{
  char *text = export_jwk (key->jwk, TRUE);
  Secret *secret = secret_new (text, strlen (text));
  secret_wipe (text, strlen (text));
  g_free (text);
  return secret;
}

char *
jws_key_dup_public (const JwsKey *key)
{
  return g_strdup (key->public_jwk);
}

char *
jws_sign (const JwsKey *key, const char *type, const void *payload, gsize length, GError **error)
{
  g_assert (length > 0);
  cjose_err fault = { 0 };
  cjose_header_t *header = cjose_header_new (&fault);
  const char *text = NULL;
  if (header == NULL || !cjose_header_set (header, CJOSE_HDR_ALG, CJOSE_HDR_ALG_ES256, &fault)
      || !cjose_header_set (header, "kid", key->kid, &fault)
      || !cjose_header_set (header, "typ", type, &fault))
    g_error ("a header cannot be made: %s", fault.message);
  g_autoptr (Jws) jws = cjose_jws_sign (key->jwk, header, payload, length, &fault);
  cjose_header_release (header);
  if (jws == NULL || !cjose_jws_export (jws, &text, &fault))
    g_error ("signing failed: %s", fault.message);
  if (strlen (text) > JWS_MAX_BYTES)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE,
                   "what is to be signed is too large (%" G_GSIZE_FORMAT " bytes)", length);
      return NULL;
    }
  return g_strdup (text);
}

/* --- sets of public keys */

typedef struct
{
  char *kid;
  char *json; /* as added, in our own form */
  Jwk *jwk;
  gint64 retired_s;
} PublicKey;

struct JwsKeySet
{
  GPtrArray *keys; /* of PublicKey */
};

static void
public_key_free (gpointer data)
{
  PublicKey *key = data;
  g_free (key->kid);
  g_free (key->json);
  if (key->jwk != NULL)
    cjose_jwk_release (key->jwk);
  g_free (key);
}

JwsKeySet *
jws_key_set_new (void)
{
  JwsKeySet *set = g_new0 (JwsKeySet, 1);
  set->keys = g_ptr_array_new_with_free_func (public_key_free);
  return set;
}

void
jws_key_set_free (JwsKeySet *set)
{
  if (set == NULL)
    return;
  g_ptr_array_unref (set->keys);
  g_free (set);
}

static const PublicKey *
find_key (const JwsKeySet *set, const char *kid)
{
  for (guint i = 0; i < set->keys->len; i++)
    {
      const PublicKey *key = g_ptr_array_index (set->keys, i);
      if (g_str_equal (key->kid, kid))
        return key;
    }
  return NULL;
}

static gboolean
add (JwsKeySet *set, const Json *json, gint64 retired_s, GError **error)
{
  const char *x, *y;
  g_autofree char *kid = NULL;
  if (!read_jwk (json, &x, &y, &kid, error))
    return FALSE;
  if (find_key (set, kid) != NULL)
    return TRUE;
  if (set->keys->len >= JWS_MAX_SET_KEYS)
    return fail (error, "too many keys");
  /* Its own form again: whatever else stood in it, `d` first of all, is not taken along. */
  g_autofree char *text = dup_public (kid, x, y);
  cjose_err fault = { 0 };
  Jwk *jwk = cjose_jwk_import (text, strlen (text), &fault);
  if (jwk == NULL)
    return fail (error, "the key is not a point of P-256");
  PublicKey *key = g_new0 (PublicKey, 1);
  key->kid = g_steal_pointer (&kid);
  key->json = g_steal_pointer (&text);
  key->jwk = jwk;
  key->retired_s = retired_s;
  g_ptr_array_add (set->keys, key);
  return TRUE;
}

gboolean
jws_key_set_add (JwsKeySet *set, const char *jwk, gint64 retired_s, GError **error)
{
  g_autoptr (Json) json = json_loads (jwk, JSON_REJECT_DUPLICATES, NULL);
  return json_is_object (json) ? add (set, json, retired_s, error) : fail (error, "not a JSON object");
}

JwsKeySet *
jws_key_set_parse (const char *json, gsize length, GError **error)
{
  g_autoptr (Json) document
      = length <= JWS_MAX_SET_BYTES ? json_loadb (json, length, JSON_REJECT_DUPLICATES, NULL) : NULL;
  const Json *keys = json_object_get (document, "keys");
  if (!json_is_array (keys))
    {
      fail (error, length > JWS_MAX_SET_BYTES ? "the key set is too large" : "not a JSON Web Key Set");
      return NULL;
    }
  g_autoptr (JwsKeySet) set = jws_key_set_new ();
  size_t i;
  Json *key;
  json_array_foreach (keys, i, key)
  {
    if (!has_text (key, "kty", "EC") || !has_text (key, "crv", "P-256")
        || !has_text_or_none (key, "alg", "ES256") || !has_text_or_none (key, "use", "sig"))
      continue;
    const Json *retired = json_object_get (key, "exp");
    gint64 retired_s = json_integer_value (retired);
    if (retired != NULL && (!json_is_integer (retired) || retired_s <= 0))
      {
        fail (error, "a key's exp is not a time");
        return NULL;
      }
    if (!add (set, key, retired_s, error))
      return NULL;
  }
  if (set->keys->len == 0)
    {
      fail (error, "the key set has no P-256 key for ES256");
      return NULL;
    }
  return g_steal_pointer (&set);
}

char *
jws_key_set_dup_json (const JwsKeySet *set)
{
  Json *keys = json_array ();
  for (guint i = 0; i < set->keys->len; i++)
    {
      const PublicKey *key = g_ptr_array_index (set->keys, i);
      Json *json = json_loads (key->json, 0, NULL);
      if (key->retired_s > 0)
        json_object_set_new (json, "exp", json_integer (key->retired_s));
      json_array_append_new (keys, json);
    }
  g_autoptr (Json) document = json_pack ("{s:o}", "keys", keys);
  return dump (document);
}

guint
jws_key_set_get_length (const JwsKeySet *set)
{
  return set->keys->len;
}

/* --- verifying */

const char *
jws_verdict_to_text (JwsVerdict verdict)
{
  static const char *const texts[] = {
    [JWS_VALID] = "it is valid",
    [JWS_TOO_LARGE] = "it is too large",
    [JWS_MALFORMED] = "it is not a signed document",
    [JWS_OTHER_ALGORITHM] = "its algorithm is not ES256",
    [JWS_OTHER_TYPE] = "it is a document of another type",
    [JWS_UNKNOWN_KEY] = "it was signed with a key that the issuer does not publish",
    [JWS_FORGED] = "its signature does not fit",
  };
  return texts[verdict];
}

void
jws_content_clear (JwsContent *content)
{
  g_clear_pointer (&content->payload, g_bytes_unref);
  g_clear_pointer (&content->kid, g_free);
  content->retired_s = 0;
}

static guint8 *
decode (const char *start, const char *end, gsize *length)
{
  return text_from_base64url (start, (gsize)(end - start), length);
}

/* What the header says, before anything is computed. @key is found for JWS_VALID. */
static JwsVerdict
judge_header (const JwsKeySet *set, const char *start, const char *end, const char *type,
              const PublicKey **key)
{
  gsize length;
  g_autofree guint8 *bytes = decode (start, end, &length);
  g_autoptr (Json) header
      = bytes != NULL ? json_loadb ((const char *)bytes, length, JSON_REJECT_DUPLICATES, NULL) : NULL;
  /* What `crit` names must be understood (RFC 7515 §4.1.11), and nothing that it could name is. */
  if (!json_is_object (header) || json_object_get (header, "crit") != NULL
      || !json_is_string (json_object_get (header, "alg")))
    return JWS_MALFORMED;
  if (!has_text (header, "alg", "ES256"))
    return JWS_OTHER_ALGORITHM;
  if (!has_text (header, "typ", type))
    return JWS_OTHER_TYPE;
  const char *kid = json_string_value (json_object_get (header, "kid"));
  *key = kid != NULL ? find_key (set, kid) : NULL;
  return *key != NULL ? JWS_VALID : JWS_UNKNOWN_KEY;
}

JwsVerdict
jws_verify (const JwsKeySet *set, const char *jws, gsize length, const char *type, JwsContent *content)
{
  *content = (JwsContent){ 0 };
  if (length > JWS_MAX_BYTES)
    return JWS_TOO_LARGE;
  const char *end = jws + length;
  const char *first = memchr (jws, '.', length);
  const char *second = first != NULL ? memchr (first + 1, '.', (gsize)(end - first - 1)) : NULL;
  if (second == NULL)
    return JWS_MALFORMED;
  if (first - jws > JWS_MAX_HEADER_BYTES)
    return JWS_TOO_LARGE;

  const PublicKey *key = NULL;
  JwsVerdict verdict = judge_header (set, jws, first, type, &key);
  if (verdict != JWS_VALID)
    return verdict;

  gsize n_payload, n_signature;
  g_autofree guint8 *payload = decode (first + 1, second, &n_payload);
  g_autofree guint8 *signature = decode (second + 1, end, &n_signature);
  if (payload == NULL || n_payload == 0 || signature == NULL || n_signature != SIGNATURE_BYTES)
    return JWS_MALFORMED;

  cjose_err fault = { 0 };
  g_autoptr (Jws) imported = cjose_jws_import (jws, length, &fault);
  if (imported == NULL)
    return JWS_MALFORMED;
  if (!cjose_jws_verify (imported, key->jwk, &fault))
    return JWS_FORGED;
  content->payload = g_bytes_new_take (g_steal_pointer (&payload), n_payload);
  content->kid = g_strdup (key->kid);
  content->retired_s = key->retired_s;
  return JWS_VALID;
}
