/* A keygen of the old school: a few facts, a keyed checksum, and a shuffle so that nobody sees the counting.
 *
 * The secret is a string that both this module and the plugin contain, as was usual: whoever takes the plugin
 * apart can make serials. A vendor who minds signs them instead (../signed). The plugin's side of this is
 * vendor-kit/plugins/weather. */
#include <host/keygen.h>

#include <string.h>
#include <time.h>

#define N_BYTES    15
#define N_SEALED   10 /* the facts, which the checksum covers */
#define EPOCH_2000 INT64_C (946684800)
#define DAY_S      INT64_C (86400)
#define NEVER      0xffffu

static const char secret[] = "cumulonimbus-1998";
static const char alphabet[] = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
static const uint8_t places[N_BYTES] = { 14, 3, 9, 0, 11, 6, 1, 13, 4, 8, 2, 12, 7, 10, 5 };

typedef struct
{
  uint32_t h;
  uint32_t g;
} Checksum;

static uint32_t
rotate (uint32_t word, unsigned n)
{
  return word << n | word >> (32 - n);
}

static void
add_bytes (Checksum *sum, const void *bytes, size_t length)
{
  for (const uint8_t *at = bytes; length > 0; at++, length--)
    {
      sum->h = (sum->h ^ *at) * 16777619u;
      sum->g = rotate (sum->g, 5) + (sum->h ^ *at);
    }
}

/* Writes the checksum of @user and the facts behind the facts. */
static void
seal (uint8_t bytes[N_BYTES], const char *user)
{
  Checksum sum = { 0x811c9dc5u, 0x9e3779b9u };
  add_bytes (&sum, secret, strlen (secret));
  add_bytes (&sum, user, strlen (user) + 1);
  add_bytes (&sum, bytes, N_SEALED);

  uint32_t value = sum.h ^ rotate (sum.g, 13);
  for (unsigned i = 0; i < 4; i++)
    bytes[N_SEALED + i] = (uint8_t)(value >> (24 - 8 * i));
  bytes[14] = (uint8_t)((sum.g >> 24) ^ sum.g);
}

static void
mask_and_shuffle (uint8_t bytes[N_BYTES])
{
  uint8_t masked[N_BYTES];
  uint32_t state = bytes[14];
  memcpy (masked, bytes, N_BYTES);
  for (unsigned i = 0; i < N_BYTES - 1; i++)
    {
      state = state * 1103515245u + 12345u;
      masked[i] ^= (uint8_t)(state >> 16);
    }
  for (unsigned i = 0; i < N_BYTES; i++)
    bytes[i] = masked[places[i]];
}

/* Five bits a character, a hyphen after every fourth. */
static void
write_text (const uint8_t bytes[N_BYTES], char *text)
{
  uint32_t bits = 0;
  unsigned n_bits = 0, n_written = 0;
  for (unsigned i = 0; i < N_BYTES; i++)
    {
      bits = bits << 8 | bytes[i];
      for (n_bits += 8; n_bits >= 5; n_bits -= 5)
        {
          if (n_written > 0 && n_written % 4 == 0)
            *text++ = '-';
          *text++ = alphabet[bits >> (n_bits - 5) & 31];
          n_written++;
        }
    }
  *text = '\0';
}

/* Adds an ISO 8601 duration of whole years, months and days ("P1Y", "P30D") to @from; 0 if it is none of
 * these. */
static int64_t
add_term (int64_t from, const char *term)
{
  time_t start = (time_t)from;
  struct tm date;
  if (*term++ != 'P' || *term == '\0' || gmtime_r (&start, &date) == NULL)
    return 0;
  while (*term != '\0')
    {
      int n = 0;
      if (*term < '0' || *term > '9')
        return 0;
      for (; *term >= '0' && *term <= '9'; term++)
        if ((n = 10 * n + (*term - '0')) > 10000)
          return 0;
      switch (*term++)
        {
        case 'Y':
          date.tm_year += n;
          break;
        case 'M':
          date.tm_mon += n;
          break;
        case 'W':
          date.tm_mday += 7 * n;
          break;
        case 'D':
          date.tm_mday += n;
          break;
        default:
          return 0;
        }
    }
  return (int64_t)timegm (&date);
}

uint32_t
host_module_abi (void)
{
  return HOST_MODULE_ABI;
}

int
host_keygen (const HostModuleApi *api, const HostKeygenRequest *request, char *serial, size_t cap,
             int64_t *expires)
{
  (void)api;
  uint8_t bytes[N_BYTES] = { 'W' };
  uint32_t day = NEVER;
  if (request->user[0] == '\0' || cap < 32)
    return HOST_BAD_INPUT;

  if (request->term[0] != '\0')
    {
      int64_t end = add_term (request->now, request->term);
      if (end < EPOCH_2000 || (end - EPOCH_2000) / DAY_S >= NEVER)
        return HOST_BAD_INPUT;
      day = (uint32_t)((end - EPOCH_2000) / DAY_S);
      *expires = EPOCH_2000 + (day + 1) * DAY_S - 1;
    }
  bytes[1] = (uint8_t)(day >> 8);
  bytes[2] = (uint8_t)day;
  bytes[3] = (uint8_t)request->generation;
  memcpy (bytes + 4, request->seed, 4);
  bytes[8] = (uint8_t)(request->counter >> 8);
  bytes[9] = (uint8_t)request->counter;

  seal (bytes, request->user);
  mask_and_shuffle (bytes);
  write_text (bytes, serial);
  return HOST_OK;
}
