#include "host-server/market/books/reports.h"
#include "host-server/market/books/roles.h"
#include "host-server/market/books/test-stage.h"
#include "host-server/market/notices.h"

/* Roles, what they see of the books, and which orders are told by message. */

typedef struct
{
  const char *account;
  Role role;
  const char *vendor;
  gboolean is_taken;
  RoleOutcome outcome;
} Change;

static gboolean
change_work (Turn *t, gpointer data, GError **error)
{
  Change *change = data;
  return change->is_taken
             ? role_take (t, change->account, change->role, change->vendor, &change->outcome, error)
             : role_give (t, change->account, change->role, change->vendor, &change->outcome, error);
}

static void
give (Fixture *f, const char *account, Role role, const char *vendor, RoleOutcome expected)
{
  Change change = { account, role, vendor, FALSE };
  turn (f, change_work, &change);
  g_assert_cmpint (change.outcome, ==, expected);
}

static void
take (Fixture *f, const char *account, Role role, const char *vendor, RoleOutcome expected)
{
  Change change = { account, role, vendor, TRUE };
  turn (f, change_work, &change);
  g_assert_cmpint (change.outcome, ==, expected);
}

static gboolean
sql_work (Turn *t, gpointer data, GError **error)
{
  return db_run (t->db, error, data, "");
}

/* Two accounts, as registration makes them, and a second vendor. */
static void
make_people (Fixture *f)
{
  turn (f, sql_work,
        (gpointer) "INSERT INTO account (uuid, local, created_us) VALUES ('" ALICE "', 'alice', 0), ('" BOB
                   "', 'bob', 0)");
  turn (f, sql_work, (gpointer) "INSERT INTO vendor (id, created_us) VALUES ('globex', 0)");
}

static Db *
reader (Fixture *f)
{
  return store_peek_reader (f->store, STORE_MARKET);
}

static gsize
count (Fixture *f, gboolean (*report) (Db *, const char *, json_t *, GError **), const char *member)
{
  g_autoptr (GError) error = NULL;
  json_t *rows = json_array ();
  report (reader (f), member, rows, &error);
  g_assert_no_error (error);
  gsize n = json_array_size (rows);
  json_decref (rows);
  return n;
}

static void
test_roles_are_given_and_taken_once (Fixture *f, gconstpointer unused)
{
  make_people (f);
  g_assert_false (role_has_any (reader (f), ALICE));
  give (f, ALICE, ROLE_VENDOR, "acme", ROLE_CHANGED);
  give (f, ALICE, ROLE_VENDOR, "acme", ROLE_AS_BEFORE);
  give (f, ALICE, ROLE_VENDOR, "initech", ROLE_NO_VENDOR);
  give (f, BOB, ROLE_ADMINISTRATOR, "", ROLE_CHANGED);
  g_assert_true (role_has_any (reader (f), ALICE));
  g_assert_false (role_is_administrator (reader (f), ALICE));
  g_assert_true (role_may_act_for (reader (f), ALICE, "acme"));
  g_assert_false (role_may_act_for (reader (f), ALICE, "globex"));
  g_assert_true (role_may_act_for (reader (f), BOB, "globex"));
  g_assert_true (role_may_act_for (reader (f), NULL, "globex"));
  take (f, ALICE, ROLE_VENDOR, "acme", ROLE_CHANGED);
  take (f, ALICE, ROLE_VENDOR, "acme", ROLE_AS_BEFORE);
  g_assert_false (role_may_act_for (reader (f), ALICE, "acme"));
}

static void
test_roles_go_with_the_account (Fixture *f, gconstpointer unused)
{
  make_people (f);
  give (f, ALICE, ROLE_ADMINISTRATOR, "", ROLE_CHANGED);
  turn (f, sql_work, (gpointer) "DELETE FROM account WHERE local = 'alice'");
  g_assert_cmpint (ask (f, "SELECT COUNT (*) FROM account_role"), ==, 0);
}

static void
test_roles_see_their_own_part_of_the_books (Fixture *f, gconstpointer unused)
{
  make_people (f);
  give (f, ALICE, ROLE_VENDOR, "globex", ROLE_CHANGED);
  gsize n_plugins = count (f, report_plugins, NULL), n_pools = count (f, report_pools, NULL);
  g_assert_cmpuint (n_plugins, >, 0);
  g_assert_cmpuint (n_pools, >, 0);
  g_assert_cmpuint (count (f, report_plugins, ALICE), ==, 0);
  g_assert_cmpuint (count (f, report_pools, ALICE), ==, 0);
  give (f, ALICE, ROLE_VENDOR, "acme", ROLE_CHANGED);
  g_assert_cmpuint (count (f, report_plugins, ALICE), ==, n_plugins);
  give (f, BOB, ROLE_ADMINISTRATOR, "", ROLE_CHANGED);
  g_assert_cmpuint (count (f, report_pools, BOB), ==, n_pools);
}

/* Sales show the vendor's name for the user, and nothing else of them. */
static void
test_roles_sales_name_no_user (Fixture *f, gconstpointer unused)
{
  make_people (f);
  give (f, BOB, ROLE_VENDOR, "acme", ROLE_CHANGED);
  g_autofree char *order = open_order (f, "weather");
  g_autoptr (GError) error = NULL;
  json_t *rows = json_array ();
  report_sales (&f->desk, reader (f), BOB, rows, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (json_array_size (rows), ==, 1);
  const json_t *row = json_array_get (rows, 0);
  g_autofree char *name = pairwise_name (f->desk.keys.pairwise, "acme", ALICE);
  g_assert_cmpstr (json_string_value (json_object_get (row, "order")), ==, order);
  g_assert_cmpstr (json_string_value (json_object_get (row, "user")), ==, name);
  char *text = json_dumps (row, 0);
  g_assert_null (strstr (text, ALICE));
  g_assert_null (strstr (text, "@"));
  free (text);
  json_decref (rows);
}

typedef struct
{
  const char *order;
  GPtrArray *ids;
} Telling;

static gboolean
want_work (Turn *t, gpointer data, GError **error)
{
  return notices_want (t, ((Telling *)data)->order, error)
         && notices_want (t, ((Telling *)data)->order, error); /* again: nothing more */
}

static gboolean
expire_and_record (Turn *t, gpointer data, GError **error)
{
  Telling *telling = data;
  return expire_order (t, (gpointer)telling->order, error) && notices_record (t, telling->ids, error);
}

static void
test_roles_notices_are_of_marked_orders_alone (Fixture *f, gconstpointer marked)
{
  g_autofree char *order = open_order (f, "weather");
  g_autoptr (GPtrArray) ids = g_ptr_array_new_with_free_func (g_free);
  Telling telling = { order, ids };
  if (marked != NULL)
    turn (f, want_work, &telling);
  clock_advance_us (f->desk.clock, G_GINT64_CONSTANT (7200) * G_USEC_PER_SEC);
  turn (f, expire_and_record, &telling);
  assert_phase (f, "expired");
  g_assert_cmpuint (ids->len, ==, marked != NULL ? 1 : 0);
  g_assert_cmpint (ask (f, "SELECT COUNT (*) FROM notice WHERE state = 'expired'"), ==, (gint64)ids->len);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, data, func) g_test_add ("/market/roles/" name, Fixture, data, setup, func, teardown)
  ADD ("are-given-and-taken-once", NULL, test_roles_are_given_and_taken_once);
  ADD ("go-with-the-account", NULL, test_roles_go_with_the_account);
  ADD ("see-their-own-part-of-the-books", NULL, test_roles_see_their_own_part_of_the_books);
  ADD ("sales-name-no-user", NULL, test_roles_sales_name_no_user);
  ADD ("notices-are-of-marked-orders", "marked", test_roles_notices_are_of_marked_orders_alone);
  ADD ("notices-are-not-of-others", NULL, test_roles_notices_are_of_marked_orders_alone);
#undef ADD
  return g_test_run ();
}
