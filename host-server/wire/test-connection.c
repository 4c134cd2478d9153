#include "host-server/wire/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define OPEN                                                                                                 \
  "<stream:stream to='d' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "             \
  "version='1.0'>"
#define AUTH "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGFsaWNlAHg=</auth>"
#define BIND                                                                                                 \
  "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind></iq>"
#define LOGIN OPEN AUTH OPEN BIND
#define BOUND "<jid>alice@d/r</jid></bind></iq>"

/* Connections on sockets of the test's own; stanzas are answered with a dot each. Time stands still. */
typedef struct
{
  char *folder;
  char *certificate;
  char *private_key;
  Clock *clock;
  Timers *timers;
  Poller *poller;
  Tls *tls;
  XmlPool *pool;
  Buffers *buffers;
  Jid *domain;
  Secret *salt_key;
  StreamSettings settings;
  ConnectionLimits limits;
  Connections *connections;
  int fd; /* the client's end */
  SSL_CTX *client_context;
  SSL *ssl;
  GString *heard;
  gboolean is_closed;
  guint n_lost;
} Fixture;

static void
check_password (Stream *stream, const char *local, Secret *take_password, gpointer data)
{
  secret_free (take_password);
  stream_password_checked (stream, TRUE);
}

static gboolean
may_login (Stream *stream, gpointer data)
{
  return TRUE;
}

static void
login_failed (Stream *stream, const char *local, gpointer data)
{
}

static Jid *
bind_resource (Stream *stream, const Jid *bare, const char *resource, StanzaError *error, gpointer data)
{
  return jid_with_resource (bare, resource);
}

static void
ignore (Stream *stream, gpointer data)
{
}

static void
answer (Stream *stream, const Stanza *stanza, gpointer data)
{
  g_string_append_c (stream_write (stream), '.');
}

static void
count_end (Stream *stream, StreamEnd end, gpointer data)
{
  Fixture *fixture = data;
  if (end == STREAM_LOST)
    fixture->n_lost++;
}

static const StreamHandler handler = {
  .check_password = check_password,
  .may_login = may_login,
  .login_failed = login_failed,
  .bind = bind_resource,
  .bound = ignore,
  .stanza = answer,
  .drained = ignore,
  .ended = count_end,
};

static void
make_certificate (const char *certificate_path, const char *key_path)
{
  EVP_PKEY *key = EVP_EC_gen ("P-256");
  X509 *certificate = X509_new ();
  ASN1_INTEGER_set (X509_get_serialNumber (certificate), 1);
  X509_gmtime_adj (X509_getm_notBefore (certificate), 0);
  X509_gmtime_adj (X509_getm_notAfter (certificate), 3600);
  X509_set_pubkey (certificate, key);
  X509_NAME_add_entry_by_txt (X509_get_subject_name (certificate), "CN", MBSTRING_ASC, (const guint8 *)"d",
                              -1, -1, 0);
  X509_set_issuer_name (certificate, X509_get_subject_name (certificate));
  g_assert_cmpint (X509_sign (certificate, key, EVP_sha256 ()), >, 0);
  FILE *file = fopen (certificate_path, "w");
  PEM_write_X509 (file, certificate);
  fclose (file);
  file = fopen (key_path, "w");
  PEM_write_PrivateKey (file, key, NULL, NULL, 0, NULL, NULL);
  fclose (file);
  X509_free (certificate);
  EVP_PKEY_free (key);
}

static void
set_up (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  fixture->folder = g_dir_make_tmp ("connection-XXXXXX", NULL);
  fixture->certificate = g_build_filename (fixture->folder, "certificate.pem", NULL);
  fixture->private_key = g_build_filename (fixture->folder, "key.pem", NULL);
  make_certificate (fixture->certificate, fixture->private_key);
  fixture->clock = clock_new_fake (0);
  clock_advance_us (fixture->clock, 1000 * G_USEC_PER_SEC);
  fixture->timers = timers_new (fixture->clock);
  fixture->poller = poller_new (&error);
  g_assert_no_error (error);
  fixture->tls = tls_new (fixture->certificate, fixture->private_key, &error);
  g_assert_no_error (error);
  fixture->pool = xml_pool_new ();
  fixture->buffers = buffers_new ();
  fixture->domain = jid_new ("d", 1);
  fixture->salt_key = secret_new ("k", 1);
  fixture->settings = (StreamSettings){
    .pool = fixture->pool,
    .buffers = fixture->buffers,
    .domain = fixture->domain,
    .offers_tls = TRUE,
    .requires_tls = TRUE,
    .before_login = { 100000, 64, 1000 },
    .after_login = { 100000, 64, 1000 },
    .salt_key = fixture->salt_key,
    .handler = &handler,
    .handler_data = fixture,
  };
  fixture->connections = connections_new (fixture->poller, fixture->timers, fixture->tls, &fixture->settings,
                                          &fixture->limits);
  fixture->client_context = SSL_CTX_new (TLS_client_method ());
  fixture->heard = g_string_new (NULL);
  fixture->fd = -1;
}

static void
disconnect (Fixture *fixture)
{
  /* Or its session would count as broken, and not be resumed. */
  if (fixture->ssl != NULL)
    SSL_set_shutdown (fixture->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  g_clear_pointer (&fixture->ssl, SSL_free);
  if (fixture->fd >= 0)
    close (fixture->fd);
  fixture->fd = -1;
  fixture->is_closed = FALSE;
  g_string_truncate (fixture->heard, 0);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  disconnect (fixture);
  connections_free (fixture->connections);
  SSL_CTX_free (fixture->client_context);
  poller_free (fixture->poller);
  timers_free (fixture->timers);
  tls_free (fixture->tls);
  xml_pool_free (fixture->pool);
  buffers_free (fixture->buffers);
  jid_unref (fixture->domain);
  secret_free (fixture->salt_key);
  clock_free (fixture->clock);
  g_string_free (fixture->heard, TRUE);
  g_unlink (fixture->certificate);
  g_unlink (fixture->private_key);
  g_rmdir (fixture->folder);
  g_free (fixture->certificate);
  g_free (fixture->private_key);
  g_free (fixture->folder);
}

static void
connect_client (Fixture *fixture, const char *peer, gboolean is_direct)
{
  int ends[2];
  disconnect (fixture);
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), ==, 0);
  fixture->fd = ends[0];
  connections_take (fixture->connections, ends[1], peer, is_direct);
}

/* Lets the server work until it has nothing to do. */
static void
turn (Fixture *fixture)
{
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

static void
hear (Fixture *fixture)
{
  char buffer[65536];
  for (;;)
    {
      turn (fixture);
      ssize_t n;
      if (fixture->ssl != NULL)
        {
          n = SSL_read (fixture->ssl, buffer, sizeof buffer);
          int error = SSL_get_error (fixture->ssl, (int)n);
          if (error == SSL_ERROR_ZERO_RETURN)
            n = 0;
          else if (error == SSL_ERROR_WANT_READ)
            return;
        }
      else
        n = recv (fixture->fd, buffer, sizeof buffer, 0);
      if (n < 0 && errno == EAGAIN)
        return;
      fixture->is_closed = fixture->is_closed || n <= 0;
      if (n <= 0)
        return;
      g_string_append_len (fixture->heard, buffer, n);
    }
}

static void
say (Fixture *fixture, const char *text)
{
  if (fixture->ssl != NULL)
    g_assert_cmpint (SSL_write (fixture->ssl, text, (int)strlen (text)), ==, (int)strlen (text));
  else
    g_assert_cmpint (send (fixture->fd, text, strlen (text), MSG_NOSIGNAL), ==, (ssize_t)strlen (text));
  hear (fixture);
}

/* FALSE if the server ends the handshake. */
static gboolean
begin_tls (Fixture *fixture)
{
  fixture->ssl = SSL_new (fixture->client_context);
  SSL_set_fd (fixture->ssl, fixture->fd);
  SSL_set_connect_state (fixture->ssl);
  for (int i = 0; i < 100; i++)
    {
      int outcome = SSL_do_handshake (fixture->ssl);
      turn (fixture);
      if (outcome == 1)
        return TRUE;
      if (SSL_get_error (fixture->ssl, outcome) != SSL_ERROR_WANT_READ)
        return FALSE;
    }
  return FALSE;
}

static void
advance (Fixture *fixture, gint64 us)
{
  clock_advance_us (fixture->clock, us);
  timers_run (fixture->timers);
  hear (fixture);
}

static void
login (Fixture *fixture)
{
  connect_client (fixture, "192.0.2.1", TRUE);
  g_assert_true (begin_tls (fixture));
  say (fixture, LOGIN);
  g_assert_true (g_str_has_suffix (fixture->heard->str, BOUND));
  g_string_truncate (fixture->heard, 0);
}

static gsize
count_dots (const Fixture *fixture)
{
  gsize n = 0;
  for (const char *at = fixture->heard->str; *at != '\0'; at++)
    n += *at == '.';
  return n;
}

static void
test_connection_begins_tls_in_the_stream_or_at_once (Fixture *fixture, gconstpointer data)
{
  login (fixture);
  say (fixture, "<presence/>");
  g_assert_cmpstr (fixture->heard->str, ==, ".");

  connect_client (fixture, "192.0.2.1", FALSE);
  say (fixture, OPEN "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
  g_assert_true (
      g_str_has_suffix (fixture->heard->str, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"));
  g_assert_true (begin_tls (fixture));
  g_assert_cmpint (SSL_version (fixture->ssl), ==, TLS1_3_VERSION);
  say (fixture, LOGIN);
  g_assert_true (g_str_has_suffix (fixture->heard->str, BOUND));
  say (fixture, "</stream:stream>");
  g_assert_true (fixture->is_closed);
}

static void
test_connection_refuses_old_tls_and_other_protocols (Fixture *fixture, gconstpointer data)
{
  static const guint8 http[] = "\x08http/1.1";
  static const guint8 both[] = "\x08http/1.1\x0bxmpp-client";
  connect_client (fixture, "192.0.2.1", TRUE);
  SSL_CTX_set_alpn_protos (fixture->client_context, both, sizeof both - 1);
  g_assert_true (begin_tls (fixture));
  const guint8 *chosen;
  guint length;
  SSL_get0_alpn_selected (fixture->ssl, &chosen, &length);
  g_assert_cmpmem (chosen, length, "xmpp-client", 11);

  connect_client (fixture, "192.0.2.1", TRUE);
  SSL_CTX_set_alpn_protos (fixture->client_context, http, sizeof http - 1);
  g_assert_false (begin_tls (fixture));

  connect_client (fixture, "192.0.2.1", TRUE);
  SSL_CTX_set_alpn_protos (fixture->client_context, NULL, 0);
  SSL_CTX_set_security_level (fixture->client_context, 0);
  SSL_CTX_set_min_proto_version (fixture->client_context, TLS1_VERSION);
  SSL_CTX_set_max_proto_version (fixture->client_context, TLS1_1_VERSION);
  g_assert_false (begin_tls (fixture));
  g_assert_cmpuint (connections_get_count (fixture->connections), ==, 0);
}

static SSL_SESSION *kept_session; /* of a callback of OpenSSL's, within one test */

static int
keep_session (SSL *ssl, SSL_SESSION *session)
{
  g_clear_pointer (&kept_session, SSL_SESSION_free);
  kept_session = session;
  return 1;
}

static void
test_connection_resumes_tls_also_after_a_reload (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  SSL_CTX_set_session_cache_mode (fixture->client_context, SSL_SESS_CACHE_CLIENT);
  SSL_CTX_sess_set_new_cb (fixture->client_context, keep_session);
  login (fixture);
  g_assert_nonnull (kept_session);
  g_assert_cmpuint (SSL_SESSION_get_max_early_data (kept_session), ==, 0);
  g_assert_true (tls_reload (fixture->tls, fixture->certificate, fixture->private_key, &error));
  connect_client (fixture, "192.0.2.1", TRUE);
  fixture->ssl = SSL_new (fixture->client_context);
  SSL *ssl = fixture->ssl;
  SSL_set_session (ssl, kept_session);
  SSL_set_fd (ssl, fixture->fd);
  SSL_set_connect_state (ssl);
  for (int i = 0; i < 100 && SSL_do_handshake (ssl) != 1; i++)
    turn (fixture);
  g_assert_true (SSL_session_reused (ssl));
  g_clear_pointer (&kept_session, SSL_SESSION_free);
  g_assert_false (tls_reload (fixture->tls, fixture->private_key, fixture->private_key, &error));
  g_assert_nonnull (error);
}

static void
test_connection_garbage_for_tls_ends_it_alone (Fixture *fixture, gconstpointer data)
{
  connect_client (fixture, "192.0.2.1", TRUE);
  say (fixture, "GET / HTTP/1.1\r\nHost: d\r\n\r\n");
  g_assert_true (fixture->is_closed);
  g_assert_cmpuint (connections_get_count (fixture->connections), ==, 0);
  login (fixture);
}

static void
test_connection_must_log_in_in_time (Fixture *fixture, gconstpointer data)
{
  fixture->limits.handshake_us = 30 * G_USEC_PER_SEC;
  connect_client (fixture, "192.0.2.1", TRUE);
  advance (fixture, 31 * G_USEC_PER_SEC);
  g_assert_true (fixture->is_closed);

  connect_client (fixture, "192.0.2.1", FALSE);
  say (fixture, OPEN);
  advance (fixture, 31 * G_USEC_PER_SEC);
  g_assert_nonnull (strstr (fixture->heard->str, "<connection-timeout "));
  g_assert_true (fixture->is_closed);

  login (fixture);
  advance (fixture, 31 * G_USEC_PER_SEC);
  say (fixture, "<presence/>");
  g_assert_cmpstr (fixture->heard->str, ==, ".");
}

static void
test_connection_silent_for_long_gets_a_blank (Fixture *fixture, gconstpointer data)
{
  fixture->limits.idle_us = 100 * G_USEC_PER_SEC;
  login (fixture);
  advance (fixture, 60 * G_USEC_PER_SEC);
  say (fixture, "<presence/>");
  advance (fixture, 60 * G_USEC_PER_SEC);
  g_assert_cmpstr (fixture->heard->str, ==, ".");
  advance (fixture, 60 * G_USEC_PER_SEC);
  g_assert_cmpstr (fixture->heard->str, ==, ". ");
  advance (fixture, 100 * G_USEC_PER_SEC);
  g_assert_cmpstr (fixture->heard->str, ==, ".  ");
  g_assert_false (fixture->is_closed);
}

static void
test_connection_counts_streams_by_address (Fixture *fixture, gconstpointer data)
{
  Fixture other = *fixture;
  fixture->limits.streams_per_address = 1;
  login (fixture);
  other.fd = -1;
  other.ssl = NULL;
  other.heard = g_string_new (NULL);
  connect_client (&other, "192.0.2.1", FALSE);
  hear (&other);
  g_assert_nonnull (strstr (other.heard->str, "<resource-constraint "));
  g_assert_true (other.is_closed);
  connect_client (&other, "192.0.2.1", TRUE);
  hear (&other);
  g_assert_true (other.is_closed);
  g_assert_cmpuint (other.heard->len, ==, 0);
  connect_client (&other, "192.0.2.2", FALSE);
  say (&other, OPEN);
  g_assert_true (g_str_has_suffix (other.heard->str, "</stream:features>"));
  disconnect (&other);
  g_string_free (other.heard, TRUE);
}

static void
test_connection_over_its_rate_is_read_more_slowly (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GString) hundred = g_string_new (NULL);
  for (int i = 0; i < 100; i++)
    g_string_append (hundred, "<presence/>");
  fixture->limits.stanzas_per_s = 10; /* and so 20 at once */
  login (fixture);
  say (fixture, hundred->str);
  g_assert_cmpuint (count_dots (fixture), ==, 100);
  say (fixture, hundred->str);
  g_assert_cmpuint (count_dots (fixture), ==, 100);
  advance (fixture, 7 * G_USEC_PER_SEC);
  g_assert_cmpuint (count_dots (fixture), ==, 100);
  advance (fixture, 2 * G_USEC_PER_SEC);
  g_assert_cmpuint (count_dots (fixture), ==, 200);
  say (fixture, "<presence/>");
  g_assert_cmpuint (count_dots (fixture), ==, 200);
  advance (fixture, 11 * G_USEC_PER_SEC);
  g_assert_cmpuint (count_dots (fixture), ==, 201);
}

static void
test_connection_not_reading_does_not_keep_its_last_words (Fixture *fixture, gconstpointer data)
{
  g_autofree char *stanzas = g_strnfill (11 * 6000, ' ');
  for (int i = 0; i < 6000; i++)
    memcpy (stanzas + 11 * i, "<presence/>", 11);
  login (fixture);
  /* Answers that nobody reads fill the socket, and then wait with the stream. */
  for (int i = 0; i < 40; i++)
    {
      int n = SSL_write (fixture->ssl, stanzas, 16000);
      if (n <= 0)
        break;
      turn (fixture);
    }
  connections_end_all (fixture->connections, "system-shutdown");
  turn (fixture);
  clock_advance_us (fixture->clock, 4 * G_USEC_PER_SEC);
  timers_run (fixture->timers);
  turn (fixture);
  g_assert_cmpuint (connections_get_count (fixture->connections), ==, 0);
}

static void
test_connection_lost_is_told (Fixture *fixture, gconstpointer data)
{
  login (fixture);
  disconnect (fixture);
  turn (fixture);
  g_assert_cmpuint (fixture->n_lost, ==, 1);
  g_assert_cmpuint (connections_get_count (fixture->connections), ==, 0);
}

static void
test_connection_timers_fire_in_order (Fixture *fixture, gconstpointer data)
{
  Timer timers[200] = { { 0 } };
  gint64 last = -1;
  for (guint i = 0; i < G_N_ELEMENTS (timers); i++)
    timers_set (fixture->timers, &timers[i], (gint64)(i * 7919 % 200) * 1000,
                (TimerFunc)(void (*) (void))ignore, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (timers); i += 2)
    timers_clear (fixture->timers, &timers[i]);
  timers_set (fixture->timers, &timers[1], 150500, (TimerFunc)(void (*) (void))ignore, NULL);
  for (guint step = 0; step < 200; step++)
    {
      timers_run (fixture->timers);
      gint64 now = timers_now_us (fixture->timers);
      g_assert_cmpint (now, >, last);
      last = now;
      for (guint i = 1; i < G_N_ELEMENTS (timers); i += 2)
        g_assert_cmpint (timers[i].place != 0, ==, timers[i].due_us > now);
      clock_advance_us (fixture->clock, 1000);
    }
  g_assert_cmpuint (timers[0].place, ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(path, func) g_test_add ("/connection/" path, Fixture, NULL, set_up, func, tear_down)
  ADD ("tls", test_connection_begins_tls_in_the_stream_or_at_once);
  ADD ("old-tls", test_connection_refuses_old_tls_and_other_protocols);
  ADD ("resumes", test_connection_resumes_tls_also_after_a_reload);
  ADD ("garbage", test_connection_garbage_for_tls_ends_it_alone);
  ADD ("login-time", test_connection_must_log_in_in_time);
  ADD ("silent", test_connection_silent_for_long_gets_a_blank);
  ADD ("addresses", test_connection_counts_streams_by_address);
  ADD ("rate", test_connection_over_its_rate_is_read_more_slowly);
  ADD ("deaf", test_connection_not_reading_does_not_keep_its_last_words);
  ADD ("lost", test_connection_lost_is_told);
  ADD ("timers", test_connection_timers_fire_in_order);
  return g_test_run ();
}
