#include "common/module/resource-file.h"

#include <glib/gstdio.h>
#include <string.h>

typedef struct
{
  char *folder;
} Fixture;

static void
put (const Fixture *fixture, const char *name, const char *text)
{
  g_autofree char *path = g_build_filename (fixture->folder, name, NULL);
  g_assert_true (g_file_set_contents (path, text, -1, NULL));
}

static void
set_up (Fixture *fixture, gconstpointer data)
{
  fixture->folder = g_dir_make_tmp ("stoa-resources-XXXXXX", NULL);
  put (fixture, "climate.csv", "Lisbon,7,18,28,2\n");
  put (fixture, "b.txt", "text");
  put (fixture, ".hidden", "not offered");
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GDir) entries = g_dir_open (fixture->folder, 0, NULL);
  const char *name;
  while ((name = g_dir_read_name (entries)) != NULL)
    {
      g_autofree char *path = g_build_filename (fixture->folder, name, NULL);
      g_unlink (path);
    }
  g_rmdir (fixture->folder);
  g_free (fixture->folder);
}

static GPtrArray *
read_list (const Fixture *fixture, const char *text, GError **error)
{
  g_autofree char *path = g_build_filename (fixture->folder, ".list", NULL);
  put (fixture, ".list", text);
  return resource_files_read (path, error);
}

static void
assert_refused (const Fixture *fixture, const char *text, const char *words)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) files = read_list (fixture, text, &error);
  g_assert_null (files);
  g_assert_nonnull (error);
  if (strstr (error->message, words) == NULL)
    g_error ("'%s' says nothing of '%s'", error->message, words);
}

static void
test_every_file_of_a_folder_is_a_closed_resource (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GPtrArray) files = resource_files_read (fixture->folder, NULL);
  g_assert_nonnull (files);
  g_assert_cmpuint (files->len, ==, 2);
  const ResourceFile *first = files->pdata[0], *second = files->pdata[1];
  g_assert_cmpstr (first->name, ==, "b.txt");
  g_assert_cmpstr (first->kind, ==, "text");
  g_assert_cmpstr (second->name, ==, "climate.csv");
  g_assert_cmpstr (second->kind, ==, "table");
  g_assert_false (first->is_open || second->is_open);
  g_assert_cmpmem (g_bytes_get_data (first->bytes, NULL), g_bytes_get_size (first->bytes), "text", 4);
}

static void
test_a_list_says_what_hostctl_is_told (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) files = read_list (fixture,
                                           "# what we put out\n\nword b.txt --kind bytes --open\n"
                                           "climate 'climate.csv'  # the table\n",
                                           &error);
  g_assert_no_error (error);
  g_assert_cmpuint (files->len, ==, 2);
  const ResourceFile *first = files->pdata[0], *second = files->pdata[1];
  g_assert_cmpstr (first->name, ==, "climate");
  g_assert_cmpstr (first->kind, ==, "table");
  g_assert_cmpstr (second->name, ==, "word");
  g_assert_cmpstr (second->kind, ==, "bytes");
  g_assert_true (second->is_open);
}

static void
test_what_is_wrong_in_a_list_is_named_by_its_line (Fixture *fixture, gconstpointer data)
{
  assert_refused (fixture, "a b.txt\nb nothing.txt\n", ".list:2: ");
  assert_refused (fixture, "a\n", ".list:1: NAME FILE");
  assert_refused (fixture, "a b.txt c.txt\n", "NAME FILE");
  assert_refused (fixture, "a b.txt --kind song\n", "--kind is table");
  assert_refused (fixture, "a b.txt --kind\n", "--kind is table");
  assert_refused (fixture, "a b.txt --kind counter\n", "whole number");
  assert_refused (fixture, "a b.txt --close\n", "options are");
  assert_refused (fixture, "'a b' b.txt\n", "without spaces");
  assert_refused (fixture, "a b.txt\na climate.csv\n", "two resources");
  assert_refused (fixture, "a 'b.txt\n", ".list:1: ");
  assert_refused (fixture, "a b.txt \xff\n", "not UTF-8");
}

static void
test_a_folder_that_is_not_there_is_an_error (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_assert_null (resource_files_read ("/nothing/here", &error));
  g_assert_nonnull (error);
}

#define ADD(name) g_test_add ("/resource-file/" #name, Fixture, NULL, set_up, test_##name, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD (every_file_of_a_folder_is_a_closed_resource);
  ADD (a_list_says_what_hostctl_is_told);
  ADD (what_is_wrong_in_a_list_is_named_by_its_line);
  ADD (a_folder_that_is_not_there_is_an_error);
  return g_test_run ();
}
