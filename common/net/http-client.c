/* How libcurl sits on a GMainContext: it tells us which descriptors it waits for and when it wants to be
 * woken, each becomes a GSource, and each source's dispatch is one curl_multi_socket_action(). Finished
 * transfers are collected after that, outside of libcurl, so a reply function may start and cancel requests
 * as it likes.
 *
 * Requests of one host wait here for their turn: libcurl looks at all that wait with it whenever one ends. */
#include "common/base/deadlines.h"
#include "common/net/http-client.h"

#include <curl/curl.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>

#define DEFAULT_TIMEOUT_MS      10000
#define DEFAULT_MAX_ANSWER      (64 * 1024)
#define MAX_HEADER_BYTES        (32 * 1024)
#define DEFAULT_MAX_CONNECTIONS 64
#define MAX_CONNECTIONS_A_HOST  8
#define MAX_BEGUN_A_HOST        16 /* given to libcurl, so that a free connection always finds the next */
#define MAX_RETRY_AFTER_S       (7 * 24 * 3600)

struct HttpReply
{
  HttpOutcome outcome;
  int status;
  char *reason;
  GString *body;
  GPtrArray *headers; /* "Name: value" */
  gint64 retry_after_s;
};

typedef struct
{
  char *origin;
  guint n_begun;
  GQueue waiting; /* of HttpCall, first come first */
} Host;

struct HttpCall
{
  HttpClient *client;
  Host *host;
  GList *place; /* in the host's queue; NULL: begun */
  CURL *easy;
  struct curl_slist *header_list;
  Deadline *deadline; /* NULL: it is over */
  HttpReplyFunc func;
  gpointer data;
  gsize max_answer_bytes;
  GString *body;
  GPtrArray *headers;
  gsize header_bytes;
  gboolean is_too_large;
  char message[CURL_ERROR_SIZE];
};

struct HttpClient
{
  GMainContext *context;
  CURLM *multi;
  GSource *timer; /* libcurl's next wake-up, or NULL */
  char *ca_file;
  Deadlines *deadlines;
  GHashTable *calls; /* HttpCall, a set */
  GHashTable *hosts; /* origin -> Host, of those with calls */
  gboolean is_delivering;
};

static void
wipe_string (GString *text)
{
  if (text == NULL)
    return;
  secret_wipe (text->str, text->allocated_len);
  g_string_free (text, TRUE);
}

static void
destroy_source (GSource **source)
{
  if (*source == NULL)
    return;
  g_source_destroy (*source);
  g_source_unref (*source);
  *source = NULL;
}

static void
call_free (HttpCall *call)
{
  g_clear_pointer (&call->deadline, deadline_cancel);
  curl_easy_cleanup (call->easy);
  for (struct curl_slist *line = call->header_list; line != NULL; line = line->next)
    secret_wipe (line->data, strlen (line->data));
  curl_slist_free_all (call->header_list);
  wipe_string (call->body);
  g_ptr_array_unref (call->headers);
  g_free (call);
}

static void
reply_clear (HttpReply *reply)
{
  g_free (reply->reason);
  wipe_string (reply->body);
  g_ptr_array_unref (reply->headers);
}

/* --- whose turn it is */

static void
host_free (gpointer data)
{
  Host *host = data;
  g_queue_clear (&host->waiting);
  g_free (host->origin);
  g_free (host);
}

static void
begin_calls (HttpClient *client, Host *host)
{
  while (host->n_begun < MAX_BEGUN_A_HOST && !g_queue_is_empty (&host->waiting))
    {
      HttpCall *call = g_queue_pop_head (&host->waiting);
      call->place = NULL;
      host->n_begun++;
      curl_multi_add_handle (client->multi, call->easy);
    }
}

static void
enter (HttpCall *call, const char *origin)
{
  HttpClient *client = call->client;
  Host *host = g_hash_table_lookup (client->hosts, origin);
  if (host == NULL)
    {
      host = g_new0 (Host, 1);
      host->origin = g_strdup (origin);
      g_queue_init (&host->waiting);
      g_hash_table_insert (client->hosts, host->origin, host);
    }
  call->host = host;
  g_queue_push_tail (&host->waiting, call);
  call->place = g_queue_peek_tail_link (&host->waiting);
  begin_calls (client, host);
}

/* Takes it out of libcurl, or of the queue, and lets the next have its turn. */
static void
leave (HttpCall *call)
{
  HttpClient *client = call->client;
  Host *host = call->host;
  if (call->place != NULL)
    g_queue_delete_link (&host->waiting, g_steal_pointer (&call->place));
  else
    {
      curl_multi_remove_handle (client->multi, call->easy);
      host->n_begun--;
    }
  begin_calls (client, host);
  if (host->n_begun == 0)
    g_hash_table_remove (client->hosts, host->origin);
}

/* --- what came back */

static HttpOutcome
outcome_of (HttpCall *call, CURLcode code)
{
  if (code == CURLE_OK)
    return HTTP_ANSWERED;
  if (call->is_too_large)
    return HTTP_TOO_LARGE;
  /* Counts the bytes of every try: a request that went out on a kept connection, and whose repetition could
   * not connect, has been sent. */
  long sent = 0;
  curl_easy_getinfo (call->easy, CURLINFO_REQUEST_SIZE, &sent);
  switch (code)
    {
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
      return sent == 0 ? HTTP_TLS_REFUSED : HTTP_BROKEN;
    case CURLE_OPERATION_TIMEDOUT:
      return sent == 0 ? HTTP_CANNOT_CONNECT : HTTP_TIMED_OUT;
    default:
      return sent == 0 ? HTTP_CANNOT_CONNECT : HTTP_BROKEN;
    }
}

static gint64
retry_after_of (CURL *easy, const char *value)
{
  if (value == NULL)
    return -1;
  gsize digits = strspn (value, "0123456789");
  if (digits > 0 && value[digits] == '\0')
    return digits > 9 ? MAX_RETRY_AFTER_S : MIN (g_ascii_strtoll (value, NULL, 10), MAX_RETRY_AFTER_S);
  if (curl_getdate (value, NULL) == -1)
    return -1;
  curl_off_t seconds = 0;
  curl_easy_getinfo (easy, CURLINFO_RETRY_AFTER, &seconds);
  return CLAMP (seconds, 0, MAX_RETRY_AFTER_S);
}

/* Ends @call: it is out of libcurl and of the table before its function runs. */
static void
deliver (HttpCall *call, CURLcode code)
{
  HttpClient *client = call->client;
  HttpReply reply = { .outcome = outcome_of (call, code), .retry_after_s = -1 };
  reply.body = g_steal_pointer (&call->body);
  reply.headers = g_ptr_array_ref (call->headers);
  if (reply.outcome == HTTP_ANSWERED)
    {
      long status = 0;
      curl_easy_getinfo (call->easy, CURLINFO_RESPONSE_CODE, &status);
      reply.status = (int)status;
      reply.reason = g_strdup_printf ("status %d", reply.status);
      reply.retry_after_s = retry_after_of (call->easy, http_reply_peek_header (&reply, "retry-after"));
    }
  else
    {
      g_string_truncate (reply.body, 0);
      reply.reason = g_strdup (call->is_too_large         ? "the answer is too large"
                               : call->message[0] != '\0' ? call->message
                                                          : curl_easy_strerror (code));
    }
  HttpReplyFunc func = call->func;
  gpointer data = call->data;
  leave (call);
  g_hash_table_remove (client->calls, call);
  func (&reply, data);
  reply_clear (&reply);
}

static void
collect (HttpClient *client)
{
  g_assert (!client->is_delivering);
  client->is_delivering = TRUE;
  CURLMsg *message;
  int n_left;
  while ((message = curl_multi_info_read (client->multi, &n_left)) != NULL)
    {
      HttpCall *call = NULL;
      curl_easy_getinfo (message->easy_handle, CURLINFO_PRIVATE, &call);
      deliver (call, message->data.result);
    }
  client->is_delivering = FALSE;
}

/* --- libcurl on the context */

static gboolean
on_descriptor (int fd, GIOCondition condition, gpointer data)
{
  HttpClient *client = data;
  int events = (condition & G_IO_IN ? CURL_CSELECT_IN : 0) | (condition & G_IO_OUT ? CURL_CSELECT_OUT : 0)
               | (condition & (G_IO_ERR | G_IO_HUP | G_IO_NVAL) ? CURL_CSELECT_ERR : 0);
  int n_running;
  curl_multi_socket_action (client->multi, fd, events, &n_running);
  collect (client);
  return G_SOURCE_CONTINUE; /* libcurl destroys the source when it is done with the descriptor */
}

static int
watch_descriptor (CURL *easy, curl_socket_t fd, int what, void *data, void *watched)
{
  HttpClient *client = data;
  GSource *source = watched;
  destroy_source (&source);
  if (what != CURL_POLL_REMOVE)
    {
      GIOCondition condition = (what & CURL_POLL_IN ? G_IO_IN | G_IO_HUP : 0)
                               | (what & CURL_POLL_OUT ? G_IO_OUT | G_IO_HUP : 0) | G_IO_ERR;
      source = g_unix_fd_source_new (fd, condition);
      g_source_set_callback (source, G_SOURCE_FUNC (on_descriptor), client, NULL);
      g_source_attach (source, client->context);
    }
  curl_multi_assign (client->multi, fd, source);
  return 0;
}

static gboolean
on_wake_up (gpointer data)
{
  HttpClient *client = data;
  destroy_source (&client->timer);
  int n_running;
  curl_multi_socket_action (client->multi, CURL_SOCKET_TIMEOUT, 0, &n_running);
  collect (client);
  return G_SOURCE_REMOVE;
}

static int
set_wake_up (CURLM *multi, long timeout_ms, void *data)
{
  HttpClient *client = data;
  destroy_source (&client->timer);
  if (timeout_ms < 0)
    return 0;
  client->timer = g_timeout_source_new ((guint)timeout_ms);
  g_source_set_callback (client->timer, on_wake_up, client, NULL);
  g_source_attach (client->timer, client->context);
  return 0;
}

/* The time-out is ours, not libcurl's, because its own does not run while a request waits for a connection.
 */
static void
on_time_out (gpointer data)
{
  HttpCall *call = data;
  HttpClient *client = call->client;
  call->deadline = NULL;
  g_strlcpy (call->message, "no answer in time", sizeof call->message);
  client->is_delivering = TRUE;
  deliver (call, CURLE_OPERATION_TIMEDOUT);
  client->is_delivering = FALSE;
}

/* Vendor code is spawned from this process: no descriptor of ours goes along. */
static curl_socket_t
open_socket (void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
  return socket (address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t
take_body (char *bytes, size_t size, size_t count, void *data)
{
  HttpCall *call = data;
  gsize length = size * count;
  if (length > call->max_answer_bytes - call->body->len)
    {
      call->is_too_large = TRUE;
      return 0;
    }
  g_string_append_len (call->body, bytes, (gssize)length);
  return length;
}

static size_t
take_header (char *bytes, size_t size, size_t count, void *data)
{
  HttpCall *call = data;
  gsize length = size * count;
  call->header_bytes += length;
  if (call->header_bytes > MAX_HEADER_BYTES)
    {
      call->is_too_large = TRUE;
      return 0;
    }
  g_autofree char *line = g_strstrip (g_strndup (bytes, length));
  if (g_str_has_prefix (line, "HTTP/"))
    g_ptr_array_set_size (call->headers, 0); /* what came before was a 1xx */
  else if (strchr (line, ':') != NULL)
    g_ptr_array_add (call->headers, g_steal_pointer (&line));
  return length;
}

/* --- requests */

static void
add_header (HttpCall *call, const char *line)
{
  for (const char *byte = line; *byte != '\0'; byte++)
    g_assert (*byte >= 0x20 && *byte != 0x7f);
  call->header_list = curl_slist_append (call->header_list, line);
}

static void
add_headers (HttpCall *call, const HttpRequest *request)
{
  add_header (call, "Accept: application/json");
  add_header (call, "Expect:"); /* libcurl would ask before sending a large body, and wait */
  if (request->body != NULL)
    {
      const char *type = request->content_type != NULL ? request->content_type : "application/json";
      g_autofree char *line = g_strconcat ("Content-Type: ", type, NULL);
      add_header (call, line);
    }
  if (request->bearer != NULL)
    {
      g_autofree char *line
          = g_strconcat ("Authorization: Bearer ", secret_peek_text (request->bearer), NULL);
      add_header (call, line);
      secret_wipe (line, strlen (line));
    }
  for (const char *const *line = request->headers; line != NULL && *line != NULL; line++)
    add_header (call, *line);
}

static void
set_method (CURL *easy, const HttpRequest *request)
{
  gboolean is_post = strcmp (request->method, "POST") == 0;
  if (request->body != NULL || is_post)
    {
      curl_easy_setopt (easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_length);
      curl_easy_setopt (easy, CURLOPT_COPYPOSTFIELDS, request->body != NULL ? request->body : "");
    }
  if (strcmp (request->method, "HEAD") == 0)
    curl_easy_setopt (easy, CURLOPT_NOBODY, 1L);
  else if (!is_post && strcmp (request->method, "GET") != 0)
    curl_easy_setopt (easy, CURLOPT_CUSTOMREQUEST, request->method);
}

static void
set_options (HttpCall *call, const char *url)
{
  CURL *easy = call->easy;
  curl_easy_setopt (easy, CURLOPT_URL, url);
  curl_easy_setopt (easy, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt (easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt (easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  curl_easy_setopt (easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt (easy, CURLOPT_PROXY, "");
  curl_easy_setopt (easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt (easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
  curl_easy_setopt (easy, CURLOPT_SSL_VERIFYPEER, 1L);
  curl_easy_setopt (easy, CURLOPT_SSL_VERIFYHOST, 2L);
  if (call->client->ca_file != NULL)
    {
      curl_easy_setopt (easy, CURLOPT_CAINFO, call->client->ca_file);
      curl_easy_setopt (easy, CURLOPT_CAPATH, NULL);
    }
  curl_easy_setopt (easy, CURLOPT_ERRORBUFFER, call->message);
  curl_easy_setopt (easy, CURLOPT_PRIVATE, call);
  curl_easy_setopt (easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
  curl_easy_setopt (easy, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt (easy, CURLOPT_WRITEDATA, call);
  curl_easy_setopt (easy, CURLOPT_HEADERFUNCTION, take_header);
  curl_easy_setopt (easy, CURLOPT_HEADERDATA, call);
  curl_easy_setopt (easy, CURLOPT_HTTPHEADER, call->header_list);
}

HttpCall *
http_client_send (HttpClient *client, const HttpBase *base, const HttpRequest *request, HttpReplyFunc func,
                  gpointer data)
{
  g_assert (request->path[0] == '/' || request->path[0] == '\0');
  HttpCall *call = g_new0 (HttpCall, 1);
  call->client = client;
  call->easy = curl_easy_init ();
  call->func = func;
  call->data = data;
  call->max_answer_bytes = request->max_answer_bytes > 0 ? request->max_answer_bytes : DEFAULT_MAX_ANSWER;
  call->body = g_string_new (NULL);
  call->headers = g_ptr_array_new_with_free_func (g_free);
  add_headers (call, request);
  set_method (call->easy, request);
  g_autofree char *url = g_strconcat (http_base_peek_url (base), request->path, NULL);
  set_options (call, url);
  curl_easy_setopt (call->easy, CURLOPT_FRESH_CONNECT, request->is_alone ? 1L : 0L);
  curl_easy_setopt (call->easy, CURLOPT_FORBID_REUSE, request->is_alone ? 1L : 0L);

  guint timeout_ms = request->timeout_ms > 0 ? request->timeout_ms : DEFAULT_TIMEOUT_MS;
  call->deadline = deadlines_add (client->deadlines, timeout_ms, on_time_out, call);
  g_hash_table_add (client->calls, call);
  enter (call, http_base_peek_origin (base));
  return call;
}

void
http_call_cancel (HttpCall *call)
{
  leave (call);
  g_hash_table_remove (call->client->calls, call);
}

guint
http_client_get_n_open (const HttpClient *client)
{
  return g_hash_table_size (client->calls);
}

HttpClient *
http_client_new (GMainContext *context, const char *ca_file, guint max_connections)
{
  static gsize is_curl_ready;
  if (g_once_init_enter (&is_curl_ready))
    {
      curl_global_init (CURL_GLOBAL_DEFAULT);
      g_once_init_leave (&is_curl_ready, 1);
    }
  HttpClient *client = g_new0 (HttpClient, 1);
  client->context = context != NULL ? g_main_context_ref (context) : g_main_context_ref_thread_default ();
  client->ca_file = g_strdup (ca_file);
  client->deadlines = deadlines_new (client->context);
  client->calls = g_hash_table_new_full (NULL, NULL, (GDestroyNotify)call_free, NULL);
  client->hosts = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, host_free);
  client->multi = curl_multi_init ();
  curl_multi_setopt (client->multi, CURLMOPT_SOCKETFUNCTION, watch_descriptor);
  curl_multi_setopt (client->multi, CURLMOPT_SOCKETDATA, client);
  curl_multi_setopt (client->multi, CURLMOPT_TIMERFUNCTION, set_wake_up);
  curl_multi_setopt (client->multi, CURLMOPT_TIMERDATA, client);
  curl_multi_setopt (client->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
                     (long)(max_connections > 0 ? max_connections : DEFAULT_MAX_CONNECTIONS));
  curl_multi_setopt (client->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)MAX_CONNECTIONS_A_HOST);
  return client;
}

void
http_client_free (HttpClient *client)
{
  if (client == NULL)
    return;
  g_assert (!client->is_delivering);
  GHashTableIter iter;
  gpointer call;
  g_hash_table_iter_init (&iter, client->calls);
  while (g_hash_table_iter_next (&iter, &call, NULL))
    curl_multi_remove_handle (client->multi, ((HttpCall *)call)->easy);
  g_hash_table_unref (client->calls);
  g_hash_table_unref (client->hosts);
  deadlines_free (client->deadlines);
  curl_multi_cleanup (client->multi);
  destroy_source (&client->timer);
  g_main_context_unref (client->context);
  g_free (client->ca_file);
  g_free (client);
}

/* --- replies */

HttpOutcome
http_reply_get_outcome (const HttpReply *reply)
{
  return reply->outcome;
}

gboolean
http_reply_was_unsent (const HttpReply *reply)
{
  return reply->outcome == HTTP_CANNOT_CONNECT || reply->outcome == HTTP_TLS_REFUSED;
}

int
http_reply_get_status (const HttpReply *reply)
{
  return reply->status;
}

const char *
http_reply_peek_reason (const HttpReply *reply)
{
  return reply->reason;
}

const char *
http_reply_peek_body (const HttpReply *reply, gsize *length)
{
  if (length != NULL)
    *length = reply->body->len;
  return reply->body->str;
}

const char *
http_reply_peek_header (const HttpReply *reply, const char *name)
{
  gsize length = strlen (name);
  for (guint i = 0; i < reply->headers->len; i++)
    {
      const char *line = g_ptr_array_index (reply->headers, i);
      if (g_ascii_strncasecmp (line, name, length) == 0 && line[length] == ':')
        {
          const char *value = line + length + 1;
          return value + strspn (value, " \t");
        }
    }
  return NULL;
}

gint64
http_reply_get_retry_after_s (const HttpReply *reply)
{
  return reply->retry_after_s;
}
