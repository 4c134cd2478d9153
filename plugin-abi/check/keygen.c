/* A keygen (host/keygen.h): does it load, say the same twice, say something else to everybody, and never fall
 * over? */
#include "plugin-abi/check/carrier.h"
#include "plugin-abi/check/check.h"
#include "plugin-abi/check/imports.h"
#include "plugin-abi/include/host/keygen.h"

#include <string.h>
#include <unistd.h>

/* Loading may take so many times as long as a call. */
#define LOAD_DEADLINES 5
/* After so many calls that went wrong the rest would only repeat it. */
#define MAX_FAULTS 5
/* Requests that are made again, in the same process and in a later one. */
#define N_REPEATED 12

typedef struct
{
  const CheckOptions *options;
  Report *report;
  Carrier *carrier;
  Frame *request;
  guint n_calls;
  guint n_faults;
  char *first_fault;
  GArray *latencies_us; /* gint64 */
} KeygenCheck;

typedef struct
{
  guint32 number; /* seed and line follow from it */
  const char *term;
  guint32 generation;
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
  frame_begin (frame, FRAME_OP_CALL_KEYGEN, FRAME_ASK, 1);
  frame_put_text (frame, "k3q7a2m5c4d6e7f2g3h4i5j6k7");
  frame_put_text (frame, "plugin");
  frame_put_text (frame, asked->term);
  frame_put_text (frame, line);
  frame_put_u32 (frame, asked->generation);
  frame_put_u32 (frame, 0);
  frame_put_bytes (frame, seed, sizeof seed);
  frame_put_i64 (frame, 1764000000);
}

static void
note_fault (KeygenCheck *check, const char *what)
{
  check->n_faults++;
  if (check->first_fault == NULL)
    check->first_fault = g_strdup (what);
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
make_serial (KeygenCheck *check, const Asked *asked, char **text)
{
  write_request (check->request, asked);
  gint64 before_us = g_get_monotonic_time ();
  CarrierResult result = carrier_call (check->carrier, check->request, check->options->deadline_ms);
  gint64 took_us = g_get_monotonic_time () - before_us;
  check->n_calls++;
  if (result != CARRIER_ANSWERED)
    {
      *text = g_strdup (carrier_get_reason (check->carrier));
      note_fault (check, *text);
      return SERIAL_FAULT;
    }
  g_array_append_val (check->latencies_us, took_us);
  SerialResult serial = read_answer (carrier_peek_answer (check->carrier), text);
  if (serial == SERIAL_FAULT)
    note_fault (check, *text);
  return serial;
}

/* Starts the module anew. NULL, or why it does not load. */
static char *
load (KeygenCheck *check, char **problem)
{
  g_autoptr (GError) error = NULL;
  g_clear_pointer (&check->carrier, carrier_free);
  int object = launch_seal_object (check->options->file, NULL, &error);
  if (object < 0)
    {
      *problem = g_strdup (error->message);
      return NULL;
    }
  LaunchSpec spec = { .kind = "keygen",
                      .profile = LAUNCH_SERVER,
                      .sealed_object = object,
                      .memory_bytes = check->options->memory_bytes,
                      .cpu_s = check->options->deadline_ms / 1000 + 1,
                      .deadline_ms = check->options->deadline_ms,
                      .max_calls = 4 };
  check->carrier = carrier_start (&spec, check->options->uid, 10000, problem);
  close (object);
  if (check->carrier == NULL)
    return NULL;

  frame_begin (check->request, FRAME_OP_LOAD_MODULE, FRAME_ASK, 0);
  if (carrier_ask (check->carrier, check->request, FRAME_PHASE_LOAD,
                   LOAD_DEADLINES * check->options->deadline_ms)
      != CARRIER_ANSWERED)
    return g_strdup (carrier_get_reason (check->carrier));
  const Frame *answer = carrier_peek_answer (check->carrier);
  FrameReader reader;
  frame_read (&reader, answer);
  if (answer->header.status != FRAME_STATUS_OK)
    return g_strdup (answer->header.length > 0 ? frame_get_text (&reader) : "it does not load");
  carrier_begin_serving (check->carrier);
  return NULL;
}

static void
check_exports (const Object *object, Report *report)
{
  static const char *const needed[] = { "host_module_abi", "host_keygen" };
  g_autoptr (GString) missing = g_string_new (NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (needed); i++)
    if (!object_exports (object, needed[i]))
      g_string_append_printf (missing, "%s%s", missing->len > 0 ? " and " : "", needed[i]);
  if (missing->len > 0)
    report_add (report, REPORT_FAILED, "exports", "it does not export %s", missing->str);
  else if (object->exports->len > G_N_ELEMENTS (needed))
    report_add (report, REPORT_WARNING, "exports",
                "host_module_abi, host_keygen and %u that nobody uses: build with"
                " -fvisibility=hidden",
                object->exports->len - (guint)G_N_ELEMENTS (needed));
  else
    report_add (report, REPORT_OK, "exports", "host_module_abi and host_keygen");
}

static const Asked repeated[N_REPEATED] = {
  { 0, "", 0 }, { 1, "", 0 }, { 2, "P1Y", 0 }, { 3, "P1Y", 0 },  { 4, "P30D", 0 }, { 5, "P1M", 0 },
  { 0, "", 1 }, { 1, "", 1 }, { 2, "P1Y", 1 }, { 6, "P10Y", 0 }, { 7, "P1D", 0 },  { 8, "P2W", 0 },
};

/* Makes the repeated requests; @texts receives what came of each. FALSE if one was a fault. */
static gboolean
make_repeated (KeygenCheck *check, char **texts)
{
  for (guint i = 0; i < N_REPEATED; i++)
    if (make_serial (check, &repeated[i], &texts[i]) == SERIAL_FAULT)
      return FALSE;
  return TRUE;
}

static void
check_determinism (KeygenCheck *check, char **problem)
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
          failure = load (check, problem);
          is_whole = failure == NULL && *problem == NULL;
        }
      is_whole = is_whole && make_repeated (check, rounds[round]);
    }
  for (guint i = 0; i < N_REPEATED && is_whole; i++)
    n_different += !g_str_equal (rounds[0][i], rounds[1][i]) || !g_str_equal (rounds[0][i], rounds[2][i]);
  if (!is_whole)
    report_add (check->report, REPORT_SKIPPED, "determinism", "a call did not end well");
  else if (n_different > 0)
    report_add (check->report, REPORT_FAILED, "determinism",
                "%u of %u requests gave another serial when they were made again: take chance from the seed "
                "and the time"
                " from the request",
                n_different, N_REPEATED);
  else
    report_add (check->report, REPORT_OK, "determinism", "%u requests gave the same serials in two processes",
                N_REPEATED);
  for (guint round = 0; round < G_N_ELEMENTS (rounds); round++)
    for (guint i = 0; i < N_REPEATED; i++)
      g_free (rounds[round][i]);
}

static void
check_uniqueness (KeygenCheck *check)
{
  g_autoptr (GHashTable) serials = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  guint n_made = 0, n_double = 0, n_refused = 0;
  for (guint i = 0;
       i < check->options->n_seeds && check->n_faults < MAX_FAULTS && carrier_is_alive (check->carrier); i++)
    {
      g_autofree char *text = NULL;
      const Asked asked = { .number = 1000 + i, .term = i % 2 == 0 ? "" : "P1Y" };
      SerialResult result = make_serial (check, &asked, &text);
      n_refused += result == SERIAL_REFUSED;
      if (result != SERIAL_FINE)
        continue;
      n_made++;
      /* Without the expiry: that alone does not tell two users apart. */
      char *serial = g_strndup (text, (gsize)(g_strrstr (text, " (expires ") - text));
      n_double += !g_hash_table_add (serials, serial);
    }
  guint n_seeds = check->options->n_seeds;
  if (n_double > 0)
    report_add_figure (check->report, REPORT_FAILED, "uniqueness", "duplicates", n_double,
                       "%u of %u seeds gave a serial that another had", n_double, n_made);
  else if (n_made == n_seeds)
    report_add_figure (check->report, REPORT_OK, "uniqueness", "duplicates", 0, "%u seeds, %u serials",
                       n_seeds, n_made);
  else
    report_add (check->report, n_refused > 0 && check->n_faults == 0 ? REPORT_FAILED : REPORT_SKIPPED,
                "uniqueness", "only %u of %u seeds gave a serial", n_made, n_seeds);
}

static gint
compare_us (gconstpointer a, gconstpointer b)
{
  gint64 x = *(const gint64 *)a, y = *(const gint64 *)b;
  return (x > y) - (x < y);
}

static void
report_calls (KeygenCheck *check)
{
  GArray *latencies = check->latencies_us;
  guint deadline_ms = check->options->deadline_ms;
  if (check->n_faults > 0)
    report_add (check->report, REPORT_FAILED, "crashes", "%u of %u calls went wrong; the first: %s",
                check->n_faults, check->n_calls, check->first_fault);
  else
    report_add (check->report, REPORT_OK, "crashes", "none in %u calls", check->n_calls);

  g_array_sort (latencies, compare_us);
  gint64 slowest_us = latencies->len > 0 ? g_array_index (latencies, gint64, latencies->len - 1) : 0;
  if (check->first_fault != NULL && strstr (check->first_fault, "deadline") != NULL)
    report_add (check->report, REPORT_FAILED, "limits", "a call did not end within %u ms", deadline_ms);
  else if (latencies->len == 0)
    report_add (check->report, REPORT_SKIPPED, "limits", "no call ended well");
  else
    report_add_figure (check->report,
                       slowest_us > deadline_ms * G_GINT64_CONSTANT (500) ? REPORT_WARNING : REPORT_OK,
                       "limits", "slowest_us", (double)slowest_us,
                       "the slowest call took %.1f ms of %u; %u MiB of memory were enough",
                       (double)slowest_us / 1000, deadline_ms, (guint)(check->options->memory_bytes >> 20));
  if (latencies->len == 0)
    report_add (check->report, REPORT_SKIPPED, "speed", "no call ended well");
  else
    {
      gint64 middle_us = g_array_index (latencies, gint64, latencies->len / 2);
      gint64 late_us = g_array_index (latencies, gint64, (guint)((guint64)latencies->len * 99 / 100));
      report_add_figure (check->report, REPORT_OK, "speed", "p50_us", (double)middle_us,
                         "a call takes %.2f ms, one of a hundred %.2f ms or more", (double)middle_us / 1000,
                         (double)late_us / 1000);
    }
}

/* What needs a loaded module. */
static void
check_loaded (KeygenCheck *check, char **problem)
{
  g_autofree char *text = NULL;
  SerialResult first = make_serial (check, &repeated[0], &text);
  if (first == SERIAL_FINE)
    report_add (check->report, REPORT_OK, "answer", "%s", text);
  else
    report_add (check->report, REPORT_FAILED, "answer", "%s", text);
  if (first != SERIAL_FAULT)
    {
      check_determinism (check, problem);
      check_uniqueness (check);
    }
  else
    {
      report_add (check->report, REPORT_SKIPPED, "determinism", "the first call did not end well");
      report_add (check->report, REPORT_SKIPPED, "uniqueness", "the first call did not end well");
    }
  report_calls (check);
}

static void
clear (KeygenCheck *check)
{
  g_clear_pointer (&check->carrier, carrier_free);
  g_clear_pointer (&check->request, g_free);
  g_clear_pointer (&check->first_fault, g_free);
  g_clear_pointer (&check->latencies_us, g_array_unref);
}

gboolean
check_keygen (const CheckOptions *options, Report *report, char **problem)
{
  static const ImportsGrant grant = { .is_server = TRUE };
  KeygenCheck check = { .options = options, .report = report };
  g_autoptr (Object) object = check_object (options->file, report);
  if (object == NULL)
    return TRUE;
  check_exports (object, report);
  imports_check (object, &grant, report);

  check.request = g_new0 (Frame, 1);
  check.latencies_us = g_array_new (FALSE, FALSE, sizeof (gint64));
  g_autofree char *failure = load (&check, problem);
  if (*problem == NULL && failure != NULL)
    report_add (report, REPORT_FAILED, strstr (failure, "version of host/module.h") != NULL ? "abi" : "load",
                "%s", failure);
  else if (*problem == NULL)
    {
      report_add (report, REPORT_OK, "load", "it loads in the sandbox");
      report_add (report, REPORT_OK, "abi", "host/module.h %u", HOST_MODULE_ABI);
      check_loaded (&check, problem);
    }
  clear (&check);
  return *problem == NULL;
}
