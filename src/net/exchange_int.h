/* exchange_int.h: a client's one request on a connection of its own: name to address, TCP, TLS, head out, head
 * and body in. Behind net_call, net_socket_connect and net_raw_connect.
 *
 * It ends by on_done or by on_upgrade, exactly once, and is freed then. exchange_drop ends it without a call. */
#ifndef NET_EXCHANGE_INT_H
#define NET_EXCHANGE_INT_H

#include "http_int.h"

struct exchange;

struct exchange_calls {
    void (*on_head)(void *owner, unsigned status, const struct head *head);
    void (*on_body)(void *owner, struct str bytes);
    /* The 101 came: may look at its head, and must own the connection if it returns true. */
    bool (*on_upgrade)(void *owner, const struct head *head, struct conn *c, struct str rest);
    void (*on_done)(void *owner, struct err e);
};

struct exchange_request {
    struct str               method;
    struct str               path;
    struct str               upgrade; /* the protocol to change to; "" for none */
    const struct net_header *headers;
    size_t                   count;
    struct str               body;
};

must_check struct err exchange_open(struct net *n, const struct net_target *t, const struct exchange_request *r,
                                    const struct exchange_calls *calls, void *owner, struct exchange **out);
void                  exchange_drop(struct exchange *x);
void exchange_fail_soon(struct exchange *x, const char *why); /* on_done follows, from the loop */
void exchange_stop_all(struct net *n);

#endif
