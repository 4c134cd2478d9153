/* Where the room that sells applications and the room that runs their functions meet: neither includes the
 * other. An application is a plugin whose manifest has more groups than the market knows. */
#pragma once

#include "common/base/db.h"

typedef struct Applications Applications;

Applications *applications_new (void);
void applications_free (Applications *applications);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Applications, applications_free)

/* Longest name of a user with a vendor, and its NUL. */
#define APPLICATION_USER_SIZE 64

typedef struct
{
  gboolean is_licensed;             /* the user is entitled to it now */
  char user[APPLICATION_USER_SIZE]; /* the pairwise name (protocol.md §2); "" without an application */
} ApplicationLicence;

/* Set by the market. On the main context; FALSE with @error if it cannot be read. */
typedef gboolean (*ApplicationLicenceFunc) (const char *account, const char *application,
                                            ApplicationLicence *licence, gpointer data, GError **error);
void applications_set_licence (Applications *applications, ApplicationLicenceFunc func, gpointer data);
/* Nobody is licensed while nobody sells. */
gboolean applications_find_licence (Applications *applications, const char *account, const char *application,
                                    ApplicationLicence *licence, GError **error);

/* What is stored of a manifest beside the market's own groups. */
typedef struct
{
  const char *application;
  const char *vendor;
  const char *text;     /* the group as a key file; "": the manifest has none */
  gboolean is_operator; /* FALSE: a vendor's member, who does not reach into the host's machine */
  gint64 now_us;
} ApplicationManifest;

/* The room that knows the group [Functions] of manifests. */
typedef struct
{
  /* Anywhere: whether @text makes sense; the error names group and key. @has_items: counters are to be kept
   * for users. */
  gboolean (*check) (const char *text, gboolean has_items, GError **error);
  /* In the commit that puts the application on sale, on the writer thread. FALSE is a fault; *@problem is why
   * it is refused, static, and then the caller undoes the commit. */
  gboolean (*store) (Db *db, const ApplicationManifest *manifest, const char **problem, GError **error);
  /* On the main context, after it. */
  void (*changed) (const char *application, gpointer data);
} ApplicationFunctions;
/* @functions is static. */
void applications_set_functions (Applications *applications, const ApplicationFunctions *functions,
                                 gpointer data);
/* The same, for the market; without such a room only "" passes. */
gboolean applications_check (Applications *applications, const char *text, gboolean has_items,
                             GError **error);
gboolean applications_store (Applications *applications, Db *db, const ApplicationManifest *manifest,
                             const char **problem, GError **error);
void applications_changed (Applications *applications, const char *application);
