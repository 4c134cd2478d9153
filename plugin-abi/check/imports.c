#include "plugin-abi/check/imports.h"

#include <string.h>

typedef enum
{
  ON_SERVER = 1,
  ON_CLIENT = 2,
  ALWAYS = ON_SERVER | ON_CLIENT,
  WITHOUT_CONNECT = 4, /* on the client, unless connect= is granted */
  WITHOUT_THREADS = 8, /* on the client, unless threads=yes is granted */
} Where;

typedef struct
{
  const char *what; /* comes of it */
  unsigned where;   /* Where bits */
  gboolean is_warning;
  const char *symbols; /* with a blank on both sides of each */
} Rule;

static const Rule rules[] = {
  { "kills the process", ALWAYS, FALSE,
    " execve execv execvp execvpe execl execlp execle fexecve execveat system popen posix_spawn posix_spawnp "
    "wordexp ptrace"
    " process_vm_readv process_vm_writev " },
  { "refused (no further processes)", ALWAYS, FALSE, " fork vfork clone daemon forkpty " },
  { "refused (no thread)", ON_SERVER | WITHOUT_THREADS, FALSE, " pthread_create thrd_create " },
  { "refused (no signals to others)", ALWAYS, FALSE,
    " kill killpg sigqueue tgkill pidfd_send_signal pidfd_open " },
  { "refused (no network)", ON_SERVER | WITHOUT_CONNECT, FALSE,
    " socket connect send sendto recv recvfrom " },
  { "finds nothing (no network)", ON_SERVER | WITHOUT_CONNECT, FALSE,
    " getaddrinfo gethostbyname gethostbyname2 gethostbyname_r res_query res_search " },
  { "refused (no incoming connections)", ALWAYS, FALSE, " bind listen accept accept4 " },
  { "refused (no way to another process)", ALWAYS, FALSE,
    " socketpair pipe pipe2 eventfd memfd_create shm_open shmget shmat mq_open msgget semget sem_open mkfifo "
    "signalfd"
    " timerfd_create inotify_init inotify_init1 " },
  { "refused (who it is and where is fixed)", ALWAYS, FALSE,
    " setuid setgid seteuid setegid setresuid setresgid setgroups chroot mount umount unshare setns chown "
    "fchown chmod fchmod"
    " personality " },
  { "refused (a call reads and writes no files)", ON_SERVER, TRUE,
    " open open64 openat openat64 fopen fopen64 freopen opendir stat stat64 lstat lstat64 access unlink "
    "rename mkdir rmdir"
    " creat tmpfile tmpfile64 mkstemp mkstemp64 remove write read " },
  { "refused (a call does not sleep)", ON_SERVER, TRUE,
    " sleep usleep nanosleep clock_nanosleep select poll pause " },
  { "not repeatable: take the time from the request and chance from its seed", ON_SERVER, TRUE,
    " time gettimeofday clock_gettime clock rand random rand_r lrand48 mrand48 drand48 arc4random getrandom "
    "getentropy"
    " RAND_bytes RAND_priv_bytes uuid_generate getpid " },
  { "refused after loading", ALWAYS, TRUE, " dlopen dlmopen " },
  { "refused (nothing becomes code)", ALWAYS, TRUE, " pkey_mprotect " },
  { "shown to nobody", ALWAYS, TRUE,
    " printf vprintf puts putchar perror __printf_chk __vprintf_chk syslog " },
  { "empty", ALWAYS, TRUE, " getenv secure_getenv " },
};

static gboolean
applies (const Rule *rule, const ImportsGrant *grant)
{
  if (grant->is_server)
    return (rule->where & ON_SERVER) != 0;
  return (rule->where & ON_CLIENT) != 0 || ((rule->where & WITHOUT_CONNECT) != 0 && !grant->may_connect)
         || ((rule->where & WITHOUT_THREADS) != 0 && !grant->has_threads);
}

static const Rule *
find_rule (const char *symbol, const ImportsGrant *grant)
{
  g_autofree char *word = g_strdup_printf (" %s ", symbol);
  for (gsize i = 0; i < G_N_ELEMENTS (rules); i++)
    if (applies (&rules[i], grant) && strstr (rules[i].symbols, word) != NULL)
      return &rules[i];
  return NULL;
}

void
imports_check (const Object *object, const ImportsGrant *grant, Report *report)
{
  g_autoptr (GString) refused = g_string_new (NULL);
  g_autoptr (GString) noted = g_string_new (NULL);
  for (guint i = 0; i < object->imports->len; i++)
    {
      const char *symbol = object->imports->pdata[i];
      const Rule *rule = find_rule (symbol, grant);
      if (rule == NULL)
        continue;
      GString *list = rule->is_warning ? noted : refused;
      g_string_append_printf (list, "%s%s: %s", list->len > 0 ? "; " : "", symbol, rule->what);
    }
  if (refused->len > 0)
    report_add (report, REPORT_FAILED, "imports", "%s", refused->str);
  else if (noted->len > 0)
    report_add (report, REPORT_WARNING, "imports", "%s", noted->str);
  else
    report_add (report, REPORT_OK, "imports", "%u symbols, none that would be refused", object->imports->len);
}
