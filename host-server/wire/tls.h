/* TLS on OpenSSL: 1.2 and up, no early data, tickets for resumption, and buffers only while they are in use.
 */
#pragma once

#include <glib.h>
#include <openssl/ssl.h>

typedef struct Tls Tls;

/* Reads the certificate (PEM, with its chain) and its key. */
Tls *tls_new (const char *certificate, const char *private_key, GError **error);
void tls_free (Tls *tls);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Tls, tls_free)
/* Reads them again, for connections from now on; tickets given out stay good. On an error nothing changes. */
gboolean tls_reload (Tls *tls, const char *certificate, const char *private_key, GError **error);

/* A server's end. With @is_direct a client that offers protocols (ALPN) must offer xmpp-client (XEP-0368). */
SSL *tls_begin (Tls *tls, gboolean is_direct);
