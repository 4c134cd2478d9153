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
#define DESCRIPTOR_MAX_COMMANDS 32
#define DESCRIPTOR_MAX_PROVIDES 32
#define DESCRIPTOR_MAX_OWN      16 /* handles, out arguments and buffers with names of their own */
#define DESCRIPTOR_MAX_LIST     8  /* addresses in connect=, paths in read= */
#define DESCRIPTOR_MAX_TABLES   4  /* [Table] groups */
#define DESCRIPTOR_MAX_WORDS    32 /* words of one of them */
#define DESCRIPTOR_MAX_SLOT     255
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
  DESCRIPTOR_LIST,   /* char **: handed out by a command, taken back by its `free=` */
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
  DESCRIPTOR_VARIABLE_EXPIRY, /* as the market says it; an integer, 0 for never. In a keygen: when what was
                                 paid for ends */
  DESCRIPTOR_VARIABLE_DATADIR,
  DESCRIPTOR_VARIABLE_LOCALE,
  DESCRIPTOR_VARIABLE_INPUT,   /* in a command: what the user typed */
  DESCRIPTOR_VARIABLE_OUTPUT,  /* in a command or message: the text that comes back */
  DESCRIPTOR_VARIABLE_EXPIRES, /* out only: as the plugin says it */
  DESCRIPTOR_VARIABLE_CODE,    /* in the message call: what the failed call returned */
  DESCRIPTOR_VARIABLE_COUNT,   /* in a `free=`: what the call returned, or how many texts it handed out */

  /* in a keygen's calls (host/keygen.h) */
  DESCRIPTOR_VARIABLE_PLUGIN,
  DESCRIPTOR_VARIABLE_TERM, /* text, or `term:days` as an integer; "" and 0 for ever */
  DESCRIPTOR_VARIABLE_LINE,
  DESCRIPTOR_VARIABLE_GENERATION,
  DESCRIPTOR_VARIABLE_COUNTER,
  DESCRIPTOR_VARIABLE_SEED, /* integer: its first bytes; cstr: 64 hex digits; ptr: 32 bytes */
  DESCRIPTOR_VARIABLE_NOW,  /* the recorded time of the payment */

  DESCRIPTOR_VARIABLE_OWN, /* Descriptor.own[DescriptorArg.own] */
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
  DESCRIPTOR_ARG_TABLE,    /* `table name`: the address of [Table name] */
  DESCRIPTOR_ARG_SIZEOF,   /* of a buffer of the same call */
  DESCRIPTOR_ARG_ROOM, /* `inout type sizeof(variable)`: a pointer to that, which comes back as the length */
  DESCRIPTOR_ARG_LEN,  /* strlen of a text variable */
  DESCRIPTOR_ARG_NULL,
} DescriptorArgKind;

typedef struct
{
  DescriptorArgKind kind;
  DescriptorType type; /* of the value; what an out argument points to */
  DescriptorVariable variable;
  DescriptorTime time;
  uint8_t own;     /* with DESCRIPTOR_VARIABLE_OWN */
  uint8_t provide; /* of a callback: index in Descriptor.provides; of a table: in .tables */
  uint8_t word;    /* `input:2`: which word of the input; 0: all of it */
  bool is_rest;    /* `input:2+`: from that word to the end */
  uint32_t size;   /* of a buffer, and of SIZEOF and ROOM */
  int64_t integer; /* literals */
  double real;
  const char *text; /* literal text; for own variables their name */
} DescriptorArg;

typedef struct
{
  DescriptorType result;
  uint8_t result_own; /* of a handle: index in Descriptor.own */
  const char *symbol; /* with slots: the handle's name */
  uint8_t n_slots;    /* `api[3]`: the function whose address is word 3 of what the handle points to;
                       * `env[0][3]`: word 3 of what its word 0 points to */
  uint8_t slots[2];
  uint8_t table; /* of slots: index in Descriptor.own */
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
  const char *text; /* what it means, in the vendor's words; "" if it does not say */
} DescriptorRule;

/* What of a command's call is its answer. */
typedef enum
{
  DESCRIPTOR_SHOW_TEXT,    /* its output, or the text it returns */
  DESCRIPTOR_SHOW_DECIMAL, /* the number it returns */
  DESCRIPTOR_SHOW_HEX,     /* that in hex digits, or the bytes of its output */
} DescriptorShow;

/* One callable symbol: a line of [Symbols], or the call of a [Command]. */
typedef struct
{
  const char *name; /* the key, or the command's name */
  DescriptorSignature signature;
  const char *free_symbol; /* frees the text it returned, NULL: the object keeps it, or free_call does */
  int8_t free_call;        /* `free=` with a signature: index in Descriptor.calls, -1: none */
  DescriptorShow show;
  uint8_t n_rules; /* of [Return name] */
  bool has_rules;
  DescriptorRule rules[DESCRIPTOR_MAX_RULES];
} DescriptorCall;

/* The class of a result by the call's rules: the first that matches, else error. Without a [Return] group:
 * void is ok, a pointer unless NULL, a bool if true, a number if zero. Text and handles are given as
 * @value != 0. */
DescriptorClass descriptor_call_classify (const DescriptorCall *call, int64_t value);
/* The same, with the rule's words in *@text ("" if it has none, or no rule matched). */
DescriptorClass descriptor_call_judge (const DescriptorCall *call, int64_t value, const char **text);

typedef enum
{
  DESCRIPTOR_PHASE_INIT,
  DESCRIPTOR_PHASE_CHECK,
  DESCRIPTOR_PHASE_START,
  DESCRIPTOR_PHASE_STOP,
  DESCRIPTOR_PHASE_KEYGEN, /* only on the server */
  DESCRIPTOR_N_PHASES,
} DescriptorPhase;

extern const char *const descriptor_phase_names[DESCRIPTOR_N_PHASES];

/* The calls of one phase in order, as indices in Descriptor.calls: the symbol named as the phase, or the
 * `steps=` of its [Phase] group. */
typedef struct
{
  uint8_t n_steps;
  uint8_t steps[DESCRIPTOR_MAX_STEPS];
  bool is_threaded;   /* `thread=yes`: the last step returns late or never and has a thread of its own */
  uint32_t settle_ms; /* how long it may still fail, if no [Provide] says `ready` */
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
  DESCRIPTOR_DO_OUTPUT,  /* `-> output`: its argument `text`, of `length` bytes if it has that, is appended to
                          * the answer of the command that runs */
  DESCRIPTOR_DO_COPY,    /* `-> copy serial`: writes a variable to its argument `buffer` of `size` bytes */
  DESCRIPTOR_DO_FUNCTION, /* `-> function NAME`: calls a function on the server with its argument `input` */
  DESCRIPTOR_DO_PURCHASE, /* `-> purchase ITEM`: has the user asked to buy it, and returns how that stands */
  DESCRIPTOR_DO_READY,    /* `-> ready`: what `thread=yes` started is at work */
} DescriptorAction;

/* A symbol that the object imports from its old host, or gets as a callback. */
typedef struct
{
  const char *name;
  DescriptorType result;
  uint8_t n_args;
  DescriptorType args[DESCRIPTOR_MAX_ARGS];
  int8_t text_arg, level_arg, title_arg, length_arg, buffer_arg, size_arg; /* -1: none */
  DescriptorAction action;
  DescriptorVariable variable;
  DescriptorTime time;
  int64_t value;     /* what it returns */
  bool has_value;    /* of a copy: else it returns the text's length */
  bool is_callback;  /* some call or table passes its address */
  char target[65];   /* the function that is called, the item that is bought */
} DescriptorProvide;

/* One word of a table that the object is given. */
typedef struct
{
  const char *text; /* NULL: .provide or .integer */
  int8_t provide;   /* index in Descriptor.provides, -1: none */
  int64_t integer;
} DescriptorWord;

/* The functions and numbers of its old host, in a struct that the object gets the address of. */
typedef struct
{
  const char *name;
  uint8_t n_words; /* words that are not mentioned are 0 */
  DescriptorWord words[DESCRIPTOR_MAX_WORDS];
} DescriptorTable;

/* A handle, an out argument, or a buffer with a name of its own: lives as long as the process. */
typedef struct
{
  const char *name;
  DescriptorType type; /* DESCRIPTOR_CSTR with a size: a buffer */
  uint32_t size;
  bool is_set;        /* some call gives it a value, or it is the object's variable .symbol */
  const char *symbol; /* of a handle of [Handles]: the object's variable, NULL: none */
  bool is_content;    /* its content is the handle, else its address */
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
  bool calls_functions;        /* native */
  bool asks_purchases;
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
  uint8_t n_tables;
  DescriptorTable tables[DESCRIPTOR_MAX_TABLES];
  uint8_t n_own;
  DescriptorOwn own[DESCRIPTOR_MAX_OWN];

  /* [Deliver] */
  const char *deliver_env;
  const char *deliver_file; /* a file name in the data folder */
  const char *deliver_global;
  uint32_t deliver_global_size; /* char NAME[SIZE]; 0: cstr NAME, a pointer */

  bool is_keygen;    /* it has a keygen: it belongs on a server, and nothing above but calls is set */
  bool needs_serial; /* some part of it uses the serial */
  char *text;        /* what all strings point into */
  char *pool;        /* the reader's: the unused part of @text */
  size_t pool_bytes;
} Descriptor;

typedef struct
{
  char text[400]; /* "weather.legacy:12: [Symbols] check: unknown type 'long', which is i64 here" */
} DescriptorError;

/* Reads the @length bytes of @text, which is copied; @file is used in errors only. NULL with @error if it is
 * not a descriptor of that kind. The caller frees the result. */
Descriptor *descriptor_parse (const char *file, DescriptorKind kind, const char *text, size_t length,
                              DescriptorError *error);
void descriptor_free (Descriptor *descriptor);

/* The same, but goes on after an error and tells @found of each (at most 50; @line is 0 where there is none).
 * NULL if there was any. */
typedef void (*DescriptorFound) (const char *error, unsigned line, void *data);
Descriptor *descriptor_parse_all (const char *file, DescriptorKind kind, const char *text, size_t length,
                                  DescriptorFound found, void *data);

/* Whether the call's text comes from anywhere: what it returns or hands out, or a buffer. */
bool descriptor_gives_output (const DescriptorSignature *signature);

/* The name of a class as descriptors write it ("bad-serial"). */
const char *descriptor_class_name (DescriptorClass class);
