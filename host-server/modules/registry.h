/* Which modules are installed, what is known of each, and whether it may be called now. */
#pragma once

#include "host-server/modules/modules.h"

/* Users of modules' own, one each. */
#define REGISTRY_MAX_OWN_USERS 64

typedef struct Registry Registry;

/* A file as it was when it was last looked at. */
typedef struct
{
  guint64 device, inode;
  gint64 size, changed_ns;
} FileFacts;

/* An object in the folder, or a descriptor with a legacy object beside it. It stays known, with its user,
 * while the server runs, also if the file goes. */
typedef struct
{
  char *name;            /* path inside the folder */
  uid_t uid;             /* 0: the server's own */
  gboolean is_described; /* NAME.legacy */
  char *object; /* of a descriptor that could be read: the object's path inside the folder, NULL: none */
  /* A change of either clears what was known. */
  FileFacts facts, object_facts;
  guint generation; /* raised with every change */
  gboolean is_there;
  char *unsuitable; /* why it is no module; NULL: nothing is known against it */
  /* A circuit breaker: faults in a row open it for a while, then one call is let through. */
  guint n_faults;
  guint n_quarantines;
  gint64 quarantined_until_us; /* monotonic; 0: it is not */
  char *last_fault;
  const char *profile; /* static: the kind of runner that carried it last; NULL: none */
  ModulesUse use;
  gboolean is_verified;  /* this file loaded in the sandbox */
  guint64 n_good, n_bad; /* calls and faults since the server started */
} Module;

Registry *registry_new (const char *folder, uid_t uid_base, const Clock *clock);
void registry_free (Registry *registry);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Registry, registry_free)

/* Looks at the file of @name now. NULL: that is no name, or all users are given away. The registry owns it.
 */
Module *registry_find (Registry *registry, const char *name);
/* The same, for every object in the folder and its subfolders. */
void registry_scan (Registry *registry, void (*each) (Module *module, gpointer data), gpointer data);

ModulesState registry_get_state (Registry *registry, const Module *module);
/* A copy of the object as it is now (launch_seal_object()); -1 with an error. The caller closes it. */
int registry_seal (Registry *registry, const Module *module, GError **error);
/* The same for a described one: its object is the one that the descriptor means, whose text comes back in
 * *@descriptor. G_IO_ERROR_INVALID_DATA: it is none that can be called, until a file changes. */
int registry_seal_described (Registry *registry, const Module *module, GBytes **descriptor, GError **error);

/* What a call or a runner's end says of a module. @weight faults count against it; enough in a row open the
 * breaker, and TRUE is returned then. */
gboolean registry_note_fault (Registry *registry, Module *module, guint weight, const char *reason);
/* A fault that is not counted against it, only told. */
void registry_note_forgiven (Registry *registry, Module *module, const char *reason);
/* It loaded and is a module. */
void registry_note_verified (Registry *registry, Module *module);
void registry_note_good (Registry *registry, Module *module);
/* It is no module, until its file changes. */
void registry_note_unsuitable (Registry *registry, Module *module, const char *reason);
