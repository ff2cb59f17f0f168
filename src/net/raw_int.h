/* raw_int.h: bytes on a connection whose HTTP is over, or that never had any. */
#ifndef NET_RAW_INT_H
#define NET_RAW_INT_H

#include "exchange_int.h"

struct net_raw {
    struct net          *net;
    struct conn         *conn;     /* null while connecting */
    struct exchange     *exchange; /* null once connected */
    void                *ctx;
    struct bytes         first; /* read before these bytes were ours, not yet delivered */
    unsigned             status;
    bool                 paused;
    struct net_raw_calls own; /* a copy: null entries are not called */
};

struct net_raw *raw_open(struct conn *c, struct bytes first, const struct net_raw_calls *calls, void *ctx);

#endif
