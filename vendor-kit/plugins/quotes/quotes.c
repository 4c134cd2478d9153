/* libquotes: quotations from the Porch, served by subscription. See README. */
#include <netdb.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/core_names.h>
#include <openssl/sha.h>

#include "quotes.h"

/* The application that loads us gives us these. */
extern const char *host_get_serial (void);
extern void host_log (int level, const char *text);

#define MAX_REPLY 16384

struct Quotes
{
  char host[256];
  unsigned short port;
  char session[65];
  char error[200];
};

/* The public half of the key that serials are signed with: an uncompressed point on P-256. */
static const unsigned char vendor_key[65]
    = { 0x04, 0x27, 0x5c, 0x36, 0x75, 0x4e, 0xe8, 0x2e, 0xda, 0x7e, 0x73, 0x80, 0x8f, 0xdc, 0xce, 0xe4, 0xee,
        0xcb, 0x27, 0x1c, 0xf4, 0x46, 0xb5, 0xde, 0xdd, 0xaf, 0xc8, 0xb9, 0x3f, 0x8e, 0x7e, 0xbe, 0x2d, 0x70,
        0x32, 0x43, 0xb6, 0x5c, 0x69, 0x96, 0x78, 0x4d, 0x54, 0x4f, 0x40, 0x3b, 0xea, 0xac, 0xba, 0x1e, 0x70,
        0x57, 0x97, 0x22, 0x38, 0x65, 0x57, 0x88, 0x49, 0x52, 0x52, 0x9e, 0xa7, 0x59, 0x8b };

static unsigned __attribute__ ((format (printf, 3, 4)))
fail (struct Quotes *quotes, unsigned code, const char *format, ...)
{
  va_list arguments;

  va_start (arguments, format);
  vsnprintf (quotes->error, sizeof quotes->error, format, arguments);
  va_end (arguments);
  return code;
}

HQUOTES
QuotesOpen (const char *host, unsigned short port)
{
  struct Quotes *quotes;

  if (host == NULL || strlen (host) >= sizeof quotes->host || port == 0)
    return NULL;
  quotes = calloc (1, sizeof *quotes);
  if (quotes == NULL)
    return NULL;
  strcpy (quotes->host, host);
  quotes->port = port;
  host_log (6, "libquotes 1.4 is ready");
  return quotes;
}

void
QuotesClose (HQUOTES quotes)
{
  free (quotes);
}

const char *
QuotesErrorText (HQUOTES quotes)
{
  return quotes->error;
}

/* ---- serials ---- */

/* base64url without padding; the number of bytes, or -1. */
static int
decode (const char *text, size_t length, unsigned char *out, size_t room)
{
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  uint32_t bits = 0;
  int n_bits = 0;
  size_t n = 0;

  for (size_t i = 0; i < length; i++)
    {
      const char *place = text[i] != '\0' ? strchr (letters, text[i]) : NULL;

      if (place == NULL)
        return -1;
      bits = bits << 6 | (uint32_t)(place - letters);
      n_bits += 6;
      if (n_bits >= 8)
        {
          n_bits -= 8;
          if (n == room)
            return -1;
          out[n++] = (unsigned char)(bits >> n_bits);
        }
    }
  return (int)n;
}

static EVP_PKEY *
read_key (void)
{
  OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new ();
  EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name (NULL, "EC", NULL);
  OSSL_PARAM *parameters = NULL;
  EVP_PKEY *key = NULL;

  if (builder != NULL && context != NULL
      && OSSL_PARAM_BLD_push_utf8_string (builder, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) == 1
      && OSSL_PARAM_BLD_push_octet_string (builder, OSSL_PKEY_PARAM_PUB_KEY, vendor_key, sizeof vendor_key)
             == 1
      && (parameters = OSSL_PARAM_BLD_to_param (builder)) != NULL && EVP_PKEY_fromdata_init (context) == 1)
    (void)EVP_PKEY_fromdata (context, &key, EVP_PKEY_PUBLIC_KEY, parameters);
  OSSL_PARAM_free (parameters);
  OSSL_PARAM_BLD_free (builder);
  EVP_PKEY_CTX_free (context);
  return key;
}

/* Whether the 64 bytes r || s sign the payload. */
static int
is_signed (const unsigned char *payload, size_t length, const unsigned char signature[64])
{
  ECDSA_SIG *pair = ECDSA_SIG_new ();
  EVP_MD_CTX *digest = EVP_MD_CTX_new ();
  EVP_PKEY *key = read_key ();
  unsigned char *der = NULL;
  int der_length = 0, good = 0;

  if (pair != NULL
      && ECDSA_SIG_set0 (pair, BN_bin2bn (signature, 32, NULL), BN_bin2bn (signature + 32, 32, NULL)) == 1)
    der_length = i2d_ECDSA_SIG (pair, &der);
  if (key != NULL && digest != NULL && der_length > 0
      && EVP_DigestVerifyInit (digest, NULL, EVP_sha256 (), NULL, key) == 1)
    good = EVP_DigestVerify (digest, der, (size_t)der_length, payload, length) == 1;
  OPENSSL_free (der);
  EVP_PKEY_free (key);
  EVP_MD_CTX_free (digest);
  ECDSA_SIG_free (pair);
  return good;
}

unsigned
QuotesVerify (HQUOTES quotes, const char *user, unsigned *last_day)
{
  const char *serial = host_get_serial ();
  const char *dot = serial != NULL ? strchr (serial, '.') : NULL;
  unsigned char payload[1024], signature[64];
  char *fields[5], *next;
  long long expires;
  int length;
  time_t until;
  struct tm day;

  *last_day = 0;
  if (dot == NULL || (length = decode (serial, (size_t)(dot - serial), payload, sizeof payload - 1)) <= 0
      || decode (dot + 1, strlen (dot + 1), signature, sizeof signature) != 64
      || !is_signed (payload, (size_t)length, signature))
    return fail (quotes, QUOTES_BAD_SERIAL, "this serial was not made by us");
  payload[length] = '\0';
  next = (char *)payload;
  for (int i = 0; i < 5; i++)
    {
      fields[i] = strsep (&next, "|");
      if (fields[i] == NULL)
        return fail (quotes, QUOTES_BAD_SERIAL, "this serial is incomplete");
    }
  if (strcmp (fields[0], "1") != 0 || strcmp (fields[1], "quotes") != 0)
    return fail (quotes, QUOTES_BAD_SERIAL, "this serial is for another product");
  if (strcmp (fields[2], user) != 0)
    return fail (quotes, QUOTES_NOT_YOURS, "this serial is somebody else's");
  expires = atoll (fields[3]);
  if (expires == 0)
    return QUOTES_FINE;
  until = (time_t)expires;
  if (gmtime_r (&until, &day) != NULL)
    *last_day = (unsigned)((day.tm_year + 1900) * 10000 + (day.tm_mon + 1) * 100 + day.tm_mday);
  if (expires < (long long)time (NULL))
    return fail (quotes, QUOTES_OVER, "the subscription ended on %u", *last_day);
  return QUOTES_FINE;
}

/* ---- the server ---- */

static int
dial (struct Quotes *quotes)
{
  struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
  struct addrinfo *list, *item;
  char port[8];
  int fd = -1;

  snprintf (port, sizeof port, "%u", quotes->port);
  if (getaddrinfo (quotes->host, port, &hints, &list) != 0)
    return -1;
  for (item = list; item != NULL && fd < 0; item = item->ai_next)
    {
      fd = socket (item->ai_family, item->ai_socktype, item->ai_protocol);
      if (fd >= 0 && connect (fd, item->ai_addr, item->ai_addrlen) != 0)
        {
          close (fd);
          fd = -1;
        }
    }
  freeaddrinfo (list);
  return fd;
}

/* One request on a connection of its own: its status (0: none) and, in reply, its body. */
static int
exchange (struct Quotes *quotes, const char *request, char reply[MAX_REPLY])
{
  FILE *stream;
  char line[1024];
  int status = 0;
  size_t length;
  int fd = dial (quotes);

  if (fd < 0)
    return 0;
  stream = fdopen (fd, "r+");
  if (stream == NULL)
    {
      close (fd);
      return 0;
    }
  if (fputs (request, stream) == EOF || fflush (stream) != 0 || fgets (line, sizeof line, stream) == NULL
      || sscanf (line, "HTTP/%*s %d", &status) != 1)
    {
      fclose (stream);
      return 0;
    }
  while (fgets (line, sizeof line, stream) != NULL && strcmp (line, "\r\n") != 0)
    ;
  length = fread (reply, 1, MAX_REPLY - 1, stream);
  while (length > 0 && (reply[length - 1] == '\n' || reply[length - 1] == '\r'))
    length--;
  reply[length] = '\0';
  fclose (stream);
  return status;
}

unsigned
QuotesLogin (HQUOTES quotes)
{
  const char *serial = host_get_serial ();
  char request[2048], reply[MAX_REPLY];
  const char *found;
  size_t length;

  quotes->session[0] = '\0';
  if (serial == NULL || strlen (serial) > 1000 || strpbrk (serial, "\"\\\n") != NULL)
    return fail (quotes, QUOTES_BAD_SERIAL, "there is no serial");
  snprintf (
      request, sizeof request,
      "POST /v1/session HTTP/1.0\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n"
      "{\"serial\":\"%s\"}",
      quotes->host, strlen (serial) + 13, serial);
  switch (exchange (quotes, request, reply))
    {
    case 200:
      break;
    case 401:
      return fail (quotes, QUOTES_BAD_SERIAL, "the library does not know this serial");
    case 403:
      return fail (quotes, QUOTES_OVER, "the subscription is over");
    default:
      return fail (quotes, QUOTES_NO_SERVER, "the library is closed");
    }
  found = strstr (reply, "\"session\"");
  found = found != NULL ? strchr (found + 9, '"') : NULL;
  length = found != NULL ? strcspn (found + 1, "\"") : 0;
  if (length < 1 || length >= sizeof quotes->session)
    return fail (quotes, QUOTES_NO_SERVER, "the library speaks in riddles");
  memcpy (quotes->session, found + 1, length);
  quotes->session[length] = '\0';
  host_log (6, "logged in");
  return QUOTES_FINE;
}

char *
QuotesGet (HQUOTES quotes, const char *topic)
{
  char request[1024], reply[MAX_REPLY], escaped[301];
  size_t n = 0;
  int status;

  while (*topic == ' ')
    topic++;
  for (; *topic != '\0' && n + 3 < sizeof escaped; topic++)
    n += (size_t)sprintf (escaped + n, "%%%02x", (unsigned char)*topic);
  escaped[n] = '\0';
  for (int attempt = 0; attempt < 2; attempt++)
    {
      snprintf (request, sizeof request,
                "GET /v1/quote?topic=%s HTTP/1.0\r\nHost: %s\r\nX-Session: %s\r\n\r\n", escaped, quotes->host,
                quotes->session);
      status = exchange (quotes, request, reply);
      if (status == 200)
        return strdup (reply);
      if (status != 401 || QuotesLogin (quotes) != QUOTES_FINE)
        break;
    }
  if (status == 404)
    (void)fail (quotes, 0, "nobody said anything about that");
  else if (status != 401)
    (void)fail (quotes, 0, "the library is closed");
  return NULL;
}

void
QuotesFree (char *text)
{
  free (text);
}
