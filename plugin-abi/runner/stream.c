#include "plugin-abi/runner/stream.h"
#include <string.h>

static uint32_t
rotate (uint32_t word, unsigned n)
{
  return word << n | word >> (32 - n);
}

static void
quarter_round (uint32_t *s, unsigned a, unsigned b, unsigned c, unsigned d)
{
  s[a] += s[b];
  s[d] = rotate (s[d] ^ s[a], 16);
  s[c] += s[d];
  s[b] = rotate (s[b] ^ s[c], 12);
  s[a] += s[b];
  s[d] = rotate (s[d] ^ s[a], 8);
  s[c] += s[d];
  s[b] = rotate (s[b] ^ s[c], 7);
}

static void
make_block (SeedStream *stream)
{
  uint32_t words[16];
  memcpy (words, stream->state, sizeof words);
  for (unsigned round = 0; round < 10; round++)
    {
      for (unsigned i = 0; i < 4; i++)
        quarter_round (words, i, 4 + i, 8 + i, 12 + i);
      for (unsigned i = 0; i < 4; i++)
        quarter_round (words, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4);
    }
  for (unsigned i = 0; i < 16; i++)
    {
      uint32_t word = words[i] + stream->state[i];
      for (unsigned byte = 0; byte < 4; byte++)
        stream->block[4 * i + byte] = (uint8_t)(word >> (8 * byte));
    }
  stream->state[12]++;
  stream->n_used = 0;
}

void
seed_stream_init (SeedStream *stream, const uint8_t seed[32])
{
  static const uint32_t constants[4] = { 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574 };
  memset (stream, 0, sizeof *stream);
  memcpy (stream->state, constants, sizeof constants);
  for (unsigned i = 0; i < 32; i++)
    stream->state[4 + i / 4] |= (uint32_t)seed[i] << (8 * (i % 4));
  stream->n_used = sizeof stream->block;
}

void
seed_stream_read (SeedStream *stream, void *bytes, size_t length)
{
  uint8_t *at = bytes;
  while (length-- > 0)
    {
      if (stream->n_used == sizeof stream->block)
        make_block (stream);
      *at++ = stream->block[stream->n_used++];
    }
}
