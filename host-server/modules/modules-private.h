/* The inside of Modules, for its own files. */
#pragma once

#include "host-server/modules/modules.h"
#include "host-server/modules/runner.h"

struct Modules
{
  RunnerSetting setting;
  Launcher *launcher; /* NULL: no vendor code runs here */
  char *problem;      /* then why */
  char *confinement;
  Registry *registry;
  GHashTable *runners; /* Module → ModuleRunner, owned */
  GQueue refused;      /* calls that are answered as soon as the loop turns */
  GSource *refuse_source;
  GQueue function_modules; /* of FunctionModule: those in use, and those that still end */
};

/* function-module.c: whether one of @module's runs its present file; *@n_spares grows by those of all. */
gboolean function_modules_look (const Modules *modules, const Module *module, guint *n_spares);
/* Ends them all, in two steps around the launcher's end. */
void function_modules_stop (Modules *modules);
void function_modules_clear (Modules *modules);
