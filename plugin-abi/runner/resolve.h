/* Name resolution of client plugins: the runner's own getaddrinfo(), gethostbyname() and their like, which
 * ask the client. Objects bind to them before they see the C library's, because the runner's symbols come
 * first. */
#pragma once

#include "plugin-abi/runner/runner.h"

/* From now on names are asked of @runner's host; before, and where the plugin may not connect, nothing
 * resolves. The functions have no argument that could carry the runner, so it is kept here, once per process.
 */
void resolve_init (Runner *runner);
