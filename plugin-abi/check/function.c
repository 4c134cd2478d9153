/* A module of protected functions (host/function.h): does it load, know the functions that its manifest
 * names, say and keep the same twice, bear whatever a caller sends, and never fall over? */
#include "common/module/function-frames.h"
#include "common/module/resource-file.h"
#include "common/module/resource-image.h"
#include "plugin-abi/check/calls.h"
#include "plugin-abi/check/imports.h"
#include "plugin-abi/include/host/function.h"

#include <string.h>

#define MAX_NAMES 64 /* of a manifest */
/* Nobody's function has this name. */
#define UNKNOWN_NAME "host-module-check.unknown"
#define SHOWN_BYTES  80

/* How a call ended, and what it would keep. */
typedef struct
{
  FunctionOutcome outcome;
  char *text;         /* one line: the result, or why there is none */
  char *trace;        /* of everything that must be the same in a second run */
  GHashTable *writes; /* key → GBytes, NULL forgets it */
} Ending;

/* A call that the vendor asked for, or of a name with no argument. */
typedef struct
{
  char *function;
  GBytes *argument;
  gboolean is_given;
  GHashTable *before; /* the user's data when it is made: key → GBytes */
  Ending first;
} Asked;

typedef struct
{
  Calls calls;
  GPtrArray *names; /* char *, as declared */
  GPtrArray *asked; /* of Asked */
  GPtrArray *files; /* of ResourceFile; NULL: none */
  ResourceImage *image;

  /* of the call that runs */
  GHashTable *data;
  GHashTable *writes;
  guint n_operations;
} FunctionCheck;

static void
unref_value (gpointer value)
{
  if (value != NULL)
    g_bytes_unref (value);
}

static GHashTable *
new_data (void)
{
  return g_hash_table_new_full (g_str_hash, g_str_equal, g_free, unref_value);
}

static void
ending_clear (Ending *ending)
{
  g_clear_pointer (&ending->text, g_free);
  g_clear_pointer (&ending->trace, g_free);
  g_clear_pointer (&ending->writes, g_hash_table_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Ending, ending_clear)

static void
asked_free (gpointer data)
{
  Asked *asked = data;
  g_free (asked->function);
  g_bytes_unref (asked->argument);
  g_clear_pointer (&asked->before, g_hash_table_unref);
  ending_clear (&asked->first);
  g_free (asked);
}

/* --- what a call asks: data that lasts as long as the check --- */

static FunctionGet
on_get (const char *key, GBytes **value, gpointer data)
{
  FunctionCheck *check = data;
  gpointer found;
  if (!g_hash_table_lookup_extended (check->writes, key, NULL, &found))
    found = g_hash_table_lookup (check->data, key);
  *value = found != NULL ? g_bytes_ref (found) : NULL;
  return found != NULL ? FUNCTION_GET_FOUND : FUNCTION_GET_ABSENT;
}

static gboolean
on_put (const char *key, const void *value, gsize length, gpointer data)
{
  FunctionCheck *check = data;
  g_hash_table_replace (check->writes, g_strdup (key), value != NULL ? g_bytes_new (value, length) : NULL);
  return TRUE;
}

static void
on_ask (const Frame *asked, Frame *answer, gpointer data)
{
  static const FunctionModuleEvents events = { .get = on_get, .put = on_put };
  FunctionCheck *check = data;
  function_ask_answer (asked, answer, &check->n_operations, &events, check);
}

/* @data as it is after @writes. */
static GHashTable *
apply (GHashTable *data, GHashTable *writes)
{
  GHashTable *after = new_data ();
  GHashTable *parts[] = { data, writes };
  for (gsize i = 0; i < G_N_ELEMENTS (parts); i++)
    {
      GHashTableIter iter;
      gpointer key, value;
      g_hash_table_iter_init (&iter, parts[i]);
      while (g_hash_table_iter_next (&iter, &key, &value))
        if (value != NULL)
          g_hash_table_replace (after, g_strdup (key), g_bytes_ref (value));
        else
          g_hash_table_remove (after, key);
    }
  return after;
}

/* --- one call --- */

/* Bytes as they may be shown: a line of text, or how many they are. */
static char *
show (const void *bytes, gsize length)
{
  g_autofree char *text = g_strndup (bytes != NULL ? bytes : "", MIN (length, SHOWN_BYTES));
  const char *end;
  if (memchr (bytes != NULL ? bytes : "", '\0', length) != NULL
      || (!g_utf8_validate (text, -1, &end) && (length <= SHOWN_BYTES || end < text + SHOWN_BYTES - 3)))
    return g_strdup_printf ("%zu bytes", length);
  return g_strdup_printf ("'%s'%s", text, length > SHOWN_BYTES ? "…" : "");
}

/* The whole of an ending, to be compared. */
static char *
trace_ending (const FunctionModuleResult *result, GHashTable *writes)
{
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);
  g_autoptr (GList) keys = g_list_sort (g_hash_table_get_keys (writes), (GCompareFunc)strcmp);
  g_autofree char *head = g_strdup_printf ("%d %s %zu ", result->outcome,
                                           result->word != NULL ? result->word : "", result->n_output);
  g_checksum_update (checksum, (const guchar *)head, -1);
  g_checksum_update (checksum, result->output, (gssize)result->n_output);
  for (GList *each = keys; each != NULL; each = each->next)
    {
      GBytes *value = g_hash_table_lookup (writes, each->data);
      gsize length = 0;
      const guchar *bytes = value != NULL ? g_bytes_get_data (value, &length) : NULL;
      g_autofree char *key = g_strdup_printf ("\n%s %s %zu ", value != NULL ? "put" : "forget",
                                              (const char *)each->data, length);
      g_checksum_update (checksum, (const guchar *)key, -1);
      if (length > 0)
        g_checksum_update (checksum, bytes, (gssize)length);
    }
  return g_strdup (g_checksum_get_string (checksum));
}

static void
read_ending (FunctionCheck *check, Ending *ending)
{
  FunctionModuleResult result
      = { .outcome = FUNCTION_FAILED, .reason = "the runner could not carry out the call" };
  const Frame *answer = carrier_peek_answer (check->calls.carrier);
  FrameReader reader;
  frame_read (&reader, answer);
  gboolean is_sensible = answer->header.status == FRAME_STATUS_OK && function_answer_read (&reader, &result);
  g_autofree char *shown = show (result.output, result.n_output);
  ending->outcome = result.outcome;
  if (!is_sensible)
    {
      ending->text = g_strdup (result.reason);
      calls_note_fault (&check->calls, result.reason);
    }
  else
    ending->text = result.outcome == FUNCTION_OK ? g_steal_pointer (&shown)
                                                 : g_strdup_printf ("%s, %s", result.word, shown);
  ending->trace = trace_ending (&result, check->writes);
  ending->writes = g_hash_table_ref (check->writes);
}

/* Makes a call with @data kept so far; everything in it is the same each time. */
static void
make (FunctionCheck *check, const char *function, GBytes *argument, GHashTable *data, Ending *ending)
{
  static const guint8 seed[32] = "host-module-check's fixed chance";
  g_autofree Frame *frame = g_new (Frame, 1);
  gsize length;
  const guint8 *bytes = g_bytes_get_data (argument, &length);
  FunctionModuleRequest request = { .function = function,
                                    .user = "k3q7a2m5c4d6e7f2g3h4i5j6k7",
                                    .application = "application",
                                    .request = "check",
                                    .argument = bytes,
                                    .n_argument = length,
                                    .now_s = 1764000000 };
  function_request_put (frame, &request, check->calls.options->deadline_ms, seed);
  check->data = data;
  check->n_operations = 0;
  check->writes = new_data ();
  *ending = (Ending){ .outcome = FUNCTION_FAILED };
  if (calls_make (&check->calls, frame))
    read_ending (check, ending);
  else
    ending->text = g_strdup (carrier_get_reason (check->calls.carrier));
  g_clear_pointer (&check->writes, g_hash_table_unref);
}

/* --- what is to be called --- */

static gboolean
add_names (FunctionCheck *check, const char *text)
{
  g_auto (GStrv) words = g_strsplit_set (text, ",;", -1);
  for (gsize i = 0; words[i] != NULL; i++)
    {
      const char *name = g_strstrip (words[i]);
      if (name[0] != '\0' && !g_ptr_array_find_with_equal_func (check->names, name, g_str_equal, NULL))
        g_ptr_array_add (check->names, g_strdup (name));
    }
  return check->names->len > 0 && check->names->len <= MAX_NAMES;
}

/* NULL, or what is wrong (the caller frees it). What a host says of the rest of the manifest, `function run`
 * says. */
static char *
read_names (FunctionCheck *check)
{
  const CheckOptions *options = check->calls.options;
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autoptr (GError) error = NULL;
  g_autofree char *text = g_strdup (options->names);
  if (options->manifest != NULL
      && (!g_key_file_load_from_file (file, options->manifest, G_KEY_FILE_NONE, &error)
          || (text == NULL && (text = g_key_file_get_string (file, "Functions", "names", &error)) == NULL)))
    return g_strdup_printf ("%s: %s", options->manifest, error->message);
  if (text != NULL && !add_names (check, text))
    return g_strdup ("names: 1 to 64 of them");
  return NULL;
}

static void
add_asked (FunctionCheck *check, const char *function, const char *argument, gboolean is_given)
{
  Asked *asked = g_new0 (Asked, 1);
  asked->function = g_strdup (function);
  asked->argument = g_bytes_new (argument, strlen (argument));
  asked->is_given = is_given;
  g_ptr_array_add (check->asked, asked);
}

/* "FUNCTION" or "FUNCTION ARGUMENT"; then the names that none of them has. */
static void
list_calls (FunctionCheck *check)
{
  char *const *given = check->calls.options->calls;
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  for (gsize i = 0; given != NULL && given[i] != NULL; i++)
    {
      const char *blank = strchr (given[i], ' ');
      char *function = blank != NULL ? g_strndup (given[i], (gsize)(blank - given[i])) : g_strdup (given[i]);
      add_asked (check, function, blank != NULL ? blank + 1 : "", TRUE);
      g_hash_table_add (seen, function);
    }
  for (guint i = 0; i < check->names->len; i++)
    if (!g_hash_table_contains (seen, check->names->pdata[i]))
      add_asked (check, check->names->pdata[i], "", FALSE);
}

static gboolean
read_resources (FunctionCheck *check)
{
  const char *path = check->calls.options->resources;
  Report *report = check->calls.report;
  g_autoptr (GError) error = NULL;
  gsize n_bytes = 0;
  if (path == NULL)
    return TRUE;
  check->files = resource_files_read (path, &error);
  check->image = check->files != NULL ? resource_image_begin () : NULL;
  for (guint i = 0; check->files != NULL && i < check->files->len; i++)
    {
      const ResourceFile *file = check->files->pdata[i];
      n_bytes += g_bytes_get_size (file->bytes);
      resource_image_add (check->image, file->name, g_bytes_get_size (file->bytes), file->is_open);
    }
  gboolean is_made = check->image != NULL && resource_image_lay_out (check->image, &error);
  for (guint i = 0; is_made && i < check->files->len; i++)
    {
      gsize length;
      const void *bytes = g_bytes_get_data (((ResourceFile *)check->files->pdata[i])->bytes, &length);
      is_made = resource_image_write (check->image, i, bytes, length, &error);
    }
  if (!is_made || !resource_image_seal (check->image, &error))
    {
      report_add (report, REPORT_FAILED, "resources", "%s", error->message);
      return FALSE;
    }
  report_add_figure (report, REPORT_OK, "resources", "bytes", (double)n_bytes, "%u of %zu bytes together",
                     check->files->len, n_bytes);
  check->calls.attachment = resource_image_get_fd (check->image);
  return TRUE;
}

/* --- the rows --- */

/* Makes each call once, in their order, each with what those before it kept. */
static void
make_first (FunctionCheck *check)
{
  GHashTable *data = new_data ();
  for (guint i = 0; i < check->asked->len && calls_may_go_on (&check->calls); i++)
    {
      Asked *asked = check->asked->pdata[i];
      asked->before = g_hash_table_ref (data);
      make (check, asked->function, asked->argument, data, &asked->first);
      if (asked->first.outcome != FUNCTION_OK)
        continue;
      GHashTable *after = apply (data, asked->first.writes);
      g_hash_table_unref (data);
      data = after;
    }
  g_hash_table_unref (data);
}

/* By a name that no host calls it by: there it may fail as it likes. */
static void
make_forgiven (FunctionCheck *check, const char *function, const Asked *asked, Ending *ending)
{
  Calls *calls = &check->calls;
  guint n_faults = calls->n_faults;
  char *first_fault = g_steal_pointer (&calls->first_fault);
  make (check, function, asked->argument, asked->before, ending);
  g_free (calls->first_fault);
  calls->first_fault = first_fault;
  calls->n_faults = n_faults;
}

static gboolean
is_declared (const FunctionCheck *check, const char *function)
{
  return check->names->len == 0
         || g_ptr_array_find_with_equal_func (check->names, function, g_str_equal, NULL);
}

static void
append_name (GString *list, const char *function, const char *remark)
{
  g_string_append_printf (list, "%s%s%s", list->len > 0 ? "; " : "", function, remark);
}

/* A function that the module does not have is refused as one that nobody has. */
static void
check_names (FunctionCheck *check)
{
  g_autoptr (GString) missing = g_string_new (NULL);
  g_autoptr (GString) unclear = g_string_new (NULL);
  for (guint i = 0; i < check->asked->len && calls_may_go_on (&check->calls); i++)
    {
      Asked *asked = check->asked->pdata[i];
      g_auto (Ending) unknown = { 0 };
      if (!is_declared (check, asked->function))
        append_name (missing, asked->function, ", which the manifest does not name");
      else if (asked->first.trace != NULL && asked->first.outcome != FUNCTION_OK)
        make_forgiven (check, UNKNOWN_NAME, asked, &unknown);
      if (unknown.trace != NULL && g_str_equal (unknown.trace, asked->first.trace))
        append_name (asked->is_given ? missing : unclear, asked->function, "");
    }
  g_ptr_array_add (check->names, NULL);
  g_autofree char *names = g_strjoinv (", ", (char **)check->names->pdata);
  g_ptr_array_set_size (check->names, (int)check->names->len - 1);
  Report *report = check->calls.report;
  if (missing->len > 0)
    report_add (report, REPORT_FAILED, "functions", "not there: %s", missing->str);
  else if (unclear->len > 0)
    report_add (report, REPORT_WARNING, "functions",
                "refused like a name that no module has: %s; give a --call that it serves", unclear->str);
  else
    report_add (report, REPORT_OK, "functions", "%s",
                check->names->len > 0 ? names : "those that were called");
}

static void
check_answers (FunctionCheck *check)
{
  ReportVerdict verdict = REPORT_OK;
  g_autoptr (GString) text = g_string_new (NULL);
  for (guint i = 0; i < check->asked->len; i++)
    {
      const Asked *asked = check->asked->pdata[i];
      if (asked->first.text == NULL)
        continue;
      g_string_append_printf (text, "%s%s: %s", text->len > 0 ? "; " : "", asked->function,
                              asked->first.text);
      if (asked->first.outcome != FUNCTION_OK && asked->first.outcome != FUNCTION_REFUSED)
        verdict = REPORT_FAILED;
      else if (asked->first.outcome == FUNCTION_REFUSED && asked->is_given && verdict == REPORT_OK)
        verdict = REPORT_WARNING;
    }
  report_add (check->calls.report, verdict, "answer", "%s", text->str);
}

/* Makes every call that went well again. FALSE: one did not end well now. */
static gboolean
repeat (FunctionCheck *check, GHashTable *different)
{
  for (guint i = 0; i < check->asked->len; i++)
    {
      Asked *asked = check->asked->pdata[i];
      g_auto (Ending) again = { 0 };
      if (asked->first.outcome != FUNCTION_OK)
        continue;
      make (check, asked->function, asked->argument, asked->before, &again);
      if (again.trace == NULL)
        return FALSE;
      if (!g_str_equal (again.trace, asked->first.trace))
        g_hash_table_add (different, asked->function);
    }
  return TRUE;
}

/* The same argument, data, time and chance: a function need not say the same then, but one that does not
 * takes something from elsewhere. */
static void
check_determinism (FunctionCheck *check, char **problem)
{
  Report *report = check->calls.report;
  g_autoptr (GHashTable) different = g_hash_table_new (g_str_hash, g_str_equal);
  guint n = 0;
  for (guint i = 0; i < check->asked->len; i++)
    n += ((Asked *)check->asked->pdata[i])->first.outcome == FUNCTION_OK;
  gboolean is_whole = n > 0 && calls_may_go_on (&check->calls) && repeat (check, different);
  if (is_whole)
    {
      g_usleep (1100 * 1000); /* the second, for those that take it from time() */
      g_autofree char *failure = calls_load (&check->calls, problem);
      is_whole = failure == NULL && *problem == NULL && repeat (check, different);
    }
  g_autofree char **names = (char **)g_hash_table_get_keys_as_array (different, NULL);
  g_autofree char *list = g_strjoinv (", ", names);
  if (!is_whole)
    report_add (report, REPORT_SKIPPED, "determinism",
                n > 0 ? "a call did not end well" : "no call ended well");
  else if (list[0] != '\0')
    report_add (
        report, REPORT_WARNING, "determinism",
        "another result, or other data, when made again with the same argument, data, time and chance: %s",
        list);
  else
    report_add (report, REPORT_OK, "determinism",
                "%u calls gave the same result and kept the same in two processes", n);
}

/* What any caller may send: nothing, every byte, as much as there is room for. */
static void
send_nasty (FunctionCheck *check)
{
  static const guint fills[] = { 'x', 0, 0xff, '9', ' ' };
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GHashTable) nothing = new_data ();
  for (guint i = 0; i < check->asked->len; i++)
    {
      const char *function = ((Asked *)check->asked->pdata[i])->function;
      if (!g_hash_table_add (seen, (char *)function))
        continue;
      for (gsize k = 0; k < 2 * G_N_ELEMENTS (fills) + 2 && calls_may_go_on (&check->calls); k++)
        {
          g_auto (Ending) ending = { 0 };
          guint8 bytes[HOST_FUNCTION_MAX];
          gsize length = k == 0 ? 0 : k == 1 ? 256 : k % 2 == 0 ? HOST_FUNCTION_MAX : 1;
          for (gsize at = 0; at < length; at++)
            bytes[at] = (guint8)(k == 1 ? at : fills[(k - 2) / 2]);
          g_autoptr (GBytes) argument = g_bytes_new (bytes, length);
          make (check, function, argument, nothing, &ending);
        }
    }
}

static void
make_many (FunctionCheck *check)
{
  guint n = check->calls.options->n_calls;
  for (guint i = 0; i < n && calls_may_go_on (&check->calls); i++)
    {
      Asked *asked = check->asked->pdata[i % check->asked->len];
      g_auto (Ending) ending = { 0 };
      if (asked->before != NULL)
        make (check, asked->function, asked->argument, asked->before, &ending);
    }
}

/* What needs a loaded module. */
static void
check_loaded (FunctionCheck *check, char **problem)
{
  if (check->asked->len == 0)
    {
      report_add (check->calls.report, REPORT_SKIPPED, "functions",
                  "none to call: give --manifest, --names or --call");
      return;
    }
  make_first (check);
  check_names (check);
  check_answers (check);
  check_determinism (check, problem);
  if (*problem != NULL)
    return;
  send_nasty (check);
  make_many (check);
  calls_report (&check->calls);
}

gboolean
check_function (const CheckOptions *options, Report *report, char **problem)
{
  static const ImportsGrant grant = { .is_server = TRUE };
  static const char *const needed[] = { "host_module_abi", "host_function", NULL };
  static const CarrierAsks asks = { .grants = FRAME_GRANT_USER_DATA, .answer = on_ask };
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GPtrArray) asked = g_ptr_array_new_with_free_func (asked_free);
  FunctionCheck check = { .names = names, .asked = asked };
  check.calls = (Calls){ .options = options,
                         .report = report,
                         .kind = "function",
                         .object = options->file,
                         .attachment = -1,
                         .asks = &asks,
                         .asks_data = &check };
  *problem = read_names (&check);
  if (*problem != NULL)
    return FALSE;
  list_calls (&check);
  g_autoptr (Object) object = check_object (options->file, report);
  if (object == NULL)
    return TRUE;
  calls_check_exports (object, needed, report);
  imports_check (object, &grant, report);
  calls_begin (&check.calls);
  if (read_resources (&check) && calls_load_first (&check.calls, problem))
    check_loaded (&check, problem);
  calls_clear (&check.calls);
  resource_image_free (check.image);
  g_clear_pointer (&check.files, g_ptr_array_unref);
  return *problem == NULL;
}
