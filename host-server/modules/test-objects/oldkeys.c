/* An old keygen that does as the name of its customer tells it; it takes everything a request holds. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int old_init (void);
int old_make (const char *what, char *key, int size, int64_t *last_day);
char *old_all (const char *plugin, const char *term, const char *line, unsigned generation, unsigned counter,
               const char *hex, const unsigned char *bytes, int64_t now_ms, unsigned until);
void old_free (char *text);
const char *old_error (int code);

/* Of its old host. */
extern int host_customer (char *buffer, int size);
extern void host_note (const char *text);

static int calls;
static int tables;

int
old_init (void)
{
  tables = 42;
  return 0;
}

int
old_make (const char *what, char *key, int size, int64_t *last_day)
{
  volatile int *volatile nowhere = NULL;
  char customer[64];

  calls++;
  if (host_customer (customer, sizeof customer) < 0)
    return -9;
  host_note ("making a key");
  if (strcmp (what, "crash") == 0)
    *nowhere = 1;
  if (strcmp (what, "hang") == 0)
    for (;;)
      calls++;
  if (strcmp (what, "exit") == 0)
    exit (0);
  if (strcmp (what, "file") == 0)
    return fopen ("/etc/passwd", "r") == NULL ? -4 : 0;
  if (what[0] == '-')
    return atoi (what);
  if (strcmp (what, "umlaut") == 0)
    return snprintf (key, (size_t)size, "K\xc3\xb6nig"), 0;
  if (strcmp (what, "nothing") == 0)
    return 0;
  *last_day = 20301231;
  snprintf (key, (size_t)size, "KEY-%s-%d-%d  \r\n", customer, calls, tables);
  return 0;
}

char *
old_all (const char *plugin, const char *term, const char *line, unsigned generation, unsigned counter,
         const char *hex, const unsigned char *bytes, int64_t now_ms, unsigned until)
{
  char *text = malloc (400);

  snprintf (text, 400, "%s %s %s %u %u %.8s %02x%02x %lld %u", plugin, term, line, generation, counter, hex,
            bytes[0], bytes[31], (long long)now_ms, until);
  return text;
}

void
old_free (char *text)
{
  free (text);
}

const char *
old_error (int code)
{
  return code == -4 ? "the cupboard is locked" : "";
}
