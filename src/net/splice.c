#include "raw_int.h"

#include <stdlib.h>

#define SPLICE_HIGH_BYTES \
    (256 * 1024) /* more than this waiting to go out stops the reading at the other side */
#define SPLICE_LOOK_MS 5000

struct side {
    struct net_splice *splice;
    struct net_raw    *raw; /* null when it has closed */
    struct side       *other;
    uint64_t           carried; /* from here to the other */
    bool               ended;   /* its peer sends no more, and the other side was told */
};

struct net_splice {
    struct side       a;
    struct side       b;
    struct net_timer *timer;
    net_on_over       call;
    void             *ctx;
};

static void side_on_bytes(void *ctx, struct net_raw *r, struct str bytes)
{
    struct side *s = ctx;
    s->carried += bytes.len;
    if (!s->other->raw) return;
    net_raw_send(s->other->raw, bytes);
    if (net_raw_waiting(s->other->raw) > SPLICE_HIGH_BYTES) net_raw_pause(r, true);
}

static void side_on_drain(void *ctx, struct net_raw *r)
{
    struct side *s = ctx;
    (void)r;
    if (s->other->raw && s->other->raw->paused) net_raw_pause(s->other->raw, false);
}

static void side_on_end(void *ctx, struct net_raw *r)
{
    struct side *s = ctx;
    (void)r;
    s->ended = true;
    if (s->other->raw) net_raw_end(s->other->raw);
}

/* Where both have ended, each closes by itself once its last bytes are out; anything else is a break, and the
 * other side must not be left hanging. */
static void side_on_close(void *ctx, const char *why)
{
    struct side       *s      = ctx;
    struct net_splice *splice = s->splice;
    (void)why;
    s->raw = NULL;
    if (s->other->raw) {
        if (!s->ended || !s->other->ended) net_raw_close(s->other->raw);
        return;
    }
    net_timer_stop(splice->timer);
    splice->call(splice->ctx, splice->a.carried, splice->b.carried);
    free(splice);
}

static const struct net_raw_calls side_calls = {
    .on_bytes = side_on_bytes,
    .on_drain = side_on_drain,
    .on_end   = side_on_end,
    .on_close = side_on_close,
};

static void side_init(struct side *s, struct net_splice *splice, struct net_raw *r, struct side *other)
{
    *s = (struct side){ .splice = splice, .raw = r, .other = other };
    net_raw_set(r, &side_calls, s);
    net_raw_pause(r, false);
}

/* A machine that vanished says nothing, and while bytes are on their way to it the system does not ask either. */
static void on_look(void *ctx)
{
    struct net_splice *s     = ctx;
    struct net_raw    *raw[] = { s->a.raw, s->b.raw };
    for (int i = 0; i < 2; i++)
        if (raw[i] && conn_is_lost(raw[i]->conn)) net_raw_close(raw[i]);
}

struct net_splice *net_splice(struct net_raw *a, struct net_raw *b, net_on_over call, void *ctx)
{
    check(a->conn && b->conn && a != b);
    struct net_splice *s = loop_alloc(sizeof *s);
    s->call              = call;
    s->ctx               = ctx;
    /* Refused only by a loop that stops. */
    if (net_timer_start(a->net, SPLICE_LOOK_MS, SPLICE_LOOK_MS, on_look, s, &s->timer).code) s->timer = NULL;
    side_init(&s->a, s, a, &s->b);
    side_init(&s->b, s, b, &s->a);
    if (a->conn->got_end) side_on_end(&s->a, a);
    if (b->conn->got_end) side_on_end(&s->b, b);
    return s;
}

void net_splice_cut(struct net_splice *s)
{
    if (s->a.raw) net_raw_close(s->a.raw);
    if (s->b.raw) net_raw_close(s->b.raw);
}
