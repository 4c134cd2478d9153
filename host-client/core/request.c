#include "host-client/core/request.h"

#include <string.h>

#include "common/base/id.h"
#include "host-client/core/jid.h"

typedef struct
{
  char *id, *to;
  gint64 due_us; /* monotonic */
  ReplyFunc callback;
  gpointer data;
} Request;

struct RequestTable
{
  const Clock *clock;
  GHashTable *open; /* id -> Request */
};

static void
request_free (gpointer data)
{
  Request *request = data;
  g_free (request->id);
  g_free (request->to);
  g_free (request);
}

RequestTable *
request_table_new (const Clock *clock)
{
  RequestTable *table = g_new0 (RequestTable, 1);
  table->clock = clock;
  table->open = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, request_free);
  return table;
}

void
request_table_free (RequestTable *table)
{
  if (table == NULL)
    return;
  g_assert (g_hash_table_size (table->open) == 0);
  g_hash_table_unref (table->open);
  g_free (table);
}

const char *
request_table_add (RequestTable *table, const char *to, guint timeout_s, ReplyFunc callback, gpointer data)
{
  if (g_hash_table_size (table->open) >= REQUESTS_MAX)
    return NULL;
  Request *request = g_new0 (Request, 1);
  request->id = id_new_random (10);
  request->to = g_strdup (to);
  request->due_us = clock_get_monotonic_us (table->clock) + timeout_s * G_USEC_PER_SEC;
  request->callback = callback;
  request->data = data;
  g_hash_table_insert (table->open, request->id, request);
  return request->id;
}

/* RFC 6120 §8.1.2.1: what the account itself is asked may be answered without a `from`, or from the bare JID.
 */
static gboolean
is_from (const Request *request, const char *from, const char *account)
{
  if (request->to != NULL && from != NULL)
    return strcmp (request->to, from) == 0;
  return (request->to == NULL || strcmp (request->to, account) == 0)
         && (from == NULL || strcmp (from, account) == 0);
}

static void
take_and_answer (RequestTable *table, Request *request, Reply *reply)
{
  g_hash_table_steal (table->open, request->id);
  request->callback (reply, request->data);
  request_free (request);
}

gboolean
request_table_answer (RequestTable *table, const char *id, const char *from, const char *account,
                      Reply *reply)
{
  Request *request = g_hash_table_lookup (table->open, id);
  if (request == NULL || !is_from (request, from, account))
    return FALSE;
  take_and_answer (table, request, reply);
  return TRUE;
}

static Request *
find_first_due (RequestTable *table)
{
  GHashTableIter iter;
  gpointer value;
  Request *first = NULL;
  g_hash_table_iter_init (&iter, table->open);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    if (first == NULL || ((Request *)value)->due_us < first->due_us)
      first = value;
  return first;
}

gint64
request_table_expire (RequestTable *table, void (*forget) (const char *id, gpointer data), gpointer data)
{
  gint64 now_us = clock_get_monotonic_us (table->clock);
  for (;;)
    {
      Request *first = find_first_due (table);
      if (first == NULL)
        return -1;
      if (first->due_us > now_us)
        return first->due_us - now_us;
      if (forget != NULL)
        forget (first->id, data);
      Reply reply = { .kind = REPLY_TIMEOUT };
      take_and_answer (table, first, &reply);
    }
}

void
request_table_fail_all (RequestTable *table)
{
  /* A callback may ask anew: only those that are open now are failed. */
  g_autoptr (GList) requests = g_hash_table_get_values (table->open);
  g_hash_table_steal_all (table->open);
  for (GList *item = requests; item != NULL; item = item->next)
    {
      Request *request = item->data;
      Reply reply = { .kind = REPLY_LOST };
      request->callback (&reply, request->data);
      request_free (request);
    }
}
