/* An old library with the manners of many: tables of functions in both directions, lists, callbacks that give
 * the answer, a start that does not return. */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What its old host gave it: a struct of functions, filled in by the host. */
typedef struct
{
  int64_t version;
  void (*log) (int level, const char *text);
  int (*get_key) (char *buffer, int size);
  const char *name;
  void *reserved;
  int64_t more;
} OldHost;

/* What it gave to its old host: a struct of functions again. */
typedef struct
{
  int32_t version, flags;
  int (*twice) (int n);
  const char *(*describe) (void);
  int (*missing) (void);
} Face;

typedef struct Shape Shape;
typedef struct
{
  int (*area) (Shape *self);
  void (*grow) (Shape *self, int by);
} ShapeClass;
struct Shape
{
  const ShapeClass *class;
  int side;
};

typedef void (*Emit) (void *user, const char *text, size_t length);

int manners_init (const OldHost *host);
const Face *manners_face (int version);
Shape *manners_shape (void);
int manners_split (char ***list, const char *text);
void manners_free_list (Face *face, char ***list, int count);
char **manners_days (void);
void manners_free_days (char **days);
unsigned manners_freed (void);
int manners_room (const char *text, char *buffer, unsigned *size);
int manners_fill (unsigned char *bytes, size_t *size);
int manners_add (int a, int8_t b, double c);
double manners_half (double value);
uint64_t manners_most (void);
float manners_third (void);
void manners_each (const char *text, Emit emit, void *user);
void manners_main (void);
int manners_main_fails (void);
int manners_main_fails_later (void);
void manners_stop (void);
int manners_ticks (void);
int manners_judge (int n);
int manners_who (char *out, int size);
void manners_echo (const char *first, const char *rest, size_t length, char *out, size_t size);

int manners_returns (void);
void manners_mixed (const char *text);
const char *manners_null (const char *text);
int manners_named (const char *jid, const char *domain, const char *locale, char *out, int size);
int manners_eat (int megabytes);
int manners_text (int code, char *out, unsigned *size);
const char *manners_asks (void);

extern int8_t old_i8 (void);
extern uint8_t old_u8 (void);
extern int16_t old_i16 (void);
extern uint16_t old_u16 (void);
extern int32_t old_i32 (void);
extern uint32_t old_u32 (void);
extern int64_t old_i64 (void);
extern uint64_t old_u64 (void);
extern bool old_bool (void);
extern const char *old_domain (void);
extern void old_mixed (int8_t a, double b, const char *text, float c, uint64_t length, bool d, int16_t e,
                       uint32_t f, int64_t g);
extern int old_host_user (char *buffer, int size);
extern int64_t old_host_until (void);
extern void old_host_ready (void);

static OldHost host;
static unsigned freed;
static volatile int is_asked;
static char key[64];

static int
twice (int n)
{
  return 2 * n;
}

static const char *
describe (void)
{
  return "a face";
}

Face manners_table = { 1, 7, twice, describe, NULL };
Face *manners_pointer = &manners_table;
char *manners_key; /* the serial, by a pointer of its own */

int
manners_init (const OldHost *given)
{
  host = *given;
  if (host.version != 3 || strcmp (host.name, "old host") != 0 || host.reserved != NULL || host.more != -9)
    return 1;
  if (host.get_key (key, 4) != -1 || key[0] != '\0' || host.get_key (key, sizeof key) != 1)
    return 2;
  host.log (6, key);
  return 0;
}

const Face *
manners_face (int version)
{
  return version == 1 ? &manners_table : NULL;
}

static int
area (Shape *self)
{
  return self->side * self->side;
}

static void
grow (Shape *self, int by)
{
  self->side += by;
}

Shape *
manners_shape (void)
{
  static const ShapeClass class = { area, grow };
  Shape *shape = malloc (sizeof *shape);

  *shape = (Shape){ &class, 1 };
  return shape;
}

int
manners_split (char ***list, const char *text)
{
  int n = 0;

  *list = NULL;
  while (*text != '\0')
    {
      size_t length = strcspn (text, ",");

      *list = realloc (*list, (size_t)(n + 1) * sizeof **list);
      (*list)[n++] = strndup (text, length);
      text += length + (text[length] == ',');
    }
  return n;
}

void
manners_free_list (Face *face, char ***list, int count)
{
  if (face != &manners_table)
    abort ();
  for (int i = 0; i < count; i++, freed++)
    free ((*list)[i]);
  free (*list);
  *list = NULL;
}

char **
manners_days (void)
{
  char **days = calloc (3, sizeof *days);

  days[0] = strdup ("Monday");
  days[1] = strdup ("Tuesday");
  return days;
}

void
manners_free_days (char **days)
{
  for (char **day = days; *day != NULL; day++, freed++)
    free (*day);
  free (days);
}

unsigned
manners_freed (void)
{
  is_asked = 1;
  return freed;
}

/* Its size comes in, and goes out as the length; there is no NUL. */
int
manners_room (const char *text, char *buffer, unsigned *size)
{
  size_t length = strlen (text);

  if (length > *size)
    return -1;
  memset (buffer, '#', *size);
  memcpy (buffer, text, length);
  *size = (unsigned)length;
  return 0;
}

int
manners_fill (unsigned char *bytes, size_t *size)
{
  for (size_t i = 0; i < 4; i++)
    bytes[i] = (unsigned char)(i * 85);
  *size = 4;
  return 0;
}

int
manners_add (int a, int8_t b, double c)
{
  return a + b + (int)c;
}

double
manners_half (double value)
{
  return value / 2;
}

uint64_t
manners_most (void)
{
  return UINT64_MAX;
}

float
manners_third (void)
{
  return 1 / 3.0f;
}

void
manners_each (const char *text, Emit emit, void *user)
{
  for (size_t length; *text != '\0'; text += length + (text[length] == ' '))
    {
      length = strcspn (text, " ");
      emit (user, text, length);
      emit (user, "; and so on", 1);
    }
}

static volatile int is_stopped;
static volatile int ticks;

void
manners_main (void)
{
  old_host_ready ();
  while (!is_stopped)
    {
      ticks++;
      usleep (1000);
    }
}

int
manners_main_fails (void)
{
  return -3;
}

/* When it was asked something. */
int
manners_main_fails_later (void)
{
  while (!is_asked)
    usleep (1000);
  return -3;
}

void
manners_stop (void)
{
  is_stopped = 1;
}

int
manners_ticks (void)
{
  return ticks > 0 ? 1 : 0;
}

int
manners_judge (int n)
{
  return n;
}

int
manners_who (char *out, int size)
{
  char user[64];

  return snprintf (out, (size_t)size, "%d %s %lld %s", old_host_user (user, sizeof user), user,
                   (long long)old_host_until (), manners_key);
}

void
manners_echo (const char *first, const char *rest, size_t length, char *out, size_t size)
{
  snprintf (out, size, "%s|%s|%zu", first, rest, length);
}

/* Every type that a function of the old host's returns. */
int
manners_returns (void)
{
  return old_i8 () == -128 && old_u8 () == 255 && old_i16 () == -32768 && old_u16 () == 65535
         && old_i32 () == INT32_MIN && old_u32 () == UINT32_MAX && old_i64 () == INT64_MIN
         && old_u64 () == INT64_MAX && old_bool ();
}

/* And that it takes, in registers of both kinds and on the stack. */
void
manners_mixed (const char *text)
{
  old_mixed (-1, 2.5, text, 0.5f, 3, true, -2, 7, -9);
}

const char *
manners_null (const char *text)
{
  return *text != '\0' ? text : NULL;
}

int
manners_named (const char *jid, const char *domain, const char *locale, char *out, int size)
{
  return snprintf (out, (size_t)size, "%s|%s|%d", jid, domain, locale[0] != '\0');
}

int
manners_eat (int megabytes)
{
  char *eaten = malloc ((size_t)megabytes << 20);

  if (eaten == NULL)
    return -1;
  memset (eaten, 1, (size_t)megabytes << 20);
  free (eaten);
  return 0;
}

int
manners_text (int code, char *out, unsigned *size)
{
  int length = snprintf (out, *size, "number %d", code);

  memset (out + length, '!', *size - (unsigned)length);
  *size = (unsigned)length;
  return 0;
}

const char *
manners_asks (void)
{
  return old_domain ();
}
