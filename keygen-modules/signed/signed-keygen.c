/* A keygen that signs: the serial says what was bought, and only the holder of the vendor's private key can
 * have made it. The plugin needs no secret, just the public key.
 *
 *   payload = "1|" plugin "|" user "|" expires "|" line.generation[.counter]
 *   serial  = base64url (payload) "." base64url (r || s)        ECDSA on P-256 with SHA-256
 *
 * The same request must give the same serial, so the nonce is RFC 6979's: it follows from the key and the
 * payload.
 *
 * libcrypto wants to read its configuration and set itself up when first used. A call may not read files and
 * should not spend its time so: the constructor does it once, and every call starts from there. */
#include "vendor-key.h"

#include <host/keygen.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/hmac.h>
#include <openssl/obj_mac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define MAX_PAYLOAD 1024

typedef struct
{
  EC_GROUP *group;
  const BIGNUM *order;
  BIGNUM *key;
} Signer;

static Signer signer;

static void
hmac (const uint8_t key[32], const uint8_t *message, size_t length, uint8_t result[32])
{
  unsigned n = 32;
  HMAC (EVP_sha256 (), key, 32, message, length, result, &n);
}

/* RFC 6979 §3.2 for a curve and a hash of 256 bits: *state is V and K, and every call gives the next
 * candidate. */
typedef struct
{
  uint8_t v[32];
  uint8_t k[32];
} Nonce;

/* K = HMAC_K (V || @mark || the key || the digest), V = HMAC_K (V); without key and digest for a candidate
 * refused. */
static void
nonce_mix (Nonce *nonce, uint8_t mark, const uint8_t *digest)
{
  uint8_t message[32 + 1 + 32 + 32];
  memcpy (message, nonce->v, 32);
  message[32] = mark;
  if (digest != NULL)
    {
      memcpy (message + 33, vendor_key, 32);
      memcpy (message + 65, digest, 32);
    }
  hmac (nonce->k, message, digest != NULL ? sizeof message : 33, nonce->k);
  hmac (nonce->k, nonce->v, 32, nonce->v);
}

static void
nonce_init (Nonce *nonce, const uint8_t reduced_digest[32])
{
  memset (nonce->v, 1, 32);
  memset (nonce->k, 0, 32);
  nonce_mix (nonce, 0, reduced_digest);
  nonce_mix (nonce, 1, reduced_digest);
}

static void
nonce_next (Nonce *nonce, BIGNUM *candidate)
{
  hmac (nonce->k, nonce->v, 32, nonce->v);
  BN_bin2bn (nonce->v, 32, candidate);
}

/* r = (k G).x mod n, s = (digest + r key) / k mod n. 0 if this k is not to be used, or memory is short. */
static int
sign_with (const BIGNUM *k, const BIGNUM *digest, BIGNUM *r, BIGNUM *s, BN_CTX *context)
{
  EC_POINT *point = EC_POINT_new (signer.group);
  BIGNUM *inverse = BN_CTX_get (context);
  int is_signed = point != NULL && inverse != NULL
                  && EC_POINT_mul (signer.group, point, k, NULL, NULL, context)
                  && EC_POINT_get_affine_coordinates (signer.group, point, r, NULL, context)
                  && BN_nnmod (r, r, signer.order, context) && !BN_is_zero (r)
                  && BN_mod_inverse (inverse, k, signer.order, context) != NULL
                  && BN_mod_mul (s, r, signer.key, signer.order, context)
                  && BN_mod_add (s, s, digest, signer.order, context)
                  && BN_mod_mul (s, s, inverse, signer.order, context) && !BN_is_zero (s);
  EC_POINT_free (point);
  return is_signed;
}

/* Writes r || s over @message. */
static int
sign (const char *message, size_t length, uint8_t signature[64])
{
  uint8_t digest_bytes[32], reduced[32];
  Nonce nonce;
  int is_signed = 0;
  BN_CTX *context = BN_CTX_new ();
  if (context == NULL)
    return 0;
  BN_CTX_start (context);
  BIGNUM *digest = BN_CTX_get (context), *k = BN_CTX_get (context), *r = BN_CTX_get (context),
         *s = BN_CTX_get (context);
  SHA256 ((const uint8_t *)message, length, digest_bytes);
  if (s != NULL && BN_bin2bn (digest_bytes, 32, digest) != NULL
      && BN_nnmod (digest, digest, signer.order, context) && BN_bn2binpad (digest, reduced, 32) == 32)
    {
      BN_set_flags (k, BN_FLG_CONSTTIME);
      nonce_init (&nonce, reduced);
      for (int attempt = 0; attempt < 8 && !is_signed; attempt++)
        {
          if (attempt > 0)
            nonce_mix (&nonce, 0, NULL);
          nonce_next (&nonce, k);
          is_signed = !BN_is_zero (k) && BN_cmp (k, signer.order) < 0 && sign_with (k, digest, r, s, context)
                      && BN_bn2binpad (r, signature, 32) == 32 && BN_bn2binpad (s, signature + 32, 32) == 32;
        }
    }
  BN_CTX_end (context);
  BN_CTX_free (context);
  return is_signed;
}

/* RFC 4648 §5 without padding; returns the end. */
static char *
write_base64url (const uint8_t *bytes, size_t length, char *text)
{
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  uint32_t bits = 0;
  unsigned n_bits = 0;
  for (size_t i = 0; i < length; i++)
    {
      bits = bits << 8 | bytes[i];
      for (n_bits += 8; n_bits >= 6; n_bits -= 6)
        *text++ = digits[bits >> (n_bits - 6) & 63];
    }
  if (n_bits > 0)
    *text++ = digits[bits << (6 - n_bits) & 63];
  *text = '\0';
  return text;
}

/* This vendor sells by the year or for ever. */
static int
read_term (const char *term, int64_t now, int64_t *expires)
{
  int years = 0;
  char unit = '\0', rest = '\0';
  time_t start = (time_t)now;
  struct tm date;
  if (term[0] == '\0')
    {
      *expires = 0;
      return 1;
    }
  if (sscanf (term, "P%3d%c%c", &years, &unit, &rest) != 2 || years < 1 || (unit != 'Y' && unit != 'M')
      || gmtime_r (&start, &date) == NULL)
    return 0;
  if (unit == 'Y')
    date.tm_year += years;
  else
    date.tm_mon += years;
  *expires = (int64_t)timegm (&date);
  return 1;
}

static void __attribute__ ((constructor)) set_up (void)
{
  uint8_t signature[64];
  signer.group = EC_GROUP_new_by_curve_name (NID_X9_62_prime256v1);
  signer.order = signer.group != NULL ? EC_GROUP_get0_order (signer.group) : NULL;
  signer.key = BN_bin2bn (vendor_key, sizeof vendor_key, NULL);
  /* The first signature is the slow one. */
  if (signer.order != NULL && signer.key != NULL && !sign ("", 0, signature))
    signer.order = NULL;
}

uint32_t
host_module_abi (void)
{
  return HOST_MODULE_ABI;
}

int
host_keygen (const HostModuleApi *api, const HostKeygenRequest *request, char *serial, size_t cap,
             int64_t *expires)
{
  char payload[MAX_PAYLOAD], again[16] = "";
  uint8_t signature[64];
  if (signer.order == NULL || signer.key == NULL)
    {
      api->log (api->host, HOST_LOG_ERROR, "libcrypto could not be set up");
      return HOST_INTERNAL;
    }
  if (!read_term (request->term, request->now, expires))
    return HOST_BAD_INPUT;

  if (request->counter > 0)
    snprintf (again, sizeof again, ".%u", request->counter);
  int length = snprintf (payload, sizeof payload, "1|%s|%s|%lld|%s.%u%s", request->plugin, request->user,
                         (long long)*expires, request->line, request->generation, again);
  if (length < 0 || (size_t)length >= sizeof payload || cap < 2 * MAX_PAYLOAD)
    return HOST_BAD_INPUT;
  if (!sign (payload, (size_t)length, signature))
    return HOST_INTERNAL;

  char *end = write_base64url ((const uint8_t *)payload, (size_t)length, serial);
  *end++ = '.';
  write_base64url (signature, sizeof signature, end);
  return HOST_OK;
}
