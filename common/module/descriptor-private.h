/* What the parts of the descriptor's reader share. Others use descriptor.h. */
#pragma once

#include "common/module/descriptor.h"

#define PARSER_MAX_ENTRIES 512
#define PARSER_MAX_ERRORS  50

/* One line of the file. Groups are read in the order of their meaning, whatever their order in the file, so
 * all lines are taken in first. */
typedef struct
{
  const char *group;
  const char *key;
  char *value;
  unsigned line; /* 0: none, what is wrong is that it is not there */
} Entry;

typedef struct
{
  const char *file;
  Descriptor *descriptor;
  DescriptorFound found;
  void *data;
  bool is_bad;       /* the entry at hand */
  unsigned n_errors; /* all of them */
  unsigned n_entries;
  Entry entries[PARSER_MAX_ENTRIES];
} Parser;

/* Says what is wrong with @entry (nullable), unless something was already. */
void parser_refuse (Parser *parser, const Entry *entry, const char *format, ...)
    __attribute__ ((format (printf, 3, 4)));

/* Whether @text is [a-z0-9][a-z0-9.-]* of at most @max characters. */
bool parser_is_id (const char *text, size_t max);
/* The entry's value, one line of text of at most @max bytes. */
const char *parser_read_line (Parser *parser, const Entry *entry, size_t max);
uint64_t parser_read_number (Parser *parser, const Entry *entry, uint64_t min, uint64_t max);
bool parser_read_yes_no (Parser *parser, const Entry *entry);

/* descriptor-calls.c: the groups that say how the object is called. Prefixes of groups' names end in a
 * blank. */
void parser_read_provide (Parser *parser, Entry *entry);
void parser_read_handle (Parser *parser, Entry *entry);
void parser_read_table (Parser *parser, Entry *entry);
void parser_read_symbol (Parser *parser, Entry *entry);
void parser_read_command (Parser *parser, Entry *entry);
void parser_read_phase (Parser *parser, Entry *entry);
void parser_read_rule (Parser *parser, Entry *entry);
/* `free=` and `show=` of a command, when all calls are known. */
void parser_read_command_rest (Parser *parser, Entry *entry);
/* What can only be judged when everything is read. */
void parser_check_calls (Parser *parser);
