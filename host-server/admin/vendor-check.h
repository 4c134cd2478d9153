/* `hostctl vendor check URL`: a vendor tries a plugin server of its own before it sells (docs/vendors.md). It
 * needs no host-server: the requests are signed and the answers judged by the same code as the host's. */
#pragma once

#include "host-server/admin/hostctl-local.h"

/* @words: the URL and options. Returns the exit code: 0 all good, 1 some failed, 2 usage, 3 cannot connect.
 */
int vendor_check (const HostctlLocalCall *call);
