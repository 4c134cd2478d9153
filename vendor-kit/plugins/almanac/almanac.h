/* ALMANAC 4, the perpetual calendar. For plug-in hosts of the 4.x interface. */
#ifndef ALMANAC_H
#define ALMANAC_H

/* What the host gives us: fill it in, and keep it. */
typedef struct
{
  int size;                         /* sizeof (AlmHost) */
  void (*trace) (const char *line); /* may be 0 */
  const char *(*regkey) (void);     /* the registration key, "" if there is none */
  const char *(*owner) (void);      /* whom it was made for */
} AlmHost;

/* What we give the host. */
typedef struct
{
  int version;                            /* 4 */
  int (*open) (const AlmHost *host);      /* 0, or an error */
  int (*verify) (long *last_day);         /* 0, or an error; last_day is YYYYMMDD, 0: for ever */
  const char *(*tell) (const char *date); /* "YYYY-MM-DD", "": today; 0: that is no date */
  const char *(*errtext) (int error);
  void (*close) (void);
} AlmFuncs;

enum
{
  ALM_EHOST = 1,
  ALM_EKEY,
  ALM_EOVER
};

/* 0: there is no such version. */
const AlmFuncs *AlmGetFuncs (int version);

#endif
