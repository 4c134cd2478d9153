/* A keygen, a module (host/keygen.h) or an old library with its descriptor: does it load, say the same twice,
 * say something else to everybody, and never fall over? */
#include "plugin-abi/check/calls.h"
#include "plugin-abi/check/described.h"
#include "plugin-abi/check/imports.h"
#include "plugin-abi/include/host/keygen.h"

#include <string.h>
#include <unistd.h>

/* Requests that are made again, in the same process and in a later one. */
#define N_REPEATED 12

typedef struct
{
  guint32 number; /* seed and line follow from it */
  const char *term;
  guint32 generation;
  gboolean is_of_another; /* user; one that follows from the number, too */
} Asked;

typedef enum
{
  SERIAL_FINE,
  SERIAL_REFUSED, /* by the module's own word */
  SERIAL_FAULT,
} SerialResult;

static gboolean
is_serial (const char *serial)
{
  gsize length = strlen (serial);
  if (length == 0 || length > HOST_SERIAL_MAX || !g_ascii_isgraph (serial[0])
      || !g_ascii_isgraph (serial[length - 1]))
    return FALSE;
  for (const char *at = serial; *at != '\0'; at++)
    if (!g_ascii_isprint (*at) && *at != '\n')
      return FALSE;
  return TRUE;
}

static void
write_request (Frame *frame, const Asked *asked)
{
  g_autofree char *line = g_strdup_printf ("o_check%u.1", asked->number);
  g_autofree char *text = g_strdup_printf ("host-module-check %u %u", asked->number, asked->generation);
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);
  guint8 seed[32];
  gsize n_seed = sizeof seed;
  g_checksum_update (checksum, (const guchar *)text, -1);
  g_checksum_get_digest (checksum, seed, &n_seed);
  char user[] = "k3q7a2m5c4d6e7f2g3h4i5j6k7";
  for (gsize i = 0; asked->is_of_another && i < strlen (user); i++)
    user[i] = "abcdefghijklmnopqrstuvwxyz234567"[seed[i] % 32];
  frame_begin (frame, FRAME_OP_CALL_KEYGEN, FRAME_ASK, 1);
  frame_put_text (frame, user);
  frame_put_text (frame, "plugin");
  frame_put_text (frame, asked->term);
  frame_put_text (frame, line);
  frame_put_u32 (frame, asked->generation);
  frame_put_u32 (frame, 0);
  frame_put_bytes (frame, seed, sizeof seed);
  frame_put_i64 (frame, 1764000000);
}

/* Judges the answer; *@text receives serial and expiry, or what was wrong. */
static SerialResult
read_answer (const Frame *answer, char **text)
{
  static const char *const words[] = { "ok", "bad input", "denied", "expired", "not now", "its own fault" };
  FrameReader reader;
  frame_read (&reader, answer);
  if (answer->header.status != FRAME_STATUS_OK)
    {
      *text = g_strdup ("the runner could not carry out the call");
      return SERIAL_FAULT;
    }
  guint32 code = frame_get_u32 (&reader);
  const char *serial = frame_get_text (&reader);
  gint64 expires_s = frame_get_i64 (&reader);
  if (code == HOST_OK && frame_reader_is_done (&reader) && is_serial (serial) && expires_s >= 0)
    {
      *text = g_strdup_printf ("%s (expires %" G_GINT64_FORMAT ")", serial, expires_s);
      return SERIAL_FINE;
    }
  if (code >= HOST_BAD_INPUT && code <= HOST_RETRY)
    {
      *text = g_strdup_printf ("the module says: %s", words[code]);
      return SERIAL_REFUSED;
    }
  *text = code == HOST_OK
              ? g_strdup_printf ("its answer is no serial: 1 to %u bytes of printable ASCII, and no expiry"
                                 " before 1970",
                                 HOST_SERIAL_MAX)
              : g_strdup_printf ("it answered %d, which is a fault of its own", (gint32)code);
  return SERIAL_FAULT;
}

static SerialResult
make_serial (Calls *calls, const Asked *asked, char **text)
{
  g_autofree Frame *request = g_new (Frame, 1);
  write_request (request, asked);
  if (!calls_make (calls, request))
    {
      *text = g_strdup (carrier_get_reason (calls->carrier));
      return SERIAL_FAULT;
    }
  SerialResult serial = read_answer (carrier_peek_answer (calls->carrier), text);
  if (serial == SERIAL_FAULT)
    calls_note_fault (calls, *text);
  return serial;
}

static const Asked repeated[N_REPEATED] = {
  { 0, "", 0 }, { 1, "", 0 }, { 2, "P1Y", 0 }, { 3, "P1Y", 0 },  { 4, "P30D", 0 }, { 5, "P1M", 0 },
  { 0, "", 1 }, { 1, "", 1 }, { 2, "P1Y", 1 }, { 6, "P10Y", 0 }, { 7, "P1D", 0 },  { 8, "P2W", 0 },
};

/* Makes the repeated requests; @texts receives what came of each. FALSE if one was a fault. */
static gboolean
make_repeated (Calls *calls, char **texts)
{
  for (guint i = 0; i < N_REPEATED; i++)
    if (make_serial (calls, &repeated[i], &texts[i]) == SERIAL_FAULT)
      return FALSE;
  return TRUE;
}

static void
check_determinism (Calls *calls, char **problem)
{
  char *rounds[3][N_REPEATED] = { { NULL } };
  gboolean is_whole = TRUE;
  guint n_different = 0;
  for (guint round = 0; round < G_N_ELEMENTS (rounds) && is_whole; round++)
    {
      g_autofree char *failure = NULL;
      /* The last time in another process, which has other addresses and was started at another time. */
      if (round == 2)
        {
          g_usleep (1100 * 1000); /* a seed from time() changes with the second */
          failure = calls_load (calls, problem);
          is_whole = failure == NULL && *problem == NULL;
        }
      is_whole = is_whole && make_repeated (calls, rounds[round]);
    }
  for (guint i = 0; i < N_REPEATED && is_whole; i++)
    n_different += !g_str_equal (rounds[0][i], rounds[1][i]) || !g_str_equal (rounds[0][i], rounds[2][i]);
  if (!is_whole)
    report_add (calls->report, REPORT_SKIPPED, "determinism", "a call did not end well");
  else if (n_different > 0)
    report_add (calls->report, REPORT_FAILED, "determinism",
                "%u of %u requests gave another serial when they were made again: take chance from the seed "
                "and the time"
                " from the request",
                n_different, N_REPEATED);
  else
    report_add (calls->report, REPORT_OK, "determinism", "%u requests gave the same serials in two processes",
                N_REPEATED);
  for (guint round = 0; round < G_N_ELEMENTS (rounds); round++)
    for (guint i = 0; i < N_REPEATED; i++)
      g_free (rounds[round][i]);
}

static void
check_uniqueness (Calls *calls)
{
  g_autoptr (GHashTable) serials = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  guint n_made = 0, n_double = 0, n_refused = 0;
  for (guint i = 0; i < calls->options->n_seeds && calls_may_go_on (calls); i++)
    {
      g_autofree char *text = NULL;
      /* Old keys are made of the customer's name and little else. */
      const Asked asked = { .number = 1000 + i,
                            .term = i % 2 == 0 ? "" : "P1Y",
                            .is_of_another = calls->descriptor != NULL };
      SerialResult result = make_serial (calls, &asked, &text);
      n_refused += result == SERIAL_REFUSED;
      if (result != SERIAL_FINE)
        continue;
      n_made++;
      /* Without the expiry: that alone does not tell two users apart. */
      char *serial = g_strndup (text, (gsize)(g_strrstr (text, " (expires ") - text));
      n_double += !g_hash_table_add (serials, serial);
    }
  guint n_seeds = calls->options->n_seeds;
  if (n_double > 0)
    report_add_figure (calls->report, REPORT_FAILED, "uniqueness", "duplicates", n_double,
                       "%u of %u seeds gave a serial that another had", n_double, n_made);
  else if (n_made == n_seeds)
    report_add_figure (calls->report, REPORT_OK, "uniqueness", "duplicates", 0, "%u seeds, %u serials",
                       n_seeds, n_made);
  else
    report_add (calls->report, n_refused > 0 && calls->n_faults == 0 ? REPORT_FAILED : REPORT_SKIPPED,
                "uniqueness", "only %u of %u seeds gave a serial", n_made, n_seeds);
}

/* What needs a loaded module. */
static void
check_loaded (Calls *calls, char **problem)
{
  g_autofree char *text = NULL;
  SerialResult first = make_serial (calls, &repeated[0], &text);
  const GPtrArray *log = carrier_peek_log (calls->carrier);
  if (first == SERIAL_FINE)
    report_add (calls->report, REPORT_OK, "answer", "%s", text);
  else if (log->len > 0) /* why an old library refused is said there */
    report_add (calls->report, REPORT_FAILED, "answer", "%s; logged: %s", text,
                (const char *)log->pdata[log->len - 1]);
  else
    report_add (calls->report, REPORT_FAILED, "answer", "%s", text);
  if (first != SERIAL_FAULT)
    {
      check_determinism (calls, problem);
      check_uniqueness (calls);
    }
  else
    {
      report_add (calls->report, REPORT_SKIPPED, "determinism", "the first call did not end well");
      report_add (calls->report, REPORT_SKIPPED, "uniqueness", "the first call did not end well");
    }
  calls_report (calls);
}

static const ImportsGrant grant = { .is_server = TRUE };

static void
check_calls (Calls *calls, char **problem)
{
  calls_begin (calls);
  if (calls_load_first (calls, problem))
    check_loaded (calls, problem);
  calls_clear (calls);
}

static void
check_described (Calls *calls, char **problem)
{
  Report *report = calls->report;
  Described described = { NULL };
  if (described_read (&described, calls->options->file, DESCRIPTOR_LEGACY, report))
    {
      g_autoptr (Object) object = check_object (described.object, report);
      g_autoptr (GBytes) text = g_bytes_new (described.text, described.length);
      calls->kind = "legacy-keygen";
      calls->object = described.object;
      calls->described_as = described.file;
      calls->descriptor = text;
      if (object != NULL)
        {
          imports_check (object, &grant, report);
          check_calls (calls, problem);
        }
    }
  described_clear (&described);
}

static void
check_module (Calls *calls, char **problem)
{
  static const char *const needed[] = { "host_module_abi", "host_keygen", NULL };
  g_autoptr (Object) object = check_object (calls->object, calls->report);
  if (object == NULL)
    return;
  calls_check_exports (object, needed, calls->report);
  imports_check (object, &grant, calls->report);
  check_calls (calls, problem);
}

gboolean
check_keygen (const CheckOptions *options, Report *report, char **problem)
{
  Calls calls
      = { .options = options, .report = report, .kind = "keygen", .object = options->file, .attachment = -1 };
  if (g_str_has_suffix (options->file, ".legacy"))
    check_described (&calls, problem);
  else
    check_module (&calls, problem);
  return *problem == NULL;
}
