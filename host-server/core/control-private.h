/* The table of commands as control-call.c and control.c both see it. Not for others. */
#pragma once

#include "host-server/core/control.h"

#define CONTROL_MAX_FILE (16 * 1024 * 1024)
#define CONTROL_MAX_TEXT 4096

typedef struct
{
  char *name, *secret, *help;
  GArray *arguments; /* ControlArgument */
  gboolean is_list;
  gboolean is_document;
  ControlHandler handle;
  gpointer data;
} ControlEntry;

/* Where a call's answer goes; NULL lines end it. */
typedef struct ControlLink ControlLink;

struct ControlCall
{
  const ControlEntry *entry;
  ControlLink *link;  /* NULL: the client is gone, or the server stops */
  GHashTable *values; /* name -> ControlValue */
  Secret *secret;
};

/* Reads a request line against @commands (ControlEntry). NULL with *@reason, which the caller frees: what the
 * client got wrong. The line may hold a secret; wiping it is the caller's. */
ControlCall *control_call_parse (GPtrArray *commands, const char *line, gsize length, char **reason);
void control_call_free (ControlCall *call);

/* Writes a line of JSON, taking @object. */
void control_link_take (ControlLink *link, json_t *object);
/* The call is over: the connection closes once all is written. */
void control_link_end (ControlLink *link);
