/* The egg timer's engine: all of the program but its window. */
#ifndef EGGTIMER_H
#define EGGTIMER_H

/* Yours: called when an egg is done, and once the engine runs; from the engine's thread. */
extern void egg_ring (const char *what);
extern void egg_running (void);

/* Reads EGGTIMER_KEY from the environment. */
int egg_registered (void);
/* The engine. Call it from a thread of its own: it returns after egg_quit() with 0, or at once with -1 if it
 * is not registered. */
int egg_main (void);
void egg_quit (void);
/* The egg's number; 0: there is no room, -1: that is no time. */
int egg_set (int seconds, const char *what);
/* The eggs that boil, a line each; how many. */
int egg_list (char *out, int size);

#endif
