#include "common/protocol/receipt.h"

#include "common/base/clock.h"
#include "common/base/money.h"
#include "common/base/text.h"

#include <gio/gio.h>
#include <openssl/sha.h>
#include <stdarg.h>
#include <string.h>

#define MAX_TEXT      1024 /* bytes of a text in a receipt */
#define MAX_DOCUMENTS 1000 /* of a chain */

static const char *const claim_names[N_RECEIPT_CLAIMS] = {
  [RECEIPT_SERIAL] = "serial",
  [RECEIPT_BUYER] = "buyer",
  [RECEIPT_BUYER_AT_VENDOR] = "buyer_at_vendor",
  [RECEIPT_BUYER_AT_PROVIDER] = "buyer_at_provider",
};

const char *
receipt_claim_to_text (ReceiptClaim claim)
{
  return claim_names[claim];
}

gboolean
receipt_claim_from_text (const char *text, ReceiptClaim *claim)
{
  for (guint i = 0; i < N_RECEIPT_CLAIMS; i++)
    if (g_strcmp0 (text, claim_names[i]) == 0)
      {
        *claim = (ReceiptClaim)i;
        return TRUE;
      }
  return FALSE;
}

gboolean
receipt_party_from_text (const char *text, ReceiptParty *party)
{
  static const char *const names[N_RECEIPT_PARTIES] = { "buyer", "vendor", "provider" };
  for (guint i = 0; i < N_RECEIPT_PARTIES; i++)
    if (g_strcmp0 (text, names[i]) == 0)
      {
        *party = (ReceiptParty)i;
        return TRUE;
      }
  return FALSE;
}

gboolean
receipt_is_disclosed_to (ReceiptParty party, ReceiptClaim claim)
{
  static const gboolean table[N_RECEIPT_PARTIES][N_RECEIPT_CLAIMS] = {
    /* The buyer is shown the name at the vendor with the serial (protocol.md section 2). */
    [RECEIPT_FOR_BUYER]
    = { [RECEIPT_SERIAL] = TRUE, [RECEIPT_BUYER] = TRUE, [RECEIPT_BUYER_AT_VENDOR] = TRUE },
    [RECEIPT_FOR_VENDOR] = { [RECEIPT_SERIAL] = TRUE, [RECEIPT_BUYER_AT_VENDOR] = TRUE },
    [RECEIPT_FOR_PROVIDER] = { [RECEIPT_BUYER_AT_PROVIDER] = TRUE },
  };
  return table[party][claim];
}

void
receipt_hash (const guint8 salt[RECEIPT_SALT_BYTES], const void *value, gsize length,
              guint8 hash[RECEIPT_HASH_BYTES])
{
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);
  g_checksum_update (checksum, salt, RECEIPT_SALT_BYTES);
  g_checksum_update (checksum, value, (gssize)length);
  gsize n = RECEIPT_HASH_BYTES;
  g_checksum_get_digest (checksum, hash, &n);
}

static char *
dup_digest (const void *bytes, gsize length)
{
  guint8 digest[SHA256_DIGEST_LENGTH];
  SHA256 (bytes, length, digest);
  return text_to_base64url (digest, sizeof digest);
}

char *
receipt_dup_link (const char *jws)
{
  return dup_digest (jws, strlen (jws));
}

G_GNUC_PRINTF (2, 3)
static gboolean
fail (GError **error, const char *format, ...)
{
  va_list list;
  va_start (list, format);
  g_autofree char *text = g_strdup_vprintf (format, list);
  va_end (list);
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, text);
  return FALSE;
}

/* --- documents */

ReceiptDocument *
receipt_document_new (const char *jws)
{
  ReceiptDocument *document = g_new0 (ReceiptDocument, 1);
  document->jws = g_strdup (jws);
  return document;
}

void
receipt_document_free (ReceiptDocument *document)
{
  if (document == NULL)
    return;
  for (guint i = 0; i < N_RECEIPT_CLAIMS; i++)
    g_free (document->salts[i]);
  g_free (document->jws);
  g_free (document);
}

gboolean
receipt_document_disclose (ReceiptDocument *document, const char *claim, const char *salt, GError **error)
{
  ReceiptClaim which;
  gsize length = 0;
  if (!receipt_claim_from_text (claim, &which))
    return fail (error, "it discloses something unknown");
  g_autofree guint8 *bytes = salt != NULL ? text_from_base64url (salt, strlen (salt), &length) : NULL;
  if (bytes == NULL || length != RECEIPT_SALT_BYTES)
    return fail (error, "its salt of '%s' is not %d bytes of base64url", claim, RECEIPT_SALT_BYTES);
  if (document->salts[which] != NULL)
    return fail (error, "it discloses '%s' twice", claim);
  document->salts[which] = g_steal_pointer (&bytes);
  return TRUE;
}

json_t *
receipt_document_to_json (const ReceiptDocument *document)
{
  json_t *disclosures = json_object ();
  for (guint i = 0; i < N_RECEIPT_CLAIMS; i++)
    if (document->salts[i] != NULL)
      {
        g_autofree char *salt = text_to_base64url (document->salts[i], RECEIPT_SALT_BYTES);
        json_object_set_new (disclosures, claim_names[i], json_string (salt));
      }
  return json_pack ("{s:s, s:o}", "receipt", document->jws, "disclosures", disclosures);
}

static ReceiptDocument *
read_document (const json_t *json, GError **error)
{
  const json_t *disclosures = json_object_get (json, "disclosures");
  const char *jws = json_string_value (json_object_get (json, "receipt"));
  if (jws == NULL || (disclosures != NULL && !json_is_object (disclosures)))
    {
      fail (error, "not a receipt: {\"receipt\": …, \"disclosures\": {…}} is expected");
      return NULL;
    }
  g_autoptr (ReceiptDocument) document = receipt_document_new (jws);
  const char *claim;
  json_t *salt;
  json_object_foreach ((json_t *)disclosures, claim, salt)
  {
    if (!receipt_document_disclose (document, claim, json_string_value (salt), error))
      return NULL;
  }
  return g_steal_pointer (&document);
}

static void
free_document (gpointer document)
{
  receipt_document_free (document);
}

/* Made of what a compact JWS is made of; nothing else can be one. */
static gboolean
is_compact (const char *text, gsize length)
{
  for (gsize i = 0; i < length; i++)
    if (!g_ascii_isalnum (text[i]) && text[i] != '-' && text[i] != '_' && text[i] != '.')
      return FALSE;
  return TRUE;
}

GPtrArray *
receipt_documents_parse (const char *text, gsize length, GError **error)
{
  g_autoptr (GPtrArray) documents = g_ptr_array_new_with_free_func (free_document);
  while (length > 0 && g_ascii_isspace (text[length - 1]))
    length--;
  for (; length > 0 && g_ascii_isspace (*text); length--)
    text++;
  if (length > 0 && is_compact (text, length))
    {
      g_autofree char *jws = g_strndup (text, length);
      g_ptr_array_add (documents, receipt_document_new (jws));
      return g_steal_pointer (&documents);
    }
  while (length > 0)
    {
      json_error_t fault;
      json_t *json = json_loadb (text, length, JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK, &fault);
      ReceiptDocument *document = NULL;
      if (json == NULL)
        fail (error, "not a receipt: %s", fault.text);
      else if (documents->len >= MAX_DOCUMENTS)
        fail (error, "more than %d receipts", MAX_DOCUMENTS);
      else
        document = read_document (json, error);
      json_decref (json);
      if (document == NULL)
        return NULL;
      g_ptr_array_add (documents, document);
      for (text += fault.position, length -= (gsize)fault.position; length > 0 && g_ascii_isspace (*text);
           length--)
        text++;
    }
  if (documents->len > 0)
    return g_steal_pointer (&documents);
  fail (error, "there is no receipt in it");
  return NULL;
}

/* --- the receipt itself */

/* Sticky: what is first found missing or of another kind stays as the failure. */
typedef struct
{
  const char *missing;
} Reader;

static gboolean
is_plain (const char *text)
{
  if (strlen (text) > MAX_TEXT)
    return FALSE;
  for (const char *at = text; *at != '\0'; at = g_utf8_next_char (at))
    {
      gunichar letter = g_utf8_get_char (at);
      if (g_unichar_iscntrl (letter) || g_unichar_type (letter) == G_UNICODE_FORMAT)
        return FALSE;
    }
  return TRUE;
}

static const char *
get_text (Reader *reader, const json_t *object, const char *name)
{
  const char *text = json_string_value (json_object_get (object, name));
  if (text != NULL && is_plain (text))
    return text;
  if (reader->missing == NULL)
    reader->missing = name;
  return "";
}

/* NULL for null; absent is a failure. */
static const char *
get_text_or_null (Reader *reader, const json_t *object, const char *name)
{
  return json_is_null (json_object_get (object, name)) ? NULL : get_text (reader, object, name);
}

static gint64
get_int (Reader *reader, const json_t *object, const char *name)
{
  const json_t *value = json_object_get (object, name);
  if (json_is_integer (value) && json_integer_value (value) >= 0)
    return json_integer_value (value);
  if (reader->missing == NULL)
    reader->missing = name;
  return 0;
}

static void
expect_time (Reader *reader, const char *text, const char *name)
{
  gint64 us;
  if (text != NULL && !clock_parse_rfc3339 (text, &us) && reader->missing == NULL)
    reader->missing = name;
}

static void
expect_digest (Reader *reader, const char *text, const char *name)
{
  gsize length = 0;
  g_autofree guint8 *bytes = text != NULL ? text_from_base64url (text, strlen (text), &length) : NULL;
  if (text != NULL && (bytes == NULL || length != SHA256_DIGEST_LENGTH) && reader->missing == NULL)
    reader->missing = name;
}

static const struct
{
  const char *list, *id;
} lists[] = { { "payments", "payment" }, { "refunds", "refund" }, { "disputes", "dispute" } };

static void
expect_list (Reader *reader, const json_t *claims, gsize which)
{
  const json_t *list = json_object_get (claims, lists[which].list);
  if ((!json_is_array (list) || json_array_size (list) > RECEIPT_MAX_LISTED) && reader->missing == NULL)
    reader->missing = lists[which].list;
  size_t i;
  json_t *entry;
  json_array_foreach (list, i, entry)
  {
    get_text (reader, entry, lists[which].id);
    get_text (reader, entry, "payment");
    expect_time (reader, get_text (reader, entry, "recorded"), "recorded");
    if (which < 2)
      get_int (reader, entry, "amount");
    else
      get_text (reader, entry, "status");
    if (strcmp (get_text (reader, entry, "by"), "callback") == 0)
      {
        get_text_or_null (reader, entry, "webhook_id");
        expect_digest (reader, get_text_or_null (reader, entry, "body_sha256"), "body_sha256");
      }
  }
}

static void
expect_hashes (Reader *reader, const json_t *claims, gboolean is_free, gboolean is_item)
{
  const json_t *hashes = json_object_get (claims, "hashes");
  for (guint i = 0; i < N_RECEIPT_CLAIMS; i++)
    if ((i != RECEIPT_BUYER_AT_PROVIDER || !is_free) && (i != RECEIPT_SERIAL || !is_item))
      expect_digest (reader, get_text (reader, hashes, claim_names[i]), claim_names[i]);
}

static const char *
read_claims (Receipt *receipt)
{
  Reader reader = { NULL };
  const json_t *claims = receipt->claims;
  receipt->issuer = get_text (&reader, claims, "iss");
  receipt->issued_s = get_int (&reader, claims, "iat");
  receipt->id = get_text (&reader, claims, "jti");
  receipt->seq = get_int (&reader, claims, "seq");
  receipt->supersedes = get_text_or_null (&reader, claims, "supersedes");
  receipt->reason = get_text (&reader, claims, "reason");
  receipt->order = get_text (&reader, claims, "order");
  receipt->line = get_text (&reader, claims, "line");
  receipt->plugin = get_text (&reader, claims, "plugin");
  if (json_object_get (claims, "item") != NULL)
    {
      receipt->item = get_text (&reader, claims, "item");
      receipt->item_amount = get_int (&reader, claims, "item_amount");
    }
  receipt->vendor = get_text (&reader, claims, "vendor");
  receipt->term = get_text_or_null (&reader, claims, "term");
  receipt->amount_minor = get_int (&reader, claims, "amount");
  receipt->currency = get_text (&reader, claims, "currency");
  receipt->provider = get_text_or_null (&reader, claims, "provider");
  receipt->paid_minor = get_int (&reader, claims, "paid");
  receipt->refunded_minor = get_int (&reader, claims, "refunded");
  receipt->status = get_text (&reader, claims, "status");
  receipt->fulfilled = get_text (&reader, claims, "fulfilled");
  receipt->delivered = get_text_or_null (&reader, claims, "delivered");
  expect_time (&reader, receipt->fulfilled, "fulfilled");
  expect_time (&reader, receipt->delivered, "delivered");
  expect_digest (&reader, receipt->supersedes, "supersedes");
  for (gsize i = 0; i < G_N_ELEMENTS (lists); i++)
    expect_list (&reader, claims, i);
  expect_hashes (&reader, claims, receipt->provider == NULL, receipt->item != NULL);
  if (reader.missing == NULL && (receipt->seq == 1) != (receipt->supersedes == NULL))
    reader.missing = "supersedes";
  return reader.missing;
}

void
receipt_free (Receipt *receipt)
{
  if (receipt == NULL)
    return;
  json_decref (receipt->claims);
  g_free (receipt->link);
  g_free (receipt->kid);
  g_free (receipt);
}

Receipt *
receipt_verify (const JwsKeySet *keys, const char *jws, GError **error)
{
  g_auto (JwsContent) content = { 0 };
  JwsVerdict verdict = jws_verify (keys, jws, strlen (jws), RECEIPT_TYPE, &content);
  if (verdict != JWS_VALID)
    {
      fail (error, "%s", jws_verdict_to_text (verdict));
      return NULL;
    }
  gsize length;
  const char *payload = g_bytes_get_data (content.payload, &length);
  g_autoptr (Receipt) receipt = g_new0 (Receipt, 1);
  receipt->claims = json_loadb (payload, length, JSON_REJECT_DUPLICATES, NULL);
  receipt->link = receipt_dup_link (jws);
  receipt->kid = g_steal_pointer (&content.kid);
  receipt->retired_s = content.retired_s;
  const char *missing = json_is_object (receipt->claims) ? read_claims (receipt) : "a JSON object";
  if (missing != NULL)
    {
      fail (error, "the host signed it, but it is no receipt: no good '%s'", missing);
      return NULL;
    }
  if (receipt->retired_s > 0 && receipt->issued_s > receipt->retired_s + RECEIPT_LEEWAY_S)
    {
      fail (error, "it was signed after its key had been retired");
      return NULL;
    }
  return g_steal_pointer (&receipt);
}

gboolean
receipt_follows (const Receipt *receipt, const Receipt *former, GError **error)
{
  if (strcmp (receipt->line, former->line) != 0 || strcmp (receipt->order, former->order) != 0
      || strcmp (receipt->issuer, former->issuer) != 0)
    return fail (error, "it is about another order line than the receipt before it");
  if (receipt->seq != former->seq + 1)
    return fail (error, "its number is %" G_GINT64_FORMAT ", but the receipt before it has %" G_GINT64_FORMAT,
                 receipt->seq, former->seq);
  if (g_strcmp0 (receipt->supersedes, former->link) != 0)
    return fail (error, "it does not supersede the receipt before it, but another one");
  return TRUE;
}

ReceiptMatch
receipt_match (const Receipt *receipt, const ReceiptDocument *document, ReceiptClaim claim, const void *value,
               gsize length)
{
  const char *text
      = json_string_value (json_object_get (json_object_get (receipt->claims, "hashes"), claim_names[claim]));
  if (document->salts[claim] == NULL || text == NULL)
    return RECEIPT_NOT_DISCLOSED;
  guint8 hash[RECEIPT_HASH_BYTES];
  receipt_hash (document->salts[claim], value, length, hash);
  gsize n;
  g_autofree guint8 *stated = text_from_base64url (text, strlen (text), &n);
  return secret_equal_bytes (stated, n, hash, sizeof hash) ? RECEIPT_MATCHES : RECEIPT_DIFFERS;
}

const json_t *
receipt_find_body (const Receipt *receipt, const void *body, gsize length)
{
  g_autofree char *digest = dup_digest (body, length);
  for (gsize which = 0; which < G_N_ELEMENTS (lists); which++)
    {
      size_t i;
      json_t *entry;
      json_array_foreach (json_object_get (receipt->claims, lists[which].list), i, entry)
      {
        if (g_strcmp0 (json_string_value (json_object_get (entry, "body_sha256")), digest) == 0)
          return entry;
      }
    }
  return NULL;
}

/* --- in plain words */

G_GNUC_PRINTF (3, 4)
static void
append_line (GString *out, const char *label, const char *format, ...)
{
  g_string_append_printf (out, "%-12s", label);
  va_list list;
  va_start (list, format);
  g_string_append_vprintf (out, format, list);
  va_end (list);
  g_string_append_c (out, '\n');
}

static const char *
peek (const json_t *entry, const char *name)
{
  const char *text = json_string_value (json_object_get (entry, name));
  return text != NULL ? text : "";
}

static void
append_entry (const Receipt *receipt, gsize which, const json_t *entry, GString *out)
{
  g_autoptr (GString) text = g_string_new (peek (entry, lists[which].id));
  if (which == 2)
    g_string_append_printf (text, " of payment %s, %s", peek (entry, "payment"), peek (entry, "status"));
  else
    {
      g_autofree char *amount
          = money_dup_text (json_integer_value (json_object_get (entry, "amount")), receipt->currency);
      g_string_append_printf (text, ", %s", amount);
    }
  g_string_append_printf (text, ", recorded %s", peek (entry, "recorded"));
  if (strcmp (peek (entry, "by"), "callback") == 0)
    g_string_append_printf (text, ", reported in %s", peek (entry, "webhook_id"));
  else
    g_string_append (text, ", found by asking the provider");
  append_line (out, lists[which].id, "%s", text->str);
}

void
receipt_append_text (const Receipt *receipt, GString *out)
{
  g_autofree char *amount = money_dup_text (receipt->amount_minor, receipt->currency);
  g_autofree char *issued = clock_dup_rfc3339 (receipt->issued_s * G_USEC_PER_SEC);
  append_line (out, "receipt", "%s, number %" G_GINT64_FORMAT " (%s)%s", receipt->id, receipt->seq,
               receipt->reason, receipt->supersedes != NULL ? ", supersedes the one before" : "");
  append_line (out, "signed", "by %s, %s", receipt->issuer, issued);
  append_line (out, "order", "%s", receipt->order);
  if (receipt->item != NULL)
    append_line (out, "item", "%" G_GINT64_FORMAT " of %s in %s by %s", receipt->item_amount, receipt->item,
                 receipt->plugin, receipt->vendor);
  else
    append_line (out, "plugin", "%s by %s, %s%s", receipt->plugin, receipt->vendor,
                 receipt->term != NULL ? "for " : "for ever", receipt->term != NULL ? receipt->term : "");
  if (receipt->provider != NULL)
    append_line (out, "price", "%s, paid through %s: %s", amount, receipt->provider, receipt->status);
  else
    append_line (out, "price", "free");
  for (gsize which = 0; which < G_N_ELEMENTS (lists); which++)
    {
      size_t i;
      json_t *entry;
      json_array_foreach (json_object_get (receipt->claims, lists[which].list), i, entry)
          append_entry (receipt, which, entry, out);
    }
  if (receipt->refunded_minor > 0)
    {
      g_autofree char *back = money_dup_text (receipt->refunded_minor, receipt->currency);
      append_line (out, "given back", "%s", back);
    }
  append_line (out, "fulfilled", "%s", receipt->fulfilled);
  append_line (out, "delivered", "%s",
               receipt->delivered != NULL ? receipt->delivered : "not acknowledged by a client so far");
}
