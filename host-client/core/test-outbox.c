#include "host-client/core/outbox.h"

#include "common/base/test-folder.h"
#include "host-client/core/folder.h"

typedef struct
{
  char *path;
  Folder *folder;
  char *account;
  Db *db;
  Clock *clock;
} Fixture;

static void
set_up (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  f->path = g_dir_make_tmp ("outbox-XXXXXX", &error);
  g_assert_no_error (error);
  f->folder = folder_open (f->path, &error);
  g_assert_no_error (error);
  f->account = folder_dup_account_path (f->folder, "alice@d", &error);
  f->db = folder_open_account (f->folder, "alice@d", &error);
  g_assert_no_error (error);
  f->clock = clock_new_fake (1000 * G_USEC_PER_SEC);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  db_close (f->db);
  folder_free (f->folder);
  clock_free (f->clock);
  test_folder_remove (f->path);
  g_free (f->account);
  g_free (f->path);
}

static guint
count_behind (Outbox *outbox, gint64 seq)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) items = outbox_list (outbox, seq, &error);
  g_assert_no_error (error);
  return items->len;
}

static char *
add (Outbox *outbox, const char *body, gint64 *seq)
{
  g_autoptr (GError) error = NULL;
  char *id = outbox_add (outbox, "bob@d", body, seq, &error);
  g_assert_no_error (error);
  g_assert_nonnull (id);
  return id;
}

static void
test_outbox_confirms_what_was_sent_and_keeps_the_rest (Fixture *f, gconstpointer data)
{
  g_autoptr (Outbox) outbox = outbox_open (f->db, f->account, f->clock, NULL);
  gint64 first, second;
  g_autofree char *a = add (outbox, "one", &first);
  g_autofree char *b = add (outbox, "two", &second);
  g_assert_true (outbox_confirm (outbox, first, NULL));
  g_autoptr (GPtrArray) items = outbox_list (outbox, 0, NULL);
  g_assert_cmpuint (items->len, ==, 1);
  const OutboxItem *item = g_ptr_array_index (items, 0);
  g_assert_cmpstr (item->id, ==, b);
  g_assert_cmpstr (item->body, ==, "two");
  g_assert_cmpint (item->created_us, ==, 1000 * G_USEC_PER_SEC);
}

/* Once it is empty, the next message must still be behind the last one that was sent. */
static void
test_outbox_never_uses_a_place_twice (Fixture *f, gconstpointer data)
{
  g_autoptr (Outbox) outbox = outbox_open (f->db, f->account, f->clock, NULL);
  gint64 first, second;
  g_autofree char *a = add (outbox, "one", &first);
  g_assert_true (outbox_confirm (outbox, first, NULL));
  g_autofree char *b = add (outbox, "two", &second);
  g_assert_cmpint (second, >, first);
  g_assert_cmpuint (count_behind (outbox, first), ==, 1);
}

static void
test_outbox_of_a_living_process_is_left_alone (Fixture *f, gconstpointer data)
{
  g_autoptr (Outbox) mine = outbox_open (f->db, f->account, f->clock, NULL);
  g_autoptr (Outbox) other = outbox_open (f->db, f->account, f->clock, NULL);
  g_autofree char *id = add (other, "its own", NULL);
  g_assert_true (outbox_adopt (mine, NULL));
  g_assert_cmpuint (count_behind (mine, 0), ==, 0);
  g_assert_cmpuint (count_behind (other, 0), ==, 1);
}

static void
test_outbox_of_an_ended_process_is_adopted_once (Fixture *f, gconstpointer data)
{
  Outbox *gone = outbox_open (f->db, f->account, f->clock, NULL);
  g_autofree char *id = add (gone, "left behind", NULL);
  outbox_free (gone);
  g_autoptr (Outbox) one = outbox_open (f->db, f->account, f->clock, NULL);
  g_autoptr (Outbox) other = outbox_open (f->db, f->account, f->clock, NULL);
  g_assert_true (outbox_adopt (one, NULL));
  g_assert_true (outbox_adopt (other, NULL));
  g_assert_cmpuint (count_behind (one, 0), ==, 1);
  g_assert_cmpuint (count_behind (other, 0), ==, 0);
}

static void
test_outbox_beyond_its_limit_refuses (Fixture *f, gconstpointer data)
{
  g_autoptr (Outbox) outbox = outbox_open (f->db, f->account, f->clock, NULL);
  g_assert_true (db_begin (f->db, NULL));
  for (guint i = 0; i < OUTBOX_MAX; i++)
    g_free (add (outbox, "x", NULL));
  g_assert_true (db_commit (f->db, NULL));
  g_autoptr (GError) error = NULL;
  g_assert_null (outbox_add (outbox, "bob@d", "one too many", NULL, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (count_behind (outbox, 0), ==, OUTBOX_MAX);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, function) g_test_add ("/client/outbox/" name, Fixture, NULL, set_up, function, tear_down)
  ADD ("confirms_what_was_sent_and_keeps_the_rest", test_outbox_confirms_what_was_sent_and_keeps_the_rest);
  ADD ("never_uses_a_place_twice", test_outbox_never_uses_a_place_twice);
  ADD ("of_a_living_process_is_left_alone", test_outbox_of_a_living_process_is_left_alone);
  ADD ("of_an_ended_process_is_adopted_once", test_outbox_of_an_ended_process_is_adopted_once);
  ADD ("beyond_its_limit_refuses", test_outbox_beyond_its_limit_refuses);
  return g_test_run ();
}
