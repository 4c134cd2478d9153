#include "common/base/faults.h"

enum
{
  DROP,
  LATE,
  DELAY,
  N_KINDS
};

static const FaultMode modes[N_KINDS] = {
  [DROP] = { "drop", FAULT_ALWAYS },
  [LATE] = { "late", FAULT_ALWAYS },
  [DELAY] = { "delay", 1000 },
};

static void
test_faults_are_read_and_counted (void)
{
  Faults faults = { 0 };
  g_assert_false (faults_take (&faults, DROP));
  g_assert_true (faults_read (&faults, modes, N_KINDS, "drop:2", NULL));
  g_assert_true (faults_read (&faults, modes, N_KINDS, "late", NULL));
  g_assert_true (faults_take (&faults, DROP));
  g_assert_true (faults_take (&faults, DROP));
  g_assert_false (faults_take (&faults, DROP));
  for (guint i = 0; i < 100; i++)
    g_assert_true (faults_take (&faults, LATE));
  g_assert_cmpint (faults_get (&faults, DELAY), ==, 0);
  g_assert_true (faults_read (&faults, modes, N_KINDS, "delay", NULL));
  g_assert_cmpint (faults_get (&faults, DELAY), ==, 1000);
}

static void
test_faults_that_are_none_are_refused (void)
{
  static const char *const bad[]
      = { "", ":", ":1", "dro", "drops", "drop:", "drop:0", "drop:-1", "drop:x", "drop:1:2" };
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      Faults faults = { 0 };
      g_autoptr (GError) error = NULL;
      g_assert_false (faults_read (&faults, modes, N_KINDS, bad[i], &error));
      g_assert_nonnull (error);
      g_assert_false (faults_take (&faults, DROP));
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/faults/are_read_and_counted", test_faults_are_read_and_counted);
  g_test_add_func ("/faults/that_are_none_are_refused", test_faults_that_are_none_are_refused);
  return g_test_run ();
}
