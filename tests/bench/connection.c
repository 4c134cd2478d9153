#include "tests/bench/connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static void
watch (Connection *self, int operation, bool wants_write)
{
  struct epoll_event event = { .events = EPOLLIN | (wants_write ? EPOLLOUT : 0), .data.ptr = self->owner };
  epoll_ctl (self->epoll_fd, operation, self->fd, &event);
  self->wants_write = wants_write;
}

bool
connection_open (Connection *self, int epoll_fd, int fd, uint16_t port, void *owner)
{
  *self = (Connection){ .epoll_fd = epoll_fd, .fd = fd, .owner = owner };
  if (fd < 0)
    {
      struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons (port) };
      address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
      self->fd = socket (AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      if (self->fd < 0)
        return false;
      if (connect (self->fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS)
        {
          close (self->fd);
          self->fd = -1;
          return false;
        }
    }
  int on = 1;
  setsockopt (self->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  watch (self, EPOLL_CTL_ADD, false);
  return true;
}

void
connection_start_tls (Connection *self, SSL_CTX *context, bool is_server, SSL_SESSION *session)
{
  self->ssl = SSL_new (context);
  SSL_set_fd (self->ssl, self->fd);
  SSL_set_mode (self->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_set_app_data (self->ssl, self->owner);
  if (session)
    SSL_set_session (self->ssl, session);
  self->is_handshaking = true;
  if (is_server)
    {
      SSL_set_accept_state (self->ssl);
      return;
    }
  SSL_set_connect_state (self->ssl);
  SSL_do_handshake (self->ssl);
  if (SSL_want_write (self->ssl)) /* the TCP connection is not there yet */
    watch (self, EPOLL_CTL_MOD, true);
}

ReadOutcome
connection_read (Connection *self, char *buffer, size_t *size)
{
  if (self->fd < 0)
    return READ_CLOSED;
  if (!self->ssl)
    {
      ssize_t count = recv (self->fd, buffer, *size, 0);
      if (count < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOTCONN))
        return READ_LATER;
      if (count <= 0)
        return READ_CLOSED;
      *size = count;
      return READ_DATA;
    }
  int outcome
      = self->is_handshaking ? SSL_do_handshake (self->ssl) : SSL_read (self->ssl, buffer, (int)*size);
  if (outcome > 0)
    {
      if (self->is_handshaking)
        {
          self->is_handshaking = false;
          return READ_HANDSHAKE_DONE;
        }
      *size = outcome;
      return READ_DATA;
    }
  int reason = SSL_get_error (self->ssl, outcome);
  return reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE ? READ_LATER : READ_CLOSED;
}

bool
connection_has_more (Connection *self)
{
  return self->fd >= 0 && self->ssl && SSL_has_pending (self->ssl);
}

/* How much went out at once; -1 on failure. */
static ssize_t
send_some (Connection *self, const char *data, size_t size)
{
  if (!self->ssl)
    {
      ssize_t count = send (self->fd, data, size, MSG_NOSIGNAL);
      return count >= 0 ? count : errno == EAGAIN || errno == EINTR || errno == ENOTCONN ? 0 : -1;
    }
  int count = SSL_write (self->ssl, data, (int)size);
  if (count > 0)
    return count;
  int reason = SSL_get_error (self->ssl, count);
  return reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

bool
connection_send (Connection *self, const char *data, size_t size)
{
  if (self->fd < 0)
    return false;
  while (!self->unsent && size > 0)
    {
      ssize_t count = send_some (self, data, size);
      if (count < 0)
        return false;
      if (count == 0)
        break;
      data += count;
      size -= count;
    }
  if (size == 0)
    return true;
  if (!self->unsent)
    self->unsent = g_string_new (NULL);
  g_string_append_len (self->unsent, data, size);
  if (!self->wants_write)
    watch (self, EPOLL_CTL_MOD, true);
  return true;
}

bool
connection_flush (Connection *self)
{
  if (self->is_handshaking)
    {
      SSL_do_handshake (self->ssl); /* its outcome is seen by the next read */
      if (!self->unsent && !SSL_want_write (self->ssl))
        watch (self, EPOLL_CTL_MOD, false);
      return true;
    }
  while (self->unsent && self->unsent->len > 0)
    {
      ssize_t count = send_some (self, self->unsent->str, self->unsent->len);
      if (count < 0)
        return false;
      if (count == 0)
        return true;
      g_string_erase (self->unsent, 0, count);
    }
  if (self->unsent && self->unsent->len == 0)
    {
      g_string_free (self->unsent, TRUE);
      self->unsent = NULL;
    }
  if (!self->unsent && self->wants_write)
    watch (self, EPOLL_CTL_MOD, false);
  return true;
}

void
connection_close (Connection *self)
{
  if (self->ssl)
    {
      /* Without this mark OpenSSL drops the session, and nothing could be resumed. */
      SSL_set_shutdown (self->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
      SSL_free (self->ssl);
    }
  self->ssl = NULL;
  if (self->fd >= 0)
    close (self->fd);
  self->fd = -1;
  if (self->unsent)
    g_string_free (self->unsent, TRUE);
  self->unsent = NULL;
  self->is_handshaking = self->wants_write = false;
}
