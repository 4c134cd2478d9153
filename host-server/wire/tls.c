#include "host-server/wire/tls.h"

#include <openssl/err.h>
#include <string.h>

#define TICKET_KEYS 80

struct Tls
{
  SSL_CTX *contexts[2]; /* behind STARTTLS, direct */
};

static const guint8 protocol[] = "\x0bxmpp-client";

static int
select_protocol (SSL *ssl, const guint8 **out, guint8 *out_length, const guint8 *in, guint in_length,
                 void *is_direct)
{
  guint8 *selected;
  if (SSL_select_next_proto (&selected, out_length, protocol, sizeof protocol - 1, in, in_length)
      == OPENSSL_NPN_NEGOTIATED)
    {
      *out = selected;
      return SSL_TLSEXT_ERR_OK;
    }
  return is_direct != NULL ? SSL_TLSEXT_ERR_ALERT_FATAL : SSL_TLSEXT_ERR_NOACK;
}

static gboolean
fail (GError **error, const char *what, const char *path)
{
  gulong code = ERR_get_error ();
  const char *reason = ERR_reason_error_string (code);
  ERR_clear_error ();
  g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "cannot use %s '%s': %s", what, path,
               reason != NULL ? reason : "not readable");
  return FALSE;
}

static SSL_CTX *
make_context (const char *certificate, const char *private_key, gboolean is_direct, GError **error)
{
  SSL_CTX *context = SSL_CTX_new (TLS_server_method ());
  if (context == NULL)
    g_error ("OpenSSL does not start");
  SSL_CTX_set_min_proto_version (context, TLS1_2_VERSION);
  SSL_CTX_set_options (context,
                       SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode (context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE
                                 | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_session_cache_mode (context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets (context, 1);
  SSL_CTX_set_session_id_context (context, (const guint8 *)"xmpp", 4);
  SSL_CTX_set_max_early_data (context, 0);
  if (SSL_CTX_set_cipher_list (context, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1)
    g_error ("OpenSSL has none of our ciphers");
  /* SHA-256 for the key schedule of 1.3: a handshake is dozens of short hashes. */
  if (SSL_CTX_set_ciphersuites (context,
                                "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384")
      != 1)
    g_error ("OpenSSL has none of our ciphers");
  SSL_CTX_set_alpn_select_cb (context, select_protocol, is_direct ? context : NULL);
  gboolean is_good = TRUE;
  if (SSL_CTX_use_certificate_chain_file (context, certificate) != 1)
    is_good = fail (error, "certificate", certificate);
  else if (SSL_CTX_use_PrivateKey_file (context, private_key, SSL_FILETYPE_PEM) != 1
           || SSL_CTX_check_private_key (context) != 1)
    is_good = fail (error, "private key", private_key);
  if (!is_good)
    g_clear_pointer (&context, SSL_CTX_free);
  return context;
}

gboolean
tls_reload (Tls *tls, const char *certificate, const char *private_key, GError **error)
{
  SSL_CTX *behind_starttls = make_context (certificate, private_key, FALSE, error);
  SSL_CTX *direct = behind_starttls != NULL ? make_context (certificate, private_key, TRUE, error) : NULL;
  if (direct == NULL)
    {
      SSL_CTX_free (behind_starttls);
      return FALSE;
    }
  SSL_CTX *contexts[] = { behind_starttls, direct };
  for (gsize i = 0; i < G_N_ELEMENTS (contexts); i++)
    {
      guint8 keys[TICKET_KEYS];
      if (tls->contexts[i] != NULL
          && SSL_CTX_get_tlsext_ticket_keys (tls->contexts[i], keys, sizeof keys) == 1)
        SSL_CTX_set_tlsext_ticket_keys (contexts[i], keys, sizeof keys);
      OPENSSL_cleanse (keys, sizeof keys);
      SSL_CTX_free (tls->contexts[i]);
      tls->contexts[i] = contexts[i];
    }
  return TRUE;
}

Tls *
tls_new (const char *certificate, const char *private_key, GError **error)
{
  g_autoptr (Tls) tls = g_new0 (Tls, 1);
  if (!tls_reload (tls, certificate, private_key, error))
    return NULL;
  return g_steal_pointer (&tls);
}

void
tls_free (Tls *tls)
{
  if (tls == NULL)
    return;
  SSL_CTX_free (tls->contexts[0]);
  SSL_CTX_free (tls->contexts[1]);
  g_free (tls);
}

SSL *
tls_begin (Tls *tls, gboolean is_direct)
{
  SSL *ssl = SSL_new (tls->contexts[is_direct ? 1 : 0]);
  if (ssl == NULL)
    g_error ("out of memory");
  SSL_set_accept_state (ssl);
  return ssl;
}
