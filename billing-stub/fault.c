#include "billing-stub/fault.h"

static const FaultMode modes[N_FAULTS] = {
  [FAULT_DUPLICATE] = { "duplicate", 1 },
  [FAULT_RENUMBER] = { "renumber", 1 },
  [FAULT_DELAY] = { "delay", 1000 },
  [FAULT_REORDER] = { "reorder", 1000 },
  [FAULT_FORGE] = { "forge", 3 },
  [FAULT_DROP] = { "drop", FAULT_ALWAYS },
  [FAULT_UNDERPAY] = { "underpay", 1 },
  [FAULT_OVERPAY] = { "overpay", 1 },
  [FAULT_LATE] = { "late", FAULT_ALWAYS },
  [FAULT_CURRENCY] = { "currency", FAULT_ALWAYS },
  [FAULT_MERCHANT] = { "merchant", FAULT_ALWAYS },
  [FAULT_TEST_MODE] = { "test-mode", FAULT_ALWAYS },
  [FAULT_SLOW] = { "slow", 1000 },
  [FAULT_ERROR] = { "error", FAULT_ALWAYS },
  [FAULT_LOST] = { "lost", FAULT_ALWAYS },
  [FAULT_REFUSE] = { "refuse", FAULT_ALWAYS },
  [FAULT_REFUSE_REFUND] = { "refuse-refund", FAULT_ALWAYS },
  [FAULT_PENDING_REFUND] = { "pending-refund", 1000 },
};

gboolean
faults_add (Faults *faults, const char *text, GError **error)
{
  return faults_read (faults, modes, N_FAULTS, text, error);
}
