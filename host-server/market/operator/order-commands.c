#include "host-server/core/control.h"
#include "host-server/market/books/review.h"
#include "host-server/market/room.h"

#include <string.h>

/* hostctl's commands by which a person decides about orders. */

#define NOTE_MAX 200 /* bytes */

typedef struct
{
  ControlCall *call;
  Resolution as;
  gint64 amount_minor;
  ResolveOutcome resolved;
  OrderRefundOutcome refunded;
} Decision;

static const char *
get_order (const Decision *decision)
{
  return control_call_get_text (decision->call, "ORDER");
}

static gboolean
has_good_note (ControlCall *call)
{
  const char *note = control_call_get_text (call, "--note");
  if (note == NULL || strlen (note) <= NOTE_MAX)
    return TRUE;
  control_call_refuse (call, "--note: at most %d bytes", NOTE_MAX);
  return FALSE;
}

static gboolean
resolve_work (Turn *turn, gpointer data, GError **error)
{
  Decision *decision = data;
  return order_resolve (turn, get_order (decision), decision->as,
                        control_call_get_text (decision->call, "--note"), &decision->resolved, error);
}

static void
resolve_done (Market *market, gpointer data, const GError *error)
{
  Decision *decision = data;
  if (error != NULL)
    control_call_refuse (decision->call, "cannot resolve '%s': %s", get_order (decision), error->message);
  else if (decision->resolved != RESOLVE_DONE)
    control_call_refuse (decision->call, "cannot resolve '%s': %s", get_order (decision),
                         resolve_outcome_to_text (decision->resolved));
  else
    control_call_done (decision->call);
  g_free (decision);
}

static void
resolve_order (ControlCall *call, gpointer data)
{
  Resolution as;
  if (!resolution_from_text (control_call_get_text (call, "--as"), &as))
    {
      control_call_refuse (call, "--as paid, fulfilled, refund or closed is needed");
      return;
    }
  if (!has_good_note (call))
    return;
  Decision *decision = g_new0 (Decision, 1);
  decision->call = call;
  decision->as = as;
  market_write (data, resolve_work, resolve_done, decision);
}

static gboolean
refund_work (Turn *turn, gpointer data, GError **error)
{
  Decision *decision = data;
  return order_refund (turn, get_order (decision), decision->amount_minor,
                       control_call_get_text (decision->call, "--note"), &decision->refunded, error);
}

static void
refund_done (Market *market, gpointer data, const GError *error)
{
  Decision *decision = data;
  if (error != NULL)
    control_call_refuse (decision->call, "cannot refund '%s': %s", get_order (decision), error->message);
  else if (decision->refunded != ORDER_REFUND_DONE)
    control_call_refuse (decision->call, "cannot refund '%s': %s", get_order (decision),
                         order_refund_outcome_to_text (decision->refunded));
  else
    control_call_done (decision->call);
  g_free (decision);
}

static void
refund_order (ControlCall *call, gpointer data)
{
  const char *amount = control_call_get_text (call, "--amount");
  gint64 amount_minor = 0;
  if (amount != NULL && !g_ascii_string_to_signed (amount, 10, 1, PROVIDER_MAX_AMOUNT, &amount_minor, NULL))
    {
      control_call_refuse (call, "--amount: a whole number of minor units, 1 or more");
      return;
    }
  if (!has_good_note (call))
    return;
  Decision *decision = g_new0 (Decision, 1);
  decision->call = call;
  decision->amount_minor = amount_minor;
  market_write (data, refund_work, refund_done, decision);
}

void
order_commands_init (Market *market)
{
  static const ControlArgument resolve[]
      = { { "ORDER", CONTROL_TEXT }, { "--as", CONTROL_VALUE }, { "--note", CONTROL_VALUE }, { NULL } };
  static const ControlArgument refund[]
      = { { "ORDER", CONTROL_TEXT }, { "--amount", CONTROL_VALUE }, { "--note", CONTROL_VALUE }, { NULL } };
  const ControlCommand commands[] = {
    { "order resolve", resolve, NULL, FALSE, "end a review: --as paid, fulfilled, refund or closed",
      resolve_order, market },
    { "order refund", refund, NULL, FALSE, "give the money of an order back, all of it or a part",
      refund_order, market },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (commands); i++)
    controls_add (market->server->controls, &commands[i]);
}
