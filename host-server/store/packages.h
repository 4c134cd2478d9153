/* Packages of plugins, vendor keys and the trust document (market.db): their rows. What may be added and when
 * is decided by the room packages; the catalog reads what is offered. */
#pragma once

#include "common/base/db.h"

typedef struct
{
  char *hash; /* SHA-256 of the manifest, hex: what names it */
  char *plugin;
  char *version;
  char *key;
  char *sha256; /* of the file */
  gint64 size;
  char *permissions;
  gboolean is_restricted;
  gboolean is_offered;
  gint64 added_us;
  gint64 revoked_us; /* 0: it is not */
  char *reason;
} PackageRow;

void package_row_free (PackageRow *row);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PackageRow, package_row_free)

/* NULL without @error if there is none. */
PackageRow *packages_find (Db *db, const char *plugin, const char *version, GError **error);
/* The one that the catalog names; NULL without @error if there is none. */
PackageRow *packages_find_offered (Db *db, const char *plugin, GError **error);
/* Those of @plugin (NULL: of all), by plugin and time: an array of PackageRow. NULL with @error. */
GPtrArray *packages_list (Db *db, const char *plugin, GError **error);
/* Inserts @row, whatever its is_offered. */
gboolean packages_insert (Db *db, const PackageRow *row, GError **error);
gboolean packages_revoke (Db *db, const char *hash, const char *reason, gint64 now_us, GError **error);
/* Makes @hash (NULL: none) the one that the catalog names. */
gboolean packages_offer (Db *db, const char *plugin, const char *hash, GError **error);

typedef struct
{
  char *key;
  char *vendor;
  gint64 from_us;
  gint64 to_us;      /* 0: open */
  gint64 revoked_us; /* 0: it is not */
  char *reason;
} VendorKeyRow;

void vendor_key_row_free (VendorKeyRow *row);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VendorKeyRow, vendor_key_row_free)

/* NULL without @error if there is none. */
VendorKeyRow *vendor_keys_find (Db *db, const char *key, GError **error);
/* Those of @vendor (NULL: all), by vendor and time: an array of VendorKeyRow. NULL with @error. */
GPtrArray *vendor_keys_list (Db *db, const char *vendor, GError **error);
gboolean vendor_keys_insert (Db *db, const VendorKeyRow *row, gint64 now_us, GError **error);
gboolean vendor_keys_revoke (Db *db, const char *key, const char *reason, gint64 now_us, GError **error);

/* Whether there is a vendor @id. */
gboolean packages_has_vendor (Db *db, const char *id, gboolean *is_found, GError **error);
/* The vendor of @plugin; NULL without @error if there is no such plugin. The caller frees it. */
char *packages_dup_vendor_of (Db *db, const char *plugin, GError **error);

/* The last document; *@number is 0 and the texts are NULL if there is none so far. The caller frees them. */
gboolean trust_document_load (Db *db, gint64 *number, char **kid, char **jws, GError **error);
/* Stores it in place of the one before. */
gboolean trust_document_store (Db *db, gint64 number, const char *kid, const char *jws, GError **error);
