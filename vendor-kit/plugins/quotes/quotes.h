/* libquotes 1.4: quotations by subscription. */
#ifndef QUOTES_H
#define QUOTES_H

typedef struct Quotes *HQUOTES;

enum
{
  QUOTES_FINE = 100,
  QUOTES_BAD_SERIAL = 201,
  QUOTES_OVER = 202,
  QUOTES_NOT_YOURS = 203,
  QUOTES_NO_SERVER = 300
};

/* The application must define
 *   const char *host_get_serial (void);
 *   void host_log (int level, const char *text);
 * before it loads the library. */

HQUOTES QuotesOpen (const char *host, unsigned short port);
void QuotesClose (HQUOTES quotes);
/* Checks the serial that the application gives; the last day as a number like 20091231, or 0. */
unsigned QuotesVerify (HQUOTES quotes, const char *user, unsigned *last_day);
unsigned QuotesLogin (HQUOTES quotes);
/* A quotation on a topic (any, if it is empty), to be given to QuotesFree; NULL: see QuotesErrorText. */
char *QuotesGet (HQUOTES quotes, const char *topic);
void QuotesFree (char *text);
const char *QuotesErrorText (HQUOTES quotes);

#endif
