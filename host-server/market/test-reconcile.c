#include "host-server/market/books/test-stage.h"

#include "host-server/market/books/reconcile.h"
#include "host-server/market/rings.h"

#include <stdlib.h>
#include <string.h>

/* The checker on a store that is filled by itself. STOA_RECONCILE_ORDERS=1000000 says how long it takes. */

#define USUAL_ORDERS 300

typedef struct
{
  Fixture *f;
  guint n;
} Filling;

static gboolean
fill_one (Turn *t, guint i, GError **error)
{
  g_autofree char *order = g_strdup_printf ("o_%026u", i), *line = g_strdup_printf ("l_%026u", i);
  g_autofree char *account = g_strdup_printf ("0190f000-0000-7000-8000-%012u", i);
  g_autofree char *payment = g_strdup_printf ("pay_%u", i), *text = g_strdup_printf ("SERIAL-%u", i);
  g_autofree char *checkout = g_strdup_printf ("cs_%u", i);
  g_autofree char *label = g_strconcat ("serial ", account, " weather", NULL);
  g_autoptr (Secret) serial = secret_new (text, strlen (text));
  g_autoptr (GBytes) sealed = store_seal (t->desk->store, label, serial);
  gsize length;
  const void *bytes = g_bytes_get_data (sealed, &length);
  gboolean is_taken;
  return db_run (t->db, error,
                 "INSERT INTO purchase (id, version, account, user, provider, phase, payment, price_minor, "
                 "currency,"
                 " checkout, checkout_try, expires_us, is_decline_wanted, is_declined_by_user, paid_us, "
                 "poll_us, polls,"
                 " reason, created_us, changed_us) VALUES (?, 1, ?, 'u@d', 'stub', 'fulfilled', 'paid', 500, "
                 "'EUR', ?,"
                 " 0, 1, 0, 0, 1, 0, 0, '', 1, 1)",
                 "sss", order, account, checkout)
         && db_run (t->db, error,
                    "INSERT INTO purchase_line (id, purchase, account, plugin, term, price_minor, is_renewal,"
                    " is_open) VALUES (?, ?, ?, 'weather', '', 500, 0, 0)",
                    "sss", line, order, account)
         && db_run (
             t->db, error,
             "INSERT INTO ledger (provider, id, kind, purchase, payment, amount_minor, source, recorded_us)"
             " VALUES ('stub', ?, 'payment', ?, ?, 500, 'callback', 1)",
             "sss", payment, order, payment)
         && db_run (t->db, error,
                    "INSERT INTO generation (line, generation, version, state, source, is_fallback, counter, "
                    "paid_us,"
                    " deadline_us, reason) VALUES (?, 0, 1, 'issued', 'keygen', 0, 0, 1, 1, '')",
                    "s", line)
         && serial_bind (t, account, "weather", line, 0, serial, &is_taken, error)
         && db_run (
             t->db, error,
             "INSERT INTO entitlement (account, plugin, state, line, generation, sealed, expires_us, epoch,"
             " ver) VALUES (?, 'weather', 'active', ?, 0, ?, 0, 1, 1)",
             "ssb", account, line, bytes, length)
         && db_run (t->db, error,
                    "INSERT INTO entitlement_line (line, account, plugin, state, granted_us)"
                    " VALUES (?, ?, 'weather', 'counted', 1)",
                    "ss", line, account);
}

static gboolean
fill (Turn *t, gpointer data, GError **error)
{
  const Filling *filling = data;
  for (guint i = 1; i <= filling->n; i++)
    if (!fill_one (t, i, error))
      return FALSE;
  return TRUE;
}

static void
note (const char *kind, const char *subject, const char *what, gpointer data)
{
  g_ptr_array_add (data, g_strdup_printf ("%s %s", kind, subject));
}

static ReconcileCount
compare (Fixture *f, GPtrArray *found)
{
  g_autoptr (GError) error = NULL;
  ReconcileCount count;
  g_ptr_array_set_size (found, 0);
  g_assert_true (
      reconcile_check (&f->desk, store_peek_reader (f->store, STORE_MARKET), note, found, &count, &error));
  g_assert_no_error (error);
  g_assert_cmpint (count.differences, ==, found->len);
  return count;
}

static gboolean
run_sql (Turn *t, gpointer data, GError **error)
{
  return db_run (t->db, error, data, "");
}

static void
test_every_order_is_looked_at (Fixture *f, gconstpointer unused)
{
  const char *wanted = g_getenv ("STOA_RECONCILE_ORDERS");
  Filling filling = { f, wanted != NULL ? (guint)strtoul (wanted, NULL, 10) : USUAL_ORDERS };
  g_autoptr (GPtrArray) found = g_ptr_array_new_with_free_func (g_free);
  turn (f, fill, &filling);

  gint64 began_us = g_get_monotonic_time ();
  g_assert_cmpint (compare (f, found).orders, ==, filling.n);
  g_test_message ("%u orders compared in %.2f s", filling.n,
                  (double)(g_get_monotonic_time () - began_us) / G_USEC_PER_SEC);
  g_assert_cmpuint (found->len, ==, 0);

  /* One among them. */
  turn (f, run_sql, "UPDATE ledger SET amount_minor = 499 WHERE id = 'pay_200'");
  compare (f, found);
  g_assert_cmpuint (found->len, ==, 2);
  g_assert_cmpstr (g_ptr_array_index (found, 0), ==, "payment-differs o_00000000000000000000000200");
  g_assert_cmpstr (g_ptr_array_index (found, 1), ==, "unpaid o_00000000000000000000000200");
}

/* Each step of a purchase, as it is committed, is whole. */
static void
test_every_step_of_a_purchase_is_whole (Fixture *f, gconstpointer unused)
{
  g_autoptr (GPtrArray) found = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *order = open_order (f, "dice");
  compare (f, found);
  g_assert_cmpuint (found->len, ==, 0);
  g_assert_cmpint (pay (f, order, "pay_1", "200"), ==, BOOKS_APPLIED);
  compare (f, found);
  g_assert_cmpuint (found->len, ==, 0);
  g_assert_cmpint (pay (f, order, "pay_2", "900"), ==, BOOKS_APPLIED);
  assert_phase (f, "issuing");
  compare (f, found);
  g_assert_cmpuint (found->len, ==, 0);
  issue_from_the_pool (f);
  assert_phase (f, "fulfilled");
  compare (f, found);
  g_assert_cmpuint (found->len, ==, 0);
  g_assert_cmpint (ask (f, "SELECT COUNT (*) FROM refund WHERE state = 'due'"), ==, 1);
}

/* Rings. */

typedef struct
{
  const char *secret;
  gint64 overlap_us;
  RingOutcome outcome;
  Ring *ring;
  gboolean is_seed;
} Rotating;

static gboolean
rotate (Turn *t, gpointer data, GError **error)
{
  Rotating *rotating = data;
  g_clear_pointer (&rotating->ring, ring_free);
  g_autoptr (Secret) secret = secret_new (rotating->secret, strlen (rotating->secret));
  if (!rotating->is_seed)
    return ring_rotate (t, "vendor:zeta", secret, rotating->overlap_us, &rotating->outcome, &rotating->ring,
                        error);
  rotating->ring = ring_load (t, "vendor:zeta", secret, error);
  return rotating->ring != NULL;
}

#define FIRST  "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define SECOND "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"

static void
test_a_ring_never_takes_a_secret_twice (Fixture *f, gconstpointer unused)
{
  Rotating seed = { .secret = FIRST, .is_seed = TRUE };
  Rotating second = { .secret = SECOND, .overlap_us = 60 * G_USEC_PER_SEC };
  turn (f, rotate, &seed);
  g_assert_cmpuint (seed.ring->notes->len, ==, 1);
  g_assert_cmpint (g_array_index (seed.ring->notes, RingKey, 0).not_after_us, ==, 0);

  clock_advance_us (f->desk.clock, G_USEC_PER_SEC);
  turn (f, rotate, &second);
  g_assert_cmpint (second.outcome, ==, RING_ROTATED);
  g_assert_cmpuint (second.ring->notes->len, ==, 2);
  g_assert_cmpint (g_array_index (second.ring->notes, RingKey, 0).not_after_us, ==, 0);
  const RingKey *old = &g_array_index (second.ring->notes, RingKey, 1);
  gint64 now_us = clock_get_wall_us (f->desk.clock);
  g_assert_cmpint (old->not_after_us, ==, now_us + 60 * G_USEC_PER_SEC);
  g_assert_true (ring_key_is_good (old, now_us));
  g_assert_false (ring_key_is_good (old, old->not_after_us));

  turn (f, rotate, &second);
  g_assert_cmpint (second.outcome, ==, RING_SECRET_KNOWN);
  g_assert_null (second.ring);
  /* The file still has the first one: nothing changes by it. */
  turn (f, rotate, &seed);
  g_assert_cmpuint (seed.ring->notes->len, ==, 2);
  g_assert_cmpint (g_array_index (seed.ring->notes, RingKey, 0).not_after_us, ==, 0);
  g_assert_cmpint (g_array_index (seed.ring->notes, RingKey, 1).not_after_us, ==,
                   now_us + 60 * G_USEC_PER_SEC);

  ring_touch (seed.ring, 1, 7);
  ring_touch (seed.ring, 1, 5);
  g_assert_cmpint (g_array_index (seed.ring->notes, RingKey, 1).last_used_us, ==, 7);
  ring_free (seed.ring);
  ring_free (second.ring);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/market/reconcile/every-order-is-looked-at", Fixture, NULL, setup,
              test_every_order_is_looked_at, teardown);
  g_test_add ("/market/reconcile/every-step-of-a-purchase-is-whole", Fixture, NULL, setup,
              test_every_step_of_a_purchase_is_whole, teardown);
  g_test_add ("/market/rings/a-secret-is-never-taken-twice", Fixture, NULL, setup,
              test_a_ring_never_takes_a_secret_twice, teardown);
  return g_test_run ();
}
