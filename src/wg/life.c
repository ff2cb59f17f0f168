#include "codec/codec.h"
#include "crypto/crypto.h"
#include "sys/secret.h"
#include "sys/sys.h"
#include "wg_int.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

const char *const wg_kind_names[WG_KIND_COUNT] = { [WG_USERSPACE] = "wireguard-go", [WG_KERNEL] = "kernel" };

static const struct wg_backend *const backends[WG_KIND_COUNT] = {
    [WG_USERSPACE] = &userspace_backend, [WG_KERNEL] = &kernel_backend
};

#define READY_TICK_MS 500
#define IN_BYTES_MAX (64u << 20) /* WG_PEERS_MAX peers, as wireguard-go tells of them */

static void on_tick(void *ctx);

void *wg_alloc(size_t bytes)
{
    void *p = calloc(1, bytes);
    check(p);
    return p;
}

bool wg_take_bytes(struct wg_device *d, const char *bytes, size_t count)
{
    if (d->in_len + count > IN_BYTES_MAX) return false;
    if (d->in_len + count > d->in_cap) {
        char *old = d->in;
        d->in_cap = (d->in_len + count) * 2;
        d->in     = wg_alloc(d->in_cap);
        if (old) memcpy(d->in, old, d->in_len);
        if (old) explicit_bzero(old, d->in_len); /* an answer holds the device's key */
        free(old);
    }
    memcpy(d->in + d->in_len, bytes, count);
    d->in_len += count;
    return true;
}

/* ---- work that blocks --------------------------------------------------------------------------------- */

static void on_work(uv_work_t *work)
{
    struct wg_device *d = work->data;
    d->work_run(d);
}

static void on_work_done(uv_work_t *work, int status)
{
    struct wg_device *d = work->data;
    d->working          = false;
    if (status == 0 && d->state != WG_ENDING) d->work_done(d);
}

void wg_work(struct wg_device *d, void (*run)(struct wg_device *d), void (*done)(struct wg_device *d))
{
    check(!d->working);
    d->working   = true;
    d->work.data = d;
    d->work_run  = run;
    d->work_done = done;
    check(uv_queue_work(net_uv_loop(d->net), &d->work, on_work, on_work_done) == 0);
}

/* ---- asking ------------------------------------------------------------------------------------------- */

static void push(struct wg_ask **list, struct wg_ask *a)
{
    while (*list) list = &(*list)->next;
    *list = a;
}

static void ask_answer(struct wg_ask *a, struct err e, const struct wg_answer *answer)
{
    if (a->seen) a->seen(a->ctx, e, answer ? answer->peers : NULL, answer ? answer->count : 0);
    if (a->done) a->done(a->ctx, e);
    free(a->peers);
    free(a);
}

static void say(struct wg_device *d, struct wg_ask *a)
{
    if (!d->asked) d->answer_by_ms = net_now_ms(d->net) + WG_ANSWER_MS;
    push(&d->asked, a);
    d->backend->say(d);
}

static struct wg_ask *ask_new(struct wg_ask like)
{
    struct wg_ask *a = wg_alloc(sizeof *a);
    *a               = like;
    return a;
}

void wg_ask(struct wg_device *d, struct wg_ask like)
{
    struct wg_ask *a = ask_new(like);
    if (d->state == WG_READY)
        say(d, a);
    else
        push(&d->held, a);
}

void wg_on_answer(struct wg_device *d, struct err e, const struct wg_answer *answer)
{
    struct wg_ask *a = d->asked;
    check(a);
    d->asked        = a->next;
    d->answer_by_ms = net_now_ms(d->net) + WG_ANSWER_MS;
    if (!e.code && !a->peers && !a->first) d->listen_port = answer->listen_port;
    ask_answer(a, e, answer);
}

static void answer_all(struct wg_ask **list, struct err e)
{
    while (*list) {
        struct wg_ask *a = *list;
        *list            = a->next;
        ask_answer(a, e, NULL);
    }
}

/* ---- states -------------------------------------------------------------------------------------------- */

static void tick_every(struct wg_device *d, uint64_t after_ms, uint64_t every_ms)
{
    net_timer_stop(d->timer);
    d->timer = NULL;
    /* Refused only by a loop that stops, before which each device must be over. */
    check(net_timer_start(d->net, after_ms, every_ms, on_tick, d, &d->timer).code == ERR_NONE);
}

static void end(struct wg_device *d, struct err why)
{
    if (d->state == WG_ENDING) return;
    d->state = WG_ENDING;
    d->why   = why;
    tick_every(d, 0, WG_POLL_MS);
}

void wg_on_lost(struct wg_device *d, struct err why)
{
    if (d->state == WG_ADOPTING) {
        /* What does not answer is no device: it is cleared away, and made anew. */
        d->state = WG_CLEARING;
        answer_all(&d->asked, why);
    } else if (d->state != WG_CLEARING) {
        end(d, why);
    }
}

static void be_ready(struct wg_device *d)
{
    struct wg_ask *held = d->held;
    d->held             = NULL;
    d->state            = WG_READY;
    tick_every(d, READY_TICK_MS, READY_TICK_MS);
    d->calls->on_ready(d->ctx, d, d->listen_port, d->adopted);
    while (held) {
        struct wg_ask *a = held;
        held             = a->next;
        a->next          = NULL;
        if (d->state == WG_READY)
            say(d, a);
        else
            push(&d->held, a);
    }
}

static void on_port(void *ctx, struct err e, const struct wg_seen *peers, size_t count)
{
    (void)peers, (void)count;
    struct wg_device *d = ctx;
    if (e.code || d->state != WG_BINDING) return;
    /* A port of the system's choice is known once the device is really up. */
    if (d->listen_port)
        be_ready(d);
    else
        d->ask_port = true;
}

static void ask_port(struct wg_device *d)
{
    d->ask_port = false;
    say(d, ask_new((struct wg_ask){ .seen = on_port, .ctx = d }));
}

static void raise_run(struct wg_device *d)
{
    struct iface f = { .mtu = d->o.mtu, .prefix_bits = d->o.prefix_bits, .watcher = d->memo.pid };
    memcpy(f.name, d->name, sizeof f.name);
    memcpy(f.address, d->address, sizeof f.address);
    memcpy(f.netns, d->netns, sizeof f.netns);
    d->work_err = iface_raise(&f);
    if (d->work_err.code) return;
    d->memo.whole = true;
    d->work_err   = memo_write(d->dir, d->name, &d->memo);
}

static void raise_done(struct wg_device *d)
{
    if (d->work_err.code) {
        wg_on_lost(d, d->work_err);
        return;
    }
    d->state = WG_BINDING;
    ask_port(d);
}

static void on_configured(void *ctx, struct err e)
{
    struct wg_device *d = ctx;
    if (d->state != WG_STARTING) return;
    if (e.code) {
        wg_on_lost(d, e);
        return;
    }
    d->state = WG_RAISING;
    wg_work(d, raise_run, raise_done);
}

static void on_adopted(void *ctx, struct err e, const struct wg_seen *peers, size_t count)
{
    (void)peers, (void)count;
    struct wg_device *d = ctx;
    if (d->state != WG_ADOPTING) return;
    if (e.code || !d->listen_port) {
        wg_on_lost(d, e);
        return;
    }
    d->adopted = true;
    be_ready(d);
}

void wg_on_started(struct wg_device *d, struct err e)
{
    if (e.code)
        wg_on_lost(d, e);
    else if (d->state == WG_ADOPTING)
        say(d, ask_new((struct wg_ask){ .seen = on_adopted, .ctx = d }));
    else if (d->state == WG_STARTING)
        say(d, ask_new((struct wg_ask){ .first = true, .done = on_configured, .ctx = d }));
}

/* True once nothing of it is left in this process. */
static bool has_let_go(struct wg_device *d)
{
    if (!d->closing) d->backend->let_go(d);
    d->closing = true;
    return d->handles == 0 && !d->working;
}

static void clear(struct wg_device *d)
{
    if (!d->backend->is_gone(d)) {
        d->backend->halt(d);
        return;
    }
    if (!has_let_go(d)) return;
    memo_remove(d->dir, d->name);
    d->memo = (struct wg_memo){ .kind = d->o.kind };
    memcpy(d->memo.from, d->from, sizeof d->from);
    memcpy(d->memo.netns, d->netns, sizeof d->netns);
    d->backend   = backends[d->o.kind];
    d->closing   = false;
    d->halted_ms = 0;
    d->removed = d->speaking = false;
    d->in_len = d->looked_at = 0;
    d->made_by_ms            = net_now_ms(d->net) + WG_MAKE_MS;

    d->state = WG_STARTING;
    d->backend->start(d);
}

static void finish(struct wg_device *d)
{
    if (!d->leaving && !d->backend->is_gone(d)) {
        d->backend->halt(d);
        return;
    }
    if (!has_let_go(d)) return;
    if (!d->leaving) memo_remove(d->dir, d->name);

    struct err why = d->why.code ? d->why : ERR(IO, "the device has ended");
    answer_all(&d->asked, why);
    answer_all(&d->held, why);
    net_timer_stop(d->timer);
    insist_free(d);
    d->calls->on_over(d->ctx, d->why);
    free(d->in);
    secret_free(d);
}

static void on_tick(void *ctx)
{
    struct wg_device *d = ctx;
    switch (d->state) {
    case WG_CLEARING: clear(d); return;
    case WG_ENDING: finish(d); return;
    case WG_BINDING:
        if (d->ask_port) ask_port(d);
        break;
    case WG_READY:
    case WG_ADOPTING:
    case WG_STARTING:
    case WG_RAISING:
    case WG_STATE_COUNT: break;
    }
    uint64_t now_ms = net_now_ms(d->net);
    if ((d->state != WG_READY && now_ms > d->made_by_ms) || (d->asked && now_ms > d->answer_by_ms))
        wg_on_lost(d, ERR(TIMEOUT, "a WireGuard device does not answer"));
}

/* ---- what the caller asks ------------------------------------------------------------------------------ */

/* A device is adopted only by who would make the same. */
static void from_write(struct wg_device *d)
{
    char        line[2 * WG_PATH_TEXT];
    uint8_t     public_half[WG_KEY_BYTES];
    struct text t = TEXT_IN(line), out = TEXT_IN(d->from);
    mesh_key_public(d->o.secret, public_half);
    text_add_hex(&t, public_half, sizeof public_half);
    const uint64_t numbers[] = { d->o.listen_port, d->o.mtu, d->o.prefix_bits };
    for (size_t i = 0; i < countof(numbers); i++) {
        text_add_char(&t, ' ');
        text_add_u64(&t, numbers[i]);
    }
    text_add_char(&t, ' ');
    text_add(&t, str_from(d->address));
    text_add_char(&t, ' ');
    text_add(&t, str_from(d->netns));
    check(!t.full);
    text_add_hex(&out, hash_sha256(text_str(&t)).bytes, sizeof d->from / 2);
    text_z(&out);
}

static bool is_name(struct str s)
{
    if (s.len == 0 || s.len >= WG_NAME_TEXT || s.ptr[0] == '.' || s.ptr[0] == '-') return false;
    for (size_t i = 0; i < s.len; i++)
        if (memchr("/%: \t\n", s.ptr[i], 7)) return false; /* the kernel's own rule, and no path */
    return true;
}

static bool is_address(const char *s)
{
    uint8_t bytes[16];
    return inet_pton(strchr(s, ':') ? AF_INET6 : AF_INET, s, bytes) == 1;
}

static bool is_place(const char *s)
{
    char        host[WG_PLACE_TEXT];
    const char *colon = strrchr(s, ':');
    uint64_t    port;
    if (!colon || str_to_u64(str_from(colon + 1), &port).code || port == 0 || port > UINT16_MAX) return false;
    struct str part = { s, (size_t)(colon - s) };
    bool       six  = str_starts(part, STR("[")) && str_ends(part, STR("]"));
    if (six) part = (struct str){ part.ptr + 1, part.len - 2 };
    return !str_copy(part, host, sizeof host).code && is_address(host) && six == !!strchr(host, ':');
}

static struct err copy_options(struct wg_device *d, const struct wg_options *o)
{
    if (o->kind >= WG_KIND_COUNT) return ERR(INVALID, "there is no such kind of device");
    if (!is_name(str_from(o->name))) return ERR(INVALID, "an interface can't have that name");
    if (o->mtu < WG_MTU_LEAST || o->mtu > UINT16_MAX) return ERR(INVALID, "an MTU is out of range");
    if (o->address && (!is_address(o->address) || o->prefix_bits > (strchr(o->address, ':') ? 128 : 32)))
        return ERR(INVALID, "the interface's address is none");
    TRY(str_copy(str_from(o->name), d->name, sizeof d->name));
    TRY(str_copy(str_from(o->dir), d->dir, sizeof d->dir));
    TRY(str_copy(str_from(o->program ? o->program : "wireguard-go"), d->program, sizeof d->program));
    TRY(str_copy(str_from(o->address), d->address, sizeof d->address));
    TRY(str_copy(str_from(o->netns), d->netns, sizeof d->netns));
    TRY(sys_make_dirs(d->dir, 0700));
    d->o         = *o;
    d->o.program = d->o.dir = d->o.name = d->o.address = d->o.netns = NULL; /* the copies count */
    from_write(d);
    return OK;
}

struct err wg_make(struct net *n, const struct wg_options *o, const struct wg_calls *calls, void *ctx,
                   struct wg_device **out)
{
    scoped_secret struct wg_device *d = NULL;
    TRY(secret_alloc(sizeof *d, &d));
    TRY(copy_options(d, o));
    d->net        = n;
    d->calls      = calls;
    d->ctx        = ctx;
    d->printed    = -1;
    d->made_by_ms = net_now_ms(n) + WG_MAKE_MS;

    struct err e = memo_read(d->dir, d->name, &d->memo);
    if (e.code && e.code != ERR_MISSING && e.code != ERR_CORRUPT) return e;
    if (e.code) d->memo = (struct wg_memo){ .kind = o->kind };
    d->backend = backends[d->memo.kind];
    bool same  = d->memo.whole && d->memo.kind == o->kind && strcmp(d->memo.from, d->from) == 0;
    d->state   = same && !d->backend->is_gone(d) ? WG_ADOPTING : WG_CLEARING;
    TRY(net_timer_start(n, 0, WG_POLL_MS, on_tick, d, &d->timer));
    if (d->state == WG_ADOPTING) d->backend->find(d);
    *out = d;
    d    = NULL;
    return OK;
}

void wg_remove(struct wg_device *d)
{
    d->leaving = false;
    end(d, OK);
}

void wg_leave(struct wg_device *d)
{
    d->leaving = d->state == WG_READY; /* what is half made helps nobody */
    end(d, OK);
}

struct err wg_set_peers(struct wg_device *d, const struct wg_peer *peers, size_t count, wg_on_done done,
                        void *ctx)
{
    check(count > 0 && count <= WG_PEERS_A_CALL);
    for (size_t i = 0; i < count; i++) {
        const struct wg_peer *p = &peers[i];
        if (p->gone) continue;
        if (p->endpoint[0] && !is_place(p->endpoint)) return ERR(INVALID, "a peer's endpoint is none");
        if (p->address[0] && !is_address(p->address)) return ERR(INVALID, "a peer's address is none");
    }
    struct wg_peer *copy = wg_alloc(count * sizeof *peers);
    memcpy(copy, peers, count * sizeof *peers);
    wg_ask(d, (struct wg_ask){ .peers = copy, .count = count, .done = done, .ctx = ctx });
    insist_take(d, peers, count);
    return OK;
}

void wg_read_peers(struct wg_device *d, wg_on_seen call, void *ctx)
{
    wg_ask(d, (struct wg_ask){ .seen = call, .ctx = ctx });
}
