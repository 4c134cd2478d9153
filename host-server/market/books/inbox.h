/* Deliveries of billing providers: each id is taken once, with its effect in the same commit (money.md,
 * invariant 2). */
#pragma once

#include "host-server/market/books/books.h"

typedef enum
{
  INBOX_TAKEN,
  INBOX_DUPLICATE,
  INBOX_CHANGED, /* the id was there with another body: nothing is done, somebody must look */
} InboxOutcome;

typedef struct
{
  const Provider *provider;
  const char *webhook_id;
  const void *body;
  gsize length;
  const MoneyEvent *event; /* NULL: authentic, but not what the provider promised: poison */
  const char *poison;      /* why, then */
  const char *secret;      /* the id of the key that it is signed with */
  const char *headers;     /* those that were looked at, a line each */
} Delivery;

/* Takes an authentic delivery. *@books says what it meant, if it was taken and is no poison. */
gboolean inbox_take (Turn *turn, const Delivery *delivery, InboxOutcome *outcome, BooksOutcome *books,
                     GError **error);
