#include "host-client/core/connection-private.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* COMPAT: libstrophe frees passwords, SASL messages and serials as they are, and loses some blocks when a
 * stream ends in the middle of a login. So its blocks are wiped when they are freed, and those of an attempt
 * end with it. */
struct ConnectionBlock
{
  ConnectionBlock *previous, *next;
  gsize size;
  max_align_t bytes[];
};

static void *
hook_alloc (size_t size, void *data)
{
  ConnectionBlock *list = data, *block = size < G_MAXSIZE - sizeof (ConnectionBlock)
                                             ? malloc (sizeof (ConnectionBlock) + size)
                                             : NULL;
  if (block == NULL)
    return NULL;
  block->size = size;
  block->previous = list;
  block->next = list->next;
  block->next->previous = block;
  list->next = block;
  return block->bytes;
}

static void
block_free (ConnectionBlock *block)
{
  block->previous->next = block->next;
  block->next->previous = block->previous;
  explicit_bzero (block->bytes, block->size);
  free (block);
}

static void
hook_free (void *bytes, void *data)
{
  if (bytes != NULL)
    block_free ((ConnectionBlock *)((char *)bytes - offsetof (ConnectionBlock, bytes)));
}

static void *
hook_realloc (void *bytes, size_t size, void *data)
{
  void *copy = hook_alloc (size, data);
  if (bytes == NULL || copy == NULL)
    return copy;
  const ConnectionBlock *old = (const ConnectionBlock *)((char *)bytes - offsetof (ConnectionBlock, bytes));
  memcpy (copy, bytes, MIN (old->size, size));
  hook_free (bytes, data);
  return copy;
}

ConnectionBlock *
connection_blocks_new (void)
{
  ConnectionBlock *ring = g_new0 (ConnectionBlock, 1);
  ring->previous = ring->next = ring;
  return ring;
}

void
connection_blocks_free (ConnectionBlock *ring)
{
  while (ring->next != ring)
    block_free (ring->next);
  g_free (ring);
}

void
connection_blocks_hook (ConnectionBlock *ring, xmpp_mem_t *mem)
{
  *mem = (xmpp_mem_t){ hook_alloc, hook_free, hook_realloc, ring };
}
