#include "server_int.h"
#include "tls_int.h"

#include <stdlib.h>
#include <string.h>

#define SERVER_BACKLOG 1024
#define SERVER_ACCEPTS_PER_TURN 64 /* handshakes must not keep the open connections waiting */

static void server_free_if_over(struct net_server *s)
{
    if (!s->closed || s->conns) return;
    ring_remove(&s->ring);
    SSL_CTX_free(s->tls);
    free((void *)(uintptr_t)s->options.cert_path);
    free((void *)(uintptr_t)s->options.key_path);
    free(s);
}

static void on_conn_gone(struct conn *c)
{
    struct net_server *s = c->server;
    s->conns--;
    if (c->counted) caps_give(&s->net->caps, c->address);
    server_free_if_over(s);
}

/* Until TLS is up nobody owns the connection but the server. */
static void on_hello_done(void *owner)
{
    struct conn         *c    = owner;
    struct net_server   *s    = c->server;
    const unsigned char *alpn = NULL;
    unsigned             len  = 0;
    if (c->ssl) SSL_get0_alpn_selected(c->ssl, &alpn, &len);
    if (len == 2 && memcmp(alpn, "h2", 2) == 0)
        h2_open(s, c);
    else
        h1_open(s, c);
}

static void on_hello_bytes(void *owner, struct str bytes)
{
    (void)owner;
    check(bytes.len == 0); /* they come after the handshake, to another owner */
}

static void on_hello_end(void *owner)
{
    conn_close(owner, "the client left");
}

static void on_hello_close(void *owner, const char *why)
{
    (void)owner, (void)why;
}

static const struct conn_calls hello_calls = {
    .on_ready = on_hello_done,
    .on_bytes = on_hello_bytes,
    .on_end   = on_hello_end,
    .on_close = on_hello_close,
};

static int fd_of(const uv_tcp_t *tcp)
{
    uv_os_fd_t fd = -1;
    (void)uv_fileno((const uv_handle_t *)tcp, &fd);
    return fd;
}

static void on_shut_over(struct deadline *d)
{
    struct net_server *s = ring_owner(d, struct net_server, shut_over);
    strangers_let_in(&s->strangers, (int64_t)uv_now(&s->net->loop) * 1000, fd_of(&s->tcp));
    if (s->strangers.filtered) deadline_set(s->net, d, STRANGERS_SHUT_MS / 4);
}

/* Whether a stranger has taken too much already. What comes through the filter has it too, and needs it no more. */
static bool server_refuses(struct net_server *s, struct conn *c)
{
    int     none   = 0;
    int64_t now_us = (int64_t)uv_now(&s->net->loop) * 1000;
    if (strangers_may(&s->strangers, c->address, now_us)) {
        if (s->strangers.filtered)
            (void)setsockopt(fd_of(&c->tcp), SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof none);
        return false;
    }
    strangers_shut_out(&s->strangers, c->address, now_us, fd_of(&s->tcp));
    deadline_set(s->net, &s->shut_over, STRANGERS_SHUT_MS / 4);
    conn_close(c, "that address takes too much time");
    return true;
}

/* Takes the connection that libuv holds. While it holds one, it accepts no other: that is how a flood is kept at
 * the door, in the kernel's queue, instead of running into the descriptor limit. */
static void server_accept(struct net_server *s)
{
    struct net *n = s->net;
    if (n->accepted++ >= SERVER_ACCEPTS_PER_TURN || caps_are_full(&n->caps)) {
        s->holding = true;
        return;
    }
    s->holding     = false;
    struct conn *c = conn_create(n, NULL, &hello_calls, NULL);
    c->owner       = c;
    c->server      = s;
    c->stranger    = true;
    c->on_gone     = on_conn_gone;
    s->conns++;
    if (uv_accept((uv_stream_t *)&s->tcp, (uv_stream_t *)&c->tcp)) {
        conn_close(c, "the connection could not be accepted");
        return;
    }
    conn_learn_peer(c);
    if (server_refuses(s, c)) return;
    c->counted = caps_take(&n->caps, c->address);
    if (!c->counted) {
        conn_close(c, "that address has too many connections");
        return;
    }
    if (s->tls) {
        c->ssl = SSL_new(s->tls);
        check(c->ssl != NULL);
        SSL_set_accept_state(c->ssl);
        tls_attach(c);
    }
    conn_charge(c, STRANGERS_ARRIVAL_US);
    conn_deadline(c, HTTP_HELLO_MS);
    conn_start(c);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct net_server *s = listener->data;
    if (status == 0 && !s->closing) server_accept(s);
}

bool server_turn(struct net *n)
{
    bool more   = false;
    n->accepted = 0;
    for (struct ring *r = n->servers.next; r != &n->servers; r = r->next) {
        struct net_server *s = ring_owner(r, struct net_server, ring);
        if (s->holding && !s->closing) server_accept(s);
        more = more || (s->holding && !caps_are_full(&n->caps));
    }
    return more;
}

static struct err server_bind(struct net_server *s)
{
    const char             *address = s->options.address;
    struct sockaddr_storage at;
    if (uv_ip4_addr(address, s->options.port, (struct sockaddr_in *)&at) &&
        uv_ip6_addr(address, s->options.port, (struct sockaddr_in6 *)&at))
        return ERR(INVALID, "the address to listen on is not a numeric one");
    if (uv_tcp_bind(&s->tcp, (struct sockaddr *)&at, 0) ||
        uv_listen((uv_stream_t *)&s->tcp, SERVER_BACKLOG, on_connection))
        return ERR(IO, "the address can't be listened on");
    int size = sizeof at;
    check(uv_tcp_getsockname(&s->tcp, (struct sockaddr *)&at, &size) == 0);
    s->port = ntohs(at.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&at)->sin6_port
                                             : ((struct sockaddr_in *)&at)->sin_port);
    return OK;
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct net_server *s = handle->data;
    struct net        *n = s->net;
    s->closed            = true;
    server_free_if_over(s);
    loop_release(n);
}

static char *copy_of(const char *path)
{
    char *copy = path ? strdup(path) : NULL;
    check(!path || copy);
    return copy;
}

struct err net_listen(struct net *n, const struct net_server_options *o, struct net_server **out)
{
    if (n->stopping) return ERR(IO, "the loop is stopping");
    check(o->on_request != NULL);
    SSL_CTX *tls = NULL;
    if (!o->plain) TRY(tls_server_context(o->cert_path, o->key_path, o->http2, &tls));

    struct net_server *s = loop_alloc(sizeof *s);
    s->net               = n;
    s->options           = *o;
    s->options.cert_path = copy_of(o->cert_path);
    s->options.key_path  = copy_of(o->key_path);
    s->tls               = tls;
    deadline_init(&s->shut_over, on_shut_over);
    strangers_init(&s->strangers, o->stranger_us_per_s ? o->stranger_us_per_s : NET_STRANGER_US_PER_S);
    s->body_max = o->body_max ? o->body_max : NET_BODY_BYTES_MAX;
    check(uv_tcp_init(&n->loop, &s->tcp) == 0);
    s->tcp.data = s;
    ring_push(&n->servers, &s->ring);
    loop_hold(n);
    struct err e       = server_bind(s);
    s->options.address = NULL; /* the caller's memory */
    if (e.code) {
        net_server_close(s);
        return e;
    }
    *out = s;
    return OK;
}

uint16_t net_server_port(const struct net_server *s)
{
    return s->port;
}

struct err net_server_reload(struct net_server *s)
{
    if (!s->tls) return OK;
    SSL_CTX *fresh;
    TRY(tls_server_context(s->options.cert_path, s->options.key_path, s->options.http2, &fresh));
    SSL_CTX_free(s->tls); /* connections that are open hold on to theirs */
    s->tls = fresh;
    return OK;
}

void net_server_close(struct net_server *s)
{
    if (!s || s->closing) return;
    s->closing = true;
    deadline_clear(s->net, &s->shut_over);
    for (struct ring *r = s->net->conns.next; r != &s->net->conns; r = r->next) {
        struct conn *c = ring_owner(r, struct conn, ring);
        if (c->server == s) conn_close(c, "the server is closing");
    }
    uv_close((uv_handle_t *)&s->tcp, on_listener_closed);
}

void server_stop_all(struct net *n)
{
    for (struct ring *r = n->servers.next; r != &n->servers; r = r->next)
        net_server_close(ring_owner(r, struct net_server, ring));
}
