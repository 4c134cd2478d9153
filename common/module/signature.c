#include "common/module/signature-private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct
{
  const char *name;
  DescriptorType type;
} type_names[] = {
  { "void", DESCRIPTOR_VOID },     { "int", DESCRIPTOR_INT },   { "i8", DESCRIPTOR_I8 },
  { "i16", DESCRIPTOR_I16 },       { "i32", DESCRIPTOR_I32 },   { "i64", DESCRIPTOR_I64 },
  { "u8", DESCRIPTOR_U8 },         { "u16", DESCRIPTOR_U16 },   { "u32", DESCRIPTOR_U32 },
  { "u64", DESCRIPTOR_U64 },       { "f32", DESCRIPTOR_F32 },   { "f64", DESCRIPTOR_F64 },
  { "bool", DESCRIPTOR_BOOL },     { "cstr", DESCRIPTOR_CSTR }, { "ptr", DESCRIPTOR_PTR },
  { "handle", DESCRIPTOR_HANDLE }, { "list", DESCRIPTOR_LIST },
};

/* What a variable can be, and who has it. */
#define IN_PLAIN   (1u << SIGNATURE_PLAIN)
#define IN_COMMAND (1u << SIGNATURE_COMMAND)
#define IN_MESSAGE (1u << SIGNATURE_MESSAGE)
#define IN_FREE    (1u << SIGNATURE_FREE)
#define IN_KEYGEN  (1u << SIGNATURE_KEYGEN)
#define IN_CLIENT  (IN_PLAIN | IN_COMMAND | IN_MESSAGE | IN_FREE)
#define IN_ALL     (IN_CLIENT | IN_KEYGEN)

static const Variable variables[] = {
  { "user", DESCRIPTOR_VARIABLE_USER, IN_ALL, true, false },
  { "jid", DESCRIPTOR_VARIABLE_JID, IN_CLIENT, true, false },
  { "domain", DESCRIPTOR_VARIABLE_DOMAIN, IN_CLIENT, true, false },
  { "serial", DESCRIPTOR_VARIABLE_SERIAL, IN_CLIENT, true, false },
  { "expiry", DESCRIPTOR_VARIABLE_EXPIRY, IN_ALL, false, true },
  { "datadir", DESCRIPTOR_VARIABLE_DATADIR, IN_CLIENT, true, false },
  { "locale", DESCRIPTOR_VARIABLE_LOCALE, IN_CLIENT, true, false },
  { "input", DESCRIPTOR_VARIABLE_INPUT, IN_COMMAND, true, true },
  { "output", DESCRIPTOR_VARIABLE_OUTPUT, IN_COMMAND | IN_MESSAGE | IN_FREE | IN_KEYGEN, false, false },
  { "expires", DESCRIPTOR_VARIABLE_EXPIRES, IN_ALL & ~IN_FREE, false, false },
  { "code", DESCRIPTOR_VARIABLE_CODE, IN_MESSAGE, false, true },
  { "count", DESCRIPTOR_VARIABLE_COUNT, IN_FREE, false, true },
  { "plugin", DESCRIPTOR_VARIABLE_PLUGIN, IN_KEYGEN, true, false },
  { "term", DESCRIPTOR_VARIABLE_TERM, IN_KEYGEN, true, true },
  { "line", DESCRIPTOR_VARIABLE_LINE, IN_KEYGEN, true, false },
  { "generation", DESCRIPTOR_VARIABLE_GENERATION, IN_KEYGEN, false, true },
  { "counter", DESCRIPTOR_VARIABLE_COUNTER, IN_KEYGEN, false, true },
  { "seed", DESCRIPTOR_VARIABLE_SEED, IN_KEYGEN, true, true },
  { "now", DESCRIPTOR_VARIABLE_NOW, IN_KEYGEN, false, true },
};

bool
descriptor_type_is_integer (DescriptorType type)
{
  return type >= DESCRIPTOR_INT && type <= DESCRIPTOR_U64;
}

static bool
is_word_start (char c)
{
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool
reader_is_digit (char c)
{
  return c >= '0' && c <= '9';
}

bool
signature_is_symbol (const char *text)
{
  if (!is_word_start (*text))
    return false;
  for (; *text != '\0'; text++)
    if (!is_word_start (*text) && !reader_is_digit (*text))
      return false;
  return true;
}

bool
signature_read_integer (const char *text, int64_t *value)
{
  char *end;

  if (!reader_is_digit (*text) && !(*text == '-' && reader_is_digit (text[1])))
    return false;
  errno = 0;
  *value = strtoll (text, &end, 10);
  return errno == 0 && *end == '\0';
}

void
reader_refuse (Reader *reader, const char *format, ...)
{
  va_list arguments;

  if (reader->wrong != NULL)
    return;
  va_start (arguments, format);
  vsnprintf (reader->why, reader->why_size, format, arguments);
  va_end (arguments);
  reader->wrong = reader->why;
}

char
reader_peek (Reader *reader)
{
  if (reader->wrong != NULL)
    return '\0';
  while (*reader->next == ' ' || *reader->next == '\t')
    reader->next++;
  return *reader->next;
}

bool
reader_accept (Reader *reader, char c)
{
  if (reader_peek (reader) != c || c == '\0')
    return false;
  reader->next++;
  return true;
}

void
reader_expect (Reader *reader, char c)
{
  if (!reader_accept (reader, c))
    reader_refuse (reader, "expected '%c' at '%.24s'", c, reader->next);
}

/* Copies the next word into @word; "" if there is none. */
void
reader_word (Reader *reader, char word[64])
{
  size_t length = 0;

  word[0] = '\0';
  if (!is_word_start (reader_peek (reader)))
    return;
  while (is_word_start (reader->next[length]) || reader_is_digit (reader->next[length]))
    length++;
  if (length >= 64)
    {
      reader_refuse (reader, "a name is longer than 63 characters");
      return;
    }
  memcpy (word, reader->next, length);
  word[length] = '\0';
  reader->next += length;
}

/* Names that stay are copied to the descriptor's pool: the next token may follow without a blank, so they
 * cannot be ended with a NUL where they stand. */
static const char *
keep (Reader *reader, const char *text, size_t length)
{
  Descriptor *descriptor = reader->descriptor;
  char *kept = descriptor->pool;

  if (length >= descriptor->pool_bytes)
    {
      reader_refuse (reader, "too many names");
      return "";
    }
  memcpy (kept, text, length);
  kept[length] = '\0';
  descriptor->pool += length + 1;
  descriptor->pool_bytes -= length + 1;
  return kept;
}

/* What C calls our types: vendors write down what their header says. */
static const struct
{
  const char *c, *ours;
} c_types[] = {
  { "char", "i8, and char * cstr" },
  { "short", "i16" },
  { "long", "i64" },
  { "unsigned", "u32" },
  { "float", "f32" },
  { "double", "f64" },
  { "size_t", "u64" },
  { "ssize_t", "i64" },
  { "time_t", "i64" },
  { "int8_t", "i8" },
  { "int16_t", "i16" },
  { "int32_t", "i32" },
  { "int64_t", "i64" },
  { "uint8_t", "u8" },
  { "uint16_t", "u16" },
  { "uint32_t", "u32" },
  { "uint64_t", "u64" },
  { "_Bool", "bool" },
  { "const", "left out" },
};

static void
refuse_type (Reader *reader, const char *word)
{
  for (size_t i = 0; i < sizeof c_types / sizeof *c_types; i++)
    if (strcmp (word, c_types[i].c) == 0)
      reader_refuse (reader, "unknown type '%s', which is %s here", word, c_types[i].ours);
  reader_refuse (reader, "unknown type '%.24s'", word[0] != '\0' ? word : reader->next);
}

static bool
find_type (const char *word, DescriptorType *type)
{
  for (size_t i = 0; i < sizeof type_names / sizeof *type_names; i++)
    if (strcmp (word, type_names[i].name) == 0)
      {
        *type = type_names[i].type;
        return true;
      }
  return false;
}

DescriptorType
reader_type (Reader *reader)
{
  DescriptorType type = DESCRIPTOR_VOID;
  char word[64];

  reader_word (reader, word);
  if (reader->wrong == NULL && !find_type (word, &type))
    refuse_type (reader, word);
  return type;
}

/* The place of the name @word among the descriptor's own; a new one is made with this type and size. */
static uint8_t
own_name (Reader *reader, const char *word, DescriptorType type, uint32_t size)
{
  Descriptor *descriptor = reader->descriptor;
  DescriptorOwn *own;

  for (uint8_t i = 0; i < descriptor->n_own; i++)
    {
      own = &descriptor->own[i];
      if (strcmp (own->name, word) != 0)
        continue;
      if (own->type != type || (size > 0 && own->size == 0 && own->is_set))
        reader_refuse (reader, "'%s' has another type elsewhere", word);
      else if (size > own->size)
        own->size = size;
      return i;
    }
  if (descriptor->n_own == DESCRIPTOR_MAX_OWN)
    {
      reader_refuse (reader, "more than %d names of its own", DESCRIPTOR_MAX_OWN);
      return 0;
    }
  own = &descriptor->own[descriptor->n_own];
  own->name = keep (reader, word, strlen (word));
  own->type = type;
  own->size = size;
  own->is_set = false;
  return descriptor->n_own++;
}

const Variable *
reader_find_variable (const Reader *reader, const char *word)
{
  for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
    {
      const Variable *row = &variables[i];

      /* What is there in few places is no reserved word in the others. */
      if (strcmp (word, row->name) == 0
          && ((row->uses & (IN_PLAIN | IN_COMMAND | IN_MESSAGE)) != 0 || row->uses & 1u << reader->use))
        return row;
    }
  return NULL;
}

bool
signature_is_variable (const Descriptor *descriptor, const char *text)
{
  Reader reader = { .use = descriptor->is_keygen ? SIGNATURE_KEYGEN : SIGNATURE_FREE };

  return reader_find_variable (&reader, text) != NULL;
}

static DescriptorVariable
find_variable (const Reader *reader, const char *word)
{
  const Variable *row = reader_find_variable (reader, word);

  return row != NULL ? row->variable : DESCRIPTOR_VARIABLE_OWN;
}

/* Whether the use at hand has this variable at all. */
void
reader_check_use (Reader *reader, const Variable *row)
{
  static const char *const places[] = { [DESCRIPTOR_VARIABLE_INPUT] = "commands",
                                        [DESCRIPTOR_VARIABLE_OUTPUT] = "commands and the message",
                                        [DESCRIPTOR_VARIABLE_CODE] = "the message" };

  if (row->uses & 1u << reader->use)
    {
      if (row->variable == DESCRIPTOR_VARIABLE_JID && !reader->descriptor->sees_identity)
        reader_refuse (reader, "'jid' needs identity=yes");
      if (row->variable == DESCRIPTOR_VARIABLE_SERIAL)
        reader->descriptor->needs_serial = true;
    }
  else if (reader->use == SIGNATURE_KEYGEN)
    reader_refuse (reader, "'%s' is not there in a keygen", row->name);
  else if (reader->use == SIGNATURE_FREE)
    reader_refuse (reader, "'%s' is not there in free=", row->name);
  else
    reader_refuse (reader, "'%s' is there in %s only", row->name, places[row->variable]);
}

static bool
is_address (DescriptorType type)
{
  return type == DESCRIPTOR_CSTR || type == DESCRIPTOR_PTR || type == DESCRIPTOR_LIST;
}

/* Whether @arg's variable can be of its type and go its way. */
static void
check_variable (Reader *reader, const DescriptorArg *arg, const Variable *row)
{
  bool is_in = arg->kind == DESCRIPTOR_ARG_IN;
  bool is_number = descriptor_type_is_integer (arg->type);
  bool fits;

  reader_check_use (reader, row);
  switch (row->variable)
    {
    case DESCRIPTOR_VARIABLE_EXPIRES:
      fits = arg->kind == DESCRIPTOR_ARG_OUT && is_number;
      break;
    case DESCRIPTOR_VARIABLE_OUTPUT:
      fits = reader->use == SIGNATURE_FREE
                 ? (is_in || arg->kind == DESCRIPTOR_ARG_INOUT) && is_address (arg->type)
                 : arg->kind == DESCRIPTOR_ARG_OUT
                       && (arg->type == DESCRIPTOR_CSTR
                           || (arg->type == DESCRIPTOR_LIST && reader->use == SIGNATURE_COMMAND));
      break;
    case DESCRIPTOR_VARIABLE_INPUT:
      fits = is_in
             && (arg->type == DESCRIPTOR_CSTR || is_number || arg->type == DESCRIPTOR_F32
                 || arg->type == DESCRIPTOR_F64);
      break;
    case DESCRIPTOR_VARIABLE_SEED:
      fits = is_in && (arg->type == DESCRIPTOR_CSTR || arg->type == DESCRIPTOR_PTR || is_number);
      break;
    default:
      fits = is_in && ((row->is_text && arg->type == DESCRIPTOR_CSTR) || (row->is_integer && is_number));
      break;
    }
  if (!fits)
    reader_refuse (reader, "'%s' cannot be an argument of this type and direction", row->name);
}

/* ":2" or ":2+" behind `input`. */
static void
read_input_part (Reader *reader, DescriptorArg *arg)
{
  if (!reader_is_digit (*reader->next) || *reader->next == '0' || reader_is_digit (reader->next[1]))
    {
      reader_refuse (reader, "a word of the input is numbered 1 to 9");
      return;
    }
  arg->word = (uint8_t)(*reader->next++ - '0');
  if (*reader->next == '+')
    {
      reader->next++;
      arg->is_rest = true;
    }
}

/* What follows a variable behind a colon: the form of a time, a word of the input. */
void
reader_part (Reader *reader, DescriptorArg *arg)
{
  char word[64];

  if (!reader_accept (reader, ':'))
    {
      if (arg->variable == DESCRIPTOR_VARIABLE_TERM && arg->type != DESCRIPTOR_CSTR)
        reader_refuse (reader, "the term as a number is 'term:days'");
      return;
    }
  if (arg->variable == DESCRIPTOR_VARIABLE_INPUT)
    {
      read_input_part (reader, arg);
      return;
    }
  reader_word (reader, word);
  if (arg->variable == DESCRIPTOR_VARIABLE_TERM)
    {
      if (strcmp (word, "days") != 0 || arg->type == DESCRIPTOR_CSTR)
        reader_refuse (reader, "the term as a number is 'term:days'");
    }
  else if (arg->variable != DESCRIPTOR_VARIABLE_EXPIRES && arg->variable != DESCRIPTOR_VARIABLE_EXPIRY
           && arg->variable != DESCRIPTOR_VARIABLE_NOW)
    reader_refuse (reader, "only times, the input and a keygen's term have parts");
  else if (strcmp (word, "s") == 0)
    arg->time = DESCRIPTOR_TIME_S;
  else if (strcmp (word, "ms") == 0)
    arg->time = DESCRIPTOR_TIME_MS;
  else if (strcmp (word, "yyyymmdd") == 0)
    arg->time = DESCRIPTOR_TIME_YYYYMMDD;
  else
    reader_refuse (reader, "unknown time format '%s'", word);
}

static void
read_variable (Reader *reader, DescriptorArg *arg)
{
  const Variable *row;
  char word[64];

  reader_word (reader, word);
  if (word[0] == '\0')
    {
      reader_refuse (reader, "expected a variable at '%.24s'", reader->next);
      return;
    }
  row = reader_find_variable (reader, word);
  if (row != NULL)
    {
      arg->variable = row->variable;
      check_variable (reader, arg, row);
      reader_part (reader, arg);
      return;
    }
  arg->variable = DESCRIPTOR_VARIABLE_OWN;
  if (arg->type == DESCRIPTOR_VOID)
    reader_refuse (reader, "'%s' cannot be an argument of this type and direction", word);
  if (arg->type == DESCRIPTOR_LIST)
    reader_refuse (reader, "a list can only be a command's output");
  arg->own = own_name (reader, word, arg->type, 0);
  if (arg->kind != DESCRIPTOR_ARG_IN && reader->wrong == NULL)
    {
      if (reader->descriptor->own[arg->own].size > 0)
        reader_refuse (reader, "'%s' is a buffer elsewhere", word);
      reader->descriptor->own[arg->own].is_set = true;
    }
}

static bool
integer_fits (DescriptorType type, int64_t value)
{
  switch (type)
    {
    case DESCRIPTOR_I8:
      return value >= INT8_MIN && value <= INT8_MAX;
    case DESCRIPTOR_I16:
      return value >= INT16_MIN && value <= INT16_MAX;
    case DESCRIPTOR_INT:
    case DESCRIPTOR_I32:
      return value >= INT32_MIN && value <= INT32_MAX;
    case DESCRIPTOR_U8:
      return value >= 0 && value <= UINT8_MAX;
    case DESCRIPTOR_U16:
      return value >= 0 && value <= UINT16_MAX;
    case DESCRIPTOR_U32:
      return value >= 0 && value <= UINT32_MAX;
    case DESCRIPTOR_U64:
      return value >= 0;
    case DESCRIPTOR_BOOL:
      return value == 0 || value == 1;
    default:
      return type == DESCRIPTOR_I64;
    }
}

void
reader_number (Reader *reader, DescriptorArg *arg)
{
  char number[48], *end;
  size_t length = strspn (reader->next, "+-.0123456789eE");

  if (length >= sizeof number)
    {
      reader_refuse (reader, "a number is too long");
      return;
    }
  memcpy (number, reader->next, length);
  number[length] = '\0';
  arg->kind = DESCRIPTOR_ARG_LITERAL;
  if (arg->type == DESCRIPTOR_F32 || arg->type == DESCRIPTOR_F64)
    {
      arg->real = strtod (number, &end);
      if (*end != '\0')
        reader_refuse (reader, "'%s' is not a number", number);
    }
  else if (!signature_read_integer (number, &arg->integer) || !integer_fits (arg->type, arg->integer))
    reader_refuse (reader, "'%s' is not a value of its type", number);
  reader->next += length;
}

static void
read_text (Reader *reader, DescriptorArg *arg)
{
  size_t length;

  reader->next++;
  length = strcspn (reader->next, "\"");
  if (reader->next[length] != '"')
    reader_refuse (reader, "a text has no end");
  else if (arg->type != DESCRIPTOR_CSTR)
    reader_refuse (reader, "a text must be a cstr");
  if (reader->wrong != NULL)
    return;
  arg->kind = DESCRIPTOR_ARG_LITERAL;
  arg->text = keep (reader, reader->next, length);
  reader->next += length + 1;
}

/* sizeof(variable) and len(variable), behind the word; the size is filled in when all arguments are read. */
static void
read_measure (Reader *reader, DescriptorArg *arg, DescriptorArgKind kind)
{
  const Variable *row;
  char word[64];

  arg->kind = kind;
  if (!descriptor_type_is_integer (arg->type))
    reader_refuse (reader, "a size must be an integer");
  reader_expect (reader, '(');
  reader_word (reader, word);
  row = reader_find_variable (reader, word);
  arg->variable = row != NULL ? row->variable : DESCRIPTOR_VARIABLE_OWN;
  if (row == NULL)
    arg->own = own_name (reader, word, DESCRIPTOR_CSTR, 0);
  else if (kind == DESCRIPTOR_ARG_LEN && !row->is_text)
    reader_refuse (reader, "'%s' has no length", word);
  else
    {
      reader_check_use (reader, row);
      if (row->variable == DESCRIPTOR_VARIABLE_INPUT && kind == DESCRIPTOR_ARG_LEN)
        reader_part (reader, arg);
    }
  reader_expect (reader, ')');
}

static void
read_buffer (Reader *reader, DescriptorArg *arg)
{
  char word[64];
  char *end;
  unsigned long size;

  if (!reader_is_digit (reader_peek (reader)))
    {
      reader_refuse (reader, "expected a buffer's size at '%.24s'", reader->next);
      return;
    }
  errno = 0;
  size = strtoul (reader->next, &end, 10);
  reader->next = end;
  if (errno != 0 || size < 1 || size > DESCRIPTOR_MAX_BUFFER)
    reader_refuse (reader, "a buffer has 1 to %d bytes", DESCRIPTOR_MAX_BUFFER);
  arg->kind = DESCRIPTOR_ARG_BUFFER;
  arg->type = DESCRIPTOR_CSTR;
  arg->size = (uint32_t)size;
  reader_word (reader, word);
  arg->variable = find_variable (reader, word);
  if (arg->variable == DESCRIPTOR_VARIABLE_OUTPUT)
    reader_check_use (reader, reader_find_variable (reader, word));
  else if (arg->variable != DESCRIPTOR_VARIABLE_OWN || word[0] == '\0')
    reader_refuse (reader, "a buffer is 'output' or has a name of its own");
  else
    {
      arg->own = own_name (reader, word, DESCRIPTOR_CSTR, arg->size);
      if (reader->wrong == NULL)
        reader->descriptor->own[arg->own].is_set = true;
    }
}

static void
read_callback (Reader *reader, DescriptorArg *arg)
{
  Descriptor *descriptor = reader->descriptor;
  char word[64];

  reader_word (reader, word);
  arg->kind = DESCRIPTOR_ARG_CALLBACK;
  arg->type = DESCRIPTOR_PTR;
  for (uint8_t i = 0; i < descriptor->n_provides; i++)
    if (strcmp (descriptor->provides[i].name, word) == 0)
      {
        arg->provide = i;
        descriptor->provides[i].is_callback = true;
        return;
      }
  reader_refuse (reader, "callback '%s' is not in [Provide]", word);
}

static void
read_table (Reader *reader, DescriptorArg *arg)
{
  char word[64];

  reader_word (reader, word);
  arg->kind = DESCRIPTOR_ARG_TABLE;
  arg->type = DESCRIPTOR_PTR;
  for (uint8_t i = 0; i < reader->descriptor->n_tables; i++)
    if (strcmp (reader->descriptor->tables[i].name, word) == 0)
      {
        arg->provide = i;
        return;
      }
  reader_refuse (reader, "there is no [Table %s]", word);
}

/* What follows a type: a literal, a size, or a variable. */
static void
read_value (Reader *reader, DescriptorArg *arg)
{
  char *before;
  char word[64];
  char c = reader_peek (reader);

  if (reader_is_digit (c) || c == '-')
    {
      reader_number (reader, arg);
      return;
    }
  if (c == '"')
    {
      read_text (reader, arg);
      return;
    }
  before = reader->next;
  reader_word (reader, word);
  if (strcmp (word, "sizeof") == 0 || strcmp (word, "len") == 0)
    {
      read_measure (reader, arg, word[0] == 's' ? DESCRIPTOR_ARG_SIZEOF : DESCRIPTOR_ARG_LEN);
      return;
    }
  if (arg->type == DESCRIPTOR_BOOL && (strcmp (word, "true") == 0 || strcmp (word, "false") == 0))
    {
      arg->kind = DESCRIPTOR_ARG_LITERAL;
      arg->integer = word[0] == 't';
      return;
    }
  if (strcmp (word, "null") == 0 && (arg->type == DESCRIPTOR_CSTR || arg->type == DESCRIPTOR_PTR))
    {
      arg->kind = DESCRIPTOR_ARG_NULL;
      return;
    }
  reader->next = before;
  read_variable (reader, arg);
}

/* Behind `out` or `inout`. */
static void
read_pointed_to (Reader *reader, DescriptorArg *arg, DescriptorArgKind kind)
{
  char word[64];
  char *before;

  arg->kind = kind;
  arg->type = reader_type (reader);
  (void)reader_peek (reader);
  before = reader->next;
  reader_word (reader, word);
  if (kind == DESCRIPTOR_ARG_INOUT && strcmp (word, "sizeof") == 0)
    {
      read_measure (reader, arg, DESCRIPTOR_ARG_ROOM);
      return;
    }
  reader->next = before;
  read_variable (reader, arg);
}

static void
read_arg (Reader *reader, DescriptorArg *arg)
{
  char word[64];

  memset (arg, 0, sizeof *arg);
  reader_word (reader, word);
  if (strcmp (word, "buf") == 0)
    read_buffer (reader, arg);
  else if (strcmp (word, "cb") == 0)
    read_callback (reader, arg);
  else if (strcmp (word, "table") == 0)
    read_table (reader, arg);
  else if (strcmp (word, "null") == 0)
    {
      arg->kind = DESCRIPTOR_ARG_NULL;
      arg->type = DESCRIPTOR_PTR;
    }
  else if (strcmp (word, "sizeof") == 0 || strcmp (word, "len") == 0)
    {
      arg->type = DESCRIPTOR_U64;
      read_measure (reader, arg, word[0] == 's' ? DESCRIPTOR_ARG_SIZEOF : DESCRIPTOR_ARG_LEN);
    }
  else if (strcmp (word, "out") == 0 || strcmp (word, "inout") == 0)
    read_pointed_to (reader, arg, word[0] == 'o' ? DESCRIPTOR_ARG_OUT : DESCRIPTOR_ARG_INOUT);
  else if (!find_type (word, &arg->type) || arg->type == DESCRIPTOR_VOID)
    refuse_type (reader, word);
  else if (arg->type == DESCRIPTOR_HANDLE || arg->type == DESCRIPTOR_LIST)
    read_variable (reader, arg);
  else
    read_value (reader, arg);
}

/* Gives each sizeof the size of the buffer it names, which may stand before or behind it. */
static void
measure_buffers (Reader *reader, DescriptorSignature *signature)
{
  for (uint8_t i = 0; i < signature->n_args; i++)
    {
      DescriptorArg *arg = &signature->args[i];

      if (arg->kind != DESCRIPTOR_ARG_SIZEOF && arg->kind != DESCRIPTOR_ARG_ROOM)
        continue;
      for (uint8_t j = 0; j < signature->n_args; j++)
        {
          const DescriptorArg *buffer = &signature->args[j];

          if (buffer->kind == DESCRIPTOR_ARG_BUFFER && buffer->variable == arg->variable
              && buffer->own == arg->own)
            arg->size = buffer->size;
        }
      if (arg->size == 0)
        reader_refuse (reader, "sizeof of what is not a buffer of this call");
      else if (!integer_fits (arg->type, arg->size))
        reader_refuse (reader, "a buffer's size does not fit its type");
    }
}

/* A call's result type, with its name if it is a handle. */
static void
read_result (Reader *reader, DescriptorSignature *signature)
{
  char word[64];

  signature->result = reader_type (reader);
  if (signature->result == DESCRIPTOR_LIST && reader->use != SIGNATURE_COMMAND)
    reader_refuse (reader, "a list can only be a command's output");
  if (signature->result != DESCRIPTOR_HANDLE)
    return;
  reader_word (reader, word);
  if (word[0] == '\0')
    reader_refuse (reader, "a handle needs a name");
  else if (find_variable (reader, word) != DESCRIPTOR_VARIABLE_OWN)
    reader_refuse (reader, "'%s' is not a name for a handle", word);
  signature->result_own = own_name (reader, word, DESCRIPTOR_HANDLE, 0);
  if (reader->wrong == NULL)
    reader->descriptor->own[signature->result_own].is_set = true;
}

/* "[3]" behind a handle's name: the function to call is one that the handle leads to. */
static void
read_slots (Reader *reader, DescriptorSignature *signature)
{
  while (reader_accept (reader, '['))
    {
      unsigned slot = 0;

      if (signature->n_slots == 2)
        reader_refuse (reader, "more than 2 slots");
      if (!reader_is_digit (reader_peek (reader)))
        reader_refuse (reader, "expected a slot's number at '%.24s'", reader->next);
      while (reader->wrong == NULL && reader_is_digit (*reader->next) && slot <= DESCRIPTOR_MAX_SLOT)
        slot = slot * 10 + (unsigned)(*reader->next++ - '0');
      if (slot > DESCRIPTOR_MAX_SLOT)
        reader_refuse (reader, "a slot is 0 to %d", DESCRIPTOR_MAX_SLOT);
      reader_expect (reader, ']');
      if (reader->wrong != NULL)
        return;
      signature->slots[signature->n_slots++] = (uint8_t)slot;
    }
  if (signature->n_slots > 0)
    signature->table = own_name (reader, signature->symbol, DESCRIPTOR_HANDLE, 0);
}

const char *
signature_parse (Descriptor *descriptor, SignatureUse use, char *text, DescriptorSignature *signature,
                 char *why, size_t why_size)
{
  Reader reader = { .descriptor = descriptor, .use = use, .next = text, .why = why, .why_size = why_size };
  char word[64];

  memset (signature, 0, sizeof *signature);
  read_result (&reader, signature);
  reader_word (&reader, word);
  if (word[0] == '\0')
    reader_refuse (&reader, "expected a symbol at '%.24s'", reader.next);
  signature->symbol = keep (&reader, word, strlen (word));
  read_slots (&reader, signature);
  reader_expect (&reader, '(');
  if (!reader_accept (&reader, ')'))
    {
      do
        {
          if (signature->n_args == DESCRIPTOR_MAX_ARGS)
            {
              reader_refuse (&reader, "more than %d arguments", DESCRIPTOR_MAX_ARGS);
              break;
            }
          read_arg (&reader, &signature->args[signature->n_args]);
          signature->n_args++;
        }
      while (reader_accept (&reader, ','));
      reader_expect (&reader, ')');
    }
  if (reader_peek (&reader) != '\0')
    reader_refuse (&reader, "'%.24s' is behind the end", reader.next);
  if (reader.wrong == NULL)
    measure_buffers (&reader, signature);
  return reader.wrong;
}

const char *
signature_parse_word (Descriptor *descriptor, char *text, DescriptorWord *word, char *why, size_t why_size)
{
  Reader reader
      = { .descriptor = descriptor, .use = SIGNATURE_PLAIN, .next = text, .why = why, .why_size = why_size };
  DescriptorArg arg;

  *word = (DescriptorWord){ .provide = -1 };
  read_arg (&reader, &arg);
  if (reader_peek (&reader) != '\0')
    reader_refuse (&reader, "'%.24s' is behind the end", reader.next);
  switch (arg.kind)
    {
    case DESCRIPTOR_ARG_CALLBACK:
      word->provide = (int8_t)arg.provide;
      break;
    case DESCRIPTOR_ARG_NULL:
      break;
    case DESCRIPTOR_ARG_LITERAL:
      if (arg.type == DESCRIPTOR_CSTR)
        word->text = arg.text;
      else if (arg.type == DESCRIPTOR_F32 || arg.type == DESCRIPTOR_F64)
        reader_refuse (&reader, "a table holds no such numbers");
      word->integer = arg.integer;
      break;
    default:
      reader_refuse (&reader, "a table holds callbacks, whole numbers, texts and null");
      break;
    }
  return reader.wrong;
}
