#include "plugin-abi/check/object.h"

#include <elf.h>
#include <string.h>

/* A vendor's object has hundreds; a table of more is not read. */
#define MAX_SYMBOLS 200000

#if defined(__x86_64__)
#define THIS_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define THIS_MACHINE EM_AARCH64
#else
#error "which machine is this?"
#endif

/* The file, of which every part that is looked at was asked for here. */
typedef struct
{
  const guint8 *bytes;
  gsize length;
} File;

/* @size bytes at @offset, or NULL if they are not there. */
static const guint8 *
get_part (const File *file, guint64 offset, guint64 size)
{
  return offset <= file->length && size <= file->length - offset ? file->bytes + offset : NULL;
}

static gboolean
copy_part (const File *file, guint64 offset, void *to, gsize size)
{
  const guint8 *part = get_part (file, offset, size);
  if (part != NULL)
    memcpy (to, part, size);
  return part != NULL;
}

static const char *
judge_header (const File *file, Elf64_Ehdr *header)
{
  if (!copy_part (file, 0, header, sizeof *header) || memcmp (header->e_ident, ELFMAG, SELFMAG) != 0)
    return "it is no ELF file";
  if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB)
    return "it is not of 64 bits";
  if (header->e_machine != THIS_MACHINE)
    return "it was built for another machine";
  if (header->e_type != ET_DYN)
    return "it is no shared object";
  if (header->e_shentsize != sizeof (Elf64_Shdr))
    return "its section headers are missing: do not strip those";
  return NULL;
}

/* The name at @index of a table of names, which must end in it. */
static const char *
get_name (const File *file, const Elf64_Shdr *names, guint64 index)
{
  if (index >= names->sh_size)
    return NULL;
  const guint8 *name = get_part (file, names->sh_offset, names->sh_size);
  return name != NULL && memchr (name + index, '\0', names->sh_size - index) != NULL
             ? (const char *)name + index
             : NULL;
}

static gboolean
read_symbols (Object *object, const File *file, const Elf64_Shdr *table, const Elf64_Shdr *names)
{
  guint64 n = table->sh_size / sizeof (Elf64_Sym);
  if (n > MAX_SYMBOLS)
    return FALSE;
  for (guint64 i = 1; i < n; i++)
    {
      Elf64_Sym symbol;
      if (!copy_part (file, table->sh_offset + i * sizeof symbol, &symbol, sizeof symbol))
        return FALSE;
      const char *name = get_name (file, names, symbol.st_name);
      if (name == NULL)
        return FALSE;
      guint binding = ELF64_ST_BIND (symbol.st_info);
      if (symbol.st_shndx != SHN_UNDEF)
        g_ptr_array_add (object->exports, g_strdup (name));
      else if (binding != STB_WEAK)
        g_ptr_array_add (object->imports, g_strdup (name));
    }
  return TRUE;
}

static gboolean
read_dynamic (Object *object, const File *file, const Elf64_Shdr *table, const Elf64_Shdr *names)
{
  guint64 n = MIN (table->sh_size / sizeof (Elf64_Dyn), 4096);
  for (guint64 i = 0; i < n; i++)
    {
      Elf64_Dyn entry;
      if (!copy_part (file, table->sh_offset + i * sizeof entry, &entry, sizeof entry))
        return FALSE;
      if (entry.d_tag == DT_NULL)
        break;
      if (entry.d_tag == DT_NEEDED)
        {
          const char *name = get_name (file, names, entry.d_un.d_val);
          if (name == NULL)
            return FALSE;
          g_ptr_array_add (object->needed, g_strdup (name));
        }
      object->is_bound_now |= entry.d_tag == DT_BIND_NOW
                              || (entry.d_tag == DT_FLAGS && (entry.d_un.d_val & DF_BIND_NOW))
                              || (entry.d_tag == DT_FLAGS_1 && (entry.d_un.d_val & DF_1_NOW));
    }
  return TRUE;
}

static gboolean
read_sections (Object *object, const File *file, const Elf64_Ehdr *header, gboolean *has_symbols)
{
  for (guint i = 0; i < header->e_shnum; i++)
    {
      Elf64_Shdr section, names;
      if (!copy_part (file, header->e_shoff + (guint64)i * sizeof section, &section, sizeof section))
        return FALSE;
      if (section.sh_type != SHT_DYNSYM && section.sh_type != SHT_DYNAMIC)
        continue;
      if (section.sh_link >= header->e_shnum
          || !copy_part (file, header->e_shoff + (guint64)section.sh_link * sizeof names, &names,
                         sizeof names)
          || get_part (file, section.sh_offset, section.sh_size) == NULL)
        return FALSE;
      *has_symbols |= section.sh_type == SHT_DYNSYM;
      if (section.sh_type == SHT_DYNSYM ? !read_symbols (object, file, &section, &names)
                                        : !read_dynamic (object, file, &section, &names))
        return FALSE;
    }
  return TRUE;
}

Object *
object_read (const guint8 *bytes, gsize length, char **why)
{
  const File file = { bytes, length };
  Elf64_Ehdr header;
  gboolean has_symbols = FALSE;
  const char *reason = judge_header (&file, &header);
  g_autoptr (Object) object = g_new0 (Object, 1);
  object->needed = g_ptr_array_new_with_free_func (g_free);
  object->imports = g_ptr_array_new_with_free_func (g_free);
  object->exports = g_ptr_array_new_with_free_func (g_free);

  if (reason == NULL && !read_sections (object, &file, &header, &has_symbols))
    reason = "its tables lead out of the file";
  else if (reason == NULL && !has_symbols)
    reason = "it has no table of symbols";
  if (reason != NULL)
    {
      *why = g_strdup (reason);
      return NULL;
    }
  return g_steal_pointer (&object);
}

void
object_free (Object *object)
{
  g_ptr_array_unref (object->needed);
  g_ptr_array_unref (object->imports);
  g_ptr_array_unref (object->exports);
  g_free (object);
}

gboolean
object_exports (const Object *object, const char *symbol)
{
  return g_ptr_array_find_with_equal_func (object->exports, symbol, g_str_equal, NULL);
}
