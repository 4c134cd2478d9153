/* Purchases, end to end: sessions that order, and the billing provider that they pay, both in this program,
 * so that the server under test is all that is measured.
 *
 * Usage: purchases --plugin ID --clients N [--rate R] [--seconds S]
 * Prints {"port":N}, where the provider listens; then reads one line, "XMPP-PORT HTTP-PORT SERVER-PID", and
 * begins. Each client orders, gets the charge, and pays, which is a signed callback; the purchase is done
 * when the serial is on the client's socket, and then it orders again: at once, or with --rate so many a
 * second in all. */

#include "tests/bench/bench.h"
#include "tests/bench/usage.h"

#include <arpa/inet.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define KEY        "0123456789abcdef0123456789abcdef" /* the webhook secret is whsec_ + its base64 */
#define MARKET_NS  "urn:stoa:market:1"
#define RESULT_END "</iq>"

enum
{
  N_CALLERS = 16, /* connections for callbacks */
  MAX_TEXT = 64 * 1024
};

static struct
{
  char *plugin;
  int clients;
  double rate, seconds, warm_up;
} options = { .clients = 100, .seconds = 5, .warm_up = 2 };

static const GOptionEntry entries[]
    = { { "plugin", 0, 0, G_OPTION_ARG_STRING, &options.plugin, "what is bought, again and again", "ID" },
        { "clients", 0, 0, G_OPTION_ARG_INT, &options.clients, "sessions", "N" },
        { "rate", 0, 0, G_OPTION_ARG_DOUBLE, &options.rate, "purchases begun a second (0: as many as go)",
          "R" },
        { "seconds", 0, 0, G_OPTION_ARG_DOUBLE, &options.seconds, "measured time", "S" },
        { "warm-up", 0, 0, G_OPTION_ARG_DOUBLE, &options.warm_up, "time before it", "S" },
        { NULL } };

typedef struct Run Run;

/* A connection of HTTP: one that the server opened to us as its provider, or one of ours for callbacks. */
typedef struct
{
  Connection connection;
  Run *run;
  GString *text;
  bool is_provider, is_listener, is_busy;
  int64_t sent_ns; /* a caller's callback */
} Web;

/* A client's purchase. */
typedef struct
{
  GString *text;
  bool is_buying, is_paid;
  int64_t paid_ns;
} Buyer;

struct Run
{
  Bench bench;
  int both_fd, web_fd; /* an epoll over the clients' and the web's, and that of the web */
  uint16_t http_port;
  Web listener, callers[N_CALLERS];
  GQueue callbacks; /* char *, whole requests that wait for a caller */
  Buyer *buyers;
  unsigned n_paid;
  bool is_counting, is_over;
  guint64 count;
  GArray *latencies_us, *answers_us; /* callback to serial, and to the provider's own answer */
};

G_NORETURN static void
give_up (const char *what, const char *text)
{
  fprintf (stderr, "purchases: %s: %.600s\n", what, text ? text : "");
  exit (1);
}

/* --- the provider: requests of the server */

/* The whole HTTP message at the start of `text`: its length, or 0 if it has not all come. */
static gsize
message_length (const GString *text, const char **body)
{
  const char *end = strstr (text->str, "\r\n\r\n");
  if (!end)
    return 0;
  const char *length = strcasestr (text->str, "\r\ncontent-length:");
  gsize body_length
      = length && length < end ? strtoul (length + strlen ("\r\ncontent-length:"), NULL, 10) : 0;
  *body = end + 4;
  gsize whole = (gsize)(end - text->str) + 4 + body_length;
  return text->len >= whole ? whole : 0;
}

static char *
between (const char *text, const char *from, const char *to)
{
  const char *start = strstr (text, from);
  const char *end = start ? strstr (start + strlen (from), to) : NULL;
  return end ? g_strndup (start + strlen (from), (gsize)(end - start) - strlen (from)) : NULL;
}

static void
answer_server (Web *web)
{
  static guint run_refunds;
  const char *body;
  gsize length;
  while ((length = message_length (web->text, &body)) > 0)
    {
      g_autofree char *json = NULL;
      if (g_str_has_prefix (web->text->str, "POST /v1/checkouts "))
        {
          g_autofree char *order = between (body, "\"order\":\"", "\"");
          if (!order)
            give_up ("a checkout without its order", body);
          json = g_strdup_printf ("{\"checkout\":\"c_%s\",\"url\":\"http://127.0.0.1:1/c/%s\"}", order, order);
        }
      /* The run before this one ended in the middle of orders, which are paid again here: that goes back. */
      else if (g_str_has_prefix (web->text->str, "POST /v1/refunds "))
        json = g_strdup_printf ("{\"refund\":\"r_%d_%u\",\"status\":\"pending\"}", getpid (), ++run_refunds);
      else
        give_up ("the provider was asked for", web->text->str);
      g_autofree char *answer = g_strdup_printf ("HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n"
                                                 "Content-Length: %zu\r\n\r\n%s",
                                                 strlen (json), json);
      connection_send (&web->connection, answer, strlen (answer));
      g_string_erase (web->text, 0, (gssize)length);
    }
}

/* --- callbacks */

static char *
write_callback (Run *run, const char *order)
{
  time_t now = time (NULL);
  g_autoptr (GDateTime) wall = g_date_time_new_from_unix_utc (now);
  g_autofree char *stamp = g_date_time_format (wall, "%Y-%m-%dT%H:%M:%SZ");
  g_autofree char *id = g_strdup_printf ("msg_%d_%u", getpid (), ++run->n_paid);
  g_autofree char *body = g_strdup_printf (
      "{\"type\":\"checkout.paid\",\"timestamp\":\"%s\",\"data\":{\"merchant\":\"bench\",\"order\":\"%s\","
      "\"checkout\":\"c_%s\",\"payment\":\"p_%s\",\"amount\":499,\"currency\":\"EUR\",\"live\":true}}",
      stamp, order, order, id);
  g_autofree char *content = g_strdup_printf ("%s.%ld.%s", id, (long)now, body);
  unsigned char mac[32];
  HMAC (EVP_sha256 (), KEY, strlen (KEY), (unsigned char *)content, strlen (content), mac, NULL);
  g_autofree char *signature = g_base64_encode (mac, sizeof mac);
  return g_strdup_printf (
      "POST /v1/billing/bench HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
      "webhook-id: %s\r\nwebhook-timestamp: %ld\r\nwebhook-signature: v1,%s\r\n"
      "Content-Length: %zu\r\n\r\n%s",
      id, (long)now, signature, strlen (body), body);
}

static void
send_callbacks (Run *run)
{
  for (unsigned i = 0; i < N_CALLERS && !g_queue_is_empty (&run->callbacks); i++)
    {
      Web *caller = &run->callers[i];
      if (caller->is_busy)
        continue;
      if (caller->connection.fd < 0) /* the server ended it, idle as it was */
        connection_open (&caller->connection, run->web_fd, -1, run->http_port, caller);
      g_autofree char *request = g_queue_pop_head (&run->callbacks);
      caller->is_busy = true;
      caller->sent_ns = now_ns ();
      connection_send (&caller->connection, request, strlen (request));
    }
}

static void
callback_answered (Web *caller)
{
  const char *body;
  gsize length = message_length (caller->text, &body);
  if (length == 0)
    return;
  if (!g_str_has_prefix (caller->text->str, "HTTP/1.1 200"))
    give_up ("a callback was answered", caller->text->str);
  g_string_erase (caller->text, 0, (gssize)length);
  caller->is_busy = false;
  float answer_us = (float)(now_ns () - caller->sent_ns) / 1000.0f;
  if (caller->run->is_counting)
    g_array_append_val (caller->run->answers_us, answer_us);
  send_callbacks (caller->run);
}

/* --- buyers */

static void
begin_purchase (Run *run, unsigned index)
{
  Buyer *buyer = &run->buyers[index];
  g_autofree char *request = g_uuid_string_random ();
  g_autofree char *text
      = g_strdup_printf ("<iq type='set' to='market.%s' id='buy'><order xmlns='" MARKET_NS "' plugin='%s' "
                         "request='%s'/></iq>",
                         run->bench.plan.domain, options.plugin, request);
  buyer->is_buying = true;
  buyer->is_paid = false;
  connection_send (&run->bench.clients[index].connection, text, strlen (text));
}

static void
take_iq (Run *run, Client *client, const char *iq)
{
  Buyer *buyer = &run->buyers[client->index];
  if (strstr (iq, "type='error'"))
    give_up ("an error", iq);
  if (strstr (iq, "type='set'"))
    {
      g_autofree char *id = between (iq, " id='", "'");
      g_autofree char *answer = g_strdup_printf ("<iq type='result' to='market.%s' id='%s'/>",
                                                 run->bench.plan.domain, id ? id : "");
      connection_send (&client->connection, answer, strlen (answer));
    }
  if (!buyer->is_paid && strstr (iq, "<charge "))
    {
      g_autofree char *order = between (iq, "/c/", "'");
      if (!order)
        give_up ("a charge without its order", iq);
      buyer->is_paid = true;
      buyer->paid_ns = now_ns ();
      g_queue_push_tail (&run->callbacks, write_callback (run, order));
      send_callbacks (run);
    }
  if (buyer->is_buying && buyer->is_paid && strstr (iq, "<serial>"))
    {
      buyer->is_buying = false;
      if (run->is_counting)
        {
          float latency_us = (float)(now_ns () - buyer->paid_ns) / 1000.0f;
          run->count++;
          g_array_append_val (run->latencies_us, latency_us);
        }
      if (options.rate <= 0 && !run->is_over)
        begin_purchase (run, client->index);
    }
}

/* The stream's stanzas one by one; nothing but IQs comes to these sessions. */
static void
take_text (Bench *bench, Client *client, const char *data, size_t size)
{
  Run *run = bench->mode;
  GString *text = run->buyers[client->index].text;
  g_string_append_len (text, data, (gssize)size);
  for (;;)
    {
      const char *tag_end = strchr (text->str, '>');
      if (!tag_end)
        return;
      const char *end = tag_end + 1;
      if (tag_end[-1] != '/')
        {
          end = strstr (text->str, RESULT_END);
          if (!end)
            break;
          end += strlen (RESULT_END);
        }
      g_autofree char *iq = g_strndup (text->str, (gsize)(end - text->str));
      if (!g_str_has_prefix (iq, "<iq"))
        give_up ("no IQ", iq);
      g_string_erase (text, 0, end - text->str);
      take_iq (run, client, iq);
    }
  if (text->len > MAX_TEXT)
    give_up ("a stanza without end", text->str);
}

/* --- the loop: bench_turn() serves the clients' descriptors, serve_web() those of HTTP */

static void
serve_web (Run *run, int epoll_fd)
{
  struct epoll_event events[64];
  int count = epoll_wait (epoll_fd, events, G_N_ELEMENTS (events), 0);
  for (int i = 0; i < count; i++)
    {
      Web *web = events[i].data.ptr;
      if (web->is_listener)
        {
          int fd = accept4 (web->connection.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
          if (fd < 0)
            continue;
          Web *accepted = g_new0 (Web, 1); /* lives as long as the program */
          accepted->run = run;
          accepted->is_provider = true;
          accepted->text = g_string_new (NULL);
          connection_open (&accepted->connection, epoll_fd, fd, 0, accepted);
          continue;
        }
      if (web->connection.fd < 0)
        continue;
      connection_flush (&web->connection);
      char buffer[16384];
      size_t size = sizeof buffer;
      ReadOutcome outcome = connection_read (&web->connection, buffer, &size);
      if (outcome == READ_CLOSED)
        {
          if (web->is_busy)
            give_up ("the server closed a connection for callbacks", web->text->str);
          connection_close (&web->connection);
        }
      if (outcome != READ_DATA)
        continue;
      g_string_append_len (web->text, buffer, (gssize)size);
      if (web->is_provider)
        answer_server (web);
      else
        callback_answered (web);
    }
}

static void
run_for (Run *run, int web_fd, double seconds)
{
  int64_t begin_ns = now_ns (), end_ns = begin_ns + (int64_t)(seconds * 1e9);
  double begun = 0;
  unsigned next = 0;
  for (int64_t at_ns; (at_ns = now_ns ()) < end_ns;)
    {
      while (options.rate > 0 && begun < (double)(at_ns - begin_ns) / 1e9 * options.rate)
        {
          unsigned tried = 0;
          while (run->buyers[next].is_buying && tried++ < run->bench.n_clients)
            next = (next + 1) % run->bench.n_clients;
          if (run->buyers[next].is_buying)
            give_up ("every client waits", "the server does not keep up with the rate");
          begin_purchase (run, next);
          begun++;
        }
      struct epoll_event event;
      epoll_wait (run->both_fd, &event, 1, 1);
      bench_turn (&run->bench, 0);
      serve_web (run, web_fd);
    }
}

static int
compare_floats (const void *a, const void *b)
{
  float x = *(const float *)a, y = *(const float *)b;
  return x < y ? -1 : x > y;
}

static uint16_t
listen_anywhere (Run *run, int epoll_fd)
{
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  socklen_t length = sizeof address;
  if (bind (fd, (struct sockaddr *)&address, length) < 0 || listen (fd, 256) < 0)
    give_up ("cannot listen", "");
  getsockname (fd, (struct sockaddr *)&address, &length);
  run->listener = (Web){ .run = run, .is_listener = true };
  connection_open (&run->listener.connection, epoll_fd, fd, 0, &run->listener);
  return ntohs (address.sin_port);
}

static double
quantile (GArray *values, double part)
{
  g_array_sort (values, compare_floats);
  return values->len > 0 ? (double)g_array_index (values, float, (guint)(values->len * part)) : 0;
}

static void
report (Run *run, double seconds, double server_cpu_s)
{
  if (run->count == 0)
    give_up ("nothing was bought", "");
  printf ("{\"mode\":\"purchases\",\"plugin\":\"%s\",\"count\":%" G_GUINT64_FORMAT
          ",\"per_s\":%.1f,\"server_cpu\":%.3f,"
          "\"per_cpu_s\":%.1f,\"p50_us\":%.0f,\"p99_us\":%.0f,\"answered_p50_us\":%.0f,\"answered_p99_us\":%."
          "0f}\n",
          options.plugin, run->count, (double)run->count / seconds, server_cpu_s / seconds,
          (double)run->count / server_cpu_s, quantile (run->latencies_us, 0.5),
          quantile (run->latencies_us, 0.99), quantile (run->answers_us, 0.5),
          quantile (run->answers_us, 0.99));
}

int
main (int argc, char **argv)
{
  g_autoptr (GOptionContext) context = g_option_context_new ("- purchases");
  g_option_context_add_main_entries (context, entries, NULL);
  g_autoptr (GError) error = NULL;
  if (!g_option_context_parse (context, &argc, &argv, &error) || !options.plugin || options.clients <= 0)
    {
      fprintf (stderr, "purchases: %s\n", error ? error->message : "see --help");
      return 2;
    }
  Run run = { .callbacks = G_QUEUE_INIT,
              .latencies_us = g_array_new (FALSE, FALSE, sizeof (float)),
              .answers_us = g_array_new (FALSE, FALSE, sizeof (float)) };
  int web_fd = epoll_create1 (EPOLL_CLOEXEC);
  printf ("{\"port\":%d}\n", listen_anywhere (&run, web_fd));
  fflush (stdout);
  int xmpp_port, http_port, server_pid;
  if (scanf ("%d %d %d", &xmpp_port, &http_port, &server_pid) != 3)
    give_up ("no ports on standard input", "");

  Bench *bench = &run.bench;
  bench->plan = (LoginPlan){ .domain = "bench.test", .mechanism = "SCRAM-SHA-256", .gets_serials = true };
  bench->plan.scram = scram_cache_new (bench->plan.mechanism);
  bench->epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
  bench->port = (uint16_t)xmpp_port;
  bench->n_at_once = 16;
  bench->n_accounts = bench->n_clients = (unsigned)options.clients;
  bench->clients = g_new0 (Client, bench->n_clients);
  bench->mode = &run;
  run.buyers = g_new0 (Buyer, bench->n_clients);
  for (unsigned i = 0; i < bench->n_clients; i++)
    run.buyers[i].text = g_string_new (NULL);
  run.web_fd = web_fd;
  run.http_port = (uint16_t)http_port;
  bench_bring_up (bench);
  bench->on_data = take_text;
  for (unsigned i = 0; i < N_CALLERS; i++)
    {
      run.callers[i] = (Web){ .run = &run, .text = g_string_new (NULL) };
      connection_open (&run.callers[i].connection, web_fd, -1, (uint16_t)http_port, &run.callers[i]);
    }
  for (unsigned i = 0; options.rate <= 0 && i < bench->n_clients; i++)
    begin_purchase (&run, i);

  run.both_fd = epoll_create1 (EPOLL_CLOEXEC);
  struct epoll_event event = { .events = EPOLLIN };
  epoll_ctl (run.both_fd, EPOLL_CTL_ADD, bench->epoll_fd, &event);
  epoll_ctl (run.both_fd, EPOLL_CTL_ADD, web_fd, &event);
  run_for (&run, web_fd, options.warm_up);
  double before_s = usage_cpu (server_pid).cpu_s;
  int64_t begin_ns = now_ns ();
  run.is_counting = true;
  run_for (&run, web_fd, options.seconds);
  run.is_counting = false;
  report (&run, (double)(now_ns () - begin_ns) / 1e9, usage_cpu (server_pid).cpu_s - before_s);
  run.is_over = true;
  return 0;
}
