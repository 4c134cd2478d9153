#include "common/module/descriptor.h"

#include "common/module/keyfile.h"
#include "common/module/signature.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ENTRIES 512

const char *const descriptor_phase_names[DESCRIPTOR_N_PHASES] = { "init", "check", "start", "stop" };

static const char *const class_names[]
    = { "ok", "bad-serial", "expired", "not-yet-valid", "wrong-user", "seats", "retry-later", "error" };

/* One line of the file. Groups are read in the order of their meaning, whatever their order in the file, so
 * all lines are taken in first. */
typedef struct
{
  const char *group;
  const char *key;
  char *value;
} Entry;

typedef struct
{
  const char *file;
  Descriptor *descriptor;
  DescriptorError *error;
  bool is_bad;
  unsigned n_entries;
  Entry entries[MAX_ENTRIES];
} Parser;

const char *
descriptor_class_name (DescriptorClass class)
{
  return class_names[class];
}

DescriptorClass
descriptor_call_classify (const DescriptorCall *call, int64_t value)
{
  if (!call->has_rules)
    {
      switch (call->signature.result)
        {
        case DESCRIPTOR_VOID:
          return DESCRIPTOR_CLASS_OK;
        case DESCRIPTOR_BOOL:
        case DESCRIPTOR_CSTR:
        case DESCRIPTOR_PTR:
        case DESCRIPTOR_HANDLE:
          return value != 0 ? DESCRIPTOR_CLASS_OK : DESCRIPTOR_CLASS_ERROR;
        default:
          return value == 0 ? DESCRIPTOR_CLASS_OK : DESCRIPTOR_CLASS_ERROR;
        }
    }
  for (uint8_t i = 0; i < call->n_rules; i++)
    {
      const DescriptorRule *rule = &call->rules[i];
      bool matches = false;

      switch (rule->predicate)
        {
        case DESCRIPTOR_IS_VALUE:
          matches = value == rule->value;
          break;
        case DESCRIPTOR_IS_ZERO:
        case DESCRIPTOR_IS_NULL:
          matches = value == 0;
          break;
        case DESCRIPTOR_IS_NONZERO:
        case DESCRIPTOR_IS_NONNULL:
          matches = value != 0;
          break;
        case DESCRIPTOR_IS_NEGATIVE:
          matches = value < 0;
          break;
        case DESCRIPTOR_IS_POSITIVE:
          matches = value > 0;
          break;
        }
      if (matches)
        return rule->class;
    }
  return DESCRIPTOR_CLASS_ERROR;
}

/* ---- errors ---- */

static void __attribute__ ((format (printf, 3, 4)))
refuse (Parser *parser, const Entry *entry, const char *format, ...)
{
  char why[200];
  va_list arguments;

  if (parser->is_bad)
    return;
  parser->is_bad = true;
  va_start (arguments, format);
  vsnprintf (why, sizeof why, format, arguments);
  va_end (arguments);
  if (entry == NULL)
    snprintf (parser->error->text, sizeof parser->error->text, "%.60s: %s", parser->file, why);
  else if (entry->key == NULL)
    snprintf (parser->error->text, sizeof parser->error->text, "%.60s: [%.40s]: %s", parser->file,
              entry->group, why);
  else
    snprintf (parser->error->text, sizeof parser->error->text, "%.60s: [%.40s] %.40s: %s", parser->file,
              entry->group, entry->key, why);
}

/* ---- values ---- */

static bool
is_id (const char *text, size_t max)
{
  size_t length = strlen (text);

  if (length < 1 || length > max || text[0] == '-' || text[0] == '.')
    return false;
  return strspn (text, "abcdefghijklmnopqrstuvwxyz0123456789.-") == length;
}

/* A name for a file in a folder of ours. */
static bool
is_file_name (const char *text)
{
  size_t length = strlen (text);

  return length >= 1 && length <= 128 && text[0] != '.' && strchr (text, '/') == NULL;
}

static bool
is_path (const char *text)
{
  return text[0] == '/' && strlen (text) < 1024 && strstr (text, "/../") == NULL
         && !(strlen (text) >= 3 && strcmp (text + strlen (text) - 3, "/..") == 0);
}

static uint64_t
read_number (Parser *parser, const Entry *entry, uint64_t min, uint64_t max)
{
  int64_t value;

  if (!signature_read_integer (entry->value, &value) || value < 0 || (uint64_t)value < min
      || (uint64_t)value > max)
    {
      refuse (parser, entry, "'%.40s' is not a number from %llu to %llu", entry->value,
              (unsigned long long)min, (unsigned long long)max);
      return min;
    }
  return (uint64_t)value;
}

/* A number of bytes with K, M or G. */
static uint64_t
read_size (Parser *parser, const Entry *entry, uint64_t min, uint64_t max)
{
  size_t digits = strspn (entry->value, "0123456789");
  const char *unit = entry->value + digits;
  uint64_t value;

  if (digits == 0 || digits > 12 || (unit[0] != '\0' && unit[1] != '\0'))
    {
      refuse (parser, entry, "'%.40s' is not a size, like 64K, 1M or 2G", entry->value);
      return min;
    }
  value = strtoull (entry->value, NULL, 10);
  switch (*unit)
    {
    case '\0':
      break;
    case 'K':
      value <<= 10;
      break;
    case 'M':
      value <<= 20;
      break;
    case 'G':
      value <<= 30;
      break;
    default:
      refuse (parser, entry, "unknown unit '%c'", *unit);
      return min;
    }
  if (value < min || value > max)
    {
      refuse (parser, entry, "is not from %llu to %llu bytes", (unsigned long long)min,
              (unsigned long long)max);
      return min;
    }
  return value;
}

static bool
read_yes_no (Parser *parser, const Entry *entry)
{
  if (strcmp (entry->value, "yes") != 0 && strcmp (entry->value, "no") != 0)
    refuse (parser, entry, "'%.40s' is neither yes nor no", entry->value);
  return strcmp (entry->value, "yes") == 0;
}

static const char *
read_line (Parser *parser, const Entry *entry, size_t max)
{
  size_t length = strlen (entry->value);

  if (length < 1 || length > max || !keyfile_is_text (entry->value, length, ""))
    refuse (parser, entry, "is not one line of 1 to %zu bytes", max);
  return entry->value;
}

/* "host:port" or "[address]:port", cut up in place. */
static void
read_address (Parser *parser, const Entry *entry, char *text)
{
  Descriptor *descriptor = parser->descriptor;
  DescriptorAddress *address;
  char *colon = strrchr (text, ':');
  char *host = text;
  const char *allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";
  int64_t port;

  if (descriptor->n_connect == DESCRIPTOR_MAX_LIST)
    {
      refuse (parser, entry, "more than %d addresses", DESCRIPTOR_MAX_LIST);
      return;
    }
  if (colon == NULL || !signature_read_integer (colon + 1, &port) || port < 1 || port > 65535)
    {
      refuse (parser, entry, "'%.60s' is not HOST:PORT", text);
      return;
    }
  *colon = '\0';
  if (*host == '[' && colon > host + 1 && colon[-1] == ']')
    {
      host++;
      colon[-1] = '\0';
      allowed = "abcdefABCDEF0123456789.:";
    }
  if (*host == '\0' || *host == '-' || strlen (host) > 253 || strspn (host, allowed) != strlen (host))
    {
      refuse (parser, entry, "'%.60s' is not a host", host);
      return;
    }
  address = &descriptor->connect[descriptor->n_connect++];
  address->host = host;
  address->port = (uint16_t)port;
}

/* ---- groups ---- */

static void
read_plugin (Parser *parser, Entry *entry)
{
  Descriptor *descriptor = parser->descriptor;
  const char *key = entry->key;

  if (strcmp (key, "id") == 0)
    {
      descriptor->id = entry->value;
      if (!is_id (entry->value, 64))
        refuse (parser, entry, "'%.70s' is not an id ([a-z0-9][a-z0-9.-]*)", entry->value);
    }
  else if (strcmp (key, "name") == 0)
    descriptor->name = read_line (parser, entry, 80);
  else if (strcmp (key, "version") == 0)
    descriptor->version = read_line (parser, entry, 40);
  else if (strcmp (key, "object") == 0)
    {
      descriptor->object = entry->value;
      if (!is_file_name (entry->value))
        refuse (parser, entry, "'%.40s' is not a file's name", entry->value);
    }
  else if (strcmp (key, "sha256") == 0)
    {
      descriptor->sha256 = entry->value;
      if (strlen (entry->value) != 64 || strspn (entry->value, "0123456789abcdef") != 64)
        refuse (parser, entry, "is not 64 lower-case hex digits");
    }
  else if (strcmp (key, "format") == 0 && descriptor->kind == DESCRIPTOR_LEGACY)
    read_number (parser, entry, 1, 1);
  else if (strcmp (key, "abi") == 0 && descriptor->kind == DESCRIPTOR_NATIVE)
    read_number (parser, entry, 1, 1);
  else
    refuse (parser, entry, "unknown key");
}

static void
read_permission (Parser *parser, Entry *entry)
{
  Descriptor *descriptor = parser->descriptor;
  const char *key = entry->key;
  char *list = entry->value;
  char *item;

  if (strcmp (key, "connect") == 0)
    while ((item = keyfile_next_in_list (&list)) != NULL)
      read_address (parser, entry, item);
  else if (strcmp (key, "read") == 0)
    while ((item = keyfile_next_in_list (&list)) != NULL)
      {
        if (!is_path (item))
          refuse (parser, entry, "'%.60s' is not an absolute path without '..'", item);
        else if (descriptor->n_read == DESCRIPTOR_MAX_LIST)
          refuse (parser, entry, "more than %d paths", DESCRIPTOR_MAX_LIST);
        else
          descriptor->read[descriptor->n_read++] = item;
      }
  else if (strcmp (key, "data") == 0)
    descriptor->data_bytes = read_size (parser, entry, 0, 1ull << 30);
  else if (strcmp (key, "threads") == 0)
    descriptor->has_threads = read_yes_no (parser, entry);
  else if (strcmp (key, "identity") == 0)
    descriptor->sees_identity = read_yes_no (parser, entry);
  else if (strcmp (key, "functions") == 0)
    descriptor->calls_functions = read_yes_no (parser, entry);
  else if (strcmp (key, "messages") == 0 && descriptor->kind == DESCRIPTOR_NATIVE)
    {
      if (strcmp (entry->value, "none") == 0)
        descriptor->messages = DESCRIPTOR_MESSAGES_NONE;
      else if (strcmp (entry->value, "see") == 0)
        descriptor->messages = DESCRIPTOR_MESSAGES_SEE;
      else if (strcmp (entry->value, "send") == 0)
        descriptor->messages = DESCRIPTOR_MESSAGES_SEND;
      else
        refuse (parser, entry, "'%.40s' is none of none, see and send", entry->value);
    }
  else
    refuse (parser, entry, "unknown key");
}

static void
read_limit (Parser *parser, Entry *entry)
{
  Descriptor *descriptor = parser->descriptor;
  unsigned count, period;
  int length = 0;

  if (strcmp (entry->key, "call-timeout-ms") == 0)
    descriptor->call_timeout_ms = (uint32_t)read_number (parser, entry, 50, 60000);
  else if (strcmp (entry->key, "memory") == 0)
    descriptor->memory_bytes = read_size (parser, entry, 16ull << 20, 4ull << 30);
  else if (strcmp (entry->key, "restart") == 0)
    {
      if (sscanf (entry->value, "%3u/%5us%n", &count, &period, &length) != 2 || length == 0
          || entry->value[length] != '\0' || strspn (entry->value, "0123456789/s") != (size_t)length
          || period < 1)
        refuse (parser, entry, "'%.40s' is not a number of restarts and their time, like 3/60s",
                entry->value);
      else
        {
          descriptor->restarts = count;
          descriptor->restart_period_s = period;
        }
    }
  else
    refuse (parser, entry, "unknown key");
}

static void
read_provide (Parser *parser, Entry *entry)
{
  Descriptor *descriptor = parser->descriptor;
  DescriptorProvide *provide;
  char why[160];
  const char *wrong;

  if (!signature_is_symbol (entry->key))
    {
      refuse (parser, entry, "is not a symbol");
      return;
    }
  if (descriptor->n_provides == DESCRIPTOR_MAX_PROVIDES)
    {
      refuse (parser, entry, "more than %d imported symbols", DESCRIPTOR_MAX_PROVIDES);
      return;
    }
  provide = &descriptor->provides[descriptor->n_provides++];
  provide->name = entry->key;
  wrong = signature_parse_provide (descriptor, entry->value, provide, why, sizeof why);
  if (wrong != NULL)
    refuse (parser, entry, "%s", wrong);
}

static DescriptorCall *
find_call (Descriptor *descriptor, const char *name)
{
  for (uint8_t i = 0; i < descriptor->n_calls; i++)
    if (strcmp (descriptor->calls[i].name, name) == 0)
      return &descriptor->calls[i];
  return NULL;
}

/* Reads one signature as the call @name. */
static DescriptorCall *
add_call (Parser *parser, const Entry *entry, const char *name, SignatureUse use)
{
  Descriptor *descriptor = parser->descriptor;
  DescriptorCall *call;
  char why[160];
  const char *wrong;

  if (descriptor->n_calls == DESCRIPTOR_MAX_CALLS)
    {
      refuse (parser, entry, "more than %d calls", DESCRIPTOR_MAX_CALLS);
      return NULL;
    }
  if (find_call (descriptor, name) != NULL)
    {
      refuse (parser, entry, "the name '%.40s' is taken", name);
      return NULL;
    }
  call = &descriptor->calls[descriptor->n_calls++];
  call->name = name;
  wrong = signature_parse (descriptor, use, entry->value, &call->signature, why, sizeof why);
  if (wrong != NULL)
    refuse (parser, entry, "%s", wrong);
  return call;
}

static void
read_symbol (Parser *parser, Entry *entry)
{
  Descriptor *descriptor = parser->descriptor;
  bool is_message = strcmp (entry->key, "message") == 0;
  DescriptorCall *call
      = add_call (parser, entry, entry->key, is_message ? SIGNATURE_MESSAGE : SIGNATURE_PLAIN);

  if (call == NULL)
    return;
  if (is_message)
    descriptor->message_call = (int8_t)(call - descriptor->calls);
  for (unsigned i = 0; i < DESCRIPTOR_N_PHASES; i++)
    if (strcmp (entry->key, descriptor_phase_names[i]) == 0)
      {
        descriptor->phases[i].n_steps = 1;
        descriptor->phases[i].steps[0] = (uint8_t)(call - descriptor->calls);
      }
}

static void
read_steps (Parser *parser, Entry *entry)
{
  Descriptor *descriptor = parser->descriptor;
  const char *name = entry->group + strlen ("Phase ");
  DescriptorSteps *steps = NULL;
  char *next = entry->value;

  for (unsigned i = 0; i < DESCRIPTOR_N_PHASES; i++)
    if (strcmp (name, descriptor_phase_names[i]) == 0)
      steps = &descriptor->phases[i];
  if (steps == NULL)
    refuse (parser, entry, "there is no phase '%.40s'", name);
  else if (strcmp (entry->key, "steps") != 0)
    refuse (parser, entry, "unknown key");
  else if (steps->n_steps > 0)
    refuse (parser, entry, "the symbol '%s' is the whole phase already", name);
  if (parser->is_bad)
    return;
  while (next != NULL)
    {
      char *step = next + strspn (next, " \t");
      size_t length = strcspn (step, ", \t");
      DescriptorCall *call;

      next = strchr (step, ',');
      if (next != NULL)
        *next++ = '\0';
      if (step[length] != '\0' && step[length] != ',')
        {
          if (step[length + strspn (step + length, " \t")] != '\0')
            refuse (parser, entry, "'%.40s' is not a symbol's name", step);
          step[length] = '\0';
        }
      call = find_call (descriptor, step);
      if (call == NULL || call - descriptor->calls == descriptor->message_call)
        {
          refuse (parser, entry, "no step '%.40s' in [Symbols]", step);
          return;
        }
      if (steps->n_steps == DESCRIPTOR_MAX_STEPS)
        {
          refuse (parser, entry, "more than %d steps", DESCRIPTOR_MAX_STEPS);
          return;
        }
      steps->steps[steps->n_steps++] = (uint8_t)(call - descriptor->calls);
    }
}

/* `free=symbol`, for a call that returns text or hands it out. */
static void
read_free (Parser *parser, const Entry *entry, DescriptorCall *call)
{
  bool gives_text = call->signature.result == DESCRIPTOR_CSTR;

  for (uint8_t i = 0; i < call->signature.n_args; i++)
    if (call->signature.args[i].kind == DESCRIPTOR_ARG_OUT && call->signature.args[i].type == DESCRIPTOR_CSTR)
      gives_text = true;
  if (!gives_text)
    refuse (parser, entry, "the call gives no text to free");
  else if (!signature_is_symbol (entry->value))
    refuse (parser, entry, "'%.40s' is not a symbol", entry->value);
  call->free_symbol = entry->value;
}

static void
read_command (Parser *parser, Entry *entry)
{
  Descriptor *descriptor = parser->descriptor;
  const char *name = entry->group + strlen ("Command ");
  DescriptorCommand *command = NULL;

  for (uint8_t i = 0; i < descriptor->n_commands; i++)
    if (strcmp (descriptor->commands[i].name, name) == 0)
      command = &descriptor->commands[i];
  if (command == NULL)
    {
      if (!is_id (name, 32))
        refuse (parser, entry, "'%.40s' is not a name for a command", name);
      else if (descriptor->n_commands == DESCRIPTOR_MAX_COMMANDS)
        refuse (parser, entry, "more than %d commands", DESCRIPTOR_MAX_COMMANDS);
      if (parser->is_bad)
        return;
      command = &descriptor->commands[descriptor->n_commands++];
      command->name = name;
      command->help = "";
      command->call = UINT8_MAX;
    }
  if (strcmp (entry->key, "call") == 0)
    {
      DescriptorCall *call = add_call (parser, entry, name, SIGNATURE_COMMAND);

      if (call != NULL)
        command->call = (uint8_t)(call - descriptor->calls);
    }
  else if (strcmp (entry->key, "help") == 0)
    command->help = read_line (parser, entry, 200);
  else if (strcmp (entry->key, "free") != 0) /* read when all calls are known */
    refuse (parser, entry, "unknown key");
}

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
read_rule (Parser *parser, Entry *entry)
{
  static const char *const predicates[]
      = { [DESCRIPTOR_IS_ZERO] = "zero",         [DESCRIPTOR_IS_NONZERO] = "nonzero",
          [DESCRIPTOR_IS_NEGATIVE] = "negative", [DESCRIPTOR_IS_POSITIVE] = "positive",
          [DESCRIPTOR_IS_NULL] = "null",         [DESCRIPTOR_IS_NONNULL] = "nonnull" };
  const char *name = entry->group + strlen ("Return ");
  DescriptorCall *call = find_call (parser->descriptor, name);
  DescriptorRule *rule;
  bool is_pointer;

  if (call == NULL)
    {
      refuse (parser, entry, "there is no call '%.40s'", name);
      return;
    }
  if (strcmp (entry->key, "free") == 0)
    {
      read_free (parser, entry, call);
      return;
    }
  if (call->n_rules == DESCRIPTOR_MAX_RULES)
    {
      refuse (parser, entry, "more than %d results", DESCRIPTOR_MAX_RULES);
      return;
    }
  call->has_rules = true;
  rule = &call->rules[call->n_rules++];
  if (signature_read_integer (entry->key, &rule->value))
    rule->predicate = DESCRIPTOR_IS_VALUE;
  else
    {
      size_t i = DESCRIPTOR_IS_ZERO;

      while (i <= DESCRIPTOR_IS_NONNULL && strcmp (entry->key, predicates[i]) != 0)
        i++;
      if (i > DESCRIPTOR_IS_NONNULL)
        refuse (parser, entry, "is neither a number nor a predicate");
      rule->predicate = (DescriptorPredicate)i;
    }
  is_pointer = call->signature.result == DESCRIPTOR_CSTR || call->signature.result == DESCRIPTOR_PTR
               || call->signature.result == DESCRIPTOR_HANDLE;
  if (is_pointer != (rule->predicate == DESCRIPTOR_IS_NULL || rule->predicate == DESCRIPTOR_IS_NONNULL)
      || call->signature.result == DESCRIPTOR_VOID || call->signature.result == DESCRIPTOR_F32
      || call->signature.result == DESCRIPTOR_F64)
    refuse (parser, entry, "does not suit the call's result");
  else if (!find_class (entry->value, &rule->class))
    refuse (parser, entry, "unknown class '%.40s'", entry->value);
}

static void
read_deliver (Parser *parser, Entry *entry)
{
  Descriptor *descriptor = parser->descriptor;
  char *value = entry->value;

  descriptor->needs_serial = true;
  if (strcmp (entry->key, "env") == 0)
    {
      descriptor->deliver_env = value;
      if (!signature_is_symbol (value) || strncmp (value, "LD_", 3) == 0 || strncmp (value, "GLIBC_", 6) == 0
          || strncmp (value, "MALLOC_", 7) == 0)
        refuse (parser, entry, "'%.40s' is not a name for a variable", value);
    }
  else if (strcmp (entry->key, "file") == 0)
    {
      descriptor->deliver_file = value;
      if (!is_file_name (value))
        refuse (parser, entry, "'%.40s' is not a file's name", value);
      else if (descriptor->data_bytes < 4096)
        refuse (parser, entry, "needs data= of at least 4K in [Permissions]");
    }
  else if (strcmp (entry->key, "global") == 0)
    {
      int64_t size;
      char *bracket;

      if (strncmp (value, "cstr ", 5) == 0)
        descriptor->deliver_global = value + 5;
      else if (strncmp (value, "char ", 5) == 0 && (bracket = strchr (value, '[')) != NULL
               && value[strlen (value) - 1] == ']')
        {
          value[strlen (value) - 1] = '\0';
          *bracket = '\0';
          descriptor->deliver_global = value + 5;
          if (!signature_read_integer (bracket + 1, &size) || size < 2 || size > 65536)
            refuse (parser, entry, "'%.20s' is not a size from 2 to 65536", bracket + 1);
          else
            descriptor->deliver_global_size = (uint32_t)size;
        }
      else
        refuse (parser, entry, "is neither 'char NAME[SIZE]' nor 'cstr NAME'");
      if (descriptor->deliver_global != NULL && !signature_is_symbol (descriptor->deliver_global))
        refuse (parser, entry, "'%.40s' is not a symbol", descriptor->deliver_global);
    }
  else
    refuse (parser, entry, "unknown key");
}

/* ---- the whole ---- */

/* Groups in the order they are read; a name that ends with a blank is a prefix. */
static const struct
{
  const char *name;
  bool is_native; /* native metadata has it too */
  void (*read) (Parser *parser, Entry *entry);
} groups[] = {
  { "Plugin", true, read_plugin },    { "Permissions", true, read_permission },
  { "Limits", true, read_limit },     { "Provide", false, read_provide },
  { "Symbols", false, read_symbol },  { "Command ", false, read_command },
  { "Phase ", false, read_steps },    { "Return ", false, read_rule },
  { "Deliver", false, read_deliver },
};

static bool
is_group (size_t i, const char *name, DescriptorKind kind)
{
  size_t length = strlen (groups[i].name);

  if (kind == DESCRIPTOR_NATIVE && !groups[i].is_native)
    return false;
  if (groups[i].name[length - 1] == ' ')
    return strncmp (name, groups[i].name, length) == 0 && name[length] != '\0';
  return strcmp (name, groups[i].name) == 0;
}

static void
take_in (Parser *parser, char *text, size_t length)
{
  Keyfile keyfile;
  KeyfileItem item;
  const char *group_names[64];
  unsigned n_groups = 0;

  keyfile_init (&keyfile, text, length);
  while (!parser->is_bad && (item = keyfile_next (&keyfile)) != KEYFILE_END)
    {
      Entry entry = { .group = keyfile.group, .key = keyfile.key, .value = keyfile.value };

      if (item == KEYFILE_BAD)
        refuse (parser, NULL, "line %u %s", keyfile.line, keyfile.key);
      else if (item == KEYFILE_GROUP)
        {
          bool is_known = false;

          for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
            is_known = is_known || is_group (i, entry.group, parser->descriptor->kind);
          entry.key = NULL;
          if (!is_known)
            refuse (parser, &entry, "unknown group");
          for (unsigned i = 0; i < n_groups; i++)
            if (strcmp (group_names[i], entry.group) == 0)
              refuse (parser, &entry, "comes twice");
          if (n_groups == sizeof group_names / sizeof *group_names)
            refuse (parser, NULL, "more than %u groups", n_groups);
          else
            group_names[n_groups++] = entry.group;
        }
      else
        {
          for (unsigned i = parser->n_entries; i > 0 && parser->entries[i - 1].group == entry.group; i--)
            if (strcmp (parser->entries[i - 1].key, entry.key) == 0)
              refuse (parser, &entry, "comes twice");
          if (parser->n_entries == MAX_ENTRIES)
            refuse (parser, NULL, "more than %d keys", MAX_ENTRIES);
          else
            parser->entries[parser->n_entries++] = entry;
        }
    }
}

static void
read_groups (Parser *parser)
{
  for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
    for (unsigned j = 0; j < parser->n_entries && !parser->is_bad; j++)
      if (is_group (i, parser->entries[j].group, parser->descriptor->kind))
        groups[i].read (parser, &parser->entries[j]);

  for (unsigned j = 0; j < parser->n_entries && !parser->is_bad; j++)
    {
      Entry *entry = &parser->entries[j];

      if (strncmp (entry->group, "Command ", 8) != 0 || strcmp (entry->key, "free") != 0)
        continue;
      for (uint8_t i = 0; i < parser->descriptor->n_commands; i++)
        if (strcmp (parser->descriptor->commands[i].name, entry->group + 8) == 0
            && parser->descriptor->commands[i].call != UINT8_MAX)
          read_free (parser, entry, &parser->descriptor->calls[parser->descriptor->commands[i].call]);
    }
}

static void
need (Parser *parser, const char *key, const void *value)
{
  Entry entry = { .group = "Plugin", .key = key };

  if (value == NULL)
    refuse (parser, &entry, "is missing");
}

/* Whether @call's text comes from anywhere. */
static bool
gives_output (const DescriptorSignature *signature)
{
  if (signature->result == DESCRIPTOR_CSTR)
    return true;
  for (uint8_t i = 0; i < signature->n_args; i++)
    if (signature->args[i].variable == DESCRIPTOR_VARIABLE_OUTPUT
        && signature->args[i].kind != DESCRIPTOR_ARG_SIZEOF)
      return true;
  return false;
}

static void
check_whole (Parser *parser)
{
  Descriptor *descriptor = parser->descriptor;
  bool has_format = false;

  need (parser, "id", descriptor->id);
  need (parser, "name", descriptor->name);
  need (parser, "version", descriptor->version);
  need (parser, "object", descriptor->object);
  need (parser, "sha256", descriptor->sha256);
  for (unsigned i = 0; i < parser->n_entries; i++)
    has_format = has_format || strcmp (parser->entries[i].key, "format") == 0
                 || strcmp (parser->entries[i].key, "abi") == 0;
  need (parser, descriptor->kind == DESCRIPTOR_LEGACY ? "format" : "abi", has_format ? descriptor : NULL);

  for (uint8_t i = 0; i < descriptor->n_commands && !parser->is_bad; i++)
    {
      Entry entry = { .group = "Command", .key = descriptor->commands[i].name };

      if (descriptor->commands[i].call == UINT8_MAX)
        refuse (parser, &entry, "has no call=");
    }
  if (descriptor->message_call >= 0 && !gives_output (&descriptor->calls[descriptor->message_call].signature))
    {
      Entry entry = { .group = "Symbols", .key = "message" };

      refuse (parser, &entry, "gives no text");
    }
  for (uint8_t i = 0; i < descriptor->n_own && !parser->is_bad; i++)
    {
      Entry entry = { .group = "Symbols", .key = descriptor->own[i].name };

      if (!descriptor->own[i].is_set)
        refuse (parser, &entry, "is used, but no call sets it");
    }
}

Descriptor *
descriptor_parse (const char *file, DescriptorKind kind, const char *text, size_t length,
                  DescriptorError *error)
{
  Descriptor *descriptor;
  Parser *parser;
  bool is_bad;

  error->text[0] = '\0';
  if (length > DESCRIPTOR_MAX_BYTES || (length > 0 && memchr (text, '\0', length) != NULL))
    {
      snprintf (error->text, sizeof error->text, "%.60s: %s", file,
                length > DESCRIPTOR_MAX_BYTES ? "is longer than 16 KiB" : "is not UTF-8 text");
      return NULL;
    }
  descriptor = calloc (1, sizeof *descriptor);
  parser = calloc (1, sizeof *parser);
  if (descriptor != NULL)
    descriptor->text = malloc (2 * length + 2);
  if (descriptor == NULL || parser == NULL || descriptor->text == NULL)
    {
      snprintf (error->text, sizeof error->text, "%.60s: out of memory", file);
      free (parser);
      descriptor_free (descriptor);
      return NULL;
    }
  if (length > 0)
    memcpy (descriptor->text, text, length);
  descriptor->pool = descriptor->text + length + 1;
  descriptor->pool_bytes = length + 1;
  descriptor->kind = kind;
  descriptor->message_call = -1;
  descriptor->call_timeout_ms = 3000;
  descriptor->memory_bytes = 256ull << 20;
  descriptor->restarts = 3;
  descriptor->restart_period_s = 60;

  parser->file = file;
  parser->descriptor = descriptor;
  parser->error = error;
  take_in (parser, descriptor->text, length);
  if (!parser->is_bad)
    read_groups (parser);
  if (!parser->is_bad)
    check_whole (parser);
  is_bad = parser->is_bad;
  free (parser);
  if (!is_bad)
    return descriptor;
  descriptor_free (descriptor);
  return NULL;
}

void
descriptor_free (Descriptor *descriptor)
{
  if (descriptor == NULL)
    return;
  free (descriptor->text);
  free (descriptor);
}
