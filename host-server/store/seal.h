/* The key file, and values sealed under it. Inside store/ only. */
#pragma once

#include "common/base/secret.h"

/* Reads the key of 64 hexadecimal digits from @path, or makes the file (mode 0600, synced) if there is none
 * and
 * @may_create. A file that others than its owner can read is refused. */
Secret *seal_load_key (const char *path, gboolean may_create, GError **error);

/* Format: a byte 1, a nonce of 12 bytes, the ciphertext, a tag of 16 bytes; @label is authenticated along. */
GBytes *seal_close (const Secret *key, const char *label, const Secret *plain);
/* NULL if it was not sealed so. */
Secret *seal_open (const Secret *key, const char *label, const void *sealed, gsize length);
/* HMAC-SHA-256 of @label under @key: 32 bytes. */
Secret *seal_derive (const Secret *key, const char *label);
