#include "host-server/packages/room.h"

#include "common/protocol/trust.h"

#include <string.h>

/* hostctl vendor key add, list, revoke. */

static json_t *
time_json (gint64 us)
{
  g_autofree char *text = us != 0 ? clock_dup_rfc3339 (us) : NULL;
  return text != NULL ? json_string (text) : json_null ();
}

static gint64
read_time (const ControlCall *call, const char *name, gint64 absent, gboolean *is_good)
{
  const char *text = control_call_get_text (call, name);
  gint64 us = absent;
  if (text != NULL && !clock_parse_rfc3339 (text, &us))
    *is_good = FALSE;
  return us;
}

static gboolean
add_work (PackageTask *task, Db *db, gint64 now_us, GError **error)
{
  const char *vendor = control_call_get_text (task->call, "VENDOR");
  const char *key = control_call_get_text (task->call, "KEY");
  gboolean is_found, is_good = TRUE;
  if (!packages_has_vendor (db, vendor, &is_found, error))
    return FALSE;
  if (!is_found)
    {
      package_task_refuse (task, "there is no vendor '%s'", vendor);
      return TRUE;
    }
  GError *local = NULL;
  g_autoptr (VendorKeyRow) known = vendor_keys_find (db, key, &local);
  if (local != NULL)
    {
      g_propagate_error (error, local);
      return FALSE;
    }
  if (known != NULL)
    {
      package_task_refuse (task, "that key is known already, as %s's", known->vendor);
      return TRUE;
    }
  VendorKeyRow row = { .key = (char *)key, .vendor = (char *)vendor };
  row.from_us = read_time (task->call, "--from", now_us / G_USEC_PER_SEC * G_USEC_PER_SEC, &is_good);
  row.to_us = read_time (task->call, "--to", 0, &is_good);
  if (!is_good || (row.to_us != 0 && row.to_us <= row.from_us))
    {
      package_task_refuse (
          task, "--from and --to must be times as 2027-01-01T00:00:00Z, the first before the second");
      return TRUE;
    }
  return vendor_keys_insert (db, &row, now_us, error);
}

static void
changed (PackageTask *task)
{
  if (task->problem != NULL)
    control_call_refuse (task->call, "%s", task->problem);
  else
    control_call_done_with (task->call,
                            json_pack ("{s:s, s:I}", "key", control_call_get_text (task->call, "KEY"),
                                       "trust", (json_int_t)task->packages->number));
}

static void
add_key (ControlCall *call, gpointer data)
{
  if (!package_key_text_is_valid (control_call_get_text (call, "KEY")))
    {
      control_call_refuse (call,
                           "a key is 32 bytes as base64url, as `host-module-check keygen-key` shows it");
      return;
    }
  PackageTask *task = g_new0 (PackageTask, 1);
  *task = (PackageTask){
    .packages = data, .call = call, .work = add_work, .done = changed, .changes_trust = TRUE
  };
  package_task_run (task);
}

static gboolean
revoke_work (PackageTask *task, Db *db, gint64 now_us, GError **error)
{
  const char *key = control_call_get_text (task->call, "KEY");
  const char *reason = control_call_get_text (task->call, "--reason");
  GError *local = NULL;
  g_autoptr (VendorKeyRow) known = vendor_keys_find (db, key, &local);
  if (local != NULL)
    {
      g_propagate_error (error, local);
      return FALSE;
    }
  if (known == NULL)
    package_task_refuse (task, "there is no key '%s'", key);
  else if (known->revoked_us != 0)
    package_task_refuse (task, "that key is revoked already");
  return task->problem != NULL || vendor_keys_revoke (db, key, reason != NULL ? reason : "", now_us, error);
}

static void
revoke_key (ControlCall *call, gpointer data)
{
  PackageTask *task = g_new0 (PackageTask, 1);
  *task = (PackageTask){
    .packages = data, .call = call, .work = revoke_work, .done = changed, .changes_trust = TRUE
  };
  package_task_run (task);
}

static void
list_keys (ControlCall *call, gpointer data)
{
  Packages *packages = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) rows = vendor_keys_list (store_peek_reader (packages->server->store, STORE_MARKET),
                                                 control_call_get_text (call, "VENDOR"), &error);
  if (rows == NULL)
    {
      control_call_refuse (call, "cannot list the keys: %s", error->message);
      return;
    }
  for (guint i = 0; i < rows->len; i++)
    {
      const VendorKeyRow *row = g_ptr_array_index (rows, i);
      control_call_take_row (call, json_pack ("{s:s, s:s, s:o, s:o, s:o, s:s}", "vendor", row->vendor, "key",
                                              row->key, "from", time_json (row->from_us), "to",
                                              time_json (row->to_us), "revoked", time_json (row->revoked_us),
                                              "reason", row->reason));
    }
  control_call_done (call);
}

void
vendor_keys_init (Packages *packages)
{
  const ControlArgument add[] = { { "VENDOR", CONTROL_TEXT, FALSE },
                                  { "KEY", CONTROL_TEXT, FALSE },
                                  { "--from", CONTROL_VALUE, TRUE },
                                  { "--to", CONTROL_VALUE, TRUE },
                                  { NULL, 0, FALSE } };
  const ControlArgument list[] = { { "VENDOR", CONTROL_TEXT, TRUE }, { NULL, 0, FALSE } };
  const ControlArgument revoke[]
      = { { "KEY", CONTROL_TEXT, FALSE }, { "--reason", CONTROL_VALUE, TRUE }, { NULL, 0, FALSE } };
  const ControlCommand commands[] = {
    { "vendor key add", add, NULL, FALSE, "accept packages that a vendor signs with this key", add_key,
      packages },
    { "vendor key list", list, NULL, TRUE, "the keys that vendors sign packages with", list_keys, packages },
    { "vendor key revoke", revoke, NULL, FALSE, "accept nothing more that this key signed", revoke_key,
      packages },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (commands); i++)
    controls_add (packages->server->controls, &commands[i]);
}
