#include "host-client/core/function.h"

static void
test_ends_mean_what_a_caller_can_do_about_them (void)
{
  static const struct
  {
    FunctionCallOutcome end;
    const char *detail;
    FunctionOutcome outcome;
  } rows[] = {
    { FUNCTION_CALL_DONE, NULL, FUNCTION_DONE },
    { FUNCTION_CALL_NOT_FOUND, NULL, FUNCTION_BAD_INPUT },
    { FUNCTION_CALL_FORBIDDEN, NULL, FUNCTION_DENIED },
    { FUNCTION_CALL_CONFLICT, NULL, FUNCTION_BAD_INPUT },
    { FUNCTION_CALL_LIMIT, "time", FUNCTION_FAILED },
    { FUNCTION_CALL_LIMIT, "memory", FUNCTION_FAILED },
    { FUNCTION_CALL_LIMIT, "output", FUNCTION_FAILED },
    { FUNCTION_CALL_LIMIT, "rate", FUNCTION_LATER },
    { FUNCTION_CALL_LIMIT, "conflict", FUNCTION_LATER },
    { FUNCTION_CALL_FAILED, NULL, FUNCTION_FAILED },
    { FUNCTION_CALL_FAILED, "internal", FUNCTION_FAILED },
    { FUNCTION_CALL_FAILED, "bad-input", FUNCTION_BAD_INPUT },
    { FUNCTION_CALL_FAILED, "denied", FUNCTION_DENIED },
    { FUNCTION_CALL_FAILED, "expired", FUNCTION_DENIED },
    { FUNCTION_CALL_FAILED, "retry", FUNCTION_LATER },
    { FUNCTION_CALL_FAILED, "unavailable", FUNCTION_LATER },
    { FUNCTION_CALL_REFUSED, NULL, FUNCTION_LATER },
    { FUNCTION_CALL_UNKNOWN, NULL, FUNCTION_LATER },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      const char *reason = NULL;

      g_assert_cmpint (function_judge_end (rows[i].end, rows[i].detail, &reason), ==, rows[i].outcome);
      g_assert_true ((reason[0] == '\0') == (rows[i].outcome == FUNCTION_DONE));
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/function/ends-mean-what-a-caller-can-do-about-them",
                   test_ends_mean_what_a_caller_can_do_about_them);
  return g_test_run ();
}
