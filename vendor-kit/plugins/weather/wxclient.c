/* Nimbus Weather client library. */
#include "wxclient.h"

#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SESSION_LEN 64
#define REPLY_MAX   8192

static char server_host[256] = "127.0.0.1";
static int server_port = 7443;
static char session[SESSION_LEN + 1];
static char login_user[101], login_serial[101]; /* to log in again when the server has forgotten us */

static const char key[] = "cumulonimbus-1998";
static const char alphabet[] = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
static const unsigned char shuffle[15] = { 14, 3, 9, 0, 11, 6, 1, 13, 4, 8, 2, 12, 7, 10, 5 };

int
weather_set_server (const char *host, int port)
{
  if (host == NULL || *host == '\0' || strlen (host) >= sizeof server_host || port < 1 || port > 65535)
    return WX_E_ARGUMENT;
  strcpy (server_host, host);
  server_port = port;
  return WX_OK;
}

int
weather_init (const char *datadir)
{
  char path[1024], line[512], host[256];
  FILE *file;
  int port = server_port;

  strcpy (host, server_host);
  session[0] = '\0';
  if (datadir == NULL || strlen (datadir) > sizeof path - 32)
    return WX_E_ARGUMENT;
  sprintf (path, "%s/weather.conf", datadir);
  file = fopen (path, "r");
  if (file == NULL)
    return WX_OK;
  while (fgets (line, sizeof line, file) != NULL)
    {
      if (sscanf (line, "server=%255[^\r\n]", host) == 1)
        continue;
      if (strncmp (line, "port=", 5) == 0)
        port = atoi (line + 5);
    }
  fclose (file);
  return weather_set_server (host, port) == WX_OK ? WX_OK : WX_E_DATA;
}

/* ---- serials ---- */

static int
decode (const char *text, unsigned char out[15])
{
  unsigned int bits = 0, value = 0, n = 0;
  const char *place;

  memset (out, 0, 15);
  for (; *text != '\0'; text++)
    {
      if (*text == '-')
        continue;
      place = strchr (alphabet, toupper ((unsigned char)*text));
      if (place == NULL || n == 15)
        return 0;
      value = (value << 5) | (unsigned int)(place - alphabet);
      bits += 5;
      if (bits >= 8)
        {
          bits -= 8;
          out[n++] = (unsigned char)(value >> bits);
          value &= (1u << bits) - 1;
        }
    }
  return n == 15 && bits == 0;
}

static unsigned int h, g;

static void
stir (unsigned char c)
{
  h = (h ^ c) * 16777619u;
  g = ((g << 5) | (g >> 27)) + (h ^ c);
}

static void
checksum (const char *user, const unsigned char *b, unsigned char sum[5])
{
  unsigned int v;
  int i;

  h = 0x811C9DC5u;
  g = 0x9E3779B9u;
  for (i = 0; key[i] != '\0'; i++)
    stir ((unsigned char)key[i]);
  for (i = 0; user[i] != '\0'; i++)
    stir ((unsigned char)user[i]);
  stir (0);
  for (i = 0; i < 10; i++)
    stir (b[i]);
  v = h ^ ((g << 13) | (g >> 19));
  sum[0] = (unsigned char)(v >> 24);
  sum[1] = (unsigned char)(v >> 16);
  sum[2] = (unsigned char)(v >> 8);
  sum[3] = (unsigned char)v;
  sum[4] = (unsigned char)((g >> 24) ^ (g & 0xFF));
}

int
CheckSerial (const char *user, const char *serial, int flags, long long *expires)
{
  unsigned char out[15], b[15], sum[5];
  unsigned int s;
  long long days, last;
  int i;

  if (user == NULL || serial == NULL || flags != 0)
    return WX_E_ARGUMENT;
  if (!decode (serial, out))
    return WX_E_SERIAL;
  for (i = 0; i < 15; i++)
    b[shuffle[i]] = out[i];
  s = b[14];
  for (i = 0; i < 14; i++)
    {
      s = s * 1103515245u + 12345u;
      b[i] ^= (unsigned char)(s >> 16);
    }
  checksum (user, b, sum);
  if (b[0] != 0x57 || memcmp (sum, b + 10, 5) != 0)
    return WX_E_SERIAL;
  days = b[1] << 8 | b[2];
  if (days == 0xFFFF)
    {
      if (expires != NULL)
        *expires = 0;
      return WX_OK;
    }
  last = 946684800LL + (days + 1) * 86400 - 1;
  if (expires != NULL)
    *expires = last;
  return last < (long long)time (NULL) ? WX_E_EXPIRED : WX_OK;
}

/* ---- the server ---- */

static int
open_connection (void)
{
  struct hostent *host = gethostbyname (server_host);
  struct sockaddr_in to;
  struct timeval patience = { 10, 0 };
  int s;

  if (host == NULL || host->h_addrtype != AF_INET)
    return -1;
  memset (&to, 0, sizeof to);
  to.sin_family = AF_INET;
  to.sin_port = htons ((unsigned short)server_port);
  memcpy (&to.sin_addr, host->h_addr_list[0], sizeof to.sin_addr);
  s = socket (AF_INET, SOCK_STREAM, 0);
  if (s < 0)
    return -1;
  setsockopt (s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt (s, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (connect (s, (struct sockaddr *)&to, sizeof to) != 0)
    {
      close (s);
      return -1;
    }
  return s;
}

/* Sends one request and reads the reply; its status, or -1. *body points into reply. */
static int
talk (const char *request, char reply[REPLY_MAX], char **body)
{
  size_t length = strlen (request), n = 0;
  ssize_t r;
  int s = open_connection ();
  int status;

  if (s < 0)
    return -1;
  while (length > 0 && (r = send (s, request, length, MSG_NOSIGNAL)) > 0)
    {
      request += r;
      length -= (size_t)r;
    }
  while (length == 0 && n < REPLY_MAX - 1 && (r = recv (s, reply + n, REPLY_MAX - 1 - n, 0)) > 0)
    n += (size_t)r;
  close (s);
  reply[n] = '\0';
  *body = strstr (reply, "\r\n\r\n");
  if (*body == NULL || sscanf (reply, "HTTP/%*s %d", &status) != 1)
    return -1;
  *body += 4;
  return status;
}

int
weather_connect (const char *user, const char *serial)
{
  char request[1024], json[512], reply[REPLY_MAX];
  char *body, *start;
  size_t n;

  session[0] = '\0';
  if (user == NULL || serial == NULL || strlen (user) > 100 || strlen (serial) > 100
      || strpbrk (user, "\"\\") != NULL || strpbrk (serial, "\"\\") != NULL)
    return WX_E_ARGUMENT;
  if (user != login_user)
    strcpy (login_user, user);
  if (serial != login_serial)
    strcpy (login_serial, serial);
  sprintf (json, "{\"serial\":\"%s\",\"user\":\"%s\"}", serial, user);
  sprintf (
      request,
      "POST /v1/session HTTP/1.0\r\nHost: %s\r\nUser-Agent: nimbus/3.2\r\nContent-Type: application/json\r\n"
      "Content-Length: %u\r\n\r\n%s",
      server_host, (unsigned int)strlen (json), json);
  switch (talk (request, reply, &body))
    {
    case 200:
      break;
    case 401:
      return WX_E_SERIAL;
    case 403:
      return WX_E_EXPIRED;
    default:
      return WX_E_SERVER;
    }
  start = strstr (body, "\"session\"");
  if (start == NULL || (start = strchr (start + 9, '"')) == NULL)
    return WX_E_SERVER;
  start++;
  n = strspn (start, "0123456789abcdefABCDEF");
  if (n < 1 || n > SESSION_LEN || start[n] != '"')
    return WX_E_SERVER;
  memcpy (session, start, n);
  session[n] = '\0';
  return WX_OK;
}

/* Asks for one place; the status of the reply, or -1. */
static int
ask (const char *escaped, char reply[REPLY_MAX], char **body)
{
  char request[1024];

  sprintf (request,
           "GET /v1/weather?place=%s HTTP/1.0\r\nHost: %s\r\nUser-Agent: nimbus/3.2\r\nX-Session: %s\r\n\r\n",
           escaped, server_host, session);
  return talk (request, reply, body);
}

int
weather_report (const char *place, char *output, int size)
{
  char escaped[400], reply[REPLY_MAX];
  char *body;
  size_t n = 0;
  int status;

  if (place == NULL || output == NULL || size < 2)
    return WX_E_ARGUMENT;
  if (session[0] == '\0')
    return WX_E_STATE;
  while (*place == ' ')
    place++;
  if (*place == '\0' || strlen (place) > 100)
    return WX_E_PLACE;
  for (; *place != '\0'; place++)
    {
      if (isalnum ((unsigned char)*place))
        escaped[n++] = *place;
      else
        n += (size_t)sprintf (escaped + n, "%%%02X", (unsigned char)*place);
    }
  escaped[n] = '\0';
  status = ask (escaped, reply, &body);
  if (status == 401)
    {
      int again = weather_connect (login_user, login_serial);

      if (again != WX_OK)
        return again;
      status = ask (escaped, reply, &body);
    }
  switch (status)
    {
    case 200:
      break;
    case 403:
      return WX_E_EXPIRED;
    case 404:
      return WX_E_PLACE;
    default:
      return WX_E_SERVER;
    }
  n = strlen (body);
  while (n > 0 && isspace ((unsigned char)body[n - 1]))
    body[--n] = '\0';
  if (n >= (size_t)size)
    return WX_E_SPACE;
  strcpy (output, body);
  return WX_OK;
}

void
weather_stop (void)
{
  session[0] = '\0';
}

const char *
weather_strerror (int code)
{
  switch (code)
    {
    case WX_OK:
      return "no error";
    case WX_E_ARGUMENT:
      return "bad argument";
    case WX_E_SERIAL:
      return "the serial number is not valid";
    case WX_E_EXPIRED:
      return "the licence has expired";
    case WX_E_SERVER:
      return "the weather server does not answer";
    case WX_E_PLACE:
      return "there is no such place";
    case WX_E_SPACE:
      return "the report is too long";
    case WX_E_STATE:
      return "not connected";
    case WX_E_DATA:
      return "weather.conf is damaged";
    default:
      return "unknown error";
    }
}
