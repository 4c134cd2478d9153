/* Crashes, or with HANG never returns, as soon as it is loaded. */
#include <unistd.h>

__attribute__ ((constructor)) static void
construct (void)
{
#ifdef HANG
  for (;;)
    usleep (1000);
#else
  volatile int *volatile nowhere = 0; /* the compiler must not know */

  *nowhere = 1;
#endif
}
