/* What an order line can be about, and what the order machine (order.h) does to it: a plugin, whose serial is
 * obtained and whose entitlement stands on the line, or an item of an application, which is credited at once.
 */
#pragma once

#include "host-server/market/books/purchases.h"

typedef struct
{
  /* It is paid for: goes on to PHASE_ISSUING, and further if nothing is to be waited for. */
  gboolean (*start) (Turn *turn, Purchase *purchase, GError **error);
  /* Nothing of the line may be delivered any more. */
  gboolean (*abandon) (Turn *turn, const Purchase *purchase, GError **error);
  /* The line is fulfilled, or counts again; @is_withheld while its money is in dispute. */
  gboolean (*grant) (Turn *turn, const Purchase *purchase, gboolean is_withheld, GError **error);
  /* Its money came into dispute, or is out of it. */
  gboolean (*withhold) (Turn *turn, const Purchase *purchase, gboolean is_withheld, GError **error);
  /* Its money has gone back. */
  gboolean (*end) (Turn *turn, const Purchase *purchase, GError **error);
  /* Late money may still buy it: it is sold, and the user may have it. Whether another order is open is not
   * its matter. */
  gboolean (*can_be_had) (Turn *turn, const Purchase *purchase, gboolean *can_be, GError **error);
  /* What was delivered is still there, so that a person can let the user keep it. */
  gboolean (*can_be_kept) (Turn *turn, const Purchase *purchase, gboolean *can_be, GError **error);
} Goods;

const Goods *goods_of (const Purchase *purchase);
