#include "host-server/market/books/receipts.h"

#include "host-server/market/books/books.h"

#include "common/base/text.h"
#include "host-server/core/signer.h"

#include <gio/gio.h>
#include <string.h>

/* --- noting facts */

typedef struct
{
  gint64 seq; /* 0: the line has no receipt */
  gint64 ledger_seq, fulfilled_us, delivered_us;
  guint8 serial_hash[RECEIPT_HASH_BYTES];
} Head;

static gboolean
load_head (Turn *turn, const char *line, Head *head, GError **error)
{
  gboolean is_found;
  *head = (Head){ 0 };
  g_autoptr (DbQuery) query = db_query (turn->db,
                                        "SELECT seq, ledger_seq, fulfilled_us, delivered_us, serial_hash"
                                        " FROM receipt WHERE line = ? ORDER BY seq DESC LIMIT 1",
                                        "s", line);
  if (!turn_find (query, &is_found, error))
    return FALSE;
  if (!is_found)
    return TRUE;
  gsize length;
  const void *hash = db_get_blob (query, 4, &length);
  head->seq = db_get_int (query, 0);
  head->ledger_seq = db_get_int (query, 1);
  head->fulfilled_us = db_get_int (query, 2);
  head->delivered_us = db_get_int (query, 3);
  memcpy (head->serial_hash, hash, MIN (length, sizeof head->serial_hash));
  return TRUE;
}

/* The next receipt of the line after @head, with the ledger as it is now: whatever is recorded later, of this
 * order or of another, has a higher number. If there is one of that number nothing changes. */
static gboolean
append (Turn *turn, const char *line, const Head *head, const char *reason, GError **error)
{
  return db_run (turn->db, error,
                 "INSERT INTO receipt (line, seq, reason, ledger_seq, serial_hash, fulfilled_us, "
                 "delivered_us, recorded_us)"
                 " VALUES (?, ?, ?, COALESCE ((SELECT MAX (seq) FROM ledger), 0), ?, ?, ?, ?)"
                 " ON CONFLICT (line, seq) DO NOTHING",
                 "sisbiii", line, head->seq + 1, reason, (const void *)head->serial_hash,
                 sizeof head->serial_hash, head->fulfilled_us, head->delivered_us, turn->now_us);
}

static void
derive_salt (const Desk *desk, const char *line, ReceiptClaim claim, guint8 salt[RECEIPT_SALT_BYTES])
{
  market_keys_derive_salt (&desk->keys, line, receipt_claim_to_text (claim), salt);
}

gboolean
receipts_note_serial (Turn *turn, const char *line, const Secret *serial, GError **error)
{
  Head first = { .fulfilled_us = turn->now_us }, head;
  guint8 salt[RECEIPT_SALT_BYTES];
  gsize length;
  const void *bytes = secret_peek_bytes (serial, &length);
  derive_salt (turn->desk, line, RECEIPT_SERIAL, salt);
  receipt_hash (salt, bytes, length, first.serial_hash);
  if (!append (turn, line, &first, "fulfilled", error))
    return FALSE;
  if (db_get_changes (turn->db) > 0)
    return TRUE;

  if (!load_head (turn, line, &head, error))
    return FALSE;
  if (memcmp (head.serial_hash, first.serial_hash, sizeof head.serial_hash) == 0)
    return TRUE;
  memcpy (head.serial_hash, first.serial_hash, sizeof head.serial_hash);
  head.delivered_us = 0;
  return append (turn, line, &head, "replaced", error);
}

gboolean
receipts_note_item (Turn *turn, const char *line, GError **error)
{
  /* Nothing is to be handed over after the commit: it is delivered. */
  Head first = { .fulfilled_us = turn->now_us, .delivered_us = turn->now_us };
  return append (turn, line, &first, "fulfilled", error);
}

gboolean
receipts_note_money (Turn *turn, const char *line, const char *kind, GError **error)
{
  Head head;
  if (!load_head (turn, line, &head, error))
    return FALSE;
  if (head.seq == 0)
    return TRUE;
  gboolean is_found;
  g_autoptr (DbQuery) query = db_query (
      turn->db,
      "SELECT MAX (g.seq) FROM purchase_line l JOIN ledger g ON g.purchase = l.purchase WHERE l.id = ?", "s",
      line);
  if (!turn_find (query, &is_found, error))
    return FALSE;
  /* Money that fulfilled the line in this very turn is in its receipt already. */
  if (!is_found || db_get_int (query, 0) <= head.ledger_seq)
    return TRUE;
  g_clear_pointer (&query, db_query_free);
  return append (turn, line, &head, kind, error);
}

static gboolean
note_delivered (Turn *turn, const char *line, GError **error)
{
  Head head;
  if (!db_run (turn->db, error,
               "UPDATE receipt SET delivered_us = ? WHERE line = ? AND delivered_us = 0 AND jws IS NULL"
               " AND seq = (SELECT MAX (r.seq) FROM receipt r WHERE r.line = ?)",
               "iss", turn->now_us, line, line))
    return FALSE;
  if (db_get_changes (turn->db) > 0)
    return TRUE;
  if (!load_head (turn, line, &head, error))
    return FALSE;
  if (head.seq == 0 || head.delivered_us != 0)
    return TRUE;
  head.delivered_us = turn->now_us;
  return append (turn, line, &head, "delivered", error);
}

gboolean
receipts_note_delivery (Turn *turn, const char *account, gint64 since, gint64 ver, GError **error)
{
  GError *local = NULL;
  g_autoptr (GPtrArray) lines = g_ptr_array_new_with_free_func (g_free);
  {
    g_autoptr (DbQuery) query = db_query (turn->db,
                                          "SELECT line FROM entitlement WHERE account = ? AND ver > ? AND "
                                          "ver <= ? AND state = 'active'",
                                          "sii", account, since, ver);
    while (db_next (query, &local))
      g_ptr_array_add (lines, db_dup_text (query, 0));
  }
  for (guint i = 0; i < lines->len && local == NULL; i++)
    note_delivered (turn, g_ptr_array_index (lines, i), &local);
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, local);
  return FALSE;
}

/* --- what a receipt says */

/* What does not change from receipt to receipt of a line. */
typedef struct
{
  char *order, *account, *user, *provider, *currency, *line, *plugin, *item, *term, *vendor;
  gint64 price_minor, item_amount;
} Subject;

static void
subject_clear (Subject *subject)
{
  g_free (subject->order);
  g_free (subject->account);
  g_free (subject->user);
  g_free (subject->provider);
  g_free (subject->currency);
  g_free (subject->line);
  g_free (subject->plugin);
  g_free (subject->item);
  g_free (subject->term);
  g_free (subject->vendor);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Subject, subject_clear)

static gboolean
load_subject (Db *db, const char *order, Subject *subject, gboolean *is_found, GError **error)
{
  g_autoptr (DbQuery) query = db_query (
      db,
      "SELECT p.id, p.account, p.user, p.provider, p.currency, p.price_minor, l.id, l.plugin, l.term,"
      " c.vendor, l.item, l.amount FROM purchase p JOIN purchase_line l ON l.purchase = p.id JOIN plugin c "
      "ON c.id = l.plugin"
      " WHERE p.id = ?",
      "s", order);
  if (!turn_find (query, is_found, error))
    return FALSE;
  if (!*is_found)
    return TRUE;
  *subject = (Subject){
    .order = db_dup_text (query, 0),
    .account = db_dup_text (query, 1),
    .user = db_dup_text (query, 2),
    .provider = db_dup_text (query, 3),
    .currency = db_dup_text (query, 4),
    .price_minor = db_get_int (query, 5),
    .line = db_dup_text (query, 6),
    .plugin = db_dup_text (query, 7),
    .term = db_dup_text (query, 8),
    .vendor = db_dup_text (query, 9),
    .item = db_dup_text (query, 10),
    .item_amount = db_get_int (query, 11),
  };
  return TRUE;
}

static gboolean
has_serial (const Subject *subject)
{
  return subject->item[0] == '\0';
}

static json_t *
text_or_null (const char *text)
{
  return text != NULL && text[0] != '\0' ? json_string (text) : json_null ();
}

static json_t *
time_or_null (gint64 us)
{
  g_autofree char *text = us != 0 ? clock_dup_rfc3339 (us) : NULL;
  return text_or_null (text);
}

static json_t *
digest_or_null (const void *bytes, gsize length)
{
  g_autofree char *text = bytes != NULL ? text_to_base64url (bytes, length) : NULL;
  return text_or_null (text);
}

/* The ledger as one receipt saw it. */
typedef struct
{
  LedgerSums sums;
  json_t *payments, *refunds, *disputes;
} Money;

static void
money_clear (Money *money)
{
  json_decref (money->payments);
  json_decref (money->refunds);
  json_decref (money->disputes);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Money, money_clear)

/* Columns of the ledger: kind, id, payment, amount_minor, source, recorded_us, webhook_id, body_digest. */
static json_t *
entry_to_json (DbQuery *row, const char *name)
{
  gsize length;
  const void *digest = db_get_blob (row, 7, &length);
  json_t *entry = json_pack ("{s:s}", name, db_get_text (row, 1));
  json_object_set_new (entry, "payment", json_string (db_get_text (row, 2)));
  json_object_set_new (entry, "amount", json_integer (db_get_int (row, 3)));
  json_object_set_new (entry, "recorded", time_or_null (db_get_int (row, 5)));
  json_object_set_new (entry, "by", json_string (db_get_text (row, 4)));
  if (g_strcmp0 (db_get_text (row, 4), "callback") == 0)
    {
      json_object_set_new (entry, "webhook_id", text_or_null (db_get_text (row, 6)));
      json_object_set_new (entry, "body_sha256", digest_or_null (digest, length));
    }
  return entry;
}

/* The newest stay: an older one stands in the receipt of its own time. */
static void
list_entry (json_t *list, json_t *take_entry)
{
  if (json_array_size (list) == RECEIPT_MAX_LISTED)
    json_array_remove (list, 0);
  json_array_append_new (list, take_entry);
}

/* One entry a dispute, with its outcome and the evidence of it; won and lost end it in whatever order they
 * came. */
static void
list_dispute (Money *money, DbQuery *row)
{
  const char *kind = db_get_text (row, 0);
  const char *status = g_str_equal (kind, "dispute-won")    ? "won"
                       : g_str_equal (kind, "dispute-lost") ? "lost"
                                                            : "open";
  json_t *entry = entry_to_json (row, "dispute");
  json_object_set_new (entry, "status", json_string (status));
  size_t i;
  json_t *known;
  json_array_foreach (money->disputes, i, known)
  {
    if (g_strcmp0 (json_string_value (json_object_get (known, "dispute")), db_get_text (row, 1)) != 0)
      continue;
    if (g_str_equal (status, "open"))
      json_decref (entry);
    else
      json_array_set_new (money->disputes, i, entry);
    return;
  }
  list_entry (money->disputes, entry);
}

static gboolean
load_money (Db *db, const char *order, gint64 ledger_seq, Money *money, GError **error)
{
  GError *local = NULL;
  *money = (Money){ { 0 }, json_array (), json_array (), json_array () };
  g_autoptr (DbQuery) query
      = db_query (db,
                  "SELECT kind, id, payment, amount_minor, source, recorded_us, webhook_id, body_digest"
                  " FROM ledger WHERE purchase = ? AND seq <= ? ORDER BY seq",
                  "si", order, ledger_seq);
  while (db_next (query, &local))
    {
      const char *kind = db_get_text (query, 0);
      if (g_str_equal (kind, "payment"))
        list_entry (money->payments, entry_to_json (query, "payment"));
      else if (g_str_equal (kind, "refund"))
        list_entry (money->refunds, entry_to_json (query, "refund"));
      else
        list_dispute (money, query);
    }
  g_auto (Books) books = { 0 };
  if (local == NULL && books_load_until (db, order, ledger_seq, &books, &local))
    money->sums = books.sums;
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, local);
  return FALSE;
}

static json_t *
hash_value (const Desk *desk, const Subject *subject, ReceiptClaim claim, const char *value)
{
  guint8 salt[RECEIPT_SALT_BYTES], hash[RECEIPT_HASH_BYTES];
  derive_salt (desk, subject->line, claim, salt);
  receipt_hash (salt, value, strlen (value), hash);
  return digest_or_null (hash, sizeof hash);
}

static json_t *
make_hashes (const Desk *desk, const Subject *subject, const guint8 *serial_hash)
{
  const MarketKey *key = desk->keys.pairwise;
  g_autofree char *at_vendor = pairwise_name (key, subject->vendor, subject->account);
  json_t *hashes = json_object ();
  if (has_serial (subject))
    json_object_set_new (hashes, receipt_claim_to_text (RECEIPT_SERIAL),
                         digest_or_null (serial_hash, RECEIPT_HASH_BYTES));
  json_object_set_new (hashes, receipt_claim_to_text (RECEIPT_BUYER),
                       hash_value (desk, subject, RECEIPT_BUYER, subject->user));
  json_object_set_new (hashes, receipt_claim_to_text (RECEIPT_BUYER_AT_VENDOR),
                       hash_value (desk, subject, RECEIPT_BUYER_AT_VENDOR, at_vendor));
  if (subject->provider[0] == '\0')
    return hashes;
  g_autofree char *party = g_strconcat ("provider:", subject->provider, NULL);
  g_autofree char *at_provider = pairwise_name (key, party, subject->account);
  json_object_set_new (hashes, receipt_claim_to_text (RECEIPT_BUYER_AT_PROVIDER),
                       hash_value (desk, subject, RECEIPT_BUYER_AT_PROVIDER, at_provider));
  return hashes;
}

typedef struct
{
  gint64 seq, ledger_seq, fulfilled_us, delivered_us;
  char *reason;
  guint8 serial_hash[RECEIPT_HASH_BYTES];
  char *jws; /* NULL: not signed yet */
} Row;

static void
row_free (gpointer data)
{
  Row *row = data;
  g_free (row->reason);
  g_free (row->jws);
  g_free (row);
}

static json_t *
make_claims (Turn *turn, const Subject *subject, const Row *row, const char *former_jws, GError **error)
{
  g_auto (Money) money = { 0 };
  if (!load_money (turn->db, subject->order, row->ledger_seq, &money, error))
    return NULL;
  gboolean is_free = subject->provider[0] == '\0';
  g_autofree char *id = g_strdup_printf ("%s.%" G_GINT64_FORMAT, subject->line, row->seq);
  g_autofree char *link = former_jws != NULL ? receipt_dup_link (former_jws) : NULL;
  PaymentState status = payment_derive (PHASE_FULFILLED, subject->price_minor, &money.sums);
  json_t *claims = json_object ();
#define SET(name, value) json_object_set_new (claims, name, value)
  SET ("iss", json_string (signer_peek_issuer (turn->desk->signer)));
  SET ("iat", json_integer (turn->now_us / G_USEC_PER_SEC));
  SET ("jti", json_string (id));
  SET ("seq", json_integer (row->seq));
  SET ("supersedes", text_or_null (link));
  SET ("reason", json_string (row->reason));
  SET ("order", json_string (subject->order));
  SET ("line", json_string (subject->line));
  SET ("plugin", json_string (subject->plugin));
  if (!has_serial (subject))
    {
      SET ("item", json_string (subject->item));
      SET ("item_amount", json_integer (subject->item_amount));
    }
  SET ("vendor", json_string (subject->vendor));
  SET ("term", text_or_null (subject->term));
  SET ("amount", json_integer (subject->price_minor));
  SET ("currency", json_string (subject->currency));
  SET ("provider", text_or_null (subject->provider));
  SET ("payments", json_incref (money.payments));
  SET ("refunds", json_incref (money.refunds));
  SET ("disputes", json_incref (money.disputes));
  SET ("paid", json_integer (money.sums.paid));
  SET ("refunded", json_integer (money.sums.refunded));
  if (money.sums.lost > 0)
    SET ("lost", json_integer (money.sums.lost));
  SET ("status", json_string (is_free ? "free" : payment_state_to_text (status)));
  SET ("fulfilled", time_or_null (row->fulfilled_us));
  SET ("delivered", time_or_null (row->delivered_us));
  SET ("hashes", make_hashes (turn->desk, subject, row->serial_hash));
#undef SET
  return claims;
}

/* --- signing */

static gboolean
sign (Turn *turn, const Subject *subject, Row *row, const char *former_jws, GError **error)
{
  json_t *claims = make_claims (turn, subject, row, former_jws, error);
  if (claims == NULL)
    return FALSE;
  char *payload = json_dumps (claims, JSON_COMPACT);
  json_decref (claims);
  row->jws = signer_sign (turn->desk->signer, RECEIPT_TYPE, payload, strlen (payload), error);
  free (payload);
  return row->jws != NULL
         && db_run (turn->db, error, "UPDATE receipt SET jws = ? WHERE line = ? AND seq = ? AND jws IS NULL",
                    "ssi", row->jws, subject->line, row->seq);
}

/* From the last signed receipt on, or from the first. */
static GPtrArray *
load_rows (Db *db, const char *line, gboolean is_all, GError **error)
{
  GError *local = NULL;
  g_autoptr (GPtrArray) rows = g_ptr_array_new_with_free_func (row_free);
  g_autoptr (DbQuery) query
      = db_query (db,
                  "SELECT seq, ledger_seq, fulfilled_us, delivered_us, reason, serial_hash, jws FROM receipt"
                  " WHERE line = ? AND seq >= CASE WHEN ? = 1 THEN 1 ELSE COALESCE ((SELECT MAX (s.seq) FROM "
                  "receipt s WHERE s.line = ? AND s.jws IS NOT NULL), 1) END ORDER BY seq",
                  "sis", line, (gint64)is_all, line);
  while (db_next (query, &local))
    {
      Row *row = g_new0 (Row, 1);
      gsize length;
      const void *hash = db_get_blob (query, 5, &length);
      row->seq = db_get_int (query, 0);
      row->ledger_seq = db_get_int (query, 1);
      row->fulfilled_us = db_get_int (query, 2);
      row->delivered_us = db_get_int (query, 3);
      row->reason = db_dup_text (query, 4);
      memcpy (row->serial_hash, hash, MIN (length, sizeof row->serial_hash));
      row->jws = db_dup_text (query, 6);
      g_ptr_array_add (rows, row);
    }
  if (local == NULL)
    return g_steal_pointer (&rows);
  g_propagate_error (error, local);
  return NULL;
}

static ReceiptDocument *
disclose (const Desk *desk, const Subject *subject, const Row *row, ReceiptParty party)
{
  ReceiptDocument *document = receipt_document_new (row->jws);
  for (ReceiptClaim claim = 0; claim < N_RECEIPT_CLAIMS; claim++)
    {
      gboolean is_in_it = claim == RECEIPT_SERIAL              ? has_serial (subject)
                          : claim == RECEIPT_BUYER_AT_PROVIDER ? subject->provider[0] != '\0'
                                                               : TRUE;
      if (!is_in_it || !receipt_is_disclosed_to (party, claim))
        continue;
      document->salts[claim] = g_malloc (RECEIPT_SALT_BYTES);
      derive_salt (desk, subject->line, claim, document->salts[claim]);
    }
  return document;
}

static void
free_document (gpointer document)
{
  receipt_document_free (document);
}

gboolean
receipts_read (Turn *turn, const ReceiptQuestion *question, ReceiptsOutcome *outcome, GPtrArray **documents,
               GError **error)
{
  g_auto (Subject) subject = { 0 };
  gboolean is_found;
  *documents = NULL;
  *outcome = RECEIPTS_NO_ORDER;
  if (!load_subject (turn->db, question->order, &subject, &is_found, error))
    return FALSE;
  if (!is_found || (question->account != NULL && !g_str_equal (subject.account, question->account)))
    return TRUE;

  g_autoptr (GPtrArray) rows = load_rows (turn->db, subject.line, question->is_all, error);
  if (rows == NULL)
    return FALSE;
  *outcome = rows->len > 0 ? RECEIPTS_FOUND : RECEIPTS_NONE;
  g_autoptr (GPtrArray) found = g_ptr_array_new_with_free_func (free_document);
  const char *former = NULL;
  for (guint i = 0; i < rows->len; i++)
    {
      Row *row = g_ptr_array_index (rows, i);
      if (row->jws == NULL && !sign (turn, &subject, row, former, error))
        return FALSE;
      former = row->jws;
      if (question->is_all || i + 1 == rows->len)
        g_ptr_array_add (found, disclose (turn->desk, &subject, row, question->party));
    }
  *documents = g_steal_pointer (&found);
  return TRUE;
}
