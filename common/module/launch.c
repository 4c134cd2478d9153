#include "common/module/launch.h"
#include "common/module/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_OBJECT_BYTES (64 << 20)
/* Frames taken from one channel before others have their turn. */
#define FRAMES_A_TURN 16
/* How long the supervisor may take to end everything. */
#define END_WAIT_MS 3000

G_STATIC_ASSERT ((int)LAUNCH_SERVER == (int)SANDBOX_SERVER);
G_STATIC_ASSERT ((int)LAUNCH_CLIENT == (int)SANDBOX_CLIENT);
G_STATIC_ASSERT ((int)LAUNCH_CLIENT_THREADS == (int)SANDBOX_CLIENT_THREADS);

struct Launcher
{
  char *runner_path;
  GMainContext *context;
  GHashTable *launches; /* start id → Launch, owned */
  guint32 next_start;
  pid_t supervisor; /* 0: not there; started again when it is needed */
  int control;
  GSource *control_source;
  Frame *frame;
};

struct Launch
{
  Launcher *launcher;
  guint32 start_id;
  LaunchEvents events;
  gpointer data;
  unsigned grants;
  gboolean may_connect;
  FramePhase phase;
  gboolean is_ready;
  int channel; /* -1: closed */
  GSource *channel_source;
  pid_t pid;
  int pidfd;
  guint32 next_call;
  /* Why it was killed or will be as soon as there is a process; NULL: it was not. */
  char *stop_reason;
  LaunchEndKind stop_kind;
};

static gboolean on_channel (int fd, GIOCondition condition, gpointer data);
static gboolean on_control (int fd, GIOCondition condition, gpointer data);

/* --- one runner --- */

static void
close_channel (Launch *launch)
{
  if (launch->channel_source != NULL)
    {
      g_source_destroy (launch->channel_source);
      g_clear_pointer (&launch->channel_source, g_source_unref);
    }
  if (launch->channel >= 0)
    close (launch->channel);
  launch->channel = -1;
}

static void
launch_free (Launch *launch)
{
  close_channel (launch);
  if (launch->pidfd >= 0)
    close (launch->pidfd);
  g_free (launch->stop_reason);
  g_free (launch);
}

static void
kill_now (Launch *launch)
{
  if (launch->pidfd >= 0)
    syscall (SYS_pidfd_send_signal, launch->pidfd, SIGKILL, NULL, 0);
}

/* The first reason is the one that counts. */
static void
stop_for (Launch *launch, LaunchEndKind kind, const char *reason)
{
  if (launch->stop_reason == NULL)
    {
      launch->stop_reason = g_strdup (reason);
      launch->stop_kind = kind;
    }
  kill_now (launch);
}

/* Takes @launch out of the launcher, tells its owner and frees it. */
static void
end_launch (Launch *launch, LaunchEndKind kind, int code, const char *reason)
{
  g_hash_table_steal (launch->launcher->launches, GUINT_TO_POINTER (launch->start_id));
  close_channel (launch);
  LaunchEnd end = { .kind = kind, .code = code, .reason = reason };
  if (launch->stop_reason != NULL)
    end = (LaunchEnd){ .kind = launch->stop_kind, .code = code, .reason = launch->stop_reason };
  launch->events.ended (launch, &end, launch->data);
  launch_free (launch);
}

static void
on_ready (Launch *launch, const Frame *frame, int listener)
{
  FrameReader reader;
  frame_read (&reader, frame);
  LaunchReady ready = { .listener = listener, .landlock_abi = frame_get_u32 (&reader) };
  if (launch->is_ready || launch->may_connect != (listener >= 0))
    {
      if (listener >= 0)
        close (listener);
      stop_for (launch, LAUNCH_ENDED_NONSENSE, "it said twice, or wrongly, that it is ready");
      return;
    }
  launch->is_ready = TRUE;
  launch->events.ready (launch, &ready, launch->data);
}

static void
on_failed (Launch *launch, const Frame *frame)
{
  FrameReader reader;
  frame_read (&reader, frame);
  g_autofree char *reason = g_utf8_make_valid (frame_get_text (&reader), -1);
  /* After READY there may be the vendor's code behind such words. */
  if (!launch->is_ready)
    stop_for (launch, LAUNCH_ENDED_REFUSED, reason);
  else
    stop_for (launch, LAUNCH_ENDED_NONSENSE, "it was ready and then not confined");
}

/* Takes one frame. False: there is none now, or never again. */
static gboolean
take_frame (Launch *launch)
{
  Frame *frame = launch->launcher->frame;
  ChannelReceipt receipt;
  gboolean takes_listener = launch->may_connect && !launch->is_ready;
  if (launch->channel < 0)
    return FALSE;
  switch (channel_receive (launch->channel, frame, &receipt, takes_listener ? 1 : 0))
    {
    case CHANNEL_AGAIN:
      return FALSE;
    case CHANNEL_CLOSED:
      /* The supervisor tells what became of it. A runner that closes its channel and lives on has no use. */
      close_channel (launch);
      kill_now (launch);
      return FALSE;
    case CHANNEL_BROKEN:
      close_channel (launch);
      stop_for (launch, LAUNCH_ENDED_NONSENSE, "it sent what is no frame");
      return FALSE;
    case CHANNEL_FRAME:
      break;
    }

  FrameVerdict verdict
      = frame_check (frame, receipt.n_bytes, FRAME_FROM_RUNNER, launch->phase, launch->grants);
  if (verdict != FRAME_FINE || (receipt.fds[0] >= 0 && frame->header.op != FRAME_OP_READY))
    {
      g_autofree char *reason = g_strdup_printf ("it sent a frame that is %s (op %u)",
                                                 frame_verdict_name (verdict), frame->header.op);
      if (receipt.fds[0] >= 0)
        close (receipt.fds[0]);
      close_channel (launch);
      stop_for (launch, LAUNCH_ENDED_NONSENSE, reason);
      return FALSE;
    }
  if (frame->header.op == FRAME_OP_READY)
    on_ready (launch, frame, receipt.fds[0]);
  else if (frame->header.op == FRAME_OP_FAILED)
    on_failed (launch, frame);
  else
    launch->events.frame (launch, frame, launch->data);
  return TRUE;
}

static gboolean
on_channel (int fd, GIOCondition condition, gpointer data)
{
  Launch *launch = data;
  for (guint i = 0; i < FRAMES_A_TURN && take_frame (launch); i++)
    {
    }
  return G_SOURCE_CONTINUE;
}

static GSource *
watch_fd (Launcher *launcher, int fd, GUnixFDSourceFunc callback, gpointer data)
{
  GSource *source = g_unix_fd_source_new (fd, G_IO_IN);
  g_source_set_callback (source, G_SOURCE_FUNC (callback), data, NULL);
  g_source_attach (source, launcher->context);
  return source;
}

gboolean
launch_send (Launch *launch, const Frame *frame)
{
  return launch_send_with (launch, frame, NULL, 0);
}

gboolean
launch_send_with (Launch *launch, const Frame *frame, const int *fds, gsize n_fds)
{
  return launch->channel >= 0 && channel_send_with (launch->channel, frame, fds, n_fds) == CHANNEL_FRAME;
}

guint32
launch_next_call (Launch *launch)
{
  if (++launch->next_call == 0)
    launch->next_call = 1;
  return launch->next_call;
}

void
launch_set_phase (Launch *launch, FramePhase phase)
{
  launch->phase = phase;
}

void
launch_stop (Launch *launch, const char *reason)
{
  stop_for (launch, LAUNCH_ENDED_KILLED, reason);
}

pid_t
launch_get_pid (const Launch *launch)
{
  return launch->pid;
}

int
launch_get_pidfd (const Launch *launch)
{
  return launch->pidfd;
}

/* --- the supervisor --- */

/* Forgets the supervisor, whatever state it is in, and waits for its end: with its channel closed it ends
 * everything. */
static void
drop_supervisor (Launcher *launcher)
{
  if (launcher->supervisor == 0)
    return;
  g_source_destroy (launcher->control_source);
  g_clear_pointer (&launcher->control_source, g_source_unref);
  close (launcher->control);
  launcher->control = -1;

  int pidfd = (int)syscall (SYS_pidfd_open, launcher->supervisor, 0);
  struct pollfd end = { .fd = pidfd, .events = POLLIN };
  if (pidfd < 0 || poll (&end, 1, END_WAIT_MS) != 1)
    kill (launcher->supervisor, SIGKILL);
  if (pidfd >= 0)
    close (pidfd);
  waitpid (launcher->supervisor, NULL, 0);
  launcher->supervisor = 0;
}

static void
on_supervisor_lost (Launcher *launcher)
{
  drop_supervisor (launcher);
  g_autoptr (GList) lost = g_hash_table_get_values (launcher->launches);
  for (GList *each = lost; each != NULL; each = each->next)
    end_launch (each->data, LAUNCH_ENDED_LOST, 0, "the supervisor is gone");
}

static void
on_started (Launch *launch, const Frame *frame, int *pidfd)
{
  FrameReader reader;
  frame_read (&reader, frame);
  if (frame->header.status != FRAME_STATUS_OK)
    {
      const char *reason = frame->header.length > 0 ? frame_get_text (&reader) : "the supervisor refused";
      end_launch (launch, LAUNCH_ENDED_REFUSED, 0, reason);
      return;
    }
  launch->pid = (pid_t)frame_get_u32 (&reader);
  launch->pidfd = *pidfd;
  *pidfd = -1;
  /* Not before now: who is told that it is ready may need to know which process it is. */
  launch->channel_source = watch_fd (launch->launcher, launch->channel, on_channel, launch);
  if (launch->stop_reason != NULL)
    kill_now (launch);
}

static void
on_ended (Launch *launch, FrameReader *reader)
{
  gboolean by_signal = frame_get_u32 (reader) != 0;
  int code = (int)frame_get_u32 (reader);
  /* What it said before its end may not have been read yet. */
  while (take_frame (launch))
    {
    }
  g_autofree char *reason = by_signal
                                ? g_strdup_printf ("it was ended by signal %d (%s)", code, g_strsignal (code))
                                : g_strdup_printf ("it exited with status %d", code);
  end_launch (launch, by_signal ? LAUNCH_ENDED_SIGNAL : LAUNCH_ENDED_EXIT, code, reason);
}

static void
on_strike (Launch *launch, FrameReader *reader)
{
  gboolean is_fatal = frame_get_u32 (reader) != 0;
  g_autofree char *reason = g_strdup (frame_get_text (reader));
  if (is_fatal)
    stop_for (launch, LAUNCH_ENDED_KILLED, reason);
  if (launch->events.strike != NULL)
    launch->events.strike (launch, reason, launch->data);
}

static gboolean
on_control (int fd, GIOCondition condition, gpointer data)
{
  Launcher *launcher = data;
  /* Of its own: what is done here reads runners' frames in between. */
  g_autofree Frame *frame = g_new (Frame, 1);
  ChannelReceipt receipt;
  ChannelResult result = channel_receive (launcher->control, frame, &receipt, 1);
  if (result == CHANNEL_AGAIN)
    return G_SOURCE_CONTINUE;
  if (result != CHANNEL_FRAME
      || frame_check (frame, receipt.n_bytes, FRAME_FROM_SUPERVISOR, FRAME_PHASE_CONTROL, 0) != FRAME_FINE)
    {
      if (receipt.fds[0] >= 0)
        close (receipt.fds[0]);
      on_supervisor_lost (launcher);
      return G_SOURCE_REMOVE;
    }

  FrameReader reader;
  frame_read (&reader, frame);
  gboolean is_answer = frame->header.flags == FRAME_ANSWER;
  guint32 start_id = is_answer ? frame->header.call : frame_get_u32 (&reader);
  Launch *launch = g_hash_table_lookup (launcher->launches, GUINT_TO_POINTER (start_id));
  if (launch != NULL && is_answer)
    on_started (launch, frame, &receipt.fds[0]);
  else if (launch != NULL && frame->header.op == FRAME_OP_ENDED)
    on_ended (launch, &reader);
  else if (launch != NULL && frame->header.op == FRAME_OP_STRIKE)
    on_strike (launch, &reader);
  if (receipt.fds[0] >= 0)
    close (receipt.fds[0]);
  return G_SOURCE_CONTINUE;
}

static gboolean
start_supervisor (Launcher *launcher, GError **error)
{
  const char *const arguments[] = { launcher->runner_path, "--supervise", NULL };
  const char *const environment[] = { NULL };
  const int target = 3;
  int ends[2];
  GPid pid;
  if (!channel_pair (ends))
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "cannot make a channel: %s", g_strerror (errno));
      return FALSE;
    }
  gboolean is_started
      = g_spawn_async_with_pipes_and_fds (NULL, arguments, environment, G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL,
                                          -1, -1, -1, &ends[1], &target, 1, &pid, NULL, NULL, NULL, error);
  close (ends[1]);
  if (!is_started)
    {
      g_prefix_error (error, "cannot start the supervisor of vendor code: ");
      close (ends[0]);
      return FALSE;
    }
  launcher->supervisor = pid;
  launcher->control = ends[0];
  launcher->control_source = watch_fd (launcher, ends[0], on_control, launcher);
  return TRUE;
}

Launcher *
launcher_new (const char *runner_path, GMainContext *context, GError **error)
{
  Launcher *launcher = g_new0 (Launcher, 1);
  launcher->runner_path = g_strdup (runner_path);
  launcher->context = context != NULL ? g_main_context_ref (context) : NULL;
  launcher->launches = g_hash_table_new (NULL, NULL);
  launcher->frame = g_new0 (Frame, 1);
  launcher->control = -1;
  if (!start_supervisor (launcher, error))
    g_clear_pointer (&launcher, launcher_free);
  return launcher;
}

void
launcher_free (Launcher *launcher)
{
  drop_supervisor (launcher);
  g_autoptr (GList) left = g_hash_table_get_values (launcher->launches);
  for (GList *each = left; each != NULL; each = each->next)
    end_launch (each->data, LAUNCH_ENDED_KILLED, SIGKILL, "its host ends");
  g_assert (g_hash_table_size (launcher->launches) == 0);
  g_hash_table_unref (launcher->launches);
  g_clear_pointer (&launcher->context, g_main_context_unref);
  g_free (launcher->frame);
  g_free (launcher->runner_path);
  g_free (launcher);
}

/* Writes @spec as a start request. */
static void
write_start (Frame *frame, const LaunchSpec *spec, guint32 start_id)
{
  frame_begin (frame, FRAME_OP_START, FRAME_ASK, start_id);
  frame_put_text (frame, spec->kind);
  frame_put_u32 (frame, spec->profile);
  frame_put_u32 (frame, spec->uid);
  frame_put_i64 (frame, spec->memory_bytes);
  frame_put_i64 (frame, spec->data_bytes);
  frame_put_u32 (frame, spec->cpu_s);
  frame_put_u32 (frame, spec->deadline_ms);
  frame_put_u32 (frame, spec->max_calls);
  frame_put_u32 (frame, spec->may_connect);
  frame_put_text (frame, spec->sealed_object < 0 ? spec->object : NULL);
  frame_put_text (frame, spec->data);
  for (const char *const *path = spec->read; path != NULL && *path != NULL; path++)
    frame_put_text (frame, *path);
}

Launch *
launcher_start (Launcher *launcher, const LaunchSpec *spec, const LaunchEvents *events, gpointer data,
                GError **error)
{
  int ends[2];
  if (!launch_is_possible (spec->uid, error))
    return NULL;
  if (spec->sealed_object < 0 && (spec->object == NULL || !g_path_is_absolute (spec->object)))
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "the object's path is not absolute");
      return NULL;
    }
  if (launcher->supervisor == 0 && !start_supervisor (launcher, error))
    return NULL;
  if (!channel_pair (ends))
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "cannot make a channel: %s", g_strerror (errno));
      return NULL;
    }

  g_autofree Frame *frame = g_new (Frame, 1);
  const int fds[] = { ends[1], spec->sealed_object };
  if (++launcher->next_start == 0)
    launcher->next_start = 1;
  write_start (frame, spec, launcher->next_start);
  ChannelResult sent = channel_send_with (launcher->control, frame, fds, spec->sealed_object >= 0 ? 2 : 1);
  close (ends[1]);
  if (sent != CHANNEL_FRAME)
    {
      close (ends[0]);
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY,
                   "the supervisor of vendor code does not take requests");
      return NULL;
    }

  Launch *launch = g_new0 (Launch, 1);
  launch->launcher = launcher;
  launch->start_id = launcher->next_start;
  launch->events = *events;
  launch->data = data;
  launch->grants = spec->grants;
  launch->may_connect = spec->may_connect;
  launch->phase = FRAME_PHASE_START;
  launch->channel = ends[0];
  launch->pidfd = -1;
  g_hash_table_insert (launcher->launches, GUINT_TO_POINTER (launch->start_id), launch);
  return launch;
}

/* --- the machine --- */

gboolean
launch_is_possible (uid_t module_uid, GError **error)
{
  unsigned abi = sandbox_get_landlock_abi ();
  if (!sandbox_has_seccomp ())
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                 "this kernel has no seccomp filters with notification");
  else if (abi < SANDBOX_LEAST_LANDLOCK)
    g_set_error (
        error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
        "this kernel has no Landlock of ABI %u or later (Linux 5.19; it may be missing from the lsm= option)",
        SANDBOX_LEAST_LANDLOCK);
  else if (geteuid () == 0 && module_uid == 0)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED,
                 "vendor code does not run as root, and there is no user of its own for it");
  else if (geteuid () != 0 && module_uid != 0 && module_uid != geteuid ())
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED,
                 "only root can give vendor code a user of its own");
  else
    return TRUE;
  return FALSE;
}

char *
launch_find_program (const char *name, const char *build_folder)
{
  g_autofree char *self = g_file_read_link ("/proc/self/exe", NULL);
  /* Installed: bin/ beside libexec/. In the build folder: host-server/, tests/…/ beside plugin-abi/. */
  const char *const places[] = { "", "libexec/stoa", build_folder };
  g_autofree char *folder = self != NULL ? g_path_get_dirname (self) : g_strdup ("/");
  for (guint up = 0; up < 4; up++)
    {
      for (gsize i = 0; i < G_N_ELEMENTS (places); i++)
        {
          g_autofree char *path = g_build_filename (folder, places[i], name, NULL);
          if (g_file_test (path, G_FILE_TEST_IS_EXECUTABLE) && !g_file_test (path, G_FILE_TEST_IS_DIR))
            return g_steal_pointer (&path);
        }
      char *parent = g_path_get_dirname (folder);
      g_free (folder);
      folder = parent;
    }
  return NULL;
}

char *
launch_find_runner (void)
{
  return launch_find_program ("plugin-runner", "plugin-abi");
}

/* Copies @from to @to and into @checksum. */
static gboolean
copy_object (int from, int to, GChecksum *checksum)
{
  guint8 bytes[65536];
  gint64 n_copied = 0;
  ssize_t n;
  while ((n = read (from, bytes, sizeof bytes)) > 0)
    {
      n_copied += n;
      if (n_copied > MAX_OBJECT_BYTES)
        {
          errno = EFBIG;
          return FALSE;
        }
      g_checksum_update (checksum, bytes, n);
      for (ssize_t done = 0, written; done < n; done += written)
        if ((written = write (to, bytes + done, (size_t)(n - done))) <= 0)
          return FALSE;
    }
  return n == 0;
}

int
launch_seal_object (const char *path, guint8 *sha256, GError **error)
{
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);
  struct stat facts;
  /* Not blocking: a pipe of that name must not hold us up. */
  int from = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  int to = -1;
  gboolean is_sealed = FALSE;
  if (from >= 0 && fstat (from, &facts) == 0)
    {
      if (S_ISREG (facts.st_mode))
        to = memfd_create ("object", MFD_CLOEXEC | MFD_ALLOW_SEALING);
      else
        errno = EINVAL;
    }
  if (to >= 0)
    is_sealed = copy_object (from, to, checksum)
                && fcntl (to, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0;
  if (!is_sealed)
    g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno), "cannot read '%s': %s", path,
                 g_strerror (errno));
  if (from >= 0)
    close (from);
  if (!is_sealed && to >= 0)
    close (to);
  gsize n_digest = 32;
  if (is_sealed && sha256 != NULL)
    g_checksum_get_digest (checksum, sha256, &n_digest);
  return is_sealed ? to : -1;
}
