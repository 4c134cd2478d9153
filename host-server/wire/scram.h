/* SCRAM (RFC 5802, RFC 7677) on the server's side: a function from messages to messages, with no stream in it. */
#pragma once

#include <glib.h>

typedef enum
{
  SCRAM_SHA_1,
  SCRAM_SHA_256,
  N_SCRAM_HASHES,
} ScramHash;

/* RFC 5802 §3: what the server keeps of a password. */
typedef struct
{
  guint8 salt[16];
  guint32 iterations;
  guint8 stored_key[32]; /* 20 bytes used with SHA-1 */
  guint8 server_key[32];
} ScramVerifier;
