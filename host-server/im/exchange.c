#include "host-server/im/exchange.h"

Exchange *
exchange_new (StanzaType type, const char *mover_account, const Jid *mover, const char *contact_account,
              const Jid *contact, GBytes *take_request)
{
  Exchange *exchange = g_new0 (Exchange, 1);
  exchange->type = type;
  exchange->request = take_request;
  exchange->max_items = exchange->max_requests = G_MAXINT64;
  exchange->sides[EXCHANGE_MOVER].account = g_strdup (mover_account);
  exchange->sides[EXCHANGE_MOVER].jid = jid_ref ((Jid *)mover);
  exchange->sides[EXCHANGE_CONTACT].account = g_strdup (contact_account);
  exchange->sides[EXCHANGE_CONTACT].jid = jid_ref ((Jid *)contact);
  return exchange;
}

static void
clear_result (Exchange *exchange)
{
  for (guint i = 0; i < N_EXCHANGE_SIDES; i++)
    {
      g_clear_pointer (&exchange->sides[i].before, roster_item_free);
      g_clear_pointer (&exchange->sides[i].after, roster_item_free);
    }
  exchange->outcome = EXCHANGE_OK;
  exchange->n_notices = 0;
}

void
exchange_free (Exchange *exchange)
{
  if (exchange == NULL)
    return;
  clear_result (exchange);
  for (guint i = 0; i < N_EXCHANGE_SIDES; i++)
    {
      g_free (exchange->sides[i].account);
      jid_unref (exchange->sides[i].jid);
    }
  g_clear_pointer (&exchange->request, g_bytes_unref);
  g_free (exchange);
}

static const char *
other_jid (Exchange *exchange, ExchangeSideId id)
{
  return jid_get_bare (exchange->sides[id == EXCHANGE_MOVER ? EXCHANGE_CONTACT : EXCHANGE_MOVER].jid);
}

static void
notice (Exchange *exchange, ExchangeSideId from, StanzaType type)
{
  g_assert (exchange->n_notices < G_N_ELEMENTS (exchange->notices));
  exchange->notices[exchange->n_notices++] = (ExchangeNotice){ from, type };
}

/* The item as it stands now: what earlier steps of this exchange made of it, or what was found, or a new one.
 */
static RosterItem *
dup_item (Exchange *exchange, ExchangeSideId id)
{
  ExchangeSide *side = &exchange->sides[id];
  const RosterItem *item = side->after != NULL ? side->after : side->before;
  return item != NULL ? roster_item_copy (item) : roster_item_new (other_jid (exchange, id));
}

static gboolean
keep (Exchange *exchange, ExchangeSideId id, RosterItem *take_item, Db *db, GError **error)
{
  ExchangeSide *side = &exchange->sides[id];
  g_autoptr (RosterItem) item = take_item;
  /* An item that only held a request is nothing without it. */
  gboolean is_kept = item->kind == ROSTER_LISTED || item->state != SUBSCRIPTION_NONE || item->is_approved;
  if (!(is_kept ? roster_db_save (db, side->account, item, error)
                : roster_db_remove (db, side->account, item, error)))
    return FALSE;
  g_clear_pointer (&side->after, roster_item_free);
  side->after = g_steal_pointer (&item);
  return TRUE;
}

static gboolean
has_room (Db *db, const char *account, RosterKind kind, gint64 max, gboolean *has, GError **error)
{
  gint64 count;
  if (!roster_db_count (db, account, kind, max, &count, error))
    return FALSE;
  *has = count < max;
  return TRUE;
}

static gboolean inbound (Exchange *exchange, ExchangeSideId id, StanzaType type, Db *db, GError **error);

/* §3.4: "subscribed" and "unsubscribed" where nothing waits grant and withdraw an approval in advance. */
static gboolean
outbound (Exchange *exchange, ExchangeSideId id, StanzaType type, Db *db, GError **error)
{
  g_autoptr (RosterItem) item = dup_item (exchange, id);
  SubscriptionStep step = subscription_outbound (item->state, type);
  gboolean is_approved = item->is_approved;
  if (type == STANZA_TYPE_SUBSCRIBED && !step.passes && !subscription_has_from (item->state))
    is_approved = TRUE;
  else if (type == STANZA_TYPE_UNSUBSCRIBED)
    is_approved = FALSE;

  if (step.state != item->state || is_approved != item->is_approved)
    {
      gboolean is_shown
          = is_approved || (step.state != SUBSCRIPTION_NONE && step.state != SUBSCRIPTION_NONE_IN);
      if (is_shown && item->kind != ROSTER_LISTED)
        {
          gboolean has;
          if (!has_room (db, exchange->sides[id].account, ROSTER_LISTED, exchange->max_items, &has, error))
            return FALSE;
          if (!has)
            {
              exchange->outcome = EXCHANGE_FULL;
              return TRUE;
            }
          item->kind = ROSTER_LISTED;
        }
      item->state = step.state;
      item->is_approved = is_approved;
      if (!subscription_is_pending_in (item->state))
        g_clear_pointer (&item->request, g_bytes_unref);
      if (!keep (exchange, id, g_steal_pointer (&item), db, error))
        return FALSE;
    }
  return !step.passes
         || inbound (exchange, id == EXCHANGE_MOVER ? EXCHANGE_CONTACT : EXCHANGE_MOVER, type, db, error);
}

/* The user at @id receives @type from the other side. */
static gboolean
inbound (Exchange *exchange, ExchangeSideId id, StanzaType type, Db *db, GError **error)
{
  ExchangeSide *side = &exchange->sides[id];
  ExchangeSideId sender = id == EXCHANGE_MOVER ? EXCHANGE_CONTACT : EXCHANGE_MOVER;
  if (side->account == NULL)
    return TRUE; /* no such user: ignored, as RFC 6121 §8.5.1 has it */

  g_autoptr (RosterItem) item = dup_item (exchange, id);
  SubscriptionStep step = subscription_inbound (item->state, type);
  if (type == STANZA_TYPE_SUBSCRIBE && item->is_approved && step.passes)
    {
      /* §3.4.2: as if the user had received and approved it. */
      item->state = subscription_outbound (step.state, STANZA_TYPE_SUBSCRIBED).state;
      return keep (exchange, id, g_steal_pointer (&item), db, error)
             && inbound (exchange, sender, STANZA_TYPE_SUBSCRIBED, db, error);
    }
  if (step.is_answered)
    return inbound (exchange, sender, STANZA_TYPE_SUBSCRIBED, db, error);
  if (!step.passes)
    return TRUE;

  if (type == STANZA_TYPE_SUBSCRIBE)
    {
      if (item->kind != ROSTER_LISTED)
        {
          gboolean has;
          if (!has_room (db, side->account, ROSTER_HIDDEN, exchange->max_requests, &has, error))
            return FALSE;
          if (!has)
            return TRUE;
        }
      item->request = exchange->request != NULL ? g_bytes_ref (exchange->request) : NULL;
    }
  else if (!subscription_is_pending_in (step.state))
    g_clear_pointer (&item->request, g_bytes_unref);
  item->state = step.state;
  if (!keep (exchange, id, g_steal_pointer (&item), db, error))
    return FALSE;
  notice (exchange, sender, type);
  return TRUE;
}

/* §2.5.2: what of the subscription stands or waits, in either direction, is ended first. */
static gboolean
remove_item (Exchange *exchange, Db *db, GError **error)
{
  ExchangeSide *side = &exchange->sides[EXCHANGE_MOVER];
  if (side->before == NULL || (side->before->kind != ROSTER_LISTED && !exchange->takes_hidden))
    {
      exchange->outcome = EXCHANGE_NOT_FOUND;
      return TRUE;
    }
  Subscription state = side->before->state;
  if ((subscription_has_to (state) || subscription_is_pending_out (state))
      && !outbound (exchange, EXCHANGE_MOVER, STANZA_TYPE_UNSUBSCRIBE, db, error))
    return FALSE;
  if ((subscription_has_from (state) || subscription_is_pending_in (state))
      && !outbound (exchange, EXCHANGE_MOVER, STANZA_TYPE_UNSUBSCRIBED, db, error))
    return FALSE;
  RosterItem *item = dup_item (exchange, EXCHANGE_MOVER);
  gboolean is_removed = roster_db_remove (db, side->account, item, error);
  g_clear_pointer (&side->after, roster_item_free);
  side->after = item;
  return is_removed;
}

gboolean
exchange_run (Exchange *exchange, Db *db, GError **error)
{
  clear_result (exchange);
  for (ExchangeSideId id = 0; id < N_EXCHANGE_SIDES; id++)
    {
      ExchangeSide *side = &exchange->sides[id];
      if (side->account != NULL
          && !roster_db_find (db, side->account, other_jid (exchange, id), &side->before, error))
        return FALSE;
    }
  return exchange->type == STANZA_TYPE_NONE ? remove_item (exchange, db, error)
                                            : outbound (exchange, EXCHANGE_MOVER, exchange->type, db, error);
}

static gboolean
has_from (const RosterItem *item)
{
  return item != NULL && subscription_has_from (item->state);
}

gboolean
exchange_side_gained_from (const ExchangeSide *side)
{
  return side->after != NULL && has_from (side->after) && !has_from (side->before);
}

gboolean
exchange_side_lost_from (const ExchangeSide *side)
{
  return side->after != NULL && !has_from (side->after) && has_from (side->before);
}
