#include "host-server/core/router.h"

#include <string.h>

struct Router
{
  SessionBook *book;
  Services *services;
  const Jid *domain;
  const Jid *market;
  struct
  {
    RouterDeliver deliver;
    gpointer data;
  } delivery[3]; /* by StanzaKind */
};

Router *
router_new (SessionBook *book, Services *services, const Jid *domain, const Jid *market)
{
  Router *router = g_new0 (Router, 1);
  router->book = book;
  router->services = services;
  router->domain = domain;
  router->market = market;
  return router;
}

void
router_free (Router *router)
{
  g_free (router);
}

void
router_set_delivery (Router *router, StanzaKind kind, RouterDeliver deliver, gpointer data)
{
  router->delivery[kind].deliver = deliver;
  router->delivery[kind].data = data;
}

static gboolean
may_be_refused (const Stanza *stanza)
{
  if (stanza->kind != STANZA_PRESENCE)
    return TRUE; /* errors and results are never answered: stanza_write_error() sees to it */
  switch (stanza->type)
    {
    case STANZA_TYPE_SUBSCRIBE:
    case STANZA_TYPE_SUBSCRIBED:
    case STANZA_TYPE_UNSUBSCRIBE:
    case STANZA_TYPE_UNSUBSCRIBED:
    case STANZA_TYPE_PROBE:
      return TRUE;
    default:
      return FALSE;
    }
}

void
router_refuse (Router *router, Session *sender, const Stanza *stanza, StanzaError error, const char *text)
{
  if (!may_be_refused (stanza))
    return;
  if (sender == NULL && stanza->from != NULL)
    sender = session_book_find (router->book, jid_get_full (stanza->from));
  if (sender == NULL)
    return;
  g_autoptr (GString) xml = g_string_sized_new (256);
  stanza_write_error (stanza, error, text, NULL, xml);
  if (xml->len > 0)
    session_send_xml (sender, xml->str, xml->len);
}

static void
deliver (Router *router, Session *sender, const Stanza *stanza)
{
  if (router->delivery[stanza->kind].deliver != NULL)
    router->delivery[stanza->kind].deliver (sender, stanza, router->delivery[stanza->kind].data);
  else
    router_refuse (router, sender, stanza, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
}

/* To a domain we serve, not to an account of it. Presence to a domain means nothing here. */
static void
take_for_domain (Router *router, Session *sender, ServiceTarget target, const Stanza *stanza)
{
  if (stanza->kind == STANZA_PRESENCE)
    return;
  if (stanza->kind == STANZA_IQ && sender != NULL && jid_get_resource (stanza->to) == NULL)
    services_take (router->services, sender, target, stanza);
  else
    router_refuse (router, sender, stanza, STANZA_ERROR_SERVICE_UNAVAILABLE, NULL);
}

static gboolean
is_own_account (const Session *sender, const Jid *to)
{
  return sender != NULL && jid_get_resource (to) == NULL && jid_equal (session_get_bare (sender), to);
}

void
router_route (Router *router, Session *sender, const Stanza *stanza)
{
  const Jid *to = stanza->to;

  if (to == NULL)
    {
      if (stanza->kind == STANZA_IQ && sender != NULL)
        services_take (router->services, sender, SERVICE_ACCOUNT, stanza);
      else
        deliver (router, sender, stanza);
      return;
    }
  if (stanza->kind != STANZA_PRESENCE && jid_get_resource (to) != NULL)
    {
      Session *receiver = session_book_find (router->book, jid_get_full (to));
      if (receiver != NULL)
        {
          StanzaRoot root = { NULL };
          session_send (receiver, stanza, &root);
          return;
        }
    }
  if (strcmp (jid_get_domain (to), jid_get_domain (router->domain)) == 0)
    {
      if (jid_get_local (to) == NULL)
        take_for_domain (router, sender, SERVICE_DOMAIN, stanza);
      else if (stanza->kind == STANZA_IQ && is_own_account (sender, to))
        services_take (router->services, sender, SERVICE_ACCOUNT, stanza);
      else
        deliver (router, sender, stanza);
    }
  else if (strcmp (jid_get_domain (to), jid_get_domain (router->market)) == 0)
    {
      if (jid_get_local (to) == NULL)
        take_for_domain (router, sender, SERVICE_MARKET, stanza);
      else
        router_refuse (router, sender, stanza, STANZA_ERROR_ITEM_NOT_FOUND, NULL);
    }
  else
    router_refuse (router, sender, stanza, STANZA_ERROR_REMOTE_SERVER_NOT_FOUND, NULL);
}
