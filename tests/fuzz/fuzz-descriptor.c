/* A plugin's descriptor: a stranger's text. What is accepted keeps to the limits that the header states. */

#include "common/module/lint.h"

#include <glib.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

/* No index points outside its list, and every size is one that can be served. */
static void
check_signature (const Descriptor *descriptor, const DescriptorSignature *signature)
{
  if (signature->n_args > DESCRIPTOR_MAX_ARGS || signature->symbol[0] == '\0')
    g_error ("a signature without its symbol, or too long");
  for (guint i = 0; i < signature->n_args; i++)
    {
      const DescriptorArg *arg = &signature->args[i];
      gboolean has_size = arg->kind == DESCRIPTOR_ARG_SIZEOF || arg->kind == DESCRIPTOR_ARG_BUFFER
                          || arg->kind == DESCRIPTOR_ARG_ROOM;

      if ((arg->variable == DESCRIPTOR_VARIABLE_OWN && arg->own >= descriptor->n_own)
          || (arg->kind == DESCRIPTOR_ARG_CALLBACK && arg->provide >= descriptor->n_provides)
          || (arg->kind == DESCRIPTOR_ARG_TABLE && arg->provide >= descriptor->n_tables) || arg->word > 9
          || arg->type == DESCRIPTOR_VOID || (has_size && arg->size == 0)
          || arg->size > DESCRIPTOR_MAX_BUFFER)
        g_error ("argument %u of %s is not one that can be passed", i, signature->symbol);
    }
  if (signature->n_slots > 2 || (signature->n_slots > 0 && signature->table >= descriptor->n_own))
    g_error ("%s is behind no handle", signature->symbol);
}

/* What a keygen must not have was not taken. */
static void
check_keygen (const Descriptor *descriptor)
{
  if (descriptor->n_commands > 0 || descriptor->n_connect > 0 || descriptor->has_threads
      || descriptor->needs_serial || descriptor->deliver_env
      || descriptor->phases[DESCRIPTOR_PHASE_CHECK].n_steps > 0
      || descriptor->phases[DESCRIPTOR_PHASE_KEYGEN].n_steps == 0)
    g_error ("a keygen with a plugin's parts");
}

static void
check_tables (const Descriptor *descriptor)
{
  for (guint i = 0; i < descriptor->n_tables; i++)
    for (guint j = 0; j < descriptor->tables[i].n_words; j++)
      if (descriptor->tables[i].words[j].provide >= descriptor->n_provides)
        g_error ("a table with a function that is none");
}

static void
check (const Descriptor *descriptor)
{
  if (descriptor->n_calls > DESCRIPTOR_MAX_CALLS || descriptor->n_commands > DESCRIPTOR_MAX_COMMANDS
      || descriptor->n_provides > DESCRIPTOR_MAX_PROVIDES || descriptor->n_own > DESCRIPTOR_MAX_OWN
      || descriptor->n_tables > DESCRIPTOR_MAX_TABLES || descriptor->n_connect > DESCRIPTOR_MAX_LIST
      || descriptor->n_read > DESCRIPTOR_MAX_LIST)
    g_error ("a list is longer than its limit");
  if (!descriptor->id || !descriptor->object || strchr (descriptor->object, '/') || !descriptor->sha256
      || strlen (descriptor->sha256) != 64)
    g_error ("an object outside of the plugin's folder, or without its hash, was taken");
  for (guint i = 0; i < descriptor->n_read; i++)
    if (descriptor->read[i][0] != '/' || strstr (descriptor->read[i], "/../"))
      g_error ("read=%s was taken", descriptor->read[i]);
  for (guint i = 0; i < descriptor->n_commands; i++)
    if (descriptor->commands[i].call >= descriptor->n_calls)
      g_error ("a command without its call");
  for (guint i = 0; i < descriptor->n_calls; i++)
    {
      check_signature (descriptor, &descriptor->calls[i].signature);
      if (descriptor->calls[i].free_call >= descriptor->n_calls)
        g_error ("what frees is not there");
    }
  check_tables (descriptor);
  if (descriptor->is_keygen)
    check_keygen (descriptor);
  for (guint i = 0; i < DESCRIPTOR_N_PHASES; i++)
    for (guint j = 0; j < descriptor->phases[i].n_steps; j++)
      if (descriptor->phases[i].steps[j] >= descriptor->n_calls)
        g_error ("a step without its call");
  for (guint i = 0; i < descriptor->n_calls; i++)
    for (gint64 value = -4; value <= 4; value++)
      if (!descriptor_class_name (descriptor_call_classify (&descriptor->calls[i], value)))
        g_error ("a result without a class");
}

static void
count (const LintFinding *finding, void *data)
{
  if (!finding->text[0])
    g_error ("a finding without a word");
  ++*(guint *)data;
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  for (DescriptorKind kind = DESCRIPTOR_LEGACY; kind <= DESCRIPTOR_NATIVE; kind++)
    {
      g_autofree char *exact = g_memdup2 (data, size);
      DescriptorError error = { "" };
      Descriptor *descriptor = descriptor_parse ("x", kind, exact, size, &error);
      guint n_findings = 0;
      guint n_errors = lint_descriptor ("x", kind, exact, size, count, &n_findings);
      if (!descriptor && !error.text[0])
        g_error ("refused without a word");
      if ((descriptor != NULL) != (n_errors == 0) || n_findings < MIN (n_errors, 50))
        g_error ("the reader and the lint do not agree");
      if (descriptor)
        check (descriptor);
      descriptor_free (descriptor);
    }
  return 0;
}
