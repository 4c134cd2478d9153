/* The connect broker: the only way from a plugin's process to the network.
 *
 * The plugin's connect() is stopped by the kernel (seccomp user notification) and decided here, on a thread
 * of its own. The address is copied out of the process, checked against what its descriptor was granted and
 * against the addresses that name resolution handed out; then we connect the plugin's own socket ourselves
 * (pidfd_getfd), to the address we copied, so that nothing the plugin writes meanwhile matters. At most 4
 * attempts at once, each for 10 s or two thirds of the plugin's call time-out. A plugin without a broker has
 * no network. */
#pragma once

#include "common/module/descriptor.h"

#include <gio/gio.h>

typedef struct PluginBroker PluginBroker;

/* Takes @listener (the seccomp notification descriptor) and duplicates @pidfd, of the process @pid.
 * @descriptor must outlive the broker. */
PluginBroker *plugin_broker_new (int listener, pid_t pid, int pidfd, const Descriptor *descriptor);
/* Ends the thread; attempts under way are broken off. */
void plugin_broker_free (PluginBroker *broker);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (PluginBroker, plugin_broker_free)

/* Whether @host is a name (not an address) that the descriptor grants. */
gboolean plugin_broker_is_granted (const Descriptor *descriptor, const char *host);
/* From now on @address may be reached at the ports granted for the name @host. FALSE if it must not be handed
 * out: loopback and private addresses count only where the descriptor writes them as such. */
gboolean plugin_broker_hand_out (PluginBroker *broker, const char *host, GInetAddress *address);

/* Why a process of ours cannot have a broker on this machine; NULL if it can. */
const char *plugin_broker_why_not (void);

/* Whether the address (4 or 16 bytes) is loopback, private, link-local, multicast or otherwise not of the
 * public network; IPv4 inside IPv6 is judged as IPv4. */
gboolean plugin_broker_is_private (const guint8 *address, gsize length);
