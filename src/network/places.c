/* places.c: the place of a lost node is taken by another machine. */
#include "network_int.h"

#include <string.h>

#define DEVICE_RESTS_MS 10000 /* before a device that lost a node of a cluster gets another one of it */
#define FAILURES_MANY 3 /* replacements in a row: from then on their owner is told, and the next ones wait */
#define RETRY_LEAST_MS 10000 /* so long at first; doubles */
#define RETRY_MOST_MS 300000

/* It took a place and did not come up. After some of those in a row there is something wrong that another machine alone does
 * not mend. */
void place_failed(struct step *s, struct cluster *c, const struct node *x)
{
    int64_t     rest_ms = RETRY_LEAST_MS;
    struct text why     = TEXT_IN(c->why);
    if (++c->failures < FAILURES_MANY) return;
    for (uint32_t i = FAILURES_MANY; i < c->failures && rest_ms < RETRY_MOST_MS; i++) rest_ms *= 2;
    if (rest_ms > RETRY_MOST_MS) rest_ms = RETRY_MOST_MS;
    c->retry = instant_add(s->now, (struct span){ rest_ms });
    text_add_u64(&why, c->failures);
    text_add(&why, STR(" replacements in a row did not come up; the next is tried after "));
    text_add_u64(&why, (uint64_t)rest_ms / 1000);
    text_add(&why, STR(" s"));
    struct str said = str_from(x->why);
    if (said.len && said.len + 3 < why.cap - why.len) {
        text_add(&why, STR(": "));
        text_add(&why, said);
    }
    (void)text_z(&why);
}

void cluster_say(struct step *s, struct cluster *c, struct str why)
{
    if (str_eq(why, str_from(c->why))) return;
    check(str_copy(why, c->why, sizeof c->why).code == ERR_NONE);
    cluster_changed(s, c);
}

/* Where a node of this cluster was lost another one may be lost as well: such a device comes after all others, and only
 * once it has rested, so that a container which ends at once isn't started over and over. */
static bool has_failed(const struct step *s, const struct cluster *c, const struct device *d, bool *rested)
{
    bool failed = false;
    *rested     = true;
    for (const struct node *x = NULL; (x = cluster_node(s->n, c, x));) {
        if (!x->lost || !id_eq(x->device.id, d->id.id)) continue;
        failed = true;
        *rested &= instant_since(s->now, x->closed).ms >= DEVICE_RESTS_MS;
    }
    return failed;
}

static struct device *substitute(struct step *s, const struct cluster *c, const struct place_need *need,
                                 bool *some_rest)
{
    struct device  *spare = NULL;
    struct device **found = s->n->chosen;
    uint32_t most  = s->n->devices.most - 1 < c->lost ? s->n->devices.most : c->lost + 1; /* one is another */
    uint32_t count = place_choose(&s->n->devices, need, most, found);
    for (uint32_t i = 0; i < count; i++) {
        bool rested;
        if (!has_failed(s, c, found[i], &rested)) return found[i];
        if (!spare && rested) spare = found[i];
    }
    *some_rest = count && !spare;
    return spare;
}

/* What a substitute must be, so that all missing ones together bring the missing units. */
static struct place_need need_of(const struct cluster *c, const struct recipe_facts *r, uint32_t nodes,
                                 uint32_t units)
{
    return (struct place_need){ .gpus_min   = r->unit == UNIT_GPU ? (units + nodes - 1) / nodes : 0,
                                .cpus_min   = r->cpus_min,
                                .memory_min = r->memory_min,
                                .egress     = r->egress,
                                .price_max  = c->price };
}

/* What of a cluster is not there. */
struct gap {
    const struct recipe_facts *recipe;
    uint32_t                   nodes, units;
    bool                       head;
};

static struct gap gap_of(const struct step *s, const struct cluster *c)
{
    struct gap g = { network_recipe(s->n, str_from(c->recipe)), c->size, c->quantity, true };
    for (const struct node *x = NULL; (x = cluster_node(s->n, c, x));) {
        if (!node_is_live(x)) continue;
        g.nodes--;
        g.units -= x->units;
        g.head &= x->role != NODE_HEAD;
    }
    return g;
}

/* The device that takes the next place; the head's goes first, at a worker's cost if need be. */
static struct device *take_place(struct step *s, struct cluster *c, struct gap *g, struct place_need *need)
{
    bool some_rest = false;
    if (!g->recipe || s->n->nodes.live == s->n->nodes.most || (!g->head && c->next_index > MESH_INDEX_MAX))
        return NULL;
    *need            = need_of(c, g->recipe, g->nodes, g->units);
    struct device *d = substitute(s, c, need, &some_rest);
    if (d || !g->head || some_rest) return d;
    d = head_takes_a_workers(s, c);
    if (d) *g = gap_of(s, c);
    return d;
}

static void place(struct step *s, struct cluster *c, struct gap *g, struct device *d,
                  const struct place_need *need)
{
    uint32_t most   = g->units - (g->nodes - 1),
             brings = place_units(d, need) < most ? place_units(d, need) : most;
    if (g->head) {
        struct node *x = cluster_add_node(s, c, d, NODE_HEAD, c->head_index, brings);
        x->witness     = true;
        x->restores    = cluster_keeper(s->n, c)->index;
    } else {
        cluster_add_node(s, c, d, NODE_WORKER, c->next_index++, brings);
    }
    g->units -= brings;
    g->nodes--;
    g->head = false;
    witness_appoint(s, c);
    cluster_changed(s, c);
}

/* Takes places that are empty. Before ready a market without a free device ends the cluster; later it waits for one. */
void places_fill(struct step *s, struct cluster *c)
{
    struct gap g = gap_of(s, c);
    if (instant_before(s->now, c->retry)) return;
    while (g.nodes && step_has_room(s)) {
        struct place_need need = { 0 };
        struct device    *d    = take_place(s, c, &g, &need);
        if (!d && cluster_is_forming(c))
            return cluster_end(s, c, true, STR("a device was lost before it was ready, and no other is free"));
        if (!d)
            return cluster_say(
                s, c,
                g.head ? STR("its head was lost, and no machine that fits is free: it waits for one")
                       : STR("a node was lost, and no machine that fits is free: it waits for one"));
        place(s, c, &g, d, &need);
    }
    if (c->ready.ms && !g.nodes && c->failures < FAILURES_MANY) cluster_say(s, c, STR(""));
}
