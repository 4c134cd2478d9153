#include "host-server/market/provider/test-provider.h"

static void
answer (HttpExchange *exchange, gpointer data)
{
  Script *script = data;
  gsize length;
  const char *key = http_exchange_get_header (exchange, "Idempotency-Key");
  const char *bearer = http_exchange_get_header (exchange, "Authorization");
  const char *version = http_exchange_get_header (exchange, "Stripe-Version");
  g_assert_cmpstr (bearer, ==, "Bearer sk_test_key");
  g_string_append_printf (script->asked, "%s %s%s%s%s%s %s\n", http_exchange_get_method (exchange),
                          http_exchange_get_target (exchange), key != NULL ? " key=" : "",
                          key != NULL ? key : "", version != NULL ? " version=" : "",
                          version != NULL ? version : "", http_exchange_get_body (exchange, &length));
  g_autofree ScriptedAnswer *next = g_queue_pop_head (&script->answers);
  if (next == NULL)
    g_error ("nothing is scripted for: %s", script->asked->str);
  http_exchange_answer_json (exchange, next->status, next->body);
}

Script *
script_new (const ProviderType *type, const char *merchant)
{
  static const char *const headers[] = { "Authorization", "Idempotency-Key", "Stripe-Version", NULL };
  static const char *const paths[] = { "/v1/{a}", "/v1/{a}/{b}", "/v1/{a}/{b}/{c}", "/v1/{a}/{b}/{c}/{d}" };
  g_autoptr (GError) error = NULL;
  Script *script = g_new0 (Script, 1);
  script->asked = g_string_new (NULL);
  script->routes = http_routes_new ();
  for (gsize i = 0; i < 2 * G_N_ELEMENTS (paths); i++)
    {
      HttpRoute route = { .method = i % 2 == 0 ? "GET" : "POST",
                          .pattern = paths[i / 2],
                          .max_body = i % 2 == 0 ? 0 : 16384,
                          .headers = headers,
                          .handle = answer,
                          .data = script };
      http_routes_add (script->routes, &route);
    }
  HttpServerOptions options = { .listen = "127.0.0.1:0" };
  script->server = http_server_start (&options, script->routes, NULL, &error);
  g_assert_no_error (error);
  script->http = http_client_new (NULL, NULL, 0);

  g_autofree char *base = g_strconcat ("http://", http_server_peek_address (script->server), NULL);
  Provider *provider = g_new0 (Provider, 1);
  provider->type = type;
  provider->name = g_strdup ("stub");
  provider->merchant = g_strdup (merchant);
  provider->base = http_base_new (base, &error);
  g_assert_no_error (error);
  provider->api_key = secret_new ("sk_test_key", 11);
  provider->callback_url = g_strdup ("https://host.example/v1/billing/stub");
  provider->timeout_ms = 10000;
  provider->http = script->http;
  provider->calls = g_hash_table_new_full (NULL, NULL, type->free_call, NULL);
  script->provider = provider;
  return script;
}

void
script_free (Script *script)
{
  g_assert_cmpuint (g_hash_table_size (script->provider->calls), ==, 0);
  http_client_free (script->http);
  provider_free (script->provider);
  http_server_free (script->server);
  http_routes_free (script->routes);
  g_queue_clear_full (&script->answers, g_free);
  g_string_free (script->asked, TRUE);
  g_free (script);
}

void
script_answer (Script *script, guint status, const char *body)
{
  ScriptedAnswer *next = g_new (ScriptedAnswer, 1);
  *next = (ScriptedAnswer){ status, body };
  g_queue_push_tail (&script->answers, next);
}

void
script_run (Script *script)
{
  while (!script->is_done)
    g_main_context_iteration (NULL, TRUE);
  script->is_done = FALSE;
  g_assert_cmpuint (g_queue_get_length (&script->answers), ==, 0);
}
