/* Which functions of the C library come to nothing in the sandbox. */
#pragma once

#include "plugin-abi/check/object.h"
#include "plugin-abi/check/report.h"

/* What the object may do where it will run. */
typedef struct
{
  gboolean is_server;
  gboolean may_connect;
  gboolean has_threads;
} ImportsGrant;

/* Adds the row "imports": failed if the object imports what will be refused, a warning if it imports what
 * cannot do what a vendor may expect of it. */
void imports_check (const Object *object, const ImportsGrant *grant, Report *report);
