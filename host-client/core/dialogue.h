/* One plugin's way from "I want to use it" to a serial that it accepts (systems.md system 1), for one
 * account. Does what the table in purchase.h says: starts the plugin, tells the market, orders, waits. A
 * purchase that was under way when the client was closed goes on where it stood: the order's request id is on
 * disk.
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

/* Market, session and database outlive it. */
Dialogue *dialogue_new (Market *market, Session *session, Db *db, const char *plugin,
                        const DialogueEvents *events, gpointer data);
void dialogue_free (Dialogue *dialogue);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Dialogue, dialogue_free)

const char *dialogue_peek_plugin (const Dialogue *dialogue);
void dialogue_get_view (const Dialogue *dialogue, DialogueView *view);

/* The user wants to use the plugin; wants to buy it; answers; changes their mind while the order is unpaid.
 */
void dialogue_use (Dialogue *dialogue);
void dialogue_buy (Dialogue *dialogue);
void dialogue_answer (Dialogue *dialogue, gboolean is_yes);
void dialogue_decline (Dialogue *dialogue);
/* What the plugin says, at the start or later. */
void dialogue_note_report (Dialogue *dialogue, const PluginReport *report);

/* The plugins with an order that was under way when a client was closed: NULL-terminated, caller frees
 * (g_strfreev). NULL with a DB_ERROR. */
char **dialogue_list_open (Db *db, GError **error);
