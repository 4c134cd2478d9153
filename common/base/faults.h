/* Faults on demand: what a party that is there for trying things does wrong, as its command line says
 * (--fault KIND[:N]). Which kinds there are is the party's own table. */
#pragma once

#include <glib.h>

#define FAULTS_MAX   32 /* kinds of one party */
#define FAULT_ALWAYS G_MAXINT64

typedef struct
{
  const char *name;
  gint64 standard; /* N where none is said */
} FaultMode;

typedef struct
{
  gint64 left[FAULTS_MAX]; /* by kind: N, counted down where it counts; 0: not asked for */
} Faults;

/* Reads "KIND" or "KIND:N". @modes: @n_modes of them, at most FAULTS_MAX; their index is the kind. FALSE with
 * @error (G_IO_ERROR, or of the number) naming the kinds there are. */
gboolean faults_read (Faults *faults, const FaultMode *modes, guint n_modes, const char *text,
                      GError **error);
/* N of a fault that is an amount or a time; 0 if it is not on. */
gint64 faults_get (const Faults *faults, guint kind);
/* Whether a counted fault happens now; uses one up. */
gboolean faults_take (Faults *faults, guint kind);
