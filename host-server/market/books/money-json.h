/* A MoneyEvent as we keep one that no callback brought: what a poll or a comparison found and could not
 * apply. */
#pragma once

#include "host-server/market/provider/provider.h"

/* One line of JSON; the caller frees it. */
char *money_event_dup_json (const MoneyEvent *event);
/* NULL with @error (G_IO_ERROR_INVALID_DATA) if it is no such text. */
MoneyEvent *money_event_read_json (const void *body, gsize length, GError **error);
/* What the ledger has it under (books.c); NULL if it is none of the ledger's. The caller frees it. */
char *money_event_dup_ledger_id (const MoneyEvent *event);
const char *money_event_kind_to_text (MoneyEventKind kind);
