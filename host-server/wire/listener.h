/* A listening socket of clients. */
#pragma once

#include "host-server/wire/poller.h"

typedef struct Listener Listener;

/* @fd is connected, non-blocking, and the function's own. */
typedef void (*ListenerAccept) (int fd, const char *peer, gpointer data);

/* Listens on "host:port"; port 0 is the kernel's choice. "[::]" takes IPv4 as well, and falls back to 0.0.0.0
 * where there is no IPv6. */
Listener *listener_new (Poller *poller, const char *address, ListenerAccept accept, gpointer data,
                        GError **error);
/* Stops listening; it is freed by the poller. */
void listener_close (Listener *listener);
/* The address it really has. */
const char *listener_get_address (const Listener *listener);
