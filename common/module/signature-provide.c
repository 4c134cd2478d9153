#include "common/module/signature-private.h"

#include <string.h>

/* The name of a [Provide]'s argument that means something, and where its number is kept. */
static int8_t *
find_part (DescriptorProvide *provide, const char *name, DescriptorType type)
{
  bool is_integer = descriptor_type_is_integer (type);

  if (strcmp (name, "text") == 0 && (type == DESCRIPTOR_CSTR || type == DESCRIPTOR_PTR))
    return &provide->text_arg;
  if (strcmp (name, "input") == 0 && type == DESCRIPTOR_CSTR)
    return &provide->text_arg;
  if (strcmp (name, "title") == 0 && type == DESCRIPTOR_CSTR)
    return &provide->title_arg;
  if (strcmp (name, "level") == 0 && is_integer)
    return &provide->level_arg;
  if (strcmp (name, "length") == 0 && is_integer)
    return &provide->length_arg;
  if (strcmp (name, "buffer") == 0 && type == DESCRIPTOR_PTR)
    return &provide->buffer_arg;
  if (strcmp (name, "size") == 0 && is_integer)
    return &provide->size_arg;
  return NULL;
}

static void
read_provide_arg (Reader *reader, DescriptorProvide *provide)
{
  char word[64];
  uint8_t i = provide->n_args++;
  int8_t *part;

  provide->args[i] = reader_type (reader);
  if (provide->args[i] == DESCRIPTOR_VOID || provide->args[i] == DESCRIPTOR_HANDLE
      || provide->args[i] == DESCRIPTOR_LIST)
    reader_refuse (reader, "an imported symbol has no arguments of this type");
  reader_word (reader, word);
  part = find_part (provide, word, provide->args[i]);
  if (part != NULL && *part >= 0)
    reader_refuse (reader, "two arguments are the %s", word);
  else if (part != NULL)
    *part = (int8_t)i;
}

/* A number that the symbol returns; false if there is none. */
static bool
read_returned (Reader *reader, DescriptorProvide *provide)
{
  DescriptorArg number = { .type = provide->result };
  char c = reader_peek (reader);

  if (!reader_is_digit (c) && c != '-')
    return false;
  if (!descriptor_type_is_integer (provide->result) && provide->result != DESCRIPTOR_BOOL)
    reader_refuse (reader, "a number needs an integer result");
  reader_number (reader, &number);
  provide->value = number.integer;
  provide->has_value = true;
  return true;
}

/* What is done with text, and then perhaps a number. */
static void
read_deed (Reader *reader, DescriptorProvide *provide, const char *word)
{
  if (provide->text_arg < 0
      || (provide->args[provide->text_arg] == DESCRIPTOR_PTR && provide->length_arg < 0))
    reader_refuse (reader, "%s needs an argument 'cstr text'", word);
  else if (provide->result != DESCRIPTOR_VOID && !descriptor_type_is_integer (provide->result)
           && provide->result != DESCRIPTOR_BOOL)
    reader_refuse (reader, "%s has no such result", word);
  else
    (void)read_returned (reader, provide);
}

/* The variable that the symbol gives, as text if it is to be copied. */
static void
read_given (Reader *reader, DescriptorProvide *provide, const char *word, DescriptorType type)
{
  const Variable *row = reader_find_variable (reader, word);
  DescriptorArg part = { .type = type };

  if (row == NULL || (!row->is_text && !row->is_integer) || row->variable == DESCRIPTOR_VARIABLE_INPUT)
    {
      reader_refuse (reader, "unknown action '%s'", word);
      return;
    }
  provide->variable = part.variable = row->variable;
  reader_check_use (reader, row);
  if (!row->is_integer && type != DESCRIPTOR_CSTR)
    reader_refuse (reader, "'%s' needs the result cstr", word);
  else if (!row->is_text && !descriptor_type_is_integer (type))
    reader_refuse (reader, "'%s' needs an integer result", word);
  else if (type != DESCRIPTOR_CSTR && !descriptor_type_is_integer (type))
    reader_refuse (reader, "'%s' has no such result", word);
  reader_part (reader, &part);
  provide->time = part.time;
}

/* `copy VARIABLE [NUMBER]` */
static void
read_copy (Reader *reader, DescriptorProvide *provide)
{
  char word[64];

  provide->action = DESCRIPTOR_DO_COPY;
  reader_word (reader, word);
  read_given (reader, provide, word, DESCRIPTOR_CSTR);
  if (provide->buffer_arg < 0 || provide->size_arg < 0)
    reader_refuse (reader, "copy needs the arguments 'ptr buffer' and an integer 'size'");
  else if (provide->result != DESCRIPTOR_VOID && !descriptor_type_is_integer (provide->result)
           && provide->result != DESCRIPTOR_BOOL)
    reader_refuse (reader, "copy has no such result");
  else
    (void)read_returned (reader, provide);
}

/* What the server calls it: begins with one of @first and goes on with @rest. False: there is none here. */
static bool
read_target (Reader *reader, DescriptorProvide *provide, const char *first, const char *rest)
{
  char c = reader_peek (reader);
  size_t length = c != '\0' && strchr (first, c) != NULL ? strspn (reader->next, rest) : 0;

  if (length == 0 || length >= sizeof provide->target)
    return false;
  memcpy (provide->target, reader->next, length);
  reader->next += length;
  return true;
}

static void
read_function (Reader *reader, DescriptorProvide *provide)
{
  static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  static const char rest[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

  provide->action = DESCRIPTOR_DO_FUNCTION;
  if (!read_target (reader, provide, first, rest))
    reader_refuse (reader, "which function? '-> function NAME'");
  else if (provide->result != DESCRIPTOR_CSTR || provide->text_arg < 0
           || provide->args[provide->text_arg] != DESCRIPTOR_CSTR)
    reader_refuse (reader, "a function is 'cstr (cstr input)'");
  else if (!reader->descriptor->calls_functions)
    reader_refuse (reader, "a function needs functions=yes in [Permissions]");
}

static void
read_purchase (Reader *reader, DescriptorProvide *provide)
{
  static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
  static const char rest[] = "abcdefghijklmnopqrstuvwxyz0123456789.-";

  provide->action = DESCRIPTOR_DO_PURCHASE;
  if (!read_target (reader, provide, first, rest))
    reader_refuse (reader, "which item? '-> purchase ITEM'");
  else if (!descriptor_type_is_integer (provide->result))
    reader_refuse (reader, "a purchase needs an integer result");
  else if (!reader->descriptor->asks_purchases)
    reader_refuse (reader, "a purchase needs purchases=yes in [Permissions]");
}

static void
read_action (Reader *reader, DescriptorProvide *provide)
{
  char word[64];

  if (read_returned (reader, provide))
    return;
  reader_word (reader, word);
  if (strcmp (word, "log") == 0)
    {
      provide->action = DESCRIPTOR_DO_LOG;
      read_deed (reader, provide, word);
    }
  else if ((strcmp (word, "notify") == 0 || strcmp (word, "output") == 0) && reader->use == SIGNATURE_PLAIN)
    {
      provide->action = word[0] == 'n' ? DESCRIPTOR_DO_NOTIFY : DESCRIPTOR_DO_OUTPUT;
      read_deed (reader, provide, word);
    }
  else if (strcmp (word, "function") == 0 && reader->use == SIGNATURE_PLAIN)
    read_function (reader, provide);
  else if (strcmp (word, "purchase") == 0 && reader->use == SIGNATURE_PLAIN)
    read_purchase (reader, provide);
  else if (strcmp (word, "copy") == 0)
    read_copy (reader, provide);
  else if (strcmp (word, "ready") == 0 && reader->use == SIGNATURE_PLAIN)
    {
      provide->action = DESCRIPTOR_DO_READY;
      (void)read_returned (reader, provide);
    }
  else if (strcmp (word, "nothing") == 0 && provide->result == DESCRIPTOR_VOID)
    provide->action = DESCRIPTOR_DO_NOTHING;
  else
    {
      provide->action = DESCRIPTOR_DO_VALUE;
      read_given (reader, provide, word, provide->result);
    }
}

const char *
signature_parse_provide (Descriptor *descriptor, char *text, DescriptorProvide *provide, char *why,
                         size_t why_size)
{
  Reader reader = { .descriptor = descriptor,
                    .use = descriptor->is_keygen ? SIGNATURE_KEYGEN : SIGNATURE_PLAIN,
                    .next = text,
                    .why = why,
                    .why_size = why_size };

  provide->text_arg = provide->level_arg = provide->title_arg = -1;
  provide->length_arg = provide->buffer_arg = provide->size_arg = -1;
  provide->result = reader_type (&reader);
  if (provide->result == DESCRIPTOR_HANDLE || provide->result == DESCRIPTOR_LIST)
    reader_refuse (&reader, "an imported symbol cannot return a %s",
                   provide->result == DESCRIPTOR_HANDLE ? "handle" : "list");
  reader_expect (&reader, '(');
  if (!reader_accept (&reader, ')'))
    {
      do
        {
          if (provide->n_args == DESCRIPTOR_MAX_ARGS)
            {
              reader_refuse (&reader, "more than %d arguments", DESCRIPTOR_MAX_ARGS);
              break;
            }
          read_provide_arg (&reader, provide);
        }
      while (reader_accept (&reader, ','));
      reader_expect (&reader, ')');
    }
  reader_expect (&reader, '-');
  reader_expect (&reader, '>');
  read_action (&reader, provide);
  if (reader_peek (&reader) != '\0')
    reader_refuse (&reader, "'%.24s' is behind the end", reader.next);
  return reader.wrong;
}
