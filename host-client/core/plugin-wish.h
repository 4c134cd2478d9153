/* What a plugin wishes its user to be asked to buy: one thing at a time, three in a minute, and none for a
 * minute after the user has said no. Pure; plugin.c does what it says. */
#pragma once

#include <glib.h>

#define PLUGIN_WISHES_MAX 3
#define PLUGIN_WISHES_US  (60 * G_USEC_PER_SEC)

typedef struct
{
  char *item;         /* that the user is asked about; NULL: none */
  gboolean is_polled; /* its plugin asks how it stands; else it is told */
  char *ended_item;   /* the last one that is polled, until its plugin knows; NULL: none */
  guint32 ended_as;   /* HostPurchaseOutcome */
  gint64 since_us;    /* of the user's minute: a restart of the plugin begins no new one */
  guint n;            /* in it */
} PluginWishes;

/* The process is gone, and what it waits for with it; how often the user was asked is not forgotten. */
void plugin_wishes_drop (PluginWishes *wishes);
/* Begins @item, unless the user must not be asked now: FALSE. */
gboolean plugin_wishes_begin (PluginWishes *wishes, const char *item, gboolean is_polled, gint64 now_us);
/* The open wish for @item has ended with @outcome. FALSE: there is none. */
gboolean plugin_wishes_end (PluginWishes *wishes, const char *item, guint32 outcome, gint64 now_us);
/* How @item stands, as FRAME_OP_POLL_PURCHASE answers; an outcome only once. */
guint32 plugin_wishes_poll (PluginWishes *wishes, const char *item);
/* Whether a poll of @item has something to hear of, and is no new wish. */
gboolean plugin_wishes_knows (const PluginWishes *wishes, const char *item);
