#include "common/protocol/receipt-stanza.h"

#include "common/base/text.h"

#include <string.h>

void
receipt_request_write (const char *order, GString *out)
{
  g_string_append (out, "<receipt xmlns='" NS_MARKET "'");
  text_append_xml_attribute (out, "order", order);
  g_string_append (out, "/>");
}

char *
receipt_request_read (xmpp_stanza_t *element, GError **error)
{
  TreeReader reader = { NULL };
  tree_expect (&reader, element, "receipt", NS_MARKET);
  char *order = g_strdup (tree_need (&reader, element, "order"));
  if (tree_reader_finish (&reader, error))
    return order;
  g_free (order);
  return NULL;
}

void
receipt_document_write (const ReceiptDocument *document, const char *order, GString *out)
{
  g_string_append (out, "<receipt xmlns='" NS_MARKET "'");
  text_append_xml_attribute (out, "order", order);
  g_string_append (out, "><jws>");
  text_append_xml (out, document->jws);
  g_string_append (out, "</jws>");
  for (ReceiptClaim claim = 0; claim < N_RECEIPT_CLAIMS; claim++)
    {
      if (document->salts[claim] == NULL)
        continue;
      g_autofree char *salt = text_to_base64url (document->salts[claim], RECEIPT_SALT_BYTES);
      g_string_append (out, "<disclosure");
      text_append_xml_attribute (out, "claim", receipt_claim_to_text (claim));
      text_append_xml_attribute (out, "salt", salt);
      g_string_append (out, "/>");
    }
  g_string_append (out, "</receipt>");
}

ReceiptDocument *
receipt_document_read (xmpp_stanza_t *element, GError **error)
{
  TreeReader reader = { NULL };
  tree_expect (&reader, element, "receipt", NS_MARKET);
  xmpp_stanza_t *jws = reader.error == NULL ? tree_find (element, "jws", NS_MARKET) : NULL;
  g_autofree char *text = jws != NULL ? tree_dup_text (&reader, jws, JWS_MAX_BYTES) : NULL;
  if (text == NULL)
    tree_fail (&reader, "<receipt/>: <jws/> is missing");
  if (!tree_reader_finish (&reader, error))
    return NULL;
  g_autoptr (ReceiptDocument) document = receipt_document_new (text);
  for (xmpp_stanza_t *child = xmpp_stanza_get_children (element); child != NULL;
       child = xmpp_stanza_get_next (child))
    if (g_strcmp0 (xmpp_stanza_get_name (child), "disclosure") == 0
        && !receipt_document_disclose (document, xmpp_stanza_get_attribute (child, "claim"),
                                       xmpp_stanza_get_attribute (child, "salt"), error))
      return NULL;
  return g_steal_pointer (&document);
}

void
receipt_keys_write (const char *jwks, GString *out)
{
  g_string_append (out, "<keys xmlns='" NS_MARKET "'>");
  text_append_xml (out, jwks);
  g_string_append (out, "</keys>");
}

JwsKeySet *
receipt_keys_read (xmpp_stanza_t *element, GError **error)
{
  TreeReader reader = { NULL };
  tree_expect (&reader, element, "keys", NS_MARKET);
  g_autofree char *text = reader.error == NULL ? tree_dup_text (&reader, element, JWS_MAX_SET_BYTES) : NULL;
  if (text == NULL)
    tree_fail (&reader, "<keys/>: it is empty");
  return tree_reader_finish (&reader, error) ? jws_key_set_parse (text, strlen (text), error) : NULL;
}
