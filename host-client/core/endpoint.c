#include "host-client/core/endpoint.h"

#include <string.h>

/* Addresses that are tried in one round, whatever the name servers say. */
#define ADDRESSES_MAX 16

Endpoint *
endpoint_new (const char *host, guint16 port, gboolean is_direct_tls)
{
  Endpoint *endpoint = g_new0 (Endpoint, 1);
  endpoint->host = g_strdup (host);
  endpoint->port = port;
  endpoint->is_direct_tls = is_direct_tls;
  return endpoint;
}

void
endpoint_free (Endpoint *endpoint)
{
  if (endpoint == NULL)
    return;
  g_free (endpoint->host);
  g_free (endpoint);
}

Endpoint *
endpoint_parse (const char *text, gboolean is_direct_tls)
{
  guint16 standard = is_direct_tls ? ENDPOINT_PORT_DIRECT : ENDPOINT_PORT;
  const char *colon = strrchr (text, ':');
  g_autofree char *host = NULL;
  const char *port_text = NULL;
  if (text[0] == '[')
    {
      const char *bracket = strchr (text, ']');
      if (bracket == NULL || (bracket[1] != '\0' && bracket[1] != ':'))
        return NULL;
      host = g_strndup (text + 1, bracket - text - 1);
      port_text = bracket[1] == ':' ? bracket + 2 : NULL;
      if (!g_hostname_is_ip_address (host))
        return NULL;
    }
  else if (colon != NULL && strchr (text, ':') == colon)
    {
      host = g_strndup (text, colon - text);
      port_text = colon + 1;
    }
  else
    host = g_strdup (text);

  guint64 port = standard;
  if (port_text != NULL && !g_ascii_string_to_unsigned (port_text, 10, 1, 65535, &port, NULL))
    return NULL;
  if (host[0] == '\0' || strpbrk (host, " /@") != NULL
      || (strchr (host, ':') != NULL && !g_hostname_is_ip_address (host)))
    return NULL;
  return endpoint_new (host, (guint16)port, is_direct_tls);
}

typedef struct
{
  char *domain;
  Endpoint *given;
} Question;

static void
question_free (gpointer data)
{
  Question *question = data;
  g_free (question->domain);
  endpoint_free (question->given);
  g_free (question);
}

static void
add_addresses (GPtrArray *found, GResolver *resolver, const Endpoint *named, GCancellable *cancellable,
               GError **error)
{
  if (g_hostname_is_ip_address (named->host))
    {
      g_ptr_array_add (found, endpoint_new (named->host, named->port, named->is_direct_tls));
      return;
    }
  GList *addresses = g_resolver_lookup_by_name (resolver, named->host, cancellable, error);
  for (GList *item = addresses; item != NULL && found->len < ADDRESSES_MAX; item = item->next)
    {
      g_autofree char *numeric = g_inet_address_to_string (item->data);
      g_ptr_array_add (found, endpoint_new (numeric, named->port, named->is_direct_tls));
    }
  g_resolver_free_addresses (addresses);
}

/* FALSE: the domain says outright that it has no such service (RFC 2782: the target "."). */
static gboolean
add_service (GPtrArray *found, GResolver *resolver, const char *service, const char *domain,
             gboolean is_direct_tls, GCancellable *cancellable)
{
  GList *targets = g_resolver_lookup_service (resolver, service, "tcp", domain, cancellable, NULL);
  gboolean is_offered = TRUE;
  for (GList *item = targets; item != NULL && found->len < ADDRESSES_MAX; item = item->next)
    {
      const char *host = g_srv_target_get_hostname (item->data);
      if (host[0] == '\0' || strcmp (host, ".") == 0)
        {
          is_offered = FALSE;
          continue;
        }
      g_autoptr (Endpoint) named = endpoint_new (host, g_srv_target_get_port (item->data), is_direct_tls);
      add_addresses (found, resolver, named, cancellable, NULL);
    }
  g_resolver_free_targets (targets);
  return is_offered;
}

static void
look_up (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  Question *question = data;
  g_autoptr (GResolver) resolver = g_resolver_get_default ();
  g_autoptr (GPtrArray) found = g_ptr_array_new_with_free_func ((GDestroyNotify)endpoint_free);
  g_autoptr (GError) error = NULL;

  gboolean is_offered = TRUE;
  if (question->given == NULL && !g_hostname_is_ip_address (question->domain))
    {
      /* COMPAT: libstrophe looks for neither of the direct TLS records, and tries one address only. */
      add_service (found, resolver, "xmpps-client", question->domain, TRUE, cancellable);
      is_offered = add_service (found, resolver, "xmpp-client", question->domain, FALSE, cancellable);
    }
  if (found->len == 0 && is_offered)
    {
      g_autoptr (Endpoint) named
          = question->given != NULL
                ? endpoint_new (question->given->host, question->given->port, question->given->is_direct_tls)
                : endpoint_new (question->domain, ENDPOINT_PORT, FALSE);
      add_addresses (found, resolver, named, cancellable, &error);
    }

  if (found->len > 0)
    g_task_return_pointer (task, g_steal_pointer (&found), (GDestroyNotify)g_ptr_array_unref);
  else if (error != NULL)
    g_task_return_error (task, g_steal_pointer (&error));
  else
    g_task_return_new_error (task, G_RESOLVER_ERROR, G_RESOLVER_ERROR_NOT_FOUND,
                             "%s offers no service for clients", question->domain);
}

void
endpoint_look_up_async (const char *domain, const Endpoint *given, GCancellable *cancellable,
                        GAsyncReadyCallback callback, gpointer data)
{
  Question *question = g_new0 (Question, 1);
  question->domain = g_strdup (domain);
  if (given != NULL)
    question->given = endpoint_new (given->host, given->port, given->is_direct_tls);
  g_autoptr (GTask) task = g_task_new (NULL, cancellable, callback, data);
  g_task_set_task_data (task, question, question_free);
  g_task_set_return_on_cancel (task, TRUE);
  g_task_run_in_thread (task, look_up);
}

GPtrArray *
endpoint_look_up_finish (GAsyncResult *result, GError **error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}
