/* Where rooms above core take part in what happens below them. Functions run on the main context in the order
 * they were added. */
#pragma once

#include "host-server/core/session.h"

typedef struct Hooks Hooks;

Hooks *hooks_new (void);
void hooks_free (Hooks *hooks);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Hooks, hooks_free)

typedef enum
{
  HOOK_SESSION_BOUND,   /* a resource was bound */
  HOOK_SESSION_RESUMED, /* a resting session came back on a new stream */
  HOOK_SESSION_ENDED,   /* it ended for good: closed, replaced, timed out */
  N_SESSION_HOOKS,
} SessionHook;
typedef void (*SessionHookFunc) (Session *session, gpointer data);
void hooks_add_session (Hooks *hooks, SessionHook hook, SessionHookFunc func, gpointer data);
void hooks_run_session (Hooks *hooks, SessionHook hook, Session *session);

/* A stanza that a session could not deliver: unacknowledged when it ended for good. The stanza is as it was
 * sent to @session; im treats a message as for an offline user, and answers an IQ with an error. */
typedef void (*UndeliveredHookFunc) (Session *session, const Stanza *stanza, gpointer data);
void hooks_add_undelivered (Hooks *hooks, UndeliveredHookFunc func, gpointer data);
void hooks_run_undelivered (Hooks *hooks, Session *session, const Stanza *stanza);

/* Whether the account has an active entitlement for the plugin: the market knows. Without one that knows: no. */
typedef gboolean (*OwnerHookFunc) (const char *account_uuid, const char *plugin, gpointer data);
void hooks_set_owner (Hooks *hooks, OwnerHookFunc func, gpointer data);
gboolean hooks_is_owner (const Hooks *hooks, const char *account_uuid, const char *plugin);

/* An account was removed (after its commit): rooms queue the removal of what it owned. */
typedef void (*AccountHookFunc) (const char *account_uuid, const Jid *bare, gpointer data);
void hooks_add_account_removed (Hooks *hooks, AccountHookFunc func, gpointer data);
void hooks_run_account_removed (Hooks *hooks, const char *account_uuid, const Jid *bare);
