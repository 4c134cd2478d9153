#include "plugin-abi/check/check.h"

#include <locale.h>
#include <stdio.h>

static const CheckCommand commands[] = {
  { "pack", "FOLDER --key FILE -o FILE [--restricted]",
    "make a signed package of a plugin's folder (docs/packages.md)", check_pack },
  { "keygen-key", "FILE", "make an Ed25519 key to sign packages with, and show its public part",
    check_keygen_key },
};

static void
print_usage (FILE *out)
{
  fprintf (out, "usage: host-module-check COMMAND …\n\n");
  for (gsize i = 0; i < G_N_ELEMENTS (commands); i++)
    fprintf (out, "  %s %s\n      %s\n", commands[i].name, commands[i].arguments, commands[i].help);
}

int
main (int argc, char **argv)
{
  setlocale (LC_ALL, "");
  if (argc > 1 && (g_str_equal (argv[1], "--help") || g_str_equal (argv[1], "help")))
    {
      print_usage (stdout);
      return CHECK_GOOD;
    }
  for (gsize i = 0; argc > 1 && i < G_N_ELEMENTS (commands); i++)
    if (g_str_equal (argv[1], commands[i].name))
      return (int)commands[i].run (argc - 1, argv + 1);
  print_usage (stderr);
  return CHECK_USAGE;
}
