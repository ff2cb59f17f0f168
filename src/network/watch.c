/* watch.c: what the witnesses say, and what time brings: readiness, losses, replacements, ends.
 *
 * A node is lost when its worker's link is gone and the witness misses it; when the witness alone misses it for as
 * long as its recipe says; when its container ended; when its device is held; or when it does not begin. A link that is gone while
 * the witness sees the node alive is no loss: a network outage stops no work. Of a node that is alone the gateway is the
 * witness. With the head away nobody sees the others: then one is lost whose link is gone for longer than a worker needs to
 * have it again, while others' are there. If all links of a cluster are gone it may be the network that is cut off, so it is
 * waited for until no worker has a lease any more. */
#include "network_int.h"

#include <string.h>

#define WITNESS_FRESH_MS 3000 /* a line older than this says nothing about now */
#define FORGET_A_TICK_MAX 4096
#define PROBED_STORE_MS 60000
#define WEIGH_MS 300000
#define BEGINS_MS 30000 /* a worker that holds the image and has not taken it up by then never will */
#define UNSEEN_MS (ASSIGN_RETURN_MS + 4000)
#define DARK_MS 15000          /* no node of a cluster was heard: its owner is told */
#define WITNESS_SILENT_MS 5000 /* the second witness has lost the head when it has no line for so long */
#define PROBE_SILENT_MS \
    15000 /* the gateway has lost a lone node when none of its probes was answered for so long */

/* ---- witnesses ---------------------------------------------------------------------------------------- */

static const struct witness_entry *entry_of(const struct witnessed *w, uint32_t index)
{
    for (uint32_t i = 0; i < w->entries_count; i++)
        if (w->entries[i].index == index) return &w->entries[i];
    return NULL;
}

/* A tenant can reach the witness in his container: stop it, or speak in its place; and what nobody saw is not charged. So
 * what the nodes served is weighed against what was seen of it. Only what comes between two reports of one witness by one
 * link counts, and of that no more than the time that passed: an outage mutes nobody. */
static void weigh(struct step *s, struct cluster *c, struct node *x)
{
    struct weighing now = { s->now, s->in->session, x->served_ms, x->seen_ms }, *last = &x->weighed;
    if (last->session == now.session && last->served_ms == now.served_ms)
        return; /* its worker says that less often */
    if (last->session == now.session && x->state == NODE_SERVING) {
        uint64_t passed_ms = (uint64_t)instant_since(now.since, last->since).ms,
                 served_ms = now.served_ms - last->served_ms;
        c->weighed.served_ms += served_ms < passed_ms ? served_ms : passed_ms;
        c->weighed.seen_ms += now.seen_ms - last->seen_ms;
    }
    *last = now;
}

/* Whether less than half of it was seen; found out anew every WEIGH_MS. Who loads his head so that its check is slow does
 * not lose his work. */
static bool is_muted(const struct step *s, struct cluster *c)
{
    struct weighing w = c->weighed;
    if (w.since.ms && instant_since(s->now, w.since).ms < WEIGH_MS) return false;
    c->weighed = (struct weighing){ .since = s->now };
    return w.since.ms && w.served_ms >= WEIGH_MS / 2 && w.seen_ms < w.served_ms / 2;
}

/* A head in a lost one's place has its address. Until a witness has it for its peer, it speaks of the other one. */
static bool is_about_another(const struct step *s, const struct node *by, const struct node *x)
{
    return by != x && x->restores && memcmp(s->in->witnessed->head_key, x->mesh_key, MESH_KEY_BYTES) != 0;
}

static void take_entry(struct step *s, struct cluster *c, struct node *by, struct node *x,
                       const struct witness_entry *e)
{
    /* The head's word counts for the others, another's for the head, nobody's for himself. */
    if (by != x && (by->role == NODE_HEAD || x->role == NODE_HEAD)) {
        node_witnessed(x, by->id, s->in->session, e->seen_ms);
        weigh(s, c, x);
    }
    if (by->role != NODE_HEAD && x->role != NODE_HEAD) return;
    if (s->in->witnessed->age_ms > WITNESS_FRESH_MS) return;
    if (!e->alive && by != x) {
        if (x->missed.ms == 0 && !head_waits_for(s, by, x)) x->missed = s->now;
        return;
    }
    x->alive  = s->now;
    x->missed = (struct instant){ 0 };
}

static bool is_seen(const struct step *s, const struct node *x)
{
    return x->missed.ms == 0 && x->alive.ms > x->made.ms &&
           instant_since(s->now, x->alive).ms <= WITNESS_FRESH_MS;
}

static void node_pass(struct step *s, struct cluster *c, struct node *x)
{
    struct device *d = table_find(&s->n->devices, x->device.id);
    if (x->role == NODE_HEAD && x->restores) {
        c->head_back = s->now;
        c->head_moves++;
    }
    c->failures = 0;
    node_move(x, NODE_SERVING);
    x->passed = s->now;
    x->settle = instant_add(s->now, (struct span){ SETTLE_MS });
    d->jobs++;
    d->idle = 0;
    step_changed(s, &node_type, x);
    device_changed(s, d);
    if (network_is_probed(s->n, x)) step_effect(s, EFFECT_PROBE, x->id.id);
}

static void become_ready(struct step *s, struct cluster *c)
{
    c->ready = s->now;
    c->ends  = instant_add(s->now, c->duration);
    cluster_move(c, CLUSTER_READY);
    for (struct node *x = NULL; (x = cluster_node(s->n, c, x));)
        if (x->state == NODE_PLACED) node_pass(s, c, x);
    c->renew = s->now; /* the lease has an end now: the next tick tells the workers */
    cluster_changed(s, c);
}

static void become_whole(struct step *s, struct cluster *c)
{
    c->healed = s->now;
    c->why[0] = 0;
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
        if (x->state == NODE_PLACED && is_seen(s, x)) {
            node_pass(s, c, x);
            cluster_changed(s, c);
        }
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
        if (e && !is_about_another(s, by, x)) take_entry(s, c, by, x, e);
    }
    if (by->role == NODE_HEAD && cluster_is_live(c)) judge(s, c);
}

/* What the gateway saw of a node that has no other to witness it. While no gateway runs, or it can't reach the node,
 * nothing is seen, so nothing is charged; the node is not lost by that. An earlier run of the gateway can't say again what
 * it saw, so that is stored; if both die at once, PROBED_STORE_MS of it are lost. */
void on_gw_probed(struct step *s)
{
    const struct gateway *g = network_gateway(s->n);
    struct node          *x = table_find(&s->n->nodes, s->in->gw_probed.node.id);
    if (!g || !id_eq(g->id.id, s->in->subject) || g->session != s->in->session || !x || !x->passed.ms) return;
    const struct cluster *c = table_find(&s->n->clusters, x->cluster.id);
    if (c->size != 1) return;
    uint64_t seen_ms = x->seen_ms;
    bool     new_run = memcmp(x->seen_run, g->instance, sizeof x->seen_run) != 0;
    node_probed(x, g->id, g->instance, s->in->gw_probed.seen_ms);
    if (x->seen_ms > seen_ms) x->probed = s->now;
    if (new_run || x->seen_ms / PROBED_STORE_MS > seen_ms / PROBED_STORE_MS) step_changed(s, &node_type, x);
}

/* ---- losses ------------------------------------------------------------------------------------------- */

/* How patient the recipe is; one that is no longer offered is very. */
static struct recipe_facts patience(const struct network *n, const struct cluster *c)
{
    const struct recipe_facts *r = network_recipe(n, str_from(c->recipe));
    return r ? *r
             : (struct recipe_facts){ .silent        = { SILENT_MS_MAX },
                                      .missed        = { SILENT_MS_MAX },
                                      .ready_timeout = { MS_PER_HOUR } };
}

static bool link_is_gone(const struct step *s, const struct node *x, struct span for_so_long)
{
    const struct device *d = table_find(&s->n->devices, x->device.id);
    return !d->session && instant_since(s->now, d->seen).ms >= for_so_long.ms;
}

static struct instant later(struct instant a, struct instant b)
{
    return instant_before(a, b) ? b : a;
}

static bool gateway_misses(const struct step *s, const struct node *lone)
{
    const struct gateway *g = network_gateway(s->n);
    if (!g || !g->session) return false;
    return instant_since(s->now, later(later(lone->probed, lone->passed), g->since)).ms >= PROBE_SILENT_MS;
}

/* Only a witness that can be heard can miss the head: with all links gone it is the network that is cut off. */
static bool head_is_missed(const struct step *s, const struct cluster *c, const struct node *head)
{
    if (network_is_probed(s->n, head)) return gateway_misses(s, head);
    for (const struct node *x = NULL; (x = cluster_node(s->n, c, x));) {
        const struct device *d = table_find(&s->n->devices, x->device.id);
        if (!node_is_live(x) || !x->witness || x == head || !d->session) continue;
        return head->missed.ms != 0 || instant_since(s->now, x->heard).ms >= WITNESS_SILENT_MS;
    }
    return false;
}

/* A device that takes a place and never begins must not keep the cluster from healing. */
static bool replacement_is_late(const struct step *s, const struct cluster *c, const struct node *x,
                                struct span most)
{
    return !cluster_is_forming(c) && instant_since(s->now, x->made).ms > most.ms &&
           instant_before(s->n->back_by, s->now);
}

/* Its worker was told, holds the image, and does nothing. */
static bool is_idle(const struct step *s, const struct cluster *c, const struct node *x)
{
    if (x->state != NODE_PLACED || x->phase >= PHASE_IMAGE) return false;
    if (instant_since(s->now, x->made).ms < BEGINS_MS || instant_before(s->now, s->n->back_by)) return false;
    const struct device *d = table_find(&s->n->devices, x->device.id);
    return d->has_images && network_holds_ahead(s->n, c->image);
}

/* Nobody is there who could miss it; but somebody is who shows that it isn't the network that is cut off. */
static bool is_out_of_sight(const struct step *s, const struct cluster *c, const struct node *x,
                            struct span silent)
{
    if (!link_is_gone(s, x, (struct span){ UNSEEN_MS }))
        return false; /* first: of most nodes it is all there is to see */
    const struct node *head = cluster_head(s->n, c);
    if (head && head->state == NODE_SERVING && !link_is_gone(s, head, silent)) return false;
    for (const struct node *y = NULL; (y = cluster_node(s->n, c, y));)
        if (node_is_live(y) && ((const struct device *)table_find(&s->n->devices, y->device.id))->session)
            return true;
    return false;
}

static bool is_lost(const struct step *s, const struct cluster *c, const struct node *x)
{
    if (!node_is_live(x)) return false;
    const struct device *d = table_find(&s->n->devices, x->device.id);
    if (x->phase == PHASE_ENDED || d->state == DEVICE_HELD || is_idle(s, c, x)) return true;
    struct recipe_facts r = patience(s->n, c);
    if (x->role == NODE_HEAD && (x->state == NODE_SERVING || cluster_is_forming(c)))
        return link_is_gone(s, x, r.silent) && head_is_missed(s, c, x);
    if (x->state == NODE_PLACED)
        return link_is_gone(s, x, r.silent) || replacement_is_late(s, c, x, r.ready_timeout);
    if (x->missed.ms == 0) return is_out_of_sight(s, c, x, r.silent);
    return link_is_gone(s, x, r.silent) || instant_since(s->now, x->missed).ms >= r.missed.ms;
}

/* A witness that is gone has a successor: any worker will do, best one that is heard. */
void witness_appoint(struct step *s, struct cluster *c)
{
    struct node *any = NULL;
    for (struct node *x = NULL; (x = cluster_node(s->n, c, x));) {
        if (!node_is_live(x) || x->role == NODE_HEAD) continue;
        if (x->witness) return;
        if (!any || ((const struct device *)table_find(&s->n->devices, x->device.id))->session) any = x;
    }
    if (!any) return;
    any->witness = true;
    any->heard   = s->now;
    step_changed(s, &node_type, any);
    device_tell(s, table_find(&s->n->devices, any->device.id));
}

/* What a lost witness saw is said by nobody again: of the head, or, if it was the head, of the others. */
static void keep_what_was_seen(struct step *s, struct cluster *c, const struct node *lost)
{
    for (struct node *x = NULL; (x = cluster_node(s->n, c, x));)
        if (x->role != lost->role && node_is_live(x)) step_changed(s, &node_type, x);
}

static void lose(struct step *s, struct cluster *c, struct node *x)
{
    if (x->witness) keep_what_was_seen(s, c, x);
    if (is_idle(s, c, x)) device_was_idle(s, table_find(&s->n->devices, x->device.id));
    x->lost = true;
    c->lost++;
    node_close(s, c, x);
    if (x->state == NODE_CLOSING) node_settle(s, c, x); /* what it may have served since is its own loss */
    if (x->role == NODE_HEAD) {
        const char *why = head_is_gone_for_good(s, c);
        if (why) return cluster_end(s, c, true, str_from(why));
        head_was_lost(s, c, x);
    }
    if (c->ready.ms && !x->passed.ms) place_failed(s, c, x);
    if (c->state == CLUSTER_READY) cluster_move(c, CLUSTER_HEALING);
    c->hurt = s->now;
    witness_appoint(s, c);
    cluster_changed(s, c);
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
    bool back = !instant_before(s->now, s->n->back_by); /* after a start, last reports need time to come */
    for (struct node *x = NULL; (x = cluster_node(s->n, c, x));) {
        if (!step_has_room(s)) return;
        if (x->state == NODE_CLOSING && back && instant_since(s->now, x->closed).ms >= NODE_CLOSING_MS)
            node_settle(s, c, x);
        if (x->state != NODE_CLOSED) return;
    }
    finish(s, c);
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

/* How long no node of it was heard: nobody who could say what became of the others. */
static struct span darkness(const struct step *s, const struct cluster *c)
{
    struct span least = { INT64_MAX };
    for (const struct node *x = NULL; (x = cluster_node(s->n, c, x));) {
        const struct device *d = table_find(&s->n->devices, x->device.id);
        if (!node_is_live(x)) continue;
        if (d->session) return (struct span){ 0 };
        least = span_min(least, instant_since(s->now, d->seen));
    }
    return least.ms == INT64_MAX ? (struct span){ 0 } : least;
}

/* A lone node is heard through the gateway as well. */
static bool is_dark(const struct step *s, const struct cluster *c)
{
    const struct node *head = cluster_head(s->n, c);
    if (!c->ready.ms || darkness(s, c).ms < DARK_MS) return false;
    return c->size > 1 || !head || instant_since(s->now, head->probed).ms >= DARK_MS;
}

static void watch_dark(struct step *s, struct cluster *c)
{
    if (darkness(s, c).ms >= LEASE_MS)
        return cluster_end(s, c, true, STR("all its nodes were lost: none was heard of for six hours"));
    if (c->nodes_alive) {
        c->nodes_alive = 0;
        cluster_event(s, c);
    }
    cluster_say(s, c, STR("none of its nodes is heard: what they do goes on, and counts once they are back"));
}

static void watch_cluster(struct step *s, struct cluster *c)
{
    const struct recipe_facts *r = network_recipe(s->n, str_from(c->recipe));
    if (c->state == CLUSTER_ENDING) return watch_ending(s, c);
    if (c->ends.ms && !instant_before(s->now, c->ends))
        return cluster_end(s, c, false, STR("what was paid for has ended"));
    if (cluster_is_forming(c) && r && instant_since(s->now, c->made).ms > r->ready_timeout.ms)
        return cluster_end(s, c, true, STR("it was not ready in the time its recipe gives it"));
    bool dark = is_dark(s, c);
    if (dark) watch_dark(s, c);
    if (c->state == CLUSTER_ENDING) return;
    if (is_muted(s, c)) return cluster_end(s, c, true, STR("its own check no longer sees its nodes serve"));

    for (struct node *x = NULL; (x = cluster_node(s->n, c, x));) {
        if (!step_has_room(s)) return;
        if (is_lost(s, c, x)) lose(s, c, x);
        if (c->state == CLUSTER_ENDING) return;
        if (x->state == NODE_SERVING && !instant_before(s->now, x->settle)) node_settle(s, c, x);
        if (x->state == NODE_CLOSING && instant_since(s->now, x->closed).ms >= NODE_CLOSING_MS)
            node_settle(s, c, x);
    }
    const char *why = cluster_head(s->n, c) ? NULL : head_is_gone_for_good(s, c);
    if (why)
        return cluster_end(s, c, true, str_from(why)); /* the copy was lost while the head's place was empty */
    if (!dark) places_fill(s, c);
    standby_appoint(s, c);
    if (c->state != CLUSTER_ENDING && !instant_before(s->now, c->renew) && step_has_room(s)) renew(s, c);
}

/* Goes on where the last tick stopped, so that none waits for long when there is much to do. */
static void watch_clusters(struct step *s)
{
    struct network *n = s->n;
    for (uint32_t seen = 0; seen < n->clusters.used && step_has_room(s); seen++) {
        n->watched        = (n->watched + 1) % n->clusters.used;
        struct cluster *c = table_at(&n->clusters, n->watched);
        if (cluster_is_live(c)) watch_cluster(s, c);
    }
}

static bool quote_is_old(const void *row, struct instant now)
{
    const struct quote *q = row;
    return !instant_before(now, q->expires);
}

static bool key_is_old(const void *row, struct instant now)
{
    const struct api_key *k = row;
    return !instant_before(now, k->expires);
}

static bool grant_is_old(const void *row, struct instant now)
{
    const struct join_grant *g = row;
    return !instant_before(now, instant_add(g->expires, (struct span){ MS_PER_DAY }));
}

/* Some rows a tick: all are looked at within a minute or so, however many there are. */
static void forget(struct step *s, const struct record_type *type, struct table *t, uint32_t *at,
                   bool (*is_old)(const void *row, struct instant now))
{
    for (uint32_t seen = 0; seen < t->used && seen < FORGET_A_TICK_MAX; seen++) {
        *at                    = (*at + 1) % t->used;
        const struct id *named = table_at(t, *at);
        if (id_is_none(*named) || s->n->doomed_count == NETWORK_DOOMED_MAX) continue;
        if (!is_old(named, s->now)) continue;
        account_lets_go(s->n, type, named);
        step_removed(s, type, t, table_at(t, *at));
    }
}

void on_tick(struct step *s)
{
    struct network *n = s->n;
    watch_clusters(s);
    devices_tell_more(s);
    relays_try(s);
    forget(s, &quote_type, &n->quotes, &n->forgot_quotes, quote_is_old);
    forget(s, &api_key_type, &n->keys, &n->forgot_keys, key_is_old);
    forget(s, &join_grant_type, &n->grants, &n->forgot_grants, grant_is_old);
}
