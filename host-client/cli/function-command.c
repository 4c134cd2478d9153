/* function APPLICATION NAME [TEXT]. */
#include "host-client/cli/commands.h"

#include <string.h>

static void
on_answer (const FunctionAnswer *answer, gpointer data)
{
  App *app = data;
  gsize length = 0;
  const char *bytes = answer->value != NULL ? g_bytes_get_data (answer->value, &length) : NULL;
  if (answer->outcome != FUNCTION_DONE)
    {
      app_fail (app, answer->outcome == FUNCTION_LATER ? EXIT_NO_CONNECTION : EXIT_REFUSED, "%s",
                answer->reason);
      return;
    }
  gboolean is_text
      = length == 0
        || (g_utf8_validate (bytes, (gssize)length, NULL) && memchr (bytes, '\0', length) == NULL);
  g_autofree char *text
      = is_text ? g_strndup (bytes, length) : g_base64_encode ((const guchar *)bytes, length);
  if (app->arguments->is_json)
    output_json (json_pack ("{s:s, s:s, s:s}", "event", "result", "encoding", is_text ? "text" : "base64",
                            "result", text));
  else
    output_line ("%s", text);
  app_finish (app, EXIT_DONE);
}

static void
start_function (App *app)
{
  char **words = app->arguments->words;
  const char *text = words[2] != NULL ? words[2] : "";
  g_autoptr (GBytes) argument = g_bytes_new (text, strlen (text));
  functions_call (client_peek_functions (app->client), words[0], words[1], argument, on_answer, app);
}

const Command command_function = {
  .kind = COMMAND_FUNCTION,
  .retry = SESSION_RETRY_ONCE_ONLINE,
  .survives_loss = TRUE,
  .start = start_function,
};
