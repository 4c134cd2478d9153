#include "plugin-abi/check/described.h"
#include "common/module/launch.h"

#include <unistd.h>

#define MAX_DESCRIPTOR_BYTES 16384

static gboolean
read_descriptor (Described *described, const char *path, DescriptorKind kind, Report *report)
{
  g_autoptr (GError) error = NULL;
  DescriptorError fault;
  described->file = g_path_get_basename (path);
  if (!g_file_get_contents (path, &described->text, &described->length, &error))
    report_add (report, REPORT_FAILED, "descriptor", "%s", error->message);
  else if (described->length > MAX_DESCRIPTOR_BYTES)
    report_add (report, REPORT_FAILED, "descriptor", "%s: larger than 16 KiB", described->file);
  else if ((described->descriptor
            = descriptor_parse (described->file, kind, described->text, described->length, &fault))
           == NULL)
    report_add (report, REPORT_FAILED, "descriptor", "%s", fault.text);
  else
    report_add (report, REPORT_OK, "descriptor", "%s %s, %u calls, %u commands", described->descriptor->id,
                described->descriptor->version, described->descriptor->n_calls,
                described->descriptor->n_commands);
  return described->descriptor != NULL;
}

/* The object named by the descriptor, of exactly those bytes. */
static gboolean
check_bytes (Described *described, const char *path, Report *report)
{
  g_autofree char *folder = g_path_get_dirname (path);
  g_autoptr (GError) error = NULL;
  guint8 digest[32];
  g_autoptr (GString) hex = g_string_new (NULL);
  described->object = g_build_filename (folder, described->descriptor->object, NULL);
  int sealed = launch_seal_object (described->object, digest, &error);
  if (sealed < 0)
    {
      report_add (report, REPORT_FAILED, "hash", "%s", error->message);
      return FALSE;
    }
  close (sealed);
  for (gsize i = 0; i < sizeof digest; i++)
    g_string_append_printf (hex, "%02x", digest[i]);
  gboolean is_same = g_str_equal (hex->str, described->descriptor->sha256);
  report_add (report, is_same ? REPORT_OK : REPORT_FAILED, "hash",
              is_same ? "the object is the one the descriptor names" : "sha256=%s is not the object's: %s",
              is_same ? "" : described->descriptor->sha256, hex->str);
  return is_same;
}

gboolean
described_read (Described *described, const char *path, DescriptorKind kind, Report *report)
{
  return read_descriptor (described, path, kind, report) && check_bytes (described, path, report);
}

void
described_clear (Described *described)
{
  g_clear_pointer (&described->descriptor, descriptor_free);
  g_free (described->file);
  g_free (described->text);
  g_free (described->object);
}
