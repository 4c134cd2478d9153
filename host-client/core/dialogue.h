/* One plugin's way from "I want to use it" to a serial that it accepts (systems.md system 1), or an item's
 * from "I want it" to being bought, for one account. Does what the table in purchase.h says: starts the
 * plugin, tells the market, orders, waits. A purchase that was under way when the client was closed goes on
 * where it stood: the order's request id is on disk.
 *
 * The plugin itself is behind DialogueEvents.start; what it says comes back through dialogue_note_report().
 */
#pragma once

#include "host-client/core/market.h"
#include "host-client/core/plugin.h"
#include "host-client/core/purchase.h"

typedef struct Dialogue Dialogue;

/* Why the user is asked. */
typedef enum
{
  DIALOGUE_NEEDS_REGISTRATION, /* there was never a serial */
  DIALOGUE_EXPIRED,
  DIALOGUE_BAD, /* the plugin refused what the market had */
} DialogueReason;

typedef struct
{
  PurchaseState state;
  DialogueReason reason;  /* while ASKING, and of OFF after a no */
  const OrderView *order; /* as last heard; NULL: none */
  const char *text;       /* the plugin's or market's words, "" if there are none */
  gboolean is_unheard;    /* while ORDERING: the market does not answer now; it goes on by itself */
  gboolean has_said_no;   /* of OFF: because of the user's no */
  gboolean has_failed;    /* of OFF: because of the plugin, not the market */
  const char *item;       /* it is about this item of the plugin; NULL: about the plugin itself */
} DialogueView;

/* Callbacks may call any function of this file but dialogue_free(). */
typedef struct
{
  /* Start the plugin with @licence; then tell what it says by dialogue_note_report(). NULL: there is no
   * plugin here to judge the serial, and having it is enough. */
  void (*start) (Dialogue *dialogue, const PluginLicence *licence, gpointer data);
  /* Ask the user: dialogue_answer(). */
  void (*ask) (Dialogue *dialogue, const DialogueView *view, gpointer data);
  /* It goes on: paying (show the charge's URL), preparing, … */
  void (*show) (Dialogue *dialogue, const DialogueView *view, gpointer data);
  /* It is RUNNING or OFF. */
  void (*end) (Dialogue *dialogue, const DialogueView *view, gpointer data);
} DialogueEvents;

/* Market, session and database outlive it. @item: bought inside @plugin; NULL: it is about the plugin itself.
 * For an item `start` is never called. */
Dialogue *dialogue_new (Market *market, Session *session, Db *db, const char *plugin, const char *item,
                        const DialogueEvents *events, gpointer data);
void dialogue_free (Dialogue *dialogue);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Dialogue, dialogue_free)

const char *dialogue_peek_plugin (const Dialogue *dialogue);
const char *dialogue_peek_item (const Dialogue *dialogue);
void dialogue_get_view (const Dialogue *dialogue, DialogueView *view);

/* The user wants to use the plugin (of an item: is to be asked whether to buy it); wants to buy it; answers;
 * changes their mind while the order is unpaid. */
void dialogue_use (Dialogue *dialogue);
void dialogue_buy (Dialogue *dialogue);
void dialogue_answer (Dialogue *dialogue, gboolean is_yes);
void dialogue_decline (Dialogue *dialogue);
/* The user cannot be asked about the item, for @reason: it ends. */
void dialogue_refuse (Dialogue *dialogue, const char *reason);
/* What the plugin says, at the start or later. */
void dialogue_note_report (Dialogue *dialogue, const PluginReport *report);

/* What had an order that was under way when a client was closed: @func is called for each, with item NULL for
 * a plugin itself. FALSE with a DB_ERROR. */
typedef void (*DialogueOpenFunc) (const char *plugin, const char *item, gpointer data);
gboolean dialogue_list_open (Db *db, DialogueOpenFunc func, gpointer data, GError **error);
