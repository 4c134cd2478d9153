#include "host-server/im/subscription.h"

#include <string.h>

/* The tables of RFC 6121 appendix A row by row, as they are printed there: existing state, whether the stanza
 * is routed or delivered ("+" MUST, "-" MUST NOT, "a" MUST NOT and the server answers "subscribed"), new
 * state. */
typedef struct
{
  const char *name;
  gboolean is_outbound;
  StanzaType type;
  const char *rows[N_SUBSCRIPTIONS];
} Table;

/* clang-format off */
static const Table tables[] = {
  { "A.2.1 outbound subscribe", TRUE, STANZA_TYPE_SUBSCRIBE, {
    "None | + | None + Pending Out",
    "None + Pending Out | + | None + Pending Out",
    "None + Pending In | + | None + Pending Out+In",
    "None + Pending Out+In | + | None + Pending Out+In",
    "To | + | To",
    "To + Pending In | + | To + Pending In",
    "From | + | From + Pending Out",
    "From + Pending Out | + | From + Pending Out",
    "Both | + | Both" } },
  { "A.2.2 outbound unsubscribe", TRUE, STANZA_TYPE_UNSUBSCRIBE, {
    "None | + | None",
    "None + Pending Out | + | None",
    "None + Pending In | + | None + Pending In",
    "None + Pending Out+In | + | None + Pending In",
    "To | + | None",
    "To + Pending In | + | None + Pending In",
    "From | + | From",
    "From + Pending Out | + | From",
    "Both | + | From" } },
  { "A.2.3 outbound subscribed", TRUE, STANZA_TYPE_SUBSCRIBED, {
    "None | - | None",
    "None + Pending Out | - | None + Pending Out",
    "None + Pending In | + | From",
    "None + Pending Out+In | + | From + Pending Out",
    "To | - | To",
    "To + Pending In | + | Both",
    "From | - | From",
    "From + Pending Out | - | From + Pending Out",
    "Both | - | Both" } },
  { "A.2.4 outbound unsubscribed", TRUE, STANZA_TYPE_UNSUBSCRIBED, {
    "None | - | None",
    "None + Pending Out | - | None + Pending Out",
    "None + Pending In | + | None",
    "None + Pending Out+In | + | None + Pending Out",
    "To | - | To",
    "To + Pending In | + | To",
    "From | + | None",
    "From + Pending Out | + | None + Pending Out",
    "Both | + | To" } },
  { "A.3.1 inbound subscribe", FALSE, STANZA_TYPE_SUBSCRIBE, {
    "None | + | None + Pending In",
    "None + Pending Out | + | None + Pending Out+In",
    "None + Pending In | - | None + Pending In",
    "None + Pending Out+In | - | None + Pending Out+In",
    "To | + | To + Pending In",
    "To + Pending In | - | To + Pending In",
    "From | a | From",
    "From + Pending Out | a | From + Pending Out",
    "Both | a | Both" } },
  { "A.3.2 inbound unsubscribe", FALSE, STANZA_TYPE_UNSUBSCRIBE, {
    "None | - | None",
    "None + Pending Out | - | None + Pending Out",
    "None + Pending In | + | None",
    "None + Pending Out+In | + | None + Pending Out",
    "To | - | To",
    "To + Pending In | + | To",
    "From | + | None",
    "From + Pending Out | + | None + Pending Out",
    "Both | + | To" } },
  { "A.3.3 inbound subscribed", FALSE, STANZA_TYPE_SUBSCRIBED, {
    "None | - | None",
    "None + Pending Out | + | To",
    "None + Pending In | - | None + Pending In",
    "None + Pending Out+In | + | To + Pending In",
    "To | - | To",
    "To + Pending In | - | To + Pending In",
    "From | - | From",
    "From + Pending Out | + | Both",
    "Both | - | Both" } },
  { "A.3.4 inbound unsubscribed", FALSE, STANZA_TYPE_UNSUBSCRIBED, {
    "None | - | None",
    "None + Pending Out | + | None",
    "None + Pending In | - | None + Pending In",
    "None + Pending Out+In | + | None + Pending In",
    "To | + | None",
    "To + Pending In | + | None + Pending In",
    "From | - | From",
    "From + Pending Out | + | From",
    "Both | + | From" } },
};
/* clang-format on */

/* A state's name from what the predicates say of it, so that they are under test too. */
static char *
dup_name (Subscription state)
{
  g_autofree char *text = g_strdup (subscription_to_text (state));
  text[0] = g_ascii_toupper (text[0]);
  gboolean is_out = subscription_is_pending_out (state), is_in = subscription_is_pending_in (state);
  return g_strconcat (text,
                      is_out && is_in ? " + Pending Out+In"
                      : is_out        ? " + Pending Out"
                      : is_in         ? " + Pending In"
                                      : "",
                      NULL);
}

static void
test_subscription_follows_the_appendix_row_by_row (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (tables); i++)
    for (Subscription state = 0; state < N_SUBSCRIPTIONS; state++)
      {
        SubscriptionStep step = tables[i].is_outbound ? subscription_outbound (state, tables[i].type)
                                                      : subscription_inbound (state, tables[i].type);
        g_autofree char *before = dup_name (state);
        g_autofree char *after = dup_name (step.state);
        g_autofree char *row = g_strconcat (before, " | ",
                                            step.passes        ? "+"
                                            : step.is_answered ? "a"
                                                               : "-",
                                            " | ", after, NULL);
        g_test_message ("%s: %s", tables[i].name, row);
        g_assert_cmpstr (row, ==, tables[i].rows[state]);
      }
}

/* Two users with one server each: whatever they do in whatever order, what one believes the other believes.
 */
static void
test_subscription_both_sides_agree_after_any_history (void)
{
  static const StanzaType types[]
      = { STANZA_TYPE_SUBSCRIBE, STANZA_TYPE_SUBSCRIBED, STANZA_TYPE_UNSUBSCRIBE, STANZA_TYPE_UNSUBSCRIBED };
  Subscription states[2] = { SUBSCRIPTION_NONE, SUBSCRIPTION_NONE };
  for (guint round = 0; round < 100000; round++)
    {
      guint mover = (guint)g_test_rand_int_range (0, 2);
      StanzaType type = types[g_test_rand_int_range (0, 4)];
      SubscriptionStep step = subscription_outbound (states[mover], type);
      states[mover] = step.state;
      if (step.passes)
        {
          SubscriptionStep answer = subscription_inbound (states[!mover], type);
          states[!mover] = answer.state;
          if (answer.is_answered)
            states[mover] = subscription_inbound (states[mover], STANZA_TYPE_SUBSCRIBED).state;
        }
      for (guint i = 0; i < 2; i++)
        {
          g_assert_true (subscription_has_to (states[i]) == subscription_has_from (states[!i]));
          g_assert_true (subscription_is_pending_out (states[i]) == subscription_is_pending_in (states[!i]));
        }
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/im/subscription/follows-the-appendix-row-by-row",
                   test_subscription_follows_the_appendix_row_by_row);
  g_test_add_func ("/im/subscription/both-sides-agree-after-any-history",
                   test_subscription_both_sides_agree_after_any_history);
  return g_test_run ();
}
