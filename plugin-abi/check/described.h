/* What a check is given as a descriptor: the text file, and the object that it names. */
#pragma once

#include "common/module/descriptor.h"
#include "plugin-abi/check/report.h"

typedef struct
{
  Descriptor *descriptor;
  char *file; /* the descriptor's name */
  char *text;
  gsize length;
  char *object; /* path */
} Described;

/* Reads the descriptor at @path and compares the object's hash; adds the rows "descriptor" and "hash". FALSE:
 * one of them failed. @described is cleared in any case. */
gboolean described_read (Described *described, const char *path, DescriptorKind kind, Report *report);
void described_clear (Described *described);
