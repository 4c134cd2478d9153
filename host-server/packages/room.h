/* What the files of this room share. */
#pragma once

#include "common/module/package.h"
#include "host-server/core/control.h"
#include "host-server/packages/packages.h"
#include "host-server/store/packages.h"

struct Packages
{
  Server *server;
  char *folder; /* DATA/packages; a file is named by its package's hash */
  /* the trust document, as committed */
  gint64 number;
  char *kid;
  char *jws;
};

/* A change that is asked for by hostctl: decided inside a write, answered after it. */
typedef struct PackageTask PackageTask;
struct PackageTask
{
  Packages *packages;
  ControlCall *call;
  char *problem; /* why it is refused: nothing is written then */
  /* Decides and writes; sets @problem, or returns FALSE with a fault. */
  gboolean (*work) (PackageTask *task, Db *db, gint64 now_us, GError **error);
  /* Answers the call when it is done; NULL: it is done without a word. */
  void (*done) (PackageTask *task);
  gboolean changes_trust; /* a new trust document goes with it */
  /* of package add */
  Package *package;
  GBytes *file;
  char *path;
};

/* Takes a task from g_new0(); it frees itself. */
void package_task_run (PackageTask *task);
void package_task_refuse (PackageTask *task, const char *format, ...) G_GNUC_PRINTF (2, 3);
/* Ends with the problem, or what went wrong. */
void package_task_fail (PackageTask *task, const char *problem);

/* trust.c: inside a write, signs a document of what the rows say now. */
gboolean trust_issue (Packages *packages, Db *db, gint64 now_us, GError **error);
/* Reads the committed document. */
gboolean trust_reload (Packages *packages, GError **error);
void trust_init (Packages *packages);

void vendor_keys_init (Packages *packages); /* vendor-keys.c */
void shelf_init (Packages *packages);       /* shelf.c */
void download_init (Packages *packages);    /* download.c */
