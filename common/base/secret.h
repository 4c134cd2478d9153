/* A value that must not be printed: password, serial, token, key. It is wiped when freed, compared in
 * constant time, and nothing in the house formats it. */
#pragma once

#include <glib.h>

typedef struct Secret Secret;

/* Copies @length bytes; the caller wipes its own copy (secret_wipe()). */
Secret *secret_new (const void *bytes, gsize length);
/* @length bytes from the system's generator. */
Secret *secret_new_random (gsize length);
Secret *secret_copy (const Secret *secret);
void secret_free (Secret *secret);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Secret, secret_free)

/* The bytes, followed by a NUL that is not counted; they live as long as @secret. */
const guint8 *secret_peek_bytes (const Secret *secret, gsize *length);
const char *secret_peek_text (const Secret *secret);
gsize secret_get_length (const Secret *secret);

/* Constant in time for equal lengths; a NULL equals nothing. */
gboolean secret_equal (const Secret *a, const Secret *b);
gboolean secret_equal_bytes (const void *a, gsize a_length, const void *b, gsize b_length);
/* Overwrites memory in a way the compiler does not drop. */
void secret_wipe (void *bytes, gsize length);
