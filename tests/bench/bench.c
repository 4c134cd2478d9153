#include "tests/bench/bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

enum
{
  BUFFER_BYTES = 256 * 1024,
  STALL_S = 20
};

int64_t
now_ns (void)
{
  struct timespec now;
  clock_gettime (CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

G_NORETURN static void
give_up (Client *client, const char *what)
{
  fprintf (stderr, "load: client %u: %s%s%s\n", client->index, what, client->login.failure ? ": " : "",
           client->login.failure ? client->login.failure : "");
  exit (1);
}

void
bench_start_client (Bench *self, Client *client)
{
  client->bench = self;
  client->is_started = true;
  client->is_ready = false;
  client->started_ns = now_ns ();
  if (!connection_open (&client->connection, self->epoll_fd, -1, self->port, client))
    give_up (client, g_strerror (errno));
  if (!self->is_raw)
    {
      login_begin (&client->login, &self->plan, &client->connection, client->index % self->n_accounts,
                   client->session);
      return;
    }
  if (self->plan.tls == TLS_DIRECT)
    connection_start_tls (&client->connection, self->plan.context, false, NULL);
  else
    {
      client->is_ready = true;
      self->n_ready++;
    }
}

void
bench_stop_client (Bench *self, Client *client)
{
  connection_send (&client->connection, "</stream:stream>", strlen ("</stream:stream>"));
  connection_close (&client->connection);
  login_clear (&client->login);
  if (client->is_ready)
    self->n_ready--;
  client->is_started = client->is_ready = false;
}

static void
became_ready (Bench *self, Client *client)
{
  client->is_ready = true;
  self->n_ready++;
  if (self->on_ready)
    self->on_ready (self, client);
}

static void
read_client (Bench *self, Client *client)
{
  while (client->connection.fd >= 0)
    {
      size_t size = BUFFER_BYTES;
      ReadOutcome outcome = connection_read (&client->connection, self->buffer, &size);
      if (outcome == READ_LATER)
        return;
      if (outcome == READ_CLOSED)
        give_up (client, client->is_ready ? "the server closed a session" : "the server closed a login");
      if (client->is_ready)
        {
          if (outcome == READ_DATA && self->on_data)
            self->on_data (self, client, self->buffer, size);
        }
      else if (self->is_raw)
        became_ready (self, client);
      else
        {
          LoginState state = login_feed (&client->login, outcome == READ_DATA ? self->buffer : NULL, size);
          if (state == LOGIN_FAILED)
            give_up (client, "login failed");
          if (state == LOGIN_DONE)
            became_ready (self, client);
        }
      if (outcome == READ_DATA && !connection_has_more (&client->connection))
        return;
    }
}

void
bench_turn (Bench *self, int timeout_ms)
{
  struct epoll_event events[256];
  int count = epoll_wait (self->epoll_fd, events, G_N_ELEMENTS (events), timeout_ms);
  for (int i = 0; i < count; i++)
    {
      Client *client = events[i].data.ptr;
      if (client->connection.fd >= 0 && events[i].events & EPOLLOUT
          && !connection_flush (&client->connection))
        give_up (client, "cannot send");
      if (client->connection.fd >= 0 && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        read_client (self, client);
    }
}

void
bench_bring_up (Bench *self)
{
  self->buffer = g_malloc (BUFFER_BYTES);
  int64_t last_ns = now_ns ();
  unsigned last_ready = 0;
  while (self->n_ready < self->n_clients)
    {
      /* The relay pairs connections in the order they come, so that these go one by one. */
      unsigned at_once = self->is_raw ? 1 : self->n_at_once;
      while (self->n_started < self->n_clients && self->n_started - self->n_ready < at_once)
        {
          Client *client = &self->clients[self->n_started];
          client->index = self->n_started++;
          bench_start_client (self, client);
        }
      bench_turn (self, 100);
      if (self->n_ready > last_ready)
        {
          last_ready = self->n_ready;
          last_ns = now_ns ();
        }
      if (now_ns () - last_ns > STALL_S * G_GINT64_CONSTANT (1000000000))
        {
          fprintf (stderr, "load: only %u of %u sessions came up; the next one waits in step %d\n",
                   self->n_ready, self->n_clients, (int)self->clients[self->n_ready].login.state);
          exit (1);
        }
    }
}

void
counter_init (Counter *self, const char *word)
{
  *self = (Counter){ .word = word, .length = strlen (word) };
  g_assert (self->length <= sizeof self->tail);
}

static unsigned
count_in (const char *data, size_t size, const char *word, size_t length)
{
  unsigned count = 0;
  const char *end = data + size;
  for (const char *at = data; (at = memmem (at, (size_t)(end - at), word, length)); at += length)
    count++;
  return count;
}

unsigned
counter_feed (Counter *self, const char *data, size_t size)
{
  unsigned count = 0;
  size_t overlap = MIN (self->length - 1, size);
  if (self->tail_length > 0)
    {
      char seam[2 * sizeof self->tail];
      memcpy (seam, self->tail, self->tail_length);
      memcpy (seam + self->tail_length, data, overlap);
      count = count_in (seam, self->tail_length + overlap, self->word, self->length);
    }
  count += count_in (data, size, self->word, self->length);
  /* The new tail: the last length - 1 bytes of the old tail and the data together. */
  if (size >= self->length - 1)
    {
      memcpy (self->tail, data + size - overlap, overlap);
      self->tail_length = overlap;
    }
  else
    {
      size_t keep = MIN (self->tail_length, self->length - 1 - size);
      memmove (self->tail, self->tail + self->tail_length - keep, keep);
      memcpy (self->tail + keep, data, size);
      self->tail_length = keep + size;
    }
  return count;
}
