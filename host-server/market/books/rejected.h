/* A plugin refused its serial (protocol.md section 2, money.md "Replacement"). */
#pragma once

#include "host-server/market/books/desk.h"

typedef enum
{
  REJECTED_CURRENT,             /* there is a newer serial than the refused one */
  REJECTED_REPLACING,           /* the one replacement is being made */
  REJECTED_REGISTRATION_NEEDED, /* nothing runs, or the replacement was refused too */
} RejectedOutcome;

/* @epoch of the refused serial; -1: the current one. */
gboolean serial_reject (Turn *turn, const char *account, const char *plugin, gint64 epoch,
                        RejectedOutcome *outcome, GError **error);
