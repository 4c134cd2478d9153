/* Descriptors are strangers' text. What is read must be consistent: no index points outside its list, and no
 * string outside the descriptor's own text. The first byte chooses the kind. */
#include "common/module/descriptor.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
claim (bool is_true)
{
  if (!is_true)
    abort ();
}

static void
check_signature (const Descriptor *descriptor, const DescriptorSignature *signature)
{
  claim (signature->n_args <= DESCRIPTOR_MAX_ARGS);
  claim (strlen (signature->symbol) >= 1);
  for (unsigned i = 0; i < signature->n_args; i++)
    {
      const DescriptorArg *arg = &signature->args[i];

      claim (arg->type != DESCRIPTOR_VOID);
      claim (arg->size <= DESCRIPTOR_MAX_BUFFER);
      if (arg->variable == DESCRIPTOR_VARIABLE_OWN)
        claim (arg->own < descriptor->n_own);
      if (arg->kind == DESCRIPTOR_ARG_CALLBACK)
        claim (arg->provide < descriptor->n_provides);
      if (arg->kind == DESCRIPTOR_ARG_SIZEOF || arg->kind == DESCRIPTOR_ARG_BUFFER)
        claim (arg->size > 0);
    }
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  DescriptorError error;
  Descriptor *descriptor;

  if (size < 1)
    return 0;
  descriptor = descriptor_parse ("fuzz", data[0] == 'n' ? DESCRIPTOR_NATIVE : DESCRIPTOR_LEGACY,
                                 (const char *)data + 1, size - 1, &error);
  if (descriptor == NULL)
    {
      claim (strncmp (error.text, "fuzz: ", 6) == 0);
      return 0;
    }
  claim (strlen (descriptor->sha256) == 64 && strchr (descriptor->object, '/') == NULL);
  claim (descriptor->n_calls <= DESCRIPTOR_MAX_CALLS && descriptor->n_own <= DESCRIPTOR_MAX_OWN);
  claim (descriptor->message_call < descriptor->n_calls);
  for (unsigned i = 0; i < descriptor->n_calls; i++)
    {
      check_signature (descriptor, &descriptor->calls[i].signature);
      (void)descriptor_class_name (descriptor_call_classify (&descriptor->calls[i], (int64_t)size));
    }
  for (unsigned i = 0; i < DESCRIPTOR_N_PHASES; i++)
    for (unsigned j = 0; j < descriptor->phases[i].n_steps; j++)
      claim (descriptor->phases[i].steps[j] < descriptor->n_calls);
  for (unsigned i = 0; i < descriptor->n_commands; i++)
    claim (descriptor->commands[i].call < descriptor->n_calls);
  for (unsigned i = 0; i < descriptor->n_provides; i++)
    claim (descriptor->provides[i].text_arg < descriptor->provides[i].n_args
           || descriptor->provides[i].n_args == 0);
  descriptor_free (descriptor);
  return 0;
}
