/* A library that asks its old host for the forecast: what it imports is a function on the server. */
#include <string.h>

int caller_ask (const char *input, char *out, int size);

extern const char *call_forecast (const char *place);
extern const char *call_places (const char *nothing);

int
caller_ask (const char *input, char *out, int size)
{
  const char *answer = strcmp (input, "places") == 0 ? call_places ("") : call_forecast (input);

  if (answer == NULL)
    return -1;
  strncpy (out, answer, (size_t)size - 1);
  out[size - 1] = 0;
  return 0;
}
