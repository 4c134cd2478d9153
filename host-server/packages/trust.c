#include "common/protocol/trust-stanza.h"
#include "host-server/core/http.h"
#include "host-server/core/service.h"
#include "host-server/core/signer.h"
#include "host-server/packages/room.h"

#include <string.h>

/* The trust document: made in the commit of what it says, served to clients. After a rotation of the host's
 * keys the first who asks has it signed anew. */

static Trust *
gather (Packages *packages, Db *db, GError **error)
{
  g_autoptr (GPtrArray) keys = vendor_keys_list (db, NULL, error);
  g_autoptr (GPtrArray) rows = keys != NULL ? packages_list (db, NULL, error) : NULL;
  if (rows == NULL)
    return NULL;
  Trust *trust = trust_new ();
  for (guint i = 0; i < keys->len; i++)
    {
      const VendorKeyRow *row = g_ptr_array_index (keys, i);
      TrustKey key = { row->vendor, row->key, row->from_us / G_USEC_PER_SEC, row->to_us / G_USEC_PER_SEC,
                       row->revoked_us / G_USEC_PER_SEC };
      trust_add_key (trust, &key);
    }
  for (guint i = 0; i < rows->len; i++)
    {
      const PackageRow *row = g_ptr_array_index (rows, i);
      TrustRevocation revocation
          = { row->hash, row->plugin, row->version, row->reason, row->revoked_us / G_USEC_PER_SEC };
      if (row->revoked_us != 0)
        trust_add_revocation (trust, &revocation);
    }
  return trust;
}

gboolean
trust_issue (Packages *packages, Db *db, gint64 now_us, GError **error)
{
  Signer *signer = packages->server->signer;
  gint64 number;
  g_autofree char *old_kid = NULL;
  g_autofree char *old_jws = NULL;
  g_autoptr (Trust) trust = gather (packages, db, error);
  if (trust == NULL || !trust_document_load (db, &number, &old_kid, &old_jws, error))
    return FALSE;
  trust->issuer = g_strdup (signer_peek_issuer (signer));
  /* After a backup was restored it must not fall either. */
  trust->number = MAX (number + 1, now_us / G_USEC_PER_SEC);
  trust->issued_s = now_us / G_USEC_PER_SEC;
  g_autofree char *kid = signer_dup_kid (signer);
  g_autofree char *payload = trust_dup_json (trust);
  g_autofree char *jws = signer_sign (signer, TRUST_TYPE, payload, strlen (payload), error);
  return jws != NULL && trust_document_store (db, trust->number, kid, jws, error);
}

gboolean
trust_reload (Packages *packages, GError **error)
{
  gint64 number;
  g_autofree char *kid = NULL;
  g_autofree char *jws = NULL;
  if (!trust_document_load (store_peek_reader (packages->server->store, STORE_MARKET), &number, &kid, &jws,
                            error))
    return FALSE;
  g_free (packages->kid);
  g_free (packages->jws);
  packages->number = number;
  packages->kid = g_steal_pointer (&kid);
  packages->jws = g_steal_pointer (&jws);
  return TRUE;
}

/* --- who asks */

typedef struct
{
  Packages *packages;
  ServiceRequest *request; /* or */
  HttpExchange *exchange;
  TrustRequest asked;
} Ask;

static void
ask_free (Ask *ask)
{
  service_request_unref (ask->request);
  trust_request_clear (&ask->asked);
  g_free (ask);
}

static TrustAnswer *
make_answer (const Ask *ask)
{
  const Packages *packages = ask->packages;
  TrustAnswer *answer = trust_answer_new ();
  answer->number = packages->number;
  /* Unchanged also means that the client's key is the one that signed it. */
  answer->is_unchanged
      = ask->asked.number == packages->number && g_strcmp0 (ask->asked.key, packages->kid) == 0;
  if (answer->is_unchanged)
    return answer;
  answer->jwk = g_strdup (signer_peek_public (packages->server->signer));
  answer->document = g_strdup (packages->jws);
  if (ask->asked.key != NULL)
    {
      g_ptr_array_unref (answer->successions);
      answer->successions = signer_list_successions (packages->server->signer, ask->asked.key);
    }
  return answer;
}

static void
answer_exchange (HttpExchange *exchange, const TrustAnswer *answer)
{
  json_t *list = json_array ();
  for (guint i = 0; i < answer->successions->len; i++)
    json_array_append_new (list, json_string (g_ptr_array_index (answer->successions, i)));
  json_t *object
      = json_pack ("{s:I, s:o, s:o, s:s}", "number", (json_int_t)answer->number, "key",
                   json_loads (answer->jwk, 0, NULL), "successions", list, "document", answer->document);
  char *text = json_dumps (object, JSON_COMPACT);
  http_exchange_answer_json (exchange, 200, text);
  free (text);
  json_decref (object);
}

static void
answer (Ask *ask)
{
  g_autoptr (TrustAnswer) made = make_answer (ask);
  if (ask->exchange != NULL)
    answer_exchange (ask->exchange, made);
  else
    {
      g_autoptr (GString) xml = g_string_new (NULL);
      trust_answer_write (made, xml);
      service_request_reply (ask->request, xml->str);
    }
  ask_free (ask);
}

static gboolean
renew_work (Db *db, gpointer data, GError **error)
{
  Ask *ask = data;
  gint64 number;
  g_autofree char *kid = NULL;
  g_autofree char *jws = NULL;
  g_autofree char *current = signer_dup_kid (ask->packages->server->signer);
  if (!trust_document_load (db, &number, &kid, &jws, error))
    return FALSE;
  return g_strcmp0 (kid, current) == 0
         || trust_issue (ask->packages, db, clock_get_wall_us (ask->packages->server->clock), error);
}

static void
renewed (gpointer data, const GError *error)
{
  Ask *ask = data;
  g_autoptr (GError) fault = error != NULL ? g_error_copy (error) : NULL;
  if (error == NULL && trust_reload (ask->packages, &fault))
    {
      answer (ask);
      return;
    }
  if (ask->exchange != NULL)
    http_exchange_refuse (ask->exchange, 503, "the trust document cannot be signed now");
  else
    service_request_fail (ask->request, "packages", fault);
  ask_free (ask);
}

static void
serve (Ask *ask)
{
  g_autofree char *kid = signer_dup_kid (ask->packages->server->signer);
  if (g_strcmp0 (kid, ask->packages->kid) == 0)
    answer (ask);
  else
    store_write (ask->packages->server->store, STORE_MARKET, renew_work, renewed, ask);
}

static void
handle_trust (ServiceRequest *request, gpointer data)
{
  g_autoptr (GError) error = NULL;
  TrustRequest asked;
  if (!trust_request_read (service_request_get_tree (request), &asked, &error))
    {
      service_request_refuse (request, STANZA_ERROR_BAD_REQUEST, error->message, NULL);
      return;
    }
  Ask *ask = g_new0 (Ask, 1);
  ask->packages = data;
  ask->request = service_request_ref (request);
  ask->asked = asked;
  serve (ask);
}

static void
get_trust (HttpExchange *exchange, gpointer data)
{
  Ask *ask = g_new0 (Ask, 1);
  ask->packages = data;
  ask->exchange = exchange;
  ask->asked.key = g_strdup (http_exchange_get_query (exchange, "key"));
  serve (ask);
}

void
trust_init (Packages *packages)
{
  services_add (packages->server->services, SERVICE_MARKET, STANZA_TYPE_GET, "trust", NS_MARKET,
                SERVICE_DEFAULT, handle_trust, packages);
  http_add (packages->server->http,
            &(HttpRoute){ .method = "GET", .pattern = "/v1/trust", .handle = get_trust, .data = packages });
}
