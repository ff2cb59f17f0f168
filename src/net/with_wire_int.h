/* with_wire_int.h: a server's connection for fuzz targets, without TLS and without a listener: one end of a pair of sockets
 * is the client's. Whatever he sends, the connection and its requests must be gone when he is. */
#ifndef NET_WITH_WIRE_INT_H
#define NET_WITH_WIRE_INT_H

#include "server_int.h"

/* What is so of every request that reaches a handler; answers it, some at once and some as a stream. */
void wire_on_request(void *ctx, struct net_request *r);

/* Has `open` (h1_open, h2_open) serve a connection, on which the client sends `sent`, first in some pieces of `piece`
 * bytes, then the rest, and leaves; returns when nothing is left of it. */
void wire_serve(void (*open)(struct net_server *s, struct conn *c), const struct net_server_options *o,
                struct str sent, size_t piece);

#endif
