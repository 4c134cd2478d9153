/* Named places at which a test can have the process die, as power loss would have it (tests/system). */
#pragma once

#ifdef STOA_TEST_HOOKS
/* Dies by SIGKILL if the environment's STOA_CRASH_AT is @name. */
void crash_point (const char *name);
#else
#define crash_point(name) ((void)0)
#endif
