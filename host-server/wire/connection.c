#include "host-server/wire/connection.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define READ_BYTES   65536
#define RATED_BYTES  16384
#define RECORD_BYTES 16384         /* what one TLS record carries */
#define BACKLOG      65536         /* encrypted bytes for a full socket; the rest stays with the stream */
#define MAX_UNSENT   (4 * BACKLOG) /* answers of TLS itself to who asks for them and reads none */
#define BURST_S      2             /* a rate is a mean over so many seconds */
#define LINGER_US    (3 * G_USEC_PER_SEC)
#define DEAD_MS      60000 /* unacknowledged so long: the peer is gone */

typedef enum
{
  CONNECTION_HANDSHAKE, /* TLS */
  CONNECTION_OPEN,
  CONNECTION_LINGER, /* all is written; waiting for the peer's end, so that it can read the last words */
} ConnectionState;

struct Connections
{
  Poller *poller;
  Timers *timers;
  Tls *tls;
  const StreamSettings *settings;
  const ConnectionLimits *limits;
  BIO_METHOD *bio_method;
  GHashTable *peers; /* address -> GUINT count */
  GQueue all;
  char *input; /* READ_BYTES, for whoever reads */
  char *plain; /* RECORD_BYTES, decrypted */
};

struct Connection
{
  PollWatch watch; /* first: it is freed by it */
  Connections *connections;
  Stream *stream;
  SSL *ssl;           /* NULL: none, or not yet */
  GString *encrypted; /* to be sent; NULL: none */
  const char *input;  /* encrypted bytes just read */
  gsize input_length;
  Timer deadline; /* of the login; then of the peer's silence; of lingering */
  Timer throttle;
  gint64 bytes_paid_us; /* until then the peer has used up its rate */
  gint64 stanzas_paid_us;
  guint64 n_stanzas; /* paid for */
  gint64 read_us;    /* when bytes came last */
  GList link;        /* in connections->all */
  ConnectionState state;
  guint is_direct : 1;
  guint is_readable : 1; /* the socket may hold more */
  guint is_blocked : 1;  /* the socket takes no more */
  guint is_throttled : 1;
  guint has_hung_up : 1;
};

static Connection *
connection_of (PollWatch *watch)
{
  return (Connection *)(void *)watch;
}

/* OpenSSL's end: reads the bytes just received, writes to connection->encrypted. */

static int
bio_read (BIO *bio, char *buffer, int size)
{
  Connection *connection = BIO_get_data (bio);
  BIO_clear_retry_flags (bio);
  if (connection->input_length == 0)
    {
      BIO_set_retry_read (bio);
      return -1;
    }
  gsize n = MIN ((gsize)size, connection->input_length);
  memcpy (buffer, connection->input, n);
  connection->input += n;
  connection->input_length -= n;
  return (int)n;
}

static int
bio_write (BIO *bio, const char *bytes, int length)
{
  Connection *connection = BIO_get_data (bio);
  BIO_clear_retry_flags (bio);
  if (connection->encrypted == NULL)
    connection->encrypted = buffers_take (connection->connections->settings->buffers);
  g_string_append_len (connection->encrypted, bytes, length);
  return length;
}

static long
bio_control (BIO *bio, int command, long number, void *pointer)
{
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static int
bio_create (BIO *bio)
{
  BIO_set_init (bio, 1);
  return 1;
}

static void
forget_peer (Connections *connections, const char *peer)
{
  guint count = GPOINTER_TO_UINT (g_hash_table_lookup (connections->peers, peer));
  if (count <= 1)
    g_hash_table_remove (connections->peers, peer);
  else
    g_hash_table_insert (connections->peers, g_strdup (peer), GUINT_TO_POINTER (count - 1));
}

static void
connection_free (gpointer data)
{
  Connection *connection = data;
  if (connection->encrypted != NULL)
    buffers_give_back (connection->connections->settings->buffers, connection->encrypted);
  if (connection->ssl != NULL)
    SSL_free (connection->ssl);
  stream_unref (connection->stream);
  g_free (connection);
}

/* Takes the connection out of everything; it is freed when the batch is over. */
static void
connection_close (Connection *connection)
{
  Connections *connections = connection->connections;
  if (connection->watch.is_removed)
    return;
  timers_clear (connections->timers, &connection->deadline);
  timers_clear (connections->timers, &connection->throttle);
  forget_peer (connections, stream_get_peer (connection->stream));
  g_queue_unlink (&connections->all, &connection->link);
  poller_remove (connections->poller, &connection->watch);
  stream_set_notify (connection->stream, NULL, NULL);
  stream_lose (connection->stream);
}

/* Sends encrypted bytes. FALSE if the connection is closed by it. */
static gboolean
send_bytes (Connection *connection, const char *bytes, gsize length, gsize *sent)
{
  ssize_t n = send (connection->watch.fd, bytes, length, MSG_NOSIGNAL);
  *sent = n > 0 ? (gsize)n : 0;
  if (n < 0 && errno != EAGAIN && errno != EINTR)
    {
      connection_close (connection);
      return FALSE;
    }
  connection->is_blocked = *sent < length;
  return TRUE;
}

static gboolean
send_encrypted (Connection *connection)
{
  gsize sent;
  if (connection->encrypted == NULL)
    return TRUE;
  if (!send_bytes (connection, connection->encrypted->str, connection->encrypted->len, &sent))
    return FALSE;
  if (sent < connection->encrypted->len)
    g_string_erase (connection->encrypted, 0, (gssize)sent);
  else
    buffers_give_back (connection->connections->settings->buffers, g_steal_pointer (&connection->encrypted));
  return TRUE;
}

/* Encrypts what the stream has to say, up to the backlog, a record at a time. */
static gboolean
encrypt (Connection *connection, GString *output)
{
  gsize taken = 0;
  while (taken < output->len && (connection->encrypted == NULL || connection->encrypted->len < BACKLOG))
    {
      ERR_clear_error ();
      int n = SSL_write (connection->ssl, output->str + taken, (int)MIN (output->len - taken, RECORD_BYTES));
      if (n <= 0)
        {
          connection_close (connection);
          return FALSE;
        }
      taken += (gsize)n;
    }
  stream_output_written (connection->stream, taken);
  return TRUE;
}

static void
on_linger_end (Timer *timer, gpointer data)
{
  connection_close (data);
}

/* Everything is written: says goodbye, and waits for the peer to close. */
static void
begin_linger (Connection *connection)
{
  if (connection->ssl != NULL)
    {
      ERR_clear_error ();
      SSL_shutdown (connection->ssl);
      if (!send_encrypted (connection))
        return;
    }
  connection->state = CONNECTION_LINGER;
  shutdown (connection->watch.fd, SHUT_WR);
  timers_clear (connection->connections->timers, &connection->throttle);
  timers_set (connection->connections->timers, &connection->deadline, LINGER_US, on_linger_end, connection);
  connection->is_readable = TRUE;
  poller_continue (connection->connections->poller, &connection->watch);
}

static void
begin_tls (Connection *connection)
{
  Connections *connections = connection->connections;
  BIO *bio = BIO_new (connections->bio_method);
  if (bio == NULL)
    g_error ("out of memory");
  BIO_set_data (bio, connection);
  connection->ssl = tls_begin (connections->tls, connection->is_direct);
  SSL_set_bio (connection->ssl, bio, bio);
  connection->state = CONNECTION_HANDSHAKE;
  connection->watch.is_slow = TRUE;
}

static void
connection_flush (PollWatch *watch)
{
  Connection *connection = connection_of (watch);
  gsize sent;

  if (connection->state == CONNECTION_LINGER || connection->is_blocked)
    return;
  for (;;)
    {
      GString *output = connection->state == CONNECTION_OPEN ? stream_peek_output (connection->stream) : NULL;
      if (output != NULL && connection->ssl != NULL)
        {
          if (!encrypt (connection, output))
            return;
        }
      else if (output != NULL)
        {
          if (!send_bytes (connection, output->str, output->len, &sent))
            return;
          stream_output_written (connection->stream, sent);
        }
      if (!send_encrypted (connection))
        return;
      if (connection->is_blocked)
        return;
      if (connection->encrypted == NULL
          && (output == NULL || stream_peek_output (connection->stream) == NULL))
        break;
    }
  if (connection->state != CONNECTION_OPEN)
    return;
  if (stream_is_ended (connection->stream))
    begin_linger (connection);
  else if (stream_wants_tls (connection->stream))
    begin_tls (connection);
  else
    stream_drained (connection->stream);
}

static void
on_throttle_end (Timer *timer, gpointer data)
{
  Connection *connection = data;
  connection->is_throttled = FALSE;
  poller_continue (connection->connections->poller, &connection->watch);
}

/* Charges @cost units to a rate; returns how long reading has to wait. */
static gint64
charge (gint64 *paid_us, guint64 cost, guint64 rate, gint64 now)
{
  if (rate == 0 || cost == 0)
    return 0;
  *paid_us = MAX (*paid_us, now - BURST_S * G_USEC_PER_SEC) + (gint64)(cost * G_USEC_PER_SEC / rate);
  return *paid_us - now;
}

/* RFC 6120 leaves rates to us: who is faster than allowed is read more slowly, and its own socket fills up.
 */
static void
hold_to_rate (Connection *connection, gsize n_bytes)
{
  const ConnectionLimits *limits = connection->connections->limits;
  guint64 byte_rate
      = stream_is_authenticated (connection->stream) ? limits->bytes_per_s : limits->bytes_per_s_before_login;
  if (byte_rate == 0 && limits->stanzas_per_s == 0)
    return;
  gint64 now = timers_now_us (connection->connections->timers);
  guint64 n_stanzas = stream_get_stanzas (connection->stream);
  gint64 byte_wait = charge (&connection->bytes_paid_us, n_bytes, byte_rate, now);
  gint64 stanza_wait
      = charge (&connection->stanzas_paid_us, n_stanzas - connection->n_stanzas, limits->stanzas_per_s, now);
  gint64 wait = MAX (byte_wait, stanza_wait);
  connection->n_stanzas = n_stanzas;
  if (wait <= 0)
    return;
  connection->is_throttled = TRUE;
  timers_set (connection->connections->timers, &connection->throttle, wait, on_throttle_end, connection);
}

/* Gives decrypted bytes to the stream. FALSE if the connection is closed. */
static gboolean
read_records (Connection *connection)
{
  Connections *connections = connection->connections;
  while (connection->state == CONNECTION_OPEN && !connection->watch.is_removed)
    {
      ERR_clear_error ();
      int n = SSL_read (connection->ssl, connections->plain, RECORD_BYTES);
      if (n > 0)
        {
          stream_receive (connection->stream, connections->plain, (gsize)n);
          continue;
        }
      if (connection->encrypted != NULL) /* an answer of TLS itself: a key update, an alert */
        poller_mark_dirty (connections->poller, &connection->watch);
      if (connection->encrypted != NULL && connection->encrypted->len > MAX_UNSENT)
        {
          connection_close (connection);
          return FALSE;
        }
      if (SSL_get_error (connection->ssl, n) == SSL_ERROR_WANT_READ)
        return TRUE;
      send_encrypted (connection);
      connection_close (connection);
      return FALSE;
    }
  return !connection->watch.is_removed;
}

static gboolean
step_handshake (Connection *connection)
{
  ERR_clear_error ();
  int outcome = SSL_do_handshake (connection->ssl);
  int error = outcome == 1 ? SSL_ERROR_NONE : SSL_get_error (connection->ssl, outcome);
  if (error == SSL_ERROR_WANT_READ)
    return send_encrypted (connection);
  if (error != SSL_ERROR_NONE)
    {
      if (send_encrypted (connection))
        connection_close (connection);
      return FALSE;
    }
  /* The ticket goes out with the answer to what came along with the last of the handshake. */
  poller_mark_dirty (connection->connections->poller, &connection->watch);
  connection->state = CONNECTION_OPEN;
  connection->watch.is_slow = FALSE;
  stream_secured (connection->stream);
  return read_records (connection);
}

static void
take_bytes (Connection *connection, gsize length)
{
  char *input = connection->connections->input;
  gboolean is_open = TRUE;

  if (connection->ssl == NULL)
    stream_receive (connection->stream, input, length);
  else
    {
      connection->input = input;
      connection->input_length = length;
      is_open = connection->state == CONNECTION_HANDSHAKE ? step_handshake (connection)
                                                          : read_records (connection);
      connection->input_length = 0;
    }
  if (is_open && !connection->watch.is_removed)
    hold_to_rate (connection, length);
}

static void
connection_ready (PollWatch *watch, guint32 events)
{
  Connection *connection = connection_of (watch);
  Connections *connections = connection->connections;

  if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
    connection->is_readable = TRUE;
  if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
    connection->has_hung_up = TRUE;
  if ((events & EPOLLOUT) && connection->is_blocked)
    {
      connection->is_blocked = FALSE;
      poller_mark_dirty (connections->poller, watch);
    }
  if (!connection->is_readable || connection->is_throttled
      || (connection->state == CONNECTION_OPEN && !stream_wants_bytes (connection->stream)))
    return;

  /* What is read is handled, whatever the rate says: under a rate it is less at once. */
  const ConnectionLimits *limits = connections->limits;
  gsize room = limits->stanzas_per_s != 0 || limits->bytes_per_s != 0 ? RATED_BYTES : READ_BYTES;
  ssize_t n = recv (watch->fd, connections->input, room, 0);
  if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
    {
      connection_close (connection);
      return;
    }
  /* A short read has emptied the socket; the next bytes make a new edge. But the end of a stream makes none
   * again. */
  connection->is_readable
      = (gsize)n == room || (n < 0 && errno == EINTR) || (n > 0 && connection->has_hung_up);
  if (n > 0)
    {
      connection->read_us = timers_now_us (connections->timers);
      if (connection->state != CONNECTION_LINGER && !stream_is_ended (connection->stream))
        take_bytes (connection, (gsize)n);
    }
  if (connection->is_readable)
    poller_continue (connections->poller, watch);
}

/* The stream has output, or wants bytes again. */
static void
on_notify (Stream *stream, gpointer data)
{
  Connection *connection = data;
  poller_mark_dirty (connection->connections->poller, &connection->watch);
  /* Who does not read our last words must not keep them. */
  if (stream_is_ended (stream) && connection->state != CONNECTION_LINGER)
    timers_set (connection->connections->timers, &connection->deadline, LINGER_US, on_linger_end, connection);
  if (connection->is_readable && stream_wants_bytes (stream))
    poller_continue (connection->connections->poller, &connection->watch);
}

static void
on_deadline (Timer *timer, gpointer data)
{
  Connection *connection = data;
  Connections *connections = connection->connections;
  const ConnectionLimits *limits = connections->limits;

  if (connection->state == CONNECTION_HANDSHAKE)
    {
      connection_close (connection);
      return;
    }
  if (!stream_is_authenticated (connection->stream))
    {
      stream_end (connection->stream, "connection-timeout", NULL, NULL);
      return;
    }
  if (limits->idle_us == 0)
    return;
  gint64 silent = timers_now_us (connections->timers) - connection->read_us;
  if (silent >= limits->idle_us)
    {
      GString *out
          = stream_peek_output (connection->stream) == NULL ? stream_write (connection->stream) : NULL;
      if (out != NULL)
        g_string_append_c (out, ' ');
      silent = 0;
    }
  timers_set (connections->timers, timer, limits->idle_us - silent, on_deadline, connection);
}

void
connections_take (Connections *connections, int fd, const char *peer, gboolean is_direct_tls)
{
  const ConnectionLimits *limits = connections->limits;
  guint count = GPOINTER_TO_UINT (g_hash_table_lookup (connections->peers, peer));
  gboolean is_refused = (limits->streams != 0 && connections->all.length >= limits->streams)
                        || (limits->streams_per_address != 0 && count >= limits->streams_per_address);
  int on = 1;
  int dead_ms = DEAD_MS;
  setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt (fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead_ms, sizeof dead_ms);

  Connection *connection = g_new0 (Connection, 1);
  connection->connections = connections;
  connection->watch.fd = fd;
  connection->watch.ready = connection_ready;
  connection->watch.flush = connection_flush;
  connection->watch.free = connection_free;
  connection->is_direct = is_direct_tls != FALSE;
  connection->state = CONNECTION_OPEN;
  connection->stream = stream_new (connections->settings, peer, FALSE);
  connection->link.data = connection;
  connection->read_us = timers_now_us (connections->timers);
  g_queue_push_tail_link (&connections->all, &connection->link);
  g_hash_table_insert (connections->peers, g_strdup (peer), GUINT_TO_POINTER (count + 1));
  stream_set_notify (connection->stream, on_notify, connection);
  if (!poller_add (connections->poller, &connection->watch) || (is_refused && is_direct_tls))
    {
      connection_close (connection);
      return;
    }
  if (limits->handshake_us != 0)
    timers_set (connections->timers, &connection->deadline, limits->handshake_us, on_deadline, connection);
  else if (limits->idle_us != 0)
    timers_set (connections->timers, &connection->deadline, limits->idle_us, on_deadline, connection);
  if (is_direct_tls)
    begin_tls (connection);
  else if (is_refused)
    stream_end (connection->stream, "resource-constraint", "too many streams", NULL);
}

Connections *
connections_new (Poller *poller, Timers *timers, Tls *tls, const StreamSettings *settings,
                 const ConnectionLimits *limits)
{
  Connections *connections = g_new0 (Connections, 1);
  connections->poller = poller;
  connections->timers = timers;
  connections->tls = tls;
  connections->settings = settings;
  connections->limits = limits;
  connections->peers = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  connections->input = g_malloc (READ_BYTES);
  connections->plain = g_malloc (RECORD_BYTES);
  g_queue_init (&connections->all);
  connections->bio_method = BIO_meth_new (BIO_get_new_index () | BIO_TYPE_SOURCE_SINK, "connection");
  BIO_meth_set_read (connections->bio_method, bio_read);
  BIO_meth_set_write (connections->bio_method, bio_write);
  BIO_meth_set_ctrl (connections->bio_method, bio_control);
  BIO_meth_set_create (connections->bio_method, bio_create);
  return connections;
}

void
connections_free (Connections *connections)
{
  if (connections == NULL)
    return;
  while (connections->all.head != NULL)
    connection_close (connections->all.head->data);
  poller_finish (connections->poller); /* closed ones lean on this until they are freed */
  BIO_meth_free (connections->bio_method);
  g_hash_table_unref (connections->peers);
  g_free (connections->input);
  g_free (connections->plain);
  g_free (connections);
}

guint
connections_get_count (const Connections *connections)
{
  return connections->all.length;
}

void
connections_end_all (Connections *connections, const char *condition)
{
  GList *next;
  for (GList *link = connections->all.head; link != NULL; link = next)
    {
      Connection *connection = link->data;
      next = link->next;
      if (connection->state == CONNECTION_HANDSHAKE)
        connection_close (connection);
      else
        stream_end (connection->stream, condition, NULL, NULL);
    }
}
