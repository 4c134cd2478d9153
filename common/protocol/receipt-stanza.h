/* Receipts in urn:stoa:market:1 (protocol.md section 3), for both sides:
 *
 *   <receipt order='o_…'/> get → <receipt order='o_…'><jws>…</jws><disclosure claim='serial'
 * salt='…'/>…</receipt> <keys/> get → <keys>JWKS</keys> */
#pragma once

#include "common/protocol/market.h"
#include "common/protocol/receipt.h"

void receipt_request_write (const char *order, GString *out);
/* The order asked for; the caller frees it. NULL with PROTOCOL_ERROR. */
char *receipt_request_read (xmpp_stanza_t *element, GError **error);

void receipt_document_write (const ReceiptDocument *document, const char *order, GString *out);
/* NULL with PROTOCOL_ERROR or G_IO_ERROR_INVALID_DATA. */
ReceiptDocument *receipt_document_read (xmpp_stanza_t *element, GError **error);

#define RECEIPT_KEYS_REQUEST "<keys xmlns='" NS_MARKET "'/>"
void receipt_keys_write (const char *jwks, GString *out);
/* NULL with PROTOCOL_ERROR or G_IO_ERROR_INVALID_DATA. */
JwsKeySet *receipt_keys_read (xmpp_stanza_t *element, GError **error);
