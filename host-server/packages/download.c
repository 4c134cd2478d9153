#include "common/base/log.h"
#include "host-server/core/account-token.h"
#include "host-server/core/hooks.h"
#include "host-server/packages/room.h"
#include "host-server/store/package-files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MAX_PENDING 32

/* GET /v1/plugins/<id>/<version>/<file>: a package for a signed-in user. */

/* `Range: bytes=N-`, the one form that resumes a download. FALSE: the range is not in the file. Other ranges
 * are passed over, as RFC 9110 §14.2 allows. */
static gboolean
read_range (const HttpExchange *exchange, guint64 size, guint64 *offset)
{
  const char *header = http_exchange_get_header (exchange, "Range");
  *offset = 0;
  if (header == NULL || http_exchange_count_header (exchange, "Range") != 1
      || !g_str_has_prefix (header, "bytes="))
    return TRUE;
  const char *digits = header + strlen ("bytes=");
  gsize n = strspn (digits, "0123456789");
  g_autofree char *text = g_strndup (digits, n);
  guint64 first;
  if (n == 0 || strcmp (digits + n, "-") != 0)
    return TRUE;
  if (!g_ascii_string_to_unsigned (text, 10, 0, G_MAXINT64, &first, NULL) || first >= size)
    return FALSE;
  *offset = first;
  return TRUE;
}

static void
send_file (HttpExchange *exchange, const Packages *packages, const PackageRow *row)
{
  g_autofree char *path = package_files_dup_path (packages->folder, row->hash);
  g_autofree char *tag = g_strdup_printf ("\"%s\"", row->sha256);
  guint64 size = (guint64)row->size, offset;
  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0 || lseek (fd, 0, SEEK_END) != (off_t)row->size)
    {
      log_error ("packages", "the file of plugin=%s version=%s is not what was added", row->plugin,
                 row->version);
      if (fd >= 0)
        close (fd);
      http_exchange_refuse (exchange, 500, "the package cannot be read");
      return;
    }
  http_exchange_add_header (exchange, "Accept-Ranges", "bytes");
  http_exchange_add_header (exchange, "ETag", tag);
  http_exchange_add_header (exchange, "Cache-Control", "private, no-store");
  if (!read_range (exchange, size, &offset))
    {
      g_autofree char *whole = g_strdup_printf ("bytes */%" G_GUINT64_FORMAT, size);
      http_exchange_add_header (exchange, "Content-Range", whole);
      http_exchange_refuse (exchange, 416, "the range is not in the file");
      close (fd);
      return;
    }
  if (offset > 0)
    {
      g_autofree char *part = g_strdup_printf (
          "bytes %" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT "/%" G_GUINT64_FORMAT, offset, size - 1, size);
      http_exchange_add_header (exchange, "Content-Range", part);
    }
  http_exchange_answer_file (exchange, offset > 0 ? 206 : 200, "application/vnd.stoa.package", fd, offset,
                             size - offset);
}

static void
get_package (HttpExchange *exchange, gpointer data)
{
  Packages *packages = data;
  const char *plugin = http_exchange_get_parameter (exchange, "id");
  const char *version = http_exchange_get_parameter (exchange, "version");
  char account[37];
  AccountTokenVerdict verdict = account_token_check (packages->server, exchange, account);
  if (verdict != ACCOUNT_TOKEN_GOOD)
    {
      account_token_refuse (exchange, verdict);
      return;
    }
  g_autoptr (GError) error = NULL;
  g_autofree char *name = g_strdup_printf ("%s-%s.stoa", plugin, version);
  g_autoptr (PackageRow) row
      = packages_find (store_peek_reader (packages->server->store, STORE_MARKET), plugin, version, &error);
  if (error != NULL)
    {
      log_error ("packages", "cannot look up plugin=%s: %s", plugin, error->message);
      http_exchange_refuse (exchange, 503, "the package cannot be looked up now");
    }
  else if (row == NULL || !g_str_equal (name, http_exchange_get_parameter (exchange, "file")))
    http_exchange_refuse (exchange, 404, "there is no such package");
  else if (row->revoked_us != 0)
    http_exchange_refuse (exchange, 410, "the package is revoked");
  else if (row->is_restricted && !hooks_is_owner (packages->server->hooks, account, plugin))
    http_exchange_refuse (exchange, 403, "the package is for owners of the plugin");
  else
    send_file (exchange, packages, row);
}

void
download_init (Packages *packages)
{
  static const char *const headers[] = { "Authorization", "Range", NULL };
  http_add (packages->server->http, &(HttpRoute){ .method = "GET",
                                                  .pattern = "/v1/plugins/{id}/{version}/{file}",
                                                  .max_pending = MAX_PENDING,
                                                  .headers = headers,
                                                  .handle = get_package,
                                                  .data = packages });
}
