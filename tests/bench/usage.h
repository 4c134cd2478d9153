/* What a process and all its descendants have used, from /proc. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

typedef struct
{
  double cpu_s;       /* user and system time, ended and reaped children included; 10 ms steps */
  uint64_t pss_bytes; /* proportional set size of the processes that live now */
} Usage;

/* CPU time of `pid` and its descendants; zero if it is gone. Cheap; `pss_bytes` is left 0. */
Usage usage_cpu (pid_t pid);

/* The same and the memory, which takes the kernel some milliseconds. */
Usage usage_all (pid_t pid);

/* CPU time of this process, in seconds. */
double usage_own_cpu_s (void);
