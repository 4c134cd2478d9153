/* Issuing: obtaining the serial of an order line, by its plugin's source and then its fallback (money.md,
 * axis "Issue" and "Plugin server in doubt").
 *
 * A line has at most one serial a generation, for ever. The first generation is for the order itself (and, if
 * late money finds that gone, another); one more is the replacement of a serial that its plugin refused, and
 * one each is for a serial that the vendor lets end before the entitlement does. What a source is asked
 * derives from (line, generation, counter) and the recorded time of payment, so asking again after a crash is
 * the same question. */
#pragma once

#include "host-server/market/books/issue-case.h"
#include "host-server/market/books/jobs.h"
#include "host-server/market/books/purchases.h"

typedef struct Market Market;

#define ISSUE_MAX_COUNTER 16 /* serials of a keygen that may turn out to be used already */

/* Policy `reserve`: queues the generation that is set aside before the order is paid for. */
gboolean issue_reserve (Turn *turn, Purchase *purchase, GError **error);
/* Goes on to PHASE_ISSUING: what is set aside is delivered at once, otherwise a generation is queued. */
gboolean issue_start (Turn *turn, Purchase *purchase, GError **error);
/* Burns the line's serial and queues the one replacement. */
gboolean issue_replace (Turn *turn, Purchase *purchase, GError **error);
/* Queues another serial of the line, in place of one that its vendor let end. */
gboolean issue_reissue (Turn *turn, Purchase *purchase, GError **error);
/* Queues another serial for every entitlement whose vendor lets the one it has end before its time. */
gboolean issue_due_reissues (Turn *turn, GError **error);
/* Ends what runs for @line: whatever comes of it is not delivered, and a plugin server is asked to void it.
 */
gboolean issue_abandon (Turn *turn, const char *line, GError **error);
/* What was issued for @line is void: a pool key is burned, a plugin server asked to void. */
gboolean issue_burn (Turn *turn, const char *line, GError **error);

/* The same for every line of the user's entitlement to @plugin, and what runs for them is abandoned. */
gboolean issue_burn_all (Turn *turn, const char *account, const char *plugin, GError **error);

/* How a call of a source ended. */
typedef enum
{
  ISSUE_GOT_SERIAL,
  ISSUE_REFUSED,     /* for good, and nothing was made */
  ISSUE_FAILED,      /* nothing was made; the same inputs may succeed */
  ISSUE_UNAVAILABLE, /* the source does not work now: wait for it */
  ISSUE_IN_DOUBT,    /* it may have been made */
  ISSUE_FAULT,       /* our or the vendor's configuration is wrong: in doubt, and no new sales */
  ISSUE_IS_VOID,     /* the plugin server will never honour the request */
} IssueResultKind;

typedef struct
{
  IssueResultKind kind;
  Secret *serial;    /* ISSUE_GOT_SERIAL */
  gint64 expires_us; /* with it: the vendor's own end; 0: never */
  gboolean is_of_plugin_server;
  const char *reason;
  gint64 retry_after_s; /* -1: not said */
} IssueResult;

/* Decides on the result of @job's call, under its fence. */
gboolean issue_settle (Turn *turn, const Job *job, const IssueResult *result, GError **error);
/* The whole run of a job whose source is a pool: no call leaves the house. */
gboolean issue_from_pool (Turn *turn, const Job *job, GError **error);

/* issue-call.c: runs a claimed JOB_ISSUE or JOB_VOID, on the main context. */
void issue_run (Market *market, const Job *job);
void issue_run_void (Market *market, const Job *job);
