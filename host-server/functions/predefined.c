#include "host-server/functions/predefined.h"

#include "common/base/text.h"
#include "common/protocol/function.h"
#include "host-server/functions/room.h"
#include "plugin-abi/include/host/module.h"

#include <string.h>

#define STORE_PREFIX "store/"

struct Predefined
{
  const char *name;
  void (*run) (FunctionCall *call, const char *argument, gsize length);
};

static void
refuse (FunctionCall *call, FunctionAnswerKind kind, const char *told)
{
  FunctionAnswer answer = { .kind = kind, .told = told };
  function_call_finish (call, &answer);
}

static void
fail (FunctionCall *call, const GError *error)
{
  FunctionAnswer answer = { .kind = FUNCTION_ANSWER_FAULT, .error = error };
  function_call_finish (call, &answer);
}

/* The key in the user's data that a caller's is kept under; NULL, and @call is answered, if it is none. */
static char *
read_key (FunctionCall *call, const char *key, gsize length)
{
  gboolean is_key = length > 0 && length <= HOST_KV_KEY_MAX - strlen (STORE_PREFIX)
                    && memchr (key, '\0', length) == NULL && text_is_xml (key, length);
  for (gsize i = 0; is_key && i < length; i++)
    is_key = !g_ascii_iscntrl (key[i]);
  if (!is_key)
    {
      refuse (call, FUNCTION_ANSWER_BAD_REQUEST,
              "a key is 1 to 194 bytes of text without control characters");
      return NULL;
    }
  g_autofree char *text = g_strndup (key, length);
  return g_str_has_prefix (text, COUNTER_PREFIX) ? g_steal_pointer (&text)
                                                 : g_strconcat (STORE_PREFIX, text, NULL);
}

static void
note_read (FunctionCall *call, const char *key, gint64 version)
{
  gint64 *seen = g_new (gint64, 1);
  *seen = version;
  g_hash_table_replace (call->reads, g_strdup (key), seen);
}

static Db *
peek_reader (const FunctionCall *call)
{
  return store_peek_reader (call->functions->server->store, STORE_MARKET);
}

static void
run_get (FunctionCall *call, const char *argument, gsize length)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) value = NULL;
  gint64 version;
  DataOwner owner = { call->account, call->application };
  g_autofree char *key = read_key (call, argument, length);
  if (key == NULL)
    return;
  if (!data_get (peek_reader (call), &owner, key, &value, &version, &error))
    {
      fail (call, error);
      return;
    }
  note_read (call, key, version);
  if (value == NULL)
    refuse (call, FUNCTION_ANSWER_NOT_FOUND, "there is no such key");
  else if (g_bytes_get_size (value) > FUNCTION_MAX_BYTES)
    {
      FunctionAnswer answer = { .kind = FUNCTION_ANSWER_LIMIT, .word = "output" };
      function_call_finish (call, &answer);
    }
  else
    executor_commit (call, value);
}

static void
write_key (FunctionCall *call, const char *argument, gsize length, GBytes *value)
{
  g_autofree char *key = read_key (call, argument, length);
  g_autoptr (GBytes) nothing = g_bytes_new_static ("", 0);
  if (key == NULL)
    return;
  if (g_str_has_prefix (key, COUNTER_PREFIX))
    {
      refuse (call, FUNCTION_ANSWER_FORBIDDEN, "what was bought is not a caller's to change");
      return;
    }
  g_hash_table_replace (call->writes, g_steal_pointer (&key), value != NULL ? g_bytes_ref (value) : NULL);
  executor_commit (call, nothing);
}

static void
run_put (FunctionCall *call, const char *argument, gsize length)
{
  const char *end = length > 0 ? memchr (argument, '\n', length) : NULL;
  if (end == NULL)
    {
      refuse (call, FUNCTION_ANSWER_BAD_REQUEST, "the key, a line feed, the value");
      return;
    }
  gsize n_key = (gsize)(end - argument);
  g_autoptr (GBytes) value = g_bytes_new (end + 1, length - n_key - 1);
  write_key (call, argument, n_key, value);
}

static void
run_delete (FunctionCall *call, const char *argument, gsize length)
{
  write_key (call, argument, length, NULL);
}

/* FALSE when the answer is full. */
static gboolean
list_key (const char *key, gsize length, gpointer data)
{
  GString *list = data;
  g_string_append_printf (list, "%zu %s\n", length, key + strlen (STORE_PREFIX));
  return list->len <= FUNCTION_MAX_BYTES;
}

static void
run_list (FunctionCall *call, const char *argument, gsize length)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GString) list = g_string_new (NULL);
  DataOwner owner = { call->account, call->application };
  if (length > HOST_KV_KEY_MAX || !text_is_xml (argument, length))
    {
      refuse (call, FUNCTION_ANSWER_BAD_REQUEST, "a prefix is at most 200 bytes of text");
      return;
    }
  g_autofree char *text = g_strndup (argument, length);
  g_autofree char *prefix = g_strconcat (STORE_PREFIX, text, NULL);
  if (!data_list (peek_reader (call), &owner, prefix, list_key, list, &error))
    {
      fail (call, error);
      return;
    }
  if (list->len > FUNCTION_MAX_BYTES)
    {
      FunctionAnswer answer = { .kind = FUNCTION_ANSWER_LIMIT, .word = "output" };
      function_call_finish (call, &answer);
      return;
    }
  g_autoptr (GBytes) result = g_bytes_new (list->str, list->len);
  executor_commit (call, result);
}

static void
run_resource (FunctionCall *call, const char *argument, gsize length)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *text = g_strndup (argument, length);
  g_auto (GStrv) words = g_strsplit (text, " ", 4);
  guint n_words = g_strv_length (words);
  guint64 offset = 0, most = FUNCTION_MAX_BYTES;
  if (n_words < 1 || n_words > 3 || !resource_name_is_valid (words[0])
      || (n_words > 1 && !g_ascii_string_to_unsigned (words[1], 10, 0, G_MAXUINT32, &offset, NULL))
      || (n_words > 2 && !g_ascii_string_to_unsigned (words[2], 10, 0, FUNCTION_MAX_BYTES, &most, NULL)))
    {
      refuse (call, FUNCTION_ANSWER_BAD_REQUEST, "a resource's name, perhaps an offset and a length");
      return;
    }
  FunctionApplication *application = functions_find_application (call->functions, call->application, &error);
  const ResourceImage *image
      = application != NULL ? functions_get_image (call->functions, application, &error) : NULL;
  if (image == NULL && error != NULL)
    {
      fail (call, error);
      return;
    }
  gsize size;
  const guint8 *value = image != NULL ? resource_image_find_open (image, words[0], &size) : NULL;
  if (value == NULL)
    {
      refuse (call, FUNCTION_ANSWER_NOT_FOUND, "there is no such resource");
      return;
    }
  offset = MIN (offset, size);
  if (n_words < 3 && size - offset > FUNCTION_MAX_BYTES)
    {
      FunctionAnswer answer
          = { .kind = FUNCTION_ANSWER_LIMIT, .word = "output", .told = "ask for a part of it" };
      function_call_finish (call, &answer);
      return;
    }
  g_autoptr (GBytes) part = g_bytes_new (value + offset, MIN (most, size - offset));
  executor_commit (call, part);
}

static const Predefined functions[] = {
  { "store.get", run_get },       { "store.put", run_put },         { "store.list", run_list },
  { "store.delete", run_delete }, { "resource.get", run_resource },
};

const Predefined *
predefined_find (const char *name)
{
  for (gsize i = 0; i < G_N_ELEMENTS (functions); i++)
    if (g_str_equal (functions[i].name, name))
      return &functions[i];
  return NULL;
}

void
predefined_run (const Predefined *predefined, FunctionCall *call)
{
  gsize length;
  const char *argument = g_bytes_get_data (call->argument, &length);
  predefined->run (call, argument != NULL ? argument : "", length);
}
