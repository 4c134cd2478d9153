#include "host-server/im/room.h"

#include "host-server/core/config.h"
#include "host-server/store/accounts.h"

gint64
im_get_limit (const Im *im, const char *key)
{
  gint64 limit = g_str_has_suffix (key, "_bytes") ? config_get_bytes (im->server->config, "limits", key)
                                                  : config_get_int (im->server->config, "limits", key);
  return limit > 0 ? limit : G_MAXINT64;
}

gboolean
im_find_account (Im *im, const Jid *jid, char uuid[37])
{
  if (jid_get_local (jid) == NULL || !g_str_equal (jid_get_domain (jid), jid_get_domain (im->server->domain)))
    return FALSE;
  const GPtrArray *sessions = session_book_find_all (im->server->sessions, jid_get_bare (jid));
  if (sessions != NULL && sessions->len > 0)
    {
      g_strlcpy (uuid, session_get_account (sessions->pdata[0]), 37);
      return TRUE;
    }
  return accounts_find_uuid (im->server->store, jid_get_local (jid), uuid);
}

void
im_send (Session *session, const GString *xml)
{
  session_send_xml (session, xml->str, xml->len);
}

Im *
im_new (Server *server)
{
  Im *im = g_new0 (Im, 1);
  im->server = server;
  im->started_us = clock_get_monotonic_us (server->clock);
  im->rosters = g_hash_table_new (g_str_hash, g_str_equal);
  im->drains = g_hash_table_new (g_str_hash, g_str_equal);
  im_roster_init (im);
  im_presence_init (im);
  im_messages_init (im);
  im_offline_init (im);
  im_requests_init (im);
  im_disco_init (im);
  im_entity_init (im);
  im_removal_init (im);
  return im;
}

void
im_free (Im *im)
{
  if (im == NULL)
    return;
  g_assert (g_hash_table_size (im->rosters) == 0);
  g_assert (g_hash_table_size (im->drains) == 0);
  g_hash_table_unref (im->rosters);
  g_hash_table_unref (im->drains);
  g_free (im);
}
