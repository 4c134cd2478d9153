/* Generations: the rows of the issue axis, one for each serial that a line was, is or will be asked for
 * (money.md, axis "Issue"). What becomes of them is decided in issue.h. */
#pragma once

#include "host-server/market/books/desk.h"

/* What a generation is made for. */
typedef enum
{
  ISSUE_FOR_ORDER,
  ISSUE_FOR_REPLACEMENT, /* its plugin refused the one before */
  ISSUE_FOR_REISSUE,     /* the vendor's own end comes before the entitlement's */
} IssuePurpose;

/* Everything a call needs to know of one generation. */
typedef struct
{
  IssuePurpose purpose;
  char *line;
  guint generation;
  gint64 version;
  IssueState state;
  char *source;
  gboolean is_fallback;
  guint counter;
  gint64 paid_us;
  gint64 deadline_us;
  char *purchase;
  char *account;
  char *term;
  char *plugin;
  char *vendor;
  char *fallback; /* the plugin's, "" for none */
  char *module;
  char *base;
  gboolean has_fault;
} IssueCase;

void issue_case_free (IssueCase *item);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (IssueCase, issue_case_free)
/* @subject is `<line>.<generation>`; NULL without @error if there is none. Also outside a turn. */
IssueCase *issue_case_load (Db *db, const char *subject, GError **error);

/* `<line>.<generation>`: the request that sources know, and the subject of its jobs. The caller frees it. */
char *issue_subject (const char *line, guint generation);
const char *issue_purpose_to_text (IssuePurpose purpose);
/* All of @line, an array of IssueCases. */
GPtrArray *issue_cases_load (Turn *turn, const char *line, GError **error);
/* The one that is set aside for @line; NULL without @error if there is none. */
IssueCase *issue_case_load_held (Turn *turn, const char *line, GError **error);

/* Takes it along the arrow of @event; one that is not there is logged and changes nothing. */
void issue_case_step (Turn *turn, IssueCase *item, IssueEvent event);
/* Writes it back, under the version that was read. @reason is for people. */
gboolean issue_case_save (Turn *turn, IssueCase *item, const char *reason, GError **error);
/* Keeps @serial with it, sealed; @expires_us is the vendor's own end, 0: never. */
gboolean issue_case_keep_serial (Turn *turn, const IssueCase *item, const Secret *serial, gint64 expires_us,
                                 GError **error);

/* Whether there is a serial that was issued for @line, so that it can count again. */
gboolean issue_find_serial (Db *db, const char *line, gboolean *is_there, GError **error);
/* Whether the vendor itself let the serial of @line's @generation end by now, and no other was asked for yet.
 */
gboolean issue_find_vendor_ended (Turn *turn, const char *line, guint generation, gboolean *is_ended,
                                  GError **error);
/* Whether the replacement was asked for, and whether another serial of the line is still being made. */
gboolean issue_find_replacement (Turn *turn, const char *line, gboolean *is_there, gboolean *is_running,
                                 GError **error);
