#include "relay_int.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <string.h>

/* Messages of WireGuard (whitepaper, 5.4): a type, three zero bytes, then by type
 *
 *   1 initiation  148 bytes: sender, …, mac1 at 116, mac2
 *   2 response     92 bytes: sender, receiver, …, mac1 at 60, mac2
 *   3 cookie       64 bytes: receiver, …
 *   4 data         32 bytes and more, a multiple of 16: receiver, counter, …
 *
 * numbers little-endian. */
#define MAC_BYTES 16
#define MAC1_LABEL "mac1----"

enum packet_kind packet_kind(const uint8_t *bytes, size_t count)
{
    if (count < PACKET_DATA_BYTES_LEAST || bytes[1] || bytes[2] || bytes[3]) return PACKET_NONE;
    switch (bytes[0]) {
    case 1: return count == PACKET_INITIATION_BYTES ? PACKET_INITIATION : PACKET_NONE;
    case 2: return count == PACKET_RESPONSE_BYTES ? PACKET_RESPONSE : PACKET_NONE;
    case 3: return count == PACKET_COOKIE_BYTES ? PACKET_COOKIE : PACKET_NONE;
    case 4: return PACKET_DATA; /* the last one before an MTU that is no multiple of 16 is padded less */
    default: return PACKET_NONE;
    }
}

static uint32_t read_u32(const uint8_t *b)
{
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

uint32_t packet_sender(const uint8_t *bytes)
{
    return read_u32(bytes + 4);
}

uint32_t packet_receiver(enum packet_kind kind, const uint8_t *bytes)
{
    return read_u32(bytes + (kind == PACKET_RESPONSE ? 8 : 4));
}

void packet_mac1_key(const uint8_t public_key[MESH_KEY_BYTES], uint8_t out[32])
{
    uint8_t  text[sizeof MAC1_LABEL - 1 + MESH_KEY_BYTES];
    unsigned count;
    memcpy(text, MAC1_LABEL, sizeof MAC1_LABEL - 1);
    memcpy(text + sizeof MAC1_LABEL - 1, public_key, MESH_KEY_BYTES);
    check(EVP_Digest(text, sizeof text, out, &count, EVP_blake2s256(), NULL) == 1 && count == 32);
}

/* BLAKE2s in its keyed form with 16 bytes of output (RFC 7693). */
void packet_mac1(const uint8_t mac1_key[32], const uint8_t *bytes, size_t count, uint8_t out[16])
{
    static EVP_MAC *blake2s; /* the relay's thread alone comes here; fetching costs far more than hashing */
    if (!blake2s) blake2s = EVP_MAC_fetch(NULL, "BLAKE2SMAC", NULL);
    check(blake2s != NULL);
    size_t       mac_bytes = MAC_BYTES, written;
    OSSL_PARAM   options[] = { OSSL_PARAM_construct_size_t("size", &mac_bytes), OSSL_PARAM_construct_end() };
    EVP_MAC_CTX *ctx       = EVP_MAC_CTX_new(blake2s);
    check(ctx && EVP_MAC_init(ctx, mac1_key, 32, options) == 1 && EVP_MAC_update(ctx, bytes, count) == 1 &&
          EVP_MAC_final(ctx, out, &written, MAC_BYTES) == 1 && written == MAC_BYTES);
    EVP_MAC_CTX_free(ctx);
}

bool packet_mac1_is_right(enum packet_kind kind, const uint8_t *bytes, const uint8_t mac1_key[32])
{
    uint8_t mac[MAC_BYTES];
    size_t  at;
    if (kind == PACKET_INITIATION)
        at = PACKET_INITIATION_BYTES - 2 * MAC_BYTES;
    else if (kind == PACKET_RESPONSE)
        at = PACKET_RESPONSE_BYTES - 2 * MAC_BYTES;
    else
        return false;
    packet_mac1(mac1_key, bytes, at, mac);
    return CRYPTO_memcmp(mac, bytes + at, MAC_BYTES) == 0;
}
