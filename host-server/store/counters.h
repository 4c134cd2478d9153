/* Counters of what was bought inside an application: values of the users' data (market.db) under `item/<id>`,
 * decimal text. The market credits them and takes them back, functions read them and spend them. */
#pragma once

#include "common/base/db.h"

#define COUNTER_PREFIX "item/"
#define COUNTER_MAX    G_GINT64_CONSTANT (1000000000000000)

/* What a value of the users' data is charged beside its key and its bytes. */
#define USER_DATA_CHARGE 64

typedef struct
{
  const char *account;
  const char *application;
  const char *item;
} Counter;

/* Digits alone, without leading zeros, at most COUNTER_MAX. */
gboolean counter_parse (const void *bytes, gsize length, gint64 *value);
/* 0 if there is none, or nothing that counts. */
gboolean counter_read (Db *db, const Counter *counter, gint64 *value, GError **error);
/* Adds @by, or takes away what there is of it: it stays between 0 and COUNTER_MAX. *@moved is by how much it
 * changed. The user's quota is charged and stops nothing; a call that has read it is run again
 * (functions/data.h). */
gboolean counter_move (Db *db, const Counter *counter, gint64 by, gint64 *moved, GError **error);
