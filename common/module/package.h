/* Plugin packages: one file that a vendor signs and anybody can check (docs/packages.md).
 *
 * A package is a plain tar (ustar, not compressed). Its first member is `manifest`, its second
 * `manifest.sig`: the Ed25519 signature of the manifest's bytes by a vendor's key. The manifest names every
 * further member with size and SHA-256, so the signature covers the whole package, and the SHA-256 of the
 * manifest, the package's hash, names it.
 *
 *   [Package]                          [Member weather.legacy]
 *   format=1                           size=812
 *   id=weather                         sha256=…
 *   version=3.2
 *   descriptor=weather.legacy          [Member libweather.so]
 *   permissions=data=4096; identity    …
 *   restricted=no
 *   key=BASE64URL
 *
 * The file is a stranger's. It is read in memory and in order: manifest, signature, whether the key is
 * trusted, and only then the rest, each member against its size and hash. Nothing touches the disk before all
 * of it held. Names have no slash, so a member has no place but its folder; whatever is not listed, or is not
 * a plain file, refuses the whole. */
#pragma once

#include "common/module/descriptor.h"

#include <gio/gio.h>
#include <openssl/evp.h>

#define PACKAGE_MAX_BYTES          (64 << 20)
#define PACKAGE_MAX_MEMBERS        32 /* behind manifest and signature */
#define PACKAGE_MAX_NAME           100
#define PACKAGE_MAX_VERSION        64
#define PACKAGE_MAX_MANIFEST_BYTES 16384
#define PACKAGE_SIGNATURE_BYTES    64
#define PACKAGE_KEY_BYTES          32
#define PACKAGE_KEY_TEXT           43 /* characters of a key as base64url */

#define PACKAGE_MANIFEST  "manifest"
#define PACKAGE_SIGNATURE "manifest.sig"

#define PACKAGE_ERROR (package_error_quark ())
GQuark package_error_quark (void);

typedef enum
{
  PACKAGE_ERROR_FORMAT,     /* not a package: the archive, a name, the manifest, a descriptor */
  PACKAGE_ERROR_TOO_LARGE,  /* over one of the limits above */
  PACKAGE_ERROR_SIGNATURE,  /* the signature does not fit the manifest */
  PACKAGE_ERROR_HASH,       /* a member is not what the manifest says */
  PACKAGE_ERROR_NOT_TRUSTED /* for PackageAllow: its key, version or hash is not accepted */
} PackageErrorCode;

typedef struct
{
  char *name;
  guint64 size;
  char *sha256;  /* 64 hex digits */
  GBytes *bytes; /* NULL until it was read */
} PackageMember;

typedef struct
{
  char *id;
  char *version;
  char *descriptor;       /* name of the member that is the plugin's descriptor */
  char *permissions;      /* what the descriptor grants itself, as package_dup_permissions() */
  gboolean is_restricted; /* only owners of the plugin may have it */
  char *key;              /* the signer's public key, base64url */
  char *hash;             /* SHA-256 of the manifest, hex */
  GBytes *manifest;
  GBytes *signature;
  GPtrArray *members; /* of PackageMember, in the order of the archive */
} Package;

void package_free (Package *package);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Package, package_free)

/* Whether a package may be read further: its manifest is complete and signed by package->key, its members are
 * not there yet. FALSE with PACKAGE_ERROR_NOT_TRUSTED. */
typedef gboolean (*PackageAllow) (const Package *package, gpointer data, GError **error);

/* Reads the whole package @file. @allow (nullable) is asked as soon as the signature is known to hold. NULL
 * with PACKAGE_ERROR. */
Package *package_read (GBytes *file, PackageAllow allow, gpointer data, GError **error);
/* The same of the file @path: a plain file of at most PACKAGE_MAX_BYTES. *@file (nullable) gets its bytes,
 * for the caller to unref. NULL with PACKAGE_ERROR or G_FILE_ERROR. */
Package *package_read_file (const char *path, PackageAllow allow, gpointer data, GBytes **file,
                            GError **error);
/* Reads a manifest with its signature alone: an installed package is checked by these against its files. */
Package *package_read_manifest (GBytes *manifest, GBytes *signature, GError **error);
/* NULL if there is no member @name. Lent. */
const PackageMember *package_find_member (const Package *package, const char *name);

/* Makes a package of every file in @folder, which has exactly one descriptor (*.legacy or *.plugin) and its
 * object; what begins with a dot is passed over. The same files and key give the same bytes. NULL with
 * PACKAGE_ERROR or G_FILE_ERROR. */
GBytes *package_write (const char *folder, EVP_PKEY *key, gboolean is_restricted, GError **error);

/* What a descriptor asks for as one line: "connect=HOST:PORT,…; data=BYTES; read=PATH,…; threads; identity;
 * messages=see|send; functions; purchases", without what it does not ask for. The caller frees it. */
char *package_dup_permissions (const Descriptor *descriptor);

/* -1, 0, 1 as @a is older than, the same as, or newer than @b. Runs of digits compare as numbers, other
 * characters by code; what continues the other is newer, but a part that begins with '-' or '~' (1.0-rc1) is
 * older. */
int package_version_compare (const char *a, const char *b);
gboolean package_version_is_valid (const char *version);

/* --- vendor keys */

/* A new Ed25519 key pair. */
EVP_PKEY *package_key_new (void);
/* A PEM file (PKCS #8) without pass phrase, as `openssl genpkey -algorithm ed25519` writes it too. NULL with
 * @error if it cannot be read or is another kind of key. */
EVP_PKEY *package_key_load (const char *path, GError **error);
/* Writes @key to the new file @path with mode 0600. FALSE with @error, also if the file is there. */
gboolean package_key_save (EVP_PKEY *key, const char *path, GError **error);
/* Its public part as base64url; the caller frees it. */
char *package_key_dup_public (EVP_PKEY *key);
gboolean package_key_text_is_valid (const char *text);
