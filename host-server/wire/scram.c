#include "host-server/wire/scram.h"

#include "common/base/text.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <string.h>

struct Scram
{
  ScramHash hash;
  ScramVerifier verifier;
  char *gs2_header; /* "n,a=…," as the client sent it */
  char *username;
  char *authzid;
  char *client_nonce;
  char *client_first; /* bare */
  char *server_first;
  char *nonce; /* whole */
};

static const EVP_MD *
get_digest (ScramHash hash)
{
  return hash == SCRAM_SHA_1 ? EVP_sha1 () : EVP_sha256 ();
}

static gsize
get_size (ScramHash hash)
{
  return hash == SCRAM_SHA_1 ? 20 : 32;
}

Scram *
scram_new (ScramHash hash)
{
  Scram *scram = g_new0 (Scram, 1);
  scram->hash = hash;
  return scram;
}

void
scram_free (Scram *scram)
{
  if (scram == NULL)
    return;
  secret_wipe (&scram->verifier, sizeof scram->verifier);
  g_free (scram->gs2_header);
  g_free (scram->username);
  g_free (scram->authzid);
  g_free (scram->client_nonce);
  g_free (scram->client_first);
  g_free (scram->server_first);
  g_free (scram->nonce);
  g_free (scram);
}

/* A saslname: "=2C" is a comma and "=3D" an equals sign, no other '=' may stand. NULL if it is none. */
static char *
unescape_name (const char *text, gsize length)
{
  g_autoptr (GString) name = g_string_sized_new (length + 1);
  for (gsize i = 0; i < length; i++)
    {
      if (text[i] != '=')
        g_string_append_c (name, text[i]);
      else if (length - i >= 3 && memcmp (text + i, "=2C", 3) == 0)
        {
          g_string_append_c (name, ',');
          i += 2;
        }
      else if (length - i >= 3 && memcmp (text + i, "=3D", 3) == 0)
        {
          g_string_append_c (name, '=');
          i += 2;
        }
      else
        return NULL;
    }
  return name->len > 0 ? g_string_free (g_steal_pointer (&name), FALSE) : NULL;
}

/* Whether @part is "X=…". */
static gboolean
is_attribute (const char *part, char name)
{
  return part != NULL && part[0] == name && part[1] == '=';
}

static gboolean
is_nonce (const char *text)
{
  if (*text == '\0')
    return FALSE;
  for (; *text != '\0'; text++)
    if (*text < 0x21 || *text > 0x7e || *text == ',')
      return FALSE;
  return TRUE;
}

ScramOutcome
scram_read_first (Scram *scram, const char *message, gsize length)
{
  if (length == 0 || scram->client_first != NULL || length > 4096 || memchr (message, '\0', length) != NULL
      || !g_utf8_validate_len (message, length, NULL))
    return SCRAM_MALFORMED;
  g_autofree char *text = g_strndup (message, length);

  /* gs2-header: the binding flag, the name to act as. `y`: the client knows bindings and believes we do not;
   * so it is. */
  char *first_comma = strchr (text, ',');
  char *second_comma = first_comma != NULL ? strchr (first_comma + 1, ',') : NULL;
  if (second_comma == NULL || first_comma - text != 1 || (text[0] != 'n' && text[0] != 'y'))
    return SCRAM_MALFORMED;
  const char *authzid = first_comma + 1;
  if (authzid != second_comma)
    {
      if (!is_attribute (authzid, 'a'))
        return SCRAM_MALFORMED;
      scram->authzid = unescape_name (authzid + 2, (gsize)(second_comma - authzid - 2));
      if (scram->authzid == NULL)
        return SCRAM_MALFORMED;
    }
  scram->gs2_header = g_strndup (text, (gsize)(second_comma + 1 - text));
  scram->client_first = g_strdup (second_comma + 1);

  /* Optional extensions may follow the nonce; a mandatory one ("m=") stands first, and we know none. */
  g_auto (GStrv) parts = g_strsplit (scram->client_first, ",", -1);
  if (!is_attribute (parts[0], 'n') || !is_attribute (parts[1], 'r') || !is_nonce (parts[1] + 2))
    return SCRAM_MALFORMED;
  scram->username = unescape_name (parts[0] + 2, strlen (parts[0] + 2));
  scram->client_nonce = g_strdup (parts[1] + 2);
  return scram->username != NULL ? SCRAM_OK : SCRAM_MALFORMED;
}

const char *
scram_get_username (const Scram *scram)
{
  return scram->username;
}

const char *
scram_get_authzid (const Scram *scram)
{
  return scram->authzid;
}

char *
scram_write_challenge (Scram *scram, const ScramVerifier *verifier, const void *salt, gsize salt_length,
                       const char *nonce)
{
  g_autofree char *salt_text = g_base64_encode (salt, salt_length);
  scram->verifier = *verifier;
  scram->nonce = g_strconcat (scram->client_nonce, nonce, NULL);
  scram->server_first
      = g_strdup_printf ("r=%s,s=%s,i=%u", scram->nonce, salt_text, (guint)verifier->iterations);
  return g_strdup (scram->server_first);
}

static void
compute_hmac (ScramHash hash, const void *key, gsize key_length, const char *text, guint8 *out)
{
  guint size = (guint)get_size (hash);
  if (HMAC (get_digest (hash), key, (int)key_length, (const guint8 *)text, strlen (text), out, &size) == NULL)
    g_error ("HMAC failed");
}

/* Whether SHA (proof ^ HMAC (stored key, auth message)) is the stored key (RFC 5802 §3). */
static gboolean
is_right_proof (const Scram *scram, const guint8 *proof, const char *auth_message)
{
  gsize size = get_size (scram->hash);
  guint8 key[EVP_MAX_MD_SIZE];
  guint8 stored[EVP_MAX_MD_SIZE];

  compute_hmac (scram->hash, scram->verifier.stored_key, size, auth_message, key);
  for (gsize i = 0; i < size; i++)
    key[i] ^= proof[i];
  if (EVP_Digest (key, size, stored, NULL, get_digest (scram->hash), NULL) != 1)
    g_error ("a digest failed");
  gboolean is_right = secret_equal_bytes (stored, size, scram->verifier.stored_key, size);
  secret_wipe (key, sizeof key);
  return is_right;
}

ScramOutcome
scram_read_final (Scram *scram, const char *message, gsize length, char **server_final)
{
  gsize n_proof = 0;

  if (length == 0 || scram->server_first == NULL || length > 4096 || memchr (message, '\0', length) != NULL
      || !g_utf8_validate_len (message, length, NULL))
    return SCRAM_MALFORMED;
  g_autofree char *text = g_strndup (message, length);
  char *proof_at = NULL;
  for (char *at = strstr (text, ",p="); at != NULL; at = strstr (at + 1, ",p="))
    proof_at = at;
  if (proof_at == NULL)
    return SCRAM_MALFORMED;
  g_autofree guint8 *proof = text_from_base64 (proof_at + 3, strlen (proof_at + 3), &n_proof);
  *proof_at = '\0';
  if (proof == NULL || n_proof != get_size (scram->hash))
    return SCRAM_MALFORMED;

  /* The header comes again, so that it is covered by the proof. */
  g_auto (GStrv) parts = g_strsplit (text, ",", -1);
  g_autofree char *header = g_base64_encode ((const guint8 *)scram->gs2_header, strlen (scram->gs2_header));
  if (!is_attribute (parts[0], 'c') || !is_attribute (parts[1], 'r') || is_attribute (parts[2], 'm'))
    return SCRAM_MALFORMED;
  if (strcmp (parts[0] + 2, header) != 0 || strcmp (parts[1] + 2, scram->nonce) != 0)
    return SCRAM_WRONG_PROOF;

  g_autofree char *auth_message
      = g_strconcat (scram->client_first, ",", scram->server_first, ",", text, NULL);
  if (!is_right_proof (scram, proof, auth_message))
    return SCRAM_WRONG_PROOF;
  guint8 signature[EVP_MAX_MD_SIZE];
  compute_hmac (scram->hash, scram->verifier.server_key, get_size (scram->hash), auth_message, signature);
  g_autofree char *encoded = g_base64_encode (signature, get_size (scram->hash));
  *server_final = g_strconcat ("v=", encoded, NULL);
  return SCRAM_OK;
}

void
scram_false_verifier (ScramHash hash, const Secret *key, const char *local, guint32 iterations,
                      ScramVerifier *verifier)
{
  guint8 digest[EVP_MAX_MD_SIZE];
  gsize key_length;
  const guint8 *bytes = secret_peek_bytes (key, &key_length);
  g_autofree char *label = g_strdup_printf ("%d:%s", (int)hash, local);

  compute_hmac (SCRAM_SHA_256, bytes, key_length, label, digest);
  memcpy (verifier->salt, digest, sizeof verifier->salt);
  verifier->iterations = iterations;
  if (RAND_bytes (verifier->stored_key, sizeof verifier->stored_key) != 1
      || RAND_bytes (verifier->server_key, sizeof verifier->server_key) != 1)
    g_error ("the system's random generator failed");
}
