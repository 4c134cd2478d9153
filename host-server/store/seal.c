#include "host-server/store/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FORMAT     1
#define N_KEY      32
#define N_NONCE    12
#define N_TAG      16
#define N_OVERHEAD (1 + N_NONCE + N_TAG)

typedef EVP_CIPHER_CTX Cipher;
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Cipher, EVP_CIPHER_CTX_free)

static Secret *
fail_errno (GError **error, const char *what, const char *path)
{
  int code = errno;
  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (code), "cannot %s '%s': %s", what, path,
               g_strerror (code));
  return NULL;
}

static Secret *
parse_key (const char *text, gssize length, const char *path, GError **error)
{
  guint8 bytes[N_KEY];
  gboolean is_key = length == 2 * N_KEY || (length == 2 * N_KEY + 1 && text[2 * N_KEY] == '\n');
  for (gsize i = 0; is_key && i < N_KEY; i++)
    {
      int high = g_ascii_xdigit_value (text[2 * i]), low = g_ascii_xdigit_value (text[2 * i + 1]);
      is_key = high >= 0 && low >= 0;
      bytes[i] = (guint8)(high << 4 | low);
    }
  if (!is_key)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                   "'%s' is not a key file (64 hexadecimal digits)", path);
      return NULL;
    }
  Secret *key = secret_new (bytes, N_KEY);
  secret_wipe (bytes, N_KEY);
  return key;
}

/* Written whole under another name first: a crash leaves no half key. */
static gboolean
create_key (const char *path, GError **error)
{
  g_autofree char *partial = g_strconcat (path, ".new", NULL);
  guint8 bytes[N_KEY];
  char text[2 * N_KEY + 1];
  if (RAND_bytes (bytes, N_KEY) != 1)
    g_error ("the system's random generator failed");
  for (gsize i = 0; i < N_KEY; i++)
    {
      text[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
      text[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
  text[2 * N_KEY] = '\n';

  unlink (partial);
  int fd = open (partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  gboolean is_written = fd >= 0 && write (fd, text, sizeof text) == (gssize)sizeof text && fsync (fd) == 0;
  secret_wipe (bytes, sizeof bytes);
  secret_wipe (text, sizeof text);
  if (!is_written || link (partial, path) != 0)
    {
      fail_errno (error, "make the key file", path);
      if (fd >= 0)
        close (fd);
      unlink (partial);
      return FALSE;
    }
  close (fd);
  unlink (partial);

  g_autofree char *folder = g_path_get_dirname (path);
  int folder_fd = open (folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder_fd < 0 || fsync (folder_fd) != 0)
    fail_errno (error, "sync the folder of", path);
  gboolean is_synced = folder_fd >= 0 && (error == NULL || *error == NULL);
  if (folder_fd >= 0)
    close (folder_fd);
  return is_synced;
}

Secret *
seal_load_key (const char *path, gboolean may_create, GError **error)
{
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT && may_create)
    {
      if (!create_key (path, error))
        return NULL;
      fd = open (path, O_RDONLY | O_CLOEXEC);
    }
  if (fd < 0)
    return fail_errno (error, "open the key file", path);

  struct stat status;
  char text[2 * N_KEY + 2];
  gssize length = fstat (fd, &status) == 0 ? read (fd, text, sizeof text) : -1;
  if (length < 0)
    fail_errno (error, "read the key file", path);
  close (fd);
  if (length < 0)
    return NULL;

  Secret *key = NULL;
  if ((status.st_mode & 077) != 0)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED,
                 "others can read the key file '%s' (mode %04o, must be 0600)", path,
                 (unsigned)status.st_mode & 07777);
  else
    key = parse_key (text, length, path, error);
  secret_wipe (text, sizeof text);
  return key;
}

GBytes *
seal_close (const Secret *key, const char *label, const Secret *plain)
{
  gsize length;
  const guint8 *bytes = secret_peek_bytes (plain, &length);
  g_assert (length <= G_MAXINT - N_OVERHEAD);
  guint8 *sealed = g_malloc (N_OVERHEAD + length);
  guint8 *nonce = sealed + 1, *text = nonce + N_NONCE, *tag = text + length;
  int n = 0;

  sealed[0] = FORMAT;
  g_autoptr (Cipher) cipher = EVP_CIPHER_CTX_new ();
  if (cipher == NULL || RAND_bytes (nonce, N_NONCE) != 1
      || EVP_EncryptInit_ex (cipher, EVP_aes_256_gcm (), NULL, secret_peek_bytes (key, NULL), nonce) != 1
      || EVP_EncryptUpdate (cipher, NULL, &n, (const guint8 *)label, (int)strlen (label)) != 1
      || EVP_EncryptUpdate (cipher, text, &n, bytes, (int)length) != 1
      || EVP_EncryptFinal_ex (cipher, text + length, &n) != 1
      || EVP_CIPHER_CTX_ctrl (cipher, EVP_CTRL_GCM_GET_TAG, N_TAG, tag) != 1)
    g_error ("sealing failed"); /* only without memory or a working generator */
  return g_bytes_new_take (sealed, N_OVERHEAD + length);
}

Secret *
seal_open (const Secret *key, const char *label, const void *sealed, gsize length)
{
  const guint8 *bytes = sealed;
  if (bytes == NULL || length < N_OVERHEAD || length > G_MAXINT || bytes[0] != FORMAT)
    return NULL;
  gsize n_plain = length - N_OVERHEAD;
  guint8 tag[N_TAG];
  memcpy (tag, bytes + length - N_TAG, N_TAG);
  guint8 *plain = g_malloc (n_plain + 1);
  int n = 0;

  g_autoptr (Cipher) cipher = EVP_CIPHER_CTX_new ();
  gboolean is_ours
      = cipher != NULL
        && EVP_DecryptInit_ex (cipher, EVP_aes_256_gcm (), NULL, secret_peek_bytes (key, NULL), bytes + 1)
               == 1
        && EVP_DecryptUpdate (cipher, NULL, &n, (const guint8 *)label, (int)strlen (label)) == 1
        && EVP_DecryptUpdate (cipher, plain, &n, bytes + 1 + N_NONCE, (int)n_plain) == 1
        && EVP_CIPHER_CTX_ctrl (cipher, EVP_CTRL_GCM_SET_TAG, N_TAG, tag) == 1
        && EVP_DecryptFinal_ex (cipher, plain + n_plain, &n) == 1;
  Secret *secret = is_ours ? secret_new (plain, n_plain) : NULL;
  secret_wipe (plain, n_plain + 1);
  g_free (plain);
  return secret;
}

Secret *
seal_derive (const Secret *key, const char *label)
{
  guint8 bytes[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  if (HMAC (EVP_sha256 (), secret_peek_bytes (key, NULL), N_KEY, (const guint8 *)label, strlen (label), bytes,
            &length)
      == NULL)
    g_error ("deriving a key failed");
  Secret *derived = secret_new (bytes, length);
  secret_wipe (bytes, sizeof bytes);
  return derived;
}
