/* The receipt of an order of this account: fetched, verified with the host's keys, and compared with what
 * this device knows (docs/receipts.md).
 *
 * The keys come over the same stream as the receipt: they are as trustworthy as the TLS connection to the
 * account's own server, no more and no less. Who does not want to rest on that compares with the JWKS that
 * the host publishes (`hostctl receipt verify`). */
#pragma once

#include "common/protocol/receipt.h"
#include "host-client/core/market.h"

typedef struct
{
  ReceiptDocument *document;
  Receipt *receipt; /* NULL: it is not valid */
  char *reason;     /* why not, for the user */
  ReceiptMatch serial;
  gboolean has_serial;    /* whether this device holds a serial of the plugin to compare with */
  ReceiptMatch buyer;     /* with this account's address */
  ReceiptMatch at_vendor; /* with the name that this account is shown to have there */
} ReceiptCheck;

/* @check is NULL if there was no answer to check: then @reply says why. */
typedef void (*ReceiptCheckFunc) (const ReceiptCheck *check, const Reply *reply, gpointer data);
void receipt_check (Session *session, const Market *market, const char *order, ReceiptCheckFunc callback,
                    gpointer data);
