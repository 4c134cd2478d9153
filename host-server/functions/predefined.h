/* The functions that the host offers to every application beside the vendor's own:
 *
 *   store.get KEY            the user's value under KEY
 *   store.put KEY LF VALUE   keeps VALUE, which may be any bytes, under KEY
 *   store.list [PREFIX]      a line for each key: its length, a space, the key
 *   store.delete KEY
 *   resource.get NAME [OFFSET [LENGTH]]   an open resource of the application, or a part of it
 *
 * What callers keep lies in the user's data under `store/`, apart from what the vendor's functions keep
 * there, which no caller can touch. Keys that begin with `item/` are counters of what was bought: read only.
 */
#pragma once

#include <glib.h>

typedef struct Predefined Predefined;
struct FunctionCall;

/* NULL if there is no such function. */
const Predefined *predefined_find (const char *name);
/* Runs @call, which is of @predefined, to its end. */
void predefined_run (const Predefined *predefined, struct FunctionCall *call);
