/* In-band registration (XEP-0077) with the plain fields: creating an account before login, changing its
 * password and removing it after. */
#include "common/base/log.h"
#include "common/base/text.h"
#include "host-server/configuration/room.h"
#include "host-server/core/config.h"
#include "host-server/core/hooks.h"
#include "host-server/core/service.h"

#include <string.h>

#define NS_REGISTER "jabber:iq:register"
#define NS_FEATURE  "http://jabber.org/features/iq-register"
#define NAME_RULE   "username: a name that is valid before the @ of an address"
#define PASSWORD_RULE                                                                                        \
  "password: " G_STRINGIFY (ACCOUNT_MIN_PASSWORD) " to " G_STRINGIFY (                                       \
      ACCOUNT_MAX_PASSWORD) " bytes, without control characters"

/* A change on its way through the store. */
typedef struct
{
  Configuration *configuration;
  ServiceRequest *request;
  Jid *account;
} Change;

static Change *
change_new (Configuration *configuration, ServiceRequest *request, const Jid *account)
{
  Change *change = g_new0 (Change, 1);
  change->configuration = configuration;
  change->request = service_request_ref (request);
  change->account = jid_to_bare (account);
  return change;
}

static void
change_free (Change *change)
{
  service_request_unref (change->request);
  jid_unref (change->account);
  g_free (change);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Change, change_free)

/* Answers whatever is not ACCOUNTS_OK. */
static void
refuse_outcome (ServiceRequest *request, AccountsOutcome outcome, const GError *error)
{
  switch (outcome)
    {
    case ACCOUNTS_OK:
      break;
    case ACCOUNTS_EXISTS:
      service_request_refuse (request, STANZA_ERROR_CONFLICT, "username: this name is taken", NULL);
      break;
    case ACCOUNTS_BAD_NAME:
      service_request_refuse (request, STANZA_ERROR_NOT_ACCEPTABLE, NAME_RULE, NULL);
      break;
    case ACCOUNTS_BAD_PASSWORD:
      service_request_refuse (request, STANZA_ERROR_NOT_ACCEPTABLE, PASSWORD_RULE, NULL);
      break;
    case ACCOUNTS_NOT_FOUND:
      service_request_refuse (request, STANZA_ERROR_REGISTRATION_REQUIRED, NULL, NULL);
      break;
    case ACCOUNTS_FAILED:
      service_request_fail (request, "configuration", error);
      break;
    }
}

static void
created (AccountsOutcome outcome, const char *uuid, const GError *error, gpointer data)
{
  g_autoptr (Change) change = data;
  if (outcome != ACCOUNTS_OK)
    {
      refuse_outcome (change->request, outcome, error);
      return;
    }
  log_info ("configuration", "account registered user=%s account=%s", jid_get_bare (change->account), uuid);
  service_request_reply (change->request, NULL);
}

static void
password_changed (AccountsOutcome outcome, const char *uuid, const GError *error, gpointer data)
{
  g_autoptr (Change) change = data;
  if (outcome != ACCOUNTS_OK)
    {
      refuse_outcome (change->request, outcome, error);
      return;
    }
  log_info ("configuration", "password changed account=%s", uuid);
  service_request_reply (change->request, NULL);
}

static void
removed (AccountsOutcome outcome, const char *uuid, const GError *error, gpointer data)
{
  g_autoptr (Change) change = data;
  if (outcome != ACCOUNTS_OK)
    {
      refuse_outcome (change->request, outcome, error);
      return;
    }
  service_request_reply (change->request, NULL);
  configuration_account_removed (change->configuration, uuid, change->account);
}

void
configuration_account_removed (Configuration *configuration, const char *uuid, const Jid *bare)
{
  Server *server = configuration->server;
  log_info ("configuration", "account removed user=%s account=%s", jid_get_bare (bare), uuid);
  session_book_end_account (server->sessions, jid_get_bare (bare), "not-authorized");
  hooks_run_account_removed (server->hooks, uuid, bare);
}

/* The text of a field; NULL if it is absent. A field that is there but empty is "". */
static char *
dup_field (xmpp_stanza_t *query, const char *name)
{
  xmpp_stanza_t *field = xmpp_stanza_get_child_by_name (query, name);
  if (field == NULL)
    return NULL;
  char *text = xmpp_stanza_get_text (field);
  char *copy = g_strdup (text != NULL ? text : "");
  if (text != NULL)
    {
      secret_wipe (text, strlen (text));
      xmpp_free (xmpp_stanza_get_context (field), text);
    }
  return copy;
}

static Secret *
dup_password (xmpp_stanza_t *query)
{
  char *text = dup_field (query, "password");
  if (text == NULL)
    return NULL;
  Secret *password = secret_new (text, strlen (text));
  secret_wipe (text, strlen (text));
  g_free (text);
  return password;
}

static guint
get_rate (const Configuration *configuration, const char *key)
{
  return (guint)config_get_int (configuration->server->config, "limits", key);
}

static void
register_account (Configuration *configuration, ServiceRequest *request, xmpp_stanza_t *query)
{
  Server *server = configuration->server;
  g_autofree char *username = dup_field (query, "username");
  g_autoptr (Secret) password = dup_password (query);
  if (username == NULL || password == NULL)
    {
      service_request_refuse (request, STANZA_ERROR_NOT_ACCEPTABLE,
                              username == NULL ? "username: is missing" : "password: is missing", NULL);
      return;
    }
  g_autoptr (Jid) account = jid_new_parts (username, jid_get_domain (server->domain), NULL);
  if (account == NULL)
    {
      refuse_outcome (request, ACCOUNTS_BAD_NAME, NULL);
      return;
    }
  g_autofree char *key = rate_dup_address_key (service_request_get_address (request));
  if (!rate_take (configuration->registrations, key, get_rate (configuration, "registrations_per_hour")))
    {
      service_request_refuse (request, STANZA_ERROR_RESOURCE_CONSTRAINT,
                              "too many registrations from this address", NULL);
      return;
    }
  accounts_create (server->store, jid_get_local (account), password, created,
                   change_new (configuration, request, account));
}

static void
change_password (Configuration *configuration, ServiceRequest *request, xmpp_stanza_t *query)
{
  Server *server = configuration->server;
  const Jid *sender = service_request_get_sender (request);
  g_autofree char *username = dup_field (query, "username");
  g_autoptr (Secret) password = dup_password (query);
  g_autoptr (Jid) account
      = username != NULL ? jid_new_parts (username, jid_get_domain (server->domain), NULL) : NULL;
  if (username == NULL || password == NULL)
    service_request_refuse (request, STANZA_ERROR_BAD_REQUEST,
                            username == NULL ? "username: is missing" : "password: is missing", NULL);
  else if (account == NULL || !jid_equal_bare (account, sender))
    service_request_refuse (request, STANZA_ERROR_NOT_ALLOWED, "username: is not your own", NULL);
  else if (!rate_take (configuration->password_changes, service_request_get_account (request),
                       get_rate (configuration, "password_changes_per_hour")))
    service_request_refuse (request, STANZA_ERROR_RESOURCE_CONSTRAINT, "too many password changes", NULL);
  else
    accounts_set_password (server->store, jid_get_local (account), password, password_changed,
                           change_new (configuration, request, account));
}

static guint
count_elements (xmpp_stanza_t *query)
{
  guint n = 0;
  for (xmpp_stanza_t *child = xmpp_stanza_get_children (query); child != NULL;
       child = xmpp_stanza_get_next (child))
    n += !xmpp_stanza_is_text (child);
  return n;
}

static void
remove_account (Configuration *configuration, ServiceRequest *request, xmpp_stanza_t *query)
{
  const Jid *sender = service_request_get_sender (request);
  if (sender == NULL)
    service_request_refuse (request, STANZA_ERROR_UNEXPECTED_REQUEST, NULL, NULL);
  else if (count_elements (query) != 1)
    service_request_refuse (request, STANZA_ERROR_BAD_REQUEST, "remove stands alone", NULL);
  else
    accounts_remove (configuration->server->store, jid_get_local (sender), removed,
                     change_new (configuration, request, sender));
}

static void
handle_set (ServiceRequest *request, gpointer data)
{
  xmpp_stanza_t *query = service_request_get_tree (request);
  if (xmpp_stanza_get_child_by_name (query, "remove") != NULL)
    remove_account (data, request, query);
  else if (service_request_get_sender (request) == NULL)
    register_account (data, request, query);
  else
    change_password (data, request, query);
}

static void
handle_get (ServiceRequest *request, gpointer data)
{
  const Jid *sender = service_request_get_sender (request);
  g_autoptr (GString) xml = g_string_new ("<query xmlns='" NS_REGISTER "'>");
  if (sender != NULL)
    {
      g_string_append (xml, "<registered/><username>");
      text_append_xml (xml, jid_get_local (sender));
      g_string_append (xml, "</username><password/></query>");
    }
  else
    g_string_append (xml,
                     "<instructions>Choose a username and a password of at least " G_STRINGIFY (
                         ACCOUNT_MIN_PASSWORD) " characters.</instructions><username/><password/></query>");
  service_request_reply (request, xml->str);
}

void
configuration_registration_init (Configuration *configuration)
{
  static const ServiceTarget targets[] = { SERVICE_DOMAIN, SERVICE_ACCOUNT };
  Services *services = configuration->server->services;
  gboolean is_open = config_get_bool (configuration->server->config, "registration", "open");
  for (gsize i = 0; i < G_N_ELEMENTS (targets); i++)
    {
      ServiceFlags flags = is_open && targets[i] == SERVICE_DOMAIN ? SERVICE_BEFORE_LOGIN : SERVICE_DEFAULT;
      services_add (services, targets[i], STANZA_TYPE_GET, "query", NS_REGISTER, flags, handle_get,
                    configuration);
      services_add (services, targets[i], STANZA_TYPE_SET, "query", NS_REGISTER, flags, handle_set,
                    configuration);
    }
  services_add_feature (services, SERVICE_DOMAIN, NS_REGISTER);
  if (is_open)
    services_add_stream_feature (services, "<register xmlns='" NS_FEATURE "'/>");
}
