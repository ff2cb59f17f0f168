#include "listener_int.h"
#include "raw_int.h"

#include <netinet/in.h>
#include <stdlib.h>

#define LISTENER_BACKLOG 64

struct net_listener {
    struct ring ring;
    struct net *net;
    uv_tcp_t    tcp;
    void (*on_accept)(void *ctx, struct net_raw *r);
    void    *ctx;
    uint16_t port;
    bool     closing;
};

static void on_nothing(void *owner)
{
    (void)owner;
}

static void on_lost(void *owner, const char *why)
{
    (void)owner, (void)why;
}

static void on_connection(uv_stream_t *stream, int status)
{
    static const struct conn_calls unborn = { .on_ready = on_nothing, .on_close = on_lost };
    struct net_listener           *l      = stream->data;
    if (status < 0 || l->closing) return;
    struct conn *c = conn_create(l->net, NULL, &unborn, NULL);
    if (uv_accept(stream, (uv_stream_t *)&c->tcp)) {
        conn_close(c, "the connection could not be accepted");
        return;
    }
    conn_start(c);
    if (c->closing) return;
    l->on_accept(l->ctx, raw_open(c, (struct bytes){ 0 }, NULL, NULL));
}

static void on_closed(uv_handle_t *handle)
{
    struct net_listener *l = handle->data;
    struct net          *n = l->net;
    ring_remove(&l->ring);
    free(l);
    loop_release(n);
}

struct err net_tcp_listen(struct net *n, const char *address, uint16_t port,
                          void (*on_accept)(void *ctx, struct net_raw *r), void *ctx, struct net_listener **out)
{
    struct sockaddr_storage at;
    if (n->stopping) return ERR(IO, "the loop is stopping");
    if (uv_ip4_addr(address, port, (struct sockaddr_in *)&at) &&
        uv_ip6_addr(address, port, (struct sockaddr_in6 *)&at))
        return ERR(INVALID, "the address to listen on is not a numeric one");

    struct net_listener *l = loop_alloc(sizeof *l);
    l->net                 = n;
    l->on_accept           = on_accept;
    l->ctx                 = ctx;
    check(uv_tcp_init(&n->loop, &l->tcp) == 0);
    l->tcp.data = l;
    ring_push(&n->listeners, &l->ring);
    loop_hold(n);
    int size = sizeof at;
    if (uv_tcp_bind(&l->tcp, (struct sockaddr *)&at, 0) ||
        uv_listen((uv_stream_t *)&l->tcp, LISTENER_BACKLOG, on_connection) ||
        uv_tcp_getsockname(&l->tcp, (struct sockaddr *)&at, &size)) {
        net_listener_close(l);
        return ERR(IO, "the address can't be listened on");
    }
    l->port = ntohs(at.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&at)->sin6_port
                                             : ((struct sockaddr_in *)&at)->sin_port);
    *out    = l;
    return OK;
}

uint16_t net_listener_port(const struct net_listener *l)
{
    return l->port;
}

void net_listener_close(struct net_listener *l)
{
    if (!l || l->closing) return;
    l->closing = true;
    uv_close((uv_handle_t *)&l->tcp, on_closed);
}

void listener_stop_all(struct net *n)
{
    for (struct ring *r = n->listeners.next; r != &n->listeners; r = r->next)
        net_listener_close(ring_owner(r, struct net_listener, ring));
}
