/* Serials that say what was bought and are signed with the vendor's private key (ECDSA P-256, SHA-256); the
 * plugin has the public key.
 *
 *   payload = "1|" plugin "|" user "|" expires "|" request
 *   serial  = base64url (payload) "." base64url (r || s) */
#pragma once

#include <glib.h>

typedef struct SignedKey SignedKey;

/* A private key in PEM; it must be on P-256. */
SignedKey *signed_key_new (const void *pem, gsize length, GError **error);
void signed_key_free (SignedKey *key);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SignedKey, signed_key_free)

/* @expires_s: unix time, 0 for ever. The texts hold no '|'. The caller frees the result. */
char *signed_serial_make (const SignedKey *key, const char *plugin, const char *user, const char *request,
                          gint64 expires_s);
/* FALSE if it is not signed by @key for @plugin, or not for @user (NULL: anyone's). */
gboolean signed_serial_read (const SignedKey *key, const char *text, const char *plugin, const char *user,
                             gint64 *expires_s);
