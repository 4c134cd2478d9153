#include "host-server/core/metrics.h"

typedef struct
{
  MetricsFunc func;
  gpointer data;
} Source;

struct Metrics
{
  GArray *sources; /* of Source */
};

Metrics *
metrics_new (void)
{
  Metrics *metrics = g_new0 (Metrics, 1);
  metrics->sources = g_array_new (FALSE, FALSE, sizeof (Source));
  return metrics;
}

void
metrics_free (Metrics *metrics)
{
  if (metrics == NULL)
    return;
  g_array_unref (metrics->sources);
  g_free (metrics);
}

void
metrics_add (Metrics *metrics, MetricsFunc func, gpointer data)
{
  Source source = { func, data };
  g_array_append_val (metrics->sources, source);
}

char *
metrics_dup_text (const Metrics *metrics)
{
  GString *out = g_string_new (NULL);
  for (guint i = 0; i < metrics->sources->len; i++)
    {
      const Source *source = &g_array_index (metrics->sources, Source, i);
      source->func (out, source->data);
    }
  return g_string_free (out, FALSE);
}

void
metrics_family (GString *out, const char *name, const char *type, const char *help)
{
  g_string_append_printf (out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void
append_escaped (GString *out, const char *value)
{
  g_autofree char *valid = g_utf8_make_valid (value, -1);
  for (const char *at = valid; *at != '\0'; at++)
    if (*at == '\n')
      g_string_append (out, "\\n");
    else
      {
        if (*at == '\\' || *at == '"')
          g_string_append_c (out, '\\');
        g_string_append_c (out, *at);
      }
}

void
metrics_sample (GString *out, const char *name, const char *label, const char *label_value, double value)
{
  const char *const labels[] = { label, label_value, NULL };
  metrics_sample_labels (out, name, labels, value);
}

void
metrics_sample_labels (GString *out, const char *name, const char *const *labels, double value)
{
  char number[G_ASCII_DTOSTR_BUF_SIZE];
  g_string_append (out, name);
  for (gsize i = 0; labels[i] != NULL; i += 2)
    {
      g_string_append_printf (out, "%c%s=\"", i == 0 ? '{' : ',', labels[i]);
      append_escaped (out, labels[i + 1]);
      g_string_append_c (out, '"');
    }
  if (labels[0] != NULL)
    g_string_append_c (out, '}');
  g_string_append_printf (out, " %s\n", g_ascii_formatd (number, sizeof number, "%.15g", value));
}
