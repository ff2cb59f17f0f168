/* place_int.h: where a datagram comes from and goes to: an address with its port, IPv4 or IPv6. */
#ifndef GATEWAY_PLACE_INT_H
#define GATEWAY_PLACE_INT_H

#include "base/err.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

union place {
    struct sockaddr     any;
    struct sockaddr_in  four;
    struct sockaddr_in6 six;
};

socklen_t place_size(const union place *p);
bool      place_eq(const union place *a, const union place *b);

/* The address alone, IPv4 as IPv6 maps it. */
void place_address(const union place *p, uint8_t out[16]);
/* The same of "203.0.113.7:4711" or "[2001:db8::1]:4711"; false if that is none. */
bool place_read_address(const char *endpoint, uint8_t out[16]);

must_check struct err place_read(const char *numeric_address, uint16_t port, union place *out);
void                  place_set_port(union place *p, uint16_t port);

#endif
