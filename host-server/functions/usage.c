/* What monitoring shows of calls of functions, by application and how they ended. A name that no application
 * has is the caller's word, and counts under none. */
#include "host-server/core/metrics.h"
#include "host-server/functions/room.h"

/* Applications beyond these are counted together. */
#define MAX_APPLICATIONS 200
#define OTHERS           "other"
#define NOBODY           ""

#define N_KINDS (FUNCTION_ANSWER_FAULT + 1)

typedef struct
{
  guint64 n_answers[N_KINDS];
} Use;

struct Usage
{
  Functions *functions;
  GHashTable *uses; /* application → Use */
};

/* An answer on its way. */
typedef struct
{
  Use *use;
  FunctionAnswered answered;
  gpointer data;
} Counted;

static Use *
need_use (Usage *usage, const char *application)
{
  Use *use = g_hash_table_lookup (usage->uses, application);
  if (use != NULL)
    return use;
  if (g_hash_table_size (usage->uses) >= MAX_APPLICATIONS && !g_str_equal (application, NOBODY)
      && !g_str_equal (application, OTHERS))
    return need_use (usage, OTHERS);
  use = g_new0 (Use, 1);
  g_hash_table_insert (usage->uses, g_strdup (application), use);
  return use;
}

gpointer
usage_begin (Usage *usage, const char *application, FunctionAnswered answered, gpointer data)
{
  Counted *counted = g_new (Counted, 1);
  *counted = (Counted){ need_use (usage, application != NULL ? application : NOBODY), answered, data };
  return counted;
}

void
usage_answer (const FunctionAnswer *answer, gpointer data)
{
  g_autofree Counted *counted = data;
  counted->use->n_answers[answer->kind]++;
  counted->answered (answer, counted->data);
}

static const char *
name_of (FunctionAnswerKind kind)
{
  static const char *const names[N_KINDS] = { [FUNCTION_ANSWER_OK] = "ok",
                                              [FUNCTION_ANSWER_BAD_REQUEST] = "bad-request",
                                              [FUNCTION_ANSWER_NOT_FOUND] = "not-found",
                                              [FUNCTION_ANSWER_FORBIDDEN] = "forbidden",
                                              [FUNCTION_ANSWER_CONFLICT] = "conflict",
                                              [FUNCTION_ANSWER_LIMIT] = "limit",
                                              [FUNCTION_ANSWER_FAILED] = "failed",
                                              [FUNCTION_ANSWER_FAULT] = "fault" };
  return names[kind];
}

static void
write_calls (GString *out, GHashTable *uses, GList *applications)
{
  metrics_family (out, "stoa_function_calls_total", "counter", "Calls of functions by how they ended.");
  for (GList *each = applications; each != NULL; each = each->next)
    for (guint kind = 0; kind < N_KINDS; kind++)
      {
        const Use *use = g_hash_table_lookup (uses, each->data);
        const char *const labels[]
            = { "application", each->data, "outcome", name_of ((FunctionAnswerKind)kind), NULL };
        metrics_sample_labels (out, "stoa_function_calls_total", labels, (double)use->n_answers[kind]);
      }
}

static void
write_metrics (GString *out, gpointer data)
{
  const Usage *usage = data;
  const Scheduler *scheduler = usage->functions->scheduler;
  g_autoptr (GList) applications = g_list_sort (g_hash_table_get_keys (usage->uses), (GCompareFunc)g_strcmp0);
  write_calls (out, usage->uses, applications);
  metrics_family (out, "stoa_function_queue", "gauge", "Calls of functions that wait for their turn.");
  for (GList *each = applications; each != NULL; each = each->next)
    metrics_sample (out, "stoa_function_queue", "application", each->data,
                    scheduler_get_load (scheduler, each->data).n_waiting);
  metrics_family (out, "stoa_function_running", "gauge", "Calls of functions that run.");
  for (GList *each = applications; each != NULL; each = each->next)
    metrics_sample (out, "stoa_function_running", "application", each->data,
                    scheduler_get_load (scheduler, each->data).n_running);
}

Usage *
usage_new (Functions *functions)
{
  Usage *usage = g_new0 (Usage, 1);
  usage->functions = functions;
  usage->uses = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  metrics_add (functions->server->metrics, write_metrics, usage);
  return usage;
}

void
usage_free (Usage *usage)
{
  g_hash_table_unref (usage->uses);
  g_free (usage);
}
