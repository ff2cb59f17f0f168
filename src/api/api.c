/* api.c: requests in, effects back. */
#include "api_int.h"

#include "sys/log.h"
#include "sys/sys.h"

#include <stdlib.h>
#include <string.h>

#define FREE_END UINT32_MAX
#define PLACE_BITS 16

_Static_assert(API_WAITING_MAX <= 1u << PLACE_BITS, "a place fits a handle");

/* ---- writes that wait for the network ------------------------------------------------------------------- */

static void waiting_init(struct api *a)
{
    for (uint32_t i = 0; i < API_WAITING_MAX; i++)
        a->waiting[i] =
            (struct api_waiting){ .api = a, .next_free = i + 1 < API_WAITING_MAX ? i + 1 : FREE_END };
    a->first_free = 0;
}

static struct api_waiting *waiting_take(struct api *a, uint64_t *handle)
{
    if (a->first_free == FREE_END) return NULL;
    struct api_waiting *w = &a->waiting[a->first_free];
    a->first_free         = w->next_free;
    w->is_used            = true;
    w->generation++;
    *handle = (uint64_t)w->generation << PLACE_BITS | (uint64_t)(w - a->waiting);
    return w;
}

static void waiting_give(struct api_waiting *w)
{
    struct api *a = w->api;
    explicit_bzero(w->secret, sizeof w->secret);
    w->request    = NULL;
    w->is_used    = false;
    w->next_free  = a->first_free;
    a->first_free = (uint32_t)(w - a->waiting);
}

static struct api_waiting *waiting_of(struct api *a, uint64_t handle)
{
    uint64_t place = handle & ((1u << PLACE_BITS) - 1);
    if (place >= API_WAITING_MAX) return NULL;
    struct api_waiting *w = &a->waiting[place];
    return w->is_used && w->generation == handle >> PLACE_BITS ? w : NULL;
}

static void on_waiting_gone(void *ctx)
{
    struct api_waiting *w = ctx;
    w->request            = NULL; /* the network's answer comes all the same, to nobody */
}

void ask_network(struct api_ask *q, struct input *in, struct str secret,
                 void (*done)(struct api_waiting *w, const struct effect *e))
{
    struct api_waiting *w = waiting_take(q->api, &in->request);
    if (!w) return reply_error(q->request, ERR(LIMIT, "too many requests wait: try again in a moment"));
    check(str_copy(secret, w->secret, sizeof w->secret).code == ERR_NONE);
    w->route = q->route;
    w->done  = done;

    struct err e = q->api->o.ask(q->api->o.ctx, in);
    if (e.code) {
        waiting_give(w);
        return reply_error(q->request, e);
    }
    w->request = q->request;
    net_request_set_ctx(q->request, w, on_waiting_gone);
}

/* What the number beside an error of the network means. */
static void reply_refusal(struct net_request *r, const struct effect *e)
{
    struct api_problem p = { .error = e->error, .extra_value = (int64_t)e->count };
    if (e->error.code == ERR_CAPACITY) p.extra = "available";
    if (e->error.code == ERR_FUNDS) p.extra = "missing_micros";
    if (e->error.code == ERR_INVALID && e->count) p.extra = "most";
    if (e->error.code == ERR_LIMIT && e->count) {
        p.extra  = "most";
        p.status = 429; /* a limit of his own, not of the network */
    }
    reply_problem(r, &p);
}

static void on_reply(struct api *a, const struct effect *e)
{
    struct api_waiting *w = waiting_of(a, e->request);
    if (!w) return;
    if (w->request && e->error.code)
        reply_refusal(w->request, e);
    else if (w->request)
        w->done(w, e);
    waiting_give(w);
}

void api_effect(struct api *a, const struct effect *e)
{
    if (e->kind == EFFECT_REPLY) return on_reply(a, e);
    events_effect(a, e);
}

/* ---- requests that wait for a commit --------------------------------------------------------------------- */

static void parked_remove(struct parked *p)
{
    p->prev->next = p->next;
    p->next->prev = p->prev;
    p->api->parked_count--;
    free(p);
}

static void on_parked_gone(void *ctx)
{
    parked_remove(ctx);
}

static void park(struct api *a, struct net_request *r)
{
    struct parked *p = a->parked_count < API_WAITING_MAX ? malloc(sizeof *p) : NULL;
    if (!p) return reply_error(r, ERR(LIMIT, "too many requests wait: try again in a moment"));
    *p                   = (struct parked){ &a->parked, a->parked.prev, r, a };
    a->parked.prev->next = p;
    a->parked.prev       = p;
    a->parked_count++;
    net_request_set_ctx(r, p, on_parked_gone);
}

void api_request(struct api *a, struct net_request *r)
{
    a->requests++;
    if (!api_admits(a, r)) return;
    if (a->paused)
        park(a, r);
    else
        api_dispatch(a, r);
}

void api_pause(struct api *a)
{
    a->paused = true;
}

void api_resume(struct api *a)
{
    a->paused = false;
    events_flush(a);
    while (a->parked.next != &a->parked && !a->paused) {
        struct net_request *r = a->parked.next->request;
        parked_remove(a->parked.next);
        net_request_set_ctx(r, NULL, NULL);
        api_dispatch(a, r);
    }
}

/* ---- the whole --------------------------------------------------------------------------------------------- */

static void on_timer(void *ctx)
{
    struct api *a = ctx;
    if (!a->paused) events_comment(a);
}

struct err api_open(const struct api_options *options, struct api **out)
{
    struct api *a = calloc(1, sizeof *a);
    if (!a) return ERR(LIMIT, "there is no memory for the API");
    a->o           = *options;
    a->parked.next = a->parked.prev = &a->parked;
    a->waiting                      = calloc(API_WAITING_MAX, sizeof *a->waiting);
    a->nonces.ring                  = calloc(API_NONCES_MAX, sizeof *a->nonces.ring);
    check(a->waiting && a->nonces.ring);
    a->accounts  = rates_create();
    a->addresses = rates_create();
    waiting_init(a);
    struct err e = net_timer_start(a->o.net, API_COMMENT_MS, API_COMMENT_MS, on_timer, a, &a->timer);
    if (!e.code) e = reads_open(a);
    if (e.code)
        api_close(a);
    else
        *out = a;
    return e;
}

void api_close(struct api *a)
{
    if (!a) return;
    check(a->parked_count == 0 && a->watcher_count == 0);
    reads_close(a);
    if (a->timer) net_timer_stop(a->timer);
    free(a->waiting);
    free(a->nonces.ring);
    free(a->accounts);
    free(a->addresses);
    free(a->counts.ptr);
    free(a);
}
