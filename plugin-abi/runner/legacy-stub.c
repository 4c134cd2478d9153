#include "plugin-abi/runner/legacy-stub.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The file, in order: headers, hash table, symbols, their names, jumps | page | dynamic section, table. The
 * first part is mapped readable and executable, the second readable and writable. */
#define PAGE      4096u
#define MAX_NAMES 32u

#if defined __x86_64__
#define MACHINE   EM_X86_64
#define JUMP_SIZE 16u

/* endbr64; jmp *distance(%rip) */
static bool
write_jump (uint8_t *jump, int64_t distance)
{
  const uint8_t code[] = { 0xf3, 0x0f, 0x1e, 0xfa, 0xff, 0x25 };
  int32_t relative = (int32_t)(distance - 10);

  memcpy (jump, code, sizeof code);
  memcpy (jump + sizeof code, &relative, sizeof relative);
  return true;
}
#elif defined __aarch64__
#define MACHINE   EM_AARCH64
#define JUMP_SIZE 16u

/* bti c; ldr x16, distance; br x16 */
static bool
write_jump (uint8_t *jump, int64_t distance)
{
  uint32_t code[] = { 0xd503245f, 0x58000010, 0xd61f0200 };

  code[1] |= ((uint32_t)((distance - 4) / 4) & 0x7ffff) << 5;
  memcpy (jump, code, sizeof code);
  return true;
}
#else
#define MACHINE   EM_NONE
#define JUMP_SIZE 16u

static bool
write_jump (uint8_t *jump, int64_t distance)
{
  return false;
}
#endif

typedef struct
{
  ElfW (Ehdr) header;
  ElfW (Phdr) segments[4];
  /* DT_HASH with one bucket: count of buckets and chains, the bucket, a chain through all symbols */
  uint32_t hash[3 + MAX_NAMES + 1];
  ElfW (Sym) symbols[MAX_NAMES + 1];
  uint8_t jumps[MAX_NAMES][JUMP_SIZE];
  char names[]; /* up to two pages */
} Code;

typedef struct
{
  ElfW (Dyn) dynamic[6];
  void *table[MAX_NAMES];
} Data;

/* More than the longest descriptor's names take. */
#define IMAGE_SIZE (16 * PAGE)

bool
legacy_stub_open (LegacyStub *stub)
{
  *stub = (LegacyStub){ .fd = memfd_create ("host-symbols", MFD_CLOEXEC) };
  if (stub->fd < 0 || ftruncate (stub->fd, IMAGE_SIZE) != 0)
    return false;
  stub->image = mmap (NULL, IMAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, stub->fd, 0);
  return stub->image != MAP_FAILED;
}

void
legacy_stub_close (LegacyStub *stub)
{
  (void)munmap (stub->image, IMAGE_SIZE);
  close (stub->fd);
  *stub = (LegacyStub){ .fd = -1 };
}

static void
set_segment (ElfW (Phdr) * segment, uint32_t type, uint32_t flags, size_t offset, size_t size)
{
  segment->p_type = type;
  segment->p_flags = flags;
  segment->p_offset = segment->p_vaddr = segment->p_paddr = offset;
  segment->p_filesz = segment->p_memsz = size;
  segment->p_align = type == PT_LOAD ? PAGE : 8;
}

static void
set_dynamic (ElfW (Dyn) * entry, int64_t tag, size_t value)
{
  entry->d_tag = tag;
  entry->d_un.d_val = value;
}

/* Lays the object out in @image; the data begin at @data_at. */
static bool
build (uint8_t *image, size_t data_at, const char *const *names, size_t n)
{
  Code *code = (Code *)(void *)image;
  Data *data = (Data *)(void *)(image + data_at);
  size_t names_size = 1;

  memcpy (code->header.e_ident, ELFMAG, SELFMAG);
  code->header.e_ident[EI_CLASS] = ELFCLASS64;
  code->header.e_ident[EI_DATA] = ELFDATA2LSB;
  code->header.e_ident[EI_VERSION] = EV_CURRENT;
  code->header.e_type = ET_DYN;
  code->header.e_machine = MACHINE;
  code->header.e_version = EV_CURRENT;
  code->header.e_ehsize = sizeof code->header;
  code->header.e_phoff = offsetof (Code, segments);
  code->header.e_phentsize = sizeof (ElfW (Phdr));
  code->header.e_phnum = 4;

  code->hash[0] = 1;
  code->hash[1] = (uint32_t)n + 1;
  code->hash[2] = 1;
  for (size_t i = 0; i < n; i++)
    {
      ElfW (Sym) *symbol = &code->symbols[i + 1];
      size_t jump_at = offsetof (Code, jumps) + i * JUMP_SIZE;

      code->hash[3 + i + 1] = i + 1 < n ? (uint32_t)i + 2 : 0;
      symbol->st_name = (uint32_t)names_size;
      symbol->st_info = (STB_GLOBAL << 4) | STT_FUNC;
      symbol->st_shndx = 1;
      symbol->st_value = jump_at;
      symbol->st_size = JUMP_SIZE;
      memcpy (code->names + names_size, names[i], strlen (names[i]) + 1);
      names_size += strlen (names[i]) + 1;
      if (!write_jump (code->jumps[i],
                       (int64_t)(data_at + offsetof (Data, table) + i * sizeof (void *)) - (int64_t)jump_at))
        return false;
    }

  set_segment (&code->segments[0], PT_LOAD, PF_R | PF_X, 0, sizeof *code + names_size);
  set_segment (&code->segments[1], PT_LOAD, PF_R | PF_W, data_at, sizeof *data);
  set_segment (&code->segments[2], PT_DYNAMIC, PF_R | PF_W, data_at, sizeof data->dynamic);
  set_segment (&code->segments[3], PT_GNU_STACK, PF_R | PF_W, 0, 0);
  set_dynamic (&data->dynamic[0], DT_HASH, offsetof (Code, hash));
  set_dynamic (&data->dynamic[1], DT_SYMTAB, offsetof (Code, symbols));
  set_dynamic (&data->dynamic[2], DT_SYMENT, sizeof (ElfW (Sym)));
  set_dynamic (&data->dynamic[3], DT_STRTAB, offsetof (Code, names));
  set_dynamic (&data->dynamic[4], DT_STRSZ, names_size);
  set_dynamic (&data->dynamic[5], DT_NULL, 0);
  return true;
}

void **
legacy_stub_load (LegacyStub *stub, const char *const *names, size_t n, const char **reason)
{
  size_t size = sizeof (Code) + 1, data_at;
  struct link_map *map = NULL;
  void *object;
  char path[32];

  for (size_t i = 0; i < n; i++)
    size += strlen (names[i]) + 1;
  data_at = (size + PAGE - 1) / PAGE * PAGE;
  if (n > MAX_NAMES || data_at + sizeof (Data) > IMAGE_SIZE || !build (stub->image, data_at, names, n))
    {
      *reason = "imported host symbols are not supported on this machine";
      return NULL;
    }
  snprintf (path, sizeof path, "/proc/self/fd/%d", stub->fd);
  object = dlopen (path, RTLD_NOW | RTLD_GLOBAL);
  if (object == NULL || dlinfo (object, RTLD_DI_LINKMAP, &map) != 0)
    {
      *reason = dlerror ();
      return NULL;
    }
  return ((Data *)(map->l_addr + data_at))->table;
}
