#include "common/module/channel.h"

#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A frame on the heap, so that a sanitizer sees its ends. */
static Frame *
new_frame (FrameOp op, FrameFlag flag, guint32 call)
{
  Frame *frame = g_new0 (Frame, 1);
  frame_begin (frame, op, flag, call);
  return frame;
}

static size_t
get_packet_size (const Frame *frame)
{
  return sizeof frame->header + frame->header.length;
}

static void
put_keygen_request (Frame *frame)
{
  const guint8 seed[32] = { 7 };
  for (guint i = 0; i < 4; i++)
    frame_put_text (frame, "text");
  frame_put_u32 (frame, 1);
  frame_put_u32 (frame, 2);
  frame_put_bytes (frame, seed, sizeof seed);
  frame_put_i64 (frame, -3);
}

static void
test_frame_values_come_out_as_they_went_in (void)
{
  g_autofree Frame *frame = new_frame (FRAME_OP_LOG, FRAME_EVENT, 0);
  const guint8 bytes[] = { 0, 1, 2 };
  size_t length;
  frame_put_u32 (frame, G_MAXUINT32);
  frame_put_i64 (frame, G_MININT64);
  frame_put_text (frame, "Größe");
  frame_put_text (frame, NULL);
  frame_put_bytes (frame, bytes, sizeof bytes);
  g_assert_true (frame_is_whole (frame));

  FrameReader reader;
  frame_read (&reader, frame);
  g_assert_cmpuint (frame_get_u32 (&reader), ==, G_MAXUINT32);
  g_assert_cmpint (frame_get_i64 (&reader), ==, G_MININT64);
  g_assert_cmpstr (frame_get_text (&reader), ==, "Größe");
  g_assert_cmpstr (frame_get_text (&reader), ==, "");
  g_assert_true (frame_reader_has_more (&reader));
  const guint8 *read = frame_get_bytes (&reader, &length);
  g_assert_cmpmem (read, length, bytes, sizeof bytes);
  g_assert_true (frame_reader_is_done (&reader));
}

static void
test_frame_reader_failure_sticks (void)
{
  const guint8 payload[] = { 200, 0, 0, 0, 'a', 0, 1, 0, 0, 0 };
  FrameReader reader;
  frame_reader_init (&reader, payload, sizeof payload);
  g_assert_cmpstr (frame_get_text (&reader), ==, "");
  g_assert_true (reader.failed);
  g_assert_cmpuint (frame_get_u32 (&reader), ==, 0);
  g_assert_false (frame_reader_has_more (&reader));
  g_assert_false (frame_reader_is_done (&reader));
}

static void
test_frame_text_with_a_nul_inside_or_none_at_its_end_is_refused (void)
{
  static const guint8 inside[] = { 3, 0, 0, 0, 'a', 0, 'b', 0 };
  static const guint8 without[] = { 2, 0, 0, 0, 'a', 'b', 'c' };
  static const guint8 fine[] = { 2, 0, 0, 0, 'a', 'b', 0 };
  FrameReader reader;
  frame_reader_init (&reader, inside, sizeof inside);
  frame_get_text (&reader);
  g_assert_true (reader.failed);
  frame_reader_init (&reader, without, sizeof without);
  frame_get_text (&reader);
  g_assert_true (reader.failed);
  frame_reader_init (&reader, fine, sizeof fine);
  g_assert_cmpstr (frame_get_text (&reader), ==, "ab");
  g_assert_true (frame_reader_is_done (&reader));
}

static void
test_frame_that_overflows_is_not_whole_and_not_sent (void)
{
  g_autofree Frame *frame = new_frame (FRAME_OP_LOG, FRAME_EVENT, 0);
  g_autofree char *text = g_strnfill (FRAME_MAX_PAYLOAD - 5, 'x');
  int ends[2];
  frame_put_text (frame, text);
  g_assert_true (frame_is_whole (frame));
  g_assert_cmpuint (frame->header.length, ==, FRAME_MAX_PAYLOAD);

  g_assert_true (channel_pair (ends));
  g_assert_cmpint (channel_send (ends[1], frame), ==, CHANNEL_FRAME);
  frame_put_u32 (frame, 1);
  g_assert_false (frame_is_whole (frame));
  frame_put_u32 (frame, 1);
  g_assert_false (frame_is_whole (frame));
  g_assert_cmpint (channel_send (ends[1], frame), ==, CHANNEL_BROKEN);
  close (ends[0]);
  close (ends[1]);
}

static void
test_frame_check_judges_side_phase_shape_and_flags (void)
{
  g_autofree Frame *frame = new_frame (FRAME_OP_CALL_KEYGEN, FRAME_ASK, 9);
  put_keygen_request (frame);
  size_t n = get_packet_size (frame);

  g_assert_cmpint (frame_check (frame, n, FRAME_FROM_HOST, FRAME_PHASE_CALL, 0), ==, FRAME_FINE);
  g_assert_cmpint (frame_check (frame, n, FRAME_FROM_RUNNER, FRAME_PHASE_CALL, 0), ==, FRAME_MISPLACED);
  g_assert_cmpint (frame_check (frame, n, FRAME_FROM_HOST, FRAME_PHASE_SERVE, 0), ==, FRAME_MISPLACED);
  g_assert_cmpint (frame_check (frame, n - 1, FRAME_FROM_HOST, FRAME_PHASE_CALL, 0), ==, FRAME_TRUNCATED);
  g_assert_cmpint (frame_check (frame, 3, FRAME_FROM_HOST, FRAME_PHASE_CALL, 0), ==, FRAME_TRUNCATED);

  frame->header.call = 0;
  g_assert_cmpint (frame_check (frame, n, FRAME_FROM_HOST, FRAME_PHASE_CALL, 0), ==, FRAME_MISSHAPEN);
  frame->header.call = 9;
  frame->header.flags = FRAME_ASK | FRAME_ANSWER;
  g_assert_cmpint (frame_check (frame, n, FRAME_FROM_HOST, FRAME_PHASE_CALL, 0), ==, FRAME_UNKNOWN);
  frame->header.flags = FRAME_EVENT;
  g_assert_cmpint (frame_check (frame, n, FRAME_FROM_HOST, FRAME_PHASE_CALL, 0), ==, FRAME_UNKNOWN);
  frame->header.flags = FRAME_ASK;
  frame->header.op = 9999;
  g_assert_cmpint (frame_check (frame, n, FRAME_FROM_HOST, FRAME_PHASE_CALL, 0), ==, FRAME_UNKNOWN);

  frame->header.op = FRAME_OP_CALL_KEYGEN;
  frame_put_u32 (frame, 1);
  g_assert_cmpint (frame_check (frame, get_packet_size (frame), FRAME_FROM_HOST, FRAME_PHASE_CALL, 0), ==,
                   FRAME_MISSHAPEN);
}

static void
test_frame_check_takes_answers_only_from_who_was_asked (void)
{
  g_autofree Frame *frame = new_frame (FRAME_OP_CALL_KEYGEN, FRAME_ANSWER, 9);
  frame_put_u32 (frame, 0);
  frame_put_text (frame, "SERIAL");
  frame_put_i64 (frame, 0);
  size_t n = get_packet_size (frame);
  g_assert_cmpint (frame_check (frame, n, FRAME_FROM_RUNNER, FRAME_PHASE_CALL, 0), ==, FRAME_FINE);
  g_assert_cmpint (frame_check (frame, n, FRAME_FROM_HOST, FRAME_PHASE_CALL, 0), ==, FRAME_MISPLACED);

  frame->header.status = FRAME_STATUS_FAILED;
  g_assert_cmpint (frame_check (frame, n, FRAME_FROM_RUNNER, FRAME_PHASE_CALL, 0), ==, FRAME_MISSHAPEN);
  FrameHeader asked = { .op = FRAME_OP_CALL_KEYGEN, .call = 9 };
  frame_answer (frame, &asked, FRAME_STATUS_FAILED, "a reason");
  g_assert_cmpint (frame_check (frame, get_packet_size (frame), FRAME_FROM_RUNNER, FRAME_PHASE_CALL, 0), ==,
                   FRAME_FINE);
  frame_answer (frame, &asked, FRAME_STATUS_BUSY, NULL);
  g_assert_cmpint (frame_check (frame, get_packet_size (frame), FRAME_FROM_RUNNER, FRAME_PHASE_CALL, 0), ==,
                   FRAME_FINE);

  frame_begin (frame, FRAME_OP_HELLO, FRAME_ANSWER, 9);
  g_assert_cmpint (frame_check (frame, get_packet_size (frame), FRAME_FROM_HOST, FRAME_PHASE_CALL, 0), ==,
                   FRAME_MISPLACED);
}

static void
test_frame_check_refuses_what_is_not_granted (void)
{
  g_autofree Frame *frame = new_frame (FRAME_OP_RESOLVE, FRAME_ASK, 1);
  frame_put_text (frame, "plugins.vendor.example");
  frame_put_u32 (frame, 0);
  size_t n = get_packet_size (frame);
  g_assert_cmpint (frame_check (frame, n, FRAME_FROM_RUNNER, FRAME_PHASE_SERVE, 0), ==, FRAME_UNGRANTED);
  g_assert_cmpint (frame_check (frame, n, FRAME_FROM_RUNNER, FRAME_PHASE_SERVE, FRAME_GRANT_CONNECT), ==,
                   FRAME_FINE);

  /* A keygen that asks for a user's data, as only a function may. */
  frame_begin (frame, FRAME_OP_KV_GET, FRAME_ASK, 1);
  frame_put_text (frame, "key");
  n = get_packet_size (frame);
  g_assert_cmpint (frame_check (frame, n, FRAME_FROM_RUNNER, FRAME_PHASE_CALL, 0), ==, FRAME_UNGRANTED);
  g_assert_cmpint (frame_check (frame, n, FRAME_FROM_RUNNER, FRAME_PHASE_CALL, FRAME_GRANT_USER_DATA), ==,
                   FRAME_FINE);
  g_assert_cmpint (frame_check (frame, n, FRAME_FROM_RUNNER, FRAME_PHASE_SERVE, FRAME_GRANT_USER_DATA), ==,
                   FRAME_MISPLACED);
}

static void
test_frame_table_has_each_op_once_and_shapes_that_mean_something (void)
{
  guint n_rows = 0;
  for (unsigned op = 0; op < 65536; op++)
    {
      const FrameRow *row = frame_find_row (op);
      if (row == NULL)
        continue;
      n_rows++;
      g_assert_cmpuint (row->op, ==, op);
      g_assert_true (row->kind == FRAME_ASK || row->kind == FRAME_EVENT);
      g_assert_true ((row->kind == FRAME_ASK) == (row->answer != NULL));
      g_assert_cmpuint (strspn (row->ask, "uxsb()"), ==, strlen (row->ask));
      g_assert_true (row->sides != 0 && row->phases != 0);
    }
  g_assert_cmpuint (n_rows, >, 10);
}

static int
count_descriptors (void)
{
  int n = 0;
  for (int fd = 0; fd < 256; fd++)
    n += fcntl (fd, F_GETFD) >= 0;
  return n;
}

static void
test_channel_lets_no_descriptor_in_that_was_not_asked_for (void)
{
  g_autofree Frame *frame = new_frame (FRAME_OP_HELLO, FRAME_EVENT, 0);
  g_autofree Frame *received = g_new0 (Frame, 1);
  ChannelReceipt receipt;
  int ends[2], more[2];
  g_assert_true (channel_pair (ends));
  g_assert_true (channel_pair (more));
  int before = count_descriptors ();

  g_assert_cmpint (channel_send_with (ends[1], frame, more, 1), ==, CHANNEL_FRAME);
  g_assert_cmpint (channel_receive (ends[0], received, &receipt, 0), ==, CHANNEL_BROKEN);
  g_assert_cmpint (count_descriptors (), ==, before);

  g_assert_cmpint (channel_send_with (ends[1], frame, more, 2), ==, CHANNEL_FRAME);
  g_assert_cmpint (channel_receive (ends[0], received, &receipt, 1), ==, CHANNEL_BROKEN);
  g_assert_cmpint (count_descriptors (), ==, before);

  /* The other direction too, where the receiver does not ask who sends. */
  g_assert_cmpint (channel_send_with (ends[0], frame, more, 1), ==, CHANNEL_FRAME);
  g_assert_cmpint (channel_receive (ends[1], received, &receipt, 0), ==, CHANNEL_BROKEN);
  g_assert_cmpint (count_descriptors (), ==, before);

  g_assert_cmpint (channel_send_with (ends[1], frame, more, 2), ==, CHANNEL_FRAME);
  g_assert_cmpint (channel_receive (ends[0], received, &receipt, 2), ==, CHANNEL_FRAME);
  g_assert_cmpint (receipt.pid, ==, getpid ());
  g_assert_cmpint (count_descriptors (), ==, before + 2);
  for (guint i = 0; i < 2; i++)
    {
      close (receipt.fds[i]);
      close (ends[i]);
      close (more[i]);
    }
}

static void
test_channel_tells_empty_closed_and_short_packets_apart (void)
{
  g_autofree Frame *received = g_new0 (Frame, 1);
  ChannelReceipt receipt;
  int ends[2];
  g_assert_true (channel_pair (ends));
  g_assert_cmpint (channel_receive (ends[0], received, &receipt, 0), ==, CHANNEL_AGAIN);
  g_assert_cmpint (send (ends[1], "short", 5, 0), ==, 5);
  g_assert_cmpint (channel_receive (ends[0], received, &receipt, 0), ==, CHANNEL_BROKEN);

  g_autofree char *large = g_malloc0 (sizeof (Frame) + 100);
  g_assert_cmpint (send (ends[1], large, sizeof (Frame) + 100, 0), >, 0);
  g_assert_cmpint (channel_receive (ends[0], received, &receipt, 0), ==, CHANNEL_BROKEN);

  close (ends[1]);
  g_assert_cmpint (channel_receive (ends[0], received, &receipt, 0), ==, CHANNEL_CLOSED);
  frame_begin (received, FRAME_OP_HELLO, FRAME_EVENT, 0);
  g_assert_cmpint (channel_send (ends[0], received), ==, CHANNEL_CLOSED);
  close (ends[0]);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name) g_test_add_func ("/module/" #name, test_##name)
  ADD (frame_values_come_out_as_they_went_in);
  ADD (frame_reader_failure_sticks);
  ADD (frame_text_with_a_nul_inside_or_none_at_its_end_is_refused);
  ADD (frame_that_overflows_is_not_whole_and_not_sent);
  ADD (frame_check_judges_side_phase_shape_and_flags);
  ADD (frame_check_takes_answers_only_from_who_was_asked);
  ADD (frame_check_refuses_what_is_not_granted);
  ADD (frame_table_has_each_op_once_and_shapes_that_mean_something);
  ADD (channel_lets_no_descriptor_in_that_was_not_asked_for);
  ADD (channel_tells_empty_closed_and_short_packets_apart);
  return g_test_run ();
}
