/* The bytes a request's seed stands for: ChaCha20 (RFC 8439 §2.4) with the seed as key, a nonce of zeros and
 * the block counter from 0. No secrets are protected by it that the seed does not give away; it only has to
 * be the same again. */
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef struct
{
  uint32_t state[16];
  uint8_t block[64];
  size_t n_used; /* of block */
} SeedStream;

void seed_stream_init (SeedStream *stream, const uint8_t seed[32]);
void seed_stream_read (SeedStream *stream, void *bytes, size_t length);
