#include "host-server/admin/hostctl-receipt.h"

#include "common/protocol/receipt.h"

#include <gio/gio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_INVALID 1
#define EXIT_USAGE   2
#define MAX_FILE     (16 * 1024 * 1024)
#define MAX_LINE     4096

typedef struct
{
  char *file;
  char *jwks, *serial, *buyer, *body, *issuer; /* NULL: not given */
} Options;

static void
options_clear (Options *options)
{
  g_free (options->file);
  g_free (options->jwks);
  if (options->serial != NULL)
    secret_wipe (options->serial, strlen (options->serial));
  g_free (options->serial);
  g_free (options->buyer);
  g_free (options->body);
  g_free (options->issuer);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Options, options_clear)

static gboolean
parse_options (const char *const *words, guint n_words, Options *options, GError **error)
{
  g_auto (GStrv) files = NULL;
  const GOptionEntry entries[] = {
    { "jwks", 0, 0, G_OPTION_ARG_FILENAME, &options->jwks, NULL, NULL },
    { "serial", 0, 0, G_OPTION_ARG_STRING, &options->serial, NULL, NULL },
    { "buyer", 0, 0, G_OPTION_ARG_STRING, &options->buyer, NULL, NULL },
    { "body", 0, 0, G_OPTION_ARG_FILENAME, &options->body, NULL, NULL },
    { "issuer", 0, 0, G_OPTION_ARG_STRING, &options->issuer, NULL, NULL },
    { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &files, NULL, NULL },
    { NULL },
  };
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  g_strv_builder_add (builder, "hostctl");
  for (guint i = 0; i < n_words; i++)
    g_strv_builder_add (builder, words[i]);
  g_auto (GStrv) argv = g_strv_builder_end (builder);
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_option_context_add_main_entries (context, entries, NULL);
  g_option_context_set_help_enabled (context, FALSE);
  if (!g_option_context_parse_strv (context, &argv, error))
    return FALSE;
  if (files == NULL || g_strv_length (files) != 1)
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, 
                   "usage: hostctl receipt verify " HOSTCTL_RECEIPT_ARGUMENTS);
      return FALSE;
    }
  options->file = g_strdup (files[0]);
  return TRUE;
}

static char *
load (const char *path, gsize *length, GError **error)
{
  char *bytes;
  g_autoptr (GFile) file = g_file_new_for_path (path);
  g_autoptr (GFileInfo) info = g_file_query_info (file, G_FILE_ATTRIBUTE_STANDARD_SIZE, 0, NULL, NULL);
  if (info != NULL && g_file_info_get_size (info) > MAX_FILE)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE, "'%s' is larger than 16 MiB", path);
      return NULL;
    }
  if (g_file_get_contents (path, &bytes, length, error))
    return bytes;
  g_prefix_error (error, "cannot read '%s': ", path);
  return NULL;
}

/* A serial that is not to stand on a command line, where others can see it: "-" is the first line of standard
 * input. */
static gboolean
read_serial (Options *options, GError **error)
{
  if (g_strcmp0 (options->serial, "-") != 0)
    return TRUE;
  char line[MAX_LINE];
  gboolean is_there = fgets (line, sizeof line, stdin) != NULL;
  if (is_there)
    {
      line[strcspn (line, "\r\n")] = '\0';
      g_free (options->serial);
      options->serial = g_strdup (line);
    }
  else
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
                 "the first line of standard input must be the serial");
  secret_wipe (line, sizeof line);
  return is_there;
}

/* --- the judgement */

typedef struct
{
  const Options *options;
  GPtrArray *documents;
  Receipt *last;
  json_t *checked; /* of texts */
} Case;

static gboolean
fail (GError **error, const char *reason)
{
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, reason);
  return FALSE;
}

static void
note (Case *c, const char *what)
{
  json_array_append_new (c->checked, json_string (what));
}

static gboolean
check_signatures (Case *c, const JwsKeySet *keys, GError **error)
{
  for (guint i = 0; i < c->documents->len; i++)
    {
      const ReceiptDocument *document = g_ptr_array_index (c->documents, i);
      g_autoptr (Receipt) receipt = receipt_verify (keys, document->jws, error);
      if (receipt == NULL || (c->last != NULL && !receipt_follows (receipt, c->last, error)))
        {
          if (c->documents->len > 1)
            g_prefix_error (error, "receipt %u of the file: ", i + 1);
          return FALSE;
        }
      g_clear_pointer (&c->last, receipt_free);
      c->last = g_steal_pointer (&receipt);
    }
  note (c, "signature");
  if (c->documents->len > 1)
    note (c, "chain");
  return TRUE;
}

static gboolean
check_serial (Case *c, GError **error)
{
  const char *serial = c->options->serial;
  const ReceiptDocument *document = g_ptr_array_index (c->documents, c->documents->len - 1);
  if (serial == NULL)
    return TRUE;
  switch (receipt_match (c->last, document, RECEIPT_SERIAL, serial, strlen (serial)))
    {
    case RECEIPT_MATCHES:
      note (c, "serial");
      return TRUE;
    case RECEIPT_DIFFERS:
      return fail (error, "it is about another serial");
    case RECEIPT_NOT_DISCLOSED:
    default:
      return fail (error, "the salt of its serial is not disclosed here");
    }
}

/* The buyer has a name for each party: the one that is meant is the one whose salt is here. */
static gboolean
check_buyer (Case *c, GError **error)
{
  static const ReceiptClaim names[] = { RECEIPT_BUYER, RECEIPT_BUYER_AT_VENDOR, RECEIPT_BUYER_AT_PROVIDER };
  const char *buyer = c->options->buyer;
  const ReceiptDocument *document = g_ptr_array_index (c->documents, c->documents->len - 1);
  gboolean is_disclosed = FALSE;
  if (buyer == NULL)
    return TRUE;
  for (gsize i = 0; i < G_N_ELEMENTS (names); i++)
    {
      ReceiptMatch match = receipt_match (c->last, document, names[i], buyer, strlen (buyer));
      is_disclosed = is_disclosed || match != RECEIPT_NOT_DISCLOSED;
      if (match != RECEIPT_MATCHES)
        continue;
      note (c, receipt_claim_to_text (names[i]));
      return TRUE;
    }
  return fail (error,
               is_disclosed ? "it is about another buyer" : "no salt of a buyer's name is disclosed here");
}

static gboolean
check_body (Case *c, const char *body, gsize length, GError **error)
{
  if (body == NULL)
    return TRUE;
  if (receipt_find_body (c->last, body, length) == NULL)
    return fail (error, "none of its payments, refunds and disputes was reported in that body");
  note (c, "body");
  return TRUE;
}

static gboolean
check_issuer (Case *c, GError **error)
{
  if (c->options->issuer == NULL)
    return TRUE;
  if (strcmp (c->options->issuer, c->last->issuer) != 0)
    return fail (error, "it is another issuer's");
  note (c, "issuer");
  return TRUE;
}

static void
show (const Case *c, gboolean is_json)
{
  if (is_json)
    {
      json_t *answer = json_pack ("{s:b, s:O, s:s, s:O}", "valid", TRUE, "checked", c->checked, "key",
                                  c->last->kid, "claims", c->last->claims);
      char *text = json_dumps (answer, JSON_COMPACT);
      puts (text);
      free (text);
      json_decref (answer);
      return;
    }
  g_autoptr (GString) text = g_string_new (NULL);
  receipt_append_text (c->last, text);
  g_string_append (text, "valid       checked: ");
  size_t i;
  json_t *what;
  json_array_foreach (c->checked, i, what)
      g_string_append_printf (text, "%s%s", i > 0 ? ", " : "", json_string_value (what));
  puts (text->str);
}

static int
refuse (const GError *error, gboolean is_json)
{
  if (is_json)
    {
      json_t *answer = json_pack ("{s:b, s:s}", "valid", FALSE, "reason", error->message);
      char *text = json_dumps (answer, JSON_COMPACT);
      puts (text);
      free (text);
      json_decref (answer);
    }
  fprintf (stderr, "hostctl: not valid: %s\n", error->message);
  return EXIT_INVALID;
}

static int
misuse (const GError *error)
{
  fprintf (stderr, "hostctl: %s\n", error->message);
  return EXIT_USAGE;
}

/* From the file, or from the server if there is one. */
static JwsKeySet *
load_keys (const Options *options, const HostctlLocalCall *call, int *code)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;
  gsize length = 0;
  *code = EXIT_USAGE;
  if (options->jwks != NULL)
    text = load (options->jwks, &length, &error);
  else
    {
      json_t *json = call->ask_keys (call->data, code);
      if (json == NULL)
        return NULL;
      char *dumped = json_dumps (json, JSON_COMPACT);
      json_decref (json);
      text = g_strdup (dumped);
      length = strlen (text);
      free (dumped);
    }
  JwsKeySet *keys = text != NULL ? jws_key_set_parse (text, length, &error) : NULL;
  if (keys == NULL && text != NULL && options->jwks != NULL)
    g_prefix_error (&error, "'%s': ", options->jwks);
  if (keys == NULL)
    *code = misuse (error);
  return keys;
}

static int
judge (const Options *options, const JwsKeySet *keys, const char *text, gsize length, const char *body,
       gsize n_body, gboolean is_json)
{
  g_autoptr (GError) error = NULL;
  Case c = { .options = options, .checked = json_array () };
  c.documents = receipt_documents_parse (text, length, &error);
  gboolean is_valid = c.documents != NULL && check_signatures (&c, keys, &error) && check_issuer (&c, &error)
                      && check_serial (&c, &error) && check_buyer (&c, &error)
                      && check_body (&c, body, n_body, &error);
  int code = EXIT_SUCCESS;
  if (is_valid)
    show (&c, is_json);
  else
    code = refuse (error, is_json);
  g_clear_pointer (&c.documents, g_ptr_array_unref);
  receipt_free (c.last);
  json_decref (c.checked);
  return code;
}

int
hostctl_receipt_verify (const HostctlLocalCall *call)
{
  g_autoptr (GError) error = NULL;
  g_auto (Options) options = { 0 };
  gsize length = 0, n_body = 0;
  if (!parse_options ((const char *const *)call->words, g_strv_length (call->words), &options, &error))
    return misuse (error);
  g_autofree char *text = load (options.file, &length, &error);
  g_autofree char *body = text != NULL && options.body != NULL ? load (options.body, &n_body, &error) : NULL;
  if (error != NULL || !read_serial (&options, &error))
    return misuse (error);
  int code;
  g_autoptr (JwsKeySet) keys = load_keys (&options, call, &code);
  return keys != NULL ? judge (&options, keys, text, length, body, n_body, call->is_json) : code;
}
