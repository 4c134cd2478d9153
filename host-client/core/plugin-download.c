#include "host-client/core/plugin-download.h"

#include "common/net/http-client.h"
#include "common/protocol/trust-stanza.h"
#include "host-client/core/host-trust.h"
#include "host-client/core/plugin-host.h"

#include <jansson.h>
#include <string.h>

#define DOWNLOAD_TIMEOUT_MS (10 * 60 * 1000)

struct PluginDownload
{
  Session *session;
  Market *market;
  PluginHost *host;
  char *folder;
  char *plugin;
  PluginDownloadEvents events;
  gpointer data;

  HttpClient *http;
  HttpBase *base;
  CatalogEntry *entry;
  Trust *trust;
  Package *package;
  GBytes *body;  /* of the HTTP answer, or */
  char *refusal; /* why there is none */
  guint n_open;  /* answers that will still come: it lives until they have */
  gboolean is_over;
};

static void
download_unref (PluginDownload *download)
{
  if (!download->is_over || download->n_open > 0)
    return;
  g_clear_pointer (&download->body, g_bytes_unref);
  g_free (download->refusal);
  http_client_free (download->http);
  http_base_free (download->base);
  catalog_entry_free (download->entry);
  trust_free (download->trust);
  package_free (download->package);
  g_free (download->folder);
  g_free (download->plugin);
  g_free (download);
}

/* An answer came. FALSE: it is for nobody any more, and @download may be gone. */
static gboolean
take_answer (PluginDownload *download)
{
  download->n_open--;
  if (!download->is_over)
    return TRUE;
  download_unref (download);
  return FALSE;
}

static void
end (PluginDownload *download, const PluginInfo *info, const GError *error)
{
  download->n_open++; /* it may be freed by who is told */
  download->events.done (info, error, download->data);
  download->n_open--;
  if (download->is_over)
    download_unref (download);
}

static void fail (PluginDownload *download, PluginErrorCode code, const char *format, ...)
    G_GNUC_PRINTF (3, 4);

static void
fail (PluginDownload *download, PluginErrorCode code, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  g_autofree char *text = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  g_autoptr (GError) error = g_error_new_literal (PLUGIN_ERROR, (int)code, text);
  end (download, NULL, error);
}

/* --- the package is here */

static void
on_installed (GObject *source, GAsyncResult *result, gpointer data)
{
  PluginDownload *download = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (PluginInfo) info = plugin_host_install_finish (download->host, result, &error);
  if (take_answer (download))
    end (download, info, error);
}

/* Asked when the signature holds and before anything else of the package is looked at. */
static gboolean
allow (const Package *package, gpointer data, GError **error)
{
  PluginDownload *download = data;
  gint64 now_s = clock_get_wall_us (session_peek_clock (download->session)) / G_USEC_PER_SEC;
  TrustKeyVerdict verdict = trust_judge_key (download->trust, download->entry->vendor, package->key, now_s);
  const TrustRevocation *revocation = trust_find_revocation (download->trust, package->hash);
  g_autofree char *problem = NULL;
  if (!g_str_equal (package->id, download->plugin))
    problem = g_strdup_printf ("it is the package of '%s'", package->id);
  else if (verdict != TRUST_KEY_GOOD)
    problem = g_strdup (trust_key_verdict_to_text (verdict));
  else if (revocation != NULL)
    problem = g_strdup_printf ("the host has revoked it%s%s", revocation->reason[0] != '\0' ? ": " : "",
                               revocation->reason);
  else
    problem = plugin_host_dup_objection (download->host, package);
  if (problem == NULL)
    return TRUE;
  g_set_error_literal (error, PACKAGE_ERROR, PACKAGE_ERROR_NOT_TRUSTED, problem);
  return FALSE;
}

static void
take_file (PluginDownload *download, GBytes *file)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *sum = g_compute_checksum_for_bytes (G_CHECKSUM_SHA256, file);
  if ((gint64)g_bytes_get_size (file) != download->entry->size
      || g_strcmp0 (sum, download->entry->sha256) != 0)
    {
      fail (download, PLUGIN_ERROR_HASH, "what was downloaded is not what the catalog names");
      return;
    }
  download->package = package_read (file, allow, download, &error);
  if (download->package == NULL)
    {
      fail (download, PLUGIN_ERROR_NOT_TRUSTED, "the package is not good: %s", error->message);
      return;
    }
  g_autoptr (PluginInfo) info = plugin_info_of_package (download->package, &error);
  if (info == NULL)
    {
      end (download, NULL, error);
      return;
    }
  if (download->events.consent != NULL && !download->events.consent (info, download->data))
    {
      end (download, NULL, NULL);
      return;
    }
  download->n_open++;
  plugin_host_install_package_async (download->host, download->package,
                                     session_peek_domain (download->session), NULL, on_installed, download);
}

/* --- fetching */

/* Outside of the HTTP client's call, in which it could not be freed. */
static gboolean
judge_reply (gpointer data)
{
  PluginDownload *download = data;
  g_autoptr (GBytes) body = g_steal_pointer (&download->body);
  g_autofree char *refusal = g_steal_pointer (&download->refusal);
  if (!take_answer (download))
    return G_SOURCE_REMOVE;
  if (refusal != NULL)
    fail (download, PLUGIN_ERROR_DOWNLOAD, "cannot download the package: %s", refusal);
  else
    take_file (download, body);
  return G_SOURCE_REMOVE;
}

static void
on_file (const HttpReply *reply, gpointer data)
{
  PluginDownload *download = data;
  gsize length;
  const char *body = http_reply_peek_body (reply, &length);
  if (http_reply_get_status (reply) == 200)
    download->body = g_bytes_new (body, length);
  else
    {
      json_t *json = json_loadb (body, length, JSON_REJECT_DUPLICATES, NULL);
      const char *why = json_string_value (json_object_get (json, "error"));
      download->refusal = g_strdup (why != NULL ? why : http_reply_peek_reason (reply));
      json_decref (json);
    }
  g_autoptr (GSource) source = g_idle_source_new ();
  g_source_set_callback (source, judge_reply, download, NULL);
  g_source_attach (source, g_main_context_get_thread_default ());
}

static gpointer
read_token (xmpp_stanza_t *element)
{
  return element != NULL ? account_token_read (element, NULL) : NULL;
}

static void
on_token (Reply *reply, gpointer data)
{
  PluginDownload *download = data;
  if (!take_answer (download))
    return;
  if (reply->kind != REPLY_RESULT)
    {
      fail (download, PLUGIN_ERROR_DOWNLOAD, "the host gives no token to download the package with");
      return;
    }
  const char *token = reply->value;
  g_autoptr (Secret) bearer = secret_new (token, strlen (token));
  const char *url = download->entry->package;
  const char *path = strchr (strstr (url, "://") + 3, '/');
  HttpRequest request = { .method = "GET",
                          .path = path,
                          .bearer = bearer,
                          .timeout_ms = DOWNLOAD_TIMEOUT_MS,
                          .max_answer_bytes = PACKAGE_MAX_BYTES };
  download->http = http_client_new (NULL, NULL, 0);
  download->n_open++;
  http_client_send (download->http, download->base, &request, on_file, download);
}

static void
ask_token (PluginDownload *download)
{
  const CatalogEntry *entry = download->entry;
  const char *path = entry->package != NULL && http_url_is_acceptable (entry->package)
                         ? strchr (strstr (entry->package, "://") + 3, '/')
                         : NULL;
  g_autofree char *prefix = path != NULL ? g_strndup (entry->package, (gsize)(path - entry->package)) : NULL;
  if (entry->package == NULL)
    fail (download, PLUGIN_ERROR_DOWNLOAD, "the market has no package of '%s'", download->plugin);
  else if (prefix == NULL || (download->base = http_base_new (prefix, NULL)) == NULL)
    fail (download, PLUGIN_ERROR_DOWNLOAD, "the market names no address that a package may come from");
  else if (entry->size <= 0 || entry->size > PACKAGE_MAX_BYTES)
    fail (download, PLUGIN_ERROR_DOWNLOAD, "the package is larger than a package may be");
  else
    {
      g_autofree char *market = g_strconcat ("market.", session_peek_domain (download->session), NULL);
      download->n_open++;
      session_request (download->session, "set", market, ACCOUNT_TOKEN_REQUEST, read_token, g_free, on_token,
                       download);
    }
}

/* --- looking it up */

static void
on_catalog (Reply *reply, gpointer data)
{
  PluginDownload *download = data;
  if (!take_answer (download))
    return;
  Catalog *page = reply->kind == REPLY_RESULT ? reply->value : NULL;
  if (page == NULL)
    {
      fail (download, PLUGIN_ERROR_DOWNLOAD, "the market does not answer");
      return;
    }
  for (guint i = 0; i < page->entries->len; i++)
    if (g_str_equal (((CatalogEntry *)g_ptr_array_index (page->entries, i))->id, download->plugin))
      {
        g_ptr_array_set_free_func (page->entries, NULL);
        download->entry = g_ptr_array_steal_index (page->entries, i);
        g_ptr_array_set_free_func (page->entries, (GDestroyNotify)catalog_entry_free);
        ask_token (download);
        return;
      }
  if (page->entries->len == MARKET_MAX_PAGE && page->paging.last != NULL)
    {
      download->n_open++;
      market_catalog (download->market, download->plugin, page->paging.last, on_catalog, download);
      return;
    }
  fail (download, PLUGIN_ERROR_NOT_OFFERED, "the market has no plugin '%s'", download->plugin);
}

static void
on_trust (const HostTrust *held, const char *problem, gpointer data)
{
  PluginDownload *download = data;
  if (!take_answer (download))
    return;
  if (held == NULL)
    {
      fail (download, PLUGIN_ERROR_NOT_TRUSTED, "%s", problem);
      return;
    }
  g_autoptr (JwsKeySet) keys = jws_key_set_new ();
  if (jws_key_set_add (keys, held->jwk, 0, NULL))
    download->trust = trust_verify (keys, held->document, NULL);
  download->n_open++;
  market_catalog (download->market, download->plugin, NULL, on_catalog, download);
}

PluginDownload *
plugin_download_start (Session *session, Market *market, PluginHost *host, const char *folder,
                       const char *plugin, const PluginDownloadEvents *events, gpointer data)
{
  PluginDownload *download = g_new0 (PluginDownload, 1);
  download->session = session;
  download->market = market;
  download->host = host;
  download->folder = g_strdup (folder);
  download->plugin = g_strdup (plugin);
  download->events = *events;
  download->data = data;
  download->n_open++;
  host_trust_refresh (session, folder, on_trust, download);
  return download;
}

void
plugin_download_free (PluginDownload *download)
{
  if (download == NULL)
    return;
  download->is_over = TRUE;
  if (download->http != NULL && http_client_get_n_open (download->http) > 0)
    {
      g_clear_pointer (&download->http, http_client_free);
      download->n_open--;
    }
  download_unref (download);
}
