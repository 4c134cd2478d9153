#include "billing-stub/page.h"

#include "common/base/log.h"
#include "common/base/secret.h"
#include "common/base/text.h"

#include <string.h>

#define MAX_FORM 2048

struct Page
{
  Ledger *ledger;
  Delivery *delivery;
  char *merchant;
};

/* How many digits of a currency's minor units stand behind the point (ISO 4217; those that are not two). */
static int
digits_of (const char *currency)
{
  static const char *const none[] = { "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG",
                                      "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF", NULL };
  static const char *const three[] = { "BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND", NULL };
  return g_strv_contains (none, currency) ? 0 : g_strv_contains (three, currency) ? 3 : 2;
}

static char *
dup_price (gint64 amount, const char *currency)
{
  int digits = digits_of (currency);
  gint64 unit = digits == 0 ? 1 : digits == 2 ? 100 : 1000;
  if (digits == 0)
    return g_strdup_printf ("%" G_GINT64_FORMAT " %s", amount, currency);
  return g_strdup_printf ("%" G_GINT64_FORMAT ".%0*" G_GINT64_FORMAT " %s", amount / unit, digits,
                          amount % unit, currency);
}

static void
begin_html (GString *html, const char *title)
{
  g_string_append (html, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>");
  text_append_xml (html, title);
  g_string_append (
      html,
      "</title>\n<style>\n"
      ":root { color-scheme: light dark; }\n"
      "body { font: 1rem/1.5 system-ui, sans-serif; max-width: 26rem; margin: 3rem auto; padding: 0 1rem; }\n"
      "dl { display: grid; grid-template-columns: auto 1fr; gap: .25rem 1rem; }\n"
      "dt { opacity: .7; } dd { margin: 0; overflow-wrap: anywhere; }\n"
      ".price { font-size: 2rem; font-weight: 600; margin: .5rem 0; }\n"
      "button { font: inherit; padding: .6rem 1.4rem; border-radius: .4rem; border: 1px solid; cursor: "
      "pointer; }\n"
      ".pay { background: #1a5fb4; color: #fff; border-color: #1a5fb4; }\n"
      "form { display: flex; gap: .75rem; margin-top: 1.5rem; }\n"
      "footer { margin-top: 2rem; font-size: .85rem; opacity: .7; }\n"
      "</style>\n</head>\n<body>\n");
}

static void
answer_html (HttpExchange *exchange, guint status, GString *html)
{
  g_string_append (
      html, "<footer>A payment provider for development: no money moves.</footer>\n</body>\n</html>\n");
  http_exchange_add_header (
      exchange, "Content-Security-Policy",
      "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; "
      "base-uri 'none'");
  http_exchange_add_header (exchange, "Referrer-Policy", "no-referrer");
  http_exchange_answer (exchange, status, "text/html; charset=utf-8", html->str, html->len);
}

static void
answer_note (HttpExchange *exchange, guint status, const char *title, const char *text)
{
  g_autoptr (GString) html = g_string_new (NULL);
  begin_html (html, title);
  g_string_append_printf (html, "<h1>%s</h1>\n<p>%s</p>\n", title, text);
  answer_html (exchange, status, html);
}

static void
answer_failure (HttpExchange *exchange, const GError *error)
{
  log_error ("page", "%s", error->message);
  answer_note (exchange, 503, "Not now", "The payment could not be looked up. Please try again.");
}

static void
append_row (GString *html, const char *label, const char *value)
{
  g_string_append_printf (html, "<dt>%s</dt><dd>", label);
  text_append_xml (html, value);
  g_string_append (html, "</dd>\n");
}

static void
append_form (GString *html, const Checkout *checkout, const char *to_pay)
{
  g_string_append (html, "<form method=\"post\"");
  g_autofree char *action = g_strconcat ("/pay/", checkout->id, NULL);
  text_append_xml_attribute (html, "action", action);
  g_string_append (html, ">\n<input type=\"hidden\" name=\"token\"");
  text_append_xml_attribute (html, "value", checkout->token);
  g_string_append (html, ">\n<button class=\"pay\" name=\"action\" value=\"pay\">Pay ");
  text_append_xml (html, to_pay);
  g_string_append (html, "</button>\n<button name=\"action\" value=\"decline\">Decline</button>\n</form>\n");
}

static const char *
headline_of (const Checkout *checkout)
{
  switch (checkout->status)
    {
    case CHECKOUT_OPEN:
      return checkout->paid > 0 ? "Part of it is paid" : "Please confirm your payment";
    case CHECKOUT_PAID:
      return "Paid, thank you";
    case CHECKOUT_DECLINED:
      return "Declined, nothing was charged";
    case CHECKOUT_EXPIRED:
      return "This offer has expired, nothing was charged";
    }
  g_assert_not_reached ();
}

static void
show (HttpExchange *exchange, gpointer data)
{
  Page *page = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (Checkout) checkout = NULL;
  if (ledger_expire (page->ledger, &error))
    checkout = ledger_find (page->ledger, http_exchange_get_parameter (exchange, "checkout"), &error);
  if (error != NULL)
    {
      answer_failure (exchange, error);
      return;
    }
  if (checkout == NULL)
    {
      answer_note (exchange, 404, "No such payment",
                   "The address is not complete, or the payment is long over.");
      return;
    }
  g_autofree char *price = dup_price (checkout->amount, checkout->currency);
  g_autofree char *to_pay = dup_price (MAX (0, checkout->amount - checkout->paid), checkout->currency);
  g_autofree char *paid = dup_price (checkout->paid, checkout->currency);
  g_autofree char *expires = clock_dup_rfc3339 (checkout->expires_us);
  g_autoptr (GString) html = g_string_new (NULL);
  begin_html (html, checkout->description);
  g_string_append_printf (html, "<h1>%s</h1>\n<p class=\"price\">", headline_of (checkout));
  text_append_xml (html, price);
  g_string_append (html, "</p>\n<dl>\n");
  append_row (html, "Item", checkout->description);
  append_row (html, "Sold by", page->merchant);
  append_row (html, "Order", checkout->order);
  if (checkout->paid > 0)
    append_row (html, "Paid so far", paid);
  if (checkout->status == CHECKOUT_OPEN)
    append_row (html, "Open until", expires);
  g_string_append (html, "</dl>\n");
  if (checkout->status == CHECKOUT_OPEN)
    append_form (html, checkout, to_pay);
  else
    g_string_append (html, "<p>You can close this page.</p>\n");
  answer_html (exchange, 200, html);
}

/* A form is taken only with the token that stands on our page: another site cannot press the button. */
static gboolean
is_our_form (const Checkout *checkout, const char *token)
{
  return token != NULL
         && secret_equal_bytes (checkout->token, strlen (checkout->token), token, strlen (token));
}

static void
decide (HttpExchange *exchange, gpointer data)
{
  Page *page = data;
  const char *id = http_exchange_get_parameter (exchange, "checkout");
  const char *action = http_exchange_get_form (exchange, "action");
  g_autoptr (GError) error = NULL;
  g_autoptr (Checkout) checkout = ledger_find (page->ledger, id, &error);
  if (checkout != NULL && !is_our_form (checkout, http_exchange_get_form (exchange, "token")))
    {
      answer_note (exchange, 403, "Not from this page", "Please open the payment again and decide there.");
      return;
    }
  LedgerOutcome outcome = LEDGER_REFUSED;
  if (checkout == NULL)
    outcome = error != NULL ? LEDGER_FAILED : LEDGER_NOT_FOUND;
  else if (g_strcmp0 (action, "pay") == 0)
    outcome = ledger_pay (page->ledger, id, &error);
  else if (g_strcmp0 (action, "decline") == 0)
    outcome = ledger_decline (page->ledger, id, &error);
  delivery_poke (page->delivery);

  switch (outcome)
    {
    case LEDGER_DONE:
    case LEDGER_CLOSED: /* the page says what it is now */
      {
        g_autofree char *place = g_strconcat ("/pay/", checkout->id, NULL);
        http_exchange_add_header (exchange, "Location", place);
        http_exchange_answer (exchange, 303, NULL, NULL, 0);
        return;
      }
    case LEDGER_NOT_FOUND:
      answer_note (exchange, 404, "No such payment",
                   "The address is not complete, or the payment is long over.");
      return;
    case LEDGER_FAILED:
      answer_failure (exchange, error);
      return;
    case LEDGER_REFUSED:
    case LEDGER_KEY_REUSED:
      answer_note (exchange, 400, "Pay or decline?", "The form did not say which.");
      return;
    }
}

Page *
page_new (HttpRoutes *routes, Ledger *ledger, Delivery *delivery, const char *merchant)
{
  Page *page = g_new0 (Page, 1);
  page->ledger = ledger;
  page->delivery = delivery;
  page->merchant = g_strdup (merchant);
  http_routes_add (
      routes, &(HttpRoute){ .method = "GET", .pattern = "/pay/{checkout}", .handle = show, .data = page });
  http_routes_add (routes, &(HttpRoute){ .method = "POST",
                                         .pattern = "/pay/{checkout}",
                                         .max_body = MAX_FORM,
                                         .handle = decide,
                                         .data = page });
  return page;
}

void
page_free (Page *page)
{
  g_free (page->merchant);
  g_free (page);
}
