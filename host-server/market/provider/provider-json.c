#include "host-server/market/provider/provider-json.h"

#include "host-server/market/provider/provider.h"

#include <string.h>

json_t *
provider_json_parse (const void *body, gsize length, GError **error)
{
  json_error_t failure;
  json_t *root = json_loadb (body, length, JSON_REJECT_DUPLICATES, &failure);
  if (json_is_object (root))
    return root;
  json_decref (root);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "it is not a JSON object");
  return NULL;
}

void
provider_json_fail (ProviderJson *reader, const char *name)
{
  if (reader->error == NULL)
    reader->error
        = g_error_new (G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "'%s' is missing or not what it should be", name);
}

const char *
provider_json_need_id (ProviderJson *reader, json_t *object, const char *name)
{
  const char *text = json_string_value (json_object_get (object, name));
  if (text != NULL && provider_id_is_valid (text))
    return text;
  provider_json_fail (reader, name);
  return NULL;
}

gint64
provider_json_need_amount (ProviderJson *reader, json_t *object, const char *name)
{
  json_t *value = json_object_get (object, name);
  if (json_is_integer (value) && json_integer_value (value) >= 1
      && json_integer_value (value) <= PROVIDER_MAX_AMOUNT)
    return json_integer_value (value);
  provider_json_fail (reader, name);
  return 0;
}

const char *
provider_json_need_currency (ProviderJson *reader, json_t *object, const char *name)
{
  const char *text = json_string_value (json_object_get (object, name));
  if (text != NULL && strlen (text) == 3 && g_ascii_isupper (text[0]) && g_ascii_isupper (text[1])
      && g_ascii_isupper (text[2]))
    return text;
  provider_json_fail (reader, name);
  return NULL;
}

gboolean
provider_json_need_bool (ProviderJson *reader, json_t *object, const char *name)
{
  json_t *value = json_object_get (object, name);
  if (!json_is_boolean (value))
    provider_json_fail (reader, name);
  return json_is_true (value);
}

int
provider_json_need_word (ProviderJson *reader, json_t *object, const char *name, const char *const *words)
{
  const char *text = json_string_value (json_object_get (object, name));
  for (int i = 0; text != NULL && words[i] != NULL; i++)
    if (g_str_equal (text, words[i]))
      return i;
  provider_json_fail (reader, name);
  return 0;
}

gboolean
provider_json_finish (ProviderJson *reader, GError **error)
{
  if (reader->error == NULL)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&reader->error));
  return FALSE;
}
