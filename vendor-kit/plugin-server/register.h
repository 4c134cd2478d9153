/* What the vendor keeps: serials by the host's request, also those that were voided before they were asked
 * for, and the tokens the host announced. A committed row survives power loss. */
#pragma once

#include "common/base/clock.h"

typedef struct Register Register;

/* Opens or makes FOLDER/register.db; @clock is lent. */
Register *register_open (const char *folder, const Clock *clock, GError **error);
void register_close (Register *reg);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Register, register_close)

/* What was asked and what came of it. */
typedef struct
{
  char *request, *serial, *user, *term; /* all but request NULL if it was voided unseen */
  gint64 expires_s;                     /* unix time; 0: for ever */
  gboolean is_void;
} RegisterRow;

void register_row_free (RegisterRow *row);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RegisterRow, register_row_free)

/* NULL without @error: there is none. */
RegisterRow *register_find_request (Register *reg, const char *request, GError **error);
/* The request of @user that runs longest, among those that have an end and are of another order line than
 * @request
 * ("<order line>.<generation>"): what a further term is added to. NULL without @error: there is none. */
RegisterRow *register_find_renewed (Register *reg, const char *user, const char *request, GError **error);
/* FALSE with DB_ERROR_CONSTRAINT: the request is there already, or the serial is another user's. */
gboolean register_add (Register *reg, const RegisterRow *row, GError **error);
/* For ever, whether it was seen or not. */
gboolean register_void (Register *reg, const char *request, GError **error);

/* A serial: one user's, and good as long as any request for it that is not void. */
typedef struct
{
  char *user;
  gint64 expires_s; /* of the request that runs longest; 0: for ever */
  gboolean is_void; /* every request for it is */
} RegisterSerial;

void register_serial_free (RegisterSerial *serial);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RegisterSerial, register_serial_free)

/* NULL without @error: there is none. */
RegisterSerial *register_find_serial (Register *reg, const char *serial, GError **error);
/* The last serial issued to anybody but @user; NULL if there is none. The caller frees it. */
char *register_dup_serial_of_another (Register *reg, const char *user, GError **error);

typedef struct
{
  char *jti, *user;
  gint64 expires_s;
  gboolean is_revoked;
} RegisterToken;

void register_token_free (RegisterToken *token);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RegisterToken, register_token_free)

/* Keeps a token, of which only the SHA-256 is stored; a revoked jti stays revoked. Forgets what expired a day
 * ago. FALSE with DB_ERROR_CONSTRAINT: it is there under another jti. */
gboolean register_put_token (Register *reg, const char *jti, const char *token, const char *user,
                             gint64 expires_s, GError **error);
gboolean register_revoke_token (Register *reg, const char *jti, GError **error);
RegisterToken *register_find_token (Register *reg, const char *token, GError **error);
