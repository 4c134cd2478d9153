/* What every server module has, whatever it does: keygens (host/keygen.h) and protected functions (host/function.h) run on
 * the host's server, in a process made for one call and gone after it.
 *
 * A module is a shared object that exports host_module_abi() and the function of its kind. Rules of every struct in this
 * folder: it is passed by pointer and begins with its size and ABI; it grows only at its end, so look at `size` before
 * touching a member newer than ABI 1.0; unknown enum values are errors. Text is UTF-8, ends with a NUL and belongs to
 * the caller: copy what you keep.
 *
 * What a call may do: compute, allocate, read its arguments, call the API below. What it may not: open files, sockets,
 * processes or threads, or use more time or memory than the operator allows. A call that tries gets EPERM or is killed,
 * and counts as failed. Nothing written to memory survives the call: each begins as the object was after loading. Files
 * can be read only while the object is loaded (its constructors), and only the system's libraries and the object itself. */
#ifndef HOST_MODULE_H
#define HOST_MODULE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HOST_MODULE_ABI 1u
#define HOST_EXPORT __attribute__ ((visibility ("default")))

/* How a call ended. Anything else is taken as HOST_INTERNAL. */
typedef enum
{
  HOST_OK = 0,
  HOST_BAD_INPUT = 1, /* the request makes no sense to this module; final */
  HOST_DENIED = 2,    /* the module will not serve this user; final */
  HOST_EXPIRED = 3,   /* what is asked for is over; final */
  HOST_RETRY = 4,     /* not now: the same request is made again later */
  HOST_INTERNAL = 5,  /* the module's own fault */
} HostResult;

typedef enum
{
  HOST_LOG_ERROR = 0,
  HOST_LOG_WARNING = 1,
  HOST_LOG_INFO = 2,
} HostLogLevel;

/* Whose data a key belongs to. */
typedef enum
{
  HOST_SCOPE_APPLICATION = 0, /* the vendor's resources: the same for all users, read only */
  HOST_SCOPE_USER = 1,        /* of the calling user in this application, seen by nobody else */
} HostScope;

/* What kv_get() and kv_put() answer. */
typedef enum
{
  HOST_KV_OK = 0,
  HOST_KV_ABSENT = 1,    /* there is no such key */
  HOST_KV_TOO_LARGE = 2, /* get: the value does not fit, its length is told; put: over HOST_KV_MAX */
  HOST_KV_REFUSED = 3,   /* not a key, not to be written, over the quota, or too many operations in one call */
} HostKvResult;

#define HOST_KV_MAX        65536u /* bytes of a value */
#define HOST_KV_KEY_MAX    200u   /* bytes of a key: UTF-8 without control characters */
#define HOST_KV_OPERATIONS 64u    /* of one call, of the user's scope */

/* What the host offers to a call. It is valid until the call returns. */
typedef struct HostModuleApi
{
  uint32_t size;
  uint32_t abi;
  /* For the host; hand it back as the first argument. */
  void *host;
  /* Unix seconds. For a keygen: the recorded time of the payment, the same when the request is run again. */
  int64_t (*now) (void *host);
  /* Fills @bytes with @length bytes that nobody outside can guess. For a keygen they follow from the request's seed: a
   * request that is run again sees the same bytes in the same order. */
  void (*random) (void *host, void *bytes, size_t length);
  /* A line in the operator's log, at most 500 bytes of it and 20 lines a call. Never log a serial. */
  void (*log) (void *host, uint32_t level, const char *text);

  /* The rest is for functions; NULL in a keygen's call. */

  /* Copies the value of @key into @value, which has room for *@length bytes; *@length becomes the value's length, also if
   * it does not fit. HostKvResult. What this call has put is what it gets. */
  uint32_t (*kv_get) (void *host, uint32_t scope, const char *key, void *value, size_t *length);
  /* Keeps @length bytes under @key for this user, once the call has answered HOST_OK before its deadline, and not before;
   * NULL removes it. Only HOST_SCOPE_USER. HostKvResult. If the user's data changed under the call, the call is run again
   * from its start, at most three times. */
  uint32_t (*kv_put) (void *host, uint32_t scope, const char *key, const void *value, size_t length);
  /* A resource of the application where it lies in memory, of any size: read only, the same pages for all calls. NULL: there
   * is none of that name. */
  const void *(*resource) (void *host, const char *name, size_t *length);
} HostModuleApi;

/* Every module exports this and returns HOST_MODULE_ABI as it was when the module was built. */
HOST_EXPORT uint32_t host_module_abi (void);

#ifdef __cplusplus
}
#endif

#endif
