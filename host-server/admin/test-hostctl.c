/* The control socket and hostctl against each other: the table here, the program there. */
#include "host-server/core/control.h"

#include <errno.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

typedef struct
{
  char *folder, *config;
  Controls *controls;
  ControlCall *held;
  char *seen;
} House;

static void
on_item_add (ControlCall *call, gpointer data)
{
  House *house = data;
  gsize length;
  const char *file = control_call_get_file (call, "FILE", &length);
  g_free (house->seen);
  house->seen
      = g_strdup_printf ("%s|%.*s|%zu|%s|%d|%s", control_call_get_text (call, "ID"), (int)length,
                         file != NULL ? file : "", length, control_call_get_file_path (call, "FILE"),
                         control_call_has_flag (call, "--dry-run"), control_call_get_text (call, "--reason"));
  if (strcmp (control_call_get_text (call, "ID"), "taken") == 0)
    control_call_refuse (call, "cannot add '%s': it is there already", "taken");
  else
    control_call_done_with (call, json_pack ("{sss{sbsi}}", "id", control_call_get_text (call, "ID"), "more",
                                             "open", 1, "count", 7));
}

static void
on_item_list (ControlCall *call, gpointer data)
{
  const char *filter = control_call_get_text (call, "FILTER");
  if (filter == NULL || strcmp (filter, "none") != 0)
    {
      control_call_take_row (call, json_pack ("{sssi}", "id", "a", "price", 100));
      control_call_take_row (call, json_pack ("{sssn}", "id", "b\033[31m\n\xe2\x80\xae", "price"));
    }
  control_call_done (call);
}

static void
on_passwd (ControlCall *call, gpointer data)
{
  House *house = data;
  g_free (house->seen);
  house->seen = g_strdup (secret_peek_text (control_call_peek_secret (call)));
  control_call_done (call);
}

static void
on_hold (ControlCall *call, gpointer data)
{
  House *house = data;
  g_assert_null (house->held);
  house->held = call;
}

static void
on_path (ControlCall *call, gpointer data)
{
  House *house = data;
  g_free (house->seen);
  house->seen = g_strdup (control_call_get_text (call, "FILE"));
  control_call_done (call);
}

static void
on_flood (ControlCall *call, gpointer data)
{
  g_autofree char *text = g_strnfill (1000, 'x');
  for (guint i = 0; i < 5000; i++)
    control_call_take_row (call, json_pack ("{siss}", "n", i, "text", text));
  control_call_done (call);
}

static House *
house_new (const char *name)
{
  House *house = g_new0 (House, 1);
  g_autoptr (GError) error = NULL;
  g_autofree char *top = g_dir_make_tmp ("stoa-hostctl-XXXXXX", &error);
  g_assert_no_error (error);
  house->folder = g_build_filename (top, name, NULL);
  g_assert_cmpint (g_mkdir_with_parents (house->folder, 0700), ==, 0);
  house->config = g_build_filename (top, "host.conf", NULL);
  g_autofree char *text = g_strdup_printf ("[server]\ndomain=example.org\ndata=%s\n", house->folder);
  g_assert_true (g_file_set_contents (house->config, text, -1, NULL));

  house->controls = controls_new (house->folder);
  static const ControlArgument add[] = { { "ID", CONTROL_TEXT, FALSE },
                                         { "FILE", CONTROL_FILE, TRUE },
                                         { "--dry-run", CONTROL_FLAG, TRUE },
                                         { "--reason", CONTROL_VALUE, TRUE },
                                         { NULL } };
  static const ControlArgument list[] = { { "FILTER", CONTROL_TEXT, TRUE }, { NULL } };
  static const ControlArgument path[] = { { "FILE", CONTROL_PATH, FALSE }, { NULL } };
  const ControlCommand commands[] = {
    { "item add", add, NULL, FALSE, "add an item", on_item_add, house },
    { "item list", list, NULL, TRUE, "list items", on_item_list, house },
    { "passwd", NULL, "password", FALSE, "set the password", on_passwd, house },
    { "hold", NULL, NULL, FALSE, "wait", on_hold, house },
    { "backup", path, NULL, FALSE, "write a copy", on_path, house },
    { "flood", NULL, NULL, TRUE, "say much", on_flood, house },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (commands); i++)
    controls_add (house->controls, &commands[i]);
  g_assert_true (controls_start (house->controls, NULL, &error));
  return house;
}

static void
house_free (House *house)
{
  controls_free (house->controls);
  if (house->held != NULL)
    control_call_done (house->held); /* to nobody */
  g_autofree char *lock = g_build_filename (house->folder, "lock", NULL);
  g_unlink (lock);
  g_assert_cmpint (g_rmdir (house->folder), ==, 0); /* the socket is gone */
  g_unlink (house->config);
  g_autofree char *top = g_path_get_dirname (house->config);
  g_rmdir (top);
  g_free (house->folder);
  g_free (house->config);
  g_free (house->seen);
  g_free (house);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (House, house_free)

typedef struct
{
  gboolean is_done;
  char *out, *err;
} Ran;

static void
on_done (GObject *source, GAsyncResult *result, gpointer data)
{
  Ran *ran = data;
  g_autoptr (GError) error = NULL;
  g_subprocess_communicate_utf8_finish (G_SUBPROCESS (source), result, &ran->out, &ran->err, &error);
  g_assert_no_error (error);
  ran->is_done = TRUE;
}

/* Runs hostctl with @words ("|" between them) and expects its code, what it writes, and what its error
 * contains. */
static void
expect (House *house, const char *words, const char *input, int code, const char *out, const char *err)
{
  g_auto (GStrv) split = g_strsplit (words, "|", -1);
  g_autoptr (GPtrArray) argv = g_ptr_array_new ();
  g_ptr_array_add (argv, (char *)g_getenv ("STOA_HOSTCTL"));
  g_ptr_array_add (argv, "--config");
  g_ptr_array_add (argv, house->config);
  for (char **word = split; *word != NULL; word++)
    g_ptr_array_add (argv, *word);
  g_ptr_array_add (argv, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (GSubprocess) process = g_subprocess_newv (
      (const char *const *)argv->pdata,
      G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE,
      &error);
  g_assert_no_error (error);
  Ran ran = { 0 };
  g_subprocess_communicate_utf8_async (process, input, NULL, on_done, &ran);
  while (!ran.is_done)
    g_main_context_iteration (NULL, TRUE);
  g_test_message ("%s: %d '%s' '%s'", words, g_subprocess_get_exit_status (process), ran.out, ran.err);
  g_assert_cmpint (g_subprocess_get_exit_status (process), ==, code);
  if (out != NULL)
    g_assert_cmpstr (ran.out, ==, out);
  if (err != NULL)
    g_assert_nonnull (strstr (ran.err, err));
  else
    g_assert_cmpstr (ran.err, ==, "");
  g_free (ran.out);
  g_free (ran.err);
}

static void
test_hostctl_reads_its_words_by_the_servers_table (void)
{
  g_autoptr (House) house = house_new ("data");
  g_autofree char *file = g_build_filename (house->folder, "..", "pool.txt", NULL);
  g_autofree char *canonical = g_canonicalize_filename (file, NULL);
  g_assert_true (g_file_set_contents (file, "one\n\xff", 5, NULL));
  expect (house, "item|add|x", NULL, 0, "id          x\nmore.open   yes\nmore.count  7\n", NULL);
  g_assert_cmpstr (house->seen, ==, "x||0|(null)|0|(null)");
  g_autofree char *words = g_strconcat ("--json|item|add|--dry-run|x|--reason|because of it|", file, NULL);
  expect (house, words, NULL, 0, "{\"id\":\"x\",\"more\":{\"open\":true,\"count\":7}}\n", NULL);
  g_autofree char *seen = g_strdup_printf ("x|one\n\xff|5|%s|1|because of it", canonical);
  g_assert_cmpstr (house->seen, ==, seen);
  expect (house, "item|add|--reason=a=b|--|--dry-run", NULL, 0, NULL, NULL);
  g_assert_cmpstr (house->seen, ==, "--dry-run||0|(null)|0|a=b");
  expect (house, "backup|copy.db", NULL, 0, "", NULL);
  g_autofree char *here = g_canonicalize_filename ("copy.db", NULL);
  g_assert_cmpstr (house->seen, ==, here);
  g_unlink (file);
}

static void
test_hostctl_prints_tables_without_control_characters (void)
{
  g_autoptr (House) house = house_new ("data");
  expect (house, "item|list", NULL, 0, "ID        PRICE\na         100\nb?[31m??  -\n", NULL);
  expect (house, "item|list|none", NULL, 0, "none\n", NULL);
  expect (house, "item|list|none|--json", NULL, 0, "", NULL);
  expect (house, "passwd|--json", "secret word\nmore\n", 0, "{}\n", NULL);
  g_assert_cmpstr (house->seen, ==, "secret word");
}

static void
test_hostctl_tells_refusal_usage_and_no_server_apart (void)
{
  g_autoptr (House) house = house_new ("data");
  expect (house, "item|add|taken", NULL, 1, "", "cannot add 'taken': it is there already");
  expect (house, "item|add|x|/nonexistent/file", NULL, 1, "", "cannot read");
  expect (house, "item", NULL, 2, "", "no command 'item'");
  expect (house, "item|remove", NULL, 2, "", "no command 'item remove'");
  expect (house, "item|add", NULL, 2, "",
          "usage: hostctl --config FILE item add ID [FILE] [--dry-run] [--reason VALUE]");
  expect (house, "item|list|a|b", NULL, 2, "", "usage:");
  expect (house, "item|add|x|--force", NULL, 2, "", "has no option '--force'");
  expect (house, "item|add|x|--reason", NULL, 2, "", "--reason needs a value");
  expect (house, "item|add|x|--dry-run=1", NULL, 2, "", "takes no value");
  expect (house, "item|add|", NULL, 2, "", "not a good one");
  expect (house, "item|add|a\nb", NULL, 2, "", "not a good one");
  expect (house, "passwd", "", 2, "", "must be the password");
  expect (house, "passwd", "\n", 2, "", "must be the password");
  expect (house, "--json", NULL, 2, "", "usage:");
  expect (house, "help|item", NULL, 0, NULL, NULL);
  controls_free (g_steal_pointer (&house->controls));
  expect (house, "item|list", NULL, 3, "", "no server");
  house->controls = controls_new (house->folder);
}

static void
test_hostctl_large_answer_comes_whole (void)
{
  g_autoptr (House) house = house_new ("data");
  g_autoptr (GString) all = g_string_new (NULL);
  g_autofree char *text = g_strnfill (1000, 'x');
  for (guint i = 0; i < 5000; i++)
    g_string_append_printf (all, "{\"n\":%u,\"text\":\"%s\"}\n", i, text);
  expect (house, "flood|--json", NULL, 0, all->str, NULL);
}

static gboolean
stop (gpointer data)
{
  House *house = data;
  if (house->held == NULL)
    return G_SOURCE_CONTINUE;
  controls_free (g_steal_pointer (&house->controls));
  return G_SOURCE_REMOVE;
}

static void
test_hostctl_says_so_when_the_server_goes_away (void)
{
  g_autoptr (House) house = house_new ("data");
  g_idle_add (stop, house);
  expect (house, "hold", NULL, 3, "", "not known");
}

static void
test_control_second_server_on_the_folder_is_refused (void)
{
  g_autoptr (House) house = house_new ("data");
  struct stat status;
  g_assert_cmpint (stat (controls_peek_path (house->controls), &status), ==, 0);
  g_assert_cmpuint (status.st_mode & 0777, ==, 0600);
  g_autoptr (GError) error = NULL;
  Controls *second = controls_new (house->folder);
  g_assert_false (controls_start (second, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE);
  controls_free (second);

  /* A socket that a dead server left is replaced. */
  g_autofree char *path = g_strdup (controls_peek_path (house->controls));
  controls_free (g_steal_pointer (&house->controls));
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  g_assert_cmpint (bind (fd, (struct sockaddr *)&address, sizeof address), ==, 0);
  close (fd);
  house->controls = controls_new (house->folder);
  g_clear_error (&error);
  g_assert_true (controls_start (house->controls, NULL, &error));
  g_assert_no_error (error);
}

static void
test_control_reaches_a_folder_with_a_long_name (void)
{
  g_autofree char *name = g_strnfill (200, 'd');
  g_autoptr (House) house = house_new (name);
  expect (house, "item|list|none", NULL, 0, "none\n", NULL);
}

/* Says @bytes and returns the last line that comes back before the end. */
static char *
say (House *house, const char *bytes, gsize length)
{
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  g_strlcpy (address.sun_path, controls_peek_path (house->controls), sizeof address.sun_path);
  g_assert_cmpint (connect (fd, (struct sockaddr *)&address, sizeof address), ==, 0);
  g_assert_cmpint (send (fd, bytes, length, MSG_NOSIGNAL), ==, length);
  g_autoptr (GString) all = g_string_new (NULL);
  char part[4096];
  for (;;)
    {
      g_main_context_iteration (NULL, FALSE);
      ssize_t n = recv (fd, part, sizeof part, MSG_DONTWAIT);
      if (n == 0 || (n < 0 && errno != EAGAIN))
        break;
      if (n > 0)
        g_string_append_len (all, part, n);
    }
  close (fd);
  char *greeting_end = strchr (all->str, '\n');
  return g_strdup (greeting_end != NULL ? greeting_end + 1 : "");
}

static void
test_control_refuses_what_is_no_request (void)
{
  g_autoptr (House) house = house_new ("data");
  static const char *const requests[] = {
    "\n",
    "x\n",
    "[]\n",
    "{}\n",
    "{\"command\":\"hold\"}\n",
    "{\"command\":\"nothing\",\"arguments\":{}}\n",
    "{\"command\":7,\"arguments\":{}}\n",
    "{\"command\":\"hold\",\"arguments\":{},\"arguments\":{}}\n",
    "{\"command\":\"hold\",\"arguments\":{\"x\":\"y\"}}\n",
    "{\"command\":\"hold\",\"arguments\":{},\"secret\":\"x\"}\n",
    "{\"command\":\"passwd\",\"arguments\":{}}\n",
    "{\"command\":\"passwd\",\"arguments\":{},\"secret\":7}\n",
    "{\"command\":\"item add\",\"arguments\":{\"ID\":\"x\",\"--dry-run\":false}}\n",
    "{\"command\":\"item add\",\"arguments\":{\"ID\":\"x\",\"FILE\":\"x\"}}\n",
    "{\"command\":\"item add\",\"arguments\":{\"ID\":\"x\",\"FILE\":{\"path\":\"/x\",\"content\":\"?\"}}}\n",
    "{\"command\":\"backup\",\"arguments\":{\"FILE\":\"relative\"}}\n",
    "{\"command\":\"backup\",\"arguments\":{\"FILE\":\"/x\\u0007\"}}\n",
  };
  for (gsize i = 0; i < G_N_ELEMENTS (requests); i++)
    {
      g_test_message ("%s", requests[i]);
      g_autofree char *answer = say (house, requests[i], strlen (requests[i]));
      g_assert_true (g_str_has_prefix (answer, "{\"usage\":"));
    }
  g_assert_null (house->seen);
  g_assert_null (house->held);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_assert_nonnull (g_getenv ("STOA_HOSTCTL"));
#define TEST(name) g_test_add_func ("/" #name, test_##name)
  TEST (hostctl_reads_its_words_by_the_servers_table);
  TEST (hostctl_prints_tables_without_control_characters);
  TEST (hostctl_tells_refusal_usage_and_no_server_apart);
  TEST (hostctl_large_answer_comes_whole);
  TEST (hostctl_says_so_when_the_server_goes_away);
  TEST (control_second_server_on_the_folder_is_refused);
  TEST (control_reaches_a_folder_with_a_long_name);
  TEST (control_refuses_what_is_no_request);
  return g_test_run ();
}
