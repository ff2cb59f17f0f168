/* life.c: a cluster and its nodes from their making to their settlement. */
#include "network_int.h"

#include <string.h>

struct node *cluster_node(const struct network *n, const struct cluster *c, const struct node *after)
{
    uint32_t next = after ? after->next : c->first;
    return next ? table_at(&n->nodes, next - 1) : NULL;
}

bool node_is_live(const struct node *x)
{
    return x->state == NODE_PLACED || x->state == NODE_SERVING;
}

void cluster_event(struct step *s, struct cluster *c)
{
    if (c->told == s->n->meta.sequence) return;
    c->told = s->n->meta.sequence;
    step_effect(s, EFFECT_EVENT_CLUSTER, c->id.id);
}

void cluster_changed(struct step *s, struct cluster *c)
{
    step_changed(s, &cluster_type, c);
    cluster_event(s, c);
}

struct node *cluster_add_node(struct step *s, struct cluster *c, struct device *d, enum node_role role,
                              uint32_t index, uint32_t units)
{
    struct node *x = table_add(&s->n->nodes, step_id(s, STR("node")));
    check(x);
    x->cluster     = c->id;
    x->device      = d->id;
    x->role        = role;
    x->units       = units;
    x->index       = index;
    x->incarnation = 1;
    x->made        = s->now;
    x->alive       = s->now;
    x->next        = c->first;
    c->first       = table_place(&s->n->nodes, x) + 1;
    device_hire(d, x->id.id);
    device_changed(s, d);
    device_tell(s, d);
    step_changed(s, &node_type, x);
    return x;
}

/* The phase that all live nodes have reached. */
static enum node_phase least_phase(const struct network *n, const struct cluster *c)
{
    enum node_phase least = PHASE_RUNNING;
    for (const struct node *x = NULL; (x = cluster_node(n, c, x));)
        if (node_is_live(x) && x->phase < least) least = x->phase;
    return least;
}

void cluster_advance(struct step *s, struct cluster *c)
{
    static const struct {
        enum node_phase    least;
        enum cluster_state state;
        size_t             when;
    } steps[] = {
        { PHASE_IMAGE, CLUSTER_IMAGES, offsetof(struct cluster, images) },
        { PHASE_MESH, CLUSTER_MESH, offsetof(struct cluster, mesh) },
        { PHASE_STARTING, CLUSTER_STARTING, offsetof(struct cluster, starting) },
    };
    if (!cluster_is_forming(c)) return;
    enum node_phase least = least_phase(s->n, c);
    for (size_t i = 0; i < countof(steps); i++) {
        if (least < steps[i].least || c->state >= steps[i].state) continue;
        cluster_move(c, steps[i].state);
        memcpy((char *)c + steps[i].when, &s->now, sizeof s->now);
        cluster_changed(s, c);
    }
}

/* What a node has earned since it was last settled moves out of the escrow: the fee to the network, the rest to the
 * supplier. Both parts come from cumulative sums, so no micro is lost or made between two settlements. */
static void pay(struct step *s, struct cluster *c, struct node *x)
{
    struct ledger         *l        = &s->n->ledger;
    struct device         *d        = table_find(&s->n->devices, x->device.id);
    struct ledger_account *escrow   = ledger_account(l, LEDGER_ESCROW, c->id.id);
    struct ledger_account *earnings = ledger_account(l, LEDGER_EARNINGS, d->owner.id);
    struct ledger_account *fees     = ledger_account(l, LEDGER_FEES, (struct id){ { 0 } });
    check(escrow && earnings && fees);

    struct money charge = node_charge(x, c->price, s->now);
    struct money most   = money_add(x->charged, escrow->balance);
    if (charge.micros > most.micros) charge = most;
    if (charge.micros <= x->charged.micros) return;
    struct money fee     = market_fee(charge, c->fee_basis_points);
    struct money new_fee = money_sub(fee, x->fee);
    struct money rest    = money_sub(money_sub(charge, x->charged), new_fee);
    check(step_post(s, escrow, earnings, rest, CAUSE_EARNING, x->id.id).code == ERR_NONE);
    check(step_post(s, escrow, fees, new_fee, CAUSE_FEE, x->id.id).code == ERR_NONE);

    c->charged = money_add(c->charged, money_sub(charge, x->charged));
    d->earned  = money_add(d->earned, rest);
    x->charged = charge;
    x->fee     = fee;
    step_changed(s, &device_type, d);
    step_changed(s, &node_type, x);
    cluster_changed(s, c);
}

static void release(struct step *s, struct node *x)
{
    struct device *d = table_find(&s->n->devices, x->device.id);
    device_release(d, x->id.id);
    device_changed(s, d);
}

void node_settle(struct step *s, struct cluster *c, struct node *x)
{
    pay(s, c, x);
    x->settle = instant_add(s->now, (struct span){ SETTLE_MS });
    if (x->state != NODE_CLOSING) return;

    struct device *d = table_find(&s->n->devices, x->device.id);
    d->served_ms += (uint64_t)node_counted(x, s->now).ms;
    node_move(x, NODE_CLOSED);
    step_changed(s, &node_type, x);
    release(s, x);
    cluster_event(s, c);
}

/* What it serves after the paid end, until a tick comes, is not paid for. */
static void stop_counting(struct step *s, const struct cluster *c, struct node *x)
{
    struct device *d    = table_find(&s->n->devices, x->device.id);
    bool           past = c->ends.ms && instant_before(c->ends, s->now);
    x->closed           = past ? c->ends : s->now;
    if (x->state == NODE_PLACED) {
        node_move(x, NODE_CLOSED);
        release(s, x);
    } else {
        node_move(x, NODE_CLOSING);
    }
    device_tell(s, d);
    x->without = d->version;
    step_changed(s, &node_type, x);
}

void node_close(struct step *s, struct cluster *c, struct node *x)
{
    node_leaves_mesh(s, c, x);
    stop_counting(s, c, x);
    step_effect(s, EFFECT_REVOKE_NODE, x->id.id);
}

void cluster_end(struct step *s, struct cluster *c, bool failed, struct str why)
{
    cluster_move(c, CLUSTER_ENDING);
    c->failed = failed;
    check(str_copy(why, c->why, sizeof c->why).code == ERR_NONE);
    cluster_leaves_mesh(s, c);
    for (struct node *x = NULL; (x = cluster_node(s->n, c, x));)
        if (node_is_live(x)) stop_counting(s, c, x);
    step_effect(s, EFFECT_REVOKE, c->id.id);
    cluster_changed(s, c);
}

/* A container ended by itself. Before ready that is the recipe's or the image's fault: it would end on any device. */
void node_ended(struct step *s, struct cluster *c, struct node *x, const struct observed_node *o)
{
    x->phase = PHASE_ENDED;
    memcpy(x->why, o->why, sizeof x->why);
    step_changed(s, &node_type, x);
    if (!cluster_is_forming(c)) return cluster_event(s, c); /* the next tick replaces it */

    char        room[160];
    struct text why = TEXT_IN(room);
    text_add(&why, x->role == NODE_HEAD ? STR("its head ended: ") : STR("a worker ended: "));
    struct str said = str_from(o->why);
    if (said.len > why.cap - why.len - 1) said.len = why.cap - why.len - 1;
    while (said.len && !str_is_utf8(said)) said.len--;
    text_add(&why, said);
    memcpy(c->log_end, o->log_end, sizeof c->log_end);
    cluster_end(s, c, true, text_str(&why));
}
