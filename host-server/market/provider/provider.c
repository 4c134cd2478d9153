#include "host-server/market/provider/provider.h"

static const ProviderType *const types[] = {
#define PROVIDER_TYPE(name) &provider_##name,
#include "host-server/market/provider/provider-types.h"
#undef PROVIDER_TYPE
};

const ProviderType *
provider_type_find (const char *name)
{
  for (gsize i = 0; i < G_N_ELEMENTS (types); i++)
    if (g_strcmp0 (types[i]->name, name) == 0)
      return types[i];
  return NULL;
}

char *
provider_dup_return_url (const Provider *provider)
{
  return provider->callback_url != NULL ? g_strconcat (provider->callback_url, "/return", NULL) : NULL;
}

gboolean
provider_is_check_order (const char *order)
{
  return order != NULL && g_str_has_prefix (order, PROVIDER_CHECK_PREFIX);
}

gboolean
provider_id_is_valid (const char *id)
{
  gsize length = 0;
  for (; id[length] != '\0'; length++)
    if (!g_ascii_isgraph (id[length]) || length >= PROVIDER_MAX_ID)
      return FALSE;
  return length > 0;
}

void
provider_free (Provider *provider)
{
  if (provider == NULL)
    return;
  g_free (provider->name);
  g_free (provider->merchant);
  http_base_free (provider->base);
  secret_free (provider->api_key);
  g_free (provider->callback_url);
  g_clear_pointer (&provider->calls, g_hash_table_unref);
  g_free (provider);
}

MoneyEvent *
money_event_new (void)
{
  return g_new0 (MoneyEvent, 1);
}

MoneyEvent *
money_event_copy (const MoneyEvent *event)
{
  MoneyEvent *copy = g_memdup2 (event, sizeof *event);
  copy->merchant = g_strdup (event->merchant);
  copy->order = g_strdup (event->order);
  copy->checkout = g_strdup (event->checkout);
  copy->payment = g_strdup (event->payment);
  copy->refund = g_strdup (event->refund);
  copy->dispute = g_strdup (event->dispute);
  copy->currency = g_strdup (event->currency);
  return copy;
}

void
money_event_free (MoneyEvent *event)
{
  if (event == NULL)
    return;
  g_free (event->merchant);
  g_free (event->order);
  g_free (event->checkout);
  g_free (event->payment);
  g_free (event->refund);
  g_free (event->dispute);
  g_free (event->currency);
  g_free (event);
}
