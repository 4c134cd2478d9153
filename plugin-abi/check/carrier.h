/* One object in the real sandbox, called one call after the other: what a host does, without a host's
 * patience.
 *
 * What comes back is the object's word and may be anything. The carrier's functions run the default main
 * context and return when there is an answer, an end, or no time left. */
#pragma once

#include "common/module/launch.h"

typedef struct Carrier Carrier;

typedef enum
{
  CARRIER_ANSWERED,
  CARRIER_CRASHED, /* the process ended, answered nonsense, or was stopped: carrier_get_reason() */
  CARRIER_LATE,    /* no answer at the deadline; the process was stopped */
} CarrierResult;

/* Starts a runner for @spec, whose user is filled in; @problem receives why not (the caller frees it). */
Carrier *carrier_start (const LaunchSpec *spec, uid_t uid, guint timeout_ms, char **problem);
void carrier_free (Carrier *carrier);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Carrier, carrier_free)

/* Loads the object: @request has the shape of its load op. @attachment goes along; -1: nothing. */
CarrierResult carrier_load (Carrier *carrier, Frame *request, int attachment, guint timeout_ms);
/* Sends a request on the runner's own channel (its call id is set here) and waits; carrier_peek_answer()
 * then. Asks of the object are answered meanwhile: values are kept in memory, names resolve to nothing. */
CarrierResult carrier_ask (Carrier *carrier, Frame *request, FramePhase phase, guint timeout_ms);

/* What a call may ask before its answer. */
typedef struct
{
  unsigned grants; /* FrameGrant bits */
  /* Answers @asked into @answer, which was begun as its answer. */
  void (*answer) (const Frame *asked, Frame *answer, gpointer data);
} CarrierAsks;

/* Has a process forked for @request, which has call id 1, and waits for its end. @asks NULL: it only answers.
 */
CarrierResult carrier_call (Carrier *carrier, const Frame *request, const CarrierAsks *asks, gpointer data,
                            guint timeout_ms);

/* After a load that was answered well: calls may follow. */
void carrier_begin_serving (Carrier *carrier);

/* The last answer. */
const Frame *carrier_peek_answer (const Carrier *carrier);
/* Why the last call did not end well; "" if it did. */
const char *carrier_get_reason (const Carrier *carrier);
/* Whether further calls can be made. */
gboolean carrier_is_alive (const Carrier *carrier);
/* What the object logged, at most 20 lines of it. */
const GPtrArray *carrier_peek_log (const Carrier *carrier);
