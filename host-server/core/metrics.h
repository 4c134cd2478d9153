/* What GET /metrics shows: Prometheus text (version 0.0.4) that rooms write when they are asked. */
#pragma once

#include <glib.h>

typedef struct Metrics Metrics;

/* Writes families with metrics_family() and their samples with metrics_sample(). On the main context; it must
 * not block. */
typedef void (*MetricsFunc) (GString *out, gpointer data);

Metrics *metrics_new (void);
void metrics_free (Metrics *metrics);
void metrics_add (Metrics *metrics, MetricsFunc func, gpointer data);
/* All of it; the caller frees it. */
char *metrics_dup_text (const Metrics *metrics);

/* The head of a family: @type is "counter" or "gauge", @help one line. */
void metrics_family (GString *out, const char *name, const char *type, const char *help);
/* A sample of the family before; @label NULL: it has none. @label_value may hold anything. */
void metrics_sample (GString *out, const char *name, const char *label, const char *label_value,
                     double value);
/* The same with several labels: @labels are names and values in turn, NULL-terminated. */
void metrics_sample_labels (GString *out, const char *name, const char *const *labels, double value);
