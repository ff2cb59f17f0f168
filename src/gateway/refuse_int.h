/* refuse_int.h: a connection that was taken whole is answered by hand, and closed once that was read. */
#ifndef GATEWAY_REFUSE_INT_H
#define GATEWAY_REFUSE_INT_H

#include "net/net.h"

void refuse_raw(struct net *n, struct net_raw *raw, unsigned status, struct str why);

#endif
