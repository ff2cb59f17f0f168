/* meshes.c: keys and places become peers. When a node's key or place is new, it and every other node of its cluster
 * are told of each other; when it closes, they are told that it is gone. */
#include "network_int.h"

#include <string.h>

#define LOOKS_A_TICK 4096 /* relayed pairs: all of them within two seconds */
#define TRIES_A_TICK 32
#define UNHEARD_MS 1000 /* what a node is told within so long after the complaint tells it of that */

struct mesh_member node_member(const struct node *x)
{
    struct mesh_member m = { .node = x->id, .index = x->index, .has_key = x->has_key };
    memcpy(m.key, x->mesh_key, sizeof m.key);
    memcpy(m.seen_a, x->seen_a, sizeof m.seen_a);
    memcpy(m.seen_b, x->seen_b, sizeof m.seen_b);
    memcpy(m.inside, x->inside, sizeof m.inside);
    return m;
}

static bool is_known(const struct node *x)
{
    struct mesh_member m = node_member(x);
    return node_is_live(x) && mesh_is_known(&m);
}

/* A pair's name: the ids of both, each a keyed hash, in one. */
static struct id pair_id(const struct node *a, const struct node *b)
{
    struct id id = a->id.id;
    for (size_t i = 0; i < ID_BYTES; i++) id.bytes[i] ^= b->id.id.bytes[i];
    return id;
}

const struct relay *pair_find(const struct network *n, const struct node *a, const struct node *b)
{
    return table_find(&n->relays, pair_id(a, b));
}

/* Gives the pair a slot of the relay. With no slot left they try to reach each other directly. */
static void pair_relay(struct step *s, const struct node *a, const struct node *b)
{
    struct network       *n = s->n;
    const struct gateway *g = network_gateway(n);
    uint32_t slot = 0, slots = g && g->relay_slots < n->relays.most ? g->relay_slots : n->relays.most;
    while (slot < slots && n->slots_used[slot]) slot++;
    if (!g || slot == slots) return;

    struct relay *r    = table_add(&n->relays, pair_id(a, b));
    bool          less = id_cmp(a->id.id, b->id.id) < 0;
    if (!r) return; /* the row of a pair that parted in this step is free only in the next */
    r->pair             = (struct mesh_pair){ less ? a->id : b->id, less ? b->id : a->id, slot };
    r->tried            = s->now;
    n->slots_used[slot] = 1;
    step_changed(s, &relay_type, r);
    step_effect(s, EFFECT_RELAY, r->id);
}

static void tell_peer(struct step *s, const struct node *to, const struct node *about)
{
    step_effect(s, EFFECT_MESH_PEER, to->id.id)->other = about->id.id;
}

static enum mesh_via via_of(const struct network *n, const struct node *a, const struct node *b)
{
    struct mesh_member ma = node_member(a), mb = node_member(b);
    return mesh_choose(&ma, &mb, pair_find(n, a, b) != NULL);
}

/* Where it is at home is known, or will not be: its worker had the time to come back since the network's start. */
static bool has_said(const struct step *s, const struct node *x)
{
    return x->has_inside || !instant_before(s->now, s->n->back_by);
}

/* Neighbours that have not said where they are at home would be relayed, and stay so: they are introduced when they have. */
static void introduce(struct step *s, const struct node *a, const struct node *b)
{
    if (!pair_find(s->n, a, b) && via_of(s->n, a, b) == MESH_RELAY) {
        if (!has_said(s, a) || !has_said(s, b)) return;
        pair_relay(s, a, b);
    }
    tell_peer(s, a, b);
    tell_peer(s, b, a);
}

void node_met(struct step *s, struct cluster *c, struct node *x)
{
    if (!is_known(x)) return;
    for (struct node *y = NULL; (y = cluster_node(s->n, c, y));)
        if (y != x && is_known(y)) introduce(s, x, y);
    cluster_owe_maps(s, c);
}

void node_moved_at_home(struct step *s, struct cluster *c, struct node *x)
{
    if (!is_known(x)) return;
    for (struct node *y = NULL; (y = cluster_node(s->n, c, y));) {
        if (y == x || !is_known(y) || pair_find(s->n, x, y)) continue;
        if (via_of(s->n, x, y) != MESH_DIRECT) introduce(s, x, y);
    }
    cluster_owe_maps(s, c);
}

/* A whole map replaces what the worker has, so it is sent only when it is whole: after a restart of the network the
 * gateway has to say first where everybody is, and the workers where they are at home. */
void cluster_owe_maps(struct step *s, struct cluster *c)
{
    for (const struct node *x = NULL; (x = cluster_node(s->n, c, x));)
        if (node_is_live(x) && x->has_key && !(is_known(x) && has_said(s, x))) return;
    for (struct node *x = NULL; (x = cluster_node(s->n, c, x));) {
        const struct device *d = table_find(&s->n->devices, x->device.id);
        if (!x->mesh_owed || !node_is_live(x) || !x->has_key || !d->session) continue;
        x->mesh_owed = false;
        step_effect(s, EFFECT_MESH_ALL, x->id.id);
    }
}

static void relay_end(struct step *s, struct relay *r)
{
    s->n->slots_used[r->pair.slot]                  = 0;
    step_effect(s, EFFECT_RELAY_GONE, r->id)->count = r->pair.slot;
    step_removed(s, &relay_type, &s->n->relays, r);
}

static void part(struct step *s, const struct node *x, const struct node *y)
{
    struct relay *r = table_find(&s->n->relays, pair_id(x, y));
    if (r) relay_end(s, r);
    if (!node_is_live(y)) return;
    memcpy(step_effect(s, EFFECT_MESH_GONE, y->id.id)->key, x->mesh_key, MESH_KEY_BYTES);
}

void node_leaves_mesh(struct step *s, struct cluster *c, struct node *x)
{
    if (!x->has_key) return;
    memcpy(step_effect(s, EFFECT_MEET_GONE, x->id.id)->key, x->mesh_key, MESH_KEY_BYTES);
    for (struct node *y = NULL; (y = cluster_node(s->n, c, y));)
        if (y != x) part(s, x, y);
    x->seen_a[0] = 0;
    x->seen_b[0] = 0;
}

/* Nobody stays who would have to be told of the others: a word for each pair would be millions. */
void cluster_leaves_mesh(struct step *s, struct cluster *c)
{
    struct network *n = s->n;
    for (struct node *x = NULL; (x = cluster_node(n, c, x));)
        if (node_is_live(x) && x->has_key)
            memcpy(step_effect(s, EFFECT_MEET_GONE, x->id.id)->key, x->mesh_key, MESH_KEY_BYTES);
    for (struct relay *r = NULL; (r = table_next(&n->relays, r));) {
        if (table_find(&n->relays, r->id) != r) continue; /* it ended earlier in this step */
        const struct node *x = table_find(&n->nodes, r->pair.a.id);
        if (id_eq(x->cluster.id, c->id.id)) relay_end(s, r);
    }
}

bool node_is_unheard(const struct network *n, const struct node *x)
{
    return x->unheard.ms && instant_since(n->meta.now, x->unheard).ms < UNHEARD_MS;
}

/* The node that a device speaks for, if it may; null. */
static struct node *speaker(struct step *s, struct node_id node)
{
    struct node   *x   = table_find(&s->n->nodes, node.id);
    struct device *d   = table_find(&s->n->devices, s->in->subject);
    bool           may = x && d && d->session == s->in->session && id_eq(x->device.id, d->id.id);
    return may && is_known(x) ? x : NULL;
}

/* Of its cluster, by its key; null. */
static struct node *peer_of(struct step *s, const struct node *x, const uint8_t key[MESH_KEY_BYTES])
{
    struct cluster *c = table_find(&s->n->clusters, x->cluster.id);
    for (struct node *y = NULL; (y = cluster_node(s->n, c, y));)
        if (y != x && is_known(y) && memcmp(y->mesh_key, key, MESH_KEY_BYTES) == 0) return y;
    return NULL;
}

/* Many may miss it at once: it is told by one of them. */
static void is_unheard(struct step *s, const struct node *x, struct node *y)
{
    if (node_is_unheard(s->n, y)) return;
    y->unheard = s->now;
    tell_peer(s, y, x);
}

void on_silent(struct step *s)
{
    struct node *x = speaker(s, s->in->silent->node);
    struct node *y = x ? peer_of(s, x, s->in->silent->key) : NULL;
    if (!y) return;
    if (s->in->silent->lately) return is_unheard(s, x, y);
    if (!pair_find(s->n, x, y)) pair_relay(s, x, y);
    if (!pair_find(s->n, x, y)) return;
    tell_peer(s, x, y);
    tell_peer(s, y, x);
}

/* ---- relayed pairs try again -------------------------------------------------------------------------------- */

/* Once both send to each other without it, nothing is under way by the relay any more. */
void on_reached(struct step *s)
{
    struct node  *x = speaker(s, s->in->reached->node);
    struct node  *y = x ? peer_of(s, x, s->in->reached->key) : NULL;
    struct relay *r = y ? table_find(&s->n->relays, pair_id(x, y)) : NULL;
    if (!r || !r->trying) return;
    r->reached[id_eq(r->pair.b.id, x->id.id)] = true;
    if (!r->reached[0] || !r->reached[1]) return;
    relay_end(s, r);
    tell_peer(s, x, y);
    tell_peer(s, y, x);
}

static bool may_try(const struct network *n, const struct node *a, const struct node *b)
{
    const struct device *da = table_find(&n->devices, a->device.id),
                        *db = table_find(&n->devices, b->device.id);
    if (!is_known(a) || !is_known(b) || !da->session || !db->session || !network_gateway(n)) return false;
    struct mesh_member ma = node_member(a), mb = node_member(b);
    return mesh_may_try(&ma, &mb);
}

/* One that reached the other and was not reached goes back to the relay. */
static void try_ends(struct step *s, struct relay *r, struct node *a, struct node *b)
{
    r->trying = false;
    if (r->reached[0]) tell_peer(s, a, b);
    if (r->reached[1]) tell_peer(s, b, a);
}

static bool relay_try(struct step *s, struct relay *r)
{
    struct node *a = table_find(&s->n->nodes, r->pair.a.id), *b = table_find(&s->n->nodes, r->pair.b.id);
    if (r->tried.ms == 0) r->tried = s->now;
    int64_t since_ms = instant_since(s->now, r->tried).ms;
    if (r->trying && since_ms >= MESH_TRYING_MS) try_ends(s, r, a, b);
    if (since_ms < mesh_try_after(r->tries).ms) return false;
    r->tried = s->now;
    if (!may_try(s->n, a, b)) return false;
    r->tries++;
    r->trying     = true;
    r->reached[0] = r->reached[1] = false;
    tell_peer(s, a, b);
    tell_peer(s, b, a);
    return true;
}

void relays_try(struct step *s)
{
    struct table *t = &s->n->relays;
    for (uint32_t looked = 0, tried = 0; looked < t->used && looked < LOOKS_A_TICK && tried < TRIES_A_TICK;
         looked++) {
        s->n->looked_relays = (s->n->looked_relays + 1) % t->used;
        struct relay *r     = table_at(t, s->n->looked_relays);
        if (table_find(t, r->id) == r) tried += relay_try(s, r);
    }
}

static struct gateway *gateway_of(struct step *s)
{
    struct gateway *g = table_find(&s->n->gateways, s->in->subject);
    return g && g->session == s->in->session ? g : NULL;
}

/* The relay's ports in decimal must fit behind its host in an endpoint, and all of them below 65,536. */
static bool relay_is_usable(const char *host, uint32_t port_base, uint32_t slots)
{
    return strlen(host) + sizeof ":65535" <= MESH_ENDPOINT_TEXT && port_base + 2 * (uint64_t)slots <= 65536;
}

static bool relay_moved(const struct gateway *was, const struct gateway *g)
{
    return strcmp(was->relay_host, g->relay_host) != 0 || was->relay_port_base != g->relay_port_base ||
           was->relay_slots != g->relay_slots;
}

/* Where the relay is is told with each pair. One whose slot there is no more finds another, or reaches each other by
 * itself. */
static void relays_tell_all(struct step *s, const struct gateway *g)
{
    struct network *n = s->n;
    for (struct relay *r = NULL; (r = table_next(&n->relays, r));) {
        const struct node *a = table_find(&n->nodes, r->pair.a.id), *b = table_find(&n->nodes, r->pair.b.id);
        if (table_find(&n->relays, r->id) != r || !is_known(a) || !is_known(b)) continue;
        if (r->pair.slot >= g->relay_slots) relay_end(s, r);
        tell_peer(s, a, b);
        tell_peer(s, b, a);
    }
}

/* What a gateway says of itself goes into the desired state of every node, so a change is told to all. */
void on_gw_up(struct step *s)
{
    struct gateway *g = gateway_of(s);
    if (!g) return;
    if (!relay_is_usable(s->in->gw_up.relay_host, s->in->gw_up.relay_port_base, s->in->gw_up.relay_slots)) {
        struct effect *e = step_effect(s, EFFECT_CLOSE, g->id.id);
        e->session       = g->session;
        e->error         = ERR(INVALID, "the relay's address is too long, or its ports end above 65,535");
        g->session       = 0;
        return;
    }
    struct gateway was = *g;
    g->meets[0]        = s->in->gw_up.meet;
    g->meets_count     = 1;
    g->relay_port_base = s->in->gw_up.relay_port_base;
    g->relay_slots     = s->in->gw_up.relay_slots;
    memcpy(g->relay_host, s->in->gw_up.relay_host, sizeof g->relay_host);
    memcpy(g->tunnel, s->in->gw_up.tunnel, sizeof g->tunnel);
    step_effect(s, EFFECT_GATEWAY_ALL, g->id.id);
    if (record_stored_eq(&gateway_type, &was, g)) return;

    step_changed(s, &gateway_type, g);
    devices_tell_all(s);
    if (relay_moved(&was, g) && network_gateway(s->n) == g) relays_tell_all(s, g);
}

void on_gw_seen(struct step *s)
{
    if (!gateway_of(s)) return;
    struct node *x = table_find(&s->n->nodes, s->in->gw_seen.node.id);
    if (!x || !node_is_live(x)) return;
    if (strcmp(x->seen_a, s->in->gw_seen.seen_a) == 0 && strcmp(x->seen_b, s->in->gw_seen.seen_b) == 0) return;
    memcpy(x->seen_a, s->in->gw_seen.seen_a, sizeof x->seen_a);
    memcpy(x->seen_b, s->in->gw_seen.seen_b, sizeof x->seen_b);
    node_met(s, table_find(&s->n->clusters, x->cluster.id), x);
}
