/* Ad-hoc commands (XEP-0050) with data forms: what people do with a service through any client.
 *
 * Rooms put commands into a table: a node, a name, who may, and its stages, each a function that is handed
 * what the form before it was filled in with, and that asks with another form or ends. All else is done here:
 * the lists and descriptions of XEP-0030, execute, next, prev, complete and cancel, sessions, and the
 * checking of what was submitted against the form that was given.
 *
 * A session belongs to one full address and ends with it. Its id cannot be guessed, and says by itself
 * whether it is one of ours, so that nothing is kept of a session that has ended. */
#pragma once

#include "common/protocol/form.h"
#include "host-server/core/service.h"

#define NS_COMMANDS "http://jabber.org/protocol/commands"

#define ADHOC_MAX_STAGES 4

typedef struct Adhoc Adhoc;
/* One request on its way through a stage. */
typedef struct AdhocCall AdhocCall;

/* Owns @call until it is answered with one of the functions below, now or later, exactly once. */
typedef void (*AdhocStage) (AdhocCall *call, gpointer data);
/* Whether the account may see and use a command now; asked at every request, so it must be quick. */
typedef gboolean (*AdhocAllowed) (const char *account, gpointer data);

typedef struct
{
  const char *node;
  const char *name;
  AdhocAllowed is_allowed;             /* NULL: everyone */
  AdhocStage stages[ADHOC_MAX_STAGES]; /* the first is called without a form; after the last come NULLs */
} AdhocCommand;

/* All are lent and outlive it. */
Adhoc *adhoc_new (Services *services, const Jid *domain, const Jid *market, const Clock *clock);
/* Calls that are open are answered by those who hold them before this. */
void adhoc_free (Adhoc *adhoc);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Adhoc, adhoc_free)
/* Sessions of one user: the oldest idle one gives way. Sessions in all: over it new ones are refused
 * resource-constraint. 0: no limit. A session that is not continued for @idle_us has ended. */
void adhoc_set_limits (Adhoc *adhoc, guint per_user, guint total, gint64 idle_us);

/* Adds a command at SERVICE_DOMAIN or SERVICE_MARKET; everything is copied but the texts, which are static.
 * A list shows commands in the order they were added. */
void adhoc_add (Adhoc *adhoc, ServiceTarget target, const AdhocCommand *command, gpointer data);
guint adhoc_count_sessions (const Adhoc *adhoc);

/* For service discovery: answers a request for a node of commands. FALSE: the node is none of ours, and
 * nothing was answered. */
gboolean adhoc_answer_info (Adhoc *adhoc, ServiceTarget target, ServiceRequest *request);
gboolean adhoc_answer_items (Adhoc *adhoc, ServiceTarget target, ServiceRequest *request);

/* What a stage finds. Lent until the call is answered. */
const Jid *adhoc_call_get_sender (const AdhocCall *call); /* full */
const char *adhoc_call_get_account (const AdhocCall *call);
/* The session's id, the same through all stages, and used once for ever. */
const char *adhoc_call_get_session (const AdhocCall *call);
/* The value of a field of the forms so far, of the latest that has it; as form_get(). */
const char *adhoc_call_get (const AdhocCall *call, const char *var);
gboolean adhoc_call_get_bool (const AdhocCall *call, const char *var);
char *adhoc_call_dup_lines (const AdhocCall *call, const char *var);

/* What goes along with the answer. */
typedef enum
{
  ADHOC_INFO,
  ADHOC_WARN,
  ADHOC_ERROR,
} AdhocNote;
void adhoc_call_note (AdhocCall *call, AdhocNote type, const char *format, ...) G_GNUC_PRINTF (3, 4);
/* XML in a namespace of its own, behind the form. */
void adhoc_call_add_payload (AdhocCall *call, const char *xml);

/* The answers. Each takes the call. */
/* Asks with a form, which the next stage finds filled in. A submission that came along with `execute` is
 * taken for the first form, and the next stage runs at once. */
void adhoc_call_ask (AdhocCall *call, Form *take_form);
/* Asks again with the form that was just filled in: a note says what is wrong with it. */
void adhoc_call_ask_again (AdhocCall *call);
/* The end, for good or ill (then with an ADHOC_ERROR note); @take_result may be NULL. */
void adhoc_call_done (AdhocCall *call, Form *take_result);
/* internal-server-error, a log line, and the end of the session. */
void adhoc_call_fail (AdhocCall *call, const char *area, const GError *error);
