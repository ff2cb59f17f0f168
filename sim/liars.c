/* liars.c: suppliers who say what is not so: whatever the tables of the messages allow. */
#include "sim_int.h"

#include <string.h>

static void lie_phase(struct sim *s, struct observed_node *o)
{
    static const enum node_phase phases[] = { PHASE_MESH, PHASE_STARTING, PHASE_RUNNING, PHASE_RUNNING,
                                              PHASE_ENDED };
    if (o->phase != PHASE_ENDED) o->phase = phases[below(s, below(s, 20) ? 4 : 5)];
}

static void lie_key(struct sim *s, struct observed_node *o)
{
    const struct thing *t = s->things.used ? table_at(&s->things, (uint32_t)below(s, s->things.used)) : NULL;
    if (t && below(s, 4) == 0) memcpy(o->mesh_key, t->key, sizeof o->mesh_key);
}

void lie_observed(struct sim *s, struct machine *m, struct observed *o)
{
    if (!s->is_faulty || below(s, 2)) return;
    for (uint32_t i = 0; i < o->nodes_count; i++) {
        struct observed_node *n = &o->nodes[i];
        if (m->lies & LIE_SERVED) n->served_ms = below(s, 2) ? n->served_ms * 3 + 60000 : below(s, 1ull << 50);
        if (m->lies & LIE_PHASE) lie_phase(s, n);
        if (m->lies & LIE_KEY) lie_key(s, n);
    }
    if (m->lies & LIE_SPECS && below(s, 10) == 0) {
        o->specs_count         = 1;
        o->specs[0]            = m->specs;
        o->specs[0].cpus       = 1 + (uint32_t)below(s, 64);
        o->specs[0].gpus_count = (uint32_t)below(s, m->specs.gpus_count + 1);
    }
    if (m->lies & LIE_EPOCH && below(s, 50) == 0) o->epoch += below(s, 3);
}

void lie_witnessed(struct sim *s, struct witnessed *w)
{
    struct thing *by = thing_of(s, w->node.id);
    if (!s->is_faulty || !by) return;
    for (struct thing *t = NULL; (t = thing_next(s, by->cluster.id, t));) t->is_lied_about = true;
    for (uint32_t i = 0; i < w->entries_count; i++) {
        if (below(s, 3) == 0) w->entries[i].seen_ms = below(s, below(s, 2) ? 1000000 : 1ull << 50);
        if (below(s, 10) == 0) w->entries[i].alive = !w->entries[i].alive;
    }
    if (below(s, 5) == 0) w->age_ms = below(s, 1ull << 40);
}
