/* A kernel without Landlock, as programs see one: from now on this process and all it starts get @failure
 * (ENOSYS: built without it; EOPNOTSUPP: switched off) when they ask for it. By a filter of the kernel's own,
 * so what is tested is the program as it is shipped. False: it could not be installed. */
#pragma once

#include <stdbool.h>

bool landless_begin (int failure);
