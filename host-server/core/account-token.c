#include "host-server/core/account-token.h"

#include "common/base/id.h"
#include "common/base/jws.h"
#include "common/base/text.h"
#include "host-server/core/signer.h"
#include "host-server/store/accounts.h"

#include <gio/gio.h>
#include <string.h>

#define LEEWAY_S 60 /* of `iat`, should the clock have been set back */

typedef json_t Json;
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Json, json_decref)

char *
account_token_dup_issuer (const Server *server)
{
  const char *public_url = config_get_text (server->config, "http", "public_url");
  if (public_url != NULL)
    {
      gsize length = strlen (public_url);
      return g_strndup (public_url, length > 0 && public_url[length - 1] == '/' ? length - 1 : length);
    }
  const char *address = http_peek_address (server->http);
  if (address == NULL)
    return NULL;
  gboolean has_certificate = config_get_text (server->config, "http", "certificate") != NULL;
  return g_strconcat (has_certificate ? "https://" : "http://", address, NULL);
}

/* Which account the name stood for, without saying its UUID: a name registered anew is another user. */
static char *
dup_mark (const char *account)
{
  g_autofree char *sum = g_compute_checksum_for_string (G_CHECKSUM_SHA256, account, -1);
  return g_strndup (sum, 32);
}

char *
account_token_issue (const Server *server, const char *account, const Jid *bare, gint64 *expires_us,
                     GError **error)
{
  g_autofree char *issuer = account_token_dup_issuer (server);
  if (issuer == NULL)
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED, "this host has no HTTP listener");
      return NULL;
    }
  gint64 now_s = clock_get_wall_us (server->clock) / G_USEC_PER_SEC;
  g_autofree char *id = id_new_random (16);
  g_autofree char *mark = dup_mark (account);
  g_autoptr (Json) claims
      = json_pack ("{s:s, s:s, s:s, s:s, s:s, s:I, s:I}", "iss", issuer, "aud",
                   jid_get_domain (server->domain), "sub", jid_get_bare (bare), "jti", id, "account", mark,
                   "iat", (json_int_t)now_s, "exp", (json_int_t)(now_s + ACCOUNT_TOKEN_LIFE_S));
  char *text = json_dumps (claims, JSON_COMPACT);
  char *token = signer_sign (server->signer, ACCOUNT_TOKEN_TYPE, text, strlen (text), error);
  free (text);
  *expires_us = (now_s + ACCOUNT_TOKEN_LIFE_S) * G_USEC_PER_SEC;
  return token;
}

static gboolean
is_text (const Json *claims, const char *name, const char *expected)
{
  return g_strcmp0 (json_string_value (json_object_get (claims, name)), expected) == 0;
}

static gboolean
is_in_time (const Json *claims, gint64 now_s)
{
  const Json *iat = json_object_get (claims, "iat"), *exp = json_object_get (claims, "exp");
  return json_is_integer (iat) && json_is_integer (exp) && json_integer_value (iat) <= now_s + LEEWAY_S
         && now_s < json_integer_value (exp)
         && json_integer_value (exp) - json_integer_value (iat) <= ACCOUNT_TOKEN_LIFE_S;
}

void
account_token_claims_clear (AccountTokenClaims *claims)
{
  g_clear_pointer (&claims->jid, g_free);
  g_clear_pointer (&claims->mark, g_free);
}

gboolean
account_token_verify (const JwsKeySet *keys, const char *issuer, const char *domain, gint64 now_s,
                      const char *token, AccountTokenClaims *claims)
{
  g_auto (JwsContent) content = { 0 };
  gsize length;
  if (jws_verify (keys, token, strlen (token), ACCOUNT_TOKEN_TYPE, &content) != JWS_VALID)
    return FALSE;
  const char *text = g_bytes_get_data (content.payload, &length);
  g_autoptr (Json) json = json_loadb (text, length, JSON_REJECT_DUPLICATES, NULL);
  const char *sub = json_string_value (json_object_get (json, "sub"));
  const char *mark = json_string_value (json_object_get (json, "account"));
  if (!is_text (json, "iss", issuer) || !is_text (json, "aud", domain) || sub == NULL || mark == NULL
      || !is_in_time (json, now_s))
    return FALSE;
  *claims = (AccountTokenClaims){ g_strdup (sub), g_strdup (mark) };
  return TRUE;
}

/* The account that the token names, if it is there still. */
static gboolean
find_account (const Server *server, const AccountTokenClaims *claims, char account[37])
{
  g_autoptr (Jid) jid = jid_new (claims->jid, strlen (claims->jid));
  if (jid == NULL || jid_get_local (jid) == NULL
      || !g_str_equal (jid_get_domain (jid), jid_get_domain (server->domain))
      || !accounts_find_uuid (server->store, jid_get_local (jid), account))
    return FALSE;
  g_autofree char *mark = dup_mark (account);
  return g_str_equal (mark, claims->mark);
}

AccountTokenVerdict
account_token_check (const Server *server, const HttpExchange *exchange, char account[37])
{
  const char *header = http_exchange_get_header (exchange, "Authorization");
  if (header == NULL || http_exchange_count_header (exchange, "Authorization") != 1
      || g_ascii_strncasecmp (header, "Bearer ", strlen ("Bearer ")) != 0)
    return ACCOUNT_TOKEN_MISSING;
  const char *jwks = signer_peek_jwks (server->signer);
  g_autofree char *issuer = account_token_dup_issuer (server);
  g_autoptr (JwsKeySet) keys = jws_key_set_parse (jwks, strlen (jwks), NULL);
  g_auto (AccountTokenClaims) claims = { 0 };
  return keys != NULL && issuer != NULL
                 && account_token_verify (keys, issuer, jid_get_domain (server->domain),
                                          clock_get_wall_us (server->clock) / G_USEC_PER_SEC,
                                          header + strlen ("Bearer "), &claims)
                 && find_account (server, &claims, account)
             ? ACCOUNT_TOKEN_GOOD
             : ACCOUNT_TOKEN_BAD;
}

void
account_token_refuse (HttpExchange *exchange, AccountTokenVerdict verdict)
{
  gboolean is_missing = verdict == ACCOUNT_TOKEN_MISSING;
  http_exchange_add_header (exchange, "WWW-Authenticate",
                            is_missing ? "Bearer" : "Bearer error=\"invalid_token\"");
  http_exchange_refuse (exchange, 401,
                        is_missing ? "an account token is needed" : "the account token is not valid");
}
