#include "host-server/market/provider/test-provider.h"

#include <gio/gio.h>
#include <string.h>

/* `type=stripe`: what it asks, what it makes of recorded answers and events (tests/recorded/stripe). */

#define ORDER "o_06b2stripe0001"

static char *
load (const char *name)
{
  g_autofree char *file = g_strconcat (name, ".json", NULL);
  g_autofree char *path = g_build_filename (RECORDED, file, NULL);
  g_autoptr (GError) error = NULL;
  char *text = NULL;
  g_file_get_contents (path, &text, NULL, &error);
  g_assert_no_error (error);
  return text;
}

/* An event in one line; "" where it says nothing. */
static char *
describe (const MoneyEvent *event)
{
  static const char *const kinds[]
      = { "payment", "declined", "expired", "refund", "dispute", "won", "lost", "nothing" };
#define OR_NONE(text) ((text) != NULL ? (text) : "")
  if (event->kind == MONEY_OTHER)
    return g_strdup ("nothing");
  return g_strdup_printf ("%s%s order=%s checkout=%s payment=%s dispute=%s %" G_GINT64_FORMAT "%s%s%s",
                          kinds[event->kind], event->is_total ? "-total" : "", OR_NONE (event->order),
                          OR_NONE (event->checkout), OR_NONE (event->payment), OR_NONE (event->dispute),
                          event->amount_minor, OR_NONE (event->currency), event->is_live ? " live" : "",
                          event->merchant != NULL ? " merchant" : "");
}

#define CHECKOUT "cs_test_a1B2c3D4e5F6"
#define PAYMENT  "pi_3PaidIntent0001"
#define PAID     "payment order=" ORDER " checkout=" CHECKOUT " payment=" PAYMENT " dispute= "
#define DISPUTED " order= checkout= payment=" PAYMENT " dispute=du_1Dispute0001 0"

static void
test_stripe_recorded_events_say_what_they_mean (void)
{
  static const struct
  {
    const char *name, *expected;
  } rows[] = {
    { "session-completed", PAID "499EUR" },
    { "session-completed-unpaid", "nothing" },
    { "session-async-succeeded", PAID "499EUR" },
    { "session-async-failed", "declined order=" ORDER " checkout=" CHECKOUT " payment= dispute= 0" },
    { "session-expired", "expired order=" ORDER " checkout=" CHECKOUT " payment= dispute= 0" },
    { "session-of-others", "nothing" },
    { "session-subscription", "nothing" },
    { "session-yen", PAID "500JPY" },
    { "session-krona", PAID "500ISK" },
    { "session-dinar", PAID "5120KWD" },
    { "session-ariary", PAID "200000MGA" },
    { "session-live",
      "payment order=" ORDER " checkout=cs_live_a1B2c3D4e5F6 payment=" PAYMENT " dispute= 499EUR live" },
    { "session-connected-account", PAID "499EUR merchant" },
    { "charge-refunded-part", "refund-total order=" ORDER " checkout= payment=" PAYMENT " dispute= 100EUR" },
    { "charge-refunded-full", "refund-total order=" ORDER " checkout= payment=" PAYMENT " dispute= 499EUR" },
    { "charge-refunded-of-others", "nothing" },
    { "dispute-created", "dispute" DISPUTED },
    { "dispute-inquiry", "nothing" },
    { "dispute-inquiry-closed", "nothing" },
    { "dispute-escalated", "dispute" DISPUTED },
    { "dispute-funds-withdrawn", "dispute" DISPUTED },
    { "dispute-won", "won" DISPUTED },
    { "dispute-funds-reinstated", "won" DISPUTED },
    { "dispute-lost", "lost" DISPUTED },
    { "refund-created", "nothing" },
    { "unknown", "nothing" },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *name = g_strconcat ("event-", rows[i].name, NULL);
      g_autofree char *body = load (name);
      g_autoptr (GError) error = NULL;
      g_autoptr (MoneyEvent) event = provider_stripe.read_event (body, strlen (body), &error);
      g_assert_no_error (error);
      g_autofree char *said = describe (event);
      g_test_message ("%s", name);
      g_assert_cmpstr (said, ==, rows[i].expected);
    }
}

static void
test_stripe_a_failed_refund_is_for_a_person (void)
{
  g_autofree char *body = load ("event-refund-failed");
  g_autoptr (GError) error = NULL;
  g_assert_null (provider_stripe.read_event (body, strlen (body), &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
  g_assert_nonnull (strstr (error->message, "re_3Refund0001"));
}

/* A recorded event with one thing changed. */
static void
test_stripe_events_that_lack_something_are_refused (void)
{
  static const struct
  {
    const char *name, *from, *to;
  } rows[] = {
    { "session-completed", "\"amount_total\": 499", "\"amount_total\": 499.0" },
    { "session-completed", "\"amount_total\": 499", "\"amount_total\": 0" },
    { "session-completed", "\"amount_total\": 499", "\"amount_total\": -1" },
    { "session-completed", "\"amount_total\": 499", "\"amount_total\": 9007199254740992" },
    { "session-completed", "\"amount_total\": 499", "\"amount_total\": \"499\"" },
    { "session-completed", "\"currency\": \"eur\"", "\"currency\": \"EUR\"" },
    { "session-completed", "\"currency\": \"eur\"", "\"currency\": \"euro\"" },
    { "session-completed", "\"currency\": \"eur\"", "\"currency\": null" },
    { "session-completed", "\"payment_intent\": \"pi_3PaidIntent0001\"", "\"payment_intent\": null" },
    { "session-completed", "\"payment_intent\": \"pi_3PaidIntent0001\"", "\"payment_intent\": \"a b\"" },
    { "session-completed", "\"livemode\": false,\n \"pending", "\"livemode\": 0,\n \"pending" },
    { "session-completed", "\"id\": \"cs_test_a1B2c3D4e5F6\"", "\"id\": \"\"" },
    { "session-completed", "\"type\": \"checkout.session.completed\"", "\"type\": 7" },
    { "session-completed", "\"object\": {", "\"objekt\": {" },
    { "session-krona", "\"amount_total\": 50000", "\"amount_total\": 50050" },
    { "charge-refunded-part", "\"amount_refunded\": 100,\n   \"application\"",
      "\"amount_refunded\": 0,\n   \"application\"" },
    { "dispute-created", "\"id\": \"du_1Dispute0001\"", "\"id\": null" },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *name = g_strconcat ("event-", rows[i].name, NULL);
      g_autofree char *body = load (name);
      g_auto (GStrv) parts = g_strsplit (body, rows[i].from, 2);
      g_test_message ("%s: %s", name, rows[i].to);
      g_assert_cmpuint (g_strv_length (parts), ==, 2);
      g_autofree char *changed = g_strjoinv (rows[i].to, parts);
      g_autoptr (GError) error = NULL;
      g_assert_null (provider_stripe.read_event (changed, strlen (changed), &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
    }
}

/* Calls. */

typedef struct
{
  Script *script;
  GString *seen;
} Asking;

static void
append_events (GString *seen, const GPtrArray *events)
{
  for (guint i = 0; events != NULL && i < events->len; i++)
    {
      g_autofree char *text = describe (g_ptr_array_index (events, i));
      g_string_append_printf (seen, "\n%s", text);
    }
}

static void
note (const ProviderReply *reply, gpointer data)
{
  static const char *const outcomes[] = { "ok", "refused", "conflict", "broken", "uncertain", "fault" };
  static const char *const statuses[] = { "open", "paid", "declined", "expired", "pending" };
  static const char *const refunds[] = { "pending", "done", "refused" };
  Asking *asking = data;
  GString *seen = asking->seen;
  g_string_append (seen, outcomes[reply->outcome]);
  g_assert_nonnull (reply->reason);
  if (reply->outcome != PROVIDER_OK && reply->outcome != PROVIDER_CONFLICT)
    g_string_append_printf (seen, " (%s)", reply->reason);
  else if (reply->reports != NULL)
    {
      g_string_append_printf (seen, " next=%s", reply->next != NULL ? reply->next : "");
      for (guint i = 0; i < reply->reports->len; i++)
        {
          const ProviderReport *report = g_ptr_array_index (reply->reports, i);
          g_string_append_printf (seen, "\n[%s %s %s]", report->checkout, report->order,
                                  statuses[report->status]);
          append_events (seen, report->events);
        }
    }
  else if (reply->refund != NULL)
    g_string_append_printf (seen, " %s %s total=%" G_GINT64_FORMAT, reply->refund,
                            refunds[reply->refund_status], reply->refunded_minor);
  else if (reply->url != NULL)
    g_string_append_printf (seen, " %s %s until=%" G_GINT64_FORMAT, reply->checkout, reply->url,
                            reply->expires_us / G_USEC_PER_SEC);
  else
    {
      g_string_append_printf (seen, " %s %s %s", reply->checkout, reply->order, statuses[reply->status]);
      append_events (seen, reply->events);
    }
  asking->script->is_done = TRUE;
}

typedef struct
{
  Script *script;
  Asking asking;
  GPtrArray *bodies;
} Fixture;

static void
setup (Fixture *f, gconstpointer unused)
{
  f->script = script_new (&provider_stripe, "acct_1");
  f->asking = (Asking){ f->script, g_string_new (NULL) };
  f->bodies = g_ptr_array_new_with_free_func (g_free);
}

static void
teardown (Fixture *f, gconstpointer unused)
{
  script_free (f->script);
  g_string_free (f->asking.seen, TRUE);
  g_ptr_array_unref (f->bodies);
}

/* The next answer is a recorded one. */
static void
answer (Fixture *f, guint status, const char *name)
{
  char *body = load (name);
  g_ptr_array_add (f->bodies, body);
  script_answer (f->script, status, body);
}

static void
assert_seen (Fixture *f, const char *asked, const char *seen)
{
  script_run (f->script);
  if (asked != NULL)
    g_assert_cmpstr (f->script->asked->str, ==, asked);
  g_assert_cmpstr (f->asking.seen->str, ==, seen);
  g_string_truncate (f->script->asked, 0);
  g_string_truncate (f->asking.seen, 0);
}

#define CREATED_US (G_GINT64_CONSTANT (1793440800) * G_USEC_PER_SEC)
#define MINUTE_US  (G_GINT64_CONSTANT (60) * G_USEC_PER_SEC)
#define VERSION    " version=2024-12-18.acacia"

static CheckoutRequest
checkout_of (gint64 amount_minor, const char *currency, gint64 minutes)
{
  return (CheckoutRequest){ .key = ORDER,
                            .order = ORDER,
                            .amount_minor = amount_minor,
                            .currency = currency,
                            .description = "Wetter & mehr",
                            .buyer = "cieqysaw",
                            .created_us = CREATED_US,
                            .expires_us = CREATED_US + minutes * MINUTE_US };
}

static void
create (Fixture *f, gint64 amount_minor, const char *currency, gint64 minutes)
{
  CheckoutRequest request = checkout_of (amount_minor, currency, minutes);
  provider_stripe.create_checkout (f->script->provider, &request, note, &f->asking);
}

static void
test_stripe_a_session_is_created_with_the_order_everywhere (Fixture *f, gconstpointer unused)
{
  answer (f, 200, "session-made");
  create (f, 499, "EUR", 60);
  assert_seen (f,
               "POST /v1/checkout/sessions key=" ORDER VERSION " mode=payment&client_reference_id=" ORDER
               "&metadata%5Border%5D=" ORDER
               "&metadata%5Bbuyer%5D=cieqysaw&payment_intent_data%5Bmetadata%5D%5Border%5D=" ORDER
               "&line_items%5B0%5D%5Bquantity%5D=1&line_items%5B0%5D%5Bprice_data%5D%5Bcurrency%5D=eur"
               "&line_items%5B0%5D%5Bprice_data%5D%5Bunit_amount%5D=499"
               "&line_items%5B0%5D%5Bprice_data%5D%5Bproduct_data%5D%5Bname%5D=Wetter%20%26%20mehr"
               "&expires_at=1793444400"
               "&success_url=https%3A%2F%2Fhost.example%2Fv1%2Fbilling%2Fstub%2Freturn"
               "&cancel_url=https%3A%2F%2Fhost.example%2Fv1%2Fbilling%2Fstub%2Freturn\n",
               "ok " CHECKOUT " https://checkout.stripe.com/c/pay/" CHECKOUT "#fid until=1793442900");
}

static void
test_stripe_a_session_lives_as_long_as_stripe_allows (Fixture *f, gconstpointer unused)
{
  static const struct
  {
    gint64 minutes;
    const char *expected;
  } rows[] = { { 1, "&expires_at=1793442900&" }, /* 35 minutes */
               { 30, "&expires_at=1793442900&" },
               { 36, "&expires_at=1793442960&" },
               { 1440, "&expires_at=1793526900&" }, /* 23 hours 55 minutes */
               { 10080, "&expires_at=1793526900&" } };
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      answer (f, 200, "session-made");
      create (f, 499, "EUR", rows[i].minutes);
      script_run (f->script);
      g_assert_nonnull (strstr (f->script->asked->str, rows[i].expected));
      g_string_truncate (f->script->asked, 0);
    }
}

static void
test_stripe_counts_some_currencies_in_other_units (Fixture *f, gconstpointer unused)
{
  static const struct
  {
    gint64 minor;
    const char *currency, *amount; /* NULL: there is no such amount at Stripe, and nobody is asked */
  } rows[] = {
    { 500, "JPY", "500" },   { 500, "ISK", "50000" }, { 7, "UGX", "700" },
    { 5120, "KWD", "5120" }, { 5124, "KWD", NULL },   { 200000, "MGA", "2000" },
    { 50, "MGA", NULL },     { 499, "HUF", "499" },   { 9007199254740991, "ISK", NULL },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *expected
          = g_strconcat ("unit_amount%5D=", rows[i].amount != NULL ? rows[i].amount : "", "&", NULL);
      if (rows[i].amount != NULL)
        answer (f, 200, "session-made");
      create (f, rows[i].minor, rows[i].currency, 60);
      script_run (f->script);
      if (rows[i].amount != NULL)
        g_assert_nonnull (strstr (f->script->asked->str, expected));
      else
        g_assert_true (g_str_has_prefix (f->asking.seen->str, "refused ("));
      g_string_truncate (f->script->asked, 0);
      g_string_truncate (f->asking.seen, 0);
    }
}

static void
test_stripe_without_a_page_to_return_to_nothing_is_sold (Fixture *f, gconstpointer unused)
{
  g_clear_pointer (&f->script->provider->callback_url, g_free);
  create (f, 499, "EUR", 60);
  assert_seen (f, "", "fault (there is no [http] for buyers to come back to)");
}

static void
test_stripe_statuses_tell_who_is_to_blame (Fixture *f, gconstpointer unused)
{
  static const struct
  {
    guint status;
    const char *body, *seen;
  } rows[] = {
    { 400, "error-idempotency", "refused (status 400, idempotency_error)" },
    { 401, "error-key", "fault (status 401, invalid_request_error)" },
    { 403, "error-key", "fault (status 403, invalid_request_error)" },
    { 402, "error-already-refunded", "refused (status 402, charge_already_refunded)" },
    { 404, "error-key", "refused (status 404, invalid_request_error)" },
    { 409, "error-idempotency", "uncertain (status 409, idempotency_error)" },
    { 429, "error-key", "uncertain (status 429, invalid_request_error)" },
    { 500, "error-key", "broken (status 500, invalid_request_error)" },
    { 200, "error-key", "fault (the key is not of the configured mode)" },
    { 200, "event-session-live", "fault (the key is not of the configured mode)" },
    { 200, "session-expired", "uncertain ('url' is missing or not what it should be)" },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      answer (f, rows[i].status, rows[i].body);
      create (f, 499, "EUR", 60);
      assert_seen (f, NULL, rows[i].seen);
    }
}

#define GET "GET /v1/checkout/sessions/" CHECKOUT "?expand%5B0%5D=payment_intent.latest_charge" VERSION " \n"
#define EXPIRE                                                                                               \
  "POST /v1/checkout/sessions/" CHECKOUT "/expire" VERSION " expand%5B0%5D=payment_intent.latest_charge\n"

static void
test_stripe_reports_of_a_session (Fixture *f, gconstpointer unused)
{
  static const struct
  {
    const char *name, *seen;
  } rows[] = {
    { "session-open", " open" },       { "session-paid", " paid\n" PAID "499EUR merchant" },
    { "session-expired", " expired" }, { "session-processing", " pending" },
    { "session-failed", " declined" },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *seen = g_strconcat ("ok " CHECKOUT " " ORDER, rows[i].seen, NULL);
      answer (f, 200, rows[i].name);
      provider_stripe.get_checkout (f->script->provider, CHECKOUT, note, &f->asking);
      assert_seen (f, GET, seen);
    }
}

static void
test_stripe_disputes_are_asked_for_if_there_are_any (Fixture *f, gconstpointer unused)
{
#define REPORTED(kind, dispute)                                                                              \
  "\n" kind " order=" ORDER " checkout=" CHECKOUT " payment=" PAYMENT " dispute=" dispute " 0 merchant"
  answer (f, 200, "session-refunded-and-disputed");
  answer (f, 200, "disputes");
  provider_stripe.get_checkout (f->script->provider, CHECKOUT, note, &f->asking);
  assert_seen (f, GET "GET /v1/disputes?limit=100&payment_intent=" PAYMENT VERSION " \n",
               "ok " CHECKOUT " " ORDER " paid\n" PAID "499EUR merchant\nrefund-total order=" ORDER
               " checkout=" CHECKOUT " payment=" PAYMENT
               " dispute= 100EUR merchant" REPORTED ("dispute", "du_1Dispute0001")
                   REPORTED ("won", "du_1Dispute0003"));

  answer (f, 200, "session-refunded-and-disputed");
  answer (f, 500, "error-key");
  provider_stripe.get_checkout (f->script->provider, CHECKOUT, note, &f->asking);
  assert_seen (f, NULL, "broken (status 500, invalid_request_error)"); /* half a report is none */
}

static void
test_stripe_a_cancel_is_judged_by_what_the_session_is (Fixture *f, gconstpointer unused)
{
  static const struct
  {
    const char *then, *seen;
  } rows[] = {
    { "session-expired", "ok " CHECKOUT " " ORDER " expired" },
    { "session-failed", "ok " CHECKOUT " " ORDER " declined" },
    { "session-paid", "conflict " CHECKOUT " " ORDER " paid\n" PAID "499EUR merchant" },
    { "session-processing", "conflict " CHECKOUT " " ORDER " pending" },
    { "session-open", "refused (status 200)" },
  };
  answer (f, 200, "session-expired");
  provider_stripe.cancel_checkout (f->script->provider, CHECKOUT, note, &f->asking);
  assert_seen (f, EXPIRE, "ok " CHECKOUT " " ORDER " expired");
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      answer (f, 400, "error-not-open");
      answer (f, 200, rows[i].then);
      provider_stripe.cancel_checkout (f->script->provider, CHECKOUT, note, &f->asking);
      assert_seen (f, EXPIRE GET, rows[i].seen);
    }

  answer (f, 400, "error-not-open");
  answer (f, 200, "session-refunded-and-disputed");
  answer (f, 200, "disputes");
  provider_stripe.cancel_checkout (f->script->provider, CHECKOUT, note, &f->asking);
  script_run (f->script);
  g_assert_true (g_str_has_prefix (f->asking.seen->str, "conflict "));
}

static void
test_stripe_refunds_bring_the_running_total (Fixture *f, gconstpointer unused)
{
  RefundRequest request
      = { .key = "r_1", .payment = PAYMENT, .amount_minor = 499, .currency = "EUR", .reason = "declined" };
  answer (f, 200, "refund-succeeded");
  provider_stripe.create_refund (f->script->provider, &request, note, &f->asking);
  assert_seen (f,
               "POST /v1/refunds key=r_1" VERSION " payment_intent=" PAYMENT
               "&amount=499&metadata%5Brefund%5D=r_1&metadata%5Breason%5D=declined&expand%5B0%5D=charge\n",
               "ok re_3Refund0001 done total=499");
  answer (f, 200, "refund-pending");
  provider_stripe.get_refund (f->script->provider, "re_3Refund0001", note, &f->asking);
  assert_seen (f, "GET /v1/refunds/re_3Refund0001?expand%5B0%5D=charge" VERSION " \n",
               "ok re_3Refund0001 pending total=0");
  answer (f, 400, "error-already-refunded");
  provider_stripe.create_refund (f->script->provider, &request, note, &f->asking);
  assert_seen (f, NULL, "refused (status 400, charge_already_refunded)");
  answer (f, 200, "event-refund-failed"); /* an event is no refund */
  provider_stripe.get_refund (f->script->provider, "re_3Refund0001", note, &f->asking);
  assert_seen (f, NULL, "uncertain ('status' is missing or not what it should be)");
}

static void
test_stripe_lists_sessions_page_by_page (Fixture *f, gconstpointer unused)
{
#define LIST "GET /v1/checkout/sessions?limit=100&created%5Bgte%5D=1793440800"
#define MORE "&expand%5B0%5D=data.payment_intent.latest_charge" VERSION " \n"
  answer (f, 200, "sessions-first-page");
  answer (f, 200, "disputes");
  provider_stripe.list_checkouts (f->script->provider, CREATED_US, NULL, note, &f->asking);
  assert_seen (
      f, LIST MORE "GET /v1/disputes?limit=100&payment_intent=pi_2" VERSION " \n",
      "ok next=cs_test_other\n[cs_test_newest o_2 paid]\npayment order=o_2 checkout=cs_test_newest "
      "payment=pi_2 dispute= 499EUR merchant\ndispute order=o_2 checkout=cs_test_newest payment=pi_2 "
      "dispute=du_1Dispute0001 0 merchant\nwon order=o_2 checkout=cs_test_newest payment=pi_2 "
      "dispute=du_1Dispute0003 0 merchant");
  answer (f, 200, "sessions-last-page");
  provider_stripe.list_checkouts (f->script->provider, CREATED_US, "cs_test_other", note, &f->asking);
  assert_seen (f, LIST "&starting_after=cs_test_other" MORE, "ok next=\n[cs_test_oldest o_1 open]");
}

/* The provider goes first: what was under way is freed, and nobody is told. */
static void
test_stripe_calls_end_with_their_provider (Fixture *f, gconstpointer unused)
{
  create (f, 50, "MGA", 60); /* refused, once the loop turns */
  g_assert_cmpuint (g_hash_table_size (f->script->provider->calls), ==, 1);
  g_hash_table_remove_all (f->script->provider->calls);
  g_assert_false (g_main_context_iteration (NULL, FALSE));
  g_assert_cmpstr (f->asking.seen->str, ==, "");
}

static void
test_stripe_a_key_of_the_other_mode_is_no_configuration (Fixture *f, gconstpointer unused)
{
  static const struct
  {
    const char *key;
    gboolean is_live, is_good;
  } rows[] = {
    { "sk_test_key", FALSE, TRUE }, { "sk_test_key", TRUE, FALSE },  { "rk_test_key", TRUE, FALSE },
    { "sk_live_key", TRUE, TRUE },  { "rk_live_key", FALSE, FALSE }, { "key", TRUE, TRUE },
  };
  Provider *provider = f->script->provider;
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (GError) error = NULL;
      secret_free (provider->api_key);
      provider->api_key = secret_new (rows[i].key, strlen (rows[i].key));
      provider->is_live = rows[i].is_live;
      g_assert_cmpint (provider_stripe.check (provider, &error), ==, rows[i].is_good);
      g_assert_true (error == NULL || strstr (error->message, rows[i].key) == NULL);
    }
}

#define ADD(name, func) g_test_add ("/provider-stripe/" name, Fixture, NULL, setup, func, teardown)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/provider-stripe/recorded-events-say-what-they-mean",
                   test_stripe_recorded_events_say_what_they_mean);
  g_test_add_func ("/provider-stripe/a-failed-refund-is-for-a-person",
                   test_stripe_a_failed_refund_is_for_a_person);
  g_test_add_func ("/provider-stripe/events-that-lack-something-are-refused",
                   test_stripe_events_that_lack_something_are_refused);
  ADD ("a-session-is-created-with-the-order-everywhere",
       test_stripe_a_session_is_created_with_the_order_everywhere);
  ADD ("a-session-lives-as-long-as-stripe-allows", test_stripe_a_session_lives_as_long_as_stripe_allows);
  ADD ("counts-some-currencies-in-other-units", test_stripe_counts_some_currencies_in_other_units);
  ADD ("without-a-page-to-return-to-nothing-is-sold",
       test_stripe_without_a_page_to_return_to_nothing_is_sold);
  ADD ("statuses-tell-who-is-to-blame", test_stripe_statuses_tell_who_is_to_blame);
  ADD ("reports-of-a-session", test_stripe_reports_of_a_session);
  ADD ("disputes-are-asked-for-if-there-are-any", test_stripe_disputes_are_asked_for_if_there_are_any);
  ADD ("a-cancel-is-judged-by-what-the-session-is", test_stripe_a_cancel_is_judged_by_what_the_session_is);
  ADD ("refunds-bring-the-running-total", test_stripe_refunds_bring_the_running_total);
  ADD ("lists-sessions-page-by-page", test_stripe_lists_sessions_page_by_page);
  ADD ("calls-end-with-their-provider", test_stripe_calls_end_with_their_provider);
  ADD ("a-key-of-the-other-mode-is-no-configuration",
       test_stripe_a_key_of_the_other_mode_is_no_configuration);
  return g_test_run ();
}
