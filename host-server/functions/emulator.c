/* function-emulator: one call of a vendor's function as a host makes it, for `host-module-check function
 * run`.
 *
 * It is the functions room itself, with its store in a folder that the vendor names, and nothing around it:
 * no client, no market, one user who is licensed. So what it keeps, refuses and answers is what a host would.
 *
 * Exit status: 0 the call went well, 1 it did not, 2 usage, or nothing could be called. */
#include "common/base/id.h"
#include "common/base/log.h"
#include "common/protocol/function.h"
#include "host-server/core/applications.h"
#include "host-server/core/control.h"
#include "host-server/core/metrics.h"
#include "host-server/core/service.h"
#include "host-server/functions/predefined.h"
#include "host-server/functions/room.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <jansson.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DOMAIN "emulator.invalid"
/* Of one user with one vendor, as a pairwise name looks. */
#define USER        "k3q7a2m5c4d6e7f2g3h4i5j6k7"
#define DEFAULTS    "user_data=1M\napplication_data=16M\n" /* without a manifest */
#define CONFIG_NAME "emulator.conf"

typedef enum
{
  EXIT_GOOD = 0,
  EXIT_REFUSED = 1,
  EXIT_USAGE = 2,
} Exit;

typedef struct
{
  char *manifest, *data, *resources, *user, *request, *argument_file;
  gint64 deadline_ms, memory_mib, uid; /* 0: the host's defaults */
  gboolean is_json;
  const char *object, *function;
} Options;

typedef struct
{
  const Options *options;
  Server core;
  Functions *functions;
  char *temporary;       /* the data's folder, if none was named */
  char *application;     /* its id */
  char *manifest;        /* the group, as a key file */
  GPtrArray *files;      /* of ResourceFile; NULL: none were named */
  gint64 resource_bytes; /* their quota */
  gboolean is_done;
  Exit exit;
  GError *error;
} Emulator;

/* --- what the vendor gave --- */

/* The group of the manifest, whose `module` is the object, whatever its name on the host. */
static gboolean
read_manifest (Emulator *emulator, GError **error)
{
  const Options *options = emulator->options;
  g_autoptr (GKeyFile) whole = g_key_file_new ();
  g_autoptr (GKeyFile) group = g_key_file_new ();
  g_autofree char *module = g_path_get_basename (options->object);
  gboolean is_predefined = predefined_find (options->function) != NULL;
  g_autofree char *without
      = g_strdup_printf ("[" MANIFEST_GROUP "]\n%s%s\n" DEFAULTS,
                         is_predefined ? "" : "names=", is_predefined ? "" : options->function);
  if (options->manifest != NULL
          ? !g_key_file_load_from_file (whole, options->manifest, G_KEY_FILE_NONE, error)
          : !g_key_file_load_from_data (whole, without, (gsize)-1, G_KEY_FILE_NONE, error))
    return FALSE;
  g_auto (GStrv) keys = g_key_file_get_keys (whole, MANIFEST_GROUP, NULL, error);
  for (gsize i = 0; keys != NULL && keys[i] != NULL; i++)
    {
      g_autofree char *value = g_key_file_get_value (whole, MANIFEST_GROUP, keys[i], NULL);
      g_key_file_set_value (group, MANIFEST_GROUP, keys[i], value);
    }
  if (keys == NULL)
    return FALSE;
  if (g_key_file_has_key (group, MANIFEST_GROUP, "names", NULL))
    g_key_file_set_string (group, MANIFEST_GROUP, "module", module);
  emulator->application = g_key_file_get_string (whole, "Plugin", "id", NULL);
  if (emulator->application == NULL)
    emulator->application = g_strdup ("application");
  emulator->manifest = g_key_file_to_data (group, NULL, NULL);
  g_autoptr (FunctionManifest) manifest = function_manifest_parse (emulator->manifest, error);
  if (manifest == NULL)
    return FALSE;
  emulator->resource_bytes = manifest->application_bytes;
  return TRUE;
}

static gboolean
write_config (const Emulator *emulator, const char *data, const char *path, GError **error)
{
  const Options *options = emulator->options;
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autofree char *object = g_canonicalize_filename (options->object, NULL);
  g_autofree char *folder = g_path_get_dirname (object);
  g_key_file_set_string (file, "server", "domain", DOMAIN);
  g_key_file_set_string (file, "server", "data", data);
  /* Nothing listens, so these are not looked for. */
  g_key_file_set_string (file, "xmpp", "certificate", "none");
  g_key_file_set_string (file, "xmpp", "private_key", "none");
  g_key_file_set_string (file, "modules", "folder", folder);
  if (options->uid != 0)
    g_key_file_set_int64 (file, "modules", "uid_base", options->uid);
  if (options->deadline_ms != 0)
    {
      g_key_file_set_int64 (file, "modules", "deadline_ms", options->deadline_ms);
      g_key_file_set_int64 (file, "modules", "cpu_s", options->deadline_ms / 1000 + 1);
    }
  if (options->memory_mib != 0)
    {
      g_autofree char *memory = g_strdup_printf ("%" G_GINT64_FORMAT "M", options->memory_mib);
      g_key_file_set_string (file, "modules", "memory", memory);
    }
  return g_key_file_save_to_file (file, path, error);
}

/* --- the room and what it leans on --- */

static gboolean
find_licence (const char *account, const char *application, ApplicationLicence *licence, gpointer data,
              GError **error)
{
  licence->is_licensed = TRUE;
  g_strlcpy (licence->user, account, sizeof licence->user);
  return TRUE;
}

/* The data's folder, which is made if need be. */
static const char *
open_folder (Emulator *emulator, GError **error)
{
  const char *named = emulator->options->data;
  if (named == NULL)
    return emulator->temporary = g_dir_make_tmp ("function-emulator-XXXXXX", error);
  if (g_mkdir_with_parents (named, 0700) == 0)
    return named;
  g_set_error (error, G_FILE_ERROR, (int)g_file_error_from_errno (errno), "cannot make folder '%s': %s",
               named, g_strerror (errno));
  return NULL;
}

static gboolean
open_room (Emulator *emulator, GError **error)
{
  Server *core = &emulator->core;
  const char *data = open_folder (emulator, error);
  if (data == NULL)
    return FALSE;
  g_autofree char *config = g_build_filename (data, CONFIG_NAME, NULL);
  if (!write_config (emulator, data, config, error) || (core->config = config_load (config, error)) == NULL
      || (core->store = store_open (data, NULL, error)) == NULL)
    return FALSE;
  core->clock = clock_new_system ();
  core->domain = jid_new (DOMAIN, strlen (DOMAIN));
  core->market = jid_new ("market." DOMAIN, strlen ("market." DOMAIN));
  core->hooks = hooks_new ();
  core->controls = controls_new (data);
  core->services = services_new (NULL, core->hooks, core->domain, core->market, core->clock);
  core->metrics = metrics_new ();
  core->applications = applications_new ();
  applications_set_licence (core->applications, find_licence, NULL);
  core->modules = modules_open (core->config, core->clock);
  if (modules_get_problem (core->modules) != NULL)
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_FAILED, modules_get_problem (core->modules));
      return FALSE;
    }
  return (emulator->functions = functions_new (core, error)) != NULL;
}

/* In the order in which a server closes. */
static void
close_room (Emulator *emulator)
{
  Server *core = &emulator->core;
  if (emulator->functions != NULL)
    functions_stop (emulator->functions);
  g_clear_pointer (&core->controls, controls_free);
  g_clear_pointer (&core->store, store_close);
  g_clear_pointer (&core->modules, modules_free);
  g_clear_pointer (&emulator->functions, functions_free);
  g_clear_pointer (&core->applications, applications_free);
  g_clear_pointer (&core->services, services_free);
  g_clear_pointer (&core->metrics, metrics_free);
  g_clear_pointer (&core->hooks, hooks_free);
  g_clear_pointer (&core->market, jid_unref);
  g_clear_pointer (&core->domain, jid_unref);
  g_clear_pointer (&core->clock, clock_free);
  g_clear_pointer (&core->config, config_free);
}

/* What a store and its room make there are files. */
static void
remove_folder (const char *path)
{
  g_autoptr (GDir) entries = g_dir_open (path, 0, NULL);
  const char *name;
  while (entries != NULL && (name = g_dir_read_name (entries)) != NULL)
    {
      g_autofree char *inside = g_build_filename (path, name, NULL);
      g_unlink (inside);
    }
  g_rmdir (path);
}

static void
turn (Emulator *emulator)
{
  while (!emulator->is_done)
    g_main_context_iteration (NULL, TRUE);
  emulator->is_done = FALSE;
}

/* --- putting the application out, as `plugin add` and `resource put` do --- */

static gboolean
put_resources (Emulator *emulator, Db *db, gint64 now_us, GError **error)
{
  gint64 version;
  if (!db_run (db, error, "UPDATE function_resource SET value = NULL WHERE application = ?", "s",
               emulator->application))
    return FALSE;
  for (guint i = 0; i < emulator->files->len; i++)
    {
      const ResourceFile *file = emulator->files->pdata[i];
      ResourcePut put = { .application = emulator->application,
                          .name = file->name,
                          .kind = file->kind,
                          .is_open = file->is_open,
                          .most_bytes = emulator->resource_bytes,
                          .now_us = now_us };
      put.bytes = g_bytes_get_data (file->bytes, &put.length);
      if (!resource_put (db, &put, &version, error))
        return FALSE;
      if (version != 0)
        continue;
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE,
                   "cannot put '%s': the application's data may have %" G_GINT64_FORMAT
                   " bytes; [Functions] application_data says so",
                   file->name, emulator->resource_bytes);
      return FALSE;
    }
  return TRUE;
}

/* The market's rows that an application's lean on. */
static gboolean
put_on_sale (const Emulator *emulator, Db *db, gint64 now_us, GError **error)
{
  return db_run (db, error,
                 "INSERT INTO vendor (id, created_us) VALUES ('vendor', ?) ON CONFLICT (id) DO NOTHING", "i",
                 now_us)
         && db_run (
             db, error,
             "INSERT INTO plugin (id, vendor, name, version, summary, price_minor, currency, term, billing,"
             " source, fallback, module, base, package, is_retired, created_us, changed_us)"
             " VALUES (?, 'vendor', '', '', '', 0, '', '', '', '', '', '', '', '', 0, ?, ?)"
             " ON CONFLICT (id) DO NOTHING",
             "sii", emulator->application, now_us, now_us);
}

static gboolean
put_work (Db *db, gpointer data, GError **error)
{
  Emulator *emulator = data;
  const char *problem = NULL;
  gint64 now_us = clock_get_wall_us (emulator->core.clock);
  ApplicationManifest manifest = { .application = emulator->application,
                                   .vendor = "vendor",
                                   .text = emulator->manifest,
                                   .is_operator = TRUE,
                                   .now_us = now_us };
  return put_on_sale (emulator, db, now_us, error)
         && applications_store (emulator->core.applications, db, &manifest, &problem, error)
         && (emulator->files == NULL || put_resources (emulator, db, now_us, error));
}

static void
put_done (gpointer data, const GError *error)
{
  Emulator *emulator = data;
  emulator->error = error != NULL ? g_error_copy (error) : NULL;
  emulator->is_done = TRUE;
}

static gboolean
put_out (Emulator *emulator, GError **error)
{
  store_write (emulator->core.store, STORE_MARKET, put_work, put_done, emulator);
  turn (emulator);
  if (emulator->error == NULL)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&emulator->error));
  return FALSE;
}

/* --- the call --- */

static void
print_result (const Emulator *emulator, GBytes *result)
{
  gsize length;
  const char *bytes = g_bytes_get_data (result, &length);
  if (!emulator->options->is_json)
    {
      if (length > 0)
        fwrite (bytes, 1, length, stdout);
      if (length > 0 && bytes[length - 1] != '\n' && isatty (STDOUT_FILENO))
        putchar ('\n');
      return;
    }
  gboolean is_text = function_bytes_are_text (result);
  g_autofree char *text = is_text ? g_strndup (bytes != NULL ? bytes : "", length)
                                  : g_base64_encode ((const guchar *)bytes, length);
  json_t *row = json_pack ("{s:s, s:s}", "encoding", is_text ? "text" : "base64", "result", text);
  json_dumpf (row, stdout, JSON_COMPACT);
  putchar ('\n');
  json_decref (row);
}

/* In the words of protocol.md section 5. */
static void
print_refusal (const Emulator *emulator, const FunctionAnswer *answer)
{
  FunctionRefusal refusal = function_answer_get_refusal (answer);
  const char *error = stanza_error_to_text (refusal.error);
  if (answer->kind == FUNCTION_ANSWER_FAULT)
    refusal.text = answer->error->message;
  if (emulator->options->is_json)
    {
      json_t *row = json_pack ("{s:s, s:s*}", "error", error, "text", refusal.text);
      if (refusal.element != NULL)
        json_object_set_new (row, refusal.element, json_pack ("{s:s}", refusal.attribute, refusal.word));
      json_dumpf (row, stdout, JSON_COMPACT);
      putchar ('\n');
      json_decref (row);
      return;
    }
  fprintf (stderr, "host-module-check: %s", error);
  if (refusal.element != NULL)
    fprintf (stderr, " <%s %s='%s'/>", refusal.element, refusal.attribute, refusal.word);
  fprintf (stderr, "%s%s\n", refusal.text != NULL ? ": " : "", refusal.text != NULL ? refusal.text : "");
}

static void
on_answer (const FunctionAnswer *answer, gpointer data)
{
  Emulator *emulator = data;
  emulator->exit = answer->kind == FUNCTION_ANSWER_OK ? EXIT_GOOD : EXIT_REFUSED;
  if (answer->kind == FUNCTION_ANSWER_OK)
    print_result (emulator, answer->result);
  else
    print_refusal (emulator, answer);
  emulator->is_done = TRUE;
}

static void
call (Emulator *emulator, GBytes *argument)
{
  const Options *options = emulator->options;
  g_autofree char *request
      = options->request != NULL ? g_strdup (options->request) : id_new_uuid7 (emulator->core.clock);
  FunctionAsk ask = { .account = options->user != NULL ? options->user : USER,
                      .application = emulator->application,
                      .function = options->function,
                      .request = request,
                      .argument = argument };
  functions_call (emulator->functions, &ask, on_answer, emulator);
  turn (emulator);
}

static Exit
run (const Options *options, GBytes *argument)
{
  Emulator emulator = { .options = options, .exit = EXIT_USAGE };
  g_autoptr (GError) error = NULL;
  if (read_manifest (&emulator, &error)
      && (options->resources == NULL
          || (emulator.files = resource_files_read (options->resources, &error)) != NULL)
      && open_room (&emulator, &error) && put_out (&emulator, &error))
    call (&emulator, argument);
  if (error != NULL)
    fprintf (stderr, "host-module-check: %s\n", error->message);
  close_room (&emulator);
  if (emulator.temporary != NULL)
    remove_folder (emulator.temporary);
  g_clear_pointer (&emulator.files, g_ptr_array_unref);
  g_free (emulator.temporary);
  g_free (emulator.application);
  g_free (emulator.manifest);
  return emulator.exit;
}

/* --- arguments --- */

static Exit
print_usage (void)
{
  fputs ("usage: host-module-check function run MODULE.so FUNCTION [ARGUMENT] [OPTION...]\n"
         "  --manifest=FILE       the plugin's, whose [Functions] are the names and quotas\n"
         "  --data=FOLDER         where the user's data lies from call to call; without it nothing stays\n"
         "  --resources=PATH      a folder of resources, or a list of them\n"
         "  --user=NAME           whose call it is, a pairwise name\n"
         "  --request=NAME        the same name again brings the recorded result\n"
         "  --argument-file=FILE  the argument's bytes, instead of ARGUMENT\n"
         "  --deadline=MS, --memory=MIB   of one call, instead of a host's defaults\n"
         "  --uid=N               as root: the user vendor code runs as\n"
         "  --json                one JSON object\n",
         stderr);
  return EXIT_USAGE;
}

static const char *
find_fault (const Options *options, GBytes *argument)
{
  if (!g_str_has_suffix (options->object, ".so"))
    return "a module's name ends in .so";
  if (!function_name_is_valid (options->function))
    return "that is no function's name";
  if (g_bytes_get_size (argument) > FUNCTION_MAX_BYTES)
    return "the argument is longer than 49152 bytes";
  if (options->request != NULL
      && (options->request[0] == '\0' || strlen (options->request) > FUNCTION_MAX_REQUEST))
    return "--request: 1 to 64 bytes";
  if (options->user != NULL && (options->user[0] == '\0' || strlen (options->user) >= APPLICATION_USER_SIZE))
    return "--user: 1 to 63 bytes";
  return NULL;
}

static GBytes *
read_argument (const Options *options, const char *text, GError **error)
{
  if (options->argument_file == NULL)
    return g_bytes_new (text != NULL ? text : "", text != NULL ? strlen (text) : 0);
  g_autoptr (GMappedFile) file = g_mapped_file_new (options->argument_file, FALSE, error);
  return file != NULL ? g_mapped_file_get_bytes (file) : NULL;
}

static Exit
run_with (Options *options, int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  if (argc < 3 || argc > (options->argument_file != NULL ? 3 : 4))
    return print_usage ();
  options->object = argv[1];
  options->function = argv[2];
  g_autoptr (GBytes) argument = read_argument (options, argc == 4 ? argv[3] : NULL, &error);
  const char *fault = argument != NULL ? find_fault (options, argument) : error->message;
  if (fault == NULL)
    return run (options, argument);
  fprintf (stderr, "host-module-check: %s\n", fault);
  return EXIT_USAGE;
}

int
main (int argc, char **argv)
{
  Options options = { 0 };
  const GOptionEntry entries[] = {
    { "manifest", 0, 0, G_OPTION_ARG_FILENAME, &options.manifest, NULL, NULL },
    { "data", 0, 0, G_OPTION_ARG_FILENAME, &options.data, NULL, NULL },
    { "resources", 0, 0, G_OPTION_ARG_FILENAME, &options.resources, NULL, NULL },
    { "user", 0, 0, G_OPTION_ARG_STRING, &options.user, NULL, NULL },
    { "request", 0, 0, G_OPTION_ARG_STRING, &options.request, NULL, NULL },
    { "argument-file", 0, 0, G_OPTION_ARG_FILENAME, &options.argument_file, NULL, NULL },
    { "deadline", 0, 0, G_OPTION_ARG_INT64, &options.deadline_ms, NULL, NULL },
    { "memory", 0, 0, G_OPTION_ARG_INT64, &options.memory_mib, NULL, NULL },
    { "uid", 0, 0, G_OPTION_ARG_INT64, &options.uid, NULL, NULL },
    { "json", 0, 0, G_OPTION_ARG_NONE, &options.is_json, NULL, NULL },
    { NULL },
  };
  g_autoptr (GError) error = NULL;
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  setlocale (LC_ALL, "");
  log_init (LOG_LEVEL_INFO);
  g_option_context_set_help_enabled (context, FALSE);
  g_option_context_add_main_entries (context, entries, NULL);
  gboolean is_read = g_option_context_parse (context, &argc, &argv, &error);
  if (!is_read)
    fprintf (stderr, "host-module-check: %s\n", error->message);
  Exit result = is_read ? run_with (&options, argc, argv) : print_usage ();
  char *texts[] = { options.manifest, options.data,    options.resources,
                    options.user,     options.request, options.argument_file };
  for (gsize i = 0; i < G_N_ELEMENTS (texts); i++)
    g_free (texts[i]);
  return (int)result;
}
