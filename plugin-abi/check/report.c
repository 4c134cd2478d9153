#include "plugin-abi/check/report.h"

#include <jansson.h>
#include <stdio.h>

#define MAX_FIGURES 2 /* of a row */

typedef struct
{
  const char *unit;
  double value;
} Figure;

typedef struct
{
  ReportVerdict verdict;
  char *row;
  char *text;
  Figure figures[MAX_FIGURES];
  guint n_figures;
} Row;

struct Report
{
  char *kind;
  char *file;
  GPtrArray *rows;
};

static const char *const verdict_names[] = { "ok", "warning", "failed", "skipped" };

static void
row_free (gpointer data)
{
  Row *row = data;
  g_free (row->row);
  g_free (row->text);
  g_free (row);
}

Report *
report_new (const char *kind, const char *file)
{
  Report *report = g_new0 (Report, 1);
  report->kind = g_strdup (kind);
  report->file = g_strdup (file);
  report->rows = g_ptr_array_new_with_free_func (row_free);
  return report;
}

void
report_free (Report *report)
{
  g_ptr_array_unref (report->rows);
  g_free (report->kind);
  g_free (report->file);
  g_free (report);
}

/* Valid UTF-8 on one line: it goes to a terminal. */
static char *
clean (const char *text)
{
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  GString *line = g_string_new (NULL);
  for (const char *at = valid; *at != '\0'; at = g_utf8_next_char (at))
    if (g_unichar_isprint (g_utf8_get_char (at)))
      g_string_append_unichar (line, g_utf8_get_char (at));
    else
      g_string_append_c (line, ' ');
  return g_string_free (line, FALSE);
}

static G_GNUC_PRINTF (4, 0) void add (Report *report, ReportVerdict verdict, const char *name,
                                      const char *format, va_list rest)
{
  g_autofree char *text = g_strdup_vprintf (format, rest);
  Row *row = g_new0 (Row, 1);
  row->verdict = verdict;
  row->row = g_strdup (name);
  row->text = clean (text);
  g_ptr_array_add (report->rows, row);
}

void
report_add (Report *report, ReportVerdict verdict, const char *row, const char *format, ...)
{
  va_list rest;
  va_start (rest, format);
  add (report, verdict, row, format, rest);
  va_end (rest);
}

void
report_add_figure (Report *report, ReportVerdict verdict, const char *row, const char *unit, double value,
                   const char *format, ...)
{
  va_list rest;
  va_start (rest, format);
  add (report, verdict, row, format, rest);
  va_end (rest);
  report_note_figure (report, unit, value);
}

void
report_note_figure (Report *report, const char *unit, double value)
{
  Row *row = report->rows->pdata[report->rows->len - 1];
  g_assert (row->n_figures < MAX_FIGURES);
  row->figures[row->n_figures++] = (Figure){ unit, value };
}

gboolean
report_is_fine (const Report *report)
{
  for (guint i = 0; i < report->rows->len; i++)
    {
      const Row *row = report->rows->pdata[i];
      if (row->verdict == REPORT_FAILED || row->verdict == REPORT_SKIPPED)
        return FALSE;
    }
  return TRUE;
}

static void
print_json (const Report *report)
{
  json_t *rows = json_array ();
  for (guint i = 0; i < report->rows->len; i++)
    {
      const Row *row = report->rows->pdata[i];
      json_t *object = json_pack ("{s:s, s:s, s:s}", "row", row->row, "verdict", verdict_names[row->verdict],
                                  "text", row->text);
      for (guint k = 0; k < row->n_figures; k++)
        json_object_set_new (object, row->figures[k].unit, json_real (row->figures[k].value));
      json_array_append_new (rows, object);
    }
  g_autofree char *file = g_filename_display_name (report->file);
  json_t *whole = json_pack ("{s:s, s:s, s:b, s:o}", "kind", report->kind, "file", file, "fine",
                             report_is_fine (report), "rows", rows);
  json_dumpf (whole, stdout, JSON_COMPACT);
  putchar ('\n');
  json_decref (whole);
}

void
report_print (const Report *report, gboolean is_json)
{
  if (is_json)
    {
      print_json (report);
      return;
    }
  g_autofree char *file = g_filename_display_name (report->file);
  printf ("%s %s\n", report->kind, file);
  for (guint i = 0; i < report->rows->len; i++)
    {
      const Row *row = report->rows->pdata[i];
      printf ("  %-8s %-13s %s\n", verdict_names[row->verdict], row->row, row->text);
    }
  puts (report_is_fine (report) ? "fine" : "not fine");
}
