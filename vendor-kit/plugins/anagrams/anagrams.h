/* Anagrams, the word finder. */
#ifndef ANAGRAMS_H
#define ANAGRAMS_H

/* Put your registration code here before you ask for anything. */
extern char ana_regcode[17];

/* Called for each word that was found; text is not ended by a NUL. Return 0 to go on. */
typedef int (*ana_found) (void *user, const char *text, unsigned length);

/* 0: the code fits the owner's name. */
int ana_check (const char *owner);
/* How many words were found; -1: the letters are none, -2: not registered. */
int ana_find (const char *letters, ana_found found, void *user);

#endif
