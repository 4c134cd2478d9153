#include "vendor-kit/plugin-server/quotation.h"

typedef struct
{
  char *topic, *words, *source;
} Quotation;

struct Quotations
{
  GPtrArray *all; /* Quotation */
};

static void
quotation_free (gpointer data)
{
  Quotation *quotation = data;
  g_free (quotation->topic);
  g_free (quotation->words);
  g_free (quotation->source);
  g_free (quotation);
}

Quotations *
quotations_new (const char *text)
{
  Quotations *quotations = g_new0 (Quotations, 1);
  quotations->all = g_ptr_array_new_with_free_func (quotation_free);
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  for (char **line = lines; *line != NULL; line++)
    {
      if (**line == '#' || **line == '\0')
        continue;
      g_auto (GStrv) fields = g_strsplit (*line, "\t", -1);
      g_assert (g_strv_length (fields) == 3); /* our own file */
      Quotation *quotation = g_new0 (Quotation, 1);
      quotation->topic = g_utf8_casefold (fields[0], -1);
      quotation->words = g_strdup (fields[1]);
      quotation->source = g_strdup (fields[2]);
      g_ptr_array_add (quotations->all, quotation);
    }
  return quotations;
}

void
quotations_free (Quotations *quotations)
{
  if (quotations == NULL)
    return;
  g_ptr_array_unref (quotations->all);
  g_free (quotations);
}

char *
quotations_dup_line (const Quotations *quotations, const char *topic, gint64 now_us)
{
  g_autofree char *stripped = g_strstrip (g_strdup (topic != NULL ? topic : ""));
  g_autofree char *folded = g_utf8_casefold (stripped, -1);
  g_autoptr (GPtrArray) fitting = g_ptr_array_new ();
  for (guint i = 0; i < quotations->all->len; i++)
    {
      Quotation *quotation = g_ptr_array_index (quotations->all, i);
      if (*folded == '\0' || g_str_equal (quotation->topic, folded))
        g_ptr_array_add (fitting, quotation);
    }
  if (fitting->len == 0)
    return NULL;
  gint64 day = now_us / G_USEC_PER_SEC / 86400;
  const Quotation *chosen = g_ptr_array_index (fitting, (guint)(day % fitting->len));
  return g_strdup_printf ("“%s” — %s", chosen->words, chosen->source);
}
