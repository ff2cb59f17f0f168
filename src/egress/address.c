/* address.c: which addresses may be reached from inside. */
#include "egress.h"

#include <arpa/inet.h>
#include <string.h>

#define V4_BITS 96 /* of ::ffff:0:0/96, before those of an IPv4 address */

#define V4(a, b, c, d, len)                                                               \
    {                                                                                     \
        { { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d } } }, V4_BITS + (len) \
    }
#define V6(a, b, c, len)                                                            \
    {                                                                               \
        { { { (a) >> 8, (a)&0xff, (b) >> 8, (b)&0xff, (c) >> 8, (c)&0xff } } }, len \
    }

/* Within these a public address lies … */
static const struct egress_net unicast[] = {
    V4(0, 0, 0, 0, 0),
    V6(0x2000, 0, 0, 3),
};

/* … and within none of these. The registries call some of them globally reachable; they lead to relays and to servers
 * that answer for nobody, and no program needs them. */
static const struct egress_net special[] = {
    V4(0, 0, 0, 0, 8),            /* this network */
    V4(10, 0, 0, 0, 8),           /* private */
    V4(100, 64, 0, 0, 10),        /* shared: carriers' NAT */
    V4(127, 0, 0, 0, 8),          /* loopback */
    V4(169, 254, 0, 0, 16),       /* link-local: where clouds serve metadata */
    V4(172, 16, 0, 0, 12),        /* private */
    V4(192, 0, 0, 0, 24),         /* protocol assignments */
    V4(192, 0, 2, 0, 24),         /* documentation */
    V4(192, 31, 196, 0, 24),      /* AS112 */
    V4(192, 52, 193, 0, 24),      /* multicast tunnels */
    V4(192, 88, 99, 0, 24),       /* 6to4 relays */
    V4(192, 168, 0, 0, 16),       /* private */
    V4(192, 175, 48, 0, 24),      /* AS112 */
    V4(198, 18, 0, 0, 15),        /* benchmarks */
    V4(198, 51, 100, 0, 24),      /* documentation */
    V4(203, 0, 113, 0, 24),       /* documentation */
    V4(224, 0, 0, 0, 4),          /* multicast */
    V4(240, 0, 0, 0, 4),          /* reserved, broadcast */
    V6(0x2001, 0, 0, 23),         /* protocol assignments, with Teredo, benchmarks and ORCHID */
    V6(0x2001, 0xdb8, 0, 32),     /* documentation */
    V6(0x2002, 0, 0, 16),         /* 6to4: an IPv4 address, whatever it is, is in it */
    V6(0x2620, 0x4f, 0x8000, 48), /* AS112 */
    V6(0x3ffe, 0, 0, 16),         /* was the 6bone's */
    V6(0x3fff, 0, 0, 20),         /* documentation */
};

bool egress_is_in(const struct in6_addr *a, const struct egress_net *net)
{
    uint32_t whole = net->bits / 8, rest = net->bits % 8;
    if (memcmp(a->s6_addr, net->address.s6_addr, whole) != 0) return false;
    return !rest || (a->s6_addr[whole] ^ net->address.s6_addr[whole]) >> (8 - rest) == 0;
}

static bool is_in_any(const struct in6_addr *a, const struct egress_net *nets, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (egress_is_in(a, &nets[i])) return true;
    return false;
}

bool egress_is_public(const struct in6_addr *a)
{
    return is_in_any(a, unicast, countof(unicast)) && !is_in_any(a, special, countof(special));
}

bool egress_may_reach(const struct egress_rules *rules, const struct in6_addr *a)
{
    return egress_is_public(a) && !is_in_any(a, rules->denied, rules->denied_count);
}

/* ---- as text --------------------------------------------------------------------------------- */

static struct err net_read(struct str text, struct egress_net *out)
{
    const struct err bad = ERR(INVALID, "it is no list of addresses or ADDRESS/BITS");
    struct str       host, bits;
    char             room[INET6_ADDRSTRLEN];
    uint64_t         number = 128, most = 128;
    bool             is_net = str_split(str_trim(text), '/', &host, &bits);
    struct in_addr   v4;
    if (str_copy(host, room, sizeof room).code) return bad;
    *out = (struct egress_net)V4(0, 0, 0, 0, 0);
    if (inet_pton(AF_INET, room, &v4) == 1) {
        memcpy(out->address.s6_addr + V4_BITS / 8, &v4, sizeof v4);
        number = most = 32;
    } else if (inet_pton(AF_INET6, room, &out->address) != 1) {
        return bad;
    }
    if (is_net && (str_to_u64(bits, &number).code || number > most)) return bad;
    out->bits = (uint32_t)(number + 128 - most);
    return OK;
}

struct err egress_deny(struct egress_rules *rules, struct str list)
{
    struct str one;
    while (list.len) {
        (void)str_split(list, ',', &one, &list);
        if (rules->denied_count == EGRESS_NETS_MAX) return ERR(LIMIT, "too many addresses are denied");
        TRY(net_read(one, &rules->denied[rules->denied_count]));
        rules->denied_count++;
    }
    return OK;
}

void egress_rules_write(const struct egress_rules *rules, struct text *out)
{
    text_add_u64(out, rules->mbit);
    text_add_char(out, ' ');
    text_add_u64(out, rules->connections);
    text_add_char(out, ' ');
    for (uint32_t i = 0; i < rules->ports_count; i++) {
        if (i) text_add_char(out, ',');
        text_add_u64(out, rules->ports[i]);
    }
    text_add_char(out, ' ');
    for (uint32_t i = 0; i < rules->denied_count; i++) {
        char room[INET6_ADDRSTRLEN];
        if (i) text_add_char(out, ',');
        text_add(out, str_from(inet_ntop(AF_INET6, &rules->denied[i].address, room, sizeof room)));
        text_add_char(out, '/');
        text_add_u64(out, rules->denied[i].bits);
    }
}

struct err egress_rules_read(struct str text, struct egress_rules *out)
{
    struct str       part, ports;
    uint64_t         number;
    struct err const bad = ERR(INVALID, "they are no rules of a way out");
    *out                 = (struct egress_rules){ 0 };
    (void)str_split(text, ' ', &part, &text);
    if (str_to_u64(part, &number).code || !number || number > EGRESS_MBIT_MAX) return bad;
    out->mbit = (uint32_t)number;
    (void)str_split(text, ' ', &part, &text);
    if (str_to_u64(part, &number).code || !number || number > EGRESS_CONNECTIONS_MAX) return bad;
    out->connections = (uint32_t)number;
    (void)str_split(text, ' ', &ports, &text);
    while (ports.len) {
        (void)str_split(ports, ',', &part, &ports);
        if (str_to_u64(part, &number).code || !number || number > UINT16_MAX) return bad;
        if (out->ports_count == EGRESS_PORTS_MAX) return bad;
        out->ports[out->ports_count++] = (uint16_t)number;
    }
    return egress_deny(out, text);
}
