/* watch.c: what the witnesses say, and what time brings: readiness, losses, replacements, ends.
 *
 * A node is lost when its worker's link is gone and the witness misses it; when the witness alone misses it for
 * as long as its recipe says; or when its container ended. A link that is gone while the witness sees the node alive is no loss: a
 * network outage stops no work. */
#include "network_int.h"

#include <string.h>

#define WITNESS_FRESH_MS 3000  /* a line older than this says nothing about now */
#define WITNESS_SILENT_MS 5000 /* the second witness has lost the head when it has no line for so long */

/* ---- witnesses ---------------------------------------------------------------------------------------- */

static const struct witness_entry *entry_of(const struct witnessed *w, uint32_t index)
{
    for (uint32_t i = 0; i < w->entries_count; i++)
        if (w->entries[i].index == index) return &w->entries[i];
    return NULL;
}

static void take_entry(struct step *s, struct cluster *c, struct node *by, struct node *x, const struct witness_entry *e)
{
    /* The head's word counts for the others, another's for the head; alone, there is nobody else. */
    if (by == x ? c->size == 1 : by->role == NODE_HEAD || x->role == NODE_HEAD) node_witnessed(x, by->id, e->seen_ms);
    if (by->role != NODE_HEAD && x->role != NODE_HEAD) return;
    if (!e->alive && by != x) {
        if (x->missed.ms == 0) x->missed = s->now;
        return;
    }
    if (s->in->witnessed->age_ms > WITNESS_FRESH_MS) return;
    x->alive  = s->now;
    x->missed = (struct instant){ 0 };
}

static bool is_seen(const struct step *s, const struct node *x)
{
    return x->missed.ms == 0 && x->alive.ms > x->made.ms && instant_since(s->now, x->alive).ms <= WITNESS_FRESH_MS;
}

static void node_pass(struct step *s, struct node *x)
{
    struct device *d = table_find(&s->n->devices, x->device.id);
    node_move(x, NODE_SERVING);
    x->passed = s->now;
    x->settle = instant_add(s->now, (struct span){ SETTLE_MS });
    d->jobs++;
    step_changed(s, &node_type, x);
    device_changed(s, d);
}

static void become_ready(struct step *s, struct cluster *c)
{
    c->ready = s->now;
    c->ends  = instant_add(s->now, c->duration);
    cluster_move(c, CLUSTER_READY);
    for (struct node *x = NULL; (x = cluster_node(s->n, c, x));)
        if (x->state == NODE_PLACED) node_pass(s, x);
    c->renew = s->now; /* the lease has an end now: the next tick tells the workers */
    cluster_changed(s, c);
}

static void become_whole(struct step *s, struct cluster *c)
{
    c->healed = s->now;
    cluster_move(c, CLUSTER_READY);
    cluster_changed(s, c);
}

/* Counts who is alive and draws the consequence. */
static void judge(struct step *s, struct cluster *c)
{
    uint32_t alive = 0, serving = 0;
    for (struct node *x = NULL; (x = cluster_node(s->n, c, x));)
        if (node_is_live(x) && is_seen(s, x)) alive++;
    if (alive != c->nodes_alive) {
        c->nodes_alive = alive;
        cluster_event(s, c);
    }
    if (c->state == CLUSTER_STARTING) { /* its witness speaks */
        c->checking = s->now;
        cluster_move(c, CLUSTER_CHECKING);
        cluster_changed(s, c);
    }
    if (c->state == CLUSTER_CHECKING && alive == c->size) return become_ready(s, c);
    if (c->state != CLUSTER_HEALING) return;

    for (struct node *x = NULL; (x = cluster_node(s->n, c, x));) {
        if (x->state == NODE_PLACED && is_seen(s, x)) node_pass(s, x);
        serving += x->state == NODE_SERVING && is_seen(s, x);
    }
    if (serving == c->size) become_whole(s, c);
}

void on_witnessed(struct step *s)
{
    const struct witnessed *w  = s->in->witnessed;
    struct node            *by = table_find(&s->n->nodes, w->node.id);
    struct device          *d  = table_find(&s->n->devices, s->in->subject);
    if (!by || !d || d->session != s->in->session || !id_eq(by->device.id, d->id.id)) return;
    if (w->incarnation != by->incarnation || !by->witness || by->state == NODE_CLOSED) return;

    struct cluster *c = table_find(&s->n->clusters, by->cluster.id);
    if (w->age_ms <= WITNESS_FRESH_MS) by->heard = s->now;
    for (struct node *x = NULL; (x = cluster_node(s->n, c, x));) {
        const struct witness_entry *e = x->state == NODE_CLOSED ? NULL : entry_of(w, x->index);
        if (e) take_entry(s, c, by, x, e);
    }
    if (by->role == NODE_HEAD && cluster_is_live(c)) judge(s, c);
}

/* ---- losses ------------------------------------------------------------------------------------------- */

/* How patient the recipe is; one that is no longer offered is very. */
static struct recipe_facts patience(const struct network *n, const struct cluster *c)
{
    const struct recipe_facts *r = network_recipe(n, str_from(c->recipe));
    return r ? *r : (struct recipe_facts){ .silent = { SILENT_MS_MAX }, .missed = { SILENT_MS_MAX } };
}

static bool link_is_gone(const struct step *s, const struct node *x, struct span for_so_long)
{
    const struct device *d = table_find(&s->n->devices, x->device.id);
    return !d->session && instant_since(s->now, d->seen).ms >= for_so_long.ms;
}

/* Only a witness that can be heard can miss the head: with all links gone it is the network that is cut off. */
static bool head_is_missed(const struct step *s, const struct cluster *c, const struct node *head)
{
    for (const struct node *x = NULL; (x = cluster_node(s->n, c, x));) {
        const struct device *d = table_find(&s->n->devices, x->device.id);
        if (!node_is_live(x) || !x->witness || x == head || !d->session) continue;
        return head->missed.ms != 0 || instant_since(s->now, x->heard).ms >= WITNESS_SILENT_MS;
    }
    return false;
}

static bool is_lost(const struct step *s, const struct cluster *c, const struct node *x)
{
    if (!node_is_live(x)) return false;
    if (x->phase == PHASE_ENDED) return true;
    struct recipe_facts r = patience(s->n, c);
    if (x->role == NODE_HEAD) return link_is_gone(s, x, r.silent) && head_is_missed(s, c, x);
    if (x->state == NODE_PLACED) return link_is_gone(s, x, r.silent);
    if (x->missed.ms == 0) return false;
    return link_is_gone(s, x, r.silent) || instant_since(s->now, x->missed).ms >= r.missed.ms;
}

/* A witness that is gone has a successor: any worker will do. */
static void appoint_witness(struct step *s, struct cluster *c)
{
    struct node *any = NULL;
    for (struct node *x = NULL; (x = cluster_node(s->n, c, x));) {
        if (!node_is_live(x) || x->role == NODE_HEAD) continue;
        if (x->witness) return;
        any = x;
    }
    if (!any) return;
    any->witness = true;
    any->heard   = s->now;
    step_changed(s, &node_type, any);
    device_tell(s, table_find(&s->n->devices, any->device.id));
}

static void lose(struct step *s, struct cluster *c, struct node *x)
{
    x->lost = true;
    c->lost++;
    node_close(s, c, x);
    if (x->state == NODE_CLOSING) node_settle(s, c, x); /* what it may have served since is its own loss */
    if (x->role == NODE_HEAD) return cluster_end(s, c, true, STR("its head was lost"));
    if (c->state == CLUSTER_READY) cluster_move(c, CLUSTER_HEALING);
    c->hurt = s->now;
    appoint_witness(s, c);
    cluster_changed(s, c);
}

/* Takes places that are empty. Before ready a market without a free device ends the cluster; later it waits for one. */
static void fill(struct step *s, struct cluster *c)
{
    uint32_t live = 0;
    for (struct node *x = NULL; (x = cluster_node(s->n, c, x));) live += node_is_live(x);
    const struct recipe_facts *r = network_recipe(s->n, str_from(c->recipe));
    for (; live < c->size; live++) {
        struct device    *d    = NULL;
        struct place_need need = { .gpus       = r && r->unit == UNIT_GPU,
                                   .cpus_min   = r ? r->cpus_min : 0,
                                   .memory_min = r ? r->memory_min : 0,
                                   .price_max  = c->price };
        bool room = s->n->nodes.live < s->n->nodes.most && c->next_index <= MESH_INDEX_MAX;
        if (!room || place_choose(&s->n->devices, &need, 1, &d) == 0) {
            if (cluster_is_forming(c)) cluster_end(s, c, true, STR("a device was lost before it was ready, and no other is free"));
            return;
        }
        uint32_t units = need.gpus ? d->gpus_count : 1;
        cluster_add_node(s, c, d, NODE_WORKER, units < c->quantity ? units : c->quantity);
        appoint_witness(s, c);
        cluster_changed(s, c);
    }
}

/* ---- time --------------------------------------------------------------------------------------------- */

static void finish(struct step *s, struct cluster *c)
{
    struct ledger         *l       = &s->n->ledger;
    struct ledger_account *escrow  = ledger_account(l, LEDGER_ESCROW, c->id.id);
    struct ledger_account *balance = ledger_account(l, LEDGER_BALANCE, c->owner.id);
    check(escrow && balance);
    c->refunded = escrow->balance;
    check(step_post(s, escrow, balance, c->refunded, CAUSE_REFUND, c->id.id).code == ERR_NONE);
    c->ended       = s->now;
    c->nodes_alive = 0;
    cluster_move(c, c->failed ? CLUSTER_FAILED : CLUSTER_ENDED);
    cluster_changed(s, c);
}

static void watch_ending(struct step *s, struct cluster *c)
{
    bool all = true;
    for (struct node *x = NULL; (x = cluster_node(s->n, c, x));) {
        if (x->state == NODE_CLOSING && instant_since(s->now, x->closed).ms >= NODE_CLOSING_MS) node_settle(s, c, x);
        all &= x->state == NODE_CLOSED;
    }
    if (all) finish(s, c);
}

static void renew(struct step *s, struct cluster *c)
{
    c->renew = instant_add(s->now, (struct span){ LEASE_RENEW_MS });
    for (struct node *x = NULL; (x = cluster_node(s->n, c, x));) {
        if (!node_is_live(x)) continue;
        device_tell(s, table_find(&s->n->devices, x->device.id));
        x->mesh_owed = true; /* its peers' validity grows with the lease */
    }
    cluster_owe_maps(s, c);
}

static void watch_cluster(struct step *s, struct cluster *c)
{
    const struct recipe_facts *r = network_recipe(s->n, str_from(c->recipe));
    if (c->state == CLUSTER_ENDING) return watch_ending(s, c);
    if (c->ends.ms && !instant_before(s->now, c->ends)) return cluster_end(s, c, false, STR("what was paid for has ended"));
    if (cluster_is_forming(c) && r && instant_since(s->now, c->made).ms > r->ready_timeout.ms)
        return cluster_end(s, c, true, STR("it was not ready in the time its recipe gives it"));

    for (struct node *x = NULL; (x = cluster_node(s->n, c, x));) {
        if (is_lost(s, c, x)) lose(s, c, x);
        if (c->state == CLUSTER_ENDING) return;
        if (x->state == NODE_SERVING && !instant_before(s->now, x->settle)) node_settle(s, c, x);
    }
    fill(s, c);
    if (c->state != CLUSTER_ENDING && !instant_before(s->now, c->renew)) renew(s, c);
}

static void forget_old(struct step *s)
{
    struct network *n = s->n;
    for (struct quote *q = NULL; (q = table_next(&n->quotes, q));) {
        if (n->doomed_count == NETWORK_DOOMED_MAX) return;
        if (q->taken || !instant_before(s->now, q->expires)) step_removed(s, &quote_type, &n->quotes, q);
    }
    for (struct api_key *k = NULL; (k = table_next(&n->keys, k));) {
        if (n->doomed_count == NETWORK_DOOMED_MAX) return;
        if (!instant_before(s->now, k->expires)) step_removed(s, &api_key_type, &n->keys, k);
    }
    for (struct join_grant *g = NULL; (g = table_next(&n->grants, g));) {
        if (n->doomed_count == NETWORK_DOOMED_MAX) return;
        if (!instant_before(s->now, instant_add(g->expires, (struct span){ MS_PER_DAY })))
            step_removed(s, &join_grant_type, &n->grants, g);
    }
}

void on_tick(struct step *s)
{
    for (struct cluster *c = NULL; (c = table_next(&s->n->clusters, c));)
        if (cluster_is_live(c)) watch_cluster(s, c);
    forget_old(s);
}
