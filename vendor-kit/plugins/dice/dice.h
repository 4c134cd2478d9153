#ifndef DICE_H
#define DICE_H

#include <stdbool.h>
#include <stddef.h>

void dice_open (void);
bool dice_registered (void);
/* "2d6", "d20", "3d8+2"; the length of the text in out, or -1: that is no dice, -2: no key, -3: no room. */
int roll (const char *what, char *out, size_t room);

#endif
