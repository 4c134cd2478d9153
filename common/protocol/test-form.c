#include "common/protocol/charge.h"
#include "common/protocol/form.h"

#include <string.h>

/* Forms and what people are shown of a charge. */

static Form *
make_form (void)
{
  Form *form = form_new ("Buy & <sell>");
  form_add_instructions (form, "Choose.");
  FormField *field = form_add (form, FORM_CHOICE, "plugin", "Plugin");
  form_field_require (field);
  form_field_describe (field, "which one");
  form_field_add_option (field, "weather", "Weather, 5.00 EUR");
  form_field_add_option (field, "dice", NULL);
  field = form_add (form, FORM_TEXT, "count", "How many");
  form_field_set_range (field, 1, 10);
  form_field_add_value (field, "1");
  field = form_add (form, FORM_TEXT, "code", "Code");
  form_field_set_pattern (field, "[a-z]{2}|[0-9]+");
  form_add (form, FORM_YES_NO, "trial", "Only try");
  field = form_add (form, FORM_LINES, "keys", "Keys");
  form_field_set_limit (field, 40);
  field = form_add (form, FORM_CHOICES, "colours", "Colours");
  form_field_add_option (field, "red", NULL);
  form_field_add_option (field, "blue", NULL);
  field = form_add (form, FORM_HIDDEN, "FORM_TYPE", NULL);
  form_field_add_value (field, "test:form");
  form_add_shown (form, "price", "Price: 5.00 EUR");
  return form;
}

static gboolean
fill (Form *form, const char *xml, GError **error)
{
  xmpp_ctx_t *context = xmpp_ctx_new (NULL, NULL);
  xmpp_stanza_t *x = xmpp_stanza_new_from_string (context, xml);
  g_assert_nonnull (x);
  gboolean is_filled = form_fill (form, x, error);
  xmpp_stanza_release (x);
  xmpp_ctx_free (context);
  return is_filled;
}

#define SUBMIT(fields)    "<x xmlns='jabber:x:data' type='submit'>" fields "</x>"
#define FIELD(var, value) "<field var='" var "'><value>" value "</value></field>"

static void
test_form_is_written_as_the_specification_shows_it (void)
{
  g_autoptr (Form) form = make_form ();
  g_autoptr (GString) xml = g_string_new (NULL);
  form_write (form, FORM_TO_FILL, xml);
  g_assert_cmpstr (xml->str, ==,
                   "<x xmlns='jabber:x:data' type='form'><title>Buy &amp; &lt;sell&gt;</title>"
                   "<instructions>Choose.</instructions>"
                   "<field var='plugin' type='list-single' label='Plugin'><desc>which one</desc><required/>"
                   "<option label='Weather, 5.00 EUR'><value>weather</value></option>"
                   "<option><value>dice</value></option></field>"
                   "<field var='count' type='text-single' label='How many'>"
                   "<validate xmlns='http://jabber.org/protocol/xdata-validate' datatype='xs:integer'>"
                   "<range min='1' max='10'/></validate><value>1</value></field>"
                   "<field var='code' type='text-single' label='Code'>"
                   "<validate xmlns='http://jabber.org/protocol/xdata-validate' datatype='xs:string'>"
                   "<regex>[a-z]{2}|[0-9]+</regex></validate></field>"
                   "<field var='trial' type='boolean' label='Only try'></field>"
                   "<field var='keys' type='text-multi' label='Keys'></field>"
                   "<field var='colours' type='list-multi' label='Colours'>"
                   "<option><value>red</value></option><option><value>blue</value></option></field>"
                   "<field var='FORM_TYPE' type='hidden'><value>test:form</value></field>"
                   "<field var='price' type='fixed'><value>Price: 5.00 EUR</value></field></x>");
}

static void
test_form_rows_are_fields_of_lines (void)
{
  g_autoptr (Form) form = form_new (NULL);
  form_add_column (form, "Order");
  form_add_column (form, "State");
  form_add_column (form, "Charging page");
  form_add_row (form);
  form_add_cell (form, "o_1");
  form_add_cell (form, "awaiting & paid");
  form_add_cell (form, "https://pay.example/?a=1&b=2");
  form_add_row (form);
  form_add_cell (form, "o_2");
  form_add_cell (form, "paid");
  form_add_cell (form, NULL);
  g_autoptr (GString) xml = g_string_new (NULL);
  form_write (form, FORM_RESULT, xml);
  g_assert_cmpuint (form_count_rows (form), ==, 2);
  g_assert_cmpstr (xml->str, ==,
                   "<x xmlns='jabber:x:data' type='result'><field var='o_1' type='text-multi' label='o_1'>"
                   "<value>State: awaiting &amp; paid</value>"
                   "<value>Charging page: https://pay.example/?a=1&amp;b=2</value></field>"
                   "<field var='o_2' type='text-multi' label='o_2'><value>State: paid</value></field></x>");
}

static void
test_form_takes_what_is_submitted_and_keeps_what_is_left_out (void)
{
  g_autoptr (Form) form = make_form ();
  g_autoptr (GError) error = NULL;
  fill (form,
        SUBMIT (FIELD ("plugin", "dice") FIELD ("unknown", "x") FIELD ("trial", "true") FIELD (
            "price", "1") "<field var='keys'><value>A-1</value><value/><value>A-2\nA-3</value></field>"
                          "<field var='colours'><value>red</value><value>blue</value></field><field/>"),
        &error);
  g_assert_no_error (error);
  g_autofree char *keys = form_dup_lines (form, "keys");
  g_assert_cmpstr (keys, ==, "A-1\n\nA-2\nA-3\n");
  g_assert_cmpstr (form_get (form, "plugin"), ==, "dice");
  g_assert_cmpstr (form_get (form, "count"), ==, "1"); /* as it was given */
  g_assert_cmpstr (form_get (form, "price"), ==, "Price: 5.00 EUR");
  g_assert_true (form_get_bool (form, "trial"));
  g_assert_null (form_get (form, "code"));
  g_assert_null (form_get (form, "unknown"));
  fill (form, SUBMIT (FIELD ("plugin", "weather") FIELD ("trial", "0") FIELD ("count", "")), &error);
  g_assert_no_error (error);
  g_assert_cmpstr (form_get (form, "plugin"), ==, "weather");
  g_assert_false (form_get_bool (form, "trial"));
  g_assert_null (form_get (form, "count")); /* an empty one is none */
}

static void
test_form_refuses_by_field_and_rule_and_changes_nothing (void)
{
  static const struct
  {
    const char *xml, *message;
  } rows[] = {
    { SUBMIT (""), "Plugin (plugin): is required" },
    { SUBMIT (FIELD ("plugin", "")), "Plugin (plugin): is required" },
    { SUBMIT (FIELD ("plugin", "chess")), "Plugin (plugin): is not one of the choices" },
    { SUBMIT (FIELD ("plugin", "dice") FIELD ("plugin", "dice")), "plugin: stands there twice" },
    { SUBMIT ("<field var='plugin'><value>dice</value><value>weather</value></field>"),
      "Plugin (plugin): takes one value" },
    { SUBMIT (FIELD ("plugin", "dice") FIELD ("count", "11")),
      "How many (count): must be a whole number in its range" },
    { SUBMIT (FIELD ("plugin", "dice") FIELD ("count", "1.5")),
      "How many (count): must be a whole number in its range" },
    { SUBMIT (FIELD ("plugin", "dice") FIELD ("code", "abc")),
      "Code (code): does not have the form that is asked for" },
    { SUBMIT (FIELD ("plugin", "dice") FIELD ("code", "12\n")), "Code (code): must be one line" },
    { SUBMIT (FIELD ("plugin", "dice") FIELD ("trial", "maybe")), "Only try (trial): must be true or false" },
    { SUBMIT (FIELD ("plugin", "dice") FIELD ("colours", "green")),
      "Colours (colours): is not one of the choices" },
    { SUBMIT (FIELD ("plugin", "dice") FIELD ("FORM_TYPE", "other")), "FORM_TYPE: must come back as it was" },
    { SUBMIT (FIELD ("plugin", "dice") "<field var='keys'><value>12345678901234567890</value>"
                                       "<value>12345678901234567890</value></field>"),
      "Keys (keys): is longer than 40 bytes" },
    { SUBMIT (FIELD ("plugin", "dice") FIELD ("keys", "12345678901234567890123456789012345678901")),
      "<value/>: its text is longer than 40 bytes" },
    { "<x xmlns='jabber:x:data' type='form'/>", "<x/>: type='submit' expected" },
    { "<x xmlns='jabber:x:oob' type='submit'/>", "<x xmlns='jabber:x:data'/> expected" },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (Form) form = make_form ();
      g_autoptr (GError) error = NULL;
      g_assert_false (fill (form, rows[i].xml, &error));
      g_assert_error (error, PROTOCOL_ERROR, PROTOCOL_ERROR_BAD);
      g_assert_cmpstr (error->message, ==, rows[i].message);
      g_assert_null (form_get (form, "plugin"));
      g_assert_cmpstr (form_get (form, "count"), ==, "1");
    }
}

static void
test_form_without_a_submission_stands_by_what_it_had (void)
{
  g_autoptr (Form) form = make_form ();
  g_autoptr (GError) error = NULL;
  g_assert_false (form_fill (form, NULL, &error));
  g_clear_error (&error);
  g_assert_false (form_preset (form, "plugin", "chess", &error));
  g_clear_error (&error);
  g_assert_true (form_preset (form, "plugin", "dice", &error));
  g_assert_true (form_fill (form, NULL, &error));
  g_assert_cmpstr (form_get (form, "plugin"), ==, "dice");
}

static void
test_charge_prices_follow_the_currency (void)
{
  const struct
  {
    gint64 minor;
    const char *currency, *text;
  } rows[] = { { 1250, "EUR", "12.50 EUR" },
               { 5, "EUR", "0.05 EUR" },
               { 1250, "JPY", "1250 JPY" },
               { 1250, "KWD", "1.250 KWD" },
               { 0, "EUR", "free" } };
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *text = charge_dup_price (rows[i].minor, rows[i].currency);
      g_assert_cmpstr (text, ==, rows[i].text);
    }
}

static void
test_charge_host_is_the_one_that_is_asked (void)
{
  g_autofree char *plain = charge_dup_host ("https://pay.example.com/pay/1");
  g_assert_cmpstr (plain, ==, "pay.example.com");
  g_autofree char *tricky = charge_dup_host ("https://bank.example@evil.example/pay");
  g_assert_cmpstr (tricky, ==, "evil.example");
  g_assert_null (charge_dup_host ("javascript:alert(1)"));
  g_assert_null (charge_dup_host ("file:///etc/passwd"));
  g_assert_null (charge_dup_host ("pay here"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/protocol/form/is_written_as_the_specification_shows_it",
                   test_form_is_written_as_the_specification_shows_it);
  g_test_add_func ("/protocol/form/rows_are_fields_of_lines", test_form_rows_are_fields_of_lines);
  g_test_add_func ("/protocol/form/takes_what_is_submitted_and_keeps_what_is_left_out",
                   test_form_takes_what_is_submitted_and_keeps_what_is_left_out);
  g_test_add_func ("/protocol/form/refuses_by_field_and_rule_and_changes_nothing",
                   test_form_refuses_by_field_and_rule_and_changes_nothing);
  g_test_add_func ("/protocol/form/without_a_submission_stands_by_what_it_had",
                   test_form_without_a_submission_stands_by_what_it_had);
  g_test_add_func ("/protocol/charge/prices_follow_the_currency", test_charge_prices_follow_the_currency);
  g_test_add_func ("/protocol/charge/host_is_the_one_that_is_asked",
                   test_charge_host_is_the_one_that_is_asked);
  return g_test_run ();
}
