#include "common/protocol/serials.h"

#include "common/base/clock.h"
#include "common/base/text.h"

#include <string.h>

static const char *const state_texts[] = { "active", "suspended", "expired", "revoked" };

const char *
serial_state_to_text (SerialState state)
{
  return state_texts[state];
}

gboolean
serial_state_from_text (const char *text, SerialState *state)
{
  for (gsize i = 0; i < G_N_ELEMENTS (state_texts); i++)
    if (g_strcmp0 (text, state_texts[i]) == 0)
      {
        *state = (SerialState) i;
        return TRUE;
      }
  return FALSE;
}

SerialEntry *
serial_entry_new (void)
{
  return g_new0 (SerialEntry, 1);
}

SerialEntry *
serial_entry_copy (const SerialEntry *entry)
{
  SerialEntry *copy = g_memdup2 (entry, sizeof *entry);
  copy->plugin = g_strdup (entry->plugin);
  copy->name = g_strdup (entry->name);
  copy->user = g_strdup (entry->user);
  copy->serial = secret_copy (entry->serial);
  return copy;
}

void
serial_entry_free (SerialEntry *entry)
{
  if (entry == NULL)
    return;
  g_free (entry->plugin);
  g_free (entry->name);
  g_free (entry->user);
  secret_free (entry->serial);
  g_free (entry);
}

static void
free_entry (gpointer entry)
{
  serial_entry_free (entry);
}

Serials *
serials_new (const char *ver)
{
  Serials *serials = g_new0 (Serials, 1);
  serials->ver = g_strdup (ver);
  serials->entries = g_ptr_array_new_with_free_func (free_entry);
  return serials;
}

void
serials_free (Serials *serials)
{
  if (serials == NULL)
    return;
  g_free (serials->ver);
  g_free (serials->since);
  g_ptr_array_unref (serials->entries);
  g_free (serials);
}

static void
append_entry (const SerialEntry *entry, const char *ns, GString *out)
{
  g_string_append (out, "<plugin");
  text_append_xml_attribute (out, "xmlns", ns);
  text_append_xml_attribute (out, "id", entry->plugin);
  text_append_xml_attribute (out, "name", entry->name);
  text_append_xml_attribute (out, "state", serial_state_to_text (entry->state));
  text_append_xml_attribute (out, "user", entry->user);
  if (entry->expires_us != 0)
    {
      g_autofree char *expires = clock_dup_rfc3339 (entry->expires_us);
      text_append_xml_attribute (out, "expires", expires);
    }
  g_string_append_printf (out, " epoch='%" G_GINT64_FORMAT "'", entry->epoch);
  if (entry->serial == NULL)
    {
      g_string_append (out, "/>");
      return;
    }
  g_string_append (out, "><serial>");
  text_append_xml_len (out, secret_peek_text (entry->serial), secret_get_length (entry->serial));
  g_string_append (out, "</serial></plugin>");
}

void
serial_entry_write (const SerialEntry *entry, GString *out)
{
  append_entry (entry, NS_SERIALS, out);
}

void
serials_write (const Serials *serials, GString *out)
{
  g_string_append (out, "<serials xmlns='" NS_SERIALS "'");
  text_append_xml_attribute (out, "since", serials->since);
  text_append_xml_attribute (out, "ver", serials->ver);
  if (serials->is_unchanged)
    g_string_append (out, " unchanged='true'");
  if (serials->entries->len == 0)
    {
      g_string_append (out, "/>");
      return;
    }
  g_string_append_c (out, '>');
  for (guint i = 0; i < serials->entries->len; i++)
    append_entry (g_ptr_array_index (serials->entries, i), NULL, out);
  g_string_append (out, "</serials>");
}

SerialEntry *
serial_entry_read (xmpp_stanza_t *element, GError **error)
{
  TreeReader reader = { NULL };
  g_autoptr (SerialEntry) entry = serial_entry_new ();

  tree_expect (&reader, element, "plugin", NS_SERIALS);
  entry->plugin = g_strdup (tree_need_id (&reader, element, "id"));
  entry->name = g_strdup (tree_get (&reader, element, "name"));
  const char *state = tree_need (&reader, element, "state");
  if (state != NULL && !serial_state_from_text (state, &entry->state))
    tree_fail (&reader, "<plugin/>: unknown state '%s'", state);
  entry->user = g_strdup (tree_get (&reader, element, "user"));
  entry->expires_us = tree_get_time_us (&reader, element, "expires");
  entry->epoch = tree_get_int (&reader, element, "epoch", G_MAXINT64, 0);

  xmpp_stanza_t *child = reader.error == NULL ? tree_find (element, "serial", NS_SERIALS) : NULL;
  if (child != NULL && entry->state == SERIAL_ACTIVE)
    {
      char *text = tree_dup_text (&reader, child, SERIAL_MAX_LENGTH);
      if (text != NULL)
        {
          entry->serial = secret_new (text, strlen (text));
          secret_wipe (text, strlen (text));
          g_free (text);
        }
    }
  return tree_reader_finish (&reader, error) ? g_steal_pointer (&entry) : NULL;
}

Serials *
serials_read (xmpp_stanza_t *element, GError **error)
{
  TreeReader reader = { NULL };
  g_autoptr (Serials) serials = serials_new (NULL);

  tree_expect (&reader, element, "serials", NS_SERIALS);
  if (reader.error == NULL)
    {
      serials->ver = g_strdup (tree_get (&reader, element, "ver"));
      serials->since = g_strdup (tree_get (&reader, element, "since"));
      serials->is_unchanged = tree_get_bool (&reader, element, "unchanged");
    }
  if (!tree_reader_finish (&reader, error))
    return NULL;

  for (xmpp_stanza_t *child = xmpp_stanza_get_children (element); child != NULL;
       child = xmpp_stanza_get_next (child))
    {
      if (g_strcmp0 (xmpp_stanza_get_name (child), "plugin") != 0)
        continue;
      if (serials->entries->len >= SERIALS_MAX_ENTRIES)
        {
          g_set_error (error, PROTOCOL_ERROR, PROTOCOL_ERROR_BAD, "<serials/>: more than %d plugins",
                       SERIALS_MAX_ENTRIES);
          return NULL;
        }
      SerialEntry *entry = serial_entry_read (child, error);
      if (entry == NULL)
        return NULL;
      g_ptr_array_add (serials->entries, entry);
    }
  return g_steal_pointer (&serials);
}

void
serial_rejected_clear (SerialRejected *rejected)
{
  g_clear_pointer (&rejected->plugin, g_free);
}

void
serial_rejected_write (const SerialRejected *rejected, GString *out)
{
  g_string_append (out, "<rejected xmlns='" NS_SERIALS "'");
  text_append_xml_attribute (out, "plugin", rejected->plugin);
  text_append_xml_attribute (out, "reason", rejected->reason == SERIAL_REJECTED_BAD ? "bad" : "expired");
  if (rejected->epoch >= 0)
    g_string_append_printf (out, " epoch='%" G_GINT64_FORMAT "'", rejected->epoch);
  g_string_append (out, "/>");
}

gboolean
serial_rejected_read (xmpp_stanza_t *element, SerialRejected *rejected, GError **error)
{
  TreeReader reader = { NULL };

  memset (rejected, 0, sizeof *rejected);
  tree_expect (&reader, element, "rejected", NS_SERIALS);
  const char *plugin = tree_need_id (&reader, element, "plugin");
  const char *reason = tree_need (&reader, element, "reason");
  if (g_strcmp0 (reason, "expired") == 0)
    rejected->reason = SERIAL_REJECTED_EXPIRED;
  else if (reason != NULL && strcmp (reason, "bad") != 0)
    tree_fail (&reader, "<rejected/>: unknown reason '%s'", reason);
  rejected->epoch = reader.error == NULL ? tree_get_int (&reader, element, "epoch", G_MAXINT64, -1) : -1;
  rejected->plugin = g_strdup (plugin);
  if (tree_reader_finish (&reader, error))
    return TRUE;
  serial_rejected_clear (rejected);
  return FALSE;
}
