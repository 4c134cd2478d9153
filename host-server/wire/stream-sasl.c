#include "host-server/wire/stream-sasl.h"

#include "common/base/id.h"
#include "common/base/text.h"

#include <string.h>

#define MAX_MESSAGE 8192 /* decoded */

typedef enum
{
  MECHANISM_NONE,
  MECHANISM_SCRAM,
  MECHANISM_PLAIN,
} Mechanism;

typedef enum
{
  STEP_FIRST, /* the client speaks first, maybe after an empty challenge */
  STEP_FINAL,
  STEP_DONE,
} Step;

struct Sasl
{
  const Jid *domain;
  SaslFind find;
  gpointer data;
  gboolean is_secure;
  Mechanism mechanism;
  Step step;
  Scram *scram;
  ScramHash hash;
  gboolean is_known; /* there is such an account */
  char *local;
  Jid *jid;
  Secret *password;
};

static const struct
{
  const char *name;
  Mechanism mechanism;
  ScramHash hash;
} mechanisms[] = {
  { "SCRAM-SHA-256", MECHANISM_SCRAM, SCRAM_SHA_256 },
  { "SCRAM-SHA-1", MECHANISM_SCRAM, SCRAM_SHA_1 },
  { "PLAIN", MECHANISM_PLAIN, N_SCRAM_HASHES }, /* inside TLS only */
};

void
sasl_write_mechanisms (GString *out, gboolean is_secure)
{
  g_string_append (out, "<mechanisms xmlns='" SASL_NS "'>");
  for (gsize i = 0; i < G_N_ELEMENTS (mechanisms); i++)
    if (is_secure || mechanisms[i].mechanism != MECHANISM_PLAIN)
      g_string_append_printf (out, "<mechanism>%s</mechanism>", mechanisms[i].name);
  g_string_append (out, "</mechanisms>");
}

void
sasl_write_failure (GString *out, const char *condition)
{
  g_string_append_printf (out, "<failure xmlns='" SASL_NS "'><%s/></failure>", condition);
}

Sasl *
sasl_new (const Jid *domain, gboolean is_secure, SaslFind find, gpointer data)
{
  Sasl *sasl = g_new0 (Sasl, 1);
  sasl->domain = domain;
  sasl->is_secure = is_secure;
  sasl->find = find;
  sasl->data = data;
  return sasl;
}

void
sasl_free (Sasl *sasl)
{
  if (sasl == NULL)
    return;
  scram_free (sasl->scram);
  secret_free (sasl->password);
  jid_unref (sasl->jid);
  g_free (sasl->local);
  g_free (sasl);
}

const char *
sasl_get_local (const Sasl *sasl)
{
  return sasl->local;
}

const Jid *
sasl_get_jid (const Sasl *sasl)
{
  return sasl->jid;
}

Secret *
sasl_take_password (Sasl *sasl)
{
  return g_steal_pointer (&sasl->password);
}

static SaslOutcome
fail (Sasl *sasl, GString *out, const char *condition)
{
  sasl->step = STEP_DONE;
  sasl_write_failure (out, condition);
  return SASL_FAILED;
}

/* The account's address; a name that is no localpart stays without one, and unknown. */
static void
set_username (Sasl *sasl, const char *username)
{
  g_autoptr (Jid) jid = jid_new_parts (username, jid_get_domain (sasl->domain), NULL);
  sasl->local = g_strdup (jid != NULL ? jid_get_local (jid) : username);
  sasl->jid = g_steal_pointer (&jid);
}

/* RFC 6120 §6.3.8: nobody may act as anybody else here. */
static gboolean
is_own_authzid (const Sasl *sasl, const char *authzid)
{
  if (authzid == NULL || authzid[0] == '\0')
    return TRUE;
  g_autoptr (Jid) jid = jid_new (authzid, strlen (authzid));
  return jid != NULL && sasl->jid != NULL && jid_equal (jid, sasl->jid);
}

static SaslOutcome
read_scram_first (Sasl *sasl, const char *message, gsize length, GString *out)
{
  ScramVerifier verifier;

  sasl->scram = scram_new (sasl->hash);
  if (scram_read_first (sasl->scram, message, length) != SCRAM_OK)
    return fail (sasl, out, "malformed-request");
  set_username (sasl, scram_get_username (sasl->scram));
  if (!is_own_authzid (sasl, scram_get_authzid (sasl->scram)))
    return fail (sasl, out, "invalid-authzid");
  sasl->is_known = sasl->find (sasl->local, sasl->hash, &verifier, sasl->data) && sasl->jid != NULL;
  g_autofree char *nonce = id_new_random (18);
  g_autofree char *challenge
      = scram_write_challenge (sasl->scram, &verifier, verifier.salt, sizeof verifier.salt, nonce);
  secret_wipe (&verifier, sizeof verifier);
  g_autofree char *encoded = g_base64_encode ((const guint8 *)challenge, strlen (challenge));
  g_string_append_printf (out, "<challenge xmlns='" SASL_NS "'>%s</challenge>", encoded);
  sasl->step = STEP_FINAL;
  return SASL_CONTINUES;
}

static SaslOutcome
read_scram_final (Sasl *sasl, const char *message, gsize length, GString *out)
{
  g_autofree char *final = NULL;
  ScramOutcome outcome = scram_read_final (sasl->scram, message, length, &final);
  if (outcome == SCRAM_MALFORMED)
    return fail (sasl, out, "malformed-request");
  if (outcome != SCRAM_OK || !sasl->is_known)
    return fail (sasl, out, "not-authorized");
  sasl->step = STEP_DONE;
  g_autofree char *encoded = g_base64_encode ((const guint8 *) final, strlen (final));
  g_string_append_printf (out, "<success xmlns='" SASL_NS "'>%s</success>", encoded);
  return SASL_SUCCEEDED;
}

/* RFC 4616: [authzid] NUL authcid NUL passwd. */
static SaslOutcome
read_plain (Sasl *sasl, const char *message, gsize length, GString *out)
{
  const char *end = message + length;
  const char *first = memchr (message, '\0', length);
  const char *second = first != NULL ? memchr (first + 1, '\0', (gsize)(end - first - 1)) : NULL;
  if (second == NULL || second == first + 1 || second + 1 == end
      || memchr (second + 1, '\0', (gsize)(end - second - 1)) != NULL
      || !g_utf8_validate (message, first - message, NULL)
      || !g_utf8_validate (first + 1, second - first - 1, NULL)
      || !g_utf8_validate (second + 1, end - second - 1, NULL))
    return fail (sasl, out, "malformed-request");
  set_username (sasl, first + 1);
  if (!is_own_authzid (sasl, message))
    return fail (sasl, out, "invalid-authzid");
  sasl->password = secret_new (second + 1, (gsize)(end - second - 1));
  sasl->step = STEP_DONE;
  return SASL_NEEDS_PASSWORD_CHECK;
}

static SaslOutcome
read_message (Sasl *sasl, const char *text, gsize text_length, GString *out)
{
  gsize length = 0;

  /* RFC 6120 §6.4.2: "=" is an empty message. */
  gboolean is_empty = text_length == 1 && text[0] == '=';
  g_autofree guint8 *message = is_empty ? g_malloc0 (1) : text_from_base64 (text, text_length, &length);
  if (message == NULL)
    return fail (sasl, out, "incorrect-encoding");
  SaslOutcome outcome;
  if (length > MAX_MESSAGE)
    outcome = fail (sasl, out, "malformed-request");
  else if (sasl->mechanism == MECHANISM_PLAIN && sasl->step == STEP_FIRST)
    outcome = read_plain (sasl, (const char *)message, length, out);
  else if (sasl->mechanism == MECHANISM_SCRAM && sasl->step == STEP_FIRST)
    outcome = read_scram_first (sasl, (const char *)message, length, out);
  else if (sasl->mechanism == MECHANISM_SCRAM && sasl->step == STEP_FINAL)
    outcome = read_scram_final (sasl, (const char *)message, length, out);
  else
    outcome = fail (sasl, out, "malformed-request");
  secret_wipe (message, length);
  return outcome;
}

SaslOutcome
sasl_begin (Sasl *sasl, const XmlElement *auth, GString *out)
{
  const char *name = xml_element_get_attribute (auth, "mechanism");
  for (gsize i = 0; name != NULL && i < G_N_ELEMENTS (mechanisms); i++)
    if (g_str_equal (mechanisms[i].name, name)
        && (sasl->is_secure || mechanisms[i].mechanism != MECHANISM_PLAIN))
      {
        sasl->mechanism = mechanisms[i].mechanism;
        sasl->hash = mechanisms[i].hash;
      }
  if (sasl->mechanism == MECHANISM_NONE)
    return fail (sasl, out, "invalid-mechanism");
  if (auth->payload_length > 0)
    return read_message (sasl, auth->payload, auth->payload_length, out);
  g_string_append (out, "<challenge xmlns='" SASL_NS "'/>");
  return SASL_CONTINUES;
}

SaslOutcome
sasl_continue (Sasl *sasl, const XmlElement *response, GString *out)
{
  return read_message (sasl, response->payload, response->payload_length, out);
}

SaslOutcome
sasl_password_checked (Sasl *sasl, gboolean is_right, GString *out)
{
  if (!is_right || sasl->jid == NULL)
    return fail (sasl, out, "not-authorized");
  g_string_append (out, "<success xmlns='" SASL_NS "'/>");
  return SASL_SUCCEEDED;
}
