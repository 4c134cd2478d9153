#include "host-client/core/receipt-check.h"

#include "common/protocol/receipt-stanza.h"

#include <gio/gio.h>
#include <string.h>

typedef struct
{
  Session *session;
  const Market *market;
  char *address;
  char *order;
  JwsKeySet *keys;
  ReceiptCheckFunc callback;
  gpointer data;
} Question;

static void
question_end (Question *question, const ReceiptCheck *check, const Reply *reply)
{
  question->callback (check, reply, question->data);
  jws_key_set_free (question->keys);
  g_free (question->address);
  g_free (question->order);
  g_free (question);
}

/* ---- reading, on the connection's thread ---- */

static gpointer
read_keys (xmpp_stanza_t *element)
{
  return element != NULL ? receipt_keys_read (element, NULL) : NULL;
}

static gpointer
read_document (xmpp_stanza_t *element)
{
  return element != NULL ? receipt_document_read (element, NULL) : NULL;
}

/* ---- what this device knows ---- */

static void
compare (const Question *question, ReceiptCheck *check)
{
  const char *account = session_peek_account (question->session);
  const SerialEntry *entry
      = serial_book_find (market_peek_serials (question->market), check->receipt->plugin);
  check->buyer = receipt_match (check->receipt, check->document, RECEIPT_BUYER, account, strlen (account));
  if (entry != NULL && entry->user != NULL)
    check->at_vendor = receipt_match (check->receipt, check->document, RECEIPT_BUYER_AT_VENDOR, entry->user,
                                      strlen (entry->user));
  check->has_serial = entry != NULL && entry->serial != NULL;
  if (check->has_serial)
    check->serial = receipt_match (check->receipt, check->document, RECEIPT_SERIAL,
                                   secret_peek_text (entry->serial), secret_get_length (entry->serial));
}

static void
refuse (ReceiptCheck *check, const char *reason)
{
  g_clear_pointer (&check->receipt, receipt_free);
  check->reason = g_strdup (reason);
}

static void
judge (const Question *question, ReceiptCheck *check)
{
  g_autoptr (GError) error = NULL;
  check->serial = check->buyer = check->at_vendor = RECEIPT_NOT_DISCLOSED;
  check->receipt = receipt_verify (question->keys, check->document->jws, &error);
  if (check->receipt == NULL)
    {
      refuse (check, error->message);
      return;
    }
  compare (question, check);
  if (strcmp (check->receipt->order, question->order) != 0)
    refuse (check, "it is about another order");
  else if (check->buyer == RECEIPT_DIFFERS || check->at_vendor == RECEIPT_DIFFERS)
    refuse (check, "it is about another buyer");
}

/* ---- asking ---- */

static void
on_document (Reply *reply, gpointer data)
{
  Question *question = data;
  if (reply->kind != REPLY_RESULT)
    {
      question_end (question, NULL, reply);
      return;
    }
  ReceiptCheck check = { .document = reply->value };
  judge (question, &check);
  question_end (question, &check, reply);
  receipt_free (check.receipt);
  g_free (check.reason);
}

static void
on_keys (Reply *reply, gpointer data)
{
  Question *question = data;
  if (reply->kind != REPLY_RESULT)
    {
      question_end (question, NULL, reply);
      return;
    }
  question->keys = g_steal_pointer (&reply->value);
  g_autoptr (GString) xml = g_string_new (NULL);
  receipt_request_write (question->order, xml);
  session_request (question->session, "get", question->address, xml->str, read_document,
                   (GDestroyNotify)receipt_document_free, on_document, question);
}

void
receipt_check (Session *session, const Market *market, const char *order, ReceiptCheckFunc callback,
               gpointer data)
{
  Question *question = g_new0 (Question, 1);
  question->session = session;
  question->market = market;
  question->address = g_strconcat ("market.", session_peek_domain (session), NULL);
  question->order = g_strdup (order);
  question->callback = callback;
  question->data = data;
  session_request (session, "get", question->address, RECEIPT_KEYS_REQUEST, read_keys,
                   (GDestroyNotify)jws_key_set_free, on_keys, question);
}
