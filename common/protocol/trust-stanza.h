/* `<trust/>` of urn:stoa:market:1 (docs/packages.md): a client asks for the host's trust document, saying
 * which number it holds and which of the host's keys it knows; and `<account-token/>` of urn:stoa:tokens:1
 * (protocol.md section 4). */
#pragma once

#include "common/protocol/market.h"
#include "common/protocol/trust.h"

#define NS_TOKENS "urn:stoa:tokens:1"

typedef struct
{
  char *key;     /* kid of the host's key that the client has pinned; NULL: none */
  gint64 number; /* of the document it holds; 0: none */
} TrustRequest;

void trust_request_clear (TrustRequest *request);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (TrustRequest, trust_request_clear)
void trust_request_write (const TrustRequest *request, GString *out);
/* FALSE with PROTOCOL_ERROR, and then there is nothing to clear. */
gboolean trust_request_read (xmpp_stanza_t *element, TrustRequest *request, GError **error);

typedef struct
{
  gint64 number;
  gboolean is_unchanged;  /* the client holds it; the rest is empty */
  char *jwk;              /* the host's key in use */
  GPtrArray *successions; /* of char *: from the client's key to it, oldest first */
  char *document;         /* the JWS */
} TrustAnswer;

TrustAnswer *trust_answer_new (void);
void trust_answer_free (TrustAnswer *answer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TrustAnswer, trust_answer_free)
void trust_answer_write (const TrustAnswer *answer, GString *out);
TrustAnswer *trust_answer_read (xmpp_stanza_t *element, GError **error);

#define ACCOUNT_TOKEN_REQUEST "<account-token xmlns='" NS_TOKENS "'/>"
void account_token_write (const char *jwt, gint64 expires_us, GString *out);
/* The token; the caller frees it. NULL with PROTOCOL_ERROR. */
char *account_token_read (xmpp_stanza_t *element, GError **error);
