#include "host-client/cli/receipt-view.h"

static const char *
describe_serial (const ReceiptCheck *check)
{
  if (!check->has_serial)
    return "this device holds none to compare with";
  switch (check->serial)
    {
    case RECEIPT_MATCHES:
      return "the one on this device";
    case RECEIPT_DIFFERS:
      return "not the one on this device, which came later or from another order";
    case RECEIPT_NOT_DISCLOSED:
    default:
      return "cannot be compared: its salt is missing";
    }
}

char *
receipt_view_text (const ReceiptCheck *check)
{
  if (check->receipt == NULL)
    return g_strdup_printf ("the receipt is NOT valid: %s", check->reason);
  GString *text = g_string_new (NULL);
  receipt_append_text (check->receipt, text);
  g_string_append_printf (text, "serial      %s\n", describe_serial (check));
  g_string_append_printf (text, "buyer       %s\n",
                          check->buyer == RECEIPT_MATCHES ? "you"
                                                          : "cannot be compared: the salt is missing");
  g_string_append (text, "valid       signed with the host's key, which came over this connection");
  return g_string_free (text, FALSE);
}

static const char *
match_to_text (ReceiptMatch match)
{
  return match == RECEIPT_MATCHES ? "matches" : match == RECEIPT_DIFFERS ? "differs" : "unknown";
}

json_t *
receipt_view_json (const ReceiptCheck *check)
{
  json_t *object = receipt_document_to_json (check->document);
  json_object_set_new (object, "valid", json_boolean (check->receipt != NULL));
  if (check->receipt == NULL)
    {
      json_object_set_new (object, "reason", json_string (check->reason));
      return object;
    }
  json_object_set_new (object, "serial", json_string (match_to_text (check->serial)));
  json_object_set_new (object, "buyer", json_string (match_to_text (check->buyer)));
  json_object_set (object, "claims", check->receipt->claims);
  return object;
}
