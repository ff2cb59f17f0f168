#include "exchange_int.h"

#include <stdlib.h>

struct net_call {
    struct exchange      *exchange;
    struct net_call_calls calls;
    void                 *ctx;
};

static void on_head(void *owner, unsigned status, const struct head *head)
{
    struct net_call *c = owner;
    if (c->calls.on_head) c->calls.on_head(c->ctx, status, head_find(head, STR("content-type")));
}

static void on_body(void *owner, struct str bytes)
{
    struct net_call *c = owner;
    if (c->calls.on_body) c->calls.on_body(c->ctx, bytes);
}

static void on_done(void *owner, struct err e)
{
    struct net_call *c               = owner;
    void (*done)(void *, struct err) = c->calls.on_done;
    void *ctx                        = c->ctx;
    free(c);
    if (done) done(ctx, e);
}

static const struct exchange_calls call_calls = { .on_head = on_head, .on_body = on_body, .on_done = on_done };

struct err net_call(struct net *n, const struct net_target *t, struct str method, struct str path_query,
                    const struct net_header *headers, size_t count, struct str body,
                    const struct net_call_calls *calls, void *ctx, struct net_call **out)
{
    struct exchange_request r = { method, path_query, STR(""), headers, count, body };
    struct net_call        *c = loop_alloc(sizeof *c);
    c->calls                  = *calls;
    c->ctx                    = ctx;
    struct err e              = exchange_open(n, t, &r, &call_calls, c, &c->exchange);
    if (e.code) {
        free(c);
        return e;
    }
    if (out) *out = c;
    return OK;
}

void net_call_cancel(struct net_call *c)
{
    exchange_drop(c->exchange);
    free(c);
}
