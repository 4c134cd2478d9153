#include "host-server/core/hooks.h"

typedef void (*AnyFunc) (void); /* each list holds functions of one type */

typedef struct
{
  AnyFunc func;
  gpointer data;
} Hook;

struct Hooks
{
  GArray *session[N_SESSION_HOOKS]; /* of Hook */
  GArray *undelivered;
  GArray *account_removed;
  OwnerHookFunc is_owner; /* NULL: nobody knows */
  gpointer owner_data;
};

Hooks *
hooks_new (void)
{
  Hooks *hooks = g_new0 (Hooks, 1);
  for (SessionHook hook = 0; hook < N_SESSION_HOOKS; hook++)
    hooks->session[hook] = g_array_new (FALSE, FALSE, sizeof (Hook));
  hooks->undelivered = g_array_new (FALSE, FALSE, sizeof (Hook));
  hooks->account_removed = g_array_new (FALSE, FALSE, sizeof (Hook));
  return hooks;
}

void
hooks_free (Hooks *hooks)
{
  if (hooks == NULL)
    return;
  for (SessionHook hook = 0; hook < N_SESSION_HOOKS; hook++)
    g_array_unref (hooks->session[hook]);
  g_array_unref (hooks->undelivered);
  g_array_unref (hooks->account_removed);
  g_free (hooks);
}

static void
add (GArray *list, AnyFunc func, gpointer data)
{
  Hook hook = { func, data };
  g_array_append_val (list, hook);
}

void
hooks_add_session (Hooks *hooks, SessionHook hook, SessionHookFunc func, gpointer data)
{
  add (hooks->session[hook], (AnyFunc)func, data);
}

void
hooks_run_session (Hooks *hooks, SessionHook hook, Session *session)
{
  for (guint i = 0; i < hooks->session[hook]->len; i++)
    {
      Hook *entry = &g_array_index (hooks->session[hook], Hook, i);
      ((SessionHookFunc)entry->func) (session, entry->data);
    }
}

void
hooks_add_undelivered (Hooks *hooks, UndeliveredHookFunc func, gpointer data)
{
  add (hooks->undelivered, (AnyFunc)func, data);
}

void
hooks_run_undelivered (Hooks *hooks, Session *session, const Stanza *stanza)
{
  for (guint i = 0; i < hooks->undelivered->len; i++)
    {
      Hook *entry = &g_array_index (hooks->undelivered, Hook, i);
      ((UndeliveredHookFunc)entry->func) (session, stanza, entry->data);
    }
}

void
hooks_add_account_removed (Hooks *hooks, AccountHookFunc func, gpointer data)
{
  add (hooks->account_removed, (AnyFunc)func, data);
}

void
hooks_run_account_removed (Hooks *hooks, const char *account_uuid, const Jid *bare)
{
  for (guint i = 0; i < hooks->account_removed->len; i++)
    {
      Hook *entry = &g_array_index (hooks->account_removed, Hook, i);
      ((AccountHookFunc)entry->func) (account_uuid, bare, entry->data);
    }
}

void
hooks_set_owner (Hooks *hooks, OwnerHookFunc func, gpointer data)
{
  hooks->is_owner = func;
  hooks->owner_data = data;
}

gboolean
hooks_is_owner (const Hooks *hooks, const char *account_uuid, const char *plugin)
{
  return hooks->is_owner != NULL && hooks->is_owner (account_uuid, plugin, hooks->owner_data);
}
