/* Account tokens (protocol.md section 4): what a signed-in user shows to the host's HTTP listener. A JWT
 * signed by the host: `iss` its URL, `aud` the domain D, `sub` the bare JID, at most an hour. It is of no use
 * anywhere else. */
#pragma once

#include "common/base/jws.h"
#include "host-server/core/http.h"
#include "host-server/core/server.h"

#define ACCOUNT_TOKEN_TYPE   "stoa-account+jwt"
#define ACCOUNT_TOKEN_LIFE_S 3600

/* [http] public_url; without one "http://127.0.0.1:41234", where it listens; NULL: it does not listen, or not
 * on loopback without https. The caller frees it. On the main thread, once it listens. */
char *account_token_dup_issuer (const Server *server);

/* A token for the account; the caller frees it. *@expires_us is set. NULL with @error if nobody could take
 * it: there is no HTTP listener. */
char *account_token_issue (const Server *server, const char *account, const Jid *bare, gint64 *expires_us,
                           GError **error);

/* What a good token says. */
typedef struct
{
  char *jid;  /* bare */
  char *mark; /* of the account that had the name then */
} AccountTokenClaims;

void account_token_claims_clear (AccountTokenClaims *claims);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (AccountTokenClaims, account_token_claims_clear)
/* Whether @token is one that @issuer signed by one of @keys for @domain and that is good at @now_s; @claims
 * is filled then. Who the account is now is not asked here. */
gboolean account_token_verify (const JwsKeySet *keys, const char *issuer, const char *domain, gint64 now_s,
                               const char *token, AccountTokenClaims *claims);

typedef enum
{
  ACCOUNT_TOKEN_GOOD,
  ACCOUNT_TOKEN_MISSING, /* no Authorization: Bearer, or more than one */
  ACCOUNT_TOKEN_BAD,     /* not ours, forged, expired, of another host, of an account that is gone */
} AccountTokenVerdict;

/* The account of the request's `Authorization: Bearer` (the route wants that header). @account gets its UUID.
 */
AccountTokenVerdict account_token_check (const Server *server, const HttpExchange *exchange,
                                         char account[37]);
/* Answers 401 with `WWW-Authenticate`; gives the exchange away. */
void account_token_refuse (HttpExchange *exchange, AccountTokenVerdict verdict);
