/* All client sockets behind one epoll descriptor, which is one source of the main context: GLib's own poll
 * would cost as much each turn as there are connections.
 *
 * Sockets are watched edge-triggered, for reading and writing, from their first to their last moment, so that
 * no system call is spent on changing interest. A batch is: what is ready reads; what was left half read goes
 * on; one slow piece of work (a step of a TLS handshake) is done, so that handshakes cannot stall messages;
 * then everything that has output is flushed, with one write each. */
#pragma once

#include <glib.h>

typedef struct Poller Poller;
typedef struct PollWatch PollWatch;

struct PollWatch
{
  int fd;
  /* @events are of epoll(7); 0 for poller_continue(). */
  void (*ready) (PollWatch *watch, guint32 events);
  void (*flush) (PollWatch *watch);
  GDestroyNotify free; /* what it is part of, after poller_remove() */
  gpointer data;
  guint32 events; /* that a slow watch still waits for */
  guint is_slow : 1;
  guint is_queued : 1;
  guint is_dirty : 1;
  guint is_removed : 1;
};

/* On the thread-default context of the caller. */
Poller *poller_new (GError **error);
/* Its watches have been removed. */
void poller_free (Poller *poller);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Poller, poller_free)

/* FALSE if the kernel has no room for it. */
gboolean poller_add (Poller *poller, PollWatch *watch);
/* Forgets @watch, closes its descriptor, and frees what it is part of once nothing of this batch leans on it.
 */
void poller_remove (Poller *poller, PollWatch *watch);
/* Calls ready() again in this batch or the next: there is more to read. */
void poller_continue (Poller *poller, PollWatch *watch);
/* Calls flush() at the end of this batch, or before the context sleeps. */
void poller_mark_dirty (Poller *poller, PollWatch *watch);
/* Flushes what is dirty and frees what was removed, now; not from a watch. */
void poller_finish (Poller *poller);
