/* The clients of one benchmark and the loop they live in. */
#pragma once

#include "tests/bench/login.h"

typedef struct Bench Bench;
typedef struct Client Client;

/* Counts how often a word occurs in a stream that comes in pieces. */
typedef struct
{
  const char *word;
  size_t length;
  char tail[32]; /* the last length - 1 bytes seen */
  size_t tail_length;
} Counter;

struct Client
{
  Connection connection;
  Login login;
  Bench *bench;
  unsigned index;
  bool is_started;
  bool is_ready;       /* logged in, or connected in a raw benchmark */
  Client *peer;        /* who gets this client's messages */
  GString *request;    /* what it sends, `window` times over */
  size_t request_size; /* of one */
  Counter counter;
  int64_t sent_ns;      /* when it last sent */
  int64_t started_ns;   /* when its login began */
  SSL_SESSION *session; /* for resumption */
};

struct Bench
{
  int epoll_fd;
  uint16_t port;
  LoginPlan plan;
  bool is_raw;         /* the other side is the relay: nobody logs in */
  bool keeps_sessions; /* TLS sessions are kept for resumption */
  Client *clients;
  unsigned n_clients, n_accounts, n_ready, n_started;
  unsigned n_at_once; /* logins under way at the same time */
  char *buffer;

  /* A session is up; data for a session that is up; either may be NULL. */
  void (*on_ready) (Bench *self, Client *client);
  void (*on_data) (Bench *self, Client *client, const char *data, size_t size);
  void *mode; /* the callbacks' own */
};

int64_t now_ns (void);

/* Both end the program with a message when a connection or a login fails: a benchmark with errors has no
 * figure. */
void bench_start_client (Bench *self, Client *client);
void bench_turn (Bench *self, int timeout_ms);

/* Brings all clients up. */
void bench_bring_up (Bench *self);

/* Closes a client, politely, so that it can be started again. */
void bench_stop_client (Bench *self, Client *client);

void counter_init (Counter *self, const char *word);
unsigned counter_feed (Counter *self, const char *data, size_t size);
