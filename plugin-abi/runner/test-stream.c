#include "plugin-abi/runner/stream.h"

#include <glib.h>

static void
test_stream_is_chacha20 (void)
{
  /* RFC 8439, appendix A.1, vectors 1 and 2: a key of zeros, blocks 0 and 1. */
  static const guint8 start[]
      = { 0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90, 0x40, 0x5d, 0x6a, 0xe5, 0x53, 0x86, 0xbd, 0x28 };
  static const guint8 second[]
      = { 0x9f, 0x07, 0xe7, 0xbe, 0x55, 0x51, 0x38, 0x7a, 0x98, 0xba, 0x97, 0x7c, 0x73, 0x2d, 0x08, 0x0d };
  const guint8 seed[32] = { 0 };
  guint8 bytes[80];
  SeedStream stream;
  seed_stream_init (&stream, seed);
  seed_stream_read (&stream, bytes, sizeof bytes);
  g_assert_cmpmem (bytes, sizeof start, start, sizeof start);
  g_assert_cmpmem (bytes + 64, sizeof second, second, sizeof second);
}

static void
test_stream_is_the_same_however_it_is_cut (void)
{
  guint8 seed[32], whole[300], parts[300];
  SeedStream stream;
  for (guint i = 0; i < sizeof seed; i++)
    seed[i] = (guint8)(7 * i + 1);
  seed_stream_init (&stream, seed);
  seed_stream_read (&stream, whole, sizeof whole);
  for (gsize cut = 1; cut < 70; cut += 3)
    {
      seed_stream_init (&stream, seed);
      for (gsize at = 0; at < sizeof parts; at += cut)
        seed_stream_read (&stream, parts + at, MIN (cut, sizeof parts - at));
      g_assert_cmpmem (parts, sizeof parts, whole, sizeof whole);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/runner/stream_is_chacha20", test_stream_is_chacha20);
  g_test_add_func ("/runner/stream_is_the_same_however_it_is_cut", test_stream_is_the_same_however_it_is_cut);
  return g_test_run ();
}
