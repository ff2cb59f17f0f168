#include "probe_int.h"

#include "base/map.h"
#include "sys/log.h"

#include <stdlib.h>
#include <string.h>

#define STALE_MS 2000    /* after a whole list's last part, what it did not name goes */
#define APART_MS 7       /* between the beginnings of two, so that not all are asked at once */
#define ANSWER_BYTES 12  /* of "HTTP/1.1 200" */
#define REQUEST_MAX 1024 /* what a service is asked */

struct probe {
    struct node_id    node; /* none: this place is free */
    struct cluster_id cluster;
    char              service[TICKET_SERVICE_TEXT];
    bool              http;
    char              path[128];
    uint64_t          list; /* the last whole list that named it, or that was current then */
    struct probes    *probes;
    struct net_timer *timer;
    struct join      *join; /* it is being asked */
    bool              answered;
    char              answer[ANSWER_BYTES];
    size_t            answer_len;
    uint64_t          answered_ms; /* when it last answered; 0: it was last asked in vain */
    uint64_t          seen_ms;
    bool              unsent;
};

struct probes {
    struct probes_options o;
    struct probe          all[PROBES_MAX];
    uint32_t              free_places[PROBES_MAX];
    uint32_t              free_count, top;
    struct map            map;
    uint32_t             *slots;
    uint64_t              list; /* whole lists that began */
    struct net_timer     *stale_timer, *count_timer;
};

/* ---- one probe ----------------------------------------------------------------------------------------------------- */

static void take_yes(struct probe *p)
{
    const struct probes_options *o      = &p->probes->o;
    uint64_t                     now_ms = net_now_ms(o->net);
    if (p->answered_ms) {
        uint64_t span_ms = now_ms - p->answered_ms, most_ms = o->every_ms + o->answer_ms;
        p->seen_ms += span_ms < most_ms ? span_ms : most_ms; /* more, if this process stood still */
        p->unsent = true;
    } else {
        log_info("probe.seen", LOG_ID("node", p->node), LOG_TEXT("service", p->service));
    }
    p->answered    = true;
    p->answered_ms = now_ms;
    join_end(p->join, "it answered");
}

static void take_no(struct probe *p, const char *why)
{
    if (p->answered_ms)
        log_info("probe.unseen", LOG_ID("node", p->node), LOG_TEXT("service", p->service),
                 LOG_TEXT("why", why));
    p->answered_ms = 0;
}

static bool is_response(const char line[ANSWER_BYTES])
{
    struct str all = { line, ANSWER_BYTES };
    if (!str_starts(all, STR("HTTP/1.")) || line[8] != ' ') return false;
    for (size_t i = 9; i < ANSWER_BYTES; i++)
        if (line[i] < '0' || line[i] > '9') return false;
    return true;
}

static void on_bytes(void *ctx, struct join *j, struct str bytes)
{
    struct probe *p    = ctx;
    size_t        room = sizeof p->answer - p->answer_len, count = bytes.len < room ? bytes.len : room;
    memcpy(p->answer + p->answer_len, bytes.ptr, count);
    p->answer_len += count;
    if (p->answer_len < sizeof p->answer) return;
    if (is_response(p->answer))
        take_yes(p);
    else
        join_end(j, "it did not answer in HTTP");
}

static void ask(const struct probe *p, struct join *j)
{
    char        room[REQUEST_MAX];
    struct text t = TEXT_IN(room);
    text_add(&t, STR("GET "));
    text_add(&t, str_from(p->path));
    text_add(&t, STR(" HTTP/1.1\r\nhost: "));
    text_add(&t, str_from(p->service));
    text_add(&t, STR("--"));
    id_write(p->cluster.id, &t);
    text_add_char(&t, '.');
    text_add(&t, str_from(p->probes->o.domain));
    text_add(&t, STR("\r\nuser-agent: ionet-gateway\r\nconnection: close\r\n\r\n"));
    check(!t.full);
    join_say(j, text_str(&t));
}

static void on_up(void *ctx, struct join *j, struct str rest)
{
    struct probe *p = ctx;
    if (!p->http) {
        take_yes(p);
        return;
    }
    ask(p, j);
    if (p->join && rest.len) on_bytes(p, j, rest); /* it is not over by that */
}

static void on_over(void *ctx, const char *why)
{
    struct probe *p = ctx;
    p->join         = NULL;
    if (!p->answered) take_no(p, why);
}

static void on_turn(void *ctx)
{
    static const struct joins_own_calls calls = { on_up, on_bytes, on_over };
    struct probe                       *p     = ctx;
    struct ticket t = { .kind = TICKET_JOIN, .cluster = p->cluster, .node = p->node, .user = TICKET_NETWORK };
    if (p->join) return; /* its time is not over */
    memcpy(t.service, p->service, sizeof t.service);
    p->answered   = false;
    p->answer_len = 0;
    p->join       = joins_open(p->probes->o.joins, &t, p->probes->o.answer_ms, &calls, p);
    if (!p->join) take_no(p, "the gateway is stopping");
}

/* ---- all of them --------------------------------------------------------------------------------------------------- */

static void probe_remove(struct probes *ps, struct probe *p)
{
    net_timer_stop(p->timer);
    if (p->join) join_end(p->join, "nobody asks any more");
    map_remove(&ps->map, p->node.id);
    memset(p, 0, sizeof *p);
    ps->free_places[ps->free_count++] = (uint32_t)(p - ps->all);
}

static struct probe *probe_get(struct probes *ps, struct node_id node)
{
    uint32_t at = map_find(&ps->map, node.id);
    if (at != MAP_NONE) return &ps->all[at];
    if (!ps->free_count && ps->top == PROBES_MAX) return NULL;
    at              = ps->free_count ? ps->free_places[--ps->free_count] : ps->top++;
    struct probe *p = &ps->all[at];
    *p              = (struct probe){ .node = node, .probes = ps };
    map_put(&ps->map, at);
    struct err e =
        net_timer_start(ps->o.net, at * APART_MS % ps->o.every_ms, ps->o.every_ms, on_turn, p, &p->timer);
    if (!e.code) return p;
    probe_remove(ps, p);
    return NULL;
}

static void on_stale(void *ctx)
{
    struct probes *ps = ctx;
    ps->stale_timer   = NULL;
    for (uint32_t i = 0; i < ps->top; i++)
        if (!id_is_none(ps->all[i].node.id) && ps->all[i].list != ps->list) probe_remove(ps, &ps->all[i]);
}

/* A whole list comes in parts and has no end of its own; what it named before is counted on meanwhile. */
static void stale_later(struct probes *ps)
{
    if (ps->stale_timer) net_timer_stop(ps->stale_timer);
    ps->stale_timer = NULL;
    struct err e    = net_timer_start(ps->o.net, STALE_MS, 0, on_stale, ps, &ps->stale_timer);
    if (e.code) log_warn("probe.stale", LOG_ERR(e));
}

void probes_take(struct probes *ps, const struct gw_probe *f)
{
    if (f->reset) ps->list++;
    if (f->reset || ps->stale_timer) stale_later(ps);
    for (uint32_t i = 0; i < f->nodes_count; i++) {
        const struct gw_probed_service *s = &f->nodes[i];
        struct probe                   *p = probe_get(ps, s->node);
        if (!p) {
            log_warn("probe.refused", LOG_ID("node", s->node), LOG_TEXT("why", "too many are probed here"));
            continue;
        }
        p->cluster = s->cluster;
        p->http    = s->http;
        p->list    = ps->list;
        memcpy(p->service, s->service, sizeof p->service);
        memcpy(p->path, s->path, sizeof p->path);
    }
}

void probes_revoke(struct probes *ps, struct cluster_id cluster)
{
    for (uint32_t i = 0; i < ps->top; i++)
        if (!id_is_none(ps->all[i].node.id) && id_eq(ps->all[i].cluster.id, cluster.id))
            probe_remove(ps, &ps->all[i]);
}

void probes_all_unsent(struct probes *ps)
{
    for (uint32_t i = 0; i < ps->top; i++) ps->all[i].unsent = true;
}

bool probes_take_unsent(struct probes *ps, struct gw_probed *out)
{
    out->nodes_count = 0;
    for (uint32_t i = 0; i < ps->top && out->nodes_count < countof(out->nodes); i++) {
        struct probe *p = &ps->all[i];
        if (!p->unsent || id_is_none(p->node.id)) continue;
        p->unsent                      = false;
        out->nodes[out->nodes_count++] = (struct gw_answered){ p->node, p->seen_ms };
    }
    return out->nodes_count > 0;
}

void probes_write(const struct probes *ps, void (*emit)(void *ctx, enum link_kind kind, const void *message),
                  void                *ctx)
{
    struct gw_probe f = { .reset = true };
    for (uint32_t i = 0; i < ps->top; i++) {
        const struct probe *p = &ps->all[i];
        if (id_is_none(p->node.id)) continue;
        struct gw_probed_service *s = &f.nodes[f.nodes_count++];
        *s = (struct gw_probed_service){ .node = p->node, .cluster = p->cluster, .http = p->http };
        memcpy(s->service, p->service, sizeof s->service);
        memcpy(s->path, p->path, sizeof s->path);
        if (f.nodes_count < countof(f.nodes)) continue;
        emit(ctx, LINK_GW_PROBE, &f);
        f = (struct gw_probe){ .reset = false };
    }
    emit(ctx, LINK_GW_PROBE, &f);
}

static void on_count(void *ctx)
{
    struct probes *ps = ctx;
    for (uint32_t i = 0; i < ps->top; i++) {
        if (!ps->all[i].unsent) continue;
        ps->o.on_counted(ps->o.ctx);
        return;
    }
}

struct err probes_open(const struct probes_options *o, struct probes **out)
{
    struct probes *ps    = calloc(1, sizeof *ps);
    uint32_t       slots = map_slots_for(PROBES_MAX);
    check(ps);
    ps->o     = *o;
    ps->slots = calloc(slots, sizeof *ps->slots);
    check(ps->slots);
    map_init(&ps->map, ps->slots, slots, ps->all, sizeof ps->all[0], offsetof(struct probe, node));
    *out = ps;
    return net_timer_start(o->net, o->every_ms, o->every_ms, on_count, ps, &ps->count_timer);
}

void probes_stop(struct probes *ps)
{
    net_timer_stop(ps->stale_timer);
    net_timer_stop(ps->count_timer);
    ps->stale_timer = ps->count_timer = NULL;
    for (uint32_t i = 0; i < ps->top; i++)
        if (!id_is_none(ps->all[i].node.id)) probe_remove(ps, &ps->all[i]);
}

void probes_free(struct probes *ps)
{
    if (!ps) return;
    probes_stop(ps);
    free(ps->slots);
    free(ps);
}
