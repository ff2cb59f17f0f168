/* liars.c: suppliers who say what is not so: whatever the tables of the messages allow, and no more. */
#include "sim_int.h"

#include <string.h>

#define NUMBER_MAX ((uint64_t)1 << 52)

static uint64_t any_number(struct sim *s)
{
    return below(s, 2) ? below(s, 100000) : below(s, NUMBER_MAX);
}

static const struct thing *any_thing(struct sim *s)
{
    return s->things.used ? table_at(&s->things, (uint32_t)below(s, s->things.used)) : NULL;
}

static void any_place(struct sim *s, char out[MESH_ENDPOINT_TEXT])
{
    static const char *const places[] = { "", "203.0.113.9:1", "198.51.100.4:51820", "[2001:db8::1]:51820",
                                          "nowhere" };
    const char              *place    = places[below(s, countof(places))];
    memcpy(out, place, strlen(place) + 1);
}

/* ---- in what it reports -------------------------------------------------------------------------------------------- */

static void lie_phase(struct sim *s, struct observed_node *o)
{
    static const enum node_phase phases[] = { PHASE_MESH, PHASE_STARTING, PHASE_RUNNING, PHASE_RUNNING,
                                              PHASE_ENDED };
    if (o->phase != PHASE_ENDED) o->phase = phases[below(s, below(s, 20) ? 4 : 5)];
    o->cpu_milli    = 1u << 30;
    o->memory_bytes = any_number(s);
    memset(o->why, 'y', below(s, sizeof o->why));
    if (below(s, 10) == 0) any_place(s, o->inside);
}

static void lie_key(struct sim *s, struct observed_node *o)
{
    const struct thing *t = any_thing(s);
    if (t && below(s, 4) == 0) memcpy(o->mesh_key, t->key, sizeof o->mesh_key);
}

static void lie_specs(struct sim *s, const struct machine *m, struct observed *o)
{
    o->specs_count         = 1;
    o->specs[0]            = m->specs;
    o->specs[0].cpus       = 1 + (uint32_t)below(s, 65536);
    o->specs[0].gpus_count = (uint32_t)below(s, m->specs.gpus_count + 1);
    if (below(s, 4) == 0) o->specs[0].memory_bytes = any_number(s);
}

void lie_observed(struct sim *s, struct machine *m, struct observed *o)
{
    if (!s->is_faulty) return;
    if (below(s, 4) == 0) lie_at_large(s, m);
    if (below(s, 2)) return;
    for (uint32_t i = 0; i < o->nodes_count; i++) {
        struct observed_node *n = &o->nodes[i];
        if (m->lies & LIE_SERVED) n->served_ms = below(s, 2) ? n->served_ms * 3 + 60000 : any_number(s);
        if (m->lies & LIE_PHASE) lie_phase(s, n);
        if (m->lies & LIE_KEY) lie_key(s, n);
    }
    if (m->lies & LIE_SPECS && below(s, 10) == 0) lie_specs(s, m, o);
    if (m->lies & LIE_EPOCH && below(s, 50) == 0) o->epoch += below(s, 3);
}

static void believe_nothing(struct sim *s, const struct thing *by)
{
    for (struct thing *t = NULL; (t = thing_next(s, by->cluster.id, t));) t->is_lied_about = true;
}

void lie_witnessed(struct sim *s, struct witnessed *w)
{
    const struct thing *by = thing_of(s, w->node.id);
    if (!s->is_faulty || !by) return;
    believe_nothing(s, by);
    for (uint32_t i = 0; i < w->entries_count; i++) {
        if (below(s, 3) == 0) w->entries[i].seen_ms = any_number(s);
        if (below(s, 10) == 0) w->entries[i].alive = !w->entries[i].alive;
    }
    if (below(s, 5) == 0) w->age_ms = any_number(s);
}

/* ---- about what is not its own, in another's voice -------------------------------------------------------------------- */

static struct letter *forged_witnessed(struct sim *s, const struct machine *m, const struct thing *t)
{
    struct witnessed w = {
        .node = { t->id }, .incarnation = 1, .age_ms = any_number(s), .entries_count = WITNESS_ENTRIES
    };
    for (uint32_t i = 0; i < WITNESS_ENTRIES; i++) {
        w.entries[i].index   = 1 + (uint32_t)below(s, below(s, 2) ? 8 : MESH_INDEX_MAX);
        w.entries[i].seen_ms = any_number(s);
        w.entries[i].alive   = below(s, 2);
    }
    if (t->machine == m->place) believe_nothing(s, t);
    return letter_new(INPUT_WITNESSED, &w, sizeof w);
}

static struct letter *forged_silent(struct sim *s, const struct thing *t)
{
    struct mesh_silent  silent = { .node = { t->id } };
    const struct thing *other  = any_thing(s);
    if (other) memcpy(silent.key, other->key, sizeof silent.key);
    return letter_new(INPUT_SILENT, &silent, sizeof silent);
}

static struct letter *forged_observed(struct sim *s, const struct thing *t)
{
    static struct observed o;
    o = (struct observed){ .epoch = s->control.n.meta.epoch, .version = any_number(s), .nodes_count = 1 };
    o.nodes[0].node.id     = t->id;
    o.nodes[0].incarnation = 1 + below(s, 2);
    o.nodes[0].phase       = (enum node_phase)below(s, PHASE_COUNT);
    o.nodes[0].served_ms   = any_number(s);
    return letter_new(INPUT_OBSERVED, &o, sizeof o);
}

static struct letter *forged_gateway(struct sim *s, const struct thing *t, bool probed)
{
    struct letter *l = letter_new(probed ? INPUT_GW_PROBED : INPUT_GW_SEEN, NULL, 0);
    if (probed) {
        l->in.gw_probed.node.id = t->id;
        l->in.gw_probed.seen_ms = any_number(s);
    } else {
        l->in.gw_seen.node.id = t->id;
        any_place(s, l->in.gw_seen.seen_a);
        any_place(s, l->in.gw_seen.seen_b);
    }
    return l;
}

void lie_at_large(struct sim *s, struct machine *m)
{
    const struct thing *t = any_thing(s);
    struct letter      *l = NULL;
    if (!t) return;
    if (m->lies & LIE_WITNESS && below(s, 2)) l = forged_witnessed(s, m, t);
    if (!l && below(s, 3) == 0) l = forged_silent(s, t);
    if (!l && below(s, 3) == 0 && t->machine != m->place) l = forged_observed(s, t);
    if (!l) l = forged_gateway(s, t, below(s, 2));
    l->in.subject = m->id;
    link_send_up(s, m->session, l, true);
}
