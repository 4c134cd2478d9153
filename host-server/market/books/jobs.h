/* Work that must not be lost: rows written in the same commit as the decision that wants it (money.md,
 * invariant 5).
 *
 * A job belongs to who claimed it until its lease ends; every claim raises its fence, and a result is written
 * only under the fence it was claimed with. A job that is due when it is added is claimed by the turn that
 * adds it, so that it runs right after the commit instead of waiting for a timer. Calls may be made twice (a
 * crash after the call): every request carries an id that makes it idempotent. */
#pragma once

#include "host-server/market/books/desk.h"

typedef enum
{
  JOB_CHECKOUT, /* create it; subject: the order */
  JOB_CANCEL,   /* cancel the checkout; subject: the order */
  JOB_REFUND,   /* send and follow a refund; subject: the refund */
  JOB_ISSUE,    /* obtain the serial; subject: `<line>.<generation>` */
  JOB_VOID,     /* ask the plugin server to void; subject: `<line>.<generation>` */
  N_JOB_KINDS,
} JobKind;

struct Job
{
  gint64 id;
  JobKind kind;
  char *subject;
  guint attempt; /* 0: the first */
  gint64 fence;
};

void job_free (Job *job);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Job, job_free)
Job *job_copy (const Job *job);
const char *job_kind_to_text (JobKind kind);

/* Adds the job of that kind for @subject, unless there is one. Due now: it is claimed and among turn->jobs.
 */
gboolean job_add (Turn *turn, JobKind kind, const char *subject, gint64 not_before_us, GError **error);
/* Drops the job of that kind for @subject; a run of it under way loses its fence. */
gboolean job_drop (Turn *turn, JobKind kind, const char *subject, GError **error);
/* Claims what is due, at most @limit jobs, into turn->jobs, and notes when the next one is. */
gboolean jobs_claim_due (Turn *turn, guint limit, GError **error);
/* At start: nobody else can hold a lease, so every job is free again. */
gboolean jobs_take_over (Turn *turn, GError **error);

/* A result comes first with one of these three; *@is_held is FALSE if the claim was lost, and then the result
 * must not be written. */
gboolean job_finish (Turn *turn, const Job *job, gboolean *is_held, GError **error);
/* Runs it again @pause_us from now, as the next attempt. */
gboolean job_retry (Turn *turn, const Job *job, gint64 pause_us, gboolean *is_held, GError **error);
/* Runs it again @pause_us from now as its first attempt: something else is tried. */
gboolean job_restart (Turn *turn, const Job *job, gint64 pause_us, gboolean *is_held, GError **error);
