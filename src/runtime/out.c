/* out.c: a node's way out: the process that is one (inside.c), kept running. */
#include "container_int.h"
#include "inside_int.h"
#include "netns.h"

#include <stdio.h>
#include <stdlib.h>

#define AGAIN_MS 1000 /* after one that ended */
#define READY_MS_MAX 10000

struct out {
    struct runtime   *r;
    struct container *c;     /* null once it was stopped */
    struct child     *child; /* null between two */
    uv_timer_t        timer;
    netns_on_made     call; /* null once it was called */
    void             *ctx;
    char              net[RUNTIME_PATH_TEXT];
    char              uid[16];
    char              rules[EGRESS_RULES_TEXT];
};

static void on_timer_closed(uv_handle_t *handle)
{
    struct out *o = handle->data;
    runtime_release(o->r);
    free(o);
}

static void out_tell(struct out *o, struct err e)
{
    netns_on_made call = o->call;
    o->call            = NULL;
    if (call && !o->r->closing) call(o->ctx, e);
}

/* Nothing of it is left to come. */
static void out_end(struct out *o, struct err e)
{
    if (o->c) o->c->out = NULL;
    o->c = NULL;
    out_tell(o, e);
    uv_close((uv_handle_t *)&o->timer, on_timer_closed);
}

static void on_ready(void *ctx, struct str bytes)
{
    struct out *o = ctx;
    (void)bytes;
    check(uv_timer_stop(&o->timer) == 0);
    out_tell(o, OK);
}

static void out_start(struct out *o);

static void on_again(uv_timer_t *timer)
{
    out_start(timer->data);
}

static void on_late(uv_timer_t *timer)
{
    struct out *o = timer->data;
    child_stop(o->child);
}

static void on_out_done(void *ctx, const struct child_result *result)
{
    struct out *o = ctx;
    (void)result;
    o->child = NULL;
    if (!o->c || o->call)
        out_end(o, ERR(IO, "the node's way out can't be opened"));
    else
        check(uv_timer_start(&o->timer, on_again, AGAIN_MS, 0) == 0);
}

static void out_start(struct out *o)
{
    const char *const        args[] = { CHILD_OUT, o->net, o->uid, o->rules, NULL };
    const struct child_order order  = {
         .file      = CHILD_SELF,
         .args      = args,
         .extra_fd  = -1,
         .on_output = on_ready,
         .on_done   = on_out_done,
         .ctx       = o,
    };
    struct err e = child_start(o->r, &order, &o->child);
    check(uv_timer_start(&o->timer, e.code ? on_again : on_late, e.code ? AGAIN_MS : READY_MS_MAX, 0) == 0);
}

void out_stop(struct container *c)
{
    struct out *o = c->out;
    c->out        = NULL;
    if (!o) return;
    o->c = NULL;
    check(uv_timer_stop(&o->timer) == 0);
    if (o->child)
        child_stop(o->child);
    else
        out_end(o, OK);
}

struct err netns_let_out(struct runtime *r, struct node_id node, const struct egress_rules *rules,
                         netns_on_made call, void *ctx)
{
    struct container *c = node_find(r, node);
    if (!c || c->state == NODE_CLEANING || !netns_is_there(r, node))
        return ERR(CONFLICT, "the node has no network namespace");
    struct out *o = runtime_alloc(sizeof *o);
    *o            = (struct out){ .r = r, .c = c, .call = call, .ctx = ctx };
    struct text t = TEXT_IN(o->rules);
    egress_rules_write(rules, &t);
    text_z(&t);
    if (t.full) {
        free(o);
        return ERR(LIMIT, "the rules of a way out are too long");
    }
    netns_path(r, node, o->net);
    snprintf(o->uid, sizeof o->uid, "%u", r->uid_base + RUNTIME_NODES_MAX * NETNS_IDS + c->slot);
    out_stop(c);
    c->out        = o;
    o->timer.data = o;
    runtime_hold(r);
    check(uv_timer_init(r->loop, &o->timer) == 0);
    out_start(o);
    return OK;
}
