#include "common/module/resource-file.h"
#include "common/base/text.h"

#include <gio/gio.h>
#include <string.h>

#define MAX_FILES 1000
#define MAX_BYTES (64u << 20) /* together, and of a list */

static const char *const kinds[] = { "table", "text", "picture", "counter", "bytes" };

gboolean
resource_name_is_valid (const char *name)
{
  gsize length = strlen (name);
  if (length == 0 || length > RESOURCE_MAX_NAME)
    return FALSE;
  for (const char *at = name; *at != '\0'; at++)
    if (!g_ascii_isgraph (*at))
      return FALSE;
  return TRUE;
}

/* NULL: it is none. */
static const char *
find_kind (const char *kind)
{
  for (gsize i = 0; i < G_N_ELEMENTS (kinds); i++)
    if (g_str_equal (kinds[i], kind))
      return kinds[i];
  return NULL;
}

gboolean
resource_kind_is_valid (const char *kind)
{
  return find_kind (kind) != NULL;
}

const char *
resource_guess_kind (const char *path)
{
  static const struct
  {
    const char *suffix, *kind;
  } suffixes[]
      = { { ".csv", "table" },    { ".tsv", "table" },   { ".txt", "text" },     { ".md", "text" },
          { ".png", "picture" },  { ".jpg", "picture" }, { ".jpeg", "picture" }, { ".gif", "picture" },
          { ".webp", "picture" }, { ".svg", "picture" } };
  for (gsize i = 0; i < G_N_ELEMENTS (suffixes); i++)
    if (g_str_has_suffix (path, suffixes[i].suffix))
      return suffixes[i].kind;
  return "bytes";
}

static gboolean
begins_with (const char *bytes, gsize length, gsize at, const char *mark, gsize n_mark)
{
  return length >= at + n_mark && memcmp (bytes + at, mark, n_mark) == 0;
}

static gboolean
is_picture (const char *bytes, gsize length)
{
  return begins_with (bytes, length, 0, "\x89PNG\r\n\x1a\n", 8)
         || begins_with (bytes, length, 0, "\xff\xd8\xff", 3) || begins_with (bytes, length, 0, "GIF8", 4)
         || (begins_with (bytes, length, 0, "RIFF", 4) && begins_with (bytes, length, 8, "WEBP", 4))
         || begins_with (bytes, length, 0, "<svg", 4) || begins_with (bytes, length, 0, "<?xml", 5);
}

const char *
resource_find_fault (const char *kind, const void *bytes, gsize length)
{
  if (g_str_equal (kind, "table") || g_str_equal (kind, "text"))
    return text_is_xml (bytes, length) ? NULL : "it is not UTF-8 text";
  if (g_str_equal (kind, "picture"))
    return is_picture (bytes, length) ? NULL : "it is not PNG, JPEG, GIF, WebP or SVG";
  if (g_str_equal (kind, "counter"))
    {
      gint64 number;
      g_autofree char *text = g_strndup (bytes, length);
      return g_ascii_string_to_signed (g_strstrip (text), 10, G_MININT64, G_MAXINT64, &number, NULL)
                 ? NULL
                 : "it is not a whole number";
    }
  return NULL;
}

/* --- reading them --- */

typedef struct
{
  GPtrArray *files; /* of ResourceFile */
  gsize n_bytes;
} Reading;

static void
file_free (gpointer data)
{
  ResourceFile *file = data;
  g_free (file->name);
  g_free (file->path);
  g_clear_pointer (&file->bytes, g_bytes_unref);
  g_free (file);
}

static gboolean
complain (GError **error, const char *where, const char *problem)
{
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "%s: %s", where, problem);
  return FALSE;
}

/* Adds @take_file, whose kind may still have to be guessed, with its bytes; @where is for errors. */
static gboolean
add_file (Reading *reading, ResourceFile *take_file, const char *where, GError **error)
{
  ResourceFile *file = take_file;
  g_autoptr (GError) problem = NULL;
  char *contents;
  gsize length;
  g_ptr_array_add (reading->files, file);
  if (!resource_name_is_valid (file->name))
    return complain (error, where, "a name is 1 to 128 printable characters without spaces");
  if (reading->files->len > MAX_FILES)
    return complain (error, where, "more than 1000 resources");
  g_autoptr (GMappedFile) mapped = g_mapped_file_new (file->path, FALSE, &problem);
  if (mapped == NULL)
    return complain (error, where, problem->message);
  if (g_mapped_file_get_length (mapped) > MAX_BYTES - reading->n_bytes)
    return complain (error, where, "more than 64 MiB of resources");
  length = g_mapped_file_get_length (mapped);
  contents = g_memdup2 (length > 0 ? g_mapped_file_get_contents (mapped) : "", length);
  file->bytes = g_bytes_new_take (contents, length);
  reading->n_bytes += length;
  if (file->kind == NULL)
    file->kind = resource_guess_kind (file->path);
  const char *fault = resource_find_fault (file->kind, contents != NULL ? contents : "", length);
  return fault == NULL || complain (error, where, fault);
}

static gboolean
read_folder (Reading *reading, const char *path, GError **error)
{
  g_autoptr (GDir) entries = g_dir_open (path, 0, error);
  const char *name;
  if (entries == NULL)
    return FALSE;
  while ((name = g_dir_read_name (entries)) != NULL)
    {
      g_autofree char *inside = g_build_filename (path, name, NULL);
      if (name[0] == '.' || !g_file_test (inside, G_FILE_TEST_IS_REGULAR))
        continue;
      ResourceFile *file = g_new0 (ResourceFile, 1);
      file->name = g_strdup (name);
      file->path = g_strdup (inside);
      if (!add_file (reading, file, inside, error))
        return FALSE;
    }
  return TRUE;
}

/* NAME FILE [--kind KIND] [--open], in any order as on a command line. NULL, or what is wrong. */
static const char *
read_words (char **words, const char *folder, ResourceFile *file)
{
  for (gsize i = 0; words[i] != NULL; i++)
    if (g_str_equal (words[i], "--open"))
      file->is_open = TRUE;
    else if (g_str_equal (words[i], "--kind"))
      {
        file->kind = words[i + 1] != NULL ? find_kind (words[++i]) : NULL;
        if (file->kind == NULL)
          return "--kind is table, text, picture, counter or bytes";
      }
    else if (g_str_has_prefix (words[i], "--"))
      return "options are --kind KIND and --open";
    else if (file->name == NULL)
      file->name = g_strdup (words[i]);
    else if (file->path == NULL)
      file->path = g_canonicalize_filename (words[i], folder);
    else
      return "NAME FILE [--kind KIND] [--open]";
  return file->path != NULL ? NULL : "NAME FILE [--kind KIND] [--open]";
}

static gboolean
read_line (Reading *reading, const char *line, const char *folder, const char *where, GError **error)
{
  g_auto (GStrv) words = NULL;
  g_autoptr (GError) problem = NULL;
  if (!g_shell_parse_argv (line, NULL, &words, &problem))
    return g_error_matches (problem, G_SHELL_ERROR, G_SHELL_ERROR_EMPTY_STRING)
           || complain (error, where, problem->message);
  ResourceFile *file = g_new0 (ResourceFile, 1);
  const char *fault = read_words (words, folder, file);
  if (fault == NULL)
    return add_file (reading, file, where, error);
  file_free (file);
  return complain (error, where, fault);
}

static gboolean
read_list (Reading *reading, const char *path, GError **error)
{
  g_autofree char *whole = g_canonicalize_filename (path, NULL);
  g_autofree char *folder = g_path_get_dirname (whole);
  g_autoptr (GMappedFile) mapped = g_mapped_file_new (path, FALSE, error);
  if (mapped == NULL)
    return FALSE;
  if (g_mapped_file_get_length (mapped) > MAX_FILES * 1000)
    return complain (error, path, "too long for a list of resources");
  g_autofree char *text = g_strndup (g_mapped_file_get_contents (mapped), g_mapped_file_get_length (mapped));
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  for (guint i = 0; lines[i] != NULL; i++)
    {
      g_autofree char *where = g_strdup_printf ("%s:%u", path, i + 1);
      if (!g_utf8_validate (lines[i], -1, NULL))
        return complain (error, where, "it is not UTF-8 text");
      if (!read_line (reading, lines[i], folder, where, error))
        return FALSE;
    }
  return TRUE;
}

static gint
compare_files (gconstpointer a, gconstpointer b)
{
  return strcmp ((*(ResourceFile *const *)a)->name, (*(ResourceFile *const *)b)->name);
}

GPtrArray *
resource_files_read (const char *path, GError **error)
{
  g_autoptr (GPtrArray) files = g_ptr_array_new_with_free_func (file_free);
  Reading reading = { files, 0 };
  if (g_file_test (path, G_FILE_TEST_IS_DIR) ? !read_folder (&reading, path, error)
                                             : !read_list (&reading, path, error))
    return NULL;
  g_ptr_array_sort (files, compare_files);
  for (guint i = 1; i < files->len; i++)
    if (compare_files (&files->pdata[i - 1], &files->pdata[i]) == 0)
      {
        complain (error, ((ResourceFile *)files->pdata[i])->name, "two resources of that name");
        return NULL;
      }
  return g_steal_pointer (&files);
}
