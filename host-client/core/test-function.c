#include "host-client/core/function.h"

static void
test_errors_mean_what_a_caller_can_do_about_them (void)
{
  static const struct
  {
    const char *type, *condition, *application, *detail;
    FunctionOutcome outcome;
  } rows[] = {
    { "cancel", "item-not-found", NULL, NULL, FUNCTION_BAD_INPUT },
    { "auth", "forbidden", NULL, NULL, FUNCTION_DENIED },
    { "cancel", "conflict", NULL, NULL, FUNCTION_BAD_INPUT },
    { "wait", "resource-constraint", "limit-exceeded", "time", FUNCTION_FAILED },
    { "wait", "resource-constraint", "limit-exceeded", "memory", FUNCTION_FAILED },
    { "wait", "resource-constraint", "limit-exceeded", "output", FUNCTION_FAILED },
    { "wait", "resource-constraint", "limit-exceeded", "rate", FUNCTION_LATER },
    { "wait", "resource-constraint", "limit-exceeded", "conflict", FUNCTION_LATER },
    { "wait", "resource-constraint", NULL, NULL, FUNCTION_LATER },
    { "cancel", "service-unavailable", "function-failed", NULL, FUNCTION_FAILED },
    { "cancel", "service-unavailable", "function-failed", "crashed", FUNCTION_FAILED },
    { "cancel", "service-unavailable", "function-failed", "bad-input", FUNCTION_BAD_INPUT },
    { "cancel", "service-unavailable", "function-failed", "denied", FUNCTION_DENIED },
    { "cancel", "service-unavailable", "function-failed", "retry", FUNCTION_LATER },
    { "cancel", "service-unavailable", NULL, NULL, FUNCTION_LATER },
    { "wait", "internal-server-error", NULL, NULL, FUNCTION_LATER },
    { "cancel", "internal-server-error", NULL, NULL, FUNCTION_FAILED },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      StanzaError error = { .type = (char *)rows[i].type,
                            .condition = (char *)rows[i].condition,
                            .application = (char *)rows[i].application,
                            .detail = (char *)rows[i].detail };
      const char *reason = NULL;

      g_assert_cmpint (function_judge_error (&error, &reason), ==, rows[i].outcome);
      g_assert_true (reason != NULL && reason[0] != '\0');
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/function/errors-mean-what-a-caller-can-do-about-them",
                   test_errors_mean_what_a_caller_can_do_about_them);
  return g_test_run ();
}
