#include "plugin-abi/runner/legacy.h"
#include "plugin-abi/runner/legacy-stub.h"

#include <host/module.h>
#include <stdlib.h>
#include <string.h>

/* What an imported symbol returns as text or number. */
static const char *
text_of (const ClientLoad *load, DescriptorVariable variable)
{
  switch (variable)
    {
    case DESCRIPTOR_VARIABLE_USER:
      return load->user;
    case DESCRIPTOR_VARIABLE_JID:
      return load->jid;
    case DESCRIPTOR_VARIABLE_DOMAIN:
      return load->domain;
    case DESCRIPTOR_VARIABLE_SERIAL:
      return load->serial;
    case DESCRIPTOR_VARIABLE_DATADIR:
      return load->datadir;
    case DESCRIPTOR_VARIABLE_LOCALE:
      return load->locale;
    default:
      return "";
    }
}

static int64_t
integer_of (DescriptorType type, const void *value)
{
  switch (type)
    {
    case DESCRIPTOR_I8:
      return *(const int8_t *)value;
    case DESCRIPTOR_I16:
      return *(const int16_t *)value;
    case DESCRIPTOR_U8:
      return *(const uint8_t *)value;
    case DESCRIPTOR_U16:
      return *(const uint16_t *)value;
    case DESCRIPTOR_U32:
      return *(const uint32_t *)value;
    case DESCRIPTOR_I64:
    case DESCRIPTOR_U64:
      return *(const int64_t *)value;
    default:
      return *(const int32_t *)value;
    }
}

static const char *
text_arg (int8_t index, void **args, const char *instead)
{
  const char *text = index >= 0 ? *(const char **)args[index] : NULL;

  return text != NULL ? text : instead;
}

/* Old hosts numbered their levels like syslog: 3 and less are errors, 4 a warning. */
static uint32_t
log_level (const DescriptorProvide *provide, void **args)
{
  int64_t level;

  if (provide->level_arg < 0)
    return HOST_LOG_INFO;
  level = integer_of (provide->args[provide->level_arg], args[provide->level_arg]);
  return level <= 3 ? HOST_LOG_ERROR : level == 4 ? HOST_LOG_WARNING : HOST_LOG_INFO;
}

static void
notify (Runner *runner, const char *title, const char *text)
{
  Frame *frame = malloc (sizeof *frame);

  if (frame == NULL)
    return;
  frame_begin (frame, FRAME_OP_NOTIFY, FRAME_EVENT, 0);
  frame_put_text_len (frame, title, strnlen (title, 200));
  frame_put_text_len (frame, text, strnlen (text, 2000));
  (void)runner_tell (runner, frame);
  free (frame);
}

/* Any of the object's threads may come here. */
static void
run_provide (ffi_cif *cif, void *result, void **args, void *user_data)
{
  LegacyProvide *self = user_data;
  const DescriptorProvide *provide = self->provide;
  const ClientLoad *load = &self->legacy->load;
  int64_t number = 0;

  switch (provide->action)
    {
    case DESCRIPTOR_DO_NOTHING:
      number = provide->value;
      break;
    case DESCRIPTOR_DO_VALUE:
      number = load->expiry;
      break;
    case DESCRIPTOR_DO_LOG:
      runner_log (self->legacy->runner, log_level (provide, args), text_arg (provide->text_arg, args, ""));
      break;
    case DESCRIPTOR_DO_NOTIFY:
      notify (self->legacy->runner, text_arg (provide->title_arg, args, ""),
              text_arg (provide->text_arg, args, ""));
      break;
    case DESCRIPTOR_DO_FUNCTION:
      *(const char **)result
          = legacy_function_run (self->legacy, provide->function, text_arg (provide->text_arg, args, ""));
      return;
    }
  if (provide->result == DESCRIPTOR_CSTR && provide->action == DESCRIPTOR_DO_VALUE)
    *(const char **)result = text_of (load, provide->variable);
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
  legacy->stub_fd = legacy_stub_open ();
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
  if (descriptor->n_provides == 0)
    return true;
  table = legacy_stub_load (legacy->stub_fd, names, descriptor->n_provides, reason);
  if (table == NULL)
    return false;
  for (unsigned i = 0; i < descriptor->n_provides; i++)
    table[i] = legacy->provides[i].code;
  return true;
}
