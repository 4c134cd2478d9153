#include "plugin-abi/runner/legacy.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* One call in the making: values, and for pointers to values where they point. */
typedef struct
{
  LegacyValue values[DESCRIPTOR_MAX_ARGS];
  LegacyValue cells[DESCRIPTOR_MAX_ARGS]; /* what out and inout arguments point to */
  void *pointers[DESCRIPTOR_MAX_ARGS];    /* to the values, for libffi */
} Making;

static int64_t
time_from_plugin (DescriptorTime format, int64_t value)
{
  struct tm day = { 0 };

  if (value <= 0)
    return 0;
  switch (format)
    {
    case DESCRIPTOR_TIME_MS:
      return value / 1000;
    case DESCRIPTOR_TIME_YYYYMMDD:
      if (value > 99991231)
        return 0;
      day.tm_year = (int)(value / 10000) - 1900;
      day.tm_mon = (int)(value / 100 % 100) - 1;
      day.tm_mday = (int)(value % 100) + 1;
      return timegm (&day);
    default:
      return value;
    }
}

static int64_t
time_to_plugin (DescriptorTime format, int64_t seconds)
{
  struct tm day;
  time_t time = (time_t)seconds;

  if (seconds <= 0)
    return 0;
  if (format == DESCRIPTOR_TIME_MS)
    return seconds * 1000;
  if (format == DESCRIPTOR_TIME_S || gmtime_r (&time, &day) == NULL)
    return seconds;
  return (day.tm_year + 1900) * 10000 + (day.tm_mon + 1) * 100 + day.tm_mday;
}

static char *
text_of (Legacy *legacy, const DescriptorArg *arg)
{
  switch (arg->variable)
    {
    case DESCRIPTOR_VARIABLE_USER:
      return legacy->load.user;
    case DESCRIPTOR_VARIABLE_JID:
      return legacy->load.jid;
    case DESCRIPTOR_VARIABLE_DOMAIN:
      return legacy->load.domain;
    case DESCRIPTOR_VARIABLE_SERIAL:
      return legacy->load.serial;
    case DESCRIPTOR_VARIABLE_DATADIR:
      return legacy->load.datadir;
    case DESCRIPTOR_VARIABLE_LOCALE:
      return legacy->load.locale;
    case DESCRIPTOR_VARIABLE_INPUT:
      return legacy->input;
    case DESCRIPTOR_VARIABLE_OWN:
      return legacy->own[arg->own].pointer;
    default:
      return NULL;
    }
}

/* Widens what an integer of @type left in memory. */
static int64_t
widen (DescriptorType type, const LegacyValue *value)
{
  switch (type)
    {
    case DESCRIPTOR_I8:
      return (int8_t)value->integer;
    case DESCRIPTOR_I16:
      return (int16_t)value->integer;
    case DESCRIPTOR_INT:
    case DESCRIPTOR_I32:
      return (int32_t)value->integer;
    case DESCRIPTOR_BOOL:
    case DESCRIPTOR_U8:
      return (uint8_t)value->integer;
    case DESCRIPTOR_U16:
      return (uint16_t)value->integer;
    case DESCRIPTOR_U32:
      return (uint32_t)value->integer;
    case DESCRIPTOR_F32:
      return (int64_t)value->f32;
    case DESCRIPTOR_F64:
      return (int64_t)value->f64;
    default:
      return value->integer;
    }
}

static void
set_in (Legacy *legacy, const DescriptorArg *arg, int64_t code, LegacyValue *value)
{
  switch (arg->variable)
    {
    case DESCRIPTOR_VARIABLE_OWN:
      *value = legacy->own[arg->own];
      break;
    case DESCRIPTOR_VARIABLE_EXPIRY:
      value->integer = time_to_plugin (arg->time, legacy->load.expiry);
      break;
    case DESCRIPTOR_VARIABLE_CODE:
      value->integer = code;
      break;
    default:
      value->pointer = text_of (legacy, arg);
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

static void
set_arg (Legacy *legacy, const DescriptorArg *arg, int64_t code, LegacyValue *value, LegacyValue *cell)
{
  const char *text;

  switch (arg->kind)
    {
    case DESCRIPTOR_ARG_IN:
      set_in (legacy, arg, code, value);
      break;
    case DESCRIPTOR_ARG_LITERAL:
      set_literal (arg, value);
      break;
    case DESCRIPTOR_ARG_INOUT:
      *cell = legacy->own[arg->own];
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
    case DESCRIPTOR_ARG_LEN:
      text = text_of (legacy, arg);
      value->integer = text != NULL ? (int64_t)strlen (text) : 0;
      break;
    case DESCRIPTOR_ARG_CALLBACK:
      value->pointer = legacy->provides[arg->provide].code;
      break;
    case DESCRIPTOR_ARG_NULL:
      break;
    }
}

/* Copies text the object gave to Legacy.output, and gives it back. */
static void
take_text (Legacy *legacy, const LegacyCall *prepared, char *text, LegacyOutcome *outcome)
{
  size_t length;

  if (text == NULL)
    return;
  length = strnlen (text, DESCRIPTOR_MAX_BUFFER);
  memmove (legacy->output, text, length);
  legacy->output[length] = '\0';
  outcome->has_output = true;
  if (prepared->free_text != NULL)
    prepared->free_text (text);
}

static void
take_args (Legacy *legacy, const DescriptorSignature *signature, const LegacyCall *prepared, Making *making,
           LegacyOutcome *outcome)
{
  for (unsigned i = 0; i < signature->n_args; i++)
    {
      const DescriptorArg *arg = &signature->args[i];

      if (arg->kind == DESCRIPTOR_ARG_BUFFER && arg->variable == DESCRIPTOR_VARIABLE_OUTPUT)
        {
          legacy->output[arg->size] = '\0'; /* the buffer may be full to the last byte */
          outcome->has_output = true;
        }
      else if (arg->kind != DESCRIPTOR_ARG_OUT && arg->kind != DESCRIPTOR_ARG_INOUT)
        continue;
      else if (arg->variable == DESCRIPTOR_VARIABLE_EXPIRES)
        outcome->expires = time_from_plugin (arg->time, widen (arg->type, &making->cells[i]));
      else if (arg->variable == DESCRIPTOR_VARIABLE_OUTPUT)
        take_text (legacy, prepared, making->cells[i].pointer, outcome);
      else if (arg->variable == DESCRIPTOR_VARIABLE_OWN)
        legacy->own[arg->own] = making->cells[i];
    }
}

void
legacy_call (Legacy *legacy, unsigned index, const char *input, int64_t code, LegacyOutcome *outcome)
{
  const DescriptorCall *call = &legacy->load.descriptor->calls[index];
  const DescriptorSignature *signature = &call->signature;
  LegacyCall *prepared = &legacy->calls[index];
  LegacyValue result = { 0 };
  Making making;

  memset (&making, 0, sizeof making);
  memset (outcome, 0, sizeof *outcome);
  if (input != NULL)
    {
      free (legacy->input);
      legacy->input = strdup (input);
    }
  for (unsigned i = 0; i < signature->n_args; i++)
    {
      set_arg (legacy, &signature->args[i], code, &making.values[i], &making.cells[i]);
      making.pointers[i] = &making.values[i];
    }

  ffi_call (&prepared->cif, prepared->function, &result, making.pointers);

  take_args (legacy, signature, prepared, &making, outcome);
  switch (signature->result)
    {
    case DESCRIPTOR_VOID:
      break;
    case DESCRIPTOR_HANDLE:
      legacy->own[signature->result_own] = result;
      outcome->code = result.pointer != NULL;
      break;
    case DESCRIPTOR_PTR:
      outcome->code = result.pointer != NULL;
      break;
    case DESCRIPTOR_CSTR:
      outcome->code = result.pointer != NULL;
      take_text (legacy, prepared, result.pointer, outcome);
      break;
    default:
      outcome->code = widen (signature->result, &result);
      break;
    }
  outcome->class = descriptor_call_classify (call, outcome->code);
}
