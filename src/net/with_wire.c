#include "with_wire_int.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TURNS_MAX 10000
#define PIECES_MAX 24
#define NEVER_MS (1ull << 40)

static struct net       *net;
static struct net_server server;
static void (*open_as)(struct net_server *s, struct conn *c);
static size_t conns;

static void is_plain(struct str s)
{
    for (size_t i = 0; i < s.len; i++) check((unsigned char)s.ptr[i] > ' ' && s.ptr[i] != 0x7f);
}

void wire_on_request(void *ctx, struct net_request *r)
{
    const struct net_header headers[] = { { STR("content-type"), STR("text/plain") } };
    struct str              path = net_request_path(r), host = net_request_host(r);
    (void)ctx;
    check(str_starts(path, STR("/")) || str_eq(path, STR("*")));
    check(!memchr(path.ptr, '?', path.len) && net_request_method(r).len);
    check(net_request_body(r).len <= server.body_max);
    is_plain(path);
    is_plain(host);
    for (size_t i = 0; i < host.len; i++) check(!strchr("/@,?#\\ABCXYZ", host.ptr[i]));
    if (path.len % 2) {
        net_reply(r, 200, headers, countof(headers), net_request_body(r));
        return;
    }
    struct net_stream *s = net_reply_stream(r, 200, headers, countof(headers), NULL, NULL);
    if (net_stream_send(s, STR("a"))) (void)net_stream_send(s, STR("bc"));
    net_stream_end(s);
}

static void on_ready(void *owner)
{
    open_as(&server, owner);
}

static void on_bytes(void *owner, struct str bytes)
{
    (void)owner, (void)bytes;
}

static void on_close(void *owner, const char *why)
{
    (void)owner, (void)why;
}

static void on_gone(struct conn *c)
{
    (void)c;
    conns--;
}

static void turn(int client)
{
    char    heard[4096];
    ssize_t got;
    uv_run(net_uv_loop(net), UV_RUN_NOWAIT);
    do got = recv(client, heard, sizeof heard, MSG_DONTWAIT);
    while (got == sizeof heard);
}

static void on_never(void *ctx)
{
    (void)ctx;
}

/* A loop with nothing to wait for does not turn: a timer keeps it awake. */
static void open_net(void)
{
    static struct net_timer *timer;
    if (net) return;
    check(net_open(&net).code == ERR_NONE);
    check(net_timer_start(net, NEVER_MS, NEVER_MS, on_never, NULL, &timer).code == ERR_NONE);
}

void wire_serve(void (*open)(struct net_server *s, struct conn *c), const struct net_server_options *o,
                struct str sent, size_t piece)
{
    static const struct conn_calls calls = { .on_ready = on_ready, .on_bytes = on_bytes, .on_close = on_close };
    int                            ends[2];
    open_net();
    check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    server = (struct net_server){ .net = net, .options = *o, .body_max = o->body_max };
    ring_init(&server.ring);
    open_as        = open;
    struct conn *c = conn_create(net, NULL, &calls, NULL);
    c->owner       = c;
    c->on_gone     = on_gone;
    conns++;
    check(uv_tcp_open(&c->tcp, ends[0]) == 0);
    conn_start(c);
    for (int i = 0; sent.len && conns; i++) {
        size_t  count = i < PIECES_MAX && piece < sent.len ? piece : sent.len;
        ssize_t done  = send(ends[1], sent.ptr, count, MSG_NOSIGNAL);
        turn(ends[1]);
        if (done < 0) break;
        sent = str_skip(sent, (size_t)done);
    }
    turn(ends[1]);
    check(shutdown(ends[1], SHUT_WR) == 0);
    for (int i = 0; conns && i < TURNS_MAX; i++) turn(ends[1]);
    close(ends[1]);
    for (int i = 0; conns && i < TURNS_MAX; i++) uv_run(net_uv_loop(net), UV_RUN_NOWAIT);
    check(conns == 0);
}
