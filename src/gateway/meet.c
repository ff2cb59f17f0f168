#include "meet_int.h"

#include "base/map.h"
#include "sys/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAST_FOR_MS 30000 /* how long somebody new is looked for often */
#define STALE_MS 2000     /* after a whole list's last part, what it did not name goes */
#define KEEPALIVE_RESTORED_S 25
#define READ_SHARE 10     /* reading takes at most a tenth of the time */
#define HALF_SEEN_MS 1000 /* a node seen on one port alone is told of only after so long: the other says more */
/* A node that was at one place for both ports and has left it for one of them: at the latest with its next keepalive (15 s)
 * the other says whether its router has become a symmetric one, or took another port for all. */
#define HALF_MOVED_MS 16000

struct meet_node {
    struct id      tag; /* the first bytes of its key: what the map finds it by */
    struct node_id node;
    uint8_t        key[MESH_KEY_BYTES];
    char           seen[2][MESH_ENDPOINT_TEXT];
    uint32_t       list; /* the last whole list that named it */
    bool           used;
    bool           unsent;    /* ionetd was not told where it is */
    bool           was_alike; /* ionetd was told of one place for both ports */
    uint64_t       first_seen_ms;
    uint64_t       moved_ms;
};

struct meet_pair {
    uint8_t  keys[2][MESH_KEY_BYTES];
    uint32_t list;
    bool     used;
};

struct point { /* one of the two interfaces */
    struct meet      *meet;
    struct wg_device *device; /* null: it is being made anew */
    char              name[WG_NAME_TEXT];
    bool              ready, was_ready, reading;
    unsigned          which;
};

struct meet {
    struct meet_options      o;
    const struct meet_calls *calls;
    void                    *ctx;
    struct point             points[2];
    struct meet_node        *nodes;
    uint32_t                *free_nodes;
    uint32_t                 free_count;
    uint32_t                 top;    /* nodes beyond were never used */
    uint32_t                 unseen; /* nodes with a place unknown */
    struct map               map;
    uint32_t                *slots;
    struct meet_pair        *pairs;
    uint32_t                 pairs_top;
    uint32_t                 list_nodes, list_pairs;
    uint64_t                 stale_nodes_ms, stale_pairs_ms; /* 0: nothing is to go */
    struct net_timer        *timer;
    uint64_t                 fast_until_ms;
    uint64_t                 read_ms, read_took_ms;
    bool                     stopping, over;
    struct err               why;
};

static void make_point(struct point *p);

/* ---- nodes --------------------------------------------------------------------------------------------------- */

static struct id tag_of(const uint8_t key[MESH_KEY_BYTES])
{
    struct id tag;
    memcpy(tag.bytes, key, sizeof tag.bytes);
    return tag;
}

static struct meet_node *node_find(struct meet *m, const uint8_t key[MESH_KEY_BYTES])
{
    uint32_t at = map_find(&m->map, tag_of(key));
    if (at == MAP_NONE || memcmp(m->nodes[at].key, key, MESH_KEY_BYTES) != 0) return NULL;
    return &m->nodes[at];
}

static const char *place_of(const struct meet_node *n)
{
    return n->seen[0][0] ? n->seen[0] : n->seen[1];
}

static bool is_alike(const struct meet_node *n)
{
    return strcmp(n->seen[0], n->seen[1]) == 0;
}

static void tell_relay(struct meet *m, const uint8_t key[MESH_KEY_BYTES], const char *place)
{
    for (uint32_t slot = 0; slot < m->pairs_top; slot++) {
        struct meet_pair *p = &m->pairs[slot];
        for (int side = 0; p->used && side < 2; side++)
            if (memcmp(p->keys[side], key, MESH_KEY_BYTES) == 0)
                relay_set_seen(m->o.relay, slot, side == 1, place);
    }
}

static void peer_set(struct point *p, const struct wg_peer *peers, size_t count)
{
    if (!p->ready || !count) return;
    struct err e = wg_set_peers(p->device, peers, count, NULL, NULL);
    if (e.code) log_error("meet.peers", LOG_TEXT("device", p->name), LOG_ERR(e));
}

static void peer_set_both(struct meet *m, const struct wg_peer *peers, size_t count)
{
    for (int i = 0; i < 2; i++) peer_set(&m->points[i], peers, count);
}

static void node_remove(struct meet *m, struct meet_node *n)
{
    struct wg_peer gone = { .gone = true };
    memcpy(gone.key, n->key, sizeof gone.key);
    peer_set_both(m, &gone, 1);
    tell_relay(m, n->key, "");
    if (!n->seen[0][0] || !n->seen[1][0]) m->unseen--;
    map_remove(&m->map, n->tag);
    memset(n, 0, sizeof *n);
    m->free_nodes[m->free_count++] = (uint32_t)(n - m->nodes);
}

/* True if it is new. */
static bool node_add(struct meet *m, const struct gw_key *k)
{
    struct meet_node *n   = node_find(m, k->key);
    struct id         tag = tag_of(k->key);
    if (n) {
        n->node = k->node;
        n->list = m->list_nodes;
        return false;
    }
    bool full = !m->free_count && m->top == GATEWAY_NODES_MAX;
    if (full || id_is_none(tag) || map_find(&m->map, tag) != MAP_NONE) {
        log_warn("meet.refused", LOG_ID("node", k->node),
                 LOG_TEXT("why", full ? "there are too many" : "its key is none"));
        return false;
    }
    uint32_t at = m->free_count ? m->free_nodes[--m->free_count] : m->top++;
    n           = &m->nodes[at];
    *n          = (struct meet_node){ .tag = tag, .node = k->node, .list = m->list_nodes, .used = true };
    memcpy(n->key, k->key, sizeof n->key);
    map_put(&m->map, at);
    m->unseen++;
    return true;
}

static void node_see(struct meet *m, struct meet_node *n, unsigned which, const char *place)
{
    if (!place[0] || strcmp(n->seen[which], place) == 0) return;
    bool was_whole = n->seen[0][0] && n->seen[1][0];
    check(!str_copy(str_from(place), n->seen[which], sizeof n->seen[which]).code);
    if (!was_whole && n->seen[0][0] && n->seen[1][0]) m->unseen--;
    n->unsent   = true;
    n->moved_ms = net_now_ms(m->o.net);
    if (!n->first_seen_ms) n->first_seen_ms = n->moved_ms;
    tell_relay(m, n->key, place_of(n));
}

/* ---- frames ---------------------------------------------------------------------------------------------------- */

void meet_take_meet(struct meet *m, const struct gw_meet *f)
{
    struct wg_peer peers[countof(f->nodes)];
    size_t         count = 0;
    if (f->reset) m->list_nodes++;
    if (f->reset || m->stale_nodes_ms) m->stale_nodes_ms = net_now_ms(m->o.net) + STALE_MS;
    for (uint32_t i = 0; i < f->gone_count; i++) {
        struct meet_node *n = node_find(m, f->gone[i].key);
        if (n) node_remove(m, n);
    }
    for (uint32_t i = 0; i < f->nodes_count; i++) {
        if (!node_add(m, &f->nodes[i])) continue;
        peers[count] = (struct wg_peer){ 0 };
        memcpy(peers[count++].key, f->nodes[i].key, MESH_KEY_BYTES);
    }
    peer_set_both(m, peers, count);
    if (count) m->fast_until_ms = net_now_ms(m->o.net) + FAST_FOR_MS;
}

static void pair_set(struct meet *m, const struct gw_pair *g)
{
    if (g->slot >= m->o.slots) {
        log_warn("relay.refused", LOG_I64("slot", g->slot), LOG_TEXT("why", "there is no such slot"));
        return;
    }
    struct meet_pair *p     = &m->pairs[g->slot];
    bool              known = p->used && memcmp(p->keys[0], g->key_a, MESH_KEY_BYTES) == 0 &&
                 memcmp(p->keys[1], g->key_b, MESH_KEY_BYTES) == 0;
    p->list = m->list_pairs;
    if (known) return;
    p->used = true;
    memcpy(p->keys[0], g->key_a, MESH_KEY_BYTES);
    memcpy(p->keys[1], g->key_b, MESH_KEY_BYTES);
    if (g->slot >= m->pairs_top) m->pairs_top = g->slot + 1;
    struct err e = relay_set_pair(m->o.relay, g->slot, p->keys[0], p->keys[1]);
    if (e.code) log_error("relay.pair", LOG_I64("slot", g->slot), LOG_ERR(e));
    for (int side = 0; side < 2; side++) {
        const struct meet_node *n = node_find(m, p->keys[side]);
        if (n) relay_set_seen(m->o.relay, g->slot, side == 1, place_of(n));
    }
}

static void pair_drop(struct meet *m, uint32_t slot)
{
    if (slot >= m->o.slots || !m->pairs[slot].used) return;
    m->pairs[slot].used = false;
    relay_drop_pair(m->o.relay, slot);
}

void meet_take_relay(struct meet *m, const struct gw_relay *f)
{
    if (f->reset) m->list_pairs++;
    if (f->reset || m->stale_pairs_ms) m->stale_pairs_ms = net_now_ms(m->o.net) + STALE_MS;
    for (uint32_t i = 0; i < f->gone_count; i++) pair_drop(m, f->gone[i].slot);
    for (uint32_t i = 0; i < f->pairs_count; i++) pair_set(m, &f->pairs[i]);
}

/* A whole list comes in parts and has no end of its own; what it named before keeps its session meanwhile. */
static void drop_stale(struct meet *m, uint64_t now_ms)
{
    if (m->stale_nodes_ms && now_ms >= m->stale_nodes_ms) {
        m->stale_nodes_ms = 0;
        for (uint32_t i = 0; i < m->top; i++)
            if (m->nodes[i].used && m->nodes[i].list != m->list_nodes) node_remove(m, &m->nodes[i]);
    }
    if (m->stale_pairs_ms && now_ms >= m->stale_pairs_ms) {
        m->stale_pairs_ms = 0;
        for (uint32_t slot = 0; slot < m->pairs_top; slot++)
            if (m->pairs[slot].used && m->pairs[slot].list != m->list_pairs) pair_drop(m, slot);
    }
}

void meet_restore_seen(struct meet *m, const struct gw_seen *f)
{
    for (uint32_t p = 0; p < f->places_count; p++) {
        for (uint32_t i = 0; i < m->top; i++) {
            struct meet_node *n = &m->nodes[i];
            if (!n->used || !id_eq(n->node.id, f->places[p].node.id)) continue;
            node_see(m, n, 0, f->places[p].seen_a);
            node_see(m, n, 1, f->places[p].seen_b);
            n->was_alike |= is_alike(n);
        }
    }
}

void meet_all_unsent(struct meet *m)
{
    for (uint32_t i = 0; i < m->top; i++) m->nodes[i].unsent = m->nodes[i].used && place_of(&m->nodes[i])[0];
}

static void place_write(const struct meet_node *n, struct gw_place *out)
{
    out->node = n->node;
    memcpy(out->seen_a, n->seen[0], sizeof out->seen_a);
    memcpy(out->seen_b, n->seen[1], sizeof out->seen_b);
}

static bool is_to_be_told(const struct meet_node *n, uint64_t now_ms)
{
    if (!n->unsent) return false;
    if (!n->seen[0][0] || !n->seen[1][0]) return now_ms - n->first_seen_ms >= HALF_SEEN_MS;
    return is_alike(n) || !n->was_alike || now_ms - n->moved_ms >= HALF_MOVED_MS;
}

bool meet_take_unsent(struct meet *m, struct gw_seen *out)
{
    uint64_t now_ms   = net_now_ms(m->o.net);
    out->places_count = 0;
    for (uint32_t i = 0; i < m->top && out->places_count < countof(out->places); i++) {
        if (!is_to_be_told(&m->nodes[i], now_ms)) continue;
        m->nodes[i].unsent    = false;
        m->nodes[i].was_alike = is_alike(&m->nodes[i]);
        place_write(&m->nodes[i], &out->places[out->places_count++]);
    }
    return out->places_count > 0;
}

void meet_write(const struct meet *m, void (*emit)(void *ctx, enum link_kind kind, const void *message),
                void              *ctx)
{
    struct gw_meet  meet  = { .reset = true };
    struct gw_seen  seen  = { .places_count = 0 };
    struct gw_relay relay = { .reset = true };
    for (uint32_t i = 0; i < m->top; i++) {
        const struct meet_node *n = &m->nodes[i];
        if (!n->used) continue;
        struct gw_key *k = &meet.nodes[meet.nodes_count++];
        k->node          = n->node;
        memcpy(k->key, n->key, sizeof k->key);
        if (meet.nodes_count < countof(meet.nodes)) continue;
        emit(ctx, LINK_GW_MEET, &meet);
        meet = (struct gw_meet){ 0 };
    }
    emit(ctx, LINK_GW_MEET, &meet);
    for (uint32_t i = 0; i < m->top; i++) {
        if (!m->nodes[i].used || !place_of(&m->nodes[i])[0]) continue;
        place_write(&m->nodes[i], &seen.places[seen.places_count++]);
        if (seen.places_count < countof(seen.places)) continue;
        emit(ctx, LINK_GW_SEEN, &seen);
        seen.places_count = 0;
    }
    emit(ctx, LINK_GW_SEEN, &seen);
    for (uint32_t slot = 0; slot < m->pairs_top; slot++) {
        if (!m->pairs[slot].used) continue;
        struct gw_pair *p = &relay.pairs[relay.pairs_count++];
        p->slot           = slot;
        memcpy(p->key_a, m->pairs[slot].keys[0], MESH_KEY_BYTES);
        memcpy(p->key_b, m->pairs[slot].keys[1], MESH_KEY_BYTES);
        if (relay.pairs_count < countof(relay.pairs)) continue;
        emit(ctx, LINK_GW_RELAY, &relay);
        relay = (struct gw_relay){ 0 };
    }
    emit(ctx, LINK_GW_RELAY, &relay);
}

size_t meet_count(const struct meet *m)
{
    return m->top - m->free_count;
}

/* ---- the interfaces ------------------------------------------------------------------------------------------ */

/* All nodes, in calls of as many as one may set. A place known from before is spoken to at once, so that the node's
 * session comes back without waiting until it notices. */
static void tell_all(struct point *p)
{
    struct meet    *m     = p->meet;
    struct wg_peer *peers = calloc(WG_PEERS_A_CALL, sizeof *peers);
    size_t          count = 0;
    check(peers);
    for (uint32_t i = 0; i < m->top; i++) {
        const struct meet_node *n = &m->nodes[i];
        if (!n->used) continue;
        struct wg_peer *peer = &peers[count++];
        *peer                = (struct wg_peer){ 0 };
        memcpy(peer->key, n->key, sizeof peer->key);
        memcpy(peer->endpoint, n->seen[p->which], sizeof n->seen[p->which]);
        if (peer->endpoint[0]) peer->keepalive_s = KEEPALIVE_RESTORED_S;
        if (count < WG_PEERS_A_CALL) continue;
        peer_set(p, peers, count);
        count = 0;
    }
    peer_set(p, peers, count);
    free(peers);
}

static void on_read(void *ctx, struct err e, const struct wg_seen *peers, size_t count)
{
    struct point *p = ctx;
    struct meet  *m = p->meet;
    p->reading      = false;
    if (e.code || m->stopping) return;
    for (size_t i = 0; i < count; i++) {
        struct meet_node *n = node_find(m, peers[i].key);
        if (n) {
            node_see(m, n, p->which, peers[i].endpoint);
        } else {
            struct wg_peer gone = { .gone = true }; /* one of an earlier run */
            memcpy(gone.key, peers[i].key, sizeof gone.key);
            peer_set(p, &gone, 1);
        }
    }
    m->read_took_ms = net_now_ms(m->o.net) - m->read_ms;
    m->calls->on_seen(m->ctx);
}

static void on_tick(void *ctx)
{
    struct meet *m      = ctx;
    uint64_t     now_ms = net_now_ms(m->o.net);
    bool         fast   = m->unseen && now_ms < m->fast_until_ms;
    uint64_t     every  = fast ? GATEWAY_SEEN_FAST_MS : GATEWAY_SEEN_SLOW_MS;
    drop_stale(m, now_ms);
    m->calls->on_seen(m->ctx); /* what was too much at once, or waited for its other half */
    if (every < m->read_took_ms * READ_SHARE) every = m->read_took_ms * READ_SHARE;
    if (now_ms - m->read_ms + GATEWAY_SEEN_FAST_MS / 2 < every || m->points[0].reading || m->points[1].reading)
        return;
    m->read_ms = now_ms;
    for (int i = 0; i < 2; i++) {
        struct point *p = &m->points[i];
        if (!p->ready) continue;
        p->reading = true;
        wg_read_peers(p->device, on_read, p);
    }
}

static void on_ready(void *ctx, struct wg_device *d, uint16_t port, bool adopted)
{
    struct point *p = ctx;
    struct meet  *m = p->meet;
    (void)d;
    log_info("meet.ready", LOG_TEXT("device", p->name), LOG_I64("port", port), LOG_I64("adopted", adopted));
    p->ready = true;
    tell_all(p);
    if (!p->was_ready && m->points[!p->which].was_ready) m->calls->on_ready(m->ctx);
    p->was_ready = true;
}

static void end_when_gone(struct meet *m)
{
    if (!m->stopping || m->over || m->points[0].device || m->points[1].device) return;
    m->over = true;
    m->calls->on_over(m->ctx, m->why);
}

static void on_over(void *ctx, struct err why)
{
    struct point *p     = ctx;
    struct meet  *m     = p->meet;
    bool          lived = p->ready;
    p->device           = NULL;
    p->ready            = false;
    p->reading          = false;
    if (why.code) log_error("meet.lost", LOG_TEXT("device", p->name), LOG_ERR(why));
    /* One that never came to life will not the next time; one that died is made anew. */
    if (!m->stopping && lived) {
        make_point(p);
    } else if (!m->stopping) {
        m->why = why;
        meet_stop(m);
    }
    end_when_gone(m);
}

static void make_point(struct point *p)
{
    static const struct wg_calls calls = { .on_ready = on_ready, .on_over = on_over };
    const struct meet           *m     = p->meet;
    struct wg_options            o     = { .kind        = m->o.kind,
                                           .program     = m->o.program,
                                           .dir         = m->o.dir,
                                           .name        = p->name,
                                           .listen_port = m->o.ports[p->which],
                                           .mtu         = MESH_MTU };
    memcpy(o.secret, m->o.secrets[p->which], sizeof o.secret);
    struct err e = wg_make(m->o.net, &o, &calls, p, &p->device);
    explicit_bzero(o.secret, sizeof o.secret);
    if (!e.code) return;
    log_error("meet.lost", LOG_TEXT("device", p->name), LOG_ERR(e));
    p->meet->why = e;
    meet_stop(p->meet);
}

struct err meet_open(const struct meet_options *o, const struct meet_calls *calls, void *ctx, struct meet **out)
{
    struct meet *m = calloc(1, sizeof *m);
    check(m);
    uint32_t slots = map_slots_for(GATEWAY_NODES_MAX);
    *m             = (struct meet){ .o = *o, .calls = calls, .ctx = ctx };
    m->nodes       = calloc(GATEWAY_NODES_MAX, sizeof *m->nodes);
    m->free_nodes  = calloc(GATEWAY_NODES_MAX, sizeof *m->free_nodes);
    m->slots       = calloc(slots, sizeof *m->slots);
    m->pairs       = calloc(o->slots, sizeof *m->pairs);
    check(m->nodes && m->free_nodes && m->slots && m->pairs);
    map_init(&m->map, m->slots, slots, m->nodes, sizeof *m->nodes, offsetof(struct meet_node, tag));
    struct err e = net_timer_start(o->net, 0, GATEWAY_SEEN_FAST_MS, on_tick, m, &m->timer);
    if (e.code) {
        meet_free(m);
        return e;
    }
    *out = m;
    return OK;
}

void meet_start(struct meet *m)
{
    for (unsigned i = 0; i < 2 && !m->stopping; i++) {
        struct point *p = &m->points[i];
        p->meet         = m;
        p->which        = i;
        snprintf(p->name, sizeof p->name, "%s-%c", m->o.name, "ab"[i]);
        make_point(p);
    }
}

void meet_stop(struct meet *m)
{
    if (m->stopping) return;
    m->stopping = true;
    net_timer_stop(m->timer);
    for (int i = 0; i < 2; i++)
        if (m->points[i].device) wg_remove(m->points[i].device);
    end_when_gone(m);
}

void meet_free(struct meet *m)
{
    if (!m) return;
    free(m->nodes);
    free(m->free_nodes);
    free(m->slots);
    free(m->pairs);
    free(m);
}
