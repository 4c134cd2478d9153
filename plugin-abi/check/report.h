/* What a check found: a row for each thing looked at, for people or as JSON. */
#pragma once

#include <glib.h>

typedef enum
{
  REPORT_OK,
  REPORT_WARNING, /* works, but the vendor should know */
  REPORT_FAILED,
  REPORT_SKIPPED, /* could not be looked at because of an earlier row */
} ReportVerdict;

typedef struct Report Report;

/* @kind and @file are copied. */
Report *report_new (const char *kind, const char *file);
void report_free (Report *report);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Report, report_free)

/* Adds a row; @row is a short name that scripts rely on (docs/host-module-check.md). The text may hold a
 * stranger's words: control characters are taken out. */
void report_add (Report *report, ReportVerdict verdict, const char *row, const char *format, ...)
    G_GNUC_PRINTF (4, 5);
/* The same with a number for scripts: @value is @unit's. */
void report_add_figure (Report *report, ReportVerdict verdict, const char *row, const char *unit,
                        double value, const char *format, ...) G_GNUC_PRINTF (6, 7);

/* Another number of the row that was added last. */
void report_note_figure (Report *report, const char *unit, double value);

gboolean report_is_fine (const Report *report);

/* Prints it to standard output: a line a row, or one JSON object. */
void report_print (const Report *report, gboolean is_json);
