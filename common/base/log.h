/* One line per event on standard error: time, level, area, message.
 *
 * The area is the room that speaks ("market", "wire"); the message is lower case without a full stop and
 * carries the ids that matter as key=value. Secrets never go through here: a Secret has no printer. */
#pragma once

#include <glib.h>

typedef enum
{
  LOG_LEVEL_ERROR,   /* something needs a person */
  LOG_LEVEL_WARNING, /* something was refused or failed and was dealt with */
  LOG_LEVEL_INFO,    /* something happened that an operator wants in the record */
  LOG_LEVEL_DEBUG,
} LogLevel;

/* Installs the line writer as GLib's log writer, for the whole process; lines above @level are dropped.
 * Call once, from main; a program that does not call it logs as GLib does by default. */
void log_init (LogLevel level);

/* Writes one line. Control characters in the message are shown as \xNN, so that no input can forge a line. */
void log_event (LogLevel level, const char *area, const char *format, ...) G_GNUC_PRINTF (3, 4);

#define log_error(area, ...) log_event (LOG_LEVEL_ERROR, area, __VA_ARGS__)
#define log_warning(area, ...) log_event (LOG_LEVEL_WARNING, area, __VA_ARGS__)
#define log_info(area, ...) log_event (LOG_LEVEL_INFO, area, __VA_ARGS__)
#define log_debug(area, ...) log_event (LOG_LEVEL_DEBUG, area, __VA_ARGS__)
