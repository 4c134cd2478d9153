/* What the hostile object can be ordered to do. Each deed says what came of it: the name of an errno, "done",
 * or nothing because nobody lived to tell. */
#pragma once

#include <host/keygen.h>

#include <sys/types.h>

/* clang-format off */
#define HOSTILE_DEEDS(X) \
  X (swallow_calls) X (open_file) X (open_own_memory) X (open_host_memory) \
  X (open_host_environment) X (list_folder) X (create_file) X (open_for_truncation) \
  X (truncate_file) X (change_mode) X (make_folder) X (remove_file) X (look_at_file) X (tcp_socket) \
  X (udp_socket) X (unix_socket) X (netlink_socket) X (socket_pair) X (make_pipe) X (make_eventfd) \
  X (make_memfd) X (make_io_uring) X (make_userfaultfd) X (make_shared_memory) X (unshare_user) \
  X (become_root) X (run_program) X (fork_and_stay) X (fork_and_hold) X (make_thread) \
  X (make_many_threads) X (leave_group) X (leave_session) X (kill_host) X (kill_everybody) \
  X (open_host_pidfd) X (trace_host) X (read_host_memory) X (limit_host) X (raise_own_limit) \
  X (become_dumpable) X (outlive_the_supervisor) X (adopt_orphans) X (listen_to_own_calls) \
  X (old_machine_call) X (x32_call) X (map_shared) X (map_executable) X (make_executable) \
  X (load_late) X (allocate) X (loop) X (wait_for_ever) X (recurse) X (call_abort) X (call_exit) \
  X (write_null) X (close_everything) X (answer_twice) X (answer_another_call) X (answer_too_much) \
  X (answer_less_than_said) X (send_unknown_frame) X (send_nothing) X (send_descriptor) \
  X (flood_log) X (flood_log_by_hand) X (count_environment) X (count_calls) X (answer_binary) \
  X (answer_empty) X (bind_socket) X (listen_socket) X (open_fast) X (open_fast_by_message) \
  X (send_to_address) X (raw_socket) X (multipath_socket) X (change_protocol) X (own_a_signal) \
  X (write_data) X (write_too_much) X (run_what_it_wrote) X (move_out_of_folder) \
  X (link_out_of_folder) X (change_folder) X (burn_between_calls) X (do_nothing_wrong) \
  X (make_forbidden_calls) X (run_descriptor) X (write_host_memory) X (signal_itself) \
  X (signal_thread_of_host) X (queue_signal_to_host) X (fork_the_old_way) X (fork_with_shared_memory) \
  X (fork_by_clone3) X (install_filter) X (install_filter_by_prctl) X (map_shared_validated) \
  X (rewrite_own_code) X (hide_flags) X (open_for_writing) X (open_unnamed) X (open_shared_memory) \
  X (climb_out_by_dots) X (open_root_of_itself)
/* clang-format on */

#define DECLARE_DEED(name) const char *name (void);
HOSTILE_DEEDS (DECLARE_DEED)

/* The test's own process. */
extern pid_t host_pid;
/* For deeds that need what only a keygen's call has; else NULL. */
extern const HostModuleApi *call_api;

const char *tell (long result);

typedef void (*AnyFunction) (void);
/* Makes the runner's own calls of @function go to @replacement. */
void replace_in_runner (const char *function, AnyFunction replacement);
long harmless_syscall (long number, ...);
