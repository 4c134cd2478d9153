#include "common/module/package.h"

#include "common/base/text.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK           512
#define MAX_PADDING     10240 /* zeros behind the last member: a tar's record */
#define SHA256_TEXT     64
#define MAX_PERMISSIONS 2048

typedef struct archive Archive;

G_DEFINE_QUARK (package - error - quark, package_error)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Archive, archive_read_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (EVP_MD_CTX, EVP_MD_CTX_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (EVP_PKEY, EVP_PKEY_free)

static void
member_free (gpointer data)
{
  PackageMember *member = data;
  g_free (member->name);
  g_free (member->sha256);
  g_clear_pointer (&member->bytes, g_bytes_unref);
  g_free (member);
}

void
package_free (Package *package)
{
  if (package == NULL)
    return;
  g_free (package->id);
  g_free (package->version);
  g_free (package->descriptor);
  g_free (package->permissions);
  g_free (package->key);
  g_free (package->hash);
  g_clear_pointer (&package->manifest, g_bytes_unref);
  g_clear_pointer (&package->signature, g_bytes_unref);
  g_clear_pointer (&package->members, g_ptr_array_unref);
  g_free (package);
}

const PackageMember *
package_find_member (const Package *package, const char *name)
{
  for (guint i = 0; i < package->members->len; i++)
    {
      const PackageMember *member = g_ptr_array_index (package->members, i);
      if (g_str_equal (member->name, name))
        return member;
    }
  return NULL;
}

static gboolean fail (GError **error, PackageErrorCode code, const char *format, ...) G_GNUC_PRINTF (3, 4);

static gboolean
fail (GError **error, PackageErrorCode code, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  g_autofree char *text = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  g_set_error_literal (error, PACKAGE_ERROR, (int)code, text);
  return FALSE;
}

/* --- the manifest */

static gboolean
is_name (const char *name)
{
  gsize length = strlen (name);
  return length > 0 && length <= PACKAGE_MAX_NAME && g_ascii_isalnum (name[0])
         && strspn (name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-") == length
         && !g_str_equal (name, PACKAGE_MANIFEST) && !g_str_equal (name, PACKAGE_SIGNATURE)
         && !g_str_equal (name, "origin");
}

static gboolean
is_sha256 (const char *text)
{
  return strlen (text) == SHA256_TEXT && strspn (text, "0123456789abcdef") == SHA256_TEXT;
}

static gboolean
has_only (GKeyFile *file, const char *group, const char *const *known, GError **error)
{
  g_auto (GStrv) keys = g_key_file_get_keys (file, group, NULL, NULL);
  for (char **key = keys; key != NULL && *key != NULL; key++)
    if (!g_strv_contains (known, *key))
      return fail (error, PACKAGE_ERROR_FORMAT, "manifest: [%s] %s: unknown key", group, *key);
  return TRUE;
}

static char *
need_text (GKeyFile *file, const char *group, const char *key, GError **error)
{
  g_autofree char *text = g_key_file_get_string (file, group, key, NULL);
  if (text == NULL)
    fail (error, PACKAGE_ERROR_FORMAT, "manifest: [%s] %s: missing", group, key);
  return g_steal_pointer (&text);
}

static gboolean
read_head (Package *package, GKeyFile *file, GError **error)
{
  static const char *const known[]
      = { "format", "id", "version", "descriptor", "permissions", "restricted", "key", NULL };
  if (!has_only (file, "Package", known, error))
    return FALSE;
  g_autofree char *format = need_text (file, "Package", "format", error);
  if (format == NULL || (package->id = need_text (file, "Package", "id", error)) == NULL
      || (package->version = need_text (file, "Package", "version", error)) == NULL
      || (package->descriptor = need_text (file, "Package", "descriptor", error)) == NULL
      || (package->permissions = need_text (file, "Package", "permissions", error)) == NULL
      || (package->key = need_text (file, "Package", "key", error)) == NULL)
    return FALSE;
  if (!g_str_equal (format, "1"))
    return fail (error, PACKAGE_ERROR_FORMAT, "manifest: [Package] format: this host knows format 1 only");
  if (!text_is_market_id (package->id))
    return fail (error, PACKAGE_ERROR_FORMAT, "manifest: [Package] id: must match [a-z0-9][a-z0-9.-]{0,63}");
  if (!package_version_is_valid (package->version))
    return fail (error, PACKAGE_ERROR_FORMAT,
                 "manifest: [Package] version: must be up to %d letters, digits, '.', '+', '~' and '-'",
                 PACKAGE_MAX_VERSION);
  if (!package_key_text_is_valid (package->key))
    return fail (error, PACKAGE_ERROR_FORMAT, "manifest: [Package] key: not an Ed25519 key as base64url");
  gsize length = strlen (package->permissions);
  if (length > MAX_PERMISSIONS || !text_is_xml (package->permissions, length)
      || strpbrk (package->permissions, "\n\r\t") != NULL)
    return fail (error, PACKAGE_ERROR_FORMAT, "manifest: [Package] permissions: not one line of text");
  g_autofree char *restricted = g_key_file_get_string (file, "Package", "restricted", NULL);
  if (restricted != NULL && !g_str_equal (restricted, "yes") && !g_str_equal (restricted, "no"))
    return fail (error, PACKAGE_ERROR_FORMAT, "manifest: [Package] restricted: must be yes or no");
  package->is_restricted = g_strcmp0 (restricted, "yes") == 0;
  return TRUE;
}

static gboolean
read_member (Package *package, GKeyFile *file, const char *group, GError **error)
{
  static const char *const known[] = { "size", "sha256", NULL };
  const char *name = group + strlen ("Member ");
  if (!g_str_has_prefix (group, "Member ") || !is_name (name))
    return fail (error, PACKAGE_ERROR_FORMAT, "manifest: [%s]: not a group of a manifest", group);
  if (package->members->len == PACKAGE_MAX_MEMBERS)
    return fail (error, PACKAGE_ERROR_TOO_LARGE, "manifest: more than %d members", PACKAGE_MAX_MEMBERS);
  g_autofree char *size = need_text (file, group, "size", error);
  g_autofree char *sha256 = size != NULL ? need_text (file, group, "sha256", error) : NULL;
  if (sha256 == NULL || !has_only (file, group, known, error))
    return FALSE;
  guint64 n;
  if (!g_ascii_string_to_unsigned (size, 10, 0, PACKAGE_MAX_BYTES, &n, NULL))
    return fail (error, PACKAGE_ERROR_TOO_LARGE, "manifest: [%s] size: must be 0 to %d", group,
                 PACKAGE_MAX_BYTES);
  if (!is_sha256 (sha256))
    return fail (error, PACKAGE_ERROR_FORMAT, "manifest: [%s] sha256: must be 64 hex digits", group);
  PackageMember *member = g_new0 (PackageMember, 1);
  member->name = g_strdup (name);
  member->size = n;
  member->sha256 = g_steal_pointer (&sha256);
  g_ptr_array_add (package->members, member);
  return TRUE;
}

static gboolean
read_groups (Package *package, GKeyFile *file, GError **error)
{
  gsize n;
  guint64 total = 0;
  g_auto (GStrv) groups = g_key_file_get_groups (file, &n);
  if (n == 0 || !g_str_equal (groups[0], "Package"))
    return fail (error, PACKAGE_ERROR_FORMAT, "manifest: the first group is not [Package]");
  for (gsize i = 1; i < n; i++)
    {
      if (!read_member (package, file, groups[i], error))
        return FALSE;
      total += ((PackageMember *)g_ptr_array_index (package->members, i - 1))->size;
    }
  if (total > PACKAGE_MAX_BYTES)
    return fail (error, PACKAGE_ERROR_TOO_LARGE, "manifest: the members are more than %d bytes together",
                 PACKAGE_MAX_BYTES);
  if (package_find_member (package, package->descriptor) == NULL)
    return fail (error, PACKAGE_ERROR_FORMAT, "manifest: [Package] descriptor: there is no member '%s'",
                 package->descriptor);
  return TRUE;
}

static gboolean
check_signature (const Package *package, GError **error)
{
  gsize n, length, n_signature;
  g_autofree guint8 *key = text_from_base64url (package->key, strlen (package->key), &n);
  g_autoptr (EVP_PKEY) public = EVP_PKEY_new_raw_public_key (EVP_PKEY_ED25519, NULL, key, n);
  g_autoptr (EVP_MD_CTX) context = EVP_MD_CTX_new ();
  const void *manifest = g_bytes_get_data (package->manifest, &length);
  const void *signature = g_bytes_get_data (package->signature, &n_signature);
  if (public != NULL && n_signature == PACKAGE_SIGNATURE_BYTES
      && EVP_DigestVerifyInit (context, NULL, NULL, NULL, public) == 1
      && EVP_DigestVerify (context, signature, n_signature, manifest, length) == 1)
    return TRUE;
  return fail (error, PACKAGE_ERROR_SIGNATURE, "the signature does not fit the manifest");
}

Package *
package_read_manifest (GBytes *manifest, GBytes *signature, GError **error)
{
  gsize length;
  const char *text = g_bytes_get_data (manifest, &length);
  g_autoptr (Package) package = g_new0 (Package, 1);
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autoptr (GError) local = NULL;
  if (length == 0 || length > PACKAGE_MAX_MANIFEST_BYTES || memchr (text, '\0', length) != NULL
      || !g_utf8_validate (text, (gssize)length, NULL))
    {
      fail (error, PACKAGE_ERROR_FORMAT, "the manifest is not a text of at most %d bytes",
            PACKAGE_MAX_MANIFEST_BYTES);
      return NULL;
    }
  if (!g_key_file_load_from_data (file, text, length, G_KEY_FILE_NONE, &local))
    {
      fail (error, PACKAGE_ERROR_FORMAT, "manifest: %s", local->message);
      return NULL;
    }
  package->members = g_ptr_array_new_with_free_func (member_free);
  package->manifest = g_bytes_ref (manifest);
  package->signature = g_bytes_ref (signature);
  package->hash = g_compute_checksum_for_bytes (G_CHECKSUM_SHA256, manifest);
  if (!read_head (package, file, error) || !check_signature (package, error)
      || !read_groups (package, file, error))
    return NULL;
  return g_steal_pointer (&package);
}

/* --- the archive */

typedef struct
{
  Archive *archive;
  const guint8 *bytes; /* of the whole file */
  gsize length;
  gsize end; /* where the last member's blocks end */
} Reader;

static gboolean
are_zeros (const Reader *reader, gsize from, gsize to)
{
  if (from > to || to > reader->length)
    return FALSE;
  for (gsize i = from; i < to; i++)
    if (reader->bytes[i] != 0)
      return FALSE;
  return TRUE;
}

static gboolean
fail_archive (Reader *reader, GError **error)
{
  const char *why = archive_error_string (reader->archive);
  return fail (error, PACKAGE_ERROR_FORMAT, "not a package: %s", why != NULL ? why : "no plain tar");
}

/* The next member: its name must be @name (nullable: whatever it is called) and its size at most @max_bytes.
 */
static gboolean
next_member (Reader *reader, const char **name, guint64 max_bytes, GBytes **bytes, GError **error)
{
  struct archive_entry *entry;
  int result = archive_read_next_header (reader->archive, &entry);
  if (result == ARCHIVE_EOF)
    return fail (error, PACKAGE_ERROR_FORMAT, "the package ends too early");
  if (result != ARCHIVE_OK)
    return fail_archive (reader, error);
  *name = archive_entry_pathname (entry);
  if (archive_format (reader->archive) != ARCHIVE_FORMAT_TAR_USTAR || *name == NULL)
    return fail (error, PACKAGE_ERROR_FORMAT,
                 "not a package: a member that is none of a plain ustar archive");
  if (archive_entry_filetype (entry) != AE_IFREG || archive_entry_hardlink (entry) != NULL
      || archive_entry_symlink (entry) != NULL || archive_entry_sparse_count (entry) > 0
      || !archive_entry_size_is_set (entry))
    return fail (error, PACKAGE_ERROR_FORMAT, "a member is not a plain file");
  la_int64_t size = archive_entry_size (entry);
  if (size < 0 || (guint64)size > max_bytes || (guint64)size > reader->length)
    return fail (error, PACKAGE_ERROR_TOO_LARGE, "a member is larger than it may be");

  g_autofree guint8 *data = g_malloc ((gsize)size + 1);
  gsize have = 0;
  for (la_ssize_t n = 1; n > 0; have += (gsize)MAX (n, 0))
    {
      n = archive_read_data (reader->archive, data + have, (gsize)size - have + 1);
      if (n < 0)
        return fail_archive (reader, error);
      if (n > size - (la_ssize_t)have)
        return fail (error, PACKAGE_ERROR_FORMAT, "a member is larger than it says");
    }
  if (have != (gsize)size)
    return fail (error, PACKAGE_ERROR_FORMAT, "a member is shorter than it says");
  gsize begin = (gsize)archive_read_header_position (reader->archive) + BLOCK;
  reader->end = begin + ((gsize)size + BLOCK - 1) / BLOCK * BLOCK;
  if (!are_zeros (reader, begin + (gsize)size, reader->end))
    return fail (error, PACKAGE_ERROR_FORMAT, "something lies between two members");
  *bytes = g_bytes_new_take (g_steal_pointer (&data), (gsize)size);
  return TRUE;
}

static gboolean
need_member (Reader *reader, const char *expected, guint64 max_bytes, GBytes **bytes, GError **error)
{
  const char *name = NULL;
  if (!next_member (reader, &name, max_bytes, bytes, error))
    return FALSE;
  if (g_str_equal (name, expected))
    return TRUE;
  g_clear_pointer (bytes, g_bytes_unref);
  g_autofree char *shown = g_utf8_make_valid (name, MIN ((gssize)strlen (name), PACKAGE_MAX_NAME));
  return fail (error, PACKAGE_ERROR_FORMAT, "the package has '%s' where '%s' belongs", shown, expected);
}

/* Members come in the order of the manifest, so none can be missing, doubled or besides it. */
static gboolean
read_members (Reader *reader, Package *package, GError **error)
{
  for (guint i = 0; i < package->members->len; i++)
    {
      PackageMember *member = g_ptr_array_index (package->members, i);
      g_autoptr (GBytes) bytes = NULL;
      if (!need_member (reader, member->name, member->size, &bytes, error))
        return FALSE;
      g_autofree char *sum = g_compute_checksum_for_bytes (G_CHECKSUM_SHA256, bytes);
      if (g_bytes_get_size (bytes) != member->size || !g_str_equal (sum, member->sha256))
        return fail (error, PACKAGE_ERROR_HASH, "'%s' is not what the manifest says", member->name);
      member->bytes = g_steal_pointer (&bytes);
    }
  return TRUE;
}

/* Behind the last member are zeros only: nothing can hide there. */
static gboolean
check_end (Reader *reader, GError **error)
{
  struct archive_entry *entry;
  int result = archive_read_next_header (reader->archive, &entry);
  if (result == ARCHIVE_OK)
    return fail (error, PACKAGE_ERROR_FORMAT, "the package has members that its manifest does not name");
  if (result != ARCHIVE_EOF)
    return fail_archive (reader, error);
  if (reader->end + 2 * BLOCK > reader->length || reader->length - reader->end > MAX_PADDING + 2 * BLOCK)
    return fail (error, PACKAGE_ERROR_FORMAT, "the package does not end as a tar does");
  if (!are_zeros (reader, reader->end, reader->length))
    return fail (error, PACKAGE_ERROR_FORMAT, "the package goes on behind its end");
  return TRUE;
}

/* The descriptor says what the manifest says of it, and its object is here. */
static gboolean
check_descriptor (const Package *package, GError **error)
{
  const PackageMember *member = package_find_member (package, package->descriptor);
  gboolean is_legacy = g_str_has_suffix (member->name, ".legacy");
  DescriptorError why;
  gsize length;
  const char *text = g_bytes_get_data (member->bytes, &length);
  if (!is_legacy && !g_str_has_suffix (member->name, ".plugin"))
    return fail (error, PACKAGE_ERROR_FORMAT, "'%s' ends neither with .legacy nor with .plugin",
                 member->name);
  Descriptor *descriptor
      = length <= DESCRIPTOR_MAX_BYTES ? descriptor_parse (
            member->name, is_legacy ? DESCRIPTOR_LEGACY : DESCRIPTOR_NATIVE, text, length, &why)
                                       : NULL;
  if (descriptor == NULL)
    return fail (error, PACKAGE_ERROR_FORMAT, "%s",
                 length <= DESCRIPTOR_MAX_BYTES ? why.text : "the descriptor is too large");
  g_autofree char *permissions = package_dup_permissions (descriptor);
  const PackageMember *object = package_find_member (package, descriptor->object);
  const char *wrong = !g_str_equal (descriptor->id, package->id)             ? "id"
                      : !g_str_equal (descriptor->version, package->version) ? "version"
                      : !g_str_equal (permissions, package->permissions)     ? "permissions"
                                                                             : NULL;
  gboolean has_object = object != NULL && g_str_equal (object->sha256, descriptor->sha256);
  const gboolean is_keygen = descriptor->is_keygen;
  descriptor_free (descriptor);
  if (is_keygen)
    return fail (error, PACKAGE_ERROR_FORMAT, "'%s' describes a keygen, which belongs on a server",
                 member->name);
  if (wrong != NULL)
    return fail (error, PACKAGE_ERROR_FORMAT, "manifest: [Package] %s: differs from the descriptor", wrong);
  return has_object
         || fail (error, PACKAGE_ERROR_HASH, "the object that '%s' describes is not in the package",
                  member->name);
}

Package *
package_read (GBytes *file, PackageAllow allow, gpointer data, GError **error)
{
  g_autoptr (Archive) archive = archive_read_new ();
  g_autoptr (GBytes) manifest = NULL;
  g_autoptr (GBytes) signature = NULL;
  gsize length;
  const void *bytes = g_bytes_get_data (file, &length);
  if (length > PACKAGE_MAX_BYTES)
    {
      fail (error, PACKAGE_ERROR_TOO_LARGE, "the package is larger than %d bytes", PACKAGE_MAX_BYTES);
      return NULL;
    }
  Reader reader = { archive, bytes, length, 0 };
  archive_read_support_format_tar (archive); /* and no filter: nothing in it is compressed */
  if (archive_read_open_memory (archive, bytes, length) != ARCHIVE_OK)
    {
      fail_archive (&reader, error);
      return NULL;
    }
  if (!need_member (&reader, PACKAGE_MANIFEST, PACKAGE_MAX_MANIFEST_BYTES, &manifest, error)
      || !need_member (&reader, PACKAGE_SIGNATURE, PACKAGE_SIGNATURE_BYTES, &signature, error))
    return NULL;
  g_autoptr (Package) package = package_read_manifest (manifest, signature, error);
  if (package == NULL || (allow != NULL && !allow (package, data, error))
      || !read_members (&reader, package, error) || !check_end (&reader, error)
      || !check_descriptor (package, error))
    return NULL;
  return g_steal_pointer (&package);
}

static GBytes *
read_plain_file (const char *path, GError **error)
{
  struct stat about;
  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0 || fstat (fd, &about) != 0)
    {
      g_set_error (error, G_FILE_ERROR, (int)g_file_error_from_errno (errno), "cannot open '%s': %s", path,
                   g_strerror (errno));
      if (fd >= 0)
        close (fd);
      return NULL;
    }
  gboolean is_plain = S_ISREG (about.st_mode), fits = about.st_size <= PACKAGE_MAX_BYTES;
  if (!is_plain || !fits)
    {
      fail (error, is_plain ? PACKAGE_ERROR_TOO_LARGE : PACKAGE_ERROR_FORMAT, "'%s' is %s", path,
            is_plain ? "larger than a package may be" : "not a plain file");
      close (fd);
      return NULL;
    }
  g_autofree guint8 *data = g_malloc ((gsize)about.st_size + 1);
  gsize have = 0;
  for (gssize n = 1; n > 0 && have < (gsize)about.st_size; have += (gsize)MAX (n, 0))
    n = read (fd, data + have, (gsize)about.st_size - have);
  close (fd);
  return g_bytes_new_take (g_steal_pointer (&data), have);
}

Package *
package_read_file (const char *path, PackageAllow allow, gpointer data, GBytes **file, GError **error)
{
  g_autoptr (GBytes) bytes = read_plain_file (path, error);
  g_autoptr (Package) package = bytes != NULL ? package_read (bytes, allow, data, error) : NULL;
  if (package != NULL && file != NULL)
    *file = g_steal_pointer (&bytes);
  return g_steal_pointer (&package);
}
