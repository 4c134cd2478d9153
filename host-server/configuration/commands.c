/* hostctl's commands for accounts, and the backup. */
#include "common/base/log.h"
#include "host-server/configuration/room.h"
#include "host-server/core/control.h"

#include <string.h>

typedef struct
{
  Configuration *configuration;
  ControlCall *call;
  Jid *account;
} Command;

static void
command_free (Command *command)
{
  jid_unref (command->account);
  g_free (command);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Command, command_free)

static const char *
say (AccountsOutcome outcome, const GError *error)
{
  switch (outcome)
    {
    case ACCOUNTS_EXISTS:
      return "the account exists";
    case ACCOUNTS_NOT_FOUND:
      return "there is no such account";
    case ACCOUNTS_BAD_NAME:
      return "the name is not valid before the @ of an address";
    case ACCOUNTS_BAD_PASSWORD:
      return "the password must have " G_STRINGIFY (ACCOUNT_MIN_PASSWORD) " to " G_STRINGIFY (
          ACCOUNT_MAX_PASSWORD) " bytes and no control characters";
    case ACCOUNTS_FAILED:
      return error->message;
    case ACCOUNTS_OK:
      break;
    }
  return "";
}

/* The account that the call names; NULL and refused if it is no address of this server. */
static Command *
command_new (Configuration *configuration, ControlCall *call, const char *verb)
{
  const char *user = control_call_get_text (call, "USER");
  const Jid *domain = configuration->server->domain;
  g_autoptr (Jid) jid = jid_new (user, strlen (user));
  if (jid == NULL || jid_get_local (jid) == NULL || jid_get_resource (jid) != NULL
      || !g_str_equal (jid_get_domain (jid), jid_get_domain (domain)))
    {
      control_call_refuse (call, "cannot %s '%s': not an address USER@%s", verb, user,
                           jid_get_domain (domain));
      return NULL;
    }
  Command *command = g_new0 (Command, 1);
  command->configuration = configuration;
  command->call = call;
  command->account = g_steal_pointer (&jid);
  return command;
}

/* Ends a call. TRUE if the change was made. */
static gboolean
finish (Command *command, const char *verb, AccountsOutcome outcome, const GError *error)
{
  const char *user = jid_get_bare (command->account);
  if (outcome != ACCOUNTS_OK)
    control_call_refuse (command->call, "cannot %s '%s': %s", verb, user, say (outcome, error));
  else
    control_call_done_with (command->call, json_pack ("{s:s}", "user", user));
  return outcome == ACCOUNTS_OK;
}

static void
added (AccountsOutcome outcome, const char *uuid, const GError *error, gpointer data)
{
  g_autoptr (Command) command = data;
  if (finish (command, "add", outcome, error))
    log_info ("configuration", "account added user=%s account=%s", jid_get_bare (command->account), uuid);
}

static void
add (ControlCall *call, gpointer data)
{
  Configuration *configuration = data;
  Command *command = command_new (configuration, call, "add");
  if (command != NULL)
    accounts_create (configuration->server->store, jid_get_local (command->account),
                     control_call_peek_secret (call), added, command);
}

static void
password_set (AccountsOutcome outcome, const char *uuid, const GError *error, gpointer data)
{
  g_autoptr (Command) command = data;
  if (!finish (command, "change the password of", outcome, error))
    return;
  log_info ("configuration", "password set by the operator account=%s", uuid);
  /* Whoever was logged in with the old one logs in anew. */
  session_book_end_account (command->configuration->server->sessions, jid_get_bare (command->account),
                            "not-authorized");
}

static void
passwd (ControlCall *call, gpointer data)
{
  Configuration *configuration = data;
  Command *command = command_new (configuration, call, "change the password of");
  if (command != NULL)
    accounts_set_password (configuration->server->store, jid_get_local (command->account),
                           control_call_peek_secret (call), password_set, command);
}

static void
removed (AccountsOutcome outcome, const char *uuid, const GError *error, gpointer data)
{
  g_autoptr (Command) command = data;
  if (finish (command, "remove", outcome, error))
    configuration_account_removed (command->configuration, uuid, command->account);
}

static void
remove_user (ControlCall *call, gpointer data)
{
  Configuration *configuration = data;
  Command *command = command_new (configuration, call, "remove");
  if (command != NULL)
    accounts_remove (configuration->server->store, jid_get_local (command->account), removed, command);
}

/* Pages of the list of accounts, each read by the reader thread and sent before the next is read. */
#define PAGE 500

typedef struct
{
  Configuration *configuration;
  ControlCall *call;
  char *after;
  GPtrArray *rows; /* of json_t */
} Listing;

static void list_page (Listing *listing);

static void
listing_free (Listing *listing)
{
  g_free (listing->after);
  g_ptr_array_unref (listing->rows);
  g_free (listing);
}

static void
note_row (const char *uuid, const char *local, gint64 created_us, gpointer data)
{
  Listing *listing = data;
  g_autofree char *created = clock_dup_rfc3339 (created_us);
  g_autofree char *user
      = g_strconcat (local, "@", jid_get_domain (listing->configuration->server->domain), NULL);
  g_ptr_array_add (listing->rows,
                   json_pack ("{s:s, s:s, s:s}", "user", user, "created", created, "account", uuid));
  g_free (listing->after);
  listing->after = g_strdup (local);
}

static gboolean
list_work (Db *db, gpointer data, GError **error)
{
  Listing *listing = data;
  g_ptr_array_set_size (listing->rows, 0);
  g_autofree char *after = g_strdup (listing->after);
  return accounts_list (db, after, PAGE, note_row, listing, error);
}

static void
list_done (gpointer data, const GError *error)
{
  Listing *listing = data;
  if (error != NULL)
    {
      control_call_refuse (listing->call, "cannot list the accounts: %s", error->message);
      listing_free (listing);
      return;
    }
  gboolean is_last = listing->rows->len < PAGE;
  for (guint i = 0; i < listing->rows->len; i++)
    control_call_take_row (listing->call, json_incref (listing->rows->pdata[i]));
  if (!is_last)
    {
      list_page (listing);
      return;
    }
  control_call_done (listing->call);
  listing_free (listing);
}

static void
list_page (Listing *listing)
{
  store_read (listing->configuration->server->store, STORE_MARKET, list_work, list_done, listing);
}

static void
list (ControlCall *call, gpointer data)
{
  Listing *listing = g_new0 (Listing, 1);
  listing->configuration = data;
  listing->call = call;
  listing->rows = g_ptr_array_new_with_free_func ((GDestroyNotify)json_decref);
  list_page (listing);
}

static void
backed_up (gpointer data, const GError *error)
{
  ControlCall *call = data;
  const char *path = control_call_get_text (call, "FILE");
  if (error != NULL)
    control_call_refuse (call, "cannot back up to '%s': %s", path, error->message);
  else
    control_call_done_with (call, json_pack ("{s:s}", "backup", path));
}

static void
backup (ControlCall *call, gpointer data)
{
  Configuration *configuration = data;
  store_backup (configuration->server->store, control_call_get_text (call, "FILE"), backed_up, call);
}

/* It stands in the table so that it is found; hostctl does it when no server runs. */
static void
restore (ControlCall *call, gpointer data)
{
  control_call_refuse (call, "cannot restore '%s': stop the server first, then run it again",
                       control_call_get_text (call, "FILE"));
}

void
configuration_commands_init (Configuration *configuration)
{
  static const ControlArgument user[] = { { "USER", CONTROL_TEXT, FALSE }, { NULL } };
  static const ControlArgument file[] = { { "FILE", CONTROL_PATH, FALSE }, { NULL } };
  const ControlCommand commands[] = {
    { .name = "user add",
      .arguments = user,
      .secret = "password",
      .help = "create an account",
      .handle = add },
    { .name = "user passwd",
      .arguments = user,
      .secret = "password",
      .help = "set an account's password",
      .handle = passwd },
    { .name = "user list", .is_list = TRUE, .help = "list the accounts", .handle = list },
    { .name = "user remove",
      .arguments = user,
      .help = "remove an account and what it owns",
      .handle = remove_user },
    { .name = "backup", .arguments = file, .help = "copy the databases into a new folder", .handle = backup },
    { .name = "restore",
      .arguments = file,
      .help = "put a backup in the place of the store; the server must be stopped",
      .handle = restore },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (commands); i++)
    {
      ControlCommand command = commands[i];
      command.data = configuration;
      controls_add (configuration->server->controls, &command);
    }
}
