/* A native plugin: an object written for this host, which the client runs in a confined process of its own.
 *
 * It exports one symbol, host_plugin_v1(). Both sides are tables. Rules of every struct here: it is passed by
 * pointer and begins with its size and ABI; it grows only at its end, so fill in `size = sizeof (the struct)`
 * and `abi = HOST_PLUGIN_ABI`, and look at `size` before touching a member newer than the struct you were
 * built with; an unknown enum value is an error. NULL is allowed only where said. Text is UTF-8, ends with a
 * NUL and belongs to the caller: copy what you keep.
 *
 * All calls into a plugin come on one thread, one after the other, and each must return within the
 * descriptor's call-timeout-ms. The host's functions are called from that thread too, from within a call;
 * only `wake` may be called from others.
 *
 * Beside the object lies NAME.plugin, which says what the plugin asks for ([Permissions], [Limits]). What is
 * not asked for and granted is not there: get_extension() answers NULL, or the kernel answers EPERM. A plugin
 * with `connect=` uses getaddrinfo(), socket() and connect() as everywhere; the host decides each connection.
 * Nothing else of the host can be resolved by name. */
#ifndef HOST_PLUGIN_H
#define HOST_PLUGIN_H

#include <host/module.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HOST_PLUGIN_ABI 1u

/* What a plugin says about the licence it was given. */
typedef enum
{
  HOST_VERDICT_OK = 0,
  HOST_VERDICT_BAD_SERIAL = 1,
  HOST_VERDICT_EXPIRED = 2,
  HOST_VERDICT_NOT_YET_VALID = 3,
  HOST_VERDICT_WRONG_USER = 4,
  HOST_VERDICT_SEATS = 5,       /* in use on too many devices */
  HOST_VERDICT_RETRY_LATER = 6, /* cannot tell now */
  HOST_VERDICT_ERROR = 7,
} HostVerdict;

typedef struct HostLicence
{
  uint32_t size;
  uint32_t abi;
  const char *serial; /* NULL: the user has none */
  const char *user;   /* the user's name with this vendor, the same on every device; NULL: not known */
  const char *jid;    /* the user's address; NULL unless identity=yes was granted */
  int64_t expires;    /* Unix seconds, as the market says it; 0: never */
} HostLicence;

typedef enum
{
  HOST_EVENT_COMMAND = 1, /* the user typed /name input */
  HOST_EVENT_TIMER = 2,
  HOST_EVENT_READABLE = 3, /* the descriptor of poll_fd() can be read */
  HOST_EVENT_WAKE = 4,     /* a thread of the plugin called HostPluginApi.wake */
} HostEventKind;

typedef struct HostEvent
{
  uint32_t size;
  uint32_t abi;
  uint32_t kind;     /* HostEventKind */
  const char *name;  /* of the command; else NULL */
  const char *input; /* what follows the command's name, "" if nothing; else NULL */
  uint32_t timer;    /* the number given to HostTimer1.set */
} HostEvent;

typedef struct HostPluginApi
{
  uint32_t size;
  uint32_t abi;
  /* For the host; hand it back as the first argument. */
  void *host;
  /* One of the HOST_…_1 names below: its table, valid as long as the process. NULL: this host has no such
   * extension, or it was not granted. */
  const void *(*get_extension) (void *host, const char *name);
  /* Has HOST_EVENT_WAKE sent, at least once for all calls before it. The only function that other threads
   * (threads=yes) may call. */
  void (*wake) (void *host);
} HostPluginApi;

/* The calls come in this order: init, check, start, any number of events, stop, fini. After a refusal there
 * are none: the process ends, as it may at any time. */
typedef struct HostPlugin
{
  uint32_t size;
  uint32_t abi;
  /* *@self is handed to every other call. @api is valid as long as the process. HostResult. */
  int (*init) (const HostPluginApi *api, void **self);
  /* Judges the licence; *@expires (0 before the call) may receive the Unix second after which it is over.
   * HostVerdict. NULL: the plugin needs no serial. */
  int (*check) (void *self, const HostLicence *licence, int64_t *expires);
  /* Registers commands and begins to work. HostResult. NULL: nothing to do. */
  int (*start) (void *self);
  /* HostResult; for a command HOST_OK with an answer by HostCommands1.answer, else what went wrong by the
   * same way. */
  int (*event) (void *self, const HostEvent *event);
  /* NULL: nothing to do. */
  void (*stop) (void *self);
  /* Frees @self. NULL: nothing to do. */
  void (*fini) (void *self);
  /* A descriptor to wait for, a connection say: asked after each call; -1: none at the moment. NULL: never
   * one. */
  int (*poll_fd) (void *self);
} HostPlugin;

/* Every native plugin exports this. The table is the plugin's and lives as long as the process. */
HOST_EXPORT const HostPlugin *host_plugin_v1 (void);

/* The licence, at any time after init. */
#define HOST_SERIAL_1 "host.serial/1"
typedef struct HostSerial1
{
  uint32_t size;
  uint32_t abi;
  /* Valid as long as the process. */
  const HostLicence *(*get) (void *host);
} HostSerial1;

#define HOST_COMMANDS_1 "host.commands/1"
typedef struct HostCommands1
{
  uint32_t size;
  uint32_t abi;
  /* From now on /@name is the plugin's, if no other has it: [a-z0-9-]{1,32}, at most 16. @help: one line.
   * In start. */
  int (*add) (void *host, const char *name, const char *help);
  /* The answer to the command that is being handled, at most 64 KiB; a second one replaces the first. */
  int (*answer) (void *host, const char *text);
} HostCommands1;

/* Small values, kept for this plugin and account; `data=` is the quota. Keys: 1 to 128 bytes, at most 256 of
 * them; values: at most 64 KiB. */
#define HOST_STORAGE_1 "host.storage/1"
typedef struct HostStorage1
{
  uint32_t size;
  uint32_t abi;
  /* Copies the value to @value, which has room for *@length bytes; *@length receives its true length.
   * HOST_BAD_INPUT: there is none, HOST_DENIED: no room (and nothing is copied). */
  int (*get) (void *host, const char *key, void *value, size_t *length);
  /* HOST_DENIED: over the quota. */
  int (*put) (void *host, const char *key, const void *value, size_t length);
  /* Also HOST_OK if there was none. */
  int (*remove) (void *host, const char *key);
} HostStorage1;

/* Lines for the client's log, at most 20 a call. Never log a serial. */
#define HOST_LOG_1 "host.log/1"
typedef struct HostLog1
{
  uint32_t size;
  uint32_t abi;
  void (*log) (void *host, uint32_t level, const char *text); /* HostLogLevel */
} HostLog1;

/* Something the user should see now; at most one a second, more are dropped. */
#define HOST_NOTIFY_1 "host.notify/1"
typedef struct HostNotify1
{
  uint32_t size;
  uint32_t abi;
  int (*notify) (void *host, const char *title, const char *text);
} HostNotify1;

/* Timers 0 to 15; each fires once. */
#define HOST_TIMER_1 "host.timer/1"
typedef struct HostTimer1
{
  uint32_t size;
  uint32_t abi;
  /* Fires in @ms milliseconds (at most about 24 days), in place of an earlier setting; < 0: no longer. */
  int (*set) (void *host, uint32_t timer, int64_t ms);
} HostTimer1;

#ifdef __cplusplus
}
#endif

#endif
