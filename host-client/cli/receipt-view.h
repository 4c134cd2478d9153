/* How a receipt is shown, the same for scripts and for people. */
#pragma once

#include "host-client/cli/output.h"
#include "host-client/core/receipt-check.h"

/* What it says, and what was found in checking it; lines for the user. The caller frees it. */
char *receipt_view_text (const ReceiptCheck *check);
/* {"receipt", "disclosures", "valid", …}: in a file it is also what `hostctl receipt verify` reads. The
 * caller owns it. */
json_t *receipt_view_json (const ReceiptCheck *check);
