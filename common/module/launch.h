/* Starting vendor code, as a host does it: one supervisor per host, one runner per module or plugin.
 *
 * The supervisor (`plugin-runner --supervise`) is a small process of its own that starts the runners, sets
 * their user, limits and files, kills what they leave behind, and reports how each ended. A Launcher owns it
 * and lives on one GMainContext; the supervisor goes with it, and with it every runner. A Launch is one
 * runner: it becomes ready (confined, nothing of the vendor loaded), exchanges frames, and ends; what it
 * sends has passed frame_check(). Contents of frames after READY belong to the caller. */
#pragma once

#include "common/module/channel.h"
#include <glib.h>

typedef struct Launcher Launcher;
typedef struct Launch Launch;

typedef enum
{
  LAUNCH_SERVER,         /* a zygote: forks for every call, nothing survives a call */
  LAUNCH_CLIENT,         /* one process for a plugin's life, one thread */
  LAUNCH_CLIENT_THREADS, /* the same, with up to 16 threads */
} LaunchProfile;

typedef struct
{
  const char *kind; /* the runner's part that carries the object: "keygen", "function", "legacy", "native" */
  LaunchProfile profile;
  const char *object;      /* absolute path; its folder is readable. NULL if sealed_object is used */
  int sealed_object;       /* from launch_seal_object(), else -1; stays the caller's */
  const char *const *read; /* further paths that may be read, NULL-terminated; NULL: none */
  const char *data;        /* the private folder, which it may write; NULL: none */
  gint64 data_bytes;       /* largest file (RLIMIT_FSIZE); 0: nothing can be written */
  gint64 memory_bytes;     /* address space (RLIMIT_AS) */
  guint cpu_s;             /* of one server call */
  guint deadline_ms;       /* of one server call; the supervisor kills what lives much longer */
  guint max_calls;         /* server calls at once */
  uid_t uid;               /* the module's own user and group; 0: the host's own, refused if that is root */
  gboolean may_connect;    /* connect() is decided by the host, through the listener that comes with READY */
  unsigned grants;         /* FrameGrant bits for frames from the runner */
} LaunchSpec;

typedef struct
{
  int listener;       /* the seccomp notification descriptor if may_connect, else -1; the callee owns it */
  guint landlock_abi; /* of this kernel */
} LaunchReady;

typedef enum
{
  LAUNCH_ENDED_EXIT,     /* it exited; code is its exit status */
  LAUNCH_ENDED_SIGNAL,   /* code is the signal */
  LAUNCH_ENDED_KILLED,   /* launch_stop(), or a limit the supervisor or the launcher keeps */
  LAUNCH_ENDED_REFUSED,  /* it could not be confined as asked, and nothing was loaded */
  LAUNCH_ENDED_NONSENSE, /* it sent what no runner sends, and was killed */
  LAUNCH_ENDED_LOST,     /* the supervisor is gone */
} LaunchEndKind;

typedef struct
{
  LaunchEndKind kind;
  int code;
  const char *reason; /* one line for the log; never NULL */
} LaunchEnd;

/* Called on the launcher's context. ended() is called exactly once and is the last; the Launch is freed after
 * it returns. None is called from inside launcher_start(). */
typedef struct
{
  void (*ready) (Launch *launch, const LaunchReady *ready, gpointer data);
  /* @frame lives until this returns. */
  void (*frame) (Launch *launch, const Frame *frame, gpointer data);
  /* Something it left behind or a limit it crossed; @reason is a line for the log. NULL: not wanted. */
  void (*strike) (Launch *launch, const char *reason, gpointer data);
  void (*ended) (Launch *launch, const LaunchEnd *end, gpointer data);
} LaunchEvents;

/* Starts the supervisor from @runner_path (see launch_find_runner()); it ends with this process, however that
 * ends. The launcher uses @context (NULL: the default one), which must be run by the thread that uses it. */
Launcher *launcher_new (const char *runner_path, GMainContext *context, GError **error);
/* Ends the supervisor, and with it every runner; ended() is called for those that still ran. */
void launcher_free (Launcher *launcher);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Launcher, launcher_free)

/* Finds a program of ours that nobody starts by hand: beside this one, in libexec, or in @build_folder of
 * the build tree. NULL if it is nowhere. */
char *launch_find_program (const char *name, const char *build_folder);
/* The same for plugin-runner. */
char *launch_find_runner (void);

/* Whether vendor code can be confined here for this user at all; FALSE with a reason an operator understands
 * (no seccomp, no Landlock, root without users of the modules' own). */
gboolean launch_is_possible (uid_t module_uid, GError **error);

/* Copies the file @path (at most 64 MiB) into a sealed memory file, so that what was looked at is what will
 * be loaded, whatever happens to the file. @sha256 receives 32 bytes unless NULL. -1 with an error. */
int launch_seal_object (const char *path, guint8 *sha256, GError **error);

/* Starts a runner. @spec is copied. NULL with an error only if the request is impossible (root without uid,
 * no descriptors left); everything later comes through @events. */
Launch *launcher_start (Launcher *launcher, const LaunchSpec *spec, const LaunchEvents *events, gpointer data,
                        GError **error);

/* Sends a frame, with descriptors if @n_fds is not 0. FALSE if the runner is gone or does not read: treat it
 * as hung. */
gboolean launch_send (Launch *launch, const Frame *frame);
gboolean launch_send_with (Launch *launch, const Frame *frame, const int *fds, gsize n_fds);

/* A fresh id for FRAME_ASK, never 0 and never one that is still open for any sensible time. */
guint32 launch_next_call (Launch *launch);

/* Tells which phase the runner is in, for frame_check(): START until the caller says otherwise. */
void launch_set_phase (Launch *launch, FramePhase phase);

/* Kills the runner with everything it started; ended() follows with LAUNCH_ENDED_KILLED and @reason. */
void launch_stop (Launch *launch, const char *reason);

/* 0 until the supervisor has said. */
pid_t launch_get_pid (const Launch *launch);
/* Borrowed; -1 until the supervisor has said. Its end makes it readable. */
int launch_get_pidfd (const Launch *launch);
