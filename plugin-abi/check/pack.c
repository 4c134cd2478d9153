#include "common/module/package.h"
#include "plugin-abi/check/check.h"

#include <stdio.h>

/* Packages, and the keys they are signed with. */

static CheckExit
refuse (const GError *error)
{
  fprintf (stderr, "host-module-check: %s\n", error->message);
  return CHECK_REFUSED;
}

static CheckExit
pack (const char *folder, const char *key_path, const char *out, gboolean is_restricted)
{
  g_autoptr (GError) error = NULL;
  gsize length;
  EVP_PKEY *key = package_key_load (key_path, &error);
  if (key == NULL)
    return refuse (error);
  g_autoptr (GBytes) file = package_write (folder, key, is_restricted, &error);
  EVP_PKEY_free (key);
  if (file == NULL)
    return refuse (error);
  const char *bytes = g_bytes_get_data (file, &length);
  if (!g_file_set_contents (out, bytes, (gssize)length, &error))
    return refuse (error);
  g_autoptr (Package) package = package_read (file, NULL, NULL, &error);
  if (package == NULL)
    return refuse (error);
  printf ("%s: %s %s, %" G_GSIZE_FORMAT " bytes, hash %s\n", out, package->id, package->version, length,
          package->hash);
  printf ("asks for: %s\n", package->permissions[0] != '\0' ? package->permissions : "nothing");
  return CHECK_GOOD;
}

CheckExit
check_pack (int argc, char **argv)
{
  g_autofree char *key = NULL;
  g_autofree char *out = NULL;
  gboolean is_restricted = FALSE;
  const GOptionEntry entries[] = {
    { "key", 0, 0, G_OPTION_ARG_FILENAME, &key, "the vendor's private key", "FILE" },
    { "output", 'o', 0, G_OPTION_ARG_FILENAME, &out, "the package", "FILE" },
    { "restricted", 0, 0, G_OPTION_ARG_NONE, &is_restricted, "for owners of the plugin only", NULL },
    G_OPTION_ENTRY_NULL,
  };
  g_autoptr (GError) error = NULL;
  g_autoptr (GOptionContext) context = g_option_context_new ("FOLDER");
  g_option_context_add_main_entries (context, entries, NULL);
  if (g_option_context_parse (context, &argc, &argv, &error) && argc == 2 && key != NULL && out != NULL)
    return pack (argv[1], key, out, is_restricted);
  fprintf (stderr, "host-module-check: %s\n",
           error != NULL ? error->message : "pack FOLDER --key FILE -o FILE");
  return CHECK_USAGE;
}

CheckExit
check_keygen_key (int argc, char **argv)
{
  if (argc != 2 || argv[1][0] == '-')
    {
      fprintf (stderr, "host-module-check: keygen-key FILE\n");
      return CHECK_USAGE;
    }
  g_autoptr (GError) error = NULL;
  EVP_PKEY *key = package_key_new ();
  char *shown = package_key_dup_public (key);
  while (shown[0] == '-') /* or a command line takes it for an option */
    {
      EVP_PKEY_free (key);
      g_free (shown);
      key = package_key_new ();
      shown = package_key_dup_public (key);
    }
  g_autofree char *public = shown;
  gboolean is_saved = package_key_save (key, argv[1], &error);
  EVP_PKEY_free (key);
  if (!is_saved)
    return refuse (error);
  printf ("%s\n", public);
  return CHECK_GOOD;
}
