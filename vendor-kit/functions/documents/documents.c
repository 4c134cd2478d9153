/* A protected function with data of its own for each user: how many documents and words somebody has had
 * counted, and how often the same document came.
 *
 *   count TEXT   →  "words 5, documents 3, new" (or "seen 2 times")
 *   total ""     →  "documents 3, words 41"
 *
 * What it keeps is private to the user, and counted exactly: a call that is asked again, or run again because
 * another came in between, counts once. */
#include <host/function.h>

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define TOTALS        "totals"
#define MAX_DOCUMENTS 1000u /* of one user */

typedef struct
{
  uint64_t n_documents; /* different ones */
  uint64_t n_words;     /* of all that came */
} Totals;

static int
say (uint8_t *out, size_t *out_len, int result, const char *text)
{
  *out_len = (size_t)snprintf ((char *)out, *out_len, "%s", text);
  return result;
}

static uint32_t
get (const HostModuleApi *api, const char *key, void *value, size_t length)
{
  size_t got = length;
  uint32_t result = api->kv_get (api->host, HOST_SCOPE_USER, key, value, &got);
  if (result == HOST_KV_OK && got != length)
    return HOST_KV_REFUSED;
  if (result == HOST_KV_ABSENT)
    memset (value, 0, length);
  return result;
}

static uint64_t
count_words (HostBytes text)
{
  uint64_t n = 0;
  int is_inside = 0;
  for (size_t i = 0; i < text.length; i++)
    {
      int is_space = isspace (text.data[i]);
      n += !is_space && !is_inside;
      is_inside = !is_space;
    }
  return n;
}

/* The key of a document: two independent hashes of it. */
static void
name_document (HostBytes text, char key[64])
{
  uint64_t a = 14695981039346656037u, b = 7809847782465536322u;
  for (size_t i = 0; i < text.length; i++)
    {
      a = (a ^ text.data[i]) * 1099511628211u;
      b = (b ^ (text.data[i] + i)) * 6364136223846793005u;
    }
  snprintf (key, 64, "document/%016llx%016llx", (unsigned long long)a, (unsigned long long)b);
}

static int
count (const HostModuleApi *api, HostBytes text, uint8_t *out, size_t *out_len)
{
  char key[64], line[128];
  Totals totals;
  uint64_t n_seen, n_words = count_words (text);
  name_document (text, key);
  if (n_words == 0)
    return say (out, out_len, HOST_BAD_INPUT, "there is no word in it");
  if (get (api, TOTALS, &totals, sizeof totals) > HOST_KV_ABSENT
      || get (api, key, &n_seen, sizeof n_seen) > HOST_KV_ABSENT)
    return say (out, out_len, HOST_INTERNAL, "your counts cannot be read");
  if (n_seen == 0 && totals.n_documents >= MAX_DOCUMENTS)
    return say (out, out_len, HOST_DENIED, "you have too many documents");

  n_seen++;
  totals.n_documents += n_seen == 1;
  totals.n_words += n_words;
  if (api->kv_put (api->host, HOST_SCOPE_USER, key, &n_seen, sizeof n_seen) != HOST_KV_OK
      || api->kv_put (api->host, HOST_SCOPE_USER, TOTALS, &totals, sizeof totals) != HOST_KV_OK)
    return say (out, out_len, HOST_INTERNAL, "your counts cannot be kept");
  if (n_seen == 1)
    snprintf (line, sizeof line, "words %llu, documents %llu, new", (unsigned long long)n_words,
              (unsigned long long)totals.n_documents);
  else
    snprintf (line, sizeof line, "words %llu, documents %llu, seen %llu times", (unsigned long long)n_words,
              (unsigned long long)totals.n_documents, (unsigned long long)n_seen);
  return say (out, out_len, HOST_OK, line);
}

static int
total (const HostModuleApi *api, uint8_t *out, size_t *out_len)
{
  char line[128];
  Totals totals;
  if (get (api, TOTALS, &totals, sizeof totals) > HOST_KV_ABSENT)
    return say (out, out_len, HOST_INTERNAL, "your counts cannot be read");
  snprintf (line, sizeof line, "documents %llu, words %llu", (unsigned long long)totals.n_documents,
            (unsigned long long)totals.n_words);
  return say (out, out_len, HOST_OK, line);
}

uint32_t
host_module_abi (void)
{
  return HOST_MODULE_ABI;
}

int
host_function (const HostModuleApi *api, const HostCall *call, HostBytes in, uint8_t *out, size_t *out_len)
{
  if (strcmp (call->function, "count") == 0)
    return count (api, in, out, out_len);
  if (strcmp (call->function, "total") == 0)
    return total (api, out, out_len);
  return say (out, out_len, HOST_BAD_INPUT, "there is no such function");
}
