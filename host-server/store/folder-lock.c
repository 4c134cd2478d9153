#include "host-server/store/folder-lock.h"

#include "common/base/db.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

int
folder_lock (const char *folder, GError **error)
{
  g_autofree char *path = g_build_filename (folder, "store.lock", NULL);
  int fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0)
    {
      int code = errno;
      g_set_error (error, DB_ERROR, code == ENOSPC ? DB_ERROR_FULL : DB_ERROR_READ_ONLY,
                   "cannot open '%s': %s", path, g_strerror (code));
      return -1;
    }
  if (flock (fd, LOCK_EX | LOCK_NB) == 0)
    return fd;
  g_set_error (error, DB_ERROR, DB_ERROR_BUSY, "another server uses '%s'", folder);
  close (fd);
  return -1;
}
