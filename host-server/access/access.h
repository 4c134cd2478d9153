/* Tokens for users (protocol.md section 4): so far account tokens, which open the HTTP listener's routes for
 * signed-in users. Plugin tokens and introspection are not there yet, so the feature is not announced. */
#pragma once

#include "host-server/core/server.h"

/* Registers `<account-token/>` of urn:stoa:tokens:1. */
void access_init (Server *server);
