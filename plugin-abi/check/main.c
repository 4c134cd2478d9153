/* host-module-check: what a host will say about a vendor's code, before the vendor sends it.
 *
 *   host-module-check keygen MODULE.so|KEYGEN.legacy
 *   host-module-check function MODULE.so
 *   host-module-check function run MODULE.so FUNCTION [ARGUMENT]
 *   host-module-check legacy PLUGIN.legacy
 *   host-module-check native PLUGIN.plugin
 *   host-module-check pack FOLDER --key FILE -o FILE
 *   host-module-check keygen-key FILE
 *
 * Exit status: 0 fine, 1 something failed, 2 usage, or nothing could be checked here. */
#include "plugin-abi/check/check.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAX_SEEDS 1000000u
#define MAX_CALLS 100000u

/* A subcommand has its own arguments, or is a check of one file. */
typedef struct
{
  const char *name;
  const char *arguments;
  const char *help;
  CheckFunc check;
  CheckExit (*run) (int argc, char **argv); /* instead: argv[0] is the subcommand */
} Subcommand;

static const Subcommand subcommands[] = {
  { "keygen", "MODULE.so|KEYGEN.legacy",
    "a module that makes serials (host/keygen.h), or an old library that does", check_keygen, NULL },
  { "function", "MODULE.so", "a module of protected functions (host/function.h)", check_function, NULL },
  { "function run", "MODULE.so FUNCTION [ARGUMENT] [OPTION...]",
    "one call as a host makes it, with data that stays", NULL, check_function_run },
  { "legacy", "PLUGIN.legacy", "an untouched library with its descriptor", check_legacy, NULL },
  { "native", "PLUGIN.plugin", "a plugin for host/plugin.h with its descriptor", check_native, NULL },
  { "pack", "FOLDER --key FILE -o FILE [--restricted]", "makes a signed package of a plugin's folder", NULL,
    check_pack },
  { "keygen-key", "FILE", "makes an Ed25519 key to sign packages with, and shows its public part", NULL,
    check_keygen_key },
};

static int
print_usage (FILE *out, CheckExit result)
{
  fputs ("usage: host-module-check COMMAND FILE [OPTION...]\n", out);
  for (gsize i = 0; i < G_N_ELEMENTS (subcommands); i++)
    fprintf (out, "  %s %s\n      %s\n", subcommands[i].name, subcommands[i].arguments, subcommands[i].help);
  fputs ("options of the first four:\n"
         "  --json            one JSON object instead of lines\n"
         "  --seeds=N         keygen: how many seeds must give different serials (10000)\n"
         "  --manifest=FILE   function: the plugin's manifest, whose [Functions] names= are called\n"
         "  --names=A,B       function: instead of the manifest's\n"
         "  --call=TEXT       function: FUNCTION or 'FUNCTION ARGUMENT'; again for more\n"
         "  --resources=PATH  function: a folder of resources, or a list of them\n"
         "  --calls=N         function: how many are made (1000)\n"
         "  --deadline=MS     of one call on the server (5000)\n"
         "  --memory=MIB      on the server (128)\n"
         "  --serial=TEXT     plugin: check the licence with this serial, and start\n"
         "  --uid=N           as root: the user vendor code runs as\n",
         out);
  return result;
}

/* One of two words comes before one of its first word alone; *@n_words is how many it has. */
static const Subcommand *
find_subcommand (int argc, char **argv, int *n_words)
{
  for (*n_words = MIN (argc - 1, 2); *n_words > 0; --*n_words)
    {
      g_autofree char *name = *n_words == 2 ? g_strconcat (argv[1], " ", argv[2], NULL) : g_strdup (argv[1]);
      for (gsize i = 0; i < G_N_ELEMENTS (subcommands); i++)
        if (strcmp (subcommands[i].name, name) == 0)
          return &subcommands[i];
    }
  return NULL;
}

Object *
check_object (const char *path, Report *report)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GMappedFile) file = g_mapped_file_new (path, FALSE, &error);
  g_autofree char *why = NULL;
  Object *object = NULL;
  if (file == NULL)
    why = g_strdup (error->message);
  else if (g_mapped_file_get_length (file) > OBJECT_MAX_BYTES)
    why = g_strdup ("it is larger than 64 MiB");
  else
    object = object_read ((const guint8 *)g_mapped_file_get_contents (file), g_mapped_file_get_length (file),
                          &why);
  if (object == NULL)
    {
      report_add (report, REPORT_FAILED, "object", "%s", why);
      return NULL;
    }
  g_ptr_array_add (object->needed, NULL);
  g_autofree char *needed = g_strjoinv (" ", (char **)object->needed->pdata);
  g_ptr_array_set_size (object->needed, (int)object->needed->len - 1);
  report_add (report, REPORT_OK, "object", "a shared object of this machine; needs %s",
              needed[0] != '\0' ? needed : "nothing");
  return object;
}

typedef struct
{
  gboolean is_json;
  gint64 seeds;
  gint64 deadline_ms;
  gint64 memory_mib;
  gint64 uid;
  gint64 n_calls;
  char *serial, *manifest, *names, *resources;
  char **calls;
} Arguments;

static gboolean
read_arguments (int *argc, char ***argv, Arguments *arguments)
{
  const GOptionEntry entries[] = {
    { "json", 0, 0, G_OPTION_ARG_NONE, &arguments->is_json, NULL, NULL },
    { "seeds", 0, 0, G_OPTION_ARG_INT64, &arguments->seeds, NULL, NULL },
    { "deadline", 0, 0, G_OPTION_ARG_INT64, &arguments->deadline_ms, NULL, NULL },
    { "memory", 0, 0, G_OPTION_ARG_INT64, &arguments->memory_mib, NULL, NULL },
    { "uid", 0, 0, G_OPTION_ARG_INT64, &arguments->uid, NULL, NULL },
    { "serial", 0, 0, G_OPTION_ARG_STRING, &arguments->serial, NULL, NULL },
    { "manifest", 0, 0, G_OPTION_ARG_FILENAME, &arguments->manifest, NULL, NULL },
    { "names", 0, 0, G_OPTION_ARG_STRING, &arguments->names, NULL, NULL },
    { "resources", 0, 0, G_OPTION_ARG_FILENAME, &arguments->resources, NULL, NULL },
    { "call", 0, 0, G_OPTION_ARG_STRING_ARRAY, &arguments->calls, NULL, NULL },
    { "calls", 0, 0, G_OPTION_ARG_INT64, &arguments->n_calls, NULL, NULL },
    { NULL },
  };
  g_autoptr (GError) error = NULL;
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_option_context_set_help_enabled (context, FALSE);
  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, argc, argv, &error))
    {
      fprintf (stderr, "host-module-check: %s\n", error->message);
      return FALSE;
    }
  return arguments->seeds > 0 && arguments->seeds <= MAX_SEEDS && arguments->n_calls > 0
         && arguments->n_calls <= MAX_CALLS && arguments->deadline_ms >= 10 && arguments->deadline_ms <= 60000
         && arguments->memory_mib >= 16 && arguments->memory_mib <= 4096 && arguments->uid >= 0
         && arguments->uid < G_MAXUINT32;
}

static int
check_file (const Subcommand *subcommand, const char *file, const Arguments *arguments)
{
  const CheckOptions options = { .file = file,
                                 .serial = arguments->serial,
                                 .uid = (uid_t)arguments->uid,
                                 .n_seeds = (guint)arguments->seeds,
                                 .manifest = arguments->manifest,
                                 .names = arguments->names,
                                 .resources = arguments->resources,
                                 .calls = arguments->calls,
                                 .n_calls = (guint)arguments->n_calls,
                                 .deadline_ms = (guint)arguments->deadline_ms,
                                 .memory_bytes = arguments->memory_mib << 20 };
  g_autoptr (Report) report = report_new (subcommand->name, file);
  g_autofree char *problem = NULL;
  if (!subcommand->check (&options, report, &problem))
    {
      fprintf (stderr, "host-module-check: %s\n", problem);
      return CHECK_USAGE;
    }
  report_print (report, arguments->is_json);
  return report_is_fine (report) ? CHECK_GOOD : CHECK_REFUSED;
}

int
main (int argc, char **argv)
{
  setlocale (LC_ALL, "");
  if (argc > 1 && (strcmp (argv[1], "--help") == 0 || strcmp (argv[1], "help") == 0))
    return print_usage (stdout, CHECK_GOOD);
  int n_words;
  const Subcommand *subcommand = find_subcommand (argc, argv, &n_words);
  if (subcommand == NULL)
    return print_usage (stderr, CHECK_USAGE);
  if (subcommand->run != NULL)
    return (int)subcommand->run (argc - n_words, argv + n_words);

  Arguments arguments = { .seeds = 10000,
                          .n_calls = 1000,
                          .deadline_ms = 5000,
                          .memory_mib = 128,
                          .uid = geteuid () == 0 ? CHECK_OWN_USER : 0 };
  int result = read_arguments (&argc, &argv, &arguments) && argc == 3
                   ? check_file (subcommand, argv[2], &arguments)
                   : print_usage (stderr, CHECK_USAGE);
  g_free (arguments.serial);
  g_free (arguments.manifest);
  g_free (arguments.names);
  g_free (arguments.resources);
  g_strfreev (arguments.calls);
  return result;
}
