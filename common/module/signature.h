/* The signatures in a descriptor: `int CheckSerial (cstr user, cstr serial, i32 0, out i64 expires)`.
 *
 *   signature = type symbol [ "[" slot "]" [ "[" slot "]" ] ] "(" [ arg *( "," arg ) ] ")"
 *   provide   = type "(" [ type [name] *( "," type [name] ) ] ")" "->" action
 *
 * Part of the descriptor's reader; nothing else includes this. */
#pragma once

#include "common/module/descriptor.h"

typedef enum
{
  SIGNATURE_PLAIN,   /* a phase or step: neither input nor output */
  SIGNATURE_COMMAND, /* has input and output */
  SIGNATURE_MESSAGE, /* has code and output */
  SIGNATURE_FREE,    /* takes back the output */
  SIGNATURE_KEYGEN,  /* every call of a keygen: has what it is asked for, and output */
} SignatureUse;

/* Reads @text into @signature; names of its own are entered in @descriptor's `own`, callbacks are looked up
 * in its `provides`. @text is cut up in place. NULL, or what is wrong, in @why's bytes or static. */
const char *signature_parse (Descriptor *descriptor, SignatureUse use, char *text,
                             DescriptorSignature *signature, char *why, size_t why_size);
/* The same for a line of [Provide]; everything of @provide but its name. */
const char *signature_parse_provide (Descriptor *descriptor, char *text, DescriptorProvide *provide,
                                     char *why, size_t why_size);
/* One word of a [Table]. */
const char *signature_parse_word (Descriptor *descriptor, char *text, DescriptorWord *word, char *why,
                                  size_t why_size);
/* Whether @text is the name of a variable somewhere in this descriptor. */
bool signature_is_variable (const Descriptor *descriptor, const char *text);
/* Whether @text is a C identifier. */
bool signature_is_symbol (const char *text);
/* A decimal integer and nothing else. */
bool signature_read_integer (const char *text, int64_t *value);
