#include "host-client/cli/password.h"

#include <errno.h>
#include <fcntl.h>
#include <libsecret/secret.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

G_DEFINE_QUARK (password - error, password_error)

#define PASSWORD_MAX 1023
#define CANCEL       '\x03'

static const SecretSchema schema = {
  "org.stoa.host-client.password",
  SECRET_SCHEMA_NONE,
  { { "account", SECRET_SCHEMA_ATTRIBUTE_STRING } },
};

/* Byte by byte: what follows the line belongs to whoever reads the descriptor next. */
static Secret *
read_line (int fd, GError **error)
{
  char line[PASSWORD_MAX + 1];
  gsize length = 0;
  Secret *password = NULL;
  for (;;)
    {
      char c;
      ssize_t n = read (fd, &c, 1);
      if (n < 0 && errno == EINTR)
        continue;
      if (n <= 0 || c == '\n')
        break;
      if (c == CANCEL)
        {
          length = 0;
          break;
        }
      if (length == PASSWORD_MAX)
        {
          length = 0;
          break;
        }
      line[length++] = c;
    }
  if (length > 0 && line[length - 1] == '\r')
    length--;
  if (length > 0 && memchr (line, '\0', length) == NULL && g_utf8_validate (line, (gssize)length, NULL))
    password = secret_new (line, length);
  else
    g_set_error (error, PASSWORD_ERROR, PASSWORD_ERROR_NONE, "no password was given");
  secret_wipe (line, sizeof line);
  return password;
}

Secret *
password_read_fd (int fd, GError **error)
{
  return read_line (fd, error);
}

/* Without a session bus libsecret would try to start one. */
static gboolean
has_keyring (void)
{
  if (g_getenv ("DBUS_SESSION_BUS_ADDRESS") != NULL)
    return TRUE;
  g_autofree char *bus = g_build_filename (g_get_user_runtime_dir (), "bus", NULL);
  return g_file_test (bus, G_FILE_TEST_EXISTS);
}

Secret *
password_look_up (const char *account)
{
  if (!has_keyring ())
    return NULL;
  char *text = secret_password_lookup_sync (&schema, NULL, NULL, "account", account, NULL);
  Secret *password = text != NULL && text[0] != '\0' ? secret_new (text, strlen (text)) : NULL;
  secret_password_free (text);
  return password;
}

gboolean
password_remember (const char *account, const Secret *password)
{
  g_autofree char *label = g_strdup_printf ("Password of %s", account);
  return has_keyring ()
         && secret_password_store_sync (&schema, SECRET_COLLECTION_DEFAULT, label,
                                        secret_peek_text (password), NULL, NULL, "account", account, NULL);
}

Secret *
password_ask (const char *account, GError **error)
{
  int tty = open ("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
  struct termios before, quiet;
  if (tty < 0 || tcgetattr (tty, &before) != 0)
    {
      if (tty >= 0)
        close (tty);
      g_set_error (error, PASSWORD_ERROR, PASSWORD_ERROR_NONE,
                   "no password: there is no terminal to ask on; use --password-fd");
      return NULL;
    }
  g_autofree char *prompt = g_strdup_printf ("Password of %s: ", account);
  quiet = before;
  /* Ctrl-C ends the line instead of the program, which would leave the terminal mute. */
  quiet.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
  quiet.c_cc[VEOL] = CANCEL;
  tcsetattr (tty, TCSAFLUSH, &quiet);
  gboolean is_written = write (tty, prompt, strlen (prompt)) >= 0;
  Secret *password = is_written ? read_line (tty, error) : NULL;
  is_written = write (tty, "\n", 1) >= 0;
  tcsetattr (tty, TCSAFLUSH, &before);
  close (tty);
  return password;
}
