/* Descriptors of vendor plugins: the text beside a legacy object (NAME.legacy) that says how to call it, and
 * the metadata of a native one (NAME.plugin).
 *
 * No GLib here: plugin-runner reads descriptors too. The text is a stranger's: at most 16 KiB, every list has
 * a limit, and whatever is not known by this reader is an error that names file, group and key. Nothing is
 * loaded or resolved here; whether the object has the symbols is verified in the runner. The
 * language is described in vendor-kit/plugins/README.md. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DESCRIPTOR_MAX_BYTES    16384
#define DESCRIPTOR_MAX_CALLS    48 /* [Symbols] and [Command] together */
#define DESCRIPTOR_MAX_ARGS     12
#define DESCRIPTOR_MAX_RULES    16 /* lines of one [Return] */
#define DESCRIPTOR_MAX_STEPS    8
#define DESCRIPTOR_MAX_COMMANDS 16
#define DESCRIPTOR_MAX_PROVIDES 32
#define DESCRIPTOR_MAX_OWN      16 /* handles, out arguments and buffers with names of their own */
#define DESCRIPTOR_MAX_LIST     8  /* addresses in connect=, paths in read= */
#define DESCRIPTOR_MAX_BUFFER   65536

typedef enum
{
  DESCRIPTOR_LEGACY,
  DESCRIPTOR_NATIVE,
} DescriptorKind;

typedef enum
{
  DESCRIPTOR_VOID,
  DESCRIPTOR_INT,
  DESCRIPTOR_I8,
  DESCRIPTOR_I16,
  DESCRIPTOR_I32,
  DESCRIPTOR_I64,
  DESCRIPTOR_U8,
  DESCRIPTOR_U16,
  DESCRIPTOR_U32,
  DESCRIPTOR_U64,
  DESCRIPTOR_F32,
  DESCRIPTOR_F64,
  DESCRIPTOR_BOOL, /* C99 _Bool */
  DESCRIPTOR_CSTR,
  DESCRIPTOR_PTR,
  DESCRIPTOR_HANDLE, /* an opaque pointer with a name, kept between calls */
} DescriptorType;

bool descriptor_type_is_integer (DescriptorType type); /* int, i8 to u64 */

/* What an argument's value is taken from, or kept in. */
typedef enum
{
  DESCRIPTOR_VARIABLE_NONE,
  DESCRIPTOR_VARIABLE_USER, /* the pairwise name */
  DESCRIPTOR_VARIABLE_JID,  /* only with identity=yes */
  DESCRIPTOR_VARIABLE_DOMAIN,
  DESCRIPTOR_VARIABLE_SERIAL,
  DESCRIPTOR_VARIABLE_EXPIRY, /* as the market says it; an integer, 0 for never */
  DESCRIPTOR_VARIABLE_DATADIR,
  DESCRIPTOR_VARIABLE_LOCALE,
  DESCRIPTOR_VARIABLE_INPUT,   /* in a command: what the user typed */
  DESCRIPTOR_VARIABLE_OUTPUT,  /* in a command or message: the text that comes back */
  DESCRIPTOR_VARIABLE_EXPIRES, /* out only: as the plugin says it */
  DESCRIPTOR_VARIABLE_CODE,    /* in the message call: what the failed call returned */
  DESCRIPTOR_VARIABLE_OWN,     /* Descriptor.own[DescriptorArg.own] */
} DescriptorVariable;

typedef enum
{
  DESCRIPTOR_TIME_S, /* Unix seconds */
  DESCRIPTOR_TIME_MS,
  DESCRIPTOR_TIME_YYYYMMDD, /* a decimal number; the day ends at 24:00 UTC */
} DescriptorTime;

typedef enum
{
  DESCRIPTOR_ARG_IN,
  DESCRIPTOR_ARG_OUT,
  DESCRIPTOR_ARG_INOUT,
  DESCRIPTOR_ARG_LITERAL,
  DESCRIPTOR_ARG_BUFFER,   /* `buf N variable`: N writable bytes, cleared before each call */
  DESCRIPTOR_ARG_CALLBACK, /* `cb name`: the address of [Provide] name */
  DESCRIPTOR_ARG_SIZEOF,   /* of a buffer of the same call */
  DESCRIPTOR_ARG_LEN,      /* strlen of a text variable */
  DESCRIPTOR_ARG_NULL,
} DescriptorArgKind;

typedef struct
{
  DescriptorArgKind kind;
  DescriptorType type; /* of the value; what an out argument points to */
  DescriptorVariable variable;
  DescriptorTime time;
  uint8_t own;     /* with DESCRIPTOR_VARIABLE_OWN */
  uint8_t provide; /* of a callback: index in Descriptor.provides */
  uint32_t size;   /* of a buffer, and of SIZEOF */
  int64_t integer; /* literals */
  double real;
  const char *text; /* literal text; for own variables their name */
} DescriptorArg;

typedef struct
{
  DescriptorType result;
  uint8_t result_own; /* of a handle: index in Descriptor.own */
  const char *symbol;
  uint8_t n_args;
  DescriptorArg args[DESCRIPTOR_MAX_ARGS];
} DescriptorSignature;

/* What a result means. */
typedef enum
{
  DESCRIPTOR_CLASS_OK,
  DESCRIPTOR_CLASS_BAD_SERIAL,
  DESCRIPTOR_CLASS_EXPIRED,
  DESCRIPTOR_CLASS_NOT_YET_VALID,
  DESCRIPTOR_CLASS_WRONG_USER,
  DESCRIPTOR_CLASS_SEATS,
  DESCRIPTOR_CLASS_RETRY_LATER,
  DESCRIPTOR_CLASS_ERROR,
} DescriptorClass;

typedef enum
{
  DESCRIPTOR_IS_VALUE, /* equals .value */
  DESCRIPTOR_IS_ZERO,
  DESCRIPTOR_IS_NONZERO,
  DESCRIPTOR_IS_NEGATIVE,
  DESCRIPTOR_IS_POSITIVE,
  DESCRIPTOR_IS_NULL,
  DESCRIPTOR_IS_NONNULL,
} DescriptorPredicate;

typedef struct
{
  DescriptorPredicate predicate;
  int64_t value;
  DescriptorClass class;
} DescriptorRule;

/* One callable symbol: a line of [Symbols], or the call of a [Command]. */
typedef struct
{
  const char *name; /* the key, or the command's name */
  DescriptorSignature signature;
  const char *free_symbol; /* frees the text it returned, NULL: the object keeps it */
  uint8_t n_rules;         /* of [Return name] */
  bool has_rules;
  DescriptorRule rules[DESCRIPTOR_MAX_RULES];
} DescriptorCall;

/* The class of a result by the call's rules: the first that matches, else error. Without a [Return] group:
 * void is ok, a pointer unless NULL, a bool if true, a number if zero. Text and handles are given as
 * @value != 0. */
DescriptorClass descriptor_call_classify (const DescriptorCall *call, int64_t value);

typedef enum
{
  DESCRIPTOR_PHASE_INIT,
  DESCRIPTOR_PHASE_CHECK,
  DESCRIPTOR_PHASE_START,
  DESCRIPTOR_PHASE_STOP,
  DESCRIPTOR_N_PHASES,
} DescriptorPhase;

extern const char *const descriptor_phase_names[DESCRIPTOR_N_PHASES];

/* The calls of one phase in order, as indices in Descriptor.calls: the symbol named as the phase, or the
 * `steps=` of its [Phase] group. */
typedef struct
{
  uint8_t n_steps;
  uint8_t steps[DESCRIPTOR_MAX_STEPS];
} DescriptorSteps;

typedef struct
{
  const char *name;
  const char *help; /* "" if there is none */
  uint8_t call;     /* index in Descriptor.calls */
} DescriptorCommand;

typedef enum
{
  DESCRIPTOR_DO_NOTHING, /* `-> 0`: returns a number */
  DESCRIPTOR_DO_VALUE,   /* `-> serial`, `-> user` …: returns a variable */
  DESCRIPTOR_DO_LOG,     /* `-> log`: its argument `text`, and `level` if it has one */
  DESCRIPTOR_DO_NOTIFY,  /* `-> notify`: its argument `text`, and `title` if it has one */
  DESCRIPTOR_DO_FUNCTION, /* `-> function NAME`: calls a function on the server with its argument `input` */
} DescriptorAction;

/* A symbol that the object imports from its old host, or gets as a callback. */
typedef struct
{
  const char *name;
  DescriptorType result;
  uint8_t n_args;
  DescriptorType args[DESCRIPTOR_MAX_ARGS];
  int8_t text_arg, level_arg, title_arg; /* -1: none */
  DescriptorAction action;
  DescriptorVariable variable;
  int64_t value;
  bool is_callback; /* some call passes its address */
  const char *function; /* of DESCRIPTOR_DO_FUNCTION */
} DescriptorProvide;

/* A handle, an out argument, or a buffer with a name of its own: lives as long as the process. */
typedef struct
{
  const char *name;
  DescriptorType type; /* DESCRIPTOR_CSTR with a size: a buffer */
  uint32_t size;
  bool is_set; /* some call gives it a value */
} DescriptorOwn;

typedef struct
{
  const char *host; /* a name, an IPv4 or a bare IPv6 address */
  uint16_t port;
} DescriptorAddress;

typedef enum
{
  DESCRIPTOR_MESSAGES_NONE,
  DESCRIPTOR_MESSAGES_SEE,
  DESCRIPTOR_MESSAGES_SEND,
} DescriptorMessages;

typedef struct
{
  DescriptorKind kind;

  /* [Plugin] */
  const char *id;
  const char *name;
  const char *version;
  const char *object; /* a file name without '/' */
  const char *sha256; /* 64 lower-case hex digits */

  /* [Permissions] */
  uint8_t n_connect;
  DescriptorAddress connect[DESCRIPTOR_MAX_LIST];
  uint8_t n_read;
  const char *read[DESCRIPTOR_MAX_LIST]; /* absolute, without '..' */
  uint64_t data_bytes;                   /* default 0: its folder is there but holds nothing */
  bool has_threads;
  bool sees_identity;
  bool calls_functions;
  DescriptorMessages messages; /* native */

  /* [Limits] */
  uint32_t call_timeout_ms; /* default 3,000; at most 60,000 */
  uint64_t memory_bytes;    /* default 256 MiB; 16 MiB to 4 GiB */
  uint32_t restarts;        /* `restart=3/60s` */
  uint32_t restart_period_s;

  /* what follows is empty for native plugins */
  uint8_t n_calls;
  DescriptorCall calls[DESCRIPTOR_MAX_CALLS];
  DescriptorSteps phases[DESCRIPTOR_N_PHASES];
  int8_t message_call; /* index in calls, -1: none */
  uint8_t n_commands;
  DescriptorCommand commands[DESCRIPTOR_MAX_COMMANDS];
  uint8_t n_provides;
  DescriptorProvide provides[DESCRIPTOR_MAX_PROVIDES];
  uint8_t n_own;
  DescriptorOwn own[DESCRIPTOR_MAX_OWN];

  /* [Deliver] */
  const char *deliver_env;
  const char *deliver_file; /* a file name in the data folder */
  const char *deliver_global;
  uint32_t deliver_global_size; /* char NAME[SIZE]; 0: cstr NAME, a pointer */

  bool needs_serial; /* some part of it uses the serial */
  char *text;        /* what all strings point into */
  char *pool;        /* the reader's: the unused part of @text */
  size_t pool_bytes;
} Descriptor;

typedef struct
{
  char text[400]; /* "weather.legacy: [Symbols] check: unknown type 'long'" */
} DescriptorError;

/* Reads the @length bytes of @text, which is copied; @file is used in errors only. NULL with @error if it is
 * not a descriptor of that kind. The caller frees the result. */
Descriptor *descriptor_parse (const char *file, DescriptorKind kind, const char *text, size_t length,
                              DescriptorError *error);
void descriptor_free (Descriptor *descriptor);

/* The name of a class as descriptors write it ("bad-serial"). */
const char *descriptor_class_name (DescriptorClass class);
