/* The cursor that reads signatures. Part of common/module/signature*.c. */
#pragma once

#include "common/module/signature.h"

/* The reader: a cursor that remembers the first thing that was wrong, after which it reads nothing more. */
typedef struct
{
  Descriptor *descriptor;
  SignatureUse use;
  char *next;
  const char *wrong;
  char *why;
  size_t why_size;
} Reader;

typedef struct
{
  const char *name;
  DescriptorVariable variable;
  unsigned uses;
  bool is_text, is_integer;
} Variable;

void reader_refuse (Reader *reader, const char *format, ...) __attribute__ ((format (printf, 2, 3)));
/* The next character behind blanks; NUL at the end, and when something was wrong. */
char reader_peek (Reader *reader);
bool reader_accept (Reader *reader, char c);
void reader_expect (Reader *reader, char c);
/* Copies the next word into @word; "" if there is none. */
void reader_word (Reader *reader, char word[64]);
DescriptorType reader_type (Reader *reader);
/* A literal number of @arg's type. */
void reader_number (Reader *reader, DescriptorArg *arg);
bool reader_is_digit (char c);

/* NULL: the word is no variable here, and may be a name of the descriptor's own. */
const Variable *reader_find_variable (const Reader *reader, const char *word);
/* Refuses a variable that the use at hand does not have. */
void reader_check_use (Reader *reader, const Variable *row);
/* What follows a variable behind a colon: the form of a time, a word of the input. */
void reader_part (Reader *reader, DescriptorArg *arg);
