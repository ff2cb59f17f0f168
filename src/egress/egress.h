/* egress.h: the one way out that a container may have: an HTTP proxy of its own, outside of it.
 *
 * The container's namespace stays as it is, without a route. On its loopback listens a socket that belongs to a small
 * process of the machine's network, without privilege. That takes `CONNECT HOST:PORT` and `GET http://HOST/…`
 * (RFC 9110, 9112), finds HOST's addresses itself, and connects to one of them: to the very address that it looked at,
 * so a name that means another one a moment later leads nowhere else; and a redirect is a new request like any other.
 *
 * Reached are public addresses only: nothing that IANA's registries of special-purpose addresses name (IPv4:
 * https://www.iana.org/assignments/iana-ipv4-special-registry, IPv6: …/iana-ipv6-special-registry, as of 2024-10), no
 * multicast, of IPv6 only 2000::/3; nothing that is on a link of this machine, for IPv6 nothing of the 48 bits that a
 * site is given; nothing of what else the supplier names. Ports are those declared. What may pass in a second, how
 * many connections there are and how many are begun is limited. Who asks for what he may not reach learns no more than
 * who asks for a name that is not there.
 *
 * The same for everything here: an IPv4 address is an IPv6 one, ::ffff:a.b.c.d. */
#ifndef EGRESS_EGRESS_H
#define EGRESS_EGRESS_H

#include "base/str.h"

#include <netinet/in.h>

#define EGRESS_PORT 3128 /* on the container's loopback */
#define EGRESS_PORTS_MAX 8
#define EGRESS_NETS_MAX 64
#define EGRESS_CONNECTIONS_MAX 512
#define EGRESS_MBIT_MAX 10000
#define EGRESS_RULES_TEXT 4096

struct egress_net {
    struct in6_addr address;
    uint32_t        bits;
};

struct egress_rules {
    uint32_t          mbit;        /* of payload, each way; from 1 */
    uint32_t          connections; /* at once; from 1 */
    uint16_t          ports[EGRESS_PORTS_MAX];
    uint32_t          ports_count;
    struct egress_net denied[EGRESS_NETS_MAX]; /* besides what nobody may reach */
    uint32_t          denied_count;
};

/* ---- addresses (address.c), pure ------------------------------------------------------------- */

bool egress_is_public(const struct in6_addr *a);
bool egress_is_in(const struct in6_addr *a, const struct egress_net *net);
/* Public, and not denied. */
bool egress_may_reach(const struct egress_rules *rules, const struct in6_addr *a);

/* "198.51.100.0/24", "2001:db8::1", separated by commas, added to what is denied. */
must_check struct err egress_deny(struct egress_rules *rules, struct str list);

/* To hand them to another process. */
void                  egress_rules_write(const struct egress_rules *rules, struct text *out);
must_check struct err egress_rules_read(struct str text, struct egress_rules *out);

/* ---- what is asked for (request.c), pure ----------------------------------------------------- */

#define EGRESS_HEAD_BYTES_MAX 8192
#define EGRESS_HOST_TEXT 254

struct egress_request {
    bool       connect;                /* else the head, made fit for the server, is to be sent there first */
    char       host[EGRESS_HOST_TEXT]; /* a name or an address, without brackets */
    uint16_t   port;
    struct str path; /* of one that is no connect */
};

/* A whole head, up to and with its empty line. ERR_INVALID: no request to a proxy. */
must_check struct err egress_request_read(struct str head, struct egress_request *out);
/* As the server gets it: its own path, nothing that is meant for the proxy, and the connection ends with the answer,
 * so that no second request, which may be meant for another server, follows on it. */
void egress_request_write(struct str head, const struct egress_request *r, struct text *out);
/* A name that only means something at home, or that would be looked for there: "printer", "nas.local". */
bool egress_host_is_local(const char *host);

/* ---- the process ----------------------------------------------------------------------------- */

#define EGRESS_LISTENER_FD 3

/* Gives up all but its standard descriptors, a listening socket, wherever that belongs, and the way out: becomes that
 * user, without capabilities, with the system calls that this needs; ends with its parent. */
must_check struct err egress_drop(uint32_t uid);
/* Serves until the process is ended. */
__attribute__((noreturn)) void egress_serve(int listener, const struct egress_rules *rules);

#endif
