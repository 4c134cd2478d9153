#include "plugin-abi/runner/plan.h"

bool
runner_read_start (const Frame *frame, RunnerStart *start)
{
  FrameReader reader;
  frame_read (&reader, frame);
  *start = (RunnerStart){ .kind = frame_get_text (&reader) };
  start->plan.profile = frame_get_u32 (&reader);
  start->plan.uid = frame_get_u32 (&reader);
  start->plan.memory_bytes = frame_get_i64 (&reader);
  start->plan.data_bytes = frame_get_i64 (&reader);
  start->plan.cpu_s = frame_get_u32 (&reader);
  start->deadline_ms = frame_get_u32 (&reader);
  start->plan.max_calls = frame_get_u32 (&reader);
  start->plan.may_connect = frame_get_u32 (&reader) != 0;
  start->plan.object = frame_get_text (&reader);
  start->plan.data = frame_get_text (&reader);
  while (frame_reader_has_more (&reader) && start->plan.n_read < SANDBOX_MAX_READ)
    start->plan.read[start->plan.n_read++] = frame_get_text (&reader);

  bool is_server = start->plan.profile == SANDBOX_SERVER;
  return frame_reader_is_done (&reader) && start->plan.profile <= SANDBOX_CLIENT_THREADS
         && start->plan.memory_bytes > 0 && start->plan.data_bytes >= 0
         && (!is_server || (start->plan.max_calls > 0 && start->plan.cpu_s > 0 && !start->plan.may_connect));
}
