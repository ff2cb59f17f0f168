/* crypto.h: the few computations that the rules need, over libsodium. Nothing here draws randomness: a
 * key comes from a seed that the caller drew. Secrets are wiped by whoever holds them. */
#ifndef CRYPTO_CRYPTO_H
#define CRYPTO_CRYPTO_H

#include "base/id.h"
#include "base/str.h"

#define CRYPTO_KEY_BYTES 32
#define CRYPTO_SIGNATURE_BYTES 64
#define CRYPTO_HASH_BYTES 32

struct public_key {
    uint8_t bytes[CRYPTO_KEY_BYTES];
};

struct signature {
    uint8_t bytes[CRYPTO_SIGNATURE_BYTES];
};

struct sign_key { /* Ed25519 (RFC 8032), in libsodium's form: seed, then the public half */
    uint8_t bytes[64];
};

struct hash {
    uint8_t bytes[CRYPTO_HASH_BYTES];
};

void sign_key_from_seed(const uint8_t seed[32], struct sign_key *out, struct public_key *public_half);
void sign_key_wipe(struct sign_key *k);

/* Signs the SHA-512 of domain, a zero byte and the message, so that a signature made for one purpose is good for no other. */
struct signature sign(const struct sign_key *k, struct str domain, struct str message);
bool             sign_verify(struct public_key who, struct str domain, struct str message, struct signature s);

/* Plain Ed25519 over the text itself: what a Solana wallet's signMessage makes. The text must say what it is
 * for. */
struct signature sign_text(const struct sign_key *k, struct str text);
bool             sign_text_verify(struct public_key who, struct str text, struct signature s);

bool        public_key_eq(struct public_key a, struct public_key b);
struct hash hash_sha256(struct str s);
bool        hash_eq(struct hash a, struct hash b); /* in constant time */

/* WireGuard's public half of a private key: X25519 with the base point (RFC 7748). */
void mesh_key_public(const uint8_t secret[32], uint8_t public_half[32]);

/* An id: BLAKE2b keyed with `key` over the kind's name and a number. */
struct id id_derive(const uint8_t key[32], struct str kind, uint64_t number);

/* Bytes that only who holds the key can tell: BLAKE2b, as id_derive, 32 of them. */
struct hash secret_derive(const uint8_t key[32], struct str kind, uint64_t number);

#endif
