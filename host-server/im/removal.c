/* What a removed account leaves in chat.db: its roster, with the subscriptions of its contacts, and its
 * offline messages. The note in account_removal is deleted last, so a crash in between only means that it is
 * done again. */
#include "common/base/log.h"
#include "host-server/im/contacts.h"
#include "host-server/store/accounts.h"

#include <string.h>

/* Contacts a turn. */
#define CHUNK 50

typedef struct
{
  Im *im;
  char *account;
  Jid *bare;
  char *after;     /* the last contact of the turns before */
  GPtrArray *jids; /* contacts of this turn */
  guint n_open;    /* exchanges of this turn still on their way */
  gboolean has_failed;
} Removal;

typedef struct
{
  Removal *removal;
  Exchange *exchange;
} Parting;

static void removal_step (Removal *removal);

static void
removal_end (Removal *removal)
{
  g_ptr_array_unref (removal->jids);
  g_free (removal->after);
  jid_unref (removal->bare);
  g_free (removal->account);
  g_free (removal);
}

static void
finish_done (gpointer data, const GError *error)
{
  Removal *removal = data;
  if (error != NULL)
    log_error ("im", "cannot finish a removal account=%s: %s", removal->account, error->message);
  else
    log_info ("im", "account's rows removed account=%s", removal->account);
  removal_end (removal);
}

static gboolean
finish_work (Db *db, gpointer data, GError **error)
{
  return account_removal_finish (db, "im", ((Removal *)data)->account, error);
}

static gboolean
clear_work (Db *db, gpointer data, GError **error)
{
  const Removal *removal = data;
  return roster_db_clear (db, removal->account, error)
         && db_run (db, error, "DELETE FROM offline_message WHERE account = ?", "s", removal->account)
         && db_run (db, error, "DELETE FROM offline_count WHERE account = ?", "s", removal->account);
}

static void
clear_done (gpointer data, const GError *error)
{
  Removal *removal = data;
  if (error == NULL)
    {
      store_write (removal->im->server->store, STORE_MARKET, finish_work, finish_done, removal);
      return;
    }
  log_error ("im", "cannot remove an account's rows account=%s: %s", removal->account, error->message);
  removal_end (removal);
}

static gboolean
part_work (Db *db, gpointer data, GError **error)
{
  return exchange_run (((Parting *)data)->exchange, db, error);
}

static void
part_done (gpointer data, const GError *error)
{
  Parting *parting = data;
  Removal *removal = parting->removal;
  if (error != NULL)
    {
      log_error ("im", "cannot end a subscription account=%s: %s", removal->account, error->message);
      removal->has_failed = TRUE;
    }
  else
    contacts_tell (removal->im, parting->exchange, NULL);
  exchange_free (parting->exchange);
  g_free (parting);
  if (--removal->n_open > 0)
    return;
  if (removal->has_failed)
    removal_end (removal); /* at the next start again */
  else
    removal_step (removal);
}

static void
part (Removal *removal, const Jid *contact)
{
  char uuid[37];
  gboolean is_ours = im_find_account (removal->im, contact, uuid);
  Parting *parting = g_new0 (Parting, 1);
  parting->removal = removal;
  parting->exchange = exchange_new (STANZA_TYPE_NONE, removal->account, removal->bare, is_ours ? uuid : NULL,
                                    contact, NULL);
  parting->exchange->takes_hidden = TRUE;
  removal->n_open++;
  store_write (removal->im->server->store, STORE_CHAT, part_work, part_done, parting);
}

static gboolean
list_work (Db *db, gpointer data, GError **error)
{
  Removal *removal = data;
  g_ptr_array_set_size (removal->jids, 0);
  return roster_db_list_jids (db, removal->account, removal->after, CHUNK, removal->jids, error);
}

static void
list_done (gpointer data, const GError *error)
{
  Removal *removal = data;
  if (error != NULL)
    {
      log_error ("im", "cannot read a removed account's roster account=%s: %s", removal->account,
                 error->message);
      removal_end (removal);
      return;
    }
  if (removal->jids->len == 0)
    {
      store_write (removal->im->server->store, STORE_CHAT, clear_work, clear_done, removal);
      return;
    }
  g_free (removal->after);
  removal->after = g_strdup (removal->jids->pdata[removal->jids->len - 1]);
  for (guint i = 0; i < removal->jids->len; i++)
    {
      const char *text = removal->jids->pdata[i];
      g_autoptr (Jid) contact = jid_new (text, strlen (text));
      if (contact != NULL)
        part (removal, contact);
    }
  if (removal->n_open == 0)
    removal_step (removal);
}

static void
removal_step (Removal *removal)
{
  store_write (removal->im->server->store, STORE_CHAT, list_work, list_done, removal);
}

static void
removal_start (Im *im, const char *account, const Jid *bare)
{
  Removal *removal = g_new0 (Removal, 1);
  removal->im = im;
  removal->account = g_strdup (account);
  removal->bare = jid_ref ((Jid *)bare);
  removal->jids = g_ptr_array_new_with_free_func (g_free);
  removal_step (removal);
}

static void
account_removed (const char *account_uuid, const Jid *bare, gpointer data)
{
  removal_start (data, account_uuid, bare);
}

static void
take_up (const char *uuid, const char *local, gint64 created_us, gpointer data)
{
  Im *im = data;
  g_autoptr (Jid) bare = jid_new_parts (local, jid_get_domain (im->server->domain), NULL);
  if (bare != NULL)
    removal_start (im, uuid, bare);
}

void
im_removal_init (Im *im)
{
  g_autoptr (GError) error = NULL;
  hooks_add_account_removed (im->server->hooks, account_removed, im);
  if (!account_removals_list (store_peek_reader (im->server->store, STORE_MARKET), "im", take_up, im, &error))
    log_error ("im", "cannot read the removed accounts: %s", error->message);
}
