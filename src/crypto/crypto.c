#include "crypto.h"

#include <sodium.h>
#include <string.h>

void sign_key_from_seed(const uint8_t seed[32], struct sign_key *out, struct public_key *public_half)
{
    check(crypto_sign_seed_keypair(public_half->bytes, out->bytes, seed) == 0);
}

void sign_key_wipe(struct sign_key *k)
{
    sodium_memzero(k, sizeof *k);
}

/* What is signed is the SHA-512 of domain, zero and message: Ed25519ph's idea without its many contexts. */
static void digest(struct str domain, struct str message, uint8_t out[crypto_hash_sha512_BYTES])
{
    crypto_hash_sha512_state state;
    crypto_hash_sha512_init(&state);
    crypto_hash_sha512_update(&state, (const uint8_t *)domain.ptr, domain.len);
    crypto_hash_sha512_update(&state, (const uint8_t *)"", 1);
    crypto_hash_sha512_update(&state, (const uint8_t *)message.ptr, message.len);
    crypto_hash_sha512_final(&state, out);
}

struct signature sign(const struct sign_key *k, struct str domain, struct str message)
{
    uint8_t          hashed[crypto_hash_sha512_BYTES];
    struct signature s;
    digest(domain, message, hashed);
    check(crypto_sign_detached(s.bytes, NULL, hashed, sizeof hashed, k->bytes) == 0);
    return s;
}

bool sign_verify(struct public_key who, struct str domain, struct str message, struct signature s)
{
    uint8_t hashed[crypto_hash_sha512_BYTES];
    digest(domain, message, hashed);
    return crypto_sign_verify_detached(s.bytes, hashed, sizeof hashed, who.bytes) == 0;
}

struct signature sign_text(const struct sign_key *k, struct str text)
{
    struct signature s;
    check(crypto_sign_detached(s.bytes, NULL, (const uint8_t *)text.ptr, text.len, k->bytes) == 0);
    return s;
}

bool sign_text_verify(struct public_key who, struct str text, struct signature s)
{
    return crypto_sign_verify_detached(s.bytes, (const uint8_t *)text.ptr, text.len, who.bytes) == 0;
}

bool public_key_eq(struct public_key a, struct public_key b)
{
    return memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

struct hash hash_sha256(struct str s)
{
    struct hash h;
    crypto_hash_sha256(h.bytes, (const uint8_t *)s.ptr, s.len);
    return h;
}

bool hash_eq(struct hash a, struct hash b)
{
    return sodium_memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

void mesh_key_public(const uint8_t secret[32], uint8_t public_half[32])
{
    check(crypto_scalarmult_base(public_half, secret) == 0);
}

static void derive(const uint8_t key[32], struct str kind, uint64_t number, uint8_t *out, size_t count)
{
    crypto_generichash_state state;
    uint8_t                  bytes[8];
    for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)(number >> (8 * i));
    crypto_generichash_init(&state, key, 32, count);
    crypto_generichash_update(&state, (const uint8_t *)kind.ptr, kind.len);
    crypto_generichash_update(&state, bytes, sizeof bytes);
    crypto_generichash_final(&state, out, count);
}

struct id id_derive(const uint8_t key[32], struct str kind, uint64_t number)
{
    uint8_t   full[16]; /* BLAKE2b gives no fewer */
    struct id id;
    derive(key, kind, number, full, sizeof full);
    memcpy(id.bytes, full, sizeof id.bytes);
    return id;
}

struct hash secret_derive(const uint8_t key[32], struct str kind, uint64_t number)
{
    struct hash h;
    derive(key, kind, number, h.bytes, sizeof h.bytes);
    return h;
}
