/* From a descriptor to an object that can be called. */
#include "plugin-abi/runner/legacy.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool
legacy_open_files (Runner *runner, const char **reason)
{
  Legacy *legacy = calloc (1, sizeof *legacy);

  *reason = "out of memory";
  if (legacy == NULL || (legacy->output = malloc (DESCRIPTOR_MAX_BUFFER + 1)) == NULL
      || (legacy->said = malloc (DESCRIPTOR_MAX_BUFFER + 1)) == NULL)
    return false;
  legacy->runner = runner;
  pthread_mutex_init (&legacy->lock, NULL);
  pthread_cond_init (&legacy->changed, NULL);
  runner_set_state (runner, legacy);
  *reason = "there is no memory file for the host's symbols";
  return legacy_stub_open (&legacy->stub);
}

bool
legacy_prepare (Runner *runner, const char **reason)
{
  return legacy_provide_prepare (runner_get_state (runner), reason);
}

/* The serial where the object looks for it before any call: its environment, a file. */
static bool
deliver_before (const ClientLoad *load, const char **reason)
{
  const Descriptor *descriptor = load->descriptor;
  size_t length = strlen (load->serial);
  bool is_written;
  int fd;

  if (descriptor->deliver_env != NULL && setenv (descriptor->deliver_env, load->serial, 1) != 0)
    {
      *reason = "the serial cannot be put into the environment";
      return false;
    }
  if (descriptor->deliver_file == NULL)
    return true;
  fd = open (descriptor->deliver_file, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
  is_written = fd >= 0 && write (fd, load->serial, length) == (ssize_t)length;
  if (fd >= 0 && close (fd) != 0)
    is_written = false;
  if (!is_written)
    *reason = "the serial's file cannot be written";
  return is_written;
}

/* The serial where the object looks for it once it is loaded: a variable of its own. */
static bool
deliver_after (const Legacy *legacy, const char **reason)
{
  const ClientLoad *load = &legacy->load;
  const Descriptor *descriptor = load->descriptor;
  void *global;

  if (descriptor->deliver_global == NULL)
    return true;
  global = dlsym (legacy->object, descriptor->deliver_global);
  if (descriptor->deliver_global_size == 0)
    {
      *(char **)global = load->serial;
      return true;
    }
  if (strlen (load->serial) >= descriptor->deliver_global_size)
    {
      *reason = "the serial is longer than the plugin's variable for it";
      return false;
    }
  strcpy (global, load->serial);
  return true;
}

static bool
make_buffers (Legacy *legacy)
{
  for (unsigned i = 0; i < legacy->load.descriptor->n_own; i++)
    {
      uint32_t size = legacy->load.descriptor->own[i].size;

      if (size > 0 && (legacy->own[i].pointer = calloc (1, size)) == NULL)
        return false;
    }
  return true;
}

/* The functions and numbers of its old host that the object gets the address of. */
static void
fill_tables (Legacy *legacy)
{
  const Descriptor *descriptor = legacy->load.descriptor;

  for (unsigned i = 0; i < descriptor->n_tables; i++)
    for (unsigned j = 0; j < descriptor->tables[i].n_words; j++)
      {
        const DescriptorWord *word = &descriptor->tables[i].words[j];

        legacy->tables[i][j] = word->provide >= 0   ? (int64_t)(uintptr_t)legacy->provides[word->provide].code
                               : word->text != NULL ? (int64_t)(uintptr_t)word->text
                                                    : word->integer;
      }
}

bool
legacy_open (Legacy *legacy, const FrameHeader *header, Frame *answer)
{
  const ClientLoad *load = &legacy->load;
  const char *reason = "out of memory";
  char why[200];

  if (!legacy_provide_define (legacy, &reason) || (load->is_to_run && !deliver_before (load, &reason)))
    {
      frame_answer (answer, header, FRAME_STATUS_FAILED, reason);
      return false;
    }
  legacy->object = runner_open_object (legacy->runner, &reason);
  if (legacy->object == NULL)
    {
      frame_answer (answer, header, FRAME_STATUS_UNSUPPORTED, reason);
      return false;
    }
  if (!legacy_symbols_find (legacy, why, sizeof why)
      || !legacy_symbols_check_imports (legacy, why, sizeof why))
    {
      frame_answer (answer, header, FRAME_STATUS_UNSUPPORTED, why);
      return false;
    }
  if (!make_buffers (legacy) || (load->is_to_run && !deliver_after (legacy, &reason)))
    {
      frame_answer (answer, header, FRAME_STATUS_FAILED, reason);
      return false;
    }
  fill_tables (legacy);
  return true;
}
