/* The ledger: what happened to money, append-only, unique for ever on (provider, id, kind), whoever reported
 * it first.
 *
 * Callbacks, polls and our own refunds all come in through books_apply(), which records an event once and
 * lets the order follow from the sums. */
#pragma once

#include "host-server/market/books/desk.h"

typedef struct
{
  char *id;
  gint64 amount_minor;
  gint64 refunded_minor;
  gint64 lost_minor; /* by disputes */
} BookPayment;

/* The ledger of one order. */
typedef struct
{
  LedgerSums sums;
  GArray *payments; /* of BookPayment, oldest first */
} Books;

void books_clear (Books *books);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Books, books_clear)
gboolean books_load (Db *db, const char *purchase, Books *books, GError **error);
/* The same as it was when the ledger's entry @last_seq was its last. */
gboolean books_load_until (Db *db, const char *purchase, gint64 last_seq, Books *books, GError **error);

typedef enum
{
  BOOKS_APPLIED,
  BOOKS_KNOWN,      /* the ledger has it: nothing happened */
  BOOKS_NO_ORDER,   /* kept and tried again: its order may come */
  BOOKS_MISMATCH,   /* other merchant, currency, checkout or amount than ours: for a person */
  BOOKS_OTHER_MODE, /* test money in live mode, or the other way round: not in the ledger */
  BOOKS_IGNORED,    /* a type this version does not know */
} BooksOutcome;

/* How the host came to know of an event. */
typedef struct
{
  const char *source;     /* callback | poll | refund | reconcile */
  const char *webhook_id; /* of a callback; NULL otherwise */
  const guint8 *digest;   /* SHA-256 of its body, 32 bytes; NULL otherwise */
} Evidence;

#define EVIDENCE_DIGEST_BYTES 32

/* Records @event of @provider (a configured name) with @evidence, and takes its order along. *@reason is a
 * static text for BOOKS_MISMATCH. */
gboolean books_apply (Turn *turn, const Provider *provider, const MoneyEvent *event, const Evidence *evidence,
                      BooksOutcome *outcome, const char **reason, GError **error);
const char *books_outcome_to_text (BooksOutcome outcome);

/* Keeps a delivery that could not be applied. @is_retried: it is tried again (its order may come); otherwise
 * it waits for a person. @webhook_id is unique with the provider. */
gboolean books_keep_unmatched (Turn *turn, const char *provider, const char *webhook_id, const char *reason,
                               const void *body, gsize length, gboolean is_retried, GError **error);
/* Tries again what is due, and raises the alarm for what waits too long. */
gboolean books_retry_unmatched (Turn *turn, GError **error);
