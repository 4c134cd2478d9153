#include "plugin-abi/runner/legacy.h"

#include <host/module.h>
#include <stdlib.h>
#include <string.h>

static const char *
text_arg (int8_t index, void **args)
{
  const char *text = index >= 0 ? *(const char **)args[index] : NULL;

  return text != NULL ? text : "";
}

static int64_t
integer_arg (const DescriptorProvide *provide, int8_t index, void **args)
{
  return index >= 0 ? legacy_read_integer (provide->args[index], args[index]) : 0;
}

/* The text of a deed: to its NUL, or as long as the object says. */
static size_t
text_length (const DescriptorProvide *provide, void **args, size_t most)
{
  const char *text = text_arg (provide->text_arg, args);
  int64_t length = integer_arg (provide, provide->length_arg, args);

  if (provide->length_arg < 0)
    return strnlen (text, most);
  return length <= 0 ? 0 : strnlen (text, (uint64_t)length < most ? (size_t)length : most);
}

/* Old hosts numbered their levels like syslog: 3 and less are errors, 4 a warning. */
static uint32_t
log_level (const DescriptorProvide *provide, void **args)
{
  int64_t level = integer_arg (provide, provide->level_arg, args);

  if (provide->level_arg < 0)
    return HOST_LOG_INFO;
  return level <= 3 ? HOST_LOG_ERROR : level == 4 ? HOST_LOG_WARNING : HOST_LOG_INFO;
}

static void
log_text (Legacy *legacy, const DescriptorProvide *provide, void **args)
{
  char line[512];
  size_t length = text_length (provide, args, sizeof line - 1);

  memcpy (line, text_arg (provide->text_arg, args), length);
  line[length] = '\0';
  runner_log (legacy->runner, log_level (provide, args), line);
}

static void
notify (Runner *runner, const DescriptorProvide *provide, void **args)
{
  const char *title = text_arg (provide->title_arg, args);
  Frame *frame = malloc (sizeof *frame);

  if (frame == NULL)
    return;
  frame_begin (frame, FRAME_OP_NOTIFY, FRAME_EVENT, 0);
  frame_put_text_len (frame, title, strnlen (title, 200));
  frame_put_text_len (frame, text_arg (provide->text_arg, args), text_length (provide, args, 2000));
  (void)runner_tell (runner, frame);
  free (frame);
}

/* Adds to the answer of the command that runs. What comes when none does, or is too much, is dropped. */
static void
say (Legacy *legacy, const DescriptorProvide *provide, void **args)
{
  size_t length;

  pthread_mutex_lock (&legacy->lock);
  if (legacy->is_listening)
    {
      length = text_length (provide, args, DESCRIPTOR_MAX_BUFFER - legacy->n_said);
      memcpy (legacy->said + legacy->n_said, text_arg (provide->text_arg, args), length);
      legacy->n_said += length;
      legacy->said[legacy->n_said] = '\0';
    }
  pthread_mutex_unlock (&legacy->lock);
}

/* Writes a variable to the object's buffer: its length, or -1 and an empty text if there is no room for it.
 */
static int64_t
copy (Legacy *legacy, const DescriptorProvide *provide, void **args)
{
  char *buffer = *(char **)args[provide->buffer_arg];
  int64_t size = integer_arg (provide, provide->size_arg, args);
  const char *text = legacy_get_text (legacy, provide->variable);
  size_t length = strlen (text);

  if (buffer == NULL || size <= 0)
    return -1;
  if ((uint64_t)size <= length)
    {
      buffer[0] = '\0';
      return -1;
    }
  memcpy (buffer, text, length + 1);
  return provide->has_value ? provide->value : (int64_t)length;
}

/* Any of the object's threads may come here. */
static void
run_provide (ffi_cif *cif, void *result, void **args, void *user_data)
{
  LegacyProvide *self = user_data;
  const DescriptorProvide *provide = self->provide;
  Legacy *legacy = self->legacy;
  int64_t number = provide->value;

  switch (provide->action)
    {
    case DESCRIPTOR_DO_NOTHING:
      break;
    case DESCRIPTOR_DO_VALUE:
      number = legacy_get_integer (legacy, provide->variable, provide->time);
      break;
    case DESCRIPTOR_DO_LOG:
      log_text (legacy, provide, args);
      break;
    case DESCRIPTOR_DO_NOTIFY:
      notify (legacy->runner, provide, args);
      break;
    case DESCRIPTOR_DO_OUTPUT:
      say (legacy, provide, args);
      break;
    case DESCRIPTOR_DO_COPY:
      number = copy (legacy, provide, args);
      break;
    case DESCRIPTOR_DO_FUNCTION:
      *(const char **)result
          = legacy_function_run (legacy, provide->target, text_arg (provide->text_arg, args));
      return;
    case DESCRIPTOR_DO_PURCHASE:
      number = legacy_purchase_poll (legacy, provide->target);
      break;
    case DESCRIPTOR_DO_READY:
      legacy_thread_say_ready (legacy);
      break;
    }
  if (provide->result == DESCRIPTOR_CSTR)
    *(const char **)result = legacy_get_text (legacy, provide->variable);
  else if (provide->result == DESCRIPTOR_F32)
    *(float *)result = 0;
  else if (provide->result == DESCRIPTOR_F64)
    *(double *)result = 0;
  else if (provide->result != DESCRIPTOR_VOID)
    *(ffi_sarg *)result = (ffi_sarg)number;
}

bool
legacy_provide_prepare (Legacy *legacy, const char **reason)
{
  for (unsigned i = 0; i < DESCRIPTOR_MAX_PROVIDES; i++)
    {
      LegacyProvide *self = &legacy->provides[i];

      self->closure = ffi_closure_alloc (sizeof *self->closure, &self->code);
      if (self->closure == NULL)
        {
          *reason = "no memory for callbacks";
          return false;
        }
    }
  return true;
}

bool
legacy_provide_define (Legacy *legacy, const char **reason)
{
  const Descriptor *descriptor = legacy->load.descriptor;
  const char *names[DESCRIPTOR_MAX_PROVIDES];
  void **table;

  for (unsigned i = 0; i < descriptor->n_provides; i++)
    {
      LegacyProvide *self = &legacy->provides[i];

      self->legacy = legacy;
      self->provide = &descriptor->provides[i];
      names[i] = self->provide->name;
      for (unsigned j = 0; j < self->provide->n_args; j++)
        self->types[j] = legacy_ffi_type (self->provide->args[j]);
      if (ffi_prep_cif (&self->cif, FFI_DEFAULT_ABI, self->provide->n_args,
                        legacy_ffi_type (self->provide->result), self->types)
              != FFI_OK
          || ffi_prep_closure_loc (self->closure, &self->cif, run_provide, self, self->code) != FFI_OK)
        {
          *reason = "callbacks are not supported on this machine";
          return false;
        }
    }
  table = descriptor->n_provides > 0 ? legacy_stub_load (&legacy->stub, names, descriptor->n_provides, reason)
                                     : NULL;
  legacy_stub_close (&legacy->stub);
  for (unsigned i = 0; table != NULL && i < descriptor->n_provides; i++)
    table[i] = legacy->provides[i].code;
  return table != NULL || descriptor->n_provides == 0;
}
