#include "host-server/core/control.h"
#include "host-server/market/books/row.h"
#include "host-server/market/room.h"

#include "common/base/text.h"

#include <string.h>

/* hostctl billing list|rotate, vendor list|rotate: the rings of secrets, and a new key for one. */

typedef struct
{
  Market *market;
  ControlCall *call;
  char *peer;
  Secret *secret;
  gboolean is_made; /* by us: the answer is the one time it is shown */
  gint64 overlap_us;
  RingOutcome outcome;
  Ring *ring;
} Rotation;

static void
rotation_free (Rotation *rotation)
{
  g_free (rotation->peer);
  secret_free (rotation->secret);
  ring_free (rotation->ring);
  g_free (rotation);
}

static gboolean
rotate_work (Turn *turn, gpointer data, GError **error)
{
  Rotation *rotation = data;
  g_clear_pointer (&rotation->ring, ring_free);
  if (!ring_rotate (turn, rotation->peer, rotation->secret, rotation->overlap_us, &rotation->outcome,
                    &rotation->ring, error))
    return FALSE;
  if (rotation->outcome == RING_ROTATED)
    turn_log (turn, LOG_LEVEL_INFO, "secret rotated peer=%s overlap_s=%" G_GINT64_FORMAT, rotation->peer,
              rotation->overlap_us / G_USEC_PER_SEC);
  return TRUE;
}

static void
rotate_done (Market *market, gpointer data, const GError *error)
{
  Rotation *rotation = data;
  if (error != NULL)
    control_call_refuse (rotation->call, "cannot rotate: %s", error->message);
  else if (rotation->outcome == RING_SECRET_KNOWN)
    control_call_refuse (rotation->call, "cannot rotate: this secret is or was in use");
  else if (rotation->outcome == RING_TOO_MANY)
    control_call_refuse (
        rotation->call,
        "cannot rotate: %d secrets are good at once already; wait for an overlap's end, or end "
        "the others now with --overlap 0",
        RING_MAX_GOOD);
  else
    {
      gint64 now_us = clock_get_wall_us (market->desk.clock);
      const RingKey *key = &g_array_index (rotation->ring->notes, RingKey, 0);
      json_t *row = json_pack ("{s:s, s:s, s:o}", "peer", strchr (rotation->peer, ':') + 1, "key", key->id,
                               "old-until", row_time (now_us + rotation->overlap_us));
      if (rotation->is_made)
        json_object_set_new (row, "secret", json_string (secret_peek_text (rotation->secret)));
      ring_replace (market, g_steal_pointer (&rotation->ring));
      control_call_done_with (rotation->call, row);
    }
  rotation_free (rotation);
}

/* The secret of the file's first line. NULL with @error if it is none as @peer writes them. */
static Secret *
read_secret (const Desk *desk, const char *peer, const ControlCall *call, GError **error)
{
  gsize length;
  const char *text = control_call_get_file (call, "FILE", &length);
  const char *end = memchr (text, '\n', length);
  length = end != NULL ? (gsize)(end - text) : length;
  if (length > 0 && text[length - 1] == '\r')
    length--;
  g_autoptr (Secret) secret = secret_new (text, length);
  return ring_accepts (desk, peer, secret, error) ? g_steal_pointer (&secret) : NULL;
}

static void
rotate (Market *market, ControlCall *call, const char *kind, const char *name)
{
  gint64 overlap_s = RING_DEFAULT_OVERLAP_S;
  const char *overlap = control_call_get_text (call, "--overlap");
  if (overlap != NULL && !g_ascii_string_to_signed (overlap, 10, 0, RING_MAX_OVERLAP_S, &overlap_s, NULL))
    {
      control_call_refuse (call, "cannot rotate: --overlap is a number of seconds from 0 to %" G_GINT64_FORMAT,
                           RING_MAX_OVERLAP_S);
      return;
    }
  gboolean is_made = control_call_get_file_path (call, "FILE") == NULL;
  g_autofree char *peer = g_strconcat (kind, ":", name, NULL);
  g_autoptr (GError) error = NULL;
  Secret *secret = is_made ? webhook_secret_new () : read_secret (&market->desk, peer, call, &error);
  if (secret == NULL)
    {
      control_call_refuse (call, "cannot rotate: %s", error->message);
      return;
    }
  Rotation *rotation = g_new0 (Rotation, 1);
  rotation->market = market;
  rotation->call = call;
  rotation->peer = g_steal_pointer (&peer);
  rotation->secret = secret;
  rotation->is_made = is_made;
  rotation->overlap_us = overlap_s * G_USEC_PER_SEC;
  market_write (market, rotate_work, rotate_done, rotation);
}

static void
rotate_billing (ControlCall *call, gpointer data)
{
  const char *name = control_call_get_text (call, "NAME");
  const Provider *provider = name[0] != '\0' ? desk_find_provider (&((Market *)data)->desk, name) : NULL;
  if (provider == NULL)
    control_call_refuse (call, "there is no [billing %s] in the configuration", name);
  else if (provider->type->add_secret != webhook_ring_add
           && control_call_get_file_path (call, "FILE") == NULL)
    control_call_refuse (call, "a provider of type '%s' makes its secrets itself: give the new one as FILE",
                         provider->type->name);
  else
    rotate (data, call, "billing", name);
}

static void
rotate_vendor (ControlCall *call, gpointer data)
{
  const char *id = control_call_get_text (call, "ID");
  if (!text_is_market_id (id) || ring_peek_vendor (data, id) == NULL)
    control_call_refuse (call, "there is no vendor '%s'", id);
  else
    rotate (data, call, "vendor", id);
}

/* The rings. */

static const char *
describe_state (const RingKey *key, gint64 now_us)
{
  if (!ring_key_is_good (key, now_us))
    return now_us < key->not_before_us ? "not yet" : "ended";
  return key->not_after_us == 0 ? "current" : "old";
}

static void
add_keys (json_t *rows, const json_t *peer, const Ring *ring, gint64 now_us)
{
  for (guint i = 0; ring != NULL && i < ring->notes->len; i++)
    {
      const RingKey *key = &g_array_index (ring->notes, RingKey, i);
      json_t *row = json_copy ((json_t *)peer);
      json_object_set_new (row, "key", json_string (key->id));
      json_object_set_new (row, "state", json_string (describe_state (key, now_us)));
      json_object_set_new (row, "from", row_time (key->not_before_us));
      json_object_set_new (row, "until", row_time (key->not_after_us));
      json_object_set_new (row, "last-used", row_time (key->last_used_us));
      json_array_append_new (rows, row);
    }
}

static void
send (ControlCall *call, json_t *take_rows)
{
  gsize i;
  json_t *row;
  json_array_foreach (take_rows, i, row) control_call_take_row (call, json_incref (row));
  json_decref (take_rows);
  control_call_done (call);
}

static void
list_billing (ControlCall *call, gpointer data)
{
  Market *market = data;
  gint64 now_us = clock_get_wall_us (market->desk.clock);
  json_t *rows = json_array ();
  for (guint i = 0; i < market->desk.providers->len; i++)
    {
      const Provider *provider = g_ptr_array_index (market->desk.providers, i);
      json_t *peer
          = json_pack ("{s:s, s:s, s:s, s:s}", "provider", provider->name, "type", provider->type->name,
                       "mode", provider->is_live ? "live" : "test", "merchant", provider->merchant);
      add_keys (rows, peer, ring_find_billing (market, provider->name), now_us);
      json_decref (peer);
    }
  send (call, rows);
}

/* Vendors are few, and an operator waits: their rings are read at once, on the main thread's reader. */
static void
list_vendors (ControlCall *call, gpointer data)
{
  Market *market = data;
  gint64 now_us = clock_get_wall_us (market->desk.clock);
  json_t *rows = json_array ();
  GError *error = NULL;
  g_autoptr (DbQuery) query
      = db_query (market_peek_reader (market),
                  "SELECT v.id, v.created_us, COUNT (p.id) FROM vendor v LEFT JOIN plugin p"
                  " ON p.vendor = v.id AND p.is_retired = 0 GROUP BY v.id, v.created_us"
                  " ORDER BY v.id",
                  "");
  while (db_next (query, &error))
    {
      const char *id = db_get_text (query, 0);
      json_t *peer = json_pack ("{s:s, s:o, s:I}", "vendor", id, "created", row_time (db_get_int (query, 1)),
                                "plugins", (json_int_t)db_get_int (query, 2));
      const Ring *held = g_hash_table_lookup (market->vendor_rings, id);
      g_autofree char *name = g_strconcat ("vendor:", id, NULL);
      g_autoptr (Ring) ring
          = held == NULL ? ring_read (&market->desk, market_peek_reader (market), name, &error) : NULL;
      add_keys (rows, peer, held != NULL ? held : ring, now_us);
      json_decref (peer);
      if (error != NULL)
        break;
    }
  if (error == NULL)
    {
      send (call, rows);
      return;
    }
  control_call_refuse (call, "cannot list vendors: %s", error->message);
  g_error_free (error);
  json_decref (rows);
}

void
rotation_commands_init (Market *market)
{
  static const ControlArgument name[] = {
    { "NAME", CONTROL_TEXT }, { "FILE", CONTROL_FILE, TRUE }, { "--overlap", CONTROL_VALUE }, { NULL }
  };
  static const ControlArgument id[]
      = { { "ID", CONTROL_TEXT }, { "FILE", CONTROL_FILE, TRUE }, { "--overlap", CONTROL_VALUE }, { NULL } };
  const ControlCommand commands[] = {
    { "billing list", NULL, NULL, TRUE, "providers, their secrets' times, and when each was used last",
      list_billing, market },
    { "billing rotate", name, NULL, FALSE,
      "a new secret for a provider, shown once, or FILE's; the old ones stay good for --overlap seconds",
      rotate_billing, market },
    { "vendor list", NULL, NULL, TRUE, "vendors, their secrets' times, and when each was used last",
      list_vendors, market },
    { "vendor rotate", id, NULL, FALSE,
      "a new secret for a vendor, shown once, or FILE's; the old ones stay good for --overlap seconds",
      rotate_vendor, market },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (commands); i++)
    controls_add (market->server->controls, &commands[i]);
}
