/* Commands of standard clients that read for long: rows (reports.h) read on the reader thread, and shown as a
 * list. */
#pragma once

#include "host-server/core/adhoc.h"
#include "host-server/market/market.h"

#include <jansson.h>

#define ADHOC_LIST_MAX 200 /* rows that are shown */

typedef struct
{
  const char *key; /* in the row; "price" and "income" are shown with their currency */
  const char *label;
} AdhocColumn;

/* Reads rows for @member, on the reader thread. */
typedef gboolean (*AdhocRows) (Market *market, Db *db, const char *member, json_t *rows, GError **error);
/* What is done with them, on the main context: it answers @call. */
typedef void (*AdhocGot) (Market *market, AdhocCall *call, const json_t *rows);

/* Reads for the caller's account. */
void adhoc_read (Market *market, AdhocCall *call, AdhocRows read, AdhocGot got);
/* The same for another account; copied. */
void adhoc_read_of (Market *market, AdhocCall *call, const char *account, AdhocRows read, AdhocGot got);

/* Ends the call with a list. @columns end with a NULL key; the first one names its row. */
void adhoc_show_list (AdhocCall *call, const char *title, const AdhocColumn *columns, const json_t *rows);
/* A row's text; "" if it has none. */
const char *adhoc_row_text (const json_t *row, const char *key);
