/* The inside of a plugin, for plugin.c and plugin-granted.c. */
#pragma once

#include "host-client/core/plugin-process.h"
#include "host-client/core/plugin-wish.h"

/* What the plugin is to be asked when it has answered what is before it. */
typedef struct
{
  FrameOp op;     /* COMMAND, MESSAGE, FUNCTION_RESULT or PURCHASE_RESULT */
  char *name;     /* the command, the message's peer, the result's reason, or the item */
  char *input;    /* of a command or message; the reason of a purchase */
  guint32 number; /* the message's way, the plugin's number of the call, or the purchase's outcome */
  guint32 detail; /* whether the message is late, or the call's HostResult */
  gint64 time_s;
  GBytes *value;             /* of a result; nullable */
  PluginResultFunc callback; /* of a command; else NULL */
  gpointer data;
} PluginRequest;

/* A function that the plugin called. */
typedef struct
{
  guint call;
  FrameHeader asked; /* of a legacy plugin, which waits */
  guint32 number;    /* of a native one, which does not */
} PluginOpenCall;

struct Plugin
{
  PluginHost *host;
  PluginPackage *package;
  char *jid;
  PluginEvents events;
  gpointer data;

  PluginReport report;
  char *reason;     /* what report.reason points to */
  GArray *commands; /* of PluginCommand */
  guint refused_commands;

  Secret *serial;
  char *user;
  gint64 expires;

  PluginProcess *process; /* NULL: none */
  guint phase;            /* the one that was asked last */
  gboolean is_stopping;
  PluginRequest *running;
  GQueue waiting;  /* of PluginRequest * */
  GArray *crashes; /* monotonic microseconds */

  /* of this process */
  guint32 watched_ways;
  GArray *calls; /* of PluginOpenCall */
  guint last_call;
  gboolean has_missed_copies;
  gint64 sent_since_us; /* not of this process: a restart gives no new right to send */
  guint n_sent;
  PluginWishes wishes; /* nor to wish */

  GQueue posts;
  GSource *post_source;
};

/* Puts @take_request behind what the plugin is asked already. */
void plugin_ask (Plugin *plugin, PluginRequest *take_request);

/* plugin-granted.c: the plugin asks for something; a PluginProcessEvents' `asked`. */
void plugin_take_asked (PluginProcess *process, const Frame *frame, gpointer data);
