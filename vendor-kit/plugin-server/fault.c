#include "vendor-kit/plugin-server/fault.h"

static const FaultMode modes[N_FAULTS] = {
  [FAULT_ERROR] = { "error", FAULT_ALWAYS },
  [FAULT_BUSY] = { "busy", 1 },
  [FAULT_REFUSE] = { "refuse", FAULT_ALWAYS },
  [FAULT_MUMBLE] = { "mumble", FAULT_ALWAYS },
  [FAULT_DENY] = { "deny", FAULT_ALWAYS },
  [FAULT_REDIRECT] = { "redirect", FAULT_ALWAYS },
  [FAULT_VOID_ERROR] = { "void-error", FAULT_ALWAYS },
  [FAULT_UNSEEN] = { "unseen", FAULT_ALWAYS },
  [FAULT_NO_TOKENS] = { "no-tokens", FAULT_ALWAYS },
  [FAULT_HTML] = { "html", FAULT_ALWAYS },
  [FAULT_EMPTY] = { "empty", FAULT_ALWAYS },
  [FAULT_CONTROL] = { "control", FAULT_ALWAYS },
  [FAULT_SAME] = { "same", FAULT_ALWAYS },
  [FAULT_HUGE] = { "huge", FAULT_ALWAYS },
  [FAULT_OTHER] = { "other", FAULT_ALWAYS },
  [FAULT_LATE] = { "late", FAULT_ALWAYS },
  [FAULT_LOST] = { "lost", FAULT_ALWAYS },
  [FAULT_CHANGE] = { "change", FAULT_ALWAYS },
  [FAULT_DATE] = { "date", FAULT_ALWAYS },
  [FAULT_FORGET] = { "forget", FAULT_ALWAYS },
  [FAULT_KEEP] = { "keep", FAULT_ALWAYS },
  [FAULT_TRUST] = { "trust", FAULT_ALWAYS },
  [FAULT_STALE] = { "stale", FAULT_ALWAYS },
  [FAULT_ANY_PLUGIN] = { "any-plugin", FAULT_ALWAYS },
  [FAULT_CRASH] = { "crash", FAULT_ALWAYS },
};

gboolean
faults_add (Faults *faults, const char *text, GError **error)
{
  return faults_read (faults, modes, N_FAULTS, text, error);
}
