/* The groups of a descriptor that say how its object is called. */
#include "common/module/descriptor-private.h"
#include "common/module/keyfile.h"
#include "common/module/signature.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const class_names[]
    = { "ok", "bad-serial", "expired", "not-yet-valid", "wrong-user", "seats", "retry-later", "error" };

const char *
descriptor_class_name (DescriptorClass class)
{
  return class_names[class];
}

/* ---- what a result means ---- */

static bool
matches (const DescriptorRule *rule, int64_t value)
{
  switch (rule->predicate)
    {
    case DESCRIPTOR_IS_VALUE:
      return value == rule->value;
    case DESCRIPTOR_IS_ZERO:
    case DESCRIPTOR_IS_NULL:
      return value == 0;
    case DESCRIPTOR_IS_NONZERO:
    case DESCRIPTOR_IS_NONNULL:
      return value != 0;
    case DESCRIPTOR_IS_NEGATIVE:
      return value < 0;
    case DESCRIPTOR_IS_POSITIVE:
      return value > 0;
    }
  return false;
}

/* Without a [Return] group. */
static bool
is_good (const DescriptorCall *call, int64_t value)
{
  switch (call->signature.result)
    {
    case DESCRIPTOR_VOID:
      return true;
    case DESCRIPTOR_BOOL:
    case DESCRIPTOR_CSTR:
    case DESCRIPTOR_PTR:
    case DESCRIPTOR_HANDLE:
    case DESCRIPTOR_LIST:
      return value != 0;
    default:
      /* What is shown is no code. */
      return value == 0
             || (call->show != DESCRIPTOR_SHOW_TEXT && !descriptor_gives_output (&call->signature));
    }
}

DescriptorClass
descriptor_call_judge (const DescriptorCall *call, int64_t value, const char **text)
{
  *text = "";
  if (!call->has_rules)
    return is_good (call, value) ? DESCRIPTOR_CLASS_OK : DESCRIPTOR_CLASS_ERROR;
  for (uint8_t i = 0; i < call->n_rules; i++)
    if (matches (&call->rules[i], value))
      {
        *text = call->rules[i].text;
        return call->rules[i].class;
      }
  return DESCRIPTOR_CLASS_ERROR;
}

DescriptorClass
descriptor_call_classify (const DescriptorCall *call, int64_t value)
{
  const char *text;

  return descriptor_call_judge (call, value, &text);
}

bool
descriptor_gives_output (const DescriptorSignature *signature)
{
  if (signature->result == DESCRIPTOR_CSTR || signature->result == DESCRIPTOR_LIST)
    return true;
  for (uint8_t i = 0; i < signature->n_args; i++)
    if (signature->args[i].variable == DESCRIPTOR_VARIABLE_OUTPUT
        && (signature->args[i].kind == DESCRIPTOR_ARG_OUT
            || signature->args[i].kind == DESCRIPTOR_ARG_BUFFER))
      return true;
  return false;
}

/* ---- what the object is given ---- */

void
parser_read_provide (Parser *parser, Entry *entry)
{
  Descriptor *descriptor = parser->descriptor;
  DescriptorProvide *provide;
  char why[160];
  const char *wrong;

  if (!signature_is_symbol (entry->key))
    {
      parser_refuse (parser, entry, "is not a symbol");
      return;
    }
  if (descriptor->n_provides == DESCRIPTOR_MAX_PROVIDES)
    {
      parser_refuse (parser, entry, "more than %d imported symbols", DESCRIPTOR_MAX_PROVIDES);
      return;
    }
  provide = &descriptor->provides[descriptor->n_provides++];
  provide->name = entry->key;
  wrong = signature_parse_provide (descriptor, entry->value, provide, why, sizeof why);
  if (wrong != NULL)
    parser_refuse (parser, entry, "%s", wrong);
}

/* `NAME=SYMBOL` or `NAME=*SYMBOL`: a variable of the object, or what it holds, as a handle. */
void
parser_read_handle (Parser *parser, Entry *entry)
{
  Descriptor *descriptor = parser->descriptor;
  bool is_content = entry->value[0] == '*';
  const char *symbol = entry->value + is_content;
  DescriptorOwn *own;

  if (!signature_is_symbol (entry->key) || signature_is_variable (descriptor, entry->key))
    parser_refuse (parser, entry, "is not a name for a handle");
  else if (!signature_is_symbol (symbol))
    parser_refuse (parser, entry, "'%.40s' is not a symbol", symbol);
  else if (descriptor->n_own == DESCRIPTOR_MAX_OWN)
    parser_refuse (parser, entry, "more than %d names of its own", DESCRIPTOR_MAX_OWN);
  if (parser->is_bad)
    return;
  own = &descriptor->own[descriptor->n_own++];
  own->name = entry->key;
  own->type = DESCRIPTOR_HANDLE;
  own->is_set = true;
  own->symbol = symbol;
  own->is_content = is_content;
}

/* A line of [Table NAME]: a word's number and what it holds. */
void
parser_read_table (Parser *parser, Entry *entry)
{
  Descriptor *descriptor = parser->descriptor;
  const char *name = entry->group + strlen ("Table ");
  DescriptorTable *table = NULL;
  int64_t number;
  char why[160];
  const char *wrong;

  for (uint8_t i = 0; i < descriptor->n_tables; i++)
    if (strcmp (descriptor->tables[i].name, name) == 0)
      table = &descriptor->tables[i];
  if (table == NULL && !signature_is_symbol (name))
    parser_refuse (parser, entry, "'%.40s' is not a name for a table", name);
  else if (table == NULL && descriptor->n_tables == DESCRIPTOR_MAX_TABLES)
    parser_refuse (parser, entry, "more than %d tables", DESCRIPTOR_MAX_TABLES);
  if (parser->is_bad)
    return;
  if (table == NULL)
    {
      table = &descriptor->tables[descriptor->n_tables++];
      table->name = name;
      for (unsigned i = 0; i < DESCRIPTOR_MAX_WORDS; i++)
        table->words[i].provide = -1;
    }
  if (!signature_read_integer (entry->key, &number) || number < 0 || number >= DESCRIPTOR_MAX_WORDS)
    {
      parser_refuse (parser, entry, "is not a word's number, 0 to %d", DESCRIPTOR_MAX_WORDS - 1);
      return;
    }
  wrong = signature_parse_word (descriptor, entry->value, &table->words[number], why, sizeof why);
  if (wrong != NULL)
    parser_refuse (parser, entry, "%s", wrong);
  if (number >= table->n_words)
    table->n_words = (uint8_t)(number + 1);
}

/* ---- calls ---- */

static DescriptorCall *
find_call (Descriptor *descriptor, const char *name)
{
  for (uint8_t i = 0; i < descriptor->n_calls; i++)
    if (strcmp (descriptor->calls[i].name, name) == 0)
      return &descriptor->calls[i];
  return NULL;
}

/* Reads one signature as the call @name; "" has no name. */
static DescriptorCall *
add_call (Parser *parser, const Entry *entry, const char *name, SignatureUse use)
{
  Descriptor *descriptor = parser->descriptor;
  DescriptorCall *call;
  char why[160];
  const char *wrong;

  if (descriptor->n_calls == DESCRIPTOR_MAX_CALLS)
    {
      parser_refuse (parser, entry, "more than %d calls", DESCRIPTOR_MAX_CALLS);
      return NULL;
    }
  if (name[0] != '\0' && find_call (descriptor, name) != NULL)
    {
      parser_refuse (parser, entry, "the name '%.40s' is taken", name);
      return NULL;
    }
  call = &descriptor->calls[descriptor->n_calls++];
  call->name = name;
  call->free_call = -1;
  wrong = signature_parse (descriptor, use, entry->value, &call->signature, why, sizeof why);
  if (wrong != NULL)
    {
      parser_refuse (parser, entry, "%s", wrong);
      /* Of what could not be read nothing further is said. */
      call->signature.symbol = NULL;
    }
  return call;
}

static bool
is_phase_of (const Descriptor *descriptor, unsigned phase)
{
  return phase == DESCRIPTOR_PHASE_INIT || descriptor->is_keygen == (phase == DESCRIPTOR_PHASE_KEYGEN);
}

void
parser_read_symbol (Parser *parser, Entry *entry)
{
  Descriptor *descriptor = parser->descriptor;
  bool is_message = strcmp (entry->key, "message") == 0;
  DescriptorCall *call = add_call (parser, entry, entry->key,
                                   is_message              ? SIGNATURE_MESSAGE
                                   : descriptor->is_keygen ? SIGNATURE_KEYGEN
                                                           : SIGNATURE_PLAIN);

  if (call == NULL)
    return;
  if (is_message)
    descriptor->message_call = (int8_t)(call - descriptor->calls);
  for (unsigned i = 0; i < DESCRIPTOR_N_PHASES; i++)
    if (strcmp (entry->key, descriptor_phase_names[i]) == 0)
      {
        descriptor->phases[i].n_steps = 1;
        descriptor->phases[i].steps[0] = (uint8_t)(call - descriptor->calls);
        if (!is_phase_of (descriptor, i))
          parser_refuse (parser, entry, "a keygen has no %s", entry->key);
      }
}

/* `steps=login, connect` */
static void
read_steps (Parser *parser, Entry *entry, DescriptorSteps *steps)
{
  Descriptor *descriptor = parser->descriptor;
  char *next = entry->value;

  if (steps->n_steps > 0)
    parser_refuse (parser, entry, "the symbol '%s' is the whole phase already",
                   entry->group + strlen ("Phase "));
  while (next != NULL && !parser->is_bad)
    {
      char *step = next + strspn (next, " \t");
      size_t length;
      DescriptorCall *call;

      next = strchr (step, ',');
      if (next != NULL)
        *next++ = '\0';
      length = strcspn (step, " \t");
      if (step[length + strspn (step + length, " \t")] != '\0')
        parser_refuse (parser, entry, "'%.40s' is not a symbol's name", step);
      step[length] = '\0';
      call = step[0] != '\0' ? find_call (descriptor, step) : NULL;
      if (call == NULL || call - descriptor->calls == descriptor->message_call)
        parser_refuse (parser, entry, "no step '%.40s' in [Symbols]", step);
      else if (steps->n_steps == DESCRIPTOR_MAX_STEPS)
        parser_refuse (parser, entry, "more than %d steps", DESCRIPTOR_MAX_STEPS);
      else
        steps->steps[steps->n_steps++] = (uint8_t)(call - descriptor->calls);
    }
}

void
parser_read_phase (Parser *parser, Entry *entry)
{
  Descriptor *descriptor = parser->descriptor;
  const char *name = entry->group + strlen ("Phase ");
  unsigned phase = 0;
  DescriptorSteps *steps;

  while (phase < DESCRIPTOR_N_PHASES && strcmp (name, descriptor_phase_names[phase]) != 0)
    phase++;
  if (phase == DESCRIPTOR_N_PHASES)
    parser_refuse (parser, entry, "there is no phase '%.40s'", name);
  else if (!is_phase_of (descriptor, phase))
    parser_refuse (parser, entry, "a keygen has no %s", name);
  if (parser->is_bad)
    return;
  steps = &descriptor->phases[phase];
  if (strcmp (entry->key, "steps") == 0)
    read_steps (parser, entry, steps);
  else if (strcmp (entry->key, "thread") == 0 && phase == DESCRIPTOR_PHASE_START)
    {
      steps->is_threaded = parser_read_yes_no (parser, entry);
      if (steps->is_threaded && !descriptor->has_threads)
        parser_refuse (parser, entry, "needs threads=yes in [Permissions]");
      if (steps->settle_ms == 0)
        steps->settle_ms = 500;
    }
  else if (strcmp (entry->key, "settle-ms") == 0 && phase == DESCRIPTOR_PHASE_START)
    {
      steps->settle_ms = (uint32_t)parser_read_number (parser, entry, 1, 60000);
      if (steps->settle_ms >= descriptor->call_timeout_ms)
        parser_refuse (parser, entry, "is not less than call-timeout-ms");
    }
  else
    parser_refuse (parser, entry, "unknown key");
}

/* `free=symbol` or `free=signature`, for a call that returns text or hands it out. */
static void
read_free (Parser *parser, const Entry *entry, DescriptorCall *call)
{
  bool gives_text = call->signature.result == DESCRIPTOR_CSTR || call->signature.result == DESCRIPTOR_LIST;
  bool is_signature = strchr (entry->value, '(') != NULL;

  for (uint8_t i = 0; i < call->signature.n_args; i++)
    if (call->signature.args[i].kind == DESCRIPTOR_ARG_OUT
        && (call->signature.args[i].type == DESCRIPTOR_CSTR
            || call->signature.args[i].type == DESCRIPTOR_LIST))
      gives_text = true;
  if (call->signature.symbol == NULL)
    return;
  if (!gives_text)
    parser_refuse (parser, entry, "the call gives no text to free");
  else if (is_signature)
    {
      DescriptorCall *added = add_call (parser, entry, "", SIGNATURE_FREE);

      if (added != NULL)
        call->free_call = (int8_t)(added - parser->descriptor->calls);
    }
  else if (!signature_is_symbol (entry->value))
    parser_refuse (parser, entry, "'%.40s' is not a symbol", entry->value);
  else
    call->free_symbol = entry->value;
}

static void
read_show (Parser *parser, const Entry *entry, DescriptorCall *call)
{
  const DescriptorSignature *signature = &call->signature;
  bool is_number = descriptor_type_is_integer (signature->result) || signature->result == DESCRIPTOR_BOOL;
  bool has_buffer = false;

  for (uint8_t i = 0; i < signature->n_args; i++)
    has_buffer |= signature->args[i].kind == DESCRIPTOR_ARG_BUFFER
                  && signature->args[i].variable == DESCRIPTOR_VARIABLE_OUTPUT;
  if (call->signature.symbol == NULL)
    return;
  if (strcmp (entry->value, "text") == 0)
    call->show = DESCRIPTOR_SHOW_TEXT;
  else if (strcmp (entry->value, "decimal") == 0)
    {
      call->show = DESCRIPTOR_SHOW_DECIMAL;
      if ((!is_number && signature->result != DESCRIPTOR_F32 && signature->result != DESCRIPTOR_F64)
          || descriptor_gives_output (signature))
        parser_refuse (parser, entry, "the call does not return its answer as a number");
    }
  else if (strcmp (entry->value, "hex") == 0)
    {
      call->show = DESCRIPTOR_SHOW_HEX;
      if (!has_buffer && (!is_number || descriptor_gives_output (signature)))
        parser_refuse (parser, entry, "the call gives neither a whole number nor bytes in 'output'");
    }
  else
    parser_refuse (parser, entry, "'%.40s' is none of text, decimal and hex", entry->value);
}

static DescriptorCommand *
find_command (Descriptor *descriptor, const char *name)
{
  for (uint8_t i = 0; i < descriptor->n_commands; i++)
    if (strcmp (descriptor->commands[i].name, name) == 0)
      return &descriptor->commands[i];
  return NULL;
}

static DescriptorCommand *
add_command (Parser *parser, const Entry *entry, const char *name)
{
  Descriptor *descriptor = parser->descriptor;
  DescriptorCommand *command;

  if (!parser_is_id (name, 32))
    parser_refuse (parser, entry, "'%.40s' is not a name for a command", name);
  else if (descriptor->n_commands == DESCRIPTOR_MAX_COMMANDS)
    parser_refuse (parser, entry, "more than %d commands", DESCRIPTOR_MAX_COMMANDS);
  if (parser->is_bad)
    return NULL;
  command = &descriptor->commands[descriptor->n_commands++];
  command->name = name;
  command->help = "";
  command->call = UINT8_MAX;
  return command;
}

void
parser_read_command (Parser *parser, Entry *entry)
{
  Descriptor *descriptor = parser->descriptor;
  const char *name = entry->group + strlen ("Command ");
  DescriptorCommand *command = find_command (descriptor, name);

  if (command == NULL && (command = add_command (parser, entry, name)) == NULL)
    return;
  if (strcmp (entry->key, "call") == 0)
    {
      DescriptorCall *call = add_call (parser, entry, name, SIGNATURE_COMMAND);

      if (call != NULL)
        command->call = (uint8_t)(call - descriptor->calls);
    }
  else if (strcmp (entry->key, "help") == 0)
    command->help = parser_read_line (parser, entry, 200);
  else if (strcmp (entry->key, "free") != 0
           && strcmp (entry->key, "show") != 0) /* read when the call is known */
    parser_refuse (parser, entry, "unknown key");
}

void
parser_read_command_rest (Parser *parser, Entry *entry)
{
  Descriptor *descriptor = parser->descriptor;
  const DescriptorCommand *command = find_command (descriptor, entry->group + strlen ("Command "));

  if (command == NULL || command->call == UINT8_MAX)
    return;
  if (strcmp (entry->key, "free") == 0)
    read_free (parser, entry, &descriptor->calls[command->call]);
  else if (strcmp (entry->key, "show") == 0)
    read_show (parser, entry, &descriptor->calls[command->call]);
}

/* ---- [Return] ---- */

static bool
find_class (const char *name, DescriptorClass *class)
{
  for (size_t i = 0; i < sizeof class_names / sizeof *class_names; i++)
    if (strcmp (name, class_names[i]) == 0)
      {
        *class = (DescriptorClass)i;
        return true;
      }
  return false;
}

static void
read_predicate (Parser *parser, const Entry *entry, const DescriptorCall *call, DescriptorRule *rule)
{
  static const char *const predicates[]
      = { [DESCRIPTOR_IS_ZERO] = "zero",         [DESCRIPTOR_IS_NONZERO] = "nonzero",
          [DESCRIPTOR_IS_NEGATIVE] = "negative", [DESCRIPTOR_IS_POSITIVE] = "positive",
          [DESCRIPTOR_IS_NULL] = "null",         [DESCRIPTOR_IS_NONNULL] = "nonnull" };
  DescriptorType result = call->signature.result;
  bool is_pointer = result == DESCRIPTOR_CSTR || result == DESCRIPTOR_PTR || result == DESCRIPTOR_HANDLE
                    || result == DESCRIPTOR_LIST;

  if (signature_read_integer (entry->key, &rule->value))
    rule->predicate = DESCRIPTOR_IS_VALUE;
  else
    {
      size_t i = DESCRIPTOR_IS_ZERO;

      while (i <= DESCRIPTOR_IS_NONNULL && strcmp (entry->key, predicates[i]) != 0)
        i++;
      if (i > DESCRIPTOR_IS_NONNULL)
        parser_refuse (parser, entry, "is neither a number nor a predicate");
      rule->predicate = (DescriptorPredicate)i;
    }
  if (call->signature.symbol == NULL)
    return;
  if (is_pointer != (rule->predicate == DESCRIPTOR_IS_NULL || rule->predicate == DESCRIPTOR_IS_NONNULL)
      || result == DESCRIPTOR_VOID || result == DESCRIPTOR_F32 || result == DESCRIPTOR_F64)
    parser_refuse (parser, entry, "does not suit the call's result");
}

/* `0=ok`, `-2=bad-serial this card is for another machine` */
static void
read_meaning (Parser *parser, const Entry *entry, DescriptorRule *rule)
{
  char *text = entry->value + strcspn (entry->value, " \t");

  if (*text != '\0')
    *text++ = '\0';
  text += strspn (text, " \t");
  rule->text = text;
  if (!find_class (entry->value, &rule->class))
    parser_refuse (parser, entry, "unknown class '%.40s'", entry->value);
  else if (strlen (text) > 200 || !keyfile_is_text (text, strlen (text), ""))
    parser_refuse (parser, entry, "its words are not one line of at most 200 bytes");
}

void
parser_read_rule (Parser *parser, Entry *entry)
{
  const char *name = entry->group + strlen ("Return ");
  DescriptorCall *call = find_call (parser->descriptor, name);
  DescriptorRule *rule;

  if (call == NULL)
    {
      parser_refuse (parser, entry, "there is no call '%.40s'", name);
      return;
    }
  if (strcmp (entry->key, "free") == 0)
    {
      read_free (parser, entry, call);
      return;
    }
  if (call->n_rules == DESCRIPTOR_MAX_RULES)
    {
      parser_refuse (parser, entry, "more than %d results", DESCRIPTOR_MAX_RULES);
      return;
    }
  call->has_rules = true;
  rule = &call->rules[call->n_rules++];
  read_predicate (parser, entry, call, rule);
  read_meaning (parser, entry, rule);
}

/* ---- the whole ---- */

/* Says what is wrong with @key of @group, where it stands in the file if it does; a NULL @key stands for the
 * group as a whole. */
static void __attribute__ ((format (printf, 4, 5)))
refuse_key (Parser *parser, const char *group, const char *key, const char *format, ...)
{
  Entry entry = { .group = group, .key = key };
  char why[160];
  va_list arguments;

  for (unsigned i = parser->n_entries; i > 0; i--)
    if (strcmp (parser->entries[i - 1].group, group) == 0
        && (key == NULL || strcmp (parser->entries[i - 1].key, key) == 0))
      entry.line = parser->entries[i - 1].line;
  va_start (arguments, format);
  vsnprintf (why, sizeof why, format, arguments);
  va_end (arguments);
  parser->is_bad = false;
  parser_refuse (parser, &entry, "%s", why);
}

/* The same for a call, which is a line of [Symbols] or a command's. */
static void
refuse_call (Parser *parser, const DescriptorCall *call, const char *why)
{
  char group[64];

  for (uint8_t i = 0; i < parser->descriptor->n_commands; i++)
    if (parser->descriptor->commands[i].call == call - parser->descriptor->calls)
      {
        snprintf (group, sizeof group, "Command %s", call->name);
        refuse_key (parser, group, "call", "%s", why);
        return;
      }
  refuse_key (parser, "Symbols", call->name, "%s", why);
}

static bool
uses_own (const DescriptorSignature *signature, uint8_t own)
{
  if (signature->n_slots > 0 && signature->table == own)
    return true;
  for (uint8_t i = 0; i < signature->n_args; i++)
    if (signature->args[i].variable == DESCRIPTOR_VARIABLE_OWN && signature->args[i].own == own)
      return true;
  return false;
}

/* What is used must come from somewhere. */
static void
check_own (Parser *parser)
{
  const Descriptor *descriptor = parser->descriptor;
  char why[100];

  for (uint8_t i = 0; i < descriptor->n_own; i++)
    for (uint8_t j = 0; j < descriptor->n_calls && !descriptor->own[i].is_set; j++)
      if (uses_own (&descriptor->calls[j].signature, i))
        {
          snprintf (why, sizeof why, "'%s' is used, but no call sets it", descriptor->own[i].name);
          refuse_call (parser, &descriptor->calls[j], why);
          break;
        }
}

/* In a thread of its own a call must not write what others read meanwhile. */
static void
check_thread (Parser *parser)
{
  const Descriptor *descriptor = parser->descriptor;
  const DescriptorSteps *start = &descriptor->phases[DESCRIPTOR_PHASE_START];
  const DescriptorCall *call
      = start->n_steps > 0 ? &descriptor->calls[start->steps[start->n_steps - 1]] : NULL;
  bool says_ready = false;

  for (uint8_t i = 0; i < descriptor->n_provides; i++)
    says_ready |= descriptor->provides[i].action == DESCRIPTOR_DO_READY;
  if (!start->is_threaded && says_ready)
    refuse_key (parser, "Phase start", "thread",
                "is not yes, but a symbol of [Provide] says when it is ready");
  if (!start->is_threaded)
    return;
  if (call == NULL)
    {
      refuse_key (parser, "Phase start", "thread", "there is nothing to start");
      return;
    }
  if (call->signature.result == DESCRIPTOR_HANDLE || call->signature.result == DESCRIPTOR_CSTR)
    refuse_key (parser, "Symbols", call->name, "has a thread of its own, and cannot give a handle or text");
  for (uint8_t i = 0; i < call->signature.n_args; i++)
    if (call->signature.args[i].kind != DESCRIPTOR_ARG_IN
        && call->signature.args[i].variable == DESCRIPTOR_VARIABLE_OWN)
      refuse_key (parser, "Symbols", call->name, "has a thread of its own, and cannot set '%s'",
                  descriptor->own[call->signature.args[i].own].name);
}

/* Whether @variable is known only when a serial is asked for. */
static bool
is_of_request (DescriptorVariable variable)
{
  return variable != DESCRIPTOR_VARIABLE_NONE && variable != DESCRIPTOR_VARIABLE_OWN;
}

static void
check_keygen (Parser *parser)
{
  const Descriptor *descriptor = parser->descriptor;
  const DescriptorSteps *init = &descriptor->phases[DESCRIPTOR_PHASE_INIT];
  const DescriptorSteps *keygen = &descriptor->phases[DESCRIPTOR_PHASE_KEYGEN];
  bool gives_serial = false;

  for (uint8_t i = 0; i < init->n_steps; i++)
    {
      const DescriptorCall *call = &descriptor->calls[init->steps[i]];

      for (uint8_t j = 0; j < call->signature.n_args; j++)
        if (is_of_request (call->signature.args[j].variable))
          {
            refuse_key (parser, "Symbols", call->name, "is called before there is a request");
            break;
          }
    }
  for (uint8_t i = 0; i < keygen->n_steps; i++)
    gives_serial |= descriptor_gives_output (&descriptor->calls[keygen->steps[i]].signature);
  if (!gives_serial)
    refuse_key (parser, keygen->n_steps > 1 ? "Phase keygen" : "Symbols",
                keygen->n_steps > 1 ? "steps" : "keygen", "gives no serial");
}

void
parser_check_calls (Parser *parser)
{
  Descriptor *descriptor = parser->descriptor;

  for (uint8_t i = 0; i < descriptor->n_commands; i++)
    if (descriptor->commands[i].call == UINT8_MAX)
      {
        char group[64];

        snprintf (group, sizeof group, "Command %s", descriptor->commands[i].name);
        refuse_key (parser, group, NULL, "has no call=");
      }
  if (descriptor->message_call >= 0
      && !descriptor_gives_output (&descriptor->calls[descriptor->message_call].signature))
    refuse_key (parser, "Symbols", "message", "gives no text");
  check_own (parser);
  check_thread (parser);
  if (descriptor->is_keygen)
    check_keygen (parser);
}
