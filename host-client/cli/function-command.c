/* function call. */
#include "common/base/id.h"
#include "host-client/cli/commands.h"
#include "host-client/core/function-call.h"

#include <string.h>

static void
print_result (App *app, GBytes *result)
{
  gsize length;
  const char *bytes = g_bytes_get_data (result, &length);
  gboolean is_text = function_bytes_are_text (result);
  g_autofree char *text
      = is_text ? g_strndup (bytes, length) : g_base64_encode ((const guchar *)bytes, length);
  if (app->arguments->is_json)
    {
      output_json (json_pack ("{s:s, s:s}", "encoding", is_text ? "text" : "base64", "result", text));
      return;
    }
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  for (guint i = 0; lines[i] != NULL && (lines[i][0] != '\0' || lines[i + 1] != NULL); i++)
    output_line ("%s", lines[i]);
}

static void
on_end (const FunctionCallEnd *end, gpointer data)
{
  App *app = data;
  if (end->outcome == FUNCTION_CALL_DONE)
    {
      print_result (app, end->result);
      app_finish (app, EXIT_DONE);
      return;
    }
  ExitCode code;
  g_autofree char *text = app_dup_reply_text (end->reply, &code);
  if (end->outcome == FUNCTION_CALL_FORBIDDEN)
    app_fail (app, code, "you are not licensed for '%s' (%s)", app->arguments->words[1], text);
  else if (end->detail != NULL)
    app_fail (app, code, "%s: %s", text, end->detail);
  else
    app_fail (app, code, "%s", text);
}

static void
start_function (App *app)
{
  char **words = app->arguments->words;
  const char *argument = app->arguments->n_words > 3 ? words[3] : "";
  g_autoptr (GBytes) bytes = g_bytes_new (argument, strlen (argument));
  g_autofree char *name = id_new_uuid7 (app->clock);
  FunctionRequest request
      = { .application = words[1], .function = words[2], .request = name, .argument = bytes };
  function_call (client_peek_session (app->client), &request, on_end, app);
}

const Command command_function = {
  .kind = COMMAND_FUNCTION,
  .retry = SESSION_RETRY_ONCE_ONLINE,
  .start = start_function,
};
