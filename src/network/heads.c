/* heads.c: the head may be lost, and its state live on.
 *
 * A recipe may declare state that outlives its node. Then one worker, the standby, keeps a copy of the head's, and says when
 * it is whole. A lost head's place is taken by another machine, at the same mesh address, which restores that copy; without
 * one the cluster ends. Until the new head passes nobody witnesses the other nodes, so they are not charged for that time;
 * they go on with their work, and have time to come back to it afterwards. */
#include "network_int.h"

#include <string.h>

#define COME_BACK_TO_IT_MS 15000 /* the others, to a new head */

struct node *cluster_head(const struct network *n, const struct cluster *c)
{
    for (struct node *x = NULL; (x = cluster_node(n, c, x));)
        if (x->role == NODE_HEAD && node_is_live(x)) return x;
    return NULL;
}

static struct node *standby_of(const struct network *n, const struct cluster *c)
{
    for (struct node *x = NULL; (x = cluster_node(n, c, x));)
        if (x->standby && node_is_live(x)) return x;
    return NULL;
}

struct node *cluster_keeper(const struct network *n, const struct cluster *c)
{
    struct node *x = standby_of(n, c);
    return x && x->copied ? x : NULL;
}

/* By the recipe that it runs; one that was changed since may keep another state, or none. */
static const struct recipe_facts *keeps_state(const struct network *n, const struct cluster *c)
{
    const struct recipe_facts *r = network_recipe(n, str_from(c->recipe));
    return r && r->keeps_state && memcmp(r->hash, c->recipe_hash, sizeof r->hash) == 0 ? r : NULL;
}

/* What is lost together is what has one owner: a house, a line, a fuse. A witness has its part already. */
static unsigned fitness(const struct network *n, const struct node *head, const struct node *x)
{
    const struct device *d = table_find(&n->devices, x->device.id);
    const struct device *h = table_find(&n->devices, head->device.id);
    if (x->role == NODE_HEAD || x->state != NODE_SERVING || !d->session) return 0;
    return 1u + (id_eq(d->owner.id, h->owner.id) ? 0u : 2u) + (x->witness ? 0u : 1u);
}

/* Only while there is a head to copy from: what comes after it has begun anew would be a copy of nothing. */
void standby_appoint(struct step *s, struct cluster *c)
{
    const struct node *head = cluster_head(s->n, c);
    struct node       *best = NULL;
    if (c->size == 1 || !head || head->state != NODE_SERVING || !keeps_state(s->n, c) || standby_of(s->n, c))
        return;
    for (struct node *x = NULL; (x = cluster_node(s->n, c, x));)
        if (fitness(s->n, head, x) > (best ? fitness(s->n, head, best) : 0)) best = x;
    if (!best) return;
    best->standby = true;
    best->copied  = false;
    step_changed(s, &node_type, best);
    device_tell(s, table_find(&s->n->devices, best->device.id));
    cluster_event(s, c);
}

const char *head_is_gone_for_good(const struct step *s, const struct cluster *c)
{
    bool had_copy = false;
    if (cluster_is_forming(c)) return "its head was lost before it was ready";
    if (!keeps_state(s->n, c)) return "its head was lost, and its recipe keeps no state beyond that";
    if (c->size == 1) return "its head was lost, and it had no other node to keep its state";
    if (cluster_keeper(s->n, c)) return NULL;
    if (standby_of(s->n, c)) return "its head was lost while its standby held no whole copy of its state";
    for (const struct node *x = NULL; (x = cluster_node(s->n, c, x));) had_copy |= x->standby && x->copied;
    return had_copy ? "its head and the standby that kept its state were lost"
                    : "its head was lost before a standby held a whole copy of its state";
}

void head_was_lost(struct step *s, struct cluster *c, const struct node *head)
{
    const struct recipe_facts *r = keeps_state(s->n, c);
    check(r);
    if (head->passed.ms) c->head_lost = s->now;
    memcpy(c->state_lost, r->state_lost, sizeof c->state_lost);
    c->nodes_alive = 0;
    c->weighed     = (struct weighing){ .session = 0 }; /* what nobody could see mutes nobody */
    for (struct node *x = NULL; (x = cluster_node(s->n, c, x));) {
        x->weighed = (struct weighing){ .session = 0 };
        x->missed  = (struct instant){ 0 }; /* by a head that was about to go itself */
    }
}

/* A cluster without a head is worth nothing. One that has not begun yet gives up least. */
struct device *head_takes_a_workers(struct step *s, struct cluster *c)
{
    struct node *best = NULL;
    for (struct node *x = NULL; (x = cluster_node(s->n, c, x));) {
        const struct device *d = table_find(&s->n->devices, x->device.id);
        if (!node_is_live(x) || x->standby || !d->session || d->state != DEVICE_READY ||
            d->nodes_count == DEVICE_NODES_MAX)
            continue;
        if (!best || x->state < best->state || (x->state == best->state && best->witness)) best = x;
    }
    if (!best) return NULL;
    node_close(s, c, best);
    check(str_copy(STR("its machine became the head"), best->why, sizeof best->why).code == ERR_NONE);
    return table_find(&s->n->devices, best->device.id);
}

bool head_waits_for(const struct step *s, const struct node *head, const struct node *x)
{
    if (!head->restores || !instant_before(x->alive, head->made)) return false;
    return !head->passed.ms || instant_since(s->now, head->passed).ms < COME_BACK_TO_IT_MS;
}
