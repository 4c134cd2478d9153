/* A library for descriptors that host-module-check must find fault with. FAULT says which. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NONE    0
#define CRASH   1
#define HANG    2
#define PROCESS 3

static volatile int is_for_ever = 1;

__attribute__ ((visibility ("default"))) int faulty_init (void);
__attribute__ ((visibility ("default"))) int faulty_check (const char *serial);

int
faulty_init (void)
{
  while (FAULT == HANG && is_for_ever)
    {
    }
#if FAULT == PROCESS
  return fork () < 0 ? 0 : 1;
#endif
  return 0;
}

int
faulty_check (const char *serial)
{
  if (FAULT == CRASH)
    abort ();
  return strcmp (serial, "GOOD") == 0 ? 0 : -2;
}
