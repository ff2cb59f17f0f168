#include "http_int.h"
#include "server_int.h"

#include <stdlib.h>
#include <string.h>

#define REQUEST_REPLY_US 4 /* what an answer costs, beside the thought that went into it */
#define REQUEST_BYTES_PER_US 1000

struct net_request *request_create(struct net_server *s, struct conn *c, const struct request_wire *wire,
                                   void *from)
{
    struct net_request *r = loop_alloc(sizeof *r);
    r->server             = s;
    r->conn               = c;
    r->wire               = wire;
    r->from               = from;
    r->stream.request     = r;
    return r;
}

void request_destroy(struct net_request *r)
{
    head_free(&r->head);
    bytes_free(&r->body);
    free(r);
}

void request_gone(struct net_request *r)
{
    bool streams            = r->state == REQUEST_STREAMING;
    void (*on_gone)(void *) = streams ? r->stream.on_gone : r->on_gone;
    void *ctx               = streams ? r->stream.ctx : r->ctx;
    r->wire                 = NULL;
    r->from                 = NULL;
    r->conn                 = NULL;
    if (r->state != REQUEST_READING && !on_gone) return; /* the answer will free it */
    if (r->state != REQUEST_READING) on_gone(ctx);
    request_destroy(r);
}

void request_refuse(struct net_request *r, unsigned status)
{
    const struct net_server_options *o = &r->server->options;
    r->state                           = REQUEST_ASKED;
    if (o->on_refuse)
        o->on_refuse(o->ctx, r, status);
    else
        net_reply(r, status, NULL, 0, STR(""));
}

/* The name in lower case, without the port. Whatever else a host may hold, it holds no blank, no slash and no
 * second opinion ('@', ','). */
bool request_take_host(struct net_request *r, struct str authority)
{
    struct str name = authority;
    if (str_starts(name, STR("["))) {
        struct str inside, after;
        if (!str_split(str_skip(name, 1), ']', &inside, &after)) return false;
        if (after.len && after.ptr[0] != ':') return false;
        name = inside;
    } else {
        struct str port;
        str_split(authority, ':', &name, &port);
    }
    for (size_t i = 0; i < authority.len; i++)
        if (authority.ptr[i] <= ' ' || strchr("/@,?#\\", authority.ptr[i])) return false;
    char lower[256];
    if (str_copy(name, lower, sizeof lower).code) return false;
    str_lower(lower, name.len);
    return head_append(&r->head, &r->host, (struct str){ lower, name.len });
}

bool request_body_is_slow(const struct net_request *r, uint64_t now_ms)
{
    return now_ms - r->body_since_ms > HTTP_BODY_GRACE_MS + r->body_got * 1000 / HTTP_BODY_BYTES_PER_S;
}

struct str net_request_method(const struct net_request *r)
{
    return head_piece(&r->head, r->method);
}

struct str net_request_path(const struct net_request *r)
{
    struct str path, query;
    str_split(head_piece(&r->head, r->target), '?', &path, &query);
    return path;
}

struct str net_request_query(const struct net_request *r)
{
    struct str path, query;
    str_split(head_piece(&r->head, r->target), '?', &path, &query);
    return query;
}

struct str net_request_header(const struct net_request *r, struct str lower_name)
{
    return head_find(&r->head, lower_name);
}

struct str net_request_host(const struct net_request *r)
{
    return head_piece(&r->head, r->host);
}

struct str net_request_sni(const struct net_request *r)
{
    if (!r->conn || !r->conn->ssl) return STR("");
    return str_from(SSL_get_servername(r->conn->ssl, TLSEXT_NAMETYPE_host_name));
}

struct str net_request_body(const struct net_request *r)
{
    return bytes_str(&r->body);
}

struct str net_request_peer(const struct net_request *r)
{
    return r->conn ? str_from(r->conn->peer) : STR("");
}

void net_request_vouch(struct net_request *r, bool known)
{
    if (r->conn) conn_vouch(r->conn, known);
}

void net_request_set_ctx(struct net_request *r, void *ctx, void (*on_gone)(void *ctx))
{
    check(r->state == REQUEST_ASKED);
    r->ctx     = ctx;
    r->on_gone = on_gone;
}

void net_reply(struct net_request *r, unsigned status, const struct net_header *headers, size_t count,
               struct str body)
{
    check(r->state == REQUEST_ASKED && status >= 200 && status <= 599 && count <= NET_REPLY_HEADERS_MAX);
    if (r->conn) conn_charge(r->conn, REQUEST_REPLY_US + (int64_t)body.len / REQUEST_BYTES_PER_US);
    if (r->wire) r->wire->reply(r, status, headers, count, body);
    request_destroy(r);
}

struct net_stream *net_reply_stream(struct net_request *r, unsigned status, const struct net_header *headers,
                                    size_t count, void (*on_gone)(void *ctx), void *ctx)
{
    check(r->state == REQUEST_ASKED && status >= 200 && status <= 599 && count <= NET_REPLY_HEADERS_MAX);
    r->state          = REQUEST_STREAMING;
    r->stream.on_gone = on_gone;
    r->stream.ctx     = ctx;
    bytes_free(&r->body);
    if (r->wire) r->wire->stream_open(r, status, headers, count);
    return &r->stream;
}

bool net_stream_send(struct net_stream *s, struct str bytes)
{
    struct net_request *r = s->request;
    return r->wire && r->wire->stream_send(r, bytes);
}

void net_stream_end(struct net_stream *s)
{
    struct net_request *r = s->request;
    if (r->wire) r->wire->stream_end(r);
    request_destroy(r);
}
