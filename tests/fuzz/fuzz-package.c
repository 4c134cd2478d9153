/* A package. What was mutated is signed again with a key of the fuzzer's own, so that it gets past the
 * signature; what is then read is held against the input: members that fit their hashes, names without a
 * place, nothing twice. */

#include "common/module/package.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 512

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

/* Of no use to anybody: one digit after the other. The seeds' manifests name its public part. */
static const guint8 seed[32] = "01234567890123456789012345678901";

/* Where the first member says that it ends, by the octal number in its header. */
static gsize
manifest_length (const guint8 *data, gsize size)
{
  char digits[13] = { 0 };
  if (size < BLOCK)
    return 0;
  memcpy (digits, data + 124, 12);
  guint64 length = g_ascii_strtoull (digits, NULL, 8);
  return length <= size - BLOCK ? (gsize)length : 0;
}

static void
sign_again (guint8 *data, gsize size)
{
  gsize length = manifest_length (data, size);
  gsize at = BLOCK + (length + BLOCK - 1) / BLOCK * BLOCK + BLOCK;
  size_t n = PACKAGE_SIGNATURE_BYTES;
  if (length == 0 || at + n > size)
    return;
  EVP_PKEY *key = EVP_PKEY_new_raw_private_key (EVP_PKEY_ED25519, NULL, seed, sizeof seed);
  EVP_MD_CTX *context = EVP_MD_CTX_new ();
  if (EVP_DigestSignInit (context, NULL, NULL, NULL, key) != 1
      || EVP_DigestSign (context, data + at, &n, data + BLOCK, length) != 1)
    g_error ("signing failed");
  EVP_MD_CTX_free (context);
  EVP_PKEY_free (key);
}

static void
check (const Package *package, gsize size)
{
  gsize total = 0;
  if (!package_version_is_valid (package->version)
      || package_find_member (package, package->descriptor) == NULL)
    g_error ("a package without version or descriptor");
  for (guint i = 0; i < package->members->len; i++)
    {
      const PackageMember *member = g_ptr_array_index (package->members, i);
      g_autofree char *sum = g_compute_checksum_for_bytes (G_CHECKSUM_SHA256, member->bytes);
      total += member->size;
      if (strchr (member->name, '/') != NULL || member->name[0] == '.' || !g_str_equal (sum, member->sha256)
          || g_bytes_get_size (member->bytes) != member->size
          || package_find_member (package, member->name) != member)
        g_error ("a member that may not be: '%s'", member->name);
    }
  if (total > size)
    g_error ("more came out than went in");
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  g_autofree guint8 *copy = g_memdup2 (data, size);
  if (copy != NULL)
    sign_again (copy, size);
  g_autoptr (GBytes) file = g_bytes_new (copy, size);
  g_autoptr (GError) error = NULL;
  g_autoptr (Package) package = package_read (file, NULL, NULL, &error);
  if ((package == NULL) != (error != NULL))
    g_error ("neither a package nor a reason");
  if (package != NULL)
    check (package, size);
  return 0;
}
