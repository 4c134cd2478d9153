#include "plugin-abi/runner/legacy.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

ffi_type *
legacy_ffi_type (DescriptorType type)
{
  switch (type)
    {
    case DESCRIPTOR_VOID:
      return &ffi_type_void;
    case DESCRIPTOR_INT:
      return &ffi_type_sint;
    case DESCRIPTOR_I8:
      return &ffi_type_sint8;
    case DESCRIPTOR_I16:
      return &ffi_type_sint16;
    case DESCRIPTOR_I32:
      return &ffi_type_sint32;
    case DESCRIPTOR_I64:
      return &ffi_type_sint64;
    case DESCRIPTOR_BOOL:
    case DESCRIPTOR_U8:
      return &ffi_type_uint8;
    case DESCRIPTOR_U16:
      return &ffi_type_uint16;
    case DESCRIPTOR_U32:
      return &ffi_type_uint32;
    case DESCRIPTOR_U64:
      return &ffi_type_uint64;
    case DESCRIPTOR_F32:
      return &ffi_type_float;
    case DESCRIPTOR_F64:
      return &ffi_type_double;
    default:
      return &ffi_type_pointer;
    }
}

/* Function pointers come out of dlsym() as data pointers. */
typedef union
{
  void *data;
  void (*function) (void);
  void (*free_text) (void *text);
} Symbol;

static bool
find (Legacy *legacy, const char *name, Symbol *symbol, char *why, size_t why_size)
{
  symbol->data = dlsym (legacy->object, name);
  if (symbol->data == NULL)
    snprintf (why, why_size, "the object has no symbol '%s'", name);
  return symbol->data != NULL;
}

static bool
find_functions (Legacy *legacy, const DescriptorCall *call, LegacyCall *prepared, char *why, size_t why_size)
{
  Symbol symbol;

  /* Functions behind a handle are there when the handle is. */
  if (call->signature.n_slots == 0)
    {
      if (!find (legacy, call->signature.symbol, &symbol, why, why_size))
        return false;
      prepared->function = symbol.function;
    }
  if (call->free_symbol != NULL)
    {
      if (!find (legacy, call->free_symbol, &symbol, why, why_size))
        return false;
      prepared->free_text = symbol.free_text;
    }
  return true;
}

static bool
describe_call (const DescriptorSignature *signature, LegacyCall *prepared, char *why, size_t why_size)
{
  for (unsigned i = 0; i < signature->n_args; i++)
    {
      const DescriptorArg *arg = &signature->args[i];
      bool is_pointer = arg->kind == DESCRIPTOR_ARG_OUT || arg->kind == DESCRIPTOR_ARG_INOUT
                        || arg->kind == DESCRIPTOR_ARG_BUFFER || arg->kind == DESCRIPTOR_ARG_ROOM;

      prepared->types[i] = is_pointer ? &ffi_type_pointer : legacy_ffi_type (arg->type);
    }
  if (ffi_prep_cif (&prepared->cif, FFI_DEFAULT_ABI, signature->n_args, legacy_ffi_type (signature->result),
                    prepared->types)
      == FFI_OK)
    return true;
  snprintf (why, why_size, "'%s' cannot be called on this machine", signature->symbol);
  return false;
}

/* Handles that are variables of the object. */
static bool
find_handles (Legacy *legacy, char *why, size_t why_size)
{
  const Descriptor *descriptor = legacy->load.descriptor;
  Symbol symbol;

  for (unsigned i = 0; i < descriptor->n_own; i++)
    {
      if (descriptor->own[i].symbol == NULL)
        continue;
      if (!find (legacy, descriptor->own[i].symbol, &symbol, why, why_size))
        return false;
      legacy->own[i].pointer = descriptor->own[i].is_content ? *(void **)symbol.data : symbol.data;
    }
  return true;
}

bool
legacy_symbols_find (Legacy *legacy, char *why, size_t why_size)
{
  const Descriptor *descriptor = legacy->load.descriptor;
  Symbol symbol;

  for (unsigned i = 0; i < descriptor->n_calls; i++)
    if (!find_functions (legacy, &descriptor->calls[i], &legacy->calls[i], why, why_size)
        || !describe_call (&descriptor->calls[i].signature, &legacy->calls[i], why, why_size))
      return false;
  if (!find_handles (legacy, why, why_size))
    return false;
  if (descriptor->deliver_global != NULL)
    return find (legacy, descriptor->deliver_global, &symbol, why, why_size);
  return true;
}

/* The parts of a loaded object's dynamic section that say what it imports. */
typedef struct
{
  const ElfW (Sym) * symbols;
  const char *names;
  const ElfW (Rela) * relocations[2];
  size_t bytes[2];
} Imports;

static bool
imports (const Imports *where, const char *name)
{
  for (size_t i = 0; i < 2; i++)
    for (size_t j = 0; j < where->bytes[i] / sizeof (ElfW (Rela)); j++)
      {
        const ElfW (Sym) *symbol = &where->symbols[ELF64_R_SYM (where->relocations[i][j].r_info)];

        if (symbol->st_shndx == SHN_UNDEF && strcmp (where->names + symbol->st_name, name) == 0)
          return true;
      }
  return false;
}

bool
legacy_symbols_check_imports (Legacy *legacy, char *why, size_t why_size)
{
  const Descriptor *descriptor = legacy->load.descriptor;
  struct link_map *map;
  Imports where = { NULL };

  if (dlinfo (legacy->object, RTLD_DI_LINKMAP, &map) != 0)
    {
      snprintf (why, why_size, "%s", dlerror ());
      return false;
    }
  for (const ElfW (Dyn) *entry = map->l_ld; entry->d_tag != DT_NULL; entry++)
    switch (entry->d_tag)
      {
      case DT_SYMTAB:
        where.symbols = (const void *)entry->d_un.d_ptr;
        break;
      case DT_STRTAB:
        where.names = (const void *)entry->d_un.d_ptr;
        break;
      case DT_RELA:
        where.relocations[0] = (const void *)entry->d_un.d_ptr;
        break;
      case DT_RELASZ:
        where.bytes[0] = entry->d_un.d_val;
        break;
      case DT_JMPREL:
        where.relocations[1] = (const void *)entry->d_un.d_ptr;
        break;
      case DT_PLTRELSZ:
        where.bytes[1] = entry->d_un.d_val;
        break;
      default:
        break;
      }
  for (unsigned i = 0; i < descriptor->n_provides; i++)
    if (!descriptor->provides[i].is_callback && !imports (&where, descriptor->provides[i].name))
      {
        snprintf (why, why_size, "the object does not import '%s' of [Provide]",
                  descriptor->provides[i].name);
        return false;
      }
  return true;
}
