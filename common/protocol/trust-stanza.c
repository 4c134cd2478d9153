#include "common/protocol/trust-stanza.h"

#include "common/base/clock.h"
#include "common/base/text.h"

#include <string.h>

void
trust_request_clear (TrustRequest *request)
{
  g_clear_pointer (&request->key, g_free);
}

void
trust_request_write (const TrustRequest *request, GString *out)
{
  g_string_append (out, "<trust xmlns='" NS_MARKET "'");
  text_append_xml_attribute (out, "key", request->key);
  if (request->number > 0)
    g_string_append_printf (out, " number='%" G_GINT64_FORMAT "'", request->number);
  g_string_append (out, "/>");
}

gboolean
trust_request_read (xmpp_stanza_t *element, TrustRequest *request, GError **error)
{
  TreeReader reader = { NULL };
  tree_expect (&reader, element, "trust", NS_MARKET);
  *request = (TrustRequest){ .key = g_strdup (tree_get (&reader, element, "key")) };
  request->number = tree_get_int (&reader, element, "number", G_MAXINT64, 0);
  if (tree_reader_finish (&reader, error))
    return TRUE;
  trust_request_clear (request);
  return FALSE;
}

TrustAnswer *
trust_answer_new (void)
{
  TrustAnswer *answer = g_new0 (TrustAnswer, 1);
  answer->successions = g_ptr_array_new_with_free_func (g_free);
  return answer;
}

void
trust_answer_free (TrustAnswer *answer)
{
  if (answer == NULL)
    return;
  g_free (answer->jwk);
  g_free (answer->document);
  g_ptr_array_unref (answer->successions);
  g_free (answer);
}

static void
append_element (GString *out, const char *name, const char *text)
{
  if (text == NULL)
    return;
  g_string_append_printf (out, "<%s>", name);
  text_append_xml (out, text);
  g_string_append_printf (out, "</%s>", name);
}

void
trust_answer_write (const TrustAnswer *answer, GString *out)
{
  g_string_append_printf (out, "<trust xmlns='" NS_MARKET "' number='%" G_GINT64_FORMAT "'%s>",
                          answer->number, answer->is_unchanged ? " unchanged='true'" : "");
  append_element (out, "key", answer->jwk);
  for (guint i = 0; i < answer->successions->len; i++)
    append_element (out, "succession", g_ptr_array_index (answer->successions, i));
  append_element (out, "document", answer->document);
  g_string_append (out, "</trust>");
}

static void
read_part (TreeReader *reader, xmpp_stanza_t *child, TrustAnswer *answer)
{
  const char *name = xmpp_stanza_get_name (child);
  char *text = name != NULL ? tree_dup_text (reader, child, JWS_MAX_BYTES) : NULL;
  if (text == NULL)
    return;
  if (g_str_equal (name, "key") && answer->jwk == NULL)
    answer->jwk = text;
  else if (g_str_equal (name, "document") && answer->document == NULL)
    answer->document = text;
  else if (g_str_equal (name, "succession") && answer->successions->len < TRUST_MAX_CHAIN)
    g_ptr_array_add (answer->successions, text);
  else
    g_free (text);
}

TrustAnswer *
trust_answer_read (xmpp_stanza_t *element, GError **error)
{
  TreeReader reader = { NULL };
  g_autoptr (TrustAnswer) answer = trust_answer_new ();
  tree_expect (&reader, element, "trust", NS_MARKET);
  answer->number = tree_get_int (&reader, element, "number", G_MAXINT64, 0);
  answer->is_unchanged = tree_get_bool (&reader, element, "unchanged");
  for (xmpp_stanza_t *child = reader.error == NULL ? xmpp_stanza_get_children (element) : NULL; child != NULL;
       child = xmpp_stanza_get_next (child))
    read_part (&reader, child, answer);
  if (reader.error == NULL && !answer->is_unchanged && (answer->jwk == NULL || answer->document == NULL))
    tree_fail (&reader, "<trust/>: key or document is missing");
  return tree_reader_finish (&reader, error) ? g_steal_pointer (&answer) : NULL;
}

void
account_token_write (const char *jwt, gint64 expires_us, GString *out)
{
  g_autofree char *expires = clock_dup_rfc3339 (expires_us);
  g_string_append (out, "<account-token xmlns='" NS_TOKENS "'");
  text_append_xml_attribute (out, "expires", expires);
  g_string_append_c (out, '>');
  text_append_xml (out, jwt);
  g_string_append (out, "</account-token>");
}

char *
account_token_read (xmpp_stanza_t *element, GError **error)
{
  TreeReader reader = { NULL };
  tree_expect (&reader, element, "account-token", NS_TOKENS);
  char *text = reader.error == NULL ? tree_dup_text (&reader, element, JWS_MAX_BYTES) : NULL;
  if (text == NULL)
    tree_fail (&reader, "<account-token/>: it is empty");
  if (tree_reader_finish (&reader, error))
    return text;
  g_free (text);
  return NULL;
}
