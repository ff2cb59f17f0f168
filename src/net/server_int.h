/* server_int.h: a TLS listener, and the protocols that its connections may speak. */
#ifndef NET_SERVER_INT_H
#define NET_SERVER_INT_H

#include "http_int.h"
#include "strangers_int.h"

struct net_server {
    struct ring               ring;
    struct net               *net;
    struct net_server_options options; /* paths are copies */
    uv_tcp_t                  tcp;
    SSL_CTX                  *tls;
    uint16_t                  port;
    uint32_t                  body_max;
    struct strangers          strangers;
    struct deadline           shut_over; /* when the filter is looked at again */
    size_t                    conns;
    bool                      holding; /* a connection waits at the door until there is room */
    bool                      closing;
    bool                      closed; /* freed when its last connection is gone */
};

bool server_turn(struct net *n); /* true: there is more to accept, at once */
void server_stop_all(struct net *n);

/* Each becomes the owner of the connection and frees itself at its end. */
void h1_open(struct net_server *s, struct conn *c);
void h2_open(struct net_server *s, struct conn *c);

/* Lets an HTTP/1 connection go to another owner: what was read beyond the request is in `rest`. Ends the request. */
struct conn *h1_leave(struct net_request *r, struct bytes *rest);
/* Only inside on_first_head. */
struct conn *h1_take_first(struct net_request *r, struct bytes *all);

#endif
