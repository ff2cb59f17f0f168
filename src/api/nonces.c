/* nonces.c: sign-ins under way. A ring, oldest first: every nonce lives equally long. */
#include "api_int.h"

#include "codec/codec.h"
#include "sys/sys.h"

#include <string.h>
#include <time.h>

static struct nonce *nonce_at(struct nonces *n, uint32_t at)
{
    return &n->ring[(n->first + at) % API_NONCES_MAX];
}

static bool is_over(const struct nonce *x, struct instant now)
{
    return instant_since(now, x->made).ms >= API_NONCE_MS;
}

struct err nonce_make(struct nonces *n, struct public_key who, struct str peer, uint32_t an_address_max,
                      struct instant now, struct nonce *out)
{
    uint64_t address = rates_address(peer);
    uint32_t same    = 0;
    while (n->count && is_over(nonce_at(n, 0), now)) {
        n->first = (n->first + 1) % API_NONCES_MAX;
        n->count--;
    }
    for (uint32_t i = 0; i < n->count; i++) same += nonce_at(n, i)->address == address;
    if (same >= an_address_max) return ERR(LIMIT, "too many sign-ins from this address: wait a few minutes");
    if (n->count == API_NONCES_MAX) return ERR(LIMIT, "too many sign-ins are under way: wait a few minutes");

    struct nonce *x = nonce_at(n, n->count++);
    *x              = (struct nonce){ .who = who, .address = address, .made = now };
    sys_random(x->bytes, sizeof x->bytes);
    *out = *x;
    return OK;
}

struct err nonce_use(struct nonces *n, const uint8_t bytes[NONCE_BYTES], struct public_key who,
                     struct instant now, struct nonce *out)
{
    for (uint32_t i = 0; i < n->count; i++) {
        struct nonce *x = nonce_at(n, i);
        if (memcmp(x->bytes, bytes, NONCE_BYTES) != 0 || !public_key_eq(x->who, who)) continue;
        if (x->used) return ERR(DENIED, "the nonce has been used: ask for a new one");
        if (is_over(x, now)) return ERR(DENIED, "the nonce has expired: ask for a new one");
        x->used = true;
        *out    = *x;
        return OK;
    }
    return ERR(DENIED, "the nonce is not known for this key: ask for a new one");
}

static void add_time(struct text *t, struct instant at)
{
    char      room[40];
    struct tm parts;
    time_t    seconds = (time_t)(at.ms / MS_PER_SECOND);
    gmtime_r(&seconds, &parts);
    strftime(room, sizeof room, "%Y-%m-%dT%H:%M:%SZ", &parts);
    text_add(t, str_from(room));
}

/* The form of "Sign in with Solana" (Phantom's SIWS, after EIP-4361), so that wallets show it for what it is. */
void nonce_message(const struct api *a, const struct nonce *n, struct text *out)
{
    text_add(out, str_from(a->o.host));
    text_add(out, STR(" wants you to sign in with your Solana account:\n"));
    base58_write(n->who.bytes, sizeof n->who.bytes, out);
    text_add(out, STR("\n\nSigning in to the network at "));
    text_add(out, str_from(a->o.host));
    text_add_char(out, ':');
    text_add_u64(out, a->o.port);
    text_add(out, STR(". This moves no money.\n\nVersion: 1\nNonce: "));
    text_add_hex(out, n->bytes, sizeof n->bytes);
    text_add(out, STR("\nIssued At: "));
    add_time(out, n->made);
    text_add(out, STR("\nExpiration Time: "));
    add_time(out, instant_add(n->made, (struct span){ API_NONCE_MS }));
}
