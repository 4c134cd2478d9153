/* receipt. */
#include "host-client/cli/commands.h"
#include "host-client/cli/receipt-view.h"

static void
on_receipt (const ReceiptCheck *check, const Reply *reply, gpointer data)
{
  App *app = data;
  if (check == NULL)
    {
      ExitCode code;
      g_autofree char *text = app_dup_reply_text (reply, &code);
      app_fail (app, code, "no receipt: %s", text);
      return;
    }
  if (app->arguments->is_json)
    output_json (receipt_view_json (check));
  else
    {
      g_autofree char *text = receipt_view_text (check);
      g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
      for (guint i = 0; lines[i] != NULL; i++)
        output_line ("%s", lines[i]);
    }
  app_finish (app, check->receipt != NULL ? EXIT_DONE : EXIT_REFUSED);
}

/* The serials of this device are compared, so they are to be current first. */
static void
on_market_state (MarketState state, gpointer data)
{
  App *app = data;
  if (state == MARKET_READY)
    receipt_check (client_peek_session (app->client), client_peek_market (app->client),
                   app->arguments->words[0], on_receipt, app);
  else if (state == MARKET_ABSENT)
    app_fail (app, EXIT_REFUSED, "this server has no plugin market");
}

static void
start_receipt (App *app)
{
  static const MarketEvents events = { .state = on_market_state };
  Market *market = client_peek_market (app->client);
  market_watch (market, &events, app);
  on_market_state (market_get_state (market), app);
}

const Command command_receipt = {
  .kind = COMMAND_RECEIPT,
  .retry = SESSION_RETRY_ONCE_ONLINE,
  .start = start_receipt,
};
