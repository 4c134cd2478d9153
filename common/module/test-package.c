#include "common/module/package.h"

#include "common/base/test-folder.h"

#include <archive.h>
#include <archive_entry.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct
{
  char *folder;
  EVP_PKEY *key;
} Stage;

static void
put (const Stage *stage, const char *name, const char *text)
{
  g_autofree char *path = g_build_filename (stage->folder, name, NULL);
  g_assert_true (g_file_set_contents (path, text, -1, NULL));
}

static void
put_plugin (const Stage *stage, const char *extra)
{
  g_autofree char *sum = g_compute_checksum_for_string (G_CHECKSUM_SHA256, "object", -1);
  g_autofree char *text
      = g_strdup_printf ("[Plugin]\nid=weather\nname=Weather\nversion=1.2\nobject=libweather.so\n"
                         "sha256=%s\nabi=1\n[Permissions]\ndata=4K\n%s",
                         sum, extra);
  put (stage, "weather.plugin", text);
  put (stage, "libweather.so", "object");
}

static void
set_up (Stage *stage, gconstpointer unused)
{
  stage->folder = g_dir_make_tmp ("package-XXXXXX", NULL);
  stage->key = package_key_new ();
  put_plugin (stage, "connect=plugins.vendor.example:7443; [::1]:80\nmessages=see\nidentity=yes\n");
  put (stage, "LICENCE", "free");
  put (stage, ".hidden", "not for others");
}

static void
tear_down (Stage *stage, gconstpointer unused)
{
  test_folder_remove (stage->folder);
  g_free (stage->folder);
  EVP_PKEY_free (stage->key);
}

static GBytes *
pack (const Stage *stage)
{
  g_autoptr (GError) error = NULL;
  GBytes *file = package_write (stage->folder, stage->key, TRUE, &error);
  g_assert_no_error (error);
  return file;
}

static void
assert_not_packed (const Stage *stage, const char *why)
{
  g_autoptr (GError) error = NULL;
  g_assert_null (package_write (stage->folder, stage->key, FALSE, &error));
  if (strstr (error->message, why) == NULL)
    g_error ("'%s' instead of '%s'", error->message, why);
}

/* --- packing */

static void
test_what_was_packed_is_read (Stage *stage, gconstpointer unused)
{
  g_autoptr (GBytes) file = pack (stage);
  g_autoptr (GError) error = NULL;
  g_autoptr (Package) package = package_read (file, NULL, NULL, &error);
  g_autofree char *public = package_key_dup_public (stage->key);
  g_assert_no_error (error);
  g_assert_cmpstr (package->id, ==, "weather");
  g_assert_cmpstr (package->version, ==, "1.2");
  g_assert_cmpstr (package->key, ==, public);
  g_assert_cmpstr (package->permissions, ==,
                   "connect=plugins.vendor.example:7443,[::1]:80; data=4096; identity; messages=see");
  g_assert_true (package->is_restricted);
  g_assert_cmpuint (package->members->len, ==, 3);
  gsize length;
  const void *licence = g_bytes_get_data (package_find_member (package, "LICENCE")->bytes, &length);
  g_assert_cmpmem (licence, length, "free", 4);
  g_assert_null (package_find_member (package, ".hidden"));
}

static void
test_the_same_files_and_key_give_the_same_bytes (Stage *stage, gconstpointer unused)
{
  g_autoptr (GBytes) one = pack (stage);
  put_plugin (stage, "connect=plugins.vendor.example:7443; [::1]:80\nmessages=see\nidentity=yes\n");
  g_autoptr (GBytes) other = pack (stage);
  g_assert_true (g_bytes_equal (one, other));
}

static void
test_a_folder_that_is_no_plugin_is_not_packed (Stage *stage, gconstpointer unused)
{
  put (stage, "other.plugin", "");
  assert_not_packed (stage, "are both descriptors");
  put (stage, "other.plugin", "");
  g_autofree char *other = g_build_filename (stage->folder, "other.plugin", NULL);
  g_remove (other);
  put (stage, "libweather.so", "another object");
  assert_not_packed (stage, "is not in the package");
  put_plugin (stage, "nonsense=1\n");
  assert_not_packed (stage, "nonsense");
  put_plugin (stage, "");
  put (stage, "a name", "x");
  assert_not_packed (stage, "not a group of a manifest");
  g_autofree char *path = g_build_filename (stage->folder, "a name", NULL);
  g_remove (path);
  g_assert_cmpint (symlink ("/etc/passwd", path), ==, 0);
  g_remove (path);
  g_assert_cmpint (mkdir (path, 0700), ==, 0);
  assert_not_packed (stage, "not a plain file");
}

static void
test_more_files_than_a_package_holds_are_not_packed (Stage *stage, gconstpointer unused)
{
  for (guint i = 0; i < PACKAGE_MAX_MEMBERS - 3; i++)
    {
      g_autofree char *name = g_strdup_printf ("file%u", i);
      put (stage, name, "");
    }
  g_autoptr (GBytes) file = pack (stage);
  put (stage, "onemore", "");
  assert_not_packed (stage, "more than");
}

/* --- reading */

static void
test_no_byte_can_change (Stage *stage, gconstpointer unused)
{
  g_autoptr (GBytes) file = pack (stage);
  gsize length;
  const guint8 *bytes = g_bytes_get_data (file, &length);
  for (gsize at = 0; at < length; at++)
    {
      g_autofree guint8 *copy = g_memdup2 (bytes, length);
      copy[at] ^= 0x41;
      g_autoptr (GBytes) changed = g_bytes_new (copy, length);
      g_autoptr (GError) error = NULL;
      g_autoptr (Package) package = package_read (changed, NULL, NULL, &error);
      /* What a header says of owner, time and mode is nobody's business, and read by nobody; its checksum
       * guards it. */
      if (package != NULL)
        g_error ("byte %" G_GSIZE_FORMAT " was changed, and nobody noticed", at);
      g_assert_true (error->domain == PACKAGE_ERROR);
    }
}

static void
test_no_end_is_missing_and_none_goes_on (Stage *stage, gconstpointer unused)
{
  g_autoptr (GBytes) file = pack (stage);
  gsize length;
  const guint8 *bytes = g_bytes_get_data (file, &length);
  for (gsize n = 0; n < length; n += 64)
    {
      g_autoptr (GBytes) cut = g_bytes_new (bytes, n);
      g_assert_null (package_read (cut, NULL, NULL, NULL));
    }
  g_autofree guint8 *longer = g_malloc0 (length + 20000);
  memcpy (longer, bytes, length);
  g_autoptr (GBytes) padded = g_bytes_new (longer, length + 512);
  g_autoptr (Package) package = package_read (padded, NULL, NULL, NULL);
  g_assert_nonnull (package);
  longer[length + 511] = 1;
  g_autoptr (GBytes) trailing = g_bytes_new (longer, length + 512);
  g_assert_null (package_read (trailing, NULL, NULL, NULL));
  longer[length + 511] = 0;
  g_autoptr (GBytes) endless = g_bytes_new (longer, length + 20000);
  g_assert_null (package_read (endless, NULL, NULL, NULL));
}

static gboolean
refuse (const Package *package, gpointer data, GError **error)
{
  guint *n_read = data;
  for (guint i = 0; i < package->members->len; i++)
    *n_read += ((PackageMember *)g_ptr_array_index (package->members, i))->bytes != NULL;
  g_set_error_literal (error, PACKAGE_ERROR, PACKAGE_ERROR_NOT_TRUSTED, "no");
  return FALSE;
}

static void
test_a_key_that_is_not_trusted_ends_it_before_a_member_is_read (Stage *stage, gconstpointer unused)
{
  g_autoptr (GBytes) file = pack (stage);
  g_autoptr (GError) error = NULL;
  guint n_read = 0;
  g_assert_null (package_read (file, refuse, &n_read, &error));
  g_assert_error (error, PACKAGE_ERROR, PACKAGE_ERROR_NOT_TRUSTED);
  g_assert_cmpuint (n_read, ==, 0);
}

/* A package whose second half is another, signed by the same key. */
static void
test_members_of_another_package_of_the_same_key_do_not_fit (Stage *stage, gconstpointer unused)
{
  g_autoptr (GBytes) one = pack (stage);
  put (stage, "LICENCE", "evil");
  g_autoptr (GBytes) other = pack (stage);
  gsize length;
  const guint8 *bytes = g_bytes_get_data (one, &length);
  const guint8 *others = g_bytes_get_data (other, NULL);
  g_assert_cmpuint (g_bytes_get_size (other), ==, length);
  gsize half = 512 + 1024 + 512 + 512; /* manifest and signature */
  g_autofree guint8 *mixed = g_memdup2 (bytes, length);
  memcpy (mixed + half, others + half, length - half);
  g_autoptr (GBytes) file = g_bytes_new (mixed, length);
  g_autoptr (GError) error = NULL;
  g_assert_null (package_read (file, NULL, NULL, &error));
  g_assert_error (error, PACKAGE_ERROR, PACKAGE_ERROR_HASH);
}

static GBytes *
archive_of (int format, const char *name, gint64 hole)
{
  static guint8 buffer[65536];
  size_t used = 0;
  struct archive *archive = archive_write_new ();
  struct archive_entry *entry = archive_entry_new ();
  archive_write_set_format (archive, format);
  archive_write_open_memory (archive, buffer, sizeof buffer, &used);
  archive_entry_set_pathname (entry, name);
  archive_entry_set_filetype (entry, AE_IFREG);
  archive_entry_set_perm (entry, 0644);
  archive_entry_set_size (entry, hole > 0 ? hole : 1);
  if (hole > 0)
    archive_entry_sparse_add_entry (entry, hole - 1, 1);
  archive_write_header (archive, entry);
  archive_write_data (archive, "x", 1);
  archive_entry_free (entry);
  archive_write_free (archive);
  return g_bytes_new (buffer, used);
}

static void
test_other_archives_and_sparse_files_are_refused (Stage *stage, gconstpointer unused)
{
  const int formats[] = { ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE, ARCHIVE_FORMAT_TAR_GNUTAR, ARCHIVE_FORMAT_CPIO,
                          ARCHIVE_FORMAT_ZIP };
  for (gsize i = 0; i < G_N_ELEMENTS (formats); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (GBytes) file = archive_of (formats[i], "manifest", 0);
      g_assert_null (package_read (file, NULL, NULL, &error));
      g_assert_true (error->domain == PACKAGE_ERROR);
    }
  g_autoptr (GBytes) sparse
      = archive_of (ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE, "manifest", G_GINT64_CONSTANT (1) << 40);
  g_assert_null (package_read (sparse, NULL, NULL, NULL));
}

/* --- manifests */

static GBytes *
sign (EVP_PKEY *key, GBytes *text)
{
  guint8 signature[PACKAGE_SIGNATURE_BYTES];
  size_t n = sizeof signature;
  gsize length;
  const void *bytes = g_bytes_get_data (text, &length);
  EVP_MD_CTX *context = EVP_MD_CTX_new ();
  g_assert_cmpint (EVP_DigestSignInit (context, NULL, NULL, NULL, key), ==, 1);
  g_assert_cmpint (EVP_DigestSign (context, signature, &n, bytes, length), ==, 1);
  EVP_MD_CTX_free (context);
  return g_bytes_new (signature, n);
}

#define HEAD         "[Package]\nformat=1\nid=weather\nversion=1\ndescriptor=w.plugin\npermissions=\n"
#define ZEROS        "0000000000000000000000000000000000000000000000000000000000000000"
#define MEMBER(name) "[Member " name "]\nsize=1\nsha256=" ZEROS "\n"

static char *
why_not (const Stage *stage, const char *format)
{
  g_autofree char *public = package_key_dup_public (stage->key);
  g_autofree char *key = g_strconcat ("key=", public, "\n", NULL);
  g_auto (GStrv) parts = g_strsplit (format, "@KEY@", -1);
  g_autofree char *text = g_strjoinv (key, parts);
  g_autoptr (GBytes) manifest = g_bytes_new (text, strlen (text));
  g_autoptr (GBytes) signature = sign (stage->key, manifest);
  g_autoptr (GError) error = NULL;
  g_autoptr (Package) package = package_read_manifest (manifest, signature, &error);
  return package == NULL ? g_strdup (error->message) : NULL;
}

static void
test_a_manifest_that_is_wrong_is_refused_by_name (Stage *stage, gconstpointer unused)
{
  static const char *const wrong[][2] = {
    { "", "not a text" },
    { "hello", "manifest: " },
    { HEAD MEMBER ("w.plugin"), "key: missing" },
    { HEAD "key=abc\n" MEMBER ("w.plugin"), "key: not an Ed25519 key" },
    { HEAD "@KEY@more=1\n" MEMBER ("w.plugin"), "more: unknown key" },
    { HEAD "@KEY@restricted=maybe\n" MEMBER ("w.plugin"), "restricted: must be" },
    { HEAD "@KEY@" MEMBER ("other"), "there is no member 'w.plugin'" },
    { HEAD "@KEY@" MEMBER ("w.plugin") "[Other]\nx=1\n", "not a group of a manifest" },
    { HEAD "@KEY@" MEMBER ("w.plugin") MEMBER ("../up"), "not a group" },
    { HEAD "@KEY@" MEMBER ("w.plugin") MEMBER ("a/b"), "not a group" },
    { HEAD "@KEY@" MEMBER ("w.plugin") MEMBER (".hidden"), "not a group" },
    { HEAD "@KEY@" MEMBER ("w.plugin") MEMBER ("manifest"), "not a group" },
    { HEAD "@KEY@" MEMBER ("w.plugin") MEMBER ("origin"), "not a group" },
    { HEAD "@KEY@[Member w.plugin]\nsize=1\n", "sha256: missing" },
    { HEAD "@KEY@[Member w.plugin]\nsize=-1\nsha256=" ZEROS "\n", "size: must be" },
    { HEAD "@KEY@[Member w.plugin]\nsize=99999999999\nsha256=" ZEROS "\n", "size: must be" },
    { HEAD "@KEY@[Member w.plugin]\nsize=1\nsha256=xyz\n", "sha256: must be" },
    { HEAD "@KEY@[Member w.plugin]\nsize=1\nmode=7\nsha256=" ZEROS "\n", "mode: unknown key" },
    { "[Other]\n" HEAD "@KEY@" MEMBER ("w.plugin"), "the first group is not" },
    { "[Package]\nformat=2\nid=w\nversion=1\ndescriptor=w.plugin\npermissions=\n@KEY@", "format 1 only" },
    { "[Package]\nformat=1\nid=W\nversion=1\ndescriptor=w.plugin\npermissions=\n@KEY@", "id: must match" },
    { "[Package]\nformat=1\nid=w\nversion=1/2\ndescriptor=w.plugin\npermissions=\n@KEY@",
      "version: must be" },
  };
  g_assert_null (why_not (stage, HEAD "@KEY@" MEMBER ("w.plugin")));
  for (gsize i = 0; i < G_N_ELEMENTS (wrong); i++)
    {
      g_autofree char *why = why_not (stage, wrong[i][0]);
      if (why == NULL || strstr (why, wrong[i][1]) == NULL)
        g_error ("%s\n'%s' instead of '%s'", wrong[i][0], why, wrong[i][1]);
    }
}

/* --- versions and keys */

static void
test_versions_have_an_order (void)
{
  static const char *const rising[] = { "0.9",
                                        "1~rc1",
                                        "1-beta",
                                        "1",
                                        "1.0",
                                        "1.0.1",
                                        "1.2",
                                        "1.10",
                                        "1.10a",
                                        "1.10b",
                                        "2-rc1",
                                        "2-rc2",
                                        "2-rc10",
                                        "2",
                                        "10",
                                        "99999999999999999999998",
                                        "99999999999999999999999" };
  for (gsize i = 0; i < G_N_ELEMENTS (rising); i++)
    for (gsize k = 0; k < G_N_ELEMENTS (rising); k++)
      {
        int expected = (i > k) - (i < k);
        /* '~' and '-' mark the same. */
        if (strpbrk (rising[i], "~") == NULL && strpbrk (rising[k], "~") == NULL)
          g_assert_cmpint (package_version_compare (rising[i], rising[k]), ==, expected);
      }
  g_assert_cmpint (package_version_compare ("1.07", "1.7"), ==, 0);
  g_assert_true (package_version_is_valid ("3.2-rc1+b7"));
  g_assert_false (package_version_is_valid (""));
  g_assert_false (package_version_is_valid ("1/2"));
  g_assert_false (package_version_is_valid (".."));
  g_assert_false (package_version_is_valid ("-1"));
}

static void
test_a_key_is_kept_for_its_owner_alone (Stage *stage, gconstpointer unused)
{
  g_autofree char *path = g_build_filename (stage->folder, "vendor.key", NULL);
  g_autoptr (GError) error = NULL;
  GStatBuf about;
  g_assert_true (package_key_save (stage->key, path, &error));
  g_assert_cmpint (g_stat (path, &about), ==, 0);
  g_assert_cmpint (about.st_mode & 0777, ==, 0600);
  g_assert_false (package_key_save (stage->key, path, &error)); /* and is not written over */
  EVP_PKEY *loaded = package_key_load (path, NULL);
  g_assert_cmpint (EVP_PKEY_eq (loaded, stage->key), ==, 1);
  EVP_PKEY_free (loaded);
  put (stage, "vendor.key", "-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----\n");
  g_assert_null (package_key_load (path, NULL));
  g_remove (path);
  g_assert_null (package_key_load (path, NULL));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name) g_test_add ("/package/" #name, Stage, NULL, set_up, test_##name, tear_down)
  ADD (what_was_packed_is_read);
  ADD (the_same_files_and_key_give_the_same_bytes);
  ADD (a_folder_that_is_no_plugin_is_not_packed);
  ADD (more_files_than_a_package_holds_are_not_packed);
  ADD (no_byte_can_change);
  ADD (no_end_is_missing_and_none_goes_on);
  ADD (a_key_that_is_not_trusted_ends_it_before_a_member_is_read);
  ADD (members_of_another_package_of_the_same_key_do_not_fit);
  ADD (other_archives_and_sparse_files_are_refused);
  ADD (a_manifest_that_is_wrong_is_refused_by_name);
  g_test_add_func ("/package/versions_have_an_order", test_versions_have_an_order);
  ADD (a_key_is_kept_for_its_owner_alone);
  return g_test_run ();
}
