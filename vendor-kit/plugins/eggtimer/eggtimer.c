#include "eggtimer.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EGGS 16

typedef struct
{
  int number; /* 0: none */
  struct timespec done;
  char what[64];
} Egg;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static Egg eggs[EGGS];
static int counter, must_quit;

/* EGG and seven digits, of which the last is the sum of the others modulo 10. */
int
egg_registered (void)
{
  const char *key = getenv ("EGGTIMER_KEY");
  int sum = 0;

  if (key == NULL || strncmp (key, "EGG-", 4) != 0 || strlen (key) != 11
      || strspn (key + 4, "0123456789") != 7)
    return 0;
  for (int i = 4; i < 10; i++)
    sum += key[i] - '0';
  return sum % 10 == key[10] - '0';
}

static int
is_before (const struct timespec *a, const struct timespec *b)
{
  return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

static Egg *
find_next (void)
{
  Egg *next = NULL;

  for (int i = 0; i < EGGS; i++)
    if (eggs[i].number != 0 && (next == NULL || is_before (&eggs[i].done, &next->done)))
      next = &eggs[i];
  return next;
}

int
egg_main (void)
{
  if (!egg_registered ())
    return -1;
  egg_running ();
  pthread_mutex_lock (&lock);
  while (!must_quit)
    {
      Egg *next = find_next ();
      struct timespec now;
      char what[64];

      clock_gettime (CLOCK_REALTIME, &now);
      if (next == NULL)
        pthread_cond_wait (&changed, &lock);
      else if (is_before (&now, &next->done))
        pthread_cond_timedwait (&changed, &lock, &next->done);
      else
        {
          strcpy (what, next->what);
          next->number = 0;
          pthread_mutex_unlock (&lock);
          egg_ring (what);
          pthread_mutex_lock (&lock);
        }
    }
  pthread_mutex_unlock (&lock);
  return 0;
}

void
egg_quit (void)
{
  pthread_mutex_lock (&lock);
  must_quit = 1;
  pthread_cond_broadcast (&changed);
  pthread_mutex_unlock (&lock);
}

int
egg_set (int seconds, const char *what)
{
  int number = 0;

  if (seconds < 0 || seconds > 86400)
    return -1;
  pthread_mutex_lock (&lock);
  for (int i = 0; i < EGGS && number == 0; i++)
    if (eggs[i].number == 0)
      {
        number = eggs[i].number = ++counter;
        clock_gettime (CLOCK_REALTIME, &eggs[i].done);
        eggs[i].done.tv_sec += seconds;
        snprintf (eggs[i].what, sizeof eggs[i].what, "%s", what);
      }
  pthread_cond_broadcast (&changed);
  pthread_mutex_unlock (&lock);
  return number;
}

int
egg_list (char *out, int size)
{
  int n = 0, length = 0;

  pthread_mutex_lock (&lock);
  for (int i = 0; i < EGGS; i++)
    if (eggs[i].number != 0 && length < size)
      {
        length += snprintf (out + length, (size_t)(size - length), "%s%s", n > 0 ? "\n" : "", eggs[i].what);
        n++;
      }
  pthread_mutex_unlock (&lock);
  return n;
}
