#include "host-server/im/contacts.h"

#include "common/base/log.h"
#include "common/base/text.h"
#include "host-server/im/presence.h"
#include "host-server/im/roster.h"

#include <string.h>

/* A waiting request is kept with its text up to this size, and bare beyond. */
#define MAX_REQUEST 4096

/* One stanza or removal on its way through the store. */
typedef struct
{
  Im *im;
  Exchange *exchange;
  Session *sender; /* of a stanza; NULL otherwise */
  Stanza *stanza;
  guint64 hold;
  ServiceRequest *request; /* of a removal; NULL otherwise */
} Move;

static void
write_notice (GString *xml, StanzaType type, const Jid *from, const Jid *to)
{
  g_string_append (xml, "<presence");
  text_append_xml_attribute (xml, "from", jid_get_bare (from));
  text_append_xml_attribute (xml, "to", jid_get_bare (to));
  text_append_xml_attribute (xml, "type", stanza_type_to_text (type));
  g_string_append (xml, "/>");
}

/* A request goes to available resources, and waits if there are none (§3.1.3); what answers it or ends a
 * subscription goes to interested resources (§3.1.6, §3.2.3, §3.3.3). */
static void
deliver (Im *im, const Exchange *exchange, const ExchangeNotice *notice, const Stanza *stanza)
{
  const Jid *from = exchange->sides[notice->from].jid;
  const Jid *to = exchange->sides[notice->from == EXCHANGE_MOVER ? EXCHANGE_CONTACT : EXCHANGE_MOVER].jid;
  const GPtrArray *sessions = session_book_find_all (im->server->sessions, jid_get_bare (to));
  gboolean is_own = stanza != NULL && notice->from == EXCHANGE_MOVER && notice->type == stanza->type;

  for (guint i = 0; sessions != NULL && i < sessions->len; i++)
    {
      Session *session = sessions->pdata[i];
      if (notice->type == STANZA_TYPE_SUBSCRIBE ? !session_is_available (session)
                                                : !roster_is_interested (session))
        continue;
      if (is_own)
        {
          StanzaRoot root = { .to = session_get_bare (session), .bare_from = TRUE };
          session_send (session, stanza, &root);
          continue;
        }
      g_autoptr (GString) xml = g_string_new (NULL);
      write_notice (xml, notice->type, from, to);
      im_send (session, xml);
    }
}

void
contacts_tell (Im *im, const Exchange *exchange, const Stanza *stanza)
{
  const ExchangeSide *mover = &exchange->sides[EXCHANGE_MOVER];
  const ExchangeSide *contact = &exchange->sides[EXCHANGE_CONTACT];
  roster_apply (im, mover);
  for (guint i = 0; i < exchange->n_notices; i++)
    deliver (im, exchange, &exchange->notices[i], stanza);
  roster_apply (im, contact);

  for (ExchangeSideId id = 0; id < N_EXCHANGE_SIDES; id++)
    {
      const ExchangeSide *side = &exchange->sides[id];
      const ExchangeSide *other = id == EXCHANGE_MOVER ? contact : mover;
      if (exchange_side_gained_from (side))
        presence_show (im, side->jid, other->jid);
      else if (exchange_side_lost_from (side))
        presence_hide (im, side->jid, other->jid);
    }
}

static void
move_free (Move *move)
{
  if (move->sender != NULL)
    {
      session_release (move->sender, move->hold);
      session_unref (move->sender);
    }
  g_clear_pointer (&move->request, service_request_unref);
  stanza_free (move->stanza);
  exchange_free (move->exchange);
  g_free (move);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Move, move_free)

static gboolean
move_work (Db *db, gpointer data, GError **error)
{
  Move *move = data;
  return exchange_run (move->exchange, db, error);
}

static void
move_refuse (Move *move, StanzaError error, const char *text)
{
  if (move->request != NULL)
    service_request_refuse (move->request, error, text, NULL);
  else if (move->sender != NULL && session_is_alive (move->sender))
    router_refuse (move->im->server->router, move->sender, move->stanza, error, text);
}

static void
move_done (gpointer data, const GError *error)
{
  g_autoptr (Move) move = data;
  if (error != NULL)
    {
      log_error ("im", "cannot change a subscription: %s", error->message);
      move_refuse (move, STANZA_ERROR_INTERNAL_SERVER_ERROR, NULL);
      return;
    }
  switch (move->exchange->outcome)
    {
    case EXCHANGE_FULL:
      move_refuse (move, STANZA_ERROR_RESOURCE_CONSTRAINT, "the roster is full");
      return;
    case EXCHANGE_NOT_FOUND:
      move_refuse (move, STANZA_ERROR_ITEM_NOT_FOUND, NULL);
      return;
    case EXCHANGE_OK:
      contacts_tell (move->im, move->exchange, move->stanza);
      if (move->request != NULL)
        service_request_reply (move->request, NULL);
      return;
    }
}

static Move *
move_new (Im *im, StanzaType type, const char *account, const Jid *mover, const Jid *contact,
          GBytes *take_request)
{
  char uuid[37];
  gboolean is_ours = im_find_account (im, contact, uuid);
  Move *move = g_new0 (Move, 1);
  move->im = im;
  move->exchange = exchange_new (type, account, mover, is_ours ? uuid : NULL, contact, take_request);
  move->exchange->max_items = im_get_limit (im, "roster_items");
  move->exchange->max_requests = im_get_limit (im, "subscription_requests");
  return move;
}

static GBytes *
request_bytes (const Stanza *stanza, const Jid *from, const Jid *to)
{
  GString *xml = g_string_new (NULL);
  StanzaRoot root = { .from = from, .to = to, .bare_from = TRUE, .with_xmlns = TRUE };
  stanza_write (stanza, &root, xml);
  if (xml->len > MAX_REQUEST)
    {
      g_string_assign (xml, "<presence xmlns='jabber:client' type='subscribe'");
      text_append_xml_attribute (xml, "from", jid_get_bare (from));
      text_append_xml_attribute (xml, "to", jid_get_bare (to));
      g_string_append (xml, "/>");
    }
  return g_string_free_to_bytes (xml);
}

void
contacts_send (Im *im, Session *sender, const Stanza *stanza)
{
  const Jid *mover = session_get_bare (sender);
  if (stanza->to == NULL || jid_equal_bare (stanza->to, mover))
    return; /* everybody sees their own presence */
  g_autoptr (Jid) contact = jid_to_bare (stanza->to);
  GBytes *request = stanza->type == STANZA_TYPE_SUBSCRIBE ? request_bytes (stanza, mover, contact) : NULL;
  Move *move = move_new (im, stanza->type, session_get_account (sender), mover, contact, request);
  move->sender = session_ref (sender);
  move->hold = session_hold (sender);
  move->stanza = stanza_copy (stanza);
  store_write (im->server->store, STORE_CHAT, move_work, move_done, move);
}

void
contacts_remove (Im *im, ServiceRequest *request, const Jid *contact)
{
  g_autoptr (Jid) mover = jid_to_bare (service_request_get_sender (request));
  Move *move = move_new (im, STANZA_TYPE_NONE, service_request_get_account (request), mover, contact, NULL);
  move->request = service_request_ref (request);
  store_write (im->server->store, STORE_CHAT, move_work, move_done, move);
}

void
contacts_deliver_requests (Im *im, Session *session)
{
  Roster *roster = roster_of_session (im, session);
  if (roster == NULL)
    return;
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, roster_get_items (roster));
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      const RosterItem *item = value;
      if (!subscription_is_pending_in (item->state))
        continue;
      g_autoptr (GBytes) bytes = roster_db_get_request (store_peek_reader (im->server->store, STORE_CHAT),
                                                        session_get_account (session), item->jid);
      if (bytes == NULL)
        continue;
      gsize length;
      const char *xml = g_bytes_get_data (bytes, &length);
      g_autoptr (Stanza) stanza = stanza_new_from_bytes (xml, length);
      if (stanza != NULL)
        session_send (session, stanza, &(StanzaRoot){ .to = session_get_bare (session) });
    }
}
