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
  HOST_EVENT_MESSAGE = 5,  /* a copy of a message that was received or sent; see HostMessages1 */
  HOST_EVENT_RESULT = 6,   /* a function that was called has ended; see HostFunction1 */
  HOST_EVENT_PURCHASE = 7, /* what the user was asked to buy was bought, or was not; see HostPurchase1 */
} HostEventKind;

/* Which way a message went. Also bits, for HostMessages1.watch. */
typedef enum
{
  HOST_MESSAGE_RECEIVED = 1,
  HOST_MESSAGE_SENT = 2, /* by the user; what plugins send is not shown to plugins */
} HostMessageWay;

/* A copy of a message: it has been shown or sent already, and nothing a plugin does can change that. */
typedef struct HostMessage
{
  uint32_t size;
  uint32_t abi;
  uint32_t way;     /* HostMessageWay */
  uint32_t is_late; /* 1: it waited on the server while the user was away; else 0 */
  const char *peer; /* the other's address, without a resource */
  const char *text; /* at most 64 KiB */
  int64_t time;     /* Unix seconds, when it was sent */
} HostMessage;

/* How a function that the plugin called has ended. */
typedef struct HostFunctionResult
{
  uint32_t size;
  uint32_t abi;
  uint32_t call;       /* the number that HostFunction1.call gave */
  uint32_t result;     /* HostResult; HOST_DENIED also: the user has no licence; HOST_RETRY: not now */
  const uint8_t *data; /* what it returned; NULL if nothing or unless the result is HOST_OK */
  size_t length;
  const char *reason; /* one line for the log, "" if the result is HOST_OK */
} HostFunctionResult;

/* What became of a purchase that the plugin asked for. */
typedef enum
{
  HOST_PURCHASE_BOUGHT = 1,
  HOST_PURCHASE_DECLINED = 2, /* the user said no, or did not pay */
  HOST_PURCHASE_FAILED = 3,   /* nobody could be asked, it is not sold, or the money went back */
} HostPurchaseOutcome;

typedef struct HostPurchaseResult
{
  uint32_t size;
  uint32_t abi;
  const char *item;   /* as HostPurchase1.ask was given it */
  uint32_t outcome;   /* HostPurchaseOutcome */
  const char *reason; /* one line, "" unless it failed */
} HostPurchaseResult;

typedef struct HostEvent
{
  uint32_t size;
  uint32_t abi;
  uint32_t kind;                     /* HostEventKind */
  const char *name;                  /* of the command; else NULL */
  const char *input;                 /* what follows the command's name, "" if nothing; else NULL */
  uint32_t timer;                    /* the number given to HostTimer1.set */
  const HostMessage *message;        /* of HOST_EVENT_MESSAGE; else NULL */
  const HostFunctionResult *outcome; /* of HOST_EVENT_RESULT; else NULL */
  const HostPurchaseResult *purchase; /* of HOST_EVENT_PURCHASE; else NULL */
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

/* Messages, as the user granted: messages=see shows copies, messages=send also lets the plugin write. The
 * chat never waits for a plugin: one that is slow misses copies (32 wait for it), one that hangs is stopped.
 */
#define HOST_MESSAGES_1 "host.messages/1"
typedef struct HostMessages1
{
  uint32_t size;
  uint32_t abi;
  /* From now on HOST_EVENT_MESSAGE comes for messages that go these ways, bits of HostMessageWay; 0: no
   * longer. HOST_BAD_INPUT: another bit. */
  int (*watch) (void *host, uint32_t ways);
  /* Sends @text (at most 16 KiB) in the user's name; they see it as their own. @peer: an address; NULL: the
   * chat that is open. HOST_OK: the client has it. HOST_DENIED: not granted, or @peer is neither the chat
   * that is open nor one that the user allowed this plugin. HOST_RETRY: more than 20 in a minute, or the
   * client has too many waiting. */
  int (*send) (void *host, const char *peer, const char *text);
} HostMessages1;

/* A TCP connection in one call, for plugins that ask for connect=; socket() and connect() work as well. */
#define HOST_NETWORK_1 "host.network/1"
typedef struct HostNetwork1
{
  uint32_t size;
  uint32_t abi;
  /* Connects to @name (a host name or an address) and @port. *@fd receives a connected, blocking socket,
   * which is the plugin's to close. It takes at most 10 seconds, or two thirds of call-timeout-ms.
   * HOST_DENIED: not granted; HOST_RETRY: nobody answers there, or 4 attempts are under way. */
  int (*connect) (void *host, const char *name, uint32_t port, int *fd);
} HostNetwork1;

/* Functions that the plugin's vendor runs on the host's server, for plugins that ask for functions=yes. */
#define HOST_FUNCTION_1 "host.function/1"
typedef struct HostFunction1
{
  uint32_t size;
  uint32_t abi;
  /* Calls @function of @application (NULL, or the plugin's own id: others are HOST_DENIED) with @length
   * bytes, at most 48 KiB. *@call receives a number, not 0, under which HOST_EVENT_RESULT comes exactly
   * once; a lost connection is bridged for a minute, and the function runs once however often the client
   * has to ask. HOST_RETRY: 8 calls are open. */
  int (*call) (void *host, const char *application, const char *function, const void *data, size_t length,
               uint32_t *call);
  /* The same for who needs the result at once, to answer a command say: waits for it, at most for what is left
   * of call-timeout-ms. @result has room for *@result_length bytes, of which so many are filled; why it failed
   * is logged. HOST_INTERNAL also: there is no room for all of it. */
  int (*run) (void *host, const char *function, const void *data, size_t length, void *result,
              size_t *result_length);
} HostFunction1;

/* Buying inside the application, for plugins that ask for purchases=yes. A plugin can only ask: the client
 * asks the user, in its own words and with the price that the market says, and nothing is bought without
 * their yes. */
#define HOST_PURCHASE_1 "host.purchase/1"
  typedef struct HostPurchase1
  {
    uint32_t size;
    uint32_t abi;
    /* Has the user asked whether to buy @item, an id of an item of the plugin's own application. HOST_OK:
     * HOST_EVENT_PURCHASE comes, once, which may take as long as a person takes to pay, and not at all if the
     * process ends first: what was bought is in the counter `item/<id>` of the user's data then, too.
     * HOST_RETRY: the user is being asked already, was asked 3 times in this minute, or has said no in it. */
    int (*ask) (void *host, const char *item);
  } HostPurchase1;

/* Reserved: plugin tokens. get_extension() answers NULL. */
#define HOST_TOKEN_1 "host.token/1"

#ifdef __cplusplus
}
#endif

#endif
