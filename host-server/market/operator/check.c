#include "host-server/market/room.h"

#include "common/base/id.h"
#include "host-server/core/control.h"

#include <string.h>

/* `billing check NAME`: drives a configured provider through its own type, step by step, and says of each
 * thing the market relies on whether it holds. In test mode a checkout is made and cancelled; nothing is
 * paid. Its order's id begins with `check_`, so that what is said about it later is nobody's (provider.h). */

#define AMOUNT_MINOR 500 /* exists in every currency, at every provider */
#define LIFE_US      (G_GINT64_CONSTANT (1800) * G_USEC_PER_SEC)
#define CLOCKS_US    (G_GINT64_CONSTANT (60) * G_USEC_PER_SEC) /* by which the provider's may differ */
#define BRIEF_S      3 /* life of the checkout whose end is to be told */
#define MAX_PAGES    20

typedef struct
{
  Market *market;
  ControlCall *call;
  Provider *provider; /* lent */
  Provider *stranger; /* the same with another key */
  CheckoutRequest request;
  char *order;
  char *brief;   /* the order of the checkout that ends in a moment */
  char *refusal; /* why there is none */
  char *currency;
  char *checkout; /* NULL until there is one */
  guint step;
  guint n_failed;
  guint n_pages;
  guint64 n_refused;   /* deliveries, when it began */
  gboolean is_reading; /* nothing may be made */
  gboolean is_heard;   /* a callback of this order came */
  gboolean is_over;    /* none will be waited for any more */
  gboolean is_waiting; /* for a callback, and for nothing else */
} Check;

typedef struct
{
  const char *name;
  gboolean is_writing; /* makes or changes something at the provider */
  void (*begin) (Check *check);
} Step;

static void go_on (Check *check);
static const Step *peek_step (const Check *check);

static void
check_free (gpointer data)
{
  Check *check = data;
  if (check->call != NULL)
    control_call_refuse (check->call, "the server is stopping");
  provider_free (check->stranger);
  g_free (check->order);
  g_free (check->brief);
  g_free (check->refusal);
  g_free (check->currency);
  g_free (check->checkout);
  g_free (check);
}

/* Says how the step went, and takes the next. */
static void
say (Check *check, const char *result, const char *detail)
{
  check->n_failed += g_str_equal (result, "fail");
  control_call_take_row (check->call, json_pack ("{s:s, s:s, s:s}", "check", peek_step (check)->name,
                                                 "result", result, "detail", detail));
  check->step++;
  go_on (check);
}

static void
judge (Check *check, gboolean is_good, const char *detail)
{
  say (check, is_good ? "pass" : "fail", detail);
}

static gboolean
was_answered (const ProviderReply *reply)
{
  return reply->outcome == PROVIDER_OK || g_str_has_prefix (reply->reason, "status ");
}

static gboolean
has_status (const ProviderReply *reply, const char *status)
{
  g_autofree char *text = g_strconcat ("status ", status, NULL);
  return g_str_has_prefix (reply->reason, text);
}

static gboolean
is_over (CheckoutStatus status)
{
  return status == CHECKOUT_DECLINED || status == CHECKOUT_EXPIRED;
}

/* Reachable, and who we are. */

static void
on_reached (const ProviderReply *reply, gpointer data)
{
  judge (data, was_answered (reply), reply->reason);
}

static void
reach (Check *check)
{
  check->provider->type->list_checkouts (check->provider, check->request.created_us, NULL, on_reached, check);
}

static void
on_accepted (const ProviderReply *reply, gpointer data)
{
  judge (data, reply->outcome == PROVIDER_OK, reply->reason);
}

static void
show_key (Check *check)
{
  check->provider->type->list_checkouts (check->provider, check->request.created_us, NULL, on_accepted,
                                         check);
}

static void
on_stranger (const ProviderReply *reply, gpointer data)
{
  judge (data, has_status (reply, "401") || has_status (reply, "403"), reply->reason);
}

static void
show_wrong_key (Check *check)
{
  check->stranger->type->list_checkouts (check->stranger, check->request.created_us, NULL, on_stranger,
                                         check);
}

static void
on_unknown (const ProviderReply *reply, gpointer data)
{
  judge (data, has_status (reply, "404"), reply->reason);
}

static void
ask_unknown_checkout (Check *check)
{
  check->provider->type->get_checkout (check->provider, check->order, on_unknown, check);
}

static void
ask_unknown_refund (Check *check)
{
  check->provider->type->get_refund (check->provider, check->order, on_unknown, check);
}

/* A checkout. */

static void
on_created (const ProviderReply *reply, gpointer data)
{
  Check *check = data;
  if (reply->outcome == PROVIDER_OK)
    check->checkout = g_strdup (reply->checkout);
  judge (check, reply->outcome == PROVIDER_OK,
         reply->outcome == PROVIDER_OK ? reply->checkout : reply->reason);
}

static void
create (Check *check)
{
  check->provider->type->create_checkout (check->provider, &check->request, on_created, check);
}

static void
on_created_again (const ProviderReply *reply, gpointer data)
{
  Check *check = data;
  gboolean is_made = reply->outcome == PROVIDER_OK;
  judge (check, is_made && g_str_equal (reply->checkout, check->checkout),
         is_made ? reply->checkout : reply->reason);
}

static void
create_again (Check *check)
{
  check->provider->type->create_checkout (check->provider, &check->request, on_created_again, check);
}

/* The key with another amount: whatever the answer, there is no second checkout. */
static void
on_created_otherwise (const ProviderReply *reply, gpointer data)
{
  Check *check = data;
  gboolean is_made = reply->outcome == PROVIDER_OK;
  judge (check, was_answered (reply) && (!is_made || g_str_equal (reply->checkout, check->checkout)),
         is_made ? reply->checkout : reply->reason);
}

static void
create_otherwise (Check *check)
{
  CheckoutRequest other = check->request;
  other.amount_minor *= 2;
  check->provider->type->create_checkout (check->provider, &other, on_created_otherwise, check);
}

/* NULL, or what is wrong with a report of our checkout. */
static char *
dup_fault (const Check *check, const ProviderReply *reply)
{
  if (reply->outcome != PROVIDER_OK)
    return g_strdup (reply->reason);
  if (!g_str_equal (reply->checkout, check->checkout))
    return g_strdup_printf ("it is of checkout %s", reply->checkout);
  if (!g_str_equal (reply->order, check->order))
    return g_strdup_printf ("it is of order %s", reply->order);
  if (reply->amount_minor != AMOUNT_MINOR || !g_str_equal (reply->currency, check->currency))
    return g_strdup_printf ("it says %" G_GINT64_FORMAT " %s, and %d %s was asked for", reply->amount_minor,
                            reply->currency, AMOUNT_MINOR, check->currency);
  if (reply->events->len > 0)
    return g_strdup ("it has payments, and nobody paid");
  return NULL;
}

static void
on_report (const ProviderReply *reply, gpointer data)
{
  Check *check = data;
  g_autofree char *fault = dup_fault (check, reply);
  if (fault == NULL && reply->status != CHECKOUT_OPEN)
    fault = g_strdup ("it is not open");
  judge (check, fault == NULL, fault != NULL ? fault : "open");
}

static void
ask_report (Check *check)
{
  check->provider->type->get_checkout (check->provider, check->checkout, on_report, check);
}

static void
on_cancelled (const ProviderReply *reply, gpointer data)
{
  Check *check = data;
  g_autofree char *fault = dup_fault (check, reply);
  if (fault == NULL && !is_over (reply->status))
    fault = g_strdup ("it is still open");
  judge (check, fault == NULL, fault != NULL ? fault : "declined or expired");
}

static void
cancel (Check *check)
{
  check->provider->type->cancel_checkout (check->provider, check->checkout, on_cancelled, check);
}

static void
ask_cancelled (Check *check)
{
  check->provider->type->get_checkout (check->provider, check->checkout, on_cancelled, check);
}

static void
on_page (const ProviderReply *reply, gpointer data)
{
  Check *check = data;
  if (reply->outcome != PROVIDER_OK)
    {
      judge (check, FALSE, reply->reason);
      return;
    }
  for (guint i = 0; i < reply->reports->len; i++)
    {
      const ProviderReport *report = g_ptr_array_index (reply->reports, i);
      if (!g_str_equal (report->checkout, check->checkout))
        continue;
      judge (check, g_str_equal (report->order, check->order), report->order);
      return;
    }
  if (reply->next == NULL || ++check->n_pages >= MAX_PAGES)
    {
      judge (check, FALSE, "the checkout is not in the list");
      return;
    }
  check->provider->type->list_checkouts (check->provider, check->request.created_us - CLOCKS_US, reply->next,
                                         on_page, check);
}

static void
list (Check *check)
{
  check->provider->type->list_checkouts (check->provider, check->request.created_us - CLOCKS_US, NULL,
                                         on_page, check);
}

/* A callback that nobody has to pay for: that of a checkout which ends in a moment. A provider that lets none
 * end so soon has it cancelled, and tells of that. */

static void
judge_callback (Check *check)
{
  guint64 n_refused = check->market->n_refused_callbacks - check->n_refused;
  if (check->refusal != NULL)
    {
      g_autofree char *detail
          = g_strdup_printf ("no checkout that ends in a moment: %s; pay one to see", check->refusal);
      say (check, "skip", detail);
    }
  else if (check->is_heard)
    say (check, "pass", "authentic");
  else
    say (check, "fail", n_refused > 0 ? "what came was not authentic" : "none came");
}

static void
heard (Market *market, gpointer data, gboolean is_timed_out)
{
  Check *check = data;
  check->is_heard = !is_timed_out;
  check->is_over = TRUE;
  if (check->is_waiting && !market->is_closing)
    judge_callback (check);
}

/* Nothing but the callback is missing. */
static void
wait_on (Check *check)
{
  check->is_waiting = TRUE;
  if (check->is_over)
    judge_callback (check);
}

static void
on_brief_cancelled (const ProviderReply *reply, gpointer data)
{
  wait_on (data);
}

static void
on_brief (const ProviderReply *reply, gpointer data)
{
  Check *check = data;
  if (reply->outcome != PROVIDER_OK)
    {
      check->refusal = g_strdup (reply->reason);
      check->is_waiting = TRUE;
      if (check->is_over)
        judge_callback (check);
      else
        waiters_wake (check->market, check->brief);
    }
  else if (reply->expires_us > 0)
    check->provider->type->cancel_checkout (check->provider, reply->checkout, on_brief_cancelled, check);
  else
    wait_on (check);
}

static void
wait_for_callback (Check *check)
{
  CheckoutRequest brief = check->request;
  gint64 now_us = clock_get_wall_us (check->market->desk.clock);
  brief.key = brief.order = check->brief;
  brief.created_us = now_us;
  brief.expires_us = (now_us / G_USEC_PER_SEC + BRIEF_S) * G_USEC_PER_SEC;
  waiters_add (check->market, check->brief, BRIEF_S * 1000 + check->provider->timeout_ms, heard, check);
  check->provider->type->create_checkout (check->provider, &brief, on_brief, check);
}

static const Step steps[] = {
  { "reachable", FALSE, reach },
  { "key-accepted", FALSE, show_key },
  { "wrong-key-refused", FALSE, show_wrong_key },
  { "unknown-checkout", FALSE, ask_unknown_checkout },
  { "unknown-refund", FALSE, ask_unknown_refund },
  { "create", TRUE, create },
  { "create-again", TRUE, create_again },
  { "create-key-reused", TRUE, create_otherwise },
  { "report", TRUE, ask_report },
  { "cancel", TRUE, cancel },
  { "cancel-again", TRUE, cancel },
  { "report-cancelled", TRUE, ask_cancelled },
  { "list", TRUE, list },
  { "callback", TRUE, wait_for_callback },
};

static const Step *
peek_step (const Check *check)
{
  return &steps[check->step];
}

static void
end (Check *check)
{
  ControlCall *call = g_steal_pointer (&check->call);
  if (check->n_failed > 0)
    control_call_refuse (call, "%u of %u checks failed", check->n_failed, (guint)G_N_ELEMENTS (steps));
  else
    control_call_done (call);
  Market *market = check->market;
  market_end_call (market, check);
  check_free (check);
}

static void
go_on (Check *check)
{
  if (check->step == G_N_ELEMENTS (steps))
    {
      end (check);
      return;
    }
  const Step *step = peek_step (check);
  gboolean needs_checkout = step->is_writing && step->begin != create;
  if (step->is_writing && check->is_reading)
    say (check, "skip", "only what changes nothing");
  else if (needs_checkout && check->checkout == NULL)
    say (check, "skip", "there is no checkout");
  else
    step->begin (check);
}

static Provider *
make_stranger (const Provider *provider)
{
  static const char key[] = "sk_test_of_somebody_else";
  Provider *stranger = g_new0 (Provider, 1);
  stranger->type = provider->type;
  stranger->name = g_strdup (provider->name);
  stranger->merchant = g_strdup (provider->merchant);
  stranger->is_live = provider->is_live;
  stranger->base = http_base_new (http_base_peek_url (provider->base), NULL);
  stranger->api_key = secret_new (key, strlen (key));
  stranger->timeout_ms = provider->timeout_ms;
  stranger->http = provider->http;
  stranger->calls = g_hash_table_new_full (NULL, NULL, provider->type->free_call, NULL);
  return stranger;
}

static void
check_provider (ControlCall *call, gpointer data)
{
  Market *market = data;
  const char *name = control_call_get_text (call, "NAME");
  const char *currency = control_call_get_text (call, "--currency");
  Provider *provider = *name != '\0' ? desk_find_provider (&market->desk, name) : NULL;
  gboolean is_reading = control_call_has_flag (call, "--live");
  if (provider == NULL)
    {
      control_call_refuse (call, "cannot check '%s': there is no [billing %s] in the configuration", name,
                           name);
      return;
    }
  if (currency != NULL && (strlen (currency) != 3 || strspn (currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 3))
    {
      control_call_refuse (call, "cannot check '%s': --currency is three capital letters, ISO 4217", name);
      return;
    }
  if (provider->is_live && !is_reading)
    {
      control_call_refuse (call,
                           "cannot check '%s': it is in live mode, where no checkout is made to try it; with "
                           "--live only what changes nothing is asked",
                           name);
      return;
    }
  payments_find_callback (market, provider);
  Check *check = g_new0 (Check, 1);
  check->market = market;
  check->call = call;
  check->provider = provider;
  check->stranger = make_stranger (provider);
  check->is_reading = is_reading;
  check->n_refused = market->n_refused_callbacks;
  check->currency = g_strdup (currency != NULL ? currency : "EUR");
  check->order = id_new_sortable (PROVIDER_CHECK_PREFIX, market->desk.clock);
  check->brief = g_strconcat (check->order, ".2", NULL);
  gint64 now_us = clock_get_wall_us (market->desk.clock);
  check->request = (CheckoutRequest){
    .key = check->order,
    .order = check->order,
    .amount_minor = AMOUNT_MINOR,
    .currency = check->currency,
    .description = "A check of the configuration: do not pay",
    .buyer = "check",
    .created_us = now_us,
    .expires_us = now_us + LIFE_US,
  };
  market_begin_call (market, check, check_free);
  go_on (check);
}

void
check_init (Market *market)
{
  static const ControlArgument arguments[]
      = { { "NAME", CONTROL_TEXT }, { "--live", CONTROL_FLAG }, { "--currency", CONTROL_VALUE }, { NULL } };
  ControlCommand command = {
    .name = "billing check",
    .arguments = arguments,
    .is_list = TRUE,
    .help = "try a billing provider: keys, checkouts, reports, callbacks",
    .handle = check_provider,
    .data = market,
  };
  controls_add (market->server->controls, &command);
}
