/* Rows of hostctl's lists: read on the reader thread, sent when all are there. */
#pragma once

#include "host-server/core/control.h"
#include "host-server/market/room.h"

/* Appends objects to @rows. FALSE with @error on a fault; it may refuse by *@refusal (the caller frees it)
 * instead. On the reader thread. */
typedef gboolean (*RowsWork) (Market *market, Db *db, const ControlCall *call, json_t *rows, char **refusal,
                              GError **error);

/* Ends @call with what @work finds. */
void rows_read (Market *market, ControlCall *call, RowsWork work);
