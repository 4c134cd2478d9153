/* The client's folder (protocol.md section 12, --config): pins, plugins, and for each account its database.
 */
#pragma once

#include "common/base/db.h"

typedef struct Folder Folder;

#define FOLDER_ERROR (folder_error_quark ())
GQuark folder_error_quark (void);

typedef enum
{
  FOLDER_ERROR_FAILED, /* it cannot be made, read or written; the message says which file and why */
} FolderErrorCode;

/* @path NULL: the user's own, $XDG_CONFIG_HOME/stoa. Made with mode 0700 if it is not there. */
Folder *folder_open (const char *path, GError **error);
void folder_free (Folder *folder);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Folder, folder_free)

const char *folder_peek_path (const Folder *folder);

/* The certificate (SHA-256 of its DER form, hex) that the user trusts for @domain; NULL: none. Caller frees.
 */
char *folder_dup_pin (const Folder *folder, const char *domain);
/* Kept in the file `pins`, for all accounts of the domain. */
gboolean folder_set_pin (Folder *folder, const char *domain, const char *fingerprint, GError **error);

/* `[plugins] uid_base` of the file client.conf: the first of 64 user ids that plugins may run under when the
 * client itself runs as root; 0 without such a file. FALSE if it is there and cannot be read, or says
 * something else. */
gboolean folder_get_uid_base (const Folder *folder, guint32 *uid_base, GError **error);

/* The folder of the account @jid (a prepared bare JID), made if it is not there. Caller frees. */
char *folder_dup_account_path (const Folder *folder, const char *jid, GError **error);
/* The account's database, client.db, brought to the current schema. Several processes may have it open. */
Db *folder_open_account (const Folder *folder, const char *jid, GError **error);
