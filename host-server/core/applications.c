#include "host-server/core/applications.h"

#include <gio/gio.h>

struct Applications
{
  ApplicationLicenceFunc licence;
  gpointer licence_data;
  const ApplicationFunctions *functions;
  gpointer functions_data;
};

Applications *
applications_new (void)
{
  return g_new0 (Applications, 1);
}

void
applications_free (Applications *applications)
{
  g_free (applications);
}

void
applications_set_licence (Applications *applications, ApplicationLicenceFunc func, gpointer data)
{
  applications->licence = func;
  applications->licence_data = data;
}

gboolean
applications_find_licence (Applications *applications, const char *account, const char *application,
                           ApplicationLicence *licence, GError **error)
{
  *licence = (ApplicationLicence){ 0 };
  return applications->licence == NULL
         || applications->licence (account, application, licence, applications->licence_data, error);
}

void
applications_set_functions (Applications *applications, const ApplicationFunctions *functions, gpointer data)
{
  applications->functions = functions;
  applications->functions_data = data;
}

gboolean
applications_check (Applications *applications, const char *text, gboolean has_items, GError **error)
{
  if (applications->functions != NULL)
    return applications->functions->check (text, has_items, error);
  if (text[0] == '\0')
    return TRUE;
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "[Functions]: this host runs none");
  return FALSE;
}

gboolean
applications_store (Applications *applications, Db *db, const ApplicationManifest *manifest,
                    const char **problem, GError **error)
{
  *problem = NULL;
  return applications->functions == NULL || applications->functions->store (db, manifest, problem, error);
}

void
applications_changed (Applications *applications, const char *application)
{
  if (applications->functions != NULL)
    applications->functions->changed (application, applications->functions_data);
}
