/* A client's socket, with TLS where it is used: it carries the bytes of a stream, holds the peer to its
 * rates, and watches the time. */
#pragma once

#include "host-server/wire/poller.h"
#include "host-server/wire/stream.h"
#include "host-server/wire/timers.h"
#include "host-server/wire/tls.h"

typedef struct Connection Connection;
typedef struct Connections Connections;

/* 0: no limit. They may change at any time. */
typedef struct
{
  guint64 stanzas_per_s;
  guint64 bytes_per_s;
  guint64 bytes_per_s_before_login;
  guint streams;
  guint streams_per_address;
  gint64 handshake_us; /* from the connection to the login */
  gint64 idle_us;      /* of silence, after which a blank is sent, so that a dead peer shows */
} ConnectionLimits;

/* All connections of a server. What is lent outlives it; @tls is NULL without a certificate. */
Connections *connections_new (Poller *poller, Timers *timers, Tls *tls, const StreamSettings *settings,
                              const ConnectionLimits *limits);
/* Closes what is left at once. */
void connections_free (Connections *connections);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Connections, connections_free)
guint connections_get_count (const Connections *connections);

/* Takes a connected, non-blocking socket. */
void connections_take (Connections *connections, int fd, const char *peer, gboolean is_direct_tls);
/* Ends every stream with that condition; the connections close as their peers take notice. */
void connections_end_all (Connections *connections, const char *condition);
