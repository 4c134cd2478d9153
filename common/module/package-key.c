#include "common/module/package.h"

#include "common/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <openssl/pem.h>
#include <string.h>
#include <unistd.h>

/* Versions, and the keys that sign packages. */

gboolean
package_version_is_valid (const char *version)
{
  gsize length = strlen (version);
  return length > 0 && length <= PACKAGE_MAX_VERSION && g_ascii_isalnum (version[0])
         && strspn (version, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+~-") == length;
}

/* Compares two runs of digits as numbers of any length, moving behind them. */
static int
compare_numbers (const char **a, const char **b)
{
  while (**a == '0')
    (*a)++;
  while (**b == '0')
    (*b)++;
  gsize n_a = strspn (*a, "0123456789"), n_b = strspn (*b, "0123456789");
  int order = n_a != n_b ? (n_a < n_b ? -1 : 1) : strncmp (*a, *b, n_a);
  *a += n_a;
  *b += n_b;
  return order;
}

/* How a character sorts: what marks a pre-release is before the end, all else behind it. */
static int
weight (char c)
{
  return c == '\0' ? 0 : c == '-' || c == '~' ? -1 : (guchar)c;
}

int
package_version_compare (const char *a, const char *b)
{
  while (*a != '\0' || *b != '\0')
    {
      int order;
      if (g_ascii_isdigit (*a) && g_ascii_isdigit (*b))
        order = compare_numbers (&a, &b);
      else
        {
          order = weight (*a) - weight (*b);
          a += *a != '\0';
          b += *b != '\0';
        }
      if (order != 0)
        return order < 0 ? -1 : 1;
    }
  return 0;
}

char *
package_dup_permissions (const Descriptor *descriptor)
{
  static const char *const messages[] = { NULL, "messages=see", "messages=send" };
  g_autoptr (GPtrArray) parts = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GString) list = g_string_new (NULL);
  for (guint i = 0; i < descriptor->n_connect; i++)
    {
      const DescriptorAddress *address = &descriptor->connect[i];
      gboolean is_ip6 = strchr (address->host, ':') != NULL;
      g_string_append_printf (list, "%s%s%s%s:%u", i > 0 ? "," : "connect=", is_ip6 ? "[" : "", address->host,
                              is_ip6 ? "]" : "", address->port);
    }
  if (list->len > 0)
    g_ptr_array_add (parts, g_strdup (list->str));
  if (descriptor->data_bytes > 0)
    g_ptr_array_add (parts, g_strdup_printf ("data=%" G_GUINT64_FORMAT, descriptor->data_bytes));
  g_string_truncate (list, 0);
  for (guint i = 0; i < descriptor->n_read; i++)
    g_string_append_printf (list, "%s%s", i > 0 ? "," : "read=", descriptor->read[i]);
  if (list->len > 0)
    g_ptr_array_add (parts, g_strdup (list->str));
  if (descriptor->has_threads)
    g_ptr_array_add (parts, g_strdup ("threads"));
  if (descriptor->sees_identity)
    g_ptr_array_add (parts, g_strdup ("identity"));
  if (messages[descriptor->messages] != NULL)
    g_ptr_array_add (parts, g_strdup (messages[descriptor->messages]));
  if (descriptor->calls_functions)
    g_ptr_array_add (parts, g_strdup ("functions"));
  if (descriptor->asks_purchases)
    g_ptr_array_add (parts, g_strdup ("purchases"));
  g_ptr_array_add (parts, NULL);
  return g_strjoinv ("; ", (char **)parts->pdata);
}

/* --- keys */

EVP_PKEY *
package_key_new (void)
{
  EVP_PKEY *key = EVP_PKEY_Q_keygen (NULL, NULL, "ED25519");
  if (key == NULL)
    g_error ("a key cannot be made");
  return key;
}

/* There is nobody to ask for a pass phrase. */
static int
no_pass_phrase (char *buffer, int size, int is_writing, void *data)
{
  return -1;
}

EVP_PKEY *
package_key_load (const char *path, GError **error)
{
  FILE *file = g_fopen (path, "re");
  if (file == NULL)
    {
      g_set_error (error, G_FILE_ERROR, (int)g_file_error_from_errno (errno), "cannot open '%s': %s", path,
                   g_strerror (errno));
      return NULL;
    }
  EVP_PKEY *key = PEM_read_PrivateKey (file, NULL, no_pass_phrase, NULL);
  fclose (file);
  if (key != NULL && EVP_PKEY_get_base_id (key) == EVP_PKEY_ED25519)
    return key;
  EVP_PKEY_free (key);
  g_set_error (error, PACKAGE_ERROR, PACKAGE_ERROR_FORMAT,
               "'%s' is not an Ed25519 private key without pass phrase", path);
  return NULL;
}

gboolean
package_key_save (EVP_PKEY *key, const char *path, GError **error)
{
  int fd = open (path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  FILE *file = fd >= 0 ? fdopen (fd, "w") : NULL;
  gboolean is_written = file != NULL && PEM_write_PKCS8PrivateKey (file, key, NULL, NULL, 0, NULL, NULL) == 1
                        && fflush (file) == 0 && fsync (fd) == 0;
  int why = errno;
  if (file != NULL)
    fclose (file);
  else if (fd >= 0)
    close (fd);
  if (is_written)
    return TRUE;
  g_set_error (error, G_FILE_ERROR, (int)g_file_error_from_errno (why), "cannot write '%s': %s", path,
               g_strerror (why));
  return FALSE;
}

char *
package_key_dup_public (EVP_PKEY *key)
{
  guint8 bytes[PACKAGE_KEY_BYTES];
  gsize length = sizeof bytes;
  if (EVP_PKEY_get_raw_public_key (key, bytes, &length) != 1 || length != sizeof bytes)
    g_error ("a key has no public part");
  return text_to_base64url (bytes, length);
}

gboolean
package_key_text_is_valid (const char *text)
{
  gsize n = 0;
  g_autofree guint8 *bytes
      = strlen (text) == PACKAGE_KEY_TEXT ? text_from_base64url (text, PACKAGE_KEY_TEXT, &n) : NULL;
  return bytes != NULL && n == PACKAGE_KEY_BYTES;
}
