/* The system calls vendor code may make, as tables, and the seccomp programs made of them.
 *
 * Stage 1 is in force before the first byte of the vendor's object is mapped and is the boundary:
 * constructors run under it and may rewrite the runner's own code. Stage 2 narrows it once the object is
 * loaded. The supervisor builds the programs; the runner only installs them. */
#pragma once

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>

typedef enum
{
  FILTER_ZYGOTE,         /* server, stage 1: load an object, fork, reap */
  FILTER_SERVER_CALL,    /* server, stage 2: compute, and send on CHANNEL_CALL_FD */
  FILTER_CLIENT,         /* client, stage 1: a private folder, and TCP if granted */
  FILTER_CLIENT_THREADS, /* the same with threads */
  FILTER_CLIENT_LOADED,  /* client, stage 2: no code is mapped any more */
} FilterList;

#define FILTER_MAX_STEPS 1024

/* The descriptor of the channel in every runner, and of a call's own channel in its process: stage 2 lets it
 * send there and nowhere else. */
#define FILTER_CHANNEL_FD 3

typedef struct
{
  size_t n_steps;
  struct sock_filter steps[FILTER_MAX_STEPS];
} FilterProgram;

/* Builds the program of @list; with @may_connect a client may make TCP sockets, and every connect() is put to
 * the host. False with errno. */
bool filter_build (FilterList list, bool may_connect, FilterProgram *program);
