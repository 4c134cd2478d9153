/* An answer of a plugin server: a byte that chooses the method, three digits of the status, and the body.
 * Whatever it says, a serial comes of it only where there is one by the rules, and certainty only by the
 * statuses that give it. */

#include "common/net/plugin-server-answer.h"

#include <string.h>

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  static const char *const methods[] = { "POST", "GET", "DELETE" };
  if (size < 4 || size - 4 > PLUGIN_SERVER_MAX_ANSWER)
    return 0;
  const char *method = methods[data[0] % G_N_ELEMENTS (methods)];
  int status = 0;
  for (guint i = 1; i < 4; i++)
    status = 10 * status + data[i] % 10;
  g_autofree char *body = g_strndup ((const char *)data + 4, size - 4);
  g_auto (PluginServerAnswer) answer = { 0 };
  plugin_server_judge (&answer, method, status != 0 ? HTTP_ANSWERED : HTTP_TIMED_OUT, status, body, size - 4);

  gboolean is_delete = strcmp (method, "DELETE") == 0;
  if ((answer.serial != NULL) != (answer.verdict == PLUGIN_SERVER_SERIAL))
    g_error ("a serial without its verdict, or the other way round");
  if (answer.serial != NULL
      && (is_delete || status / 100 != 2
          || plugin_server_find_serial_fault (secret_peek_text (answer.serial),
                                              secret_get_length (answer.serial))
                 != NULL))
    g_error ("no serial by the rules was taken from %s %d", method, status);
  if (answer.verdict == PLUGIN_SERVER_IS_VOID && (!is_delete || (status != 200 && status != 204)))
    g_error ("%s %d is no certainty", method, status);
  if (answer.verdict == PLUGIN_SERVER_REFUSED && (is_delete || status / 100 != 4))
    g_error ("%s %d is not final", method, status);
  if (status >= 500 && answer.verdict != PLUGIN_SERVER_IN_DOUBT)
    g_error ("%s %d leaves doubt", method, status);
  return 0;
}
