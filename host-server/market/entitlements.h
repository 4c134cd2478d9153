/* What users are entitled to, and the serials that prove it (money.md, axis "Entitlement").
 *
 * Every change raises the entitlement's epoch and the user's version; nothing is ever removed. A serial of a
 * plugin belongs to one entitlement for ever. */
#pragma once

#include "common/protocol/serials.h"
#include "host-server/market/desk.h"

typedef struct
{
  SerialState state;
  char *line;
  guint generation;
  gint64 expires_us; /* 0: for ever */
  gint64 epoch;
} Entitlement;

void entitlement_free (Entitlement *entitlement);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Entitlement, entitlement_free)

/* NULL without @error if there is none. */
Entitlement *entitlement_load (Db *db, const char *account, const char *plugin, GError **error);

/* Makes @serial the user's own for ever. *@is_taken: another entitlement has it, and nothing was written. */
gboolean serial_bind (Turn *turn, const char *account, const char *plugin, const char *line, guint generation,
                      const Secret *serial, gboolean *is_taken, GError **error);

typedef struct
{
  const char *account, *plugin, *line;
  guint generation;
  const Secret *serial;
  gint64 expires_us;
} EntitlementGrant;

/* Active with this serial, whatever it was before. */
gboolean entitlement_grant (Turn *turn, const EntitlementGrant *grant, GError **error);
/* Ends it, if there is one that runs or has expired. */
gboolean entitlement_revoke (Turn *turn, const char *account, const char *plugin, GError **error);
/* Expires what is past its time: of one user (before an answer to them), or of all. */
gboolean entitlements_expire (Turn *turn, const char *account, GError **error);

/* The user's serials as of one moment, also outside a turn: those that changed after version @since (0: all),
 * with their version in @ver, and when the next one expires (0: none does). */
Serials *entitlements_read (const Desk *desk, Db *db, const char *account, gint64 since, gint64 *ver,
                            gint64 *next_expiry_us, GError **error);
/* One entry of it; NULL without @error if the user never had the plugin. */
SerialEntry *entitlement_read_entry (const Desk *desk, Db *db, const char *account, const char *plugin,
                                     GError **error);
