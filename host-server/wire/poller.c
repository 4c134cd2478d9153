#include "host-server/wire/poller.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#define BATCH  256
#define BUSY   8
#define ROUNDS 4 /* batches before the context's other sources have their turn */

typedef struct
{
  GSource source;
  Poller *poller;
} PollerSource;

struct Poller
{
  int fd;
  PollerSource *source;
  GPtrArray *dirty;
  GPtrArray *again; /* watches to call once more */
  GPtrArray *spare; /* swapped with dirty while that is walked */
  GQueue slow;
  GPtrArray *graveyard;
};

static gboolean
has_work (const Poller *poller)
{
  return poller->dirty->len > 0 || poller->again->len > 0 || !g_queue_is_empty ((GQueue *)&poller->slow)
         || poller->graveyard->len > 0;
}

static gboolean
poller_prepare (GSource *source, int *timeout)
{
  *timeout = -1;
  return has_work (((PollerSource *)source)->poller);
}

static void
bury (Poller *poller)
{
  while (poller->graveyard->len > 0)
    {
      PollWatch *watch = g_ptr_array_steal_index_fast (poller->graveyard, poller->graveyard->len - 1);
      watch->free (watch);
    }
}

static void
flush_dirty (Poller *poller)
{
  /* Flushing may dirty others: they are in the next list. */
  while (poller->dirty->len > 0)
    {
      GPtrArray *dirty = poller->dirty;
      poller->dirty = g_steal_pointer (&poller->spare);
      if (poller->dirty == NULL)
        poller->dirty = g_ptr_array_new ();
      for (guint i = 0; i < dirty->len; i++)
        {
          PollWatch *watch = dirty->pdata[i];
          watch->is_dirty = FALSE;
          if (!watch->is_removed)
            watch->flush (watch);
        }
      g_ptr_array_set_size (dirty, 0);
      if (poller->spare == NULL)
        poller->spare = dirty;
      else
        g_ptr_array_unref (dirty);
    }
}

void
poller_finish (Poller *poller)
{
  flush_dirty (poller);
  bury (poller);
}

static void
call_ready (Poller *poller, PollWatch *watch, guint32 events)
{
  if (watch->is_removed)
    return;
  if (!watch->is_slow)
    {
      watch->ready (watch, events);
      return;
    }
  watch->events |= events;
  if (!watch->is_queued)
    {
      watch->is_queued = TRUE;
      g_queue_push_tail (&poller->slow, watch);
    }
}

static void
run_again (Poller *poller)
{
  guint n = poller->again->len;
  for (guint i = 0; i < n; i++)
    {
      PollWatch *watch = poller->again->pdata[i];
      if (watch == NULL)
        continue;
      watch->is_queued = FALSE;
      call_ready (poller, watch, 0);
    }
  if (n > 0)
    g_ptr_array_remove_range (poller->again, 0, n);
}

static void
run_slow (Poller *poller)
{
  PollWatch *watch = g_queue_pop_head (&poller->slow);
  if (watch == NULL)
    return;
  guint32 events = watch->events;
  watch->events = 0;
  watch->is_queued = FALSE;
  if (!watch->is_removed)
    watch->ready (watch, events);
}

static gboolean
poller_dispatch (GSource *source, GSourceFunc func, gpointer data)
{
  Poller *poller = ((PollerSource *)source)->poller;
  struct epoll_event events[BATCH];

  for (int round = 0; round < ROUNDS; round++)
    {
      int n = epoll_wait (poller->fd, events, BATCH, 0);
      for (int i = 0; i < n; i++)
        call_ready (poller, events[i].data.ptr, events[i].events);
      run_again (poller);
      run_slow (poller);
      flush_dirty (poller);
      bury (poller);
      /* Under load the next batch has come meanwhile; otherwise asking again is a system call for nothing. */
      if (n < BUSY && !has_work (poller))
        break;
    }
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = { poller_prepare, NULL, poller_dispatch, NULL, NULL, NULL };

Poller *
poller_new (GError **error)
{
  int fd = epoll_create1 (EPOLL_CLOEXEC);
  if (fd < 0)
    {
      g_set_error (error, G_FILE_ERROR, (int)g_file_error_from_errno (errno),
                   "cannot make an epoll descriptor: %s", g_strerror (errno));
      return NULL;
    }
  Poller *poller = g_new0 (Poller, 1);
  poller->fd = fd;
  poller->dirty = g_ptr_array_new ();
  poller->again = g_ptr_array_new ();
  poller->graveyard = g_ptr_array_new ();
  g_queue_init (&poller->slow);
  poller->source = (PollerSource *)g_source_new (&source_funcs, sizeof (PollerSource));
  poller->source->poller = poller;
  g_source_add_unix_fd (&poller->source->source, fd, G_IO_IN);
  g_source_attach (&poller->source->source, g_main_context_get_thread_default ());
  return poller;
}

void
poller_free (Poller *poller)
{
  if (poller == NULL)
    return;
  g_queue_clear (&poller->slow);
  bury (poller);
  g_source_destroy (&poller->source->source);
  g_source_unref (&poller->source->source);
  g_ptr_array_unref (poller->dirty);
  g_ptr_array_unref (poller->again);
  g_ptr_array_unref (poller->graveyard);
  if (poller->spare != NULL)
    g_ptr_array_unref (poller->spare);
  close (poller->fd);
  g_free (poller);
}

gboolean
poller_add (Poller *poller, PollWatch *watch)
{
  struct epoll_event event = { EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, { .ptr = watch } };
  return epoll_ctl (poller->fd, EPOLL_CTL_ADD, watch->fd, &event) == 0;
}

void
poller_remove (Poller *poller, PollWatch *watch)
{
  if (watch->is_removed)
    return;
  watch->is_removed = TRUE;
  if (watch->is_queued)
    {
      guint index;
      /* The list may be walked just now: a hole keeps the others in place. */
      if (g_ptr_array_find (poller->again, watch, &index))
        poller->again->pdata[index] = NULL;
      g_queue_remove (&poller->slow, watch);
    }
  epoll_ctl (poller->fd, EPOLL_CTL_DEL, watch->fd, NULL);
  close (watch->fd);
  watch->fd = -1;
  g_ptr_array_add (poller->graveyard, watch);
}

void
poller_continue (Poller *poller, PollWatch *watch)
{
  if (watch->is_removed || watch->is_queued)
    return;
  watch->is_queued = TRUE;
  g_ptr_array_add (poller->again, watch);
}

void
poller_mark_dirty (Poller *poller, PollWatch *watch)
{
  if (watch->is_removed || watch->is_dirty)
    return;
  watch->is_dirty = TRUE;
  g_ptr_array_add (poller->dirty, watch);
}
