#include "common/module/keyfile.h"

#include <string.h>

static bool
is_blank (char c)
{
  return c == ' ' || c == '\t' || c == '\r';
}

/* Drops blanks at both ends of [start, end) and ends it with a NUL. */
static char *
trim (char *start, char *end)
{
  while (start < end && is_blank (*start))
    start++;
  while (end > start && is_blank (end[-1]))
    end--;
  *end = '\0';
  return start;
}

bool
keyfile_is_text (const char *text, size_t length, const char *also)
{
  const unsigned char *p = (const unsigned char *)text;
  const unsigned char *end = p + length;

  while (p < end)
    {
      unsigned char c = *p++;
      unsigned long value;
      int more;

      if (c < 0x80)
        {
          if (c == 0 || ((c < 0x20 || c == 0x7f) && strchr (also, c) == NULL))
            return false;
          continue;
        }
      if (c >= 0xc2 && c <= 0xdf)
        more = 1, value = c & 0x1f;
      else if (c >= 0xe0 && c <= 0xef)
        more = 2, value = c & 0x0f;
      else if (c >= 0xf0 && c <= 0xf4)
        more = 3, value = c & 0x07;
      else
        return false;
      if (end - p < more)
        return false;
      for (int i = 0; i < more; i++, p++)
        {
          if ((*p & 0xc0) != 0x80)
            return false;
          value = value << 6 | (*p & 0x3f);
        }
      if ((more == 2 && value < 0x800) || (more == 3 && (value < 0x10000 || value > 0x10ffff))
          || (value >= 0xd800 && value <= 0xdfff) || (value >= 0x80 && value < 0xa0)
          || (value >= 0x2028 && value <= 0x202e) || (value >= 0x2066 && value <= 0x2069))
        return false;
    }
  return true;
}

void
keyfile_init (Keyfile *keyfile, char *text, size_t length)
{
  memset (keyfile, 0, sizeof *keyfile);
  text[length] = '\0';
  keyfile->next = text;
}

static KeyfileItem
bad (Keyfile *keyfile, const char *why)
{
  keyfile->key = why;
  return KEYFILE_BAD;
}

/* Resolves escapes in place. */
static bool
unescape (char *value)
{
  char *out = value;

  for (const char *in = value; *in != '\0'; in++)
    {
      if (*in != '\\')
        {
          *out++ = *in;
          continue;
        }
      switch (*++in)
        {
        case 's':
          *out++ = ' ';
          break;
        case 'n':
          *out++ = '\n';
          break;
        case 't':
          *out++ = '\t';
          break;
        case 'r':
          *out++ = '\r';
          break;
        case '\\':
          *out++ = '\\';
          break;
        default:
          return false;
        }
    }
  *out = '\0';
  return true;
}

static bool
is_key (const char *key)
{
  if (*key == '\0')
    return false;
  for (; *key != '\0'; key++)
    if (!((*key >= 'a' && *key <= 'z') || (*key >= 'A' && *key <= 'Z') || (*key >= '0' && *key <= '9')
          || *key == '-' || *key == '_' || *key == '.'))
      return false;
  return true;
}

KeyfileItem
keyfile_next (Keyfile *keyfile)
{
  while (*keyfile->next != '\0')
    {
      char *start = keyfile->next;
      size_t length = strcspn (start, "\n");
      char *equals;

      keyfile->next = start + length + (start[length] == '\n');
      keyfile->line++;
      start = trim (start, start + length);
      if (*start == '\0' || *start == '#')
        continue;
      length = strlen (start);
      if (!keyfile_is_text (start, length, "\t"))
        return bad (keyfile, "is not UTF-8 text");

      if (*start == '[')
        {
          if (start[length - 1] != ']' || length < 3 || strpbrk (start + 1, "[]") != start + length - 1)
            return bad (keyfile, "is not a group's head");
          start[length - 1] = '\0';
          keyfile->group = start + 1;
          keyfile->key = NULL;
          return KEYFILE_GROUP;
        }

      equals = strchr (start, '=');
      if (equals == NULL)
        return bad (keyfile, "is neither a group, nor key=value, nor a comment");
      if (keyfile->group == NULL)
        return bad (keyfile, "comes before the first group");
      keyfile->value = trim (equals + 1, start + length);
      keyfile->key = trim (start, equals);
      if (!is_key (keyfile->key))
        return bad (keyfile, "has a key of other characters than letters, digits, '-', '_' and '.'");
      if (!unescape (keyfile->value))
        return bad (keyfile, "has an unknown escape");
      return KEYFILE_ENTRY;
    }
  return KEYFILE_END;
}

char *
keyfile_next_in_list (char **list)
{
  char *start = *list;
  size_t length;

  if (*start == '\0')
    return NULL;
  length = strcspn (start, ";");
  *list = start + length + (start[length] == ';');
  return trim (start, start + length);
}
