/* Nimbus Weather client library, 1998-2009. */
#ifndef WXCLIENT_H
#define WXCLIENT_H

#ifdef __cplusplus
extern "C"
{
#endif

#define WX_OK         0
#define WX_E_ARGUMENT (-1)
#define WX_E_SERIAL   (-2)
#define WX_E_EXPIRED  (-3)
#define WX_E_SERVER   (-4)
#define WX_E_PLACE    (-5)
#define WX_E_SPACE    (-6)
#define WX_E_STATE    (-7)
#define WX_E_DATA     (-8)

  /* Reads DATADIR/weather.conf ("server=HOST" and "port=N" lines) if it is there. */
  int weather_init (const char *datadir);
  /* The server that weather_connect talks to. */
  int weather_set_server (const char *host, int port);
  /* Checks a serial for a user. flags must be 0. *expires: the last second it is good for, 0 for ever. */
  int CheckSerial (const char *user, const char *serial, int flags, long long *expires);
  /* Opens a session with the weather server. */
  int weather_connect (const char *user, const char *serial);
  /* The forecast for a place. */
  int weather_report (const char *place, char *output, int size);
  void weather_stop (void);
  const char *weather_strerror (int code);

#ifdef __cplusplus
}
#endif

#endif
