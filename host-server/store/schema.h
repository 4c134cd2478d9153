/* The tables, as families that grow by themselves: each room's step list stands in a file of its own, and
 * steps are only ever appended. Inside store/, and for the family files. */
#pragma once

#include "host-server/store/store.h"

typedef struct
{
  const char *name;
  StoreFile file;
  const char *const *steps; /* SQL text, several statements each */
  gsize n_steps;
} SchemaFamily;

extern const SchemaFamily accounts_schema; /* accounts-schema.c */
extern const SchemaFamily market_schema;   /* market-schema.c */
extern const SchemaFamily signing_schema;  /* signing-schema.c */
extern const SchemaFamily receipts_schema; /* receipts-schema.c */
extern const SchemaFamily commands_schema; /* commands-schema.c */
extern const SchemaFamily packages_schema; /* packages-schema.c */
extern const SchemaFamily operations_schema; /* operations-schema.c */
extern const SchemaFamily functions_schema;        /* functions-schema.c */
extern const SchemaFamily function_results_schema; /* functions-schema.c */
extern const SchemaFamily roster_schema;   /* im-schema.c */
extern const SchemaFamily offline_schema;  /* im-schema.c */

/* Brings every family of @file to its last step. A file that has a family or a step of a later version is
 * refused. */
gboolean schema_migrate (Db *db, StoreFile file, GError **error);
