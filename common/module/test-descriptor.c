#include "common/module/descriptor.h"

#include <glib.h>
#include <string.h>

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define HEAD                                                                                                 \
  "[Plugin]\nformat=1\nid=weather\nname=Weather\nversion=3.2\nobject=libweather.so\nsha256=" SHA "\n"

static const char whole[]
    = "# a comment\n" HEAD "\n"
      "[Permissions]\r\n"
      "connect=plugins.vendor.example:7443; [::1]:80;\n"
      "data = 1M\n"
      "read=/usr/share/weather\n"
      "threads=yes\n"
      "identity=no\n"
      "[Symbols]\n"
      "open=handle ctx wx_open (cstr datadir, cb host_log)\n"
      "init=int wx_init(handle ctx)\n"
      "check=int CheckSerial (cstr user, cstr serial, i32 0, len(serial), out i64 expires:ms)\n"
      "login=int wx_login (handle ctx, cstr \"EN, (x)\", bool true, f64 -1.5, cstr null, ptr null, out u32 "
      "ticket)\n"
      "connect=int wx_connect (handle ctx, u32 ticket, inout u32 ticket)\n"
      "stop=void weather_stop ()\n"
      "message=cstr weather_strerror (int code)\n"
      "[Phase start]\n"
      "steps=login, connect\n"
      "[Return check]\n"
      "0=ok\n"
      "-2=bad-serial\n"
      "-3=expired\n"
      "negative=error\n"
      "[Return message]\n"
      "free=wx_free\n"
      "[Command weather]\n"
      "call=int weather_report (cstr input, buf 4096 output, i32 sizeof(output))\n"
      "help=Weather for a place\n"
      "[Command moon]\n"
      "free=wx_free\n"
      "call=cstr moon_phase ()\n"
      "[Provide]\n"
      "host_get_serial=cstr () -> serial\n"
      "host_log=void (int level, cstr text) -> log\n"
      "host_version=int (int) -> 3\n"
      "[Deliver]\n"
      "env=WEATHER_SERIAL\n"
      "file=serial.txt\n"
      "global=char g_serial[64]\n"
      "[Limits]\n"
      "call-timeout-ms=2000\n"
      "memory=128M\n"
      "restart=2/30s\n";

static const DescriptorCall *
find (const Descriptor *descriptor, const char *name)
{
  for (int i = 0; i < descriptor->n_calls; i++)
    if (strcmp (descriptor->calls[i].name, name) == 0)
      return &descriptor->calls[i];
  g_error ("no call %s", name);
}

static void
test_every_part_is_read (void)
{
  DescriptorError error;
  Descriptor *d = descriptor_parse ("w.legacy", DESCRIPTOR_LEGACY, whole, strlen (whole), &error);
  const DescriptorCall *call;

  g_assert_cmpstr (error.text, ==, "");
  g_assert_nonnull (d);
  g_assert_cmpstr (d->id, ==, "weather");
  g_assert_cmpstr (d->object, ==, "libweather.so");
  g_assert_cmpuint (d->n_connect, ==, 2);
  g_assert_cmpstr (d->connect[0].host, ==, "plugins.vendor.example");
  g_assert_cmpuint (d->connect[0].port, ==, 7443);
  g_assert_cmpstr (d->connect[1].host, ==, "::1");
  g_assert_cmpuint (d->connect[1].port, ==, 80);
  g_assert_cmpuint (d->data_bytes, ==, 1 << 20);
  g_assert_cmpstr (d->read[0], ==, "/usr/share/weather");
  g_assert_true (d->has_threads);
  g_assert_true (d->needs_serial);
  g_assert_cmpuint (d->call_timeout_ms, ==, 2000);
  g_assert_cmpuint (d->memory_bytes, ==, 128 << 20);
  g_assert_cmpuint (d->restarts, ==, 2);
  g_assert_cmpuint (d->restart_period_s, ==, 30);

  call = find (d, "open");
  g_assert_cmpint (call->signature.result, ==, DESCRIPTOR_HANDLE);
  g_assert_cmpstr (d->own[call->signature.result_own].name, ==, "ctx");
  g_assert_cmpint (call->signature.args[1].kind, ==, DESCRIPTOR_ARG_CALLBACK);
  g_assert_cmpstr (d->provides[call->signature.args[1].provide].name, ==, "host_log");
  g_assert_true (d->provides[call->signature.args[1].provide].is_callback);

  call = find (d, "check");
  g_assert_cmpstr (call->signature.symbol, ==, "CheckSerial");
  g_assert_cmpuint (call->signature.n_args, ==, 5);
  g_assert_cmpint (call->signature.args[2].kind, ==, DESCRIPTOR_ARG_LITERAL);
  g_assert_cmpint (call->signature.args[3].kind, ==, DESCRIPTOR_ARG_LEN);
  g_assert_cmpint (call->signature.args[4].kind, ==, DESCRIPTOR_ARG_OUT);
  g_assert_cmpint (call->signature.args[4].variable, ==, DESCRIPTOR_VARIABLE_EXPIRES);
  g_assert_cmpint (call->signature.args[4].time, ==, DESCRIPTOR_TIME_MS);
  g_assert_cmpint (descriptor_call_classify (call, 0), ==, DESCRIPTOR_CLASS_OK);
  g_assert_cmpint (descriptor_call_classify (call, -2), ==, DESCRIPTOR_CLASS_BAD_SERIAL);
  g_assert_cmpint (descriptor_call_classify (call, -3), ==, DESCRIPTOR_CLASS_EXPIRED);
  g_assert_cmpint (descriptor_call_classify (call, -4), ==, DESCRIPTOR_CLASS_ERROR);
  g_assert_cmpint (descriptor_call_classify (call, 7), ==, DESCRIPTOR_CLASS_ERROR);

  call = find (d, "login");
  g_assert_cmpstr (call->signature.args[1].text, ==, "EN, (x)");
  g_assert_cmpint (call->signature.args[2].integer, ==, 1);
  g_assert_cmpfloat (call->signature.args[3].real, ==, -1.5);
  g_assert_cmpint (call->signature.args[4].kind, ==, DESCRIPTOR_ARG_NULL);

  g_assert_cmpuint (d->phases[DESCRIPTOR_PHASE_START].n_steps, ==, 2);
  g_assert_cmpstr (d->calls[d->phases[DESCRIPTOR_PHASE_START].steps[1]].name, ==, "connect");
  g_assert_cmpuint (d->phases[DESCRIPTOR_PHASE_INIT].n_steps, ==, 1);
  g_assert_cmpstr (d->calls[d->message_call].free_symbol, ==, "wx_free");

  g_assert_cmpuint (d->n_commands, ==, 2);
  g_assert_cmpstr (d->commands[0].name, ==, "weather");
  g_assert_cmpstr (d->commands[0].help, ==, "Weather for a place");
  call = &d->calls[d->commands[0].call];
  g_assert_cmpint (call->signature.args[1].kind, ==, DESCRIPTOR_ARG_BUFFER);
  g_assert_cmpuint (call->signature.args[2].size, ==, 4096);
  g_assert_cmpstr (d->calls[d->commands[1].call].free_symbol, ==, "wx_free");

  g_assert_cmpuint (d->n_provides, ==, 3);
  g_assert_cmpint (d->provides[0].action, ==, DESCRIPTOR_DO_VALUE);
  g_assert_cmpint (d->provides[0].variable, ==, DESCRIPTOR_VARIABLE_SERIAL);
  g_assert_cmpint (d->provides[1].action, ==, DESCRIPTOR_DO_LOG);
  g_assert_cmpint (d->provides[1].text_arg, ==, 1);
  g_assert_cmpint (d->provides[2].value, ==, 3);
  g_assert_cmpstr (d->deliver_env, ==, "WEATHER_SERIAL");
  g_assert_cmpstr (d->deliver_global, ==, "g_serial");
  g_assert_cmpuint (d->deliver_global_size, ==, 64);
  descriptor_free (d);
}

static void
test_every_prefix_is_refused_or_read (void)
{
  /* No cut may read beyond the text; the sanitizers watch. */
  for (size_t i = 0; i < strlen (whole); i++)
    {
      g_autofree char *cut = g_memdup2 (whole, i);
      DescriptorError error;

      descriptor_free (descriptor_parse ("w", DESCRIPTOR_LEGACY, cut, i, &error));
    }
}

static void
test_a_missing_key_is_named (void)
{
  const char *keys[] = { "id", "name", "version", "object", "sha256", "format" };

  for (size_t i = 0; i < G_N_ELEMENTS (keys); i++)
    {
      g_autoptr (GKeyFile) file = g_key_file_new ();
      g_autofree char *text = NULL;
      g_autofree char *expected = g_strdup_printf ("w: [Plugin] %s: is missing", keys[i]);
      DescriptorError error;

      g_assert_true (g_key_file_load_from_data (file, HEAD, -1, 0, NULL));
      g_key_file_remove_key (file, "Plugin", keys[i], NULL);
      text = g_key_file_to_data (file, NULL, NULL);
      g_assert_null (descriptor_parse ("w", DESCRIPTOR_LEGACY, text, strlen (text), &error));
      g_assert_cmpstr (error.text, ==, expected);
    }
}

static void
test_too_long_or_nul_is_refused (void)
{
  g_autofree char *text = g_strnfill (DESCRIPTOR_MAX_BYTES + 1, '\n');
  DescriptorError error;
  Descriptor *d;

  g_assert_null (descriptor_parse ("w", DESCRIPTOR_LEGACY, text, DESCRIPTOR_MAX_BYTES + 1, &error));
  g_assert_cmpstr (error.text, ==, "w: is longer than 16 KiB");
  memcpy (text, HEAD, strlen (HEAD));
  d = descriptor_parse ("w", DESCRIPTOR_LEGACY, text, DESCRIPTOR_MAX_BYTES, &error);
  g_assert_nonnull (d);
  descriptor_free (d);
  text[strlen (HEAD) + 1] = '\0';
  g_assert_null (descriptor_parse ("w", DESCRIPTOR_LEGACY, text, DESCRIPTOR_MAX_BYTES, &error));
}

static void
test_native_metadata_has_no_calls (void)
{
  const char native[] = "[Plugin]\nabi=1\nid=reminders\nname=Reminders\nversion=1\nobject=r.so\nsha256=" SHA
                        "\n[Permissions]\nmessages=send\nfunctions=yes\npurchases=yes\ndata=64K\n";
  const char calls[] = "[Plugin]\nabi=1\nid=r\nname=R\nversion=1\nobject=r.so\nsha256=" SHA "\n[Symbols]\n";
  DescriptorError error;
  Descriptor *d = descriptor_parse ("r.plugin", DESCRIPTOR_NATIVE, native, strlen (native), &error);

  g_assert_nonnull (d);
  g_assert_cmpint (d->messages, ==, DESCRIPTOR_MESSAGES_SEND);
  g_assert_true (d->calls_functions);
  g_assert_true (d->asks_purchases);
  g_assert_false (d->needs_serial);
  g_assert_cmpuint (d->restarts, ==, 3);
  descriptor_free (d);
  g_assert_null (descriptor_parse ("r.plugin", DESCRIPTOR_NATIVE, calls, strlen (calls), &error));
  g_assert_cmpstr (error.text, ==, "r.plugin:8: [Symbols]: unknown group");
}

static void
test_a_purchase_needs_an_item_a_number_and_a_permission (void)
{
  static const struct
  {
    const char *permission, *provide, *problem; /* NULL: it is good */
  } rows[] = {
    { "purchases=yes", "shop=int () -> purchase five.coins-2", NULL },
    { "purchases=yes", "shop=i64 (cstr text) -> purchase coins", NULL },
    { "purchases=yes", "shop=int () -> purchase", "which item? '-> purchase ITEM'" },
    { "purchases=yes", "shop=int () -> purchase Coins", "which item? '-> purchase ITEM'" },
    { "purchases=yes", "shop=cstr () -> purchase coins", "a purchase needs an integer result" },
    { "purchases=no", "shop=int () -> purchase coins", "a purchase needs purchases=yes in [Permissions]" },
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    {
      g_autofree char *text = g_strdup_printf ("%s[Permissions]\n%s\n[Provide]\n%s\n", HEAD,
                                               rows[i].permission, rows[i].provide);
      DescriptorError error;
      Descriptor *d = descriptor_parse ("w", DESCRIPTOR_LEGACY, text, strlen (text), &error);

      g_test_message ("%s", rows[i].provide);
      g_assert_cmpint (d != NULL, ==, rows[i].problem == NULL);
      if (d == NULL)
        g_assert_nonnull (strstr (error.text, rows[i].problem));
      else
        g_assert_cmpint (d->provides[0].action, ==, DESCRIPTOR_DO_PURCHASE);
      descriptor_free (d);
    }
}

static void
test_results_without_rules_follow_their_type (void)
{
  DescriptorCall call = { .signature.result = DESCRIPTOR_INT };

  g_assert_cmpint (descriptor_call_classify (&call, 0), ==, DESCRIPTOR_CLASS_OK);
  g_assert_cmpint (descriptor_call_classify (&call, 1), ==, DESCRIPTOR_CLASS_ERROR);
  call.signature.result = DESCRIPTOR_CSTR;
  g_assert_cmpint (descriptor_call_classify (&call, 0), ==, DESCRIPTOR_CLASS_ERROR);
  g_assert_cmpint (descriptor_call_classify (&call, 1), ==, DESCRIPTOR_CLASS_OK);
  call.signature.result = DESCRIPTOR_BOOL;
  g_assert_cmpint (descriptor_call_classify (&call, 1), ==, DESCRIPTOR_CLASS_OK);
  call.signature.result = DESCRIPTOR_VOID;
  g_assert_cmpint (descriptor_call_classify (&call, 0), ==, DESCRIPTOR_CLASS_OK);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/descriptor/every-part-is-read", test_every_part_is_read);
  g_test_add_func ("/descriptor/every-prefix-is-refused-or-read", test_every_prefix_is_refused_or_read);
  g_test_add_func ("/descriptor/a-missing-key-is-named", test_a_missing_key_is_named);
  g_test_add_func ("/descriptor/too-long-or-nul-is-refused", test_too_long_or_nul_is_refused);
  g_test_add_func ("/descriptor/native-metadata-has-no-calls", test_native_metadata_has_no_calls);
  g_test_add_func ("/descriptor/a-purchase-needs-an-item-a-number-and-a-permission",
                   test_a_purchase_needs_an_item_a_number_and_a_permission);
  g_test_add_func ("/descriptor/results-without-rules-follow-their-type",
                   test_results_without_rules_follow_their_type);
  return g_test_run ();
}
