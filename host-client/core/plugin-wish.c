#include "host-client/core/plugin-wish.h"

#include "common/base/text.h"
#include "common/module/frame.h"

#include <host/plugin.h>

void
plugin_wishes_drop (PluginWishes *wishes)
{
  g_clear_pointer (&wishes->item, g_free);
  g_clear_pointer (&wishes->ended_item, g_free);
}

gboolean
plugin_wishes_begin (PluginWishes *wishes, const char *item, gboolean is_polled, gint64 now_us)
{
  if (wishes->n == 0 || now_us - wishes->since_us >= PLUGIN_WISHES_US)
    {
      wishes->since_us = now_us;
      wishes->n = 0;
    }
  if (wishes->item != NULL || wishes->n >= PLUGIN_WISHES_MAX || !text_is_market_id (item))
    return FALSE;
  wishes->n++;
  wishes->item = g_strdup (item);
  wishes->is_polled = is_polled;
  return TRUE;
}

gboolean
plugin_wishes_end (PluginWishes *wishes, const char *item, guint32 outcome, gint64 now_us)
{
  if (g_strcmp0 (wishes->item, item) != 0)
    return FALSE;
  if (outcome == HOST_PURCHASE_DECLINED)
    {
      wishes->since_us = now_us;
      wishes->n = PLUGIN_WISHES_MAX;
    }
  if (wishes->is_polled)
    {
      g_free (wishes->ended_item);
      wishes->ended_item = g_strdup (item);
      wishes->ended_as = outcome;
    }
  g_clear_pointer (&wishes->item, g_free);
  return TRUE;
}

guint32
plugin_wishes_poll (PluginWishes *wishes, const char *item)
{
  if (g_strcmp0 (wishes->ended_item, item) == 0)
    {
      g_clear_pointer (&wishes->ended_item, g_free);
      return wishes->ended_as;
    }
  return g_strcmp0 (wishes->item, item) == 0 ? FRAME_PURCHASE_WAITING : FRAME_PURCHASE_NOT_NOW;
}

gboolean
plugin_wishes_knows (const PluginWishes *wishes, const char *item)
{
  return g_strcmp0 (wishes->item, item) == 0 || g_strcmp0 (wishes->ended_item, item) == 0;
}
