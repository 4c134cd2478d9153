/* Asking a plugin server as the host asks it, one question at a time, well signed or with a mistake on
 * purpose. */
#pragma once

#include "common/base/clock.h"
#include "common/net/plugin-server-answer.h"
#include "common/net/webhook.h"

typedef struct Asker Asker;

typedef struct
{
  const HttpBase *base;
  const Secret *secret; /* whsec_… */
  const char *ca_file;  /* NULL: the system's roots */
  double timeout_s;
} AskerOptions;

/* NULL with @error if the secret is none. Everything in @options is lent and outlives it. */
Asker *asker_new (const AskerOptions *options, GError **error);
void asker_free (Asker *asker);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Asker, asker_free)

typedef enum
{
  SIGN_WELL,
  SIGN_NOT,       /* no headers at all */
  SIGN_WRONG_KEY, /* by a secret that the vendor does not have */
  SIGN_STALE,     /* ten minutes ago */
  SIGN_EARLY,     /* ten minutes from now */
  SIGN_OTHER,     /* over other content: another body, or another path if there is none */
} Signing;

typedef struct
{
  const char *method;
  const char *path; /* under the base */
  const char *body; /* NULL: none */
  Signing signing;
} Question;

/* What came. It is freed with asker_answer_free(). */
typedef struct
{
  HttpOutcome outcome;
  int status;
  char *reason; /* "status 503", or how it failed */
  char *body;
  gsize length;
  gint64 took_us;
  PluginServerAnswer judged; /* as the host would */
} Answer;

void answer_free (Answer *answer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Answer, answer_free)

/* Asks and waits. */
Answer *asker_ask (Asker *asker, const Question *question);
/* Asks the same twice at once and waits for both. */
void asker_ask_twice (Asker *asker, const Question *question, Answer *answers[2]);
/* Of everything asked so far. */
gint64 asker_get_slowest_us (const Asker *asker);

/* The `serial` of a JSON answer, whatever it is worth; NULL: there is no such string. The caller frees it. */
char *answer_dup_serial (const Answer *answer);
/* A JSON object with a string of that name; the caller frees it, NULL: there is none. */
char *answer_dup_member (const Answer *answer, const char *name);
/* "status 500: the host would try again": what it was, and what the host would make of it. */
char *answer_describe (const Answer *answer);
