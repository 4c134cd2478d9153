/* A keygen that tries to get out. One object for all deeds: the test copies it and writes into the copy which
 * deed to do and when ("constructor", "call", or "call-stage1": from a call whose constructor first took the
 * second stage of the sandbox out of the runner's hands, so that only the first one is left).
 *
 * What came of it is the serial: the name of an errno, "done" if it worked, or nothing because nobody lived
 * to tell. */
#include "tests/hostile/deeds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The test looks for the mark and writes the orders behind it: "deed when host-pid". */
#define MARK "HOSTILE-ORDERS:"
static volatile const char orders[128] = MARK " none call 0";

static char deed_name[64];
static char deed_when[32];
static char constructor_result[64] = "";
pid_t host_pid;
const HostModuleApi *call_api;

typedef struct
{
  const char *name;
  const char *(*commit) (void);
} Deed;

#define NAME_DEED(name) { #name, name },
static const Deed deeds[] = { HOSTILE_DEEDS (NAME_DEED) };

const char *
tell (long result)
{
  return result >= 0 ? "done" : strerrorname_np (errno);
}

static const char *
commit_deed (void)
{
  for (size_t i = 0; i < sizeof deeds / sizeof deeds[0]; i++)
    if (strcmp (deeds[i].name, deed_name) == 0)
      return deeds[i].commit ();
  return "no such deed";
}

/* Called, so that the test knows that it was. */
static const char *
name_stage (void)
{
  int fd = open ("/lib/x86_64-linux-gnu/libm.so.6", O_RDONLY);
  return fd >= 0 ? "stage 1" : "stage 2";
}

/* An innocent call beside a hostile one of the same module. */
static const char *
work_for_a_while (void)
{
  int word = 0;
  const struct timespec duration = { .tv_sec = 1, .tv_nsec = 500000000 };
  syscall (SYS_futex, &word, 0 /* wait */, 0, &duration, NULL, 0);
  return "innocent";
}

static void __attribute__ ((constructor)) construct (void)
{
  char text[sizeof orders];
  for (size_t i = 0; i < sizeof text; i++)
    text[i] = orders[i];
  sscanf (text + strlen (MARK), "%63s %31s %d", deed_name, deed_when, &host_pid);
  if (strcmp (deed_when, "call-stage1") == 0)
    replace_in_runner ("syscall", (AnyFunction)harmless_syscall);
  if (strcmp (deed_when, "constructor") == 0)
    snprintf (constructor_result, sizeof constructor_result, "%s", commit_deed ());
}

/* As a client's plugin, called by a descriptor: does what @deed says, or tells what the constructor's came
 * to. */
HOST_EXPORT const char *hostile_command (const char *deed);

const char *
hostile_command (const char *deed)
{
  if (strcmp (deed, "constructor") == 0)
    return constructor_result;
  snprintf (deed_name, sizeof deed_name, "%s", deed);
  return commit_deed ();
}

uint32_t
host_module_abi (void)
{
  return HOST_MODULE_ABI;
}

int
host_keygen (const HostModuleApi *api, const HostKeygenRequest *request, char *serial, size_t cap,
             int64_t *expires)
{
  (void)expires;
  call_api = api;
  if (strcmp (request->term, "stage") == 0)
    snprintf (serial, cap, "%s", name_stage ());
  else if (strcmp (request->term, "innocent") == 0)
    snprintf (serial, cap, "%s", work_for_a_while ());
  else if (strcmp (deed_when, "constructor") == 0)
    snprintf (serial, cap, "%s", constructor_result);
  else
    snprintf (serial, cap, "%s", commit_deed ());
  return HOST_OK;
}
