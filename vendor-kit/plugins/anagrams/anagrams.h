/* Anagrams, the word finder. */
#ifndef ANAGRAMS_H
#define ANAGRAMS_H

/* Put your registration code here before you ask for anything. */
extern char ana_regcode[17];

/* Called for each word that was found; text is not ended by a NUL. Return 0 to go on. */
typedef int (*ana_found) (void *user, const char *text, unsigned length);

/* Yours: the shop in your menu, where a hint can be had. 1: one was bought, 0: the customer is still thinking
 * (ask again), anything else: not now. */
extern int ana_shop (void);

/* 0: the code fits the owner's name. */
int ana_check (const char *owner);
/* How many words were found; -1: the letters are none, -2: not registered. */
int ana_find (const char *letters, ana_found found, void *user);

/* The first letters of a word of the same letters, for a hint from the shop. 1: there it is, 0: the shop is
 * open, -1: the letters are none, -2: not registered, -3: no hint was bought, -4: there is no such word. */
int ana_hint (const char *letters, char *out, int room);

#endif
