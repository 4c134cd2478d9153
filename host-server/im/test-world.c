#include "host-server/im/test-world.h"

#include "common/base/test-folder.h"
#include "host-server/core/adhoc.h"
#include "host-server/core/test-sessions.h"
#include "host-server/store/accounts.h"

#include <string.h>

struct World
{
  char *folder;
  char *config_path;
  Server server;
  SessionBook book;
  Im *im;
  guint n_accounts;
};

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
  test_session_book_init (&world->book);
  room_start (world);
  return world;
}

void
world_free (World *world)
{
  while (world->book.sessions->len > 0)
    world_end (world, world->book.sessions->pdata[0]);
  world_settle (world);
  room_stop (world);
  test_session_book_clear (&world->book);
  config_free (world->server.config);
  clock_free (world->server.clock);
  jid_unref (world->server.domain);
  jid_unref (world->server.market);
  test_folder_remove (world->folder);
  g_free (world->config_path);
  g_free (world->folder);
  g_free (world);
}

void
world_restart (World *world)
{
  g_assert_cmpuint (world->book.sessions->len, ==, 0);
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
  g_autofree char *full = g_strdup_printf ("%s@d/%s", parts[0], parts[1]);
  g_autofree char *account = world_dup_uuid (world, parts[0]);
  Session *session = test_session_bind (&world->book, full, account);
  session->services = world->server.services;
  hooks_run_session (world->server.hooks, HOOK_SESSION_BOUND, session);
  return session;
}

void
world_end (World *world, Session *session)
{
  test_session_end (&world->book, session);
  hooks_run_session (world->server.hooks, HOOK_SESSION_ENDED, session);
  test_session_deliver (session, FALSE);
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
      g_autoptr (GPtrArray) quick = g_ptr_array_new ();
      for (guint i = 0; i < world->book.sessions->len; i++)
        if (!((Session *)world->book.sessions->pdata[i])->is_slow)
          g_ptr_array_add (quick, world->book.sessions->pdata[i]);
      for (guint i = 0; i < quick->len; i++)
        test_session_deliver (quick->pdata[i], TRUE);
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
  test_session_deliver (session, TRUE);
}

void
world_deliver (World *world, Session *session)
{
  test_session_deliver (session, TRUE);
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
