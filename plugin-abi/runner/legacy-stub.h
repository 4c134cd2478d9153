/* The old host that a legacy object imports symbols from, made on the spot.
 *
 * An object that calls `host_log` leaves the name open for its host to define. We define it by a small shared
 * object, written to a memory file and loaded before the vendor's with RTLD_GLOBAL: for each name a jump
 * through a table, which is then filled with ffi closures. So nothing of the vendor's object is patched, and
 * it does not matter whether it binds lazily, at once (-z now), from a constructor, or takes the symbol's
 * address. One process runs one plugin, so the names reach nobody else. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The object in the making: a memory file, mapped so that it is written without a system call. */
typedef struct
{
  int fd;
  uint8_t *image;
} LegacyStub;

/* Before confinement: makes the file, which cannot be done later. False with errno. */
bool legacy_stub_open (LegacyStub *stub);

/* Writes a stub that defines the @n functions @names, and loads it. Returns its table of @n addresses, to be
 * filled; NULL with *@reason. */
void **legacy_stub_load (LegacyStub *stub, const char *const *names, size_t n, const char **reason);
/* Before anything of the vendor's is loaded: nobody may write the file any more, or share memory by it. */
void legacy_stub_close (LegacyStub *stub);
