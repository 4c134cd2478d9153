/* Making one call: arguments from variables, results into variables. */
#include "plugin-abi/runner/legacy.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LIST 256

/* One call in the making: values, and for pointers to values where they point. */
typedef struct
{
  LegacyValue values[DESCRIPTOR_MAX_ARGS];
  LegacyValue cells[DESCRIPTOR_MAX_ARGS]; /* what out and inout arguments point to */
  void *pointers[DESCRIPTOR_MAX_ARGS];    /* to the values, for libffi */
  int64_t code;                           /* of the message */
  LegacyValue given;                      /* what free= takes back */
  int64_t count;
} Making;

/* Widens what an integer of @type left in memory. */
static int64_t
widen (DescriptorType type, const LegacyValue *value)
{
  if (type == DESCRIPTOR_F32)
    return (int64_t)value->f32;
  if (type == DESCRIPTOR_F64)
    return (int64_t)value->f64;
  return legacy_read_integer (type, value);
}

static void __attribute__ ((format (printf, 2, 3))) cannot (LegacyOutcome *outcome, const char *format, ...)
{
  va_list arguments;

  va_start (arguments, format);
  vsnprintf (outcome->text, sizeof outcome->text, format, arguments);
  va_end (arguments);
}

/* ---- the input ---- */

/* Finds word @number (from 1) of @text: its length, 0 if there are fewer. */
static size_t
find_word (const char **text, unsigned number)
{
  const char *at = *text + strspn (*text, " \t\n");

  for (unsigned i = 1; i < number; i++)
    {
      at += strcspn (at, " \t\n");
      at += strspn (at, " \t\n");
    }
  *text = at;
  return strcspn (at, " \t\n");
}

static bool
read_number (const DescriptorArg *arg, const char *text, LegacyValue *value)
{
  static const int64_t least[]
      = { [DESCRIPTOR_INT] = INT32_MIN, [DESCRIPTOR_I8] = INT8_MIN,   [DESCRIPTOR_I16] = INT16_MIN,
          [DESCRIPTOR_I32] = INT32_MIN, [DESCRIPTOR_I64] = INT64_MIN, [DESCRIPTOR_U64] = 0 };
  static const uint64_t most[]
      = { [DESCRIPTOR_INT] = INT32_MAX,  [DESCRIPTOR_I8] = INT8_MAX,    [DESCRIPTOR_I16] = INT16_MAX,
          [DESCRIPTOR_I32] = INT32_MAX,  [DESCRIPTOR_I64] = INT64_MAX,  [DESCRIPTOR_U8] = UINT8_MAX,
          [DESCRIPTOR_U16] = UINT16_MAX, [DESCRIPTOR_U32] = UINT32_MAX, [DESCRIPTOR_U64] = UINT64_MAX };
  char *end;

  errno = 0;
  if (arg->type == DESCRIPTOR_F32 || arg->type == DESCRIPTOR_F64)
    {
      double real = strtod (text, &end);

      if (arg->type == DESCRIPTOR_F32)
        value->f32 = (float)real;
      else
        value->f64 = real;
    }
  else if (text[0] == '-')
    {
      value->integer = strtoll (text, &end, 10);
      if (value->integer < least[arg->type])
        return false;
    }
  else
    {
      uint64_t number = strtoull (text, &end, 10);

      if (number > most[arg->type])
        return false;
      value->integer = (int64_t)number;
    }
  return end != text && *end == '\0' && errno == 0;
}

/* The input, or a word of it, as text or number. */
static bool
set_input (Legacy *legacy, unsigned index, const DescriptorArg *arg, LegacyValue *value,
           LegacyOutcome *outcome)
{
  const char *text = legacy_get_text (legacy, DESCRIPTOR_VARIABLE_INPUT);
  size_t length = strlen (text);

  if (arg->word > 0)
    {
      length = find_word (&text, arg->word);
      if (length == 0)
        {
          cannot (outcome, "needs at least %u word%s", arg->word, arg->word == 1 ? "" : "s");
          return false;
        }
      if (arg->is_rest)
        length = strlen (text);
    }
  free (legacy->words[index]);
  legacy->words[index] = strndup (text, length);
  if (legacy->words[index] == NULL)
    {
      cannot (outcome, "out of memory");
      return false;
    }
  if (arg->kind == DESCRIPTOR_ARG_LEN)
    value->integer = (int64_t)length;
  else if (arg->type == DESCRIPTOR_CSTR)
    value->pointer = legacy->words[index];
  else if (!read_number (arg, legacy->words[index], value))
    {
      cannot (outcome, "'%.40s' is not a number it takes", legacy->words[index]);
      return false;
    }
  return true;
}

/* ---- arguments ---- */

static void
set_in (Legacy *legacy, const DescriptorArg *arg, const Making *making, LegacyValue *value)
{
  switch (arg->variable)
    {
    case DESCRIPTOR_VARIABLE_OWN:
      *value = legacy->own[arg->own];
      break;
    case DESCRIPTOR_VARIABLE_OUTPUT: /* of free= */
      *value = making->given;
      break;
    case DESCRIPTOR_VARIABLE_CODE:
      value->integer = making->code;
      break;
    case DESCRIPTOR_VARIABLE_COUNT:
      value->integer = making->count;
      break;
    default:
      if (descriptor_type_is_integer (arg->type))
        value->integer = legacy_get_integer (legacy, arg->variable, arg->time);
      else if (arg->type == DESCRIPTOR_PTR)
        value->pointer = legacy->request.seed;
      else
        value->pointer = legacy_get_text (legacy, arg->variable);
      break;
    }
}

static void
set_literal (const DescriptorArg *arg, LegacyValue *value)
{
  if (arg->type == DESCRIPTOR_F32)
    value->f32 = (float)arg->real;
  else if (arg->type == DESCRIPTOR_F64)
    value->f64 = arg->real;
  else if (arg->type == DESCRIPTOR_CSTR)
    value->pointer = (char *)(uintptr_t)arg->text;
  else
    value->integer = arg->integer;
}

static int64_t
length_of (Legacy *legacy, const DescriptorArg *arg)
{
  const char *text = arg->variable == DESCRIPTOR_VARIABLE_OWN ? legacy->own[arg->own].pointer
                                                              : legacy_get_text (legacy, arg->variable);

  return text != NULL ? (int64_t)strlen (text) : 0;
}

/* False: @outcome says why the argument cannot be given. */
static bool
set_arg (Legacy *legacy, unsigned index, const DescriptorArg *arg, Making *making, LegacyOutcome *outcome)
{
  LegacyValue *value = &making->values[index];
  LegacyValue *cell = &making->cells[index];

  switch (arg->kind)
    {
    case DESCRIPTOR_ARG_IN:
      if (arg->variable == DESCRIPTOR_VARIABLE_INPUT)
        return set_input (legacy, index, arg, value, outcome);
      set_in (legacy, arg, making, value);
      break;
    case DESCRIPTOR_ARG_LITERAL:
      set_literal (arg, value);
      break;
    case DESCRIPTOR_ARG_INOUT:
      set_in (legacy, arg, making, cell);
      value->pointer = cell;
      break;
    case DESCRIPTOR_ARG_OUT:
      value->pointer = cell;
      break;
    case DESCRIPTOR_ARG_BUFFER:
      value->pointer
          = arg->variable == DESCRIPTOR_VARIABLE_OWN ? legacy->own[arg->own].pointer : (void *)legacy->output;
      memset (value->pointer, 0, arg->size);
      break;
    case DESCRIPTOR_ARG_SIZEOF:
      value->integer = arg->size;
      break;
    case DESCRIPTOR_ARG_ROOM:
      cell->integer = arg->size;
      value->pointer = cell;
      break;
    case DESCRIPTOR_ARG_LEN:
      if (arg->variable == DESCRIPTOR_VARIABLE_INPUT)
        return set_input (legacy, index, arg, value, outcome);
      value->integer = length_of (legacy, arg);
      break;
    case DESCRIPTOR_ARG_CALLBACK:
      value->pointer = legacy->provides[arg->provide].code;
      break;
    case DESCRIPTOR_ARG_TABLE:
      value->pointer = legacy->tables[arg->provide];
      break;
    case DESCRIPTOR_ARG_NULL:
      break;
    }
  return true;
}

/* ---- results ---- */

static void
put_output (Legacy *legacy, LegacyOutcome *outcome, const char *text, size_t length)
{
  size_t room = DESCRIPTOR_MAX_BUFFER - outcome->length;

  if (length > room)
    length = room;
  memmove (legacy->output + outcome->length, text, length);
  outcome->length += length;
  legacy->output[outcome->length] = '\0';
  outcome->has_output = true;
}

static void give_back (Legacy *legacy, const DescriptorCall *call, const LegacyCall *prepared, void *text,
                       int64_t count);

/* Copies text the object gave to Legacy.output, and gives it back. */
static void
take_text (Legacy *legacy, const DescriptorCall *call, const LegacyCall *prepared, char *text,
           LegacyOutcome *outcome)
{
  if (text == NULL)
    return;
  outcome->length = 0;
  put_output (legacy, outcome, text, strnlen (text, DESCRIPTOR_MAX_BUFFER));
  give_back (legacy, call, prepared, text, outcome->code);
}

/* The same for a list of texts, a line for each. How many there are says the call's result if that is a whole
 * number, else a NULL at its end. */
static void
take_list (Legacy *legacy, const DescriptorCall *call, const LegacyCall *prepared, char **list,
           LegacyOutcome *outcome)
{
  bool is_counted = descriptor_type_is_integer (call->signature.result);
  int64_t count = is_counted ? outcome->code : MAX_LIST;
  int64_t n = 0;

  if (list == NULL || count < 0)
    return;
  outcome->length = 0;
  for (; n < count && n < MAX_LIST && list[n] != NULL; n++)
    {
      if (n > 0)
        put_output (legacy, outcome, "\n", 1);
      put_output (legacy, outcome, list[n], strnlen (list[n], DESCRIPTOR_MAX_BUFFER));
    }
  give_back (legacy, call, prepared, list, is_counted ? count : n);
}

/* The length a call wrote where it was given a buffer's size. */
static void
take_length (Legacy *legacy, const DescriptorArg *arg, const Making *making, unsigned index,
             LegacyOutcome *outcome)
{
  int64_t length = widen (arg->type, &making->cells[index]);

  if (length < 0 || length > arg->size)
    length = arg->size;
  if (arg->variable == DESCRIPTOR_VARIABLE_OWN)
    {
      if (length < arg->size)
        ((char *)legacy->own[arg->own].pointer)[length] = '\0';
      return;
    }
  outcome->length = (size_t)length;
  legacy->output[length] = '\0';
}

static void
take_args (Legacy *legacy, const DescriptorCall *call, const LegacyCall *prepared, Making *making,
           LegacyOutcome *outcome)
{
  const DescriptorSignature *signature = &call->signature;

  for (unsigned i = 0; i < signature->n_args; i++)
    if (signature->args[i].kind == DESCRIPTOR_ARG_BUFFER
        && signature->args[i].variable == DESCRIPTOR_VARIABLE_OUTPUT)
      {
        legacy->output[signature->args[i].size] = '\0'; /* the buffer may be full to the last byte */
        outcome->has_output = true;
        outcome->length
            = call->show == DESCRIPTOR_SHOW_HEX ? signature->args[i].size : strlen (legacy->output);
      }
  for (unsigned i = 0; i < signature->n_args; i++)
    {
      const DescriptorArg *arg = &signature->args[i];

      if (arg->kind == DESCRIPTOR_ARG_ROOM)
        take_length (legacy, arg, making, i, outcome);
      else if (arg->kind != DESCRIPTOR_ARG_OUT && arg->kind != DESCRIPTOR_ARG_INOUT)
        continue;
      else if (arg->variable == DESCRIPTOR_VARIABLE_EXPIRES)
        outcome->expires = legacy_time_from_plugin (arg->time, widen (arg->type, &making->cells[i]));
      else if (arg->variable == DESCRIPTOR_VARIABLE_OUTPUT && arg->kind == DESCRIPTOR_ARG_OUT)
        {
          if (arg->type == DESCRIPTOR_LIST)
            take_list (legacy, call, prepared, making->cells[i].pointer, outcome);
          else
            take_text (legacy, call, prepared, making->cells[i].pointer, outcome);
        }
      else if (arg->variable == DESCRIPTOR_VARIABLE_OWN)
        legacy->own[arg->own] = making->cells[i];
    }
}

static void
show_bytes (Legacy *legacy, LegacyOutcome *outcome)
{
  static const char digits[] = "0123456789abcdef";
  size_t length = outcome->length < DESCRIPTOR_MAX_BUFFER / 2 ? outcome->length : DESCRIPTOR_MAX_BUFFER / 2;

  /* From the end, so that no byte is overwritten before it was read. */
  for (size_t i = length; i > 0; i--)
    {
      uint8_t byte = (uint8_t)legacy->output[i - 1];

      legacy->output[2 * i - 1] = digits[byte & 15];
      legacy->output[2 * i - 2] = digits[byte >> 4];
    }
  outcome->length = 2 * length;
  legacy->output[outcome->length] = '\0';
}

/* The answer of a command that does not give it as text. */
static void
show (Legacy *legacy, const DescriptorCall *call, const LegacyValue *result, LegacyOutcome *outcome)
{
  char number[64] = "";

  if (call->show == DESCRIPTOR_SHOW_HEX && outcome->has_output)
    {
      show_bytes (legacy, outcome);
      return;
    }
  if (call->show == DESCRIPTOR_SHOW_HEX)
    snprintf (number, sizeof number, "%llx", (unsigned long long)outcome->code);
  else if (call->signature.result == DESCRIPTOR_F32)
    snprintf (number, sizeof number, "%.7g", (double)result->f32);
  else if (call->signature.result == DESCRIPTOR_F64)
    snprintf (number, sizeof number, "%.15g", result->f64);
  else if (call->signature.result == DESCRIPTOR_U64)
    snprintf (number, sizeof number, "%llu", (unsigned long long)outcome->code);
  else
    snprintf (number, sizeof number, "%lld", (long long)outcome->code);
  outcome->length = 0;
  put_output (legacy, outcome, number, strlen (number));
}

/* Sets Legacy.own and the code; text waits until the arguments are taken. */
static void
take_result (Legacy *legacy, const DescriptorSignature *signature, const LegacyValue *result,
             LegacyOutcome *outcome)
{
  switch (signature->result)
    {
    case DESCRIPTOR_VOID:
      break;
    case DESCRIPTOR_HANDLE:
      legacy->own[signature->result_own] = *result;
      outcome->code = result->pointer != NULL;
      break;
    case DESCRIPTOR_PTR:
    case DESCRIPTOR_CSTR:
    case DESCRIPTOR_LIST:
      outcome->code = result->pointer != NULL;
      break;
    default:
      outcome->code = widen (signature->result, result);
      break;
    }
}

/* ---- the call ---- */

/* The function behind a handle's slots. NULL: @outcome says what is not there. */
static void *
find_slot (const Legacy *legacy, const DescriptorSignature *signature, LegacyOutcome *outcome)
{
  void *at = legacy->own[signature->table].pointer;

  for (unsigned i = 0; i < signature->n_slots && at != NULL; i++)
    at = ((void **)at)[signature->slots[i]];
  if (at == NULL)
    cannot (outcome, "the handle '%s' leads to no function in slot %u", signature->symbol,
            signature->slots[signature->n_slots - 1]);
  return at;
}

/* Begins and ends the time in which a callback's `output` belongs to this call. */
static void
set_listening (Legacy *legacy, bool is_listening)
{
  pthread_mutex_lock (&legacy->lock);
  legacy->is_listening = is_listening;
  if (is_listening)
    legacy->n_said = 0;
  pthread_mutex_unlock (&legacy->lock);
}

static bool
make (Legacy *legacy, const DescriptorCall *call, LegacyCall *prepared, Making *making, LegacyValue *result,
      LegacyOutcome *outcome)
{
  const DescriptorSignature *signature = &call->signature;
  union
  {
    void *data;
    void (*code) (void);
  } function = { .code = prepared->function };

  for (unsigned i = 0; i < signature->n_args; i++)
    {
      if (!set_arg (legacy, i, &signature->args[i], making, outcome))
        return false;
      making->pointers[i] = &making->values[i];
    }
  if (signature->n_slots > 0 && (function.data = find_slot (legacy, signature, outcome)) == NULL)
    return false;
  ffi_call (&prepared->cif, function.code, result, making->pointers);
  return true;
}

static void
give_back (Legacy *legacy, const DescriptorCall *call, const LegacyCall *prepared, void *text, int64_t count)
{
  Making making = { .given = { .pointer = text }, .count = count };
  LegacyOutcome outcome = { .class = DESCRIPTOR_CLASS_ERROR };
  LegacyValue result = { 0 };

  if (prepared->free_text != NULL)
    prepared->free_text (text);
  else if (call->free_call >= 0)
    (void)make (legacy, &legacy->load.descriptor->calls[call->free_call], &legacy->calls[call->free_call],
                &making, &result, &outcome);
}

void
legacy_call (Legacy *legacy, unsigned index, const char *input, int64_t code, LegacyOutcome *outcome)
{
  const DescriptorCall *call = &legacy->load.descriptor->calls[index];
  LegacyCall *prepared = &legacy->calls[index];
  Making making = { .code = code };
  LegacyValue result = { 0 };
  const char *meaning;

  memset (outcome, 0, sizeof *outcome);
  outcome->class = DESCRIPTOR_CLASS_ERROR;
  if (input != NULL)
    {
      free (legacy->input);
      legacy->input = strdup (input);
      set_listening (legacy, true);
    }
  outcome->was_made = make (legacy, call, prepared, &making, &result, outcome);
  if (input != NULL)
    set_listening (legacy, false);
  if (!outcome->was_made)
    return;

  take_result (legacy, &call->signature, &result, outcome);
  take_args (legacy, call, prepared, &making, outcome);
  if (call->signature.result == DESCRIPTOR_CSTR)
    take_text (legacy, call, prepared, result.pointer, outcome);
  else if (call->signature.result == DESCRIPTOR_LIST)
    take_list (legacy, call, prepared, result.pointer, outcome);
  if (call->show != DESCRIPTOR_SHOW_TEXT)
    show (legacy, call, &result, outcome);
  if (input != NULL && legacy->n_said > 0 && !outcome->has_output)
    put_output (legacy, outcome, legacy->said, legacy->n_said);
  outcome->class = descriptor_call_judge (call, outcome->code, &meaning);
  snprintf (outcome->text, sizeof outcome->text, "%s", meaning);
}

const char *
legacy_explain (Legacy *legacy, const DescriptorCall *call, LegacyOutcome *outcome)
{
  LegacyOutcome message;

  if (outcome->text[0] != '\0')
    return outcome->text;
  if (legacy->load.descriptor->message_call >= 0)
    {
      legacy_call (legacy, (unsigned)legacy->load.descriptor->message_call, NULL, outcome->code, &message);
      if (message.has_output && legacy->output[0] != '\0')
        return legacy->output;
    }
  snprintf (outcome->text, sizeof outcome->text, "%.100s returned %lld", call->signature.symbol,
            (long long)outcome->code);
  return outcome->text;
}
