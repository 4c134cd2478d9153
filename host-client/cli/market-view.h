/* How orders, serials and the dialogue about them are shown, the same for scripts and for people. */
#pragma once

#include "host-client/cli/output.h"
#include "host-client/core/dialogue.h"

/* One object of an order; the caller owns it. */
json_t *market_view_order_json (const OrderView *order);
/* One line; the caller frees it. */
char *market_view_order_text (const OrderView *order);

/* @reveals: the serial in clear, else masked. */
json_t *market_view_serial_json (const SerialEntry *entry, gboolean reveals);
char *market_view_serial_text (const SerialEntry *entry, gboolean reveals);

/* What can be bought inside @application: an object, a line, and what the user is asked before buying it. */
json_t *market_view_item_json (const char *application, const ItemEntry *entry);
char *market_view_item_text (const ItemEntry *entry);
char *market_view_item_question (const char *application, const ItemEntry *entry);

/* "needs-registration", "expired", "bad". */
const char *market_view_reason (DialogueReason reason);
/* What the user is asked, without the question mark's answers. */
char *market_view_question (const char *name, const DialogueView *view);
/* Where it stands, or how it ended: lines for the user. */
char *market_view_progress (const char *name, const DialogueView *view);
char *market_view_end (const char *name, const DialogueView *view);
/* {"event": "order" | "ready" | "bought" | "ended", …} */
json_t *market_view_dialogue_json (const char *plugin, const DialogueView *view);
