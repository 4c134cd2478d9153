#include "host-client/cli/arguments.h"

#define PIN "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static Arguments *
parse (const char *line, GError **error)
{
  g_auto (GStrv) words = NULL;
  g_assert_true (g_shell_parse_argv (line, NULL, &words, NULL));
  return arguments_parse ((const char *const *)words, error);
}

static void
test_arguments_of_every_command_are_read (void)
{
  const struct
  {
    const char *line;
    CommandKind command;
    guint n_words;
  } rows[] = {
    { "host-client", COMMAND_INTERACTIVE, 0 },
    { "host-client --account a@b login", COMMAND_LOGIN, 0 },
    { "host-client send bob@d 'two words' --json", COMMAND_SEND, 2 },
    { "host-client send -- bob@d '--not-an-option'", COMMAND_SEND, 2 },
    { "host-client listen --for 2.5", COMMAND_LISTEN, 0 },
    { "host-client roster add bob@d Bob", COMMAND_ROSTER, 3 },
    { "host-client catalog weather", COMMAND_CATALOG, 1 },
    { "host-client buy weather --yes", COMMAND_BUY, 1 },
    { "host-client order o_1", COMMAND_ORDER, 1 },
    { "host-client receipt o_1", COMMAND_RECEIPT, 1 },
    { "host-client plugin use weather --yes --to bob@d -- weather Lisbon --now", COMMAND_PLUGIN, 5 },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (Arguments) arguments = parse (rows[i].line, &error);
      g_assert_no_error (error);
      g_assert_cmpint (arguments->command, ==, rows[i].command);
      g_assert_cmpuint (arguments->n_words, ==, rows[i].n_words);
    }
}

static void
test_arguments_that_are_wrong_are_refused (void)
{
  const char *rows[] = {
    "host-client fly",
    "host-client send bob@d",
    "host-client send bob@d a b",
    "host-client roster",
    "host-client roster dance bob@d",
    "host-client buy",
    "host-client receipt",
    "host-client --pin abc",
    "host-client --password-fd x",
    "host-client --password-fd -1",
    "host-client --unknown",
    "host-client login --yes",
    "host-client send a b --for 1",
    "host-client listen --for",
    "host-client listen --for 0",
    "host-client buy weather --to bob@d",
    "host-client --password secret",
    "host-client plugin use",
    "host-client --pin " PIN "00",
  };
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (Arguments) arguments = parse (rows[i], &error);
      g_test_message ("%s", rows[i]);
      g_assert_null (arguments);
      g_assert_nonnull (error);
      g_assert_true (error->domain == G_OPTION_ERROR);
    }
}

static void
test_arguments_pin_is_read_as_certificates_are_shown (void)
{
  g_autoptr (Arguments) plain = parse ("host-client --pin " PIN " login", NULL);
  g_assert_cmpstr (plain->pin, ==, PIN);
  g_autoptr (GString) colons = g_string_new ("host-client --pin ");
  for (int i = 0; i < 64; i += 2)
    g_string_append_printf (colons, "%s%c%c", i > 0 ? ":" : "", g_ascii_toupper (PIN[i]),
                            g_ascii_toupper (PIN[i + 1]));
  g_string_append (colons, " login");
  g_autoptr (Arguments) shown = parse (colons->str, NULL);
  g_assert_nonnull (shown);
  g_assert_cmpstr (shown->pin, ==, PIN);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/client/arguments/of_every_command_are_read", test_arguments_of_every_command_are_read);
  g_test_add_func ("/client/arguments/that_are_wrong_are_refused", test_arguments_that_are_wrong_are_refused);
  g_test_add_func ("/client/arguments/pin_is_read_as_certificates_are_shown",
                   test_arguments_pin_is_read_as_certificates_are_shown);
  return g_test_run ();
}
