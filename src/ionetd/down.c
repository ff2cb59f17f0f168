/* down.c: what workers are told: their desired state, signed; and their meshes, in frames of what changed. */
#include "ionetd_int.h"

#include "link/ticket.h"
#include "sys/sys.h"

#include <stdlib.h>
#include <string.h>

/* ---- desired state --------------------------------------------------------------------------------------------- */

static void sign_assignment(const struct ionetd *i, const struct device *d, struct assignment *a)
{
    char        room[512];
    struct text text = TEXT_IN(room);
    assignment_signed_text(a, d->id, &text);
    check(!text.full);
    struct signature s = sign(&i->keys.sign, STR(LINK_ASSIGN_DOMAIN), text_str(&text));
    memcpy(a->signature, s.bytes, sizeof a->signature);
}

/* For the tunnels of this node, as long as it may run. */
static void add_ticket(const struct ionetd *i, struct assignment *a)
{
    struct text   text = TEXT_IN(a->ticket);
    struct ticket t    = {
           .kind    = TICKET_TUNNEL,
           .cluster = a->cluster,
           .node    = a->node,
           .expires = instant_add(sys_wall_now(), span_min(a->paid, (struct span){ LEASE_MS })),
    };
    if (a->role == NODE_HEAD) memcpy(t.service, TICKET_HEAD, sizeof TICKET_HEAD);
    sys_random(&t.serial, sizeof t.serial);
    check(ticket_write(&t, &i->keys.sign, &text).code == ERR_NONE);
    (void)text_z(&text);
    check(!text.full);
}

void down_desired(struct ionetd *i, const struct effect *e)
{
    static struct desired desired; /* one at a time */
    const struct device  *d = network_device(&i->network, e->subject);
    struct link          *l = d ? link_find(i, d->session) : NULL;
    if (!l || l->told_in == i->turns) return; /* once a turn: it is read as it is now */
    l->told_in = i->turns;
    network_desired(&i->network, d, &desired);
    for (uint32_t k = 0; k < desired.assignments_count; k++) {
        sign_assignment(i, d, &desired.assignments[k]);
        add_ticket(i, &desired.assignments[k]);
    }
    link_send(l, LINK_DESIRED, &desired);
    explicit_bzero(&desired, sizeof desired);
}

/* ---- meshes ------------------------------------------------------------------------------------------------------- */

/* What one node is to be told in this turn: frames that fill and go. */
struct telling {
    struct ionetd     *ionetd;
    struct link       *link;
    const struct node *to;
    struct mesh_map    map;
};

static void flush(struct telling *t)
{
    if (!t->map.peers_count && !t->map.gone_count && !t->map.reset) return;
    t->map.node = t->to->id;
    link_send(t->link, LINK_MESH_MAP, &t->map);
    t->map.reset       = false;
    t->map.peers_count = 0;
    t->map.gone_count  = 0;
}

static void tell_peer(struct telling *t, const struct node *about)
{
    if (t->map.peers_count == MESH_PEERS_A_MESSAGE) flush(t);
    t->map.peers_count += network_peer(&t->ionetd->network, t->to, about, &t->map.peers[t->map.peers_count]);
}

static void tell_gone(struct telling *t, const uint8_t key[MESH_KEY_BYTES])
{
    if (t->map.gone_count == MESH_PEERS_A_MESSAGE) flush(t);
    memcpy(t->map.gone[t->map.gone_count++].key, key, MESH_KEY_BYTES);
}

static void tell_all(struct telling *t)
{
    const struct network *n = &t->ionetd->network;
    const struct cluster *c = network_cluster(n, t->to->cluster.id);
    t->map.reset            = true;
    for (const struct node *x = NULL; (x = network_cluster_node(n, c, x));)
        if (x != t->to) tell_peer(t, x);
    flush(t);
}

/* First who is gone, in frames of their own, then who is there as the network is now: so the order of changes within
 * a turn does not matter. */
static void tell_changes(struct telling *t, const struct effect *const *notes, size_t count)
{
    for (size_t k = 0; k < count; k++)
        if (notes[k]->kind == EFFECT_MESH_GONE) tell_gone(t, notes[k]->key);
    flush(t);
    for (size_t k = 0; k < count; k++) {
        if (notes[k]->kind != EFFECT_MESH_PEER) continue;
        if (k && notes[k - 1]->kind == EFFECT_MESH_PEER && id_eq(notes[k - 1]->other, notes[k]->other))
            continue;
        const struct node *about = network_node(&t->ionetd->network, notes[k]->other);
        if (about) tell_peer(t, about);
    }
    flush(t);
}

static void tell_node(struct ionetd *i, const struct effect *const *notes, size_t count)
{
    static struct telling t; /* one at a time */
    const struct node    *x   = network_node(&i->network, notes[0]->subject);
    const struct device  *d   = x ? network_device(&i->network, x->device.id) : NULL;
    struct link          *l   = d ? link_find(i, d->session) : NULL;
    bool                  all = false;
    if (!l) return; /* its next link brings a whole map */
    t = (struct telling){ .ionetd = i, .link = l, .to = x };
    for (size_t k = 0; k < count; k++) all |= notes[k]->kind == EFFECT_MESH_ALL;
    if (all)
        tell_all(&t);
    else
        tell_changes(&t, notes, count);
}

static bool is_mesh(const struct effect *e)
{
    return e->kind == EFFECT_MESH_ALL || e->kind == EFFECT_MESH_PEER || e->kind == EFFECT_MESH_GONE;
}

/* By the node that is told, then by kind and peer, so that what is the same lies side by side. */
static int note_cmp(const void *a, const void *b)
{
    const struct effect *x = *(const struct effect *const *)a, *y = *(const struct effect *const *)b;
    int                  node = id_cmp(x->subject, y->subject);
    if (node) return node;
    if (x->kind != y->kind) return x->kind < y->kind ? -1 : 1;
    return id_cmp(x->other, y->other);
}

void down_meshes(struct ionetd *i, const struct effect *held, size_t count)
{
    const struct effect **notes = NULL;
    size_t                many = 0, first = 0;
    for (size_t k = 0; k < count; k++) many += is_mesh(&held[k]);
    if (many == 0) return;
    notes = malloc(many * sizeof *notes);
    check(notes);
    many = 0;
    for (size_t k = 0; k < count; k++)
        if (is_mesh(&held[k])) notes[many++] = &held[k];
    qsort(notes, many, sizeof *notes, note_cmp);
    for (size_t k = 1; k <= many; k++) {
        if (k < many && id_eq(notes[k]->subject, notes[first]->subject)) continue;
        tell_node(i, notes + first, k - first);
        first = k;
    }
    free(notes);
}
