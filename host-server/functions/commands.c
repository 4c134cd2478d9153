/* hostctl's commands for functions and resources. */
#include "common/base/clock.h"
#include "common/base/id.h"
#include "common/protocol/function.h"
#include "host-server/core/applications.h"
#include "host-server/core/control.h"
#include "host-server/functions/room.h"
#include "host-server/store/accounts.h"

#include <string.h>

#define LOG_LINES_SHOWN 100

typedef struct
{
  Functions *functions;
  ControlCall *call;
  json_t *rows;
  char *application;
  char *name;
  gint64 most_bytes;
  gint64 version;
  gint64 n_lines;
  gboolean is_found;
} Command;

static Command *
command_new (Functions *functions, ControlCall *call, const char *application)
{
  Command *command = g_new0 (Command, 1);
  command->functions = functions;
  command->call = call;
  command->application = g_strdup (application);
  return command;
}

static void
command_free (Command *command)
{
  json_decref (command->rows);
  g_free (command->application);
  g_free (command->name);
  g_free (command);
}

static json_t *
time_json (gint64 wall_us)
{
  g_autofree char *text = clock_dup_rfc3339 (wall_us);
  return json_string (text);
}

static gboolean
finish_query (GError *local, GError **error)
{
  if (local == NULL)
    return TRUE;
  g_propagate_error (error, local);
  return FALSE;
}

static void
send_rows (gpointer data, const GError *error)
{
  Command *command = data;
  gsize i;
  json_t *row;
  if (error != NULL)
    control_call_refuse (command->call, "cannot read: %s", error->message);
  else
    {
      json_array_foreach (command->rows, i, row) control_call_take_row (command->call, json_incref (row));
      control_call_done (command->call);
    }
  command_free (command);
}

/* The application that the call names; NULL, and refused, if there is none. */
static FunctionApplication *
need_application (Functions *functions, ControlCall *call)
{
  g_autoptr (GError) error = NULL;
  const char *id = control_call_get_text (call, "APPLICATION");
  FunctionApplication *application = functions_find_application (functions, id, &error);
  if (error != NULL)
    control_call_refuse (call, "cannot read: %s", error->message);
  else if (application == NULL)
    control_call_refuse (call, "there is no application '%s' with functions", id);
  return application;
}

/* function list */

static gboolean
list_applications (Db *db, gpointer data, GError **error)
{
  Command *command = data;
  GError *local = NULL;
  command->rows = json_array ();
  g_autoptr (DbQuery) query = db_query (db,
                                        "SELECT a.application, a.manifest, (SELECT COUNT (*) FROM "
                                        "function_space s WHERE s.application = a.application),"
                                        " (SELECT COALESCE (SUM (LENGTH (r.value)), 0) FROM "
                                        "function_resource r WHERE r.application = a.application)"
                                        " FROM function_application a ORDER BY a.application",
                                        "");
  while (db_next (query, &local))
    {
      g_autoptr (FunctionManifest) manifest = function_manifest_parse (db_get_text (query, 1), error);
      if (manifest == NULL)
        return FALSE;
      g_autofree char *names = g_strjoinv (",", manifest->names);
      json_array_append_new (command->rows,
                             json_pack ("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:i, s:i}", "application",
                                        db_get_text (query, 0), "module", manifest->module, "names", names,
                                        "users", (json_int_t)db_get_int (query, 2), "user-data",
                                        (json_int_t)manifest->user_bytes, "resources",
                                        (json_int_t)db_get_int (query, 3), "application-data",
                                        (json_int_t)manifest->application_bytes, "concurrency",
                                        (int)manifest->concurrency, "rate", (int)manifest->rate));
    }
  return finish_query (local, error);
}

/* On the main context, which knows what runs now. */
static void
send_applications (gpointer data, const GError *error)
{
  Command *command = data;
  gsize i;
  json_t *row;
  if (error == NULL)
    json_array_foreach (command->rows, i, row)
    {
      SchedulerLoad load = scheduler_get_load (command->functions->scheduler,
                                               json_string_value (json_object_get (row, "application")));
      json_object_set_new (row, "running", json_integer (load.n_running));
      json_object_set_new (row, "waiting", json_integer (load.n_waiting));
    }
  send_rows (data, error);
}

static void
list_functions (ControlCall *call, gpointer data)
{
  Functions *functions = data;
  store_read (functions->server->store, STORE_MARKET, list_applications, send_applications,
              command_new (functions, call, NULL));
}

/* function call */

static const char *
word_of (const FunctionAnswer *answer)
{
  switch (answer->kind)
    {
    case FUNCTION_ANSWER_BAD_REQUEST:
      return "bad request";
    case FUNCTION_ANSWER_NOT_FOUND:
      return "there is no such application, function, key or resource";
    case FUNCTION_ANSWER_FORBIDDEN:
      return "the user is not licensed for it";
    case FUNCTION_ANSWER_CONFLICT:
      return "the request had another function or argument";
    case FUNCTION_ANSWER_LIMIT:
      return "limit exceeded";
    case FUNCTION_ANSWER_FAILED:
      return "the function failed";
    case FUNCTION_ANSWER_FAULT:
      return answer->error->message;
    case FUNCTION_ANSWER_OK:
      break;
    }
  return "";
}

static void
called (const FunctionAnswer *answer, gpointer data)
{
  Command *command = data;
  if (answer->kind == FUNCTION_ANSWER_OK)
    {
      gsize length;
      const char *bytes = g_bytes_get_data (answer->result, &length);
      gboolean is_text = function_bytes_are_text (answer->result);
      g_autofree char *encoded
          = is_text ? g_strndup (bytes, length) : g_base64_encode ((const guchar *)bytes, length);
      control_call_done_with (command->call,
                              json_pack ("{s:s, s:s, s:s}", "request", command->name, "encoding",
                                         is_text ? "text" : "base64", "result", encoded));
    }
  else
    control_call_refuse (command->call, "cannot call: %s%s%s%s%s", word_of (answer),
                         answer->word != NULL ? ": " : "", answer->word != NULL ? answer->word : "",
                         answer->told != NULL && answer->told[0] != '\0' ? ": " : "",
                         answer->told != NULL ? answer->told : "");
  command_free (command);
}

static gboolean
find_account (Functions *functions, const char *user, char uuid[37])
{
  const char *domain = jid_get_domain (functions->server->domain);
  g_autofree char *address
      = strchr (user, '@') != NULL ? g_strdup (user) : g_strconcat (user, "@", domain, NULL);
  g_autoptr (Jid) jid = jid_new (address, strlen (address));
  return jid != NULL && jid_get_local (jid) != NULL && jid_get_resource (jid) == NULL
         && g_str_equal (jid_get_domain (jid), domain)
         && accounts_find_uuid (functions->server->store, jid_get_local (jid), uuid);
}

static void
call_function (ControlCall *call, gpointer data)
{
  Functions *functions = data;
  char uuid[37];
  const char *user = control_call_get_text (call, "USER");
  const char *argument = control_call_get_text (call, "ARGUMENT");
  const char *request = control_call_get_text (call, "--request");
  if (!find_account (functions, user, uuid))
    {
      control_call_refuse (call, "there is no user '%s'", user);
      return;
    }
  if (request != NULL && strlen (request) > FUNCTION_MAX_REQUEST)
    {
      control_call_refuse (call, "--request: at most %u bytes", FUNCTION_MAX_REQUEST);
      return;
    }
  Command *command = command_new (functions, call, control_call_get_text (call, "APPLICATION"));
  g_autoptr (GBytes) bytes
      = g_bytes_new (argument != NULL ? argument : "", argument != NULL ? strlen (argument) : 0);
  command->name = request != NULL ? g_strdup (request) : id_new_uuid7 (functions->server->clock);
  FunctionAsk ask = { .account = uuid,
                      .application = command->application,
                      .function = control_call_get_text (call, "FUNCTION"),
                      .request = command->name,
                      .argument = bytes };
  functions_call (functions, &ask, called, command);
}

/* function log */

static gboolean
list_lines (Db *db, gpointer data, GError **error)
{
  Command *command = data;
  GError *local = NULL;
  command->rows = json_array ();
  g_autoptr (DbQuery) query
      = db_query (db,
                  "SELECT at_us, level, function, user, text FROM function_log WHERE application = ?"
                  " ORDER BY id DESC LIMIT ?",
                  "si", command->application, command->n_lines);
  while (db_next (query, &local))
    json_array_insert_new (command->rows, 0,
                           json_pack ("{s:o, s:s, s:s, s:s, s:s}", "at", time_json (db_get_int (query, 0)),
                                      "level", db_get_text (query, 1), "function", db_get_text (query, 2),
                                      "user", db_get_text (query, 3), "text", db_get_text (query, 4)));
  return finish_query (local, error);
}

static void
show_log (ControlCall *call, gpointer data)
{
  Functions *functions = data;
  gint64 n_lines = LOG_LINES_SHOWN;
  const char *lines = control_call_get_text (call, "--lines");
  if (lines != NULL && !g_ascii_string_to_signed (lines, 10, 1, 100000, &n_lines, NULL))
    {
      control_call_refuse (call, "--lines: a number from 1 to 100000");
      return;
    }
  Command *command = command_new (functions, call, control_call_get_text (call, "APPLICATION"));
  command->n_lines = n_lines;
  store_read (functions->server->store, STORE_CHAT, list_lines, send_rows, command);
}

/* resource put, list, remove */

static gboolean
put_work (Db *db, gpointer data, GError **error)
{
  Command *command = data;
  ControlCall *call = command->call;
  ResourcePut put = { .application = command->application,
                      .name = command->name,
                      .is_open = control_call_has_flag (call, "--open"),
                      .most_bytes = command->most_bytes,
                      .now_us = clock_get_wall_us (command->functions->server->clock) };
  put.kind = control_call_get_text (call, "--kind");
  if (put.kind == NULL)
    put.kind = resource_guess_kind (control_call_get_file_path (call, "FILE"));
  put.bytes = control_call_get_file (call, "FILE", &put.length);
  return resource_put (db, &put, &command->version, error);
}

static void
put_done (gpointer data, const GError *error)
{
  Command *command = data;
  if (error != NULL)
    control_call_refuse (command->call, "cannot put '%s': %s", command->name, error->message);
  else if (command->version == 0)
    control_call_refuse (command->call,
                         "cannot put '%s': the application's data may have %" G_GINT64_FORMAT
                         " bytes; [Functions] application_data says so",
                         command->name, command->most_bytes);
  else
    {
      applications_changed (command->functions->server->applications, command->application);
      control_call_done_with (command->call,
                              json_pack ("{s:s, s:s, s:I}", "application", command->application, "resource",
                                         command->name, "version", (json_int_t)command->version));
    }
  command_free (command);
}

static void
put_resource (ControlCall *call, gpointer data)
{
  Functions *functions = data;
  const char *name = control_call_get_text (call, "NAME");
  const char *kind = control_call_get_text (call, "--kind");
  FunctionApplication *application = need_application (functions, call);
  if (application == NULL)
    return;
  if (!resource_name_is_valid (name))
    {
      control_call_refuse (call, "cannot put '%s': a name is 1 to %d printable characters without spaces",
                           name, RESOURCE_MAX_NAME);
      return;
    }
  if (kind == NULL)
    kind = resource_guess_kind (control_call_get_file_path (call, "FILE"));
  gsize length;
  const char *bytes = control_call_get_file (call, "FILE", &length);
  const char *fault = resource_kind_is_valid (kind) ? resource_find_fault (kind, bytes, length)
                                                    : "--kind is table, text, picture, counter or bytes";
  if (fault != NULL)
    {
      control_call_refuse (call, "cannot put '%s': %s", name, fault);
      return;
    }
  Command *command = command_new (functions, call, control_call_get_text (call, "APPLICATION"));
  command->name = g_strdup (name);
  command->most_bytes = application->manifest->application_bytes;
  store_write (functions->server->store, STORE_MARKET, put_work, put_done, command);
}

static void
add_resource_row (const Resource *resource, gpointer data)
{
  json_array_append_new (data, json_pack ("{s:s, s:s, s:I, s:I, s:b, s:o}", "resource", resource->name,
                                          "kind", resource->kind, "version", (json_int_t)resource->version,
                                          "bytes", (json_int_t)resource->n_bytes, "open", resource->is_open,
                                          "changed", time_json (resource->changed_us)));
}

static gboolean
list_work (Db *db, gpointer data, GError **error)
{
  Command *command = data;
  command->rows = json_array ();
  return resources_list (db, command->application, add_resource_row, command->rows, error);
}

static void
list_resources (ControlCall *call, gpointer data)
{
  Functions *functions = data;
  if (need_application (functions, call) != NULL)
    store_read (functions->server->store, STORE_MARKET, list_work, send_rows,
                command_new (functions, call, control_call_get_text (call, "APPLICATION")));
}

static gboolean
remove_work (Db *db, gpointer data, GError **error)
{
  Command *command = data;
  return resource_remove (db, command->application, command->name,
                          clock_get_wall_us (command->functions->server->clock), &command->is_found, error);
}

static void
remove_done (gpointer data, const GError *error)
{
  Command *command = data;
  if (error != NULL)
    control_call_refuse (command->call, "cannot remove '%s': %s", command->name, error->message);
  else if (!command->is_found)
    control_call_refuse (command->call, "there is no resource '%s'", command->name);
  else
    {
      applications_changed (command->functions->server->applications, command->application);
      control_call_done (command->call);
    }
  command_free (command);
}

static void
remove_resource (ControlCall *call, gpointer data)
{
  Functions *functions = data;
  Command *command = command_new (functions, call, control_call_get_text (call, "APPLICATION"));
  command->name = g_strdup (control_call_get_text (call, "NAME"));
  store_write (functions->server->store, STORE_MARKET, remove_work, remove_done, command);
}

void
function_commands_init (Functions *functions)
{
  static const ControlArgument call[]
      = { { "USER", CONTROL_TEXT },           { "APPLICATION", CONTROL_TEXT }, { "FUNCTION", CONTROL_TEXT },
          { "ARGUMENT", CONTROL_TEXT, TRUE }, { "--request", CONTROL_VALUE },  { NULL } };
  static const ControlArgument show[]
      = { { "APPLICATION", CONTROL_TEXT }, { "--lines", CONTROL_VALUE }, { NULL } };
  static const ControlArgument application[] = { { "APPLICATION", CONTROL_TEXT }, { NULL } };
  static const ControlArgument named[]
      = { { "APPLICATION", CONTROL_TEXT }, { "NAME", CONTROL_TEXT }, { NULL } };
  static const ControlArgument put[]
      = { { "APPLICATION", CONTROL_TEXT }, { "NAME", CONTROL_TEXT },   { "FILE", CONTROL_FILE },
          { "--kind", CONTROL_VALUE },     { "--open", CONTROL_FLAG }, { NULL } };
  const ControlCommand commands[] = {
    { "function list", NULL, NULL, TRUE, "applications with functions, and what runs", list_functions,
      functions },
    { "function call", call, NULL, FALSE, "call a function as a user would", call_function, functions },
    { "function log", show, NULL, TRUE, "what an application's functions logged, for its vendor", show_log,
      functions },
    { "resource put", put, NULL, FALSE, "give an application a resource, or its next version", put_resource,
      functions },
    { "resource list", application, NULL, TRUE, "an application's resources", list_resources, functions },
    { "resource remove", named, NULL, FALSE, "take a resource from an application", remove_resource,
      functions },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (commands); i++)
    controls_add (functions->server->controls, &commands[i]);
}
