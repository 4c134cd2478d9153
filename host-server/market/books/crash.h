/* Named places at which a test can have the process die, as power loss would have it: before and after every
 * commit, send and receive on the way of a purchase (tests/system/test_crash_points.py).
 *
 * The table is the one list of them: the test reads it here, and fails for a point that it does not reach.
 * Only host-server-crashing has them, which only a build with -Dtest_hooks=true makes. A step is called
 *   sending    before a call leaves the house
 *   called     after its answer came, before anything of it is written
 *   decided    inside the transaction, before the commit
 *   committed  after the commit, before anybody is told */
#pragma once

/* X (POINT, "name as in STOA_CRASH_AT"); NONE stands for no point. */
#define CRASH_POINTS(X)                                                                                      \
  X (NONE, "")                                                                                               \
  X (START_DECIDED, "start-decided")                                                                         \
  X (START_COMMITTED, "start-committed")                                                                     \
  X (ORDER_DECIDED, "order-decided")                                                                         \
  X (ORDER_COMMITTED, "order-committed")                                                                     \
  X (ORDER_ANSWERED, "order-answered")                                                                       \
  X (CHECKOUT_SENDING, "checkout-sending")                                                                   \
  X (CHECKOUT_CALLED, "checkout-called")                                                                     \
  X (CHECKOUT_DECIDED, "checkout-decided")                                                                   \
  X (CHECKOUT_COMMITTED, "checkout-committed")                                                               \
  X (CALLBACK_RECEIVED, "callback-received")                                                                 \
  X (CALLBACK_DECIDED, "callback-decided")                                                                   \
  X (CALLBACK_COMMITTED, "callback-committed")                                                               \
  X (CALLBACK_ANSWERED, "callback-answered")                                                                 \
  X (ISSUE_SENDING, "issue-sending")                                                                         \
  X (ISSUE_ASKING, "issue-asking")                                                                           \
  X (ISSUE_CALLED, "issue-called")                                                                           \
  X (ISSUE_DECIDED, "issue-decided")                                                                         \
  X (ISSUE_COMMITTED, "issue-committed")                                                                     \
  X (PUSH_SENT, "push-sent")                                                                                 \
  X (PUSH_ACKNOWLEDGED, "push-acknowledged")                                                                 \
  X (DELIVERY_COMMITTED, "delivery-committed")                                                               \
  X (RECEIPT_SIGNED, "receipt-signed")                                                                       \
  X (DECLINE_DECIDED, "decline-decided")                                                                     \
  X (DECLINE_COMMITTED, "decline-committed")                                                                 \
  X (CANCEL_SENDING, "cancel-sending")                                                                       \
  X (CANCEL_CALLED, "cancel-called")                                                                         \
  X (CANCEL_DECIDED, "cancel-decided")                                                                       \
  X (CANCEL_COMMITTED, "cancel-committed")                                                                   \
  X (REFUND_SENDING, "refund-sending")                                                                       \
  X (REFUND_CALLED, "refund-called")                                                                         \
  X (REFUND_DECIDED, "refund-decided")                                                                       \
  X (REFUND_COMMITTED, "refund-committed")                                                                   \
  X (VOID_SENDING, "void-sending")                                                                           \
  X (VOID_CALLED, "void-called")                                                                             \
  X (VOID_DECIDED, "void-decided")                                                                           \
  X (VOID_COMMITTED, "void-committed")                                                                       \
  X (POLL_SENDING, "poll-sending")                                                                           \
  X (POLL_CALLED, "poll-called")                                                                             \
  X (POLL_DECIDED, "poll-decided")                                                                           \
  X (POLL_COMMITTED, "poll-committed")                                                                       \
  X (DUE_DECIDED, "due-decided")                                                                             \
  X (DUE_COMMITTED, "due-committed")                                                                         \
  X (REJECT_DECIDED, "reject-decided")                                                                       \
  X (REJECT_COMMITTED, "reject-committed")

#ifdef STOA_TEST_HOOKS
typedef enum
{
#define X(point, name) CRASH_##point,
  CRASH_POINTS (X)
#undef X
      N_CRASH_POINTS
} CrashPoint;

/* Dies by SIGKILL if the environment's STOA_CRASH_AT names @point. */
void crash_reach (CrashPoint point);
#define crash_point(point) crash_reach (CRASH_##point)
#else
#define crash_point(point) ((void)0)
#endif
