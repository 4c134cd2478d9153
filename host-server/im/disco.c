/* Service discovery (XEP-0030) of the domain, the market and the user's own account. Features are what the
 * services have registered. */
#include "common/base/text.h"
#include "host-server/core/adhoc.h"
#include "host-server/im/room.h"

#define NS_INFO  "http://jabber.org/protocol/disco#info"
#define NS_ITEMS "http://jabber.org/protocol/disco#items"

typedef struct
{
  const char *category;
  const char *type;
  const char *name;
} Identity;

static const Identity identities[N_SERVICE_TARGETS] = {
  [SERVICE_DOMAIN] = { "server", "im", "Stoa" },
  [SERVICE_ACCOUNT] = { "account", "registered", NULL },
  [SERVICE_MARKET] = { "component", "generic", "Plugin market" },
};

/* A node is something of its own (XEP-0030 §3.2); these targets have those of their commands. TRUE: answered.
 */
static gboolean
answer_node (Im *im, ServiceRequest *request, ServiceTarget target, gboolean is_items)
{
  Adhoc *adhoc = im->server->adhoc;
  if (xmpp_stanza_get_attribute (service_request_get_tree (request), "node") == NULL)
    return FALSE;
  if (is_items ? adhoc_answer_items (adhoc, target, request) : adhoc_answer_info (adhoc, target, request))
    return TRUE;
  service_request_refuse (request, STANZA_ERROR_ITEM_NOT_FOUND, NULL, NULL);
  return TRUE;
}

static void
answer_info (Im *im, ServiceRequest *request, ServiceTarget target)
{
  if (answer_node (im, request, target, FALSE))
    return;
  g_autoptr (GString) xml = g_string_new ("<query xmlns='" NS_INFO "'><identity");
  text_append_xml_attribute (xml, "category", identities[target].category);
  text_append_xml_attribute (xml, "type", identities[target].type);
  text_append_xml_attribute (xml, "name", identities[target].name);
  g_string_append (xml, "/>");
  const char *const *features = services_get_features (im->server->services, target);
  for (guint i = 0; features != NULL && features[i] != NULL; i++)
    {
      g_string_append (xml, "<feature");
      text_append_xml_attribute (xml, "var", features[i]);
      g_string_append (xml, "/>");
    }
  g_string_append (xml, "</query>");
  service_request_reply (request, xml->str);
}

static void
domain_info (ServiceRequest *request, gpointer data)
{
  answer_info (data, request, SERVICE_DOMAIN);
}

static void
account_info (ServiceRequest *request, gpointer data)
{
  answer_info (data, request, SERVICE_ACCOUNT);
}

static void
market_info (ServiceRequest *request, gpointer data)
{
  answer_info (data, request, SERVICE_MARKET);
}

static void
domain_items (ServiceRequest *request, gpointer data)
{
  Im *im = data;
  if (answer_node (im, request, SERVICE_DOMAIN, TRUE))
    return;
  g_autoptr (GString) xml = g_string_new ("<query xmlns='" NS_ITEMS "'><item");
  text_append_xml_attribute (xml, "jid", jid_get_domain (im->server->market));
  text_append_xml_attribute (xml, "name", identities[SERVICE_MARKET].name);
  g_string_append (xml, "/></query>");
  service_request_reply (request, xml->str);
}

static void
answer_no_items (Im *im, ServiceRequest *request, ServiceTarget target)
{
  if (!answer_node (im, request, target, TRUE))
    service_request_reply (request, "<query xmlns='" NS_ITEMS "'/>");
}

static void
account_items (ServiceRequest *request, gpointer data)
{
  answer_no_items (data, request, SERVICE_ACCOUNT);
}

static void
market_items (ServiceRequest *request, gpointer data)
{
  answer_no_items (data, request, SERVICE_MARKET);
}

void
im_disco_init (Im *im)
{
  static const ServiceHandler infos[N_SERVICE_TARGETS]
      = { [SERVICE_DOMAIN] = domain_info, [SERVICE_ACCOUNT] = account_info, [SERVICE_MARKET] = market_info };
  static const ServiceHandler items[N_SERVICE_TARGETS] = {
    [SERVICE_DOMAIN] = domain_items, [SERVICE_ACCOUNT] = account_items, [SERVICE_MARKET] = market_items
  };
  Services *services = im->server->services;
  for (ServiceTarget target = 0; target < N_SERVICE_TARGETS; target++)
    {
      services_add (services, target, STANZA_TYPE_GET, "query", NS_INFO, SERVICE_DEFAULT, infos[target], im);
      services_add (services, target, STANZA_TYPE_GET, "query", NS_ITEMS, SERVICE_DEFAULT, items[target], im);
      services_add_feature (services, target, NS_INFO);
      services_add_feature (services, target, NS_ITEMS);
    }
}
