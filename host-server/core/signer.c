#include "host-server/core/signer.h"

#include "common/base/log.h"
#include "host-server/core/control.h"
#include "host-server/core/http.h"
#include "host-server/store/signing-keys.h"

#include <string.h>

struct Signer
{
  Server *server;
  char *issuer;
  GMutex lock; /* of @active, which the writer thread signs with too */
  JwsKey *active;
  GPtrArray *keys; /* of SigningKey */
  char *jwks;
};

/* One write on its way: the keys at the start, or after a rotation. */
typedef struct
{
  Signer *signer;
  SigningKeys keys;
  gboolean is_rotation;
  ControlCall *call; /* NULL at the start */
  gboolean is_done;
  GError *error;
} Change;

static gboolean
change_work (Db *db, gpointer data, GError **error)
{
  Change *change = data;
  Server *server = change->signer->server;
  gint64 now_us = clock_get_wall_us (server->clock);
  return change->is_rotation ? signing_keys_rotate (&change->keys, server->store, db, now_us, error)
                             : signing_keys_load (&change->keys, server->store, db, now_us, error);
}

static gboolean
write_jwks (Signer *signer, const GPtrArray *keys, GError **error)
{
  g_autoptr (JwsKeySet) set = jws_key_set_new ();
  for (guint i = 0; i < keys->len; i++)
    {
      const SigningKey *key = g_ptr_array_index (keys, i);
      if (!jws_key_set_add (set, key->public_jwk, key->retired_us / G_USEC_PER_SEC, error))
        {
          g_prefix_error (error, "the signing key '%s': ", key->kid);
          return FALSE;
        }
    }
  g_free (signer->jwks);
  signer->jwks = jws_key_set_dup_json (set);
  return TRUE;
}

/* Makes what was committed the signer's own. */
static gboolean
take_keys (Signer *signer, SigningKeys *keys, GError **error)
{
  if (!write_jwks (signer, keys->keys, error))
    return FALSE;
  g_mutex_lock (&signer->lock);
  JwsKey *old = signer->active;
  signer->active = g_steal_pointer (&keys->active);
  g_mutex_unlock (&signer->lock);
  jws_key_unref (old);
  g_clear_pointer (&signer->keys, g_ptr_array_unref);
  signer->keys = g_steal_pointer (&keys->keys);
  return TRUE;
}

static void
start_done (gpointer data, const GError *error)
{
  Change *change = data;
  change->is_done = TRUE;
  change->error = error != NULL ? g_error_copy (error) : NULL;
}

static gboolean
start (Signer *signer, GError **error)
{
  Change change = { .signer = signer };
  store_write (signer->server->store, STORE_MARKET, change_work, start_done, &change);
  while (!change.is_done)
    g_main_context_iteration (g_main_context_get_thread_default (), TRUE);
  gboolean is_good = change.error == NULL && take_keys (signer, &change.keys, error);
  signing_keys_clear (&change.keys);
  if (change.error != NULL)
    g_propagate_error (error, change.error);
  return is_good;
}

/* --- for the operator, and for everybody */

static json_t *
time_text (gint64 us)
{
  g_autofree char *text = us != 0 ? clock_dup_rfc3339 (us) : NULL;
  return text != NULL ? json_string (text) : json_null ();
}

static void
list_keys (ControlCall *call, gpointer data)
{
  const Signer *signer = data;
  for (guint i = 0; i < signer->keys->len; i++)
    {
      const SigningKey *key = g_ptr_array_index (signer->keys, i);
      control_call_take_row (call,
                             json_pack ("{s:s, s:s, s:o, s:o}", "key", key->kid, "state",
                                        key->retired_us == 0 ? "in use" : "retired", "from",
                                        time_text (key->from_us), "retired", time_text (key->retired_us)));
    }
  control_call_done (call);
}

static void
show_keys (ControlCall *call, gpointer data)
{
  const Signer *signer = data;
  control_call_done_with (call, json_loads (signer->jwks, 0, NULL));
}

static void
rotate_done (gpointer data, const GError *error)
{
  Change *change = data;
  g_autoptr (GError) fault = NULL;
  if (error != NULL)
    control_call_refuse (change->call, "cannot make a new key: %s", error->message);
  else if (!take_keys (change->signer, &change->keys, &fault))
    control_call_refuse (change->call, "cannot use the new key: %s", fault->message);
  else
    {
      const char *kid = jws_key_peek_kid (change->signer->active);
      log_info ("signer", "signing keys rotated key=%s", kid);
      control_call_done_with (change->call, json_pack ("{s:s}", "key", kid));
    }
  signing_keys_clear (&change->keys);
  g_free (change);
}

static void
rotate_keys (ControlCall *call, gpointer data)
{
  Signer *signer = data;
  if (signer->keys->len >= JWS_MAX_SET_KEYS)
    {
      control_call_refuse (call, "there are %u keys already, which is as many as can be published",
                           signer->keys->len);
      return;
    }
  Change *change = g_new0 (Change, 1);
  change->signer = signer;
  change->is_rotation = TRUE;
  change->call = call;
  store_write (signer->server->store, STORE_MARKET, change_work, rotate_done, change);
}

static void
answer_jwks (HttpExchange *exchange, gpointer data)
{
  const Signer *signer = data;
  http_exchange_add_header (exchange, "Cache-Control", "public, max-age=300");
  http_exchange_answer (exchange, 200, "application/jwk-set+json", signer->jwks, strlen (signer->jwks));
}

static void
publish (Signer *signer)
{
  Server *server = signer->server;
  const ControlCommand commands[] = {
    { "key list", NULL, NULL, TRUE, "the keys that the host signs with, and those it has retired", list_keys,
      signer },
    { "key rotate", NULL, NULL, FALSE, "retire the signing key and use a new one; the old stays published",
      rotate_keys, signer },
    { "key show", NULL, NULL, FALSE, "the public keys as published, a JWKS", show_keys, signer, TRUE },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (commands); i++)
    controls_add (server->controls, &commands[i]);
  http_add (server->http, &(HttpRoute){ .method = "GET",
                                        .pattern = "/.well-known/jwks.json",
                                        .handle = answer_jwks,
                                        .data = signer });
}

Signer *
signer_new (Server *server, GError **error)
{
  Signer *signer = g_new0 (Signer, 1);
  const char *public_url = config_get_text (server->config, "http", "public_url");
  signer->server = server;
  signer->issuer = public_url != NULL ? g_strdup (public_url)
                                      : g_strconcat ("https://", jid_get_domain (server->domain), NULL);
  g_mutex_init (&signer->lock);
  if (!start (signer, error))
    {
      signer_free (signer);
      return NULL;
    }
  publish (signer);
  return signer;
}

void
signer_free (Signer *signer)
{
  if (signer == NULL)
    return;
  jws_key_unref (signer->active);
  g_clear_pointer (&signer->keys, g_ptr_array_unref);
  g_mutex_clear (&signer->lock);
  g_free (signer->jwks);
  g_free (signer->issuer);
  g_free (signer);
}

char *
signer_sign (Signer *signer, const char *type, const void *payload, gsize length, GError **error)
{
  g_mutex_lock (&signer->lock);
  g_autoptr (JwsKey) key = jws_key_ref (signer->active);
  g_mutex_unlock (&signer->lock);
  return jws_sign (key, type, payload, length, error);
}

const char *
signer_peek_issuer (const Signer *signer)
{
  return signer->issuer;
}

const char *
signer_peek_jwks (const Signer *signer)
{
  return signer->jwks;
}

char *
signer_dup_kid (Signer *signer)
{
  g_mutex_lock (&signer->lock);
  char *kid = g_strdup (jws_key_peek_kid (signer->active));
  g_mutex_unlock (&signer->lock);
  return kid;
}

const char *
signer_peek_public (const Signer *signer)
{
  return ((SigningKey *)g_ptr_array_index (signer->keys, 0))->public_jwk;
}

GPtrArray *
signer_list_successions (const Signer *signer, const char *kid)
{
  g_autoptr (GPtrArray) statements = g_ptr_array_new_with_free_func (g_free);
  /* The one in use is the first, those retired follow, the last retired first. */
  guint at = 0;
  while (at < signer->keys->len && !g_str_equal (((SigningKey *)g_ptr_array_index (signer->keys, at))->kid, kid))
    at++;
  for (; at > 0 && at < signer->keys->len; at--)
    {
      const SigningKey *key = g_ptr_array_index (signer->keys, at);
      if (key->succession == NULL)
        {
          g_ptr_array_set_size (statements, 0);
          break;
        }
      g_ptr_array_add (statements, g_strdup (key->succession));
    }
  return g_steal_pointer (&statements);
}
