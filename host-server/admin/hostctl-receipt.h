/* hostctl receipt verify: what a party does with a receipt, wherever it is. It needs no server if it is given
 * the host's public keys (docs/receipts.md). */
#pragma once

#include "host-server/admin/hostctl-local.h"

#define HOSTCTL_RECEIPT_ARGUMENTS                                                                            \
  "FILE [--jwks FILE] [--serial SERIAL] [--buyer NAME] [--body FILE] [--issuer URL]"

/* The exit code: 0 valid, 1 not valid, 2 usage, 3 no connection. */
int hostctl_receipt_verify (const HostctlLocalCall *call);
