/* A protected function: the vendor's code that runs on the host's server for a licensed user, so that what it knows never
 * leaves the server. A module may serve several functions; the manifest names them. */
#ifndef HOST_FUNCTION_H
#define HOST_FUNCTION_H

#include <host/module.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The longest argument and the longest result, in bytes. */
#define HOST_FUNCTION_MAX 49152u

/* Bytes that belong to the caller. */
typedef struct HostBytes
{
  const uint8_t *data; /* never NULL */
  size_t length;
} HostBytes;

typedef struct HostCall
{
  uint32_t size;
  uint32_t abi;
  const char *function;    /* one of the manifest's names */
  const char *user;        /* the user's name with this vendor: the same that the plugin and the plugin server see */
  const char *application; /* its id, which is the plugin's */
  const char *request;     /* what the caller named this call; a call that is run again has the same */
  uint32_t deadline_ms;    /* how long the call may take from its beginning; what is not done then is undone */
} HostCall;

/* Serves one call. @out has room for *@out_len bytes, HOST_FUNCTION_MAX; set *@out_len to the result's length. HOST_OK: that is the result, and what was put with kv_put() is kept, both or neither. Any other HostResult:
 * nothing is kept, and up to 1,000 bytes of text in @out are told the caller as the reason. The function runs again from its
 * start if the host had to begin anew, so let nothing but the API's data carry from call to call: memory does not. */
HOST_EXPORT int host_function (const HostModuleApi *api, const HostCall *call, HostBytes in, uint8_t *out, size_t *out_len);

#ifdef __cplusplus
}
#endif

#endif
