#include <dlfcn.h>
#include <expat.h>

/* COMPAT: Debian's expat puts the end of a large element off until more bytes come, and libstrophe does not tell
 * its parser otherwise: an answer of some kilobytes, whose last byte is there, was not seen until the server had
 * something else to say. These stand before expat's own in every program of the client (meson.build compiles
 * this file into each), so libstrophe's parsers come by them. A reset puts the default back. */

XML_Parser
XML_ParserCreate_MM (const XML_Char *encoding, const XML_Memory_Handling_Suite *memory,
                     const XML_Char *separator)
{
  XML_Parser (*create) (const XML_Char *, const XML_Memory_Handling_Suite *, const XML_Char *);
  *(void **)&create = dlsym (RTLD_NEXT, "XML_ParserCreate_MM");
  XML_Parser parser = create (encoding, memory, separator);
  if (parser != NULL)
    XML_SetReparseDeferralEnabled (parser, XML_FALSE);
  return parser;
}

XML_Bool
XML_ParserReset (XML_Parser parser, const XML_Char *encoding)
{
  XML_Bool (*reset) (XML_Parser, const XML_Char *);
  *(void **)&reset = dlsym (RTLD_NEXT, "XML_ParserReset");
  XML_Bool is_done = reset (parser, encoding);
  XML_SetReparseDeferralEnabled (parser, XML_FALSE);
  return is_done;
}
