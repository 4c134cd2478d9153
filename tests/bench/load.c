/* Load for any XMPP server, or for the relay: epoll, one thread, hundreds or thousands of sessions.
 *
 * Each run prints one JSON object. With --server-pid the CPU time of that process and all its children is
 * taken over exactly the measured time. Any error, lost connection or failed login ends the run without a
 * figure. */

#include "tests/bench/bench.h"
#include "tests/bench/usage.h"

#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>

static struct
{
  char *mode, *domain, *mechanism, *tls;
  int port, clients, accounts, window, body, at_once, server_pid;
  double seconds, warm_up;
  gboolean raw, resume, presence, roster, serials;
} options
    = { .domain = NULL, .clients = 200, .window = 1, .body = 100, .at_once = 32, .seconds = 3, .warm_up = 1 };

static const GOptionEntry entries[]
    = { { "mode", 0, 0, G_OPTION_ARG_STRING, &options.mode, "message, ping, serials, login, register or idle",
          "MODE" },
        { "port", 0, 0, G_OPTION_ARG_INT, &options.port, "the server's port on 127.0.0.1", "PORT" },
        { "domain", 0, 0, G_OPTION_ARG_STRING, &options.domain, "its XMPP domain", "DOMAIN" },
        { "mechanism", 0, 0, G_OPTION_ARG_STRING, &options.mechanism,
          "SCRAM-SHA-256 (default), SCRAM-SHA-1, PLAIN", "NAME" },
        { "tls", 0, 0, G_OPTION_ARG_STRING, &options.tls, "none (default), start or direct", "USE" },
        { "clients", 0, 0, G_OPTION_ARG_INT, &options.clients, "sessions; messages: two make a pair", "N" },
        { "accounts", 0, 0, G_OPTION_ARG_INT, &options.accounts,
          "accounts used, u0 and so on (default: one each)", "N" },
        { "window", 0, 0, G_OPTION_ARG_INT, &options.window, "in flight per pair or client", "W" },
        { "body", 0, 0, G_OPTION_ARG_INT, &options.body, "bytes of a message's body", "BYTES" },
        { "at-once", 0, 0, G_OPTION_ARG_INT, &options.at_once, "logins under way at the same time", "N" },
        { "seconds", 0, 0, G_OPTION_ARG_DOUBLE, &options.seconds, "measured time", "S" },
        { "warm-up", 0, 0, G_OPTION_ARG_DOUBLE, &options.warm_up, "time before it", "S" },
        { "server-pid", 0, 0, G_OPTION_ARG_INT, &options.server_pid, "whose CPU time and memory to report",
          "PID" },
        { "raw", 0, 0, G_OPTION_ARG_NONE, &options.raw, "the other side is the relay", NULL },
        { "resume", 0, 0, G_OPTION_ARG_NONE, &options.resume, "login: resume TLS sessions", NULL },
        { "presence", 0, 0, G_OPTION_ARG_NONE, &options.presence, "send initial presence", NULL },
        { "roster", 0, 0, G_OPTION_ARG_NONE, &options.roster, "fetch the roster", NULL },
        { "serials", 0, 0, G_OPTION_ARG_NONE, &options.serials, "fetch the serials", NULL },
        { NULL } };

/* One measured time: what was counted in it. */
typedef struct
{
  bool is_counting;
  bool is_over; /* what is still in flight is awaited, and nothing more sent */
  guint64 count, full_handshakes, resumed_handshakes;
  int64_t begin_ns, end_ns;
  double server_cpu_s, own_cpu_s;
  GArray *latencies_us; /* float; at most MAX_LATENCIES */
} Measurement;

enum
{
  MAX_LATENCIES = 2000000
};

static void
add_latency (Measurement *self, int64_t since_ns)
{
  if (!self->is_counting || self->latencies_us->len >= MAX_LATENCIES)
    return;
  float latency_us = (float)(now_ns () - since_ns) / 1000.0f;
  g_array_append_val (self->latencies_us, latency_us);
}

/* --- messages and requests: who receives n sends n */

static void
send_window (Client *client, unsigned count)
{
  client->sent_ns = now_ns ();
  if (!connection_send (&client->connection, client->request->str, client->request_size * count))
    {
      fprintf (stderr, "load: client %u: cannot send\n", client->index);
      exit (1);
    }
}

static void
stop_on_error (Client *client, const char *data, size_t size)
{
  if (!memmem (data, size, "error", strlen ("error")))
    return;
  fprintf (stderr, "load: client %u got an error: %.*s\n", client->index, (int)MIN (size, 600), data);
  exit (1);
}

static void
answer_data (Bench *bench, Client *client, const char *data, size_t size)
{
  Measurement *measurement = bench->mode;
  unsigned count = counter_feed (&client->counter, data, size);
  stop_on_error (client, data, size);
  if (count > (unsigned)options.window)
    {
      fprintf (stderr, "load: client %u got more than was sent\n", client->index);
      exit (1);
    }
  if (count == 0 || measurement->is_over)
    return;
  Client *sender = client->peer ? client->peer : client;
  if (options.window == 1)
    add_latency (measurement, sender->sent_ns);
  if (measurement->is_counting)
    measurement->count += count;
  send_window (client, count);
}

static void
set_request (Client *client, const char *text, const char *counted_word)
{
  client->request_size = strlen (text);
  client->request = g_string_new (NULL);
  for (int i = 0; i < options.window; i++)
    g_string_append (client->request, text);
  counter_init (&client->counter, counted_word);
}

static void
prepare_messages (Bench *bench)
{
  g_autofree char *body = g_strnfill ((gsize)options.body, 'x');
  for (unsigned i = 0; i < bench->n_clients; i++)
    {
      Client *client = &bench->clients[i];
      client->peer = &bench->clients[i ^ 1];
      g_autofree char *raw_jid = g_strdup_printf ("u%u@%s/0123456789abcdef", i ^ 1, bench->plan.domain);
      g_autofree char *text
          = g_strdup_printf ("<message to='%s' type='chat' id='m'><body>%s</body></message>",
                             bench->is_raw ? raw_jid : client->peer->login.jid, body);
      /* A message that was stored comes with a delay stamp behind its body, and is none of ours. */
      set_request (client, text, "</body></message>");
    }
  bench->on_data = answer_data;
  for (unsigned i = 0; i < bench->n_clients; i += 2)
    send_window (&bench->clients[i], (unsigned)options.window);
}

static void
prepare_requests (Bench *bench, bool wants_serials)
{
  for (unsigned i = 0; i < bench->n_clients; i++)
    {
      Client *client = &bench->clients[i];
      const char *version = client->login.serials_version ? client->login.serials_version : "";
      g_autofree char *text
          = wants_serials
                ? g_strdup_printf ("<iq type='get' to='market.%s' id='s'><serials xmlns='urn:stoa:serials:1' "
                                   "ver='%s'/></iq>",
                                   bench->plan.domain, version)
                : g_strdup_printf ("<iq type='get' to='%s' id='p'><ping xmlns='urn:xmpp:ping'/></iq>",
                                   bench->plan.domain);
      set_request (client, text, "<iq");
    }
  bench->on_data = answer_data;
  for (unsigned i = 0; i < bench->n_clients; i++)
    send_window (&bench->clients[i], (unsigned)options.window);
}

/* --- logins: who is done leaves and comes again */

static void
login_done (Bench *bench, Client *client)
{
  Measurement *measurement = bench->mode;
  add_latency (measurement, client->started_ns);
  if (measurement->is_counting)
    {
      measurement->count++;
      if (client->connection.ssl && SSL_session_reused (client->connection.ssl))
        measurement->resumed_handshakes++;
      else if (client->connection.ssl)
        measurement->full_handshakes++;
    }
  bench_stop_client (bench, client);
  client->index += bench->n_clients; /* another account, the same slot */
  bench_start_client (bench, client);
}

static int
keep_session (SSL *ssl, SSL_SESSION *session)
{
  Client *client = SSL_get_app_data (ssl);
  if (!client->bench->keeps_sessions)
    return 0;
  SSL_SESSION_free (client->session);
  client->session = session;
  return 1;
}

static void
register_next (Bench *bench, Client *client)
{
  unsigned next = client->index + bench->n_clients;
  Measurement *measurement = bench->mode;
  measurement->count++;
  bench_stop_client (bench, client);
  if (next < bench->n_accounts)
    {
      client->index = next;
      bench_start_client (bench, client);
    }
}

static void
register_accounts (Bench *bench)
{
  Measurement *measurement = bench->mode;
  bench->on_ready = register_next;
  bench->buffer = g_malloc (256 * 1024);
  for (unsigned i = 0; i < bench->n_clients; i++)
    {
      bench->clients[i].index = i;
      bench_start_client (bench, &bench->clients[i]);
    }
  while (measurement->count < bench->n_accounts)
    bench_turn (bench, 1000);
  printf ("{\"mode\":\"register\",\"accounts\":%u}\n", bench->n_accounts);
}

/* --- measuring */

static void
run_for (Bench *bench, double seconds)
{
  int64_t end_ns = now_ns () + (int64_t)(seconds * 1e9);
  while (now_ns () < end_ns)
    bench_turn (bench, 50);
}

static void
measure (Bench *bench, Measurement *measurement)
{
  run_for (bench, options.warm_up);
  double server_before_s = options.server_pid ? usage_cpu (options.server_pid).cpu_s : 0;
  double own_before_s = usage_own_cpu_s ();
  measurement->is_counting = true;
  measurement->begin_ns = now_ns ();
  run_for (bench, options.seconds);
  measurement->end_ns = now_ns ();
  measurement->is_counting = false;
  measurement->own_cpu_s = usage_own_cpu_s () - own_before_s;
  measurement->server_cpu_s = options.server_pid ? usage_cpu (options.server_pid).cpu_s - server_before_s : 0;
}

static int
compare_floats (const void *a, const void *b)
{
  float x = *(const float *)a, y = *(const float *)b;
  return x < y ? -1 : x > y;
}

static void
report (Measurement *measurement)
{
  double seconds = (double)(measurement->end_ns - measurement->begin_ns) / 1e9;
  printf ("{\"mode\":\"%s\",\"count\":%" G_GUINT64_FORMAT ",\"seconds\":%.3f,\"per_s\":%.1f", options.mode,
          measurement->count, seconds, (double)measurement->count / seconds);
  if (options.server_pid && measurement->server_cpu_s > 0)
    printf (",\"server_cpu\":%.3f,\"per_cpu_s\":%.1f", measurement->server_cpu_s / seconds,
            (double)measurement->count / measurement->server_cpu_s);
  printf (",\"own_cpu\":%.3f", measurement->own_cpu_s / seconds);
  if (measurement->full_handshakes + measurement->resumed_handshakes > 0)
    printf (",\"full\":%" G_GUINT64_FORMAT ",\"resumed\":%" G_GUINT64_FORMAT, measurement->full_handshakes,
            measurement->resumed_handshakes);
  GArray *latencies = measurement->latencies_us;
  if (latencies->len > 0)
    {
      qsort (latencies->data, latencies->len, sizeof (float), compare_floats);
      const float *sorted = (const float *)(void *)latencies->data;
      printf (",\"p50_us\":%.0f,\"p95_us\":%.0f,\"p99_us\":%.0f", (double)sorted[latencies->len / 2],
              (double)sorted[(gsize)(latencies->len * 0.95)], (double)sorted[(gsize)(latencies->len * 0.99)]);
    }
  printf ("}\n");
}

static void
measure_idle (Bench *bench, const Usage *before)
{
  run_for (bench, options.warm_up);
  Usage up = usage_all (options.server_pid);
  run_for (bench, options.seconds);
  Usage after = usage_all (options.server_pid);
  printf ("{\"mode\":\"idle\",\"sessions\":%u,\"before_bytes\":%" G_GUINT64_FORMAT
          ",\"after_bytes\":%" G_GUINT64_FORMAT
          ",\"bytes_per_session\":%.0f,\"idle_cpu_s\":%.3f,\"idle_seconds\":%.1f}\n",
          bench->n_clients, before->pss_bytes, after.pss_bytes,
          ((double)after.pss_bytes - (double)before->pss_bytes) / bench->n_clients, after.cpu_s - up.cpu_s,
          options.seconds);
}

static SSL_CTX *
client_context (void)
{
  SSL_CTX *context = SSL_CTX_new (TLS_client_method ());
  SSL_CTX_set_min_proto_version (context, TLS1_2_VERSION);
  SSL_CTX_set_read_ahead (context, 1);
  SSL_CTX_set_session_cache_mode (context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb (context, keep_session);
  return context;
}

static bool
plan_from_options (LoginPlan *plan)
{
  const char *tls = options.tls ? options.tls : "none";
  if (!options.mode || options.port <= 0 || !options.domain || options.clients <= 0 || options.window <= 0)
    return false;
  *plan = (LoginPlan){
    .domain = options.domain,
    .mechanism = options.mechanism ? options.mechanism : "SCRAM-SHA-256",
    .context = client_context (),
    .gets_roster = options.roster,
    .sends_presence = options.presence,
    .gets_serials = options.serials || strcmp (options.mode, "serials") == 0,
    .registers = strcmp (options.mode, "register") == 0,
  };
  plan->scram = scram_cache_new (plan->mechanism);
  plan->tls = strcmp (tls, "direct") == 0 ? TLS_DIRECT : strcmp (tls, "start") == 0 ? TLS_START : TLS_NONE;
  return strcmp (tls, "none") == 0 || plan->tls != TLS_NONE;
}

int
main (int argc, char **argv)
{
  g_autoptr (GOptionContext) context = g_option_context_new ("- load for an XMPP server");
  g_option_context_add_main_entries (context, entries, NULL);
  g_autoptr (GError) error = NULL;
  Bench bench = { 0 };
  if (!g_option_context_parse (context, &argc, &argv, &error) || !plan_from_options (&bench.plan))
    {
      fprintf (stderr, "load: %s\n", error ? error->message : "see --help");
      return 2;
    }
  struct rlimit files;
  getrlimit (RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit (RLIMIT_NOFILE, &files);

  Measurement measurement = { .latencies_us = g_array_new (FALSE, FALSE, sizeof (float)) };
  bool is_message = strcmp (options.mode, "message") == 0, is_login = strcmp (options.mode, "login") == 0;
  bench.epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
  bench.port = (uint16_t)options.port;
  bench.is_raw = options.raw;
  bench.keeps_sessions = options.resume;
  bench.n_at_once = (unsigned)options.at_once;
  bench.n_accounts = (unsigned)(options.accounts > 0 ? options.accounts : options.clients);
  bench.n_clients = (unsigned)(is_login || bench.plan.registers
                                   ? MIN (options.at_once, options.clients)
                                   : options.clients + (is_message ? options.clients % 2 : 0));
  bench.clients = g_new0 (Client, bench.n_clients);
  bench.mode = &measurement;

  if (bench.plan.registers)
    {
      register_accounts (&bench);
      return 0;
    }
  Usage before = options.server_pid ? usage_all (options.server_pid) : (Usage){ 0 };
  bench_bring_up (&bench);
  if (strcmp (options.mode, "idle") == 0)
    {
      measure_idle (&bench, &before);
      return 0;
    }
  if (is_message)
    prepare_messages (&bench);
  else if (is_login)
    {
      bench.on_ready = login_done;
      for (unsigned i = 0; i < bench.n_clients; i++)
        {
          bench_stop_client (&bench, &bench.clients[i]);
          bench_start_client (&bench, &bench.clients[i]);
        }
    }
  else
    prepare_requests (&bench, strcmp (options.mode, "serials") == 0);
  measure (&bench, &measurement);
  if (measurement.count == 0)
    {
      fprintf (stderr, "load: nothing was counted\n");
      return 1;
    }
  report (&measurement);
  measurement.is_over = true;
  if (!is_login)
    run_for (&bench, 0.3);
  return 0;
}
