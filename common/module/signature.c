#include "common/module/signature.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The reader: a cursor that remembers the first thing that was wrong, after which it reads nothing more. */
typedef struct
{
  Descriptor *descriptor;
  SignatureUse use;
  char *next;
  const char *wrong;
  char *why;
  size_t why_size;
} Reader;

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
  { "handle", DESCRIPTOR_HANDLE },
};

static const struct
{
  const char *name;
  DescriptorVariable variable;
} variable_names[] = {
  { "user", DESCRIPTOR_VARIABLE_USER },     { "jid", DESCRIPTOR_VARIABLE_JID },
  { "domain", DESCRIPTOR_VARIABLE_DOMAIN }, { "serial", DESCRIPTOR_VARIABLE_SERIAL },
  { "expiry", DESCRIPTOR_VARIABLE_EXPIRY }, { "datadir", DESCRIPTOR_VARIABLE_DATADIR },
  { "locale", DESCRIPTOR_VARIABLE_LOCALE }, { "input", DESCRIPTOR_VARIABLE_INPUT },
  { "output", DESCRIPTOR_VARIABLE_OUTPUT }, { "expires", DESCRIPTOR_VARIABLE_EXPIRES },
  { "code", DESCRIPTOR_VARIABLE_CODE },
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

static bool
is_digit (char c)
{
  return c >= '0' && c <= '9';
}

bool
signature_is_symbol (const char *text)
{
  if (!is_word_start (*text))
    return false;
  for (; *text != '\0'; text++)
    if (!is_word_start (*text) && !is_digit (*text))
      return false;
  return true;
}

bool
signature_read_integer (const char *text, int64_t *value)
{
  char *end;

  if (!is_digit (*text) && !(*text == '-' && is_digit (text[1])))
    return false;
  errno = 0;
  *value = strtoll (text, &end, 10);
  return errno == 0 && *end == '\0';
}

static void __attribute__ ((format (printf, 2, 3))) refuse (Reader *reader, const char *format, ...)
{
  va_list arguments;

  if (reader->wrong != NULL)
    return;
  va_start (arguments, format);
  vsnprintf (reader->why, reader->why_size, format, arguments);
  va_end (arguments);
  reader->wrong = reader->why;
}

static char
peek (Reader *reader)
{
  if (reader->wrong != NULL)
    return '\0';
  while (*reader->next == ' ' || *reader->next == '\t')
    reader->next++;
  return *reader->next;
}

static bool
accept (Reader *reader, char c)
{
  if (peek (reader) != c || c == '\0')
    return false;
  reader->next++;
  return true;
}

static void
expect (Reader *reader, char c)
{
  if (!accept (reader, c))
    refuse (reader, "expected '%c' at '%.24s'", c, reader->next);
}

/* Copies the next word into @word; "" if there is none. */
static void
read_word (Reader *reader, char word[64])
{
  size_t length = 0;

  word[0] = '\0';
  if (!is_word_start (peek (reader)))
    return;
  while (is_word_start (reader->next[length]) || is_digit (reader->next[length]))
    length++;
  if (length >= 64)
    {
      refuse (reader, "a name is longer than 63 characters");
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
      refuse (reader, "too many names");
      return "";
    }
  memcpy (kept, text, length);
  kept[length] = '\0';
  descriptor->pool += length + 1;
  descriptor->pool_bytes -= length + 1;
  return kept;
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

static DescriptorType
read_type (Reader *reader)
{
  DescriptorType type = DESCRIPTOR_VOID;
  char word[64];

  read_word (reader, word);
  if (reader->wrong == NULL && !find_type (word, &type))
    refuse (reader, "unknown type '%s'", word[0] != '\0' ? word : reader->next);
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
        refuse (reader, "'%s' has another type elsewhere", word);
      else if (size > own->size)
        own->size = size;
      return i;
    }
  if (descriptor->n_own == DESCRIPTOR_MAX_OWN)
    {
      refuse (reader, "more than %d names of its own", DESCRIPTOR_MAX_OWN);
      return 0;
    }
  own = &descriptor->own[descriptor->n_own];
  own->name = keep (reader, word, strlen (word));
  own->type = type;
  own->size = size;
  own->is_set = false;
  return descriptor->n_own++;
}

static DescriptorVariable
find_variable (const char *word)
{
  for (size_t i = 0; i < sizeof variable_names / sizeof *variable_names; i++)
    if (strcmp (word, variable_names[i].name) == 0)
      return variable_names[i].variable;
  return DESCRIPTOR_VARIABLE_OWN;
}

/* Whether @variable is given to the object as text. */
static bool
is_text (DescriptorVariable variable)
{
  switch (variable)
    {
    case DESCRIPTOR_VARIABLE_USER:
    case DESCRIPTOR_VARIABLE_JID:
    case DESCRIPTOR_VARIABLE_DOMAIN:
    case DESCRIPTOR_VARIABLE_SERIAL:
    case DESCRIPTOR_VARIABLE_DATADIR:
    case DESCRIPTOR_VARIABLE_LOCALE:
    case DESCRIPTOR_VARIABLE_INPUT:
      return true;
    default:
      return false;
    }
}

/* Whether the use at hand has this variable at all. */
static void
check_use (Reader *reader, DescriptorVariable variable)
{
  switch (variable)
    {
    case DESCRIPTOR_VARIABLE_JID:
      if (!reader->descriptor->sees_identity)
        refuse (reader, "'jid' needs identity=yes");
      break;
    case DESCRIPTOR_VARIABLE_INPUT:
      if (reader->use != SIGNATURE_COMMAND)
        refuse (reader, "'input' is there in commands only");
      break;
    case DESCRIPTOR_VARIABLE_OUTPUT:
      if (reader->use == SIGNATURE_PLAIN)
        refuse (reader, "'output' is there in commands and the message only");
      break;
    case DESCRIPTOR_VARIABLE_CODE:
      if (reader->use != SIGNATURE_MESSAGE)
        refuse (reader, "'code' is there in the message only");
      break;
    case DESCRIPTOR_VARIABLE_SERIAL:
      reader->descriptor->needs_serial = true;
      break;
    default:
      break;
    }
}

/* Whether @arg's variable can be of its type and go its way. */
static void
check_variable (Reader *reader, const DescriptorArg *arg, const char *word)
{
  bool fits;

  check_use (reader, arg->variable);
  switch (arg->variable)
    {
    case DESCRIPTOR_VARIABLE_EXPIRY:
    case DESCRIPTOR_VARIABLE_CODE:
      fits = arg->kind == DESCRIPTOR_ARG_IN && descriptor_type_is_integer (arg->type);
      break;
    case DESCRIPTOR_VARIABLE_EXPIRES:
      fits = arg->kind == DESCRIPTOR_ARG_OUT && descriptor_type_is_integer (arg->type);
      break;
    case DESCRIPTOR_VARIABLE_OUTPUT:
      fits = arg->kind == DESCRIPTOR_ARG_OUT && arg->type == DESCRIPTOR_CSTR;
      break;
    case DESCRIPTOR_VARIABLE_OWN:
      fits = arg->type != DESCRIPTOR_VOID;
      break;
    default:
      fits = is_text (arg->variable) && arg->kind == DESCRIPTOR_ARG_IN && arg->type == DESCRIPTOR_CSTR;
      break;
    }
  if (!fits)
    refuse (reader, "'%s' cannot be an argument of this type and direction", word);
}

static void
read_variable (Reader *reader, DescriptorArg *arg)
{
  char word[64];

  read_word (reader, word);
  if (word[0] == '\0')
    {
      refuse (reader, "expected a variable at '%.24s'", reader->next);
      return;
    }
  arg->variable = find_variable (word);
  check_variable (reader, arg, word);
  if (arg->variable == DESCRIPTOR_VARIABLE_OWN)
    {
      arg->own = own_name (reader, word, arg->type, 0);
      if (arg->kind != DESCRIPTOR_ARG_IN && reader->wrong == NULL)
        {
          if (reader->descriptor->own[arg->own].size > 0)
            refuse (reader, "'%s' is a buffer elsewhere", word);
          reader->descriptor->own[arg->own].is_set = true;
        }
    }
  else if (accept (reader, ':'))
    {
      read_word (reader, word);
      if (arg->variable != DESCRIPTOR_VARIABLE_EXPIRES && arg->variable != DESCRIPTOR_VARIABLE_EXPIRY)
        refuse (reader, "only expires and expiry have a format");
      else if (strcmp (word, "s") == 0)
        arg->time = DESCRIPTOR_TIME_S;
      else if (strcmp (word, "ms") == 0)
        arg->time = DESCRIPTOR_TIME_MS;
      else if (strcmp (word, "yyyymmdd") == 0)
        arg->time = DESCRIPTOR_TIME_YYYYMMDD;
      else
        refuse (reader, "unknown time format '%s'", word);
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

static void
read_number (Reader *reader, DescriptorArg *arg)
{
  char number[48], *end;
  size_t length = strspn (reader->next, "+-.0123456789eE");

  if (length >= sizeof number)
    {
      refuse (reader, "a number is too long");
      return;
    }
  memcpy (number, reader->next, length);
  number[length] = '\0';
  arg->kind = DESCRIPTOR_ARG_LITERAL;
  if (arg->type == DESCRIPTOR_F32 || arg->type == DESCRIPTOR_F64)
    {
      arg->real = strtod (number, &end);
      if (*end != '\0')
        refuse (reader, "'%s' is not a number", number);
    }
  else if (!signature_read_integer (number, &arg->integer) || !integer_fits (arg->type, arg->integer))
    refuse (reader, "'%s' is not a value of its type", number);
  reader->next += length;
}

static void
read_text (Reader *reader, DescriptorArg *arg)
{
  size_t length;

  reader->next++;
  length = strcspn (reader->next, "\"");
  if (reader->next[length] != '"')
    refuse (reader, "a text has no end");
  else if (arg->type != DESCRIPTOR_CSTR)
    refuse (reader, "a text must be a cstr");
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
  char word[64];

  arg->kind = kind;
  expect (reader, '(');
  read_word (reader, word);
  expect (reader, ')');
  if (!descriptor_type_is_integer (arg->type))
    refuse (reader, "a size must be an integer");
  arg->variable = find_variable (word);
  if (arg->variable == DESCRIPTOR_VARIABLE_OWN)
    arg->own = own_name (reader, word, DESCRIPTOR_CSTR, 0);
  else if (kind == DESCRIPTOR_ARG_LEN && !is_text (arg->variable))
    refuse (reader, "'%s' has no length", word);
  if (arg->variable != DESCRIPTOR_VARIABLE_OWN)
    check_use (reader, arg->variable);
}

static void
read_buffer (Reader *reader, DescriptorArg *arg)
{
  char word[64];
  char *end;
  unsigned long size;

  if (!is_digit (peek (reader)))
    {
      refuse (reader, "expected a buffer's size at '%.24s'", reader->next);
      return;
    }
  errno = 0;
  size = strtoul (reader->next, &end, 10);
  reader->next = end;
  if (errno != 0 || size < 1 || size > DESCRIPTOR_MAX_BUFFER)
    refuse (reader, "a buffer has 1 to %d bytes", DESCRIPTOR_MAX_BUFFER);
  arg->kind = DESCRIPTOR_ARG_BUFFER;
  arg->type = DESCRIPTOR_CSTR;
  arg->size = (uint32_t)size;
  read_word (reader, word);
  arg->variable = find_variable (word);
  if (arg->variable == DESCRIPTOR_VARIABLE_OUTPUT)
    check_use (reader, arg->variable);
  else if (arg->variable != DESCRIPTOR_VARIABLE_OWN || word[0] == '\0')
    refuse (reader, "a buffer is 'output' or has a name of its own");
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

  read_word (reader, word);
  arg->kind = DESCRIPTOR_ARG_CALLBACK;
  arg->type = DESCRIPTOR_PTR;
  for (uint8_t i = 0; i < descriptor->n_provides; i++)
    if (strcmp (descriptor->provides[i].name, word) == 0)
      {
        arg->provide = i;
        descriptor->provides[i].is_callback = true;
        return;
      }
  refuse (reader, "callback '%s' is not in [Provide]", word);
}

/* What follows a type: a literal, a size, or a variable. */
static void
read_value (Reader *reader, DescriptorArg *arg)
{
  char *before;
  char word[64];
  char c = peek (reader);

  if (is_digit (c) || c == '-')
    {
      read_number (reader, arg);
      return;
    }
  if (c == '"')
    {
      read_text (reader, arg);
      return;
    }
  before = reader->next;
  read_word (reader, word);
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

static void
read_arg (Reader *reader, DescriptorArg *arg)
{
  char word[64];

  memset (arg, 0, sizeof *arg);
  read_word (reader, word);
  if (strcmp (word, "buf") == 0)
    {
      read_buffer (reader, arg);
      return;
    }
  if (strcmp (word, "cb") == 0)
    {
      read_callback (reader, arg);
      return;
    }
  if (strcmp (word, "null") == 0)
    {
      arg->kind = DESCRIPTOR_ARG_NULL;
      arg->type = DESCRIPTOR_PTR;
      return;
    }
  if (strcmp (word, "sizeof") == 0 || strcmp (word, "len") == 0)
    {
      arg->type = DESCRIPTOR_U64;
      read_measure (reader, arg, word[0] == 's' ? DESCRIPTOR_ARG_SIZEOF : DESCRIPTOR_ARG_LEN);
      return;
    }
  if (strcmp (word, "out") == 0 || strcmp (word, "inout") == 0)
    {
      arg->kind = word[0] == 'o' ? DESCRIPTOR_ARG_OUT : DESCRIPTOR_ARG_INOUT;
      arg->type = read_type (reader);
      read_variable (reader, arg);
      return;
    }
  if (!find_type (word, &arg->type) || arg->type == DESCRIPTOR_VOID)
    {
      refuse (reader, "unknown type '%s'", word[0] != '\0' ? word : reader->next);
      return;
    }
  if (arg->type == DESCRIPTOR_HANDLE)
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

      if (arg->kind != DESCRIPTOR_ARG_SIZEOF)
        continue;
      for (uint8_t j = 0; j < signature->n_args; j++)
        {
          const DescriptorArg *buffer = &signature->args[j];

          if (buffer->kind == DESCRIPTOR_ARG_BUFFER && buffer->variable == arg->variable
              && buffer->own == arg->own)
            arg->size = buffer->size;
        }
      if (arg->size == 0)
        refuse (reader, "sizeof of what is not a buffer of this call");
      else if (!integer_fits (arg->type, arg->size))
        refuse (reader, "a buffer's size does not fit its type");
    }
}

const char *
signature_parse (Descriptor *descriptor, SignatureUse use, char *text, DescriptorSignature *signature,
                 char *why, size_t why_size)
{
  Reader reader = { .descriptor = descriptor, .use = use, .next = text, .why = why, .why_size = why_size };
  char word[64];

  memset (signature, 0, sizeof *signature);
  signature->result = read_type (&reader);
  if (signature->result == DESCRIPTOR_HANDLE)
    {
      read_word (&reader, word);
      if (word[0] == '\0')
        refuse (&reader, "a handle needs a name");
      else if (find_variable (word) != DESCRIPTOR_VARIABLE_OWN)
        refuse (&reader, "'%s' is not a name for a handle", word);
      signature->result_own = own_name (&reader, word, DESCRIPTOR_HANDLE, 0);
      if (reader.wrong == NULL)
        descriptor->own[signature->result_own].is_set = true;
    }
  read_word (&reader, word);
  if (word[0] == '\0')
    refuse (&reader, "expected a symbol at '%.24s'", reader.next);
  signature->symbol = keep (&reader, word, strlen (word));
  expect (&reader, '(');
  if (!accept (&reader, ')'))
    {
      do
        {
          if (signature->n_args == DESCRIPTOR_MAX_ARGS)
            {
              refuse (&reader, "more than %d arguments", DESCRIPTOR_MAX_ARGS);
              break;
            }
          read_arg (&reader, &signature->args[signature->n_args]);
          signature->n_args++;
        }
      while (accept (&reader, ','));
      expect (&reader, ')');
    }
  if (peek (&reader) != '\0')
    refuse (&reader, "'%.24s' is behind the end", reader.next);
  if (reader.wrong == NULL)
    measure_buffers (&reader, signature);
  return reader.wrong;
}

static void
read_provide_arg (Reader *reader, DescriptorProvide *provide)
{
  char word[64];
  uint8_t i = provide->n_args++;

  provide->args[i] = read_type (reader);
  if (provide->args[i] == DESCRIPTOR_VOID || provide->args[i] == DESCRIPTOR_HANDLE)
    refuse (reader, "an imported symbol has no arguments of this type");
  read_word (reader, word);
  if ((strcmp (word, "text") == 0 || strcmp (word, "input") == 0) && provide->args[i] == DESCRIPTOR_CSTR)
    provide->text_arg = (int8_t)i;
  else if (strcmp (word, "title") == 0 && provide->args[i] == DESCRIPTOR_CSTR)
    provide->title_arg = (int8_t)i;
  else if (strcmp (word, "level") == 0 && descriptor_type_is_integer (provide->args[i]))
    provide->level_arg = (int8_t)i;
}

/* The name behind `-> function`: what the server calls it. */
static void
read_function (Reader *reader, DescriptorProvide *provide)
{
  size_t length = 0;

  provide->action = DESCRIPTOR_DO_FUNCTION;
  if (is_word_start (peek (reader)))
    while (is_word_start (reader->next[length]) || is_digit (reader->next[length])
           || reader->next[length] == '.' || reader->next[length] == '-')
      length++;
  if (length == 0 || length > 64)
    refuse (reader, "which function? '-> function NAME'");
  else if (provide->result != DESCRIPTOR_CSTR || provide->text_arg < 0)
    refuse (reader, "a function is 'cstr (cstr input)'");
  else if (!reader->descriptor->calls_functions)
    refuse (reader, "a function needs functions=yes in [Permissions]");
  else
    provide->function = keep (reader, reader->next, length);
  reader->next += length;
}

static void
read_action (Reader *reader, DescriptorProvide *provide)
{
  char word[64];
  char c = peek (reader);

  if (is_digit (c) || c == '-')
    {
      DescriptorArg number = { .type = provide->result };

      provide->action = DESCRIPTOR_DO_NOTHING;
      read_number (reader, &number);
      provide->value = number.integer;
      if (!descriptor_type_is_integer (provide->result) && provide->result != DESCRIPTOR_BOOL)
        refuse (reader, "a number needs an integer result");
      return;
    }
  read_word (reader, word);
  if (strcmp (word, "log") == 0 || strcmp (word, "notify") == 0)
    {
      provide->action = word[0] == 'l' ? DESCRIPTOR_DO_LOG : DESCRIPTOR_DO_NOTIFY;
      if (provide->text_arg < 0)
        refuse (reader, "%s needs an argument 'cstr text'", word);
      else if (provide->result != DESCRIPTOR_VOID && !descriptor_type_is_integer (provide->result))
        refuse (reader, "%s has no such result", word);
      return;
    }
  if (strcmp (word, "function") == 0)
    {
      read_function (reader, provide);
      return;
    }
  if (strcmp (word, "nothing") == 0 && provide->result == DESCRIPTOR_VOID)
    {
      provide->action = DESCRIPTOR_DO_NOTHING;
      return;
    }
  provide->action = DESCRIPTOR_DO_VALUE;
  provide->variable = find_variable (word);
  switch (provide->variable)
    {
    case DESCRIPTOR_VARIABLE_USER:
    case DESCRIPTOR_VARIABLE_JID:
    case DESCRIPTOR_VARIABLE_DOMAIN:
    case DESCRIPTOR_VARIABLE_SERIAL:
    case DESCRIPTOR_VARIABLE_DATADIR:
    case DESCRIPTOR_VARIABLE_LOCALE:
      if (provide->result != DESCRIPTOR_CSTR)
        refuse (reader, "'%s' needs the result cstr", word);
      break;
    case DESCRIPTOR_VARIABLE_EXPIRY:
      if (!descriptor_type_is_integer (provide->result))
        refuse (reader, "'expiry' needs an integer result");
      break;
    default:
      refuse (reader, "unknown action '%s'", word);
      break;
    }
  check_use (reader, provide->variable);
}

const char *
signature_parse_provide (Descriptor *descriptor, char *text, DescriptorProvide *provide, char *why,
                         size_t why_size)
{
  Reader reader
      = { .descriptor = descriptor, .use = SIGNATURE_PLAIN, .next = text, .why = why, .why_size = why_size };

  provide->text_arg = provide->level_arg = provide->title_arg = -1;
  provide->result = read_type (&reader);
  if (provide->result == DESCRIPTOR_HANDLE)
    refuse (&reader, "an imported symbol cannot return a handle");
  expect (&reader, '(');
  if (!accept (&reader, ')'))
    {
      do
        {
          if (provide->n_args == DESCRIPTOR_MAX_ARGS)
            {
              refuse (&reader, "more than %d arguments", DESCRIPTOR_MAX_ARGS);
              break;
            }
          read_provide_arg (&reader, provide);
        }
      while (accept (&reader, ','));
      expect (&reader, ')');
    }
  expect (&reader, '-');
  expect (&reader, '>');
  read_action (&reader, provide);
  if (peek (&reader) != '\0')
    refuse (&reader, "'%.24s' is behind the end", reader.next);
  return reader.wrong;
}
