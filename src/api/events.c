/* events.c: server-sent events (WHATWG HTML, "Server-sent events"): one cluster, or all devices of an account. A
 * stream ends with the key it was opened by. Of several changes in one turn its reader is told once; of a large
 * cluster, whose every telling is long, not more often than twice a second. Each event is the whole of what it is about,
 * so a reader who is behind is told less often, after the turns to come: a connection that stands still net ends. */
#include "api_int.h"

#include <stdlib.h>
#include <string.h>

#define LARGE_NODES 64
#define LARGE_EVERY_MS 500

struct watcher {
    struct watcher    *next, **from;
    struct api        *api;
    struct net_stream *stream;
    struct account_id  account;
    uint8_t            key_hash[CRYPTO_HASH_BYTES];
    struct id          cluster; /* none: devices */
    bool               changed; /* the cluster, since it was told */
    uint64_t           told_ms; /* or tried to: the reader was behind */
    uint64_t           flush;   /* in which that was */
    uint32_t told; /* devices: those at lower places of their table; the others are told after a turn */
};

static void watcher_free(struct watcher *w)
{
    *w->from = w->next;
    if (w->next) w->next->from = w->from;
    w->api->watcher_count--;
    free(w);
}

static void watcher_end(struct watcher *w)
{
    net_stream_end(w->stream);
    watcher_free(w);
}

static void on_gone(void *ctx)
{
    watcher_free(ctx);
}

/* ---- what is sent --------------------------------------------------------------------------------------------- */

struct telling {
    const struct api *api;
    struct id         id;
};

static void write_cluster(struct json_out *w, const void *ctx)
{
    const struct telling *t = ctx;
    view_cluster(w, t->api, network_cluster(t->api->o.network, t->id), true);
}

static void write_device(struct json_out *w, const void *ctx)
{
    view_device(w, ctx);
}

/* On the heap; empty if it is beyond all measure. */
static struct text event_build(const char *name, api_writer write, const void *ctx)
{
    static const char form[] = "event: \ndata: \n\n";
    struct text       data   = reply_build(write, ctx);
    size_t            cap    = sizeof form + strlen(name) + data.len;
    struct text       event  = { malloc(cap), 0, cap, false };
    check(event.ptr);
    text_add(&event, STR("event: "));
    text_add(&event, str_from(name));
    text_add(&event, STR("\ndata: "));
    text_add(&event, text_str(&data));
    text_add(&event, STR("\n\n"));
    check(!event.full);
    if (data.full) event.len = 0;
    free(data.ptr);
    return event;
}

/* False: the reader is behind, and has got nothing of it. */
static bool send_device(struct watcher *x, const struct device *d)
{
    struct text event = event_build("device", write_device, d);
    bool        sent  = net_stream_send(x->stream, text_str(&event));
    free(event.ptr);
    return sent;
}

static void tell_devices(struct watcher *x)
{
    const struct table *t = &x->api->o.network->devices;
    for (; x->told < t->used; x->told++) {
        const struct device *d    = table_at(t, x->told);
        bool                 mine = !id_is_none(d->id.id) && id_eq(d->owner.id, x->account.id);
        if (mine && !send_device(x, d)) return;
    }
}

static void send_cluster(struct watcher *x, const struct text *event)
{
    x->changed = !net_stream_send(x->stream, text_str(event));
    x->told_ms = net_now_ms(x->api->o.net);
    x->flush   = x->api->flushes;
}

static bool key_is_good(const struct watcher *x)
{
    return network_key(x->api->o.network, x->key_hash) != NULL;
}

/* ---- opening ---------------------------------------------------------------------------------------------------- */

static struct watcher *watcher_open(struct api_ask *q, struct id cluster)
{
    static const struct net_header headers[] = {
        { { "content-type", 12 }, { "text/event-stream", 17 } },
        { { "cache-control", 13 }, { "no-store", 8 } },
    };
    struct api *a    = q->api;
    uint32_t    mine = 0;
    for (const struct watcher *x = a->watchers; x; x = x->next) mine += id_eq(x->account.id, q->account->id.id);
    bool            full = mine >= API_WATCHERS_AN_ACCOUNT_MAX || a->watcher_count >= API_WATCHERS_MAX;
    struct watcher *w    = full ? NULL : calloc(1, sizeof *w);
    if (!w) {
        reply_problem(q->request, &(struct api_problem){ .error = ERR(LIMIT, "too many event streams are open"),
                                                         .status = 429 });
        return NULL;
    }
    *w = (struct watcher){
        .next = a->watchers, .from = &a->watchers, .api = a, .account = q->account->id, .cluster = cluster
    };
    memcpy(w->key_hash, q->key->hash, sizeof w->key_hash);
    if (w->next) w->next->from = &w->next;
    a->watchers = w;
    a->watcher_count++;
    w->stream = net_reply_stream(q->request, 200, headers, countof(headers), on_gone, w);
    return w;
}

void get_cluster_events(struct api_ask *q)
{
    const struct cluster *c = NULL;
    struct err            e = own_cluster(q, q->param, &c);
    if (e.code) return reply_error(q->request, e);
    struct watcher *w = watcher_open(q, c->id.id);
    if (!w) return;
    struct telling t     = { q->api, c->id.id };
    struct text    event = event_build("cluster", write_cluster, &t);
    send_cluster(w, &event);
    free(event.ptr);
}

void get_device_events(struct api_ask *q)
{
    struct watcher *w = watcher_open(q, (struct id){ { 0 } });
    if (!w) return;
    (void)net_stream_send(w->stream, STR(": one's devices\n\n"));
    tell_devices(w);
}

/* ---- after a turn ------------------------------------------------------------------------------------------------ */

static void device_changed(struct api *a, struct id id)
{
    const struct device *d     = network_device(a->o.network, id);
    uint32_t             place = d ? table_place(&a->o.network->devices, d) : 0;
    for (struct watcher *x = a->watchers, *next; d && x; x = next) {
        next = x->next;
        if (!id_is_none(x->cluster) || !id_eq(x->account.id, d->owner.id) || place >= x->told) continue;
        if (!key_is_good(x))
            watcher_end(x);
        else if (!send_device(x, d))
            x->told = place;
    }
}

void events_effect(struct api *a, const struct effect *e)
{
    if (e->kind == EFFECT_EVENT_DEVICE) return device_changed(a, e->subject);
    if (e->kind != EFFECT_EVENT_CLUSTER) return;
    for (struct watcher *x = a->watchers; x; x = x->next) x->changed |= id_eq(x->cluster, e->subject);
}

static bool is_due(const struct watcher *x)
{
    const struct cluster *c = network_cluster(x->api->o.network, x->cluster);
    if (id_is_none(x->cluster)) return x->told < x->api->o.network->devices.used;
    if (!c || !x->changed || x->flush == x->api->flushes) return false;
    return c->size < LARGE_NODES || net_now_ms(x->api->o.net) - x->told_ms >= LARGE_EVERY_MS;
}

/* This one and all after it who watch the same cluster: its event is long, and written once for all. */
static void tell_cluster(struct watcher *first)
{
    struct telling t     = { first->api, first->cluster };
    struct text    event = event_build("cluster", write_cluster, &t);
    for (struct watcher *x = first; x; x = x->next)
        if (id_eq(x->cluster, t.id) && is_due(x)) send_cluster(x, &event);
    free(event.ptr);
}

void events_flush(struct api *a)
{
    a->flushes++;
    for (struct watcher *x = a->watchers, *next; x; x = next) {
        next = x->next;
        if (is_due(x) && !key_is_good(x)) watcher_end(x);
    }
    for (struct watcher *x = a->watchers; x; x = x->next) {
        if (!is_due(x)) continue;
        if (id_is_none(x->cluster))
            tell_devices(x);
        else
            tell_cluster(x);
    }
}

void events_comment(struct api *a)
{
    for (struct watcher *x = a->watchers, *next; x; x = next) {
        next = x->next;
        if (!key_is_good(x))
            watcher_end(x);
        else
            (void)net_stream_send(x->stream, STR(": still here\n\n")); /* who is behind has enough to read */
    }
}
