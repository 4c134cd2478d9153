/* Faults on demand: what a provider, or the network to it, does wrong on some day (--fault KIND[:N]). */
#pragma once

#include "common/base/faults.h"

typedef enum
{
  FAULT_DUPLICATE, /* each event is delivered N more times under its id (1) */
  FAULT_RENUMBER,  /* each event is delivered N more times, each under a new id (1) */
  FAULT_DELAY,     /* deliveries begin N milliseconds late (1000) */
  FAULT_REORDER,   /* every second event begins N milliseconds late (1000), behind its successor */
  FAULT_FORGE,     /* before each delivery N forged ones are sent: wrong key, stale, altered in turn (3) */
  FAULT_DROP,      /* the first N events are never delivered (all) */
  FAULT_UNDERPAY,  /* payments are N minor units short (1) */
  FAULT_OVERPAY,   /* payments are N minor units too much (1) */
  FAULT_LATE,      /* the page takes money for N checkouts that are declined or expired (all) */
  FAULT_CURRENCY,  /* N events name another currency (all) */
  FAULT_MERCHANT,  /* N events name another merchant (all) */
  FAULT_TEST_MODE, /* N events are not live (all) */
  FAULT_SLOW,      /* answers of the interface come N milliseconds late (1000) */
  FAULT_ERROR,     /* N requests of the interface get 503 before anything happens (all) */
  FAULT_LOST,      /* N requests of the interface are done and then answered with 500 (all) */
  FAULT_REFUSE,    /* N checkouts are refused with 422 (all) */
  FAULT_REFUSE_REFUND,  /* N refunds end as refused (all) */
  FAULT_PENDING_REFUND, /* refunds stay pending for N milliseconds (1000) */
  N_FAULTS
} FaultKind;

G_STATIC_ASSERT (N_FAULTS <= FAULTS_MAX);

/* Reads "KIND" or "KIND:N". FALSE with @error naming the kinds there are. */
gboolean faults_add (Faults *faults, const char *text, GError **error);
