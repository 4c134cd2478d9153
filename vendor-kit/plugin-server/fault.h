/* Faults on demand: what a vendor's server does wrong on some day (--fault KIND[:N]). For testing hosts; a
 * server that sells has none of this. */
#pragma once

#include "common/base/faults.h"

typedef enum
{
  /* Before anything is done; nothing is made. */
  FAULT_ERROR,      /* N POSTs get 500 (all) */
  FAULT_BUSY,       /* N POSTs get 429 with Retry-After: 1 (1) */
  FAULT_REFUSE,     /* N POSTs get 422 with a JSON error (all) */
  FAULT_MUMBLE,     /* N POSTs get 422 in plain text (all) */
  FAULT_DENY,       /* N requests of any kind get 401 (all) */
  FAULT_REDIRECT,   /* N requests of any kind get 307 to another address (all) */
  FAULT_VOID_ERROR, /* N DELETEs get 500 (all) */
  FAULT_UNSEEN,     /* N DELETEs of what was never issued get 404, and are forgotten (all) */
  FAULT_NO_TOKENS,  /* N requests about tokens get 404 (all) */
  /* Lies. Nothing is made, and the answer to N POSTs (all) is */
  FAULT_HTML,    /* 200 with a page */
  FAULT_EMPTY,   /* an empty serial */
  FAULT_CONTROL, /* a serial with a control character */
  FAULT_SAME,    /* one and the same serial, whoever asks for whatever */
  FAULT_HUGE,    /* a serial of 5,000 bytes */
  FAULT_OTHER, /* the serial of another request, the last issued to another user; if there is none, as SAME */
  /* The serial is made and kept, and N times (all) */
  FAULT_LATE,   /* POST is answered after --delay seconds */
  FAULT_LOST,   /* POST is answered with 500 */
  FAULT_CHANGE, /* POST tells another serial than the one that is kept: each time a new one */
  FAULT_DATE,   /* POST tells an `expires` that is no time */
  FAULT_FORGET, /* GET says 404 of what was issued */
  FAULT_KEEP,   /* DELETE says 204 and voids nothing */
  /* Carelessness: N requests (all) */
  FAULT_TRUST,      /* are taken without a look at their signature */
  FAULT_STALE,      /* are taken however old their signature is */
  FAULT_ANY_PLUGIN, /* for a plugin that is not served get a serial */
  FAULT_CRASH,      /* that are not JSON get 500 */
  N_FAULTS
} FaultKind;

G_STATIC_ASSERT (N_FAULTS <= FAULTS_MAX);

/* Reads "KIND" or "KIND:N". FALSE with @error naming the kinds there are. */
gboolean faults_add (Faults *faults, const char *text, GError **error);
