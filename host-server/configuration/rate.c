#include "host-server/configuration/rate.h"

#include <arpa/inet.h>

#define HOUR_US  (G_GINT64_CONSTANT (3600) * G_USEC_PER_SEC)
#define MAX_KEYS 100000
/* A full table is swept no more often than this: a sweep for each stranger would cost more than their
 * requests. */
#define SWEEP_US (G_GINT64_CONSTANT (60) * G_USEC_PER_SEC)

typedef struct
{
  gint64 since_us;
  guint count;
} Bucket;

struct Rate
{
  const Clock *clock;
  GHashTable *buckets; /* key -> Bucket */
  gint64 swept_us;
};

Rate *
rate_new (const Clock *clock)
{
  Rate *rate = g_new0 (Rate, 1);
  rate->clock = clock;
  rate->swept_us = clock_get_monotonic_us (clock) - SWEEP_US;
  rate->buckets = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  return rate;
}

void
rate_free (Rate *rate)
{
  if (rate == NULL)
    return;
  g_hash_table_unref (rate->buckets);
  g_free (rate);
}

static gboolean
is_over (gpointer key, gpointer value, gpointer now_us)
{
  return *(gint64 *)now_us - ((Bucket *)value)->since_us >= HOUR_US;
}

static gboolean
has_room (Rate *rate, gint64 now_us)
{
  if (g_hash_table_size (rate->buckets) >= MAX_KEYS && now_us - rate->swept_us >= SWEEP_US)
    {
      rate->swept_us = now_us;
      g_hash_table_foreach_remove (rate->buckets, is_over, &now_us);
    }
  return g_hash_table_size (rate->buckets) < MAX_KEYS;
}

gboolean
rate_take (Rate *rate, const char *key, guint per_hour)
{
  if (per_hour == 0)
    return TRUE;
  gint64 now_us = clock_get_monotonic_us (rate->clock);
  Bucket *bucket = g_hash_table_lookup (rate->buckets, key);
  if (bucket == NULL)
    {
      if (!has_room (rate, now_us))
        return FALSE;
      bucket = g_new0 (Bucket, 1);
      bucket->since_us = now_us;
      g_hash_table_insert (rate->buckets, g_strdup (key), bucket);
    }
  else if (now_us - bucket->since_us >= HOUR_US)
    *bucket = (Bucket){ now_us, 0 };
  if (bucket->count >= per_hour)
    return FALSE;
  bucket->count++;
  return TRUE;
}

char *
rate_dup_address_key (const char *address)
{
  struct in6_addr six;
  if (address == NULL || inet_pton (AF_INET6, address, &six) != 1)
    return g_strdup (address != NULL ? address : "");
  if (IN6_IS_ADDR_V4MAPPED (&six))
    {
      char four[INET_ADDRSTRLEN];
      return g_strdup (inet_ntop (AF_INET, &six.s6_addr[12], four, sizeof four));
    }
  for (guint i = 8; i < 16; i++)
    six.s6_addr[i] = 0;
  char network[INET6_ADDRSTRLEN];
  return g_strdup (inet_ntop (AF_INET6, &six, network, sizeof network));
}
