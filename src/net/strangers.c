#include "strangers_int.h"

#include "base/err.h"

#include <linux/filter.h>
#include <openssl/rand.h>
#include <string.h>
#include <sys/socket.h>

static bool is_ipv4(const uint8_t address[16])
{
    static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };
    return memcmp(address, prefix, sizeof prefix) == 0;
}

static void subscriber_of(const uint8_t address[16], uint8_t out[16])
{
    memcpy(out, address, 16);
    if (!is_ipv4(address)) memset(out + 8, 0, 8);
}

void strangers_init(struct strangers *s, uint32_t us_per_s)
{
    s->us_per_s = us_per_s;
    check(RAND_bytes((unsigned char *)&s->seed, sizeof s->seed) == 1);
}

/* ---- what they owe ----------------------------------------------------------------------------------- */

static void wear_off(const struct strangers *s, struct stranger *x, int64_t now_us)
{
    int64_t worn = (now_us - x->then_us) * s->us_per_s / 1000000;
    x->owes_us   = worn < x->owes_us ? x->owes_us - worn : 0;
    x->then_us   = now_us;
}

static struct stranger *stranger_of(struct strangers *s, const uint8_t address[16], int64_t now_us)
{
    uint8_t  who[16];
    uint64_t halves[2];
    subscriber_of(address, who);
    memcpy(halves, who, sizeof halves);
    uint64_t h = (halves[0] ^ s->seed) * 0x9e3779b97f4a7c15u;
    h          = (h ^ (h >> 29) ^ halves[1]) * (s->seed | 1);

    struct stranger *set = s->sets[(h >> 32) % STRANGERS_SETS], *least = set;
    for (size_t i = 0; i < STRANGERS_WAYS; i++) {
        wear_off(s, &set[i], now_us);
        if (memcmp(set[i].address, who, sizeof who) == 0) return &set[i];
        if (set[i].owes_us < least->owes_us) least = &set[i];
    }
    *least = (struct stranger){ .then_us = now_us };
    memcpy(least->address, who, sizeof who);
    return least;
}

void strangers_charge(struct strangers *s, const uint8_t address[16], int64_t now_us, int64_t us)
{
    struct stranger *x = stranger_of(s, address, now_us);
    x->owes_us         = x->owes_us + us > 0 ? x->owes_us + us : 0;
}

uint64_t strangers_wait_ms(struct strangers *s, const uint8_t address[16], int64_t now_us)
{
    int64_t beyond = stranger_of(s, address, now_us)->owes_us - STRANGERS_BURST_US;
    return s->us_per_s >= 1000000 || beyond <= 0 ? 0 : (uint64_t)(beyond * 1000 / s->us_per_s + 1);
}

bool strangers_may(struct strangers *s, const uint8_t address[16], int64_t now_us)
{
    return strangers_wait_ms(s, address, now_us) == 0;
}

/* ---- the filter: a program in classic BPF. Some kernels take it from root alone (CAP_NET_ADMIN). ---- */

#define RULES_PER_ADDRESS 5

static uint32_t word_at(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Drops IPv4 packets of that source. */
static size_t add_ipv4(struct sock_filter *at, const uint8_t address[16])
{
    at[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)SKF_NET_OFF + 12);
    at[1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, word_at(address + 12), 0, 1);
    at[2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
    return 3;
}

static size_t add_ipv6(struct sock_filter *at, const uint8_t address[16])
{
    at[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)SKF_NET_OFF + 8);
    at[1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, word_at(address), 0, 3);
    at[2] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)SKF_NET_OFF + 12);
    at[3] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, word_at(address + 4), 0, 1);
    at[4] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
    return 5;
}

/* First those of IPv4, if the packet is one; then those of IPv6. Where the system takes no filter, new connections are
 * still closed one by one. */
static void filter_set(struct strangers *s, int64_t now_us, int listener)
{
    struct sock_filter rules[4 + STRANGERS_SHUT_MAX * RULES_PER_ADDRESS];
    size_t             used = 0, ipv4;
    const uint32_t     pass = UINT32_MAX;
    rules[used++]           = (struct sock_filter)BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (uint32_t)SKF_NET_OFF);
    rules[used++]           = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x60, 0, 0);
    ipv4                    = used;
    for (size_t i = 0; i < STRANGERS_SHUT_MAX; i++)
        if (s->shut[i].until_us > now_us && is_ipv4(s->shut[i].address))
            used += add_ipv4(&rules[used], s->shut[i].address);
    rules[used++]      = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, pass);
    rules[ipv4 - 1].jt = (uint8_t)(used - ipv4);
    for (size_t i = 0; i < STRANGERS_SHUT_MAX; i++)
        if (s->shut[i].until_us > now_us && !is_ipv4(s->shut[i].address))
            used += add_ipv6(&rules[used], s->shut[i].address);
    rules[used++]            = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, pass);
    struct sock_fprog all    = { (unsigned short)used, rules };
    int               unused = 0;
    s->filtered              = used > 4;
    if (s->filtered)
        (void)setsockopt(listener, SOL_SOCKET, SO_ATTACH_FILTER, &all, sizeof all);
    else
        (void)setsockopt(listener, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof unused);
}

void strangers_shut_out(struct strangers *s, const uint8_t address[16], int64_t now_us, int listener)
{
    uint8_t          who[16];
    struct shut_out *at = s->shut;
    subscriber_of(address, who);
    for (size_t i = 0; i < STRANGERS_SHUT_MAX; i++) {
        if (s->shut[i].until_us > now_us && memcmp(s->shut[i].address, who, sizeof who) == 0) return;
        if (s->shut[i].until_us < at->until_us) at = &s->shut[i];
    }
    at->until_us = now_us + STRANGERS_SHUT_MS * 1000;
    memcpy(at->address, who, sizeof who);
    filter_set(s, now_us, listener);
}

void strangers_let_in(struct strangers *s, int64_t now_us, int listener)
{
    if (!s->filtered) return;
    bool changes = false;
    for (size_t i = 0; i < STRANGERS_SHUT_MAX; i++) {
        if (!s->shut[i].until_us || s->shut[i].until_us > now_us) continue;
        s->shut[i].until_us = 0;
        changes             = true;
    }
    if (changes) filter_set(s, now_us, listener);
}
