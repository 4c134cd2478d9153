/* What functions keep: the data of each user in each application, and recorded results. Plain SQL; what takes
 * a Db for writing runs on the writer thread. */
#pragma once

#include "host-server/store/counters.h"

/* Whose. */
typedef struct
{
  const char *account;
  const char *application;
} DataOwner;

/* What a value is charged beside its key and its bytes, and a result beside its bytes. */
#define DATA_CHARGE USER_DATA_CHARGE

/* *value is NULL and *version 0 if there is no such key. */
gboolean data_get (Db *db, const DataOwner *owner, const char *key, GBytes **value, gint64 *version,
                   GError **error);
/* What all values of the user are charged. */
gboolean data_get_bytes (Db *db, const DataOwner *owner, gint64 *bytes, GError **error);
/* Calls @each for the keys that begin with @prefix, in order, until it returns FALSE. */
typedef gboolean (*DataEach) (const char *key, gsize length, gpointer data);
gboolean data_list (Db *db, const DataOwner *owner, const char *prefix, DataEach each, gpointer data,
                    GError **error);

/* A recorded result that ended after @since_us: *result is NULL if there is none, else *digest (32 bytes) is
 * of the call it answers. */
gboolean result_find (Db *db, const DataOwner *owner, const char *request, gint64 since_us, GBytes **result,
                      guint8 digest[32], GError **error);

/* The end of a call that went well. */
typedef struct
{
  DataOwner owner;
  const char *request;
  const guint8 *digest; /* 32 bytes */
  GBytes *result;
  GHashTable *reads;        /* key → gint64, the version read (0: it was not there); NULL: none */
  GHashTable *writes;       /* key → GBytes, NULL forgets it; NULL: none */
  gint64 most_user_bytes;   /* the quota of the user's data */
  gint64 most_result_bytes; /* of the user's recorded results in this application; 0: no limit */
  gint64 since_us;          /* results that ended before are as good as gone */
  gint64 now_us;
} DataCommit;

typedef enum
{
  DATA_COMMITTED,
  DATA_CONFLICT,     /* what was read has changed */
  DATA_KNOWN,        /* the request has a result already, made by somebody else */
  DATA_OVER_QUOTA,   /* the user's data would grow over its quota */
  DATA_RESULTS_FULL, /* too many results are recorded */
} DataOutcome;

/* Keeps data and result, both or neither. With @reads and @writes it belongs into market.db. */
gboolean data_commit (Db *db, const DataCommit *commit, DataOutcome *outcome, GError **error);

/* Forgets some results that ended before @before_us; *has_more: there are others. */
gboolean results_expire (Db *db, gint64 before_us, gboolean *has_more, GError **error);
/* Forgets all of an account that was removed; @has_data: in market.db. */
gboolean data_forget (Db *db, const char *account, gboolean has_data, GError **error);
