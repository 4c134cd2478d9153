#include "vendor-kit/plugin-server/liar.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define PAGE "<html>Thank you!</html>"

typedef struct
{
  Liar *liar;
  HttpExchange *exchange;
  char *answer;
  guint timer;
} Late;

struct Liar
{
  LiarOptions options;
  Register *reg;
  guint n_lies;
  GHashTable *late; /* Late, a set */
};

static void
late_free (gpointer data)
{
  Late *late = data;
  if (late->timer != 0)
    g_source_remove (late->timer);
  http_exchange_answer_json (late->exchange, 201, late->answer);
  g_free (late->answer);
  g_free (late);
}

static gboolean
on_late (gpointer data)
{
  Late *late = data;
  late->timer = 0;
  g_hash_table_remove (late->liar->late, late);
  return G_SOURCE_REMOVE;
}

Liar *
liar_new (const LiarOptions *options, Register *reg)
{
  Liar *liar = g_new0 (Liar, 1);
  liar->options = *options;
  liar->reg = reg;
  liar->late = g_hash_table_new_full (NULL, NULL, late_free, NULL);
  if (options->mode == MODE_SLOW)
    faults_add (&liar->options.faults, "late", NULL);
  if (options->mode == MODE_FAILING)
    faults_add (&liar->options.faults, "error", NULL);
  return liar;
}

void
liar_free (Liar *liar)
{
  if (liar == NULL)
    return;
  g_hash_table_unref (liar->late);
  g_free (liar);
}

gboolean
liar_has (Liar *liar, FaultKind kind)
{
  return faults_take (&liar->options.faults, kind);
}

gboolean
liar_takes_request (Liar *liar, HttpExchange *exchange)
{
  if (liar_has (liar, FAULT_DENY))
    {
      http_exchange_refuse (exchange, 401, "the request is not authentic");
      return TRUE;
    }
  if (liar_has (liar, FAULT_REDIRECT))
    {
      http_exchange_add_header (exchange, "Location", "https://elsewhere.example/");
      http_exchange_answer (exchange, 307, NULL, NULL, 0);
      return TRUE;
    }
  return FALSE;
}

static void
tell_serial (HttpExchange *exchange, const char *serial)
{
  json_t *object = json_pack ("{s:s}", "serial", serial);
  char *text = json_dumps (object, JSON_COMPACT);
  http_exchange_answer_json (exchange, 201, text);
  free (text);
  json_decref (object);
}

static void
lie (Liar *liar, HttpExchange *exchange, FaultKind kind, const char *user)
{
  g_autofree char *huge = g_strnfill (5000, 'A');
  g_autofree char *other = NULL;
  switch (kind)
    {
    case FAULT_HTML:
      http_exchange_answer (exchange, 200, "text/html", PAGE, strlen (PAGE));
      return;
    case FAULT_EMPTY:
      tell_serial (exchange, "");
      return;
    case FAULT_CONTROL:
      tell_serial (exchange, "AB\aCD");
      return;
    case FAULT_HUGE:
      tell_serial (exchange, huge);
      return;
    case FAULT_OTHER:
      other = register_dup_serial_of_another (liar->reg, user, NULL);
      tell_serial (exchange, other != NULL ? other : "SAME-SAME-SAME-SAME");
      return;
    default:
      tell_serial (exchange, "SAME-SAME-SAME-SAME");
      return;
    }
}

gboolean
liar_takes_post (Liar *liar, HttpExchange *exchange, const char *user)
{
  static const FaultKind lies[]
      = { FAULT_HTML, FAULT_EMPTY, FAULT_CONTROL, FAULT_SAME, FAULT_HUGE, FAULT_OTHER };
  static const struct
  {
    FaultKind kind;
    guint status;
    const char *reason;
  } refusals[] = { { FAULT_ERROR, 500, "something is broken" },
                   { FAULT_BUSY, 429, "later, please" },
                   { FAULT_REFUSE, 422, "sold out" } };
  for (gsize i = 0; i < G_N_ELEMENTS (refusals); i++)
    if (liar_has (liar, refusals[i].kind))
      {
        if (refusals[i].status == 429)
          http_exchange_add_header (exchange, "Retry-After", "1");
        http_exchange_refuse (exchange, refusals[i].status, refusals[i].reason);
        return TRUE;
      }
  if (liar_has (liar, FAULT_MUMBLE))
    {
      http_exchange_answer (exchange, 422, "text/plain", "no", 2);
      return TRUE;
    }
  for (gsize i = 0; i < G_N_ELEMENTS (lies); i++)
    if (liar_has (liar, lies[i]))
      {
        lie (liar, exchange, lies[i], user);
        return TRUE;
      }
  if (liar->options.mode != MODE_LYING)
    return FALSE;
  lie (liar, exchange, lies[liar->n_lies++ % 5], user);
  return TRUE;
}

gboolean
liar_takes_delete (Liar *liar, HttpExchange *exchange, gboolean is_seen)
{
  if (liar_has (liar, FAULT_VOID_ERROR))
    http_exchange_refuse (exchange, 500, "something is broken");
  else if (!is_seen && liar_has (liar, FAULT_UNSEEN))
    http_exchange_refuse (exchange, 404, "never seen");
  else if (liar_has (liar, FAULT_KEEP))
    http_exchange_answer (exchange, 204, NULL, NULL, 0);
  else
    return FALSE;
  return TRUE;
}

gboolean
liar_takes_answer (Liar *liar, HttpExchange *exchange, const char *answer)
{
  if (liar_has (liar, FAULT_LOST))
    {
      http_exchange_refuse (exchange, 500, "something broke");
      return TRUE;
    }
  if (!liar_has (liar, FAULT_LATE))
    return FALSE;
  Late *late = g_new0 (Late, 1);
  late->liar = liar;
  late->exchange = exchange;
  late->answer = g_strdup (answer);
  late->timer = g_timeout_add ((guint)(liar->options.delay_s * 1000), on_late, late);
  g_hash_table_add (liar->late, late);
  return TRUE;
}
