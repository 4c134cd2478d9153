#include "host-server/im/test-world.h"

#include "host-server/core/adhoc.h"
#include "host-server/store/accounts.h"

#include <glib/gstdio.h>
#include <string.h>

typedef struct
{
  SessionDelivered func;
  gpointer data;
} Waiter;

struct Session
{
  guint refs;
  Jid *jid;
  Jid *bare;
  char *account;
  World *world;
  gboolean is_dead;
  gboolean is_available;
  gint8 priority;
  guint n_holds;
  guint64 next_hold;
  gboolean is_slow;
  GArray *waiters;
  gpointer slots[N_SESSION_SLOTS];
  GDestroyNotify free_slots[N_SESSION_SLOTS];
  GString *sent;
};

struct SessionBook
{
  GHashTable *by_full;
  GHashTable *by_bare; /* -> GPtrArray */
};

struct World
{
  char *folder;
  char *config_path;
  Server server;
  SessionBook book;
  Im *im;
  guint n_accounts;
};

/* What core/session.h promises, without a socket. */

Session *
session_ref (Session *session)
{
  session->refs++;
  return session;
}

void
session_unref (Session *session)
{
  if (--session->refs > 0)
    return;
  g_assert_cmpuint (session->n_holds, ==, 0);
  for (guint i = 0; i < N_SESSION_SLOTS; i++)
    if (session->slots[i] != NULL && session->free_slots[i] != NULL)
      session->free_slots[i](session->slots[i]);
  g_array_unref (session->waiters);
  jid_unref (session->jid);
  jid_unref (session->bare);
  g_free (session->account);
  g_string_free (session->sent, TRUE);
  g_free (session);
}

const Jid *
session_get_jid (const Session *session)
{
  return session->jid;
}

const Jid *
session_get_bare (const Session *session)
{
  return session->bare;
}

const char *
session_get_account (const Session *session)
{
  return session->account;
}

gboolean
session_is_alive (const Session *session)
{
  return !session->is_dead;
}

void
session_send (Session *session, const Stanza *stanza, const StanzaRoot *root)
{
  if (session->is_dead)
    return;
  stanza_write (stanza, root, session->sent);
  g_string_append_c (session->sent, '\n');
}

void
session_send_xml (Session *session, const char *xml, gsize length)
{
  if (session->is_dead)
    return;
  g_string_append_len (session->sent, xml, (gssize)length);
  g_string_append_c (session->sent, '\n');
}

void
session_when_delivered (Session *session, SessionDelivered func, gpointer data)
{
  Waiter waiter = { func, data };
  g_array_append_val (session->waiters, waiter);
}

guint64
session_hold (Session *session)
{
  session->n_holds++;
  return ++session->next_hold;
}

void
session_release (Session *session, guint64 hold)
{
  g_assert_cmpuint (session->n_holds, >, 0);
  if (--session->n_holds == 0 && !session->is_dead)
    services_resume (session->world->server.services, session);
}

gboolean
session_is_held (const Session *session)
{
  return session->n_holds > 0;
}

void
session_hold_reading (Session *session, gboolean is_held)
{
}

gboolean
session_is_available (const Session *session)
{
  return session->is_available;
}

gint8
session_get_priority (const Session *session)
{
  return session->priority;
}

void
session_set_presence (Session *session, gboolean is_available, gint8 priority)
{
  session->is_available = is_available;
  session->priority = priority;
}

gpointer
session_get_slot (const Session *session, SessionSlot slot)
{
  return session->slots[slot];
}

void
session_set_slot (Session *session, SessionSlot slot, gpointer value, GDestroyNotify free_value)
{
  if (session->slots[slot] != NULL && session->free_slots[slot] != NULL)
    session->free_slots[slot](session->slots[slot]);
  session->slots[slot] = value;
  session->free_slots[slot] = free_value;
}

Session *
session_book_find (const SessionBook *book, const char *full_jid)
{
  return g_hash_table_lookup (book->by_full, full_jid);
}

const GPtrArray *
session_book_find_all (const SessionBook *book, const char *bare_jid)
{
  return g_hash_table_lookup (book->by_bare, bare_jid);
}

/* The world. */

static void
room_start (World *world)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *data = g_build_filename (world->folder, "data", NULL);
  Server *server = &world->server;
  server->store = store_open (data, NULL, &error);
  g_assert_no_error (error);
  server->hooks = hooks_new ();
  server->services
      = services_new (&world->book, server->hooks, server->domain, server->market, server->clock);
  server->adhoc = adhoc_new (server->services, server->domain, server->market, server->clock);
  server->router = router_new (&world->book, server->services, server->domain, server->market);
  world->im = im_new (server);
}

static void
room_stop (World *world)
{
  Server *server = &world->server;
  store_close (server->store);
  im_free (world->im);
  router_free (server->router);
  adhoc_free (server->adhoc);
  services_free (server->services);
  hooks_free (server->hooks);
}

World *
world_new (const char *limits)
{
  World *world = g_new0 (World, 1);
  g_autoptr (GError) error = NULL;
  world->folder = g_dir_make_tmp ("stoa-im-XXXXXX", NULL);
  world->config_path = g_build_filename (world->folder, "stoa.conf", NULL);
  g_autofree char *text = g_strdup_printf ("[server]\ndomain=d\ndata=/nowhere\n[xmpp]\ncertificate=/c\n"
                                           "private_key=/k\n[limits]\n%s\n",
                                           limits != NULL ? limits : "");
  g_file_set_contents (world->config_path, text, -1, NULL);
  Server *server = &world->server;
  server->config = config_load (world->config_path, &error);
  g_assert_no_error (error);
  server->clock = clock_new_fake (G_GINT64_CONSTANT (1700000000000000));
  server->domain = jid_new ("d", 1);
  server->market = jid_new ("market.d", 8);
  server->sessions = &world->book;
  world->book.by_full = g_hash_table_new (g_str_hash, g_str_equal);
  world->book.by_bare
      = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_ptr_array_unref);
  room_start (world);
  return world;
}

static void
remove_files (const char *folder)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  for (const char *name; dir != NULL && (name = g_dir_read_name (dir)) != NULL;)
    {
      g_autofree char *path = g_build_filename (folder, name, NULL);
      if (g_file_test (path, G_FILE_TEST_IS_DIR))
        remove_files (path);
      else
        g_unlink (path);
    }
  g_rmdir (folder);
}

void
world_free (World *world)
{
  GHashTableIter iter;
  gpointer session;
  g_hash_table_iter_init (&iter, world->book.by_full);
  while (g_hash_table_iter_next (&iter, NULL, &session))
    {
      world_end (world, session);
      g_hash_table_iter_init (&iter, world->book.by_full);
    }
  world_settle (world);
  room_stop (world);
  g_hash_table_unref (world->book.by_full);
  g_hash_table_unref (world->book.by_bare);
  config_free (world->server.config);
  clock_free (world->server.clock);
  jid_unref (world->server.domain);
  jid_unref (world->server.market);
  remove_files (world->folder);
  g_free (world->config_path);
  g_free (world->folder);
  g_free (world);
}

void
world_restart (World *world)
{
  g_assert_cmpuint (g_hash_table_size (world->book.by_full), ==, 0);
  room_stop (world);
  room_start (world);
}

Im *
world_get_im (World *world)
{
  return world->im;
}

Server *
world_get_server (World *world)
{
  return &world->server;
}

typedef struct
{
  const char *local;
  guint number;
} NewAccount;

static gboolean
insert_account (Db *db, gpointer data, GError **error)
{
  const NewAccount *account = data;
  g_autofree char *uuid = g_strdup_printf ("01a20000-0000-7000-8000-%012u", account->number);
  return db_run (db, error, "INSERT INTO account (uuid, local, created_us) VALUES (?, ?, 0)", "ss", uuid,
                 account->local)
         && db_run (db, error,
                    "INSERT INTO account_verifier (account, hash, iterations, salt, stored_key, server_key)"
                    " VALUES (?, 0, 1, ?, ?, ?)",
                    "sbbb", uuid, "", (gsize)0, "", (gsize)0, "", (gsize)0);
}

static void
must_succeed (gpointer data, const GError *error)
{
  g_assert_no_error (error);
}

void
world_add_account (World *world, const char *local)
{
  NewAccount account = { local, ++world->n_accounts };
  store_write (world->server.store, STORE_MARKET, insert_account, must_succeed, &account);
  world_settle (world);
}

char *
world_dup_uuid (World *world, const char *local)
{
  Account account;
  g_assert_true (accounts_find (world->server.store, local, &account));
  return g_strdup (account.uuid);
}

Session *
world_connect (World *world, const char *name)
{
  g_auto (GStrv) parts = g_strsplit (name, "/", 2);
  Session *session = g_new0 (Session, 1);
  session->refs = 1;
  session->world = world;
  session->jid = jid_new_parts (parts[0], "d", parts[1]);
  session->bare = jid_to_bare (session->jid);
  session->account = world_dup_uuid (world, parts[0]);
  session->waiters = g_array_new (FALSE, FALSE, sizeof (Waiter));
  session->sent = g_string_new (NULL);
  g_hash_table_insert (world->book.by_full, (gpointer)jid_get_full (session->jid), session);
  GPtrArray *all = g_hash_table_lookup (world->book.by_bare, jid_get_bare (session->bare));
  if (all == NULL)
    {
      all = g_ptr_array_new ();
      g_hash_table_insert (world->book.by_bare, g_strdup (jid_get_bare (session->bare)), all);
    }
  g_ptr_array_add (all, session);
  hooks_run_session (world->server.hooks, HOOK_SESSION_BOUND, session);
  return session;
}

static void
call_waiters (Session *session, gboolean was_delivered)
{
  g_autoptr (GArray) waiters = session->waiters;
  session->waiters = g_array_new (FALSE, FALSE, sizeof (Waiter));
  for (guint i = 0; i < waiters->len; i++)
    {
      Waiter *waiter = &g_array_index (waiters, Waiter, i);
      waiter->func (session, was_delivered, waiter->data);
    }
}

void
world_end (World *world, Session *session)
{
  session->is_dead = TRUE;
  g_hash_table_remove (world->book.by_full, jid_get_full (session->jid));
  GPtrArray *all = g_hash_table_lookup (world->book.by_bare, jid_get_bare (session->bare));
  g_ptr_array_remove (all, session);
  if (all->len == 0)
    g_hash_table_remove (world->book.by_bare, jid_get_bare (session->bare));
  hooks_run_session (world->server.hooks, HOOK_SESSION_ENDED, session);
  call_waiters (session, FALSE);
  session_unref (session);
  world_settle (world);
}

static Stanza *
parse (const char *xml)
{
  /* <iq …> becomes <iq xmlns='jabber:client' …>. */
  gsize n = strcspn (xml, " />");
  g_autofree char *full = g_strdup_printf ("%.*s xmlns='jabber:client'%s", (int)n, xml, xml + n);
  Stanza *stanza = stanza_new_from_bytes (full, strlen (full));
  g_assert_nonnull (stanza);
  return stanza;
}

void
world_send_now (World *world, Session *session, const char *xml)
{
  g_autoptr (Stanza) stanza = parse (xml);
  g_assert_null (stanza->from);
  stanza->from = jid_ref (session->jid);
  router_route (world->server.router, session, stanza);
}

void
world_send (World *world, Session *session, const char *xml)
{
  world_send_now (world, session, xml);
  world_settle (world);
}

static gboolean
do_nothing (Db *db, gpointer data, GError **error)
{
  return TRUE;
}

static void
mark_done (gpointer data, const GError *error)
{
  (*(guint *)data)++;
}

/* Long enough for a chain of writes, each from the done function of the one before. */
void
world_settle (World *world)
{
  for (guint turn = 0; turn < 12; turn++)
    {
      guint n_done = 0;
      store_write (world->server.store, STORE_CHAT, do_nothing, mark_done, &n_done);
      store_write (world->server.store, STORE_MARKET, do_nothing, mark_done, &n_done);
      while (n_done < 2)
        g_main_context_iteration (NULL, TRUE);
      while (g_main_context_iteration (NULL, FALSE))
        continue;
      GHashTableIter iter;
      gpointer session;
      g_autoptr (GPtrArray) quick = g_ptr_array_new ();
      g_hash_table_iter_init (&iter, world->book.by_full);
      while (g_hash_table_iter_next (&iter, NULL, &session))
        if (!((Session *)session)->is_slow)
          g_ptr_array_add (quick, session);
      for (guint i = 0; i < quick->len; i++)
        call_waiters (quick->pdata[i], TRUE);
    }
}

char *
world_take (Session *session)
{
  char *text = g_strdup (session->sent->str);
  g_string_truncate (session->sent, 0);
  return text;
}

void
world_expect_lines (const char *where, Session *session, ...)
{
  g_autoptr (GString) expected = g_string_new (NULL);
  va_list args;
  va_start (args, session);
  for (const char *line; (line = va_arg (args, const char *)) != NULL;)
    g_string_append_printf (expected, "%s\n", line);
  va_end (args);
  g_autofree char *sent = world_take (session);
  if (!g_str_equal (sent, expected->str))
    g_error ("%s: %s was sent\n%sinstead of\n%s", where, jid_get_full (session->jid), sent, expected->str);
}

void
world_expect_nothing (Session *session)
{
  g_autofree char *sent = world_take (session);
  g_assert_cmpstr (sent, ==, "");
}

void
world_set_slow (Session *session, gboolean is_slow)
{
  session->is_slow = is_slow;
}

void
world_deliver_now (Session *session)
{
  call_waiters (session, TRUE);
}

void
world_deliver (World *world, Session *session)
{
  call_waiters (session, TRUE);
  world_settle (world);
}

gboolean
world_is_held (const Session *session)
{
  return session->n_holds > 0;
}

void
world_undelivered (World *world, Session *session, const char *xml)
{
  g_autoptr (Stanza) stanza = parse (xml);
  hooks_run_undelivered (world->server.hooks, session, stanza);
  world_settle (world);
}

gint64
world_query (World *world, StoreFile file, const char *sql)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (DbQuery) query = db_query (store_peek_reader (world->server.store, file), sql, "");
  gboolean has_row = db_next (query, &error);
  g_assert_no_error (error);
  return has_row ? db_get_int (query, 0) : -1;
}
