/* One non-blocking TCP connection, with or without TLS, inside an epoll loop. */
#pragma once

#include <glib.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct
{
  int epoll_fd;
  int fd;   /* -1: closed */
  SSL *ssl; /* NULL: plain */
  bool is_handshaking;
  bool wants_write; /* EPOLLOUT is registered */
  GString *unsent;  /* NULL while everything has gone out */
  void *owner;
} Connection;

typedef enum
{
  READ_DATA,           /* *size bytes were read */
  READ_LATER,          /* nothing more for now */
  READ_HANDSHAKE_DONE, /* TLS is up; read on */
  READ_CLOSED,         /* the end, or an error of socket or TLS */
} ReadOutcome;

/* Starts a connection to 127.0.0.1:`port`, or takes `fd` (>= 0) that was accepted. False: errno says why. */
bool connection_open (Connection *self, int epoll_fd, int fd, uint16_t port, void *owner);

/* Begins TLS as client (`session`, may be NULL, is offered for resumption) or server. */
void connection_start_tls (Connection *self, SSL_CTX *context, bool is_server, SSL_SESSION *session);

/* Reads what is there into `buffer`, of `*size` bytes. */
ReadOutcome connection_read (Connection *self, char *buffer, size_t *size);

/* After READ_DATA: whether more lies here that epoll does not know of. What is still in the socket comes back
 * by itself, as epoll is level-triggered; asking for it would cost a system call. */
bool connection_has_more (Connection *self);

/* Sends, or keeps what the socket does not take; false when the connection has failed. */
bool connection_send (Connection *self, const char *data, size_t size);

/* Sends what was kept; for EPOLLOUT. */
bool connection_flush (Connection *self);

/* Closes and frees what it holds; may be opened again afterwards. */
void connection_close (Connection *self);
