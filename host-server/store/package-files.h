/* The files of packages (docs/packages.md): one folder, each named by its package's hash and never changed.
 */
#pragma once

#include "common/base/db.h"

/* Of a server's data folder; the caller frees it. */
char *package_files_dup_folder (const char *data);
/* The file of the package @hash in @folder; the caller frees it. */
char *package_files_dup_path (const char *folder, const char *hash);

/* Copies the file of every package that @db names from the folder @from to @to, which is made if there is
 * one. What is there already and whole is left. Each is compared with its row. FALSE with @error; but for
 * those that are revoked a file may be missing in both, and with @missing (of char *, "PLUGIN VERSION") any
 * may. */
gboolean package_files_copy (Db *db, const char *from, const char *to, GPtrArray *missing, GError **error);

/* Removes a folder of such files. */
void package_files_remove (const char *folder);
