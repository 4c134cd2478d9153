/* A keygen: the vendor's code that makes a serial for a user who has paid. */
#ifndef HOST_KEYGEN_H
#define HOST_KEYGEN_H

#include <host/module.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The longest serial. */
#define HOST_SERIAL_MAX 4096u

typedef struct HostKeygenRequest
{
  uint32_t size;
  uint32_t abi;
  const char *user;    /* the user's name with this vendor: the same that the plugin and the plugin server see */
  const char *plugin;  /* the plugin's id */
  const char *term;    /* what was bought, an ISO 8601 duration ("P1Y"); "": for ever */
  const char *line;    /* the order line, unique for ever */
  uint32_t generation; /* 0 first; 1 when the plugin refused the first serial and a replacement is made */
  uint32_t counter;    /* raised when a serial came out that another user already has */
  uint8_t seed[32];    /* secret and fixed for this line, generation and counter */
  int64_t now;         /* unix seconds, the recorded time of the payment */
} HostKeygenRequest;

/* Writes a serial and its NUL into @serial, which has room for @cap bytes (at least HOST_SERIAL_MAX + 1): printable ASCII,
 * with spaces and line feeds inside but not at the ends. *@expires receives unix seconds, 0: never; it is 0 before the
 * call. The same request must give the same serial: take every random choice from the seed or api->random(), and the time
 * from the request. */
HOST_EXPORT int host_keygen (const HostModuleApi *api, const HostKeygenRequest *request, char *serial, size_t cap,
                             int64_t *expires);

#ifdef __cplusplus
}
#endif

#endif
