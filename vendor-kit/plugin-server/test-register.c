#include "vendor-kit/plugin-server/register.h"

#include "common/base/db.h"

#include <glib/gstdio.h>

#define NOW G_GINT64_CONSTANT (1795400000)
#define DAY G_GINT64_CONSTANT (86400)

typedef struct
{
  char *folder;
  Clock *clock;
  Register *reg;
} Fixture;

static void
open_register (Fixture *f, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;
  f->folder = g_dir_make_tmp ("register-XXXXXX", &error);
  g_assert_no_error (error);
  f->clock = clock_new_fake (NOW * G_USEC_PER_SEC);
  f->reg = register_open (f->folder, f->clock, &error);
  g_assert_no_error (error);
}

static void
close_register (Fixture *f, gconstpointer unused)
{
  static const char *const names[] = { "register.db", "register.db-wal", "register.db-shm" };
  register_close (f->reg);
  clock_free (f->clock);
  for (gsize i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autofree char *path = g_build_filename (f->folder, names[i], NULL);
      g_unlink (path);
    }
  g_rmdir (f->folder);
  g_free (f->folder);
}

static void
add (Fixture *f, const char *request, const char *serial, const char *user, gint64 expires_s)
{
  g_autoptr (GError) error = NULL;
  const RegisterRow row = { (char *)request, (char *)serial, (char *)user, (char *)"P1M", expires_s, FALSE };
  register_add (f->reg, &row, &error);
  g_assert_no_error (error);
}

static gint64
end_of (Fixture *f, const char *serial)
{
  g_autoptr (RegisterSerial) found = register_find_serial (f->reg, serial, NULL);
  g_assert_nonnull (found);
  return found->is_void ? -1 : found->expires_s;
}

static void
test_register_serial_of_several_requests_runs_as_long_as_the_longest (Fixture *f, gconstpointer unused)
{
  add (f, "l_1.0", "S", "ann", NOW + DAY);
  add (f, "l_2.0", "S", "ann", NOW + 2 * DAY);
  g_assert_cmpint (end_of (f, "S"), ==, NOW + 2 * DAY);
  g_assert_true (register_void (f->reg, "l_2.0", NULL));
  g_assert_cmpint (end_of (f, "S"), ==, NOW + DAY);
  add (f, "l_3.0", "S", "ann", 0);
  g_assert_cmpint (end_of (f, "S"), ==, 0);
  g_assert_true (register_void (f->reg, "l_3.0", NULL));
  g_assert_true (register_void (f->reg, "l_1.0", NULL));
  g_assert_cmpint (end_of (f, "S"), ==, -1);
  g_assert_null (register_find_serial (f->reg, "T", NULL));
}

static void
test_register_serial_is_one_users_for_ever (Fixture *f, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;
  add (f, "l_1.0", "S", "ann", NOW + DAY);
  g_assert_true (register_void (f->reg, "l_1.0", NULL));
  RegisterRow row = { (char *)"l_2.0", (char *)"S", (char *)"bob", NULL, 0, FALSE };
  g_assert_false (register_add (f->reg, &row, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_CONSTRAINT);
  g_clear_error (&error);
  row.serial = (char *)"T";
  row.request = (char *)"l_1.0";
  g_assert_false (register_add (f->reg, &row, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_CONSTRAINT);
  g_assert_null (register_find_serial (f->reg, "T", NULL)); /* nothing is half there */
}

static void
test_register_renews_what_runs_longest_of_another_line (Fixture *f, gconstpointer unused)
{
  g_assert_null (register_find_renewed (f->reg, "ann", "l_9.0", NULL));
  add (f, "l_1.0", "S", "ann", NOW + DAY);
  add (f, "l_1.1", "T", "ann", NOW + 9 * DAY);
  add (f, "l_2.0", "U", "ann", NOW + 2 * DAY);
  add (f, "l_3.0", "V", "ann", 0);
  add (f, "l_10.0", "W", "bob", NOW + 30 * DAY);
  g_autoptr (RegisterRow) longest = register_find_renewed (f->reg, "ann", "l_9.0", NULL);
  g_assert_cmpstr (longest->serial, ==, "T");
  /* A replacement on its own line is no renewal of what it replaces. */
  g_autoptr (RegisterRow) other = register_find_renewed (f->reg, "ann", "l_1.2", NULL);
  g_assert_cmpstr (other->serial, ==, "U");
  g_assert_true (register_void (f->reg, "l_2.0", NULL));
  g_assert_null (register_find_renewed (f->reg, "ann", "l_1.2", NULL));
}

static void
test_register_void_is_remembered_unseen (Fixture *f, gconstpointer unused)
{
  g_assert_true (register_void (f->reg, "l_1.0", NULL));
  g_autoptr (RegisterRow) row = register_find_request (f->reg, "l_1.0", NULL);
  g_assert_true (row->is_void);
  g_assert_null (row->serial);
}

static void
test_register_token_stays_revoked_and_is_forgotten_a_day_after_its_end (Fixture *f, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;
  g_assert_true (register_put_token (f->reg, "t-1", "one", "ann", NOW + 600, NULL));
  g_assert_true (register_revoke_token (f->reg, "t-1", NULL));
  g_assert_true (register_put_token (f->reg, "t-1", "one", "ann", NOW + 600, NULL));
  g_autoptr (RegisterToken) found = register_find_token (f->reg, "one", NULL);
  g_assert_true (found->is_revoked);
  g_assert_false (register_put_token (f->reg, "t-2", "one", "ann", NOW + 600, &error));
  g_assert_error (error, DB_ERROR, DB_ERROR_CONSTRAINT);
  clock_advance_us (f->clock, 2 * DAY * G_USEC_PER_SEC);
  g_assert_true (register_put_token (f->reg, "t-3", "three", "ann", NOW + 3 * DAY, NULL));
  g_assert_null (register_find_token (f->reg, "one", NULL));
}

static void
test_register_of_the_first_version_is_taken_over (void)
{
  static const char *const first[] = {
    "CREATE TABLE serials (request TEXT PRIMARY KEY, serial TEXT UNIQUE, holder TEXT, term TEXT,"
    "  expires_s INTEGER NOT NULL, is_void INTEGER NOT NULL);"
    "CREATE TABLE tokens (jti TEXT PRIMARY KEY, digest TEXT UNIQUE, holder TEXT, expires_s INTEGER NOT NULL,"
    "  is_revoked INTEGER NOT NULL);"
    "CREATE INDEX tokens_expires ON tokens (expires_s);",
  };
  Fixture f = { 0 };
  g_autoptr (GError) error = NULL;
  f.folder = g_dir_make_tmp ("register-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (f.folder, "register.db", NULL);
  Db *db = db_open (path, DB_OPEN_FULL, NULL);
  g_assert_true (db_migrate (db, first, G_N_ELEMENTS (first), NULL));
  g_assert_true (
      db_run (db, NULL,
              "INSERT INTO serials VALUES ('l_1.0', 'S', 'ann', 'P1M', ?, 0), ('l_2.0', 'T', 'bob', NULL, 0,"
              " 1), ('l_3.0', NULL, NULL, NULL, 0, 1)",
              "i", NOW + DAY));
  db_close (db);
  f.clock = clock_new_fake (NOW * G_USEC_PER_SEC);
  f.reg = register_open (f.folder, f.clock, &error);
  g_assert_no_error (error);
  g_assert_cmpint (end_of (&f, "S"), ==, NOW + DAY);
  g_assert_cmpint (end_of (&f, "T"), ==, -1);
  g_autoptr (RegisterRow) unseen = register_find_request (f.reg, "l_3.0", NULL);
  g_assert_true (unseen->is_void);
  close_register (&f, NULL);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define TEST(name)                                                                                           \
  g_test_add ("/plugin-server/register_" #name, Fixture, NULL, open_register, test_register_##name,          \
              close_register)
  TEST (serial_of_several_requests_runs_as_long_as_the_longest);
  TEST (serial_is_one_users_for_ever);
  TEST (renews_what_runs_longest_of_another_line);
  TEST (void_is_remembered_unseen);
  TEST (token_stays_revoked_and_is_forgotten_a_day_after_its_end);
  g_test_add_func ("/plugin-server/register_of_the_first_version_is_taken_over",
                   test_register_of_the_first_version_is_taken_over);
  return g_test_run ();
}
