/* What a subscription stanza, or the removal of a roster item, does to both sides' rosters, in one
 * transaction.
 *
 * The mover is a user of this server; the contact may be one too, and then its server is this one. What is to
 * be sent follows from the result after the commit (contacts.c). */
#pragma once

#include "host-server/im/roster-db.h"

typedef enum
{
  EXCHANGE_MOVER,
  EXCHANGE_CONTACT,
  N_EXCHANGE_SIDES,
} ExchangeSideId;

typedef enum
{
  EXCHANGE_OK,
  EXCHANGE_FULL,      /* the mover's roster has no room for a new item */
  EXCHANGE_NOT_FOUND, /* no such item to remove */
} ExchangeOutcome;

/* One side's view of the other. */
typedef struct
{
  char *account;      /* UUID; NULL: not an account of this server */
  Jid *jid;           /* bare */
  RosterItem *before; /* NULL: none */
  RosterItem *after;  /* NULL: nothing changed; a tombstone: removed */
} ExchangeSide;

/* A stanza that is to be delivered to the other side's user. */
typedef struct
{
  ExchangeSideId from;
  StanzaType type;
} ExchangeNotice;

typedef struct
{
  /* Asked for. */
  StanzaType type; /* one of the four subscription types; STANZA_TYPE_NONE: the removal of the mover's item */
  GBytes *request; /* of a subscribe: what to keep for the contact; NULL otherwise */
  gboolean takes_hidden; /* the removal also of an item that is not listed: the whole account goes */
  gint64 max_items;      /* of a roster */
  gint64 max_requests;   /* that wait for one user's answer */
  /* Asked for, and the result. */
  ExchangeSide sides[N_EXCHANGE_SIDES];
  /* The result. */
  ExchangeOutcome outcome;
  ExchangeNotice notices[4]; /* in the order they are to be delivered */
  guint n_notices;
} Exchange;

/* Takes @request. */
Exchange *exchange_new (StanzaType type, const char *mover_account, const Jid *mover,
                        const char *contact_account, const Jid *contact, GBytes *take_request);
void exchange_free (Exchange *exchange);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Exchange, exchange_free)

/* Inside a write on STORE_CHAT. May be run again. */
gboolean exchange_run (Exchange *exchange, Db *db, GError **error);

/* Whether the subscription of the other side to this side's presence began, or ended, by the exchange. */
gboolean exchange_side_gained_from (const ExchangeSide *side);
gboolean exchange_side_lost_from (const ExchangeSide *side);
