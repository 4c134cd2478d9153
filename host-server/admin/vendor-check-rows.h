/* What `hostctl vendor check` tries, row by row. */
#pragma once

#include "host-server/admin/vendor-check-ask.h"

typedef enum
{
  ROW_PASSED,
  ROW_FAILED,
  ROW_SKIPPED, /* it could not be tried, or need not be there */
} RowResult;

typedef struct
{
  RowResult result;
  GString *reason; /* empty: nothing to say */
} Row;

/* What the rows share. */
typedef struct
{
  Asker *asker;
  const Clock *clock;
  const char *plugin, *term; /* @term NULL: for ever */
  double timeout_s;
  char *prefix;        /* of request ids, such as no order has */
  char *user;          /* of the first request */
  GPtrArray *requests; /* char *, all that were sent to be issued: to be voided in the end */
  Answer *issued;      /* the answer to the first POST; NULL before it */
  char *serial;        /* what it told, whatever that is worth; NULL: none */
} Check;

void check_init (Check *check, Asker *asker, const Clock *clock);
void check_clear (Check *check);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Check, check_clear)

typedef struct
{
  const char *name;
  gboolean needs_serial; /* skipped if the first POST brought none */
  void (*run) (Check *check, Row *row);
} CheckRow;

/* In the order they are tried; *@n becomes how many. */
const CheckRow *check_get_rows (gsize *n);
