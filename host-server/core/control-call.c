#include "host-server/core/control-private.h"

#include "common/base/text.h"

#include <string.h>

typedef struct
{
  char *text;    /* TEXT, PATH, VALUE; of a FILE its path */
  guint8 *bytes; /* FILE */
  gsize length;
} ControlValue;

static void
value_free (gpointer data)
{
  ControlValue *value = data;
  if (value->bytes != NULL)
    secret_wipe (value->bytes, value->length);
  g_free (value->bytes);
  g_free (value->text);
  g_free (value);
}

void
control_call_free (ControlCall *call)
{
  g_hash_table_unref (call->values);
  secret_free (call->secret);
  g_free (call);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ControlCall, control_call_free)

static const ControlArgument *
find_argument (const ControlEntry *entry, const char *name)
{
  for (guint i = 0; i < entry->arguments->len; i++)
    {
      const ControlArgument *argument = &g_array_index (entry->arguments, ControlArgument, i);
      if (strcmp (argument->name, name) == 0)
        return argument;
    }
  return NULL;
}

static gboolean
is_word (const json_t *value)
{
  const char *text = json_string_value (value);
  gsize length = json_string_length (value);
  if (text == NULL || length == 0 || length > CONTROL_MAX_TEXT)
    return FALSE;
  for (gsize i = 0; i < length; i++)
    if ((guchar)text[i] < 0x20 || text[i] == 0x7f)
      return FALSE;
  return TRUE;
}

/* NULL if @given does not fit @argument. */
static ControlValue *
value_new (const ControlArgument *argument, const json_t *given)
{
  const json_t *text = given, *content = NULL;
  if (argument->kind == CONTROL_FLAG)
    return json_is_true (given) ? g_new0 (ControlValue, 1) : NULL;
  if (argument->kind == CONTROL_FILE)
    {
      text = json_object_get (given, "path");
      content = json_object_get (given, "content");
    }
  if (!is_word (text) || (argument->kind == CONTROL_FILE) != json_is_string (content))
    return NULL;
  gboolean is_path = argument->kind == CONTROL_FILE || argument->kind == CONTROL_PATH;
  if (is_path && json_string_value (text)[0] != '/')
    return NULL;
  guint8 *bytes = NULL;
  gsize length = 0;
  if (content != NULL)
    {
      bytes = text_from_base64 (json_string_value (content), json_string_length (content), &length);
      if (bytes == NULL || length > CONTROL_MAX_FILE)
        {
          g_free (bytes);
          return NULL;
        }
    }
  ControlValue *value = g_new0 (ControlValue, 1);
  value->text = g_strdup (json_string_value (text));
  value->bytes = bytes;
  value->length = length;
  return value;
}

static const ControlEntry *
find_command (GPtrArray *commands, const char *name)
{
  for (guint i = 0; name != NULL && i < commands->len; i++)
    {
      const ControlEntry *entry = g_ptr_array_index (commands, i);
      if (strcmp (entry->name, name) == 0)
        return entry;
    }
  return NULL;
}

static char *
take_arguments (ControlCall *call, const json_t *given)
{
  const char *name;
  json_t *value;
  json_object_foreach ((json_t *)given, name, value)
  {
    const ControlArgument *argument = find_argument (call->entry, name);
    ControlValue *taken = argument != NULL ? value_new (argument, value) : NULL;
    if (taken == NULL)
      return g_strdup_printf ("%s: '%.64s' is no argument of it, or not a good one", call->entry->name, name);
    g_hash_table_insert (call->values, g_strdup (name), taken);
  }
  for (guint i = 0; i < call->entry->arguments->len; i++)
    {
      const ControlArgument *argument = &g_array_index (call->entry->arguments, ControlArgument, i);
      if (!argument->is_optional && !g_hash_table_contains (call->values, argument->name))
        return g_strdup_printf ("%s: %s is missing", call->entry->name, argument->name);
    }
  return NULL;
}

static char *
take_secret (ControlCall *call, json_t *given)
{
  gsize length = json_string_length (given);
  gboolean is_wanted = call->entry->secret != NULL;
  if (!is_wanted)
    return given == NULL ? NULL : g_strdup_printf ("%s: takes no secret", call->entry->name);
  if (length == 0 || length > CONTROL_MAX_TEXT)
    return g_strdup_printf ("%s: the %s is missing or too long", call->entry->name, call->entry->secret);
  call->secret = secret_new (json_string_value (given), length);
  secret_wipe ((char *)json_string_value (given), length);
  return NULL;
}

ControlCall *
control_call_parse (GPtrArray *commands, const char *line, gsize length, char **reason)
{
  json_t *request = json_loadb (line, length, JSON_REJECT_DUPLICATES, NULL);
  const json_t *arguments = json_object_get (request, "arguments");
  const ControlEntry *entry
      = find_command (commands, json_string_value (json_object_get (request, "command")));
  *reason = NULL;
  if (!json_is_object (request) || !json_is_object (arguments))
    *reason = g_strdup ("the request is not one");
  else if (entry == NULL)
    *reason = g_strdup ("no such command");

  g_autoptr (ControlCall) call = NULL;
  if (*reason == NULL)
    {
      call = g_new0 (ControlCall, 1);
      call->entry = entry;
      call->values = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, value_free);
      *reason = take_arguments (call, arguments);
    }
  if (*reason == NULL)
    *reason = take_secret (call, json_object_get (request, "secret"));
  json_decref (request);
  return *reason == NULL ? g_steal_pointer (&call) : NULL;
}

/* --- what a handler sees */

static const ControlValue *
get_value (const ControlCall *call, const char *name)
{
  g_assert (find_argument (call->entry, name) != NULL);
  return g_hash_table_lookup (call->values, name);
}

const char *
control_call_get_text (const ControlCall *call, const char *name)
{
  const ControlValue *value = get_value (call, name);
  return value != NULL ? value->text : NULL;
}

gboolean
control_call_has_flag (const ControlCall *call, const char *name)
{
  return get_value (call, name) != NULL;
}

const char *
control_call_get_file (const ControlCall *call, const char *name, gsize *length)
{
  const ControlValue *value = get_value (call, name);
  *length = value != NULL ? value->length : 0;
  return value != NULL ? (const char *)value->bytes : NULL;
}

const char *
control_call_get_file_path (const ControlCall *call, const char *name)
{
  return control_call_get_text (call, name);
}

const Secret *
control_call_peek_secret (const ControlCall *call)
{
  return call->secret;
}

void
control_call_take_row (ControlCall *call, json_t *row)
{
  g_assert (json_is_object (row));
  if (call->link != NULL)
    control_link_take (call->link, json_pack ("{so}", "row", row));
  else
    json_decref (row);
}

static void
end (ControlCall *call, json_t *take_last)
{
  if (call->link != NULL)
    {
      control_link_take (call->link, take_last);
      control_link_end (call->link);
    }
  else
    json_decref (take_last);
  control_call_free (call);
}

void
control_call_tell (ControlCall *call, const char *format, ...)
{
  va_list list;
  va_start (list, format);
  g_autofree char *raw = g_strdup_vprintf (format, list);
  va_end (list);
  g_autofree char *text = g_utf8_make_valid (raw, -1);
  if (call->link != NULL)
    control_link_take (call->link, json_pack ("{ss}", "progress", text));
}

void
control_call_done (ControlCall *call)
{
  end (call, json_pack ("{sb}", "done", 1));
}

void
control_call_done_with (ControlCall *call, json_t *take_row)
{
  control_call_take_row (call, take_row);
  control_call_done (call);
}

void
control_call_refuse (ControlCall *call, const char *format, ...)
{
  va_list list;
  va_start (list, format);
  g_autofree char *raw = g_strdup_vprintf (format, list);
  va_end (list);
  g_autofree char *reason = g_utf8_make_valid (raw, -1);
  end (call, json_pack ("{ss}", "refused", reason));
}
