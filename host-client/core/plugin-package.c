#include "host-client/core/plugin-package.h"

#include "common/base/text.h"
#include "common/module/launch.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_OBJECT_BYTES (64 << 20)

G_DEFINE_QUARK (plugin - error - quark, plugin_error)

#if defined __x86_64__
#define MACHINE EM_X86_64
#elif defined __aarch64__
#define MACHINE EM_AARCH64
#else
#error "which machine's objects does this host run?"
#endif

void
plugin_info_free (PluginInfo *info)
{
  if (info == NULL)
    return;
  for (gsize i = 0; i < info->n_commands; i++)
    {
      g_free (info->commands[i].name);
      g_free (info->commands[i].help);
    }
  g_free (info->commands);
  g_free (info->id);
  g_free (info->name);
  g_free (info->version);
  g_free (info->object);
  g_free (info->sha256);
  g_strfreev (info->connect);
  g_strfreev (info->read_paths);
  g_free (info->hash);
  g_free (info);
}

PluginInfo *
plugin_info_copy (const PluginInfo *info)
{
  PluginInfo *copy = g_memdup2 (info, sizeof *info);

  copy->id = g_strdup (info->id);
  copy->name = g_strdup (info->name);
  copy->version = g_strdup (info->version);
  copy->object = g_strdup (info->object);
  copy->sha256 = g_strdup (info->sha256);
  copy->connect = g_strdupv (info->connect);
  copy->read_paths = g_strdupv (info->read_paths);
  copy->hash = g_strdup (info->hash);
  copy->commands = g_new0 (PluginCommand, info->n_commands);
  for (gsize i = 0; i < info->n_commands; i++)
    {
      copy->commands[i].name = g_strdup (info->commands[i].name);
      copy->commands[i].help = g_strdup (info->commands[i].help);
    }
  return copy;
}

static char *
dup_address (const DescriptorAddress *address)
{
  return g_strdup_printf (strchr (address->host, ':') != NULL ? "[%s]:%u" : "%s:%u", address->host,
                          address->port);
}

static PluginInfo *
info_new (const Descriptor *descriptor)
{
  PluginInfo *info = g_new0 (PluginInfo, 1);

  info->kind = descriptor->kind == DESCRIPTOR_LEGACY ? PLUGIN_KIND_LEGACY : PLUGIN_KIND_NATIVE;
  info->id = g_strdup (descriptor->id);
  info->name = g_strdup (descriptor->name);
  info->version = g_strdup (descriptor->version);
  info->object = g_strdup (descriptor->object);
  info->sha256 = g_strdup (descriptor->sha256);
  info->connect = g_new0 (char *, descriptor->n_connect + 1u);
  for (guint i = 0; i < descriptor->n_connect; i++)
    info->connect[i] = dup_address (&descriptor->connect[i]);
  info->read_paths = g_new0 (char *, descriptor->n_read + 1u);
  for (guint i = 0; i < descriptor->n_read; i++)
    info->read_paths[i] = g_strdup (descriptor->read[i]);
  info->data_bytes = descriptor->data_bytes;
  info->has_threads = descriptor->has_threads;
  info->sees_identity = descriptor->sees_identity;
  info->calls_functions = descriptor->calls_functions;
  info->asks_purchases = descriptor->asks_purchases;
  info->messages = descriptor->messages == DESCRIPTOR_MESSAGES_SEND  ? PLUGIN_MESSAGES_SEND
                   : descriptor->messages == DESCRIPTOR_MESSAGES_SEE ? PLUGIN_MESSAGES_SEE
                                                                     : PLUGIN_MESSAGES_NONE;
  info->n_commands = descriptor->n_commands;
  info->commands = g_new0 (PluginCommand, descriptor->n_commands);
  for (guint i = 0; i < descriptor->n_commands; i++)
    {
      info->commands[i].name = g_strdup (descriptor->commands[i].name);
      info->commands[i].help = g_strdup (descriptor->commands[i].help);
    }
  return info;
}

PluginPackage *
plugin_package_ref (PluginPackage *package)
{
  return g_atomic_rc_box_acquire (package);
}

static void
package_clear (gpointer data)
{
  PluginPackage *package = data;

  plugin_info_free (package->info);
  descriptor_free (package->descriptor);
  g_free (package->file);
  g_free (package->signer);
  g_free (package->origin);
  g_clear_pointer (&package->text, g_bytes_unref);
  g_free (package->object_path);
}

void
plugin_package_unref (PluginPackage *package)
{
  if (package != NULL)
    g_atomic_rc_box_release_full (package, package_clear);
}

/* Reads a regular file of at most @max bytes, without waiting for a pipe or following what is not a file. */
static GBytes *
read_file (const char *path, gsize max, GError **error)
{
  int fd = open (path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  struct stat about;
  g_autofree guint8 *bytes = NULL;
  gsize length = 0;

  if (fd < 0 || fstat (fd, &about) != 0)
    {
      g_set_error (error, PLUGIN_ERROR, PLUGIN_ERROR_STORAGE, "cannot open '%s': %s", path,
                   g_strerror (errno));
      if (fd >= 0)
        close (fd);
      return NULL;
    }
  if (!S_ISREG (about.st_mode) || about.st_size > (goffset)max)
    {
      g_set_error (error, PLUGIN_ERROR, PLUGIN_ERROR_STORAGE,
                   "'%s' is not a file of at most %" G_GSIZE_FORMAT " bytes", path, max);
      close (fd);
      return NULL;
    }
  bytes = g_malloc ((gsize)about.st_size + 1);
  while (length < (gsize)about.st_size)
    {
      gssize n = read (fd, bytes + length, (gsize)about.st_size - length);

      if (n <= 0)
        break;
      length += (gsize)n;
    }
  close (fd);
  return g_bytes_new_take (g_steal_pointer (&bytes), length);
}

/* What can be said of an object without loading it. */
static gboolean
check_object (const char *name, GBytes *object, GError **error)
{
  gsize length;
  const guint8 *bytes = g_bytes_get_data (object, &length);
  const char *wrong = NULL;
  Elf64_Ehdr header;

  if (length < sizeof header || memcmp (bytes, ELFMAG, SELFMAG) != 0)
    wrong = "is not a shared object";
  else if (bytes[EI_CLASS] != ELFCLASS64)
    wrong = "is a 32-bit object, which this host does not run";
  else
    {
      memcpy (&header, bytes, sizeof header);
      if (header.e_machine != MACHINE)
        wrong = "is for another machine";
      else if (header.e_type != ET_DYN)
        wrong = "is not a shared object";
    }
  if (wrong != NULL)
    g_set_error (error, PLUGIN_ERROR, PLUGIN_ERROR_UNSUPPORTED, "'%s' %s", name, wrong);
  return wrong == NULL;
}

PluginPackage *
plugin_package_read (const char *path, GError **error)
{
  g_autoptr (PluginPackage) package = g_atomic_rc_box_new0 (PluginPackage);
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);
  g_autoptr (GBytes) object = NULL;
  g_autofree char *folder = g_path_get_dirname (path);
  g_autofree char *sum = NULL;
  DescriptorError why;
  gsize length;
  const void *bytes;
  gboolean is_legacy = g_str_has_suffix (path, ".legacy");

  package->file = g_path_get_basename (path);
  if (!is_legacy && !g_str_has_suffix (path, ".plugin"))
    {
      g_set_error (error, PLUGIN_ERROR, PLUGIN_ERROR_DESCRIPTOR,
                   "'%s' ends neither with .legacy nor with .plugin", package->file);
      return NULL;
    }
  package->text = read_file (path, DESCRIPTOR_MAX_BYTES, error);
  if (package->text == NULL)
    return NULL;
  bytes = g_bytes_get_data (package->text, &length);
  package->descriptor = descriptor_parse (package->file, is_legacy ? DESCRIPTOR_LEGACY : DESCRIPTOR_NATIVE,
                                          bytes, length, &why);
  if (package->descriptor == NULL)
    {
      g_set_error_literal (error, PLUGIN_ERROR, PLUGIN_ERROR_DESCRIPTOR, why.text);
      return NULL;
    }
  package->info = info_new (package->descriptor);
  package->object_path = g_build_filename (folder, package->descriptor->object, NULL);
  object = read_file (package->object_path, MAX_OBJECT_BYTES, error);
  if (object == NULL)
    return NULL;
  sum = g_compute_checksum_for_bytes (G_CHECKSUM_SHA256, object);
  if (!g_str_equal (sum, package->descriptor->sha256))
    {
      g_set_error (error, PLUGIN_ERROR, PLUGIN_ERROR_HASH,
                   "'%s' is not the object that '%s' describes: its sha256 is %s",
                   package->descriptor->object, package->file, sum);
      return NULL;
    }
  if (!check_object (package->descriptor->object, object, error))
    return NULL;
  g_checksum_update (checksum, bytes, (gssize)length);
  g_checksum_update (checksum, (const guchar *)sum, -1);
  package->info->hash = g_strdup (g_checksum_get_string (checksum));
  return g_steal_pointer (&package);
}

PluginInfo *
plugin_info_of_package (const Package *package, GError **error)
{
  const PackageMember *member = package_find_member (package, package->descriptor);
  DescriptorError why;
  gsize length;
  const char *text = g_bytes_get_data (member->bytes, &length);
  Descriptor *descriptor = descriptor_parse (
      member->name, g_str_has_suffix (member->name, ".legacy") ? DESCRIPTOR_LEGACY : DESCRIPTOR_NATIVE, text,
      length, &why);
  PluginInfo *info = NULL;

  if (descriptor == NULL)
    {
      g_set_error_literal (error, PLUGIN_ERROR, PLUGIN_ERROR_DESCRIPTOR, why.text);
      return NULL;
    }
  if (descriptor->is_keygen)
    g_set_error (error, PLUGIN_ERROR, PLUGIN_ERROR_DESCRIPTOR,
                 "'%s' describes a keygen, which belongs on a server", member->name);
  else
    {
      info = info_new (descriptor);
      info->hash = g_strdup (package->hash);
    }
  descriptor_free (descriptor);
  return info;
}

PluginInfo *
plugin_info_read (const char *path, GError **error)
{
  g_autoptr (PluginPackage) package = plugin_package_read (path, error);

  return package != NULL ? plugin_info_copy (package->info) : NULL;
}

int
plugin_package_open_object (PluginPackage *package, GError **error)
{
  guint8 digest[32];
  g_autoptr (GError) failed = NULL;
  g_autofree char *hex = NULL;
  int fd = launch_seal_object (package->object_path, digest, &failed);

  if (fd < 0)
    {
      g_set_error (error, PLUGIN_ERROR, PLUGIN_ERROR_STORAGE, "cannot read the object: %s", failed->message);
      return -1;
    }
  hex = text_to_hex (digest, sizeof digest);
  if (g_str_equal (hex, package->descriptor->sha256))
    return fd;
  g_set_error (error, PLUGIN_ERROR, PLUGIN_ERROR_HASH, "'%s' has changed since it was installed",
               package->descriptor->object);
  close (fd);
  return -1;
}

/* ---- installed copies ---- */

static gboolean
write_file (const char *folder, const char *name, gconstpointer bytes, gsize length, GError **error)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);
  g_autoptr (GError) failed = NULL;

  if (g_file_set_contents_full (path, bytes, (gssize)length,
                                G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE, 0600, &failed))
    return TRUE;
  g_set_error_literal (error, PLUGIN_ERROR, PLUGIN_ERROR_STORAGE, failed->message);
  return FALSE;
}

/* Removes a folder with the files in it; ours hold no folders. */
void
plugin_package_remove_folder (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *file = g_build_filename (path, name, NULL);

      (void)g_unlink (file);
    }
  (void)g_rmdir (path);
}

static char *
dup_copy_folder (const PluginPackage *package, const char *folder)
{
  return g_build_filename (folder, package->info->id, package->info->hash, NULL);
}

PluginPackage *
plugin_package_store (PluginPackage *package, const char *folder, GError **error)
{
  g_autofree char *copy = dup_copy_folder (package, folder);
  g_autofree char *descriptor = g_build_filename (copy, package->file, NULL);
  g_autoptr (GBytes) object = NULL;
  g_autoptr (PluginPackage) stored = NULL;
  gsize length;
  gconstpointer bytes;

  object = read_file (package->object_path, MAX_OBJECT_BYTES, error);
  if (object == NULL)
    return NULL;
  if (g_mkdir_with_parents (copy, 0700) != 0)
    {
      g_set_error (error, PLUGIN_ERROR, PLUGIN_ERROR_STORAGE, "cannot make '%s': %s", copy,
                   g_strerror (errno));
      return NULL;
    }
  bytes = g_bytes_get_data (object, &length);
  if (!write_file (copy, package->info->object, bytes, length, error))
    return NULL;
  bytes = g_bytes_get_data (package->text, &length);
  if (!write_file (copy, package->file, bytes, length, error))
    return NULL;
  /* Read again, hash and all: what was copied may have changed under our hands. */
  stored = plugin_package_read (descriptor, error);
  if (stored != NULL && !g_str_equal (stored->info->hash, package->info->hash))
    {
      g_set_error (error, PLUGIN_ERROR, PLUGIN_ERROR_HASH, "'%s' changed while it was copied", package->file);
      return NULL;
    }
  return g_steal_pointer (&stored);
}

/* "HASH/FILE" of what the file @name of a plugin's folder names; NULL if there is no such file. */
static char *
dup_line (const char *folder, const char *id, const char *name)
{
  g_autofree char *path = g_build_filename (folder, id, name, NULL);
  char *line = NULL;

  if (!g_file_get_contents (path, &line, NULL, NULL))
    return NULL;
  return g_strchomp (line);
}

/* Removes copies that nothing names; a predecessor is named by `previous`. */
static void
remove_others (const char *mine, const char *const *lines)
{
  g_autoptr (GDir) dir = g_dir_open (mine, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *old = g_build_filename (mine, name, NULL);
      gboolean is_named = FALSE;

      for (const char *const *line = lines; !is_named && *line != NULL; line++)
        is_named = g_str_has_prefix (*line, name) && (*line)[strlen (name)] == '/';
      if (!is_named && g_file_test (old, G_FILE_TEST_IS_DIR))
        plugin_package_remove_folder (old);
    }
}

/* `previous` first: whoever is killed in between has the old version as both. */
static gboolean
set_lines (const char *folder, const char *id, const char *current, const char *previous, GError **error)
{
  g_autofree char *mine = g_build_filename (folder, id, NULL);
  g_autofree char *line = g_strconcat (current, "\n", NULL);
  g_autofree char *old = previous != NULL ? g_strconcat (previous, "\n", NULL) : NULL;
  const char *lines[] = { current, previous, NULL };

  if ((old != NULL && !write_file (mine, "previous", old, strlen (old), error))
      || !write_file (mine, "current", line, strlen (line), error))
    return FALSE;
  remove_others (mine, lines);
  return TRUE;
}

gboolean
plugin_package_make_current (PluginPackage *package, const char *folder, GError **error)
{
  const char *id = package->info->id;
  g_autofree char *line = g_strdup_printf ("%s/%s", package->info->hash, package->file);
  g_autofree char *current = dup_line (folder, id, "current");
  g_autofree char *previous = dup_line (folder, id, "previous");

  return set_lines (folder, id, line, g_strcmp0 (current, line) == 0 ? previous : current, error);
}

gboolean
plugin_package_roll_back (const char *folder, const char *id, GError **error)
{
  g_autofree char *current = dup_line (folder, id, "current");
  g_autofree char *previous = dup_line (folder, id, "previous");
  g_autofree char *mine = g_build_filename (folder, id, NULL);
  g_autofree char *line = g_strconcat (previous, "\n", NULL);
  g_autofree char *old = g_strconcat (current, "\n", NULL);

  /* `current` first: whoever is killed in between has the previous version as both. */
  return write_file (mine, "current", line, strlen (line), error)
         && write_file (mine, "previous", old, strlen (old), error);
}

void
plugin_package_discard (PluginPackage *package, const char *folder)
{
  g_autofree char *line = g_strdup_printf ("%s/%s", package->info->hash, package->file);
  g_autofree char *current = dup_line (folder, package->info->id, "current");
  g_autofree char *previous = dup_line (folder, package->info->id, "previous");
  g_autofree char *copy = dup_copy_folder (package, folder);
  g_autofree char *mine = g_build_filename (folder, package->info->id, NULL);

  if (g_strcmp0 (line, current) == 0 || g_strcmp0 (line, previous) == 0)
    return;
  plugin_package_remove_folder (copy);
  (void)g_rmdir (mine); /* if it was the only one */
}

static PluginPackage *
find_named (const char *folder, const char *id, const char *which, gboolean is_judged, GError **error)
{
  g_autofree char *line = text_is_market_id (id) ? dup_line (folder, id, which) : NULL;
  g_autofree char *path = NULL;
  g_autofree char *copy = NULL;
  g_autoptr (PluginPackage) package = NULL;

  if (line == NULL)
    {
      g_set_error (error, PLUGIN_ERROR, PLUGIN_ERROR_NOT_INSTALLED, "no %splugin '%s' is installed",
                   g_str_equal (which, "previous") ? "earlier version of the " : "", id);
      return NULL;
    }
  path = g_build_filename (folder, id, line, NULL);
  copy = g_path_get_dirname (path);
  package = plugin_package_read (path, error);
  if (package == NULL || !plugin_package_read_signature (package, copy, error)
      || (is_judged && !plugin_package_is_vouched (package, folder, error)))
    return NULL;
  if (!g_str_equal (package->info->id, id))
    {
      g_set_error (error, PLUGIN_ERROR, PLUGIN_ERROR_STORAGE, "the folder of '%s' holds the plugin '%s'", id,
                   package->info->id);
      return NULL;
    }
  return g_steal_pointer (&package);
}

PluginPackage *
plugin_package_find (const char *folder, const char *id, GError **error)
{
  return find_named (folder, id, "current", TRUE, error);
}

PluginPackage *
plugin_package_find_previous (const char *folder, const char *id, GError **error)
{
  return find_named (folder, id, "previous", TRUE, error);
}

PluginPackage *
plugin_package_find_unjudged (const char *folder, const char *id, GError **error)
{
  return find_named (folder, id, "current", FALSE, error);
}

gboolean
plugin_package_remove (const char *folder, const char *id, GError **error)
{
  g_autofree char *mine = g_build_filename (folder, id, NULL);
  g_autofree char *current = g_build_filename (mine, "current", NULL);
  g_autoptr (GDir) dir = NULL;
  const char *name;

  if (!text_is_market_id (id) || g_unlink (current) != 0)
    {
      g_set_error (error, PLUGIN_ERROR, PLUGIN_ERROR_NOT_INSTALLED, "no plugin '%s' is installed", id);
      return FALSE;
    }
  dir = g_dir_open (mine, 0, NULL);
  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *copy = g_build_filename (mine, name, NULL);

      if (g_unlink (copy) != 0) /* `previous`, what was agreed, how it was */
        plugin_package_remove_folder (copy);
    }
  (void)g_rmdir (mine);
  return TRUE;
}
