#include "host-client/core/host-trust.h"

#include "common/base/log.h"

#include <errno.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <jansson.h>
#include <string.h>

#define MAX_FILE_BYTES (256 * 1024)

typedef json_t Json;
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Json, json_decref)

void
host_trust_free (HostTrust *held)
{
  if (held == NULL)
    return;
  g_free (held->jwk);
  g_free (held->kid);
  g_free (held->document);
  trust_free (held->trust);
  g_free (held);
}

static char *
dup_kid (const char *jwk)
{
  g_autoptr (Json) json = json_loads (jwk, JSON_REJECT_DUPLICATES, NULL);
  return g_strdup (json_string_value (json_object_get (json, "kid")));
}

/* A key and a document that it signed. */
static HostTrust *
host_trust_new (const char *jwk, const char *document, GError **error)
{
  g_autoptr (HostTrust) held = g_new0 (HostTrust, 1);
  g_autoptr (JwsKeySet) keys = jws_key_set_new ();
  if (!jws_key_set_add (keys, jwk, 0, error))
    return NULL;
  held->jwk = g_strdup (jwk);
  held->kid = dup_kid (jwk);
  held->document = g_strdup (document);
  held->trust = trust_verify (keys, document, error);
  return held->trust != NULL ? g_steal_pointer (&held) : NULL;
}

/* --- the file */

static char *
dup_path (const char *folder, const char *domain)
{
  g_autofree char *name = g_uri_escape_string (domain, NULL, FALSE);
  return g_build_filename (folder, "trust", name, NULL);
}

HostTrust *
host_trust_load (const char *folder, const char *domain, GError **error)
{
  g_autofree char *path = dup_path (folder, domain);
  g_autofree char *text = NULL;
  gsize length;
  if (!g_file_test (path, G_FILE_TEST_EXISTS))
    return NULL;
  if (!g_file_get_contents (path, &text, &length, error))
    return NULL;
  g_autoptr (Json) json
      = length <= MAX_FILE_BYTES ? json_loadb (text, length, JSON_REJECT_DUPLICATES, NULL) : NULL;
  const char *key = json_string_value (json_object_get (json, "key"));
  const char *document = json_string_value (json_object_get (json, "document"));
  HostTrust *held = key != NULL && document != NULL ? host_trust_new (key, document, NULL) : NULL;
  if (held == NULL)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "'%s' is damaged", path);
  return held;
}

gboolean
host_trust_save (const HostTrust *held, const char *folder, const char *domain, GError **error)
{
  g_autofree char *path = dup_path (folder, domain);
  g_autofree char *parent = g_path_get_dirname (path);
  if (g_mkdir_with_parents (parent, 0700) != 0)
    {
      g_set_error (error, G_FILE_ERROR, (int)g_file_error_from_errno (errno), "cannot make '%s': %s", parent,
                   g_strerror (errno));
      return FALSE;
    }
  g_autoptr (Json) json = json_pack ("{s:s, s:s}", "key", held->jwk, "document", held->document);
  char *text = json_dumps (json, JSON_COMPACT);
  gboolean is_kept = g_file_set_contents_full (
      path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE, 0600, error);
  free (text);
  return is_kept;
}

/* --- what the host says */

static HostTrust *
check_growth (const HostTrust *held, HostTrust *take_next, GError **error)
{
  g_autoptr (HostTrust) next = take_next;
  if (held == NULL || next->trust->number > held->trust->number
      || (next->trust->number == held->trust->number && g_str_equal (next->document, held->document)))
    return g_steal_pointer (&next);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
               "the host shows the trust document %" G_GINT64_FORMAT
               ", which is not newer than the %" G_GINT64_FORMAT " that is known already",
               next->trust->number, held->trust->number);
  return NULL;
}

HostTrust *
host_trust_follow (const HostTrust *held, const TrustAnswer *answer, GError **error)
{
  if (answer->is_unchanged && held != NULL && answer->number == held->trust->number)
    return host_trust_new (held->jwk, held->document, error);
  if (answer->is_unchanged)
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                           "the host says unchanged of a trust document that is not known");
      return NULL;
    }
  g_autofree char *followed
      = held != NULL ? succession_follow (held->jwk, answer->successions, error) : g_strdup (answer->jwk);
  if (followed == NULL)
    return NULL;
  g_autofree char *kid = dup_kid (followed);
  g_autofree char *shown = dup_kid (answer->jwk);
  if (g_strcmp0 (kid, shown) != 0)
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                           "the host signs with a new key that its old one did not sign");
      return NULL;
    }
  HostTrust *next = host_trust_new (followed, answer->document, error);
  return next != NULL ? check_growth (held, next, error) : NULL;
}

/* --- asking */

typedef struct
{
  char *folder;
  char *domain;
  HostTrustFunc callback;
  gpointer data;
} Question;

static void
question_end (Question *question, const HostTrust *held, const char *problem)
{
  if (question->callback != NULL)
    question->callback (held, problem, question->data);
  else if (problem != NULL)
    log_warning ("trust", "domain=%s %s", question->domain, problem);
  g_free (question->folder);
  g_free (question->domain);
  g_free (question);
}

static gpointer
read_answer (xmpp_stanza_t *element)
{
  return element != NULL ? trust_answer_read (element, NULL) : NULL;
}

static void
on_answer (Reply *reply, gpointer data)
{
  Question *question = data;
  g_autoptr (GError) error = NULL;
  if (reply->kind != REPLY_RESULT)
    {
      question_end (question, NULL,
                    question->callback != NULL ? "the host does not say which packages it trusts" : NULL);
      return;
    }
  g_autoptr (HostTrust) held = host_trust_load (question->folder, question->domain, &error);
  g_autoptr (HostTrust) next = error == NULL ? host_trust_follow (held, reply->value, &error) : NULL;
  if (next != NULL && (held == NULL || !g_str_equal (next->document, held->document)))
    host_trust_save (next, question->folder, question->domain, &error);
  question_end (question, error == NULL ? next : NULL, error != NULL ? error->message : NULL);
}

void
host_trust_refresh (Session *session, const char *folder, HostTrustFunc callback, gpointer data)
{
  const char *domain = session_peek_domain (session);
  g_autoptr (HostTrust) held = host_trust_load (folder, domain, NULL);
  g_autofree char *market = g_strconcat ("market.", domain, NULL);
  TrustRequest asked
      = { .key = held != NULL ? held->kid : NULL, .number = held != NULL ? held->trust->number : 0 };
  g_autoptr (GString) xml = g_string_new (NULL);
  trust_request_write (&asked, xml);
  Question *question = g_new0 (Question, 1);
  *question = (Question){ g_strdup (folder), g_strdup (domain), callback, data };
  session_request (session, "get", market, xml->str, read_answer, (GDestroyNotify)trust_answer_free,
                   on_answer, question);
}
