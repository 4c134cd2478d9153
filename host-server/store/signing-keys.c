#include "host-server/store/signing-keys.h"

#include "common/protocol/trust.h"

#include <gio/gio.h>
#include <string.h>

static void
signing_key_free (gpointer data)
{
  SigningKey *key = data;
  g_free (key->kid);
  g_free (key->public_jwk);
  g_free (key->succession);
  g_free (key);
}

void
signing_keys_clear (SigningKeys *keys)
{
  g_clear_pointer (&keys->active, jws_key_unref);
  g_clear_pointer (&keys->keys, g_ptr_array_unref);
}

static char *
seal_label (const char *kid)
{
  return g_strconcat ("signing key ", kid, NULL);
}

static gboolean
open_active (SigningKeys *keys, Store *store, const char *kid, const void *sealed, gsize length,
             GError **error)
{
  g_autofree char *label = seal_label (kid);
  g_autoptr (Secret) jwk = store_unseal (store, label, sealed, length);
  if (jwk == NULL)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                   "the signing key '%s' was sealed with another key file than this one", kid);
      return FALSE;
    }
  keys->active = jws_key_load (jwk, error);
  if (keys->active == NULL)
    g_prefix_error (error, "the signing key '%s': ", kid);
  return keys->active != NULL;
}

static gboolean
read_all (SigningKeys *keys, Store *store, Db *db, GError **error)
{
  GError *local = NULL;
  signing_keys_clear (keys);
  keys->keys = g_ptr_array_new_with_free_func (signing_key_free);
  g_autoptr (DbQuery) query = db_query (db,
                                        "SELECT kid, public_jwk, from_us, retired_us, sealed, succession FROM signing_key"
                                        " ORDER BY retired_us > 0, retired_us DESC, kid",
                                        "");
  while (db_next (query, &local))
    {
      SigningKey *key = g_new0 (SigningKey, 1);
      key->kid = db_dup_text (query, 0);
      key->public_jwk = db_dup_text (query, 1);
      key->from_us = db_get_int (query, 2);
      key->retired_us = db_get_int (query, 3);
      key->succession = db_is_null (query, 5) ? NULL : db_dup_text (query, 5);
      g_ptr_array_add (keys->keys, key);
      gsize length;
      const void *sealed = db_get_blob (query, 4, &length);
      if (key->retired_us == 0 && !open_active (keys, store, key->kid, sealed, length, error))
        return FALSE;
    }
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, local);
  return FALSE;
}

static gboolean
insert_key (const JwsKey *key, Store *store, Db *db, gint64 now_us, GError **error)
{
  g_autoptr (Secret) private_jwk = jws_key_dup_private (key);
  g_autofree char *public_jwk = jws_key_dup_public (key);
  g_autofree char *label = seal_label (jws_key_peek_kid (key));
  g_autoptr (GBytes) sealed = store_seal (store, label, private_jwk);
  gsize length;
  const void *bytes = g_bytes_get_data (sealed, &length);
  return db_run (
      db, error,
      "INSERT INTO signing_key (kid, public_jwk, sealed, from_us, retired_us) VALUES (?, ?, ?, ?, 0)", "ssbi",
      jws_key_peek_kid (key), public_jwk, bytes, length, now_us);
}

gboolean
signing_keys_load (SigningKeys *keys, Store *store, Db *db, gint64 now_us, GError **error)
{
  if (!read_all (keys, store, db, error))
    return FALSE;
  if (keys->active != NULL)
    return TRUE;
  g_autoptr (JwsKey) first = jws_key_new ();
  return insert_key (first, store, db, now_us, error) && read_all (keys, store, db, error);
}

gboolean
signing_keys_rotate (SigningKeys *keys, Store *store, Db *db, gint64 now_us, GError **error)
{
  if (!signing_keys_load (keys, store, db, now_us, error))
    return FALSE;
  g_autoptr (JwsKey) next = jws_key_new ();
  g_autofree char *public_jwk = jws_key_dup_public (next);
  g_autofree char *payload = succession_dup_json (public_jwk, now_us / G_USEC_PER_SEC);
  g_autofree char *statement
      = jws_sign (keys->active, SUCCESSION_TYPE, payload, strlen (payload), error);
  return statement != NULL
         && db_run (db, error,
                    "UPDATE signing_key SET retired_us = ?, sealed = NULL, succession = ? WHERE retired_us = 0",
                    "is", now_us, statement)
         && insert_key (next, store, db, now_us, error) && read_all (keys, store, db, error);
}
