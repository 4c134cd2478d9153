/* Where a domain's server may be found: what the user said, or the domain's SRV records, down to numeric
 * addresses in the order to try them. */
#pragma once

#include <gio/gio.h>

#define ENDPOINT_PORT        5222
#define ENDPOINT_PORT_DIRECT 5223

typedef struct
{
  char *host; /* a name or a numeric address */
  guint16 port;
  gboolean is_direct_tls; /* TLS from the first byte (XEP-0368), not STARTTLS */
} Endpoint;

Endpoint *endpoint_new (const char *host, guint16 port, gboolean is_direct_tls);
void endpoint_free (Endpoint *endpoint);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Endpoint, endpoint_free)

/* Reads `HOST`, `HOST:PORT`, `[v6]:PORT`. NULL if it is none of them. */
Endpoint *endpoint_parse (const char *text, gboolean is_direct_tls);

/* Looks up every numeric address for @domain: of @given (nullable) if there is one, else of the SRV records
 * (direct TLS first), else of the domain itself. Off this thread. */
void endpoint_look_up_async (const char *domain, const Endpoint *given, GCancellable *cancellable,
                             GAsyncReadyCallback callback, gpointer data);
/* An array of Endpoint, not empty, numeric; NULL with a G_RESOLVER_ERROR or G_IO_ERROR. Caller unrefs. */
GPtrArray *endpoint_look_up_finish (GAsyncResult *result, GError **error);
