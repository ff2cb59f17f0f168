/* near.c: what is at home: this machine and its links. */
#include "egress_int.h"

#include <ifaddrs.h>
#include <string.h>

#define SITE_BITS \
    48 /* the most that a site is given (RFC 6177); NAT64 of a network's own lies in there as well */
#define LINK_BITS_LEAST (96 + 8)

bool address_of(const struct sockaddr *from, struct in6_addr *out)
{
    if (from && from->sa_family == AF_INET6) {
        *out = ((const struct sockaddr_in6 *)(const void *)from)->sin6_addr;
        return true;
    }
    if (!from || from->sa_family != AF_INET) return false;
    *out = (struct in6_addr){ { { [10] = 0xff, [11] = 0xff } } };
    memcpy(out->s6_addr + 12, &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
    return true;
}

/* How many bits of an IPv4 mask are set; a link of more than 2^24 addresses is taken for the address alone. */
static uint32_t bits_of(const struct sockaddr *mask)
{
    uint32_t bits = 128;
    if (!mask || mask->sa_family != AF_INET) return bits;
    uint32_t m = ntohl(((const struct sockaddr_in *)(const void *)mask)->sin_addr.s_addr);
    while (bits > 96 && !(m >> (128 - bits) & 1)) bits--;
    return bits < LINK_BITS_LEAST ? 128 : bits;
}

static bool is_at(const struct in6_addr *a, const struct ifaddrs *i)
{
    struct egress_net net;
    if (address_of(i->ifa_dstaddr, &net.address) && memcmp(a, &net.address, sizeof *a) == 0) return true;
    if (!address_of(i->ifa_addr, &net.address)) return false;
    bool is_v6 = i->ifa_addr->sa_family == AF_INET6;
    if (is_v6 && !egress_is_public(&net.address)) return false; /* what it is near to is not public either */
    net.bits = is_v6 ? SITE_BITS : bits_of(i->ifa_netmask);
    return egress_is_in(a, &net);
}

bool address_is_near(const struct in6_addr *a)
{
    struct ifaddrs *all;
    bool            near = false;
    if (getifaddrs(&all) < 0) return true;
    for (const struct ifaddrs *i = all; i && !near; i = i->ifa_next) near = is_at(a, i);
    freeifaddrs(all);
    return near;
}
