/* The program's one job: a server put together from a configuration, run, and taken apart. */
#pragma once

#include <glib.h>

typedef struct HostServer HostServer;

/* Opens everything and listens; addresses.json is the last thing written. NULL with @error, and then nothing is
 * left open. On the thread-default context. */
HostServer *host_server_new (const char *config_path, GError **error);
/* `--restore`: puts the backup in folder @backup in the place of the configuration's store, which no server may use,
 * and says what it did on standard output, as JSON or for people. FALSE with @error: the store is as it was. */
gboolean host_server_restore (const char *config_path, const char *backup, gboolean is_json, GError **error);
/* SIGHUP: reads certificates and limits again; on an error nothing changes. */
gboolean host_server_reload (HostServer *server, GError **error);
/* SIGTERM: takes nothing new, ends the sessions, and calls @done once their streams are closed (or some seconds
 * later). */
void host_server_drain (HostServer *server, void (*done) (gpointer data), gpointer data);
void host_server_free (HostServer *server);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (HostServer, host_server_free)
