/* things.c: what there really is of each node: its mesh device, its container, for how long that ran, and who could see it.
 * What the network believes is held against this. */
#include "sim_int.h"

#include <string.h>

struct thing *thing_of(struct sim *s, struct id node)
{
    return table_find(&s->things, node);
}

uint32_t thing_place(const struct sim *s, const struct thing *t)
{
    return table_place(&s->things, t) + 1;
}

struct thing *thing_make(struct sim *s, const struct machine *m, const struct assignment *a)
{
    struct thing *t = table_find(&s->things, a->node.id);
    if (t) return t;
    t = table_add(&s->things, a->node.id);
    check(t);
    t->cluster      = a->cluster;
    t->machine      = m->place;
    t->index        = a->index;
    struct group *g = table_find(&s->groups, a->cluster.id);
    if (!g) g = table_add(&s->groups, a->cluster.id);
    check(g);
    t->next  = g->first;
    g->first = thing_place(s, t);
    return t;
}

struct thing *thing_next(struct sim *s, struct id cluster, const struct thing *after)
{
    struct group *g    = after ? NULL : table_find(&s->groups, cluster);
    uint32_t      next = after ? after->next : g ? g->first : 0;
    return next ? table_at(&s->things, next - 1) : NULL;
}

void thing_start(struct sim *s, struct thing *t)
{
    for (uint32_t i = 0; i < s->things.used; i++) {
        const struct thing *o = table_at(&s->things, i);
        if (o->has_container && o->machine == t->machine)
            broken(s, "device-runs-one", "machine %u runs two nodes at once", t->machine);
    }
    t->has_container = true;
    t->is_mute       = below(s, 100) < s->plan.mutes;
    t->started_ms    = s->now_ms;
}

void thing_stop(struct sim *s, struct thing *t)
{
    if (!t->has_container) return;
    t->ran_ms += (uint64_t)(s->now_ms - t->started_ms);
    t->has_container = t->has_witness = t->has_copy = false;
    t->tunnels                                      = 0;
}

uint64_t thing_ran_ms(const struct sim *s, const struct thing *t)
{
    return t->ran_ms + (t->has_container ? (uint64_t)(s->now_ms - t->started_ms) : 0);
}

/* Two gateways may see it at once; that counts once. */
void thing_probed(struct sim *s, struct thing *t, int64_t span_ms)
{
    int64_t from = s->now_ms - span_ms > t->probed_until_ms ? s->now_ms - span_ms : t->probed_until_ms;
    t->seen_ms += (uint64_t)(s->now_ms - from);
    t->probed_until_ms = s->now_ms;
}

/* ---- the mesh ------------------------------------------------------------------------------------------------------- */

void machine_address(const struct machine *m, bool second_port, char out[MESH_ENDPOINT_TEXT])
{
    struct text t = { out, 0, MESH_ENDPOINT_TEXT, false };
    text_add(&t, STR("198.51.100."));
    text_add_u64(&t, m->site);
    text_add_char(&t, ':');
    text_add_u64(&t, 20000 + m->place * 100 + m->moves % 50 + (second_port && m->is_symmetric ? 50 : 0));
    (void)text_z(&t);
}

static struct thing_peer *peer_of(struct sim *s, struct thing *t, const struct thing *other)
{
    uint32_t place = thing_place(s, other);
    for (uint32_t i = 0; i < t->peers_count; i++)
        if (t->peers[i].other == place) return &t->peers[i];
    return NULL;
}

/* Some pairs of routers let nothing through, whoever begins. */
static bool is_stubborn(const struct machine *a, const struct machine *b)
{
    return (a->place * 7 + b->place * 7) % 11 == 3;
}

bool thing_reaches(const struct sim *s, const struct thing *from, const struct thing *to, const char *endpoint)
{
    const struct machine *a = &s->machines[from->machine], *b = &s->machines[to->machine];
    char                  outside[MESH_ENDPOINT_TEXT];
    if (a->site == b->site) return strcmp(endpoint, to->inside) == 0;
    machine_address(b, false, outside);
    return !a->is_symmetric && !b->is_symmetric && !is_stubborn(a, b) && strcmp(endpoint, outside) == 0;
}

static bool gets_through(const struct sim *s, const struct thing *from, const struct thing *to,
                         const char *endpoint)
{
    return thing_reaches(s, from, to, endpoint) || gate_relays(s, from, to, endpoint);
}

bool things_meet(struct sim *s, struct thing *a, struct thing *b)
{
    const struct machine *ma = &s->machines[a->machine], *mb = &s->machines[b->machine];
    struct thing_peer    *pa = peer_of(s, a, b), *pb = peer_of(s, b, a);
    if (!pa || !pb || !a->has_mesh || !b->has_mesh || !ma->is_powered || !mb->is_powered) return false;
    if (ma->cut_mesh || mb->cut_mesh) return false;
    if (!gets_through(s, a, b, pa->endpoint) || !gets_through(s, b, a, pb->endpoint)) return false;
    pa->handshake_ms = (uint64_t)machine_clock(s, ma);
    pb->handshake_ms = (uint64_t)machine_clock(s, mb);
    return true;
}
