/* Receipts as every party reads them (docs/receipts.md): a JWS of the host about one fulfilled order line,
 * with salted hashes of what only some may know, and the salts, which go to those who do know.
 *
 * Nothing here needs a server: the host's public keys, the receipt, and what the party knows already are
 * enough. Everything in a receipt may be a stranger's. */
#pragma once

#include "common/base/jws.h"

#include <jansson.h>

#define RECEIPT_TYPE       "stoa-receipt+jwt"
#define RECEIPT_SALT_BYTES 32
#define RECEIPT_HASH_BYTES 32
#define RECEIPT_MAX_LISTED 12 /* payments, refunds, disputes of each kind, the newest; sums are of all */
#define RECEIPT_LEEWAY_S   60 /* between the clocks of a signature and of its key's retirement */

/* What stands in a receipt as a salted hash. */
typedef enum
{
  RECEIPT_SERIAL,            /* the serial */
  RECEIPT_BUYER,             /* the buyer's bare JID */
  RECEIPT_BUYER_AT_VENDOR,   /* the pairwise name that the vendor knows the buyer by */
  RECEIPT_BUYER_AT_PROVIDER, /* and the billing provider */
  N_RECEIPT_CLAIMS,
} ReceiptClaim;

/* "buyer_at_vendor": its key in `hashes` and in the disclosures. */
const char *receipt_claim_to_text (ReceiptClaim claim);
gboolean receipt_claim_from_text (const char *text, ReceiptClaim *claim);

typedef enum
{
  RECEIPT_FOR_BUYER,
  RECEIPT_FOR_VENDOR,
  RECEIPT_FOR_PROVIDER,
  N_RECEIPT_PARTIES,
} ReceiptParty;

gboolean receipt_party_from_text (const char *text, ReceiptParty *party);
/* Whether @party gets the salt of @claim: those who know its value from their own dealings. */
gboolean receipt_is_disclosed_to (ReceiptParty party, ReceiptClaim claim);

/* SHA-256 (salt || value). */
void receipt_hash (const guint8 salt[RECEIPT_SALT_BYTES], const void *value, gsize length,
                   guint8 hash[RECEIPT_HASH_BYTES]);
/* What a receipt that supersedes @jws says in `supersedes`: base64url of its SHA-256. The caller frees it. */
char *receipt_dup_link (const char *jws);

/* What a party is given: {"receipt": JWS, "disclosures": {claim: salt}}. */
typedef struct
{
  char *jws;
  guint8 *salts[N_RECEIPT_CLAIMS]; /* RECEIPT_SALT_BYTES each; NULL: not disclosed */
} ReceiptDocument;

ReceiptDocument *receipt_document_new (const char *jws);
void receipt_document_free (ReceiptDocument *document);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ReceiptDocument, receipt_document_free)
/* Copies @salt (base64url). FALSE with G_IO_ERROR_INVALID_DATA: unknown claim, not a salt, or given twice. */
gboolean receipt_document_disclose (ReceiptDocument *document, const char *claim, const char *salt,
                                    GError **error);
json_t *receipt_document_to_json (const ReceiptDocument *document);
/* Reads one document, several with white space between them (a chain, oldest first), or a bare JWS. NULL with
 * G_IO_ERROR_INVALID_DATA; never an empty array. @length is limited by the caller. */
GPtrArray *receipt_documents_parse (const char *text, gsize length, GError **error);

/* A receipt whose signature and shape are good. Texts are lent from @claims and hold no control characters.
 */
typedef struct
{
  json_t *claims;
  char *link; /* what a successor's `supersedes` must be */
  char *kid;
  gint64 retired_s;                                  /* of the key; 0: in use when the key set was made */
  const char *issuer, *id, *reason, *supersedes;     /* @supersedes NULL: the first */
  const char *order, *line, *plugin, *vendor, *term; /* @term NULL: for ever */
  const char *item; /* of @plugin, which was bought inside it; NULL: the plugin itself */
  const char *currency, *provider;                   /* @provider NULL: it was free */
  const char *status, *fulfilled, *delivered;        /* @delivered NULL: not acknowledged */
  gint64 seq, issued_s, amount_minor, paid_minor, refunded_minor;
  gint64 item_amount; /* how many */
} Receipt;

void receipt_free (Receipt *receipt);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Receipt, receipt_free)

/* Verifies with the host's keys. NULL with G_IO_ERROR_INVALID_DATA whose message is the reason, for people.
 */
Receipt *receipt_verify (const JwsKeySet *keys, const char *jws, GError **error);
/* Whether @receipt is what comes right after @former in the chain of its line; FALSE with the reason. */
gboolean receipt_follows (const Receipt *receipt, const Receipt *former, GError **error);

typedef enum
{
  RECEIPT_MATCHES,
  RECEIPT_DIFFERS,
  RECEIPT_NOT_DISCLOSED, /* this party has no salt for it */
} ReceiptMatch;

/* Whether the receipt is about @value. */
ReceiptMatch receipt_match (const Receipt *receipt, const ReceiptDocument *document, ReceiptClaim claim,
                            const void *value, gsize length);
/* The entry (payment, refund or dispute) that was reported by a callback with this body; lent, NULL if none
 * was. */
const json_t *receipt_find_body (const Receipt *receipt, const void *body, gsize length);

/* The receipt in plain words, a line for each fact. */
void receipt_append_text (const Receipt *receipt, GString *out);
