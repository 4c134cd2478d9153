#include "host-server/wire/buffers.h"

#define ROOM       4096
#define MAX_KEPT   256
#define MAX_LENGTH 65536 /* a buffer that grew beyond this is freed */

struct Buffers
{
  GPtrArray *kept;
};

static void
buffer_free (gpointer data)
{
  g_string_free (data, TRUE);
}

Buffers *
buffers_new (void)
{
  Buffers *buffers = g_new0 (Buffers, 1);
  buffers->kept = g_ptr_array_new_with_free_func (buffer_free);
  return buffers;
}

void
buffers_free (Buffers *buffers)
{
  if (buffers == NULL)
    return;
  g_ptr_array_unref (buffers->kept);
  g_free (buffers);
}

GString *
buffers_take (Buffers *buffers)
{
  if (buffers->kept->len == 0)
    return g_string_sized_new (ROOM);
  return g_ptr_array_steal_index_fast (buffers->kept, buffers->kept->len - 1);
}

void
buffers_give_back (Buffers *buffers, GString *take_buffer)
{
  if (take_buffer->allocated_len > MAX_LENGTH || buffers->kept->len >= MAX_KEPT)
    {
      buffer_free (take_buffer);
      return;
    }
  g_string_truncate (take_buffer, 0);
  g_ptr_array_add (buffers->kept, take_buffer);
}
