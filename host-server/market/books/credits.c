#include "host-server/market/books/credits.h"

#include "host-server/market/books/entitlements.h"
#include "host-server/market/books/receipts.h"
#include "host-server/store/counters.h"

static const char *const states[]
    = { [LINE_COUNTED] = "counted", [LINE_DISPUTED] = "disputed", [LINE_ENDED] = "ended" };

typedef struct
{
  gboolean is_there;
  LineState state;
  gint64 credited;
} Credit;

static gboolean
load (Db *db, const char *line, Credit *credit, GError **error)
{
  *credit = (Credit){ .state = LINE_ENDED }; /* what is forgotten has ended, too */
  g_autoptr (DbQuery) query
      = db_query (db, "SELECT state, credited FROM item_line WHERE line = ?", "s", line);
  if (!turn_find (query, &credit->is_there, error))
    return FALSE;
  if (!credit->is_there)
    return TRUE;
  for (guint i = 0; i < G_N_ELEMENTS (states); i++)
    if (g_strcmp0 (db_get_text (query, 0), states[i]) == 0)
      credit->state = (LineState)i;
  credit->credited = db_get_int (query, 1);
  return TRUE;
}

/* How far the counter has to move: only a change between counting and not counting moves it. */
static gint64
choose_move (const Purchase *purchase, const Credit *credit, LineState next)
{
  gboolean counts = credit->is_there && credit->state == LINE_COUNTED;
  if (next == LINE_COUNTED)
    return counts ? 0 : purchase->amount - credit->credited;
  return counts ? -credit->credited : 0;
}

static gboolean
become (Turn *turn, const Purchase *purchase, const Credit *credit, LineState next, GError **error)
{
  Counter counter = { purchase->account, purchase->plugin, purchase->item };
  gint64 by = choose_move (purchase, credit, next), moved = 0;
  if (by != 0 && !counter_move (turn->db, &counter, by, &moved, error))
    return FALSE;
  gint64 credited = credit->credited + moved;
  turn_log (turn, LOG_LEVEL_INFO, "item %s order=%s application=%s item=%s moved=%" G_GINT64_FORMAT,
            states[next], purchase->id, purchase->plugin, purchase->item, moved);
  if (by < 0 && credited > 0)
    turn_log (turn, LOG_LEVEL_WARNING,
              "item was used up before it could be taken away order=%s application=%s item=%s "
              "used=%" G_GINT64_FORMAT " of=%" G_GINT64_FORMAT,
              purchase->id, purchase->plugin, purchase->item, credited, purchase->amount);
  return db_run (turn->db, error,
                 "INSERT INTO item_line (line, state, credited, granted_us) VALUES (?, ?, ?, ?)"
                 " ON CONFLICT (line) DO UPDATE SET state = excluded.state, credited = excluded.credited",
                 "ssii", purchase->line, states[next], credited, turn->now_us);
}

gboolean
credit_grant (Turn *turn, const Purchase *purchase, gboolean is_withheld, GError **error)
{
  Credit credit;
  return load (turn->db, purchase->line, &credit, error)
         && become (turn, purchase, &credit, is_withheld ? LINE_DISPUTED : LINE_COUNTED, error)
         && receipts_note_item (turn, purchase->line, error);
}

gboolean
credit_withhold (Turn *turn, const Purchase *purchase, gboolean is_withheld, GError **error)
{
  Credit credit;
  LineState next = is_withheld ? LINE_DISPUTED : LINE_COUNTED;
  if (!load (turn->db, purchase->line, &credit, error))
    return FALSE;
  return credit.state == LINE_ENDED || credit.state == next || become (turn, purchase, &credit, next, error);
}

gboolean
credit_end (Turn *turn, const Purchase *purchase, GError **error)
{
  Credit credit;
  if (!load (turn->db, purchase->line, &credit, error))
    return FALSE;
  return credit.state == LINE_ENDED || become (turn, purchase, &credit, LINE_ENDED, error);
}

gboolean
credits_forget (Turn *turn, const char *account, GError **error)
{
  return db_run (turn->db, error,
                 "UPDATE item_line SET state = 'forgotten' WHERE line IN (SELECT l.id FROM purchase p JOIN "
                 "purchase_line l"
                 " ON l.purchase = p.id WHERE p.account = ?)",
                 "s", account);
}

gboolean
credit_find (Db *db, const char *line, gboolean *is_there, GError **error)
{
  Credit credit;
  if (!load (db, line, &credit, error))
    return FALSE;
  *is_there = credit.is_there;
  return TRUE;
}
