/* The inside of the functions room: what its files share on the main context. */
#pragma once

#include "host-server/core/server.h"
#include "host-server/functions/data.h"
#include "host-server/functions/functions.h"
#include "host-server/functions/manifest.h"
#include "host-server/functions/penalties.h"
#include "host-server/functions/resources.h"
#include "host-server/functions/scheduler.h"
#include "host-server/modules/function-module.h"
#include "host-server/wire/stanza.h"

typedef struct FunctionCall FunctionCall;
typedef struct Journal Journal; /* journal.c */
typedef struct Usage Usage;     /* usage.c */

/* An application as it is now. */
typedef struct
{
  char *id;
  FunctionManifest *manifest;
  ResourceImage *image;   /* of this revision; NULL: not needed so far */
  FunctionModule *module; /* likewise */
} FunctionApplication;

typedef struct
{
  gint64 keep_us;      /* how long results are recorded */
  gint64 result_bytes; /* recorded of one user in one application; 0: no limit */
  guint log_lines;     /* kept of one application */
} FunctionsSettings;

struct Functions
{
  Server *server;
  FunctionsSettings settings;
  Scheduler *scheduler;
  Penalties *penalties;
  Journal *journal;
  Usage *usage;
  GHashTable *applications; /* id → FunctionApplication, as committed; filled when first needed */
  GHashTable *calls; /* key → FunctionCall, those that wait, run or are being kept; they own themselves */
  guint sweep;
  gboolean is_pumping;
  gboolean is_closing;
};

/* functions.c: NULL without @error if there is no such application. */
FunctionApplication *functions_find_application (Functions *functions, const char *id, GError **error);
/* The resources and the module of the application as it is now, lent; NULL with @error. */
const ResourceImage *functions_get_image (Functions *functions, FunctionApplication *application,
                                          GError **error);
FunctionModule *functions_get_module (Functions *functions, FunctionApplication *application, GError **error);

/* How a call ended, for who asked (protocol.md section 5). */
typedef enum
{
  FUNCTION_ANSWER_OK,
  FUNCTION_ANSWER_BAD_REQUEST, /* a predefined function does not understand its argument: told */
  FUNCTION_ANSWER_NOT_FOUND,   /* no such application or function, or what a predefined one is asked for */
  FUNCTION_ANSWER_FORBIDDEN,   /* not licensed, or not the caller's to change */
  FUNCTION_ANSWER_CONFLICT,    /* the request had another argument */
  FUNCTION_ANSWER_LIMIT,       /* word: time, memory, output, rate, conflict */
  FUNCTION_ANSWER_FAILED,      /* word: bad-input, denied, expired, retry, internal, unavailable; told */
  FUNCTION_ANSWER_FAULT,       /* the store's; error */
} FunctionAnswerKind;

typedef struct
{
  FunctionAnswerKind kind;
  GBytes *result;
  const char *word;
  const char *told; /* for the caller; NULL: nothing */
  const GError *error;
} FunctionAnswer;

/* What a caller sees of an answer that is none of OK. */
typedef struct
{
  StanzaError error;
  const char *text;      /* NULL: none */
  const char *element;   /* in urn:stoa:functions:1; NULL: none */
  const char *attribute; /* of it, with @word */
  const char *word;
} FunctionRefusal;

/* answers.c: it lends from @answer. */
FunctionRefusal function_answer_get_refusal (const FunctionAnswer *answer);

typedef void (*FunctionAnswered) (const FunctionAnswer *answer, gpointer data);

typedef struct
{
  const char *account;
  const char *application;
  const char *function;
  const char *request;
  GBytes *argument;
} FunctionAsk;

/* calls.c: @answered is called once, perhaps from inside this. */
void functions_call (Functions *functions, const FunctionAsk *ask, FunctionAnswered answered, gpointer data);
/* Answers who waits for @call and forgets it. */
void function_call_finish (FunctionCall *call, const FunctionAnswer *answer);
/* Runs what may run now. */
void functions_pump (Functions *functions);
void functions_drop_calls (Functions *functions);

struct FunctionCall
{
  Functions *functions;
  char *key; /* account, application and request */
  char *account;
  char *application;
  char *function;
  char *request;
  char *user; /* pairwise name */
  GBytes *argument;
  guint8 digest[32];
  GArray *askers; /* of who waits for it */

  /* the executor's */
  gboolean is_running;
  guint attempt;
  GHashTable *reads;  /* key → gint64 */
  GHashTable *writes; /* key → GBytes or NULL */
  gboolean is_over_quota;
  gint64 most_user_bytes;
  GBytes *result;
  DataOutcome outcome;
};

/* executor.c: runs a call that the scheduler has let go, from its start. */
void executor_start (FunctionCall *call);
/* A predefined function has done its part: keeps what @call has read and written, with its result. */
void executor_commit (FunctionCall *call, GBytes *result);

/* journal.c: what a vendor may read of its application's calls. */
Journal *journal_new (Functions *functions);
void journal_free (Journal *journal);
/* @level: "error", "warning", "info". */
void journal_add (Journal *journal, const FunctionCall *call, const char *level, const char *text);

/* usage.c: counts of answers, for metrics. */
Usage *usage_new (Functions *functions);
void usage_free (Usage *usage);
/* The data of usage_answer(), which counts an answer and hands it on to @answered. @application NULL: there
 * is none of the name that was asked for. */
gpointer usage_begin (Usage *usage, const char *application, FunctionAnswered answered, gpointer data);
void usage_answer (const FunctionAnswer *answer, gpointer data);

void function_requests_init (Functions *functions);
void function_commands_init (Functions *functions);
