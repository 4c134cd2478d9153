/* How the faults of --mode and --fault look from outside. The server that sells has none: host-api.c without
 * its calls of this file is what to copy. */
#pragma once

#include "common/net/http-server.h"
#include "vendor-kit/plugin-server/fault.h"
#include "vendor-kit/plugin-server/register.h"

typedef enum
{
  MODE_NORMAL,
  MODE_SLOW,    /* as --fault late */
  MODE_FAILING, /* as --fault error */
  MODE_LYING,   /* POSTs meet html, empty, control, same and huge in turn */
} Mode;

typedef struct
{
  Mode mode;
  Faults faults;
  double delay_s; /* of FAULT_LATE */
} LiarOptions;

typedef struct Liar Liar;

/* @reg is lent, the rest copied. */
Liar *liar_new (const LiarOptions *options, Register *reg);
/* What is late is answered first. */
void liar_free (Liar *liar);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Liar, liar_free)

/* Whether @kind happens to this request. */
gboolean liar_has (Liar *liar, FaultKind kind);
/* TRUE after having answered, before anything was done: to any request, to a POST, to a DELETE. @user is who
 * the POST is for, @is_seen whether a serial was issued for the request. */
gboolean liar_takes_request (Liar *liar, HttpExchange *exchange);
gboolean liar_takes_post (Liar *liar, HttpExchange *exchange, const char *user);
gboolean liar_takes_delete (Liar *liar, HttpExchange *exchange, gboolean is_seen);
/* TRUE after having taken over the @answer to a POST that was done: it is lost, or will come late. */
gboolean liar_takes_answer (Liar *liar, HttpExchange *exchange, const char *answer);
