/* "host:port" texts of the configuration, and the addresses of sockets. */
#pragma once

#include <glib.h>
#include <sys/socket.h>

/* Splits "host:port", "[v6]:port" or ":port" (any address). FALSE if it is neither. The caller frees *@host,
 * which is without brackets. */
gboolean address_split (const char *text, char **host, guint16 *port);
/* Whether @text ("host:port") names a loopback address or localhost. */
gboolean address_is_loopback (const char *text);
/* "127.0.0.1:5222", "[::1]:5222"; the caller frees it. */
char *address_to_text (const struct sockaddr *address);
/* What one peer is counted by: its IPv4 address (mapped ones too), or its IPv6 /64, without a port. The
 * caller frees it. */
char *address_to_peer (const struct sockaddr *address);
