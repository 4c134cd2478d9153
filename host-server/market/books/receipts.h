/* Receipts of fulfilled order lines (docs/receipts.md): what happened to one line, as a chain in which each
 * receipt supersedes the one before.
 *
 * The facts of a receipt are a row, written in the same commit as what they are about. Signing waits until
 * somebody asks: the chain of the line is signed then, from the first receipt that is not yet, and what was
 * signed stays as it is. */
#pragma once

#include "common/protocol/receipt.h"
#include "host-server/market/books/entitlements.h"

/* The line's serial has become the user's: its first receipt, or one that supersedes it if it is another
 * serial than before. */
gboolean receipts_note_serial (Turn *turn, const char *line, const Secret *serial, GError **error);
/* The line of an item was credited: its first receipt, if it has none. */
gboolean receipts_note_item (Turn *turn, const char *line, GError **error);
/* The ledger of @line's order has grown by an entry of @kind: a superseding receipt, if the line has any. */
gboolean receipts_note_money (Turn *turn, const char *line, const char *kind, GError **error);
/* A client has acknowledged the push with the entitlements of @account that changed after @since, up to @ver:
 * the time of delivery of those it had serials of. It goes into the last receipt, if that is not signed yet,
 * or into one that supersedes it. */
gboolean receipts_note_delivery (Turn *turn, const char *account, gint64 since, gint64 ver, GError **error);

typedef struct
{
  const char *order;
  const char *account; /* of the asking user; NULL: not a user */
  ReceiptParty party;
  gboolean is_all; /* the whole chain, oldest first; otherwise the last receipt */
} ReceiptQuestion;

typedef enum
{
  RECEIPTS_FOUND,
  RECEIPTS_NO_ORDER, /* or not @account's */
  RECEIPTS_NONE,     /* it is not fulfilled, or was before there were receipts */
} ReceiptsOutcome;

/* Signs what is not signed yet; *@documents (of ReceiptDocument) is for the caller to unref. */
gboolean receipts_read (Turn *turn, const ReceiptQuestion *question, ReceiptsOutcome *outcome,
                        GPtrArray **documents, GError **error);
