#include "host-server/market/provider/test-provider.h"

/* What `type=standard` says on the wire, and what it makes of the answers. */

typedef struct
{
  Script *script;
  GString *seen; /* what the reply said, in words */
} Asking;

static void
append_reports (GString *seen, const GPtrArray *reports)
{
  for (guint i = 0; reports != NULL && i < reports->len; i++)
    {
      const ProviderReport *report = g_ptr_array_index (reports, i);
      g_string_append_printf (seen, " [%s %s %d", report->checkout, report->order, report->status);
      for (guint k = 0; k < report->events->len; k++)
        {
          const MoneyEvent *event = g_ptr_array_index (report->events, k);
          g_string_append_printf (seen, " %d:%s:%s:%" G_GINT64_FORMAT "%s", event->kind, event->payment,
                                  event->refund != NULL    ? event->refund
                                  : event->dispute != NULL ? event->dispute
                                                           : "-",
                                  event->amount_minor, event->currency);
        }
      g_string_append_c (seen, ']');
    }
}

static void
note_list (const ProviderReply *reply, gpointer data)
{
  Asking *asking = data;
  g_string_printf (asking->seen, "outcome=%d next=%s", reply->outcome,
                   reply->next != NULL ? reply->next : "-");
  append_reports (asking->seen, reply->outcome == PROVIDER_OK ? reply->reports : NULL);
  asking->script->is_done = TRUE;
}

#define SINCE_US (G_GINT64_CONSTANT (1793440800) * G_USEC_PER_SEC)

static char *
list (Script *script, const char *after, guint status, const char *body)
{
  Asking asking = { script, g_string_new (NULL) };
  g_string_truncate (script->asked, 0);
  script_answer (script, status, body);
  provider_standard.list_checkouts (script->provider, SINCE_US, after, note_list, &asking);
  script_run (script);
  return g_string_free (asking.seen, FALSE);
}

static void
test_standard_a_list_is_read_page_by_page (void)
{
  g_autoptr (Script) script = script_new (&provider_standard, "m_1");
  g_autofree char *first = list (
      script, NULL, 200,
      "{\"checkouts\":[{\"checkout\":\"c_1\",\"order\":\"o_1\",\"status\":\"paid\",\"amount\":500,"
      "\"currency\":\"EUR\","
      "\"payments\":[{\"payment\":\"p_1\",\"amount\":500,\"refunds\":[{\"refund\":\"r_1\",\"amount\":20,"
      "\"status\":"
      "\"done\"},{\"refund\":\"r_2\",\"amount\":30,\"status\":\"pending\"}],\"disputes\":[{\"dispute\":\"d_"
      "1\","
      "\"status\":\"won\"}]}]},{\"checkout\":\"c_2\",\"order\":\"o_2\",\"status\":\"open\",\"amount\":5,"
      "\"currency\":\"JPY\",\"payments\":[]}],\"next\":\"2026-10-31T10:00:01.000007Z\"}");
  g_assert_cmpstr (script->asked->str, ==, "GET /v1/checkouts?since=2026-10-31T10%3A00%3A00Z \n");
  g_assert_cmpstr (first, ==,
                   "outcome=0 next=2026-10-31T10:00:01.000007Z [c_1 o_1 1 0:p_1:-:500EUR 3:p_1:r_1:20EUR "
                   "5:p_1:d_1:500EUR] [c_2 o_2 0]");
  g_autofree char *second = list (script, "2026-10-31T10:00:01.000007Z", 200, "{\"checkouts\":[]}");
  g_assert_cmpstr (script->asked->str, ==, "GET /v1/checkouts?since=2026-10-31T10%3A00%3A01.000007Z \n");
  g_assert_cmpstr (second, ==, "outcome=0 next=-");
}

static void
test_standard_a_list_that_makes_no_sense_is_no_list (void)
{
  static const char *const bodies[] = {
    "[]",
    "{}",
    "{\"checkouts\":{}}",
    "{\"checkouts\":[{}]}",
    "{\"checkouts\":[{\"checkout\":\"c_1\",\"order\":\"o 1\",\"status\":\"open\",\"currency\":\"EUR\"}]}",
    "{\"checkouts\":[],\"next\":7}",
    "{\"checkouts\":[],\"next\":\"tomorrow\"}",
    "{\"checkouts\":[],\"next\":\"2026-10-31T10:00:01Z\"}", /* where this page began: it would never end */
  };
  g_autoptr (Script) script = script_new (&provider_standard, "m_1");
  for (gsize i = 0; i < G_N_ELEMENTS (bodies); i++)
    {
      g_autofree char *seen = list (script, "2026-10-31T10:00:01Z", 200, bodies[i]);
      g_assert_true (g_str_has_prefix (seen, "outcome=4"));
    }
  g_autofree char *refused = list (script, NULL, 401, "{}");
  g_assert_true (g_str_has_prefix (refused, "outcome=5"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/provider-standard/a-list-is-read-page-by-page",
                   test_standard_a_list_is_read_page_by_page);
  g_test_add_func ("/provider-standard/a-list-that-makes-no-sense-is-no-list",
                   test_standard_a_list_that_makes_no_sense_is_no_list);
  return g_test_run ();
}
