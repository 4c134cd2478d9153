/* The inside of the desk, for desk.c and desk-item.c. */
#pragma once

#include "host-client/core/desk.h"

struct Desk
{
  DeskOptions options;
  DeskEvents events;
  gpointer data;
  PluginHost *host;
  GHashTable *plugins; /* id -> DeskPlugin */
  GHashTable *items;   /* "plugin/item" -> DeskItem */
  char *open_chat;     /* NULL: none */
  gboolean has_watch;  /* on the market */
  gboolean is_writing; /* a plugin's message passes: it is shown to no plugin, lest two answer each other */
};

struct DeskPlugin
{
  Desk *desk;
  char *id;
  Plugin *plugin; /* NULL: not installed */
  Dialogue *dialogue;
};

/* Its plugin wants it: the user is asked, and the plugin is told in the end. */
void desk_item_wish (DeskItem *item);
void desk_item_free (gpointer data);
