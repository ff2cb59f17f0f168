/* egress_int.h: what the files of this module share. */
#ifndef EGRESS_EGRESS_INT_H
#define EGRESS_EGRESS_INT_H

#include "egress.h"

#include <sys/socket.h>

/* An IPv4 or IPv6 address as one kind; false: it is neither. */
bool address_of(const struct sockaddr *from, struct in6_addr *out);

/* Whether it is on a link of this machine, or within the 48 bits of an IPv6 address of it: at home, whatever its
 * address looks like from outside. Asked anew each time, since addresses come and go. If the system does not say: yes. */
bool address_is_near(const struct in6_addr *a);

#endif
