#include "common/protocol/trust.h"

#include <gio/gio.h>
#include <jansson.h>
#include <string.h>

typedef json_t Json;
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Json, json_decref)

static void
key_free (gpointer data)
{
  TrustKey *key = data;
  g_free (key->vendor);
  g_free (key->key);
  g_free (key);
}

static void
revocation_free (gpointer data)
{
  TrustRevocation *revocation = data;
  g_free (revocation->hash);
  g_free (revocation->plugin);
  g_free (revocation->version);
  g_free (revocation->reason);
  g_free (revocation);
}

Trust *
trust_new (void)
{
  Trust *trust = g_new0 (Trust, 1);
  trust->keys = g_ptr_array_new_with_free_func (key_free);
  trust->revocations = g_ptr_array_new_with_free_func (revocation_free);
  return trust;
}

void
trust_free (Trust *trust)
{
  if (trust == NULL)
    return;
  g_free (trust->issuer);
  g_ptr_array_unref (trust->keys);
  g_ptr_array_unref (trust->revocations);
  g_free (trust);
}

void
trust_add_key (Trust *trust, const TrustKey *key)
{
  TrustKey *copy = g_memdup2 (key, sizeof *key);
  copy->vendor = g_strdup (key->vendor);
  copy->key = g_strdup (key->key);
  g_ptr_array_add (trust->keys, copy);
}

void
trust_add_revocation (Trust *trust, const TrustRevocation *revocation)
{
  TrustRevocation *copy = g_memdup2 (revocation, sizeof *revocation);
  copy->hash = g_strdup (revocation->hash);
  copy->plugin = g_strdup (revocation->plugin);
  copy->version = g_strdup (revocation->version);
  copy->reason = g_strdup (revocation->reason);
  g_ptr_array_add (trust->revocations, copy);
}

/* --- writing */

static char *
take_dump (Json *take_json)
{
  char *text = json_dumps (take_json, JSON_COMPACT);
  char *copy = g_strdup (text);
  free (text);
  json_decref (take_json);
  return copy;
}

static void
set_time (Json *object, const char *name, gint64 time_s)
{
  if (time_s != 0)
    json_object_set_new (object, name, json_integer (time_s));
}

char *
trust_dup_json (const Trust *trust)
{
  Json *keys = json_array (), *packages = json_array ();
  for (guint i = 0; i < trust->keys->len; i++)
    {
      const TrustKey *key = g_ptr_array_index (trust->keys, i);
      Json *object = json_pack ("{s:s, s:s, s:I}", "vendor", key->vendor, "key", key->key, "from",
                                (json_int_t)key->from_s);
      set_time (object, "to", key->to_s);
      set_time (object, "revoked", key->revoked_s);
      json_array_append_new (keys, object);
    }
  for (guint i = 0; i < trust->revocations->len; i++)
    {
      const TrustRevocation *one = g_ptr_array_index (trust->revocations, i);
      json_array_append_new (packages, json_pack ("{s:s, s:s, s:s, s:s, s:I}", "hash", one->hash, "plugin",
                                                  one->plugin, "version", one->version, "reason", one->reason,
                                                  "revoked", (json_int_t)one->revoked_s));
    }
  return take_dump (json_pack ("{s:s, s:I, s:I, s:o, s:o}", "iss", trust->issuer, "number",
                               (json_int_t)trust->number, "iat", (json_int_t)trust->issued_s, "keys", keys,
                               "revoked", packages));
}

/* --- reading */

typedef struct
{
  const char *wrong; /* the first thing that was; NULL: nothing */
} Reader;

static const char *
get_text (Reader *reader, const Json *object, const char *name)
{
  const char *text = json_string_value (json_object_get (object, name));
  if (text == NULL && reader->wrong == NULL)
    reader->wrong = name;
  return text;
}

static gint64
get_time (Reader *reader, const Json *object, const char *name, gboolean is_optional)
{
  const Json *value = json_object_get (object, name);
  if (value == NULL && is_optional)
    return 0;
  if ((!json_is_integer (value) || json_integer_value (value) < 0) && reader->wrong == NULL)
    reader->wrong = name;
  return (gint64)json_integer_value (value);
}

static void
read_keys (Reader *reader, const Json *array, Trust *trust)
{
  size_t i;
  Json *object;
  if (!json_is_array (array))
    reader->wrong = "keys";
  json_array_foreach (array, i, object)
  {
    TrustKey key = { 0 };
    key.vendor = (char *)get_text (reader, object, "vendor");
    key.key = (char *)get_text (reader, object, "key");
    key.from_s = get_time (reader, object, "from", FALSE);
    key.to_s = get_time (reader, object, "to", TRUE);
    key.revoked_s = get_time (reader, object, "revoked", TRUE);
    trust_add_key (trust, &key);
  }
}

static void
read_revocations (Reader *reader, const Json *array, Trust *trust)
{
  size_t i;
  Json *object;
  if (!json_is_array (array))
    reader->wrong = "revoked";
  json_array_foreach (array, i, object)
  {
    TrustRevocation one = { 0 };
    one.hash = (char *)get_text (reader, object, "hash");
    one.plugin = (char *)get_text (reader, object, "plugin");
    one.version = (char *)get_text (reader, object, "version");
    one.reason = (char *)get_text (reader, object, "reason");
    one.revoked_s = get_time (reader, object, "revoked", FALSE);
    trust_add_revocation (trust, &one);
  }
}

/* The verified payload as an object; NULL with @error. */
static Json *
open_document (const JwsKeySet *keys, const char *jws, const char *type, const char *what, GError **error)
{
  g_auto (JwsContent) content = { 0 };
  JwsVerdict verdict = jws_verify (keys, jws, strlen (jws), type, &content);
  if (verdict != JWS_VALID)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "%s cannot be believed: %s", what,
                   jws_verdict_to_text (verdict));
      return NULL;
    }
  gsize length;
  const char *text = g_bytes_get_data (content.payload, &length);
  g_autoptr (Json) object = json_loadb (text, length, JSON_REJECT_DUPLICATES, NULL);
  if (json_is_object (object))
    return g_steal_pointer (&object);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "%s is not JSON", what);
  return NULL;
}

Trust *
trust_verify (const JwsKeySet *keys, const char *jws, GError **error)
{
  g_autoptr (Json) object = open_document (keys, jws, TRUST_TYPE, "the trust document", error);
  if (object == NULL)
    return NULL;
  Reader reader = { NULL };
  g_autoptr (Trust) trust = trust_new ();
  trust->issuer = g_strdup (get_text (&reader, object, "iss"));
  trust->number = get_time (&reader, object, "number", FALSE);
  trust->issued_s = get_time (&reader, object, "iat", FALSE);
  read_keys (&reader, json_object_get (object, "keys"), trust);
  read_revocations (&reader, json_object_get (object, "revoked"), trust);
  if (reader.wrong == NULL)
    return g_steal_pointer (&trust);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "the trust document's '%s' is missing or wrong",
               reader.wrong);
  return NULL;
}

/* --- what it says */

TrustKeyVerdict
trust_judge_key (const Trust *trust, const char *vendor, const char *key, gint64 now_s)
{
  for (guint i = 0; i < trust->keys->len; i++)
    {
      const TrustKey *one = g_ptr_array_index (trust->keys, i);
      if (!g_str_equal (one->key, key) || (vendor != NULL && !g_str_equal (one->vendor, vendor)))
        continue;
      if (one->revoked_s != 0)
        return TRUST_KEY_REVOKED;
      if (now_s < one->from_s)
        return TRUST_KEY_EARLY;
      return one->to_s != 0 && now_s >= one->to_s ? TRUST_KEY_LATE : TRUST_KEY_GOOD;
    }
  return TRUST_KEY_UNKNOWN;
}

const char *
trust_key_verdict_to_text (TrustKeyVerdict verdict)
{
  switch (verdict)
    {
    case TRUST_KEY_UNKNOWN:
      return "the host does not know the key that signed it as its vendor's";
    case TRUST_KEY_EARLY:
      return "the key that signed it is not valid yet";
    case TRUST_KEY_LATE:
      return "the key that signed it is not valid any more";
    case TRUST_KEY_REVOKED:
      return "the host has revoked the key that signed it";
    case TRUST_KEY_GOOD:
    default:
      g_assert_not_reached ();
    }
}

const TrustRevocation *
trust_find_revocation (const Trust *trust, const char *hash)
{
  for (guint i = 0; i < trust->revocations->len; i++)
    {
      const TrustRevocation *one = g_ptr_array_index (trust->revocations, i);
      if (g_str_equal (one->hash, hash))
        return one;
    }
  return NULL;
}

/* --- succession */

char *
succession_dup_json (const char *successor_jwk, gint64 retired_s)
{
  Json *jwk = json_loads (successor_jwk, 0, NULL);
  g_assert (jwk != NULL);
  return take_dump (json_pack ("{s:o, s:I}", "successor", jwk, "iat", (json_int_t)retired_s));
}

static char *
follow_one (const JwsKeySet *keys, const char *statement, GError **error)
{
  g_autoptr (JwsKeySet) probe = jws_key_set_new ();
  g_autoptr (Json) object
      = open_document (keys, statement, SUCCESSION_TYPE, "the statement about a new key of the host", error);
  const Json *successor = object != NULL ? json_object_get (object, "successor") : NULL;
  if (object == NULL)
    return NULL;
  g_autofree char *next = json_is_object (successor) ? take_dump (json_incref ((Json *)successor)) : NULL;
  if (next != NULL && jws_key_set_add (probe, next, 0, NULL))
    return g_steal_pointer (&next);
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                       "the statement about a new key of the host names none");
  return NULL;
}

static gboolean
is_of_another (const JwsKeySet *keys, const char *statement)
{
  g_auto (JwsContent) content = { 0 };
  return jws_verify (keys, statement, strlen (statement), SUCCESSION_TYPE, &content) == JWS_UNKNOWN_KEY;
}

char *
succession_follow (const char *jwk, const GPtrArray *statements, GError **error)
{
  g_autofree char *current = g_strdup (jwk);
  gboolean has_begun = FALSE;
  for (guint i = 0; i < statements->len; i++)
    {
      const char *statement = g_ptr_array_index (statements, i);
      g_autoptr (JwsKeySet) keys = jws_key_set_new ();
      if (!jws_key_set_add (keys, current, 0, error))
        return NULL;
      if (!has_begun && is_of_another (keys, statement))
        continue;
      has_begun = TRUE;
      char *next = follow_one (keys, statement, error);
      if (next == NULL)
        return NULL;
      g_free (current);
      current = next;
    }
  return g_steal_pointer (&current);
}
