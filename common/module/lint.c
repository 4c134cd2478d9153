#include "common/module/lint.h"

#include <stdio.h>
#include <string.h>

typedef struct
{
  const char *file;
  LintFound found;
  void *data;
  unsigned n_errors;
} Lint;

static void
take_error (const char *error, unsigned line, void *data)
{
  Lint *lint = data;
  LintFinding finding = { .is_error = true, .line = line, .text = error };

  lint->n_errors++;
  lint->found (&finding, lint->data);
}

static void
warn (Lint *lint, const char *group, const char *name, const char *why)
{
  char text[400];
  LintFinding finding = { .text = text };
  size_t length = strlen (group);

  /* A group of one thing bears its name. */
  if (group[length - 1] == ' ')
    snprintf (text, sizeof text, "%.60s: [%s%.40s]: %s", lint->file, group, name, why);
  else
    snprintf (text, sizeof text, "%.60s: [%s] %.40s: %s", lint->file, group, name, why);
  lint->found (&finding, lint->data);
}

/* Whether call @index is made by a phase, the message, a command, or to free something. */
static bool
is_called (const Descriptor *descriptor, unsigned index)
{
  if (descriptor->message_call == (int)index)
    return true;
  for (unsigned i = 0; i < DESCRIPTOR_N_PHASES; i++)
    for (unsigned j = 0; j < descriptor->phases[i].n_steps; j++)
      if (descriptor->phases[i].steps[j] == index)
        return true;
  for (unsigned i = 0; i < descriptor->n_commands; i++)
    if (descriptor->commands[i].call == index)
      return true;
  for (unsigned i = 0; i < descriptor->n_calls; i++)
    if (descriptor->calls[i].free_call == (int)index)
      return true;
  return false;
}

static void
look_at_calls (Lint *lint, const Descriptor *descriptor)
{
  for (unsigned i = 0; i < descriptor->n_calls; i++)
    {
      const DescriptorCall *call = &descriptor->calls[i];
      bool has_ok = !call->has_rules;

      if (!is_called (descriptor, i))
        warn (lint, "Symbols", call->name, "is never called: it is no phase and in no steps=");
      for (unsigned j = 0; j < call->n_rules; j++)
        has_ok = has_ok || call->rules[j].class == DESCRIPTOR_CLASS_OK;
      if (!has_ok)
        warn (lint, "Return ", call->name, "no result is ok");
    }
  for (unsigned i = 0; i < descriptor->n_commands; i++)
    if (descriptor->commands[i].help[0] == '\0')
      warn (lint, "Command ", descriptor->commands[i].name, "has no help=");
}

static void
look_at_tables (Lint *lint, const Descriptor *descriptor)
{
  for (unsigned i = 0; i < descriptor->n_tables; i++)
    {
      bool is_given = false;

      for (unsigned j = 0; j < descriptor->n_calls; j++)
        for (unsigned k = 0; k < descriptor->calls[j].signature.n_args; k++)
          is_given |= descriptor->calls[j].signature.args[k].kind == DESCRIPTOR_ARG_TABLE
                      && descriptor->calls[j].signature.args[k].provide == i;
      if (!is_given)
        warn (lint, "Table ", descriptor->tables[i].name, "is given to no call");
    }
}

static void
look_at_permissions (Lint *lint, const Descriptor *descriptor)
{
  static const char *const everything[] = { "/", "/etc", "/home", "/root", "/proc", "/usr", "/var" };

  for (unsigned i = 0; i < descriptor->n_read; i++)
    for (size_t j = 0; j < sizeof everything / sizeof *everything; j++)
      if (strcmp (descriptor->read[i], everything[j]) == 0)
        {
          char why[64];

          snprintf (why, sizeof why, "'%s' is more than a user will grant", everything[j]);
          warn (lint, "Permissions", "read", why);
        }
  if (descriptor->kind == DESCRIPTOR_LEGACY && !descriptor->is_keygen && descriptor->needs_serial
      && descriptor->phases[DESCRIPTOR_PHASE_CHECK].n_steps == 0)
    warn (lint, "Symbols", "check", "is missing: it has a serial, which nothing judges");
}

unsigned
lint_descriptor (const char *file, DescriptorKind kind, const char *text, size_t length, LintFound found,
                 void *data)
{
  Lint lint = { .file = file, .found = found, .data = data };
  Descriptor *descriptor = descriptor_parse_all (file, kind, text, length, take_error, &lint);

  if (descriptor == NULL)
    return lint.n_errors;
  look_at_permissions (&lint, descriptor);
  look_at_calls (&lint, descriptor);
  look_at_tables (&lint, descriptor);
  descriptor_free (descriptor);
  return 0;
}
