/* Client and server against each other over loopback, and the server against raw bytes. */
#include "common/net/http-client.h"
#include "common/net/http-server.h"
#include "common/net/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct
{
  HttpRoutes *routes;
  HttpServer *server;
  HttpClient *client;
  HttpBase *base;
  HttpExchange *held; /* by the route /hold */
  guint n_held;
} House;

static void
answer_echo (HttpExchange *exchange, gpointer data)
{
  gsize length;
  const char *body = http_exchange_get_body (exchange, &length);
  g_autoptr (GString) text = g_string_new (NULL);
  const char *word = http_exchange_get_header (exchange, "x-word");
  g_string_append_printf (
      text, "%s %s item=%s query=%s word=%s/%u peer=%s body=", http_exchange_get_method (exchange),
      http_exchange_get_target (exchange), http_exchange_get_parameter (exchange, "item"),
      http_exchange_get_query (exchange, "q"), word, http_exchange_count_header (exchange, "X-Word"),
      http_exchange_get_peer (exchange));
  g_string_append_len (text, body, (gssize)length);
  http_exchange_answer (exchange, 200, "text/plain", text->str, text->len);
}

static void
answer_form (HttpExchange *exchange, gpointer data)
{
  g_autofree char *text
      = g_strdup_printf ("%s|%s|%s", http_exchange_get_form (exchange, "a"),
                         http_exchange_get_form (exchange, "b"), http_exchange_get_form (exchange, "c"));
  http_exchange_answer (exchange, 200, "text/plain", text, strlen (text));
}

static void
answer_later (HttpExchange *exchange, gpointer data)
{
  House *house = data;
  house->n_held++;
  g_assert_null (house->held);
  house->held = exchange;
}

static void
answer_status (HttpExchange *exchange, gpointer data)
{
  guint status = (guint)g_ascii_strtoull (http_exchange_get_parameter (exchange, "status"), NULL, 10);
  const char *retry = http_exchange_get_query (exchange, "retry");
  if (retry != NULL)
    http_exchange_add_header (exchange, "Retry-After", retry);
  if (status >= 300 && status < 400)
    http_exchange_add_header (exchange, "Location", "/status/200");
  http_exchange_answer (exchange, status, NULL, NULL, 0);
}

static void
answer_large (HttpExchange *exchange, gpointer data)
{
  g_autofree char *text = g_strnfill (100000, 'x');
  http_exchange_answer (exchange, 200, "text/plain", text, 100000);
}

static House *
house_new_with (const HttpServerLimits *limits)
{
  House *house = g_new0 (House, 1);
  static const char *const words[] = { "X-Word", NULL };
  const HttpRoute routes[] = {
    { "GET", "/echo/{item}", 0, 0, words, answer_echo, NULL },
    { "POST", "/echo/{item}", 1000, 0, words, answer_echo, NULL },
    { "DELETE", "/echo/{item}", 0, 0, words, answer_echo, NULL },
    { "POST", "/form", 1000, 0, NULL, answer_form, NULL },
    { "GET", "/hold", 0, 0, NULL, answer_later, house },
    { "GET", "/one", 0, 1, NULL, answer_later, house },
    { "GET", "/status/{status}", 0, 0, NULL, answer_status, NULL },
    { "GET", "/large", 0, 0, NULL, answer_large, NULL },
  };
  house->routes = http_routes_new ();
  for (gsize i = 0; i < G_N_ELEMENTS (routes); i++)
    http_routes_add (house->routes, &routes[i]);
  HttpServerOptions options = { .listen = "127.0.0.1:0" };
  if (limits != NULL)
    options.limits = *limits;
  g_autoptr (GError) error = NULL;
  house->server = http_server_start (&options, house->routes, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (http_server_get_port (house->server), >, 0);
  house->client = http_client_new (NULL, NULL, 0);
  g_autofree char *url = g_strdup_printf ("http://%s/", http_server_peek_address (house->server));
  house->base = http_base_new (url, &error);
  g_assert_no_error (error);
  return house;
}

static House *
house_new (void)
{
  return house_new_with (NULL);
}

static void
house_free (House *house)
{
  http_client_free (house->client);
  http_server_free (house->server);
  if (house->held != NULL)
    http_exchange_refuse (house->held, 503, "late"); /* nobody listens any more */
  http_routes_free (house->routes);
  http_base_free (house->base);
  g_free (house);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (House, house_free)

/* --- the client's side */

typedef struct
{
  gboolean is_done;
  HttpOutcome outcome;
  int status;
  gint64 retry_after_s;
  char *body, *reason, *allow;
} Got;

static void
got_clear (Got *got)
{
  g_free (got->body);
  g_free (got->reason);
  g_free (got->allow);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Got, got_clear)

static void
on_reply (const HttpReply *reply, gpointer data)
{
  Got *got = data;
  g_assert_false (got->is_done);
  got->is_done = TRUE;
  got->outcome = http_reply_get_outcome (reply);
  got->status = http_reply_get_status (reply);
  got->retry_after_s = http_reply_get_retry_after_s (reply);
  got->body = g_strdup (http_reply_peek_body (reply, NULL));
  got->reason = g_strdup (http_reply_peek_reason (reply));
  got->allow = g_strdup (http_reply_peek_header (reply, "ALLOW"));
}

static Got
ask (House *house, const HttpRequest *request)
{
  Got got = { 0 };
  http_client_send (house->client, house->base, request, on_reply, &got);
  while (!got.is_done)
    g_main_context_iteration (NULL, TRUE);
  return got;
}

static void
test_http_request_arrives_as_it_was_sent (void)
{
  g_autoptr (House) house = house_new ();
  static const char *const headers[] = { "X-Word: hello", NULL };
  HttpRequest request = { .method = "POST",
                          .path = "/echo/a%2Fb%20c?q=1%2B1+%C3%A9",
                          .headers = headers,
                          .body = "{\"x\":\0 1}",
                          .body_length = 9 };
  g_auto (Got) got = ask (house, &request);
  g_assert_cmpint (got.outcome, ==, HTTP_ANSWERED);
  g_assert_cmpint (got.status, ==, 200);
  g_assert_cmpstr (
      got.body, ==,
      "POST /echo/a%2Fb%20c?q=1%2B1+%C3%A9 item=a/b c query=1+1 \xc3\xa9 word=hello/1 peer=127.0.0.1 "
      "body={\"x\":");
  g_autofree char *target = http_base_dup_target (house->base, request.path);
  g_assert_cmpstr (target, ==, request.path);

  HttpRequest bodiless = { .method = "DELETE", .path = "/echo/x" };
  g_auto (Got) deleted = ask (house, &bodiless);
  g_assert_true (g_str_has_prefix (deleted.body, "DELETE /echo/x item=x query=(null) word=(null)/0"));

  HttpRequest form = { .method = "POST",
                       .path = "/form",
                       .content_type = "application/x-www-form-urlencoded",
                       .body = "a=1+%26&b=x&b=y&c=%zz",
                       .body_length = strlen ("a=1+%26&b=x&b=y&c=%zz") };
  g_auto (Got) sent = ask (house, &form);
  g_assert_cmpstr (sent.body, ==, "1 &|(null)|(null)");
}

static void
test_http_refuses_by_the_table_of_routes (void)
{
  g_autoptr (House) house = house_new ();
  g_autofree char *body = g_strnfill (1001, 'x');
  const struct
  {
    HttpRequest request;
    int status;
  } rows[] = {
    { { .method = "GET", .path = "/nowhere" }, 404 },
    { { .method = "GET", .path = "/echo/" }, 404 },
    { { .method = "GET", .path = "/echo/a/b" }, 404 },
    { { .method = "GET", .path = "/echo/%00" }, 400 },
    { { .method = "GET", .path = "/echo/%ff" }, 400 },
    { { .method = "GET", .path = "/echo/%zz" }, 400 },
    { { .method = "PUT", .path = "/echo/a", .body = "x", .body_length = 1 }, 405 },
    { { .method = "POST", .path = "/echo/a", .body = body, .body_length = 1000 }, 200 },
    { { .method = "POST", .path = "/echo/a", .body = body, .body_length = 1001 }, 413 },
    { { .method = "DELETE", .path = "/echo/a", .body = body, .body_length = 1 }, 413 },
    { { .method = "HEAD", .path = "/echo/a" }, 200 },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_test_message ("%s %s", rows[i].request.method, rows[i].request.path);
      g_auto (Got) got = ask (house, &rows[i].request);
      g_assert_cmpint (got.outcome, ==, HTTP_ANSWERED);
      g_assert_cmpint (got.status, ==, rows[i].status);
      if (rows[i].status == 405)
        g_assert_cmpstr (got.allow, ==, "GET, POST, DELETE");
    }
  HttpRouteCount count;
  g_assert_cmpstr (http_routes_get (house->routes, 1, &count)->method, ==, "POST");
  g_assert_cmpuint (count.n_requests, ==, 1);
  g_assert_cmpuint (count.n_answers[2], ==, 1);
  g_assert_cmpuint (count.n_answers[4], ==, 1);
}

static void
test_http_client_tells_how_a_request_ended (void)
{
  g_autoptr (House) house = house_new ();
  {
    g_auto (Got) got = ask (house, &(HttpRequest){ .method = "GET", .path = "/status/503?retry=7" });
    g_assert_cmpint (got.outcome, ==, HTTP_ANSWERED);
    g_assert_cmpint (got.status, ==, 503);
    g_assert_cmpint (got.retry_after_s, ==, 7);
    g_assert_cmpstr (got.reason, ==, "status 503");
  }
  {
    g_auto (Got) got
        = ask (house, &(HttpRequest){ .method = "GET", .path = "/status/503?retry=99999999999999" });
    g_assert_cmpint (got.retry_after_s, ==, 7 * 24 * 3600);
  }
  {
    g_auto (Got) got
        = ask (house, &(HttpRequest){ .method = "GET",
                                      .path = "/status/503?retry=Sun,%2006%20Nov%201994%2008:49:37%20GMT" });
    g_assert_cmpint (got.retry_after_s, ==, 0);
  }
  {
    g_auto (Got) got = ask (house, &(HttpRequest){ .method = "GET", .path = "/status/503?retry=soon" });
    g_assert_cmpint (got.retry_after_s, ==, -1);
  }
  {
    g_auto (Got) got = ask (house, &(HttpRequest){ .method = "GET", .path = "/status/302" });
    g_assert_cmpint (got.status, ==, 302); /* not followed */
  }
  {
    g_auto (Got) got
        = ask (house, &(HttpRequest){ .method = "GET", .path = "/large", .max_answer_bytes = 99999 });
    g_assert_cmpint (got.outcome, ==, HTTP_TOO_LARGE);
    g_assert_cmpstr (got.body, ==, "");
  }
  {
    g_auto (Got) got
        = ask (house, &(HttpRequest){ .method = "GET", .path = "/large", .max_answer_bytes = 100000 });
    g_assert_cmpint (got.outcome, ==, HTTP_ANSWERED);
  }
  {
    g_auto (Got) got = ask (house, &(HttpRequest){ .method = "GET", .path = "/hold", .timeout_ms = 50 });
    g_assert_cmpint (got.outcome, ==, HTTP_TIMED_OUT);
    g_assert_nonnull (house->held);
  }
  g_assert_cmpuint (http_client_get_n_open (house->client), ==, 0);

  /* A port that nothing listens on: bound, and not more. */
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  socklen_t length = sizeof address;
  g_assert_cmpint (bind (fd, (struct sockaddr *)&address, length), ==, 0);
  g_assert_cmpint (getsockname (fd, (struct sockaddr *)&address, &length), ==, 0);
  http_base_free (house->base);
  g_autofree char *url = g_strdup_printf ("http://127.0.0.1:%u", ntohs (address.sin_port));
  house->base = http_base_new (url, NULL);
  {
    g_auto (Got) got = ask (house, &(HttpRequest){ .method = "GET", .path = "/" });
    g_assert_cmpint (got.outcome, ==, HTTP_CANNOT_CONNECT);
  }

  /* One that accepts and says no HTTP; TLS to it; and one that hangs up on a request. */
  g_assert_cmpint (listen (fd, 5), ==, 0);
  const char *const greetings[] = { "SSH-2.0-x\r\n", "SSH-2.0-x\r\n", "" };
  const HttpOutcome outcomes[] = { HTTP_BROKEN, HTTP_TLS_REFUSED, HTTP_BROKEN };
  for (guint i = 0; i < 3; i++)
    {
      http_base_free (house->base);
      g_autofree char *other
          = g_strdup_printf ("%s://127.0.0.1:%u", i == 1 ? "https" : "http", ntohs (address.sin_port));
      house->base = http_base_new (other, NULL);
      Got got = { 0 };
      http_client_send (house->client, house->base, &(HttpRequest){ .method = "GET", .path = "/" }, on_reply,
                        &got);
      int peer = -1;
      while (!got.is_done)
        {
          if (peer < 0)
            {
              peer = accept4 (fd, NULL, NULL, SOCK_CLOEXEC);
              g_main_context_iteration (NULL, FALSE);
              if (peer < 0)
                continue;
              char sink[4096];
              g_assert_cmpint (send (peer, greetings[i], strlen (greetings[i]), 0), >=, 0);
              if (i == 2)
                {
                  while (recv (peer, sink, sizeof sink, MSG_DONTWAIT) < 0)
                    g_main_context_iteration (NULL, FALSE);
                  shutdown (peer, SHUT_RDWR);
                }
            }
          g_main_context_iteration (NULL, FALSE);
        }
      close (peer);
      g_assert_cmpint (got.outcome, ==, outcomes[i]);
      got_clear (&got);
    }
  close (fd);
}

static void
never (const HttpReply *reply, gpointer data)
{
  g_assert_not_reached ();
}

static void
test_http_cancelled_call_is_never_answered (void)
{
  g_autoptr (House) house = house_new ();
  HttpRequest request = { .method = "GET", .path = "/hold" };
  HttpCall *call = http_client_send (house->client, house->base, &request, never, NULL);
  while (house->held == NULL)
    g_main_context_iteration (NULL, TRUE);
  http_call_cancel (call);
  g_assert_cmpuint (http_client_get_n_open (house->client), ==, 0);
  http_exchange_answer_json (g_steal_pointer (&house->held), 200, "{}");
  g_auto (Got) got = ask (house, &(HttpRequest){ .method = "GET", .path = "/status/204" });
  g_assert_cmpint (got.status, ==, 204);
  /* One is open when the client goes. */
  http_client_send (house->client, house->base, &request, never, NULL);
  while (house->held == NULL)
    g_main_context_iteration (NULL, TRUE);
}

static void
test_http_crowd_of_requests_waits_for_its_turn (void)
{
  g_autoptr (House) house = house_new ();
  Got got[200] = { 0 };
  HttpCall *cancelled[2];
  for (guint i = 0; i < G_N_ELEMENTS (got); i++)
    {
      g_autofree char *path = g_strdup_printf ("/echo/%u", i);
      HttpRequest request = { .method = "GET", .path = path, .is_alone = i % 2 == 0 };
      if (i == 20 || i == 150)
        cancelled[i / 100] = http_client_send (house->client, house->base, &request, never, NULL);
      http_client_send (house->client, house->base, &request, on_reply, &got[i]);
    }
  http_call_cancel (cancelled[1]);
  http_call_cancel (cancelled[0]);
  while (http_client_get_n_open (house->client) > 0)
    g_main_context_iteration (NULL, TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (got); i++)
    {
      g_autofree char *expected = g_strdup_printf ("GET /echo/%u item=%u ", i, i);
      g_assert_true (g_str_has_prefix (got[i].body, expected));
      got_clear (&got[i]);
    }
}

/* The peer takes connections, and that is all. Those that had no turn were certainly not sent. */
static void
test_http_time_runs_for_those_that_wait_too (void)
{
  g_autoptr (House) house = house_new ();
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  socklen_t length = sizeof address;
  g_assert_cmpint (bind (fd, (struct sockaddr *)&address, length), ==, 0);
  g_assert_cmpint (listen (fd, 64), ==, 0);
  g_assert_cmpint (getsockname (fd, (struct sockaddr *)&address, &length), ==, 0);
  g_autofree char *url = g_strdup_printf ("http://127.0.0.1:%u", ntohs (address.sin_port));
  g_autoptr (HttpBase) base = http_base_new (url, NULL);
  HttpRequest request = { .method = "GET", .path = "/" };
  Got got[40] = { 0 };
  guint n_sent = 0;
  for (guint i = 0; i < G_N_ELEMENTS (got); i++)
    {
      request.timeout_ms = i < 16 ? 1500 : 200;
      http_client_send (house->client, base, &request, on_reply, &got[i]);
    }
  while (http_client_get_n_open (house->client) > 0)
    g_main_context_iteration (NULL, TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (got); i++)
    {
      g_assert_true ((got[i].outcome == HTTP_TIMED_OUT && i < 16) || got[i].outcome == HTTP_CANNOT_CONNECT);
      n_sent += got[i].outcome == HTTP_TIMED_OUT;
      got_clear (&got[i]);
    }
  g_assert_cmpuint (n_sent, >=, 8);
  /* Some wait when the client goes. */
  for (guint i = 0; i < G_N_ELEMENTS (got); i++)
    http_client_send (house->client, base, &request, never, NULL);
  close (fd);
}

static void
test_http_route_takes_no_more_than_it_may_hold (void)
{
  g_autoptr (House) house = house_new ();
  HttpRequest request = { .method = "GET", .path = "/one" };
  Got first = { 0 };
  http_client_send (house->client, house->base, &request, on_reply, &first);
  while (house->held == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_auto (Got) second = ask (house, &request);
  g_assert_cmpint (second.status, ==, 503);
  g_assert_cmpint (second.retry_after_s, ==, 1);
  g_assert_cmpuint (house->n_held, ==, 1);
  g_auto (Got) other = ask (house, &(HttpRequest){ .method = "GET", .path = "/status/200" });
  g_assert_cmpint (other.status, ==, 200);

  http_exchange_answer_json (g_steal_pointer (&house->held), 200, "{}");
  while (!first.is_done)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpint (first.status, ==, 200);
  got_clear (&first);
  Got third = { 0 };
  http_client_send (house->client, house->base, &request, on_reply, &third);
  while (house->held == NULL)
    g_main_context_iteration (NULL, TRUE);
  http_exchange_answer_json (g_steal_pointer (&house->held), 200, "{}");
  while (!third.is_done)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpint (third.status, ==, 200);
  got_clear (&third);
}

/* --- raw bytes */

static int
raw_connect (House *house)
{
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = { .sin_family = AF_INET,
                                 .sin_port = htons (http_server_get_port (house->server)),
                                 .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  g_assert_cmpint (connect (fd, (struct sockaddr *)&address, sizeof address), ==, 0);
  g_assert_cmpint (fcntl (fd, F_SETFL, O_NONBLOCK), ==, 0);
  return fd;
}

/* Everything the peer says until it closes. */
static char *
raw_read (int fd)
{
  GString *text = g_string_new (NULL);
  for (;;)
    {
      char bytes[4096];
      ssize_t n = recv (fd, bytes, sizeof bytes, 0);
      if (n > 0)
        g_string_append_len (text, bytes, n);
      else if (n == 0 || errno != EAGAIN)
        return g_string_free (text, FALSE);
      else if (!g_main_context_iteration (NULL, FALSE))
        g_usleep (1000);
    }
}

static char *
raw_ask (House *house, const char *request)
{
  int fd = raw_connect (house);
  g_assert_cmpint (send (fd, request, strlen (request), MSG_NOSIGNAL), ==, strlen (request));
  char *answer = raw_read (fd);
  close (fd);
  return answer;
}

static void
test_http_server_reads_raw_requests_strictly (void)
{
  g_autoptr (House) house = house_new ();
  static const struct
  {
    const char *request, *answer;
  } rows[] = {
    { "GET /echo/a HTTP/1.0\r\nX-Word: one\r\nx-word: two\r\n\r\n", "word=one/2" },
    { "GET /echo/a HTTP/1.1\r\nConnection: close\r\n\r\n", " 400 " }, /* no Host */
    { "GET http://other/echo/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", " 400 " },
    { "GET /echo/a#b HTTP/1.0\r\n\r\n", " 400 " },
    { "POST /echo/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", " 400 " },
    { "POST /echo/a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      " 400 " },
    { "POST /echo/a HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", " 400 " },
    { "POST /echo/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
      "body=abcde" },
    { "POST /echo/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\nExpect: 100-continue\r\n\r\n",
      "HTTP/1.1 413 " },
    { "POST /echo/a HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", "HTTP/1.1 413 " },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *answer = raw_ask (house, rows[i].request);
      g_test_message ("%s -> %s", rows[i].request, answer);
      g_assert_nonnull (strstr (answer, rows[i].answer));
    }

  g_autoptr (GString) chunked = g_string_new (
      "POST /echo/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (guint i = 0; i < 101; i++)
    g_string_append (chunked, "a\r\n0123456789\r\n");
  g_string_append (chunked, "0\r\n\r\n");
  g_autofree char *answer = raw_ask (house, chunked->str);
  g_assert_nonnull (strstr (answer, "HTTP/1.1 413 "));

  g_autoptr (GString) headers = g_string_new ("GET /echo/a HTTP/1.1\r\nHost: x\r\n");
  for (guint i = 0; i < 4000; i++)
    g_string_append (headers, "X-Filler: 0123456789\r\n");
  g_string_append (headers, "\r\n");
  int fd = raw_connect (house);
  (void)!send (fd, headers->str, headers->len, MSG_NOSIGNAL);
  g_autofree char *refused = raw_read (fd); /* a status or a reset */
  close (fd);
  g_assert_true (refused[0] == '\0' || strstr (refused, " 431 ") != NULL
                 || strstr (refused, " 413 ") != NULL);
  g_assert_null (strstr (refused, " 200 "));

  /* Ended in every place: nothing leaks, nothing crashes. */
  static const char whole[] = "POST /echo/a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nabc";
  for (gsize cut = 0; cut < sizeof whole; cut++)
    {
      int half = raw_connect (house);
      g_assert_cmpint (send (half, whole, cut, MSG_NOSIGNAL), ==, cut);
      close (half);
    }
  g_auto (Got) got = ask (house, &(HttpRequest){ .method = "GET", .path = "/status/200" });
  g_assert_cmpint (got.status, ==, 200);
}

static void
test_http_server_ends_a_request_that_drips (void)
{
  g_autoptr (House) house = house_new_with (&(HttpServerLimits){ .request_s = 1, .idle_s = 10 });
  int fd = raw_connect (house);
  gint64 start_us = g_get_monotonic_time ();
  char byte;
  for (;;)
    {
      if (send (fd, "G", 1, MSG_NOSIGNAL) < 0)
        break;
      ssize_t n = recv (fd, &byte, 1, 0);
      if (n == 0 || (n < 0 && errno != EAGAIN))
        break;
      gint64 until_us = g_get_monotonic_time () + 20000;
      while (g_get_monotonic_time () < until_us)
        if (!g_main_context_iteration (NULL, FALSE))
          g_usleep (2000);
      g_assert_cmpint (g_get_monotonic_time () - start_us, <, 8 * G_USEC_PER_SEC);
    }
  g_assert_cmpint (g_get_monotonic_time () - start_us, >, G_USEC_PER_SEC / 2);
  close (fd);
}

static void
test_http_server_limits_connections_of_an_address (void)
{
  g_autoptr (House) house = house_new_with (&(HttpServerLimits){ .max_connections_per_address = 3 });
  int fds[4];
  for (guint i = 0; i < 3; i++)
    fds[i] = raw_connect (house);
  fds[3] = raw_connect (house);
  g_autofree char *answer = raw_read (fds[3]);
  g_assert_cmpstr (answer, ==, "");
  for (guint i = 0; i < 4; i++)
    close (fds[i]);
}

/* --- hostile servers */

typedef struct
{
  int listener;
  const char *start;  /* sent once the request is here */
  const char *repeat; /* sent for ever after that; NULL: the connection ends */
  guint pause_ms;     /* between repetitions */
} Hostile;

static gpointer
be_hostile (gpointer data)
{
  const Hostile *hostile = data;
  char sink[4096];
  int peer = accept4 (hostile->listener, NULL, NULL, SOCK_CLOEXEC);
  g_assert_cmpint (recv (peer, sink, sizeof sink, 0), >, 0);
  gboolean is_open = send (peer, hostile->start, strlen (hostile->start), MSG_NOSIGNAL) >= 0;
  while (is_open && hostile->repeat != NULL)
    {
      is_open = send (peer, hostile->repeat, strlen (hostile->repeat), MSG_NOSIGNAL) >= 0;
      if (hostile->pause_ms > 0)
        g_usleep (hostile->pause_ms * 1000);
    }
  close (peer);
  return NULL;
}

static void
test_http_client_bears_hostile_servers (void)
{
  static const struct
  {
    Hostile hostile;
    HttpOutcome outcome;
    int status;
  } rows[] = {
    { { 0, "HTTP/1.1 200 OK\r\n", "X-Filler: 0123456789012345678901234567890123456789\r\n", 0 },
      HTTP_TOO_LARGE,
      0 },
    { { 0, "", "HTTP/1.1 100 Continue\r\n\r\n", 0 }, HTTP_TOO_LARGE, 0 },
    { { 0, "HTTP/1.1 200 OK\r\nX: ", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 0 }, HTTP_BROKEN, 0 },
    { { 0, "HTTP/1.1 200 OK\r\n\r\n", "0123456789012345678901234567890123456789", 0 }, HTTP_TOO_LARGE, 0 },
    { { 0, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "4\r\nabcd\r\n", 0 }, HTTP_TOO_LARGE, 0 },
    { { 0, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", "x", 20 }, HTTP_TIMED_OUT, 0 },
    { { 0, "HTTP/1.1 200 OK\r\n", "X: y\r\n", 20 }, HTTP_TIMED_OUT, 0 },
    { { 0, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", NULL, 0 }, HTTP_BROKEN, 0 },
    { { 0, "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", NULL, 0 }, HTTP_BROKEN, 0 },
    { { 0, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", NULL, 0 }, HTTP_BROKEN, 0 },
    { { 0, "", NULL, 0 }, HTTP_BROKEN, 0 },
    { { 0, "HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n", NULL, 0 }, HTTP_ANSWERED, 999 },
    { { 0, "HTTP/1.1 100 Continue\r\nX: 1\r\n\r\nHTTP/1.1 204 No\r\nAllow: 2\r\n\r\n", NULL, 0 },
      HTTP_ANSWERED,
      204 },
  };
  g_autoptr (GError) error = NULL;
  int listener = listen_open ("127.0.0.1:0", &error);
  g_assert_no_error (error);
  g_assert_cmpint (fcntl (listener, F_SETFL, 0), ==, 0); /* the thread waits in accept */
  guint16 port;
  g_autofree char *address = listen_dup_address (listener, &port);
  g_autofree char *url = g_strconcat ("http://", address, NULL);
  House house = { .client = http_client_new (NULL, NULL, 0), .base = http_base_new (url, NULL) };
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      Hostile hostile = rows[i].hostile;
      hostile.listener = listener;
      GThread *thread = g_thread_new ("hostile", be_hostile, &hostile);
      g_auto (Got) got
          = ask (&house, &(HttpRequest){ .method = "POST",
                                         .path = "/x",
                                         .body = "{}",
                                         .body_length = 2,
                                         .timeout_ms = rows[i].outcome == HTTP_TIMED_OUT ? 200 : 20000 });
      g_thread_join (thread);
      g_test_message ("%zu: %s", i, got.reason);
      g_assert_cmpint (got.outcome, ==, rows[i].outcome);
      g_assert_cmpint (got.status, ==, rows[i].status);
    }
  http_client_free (house.client);
  http_base_free (house.base);
  close (listener);
}

/* Answers one request, takes a second one on the same connection, and dies of it. */
static gpointer
die_of_the_second (gpointer data)
{
  int listener = GPOINTER_TO_INT (data);
  char sink[4096];
  static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  int peer = accept4 (listener, NULL, NULL, SOCK_CLOEXEC);
  g_assert_cmpint (recv (peer, sink, sizeof sink, 0), >, 0);
  g_assert_cmpint (send (peer, answer, strlen (answer), MSG_NOSIGNAL), ==, strlen (answer));
  g_assert_cmpint (recv (peer, sink, sizeof sink, 0), >, 0);
  close (listener);
  close (peer);
  return NULL;
}

static void
test_http_request_taken_before_the_peer_died_counts_as_sent (void)
{
  /* libcurl tries again by itself on a new connection, which is refused; but the first try may have been
   * acted on. */
  g_autoptr (GError) error = NULL;
  int listener = listen_open ("127.0.0.1:0", &error);
  g_assert_no_error (error);
  g_assert_cmpint (fcntl (listener, F_SETFL, 0), ==, 0);
  guint16 port;
  g_autofree char *address = listen_dup_address (listener, &port);
  g_autofree char *url = g_strconcat ("http://", address, NULL);
  House house = { .client = http_client_new (NULL, NULL, 0), .base = http_base_new (url, NULL) };
  GThread *thread = g_thread_new ("mortal", die_of_the_second, GINT_TO_POINTER (listener));
  HttpRequest request = { .method = "POST", .path = "/x", .body = "{}", .body_length = 2 };
  g_auto (Got) first = ask (&house, &request);
  g_assert_cmpint (first.outcome, ==, HTTP_ANSWERED);
  g_auto (Got) second = ask (&house, &request);
  g_test_message ("%s", second.reason);
  g_assert_cmpint (second.outcome, ==, HTTP_BROKEN);
  g_thread_join (thread);
  g_auto (Got) third = ask (&house, &request); /* and this one certainly was not */
  g_assert_cmpint (third.outcome, ==, HTTP_CANNOT_CONNECT);
  http_client_free (house.client);
  http_base_free (house.base);
}

/* --- TLS */

/* A self-signed certificate for @name in @folder. */
static void
make_certificate (const char *folder, const char *name)
{
  g_autofree char *command = g_strdup_printf (
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=%s"
      " -addext subjectAltName=%s -keyout %s/key.pem -out %s/certificate.pem",
      name, name[0] == '1' ? "IP:127.0.0.1" : "DNS:other.example", folder, folder);
  g_autoptr (GError) error = NULL;
  g_autofree char *out = NULL, *err = NULL;
  int status = 0;
  g_assert_true (g_spawn_command_line_sync (command, &out, &err, &status, &error));
  g_assert_true (g_spawn_check_wait_status (status, &error));
}

static HttpOutcome
ask_tls (const char *address, const char *ca_file)
{
  g_autofree char *url = g_strconcat ("https://", address, NULL);
  House house = { .client = http_client_new (NULL, ca_file, 0), .base = http_base_new (url, NULL) };
  g_auto (Got) got = ask (&house, &(HttpRequest){ .method = "GET", .path = "/status/200" });
  if (got.outcome == HTTP_ANSWERED)
    g_assert_cmpint (got.status, ==, 200);
  http_client_free (house.client);
  http_base_free (house.base);
  return got.outcome;
}

static void
test_http_tls_is_verified_and_certificates_are_reloaded (void)
{
  g_autofree char *folder = g_dir_make_tmp ("stoa-http-XXXXXX", NULL);
  g_autofree char *certificate = g_build_filename (folder, "certificate.pem", NULL);
  g_autofree char *key = g_build_filename (folder, "key.pem", NULL);
  g_autofree char *first = g_build_filename (folder, "first.pem", NULL);
  make_certificate (folder, "127.0.0.1");
  g_autoptr (HttpRoutes) routes = http_routes_new ();
  http_routes_add (routes,
                   &(HttpRoute){ .method = "GET", .pattern = "/status/{status}", .handle = answer_status });
  HttpServerOptions options = { .listen = "127.0.0.1:0", .certificate = certificate, .private_key = key };
  g_autoptr (GError) error = NULL;
  g_autoptr (HttpServer) server = http_server_start (&options, routes, NULL, &error);
  g_assert_no_error (error);
  const char *address = http_server_peek_address (server);
  g_assert_cmpint (ask_tls (address, certificate), ==, HTTP_ANSWERED);
  g_assert_cmpint (ask_tls (address, NULL), ==, HTTP_TLS_REFUSED); /* not among the system's roots */

  g_assert_cmpint (g_rename (certificate, first), ==, 0);
  make_certificate (folder, "127.0.0.1");
  g_assert_true (http_server_reload (server, &options.limits, &error));
  g_assert_no_error (error);
  g_assert_cmpint (ask_tls (address, certificate), ==, HTTP_ANSWERED);
  g_assert_cmpint (ask_tls (address, first), ==, HTTP_TLS_REFUSED);

  make_certificate (folder, "other.example"); /* trusted, but another's */
  g_assert_true (http_server_reload (server, &options.limits, &error));
  g_assert_cmpint (ask_tls (address, certificate), ==, HTTP_TLS_REFUSED);

  g_assert_true (g_file_set_contents (key, "nonsense", -1, NULL));
  g_assert_false (http_server_reload (server, &options.limits, &error));
  g_assert_nonnull (error);
  g_assert_cmpint (ask_tls (address, certificate), ==, HTTP_TLS_REFUSED); /* still the other's, and alive */
  g_unlink (certificate);
  g_unlink (first);
  g_unlink (key);
  g_rmdir (folder);
}

/* --- URLs */

static void
test_http_base_accepts_https_or_loopback_only (void)
{
  static const char *const good[][2] = {
    { "https://a.example", "https://a.example" },
    { "https://A.Example:443/", "https://a.example" },
    { "https://a.example:8443/vendor/", "https://a.example:8443/vendor" },
    { "http://127.0.0.1:80", "http://127.0.0.1" },
    { "http://127.9.9.9:8080", "http://127.9.9.9:8080" },
    { "http://[::1]:8080/x", "http://[::1]:8080/x" },
    { "http://localhost:1", "http://localhost:1" },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (good); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (HttpBase) base = http_base_new (good[i][0], &error);
      g_assert_no_error (error);
      g_assert_cmpstr (http_base_peek_url (base), ==, good[i][1]);
    }
  static const char *const bad[] = {
    "",
    "a.example",
    "//a.example",
    "/v1",
    "ftp://a.example",
    "file:///etc/passwd",
    "http://a.example",
    "http://127.0.0.1.a.example",
    "http://localhost.a.example",
    "http://128.0.0.1",
    "http://[::2]/",
    "https://user@a.example",
    "https://user:x@a.example",
    "https://a.example?x",
    "https://a.example#x",
    "https://a.example/../x",
    "https://a.example/%2e%2e/x",
    "https://a.example/a b",
    "https://a.example/\\x",
    "https://a.example\r\nX: y",
    "https:///x",
  };
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_test_message ("%s", bad[i]);
      g_autoptr (GError) error = NULL;
      g_assert_null (http_base_new (bad[i], &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
    }
}

static void
test_http_pages_for_browsers_may_have_a_fragment (void)
{
  static const char *const good[] = { "https://pay.example/c/pay/cs_1#fidkdWxOYHwnPyd1",
                                      "https://pay.example/", "http://127.0.0.1:1/x#" };
  static const char *const bad[] = { "http://pay.example/#x",
                                     "#x",
                                     "javascript:alert(1)#https://pay.example/",
                                     "https://pay.example/#a b",
                                     "https://user@pay.example/#x",
                                     "https://pay.example/#\xc3\xa4" };
  g_autofree char *fill = g_strnfill (2048, 'f');
  g_autofree char *too_long = g_strconcat ("https://pay.example/#", fill, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (good); i++)
    g_assert_true (http_url_is_for_browsers (good[i]));
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_false (http_url_is_for_browsers (bad[i]));
  g_assert_false (http_url_is_for_browsers (NULL));
  g_assert_false (http_url_is_for_browsers (too_long));
  g_assert_false (http_url_is_acceptable (good[0]));
}

static void
test_http_base_contains_what_lies_under_it (void)
{
  g_autoptr (HttpBase) base = http_base_new ("https://a.example/pay", NULL);
  static const char *const inside[]
      = { "https://a.example/pay", "https://a.example/pay/x?y=1", "https://A.example:443/pay/" };
  static const char *const outside[] = { "https://a.example/payments",     "https://a.example/",
                                         "http://a.example/pay",           "https://a.example:444/pay",
                                         "https://b.example/pay",          "https://a.example@b.example/pay",
                                         "https://a.example/pay/../x",     "https://a.example/pay/%2E%2e/x",
                                         "https://a.example.b.example/pay" };
  for (gsize i = 0; i < G_N_ELEMENTS (inside); i++)
    g_assert_true (http_base_contains (base, inside[i]));
  for (gsize i = 0; i < G_N_ELEMENTS (outside); i++)
    g_assert_false (http_base_contains (base, outside[i]));
}

static void
test_http_segments_cannot_leave_their_place (void)
{
  g_autoptr (GString) path = g_string_new ("/v1/");
  http_append_segment (path, "a/b?c#d%&=+ \xc3\xa9");
  g_string_append_c (path, '/');
  http_append_segment (path, "..");
  g_assert_cmpstr (path->str, ==, "/v1/a%2Fb%3Fc%23d%25%26%3D%2B%20%C3%A9/%2E%2E");
}

static void
test_http_server_listens_in_clear_on_loopback_only (void)
{
  g_autoptr (HttpRoutes) routes = http_routes_new ();
  static const char *const bad[]
      = { "0.0.0.0:0", "[::]:0", "192.0.2.1:0", "127.0.0.1", "127.0.0.1:x", "::1:0", ":0" };
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr (GError) error = NULL;
      g_assert_null (http_server_start (&(HttpServerOptions){ .listen = bad[i] }, routes, NULL, &error));
      g_assert_nonnull (error);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define TEST(name) g_test_add_func ("/http/" #name, test_http_##name)
  TEST (request_arrives_as_it_was_sent);
  TEST (refuses_by_the_table_of_routes);
  TEST (client_tells_how_a_request_ended);
  TEST (cancelled_call_is_never_answered);
  TEST (crowd_of_requests_waits_for_its_turn);
  TEST (time_runs_for_those_that_wait_too);
  TEST (route_takes_no_more_than_it_may_hold);
  TEST (server_reads_raw_requests_strictly);
  TEST (server_ends_a_request_that_drips);
  TEST (server_limits_connections_of_an_address);
  TEST (client_bears_hostile_servers);
  TEST (request_taken_before_the_peer_died_counts_as_sent);
  TEST (tls_is_verified_and_certificates_are_reloaded);
  TEST (base_accepts_https_or_loopback_only);
  TEST (base_contains_what_lies_under_it);
  TEST (pages_for_browsers_may_have_a_fragment);
  TEST (segments_cannot_leave_their_place);
  TEST (server_listens_in_clear_on_loopback_only);
  return g_test_run ();
}
