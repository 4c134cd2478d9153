/* What the answer of a vendor's plugin server means to the host (protocol.md §8; docs/money.md, "Plugin
 * server in doubt"). Pure: no socket, no clock. The host decides by it, and so does `hostctl vendor check`,
 * which tells a vendor beforehand what the host would. */
#pragma once

#include "common/base/secret.h"
#include "common/net/http-client.h"

#define PLUGIN_SERVER_MAX_ANSWER (16 * 1024) /* bytes of an answer's body */

typedef enum
{
  PLUGIN_SERVER_SERIAL,     /* to POST or GET: here is one */
  PLUGIN_SERVER_NOT_SO_FAR, /* to GET: the same POST again cannot issue twice */
  PLUGIN_SERVER_IS_VOID,    /* to DELETE: the request will never be honoured */
  PLUGIN_SERVER_REFUSED,    /* to POST or GET: final, nothing was made */
  PLUGIN_SERVER_IN_DOUBT,   /* it may have acted: ask again */
  PLUGIN_SERVER_FAULT,      /* somebody's configuration is wrong: in doubt, an alarm, and no new sales */
} PluginServerVerdict;

typedef struct
{
  PluginServerVerdict verdict;
  Secret *serial;     /* PLUGIN_SERVER_SERIAL, else NULL */
  gint64 expires_us;  /* wall time that the vendor told with the serial; 0: none */
  const char *reason; /* what is wrong with the body, static; NULL if the status says it all */
} PluginServerAnswer;

/* Judges what came upon @method ("POST", "GET", "DELETE" of /v1/serials). @status is 0 unless @outcome is
 * HTTP_ANSWERED; @body is followed by an uncounted NUL. */
void plugin_server_judge (PluginServerAnswer *answer, const char *method, HttpOutcome outcome, int status,
                          const char *body, gsize length);
/* The same of a reply of the HTTP client. */
void plugin_server_judge_reply (PluginServerAnswer *answer, const char *method, const HttpReply *reply);
void plugin_server_answer_clear (PluginServerAnswer *answer);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (PluginServerAnswer, plugin_server_answer_clear)

/* NULL if @text may be a serial: 1 to 4,096 printable ASCII characters and line feeds, neither beginning nor
 * ending with a space or line feed. Otherwise why not, static. */
const char *plugin_server_find_serial_fault (const char *text, gsize length);
