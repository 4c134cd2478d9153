/* "host:port" texts and the listening sockets they name. */
#pragma once

#include <glib.h>
#include <sys/socket.h>

/* Takes "host:port" or "[v6]:port" apart; FALSE if it is neither. The caller frees both. */
gboolean listen_split (const char *address, char **host, char **port);
/* Whether "host:port" names a loopback address, or localhost. */
gboolean listen_is_loopback (const char *address);
/* A listening TCP socket (non-blocking, close-on-exec) on @address; port 0: the kernel chooses. `[::]` takes
 * IPv4 as well, and falls back to 0.0.0.0 where there is no IPv6. -1 with @error (G_IO_ERROR). Resolves
 * names, so it may block: for start-up. */
int listen_open (const char *address, GError **error);
/* Where @fd is really bound: "127.0.0.1:41234", "[::]:443"; NULL on failure. The caller frees it. */
char *listen_dup_address (int fd, guint16 *port);
/* The numeric address of a peer without its port, an IPv4 one that came through an IPv6 socket as IPv4. */
char *listen_dup_peer (const struct sockaddr *peer);
