/* What a client does from the connection to being a session: TLS, SASL, bind, roster, presence, serials.
 *
 * The answers are found by looking for a few words in the text, which is enough for a server that works and
 * is known not to be hostile, and costs the generator next to nothing. Whatever is unexpected is a failed
 * login. */
#pragma once

#include "tests/bench/connection.h"
#include "tests/bench/scram.h"

typedef enum
{
  TLS_NONE,
  TLS_START, /* STARTTLS */
  TLS_DIRECT,
} TlsUse;

typedef struct
{
  const char *domain;
  const char *mechanism; /* SCRAM-SHA-1, SCRAM-SHA-256 or PLAIN */
  TlsUse tls;
  SSL_CTX *context;
  ScramCache *scram;
  bool registers; /* XEP-0077 instead of a login; an account that exists is well */
  bool gets_roster;
  bool sends_presence;
  bool gets_serials; /* from market.DOMAIN */
} LoginPlan;

typedef enum
{
  LOGIN_TLS,
  LOGIN_FEATURES_BEFORE_TLS,
  LOGIN_PROCEED,
  LOGIN_FEATURES,
  LOGIN_REGISTERED,
  LOGIN_CHALLENGE,
  LOGIN_SUCCESS,
  LOGIN_BIND_FEATURES,
  LOGIN_BOUND,
  LOGIN_ROSTER,
  LOGIN_PRESENCE,
  LOGIN_SERIALS,
  LOGIN_DONE,
  LOGIN_FAILED,
} LoginState;

typedef struct
{
  const LoginPlan *plan;
  LoginState state;
  Connection *connection;
  unsigned user; /* the account is u<user>, its password secret-<user> */
  GString *text; /* unread part of the stream; NULL when done */
  char *first_bare;
  char *signature;
  char *jid;             /* once bound */
  char *serials_version; /* `ver` of the serials, once got */
  char *failure;         /* what went wrong, when FAILED */
} Login;

/* Begins on a connection that was just opened. `session` (may be NULL) is offered for TLS resumption. */
void login_begin (Login *self, const LoginPlan *plan, Connection *connection, unsigned user,
                  SSL_SESSION *session);

/* Takes what was read; `data` NULL: the TLS handshake is done. DONE and FAILED are final. */
LoginState login_feed (Login *self, const char *data, size_t size);

void login_clear (Login *self);
