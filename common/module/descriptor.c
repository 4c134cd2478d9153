#include "common/module/descriptor-private.h"
#include "common/module/keyfile.h"
#include "common/module/signature.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const descriptor_phase_names[DESCRIPTOR_N_PHASES]
    = { "init", "check", "start", "stop", "keygen" };

/* ---- errors ---- */

void
parser_refuse (Parser *parser, const Entry *entry, const char *format, ...)
{
  char why[200], text[sizeof ((DescriptorError *)NULL)->text];
  char place[24] = "";
  unsigned line = entry != NULL ? entry->line : 0;
  va_list arguments;

  if (parser->is_bad)
    return;
  parser->is_bad = true;
  va_start (arguments, format);
  vsnprintf (why, sizeof why, format, arguments);
  va_end (arguments);
  if (line > 0)
    snprintf (place, sizeof place, ":%u", line);
  if (entry == NULL || entry->group == NULL)
    snprintf (text, sizeof text, "%.60s%s: %s", parser->file, place, why);
  else if (entry->key == NULL)
    snprintf (text, sizeof text, "%.60s%s: [%.40s]: %s", parser->file, place, entry->group, why);
  else
    snprintf (text, sizeof text, "%.60s%s: [%.40s] %.40s: %s", parser->file, place, entry->group, entry->key,
              why);
  if (parser->n_errors++ < PARSER_MAX_ERRORS)
    parser->found (text, line, parser->data);
}

/* ---- values ---- */

bool
parser_is_id (const char *text, size_t max)
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

uint64_t
parser_read_number (Parser *parser, const Entry *entry, uint64_t min, uint64_t max)
{
  int64_t value;

  if (!signature_read_integer (entry->value, &value) || value < 0 || (uint64_t)value < min
      || (uint64_t)value > max)
    {
      parser_refuse (parser, entry, "'%.40s' is not a number from %llu to %llu", entry->value,
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
      parser_refuse (parser, entry, "'%.40s' is not a size, like 64K, 1M or 2G", entry->value);
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
      parser_refuse (parser, entry, "unknown unit '%c'", *unit);
      return min;
    }
  if (value < min || value > max)
    {
      parser_refuse (parser, entry, "is not from %llu to %llu bytes", (unsigned long long)min,
                     (unsigned long long)max);
      return min;
    }
  return value;
}

bool
parser_read_yes_no (Parser *parser, const Entry *entry)
{
  if (strcmp (entry->value, "yes") != 0 && strcmp (entry->value, "no") != 0)
    parser_refuse (parser, entry, "'%.40s' is neither yes nor no", entry->value);
  return strcmp (entry->value, "yes") == 0;
}

const char *
parser_read_line (Parser *parser, const Entry *entry, size_t max)
{
  size_t length = strlen (entry->value);

  if (length < 1 || length > max || !keyfile_is_text (entry->value, length, ""))
    parser_refuse (parser, entry, "is not one line of 1 to %zu bytes", max);
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
      parser_refuse (parser, entry, "more than %d addresses", DESCRIPTOR_MAX_LIST);
      return;
    }
  if (colon == NULL || !signature_read_integer (colon + 1, &port) || port < 1 || port > 65535)
    {
      parser_refuse (parser, entry, "'%.60s' is not HOST:PORT", text);
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
      parser_refuse (parser, entry, "'%.60s' is not a host", host);
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
      if (!parser_is_id (entry->value, 64))
        parser_refuse (parser, entry, "'%.70s' is not an id ([a-z0-9][a-z0-9.-]*)", entry->value);
    }
  else if (strcmp (key, "name") == 0)
    descriptor->name = parser_read_line (parser, entry, 80);
  else if (strcmp (key, "version") == 0)
    descriptor->version = parser_read_line (parser, entry, 40);
  else if (strcmp (key, "object") == 0)
    {
      descriptor->object = entry->value;
      if (!is_file_name (entry->value))
        parser_refuse (parser, entry, "'%.40s' is not a file's name", entry->value);
    }
  else if (strcmp (key, "sha256") == 0)
    {
      descriptor->sha256 = entry->value;
      if (strlen (entry->value) != 64 || strspn (entry->value, "0123456789abcdef") != 64)
        parser_refuse (parser, entry, "is not 64 lower-case hex digits");
    }
  else if (strcmp (key, "format") == 0 && descriptor->kind == DESCRIPTOR_LEGACY)
    parser_read_number (parser, entry, 1, 1);
  else if (strcmp (key, "abi") == 0 && descriptor->kind == DESCRIPTOR_NATIVE)
    parser_read_number (parser, entry, 1, 1);
  else
    parser_refuse (parser, entry, "unknown key");
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
          parser_refuse (parser, entry, "'%.60s' is not an absolute path without '..'", item);
        else if (descriptor->n_read == DESCRIPTOR_MAX_LIST)
          parser_refuse (parser, entry, "more than %d paths", DESCRIPTOR_MAX_LIST);
        else
          descriptor->read[descriptor->n_read++] = item;
      }
  else if (strcmp (key, "data") == 0)
    descriptor->data_bytes = read_size (parser, entry, 0, 1ull << 30);
  else if (strcmp (key, "threads") == 0)
    descriptor->has_threads = parser_read_yes_no (parser, entry);
  else if (strcmp (key, "identity") == 0)
    descriptor->sees_identity = parser_read_yes_no (parser, entry);
  else if (strcmp (key, "functions") == 0 && !descriptor->is_keygen)
    descriptor->calls_functions = parser_read_yes_no (parser, entry);
  else if (strcmp (key, "purchases") == 0 && !descriptor->is_keygen)
    descriptor->asks_purchases = parser_read_yes_no (parser, entry);
  else if (strcmp (key, "messages") == 0 && descriptor->kind == DESCRIPTOR_NATIVE)
    {
      if (strcmp (entry->value, "none") == 0)
        descriptor->messages = DESCRIPTOR_MESSAGES_NONE;
      else if (strcmp (entry->value, "see") == 0)
        descriptor->messages = DESCRIPTOR_MESSAGES_SEE;
      else if (strcmp (entry->value, "send") == 0)
        descriptor->messages = DESCRIPTOR_MESSAGES_SEND;
      else
        parser_refuse (parser, entry, "'%.40s' is none of none, see and send", entry->value);
    }
  else
    parser_refuse (parser, entry, "unknown key");
}

static void
read_limit (Parser *parser, Entry *entry)
{
  Descriptor *descriptor = parser->descriptor;
  unsigned count, period;
  int length = 0;

  if (strcmp (entry->key, "call-timeout-ms") == 0)
    descriptor->call_timeout_ms = (uint32_t)parser_read_number (parser, entry, 50, 60000);
  else if (strcmp (entry->key, "memory") == 0)
    descriptor->memory_bytes = read_size (parser, entry, 16ull << 20, 4ull << 30);
  else if (strcmp (entry->key, "restart") == 0)
    {
      if (sscanf (entry->value, "%3u/%5us%n", &count, &period, &length) != 2 || length == 0
          || entry->value[length] != '\0' || strspn (entry->value, "0123456789/s") != (size_t)length
          || period < 1)
        parser_refuse (parser, entry, "'%.40s' is not a number of restarts and their time, like 3/60s",
                       entry->value);
      else
        {
          descriptor->restarts = count;
          descriptor->restart_period_s = period;
        }
    }
  else
    parser_refuse (parser, entry, "unknown key");
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
        parser_refuse (parser, entry, "'%.40s' is not a name for a variable", value);
    }
  else if (strcmp (entry->key, "file") == 0)
    {
      descriptor->deliver_file = value;
      if (!is_file_name (value))
        parser_refuse (parser, entry, "'%.40s' is not a file's name", value);
      else if (descriptor->data_bytes < 4096)
        parser_refuse (parser, entry, "needs data= of at least 4K in [Permissions]");
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
            parser_refuse (parser, entry, "'%.20s' is not a size from 2 to 65536", bracket + 1);
          else
            descriptor->deliver_global_size = (uint32_t)size;
        }
      else
        parser_refuse (parser, entry, "is neither 'char NAME[SIZE]' nor 'cstr NAME'");
      if (descriptor->deliver_global != NULL && !signature_is_symbol (descriptor->deliver_global))
        parser_refuse (parser, entry, "'%.40s' is not a symbol", descriptor->deliver_global);
    }
  else
    parser_refuse (parser, entry, "unknown key");
}

/* ---- the whole ---- */

/* Groups in the order they are read; a name that ends with a blank is a prefix. */
typedef struct
{
  const char *name;
  bool is_native;    /* native metadata has it too */
  bool is_of_keygen; /* a keygen has it too */
  void (*read) (Parser *parser, Entry *entry);
} Group;

static const Group groups[] = {
  { "Plugin", true, true, read_plugin },          { "Permissions", true, false, read_permission },
  { "Limits", true, false, read_limit },          { "Provide", false, true, parser_read_provide },
  { "Handles", false, true, parser_read_handle }, { "Table ", false, true, parser_read_table },
  { "Symbols", false, true, parser_read_symbol }, { "Command ", false, false, parser_read_command },
  { "Phase ", false, true, parser_read_phase },   { "Return ", false, true, parser_read_rule },
  { "Deliver", false, false, read_deliver },
};

static bool
is_group (const Group *group, const char *name, DescriptorKind kind)
{
  size_t length = strlen (group->name);

  if (kind == DESCRIPTOR_NATIVE && !group->is_native)
    return false;
  if (group->name[length - 1] == ' ')
    return strncmp (name, group->name, length) == 0 && name[length] != '\0';
  return strcmp (name, group->name) == 0;
}

static const Group *
find_group (const char *name, DescriptorKind kind)
{
  for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
    if (is_group (&groups[i], name, kind))
      return &groups[i];
  return NULL;
}

/* The names of groups that came. */
typedef struct
{
  const char *names[64];
  unsigned n;
} GroupNames;

static void
take_group (Parser *parser, const Entry *entry, GroupNames *seen)
{
  if (find_group (entry->group, parser->descriptor->kind) == NULL)
    parser_refuse (parser, entry, "unknown group");
  for (unsigned i = 0; i < seen->n; i++)
    if (strcmp (seen->names[i], entry->group) == 0)
      parser_refuse (parser, entry, "comes twice");
  if (seen->n == sizeof seen->names / sizeof *seen->names)
    parser_refuse (parser, entry, "more than %u groups", seen->n);
  else
    seen->names[seen->n++] = entry->group;
}

/* Keys of a group that is not known are dropped: the group was refused. */
static void
take_entry (Parser *parser, const Entry *entry)
{
  if (find_group (entry->group, parser->descriptor->kind) == NULL)
    return;
  for (unsigned i = parser->n_entries; i > 0 && parser->entries[i - 1].group == entry->group; i--)
    if (strcmp (parser->entries[i - 1].key, entry->key) == 0)
      parser_refuse (parser, entry, "comes twice");
  if (parser->n_entries == PARSER_MAX_ENTRIES)
    parser_refuse (parser, entry, "more than %d keys", PARSER_MAX_ENTRIES);
  else if (!parser->is_bad)
    parser->entries[parser->n_entries++] = *entry;
}

static void
take_in (Parser *parser, char *text, size_t length)
{
  Keyfile keyfile;
  KeyfileItem item;
  GroupNames seen = { .n = 0 };

  keyfile_init (&keyfile, text, length);
  while ((item = keyfile_next (&keyfile)) != KEYFILE_END)
    {
      Entry entry
          = { .group = keyfile.group, .key = keyfile.key, .value = keyfile.value, .line = keyfile.line };

      parser->is_bad = false;
      if (item == KEYFILE_BAD)
        {
          entry.group = NULL;
          parser_refuse (parser, &entry, "%s", keyfile.key);
        }
      else if (item == KEYFILE_GROUP)
        take_group (parser, &entry, &seen);
      else
        take_entry (parser, &entry);
      if (parser->n_entries == PARSER_MAX_ENTRIES && parser->is_bad)
        return;
    }
}

/* A keygen is called in a way of its own, so that is known before anything is read. */
static void
find_keygen (Parser *parser)
{
  for (unsigned i = 0; i < parser->n_entries; i++)
    {
      const Entry *entry = &parser->entries[i];

      if (strcmp (entry->group, "Phase keygen") == 0
          || (strcmp (entry->group, "Symbols") == 0 && strcmp (entry->key, "keygen") == 0))
        parser->descriptor->is_keygen = true;
    }
}

static void
read_groups (Parser *parser)
{
  bool is_keygen = parser->descriptor->is_keygen;

  for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
    for (unsigned j = 0; j < parser->n_entries; j++)
      {
        Entry *entry = &parser->entries[j];

        if (!is_group (&groups[i], entry->group, parser->descriptor->kind))
          continue;
        parser->is_bad = false;
        if (is_keygen && !groups[i].is_of_keygen)
          parser_refuse (parser, entry, "a keygen has no [%.*s]", (int)strcspn (groups[i].name, " "),
                         groups[i].name);
        else
          groups[i].read (parser, entry);
      }
  for (unsigned j = 0; j < parser->n_entries; j++)
    if (strncmp (parser->entries[j].group, "Command ", 8) == 0 && !is_keygen)
      {
        parser->is_bad = false;
        parser_read_command_rest (parser, &parser->entries[j]);
      }
}

static void
need (Parser *parser, const char *key, const void *value)
{
  Entry entry = { .group = "Plugin", .key = key };

  for (unsigned i = 0; i < parser->n_entries; i++)
    if (strcmp (parser->entries[i].group, "Plugin") == 0 && strcmp (parser->entries[i].key, key) == 0)
      return; /* it is there, and what was wrong with it was said */
  parser->is_bad = false;
  if (value == NULL)
    parser_refuse (parser, &entry, "is missing");
}

static void
check_whole (Parser *parser)
{
  Descriptor *descriptor = parser->descriptor;

  need (parser, "id", descriptor->id);
  need (parser, "name", descriptor->name);
  need (parser, "version", descriptor->version);
  need (parser, "object", descriptor->object);
  need (parser, "sha256", descriptor->sha256);
  need (parser, descriptor->kind == DESCRIPTOR_LEGACY ? "format" : "abi", NULL);
  /* What is not whole leads to errors that are none. */
  if (parser->n_errors == 0)
    parser_check_calls (parser);
}

static void
set_defaults (Descriptor *descriptor, DescriptorKind kind)
{
  descriptor->kind = kind;
  descriptor->message_call = -1;
  descriptor->call_timeout_ms = 3000;
  descriptor->memory_bytes = 256ull << 20;
  descriptor->restarts = 3;
  descriptor->restart_period_s = 60;
}

Descriptor *
descriptor_parse_all (const char *file, DescriptorKind kind, const char *text, size_t length,
                      DescriptorFound found, void *data)
{
  Descriptor *descriptor = calloc (1, sizeof *descriptor);
  Parser *parser = calloc (1, sizeof *parser);
  bool is_bad = true;

  if (descriptor != NULL)
    descriptor->text = malloc (2 * (length < DESCRIPTOR_MAX_BYTES ? length : DESCRIPTOR_MAX_BYTES) + 2);
  if (descriptor == NULL || parser == NULL || descriptor->text == NULL)
    {
      found ("out of memory", 0, data);
      free (parser);
      descriptor_free (descriptor);
      return NULL;
    }
  parser->file = file;
  parser->descriptor = descriptor;
  parser->found = found;
  parser->data = data;
  if (length > DESCRIPTOR_MAX_BYTES)
    parser_refuse (parser, NULL, "is longer than 16 KiB");
  else if (length > 0 && memchr (text, '\0', length) != NULL)
    parser_refuse (parser, NULL, "is not UTF-8 text");
  else
    {
      if (length > 0)
        memcpy (descriptor->text, text, length);
      descriptor->pool = descriptor->text + length + 1;
      descriptor->pool_bytes = length + 1;
      set_defaults (descriptor, kind);
      take_in (parser, descriptor->text, length);
      find_keygen (parser);
      read_groups (parser);
      check_whole (parser);
      is_bad = parser->n_errors > 0;
    }
  free (parser);
  if (!is_bad)
    return descriptor;
  descriptor_free (descriptor);
  return NULL;
}

static void
keep_first (const char *text, unsigned line, void *data)
{
  DescriptorError *error = data;

  if (error->text[0] == '\0')
    snprintf (error->text, sizeof error->text, "%s", text);
}

Descriptor *
descriptor_parse (const char *file, DescriptorKind kind, const char *text, size_t length,
                  DescriptorError *error)
{
  error->text[0] = '\0';
  return descriptor_parse_all (file, kind, text, length, keep_first, error);
}

void
descriptor_free (Descriptor *descriptor)
{
  if (descriptor == NULL)
    return;
  free (descriptor->text);
  free (descriptor);
}
