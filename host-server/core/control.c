#include "host-server/core/control-private.h"

#include "common/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET_NAME     "control.sock"
#define LOCK_NAME       "lock"
#define MAX_LINKS       32
#define MAX_LINE        (CONTROL_MAX_FILE / 3 * 4 + 256 * 1024)
#define MAX_OUT         (64 * 1024 * 1024)
#define REQUEST_LIMIT_S 60

typedef struct
{
  char *key;
  ControlStatusFunc func;
  gpointer data;
} StatusEntry;

struct Controls
{
  char *data_folder, *path;
  GPtrArray *commands; /* ControlEntry */
  GArray *status;      /* StatusEntry */
  GMainContext *context;
  int lock_fd, fd; /* -1: not started */
  GSource *accepting;
  GHashTable *links; /* ControlLink, a set */
};

/* One client: greeted, then one request, then its answer. */
struct ControlLink
{
  Controls *controls;
  int fd;
  uid_t uid;                          /* of the client, for the record */
  GSource *reading, *writing, *timer; /* each NULL when not waited for */
  GString *in, *out;
  gsize n_written;
  ControlCall *call; /* running, or NULL */
  gboolean is_ending;
};

static void
drop_source (GSource **source)
{
  if (*source != NULL)
    g_source_destroy (*source);
  g_clear_pointer (source, g_source_unref);
}

static void
free_wiped (GString *text)
{
  secret_wipe (text->str, text->allocated_len);
  g_string_free (text, TRUE);
}

static void
link_free (gpointer data)
{
  ControlLink *link = data;
  if (link->call != NULL)
    link->call->link = NULL;
  drop_source (&link->reading);
  drop_source (&link->writing);
  drop_source (&link->timer);
  close (link->fd);
  free_wiped (link->in);
  free_wiped (link->out);
  g_free (link);
}

static void
drop (ControlLink *link)
{
  g_hash_table_remove (link->controls->links, link);
}

/* --- writing */

static gboolean on_writable (int fd, GIOCondition condition, gpointer data);

static void
want_to_write (ControlLink *link)
{
  if (link->writing != NULL)
    return;
  link->writing = g_unix_fd_source_new (link->fd, G_IO_OUT | G_IO_ERR | G_IO_HUP);
  g_source_set_callback (link->writing, G_SOURCE_FUNC (on_writable), link, NULL);
  g_source_attach (link->writing, link->controls->context);
}

static gboolean
on_writable (int fd, GIOCondition condition, gpointer data)
{
  ControlLink *link = data;
  ssize_t n = send (fd, link->out->str + link->n_written, link->out->len - link->n_written, MSG_NOSIGNAL);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return G_SOURCE_CONTINUE;
  if (n >= 0)
    link->n_written += (gsize)n;
  if (n >= 0 && link->n_written < link->out->len)
    return G_SOURCE_CONTINUE;
  secret_wipe (link->out->str, link->out->len);
  g_string_truncate (link->out, 0);
  link->n_written = 0;
  drop_source (&link->writing);
  if (n < 0 || link->is_ending)
    drop (link);
  return G_SOURCE_REMOVE;
}

void
control_link_take (ControlLink *link, json_t *object)
{
  char *text = json_dumps (object, JSON_COMPACT);
  gsize length = strlen (text);
  if (link->out->len + length < MAX_OUT)
    {
      g_string_append_len (link->out, text, (gssize)length);
      g_string_append_c (link->out, '\n');
    }
  else if (!link->is_ending)
    {
      log_warning ("control", "an answer was cut off at %d bytes", MAX_OUT);
      link->is_ending = TRUE; /* without its last line: the client sees that it is not whole */
    }
  secret_wipe (text, length);
  free (text);
  json_decref (object);
  want_to_write (link);
}

void
control_link_end (ControlLink *link)
{
  link->call = NULL;
  link->is_ending = TRUE;
  want_to_write (link);
}

/* --- reading */

static void
run (ControlLink *link, gsize length)
{
  g_autofree char *reason = NULL;
  ControlCall *call = control_call_parse (link->controls->commands, link->in->str, length, &reason);
  secret_wipe (link->in->str, link->in->len);
  g_string_truncate (link->in, 0);
  drop_source (&link->timer);
  if (call == NULL)
    {
      control_link_take (link, json_pack ("{ss}", "usage", reason));
      control_link_end (link);
      return;
    }
  log_info ("control", "command '%s' uid=%u", call->entry->name, (guint)link->uid);
  call->link = link;
  link->call = call;
  call->entry->handle (call, call->entry->data);
}

static gboolean
on_readable (int fd, GIOCondition condition, gpointer data)
{
  ControlLink *link = data;
  char bytes[16384];
  ssize_t n = recv (fd, bytes, sizeof bytes, 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return G_SOURCE_CONTINUE;
  gboolean is_waiting = link->call == NULL && !link->is_ending;
  if (n <= 0 || !is_waiting || link->in->len + (gsize)n > MAX_LINE)
    {
      drop (link); /* gone, or says more than its one line */
      return G_SOURCE_REMOVE;
    }
  g_string_append_len (link->in, bytes, n);
  secret_wipe (bytes, (gsize)n);
  const char *end = memchr (link->in->str + link->in->len - n, '\n', (gsize)n);
  if (end != NULL)
    run (link, (gsize)(end - link->in->str));
  return G_SOURCE_CONTINUE; /* if run() dropped it, the source is destroyed anyway */
}

static gboolean
on_too_late (gpointer data)
{
  drop (data);
  return G_SOURCE_REMOVE;
}

/* --- greeting */

static json_t *
describe (const ControlEntry *entry)
{
  static const char *const kinds[] = { [CONTROL_TEXT] = "text",
                                       [CONTROL_FILE] = "file",
                                       [CONTROL_PATH] = "path",
                                       [CONTROL_FLAG] = "flag",
                                       [CONTROL_VALUE] = "value" };
  json_t *arguments = json_array ();
  for (guint i = 0; i < entry->arguments->len; i++)
    {
      const ControlArgument *argument = &g_array_index (entry->arguments, ControlArgument, i);
      json_array_append_new (arguments, json_pack ("{s:s, s:s, s:b}", "name", argument->name, "kind",
                                                   kinds[argument->kind], "optional", argument->is_optional));
    }
  return json_pack ("{s:s, s:o, s:s, s:b, s:b, s:s*}", "name", entry->name, "arguments", arguments, "help",
                    entry->help, "list", entry->is_list, "document", entry->is_document, "secret",
                    entry->secret);
}

static void
greet (ControlLink *link)
{
  json_t *commands = json_array ();
  for (guint i = 0; i < link->controls->commands->len; i++)
    json_array_append_new (commands, describe (g_ptr_array_index (link->controls->commands, i)));
  control_link_take (link, json_pack ("{siso}", "control", 1, "commands", commands));
}

static gboolean
may_speak (int fd, uid_t *uid)
{
  struct ucred peer = { 0 };
  socklen_t length = sizeof peer;
  gboolean is_known = getsockopt (fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0;
  *uid = peer.uid;
  return is_known && (peer.uid == 0 || peer.uid == geteuid ());
}

static gboolean
on_client (int listener, GIOCondition condition, gpointer data)
{
  Controls *controls = data;
  int fd = accept4 (listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0)
    return G_SOURCE_CONTINUE;
  uid_t uid;
  if (!may_speak (fd, &uid) || g_hash_table_size (controls->links) >= MAX_LINKS)
    {
      close (fd);
      return G_SOURCE_CONTINUE;
    }
  ControlLink *link = g_new0 (ControlLink, 1);
  link->controls = controls;
  link->fd = fd;
  link->uid = uid;
  link->in = g_string_new (NULL);
  link->out = g_string_new (NULL);
  g_hash_table_add (controls->links, link);
  link->reading = g_unix_fd_source_new (fd, G_IO_IN | G_IO_ERR | G_IO_HUP);
  g_source_set_callback (link->reading, G_SOURCE_FUNC (on_readable), link, NULL);
  g_source_attach (link->reading, controls->context);
  link->timer = g_timeout_source_new_seconds (REQUEST_LIMIT_S);
  g_source_set_callback (link->timer, on_too_late, link, NULL);
  g_source_attach (link->timer, controls->context);
  greet (link);
  return G_SOURCE_CONTINUE;
}

/* --- the socket */

typedef int (*AddressFunc) (int fd, const struct sockaddr *address, socklen_t length);

/* bind() or connect() to a socket in @folder. A path that does not fit sun_path goes through the folder's
 * descriptor. */
static int
with_address (AddressFunc func, int fd, const char *folder)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int folder_fd = -1;
  gsize n = (gsize)g_snprintf (address.sun_path, sizeof address.sun_path, "%s/" SOCKET_NAME, folder);
  if (n >= sizeof address.sun_path)
    {
      folder_fd = open (folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
      if (folder_fd < 0)
        return -1;
      g_snprintf (address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/" SOCKET_NAME, folder_fd);
    }
  int result = func (fd, (struct sockaddr *)&address, sizeof address), code = errno;
  if (folder_fd >= 0)
    close (folder_fd);
  errno = code;
  return result;
}

/* Two servers on one data folder would each take over the other's work. The lock goes with the process,
 * however it ends; the file stays. */
static gboolean
lock_folder (Controls *controls, GError **error)
{
  g_autofree char *path = g_build_filename (controls->data_folder, LOCK_NAME, NULL);
  controls->lock_fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (controls->lock_fd >= 0 && flock (controls->lock_fd, LOCK_EX | LOCK_NB) == 0)
    return TRUE;
  int code = errno;
  if (code == EWOULDBLOCK)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE, "another server is running on '%s'",
                 controls->data_folder);
  else
    g_set_error (error, G_IO_ERROR, g_io_error_from_errno (code), "cannot lock '%s': %s", path,
                 g_strerror (code));
  if (controls->lock_fd >= 0)
    close (controls->lock_fd);
  controls->lock_fd = -1;
  return FALSE;
}

gboolean
controls_start (Controls *controls, GMainContext *context, GError **error)
{
  g_assert (controls->fd < 0);
  if (!lock_folder (controls, error))
    return FALSE;
  unlink (controls->path);
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  mode_t mask = umask (0177); /* the socket is never anyone else's, not for a moment */
  gboolean is_open
      = fd >= 0 && with_address (bind, fd, controls->data_folder) == 0 && listen (fd, MAX_LINKS) == 0;
  int code = errno;
  umask (mask);
  if (!is_open)
    {
      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (code), "cannot listen on '%s': %s",
                   controls->path, g_strerror (code));
      if (fd >= 0)
        close (fd);
      return FALSE;
    }
  controls->fd = fd;
  controls->context = context != NULL ? g_main_context_ref (context) : g_main_context_ref_thread_default ();
  controls->accepting = g_unix_fd_source_new (fd, G_IO_IN);
  g_source_set_callback (controls->accepting, G_SOURCE_FUNC (on_client), controls, NULL);
  g_source_attach (controls->accepting, controls->context);
  return TRUE;
}

/* --- the table */

static void
entry_free (gpointer data)
{
  ControlEntry *entry = data;
  for (guint i = 0; i < entry->arguments->len; i++)
    g_free ((char *)g_array_index (entry->arguments, ControlArgument, i).name);
  g_array_unref (entry->arguments);
  g_free (entry->name);
  g_free (entry->secret);
  g_free (entry->help);
  g_free (entry);
}

static void
status_entry_clear (gpointer data)
{
  g_free (((StatusEntry *)data)->key);
}

Controls *
controls_new (const char *data_folder)
{
  Controls *controls = g_new0 (Controls, 1);
  controls->data_folder = g_strdup (data_folder);
  controls->path = g_build_filename (data_folder, SOCKET_NAME, NULL);
  controls->commands = g_ptr_array_new_with_free_func (entry_free);
  controls->status = g_array_new (FALSE, FALSE, sizeof (StatusEntry));
  g_array_set_clear_func (controls->status, status_entry_clear);
  controls->links = g_hash_table_new_full (NULL, NULL, link_free, NULL);
  controls->fd = controls->lock_fd = -1;
  return controls;
}

void
controls_free (Controls *controls)
{
  if (controls == NULL)
    return;
  if (controls->fd >= 0)
    {
      drop_source (&controls->accepting);
      close (controls->fd);
      unlink (controls->path);
    }
  if (controls->lock_fd >= 0)
    close (controls->lock_fd);
  g_hash_table_unref (controls->links);
  g_ptr_array_unref (controls->commands);
  g_array_unref (controls->status);
  g_clear_pointer (&controls->context, g_main_context_unref);
  g_free (controls->data_folder);
  g_free (controls->path);
  g_free (controls);
}

void
controls_add (Controls *controls, const ControlCommand *command)
{
  ControlEntry *entry = g_new0 (ControlEntry, 1);
  entry->name = g_strdup (command->name);
  entry->secret = g_strdup (command->secret);
  entry->help = g_strdup (command->help);
  entry->is_list = command->is_list;
  entry->is_document = command->is_document;
  entry->handle = command->handle;
  entry->data = command->data;
  entry->arguments = g_array_new (FALSE, FALSE, sizeof (ControlArgument));
  gboolean had_optional = FALSE;
  for (const ControlArgument *given = command->arguments; given != NULL && given->name != NULL; given++)
    {
      ControlArgument argument = *given;
      gboolean is_option = given->kind == CONTROL_FLAG || given->kind == CONTROL_VALUE;
      g_assert (is_option == g_str_has_prefix (given->name, "--"));
      g_assert (is_option || given->is_optional || !had_optional);
      argument.name = g_strdup (given->name);
      argument.is_optional = is_option || given->is_optional;
      had_optional = had_optional || (argument.is_optional && !is_option);
      g_array_append_val (entry->arguments, argument);
    }
  for (guint i = 0; i < controls->commands->len; i++)
    g_assert (strcmp (((ControlEntry *)g_ptr_array_index (controls->commands, i))->name, entry->name) != 0);
  g_ptr_array_add (controls->commands, entry);
}

const char *
controls_peek_path (const Controls *controls)
{
  return controls->path;
}

void
controls_add_status (Controls *controls, const char *key, ControlStatusFunc func, gpointer data)
{
  StatusEntry entry = { g_strdup (key), func, data };
  g_array_append_val (controls->status, entry);
}

json_t *
controls_get_status (const Controls *controls)
{
  json_t *status = json_object ();
  for (guint i = 0; i < controls->status->len; i++)
    {
      const StatusEntry *entry = &g_array_index (controls->status, StatusEntry, i);
      json_object_set_new (status, entry->key, entry->func (entry->data));
    }
  return status;
}
