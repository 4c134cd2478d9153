/* hostctl receipt verify: what a party does with a receipt, wherever it is. It needs no server if it is given
 * the host's public keys (docs/receipts.md). */
#pragma once

#include <glib.h>
#include <jansson.h>

#define HOSTCTL_RECEIPT_SYNOPSIS                                                                             \
  "receipt verify FILE [--jwks FILE] [--serial SERIAL] [--buyer NAME] [--body FILE] [--issuer URL]"

/* The command as the server's table describes its own, for the help; a new reference. */
json_t *hostctl_receipt_describe (void);

/* The JWKS of the running server, a new reference; NULL after saying why not, and then *@code is how to end.
 */
typedef json_t *(*HostctlKeys) (gpointer data, int *code);

/* @words are what stands behind the command's name. The exit code: 0 valid, 1 not valid, 2 usage, 3 no
 * connection. */
int hostctl_receipt_verify (const char *const *words, guint n_words, gboolean is_json, HostctlKeys keys,
                            gpointer data);
