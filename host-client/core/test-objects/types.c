/* An old library with every kind of argument; each function says what it received. */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Box Box;
typedef void (*Told) (int level, const char *text);

struct Box
{
  Told told;
  int opened;
};

int types_open (Told told, Box **box);
Box *types_other (Box *box, const char *datadir);
int types_numbers (int8_t a, uint8_t b, int16_t c, uint16_t d, int32_t e, uint32_t f, int64_t g, uint64_t h,
                   float i, double j, bool k, int l);
uint64_t types_step (Box *box, uint32_t *counter, float *half, char *scratch, int size);
char *types_report (Box *box, Box *other, uint32_t counter, float half, const char *scratch, size_t length,
                    const char *input);
void types_hand_out (char **text, const char *nothing, const char *literal);
int8_t types_small (const char *input);
double types_real (void);
int types_threads (const char *input, char *output, size_t room);
void types_release (char *text);
int types_time (int64_t ms, uint32_t day);
unsigned types_released (void);

static unsigned released;
static int64_t seen_ms;
static uint32_t seen_day;

int
types_open (Told told, Box **box)
{
  *box = calloc (1, sizeof **box);
  (*box)->told = told;
  (*box)->opened = 1;
  told (3, "opened");
  return 0;
}

Box *
types_other (Box *box, const char *datadir)
{
  Box *other = calloc (1, sizeof *other);
  char path[1024];
  FILE *file;

  snprintf (path, sizeof path, "%s/mine", datadir);
  file = fopen (path, "w");
  other->opened = box->opened + (file != NULL);
  if (file != NULL)
    fclose (file);
  return other;
}

int
types_numbers (int8_t a, uint8_t b, int16_t c, uint16_t d, int32_t e, uint32_t f, int64_t g, uint64_t h,
               float i, double j, bool k, int l)
{
  bool same = a == -128 && b == 255 && c == -32768 && d == 65535 && e == INT32_MIN && f == UINT32_MAX
              && g == INT64_MIN && h == INT64_MAX && i == 0.5f && j == -1e100 && k && l == -7;

  return same ? 1 : -1;
}

uint64_t
types_step (Box *box, uint32_t *counter, float *half, char *scratch, int size)
{
  if (size != 48 || scratch[47] != 0)
    return 0;
  (*counter)++;
  *half = 0.5f;
  strcpy (scratch, "kept");
  return UINT64_MAX;
}

int
types_time (int64_t ms, uint32_t day)
{
  seen_ms = ms;
  seen_day = day;
  return 0;
}

char *
types_report (Box *box, Box *other, uint32_t counter, float half, const char *scratch, size_t length,
              const char *input)
{
  char *text = malloc (300);

  snprintf (text, 300, "%d %d %u %.1f %s %zu %s %lld %u", box->opened, other->opened, counter, half, scratch,
            length, input, (long long)seen_ms, seen_day);
  return text;
}

void
types_hand_out (char **text, const char *nothing, const char *literal)
{
  *text = strdup (nothing == NULL ? literal : "not null");
}

int8_t
types_small (const char *input)
{
  return (int8_t)atoi (input);
}

double
types_real (void)
{
  return 0.0;
}

void
types_release (char *text)
{
  released++;
  free (text);
}

unsigned
types_released (void)
{
  return released;
}

static void *
work (void *data)
{
  ++*(int *)data;
  return NULL;
}

int
types_threads (const char *input, char *output, size_t room)
{
  pthread_t thread;
  int n = 0;
  int wrong = pthread_create (&thread, NULL, work, &n);

  if (wrong == 0)
    pthread_join (thread, NULL);
  snprintf (output, room, "%s %d", wrong == 0 ? "done" : "refused", n);
  return 0;
}
