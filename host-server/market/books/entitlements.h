/* What users are entitled to, and the serials that prove it (money.md, axis "Entitlement").
 *
 * An entitlement stands on the order lines that were fulfilled for it: the first purchase and each renewal.
 * Its state, its end and the serial it shows follow from those lines alone, so taking one away (a refund, a
 * lost dispute) or setting one aside (an open dispute) leaves what the others pay for. Every change raises
 * the entitlement's epoch and the user's version; nothing is ever removed. A serial of a plugin belongs to
 * one entitlement for ever. */
#pragma once

#include "common/protocol/serials.h"
#include "host-server/market/books/desk.h"

typedef struct
{
  SerialState state;
  char *line;
  guint generation;
  gint64 expires_us; /* 0: for ever */
  gint64 reissue_us; /* when its serial is to be replaced, because the vendor lets it end earlier; 0: never */
  gint64 epoch;
} Entitlement;

void entitlement_free (Entitlement *entitlement);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Entitlement, entitlement_free)

/* NULL without @error if there is none. */
Entitlement *entitlement_load (Db *db, const char *account, const char *plugin, GError **error);

/* Makes @serial the user's own for ever. *@is_taken: another entitlement has it, and nothing was written. */
gboolean serial_bind (Turn *turn, const char *account, const char *plugin, const char *line, guint generation,
                      const Secret *serial, gboolean *is_taken, GError **error);

/* How a line counts. */
typedef enum
{
  LINE_COUNTED,
  LINE_DISPUTED, /* what was paid for it is in dispute: set aside until that ends */
  LINE_ENDED,    /* refunded, charged back, revoked: for good, but for a person's decision */
} LineState;

/* @line was fulfilled: it counts from now on, or is set aside at once. */
gboolean entitlement_add_line (Turn *turn, const char *account, const char *plugin, const char *line,
                               LineState state, GError **error);
/* A line that counts is disputed, or one that is disputed counts again. Any other stays as it is. */
gboolean entitlement_dispute_line (Turn *turn, const char *line, gboolean is_disputed, GError **error);
/* The line counts no more; nothing happens if it never did. */
gboolean entitlement_end_line (Turn *turn, const char *line, GError **error);
/* All its lines end: it is revoked. */
gboolean entitlement_end (Turn *turn, const char *account, const char *plugin, GError **error);
/* Makes the entitlement what its lines say. Called by those above, and when a line got another serial. */
gboolean entitlement_settle (Turn *turn, const char *account, const char *plugin, GError **error);

/* A serial as it is stored, with its line's generation and with the entitlement alike. */
GBytes *entitlement_seal (const Desk *desk, const char *account, const char *plugin, const Secret *serial);
Secret *entitlement_unseal (const Desk *desk, const char *account, const char *plugin, const void *sealed,
                            gsize length);

/* Expires what is past its time: of one user (before an answer to them), or of all. */
gboolean entitlements_expire (Turn *turn, const char *account, GError **error);

/* The user's serials as of one moment, also outside a turn: those that changed after version @since (0: all),
 * with their version in @ver, and when the next one expires (0: none does). */
Serials *entitlements_read (const Desk *desk, Db *db, const char *account, gint64 since, gint64 *ver,
                            gint64 *next_expiry_us, GError **error);
/* One entry of it; NULL without @error if the user never had the plugin. */
SerialEntry *entitlement_read_entry (const Desk *desk, Db *db, const char *account, const char *plugin,
                                     GError **error);
