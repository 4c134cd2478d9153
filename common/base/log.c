#include "common/base/log.h"

#include <stdio.h>
#include <string.h>

static const GLogLevelFlags glib_levels[] = { G_LOG_LEVEL_CRITICAL, G_LOG_LEVEL_WARNING, G_LOG_LEVEL_INFO,
                                              G_LOG_LEVEL_DEBUG };

static const char *
level_name (GLogLevelFlags level)
{
  if (level & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL))
    return "error";
  if (level & G_LOG_LEVEL_WARNING)
    return "warning";
  if (level & (G_LOG_LEVEL_MESSAGE | G_LOG_LEVEL_INFO))
    return "info";
  return "debug";
}

static GLogWriterOutput
write_line (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
  GLogLevelFlags most = glib_levels[GPOINTER_TO_INT (data)];
  if ((level & G_LOG_LEVEL_MASK) > most)
    return G_LOG_WRITER_HANDLED;

  const char *area = "main", *message = "";
  for (gsize i = 0; i < n_fields; i++)
    {
      if (strcmp (fields[i].key, "GLIB_DOMAIN") == 0)
        area = fields[i].value;
      else if (strcmp (fields[i].key, "MESSAGE") == 0)
        message = fields[i].value;
    }

  g_autoptr (GDateTime) now = g_date_time_new_now_utc ();
  g_autofree char *time = g_date_time_format (now, "%Y-%m-%dT%H:%M:%S");
  g_autoptr (GString) line = g_string_new (NULL);
  g_string_append_printf (line, "%s.%03dZ %s %s: ", time, g_date_time_get_microsecond (now) / 1000,
                          level_name (level), area);
  for (const char *p = message; *p != '\0'; p++)
    {
      if ((guchar) *p < 0x20 || *p == 0x7f)
        g_string_append_printf (line, "\\x%02x", (guchar) *p);
      else
        g_string_append_c (line, *p);
    }
  g_string_append_c (line, '\n');
  fwrite (line->str, 1, line->len, stderr);
  return G_LOG_WRITER_HANDLED;
}

void
log_init (LogLevel level)
{
  setvbuf (stderr, NULL, _IOLBF, 0);
  g_log_set_writer_func (write_line, GINT_TO_POINTER (level), NULL);
}

void
log_event (LogLevel level, const char *area, const char *format, ...)
{
  va_list args;
  va_start (args, format);
  g_logv (area, glib_levels[level], format, args);
  va_end (args);
}
