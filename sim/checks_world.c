/* checks_world.c: the promises about what really happens: on the machines, and once all faults have ceased. */
#include "sim_int.h"

#include <string.h>

#define COPY_MS 15000
#define SETTLES_MS 10000 /* it has ended just now */
#define END_MS 2500      /* what is to end has been asked to by then */

/* ---- what is sent ---------------------------------------------------------------------------------------------------- */

void checks_desired(struct sim *s, const struct desired *d)
{
    for (uint32_t i = 0; i < d->assignments_count; i++) {
        const struct assignment *a   = &d->assignments[i];
        const struct cluster    *c   = network_cluster(&s->control.n, a->cluster.id);
        struct instant           now = s->control.n.meta.now;
        if (a->paid.ms > LEASE_MS || (c->ends.ms && now.ms + a->paid.ms > c->ends.ms && a->paid.ms > 0))
            broken(s, "lease-paid", "a lease of %ld ms ends after what was paid for", a->paid.ms);
    }
    if (d->assignments_count > 1) broken(s, "device-once", "a device is asked for two nodes");
}

void checks_map(struct sim *s, const struct mesh_map *m)
{
    const struct node    *to = network_node(&s->control.n, m->node.id);
    const struct cluster *c  = network_cluster(&s->control.n, to->cluster.id);
    for (uint32_t i = 0; i < m->peers_count; i++) {
        const struct mesh_peer *p     = &m->peers[i];
        bool                    found = false;
        char                    address[MESH_ADDRESS_TEXT];
        for (const struct node *x = NULL; (x = network_cluster_node(&s->control.n, c, x));) {
            mesh_address(x->index, address);
            found |= x != to && (x->state == NODE_PLACED || x->state == NODE_SERVING) &&
                     memcmp(x->mesh_key, p->key, MESH_KEY_BYTES) == 0 && strcmp(address, p->address) == 0;
        }
        if (!found) broken(s, "mesh-own", "a node is told of a peer that is none of its cluster");
        if (p->valid.ms > LEASE_MS) broken(s, "lease-paid", "a peer is valid for longer than a lease");
    }
}

/* ---- what is reported --------------------------------------------------------------------------------------------------- */

static uint64_t synced_ms(const struct machine *m, const struct observed_node *o)
{
    for (uint32_t i = 0; m->has_saved && i < m->disk->nodes_count; i++)
        if (id_eq(m->disk->nodes[i].assignment[0].node.id, o->node.id)) return m->disk->nodes[i].served_ms;
    return 0;
}

void checks_observed(struct sim *s, const struct machine *m, const struct observed *o)
{
    struct machine *seen = &s->machines[m->place];
    if (o->epoch < m->seen_epoch || (o->epoch == m->seen_epoch && o->version < m->seen_version))
        broken(s, "desired-newest", "machine %u went back to an older desired state", m->place);
    seen->seen_epoch   = o->epoch;
    seen->seen_version = o->version;
    for (uint32_t i = 0; i < o->nodes_count; i++) {
        const struct observed_node *n      = &o->nodes[i];
        const struct thing         *t      = thing_of(s, n->node.id);
        uint64_t                    ran_ms = t ? thing_ran_ms(s, t) : 0;
        ran_ms += ran_ms * (s->plan.drift_ppm_most + 1) / 1000000 + 2;
        if (n->served_ms > ran_ms)
            broken(s, "served-true", "machine %u reports %lu ms, %lu ran", m->place, n->served_ms, ran_ms);
        if (n->served_ms > synced_ms(m, n) + WORKER_UNSYNCED_MS)
            broken(s, "served-synced", "machine %u reports %lu ms, its disk has %lu", m->place, n->served_ms,
                   synced_ms(m, n));
    }
}

/* Two at once for so long, and each noticed: then none of them is believed. */
void checks_copy(struct sim *s, struct machine *m)
{
    const struct device *d = network_device(&s->control.n, m->id);
    if (m->lies & LIE_TWICE) return; /* refused for that */
    if (!d || d->state >= DEVICE_HELD || !d->session || d->session != m->session ||
        m->session != m->copied_session || s->control.run != m->copied_run) {
        m->copied_session = m->session;
        m->copied_run     = s->control.run;
        m->copied_at_ms   = s->now_ms;
    }
    if (s->now_ms - m->copied_at_ms > COPY_MS + 2 * s->plan.delay_ms + 2 * s->plan.jump_ms)
        broken(s, "copy-held", "machine %u and its copy are both let be", m->place);
}

/* ---- what runs ---------------------------------------------------------------------------------------------------------- */

void checks_things(struct sim *s)
{
    for (uint32_t i = 0; i < s->things.used; i++) {
        const struct thing   *t       = table_at(&s->things, i);
        const struct machine *m       = &s->machines[t->machine];
        int64_t               late_ms = END_MS + 100 * s->plan.tick_slack;
        if (!t->has_container || t->clean_asked || !m->is_up || s->now_ms < m->up_since_ms + late_ms) continue;
        if (s->now_ms > t->paid_until_ms + late_ms)
            broken(s, "paid-until", "machine %u serves %ld ms beyond what was paid", t->machine,
                   s->now_ms - t->paid_until_ms);
    }
}

/* ---- rest ---------------------------------------------------------------------------------------------------------------- */

static bool any_fits(struct sim *s, const struct cluster *c)
{
    const struct recipe_facts *r = network_recipe(&s->control.n, str_from(c->recipe));
    for (const struct device *d = NULL; (d = table_next(&s->control.n.devices, d));)
        if (device_is_free(d) && d->ask.micros <= c->price.micros && d->cpus >= r->cpus_min &&
            d->memory_bytes >= r->memory_min && (r->unit != UNIT_GPU || d->gpus_count >= c->quantity))
            return true;
    return false;
}

/* Each knows all the others, and nobody else. */
static void check_mesh_rests(struct sim *s, const struct cluster *c, const struct node *x)
{
    const struct thing *t     = thing_of(s, x->id.id);
    uint32_t            peers = 0;
    for (const struct node *y = NULL; (y = network_cluster_node(&s->control.n, c, y));) {
        bool knows = false;
        if (y == x || (y->state != NODE_PLACED && y->state != NODE_SERVING)) continue;
        for (uint32_t i = 0; i < t->peers_count; i++)
            knows |= memcmp(t->peers[i].key, y->mesh_key, MESH_KEY_BYTES) == 0;
        if (!knows) broken(s, "rest-mesh", "a node does not know a peer");
        peers++;
    }
    if (t->peers_count != peers) broken(s, "rest-mesh", "a node knows %u peers of %u", t->peers_count, peers);
}

static void check_node_serves(struct sim *s, const struct cluster *c, const struct node *x)
{
    const struct machine *m = machine_of(s, x->device.id);
    if (x->state != NODE_PLACED && x->state != NODE_SERVING) return;
    const struct worker_node *n =
        m && m->is_up ? worker_find(m->w, (struct worker_ref){ x->id, x->incarnation }) : NULL;
    if (!n || n->step != STEP_SERVING) broken(s, "rest-ready", "a node of a ready cluster does not serve");
    check_mesh_rests(s, c, x);
}

/* Whatever was lost of it: each has its newest desired state. */
static void check_told(struct sim *s, const struct device *d)
{
    const struct machine *m = machine_of(s, d->id.id);
    if (d->state != DEVICE_READY || !m || !m->is_up) return;
    if (instant_since(s->control.n.meta.now, d->told).ms < END_MS) return; /* it is under way */
    if (m->w->desired.epoch != s->control.n.meta.epoch || m->w->desired.version != d->version)
        broken(s, "rest-told", "machine %u has desired state %lu of %lu", m->place, m->w->desired.version,
               d->version);
}

void checks_rest_told(struct sim *s)
{
    for (const struct device *d = NULL; (d = table_next(&s->control.n.devices, d));) check_told(s, d);
}

void checks_rest_live(struct sim *s)
{
    const struct network *n = &s->control.n;
    for (const struct device *d = NULL; (d = table_next(&n->devices, d));)
        if (d->state != DEVICE_READY && d->state != DEVICE_RETIRED)
            broken(s, "rest-ready", "a device stays %s: %s", device_state_names[d->state], d->why);
    for (const struct cluster *c = NULL; (c = table_next(&n->clusters, c));) {
        if (!cluster_is_live(c)) continue;
        if (c->state == CLUSTER_HEALING && !any_fits(s, c)) continue;
        if (c->state == CLUSTER_ENDING && instant_since(n->meta.now, c->ends).ms < SETTLES_MS) continue;
        if (c->state != CLUSTER_READY || c->nodes_alive != c->size)
            broken(s, "rest-ready", "a cluster stays %s, %u of %u alive", cluster_state_names[c->state],
                   c->nodes_alive, c->size);
        for (const struct node *x = NULL; (x = network_cluster_node(n, c, x));) check_node_serves(s, c, x);
    }
    for (uint32_t i = 0; i < s->clients_count; i++) {
        const struct client  *k = &s->clients[i];
        const struct cluster *c = network_cluster(n, k->last);
        if (k->has_ordered && (!c || c->state != CLUSTER_READY))
            broken(s, "rest-serves", "an order, once all is well again, is not served: %s",
                   c ? c->why : "no cluster");
    }
}

/* Retired while it was away: it is not let in again to be told what has ended, so that goes on until its lease is over. */
static bool is_left_to_its_lease(struct sim *s, const struct machine *m)
{
    const struct device *d = network_device(&s->control.n, m->id);
    return d && d->state == DEVICE_RETIRED && !m->link_welcome;
}

static void check_machine_rests(struct sim *s, const struct machine *m)
{
    if (is_left_to_its_lease(s, m)) return;
    for (uint32_t i = 0; m->is_up && i < WORKER_NODES_MAX; i++)
        if (m->w->nodes[i].step != STEP_FREE && (m->link_welcome || m->w->nodes[i].step != STEP_ENDED))
            broken(s, "rest-settled", "machine %u still has a node", m->place);
    for (uint32_t i = 0; i < s->things.used; i++) {
        const struct thing *t = table_at(&s->things, i);
        if (m->is_up && t->machine == m->place && (t->has_container || t->has_mesh))
            broken(s, "rest-settled", "machine %u still runs what has ended", m->place);
    }
}

void checks_rest_ended(struct sim *s)
{
    const struct network *n = &s->control.n;
    for (const struct cluster *c = NULL; (c = table_next(&n->clusters, c));)
        if (cluster_is_live(c)) broken(s, "rest-settled", "a cluster stays %s", cluster_state_names[c->state]);
    for (const struct device *d = NULL; (d = table_next(&n->devices, d));)
        if (d->nodes_count) broken(s, "rest-settled", "a device stays hired");
    for (const struct relay *r = NULL; (r = table_next(&n->relays, r));)
        if (table_find(&n->relays, r->id) == r) broken(s, "rest-settled", "a pair stays relayed");
    for (uint32_t i = 0; i < s->plan.machines; i++) check_machine_rests(s, &s->machines[i]);
}
