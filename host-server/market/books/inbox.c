#include "host-server/market/books/inbox.h"

#include "common/base/secret.h"

#include <openssl/sha.h>

gboolean
inbox_take (Turn *turn, const Delivery *delivery, InboxOutcome *outcome, BooksOutcome *books, GError **error)
{
  guint8 digest[SHA256_DIGEST_LENGTH];
  SHA256 (delivery->body, delivery->length, digest);
  *books = BOOKS_IGNORED;
  {
    gboolean is_found;
    g_autoptr (DbQuery) query
        = db_query (turn->db, "SELECT digest, body FROM inbox WHERE provider = ? AND webhook_id = ?", "ss",
                    delivery->provider->name, delivery->webhook_id);
    if (!turn_find (query, &is_found, error))
      return FALSE;
    if (is_found)
      {
        gsize length, body_length;
        const void *known = db_get_blob (query, 0, &length), *body = db_get_blob (query, 1, &body_length);
        const ProviderType *type = delivery->provider->type;
        gboolean is_same = secret_equal_bytes (known, length, digest, sizeof digest)
                           || (type->is_same_event != NULL
                               && type->is_same_event (body, body_length, delivery->body, delivery->length));
        *outcome = is_same ? INBOX_DUPLICATE : INBOX_CHANGED;
        turn_log (turn, is_same ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR, "delivery again provider=%s id=%s%s",
                  delivery->provider->name, delivery->webhook_id, is_same ? "" : " with another body");
        return TRUE;
      }
  }

  *outcome = INBOX_TAKEN;
  const char *meaning = "poison", *reason = delivery->poison;
  if (delivery->event != NULL)
    {
      if (!books_apply (turn, delivery->provider, delivery->event,
                        &(Evidence){ "callback", delivery->webhook_id, digest }, books, &reason, error))
        return FALSE;
      meaning = books_outcome_to_text (*books);
    }
  if (delivery->event == NULL || *books == BOOKS_NO_ORDER || *books == BOOKS_MISMATCH)
    {
      gboolean is_retried = delivery->event != NULL && *books == BOOKS_NO_ORDER;
      if (!books_keep_unmatched (turn, delivery->provider->name, delivery->webhook_id, reason, delivery->body,
                                 delivery->length, is_retried, error))
        return FALSE;
    }
  if (*books == BOOKS_OTHER_MODE)
    turn_log (turn, LOG_LEVEL_WARNING, "delivery of the other mode ignored provider=%s id=%s",
              delivery->provider->name, delivery->webhook_id);
  return db_run (turn->db, error,
                 "INSERT INTO inbox (provider, webhook_id, digest, outcome, body, received_us, secret, headers)"
                 " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                 "ssbsbiss", delivery->provider->name, delivery->webhook_id, (const void *)digest,
                 sizeof digest, meaning, delivery->body, delivery->length, turn->now_us, delivery->secret,
                 delivery->headers);
}
