#include "caps_int.h"
#include "loop_int.h"

#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define CAPS_RESERVE 64 /* descriptors left for everything else, or an eighth if that is more */

struct caps_entry {
    struct caps_entry *next;
    uint8_t            subscriber[16];
    uint32_t           count;
};

static void subscriber_of(const uint8_t address[16], uint8_t out[16])
{
    static const uint8_t ipv4[12] = { [10] = 0xff, [11] = 0xff };
    memcpy(out, address, 16);
    if (memcmp(address, ipv4, sizeof ipv4) != 0) memset(out + 8, 0, 8);
}

static struct caps_entry **bucket_of(struct caps *c, const uint8_t subscriber[16])
{
    uint64_t halves[2];
    memcpy(halves, subscriber, sizeof halves);
    uint64_t h = (halves[0] ^ c->seed) * 0x9e3779b97f4a7c15u;
    h          = (h ^ (h >> 29) ^ halves[1]) * (c->seed | 1);
    return &c->buckets[(h >> 32) % CAPS_BUCKETS];
}

static struct caps_entry **entry_at(struct caps *c, const uint8_t subscriber[16])
{
    struct caps_entry **at = bucket_of(c, subscriber);
    while (*at && memcmp((*at)->subscriber, subscriber, 16) != 0) at = &(*at)->next;
    return at;
}

void caps_init(struct caps *c, uint32_t most, uint32_t most_per_address)
{
    *c = (struct caps){ .most = most, .most_per_address = most_per_address };
    check(RAND_bytes((unsigned char *)&c->seed, sizeof c->seed) == 1);
}

void caps_finish(struct caps *c)
{
    check(c->used == 0); /* then no entry is left either */
}

bool caps_are_full(const struct caps *c)
{
    return c->used >= c->most;
}

bool caps_take(struct caps *c, const uint8_t address[16])
{
    uint8_t subscriber[16];
    subscriber_of(address, subscriber);
    struct caps_entry **at = entry_at(c, subscriber);
    if (!*at) {
        *at = loop_alloc(sizeof **at);
        memcpy((*at)->subscriber, subscriber, 16);
    }
    if ((*at)->count >= c->most_per_address) return false;
    (*at)->count++;
    c->used++;
    return true;
}

void caps_give(struct caps *c, const uint8_t address[16])
{
    uint8_t subscriber[16];
    subscriber_of(address, subscriber);
    struct caps_entry **at = entry_at(c, subscriber), *entry = *at;
    check(entry && entry->count > 0 && c->used > 0);
    c->used--;
    if (--entry->count) return;
    *at = entry->next;
    free(entry);
}

uint32_t caps_by_descriptors(void)
{
    struct rlimit limit;
    check(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    rlim_t reserve = limit.rlim_cur / 8 > CAPS_RESERVE ? limit.rlim_cur / 8 : CAPS_RESERVE;
    rlim_t left    = limit.rlim_cur > reserve ? limit.rlim_cur - reserve : 1;
    return left < NET_CONNECTIONS_MAX ? (uint32_t)left : NET_CONNECTIONS_MAX;
}
