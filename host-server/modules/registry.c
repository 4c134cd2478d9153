#include "host-server/modules/registry.h"
#include "common/module/launch.h"

#include <string.h>
#include <sys/stat.h>

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
  if (strlen (name) > MAX_NAME_BYTES || !g_str_has_suffix (name, ".so"))
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

static void
look_at_file (Registry *registry, Module *module)
{
  g_autofree char *path = g_build_filename (registry->folder, module->name, NULL);
  struct stat facts;
  module->is_there = stat (path, &facts) == 0 && S_ISREG (facts.st_mode);
  if (!module->is_there)
    return;
  gint64 changed_ns = (gint64)facts.st_mtim.tv_sec * 1000000000 + facts.st_mtim.tv_nsec;
  if (module->device == facts.st_dev && module->inode == facts.st_ino && module->size == facts.st_size
      && module->changed_ns == changed_ns)
    return;
  module->device = facts.st_dev;
  module->inode = facts.st_ino;
  module->size = facts.st_size;
  module->changed_ns = changed_ns;
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

static void
scan_folder (Registry *registry, const char *inside, void (*each) (Module *module, gpointer data),
             gpointer data)
{
  g_autofree char *path = g_build_filename (registry->folder, inside, NULL);
  g_autoptr (GDir) entries = g_dir_open (path, 0, NULL);
  const char *entry;
  while (entries != NULL && (entry = g_dir_read_name (entries)) != NULL)
    {
      g_autofree char *name = inside[0] != '\0' ? g_build_filename (inside, entry, NULL) : g_strdup (entry);
      g_autofree char *whole = g_build_filename (registry->folder, name, NULL);
      if (inside[0] == '\0' && g_file_test (whole, G_FILE_TEST_IS_DIR))
        scan_folder (registry, name, each, data);
      else if (is_name (name))
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

gboolean
registry_note_fault (Registry *registry, Module *module, guint weight, const char *reason)
{
  g_free (module->last_fault);
  module->last_fault = g_strdup (reason);
  module->n_faults += weight;
  module->n_bad++;
  /* After a quarantine the first call decides. */
  if (module->n_faults < FAULTS_ALLOWED && module->n_quarantines == 0)
    return FALSE;
  gint64 length_us = QUARANTINE_US << MIN (module->n_quarantines, 8u);
  module->quarantined_until_us
      = clock_get_monotonic_us (registry->clock) + MIN (length_us, LONGEST_QUARANTINE_US);
  module->n_quarantines++;
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
