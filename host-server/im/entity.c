/* What the server says of itself: that it is there (XEP-0199), its version (XEP-0092), its time (XEP-0202), and
 * since when it serves (XEP-0012). */
#include "host-server/im/room.h"

#define NS_PING    "urn:xmpp:ping"
#define NS_VERSION "jabber:iq:version"
#define NS_LAST    "jabber:iq:last"
#define NS_TIME    "urn:xmpp:time"

static void
answer_ping (ServiceRequest *request, gpointer data)
{
  service_request_reply (request, NULL);
}

static void
answer_version (ServiceRequest *request, gpointer data)
{
  service_request_reply (request, "<query xmlns='" NS_VERSION "'><name>Stoa</name><version>" STOA_VERSION
                                  "</version></query>");
}

static void
answer_time (ServiceRequest *request, gpointer data)
{
  Im *im = data;
  g_autofree char *utc = clock_dup_rfc3339 (clock_get_wall_us (im->server->clock));
  g_autofree char *xml
      = g_strdup_printf ("<time xmlns='" NS_TIME "'><tzo>+00:00</tzo><utc>%s</utc></time>", utc);
  service_request_reply (request, xml);
}

static void
answer_last (ServiceRequest *request, gpointer data)
{
  Im *im = data;
  gint64 served_us = clock_get_monotonic_us (im->server->clock) - im->started_us;
  g_autofree char *xml = g_strdup_printf ("<query xmlns='" NS_LAST "' seconds='%" G_GINT64_FORMAT "'/>",
                                          served_us / G_USEC_PER_SEC);
  service_request_reply (request, xml);
}

void
im_entity_init (Im *im)
{
  static const ServiceTarget targets[] = { SERVICE_DOMAIN, SERVICE_MARKET };
  Services *services = im->server->services;
  for (ServiceTarget target = 0; target < N_SERVICE_TARGETS; target++)
    {
      services_add (services, target, STANZA_TYPE_GET, "ping", NS_PING, SERVICE_TREE_FREE, answer_ping, im);
      services_add_feature (services, target, NS_PING);
    }
  services_add (services, SERVICE_DOMAIN, STANZA_TYPE_GET, "query", NS_LAST, SERVICE_TREE_FREE, answer_last,
                im);
  services_add_feature (services, SERVICE_DOMAIN, NS_LAST);
  for (gsize i = 0; i < G_N_ELEMENTS (targets); i++)
    {
      services_add (services, targets[i], STANZA_TYPE_GET, "query", NS_VERSION, SERVICE_TREE_FREE,
                    answer_version, im);
      services_add (services, targets[i], STANZA_TYPE_GET, "time", NS_TIME, SERVICE_TREE_FREE, answer_time,
                    im);
      services_add_feature (services, targets[i], NS_VERSION);
      services_add_feature (services, targets[i], NS_TIME);
    }
}
