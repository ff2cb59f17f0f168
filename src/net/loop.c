#include "exchange_int.h"
#include "keys_int.h"
#include "listener_int.h"
#include "server_int.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

struct net_timer {
    struct ring  ring;
    struct net  *net;
    uv_timer_t   timer;
    net_on_timer call;
    void        *ctx;
    bool         closed;
};

struct signal_watch {
    struct ring  ring;
    struct net  *net;
    uv_signal_t  signal;
    net_on_timer call;
    void        *ctx;
};

struct net_waker {
    struct ring  ring;
    struct net  *net;
    uv_async_t   async;
    net_on_timer call;
    void        *ctx;
    bool         closed;
};

void loop_hold(struct net *n)
{
    n->live++;
}

void loop_release(struct net *n)
{
    check(n->live > 0);
    n->live--;
    if (n->live == 0 && n->stopping) uv_stop(&n->loop);
}

static struct err loop_may_start(const struct net *n)
{
    return n->stopping ? ERR(IO, "the loop is stopping") : OK;
}

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* being there is enough: the loop does not sleep */
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct net *n    = prepare->data;
    bool        more = server_turn(n);
    if (conn_turn(n) || more)
        check(uv_idle_start(&n->idle, on_idle) == 0);
    else
        uv_idle_stop(&n->idle);
}

struct err net_open(struct net **out)
{
    struct net *n = loop_alloc(sizeof *n);
    keys_prepare();
    if (uv_loop_init(&n->loop)) {
        free(n);
        return ERR(IO, "the system gave no event loop");
    }
    struct ring *const rings[] = { &n->timers, &n->signals,   &n->wakers,  &n->conns,
                                   &n->dirty,  &n->exchanges, &n->servers, &n->listeners };
    for (size_t i = 0; i < countof(rings); i++) ring_init(rings[i]);

    check(uv_prepare_init(&n->loop, &n->prepare) == 0);
    n->prepare.data = n;
    check(uv_prepare_start(&n->prepare, on_prepare) == 0);
    uv_unref((uv_handle_t *)&n->prepare);
    check(uv_idle_init(&n->loop, &n->idle) == 0);
    caps_init(&n->caps, caps_by_descriptors(), NET_CONNECTIONS_PER_ADDRESS_MAX);
    wheel_open(n);
    uv_unref((uv_handle_t *)&n->wheel.timer);
    loop_hold(n); /* the loop's own, let go by net_stop */
    *out = n;
    return OK;
}

void net_run(struct net *n)
{
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    check(sigaction(SIGPIPE, &ignore, NULL) == 0);
    while (!n->stopping || n->live) {
        if (uv_run(&n->loop, UV_RUN_DEFAULT) == 0 && !n->stopping) break; /* nothing is left to wait for */
    }
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct net_timer *t = handle->data;
    struct net       *n = t->net;
    /* A loop that stops keeps them, for those who still hold one. */
    if (!n->stopping) {
        ring_remove(&t->ring);
        free(t);
    }
    loop_release(n);
}

static void on_signal_closed(uv_handle_t *handle)
{
    loop_release(((struct signal_watch *)handle->data)->net);
}

static void on_waker_closed(uv_handle_t *handle)
{
    struct net_waker *w = handle->data;
    struct net       *n = w->net;
    if (!n->stopping) {
        ring_remove(&w->ring);
        free(w);
    }
    loop_release(n);
}

static void timer_close(struct net_timer *t)
{
    if (t->closed) return;
    t->closed = true;
    uv_close((uv_handle_t *)&t->timer, on_timer_closed);
}

static void waker_close(struct net_waker *w)
{
    if (w->closed) return;
    w->closed = true;
    uv_close((uv_handle_t *)&w->async, on_waker_closed);
}

void net_stop(struct net *n)
{
    if (n->stopping) return;
    n->stopping = true;
    for (struct ring *r = n->timers.next; r != &n->timers; r = r->next)
        timer_close(ring_owner(r, struct net_timer, ring));
    for (struct ring *r = n->wakers.next; r != &n->wakers; r = r->next)
        waker_close(ring_owner(r, struct net_waker, ring));
    for (struct ring *r = n->signals.next; r != &n->signals; r = r->next)
        uv_close((uv_handle_t *)&ring_owner(r, struct signal_watch, ring)->signal, on_signal_closed);
    exchange_stop_all(n);
    server_stop_all(n);
    listener_stop_all(n);
    conn_stop_all(n);
    loop_release(n);
}

static void free_all(struct ring *head, size_t offset)
{
    while (!ring_is_empty(head)) {
        struct ring *r = head->next;
        ring_remove(r);
        free((char *)r - offset);
    }
}

void net_close(struct net *n)
{
    if (!n) return;
    net_stop(n);
    net_run(n);
    uv_close((uv_handle_t *)&n->prepare, NULL);
    uv_close((uv_handle_t *)&n->idle, NULL);
    uv_close((uv_handle_t *)&n->wheel.timer, NULL);
    /* What the caller left open on the loop keeps it from closing: his mistake, told here.
     * Twice, because a stop that no run took up ends the first at once. */
    uv_run(&n->loop, UV_RUN_NOWAIT);
    uv_run(&n->loop, UV_RUN_NOWAIT);
    check(uv_loop_close(&n->loop) == 0);
    caps_finish(&n->caps);
    free_all(&n->timers, offsetof(struct net_timer, ring));
    free_all(&n->wakers, offsetof(struct net_waker, ring));
    free_all(&n->signals, offsetof(struct signal_watch, ring));
    free(n);
}

void *net_uv_loop(struct net *n)
{
    return &n->loop;
}

uint64_t net_now_ms(struct net *n)
{
    (void)n;
    struct timespec now;
    check(clock_gettime(CLOCK_BOOTTIME, &now) == 0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void on_timer(uv_timer_t *timer)
{
    struct net_timer *t    = timer->data;
    net_on_timer      call = t->call;
    void             *ctx  = t->ctx;
    if (uv_timer_get_repeat(timer) == 0) timer_close(t);
    call(ctx);
}

struct err net_timer_start(struct net *n, uint64_t after_ms, uint64_t every_ms, net_on_timer call, void *ctx,
                           struct net_timer **out)
{
    TRY(loop_may_start(n));
    struct net_timer *t = loop_alloc(sizeof *t);
    t->net              = n;
    t->call             = call;
    t->ctx              = ctx;
    check(uv_timer_init(&n->loop, &t->timer) == 0);
    t->timer.data = t;
    uv_update_time(&n->loop);
    check(uv_timer_start(&t->timer, on_timer, after_ms, every_ms) == 0);
    ring_push(&n->timers, &t->ring);
    loop_hold(n);
    if (out) *out = t;
    return OK;
}

void net_timer_stop(struct net_timer *t)
{
    if (t) timer_close(t);
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct signal_watch *w = signal->data;
    (void)number;
    w->call(w->ctx);
}

struct err net_on_signal(struct net *n, int number, net_on_timer call, void *ctx)
{
    TRY(loop_may_start(n));
    struct signal_watch *w = loop_alloc(sizeof *w);
    w->net                 = n;
    w->call                = call;
    w->ctx                 = ctx;
    if (uv_signal_init(&n->loop, &w->signal)) {
        free(w);
        return ERR(IO, "the system gave no pipe for signals");
    }
    w->signal.data = w;
    ring_push(&n->signals, &w->ring);
    loop_hold(n);
    if (uv_signal_start(&w->signal, on_signal, number)) return ERR(INVALID, "the signal can't be caught");
    return OK;
}

static void on_wake(uv_async_t *async)
{
    struct net_waker *w = async->data;
    if (!w->closed) w->call(w->ctx);
}

struct err net_waker_open(struct net *n, net_on_timer call, void *ctx, struct net_waker **out)
{
    TRY(loop_may_start(n));
    struct net_waker *w = loop_alloc(sizeof *w);
    w->net              = n;
    w->call             = call;
    w->ctx              = ctx;
    if (uv_async_init(&n->loop, &w->async, on_wake)) {
        free(w);
        return ERR(IO, "the system gave no descriptor for waking the loop");
    }
    w->async.data = w;
    ring_push(&n->wakers, &w->ring);
    loop_hold(n);
    *out = w;
    return OK;
}

void net_wake(struct net_waker *w)
{
    uv_async_send(&w->async);
}
