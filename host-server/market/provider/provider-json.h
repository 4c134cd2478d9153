/* JSON from a billing provider, read field by field with one failure that sticks: after the first field that
 * is not what it should be nothing more is believed, and provider_json_finish() says which it was. */
#pragma once

#include <gio/gio.h>
#include <jansson.h>

typedef struct
{
  GError *error;
} ProviderJson;

/* The object that @body is; NULL with @error (G_IO_ERROR_INVALID_DATA) if it is none or has a name twice. */
json_t *provider_json_parse (const void *body, gsize length, GError **error);

/* @name is missing or not what it should be. */
void provider_json_fail (ProviderJson *reader, const char *name);
/* An id (provider_id_is_valid()), lent; NULL if it is none. @object may be NULL or no object. */
const char *provider_json_need_id (ProviderJson *reader, json_t *object, const char *name);
/* 1 to PROVIDER_MAX_AMOUNT, an integer as JSON has them: 10.0 is none. 0 if it is not that. */
gint64 provider_json_need_amount (ProviderJson *reader, json_t *object, const char *name);
/* Three capital letters, lent; NULL if it is not that. */
const char *provider_json_need_currency (ProviderJson *reader, json_t *object, const char *name);
gboolean provider_json_need_bool (ProviderJson *reader, json_t *object, const char *name);
/* The index in the NULL-terminated @words; 0 if it is none of them. */
int provider_json_need_word (ProviderJson *reader, json_t *object, const char *name,
                             const char *const *words);
/* TRUE if nothing failed; otherwise FALSE with @error (G_IO_ERROR_INVALID_DATA). Ends the reading. */
gboolean provider_json_finish (ProviderJson *reader, GError **error);
