/* What is wrong with a descriptor, all of it, as its vendor wants to know: every error of the reader, and
 * warnings about what can be read but is hardly meant. Nothing is loaded; whether the object has the symbols
 * is verified in the runner. No GLib. */
#pragma once

#include "common/module/descriptor.h"

typedef struct
{
  bool is_error;    /* else a warning: it can be installed */
  unsigned line;    /* 0: of no line */
  const char *text; /* "weather.legacy:12: [Symbols] check: unknown type 'long', which is i64 here" */
} LintFinding;

typedef void (*LintFound) (const LintFinding *finding, void *data);

/* Tells @found of each finding, errors first; warnings only if there is no error. @file is used in the texts
 * only. Returns the number of errors. */
unsigned lint_descriptor (const char *file, DescriptorKind kind, const char *text, size_t length,
                          LintFound found, void *data);
