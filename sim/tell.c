/* tell.c: effects become messages, as the network's program makes them: the gateways hear before the workers, and of a mesh
 * first who is gone, then who is there as the network is now. */
#include "sim_int.h"

#include <stdlib.h>
#include <string.h>

/* ---- workers --------------------------------------------------------------------------------------------------------- */

/* A ticket says what the real one says; that it is the network's own, nobody here doubts. */
static void add_ticket(const struct sim *s, struct assignment *a)
{
    struct text t = TEXT_IN(a->ticket);
    id_write(a->node.id, &t);
    text_add_char(&t, ' ');
    text_add_i64(&t, instant_add(control_wall(s), a->paid).ms);
    (void)text_z(&t);
}

static void tell_desired(struct sim *s, const struct effect *e)
{
    static struct desired d; /* one at a time */
    struct control       *c      = &s->control;
    const struct device  *device = network_device(&c->n, e->subject);
    struct link          *l      = device ? link_find(s, device->session) : NULL;
    if (!l || !l->is_open || l->told_in == c->turns) return; /* once a turn: it is read as it is now */
    l->told_in = c->turns;
    network_desired(&c->n, device, &d);
    for (uint32_t i = 0; i < d.assignments_count; i++) add_ticket(s, &d.assignments[i]);
    checks_desired(s, &d);
    link_send_down(s, l, parcel_new(PARCEL_DESIRED, &d, sizeof d), true);
}

struct telling {
    struct sim        *sim;
    struct link       *link;
    const struct node *to;
    struct mesh_map    map;
};

static void flush(struct telling *t)
{
    if (!t->map.peers_count && !t->map.gone_count && !t->map.reset) return;
    t->map.node = t->to->id;
    checks_map(t->sim, &t->map);
    link_send_down(t->sim, t->link, parcel_new(PARCEL_MAP, &t->map, sizeof t->map), false);
    t->map.reset       = false;
    t->map.peers_count = t->map.gone_count = 0;
}

static void tell_peer(struct telling *t, const struct node *about)
{
    if (t->map.peers_count == MESH_PEERS_A_MESSAGE) flush(t);
    t->map.peers_count += network_peer(&t->sim->control.n, t->to, about, &t->map.peers[t->map.peers_count]);
}

static void tell_whole(struct telling *t)
{
    const struct network *n = &t->sim->control.n;
    const struct cluster *c = network_cluster(n, t->to->cluster.id);
    t->map.reset            = true;
    for (const struct node *x = NULL; (x = network_cluster_node(n, c, x));)
        if (x != t->to) tell_peer(t, x);
    flush(t);
}

static void tell_changes(struct telling *t, const struct effect *const *notes, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        if (notes[k]->kind != EFFECT_MESH_GONE) continue;
        if (t->map.gone_count == MESH_PEERS_A_MESSAGE) flush(t);
        memcpy(t->map.gone[t->map.gone_count++].key, notes[k]->key, MESH_KEY_BYTES);
    }
    flush(t);
    for (size_t k = 0; k < count; k++) {
        if (notes[k]->kind != EFFECT_MESH_PEER) continue;
        const struct node *about = network_node(&t->sim->control.n, notes[k]->other);
        if (about) tell_peer(t, about);
    }
    flush(t);
}

static void tell_node(struct sim *s, const struct effect *const *notes, size_t count)
{
    static struct telling t; /* one at a time */
    const struct node    *x     = network_node(&s->control.n, notes[0]->subject);
    const struct device  *d     = x ? network_device(&s->control.n, x->device.id) : NULL;
    struct link          *l     = d ? link_find(s, d->session) : NULL;
    bool                  whole = false;
    if (!l || !l->is_open) return; /* its next link brings a whole map */
    t.sim  = s;
    t.link = l;
    t.to   = x;
    for (size_t k = 0; k < count; k++) whole |= notes[k]->kind == EFFECT_MESH_ALL;
    if (whole)
        tell_whole(&t);
    else
        tell_changes(&t, notes, count);
}

static int note_cmp(const void *a, const void *b)
{
    const struct effect *x = *(const struct effect *const *)a, *y = *(const struct effect *const *)b;
    int                  node = id_cmp(x->subject, y->subject);
    if (node) return node;
    if (x->kind != y->kind) return x->kind < y->kind ? -1 : 1;
    return id_cmp(x->other, y->other);
}

static bool is_mesh(const struct effect *e)
{
    return e->kind == EFFECT_MESH_ALL || e->kind == EFFECT_MESH_PEER || e->kind == EFFECT_MESH_GONE;
}

static void tell_meshes(struct sim *s)
{
    struct control *c    = &s->control;
    size_t          many = 0, first = 0;
    for (uint32_t k = 0; k < c->held_count; k++) many += is_mesh(&c->held[k]);
    if (!many) return;
    const struct effect **notes = malloc(many * sizeof *notes);
    check(notes);
    many = 0;
    for (uint32_t k = 0; k < c->held_count; k++)
        if (is_mesh(&c->held[k])) notes[many++] = &c->held[k];
    qsort(notes, many, sizeof *notes, note_cmp);
    for (size_t k = 1; k <= many; k++) {
        if (k < many && id_eq(notes[k]->subject, notes[first]->subject)) continue;
        tell_node(s, notes + first, k - first);
        first = k;
    }
    free(notes);
}

/* ---- gateways ----------------------------------------------------------------------------------------------------------- */

#define NOTES_MAX 4096

struct notes {
    uint32_t    count;
    struct note all[NOTES_MAX];
};

static struct note *note_add(struct notes *n, enum effect_kind kind)
{
    check(n->count < NOTES_MAX);
    n->all[n->count] = (struct note){ .kind = kind };
    return &n->all[n->count++];
}

static bool may_meet(const struct node *x)
{
    return x && x->has_key && (x->state == NODE_PLACED || x->state == NODE_SERVING);
}

static void note_meet(struct notes *n, const struct node *x)
{
    if (!may_meet(x)) return;
    struct note *note = note_add(n, EFFECT_MEET);
    note->node        = x->id;
    memcpy(note->key_a, x->mesh_key, sizeof note->key_a);
}

static void note_relay(struct sim *s, struct notes *n, const struct relay *r)
{
    const struct node *a = r ? network_node(&s->control.n, r->pair.a.id) : NULL;
    const struct node *b = r ? network_node(&s->control.n, r->pair.b.id) : NULL;
    if (!may_meet(a) || !may_meet(b)) return;
    struct note *note = note_add(n, EFFECT_RELAY);
    note->slot        = r->pair.slot;
    memcpy(note->key_a, a->mesh_key, sizeof note->key_a);
    memcpy(note->key_b, b->mesh_key, sizeof note->key_b);
}

static void note_probe(struct sim *s, struct notes *n, const struct node *x)
{
    if (!x || !network_is_probed(&s->control.n, x)) return;
    struct note *note = note_add(n, EFFECT_PROBE);
    note->node        = x->id;
    note->cluster     = x->cluster;
}

static void note_revoke(struct notes *n, struct id cluster)
{
    note_add(n, EFFECT_REVOKE)->cluster.id = cluster;
}

static void note_all(struct sim *s, struct notes *n)
{
    const struct network *net = &s->control.n;
    note_add(n, EFFECT_GATEWAY_ALL);
    for (const struct node *x = NULL; (x = table_next(&net->nodes, x));) {
        note_meet(n, x);
        note_probe(s, n, x);
    }
    for (const struct relay *r = NULL; (r = table_next(&net->relays, r));)
        if (table_find(&net->relays, r->id) == r) note_relay(s, n, r);
}

static void note_changes(struct sim *s, struct notes *n)
{
    const struct network *net = &s->control.n;
    for (uint32_t k = 0; k < s->control.held_count; k++) {
        const struct effect *e = &s->control.held[k];
        if (e->kind == EFFECT_MEET_GONE) {
            struct note *note = note_add(n, e->kind);
            note->node.id     = e->subject;
            memcpy(note->key_a, e->key, sizeof note->key_a);
        }
        if (e->kind == EFFECT_RELAY_GONE) note_add(n, e->kind)->slot = (uint32_t)e->count;
    }
    for (uint32_t k = 0; k < s->control.held_count; k++) {
        const struct effect *e = &s->control.held[k];
        if (e->kind == EFFECT_MEET) note_meet(n, network_node(net, e->subject));
        if (e->kind == EFFECT_RELAY) note_relay(s, n, table_find(&net->relays, e->subject));
        if (e->kind == EFFECT_PROBE) note_probe(s, n, network_node(net, e->subject));
        if (e->kind == EFFECT_REVOKE) note_revoke(n, e->subject);
    }
}

static bool is_for_gateways(enum effect_kind kind)
{
    return kind == EFFECT_MEET || kind == EFFECT_MEET_GONE || kind == EFFECT_RELAY ||
           kind == EFFECT_RELAY_GONE || kind == EFFECT_PROBE || kind == EFFECT_REVOKE ||
           kind == EFFECT_GATEWAY_ALL;
}

static void tell_gateways(struct sim *s)
{
    static struct notes   notes; /* one at a time */
    const struct network *n    = &s->control.n;
    bool                  many = false;
    for (uint32_t k = 0; k < s->control.held_count; k++) many |= is_for_gateways(s->control.held[k].kind);
    if (!many) return;
    for (const struct gateway *g = NULL; (g = table_next(&n->gateways, g));) {
        struct link *l   = link_find(s, g->session);
        bool         all = false;
        if (!l || !l->is_open || !g->meets_count) continue;
        for (uint32_t k = 0; k < s->control.held_count; k++)
            all |= s->control.held[k].kind == EFFECT_GATEWAY_ALL && id_eq(s->control.held[k].subject, g->id.id);
        notes.count = 0;
        if (all)
            note_all(s, &notes);
        else
            note_changes(s, &notes);
        if (!notes.count) continue;
        struct parcel *p = parcel_new(PARCEL_NOTES, notes.all, notes.count * sizeof notes.all[0]);
        p->notes         = notes.count;
        link_send_down(s, l, p, false);
    }
}

/* ---- links and clients ------------------------------------------------------------------------------------------------------- */

static void tell_welcome(struct sim *s, const struct effect *e)
{
    struct link *l = link_find(s, e->session);
    if (!l) return;
    l->id         = e->subject;
    l->is_welcome = true;
    if (!l->is_open) return link_gone(s, e->session); /* it left while it was let in */
    struct parcel *p = parcel_new(PARCEL_WELCOME, NULL, 0);
    p->subject       = e->subject;
    p->count         = s->control.n.meta.epoch;
    link_send_down(s, l, p, false);
}

static void tell_end(struct sim *s, const struct effect *e)
{
    struct link *l = link_find(s, e->session);
    if (!l) return;
    struct parcel *p = parcel_new(PARCEL_CLOSED, NULL, 0);
    p->error         = e->error.code;
    if (l->is_open)
        link_send_down(s, l, p, false);
    else
        free(p);
    if (!l->is_welcome) {
        *l = (struct link){ 0 };
        return;
    }
    l->is_open = false;
    later(s, 0, EVENT_LINK_GONE, 0, e->session, NULL);
}

static void tell_reply(struct sim *s, const struct effect *e)
{
    struct client *c = &s->clients[e->request % CLIENTS_MAX];
    if (c->request == e->request) checks_reply(s, &c->asked, e);
    struct parcel *p = parcel_new(PARCEL_REPLY, NULL, 0);
    p->session       = e->request;
    p->subject       = e->subject;
    p->error         = e->error.code;
    p->count         = e->count;
    if (strikes(s, s->plan.loss, 1000)) {
        free(p);
        return;
    }
    later(s, 1 + (int64_t)below(s, (uint64_t)s->plan.delay_ms), EVENT_PARCEL, 0, 0, p);
}

void tell_all(struct sim *s)
{
    struct control *c = &s->control;
    tell_gateways(s);
    for (uint32_t k = 0; k < c->held_count; k++) {
        const struct effect *e = &c->held[k];
        if (e->kind == EFFECT_DESIRED) tell_desired(s, e);
        if (e->kind == EFFECT_WELCOME) tell_welcome(s, e);
        if (e->kind == EFFECT_REFUSE || e->kind == EFFECT_CLOSE) tell_end(s, e);
        if (e->kind == EFFECT_REPLY) tell_reply(s, e);
        if (k % 8 == 7 && strikes(s, s->plan.crash, 10000)) return control_crash(s, 100);
    }
    tell_meshes(s);
    c->held_count = 0;
}
