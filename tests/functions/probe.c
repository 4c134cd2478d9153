/* Functions that do what a test tells them: well, badly, and for too long. */
#include <host/function.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int n_calls; /* always 1: nothing carries over */

static int
say (uint8_t *out, size_t *out_len, const char *text)
{
  *out_len = (size_t)snprintf ((char *)out, *out_len, "%s", text);
  return HOST_OK;
}

static void
spin_ms (long ms)
{
  struct timespec start, now;
  clock_gettime (CLOCK_MONOTONIC, &start);
  do
    clock_gettime (CLOCK_MONOTONIC, &now);
  while ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 < ms);
}

/* "KEY MS": reads KEY, says so in the log, takes its time, and keeps what it read under `copy`. */
static int
slow_copy (const HostModuleApi *api, char *argument, uint8_t *out, size_t *out_len)
{
  char value[100];
  size_t length = sizeof value - 1;
  char *ms = strchr (argument, ' ');
  *ms++ = '\0';
  if (api->kv_get (api->host, HOST_SCOPE_USER, argument, value, &length) != HOST_KV_OK)
    length = (size_t)snprintf (value, sizeof value, "absent");
  value[length] = '\0';
  api->log (api->host, HOST_LOG_INFO, value);
  spin_ms (atol (ms));
  api->kv_put (api->host, HOST_SCOPE_USER, "copy", value, length);
  return say (out, out_len, value);
}

/* "KEY": a counter of the user's. */
static int
bump (const HostModuleApi *api, const char *key, uint8_t *out, size_t *out_len)
{
  char value[32] = "";
  size_t length = sizeof value - 1;
  uint32_t got = api->kv_get (api->host, HOST_SCOPE_USER, key, value, &length);
  if (got > HOST_KV_ABSENT)
    return HOST_INTERNAL;
  snprintf (value, sizeof value, "%ld", (got == HOST_KV_OK ? atol (value) : 0) + 1);
  if (api->kv_put (api->host, HOST_SCOPE_USER, key, value, strlen (value)) != HOST_KV_OK)
    return HOST_INTERNAL;
  return say (out, out_len, value);
}

/* "KEY VALUE", or "KEY" to forget it: how that went, "kept" or "refused", and whatever became of it the call
 * is good. */
static int
put (const HostModuleApi *api, char *argument, uint8_t *out, size_t *out_len)
{
  char *value = strchr (argument, ' ');
  if (value != NULL)
    *value++ = '\0';
  uint32_t result
      = api->kv_put (api->host, HOST_SCOPE_USER, argument, value, value != NULL ? strlen (value) : 0);
  return say (out, out_len, result == HOST_KV_OK ? "kept" : "refused");
}

/* "N BYTES": so many values of that size; says how each went. */
static int
fill (const HostModuleApi *api, const char *argument, uint8_t *out, size_t *out_len)
{
  int n = 0, refused = 0, size = 0;
  char key[32], line[64];
  sscanf (argument, "%d %d", &n, &size);
  char *value = calloc (1, (size_t)size + 1);
  for (int i = 0; i < n; i++)
    {
      snprintf (key, sizeof key, "fill/%d", i);
      refused += api->kv_put (api->host, HOST_SCOPE_USER, key, value, (size_t)size) != HOST_KV_OK;
    }
  snprintf (line, sizeof line, "%d refused", refused);
  say (out, out_len, line);
  return refused > 0 && size > 100 ? HOST_INTERNAL : HOST_OK;
}

/* How the API answers what it should not. */
static int
misuse (const HostModuleApi *api, uint8_t *out, size_t *out_len)
{
  char value[8], line[200], huge[65537];
  size_t length = sizeof value, n_resource = 1;
  memset (huge, 'x', sizeof huge);
  uint32_t bad_scope = api->kv_get (api->host, 7, "a", value, &length);
  uint32_t application_put = api->kv_put (api->host, HOST_SCOPE_APPLICATION, "a", "b", 1);
  uint32_t too_large = api->kv_put (api->host, HOST_SCOPE_USER, "a", huge, sizeof huge);
  uint32_t control = api->kv_put (api->host, HOST_SCOPE_USER, "a\nb", "b", 1);
  uint32_t empty = api->kv_put (api->host, HOST_SCOPE_USER, "", "b", 1);
  uint32_t not_text = api->kv_put (api->host, HOST_SCOPE_USER, "\xff", "b", 1);
  api->kv_put (api->host, HOST_SCOPE_USER, "long", "123456789", 9);
  length = 2;
  uint32_t small = api->kv_get (api->host, HOST_SCOPE_USER, "long", value, &length);
  const void *resource = api->resource (api->host, "nothing", &n_resource);
  snprintf (line, sizeof line, "%u %u %u %u %u %u %u:%zu %s:%zu", bad_scope, application_put, too_large,
            control, empty, not_text, small, length, resource == NULL ? "none" : "some", n_resource);
  return say (out, out_len, line);
}

/* "N": asks for that many keys; says how many were refused. */
static int
ask (const HostModuleApi *api, const char *argument, uint8_t *out, size_t *out_len)
{
  char value[8], line[32];
  int refused = 0;
  for (int i = 0; i < atoi (argument); i++)
    {
      size_t length = sizeof value;
      refused += api->kv_get (api->host, HOST_SCOPE_USER, "x", value, &length) == HOST_KV_REFUSED;
    }
  snprintf (line, sizeof line, "%d", refused);
  return say (out, out_len, line);
}

uint32_t
host_module_abi (void)
{
  return HOST_MODULE_ABI;
}

int
host_function (const HostModuleApi *api, const HostCall *call, HostBytes in, uint8_t *out, size_t *out_len)
{
  char argument[1000] = "", line[600];
  const char *name = call->function;
  memcpy (argument, in.data, in.length < sizeof argument ? in.length : sizeof argument - 1);
  if (strcmp (name, "echo") == 0)
    {
      memcpy (out, in.data, in.length);
      *out_len = in.length;
      return HOST_OK;
    }
  if (strcmp (name, "facts") == 0)
    {
      snprintf (line, sizeof line, "%s %s %s %u %d", call->user, call->application, call->request,
                call->deadline_ms, ++n_calls);
      return say (out, out_len, line);
    }
  if (strcmp (name, "random") == 0)
    {
      api->random (api->host, out, 16);
      *out_len = 16;
      return HOST_OK;
    }
  if (strcmp (name, "slow-copy") == 0)
    return slow_copy (api, argument, out, out_len);
  if (strcmp (name, "bump") == 0)
    return bump (api, argument, out, out_len);
  if (strcmp (name, "put") == 0)
    return put (api, argument, out, out_len);
  if (strcmp (name, "fill") == 0)
    return fill (api, argument, out, out_len);
  if (strcmp (name, "misuse") == 0)
    return misuse (api, out, out_len);
  if (strcmp (name, "ask") == 0)
    return ask (api, argument, out, out_len);
  if (strcmp (name, "spin") == 0)
    {
      spin_ms (atol (argument));
      return say (out, out_len, "spun");
    }
  if (strcmp (name, "overflow") == 0)
    {
      *out_len += 1;
      return HOST_OK;
    }
  if (strcmp (name, "put-and-crash") == 0)
    {
      api->kv_put (api->host, HOST_SCOPE_USER, "crashed", "1", 1);
      abort ();
    }
  if (strcmp (name, "exit") == 0)
    _exit (0);
  if (strcmp (name, "put-and-refuse") == 0)
    {
      api->kv_put (api->host, HOST_SCOPE_USER, "refused", "1", 1);
      say (out, out_len, "not today");
      return HOST_DENIED;
    }
  if (strcmp (name, "version") == 0)
    return say (out, out_len, PROBE_VERSION);
  return HOST_INTERNAL;
}
