/* keys_int.h: the private keys of TLS. All of it gives null if it can't be had, or can't be locked in memory. */
#ifndef NET_KEYS_INT_H
#define NET_KEYS_INT_H

#include "base/err.h"

#include <openssl/bio.h>
#include <openssl/evp.h>

/* Before OpenSSL is used for the first time: from then on, what it frees while it decodes a key is wiped. */
void keys_prepare(void);

EVP_PKEY *key_make(void);             /* P-256 */
EVP_PKEY *key_read(const char *path); /* PEM; nothing of its text stays in memory */
BIO      *key_encode(EVP_PKEY *key);  /* PEM, in locked memory; the caller's */

#endif
