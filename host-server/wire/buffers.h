/* Output buffers on loan: a connection has one only while it has something to write. */
#pragma once

#include <glib.h>

typedef struct Buffers Buffers;

Buffers *buffers_new (void);
void buffers_free (Buffers *buffers);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Buffers, buffers_free)

GString *buffers_take (Buffers *buffers); /* empty, with room for some stanzas */
void buffers_give_back (Buffers *buffers, GString *take_buffer);
