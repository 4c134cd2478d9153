/* Where the password comes from: a file descriptor, the keyring, or the terminal. Never the command line. */
#pragma once

#include "common/base/secret.h"

#define PASSWORD_ERROR (password_error_quark ())
GQuark password_error_quark (void);

typedef enum
{
  PASSWORD_ERROR_NONE, /* there is no password to be had */
} PasswordErrorCode;

/* The first line of @fd, which stays open. */
Secret *password_read_fd (int fd, GError **error);
/* What password_remember() kept; NULL if there is none, or no keyring. */
Secret *password_look_up (const char *account);
/* FALSE: there is no keyring, or it refused. */
gboolean password_remember (const char *account, const Secret *password);
/* Asks on the terminal, without showing what is typed. */
Secret *password_ask (const char *account, GError **error);
