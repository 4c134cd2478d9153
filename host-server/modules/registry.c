#include "host-server/modules/registry.h"
#include "common/module/descriptor.h"
#include "common/module/launch.h"

#include <gio/gio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_NAME_BYTES        200
#define FAULTS_ALLOWED        5
#define QUARANTINE_US         (60 * G_USEC_PER_SEC)
#define LONGEST_QUARANTINE_US (15 * 60 * G_USEC_PER_SEC)

struct Registry
{
  char *folder;
  uid_t uid_base;
  guint n_users;
  const Clock *clock;
  GHashTable *modules; /* name → Module, owned */
};

static void
module_free (Module *module)
{
  g_free (module->name);
  g_free (module->object);
  g_free (module->unsuitable);
  g_free (module->last_fault);
  g_free (module);
}

Registry *
registry_new (const char *folder, uid_t uid_base, const Clock *clock)
{
  Registry *registry = g_new0 (Registry, 1);
  registry->folder = g_strdup (folder);
  registry->uid_base = uid_base;
  registry->clock = clock;
  registry->modules = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify)module_free);
  return registry;
}

void
registry_free (Registry *registry)
{
  g_hash_table_unref (registry->modules);
  g_free (registry->folder);
  g_free (registry);
}

/* A path inside the folder that stays inside it: parts of ordinary characters, none beginning with a dot. */
static gboolean
is_name (const char *name)
{
  gboolean is_part_start = TRUE;
  if (strlen (name) > MAX_NAME_BYTES
      || !(g_str_has_suffix (name, ".so") || g_str_has_suffix (name, ".legacy")))
    return FALSE;
  for (const char *at = name; *at != '\0'; at++)
    {
      gboolean is_plain = g_ascii_isalnum (*at) || strchr ("_-+", *at) != NULL;
      if (*at == '/' ? is_part_start : !is_plain && (*at != '.' || is_part_start))
        return FALSE;
      is_part_start = *at == '/';
    }
  return TRUE;
}

static void
forget (Module *module)
{
  g_clear_pointer (&module->unsuitable, g_free);
  g_clear_pointer (&module->last_fault, g_free);
  module->n_faults = 0;
  module->n_quarantines = 0;
  module->quarantined_until_us = 0;
  module->is_verified = FALSE;
  module->generation++;
}

/* Whether it changed since @facts, which are renewed; *@is_there: whether it is a file at all. */
static gboolean
has_changed (const char *path, FileFacts *facts, gboolean *is_there)
{
  struct stat found;
  *is_there = stat (path, &found) == 0 && S_ISREG (found.st_mode);
  if (!*is_there)
    return FALSE;
  FileFacts now = { .device = found.st_dev,
                    .inode = found.st_ino,
                    .size = found.st_size,
                    .changed_ns = (gint64)found.st_mtim.tv_sec * 1000000000 + found.st_mtim.tv_nsec };
  gboolean is_same = now.device == facts->device && now.inode == facts->inode && now.size == facts->size
                     && now.changed_ns == facts->changed_ns;
  *facts = now;
  return !is_same;
}

/* Reads @path as a keygen's descriptor. NULL: G_IO_ERROR_INVALID_DATA, or it cannot be read at all. */
static Descriptor *
read_descriptor (const char *path, GBytes **bytes, GError **error)
{
  g_autofree char *file = g_path_get_basename (path);
  g_autofree char *text = NULL;
  DescriptorError why;
  gsize length;
  if (!g_file_get_contents (path, &text, &length, error))
    return NULL;
  Descriptor *descriptor = descriptor_parse (file, DESCRIPTOR_LEGACY, text, length, &why);
  if (descriptor != NULL && !descriptor->is_keygen)
    {
      g_snprintf (why.text, sizeof why.text, "%.60s: [Symbols] keygen: is missing", file);
      g_clear_pointer (&descriptor, descriptor_free);
    }
  if (descriptor == NULL)
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, why.text);
  else if (bytes != NULL)
    *bytes = g_bytes_new_take (g_steal_pointer (&text), length);
  return descriptor;
}

/* The object that a descriptor names lies beside it. What is wrong with the descriptor is known at once. */
static void
find_object (Module *module, const char *path)
{
  g_autoptr (GError) error = NULL;
  Descriptor *descriptor = read_descriptor (path, NULL, &error);
  g_clear_pointer (&module->object, g_free);
  if (descriptor == NULL)
    {
      module->unsuitable = g_strdup (error->message);
      return;
    }
  g_autofree char *folder = g_path_get_dirname (module->name);
  module->object = g_str_equal (folder, ".") ? g_strdup (descriptor->object)
                                             : g_build_filename (folder, descriptor->object, NULL);
  descriptor_free (descriptor);
}

static void
look_at_file (Registry *registry, Module *module)
{
  g_autofree char *path = g_build_filename (registry->folder, module->name, NULL);
  gboolean is_changed = has_changed (path, &module->facts, &module->is_there), is_object_there;
  if (is_changed)
    forget (module);
  if (module->is_described && is_changed)
    find_object (module, path);
  if (module->object == NULL)
    return;
  g_autofree char *object = g_build_filename (registry->folder, module->object, NULL);
  if (has_changed (object, &module->object_facts, &is_object_there) && !is_changed)
    forget (module);
}

Module *
registry_find (Registry *registry, const char *name)
{
  Module *module = g_hash_table_lookup (registry->modules, name);
  if (module == NULL)
    {
      if (!is_name (name) || (registry->uid_base != 0 && registry->n_users == REGISTRY_MAX_OWN_USERS))
        return NULL;
      module = g_new0 (Module, 1);
      module->name = g_strdup (name);
      module->is_described = g_str_has_suffix (name, ".legacy");
      look_at_file (registry, module);
      /* What is not there gets no user: names come from manifests, and users are few. */
      if (!module->is_there)
        {
          module_free (module);
          return NULL;
        }
      if (registry->uid_base != 0)
        module->uid = registry->uid_base + registry->n_users++;
      g_hash_table_insert (registry->modules, module->name, module);
      return module;
    }
  look_at_file (registry, module);
  return module;
}

/* The names in a folder, and which of them are objects that a descriptor means: they are no modules
 * themselves. */
static GPtrArray *
list_folder (Registry *registry, const char *inside, GHashTable *described)
{
  g_autofree char *path = g_build_filename (registry->folder, inside, NULL);
  g_autoptr (GDir) entries = g_dir_open (path, 0, NULL);
  GPtrArray *names = g_ptr_array_new_with_free_func (g_free);
  const char *entry;
  while (entries != NULL && (entry = g_dir_read_name (entries)) != NULL)
    {
      char *name = inside[0] != '\0' ? g_build_filename (inside, entry, NULL) : g_strdup (entry);
      Module *module = g_str_has_suffix (name, ".legacy") ? registry_find (registry, name) : NULL;
      if (module != NULL && module->object != NULL)
        g_hash_table_add (described, g_strdup (module->object));
      g_ptr_array_add (names, name);
    }
  return names;
}

static void
scan_folder (Registry *registry, const char *inside, void (*each) (Module *module, gpointer data),
             gpointer data)
{
  g_autoptr (GHashTable) described = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (GPtrArray) names = list_folder (registry, inside, described);
  for (guint i = 0; i < names->len; i++)
    {
      const char *name = g_ptr_array_index (names, i);
      g_autofree char *whole = g_build_filename (registry->folder, name, NULL);
      if (inside[0] == '\0' && g_file_test (whole, G_FILE_TEST_IS_DIR))
        scan_folder (registry, name, each, data);
      else if (is_name (name) && !g_hash_table_contains (described, name))
        {
          Module *module = registry_find (registry, name);
          if (module != NULL)
            each (module, data);
        }
    }
}

void
registry_scan (Registry *registry, void (*each) (Module *module, gpointer data), gpointer data)
{
  scan_folder (registry, "", each, data);
}

ModulesState
registry_get_state (Registry *registry, const Module *module)
{
  if (!module->is_there)
    return MODULES_STATE_ABSENT;
  if (module->unsuitable != NULL)
    return MODULES_STATE_UNSUITABLE;
  if (module->quarantined_until_us > clock_get_monotonic_us (registry->clock))
    return MODULES_STATE_QUARANTINED;
  return MODULES_STATE_READY;
}

int
registry_seal (Registry *registry, const Module *module, GError **error)
{
  g_autofree char *path = g_build_filename (registry->folder, module->name, NULL);
  return launch_seal_object (path, NULL, error);
}

int
registry_seal_described (Registry *registry, const Module *module, GBytes **descriptor, GError **error)
{
  g_autofree char *path = g_build_filename (registry->folder, module->name, NULL);
  g_autoptr (GBytes) text = NULL;
  g_autoptr (GString) sum = g_string_new (NULL);
  g_autoptr (GError) problem = NULL;
  guint8 digest[32];
  Descriptor *read = read_descriptor (path, &text, error);
  if (read == NULL)
    return -1;
  g_autofree char *folder = g_path_get_dirname (path);
  g_autofree char *object = g_build_filename (folder, read->object, NULL);
  int fd = launch_seal_object (object, digest, &problem);
  for (gsize i = 0; fd >= 0 && i < sizeof digest; i++)
    g_string_append_printf (sum, "%02x", digest[i]);
  if (fd < 0)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "its object cannot be had: %s",
                 problem->message);
  else if (!g_str_equal (sum->str, read->sha256))
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                   "'%s' is not the object it describes: its sha256 is %s", read->object, sum->str);
      close (fd);
      fd = -1;
    }
  if (fd >= 0)
    *descriptor = g_steal_pointer (&text);
  descriptor_free (read);
  return fd;
}

void
registry_note_forgiven (Registry *registry, Module *module, const char *reason)
{
  g_free (module->last_fault);
  module->last_fault = g_strdup (reason);
  module->n_bad++;
}

gboolean
registry_note_fault (Registry *registry, Module *module, guint weight, const char *reason)
{
  registry_note_forgiven (registry, module, reason);
  module->n_faults += weight;
  /* After a quarantine the first call decides. */
  if (module->n_faults < FAULTS_ALLOWED && module->n_quarantines == 0)
    return FALSE;
  gint64 length_us = QUARANTINE_US << MIN (module->n_quarantines, 8u);
  module->quarantined_until_us
      = clock_get_monotonic_us (registry->clock) + MIN (length_us, LONGEST_QUARANTINE_US);
  module->n_quarantines++;
  module->use.n_quarantines++;
  module->n_faults = 0;
  return TRUE;
}

void
registry_note_verified (Registry *registry, Module *module)
{
  module->is_verified = TRUE;
}

void
registry_note_good (Registry *registry, Module *module)
{
  module->n_good++;
  module->n_faults = 0;
  module->n_quarantines = 0;
  module->quarantined_until_us = 0;
  g_clear_pointer (&module->last_fault, g_free);
}

void
registry_note_unsuitable (Registry *registry, Module *module, const char *reason)
{
  g_free (module->unsuitable);
  module->unsuitable = g_strdup (reason);
}
