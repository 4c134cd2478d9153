/* KEYGEN CLASSIC, for our order desk. Not for distribution. */
#ifndef KGCLASSIC_H
#define KGCLASSIC_H

/* Call first. 0: all is well. */
int KgOpen (void);
/* Keys made after the same seed are the same. */
void KgSeed (unsigned seed);
/* A key for the product ("ALM4") and the customer's name. `days`: how long it is good from `today` (seconds
 * since 1970) on; 0: for ever. keylen is the room in key, and then the key's length. 0, or an error. */
int KgMake (const char *product, const char *name, int days, long today, char *key, unsigned *keylen);
const char *KgError (int error);

#endif
