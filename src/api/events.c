/* events.c: server-sent events (WHATWG HTML, "Server-sent events"): one cluster, or all devices of an account. A
 * stream ends with the key it was opened by. Of several changes in one turn its reader is told once; of a large
 * cluster, whose every telling is long, not more often than twice a second. */
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
    bool               changed;
    uint64_t           told_ms;
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

static void write_cluster(struct json_out *w, const void *ctx)
{
    const struct watcher *x = ctx;
    view_cluster(w, x->api, network_cluster(x->api->o.network, x->cluster), true);
}

static void write_device(struct json_out *w, const void *ctx)
{
    view_device(w, ctx);
}

static bool send_event(struct watcher *x, struct str name, api_writer write, const void *ctx)
{
    struct text data = reply_build(write, ctx);
    bool sent = !data.full && net_stream_send(x->stream, STR("event: ")) && net_stream_send(x->stream, name) &&
                net_stream_send(x->stream, STR("\ndata: ")) && net_stream_send(x->stream, text_str(&data)) &&
                net_stream_send(x->stream, STR("\n\n"));
    free(data.ptr);
    return sent;
}

static bool send_cluster(struct watcher *x)
{
    return network_cluster(x->api->o.network, x->cluster) && send_event(x, STR("cluster"), write_cluster, x);
}

static bool send_device(struct watcher *x, const struct device *d)
{
    return send_event(x, STR("device"), write_device, d);
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
    *w = (struct watcher){ a->watchers, &a->watchers, a, NULL, q->account->id, { 0 }, cluster, false, 0 };
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
    if (w && !send_cluster(w)) watcher_end(w);
}

void get_device_events(struct api_ask *q)
{
    struct watcher *w    = watcher_open(q, (struct id){ { 0 } });
    bool            sent = w && net_stream_send(w->stream, STR(": one's devices\n\n"));
    for (const struct device *d = NULL; sent && (d = table_next(&q->api->o.network->devices, d));)
        if (id_eq(d->owner.id, w->account.id)) sent = send_device(w, d);
    if (w && !sent) watcher_end(w);
}

/* ---- after a turn ------------------------------------------------------------------------------------------------ */

static void device_changed(struct api *a, struct id id)
{
    const struct device *d = network_device(a->o.network, id);
    for (struct watcher *x = a->watchers, *next; d && x; x = next) {
        next = x->next;
        if (!id_is_none(x->cluster) || !id_eq(x->account.id, d->owner.id)) continue;
        if (!key_is_good(x) || !send_device(x, d)) watcher_end(x);
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
    return !c || c->size < LARGE_NODES || net_now_ms(x->api->o.net) - x->told_ms >= LARGE_EVERY_MS;
}

void events_flush(struct api *a)
{
    for (struct watcher *x = a->watchers, *next; x; x = next) {
        next = x->next;
        if (!x->changed || !is_due(x)) continue;
        x->changed = false;
        x->told_ms = net_now_ms(a->o.net);
        if (!key_is_good(x) || !send_cluster(x)) watcher_end(x);
    }
}

void events_comment(struct api *a)
{
    for (struct watcher *x = a->watchers, *next; x; x = next) {
        next = x->next;
        if (!key_is_good(x) || !net_stream_send(x->stream, STR(": still here\n\n"))) watcher_end(x);
    }
}
