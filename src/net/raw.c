#include "raw_int.h"
#include "server_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void raw_on_bytes(void *owner, struct str bytes)
{
    struct net_raw *r = owner;
    if (r->own.on_bytes) r->own.on_bytes(r->ctx, r, bytes);
}

static void raw_on_turn(void *owner)
{
    struct net_raw *r = owner;
    if (r->paused || r->first.len == 0) return;
    struct bytes first = r->first;
    r->first           = (struct bytes){ 0 };
    raw_on_bytes(r, bytes_str(&first));
    bytes_free(&first);
    if (!r->conn->closing) conn_pause(r->conn, r->paused);
}

static void raw_on_end(void *owner)
{
    struct net_raw *r = owner;
    if (r->own.on_end) r->own.on_end(r->ctx, r);
}

static void raw_on_drain(void *owner)
{
    struct net_raw *r = owner;
    if (r->own.on_drain) r->own.on_drain(r->ctx, r);
}

static void raw_tell_close(struct net_raw *r, const char *why)
{
    if (r->own.on_close) r->own.on_close(r->ctx, why);
    bytes_free(&r->first);
    free(r);
}

static void raw_on_close(void *owner, const char *why)
{
    raw_tell_close(owner, why);
}

static void raw_on_ready(void *owner)
{
    (void)owner; /* an adopted socket is ready before anybody may know it */
}

static const struct conn_calls raw_calls = {
    .on_ready = raw_on_ready,
    .on_bytes = raw_on_bytes,
    .on_end   = raw_on_end,
    .on_drain = raw_on_drain,
    .on_turn  = raw_on_turn,
    .on_close = raw_on_close,
};

static struct net_raw *raw_create(struct net *n, const struct net_raw_calls *calls, void *ctx)
{
    struct net_raw *r = loop_alloc(sizeof *r);
    r->net            = n;
    net_raw_set(r, calls, ctx);
    return r;
}

/* Nothing from the wire may overtake what was read before: it is held back until that is delivered. */
static void raw_attach(struct net_raw *r, struct conn *c, struct bytes first)
{
    r->conn  = c;
    r->first = first;
    conn_be_patient(c);
    conn_vouch(c, true);
    conn_own(c, &raw_calls, r);
    conn_pause(c, r->paused || first.len);
    if (first.len) conn_touch(c);
}

struct net_raw *raw_open(struct conn *c, struct bytes first, const struct net_raw_calls *calls, void *ctx)
{
    struct net_raw *r = raw_create(c->net, calls, ctx);
    raw_attach(r, c, first);
    return r;
}

struct net_raw *net_raw_accept(struct net_request *q, struct str protocol, const struct net_raw_calls *calls,
                               void *ctx)
{
    struct bytes rest;
    check(q->state == REQUEST_ASKED && http_is_value(protocol));
    if (!q->wire) { /* the client left while the answer was being thought about */
        request_destroy(q);
        return NULL;
    }
    struct conn *c = h1_leave(q, &rest);
    conn_write(c, STR("HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: "));
    conn_write(c, protocol);
    conn_write(c, STR("\r\n\r\n"));
    return raw_open(c, rest, calls, ctx);
}

struct net_raw *net_raw_take(struct net_request *q, const struct net_raw_calls *calls, void *ctx)
{
    struct bytes all;
    struct conn *c = h1_take_first(q, &all);
    return raw_open(c, all, calls, ctx);
}

static bool is_stream_socket(int fd)
{
    int       type;
    socklen_t size = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

struct err net_raw_adopt(struct net *n, int fd, const struct net_raw_calls *calls, void *ctx,
                         struct net_raw **out)
{
    if (n->stopping || !is_stream_socket(fd)) {
        close(fd);
        return n->stopping ? ERR(IO, "the loop is stopping") : ERR(IO, "the descriptor is no stream socket");
    }
    struct net_raw *r = raw_create(n, calls, ctx);
    struct conn    *c = conn_create(n, NULL, &raw_calls, r);
    raw_attach(r, c, (struct bytes){ 0 });
    if (uv_tcp_open(&c->tcp, fd)) {
        close(fd);
        net_raw_set(r, NULL, NULL);
        conn_close(c, "not adopted");
        return ERR(IO, "the socket can't be taken");
    }
    conn_start(c);
    *out = r;
    return OK;
}

/* ---- the client's end ------------------------------------------------------------------------------ */

static void on_head(void *owner, unsigned status, const struct head *head)
{
    (void)head;
    ((struct net_raw *)owner)->status = status;
}

static bool on_upgrade(void *owner, const struct head *head, struct conn *c, struct str rest)
{
    struct net_raw *r     = owner;
    struct bytes    first = { 0 };
    (void)head;
    r->exchange = NULL;
    bytes_add(&first, rest);
    raw_attach(r, c, first);
    if (r->own.on_open) r->own.on_open(r->ctx, r);
    return true;
}

static void on_done(void *owner, struct err e)
{
    struct net_raw *r = owner;
    char            status[32];
    (void)snprintf(status, sizeof status, "status %u", r->status);
    raw_tell_close(r, r->status ? status : e.why ? e.why : "the server did not upgrade");
}

static const struct exchange_calls raw_exchange_calls = { .on_head    = on_head,
                                                          .on_upgrade = on_upgrade,
                                                          .on_done    = on_done };

struct err net_raw_connect(struct net *n, const struct net_target *t, struct str path, struct str protocol,
                           const struct net_header *headers, size_t count, const struct net_raw_calls *calls,
                           void *ctx, struct net_raw **out)
{
    struct exchange_request q = { STR("GET"), path, protocol, headers, count, STR("") };
    struct net_raw         *r = raw_create(n, calls, ctx);
    struct err              e = exchange_open(n, t, &q, &raw_exchange_calls, r, &r->exchange);
    if (e.code) {
        free(r);
        return e;
    }
    *out = r;
    return OK;
}

/* ---- both ------------------------------------------------------------------------------------------ */

void net_raw_set(struct net_raw *r, const struct net_raw_calls *calls, void *ctx)
{
    r->own = calls ? *calls : (struct net_raw_calls){ 0 };
    r->ctx = ctx;
}

void net_raw_send(struct net_raw *r, struct str bytes)
{
    check(r->conn != NULL);
    conn_write(r->conn, bytes);
}

size_t net_raw_waiting(const struct net_raw *r)
{
    return r->conn ? conn_waiting(r->conn) : 0;
}

void net_raw_pause(struct net_raw *r, bool pause)
{
    r->paused = pause;
    if (!r->conn) return;
    conn_pause(r->conn, pause || r->first.len);
    if (!pause && r->first.len) conn_touch(r->conn);
}

void net_raw_end(struct net_raw *r)
{
    check(r->conn != NULL);
    conn_end(r->conn);
}

void net_raw_close(struct net_raw *r)
{
    if (r->conn)
        conn_close(r->conn, "closed");
    else
        exchange_fail_soon(r->exchange, "closed");
}
