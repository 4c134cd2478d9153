/* A keygen with no imagination: everybody gets the same serial, unless the host asks with the next counter.
 */
#include <host/keygen.h>

#include <stdio.h>

uint32_t
host_module_abi (void)
{
  return HOST_MODULE_ABI;
}

int
host_keygen (const HostModuleApi *api, const HostKeygenRequest *request, char *serial, size_t cap,
             int64_t *expires)
{
  (void)api;
  (void)expires;
  snprintf (serial, cap, "COUNT-%u", (unsigned)request->counter);
  return HOST_OK;
}
