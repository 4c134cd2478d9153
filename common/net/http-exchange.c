#include "common/net/http-private.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void
http_header_clear (gpointer data)
{
  HttpHeader *header = data;
  g_free (header->name);
  g_free (header->value);
}

static GArray *
header_array_new (void)
{
  GArray *headers = g_array_new (FALSE, TRUE, sizeof (HttpHeader));
  g_array_set_clear_func (headers, http_header_clear);
  return headers;
}

HttpExchange *
http_exchange_new (const char *target)
{
  HttpExchange *exchange = g_new0 (HttpExchange, 1);
  exchange->n_references = 1;
  exchange->target = g_strdup (target);
  exchange->headers = header_array_new ();
  exchange->answer_headers = header_array_new ();
  exchange->body = g_byte_array_new ();
  exchange->answer_fd = -1;
  return exchange;
}

void
http_exchange_unref (HttpExchange *exchange)
{
  if (!g_atomic_int_dec_and_test (&exchange->n_references))
    return;
  g_free (exchange->method);
  g_free (exchange->target);
  g_free (exchange->peer);
  g_strfreev (exchange->parameters);
  g_array_unref (exchange->headers);
  g_array_unref (exchange->answer_headers);
  g_byte_array_unref (exchange->body);
  g_clear_pointer (&exchange->answer, g_byte_array_unref);
  g_clear_pointer (&exchange->form, g_hash_table_unref);
  g_clear_pointer (&exchange->query, g_hash_table_unref);
  g_free (exchange->content_type);
  if (exchange->answer_fd >= 0)
    close (exchange->answer_fd);
  g_free (exchange);
}

const char *
http_exchange_get_method (const HttpExchange *exchange)
{
  return exchange->method;
}

const char *
http_exchange_get_target (const HttpExchange *exchange)
{
  return exchange->target;
}

const char *
http_exchange_get_peer (const HttpExchange *exchange)
{
  return exchange->peer;
}

const char *
http_exchange_get_parameter (const HttpExchange *exchange, const char *name)
{
  gsize length = strlen (name);
  guint index = 0;
  for (char **segment = exchange->entry->segments; *segment != NULL; segment++)
    {
      if ((*segment)[0] != '{')
        continue;
      if (strncmp (*segment + 1, name, length) == 0 && strcmp (*segment + 1 + length, "}") == 0)
        return exchange->parameters[index];
      index++;
    }
  g_assert_not_reached ();
}

static const HttpHeader *
find_header (const HttpExchange *exchange, const char *name)
{
  for (guint i = 0; i < exchange->headers->len; i++)
    {
      const HttpHeader *header = &g_array_index (exchange->headers, HttpHeader, i);
      if (g_ascii_strcasecmp (header->name, name) == 0)
        return header;
    }
  return NULL;
}

const char *
http_exchange_get_header (const HttpExchange *exchange, const char *name)
{
  const HttpHeader *header = find_header (exchange, name);
  return header != NULL ? header->value : NULL;
}

guint
http_exchange_count_header (const HttpExchange *exchange, const char *name)
{
  const HttpHeader *header = find_header (exchange, name);
  return header != NULL ? header->count : 0;
}

const char *
http_exchange_get_body (const HttpExchange *exchange, gsize *length)
{
  /* The daemon put a NUL behind what it counted. */
  if (length != NULL)
    *length = exchange->body->len - 1;
  return (const char *)exchange->body->data;
}

/* --- forms and queries */

static char *
decode_field (const char *text)
{
  g_autofree char *spaced = g_strdelimit (g_strdup (text), "+", ' ');
  g_autofree char *decoded = g_uri_unescape_string (spaced, NULL);
  return decoded != NULL && g_utf8_validate (decoded, -1, NULL) ? g_steal_pointer (&decoded) : NULL;
}

/* Name to value; a value NULL stands for one that is repeated or undecodable. */
static GHashTable *
parse_fields (const char *text)
{
  GHashTable *fields = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_auto (GStrv) pairs = g_strsplit (text, "&", 256);
  for (char **pair = pairs; *pair != NULL; pair++)
    {
      char *value = strchr (*pair, '=');
      if (value != NULL)
        *value++ = '\0';
      char *name = decode_field (*pair);
      if (name == NULL)
        continue;
      gboolean is_repeated = g_hash_table_contains (fields, name);
      g_hash_table_replace (fields, name, is_repeated ? NULL : decode_field (value != NULL ? value : ""));
    }
  return fields;
}

const char *
http_exchange_get_query (HttpExchange *exchange, const char *name)
{
  if (exchange->query == NULL)
    {
      const char *query = strchr (exchange->target, '?');
      exchange->query = parse_fields (query != NULL ? query + 1 : "");
    }
  return g_hash_table_lookup (exchange->query, name);
}

const char *
http_exchange_get_form (HttpExchange *exchange, const char *name)
{
  if (exchange->form == NULL)
    {
      gsize length;
      const char *body = http_exchange_get_body (exchange, &length);
      exchange->form = parse_fields (memchr (body, '\0', length) == NULL ? body : "");
    }
  return g_hash_table_lookup (exchange->form, name);
}

/* --- answers */

void
http_exchange_add_header (HttpExchange *exchange, const char *name, const char *value)
{
  for (const char *byte = value; *byte != '\0'; byte++)
    g_assert ((guchar)*byte >= 0x20 && *byte != 0x7f);
  HttpHeader header = { g_strdup (name), g_strdup (value), 1 };
  g_array_append_val (exchange->answer_headers, header);
}

void
http_exchange_set_answer (HttpExchange *exchange, guint status, const char *content_type, const void *body,
                          gsize length)
{
  exchange->status = status;
  g_free (exchange->content_type);
  exchange->content_type = g_strdup (content_type);
  g_clear_pointer (&exchange->answer, g_byte_array_unref);
  exchange->answer = g_byte_array_sized_new ((guint)length);
  if (length > 0)
    g_byte_array_append (exchange->answer, body, (guint)length);
}

void
http_exchange_set_refusal (HttpExchange *exchange, guint status, const char *reason)
{
  json_t *object = json_pack ("{ss}", "error", reason);
  char *text = json_dumps (object, JSON_COMPACT);
  http_exchange_set_answer (exchange, status, "application/json", text, strlen (text));
  free (text);
  json_decref (object);
}

static void
hand_back (HttpExchange *exchange)
{
  if (exchange->server != NULL)
    http_server_resume (exchange->server, exchange);
  http_exchange_unref (exchange);
}

void
http_exchange_answer (HttpExchange *exchange, guint status, const char *content_type, const void *body,
                      gsize length)
{
  http_exchange_set_answer (exchange, status, content_type, body, length);
  hand_back (exchange);
}

void
http_exchange_answer_file (HttpExchange *exchange, guint status, const char *content_type, int take_fd,
                           guint64 offset, guint64 length)
{
  http_exchange_set_answer (exchange, status, content_type, NULL, 0);
  exchange->answer_fd = take_fd;
  exchange->answer_offset = offset;
  exchange->answer_length = length;
  hand_back (exchange);
}

void
http_exchange_answer_json (HttpExchange *exchange, guint status, const char *json)
{
  http_exchange_answer (exchange, status, "application/json", json, strlen (json));
}

void
http_exchange_refuse (HttpExchange *exchange, guint status, const char *reason)
{
  http_exchange_set_refusal (exchange, status, reason);
  hand_back (exchange);
}
