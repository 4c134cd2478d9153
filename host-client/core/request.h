/* Questions that were asked of the server and not yet answered. libstrophe's never time out; these do. */
#pragma once

#include "common/base/clock.h"
#include "host-client/core/stanza.h"

typedef enum
{
  REPLY_RESULT,
  REPLY_ERROR,      /* @error says why */
  REPLY_UNREADABLE, /* a result whose content makes no sense */
  REPLY_TIMEOUT,
  REPLY_LOST, /* the connection went away, or there is none: the question may or may not have been heard */
} ReplyKind;

typedef struct
{
  ReplyKind kind;
  const StanzaError *error; /* of ERROR */
  gpointer value;           /* what the ElementReader made; the receiver may take it by setting it to NULL */
} Reply;

typedef void (*ReplyFunc) (Reply *reply, gpointer data);

typedef struct RequestTable RequestTable;

/* Requests open at once; beyond it request_table_add() refuses. */
#define REQUESTS_MAX 256

/* @clock must outlive the table. */
RequestTable *request_table_new (const Clock *clock);
/* Open requests must have been answered (request_table_fail_all). */
void request_table_free (RequestTable *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RequestTable, request_table_free)

/* Notes a question to @to (NULL: our own account) and returns its id (owned by the table until it is
 * answered), NULL if too many are open. */
const char *request_table_add (RequestTable *table, const char *to, guint timeout_s, ReplyFunc callback,
                               gpointer data);
/* Hands @reply to whom it belongs. FALSE if @id is not open, or was not asked of @from (NULL: the server in
 * our account's name; @account is our bare JID): then nothing happened. */
gboolean request_table_answer (RequestTable *table, const char *id, const char *from, const char *account,
                               Reply *reply);
/* Answers what is overdue with TIMEOUT; @forget (nullable) gets each id first. Returns the microseconds until
 * the next one is due, -1 if none is open. */
gint64 request_table_expire (RequestTable *table, void (*forget) (const char *id, gpointer data),
                             gpointer data);
/* Answers all with LOST. */
void request_table_fail_all (RequestTable *table);
