/* What monitoring shows of modules. A module is a file in the operator's folder, so they are few; those
 * beyond the first hundred are only counted by their states. */
#include "host-server/modules/modules-private.h"

#include <string.h>

#define MAX_SHOWN 100

typedef struct
{
  GArray *shown; /* of ModulesFacts; their names are ours */
  guint n_by_life[MODULES_N_LIVES];
} Look;

static void
facts_clear (gpointer data)
{
  g_free ((char *)((ModulesFacts *)data)->module);
}

static void
note_module (const ModulesFacts *facts, gpointer data)
{
  Look *look = data;
  look->n_by_life[facts->life]++;
  if (look->shown->len >= MAX_SHOWN)
    return;
  ModulesFacts kept = *facts;
  kept.module = g_strdup (facts->module);
  kept.reason = NULL;
  g_array_append_val (look->shown, kept);
}

static void
write_states (GString *out, const Look *look)
{
  metrics_family (out, "stoa_modules", "gauge", "Vendor modules in the folder.");
  for (guint life = 0; life < MODULES_N_LIVES; life++)
    metrics_sample (out, "stoa_modules", "state", modules_life_name ((ModulesLife)life),
                    look->n_by_life[life]);
  metrics_family (out, "stoa_module_state", "gauge", "1 for the state that a module is in.");
  for (guint i = 0; i < look->shown->len; i++)
    {
      const ModulesFacts *facts = &g_array_index (look->shown, ModulesFacts, i);
      const char *profile = facts->profile != NULL ? facts->profile : "none";
      for (guint life = 0; life < MODULES_N_LIVES; life++)
        {
          const char *const labels[]
              = { "module", facts->module, "profile", profile, "state", modules_life_name ((ModulesLife)life),
                  NULL };
          metrics_sample_labels (out, "stoa_module_state", labels, facts->life == life);
        }
    }
}

static void
write_calls (GString *out, const Look *look)
{
  metrics_family (out, "stoa_module_calls_total", "counter", "Calls of a module by how they ended.");
  for (guint i = 0; i < look->shown->len; i++)
    for (guint end = 0; end < MODULES_N_CALL_ENDS; end++)
      {
        const ModulesFacts *facts = &g_array_index (look->shown, ModulesFacts, i);
        const char *const labels[]
            = { "module", facts->module, "outcome", modules_call_end_name ((ModulesCallEnd)end), NULL };
        metrics_sample_labels (out, "stoa_module_calls_total", labels, (double)facts->use.n_calls[end]);
      }
}

static double
get_seconds (const ModulesFacts *facts)
{
  return (double)facts->use.calls_us / G_USEC_PER_SEC;
}

static double
get_deaths (const ModulesFacts *facts)
{
  return (double)facts->use.n_deaths;
}

static double
get_quarantines (const ModulesFacts *facts)
{
  return (double)facts->use.n_quarantines;
}

static double
get_spares (const ModulesFacts *facts)
{
  return facts->n_spares;
}

static const struct
{
  const char *name, *type, *help;
  double (*get) (const ModulesFacts *facts);
} families[] = {
  { "stoa_module_call_seconds_total", "counter", "Time of all calls but the refused.", get_seconds },
  { "stoa_module_deaths_total", "counter", "Ends of a module's own process that were its fault.",
    get_deaths },
  { "stoa_module_quarantines_total", "counter", "Times it had failed too often.", get_quarantines },
  { "stoa_module_spares", "gauge", "Processes that wait for a call.", get_spares },
};

static void
write_metrics (GString *out, gpointer data)
{
  g_autoptr (GArray) shown = g_array_new (FALSE, FALSE, sizeof (ModulesFacts));
  Look look = { .shown = shown };
  g_array_set_clear_func (shown, facts_clear);
  modules_foreach (data, note_module, &look);
  write_states (out, &look);
  write_calls (out, &look);
  for (gsize f = 0; f < G_N_ELEMENTS (families); f++)
    {
      metrics_family (out, families[f].name, families[f].type, families[f].help);
      for (guint i = 0; i < shown->len; i++)
        {
          const ModulesFacts *facts = &g_array_index (shown, ModulesFacts, i);
          metrics_sample (out, families[f].name, "module", facts->module, families[f].get (facts));
        }
    }
}

void
modules_add_metrics (Modules *modules, Metrics *metrics)
{
  metrics_add (metrics, write_metrics, modules);
}
