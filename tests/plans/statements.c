/* Preloaded into host-server by test_plans.py: writes every statement that SQLite is asked to prepare, and the
 * file it is for, to the file named by STOA_STATEMENTS, each ended by a NUL. The program under test is the one
 * that is installed. */

#include <dlfcn.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

typedef int (*Prepare) (sqlite3 *db, const char *sql, int length, unsigned flags, sqlite3_stmt **statement,
                        const char **tail);

int
sqlite3_prepare_v3 (sqlite3 *db, const char *sql, int length, unsigned flags, sqlite3_stmt **statement,
                    const char **tail)
{
  Prepare prepare;
  *(void **)&prepare = dlsym (RTLD_NEXT, "sqlite3_prepare_v3");
  const char *path = getenv ("STOA_STATEMENTS");
  int fd = path != NULL ? open (path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
  if (fd >= 0)
    {
      const char *file = sqlite3_db_filename (db, "main");
      struct iovec parts[] = {
        { (void *)file, file != NULL ? strlen (file) + 1 : 0 },
        { (void *)sql, strlen (sql) + 1 },
      };
      ssize_t written = writev (fd, parts, 2); /* what is missing fails the test */
      (void)written;
      close (fd);
    }
  return prepare (db, sql, length, flags, statement, tail);
}
