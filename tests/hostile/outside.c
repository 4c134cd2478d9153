#include "tests/hostile/outside.h"

#include <glib/gstdio.h>
#include <unistd.h>

static char *
get_path (const char *name)
{
  return g_strdup_printf ("/tmp/stoa-outside-%d/%s", (int)getpid (), name);
}

void
outside_make (void)
{
  g_autofree char *folder = get_path ("");
  g_autofree char *victim = get_path ("victim");
  g_assert_cmpint (g_mkdir (folder, 0777), ==, 0);
  g_assert_cmpint (g_chmod (folder, 0777), ==, 0);
  g_assert_true (g_file_set_contents (victim, "still here", -1, NULL));
  g_assert_cmpint (g_chmod (victim, 0666), ==, 0);
}

void
outside_assert_untouched (void)
{
  g_autofree char *folder = get_path ("");
  g_autofree char *victim = get_path ("victim");
  g_autofree char *text = NULL;
  g_autoptr (GDir) entries = g_dir_open (folder, 0, NULL);
  GStatBuf facts;
  guint n = 0;
  g_assert_true (g_file_get_contents (victim, &text, NULL, NULL));
  g_assert_cmpstr (text, ==, "still here");
  g_assert_cmpint (g_stat (folder, &facts), ==, 0);
  g_assert_cmpuint (facts.st_mode & 07777, ==, 0777);
  while (g_dir_read_name (entries) != NULL)
    n++;
  g_assert_cmpuint (n, ==, 1);
}

void
outside_remove (void)
{
  g_autofree char *folder = get_path ("");
  g_autofree char *victim = get_path ("victim");
  g_unlink (victim);
  g_assert_cmpint (g_rmdir (folder), ==, 0);
}
