/* rates.c: how often a client may ask: so many requests a second, and ten seconds' worth at once. A client is an account
 * where a key is shown, else an address.
 *
 * A table of fixed size: each client has RATES_WAYS places it may lie in, and when they are full, the one who has asked
 * least lately gives way. Who has asked nothing for ten seconds needs no place. */
#include "api_int.h"

#include "sys/sys.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define RATES_WAYS 8
#define RATES_SETS 1024
#define RATES_BURST_MS 10000

struct rate {
    uint64_t client; /* 0: nobody */
    int64_t  empty;  /* when all that it asked is worn off, in microseconds */
};

struct rates {
    uint64_t    seed; /* nobody outside may choose clients that share a set */
    struct rate sets[RATES_SETS][RATES_WAYS];
};

struct rates *rates_create(void)
{
    struct rates *r = calloc(1, sizeof *r);
    check(r);
    sys_random(&r->seed, sizeof r->seed);
    return r;
}

/* Of IPv6 the first half, for the second is its owner's to choose. One of IPv4 that came to a socket of IPv6
 * (::ffff:192.0.2.1) is its own. */
uint64_t rates_address(struct str peer)
{
    char            room[NET_ADDRESS_TEXT];
    struct in6_addr address = { 0 };
    uint64_t        number  = 0;
    uint32_t        ipv4;
    if (str_copy(peer, room, sizeof room).code) return 0;
    if (inet_pton(AF_INET, room, &ipv4) == 1) return ipv4;
    (void)inet_pton(AF_INET6, room, &address);
    if (IN6_IS_ADDR_V4MAPPED(&address))
        memcpy(&number, address.s6_addr + 12, sizeof ipv4);
    else
        memcpy(&number, address.s6_addr, sizeof number);
    return number;
}

static struct rate *rate_of(struct rates *r, uint64_t client)
{
    uint64_t     h    = (client ^ r->seed) * 0x9e3779b97f4a7c15u;
    struct rate *set  = r->sets[(h ^ h >> 29) * (r->seed | 1) >> 54];
    struct rate *last = set;
    for (size_t i = 0; i < RATES_WAYS; i++) {
        if (set[i].client == client) return &set[i];
        if (set[i].empty < last->empty) last = &set[i];
    }
    *last = (struct rate){ .client = client };
    return last;
}

bool rates_take(struct rates *r, uint64_t client, uint32_t per_s, uint64_t now_ms)
{
    int64_t      now = (int64_t)now_ms * 1000, each = 1000000 / per_s;
    struct rate *x = rate_of(r, client);
    if (x->empty < now) x->empty = now;
    if (x->empty + each - now > RATES_BURST_MS * 1000) return false;
    x->empty += each;
    return true;
}
