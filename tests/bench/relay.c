/* The floor: forwards bytes without looking at them. What no XMPP server can beat on this machine.
 *
 * Usage: relay [--tls CERTIFICATE KEY] [--echo]
 * Connections are paired in the order they come: the first with the second, and so on; with --echo each gets
 * its own bytes back. Prints {"port":N} and runs until it is killed. One read (until nothing is left) and one
 * write per wake-up, as a server that batches as well as one can would do. */

#include "tests/bench/connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum
{
  BUFFER_BYTES = 256 * 1024
};

typedef struct Peer Peer;

struct Peer
{
  Connection connection;
  Peer *other;
};

static SSL_CTX *
server_context (const char *certificate, const char *key)
{
  SSL_CTX *context = SSL_CTX_new (TLS_server_method ());
  if (SSL_CTX_use_certificate_chain_file (context, certificate) != 1
      || SSL_CTX_use_PrivateKey_file (context, key, SSL_FILETYPE_PEM) != 1)
    g_error ("relay: cannot use '%s' with '%s'", certificate, key);
  SSL_CTX_set_read_ahead (context, 1);
  SSL_CTX_set_default_read_buffer_len (context, 64 * 1024);
  return context;
}

static void
forward (Peer *self, char *buffer)
{
  size_t held = 0;
  for (;;)
    {
      size_t size = BUFFER_BYTES - held;
      ReadOutcome outcome = connection_read (&self->connection, buffer + held, &size);
      if (outcome == READ_CLOSED)
        {
          connection_close (&self->connection);
          break;
        }
      if (outcome == READ_LATER)
        break;
      if (outcome == READ_HANDSHAKE_DONE)
        continue;
      held += size;
      if (held == BUFFER_BYTES || !connection_has_more (&self->connection))
        break;
    }
  if (held > 0 && self->other)
    connection_send (&self->other->connection, buffer, held);
}

int
main (int argc, char **argv)
{
  SSL_CTX *context = NULL;
  bool is_echo = false;
  for (int i = 1; i < argc; i++)
    if (strcmp (argv[i], "--tls") == 0 && i + 2 < argc)
      {
        context = server_context (argv[i + 1], argv[i + 2]);
        i += 2;
      }
    else if (strcmp (argv[i], "--echo") == 0)
      is_echo = true;
    else
      {
        fprintf (stderr, "usage: relay [--tls CERTIFICATE KEY] [--echo]\n");
        return 2;
      }

  struct rlimit files;
  getrlimit (RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit (RLIMIT_NOFILE, &files);

  int listener = socket (AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  socklen_t length = sizeof address;
  if (bind (listener, (struct sockaddr *)&address, length) < 0 || listen (listener, 1024) < 0)
    g_error ("relay: cannot listen: %s", g_strerror (errno));
  getsockname (listener, (struct sockaddr *)&address, &length);
  printf ("{\"port\":%d}\n", ntohs (address.sin_port));
  fflush (stdout);

  int epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
  struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };
  epoll_ctl (epoll_fd, EPOLL_CTL_ADD, listener, &event);
  g_autofree char *buffer = g_malloc (BUFFER_BYTES);
  Peer *waiting = NULL; /* the one that still has no other */
  for (;;)
    {
      struct epoll_event events[256];
      int count = epoll_wait (epoll_fd, events, G_N_ELEMENTS (events), -1);
      for (int i = 0; i < count; i++)
        {
          Peer *peer = events[i].data.ptr;
          if (peer)
            {
              if (peer->connection.fd >= 0 && events[i].events & EPOLLOUT)
                connection_flush (&peer->connection);
              if (peer->connection.fd >= 0 && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                forward (peer, buffer);
              continue;
            }
          int fd = accept4 (listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
          if (fd < 0)
            continue;
          peer = g_new0 (Peer, 1); /* lives as long as the program: others may still point to it */
          connection_open (&peer->connection, epoll_fd, fd, 0, peer);
          if (context)
            connection_start_tls (&peer->connection, context, true, NULL);
          if (is_echo)
            peer->other = peer;
          else if (waiting)
            {
              peer->other = waiting;
              waiting->other = peer;
              waiting = NULL;
            }
          else
            waiting = peer;
        }
    }
}
