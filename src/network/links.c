/* links.c: devices and gateways come, report and go. What a link says about itself is believed only for what it
 * proved: its own key. */
#include "network_int.h"

#include <string.h>

#define QUARREL_MS 10000 /* two instances of one key at once for so long: a copied state folder */
#define TELL_AGAIN_MS 5000
#define TELL_A_STEP_MAX 8192
#define SERVED_STORE_MS 60000  /* of a node, that is lost at most when its worker and the network die at once */
#define EPOCH_LEAP_MAX 1000000 /* starts of the network that a backup may lack */

void device_changed(struct step *s, struct device *d)
{
    step_changed(s, &device_type, d);
    if (d->event == s->n->meta.sequence) return;
    d->event = s->n->meta.sequence;
    step_effect(s, EFFECT_EVENT_DEVICE, d->id.id);
}

void device_tell(struct step *s, struct device *d)
{
    d->version++;
    d->told = s->now;
    if (d->session) step_effect(s, EFFECT_DESIRED, d->id.id)->session = d->session;
}

void devices_tell_more(struct step *s)
{
    struct network *n = s->n;
    for (uint32_t told = 0; n->telling && told < TELL_A_STEP_MAX;) {
        if (n->telling > n->devices.used) {
            n->telling = 0;
            return;
        }
        struct device *d = table_at(&n->devices, n->telling++ - 1);
        if (!d->session) continue; /* its next link tells it */
        device_tell(s, d);
        told++;
    }
}

void devices_tell_all(struct step *s)
{
    s->n->telling = 1;
    devices_tell_more(s);
}

static void refuse(struct step *s, struct err why)
{
    struct effect *e = step_effect(s, EFFECT_REFUSE, (struct id){ { 0 } });
    e->session       = s->in->session;
    e->error         = why;
}

static void welcome(struct step *s, struct id id)
{
    step_effect(s, EFFECT_WELCOME, id)->session = s->in->session;
}

/* The grant that this link brings, if it is good for what wants to join. */
static struct err grant_of(struct step *s, struct join_grant **out)
{
    if (!s->in->link.has_token) return ERR(DENIED, "this key is not enrolled: bring a join token");
    struct join_grant *g = table_find(&s->n->grants, network_tag(s->in->link.token_hash));
    if (!g || memcmp(g->hash, s->in->link.token_hash, sizeof g->hash) != 0)
        return ERR(DENIED, "the join token is not known");
    if (g->purpose != s->in->link.purpose) return ERR(DENIED, "the join token is for another kind of machine");
    if (!id_is_none(g->used_by)) return ERR(DENIED, "the join token has been used");
    if (!instant_before(s->now, g->expires)) return ERR(EXPIRED, "the join token has expired");
    *out = g;
    return OK;
}

static struct err enrol_device(struct step *s, struct device **out)
{
    struct join_grant *g = NULL;
    TRY(grant_of(s, &g));
    struct device *d = table_add(&s->n->devices, step_id(s, STR("device")));
    if (!d) return ERR(LIMIT, "the network holds no more devices");

    memcpy(d->public_key, s->in->link.public_key, sizeof d->public_key);
    memcpy(d->name, s->in->link.name, sizeof d->name);
    d->key_tag  = network_tag(d->public_key);
    d->owner    = g->account;
    d->ask      = g->ask;
    d->enrolled = s->now;
    map_put(&s->n->devices_by_tag, table_place(&s->n->devices, d));
    account_lets_go(s->n, &join_grant_type, g);
    g->used_by = d->id.id;
    step_changed(s, &join_grant_type, g);
    *out = d;
    return OK;
}

/* ---- which link counts ---------------------------------------------------------------------------------- */

static void link_ends(struct network *n, struct device *d)
{
    d->session = 0;
    if (id_is_none(d->machine)) return;
    map_remove(&n->devices_by_machine, d->machine);
    d->machine = (struct id){ { 0 } };
}

static void link_begins(struct step *s, struct device *d)
{
    link_ends(s->n, d);
    d->session = s->in->session;
    d->machine = s->in->link.machine;
    if (!id_is_none(d->machine)) map_put(&s->n->devices_by_machine, table_place(&s->n->devices, d));
}

static void close_link(struct step *s, struct device *d, struct err why)
{
    if (!d->session) return;
    struct effect *e = step_effect(s, EFFECT_CLOSE, d->id.id);
    e->session       = d->session;
    e->error         = why;
    link_ends(s->n, d);
}

/* Whether the machine is linked already, as another device: it would be promised twice. `d`: as which it asks now, null if
 * it is new. */
static bool is_here_twice(const struct step *s, const struct device *d)
{
    struct id machine = s->in->link.machine;
    uint32_t  place   = id_is_none(machine) ? MAP_NONE : map_find(&s->n->devices_by_machine, machine);
    return place != MAP_NONE && table_at(&s->n->devices, place) != d;
}

/* Its nodes are lost with the next tick. */
static void hold(struct step *s, struct device *d, struct str why)
{
    close_link(s, d, ERR(CONFLICT, "this device is held: its owner is told why, and may release it"));
    check(str_copy(why, d->why, sizeof d->why).code == ERR_NONE);
    device_move(d, DEVICE_HELD);
    device_changed(s, d);
}

void device_was_idle(struct step *s, struct device *d)
{
    if (++d->idle < DEVICE_IDLE_MAX || !device_may_move(d->state, DEVICE_HELD)) return;
    d->idle = 0;
    hold(s, d, STR("it took three nodes in a row and began none: see its log, then release it"));
}

/* Another instance while one is linked: a restart whose end was not heard, or a copy. Time tells. */
static void on_second_instance(struct step *s, struct device *d)
{
    if (d->quarrel.ms == 0) d->quarrel = s->now;
    if (instant_since(s->now, d->quarrel).ms >= QUARREL_MS)
        hold(s, d,
             STR("two machines use this device's key: copy no state folder, and release it once one is gone"));
    refuse(s, ERR(CONFLICT, "this device is linked from elsewhere"));
}

static void device_link_up(struct step *s)
{
    struct network *n     = s->n;
    uint32_t        place = map_find(&n->devices_by_tag, network_tag(s->in->link.public_key));
    struct device  *d     = place == MAP_NONE ? NULL : table_at(&n->devices, place);
    if (d && memcmp(d->public_key, s->in->link.public_key, sizeof d->public_key) != 0)
        return refuse(s, ERR(DENIED, "this key is not this device's"));
    if (is_here_twice(s, d))
        return refuse(s,
                      ERR(CONFLICT, "this machine is linked already, as another device: one worker a machine"));
    if (!d) {
        struct err e = enrol_device(s, &d);
        if (e.code) return refuse(s, e);
    }
    if (d->state == DEVICE_RETIRED) return refuse(s, ERR(DENIED, "this device was retired by its owner"));
    if (d->state == DEVICE_HELD)
        return refuse(s, ERR(DENIED, "this device is held: ask its owner to release it"));

    bool same = memcmp(d->instance, s->in->link.instance, sizeof d->instance) == 0;
    if (d->session && !same) return on_second_instance(s, d);
    close_link(s, d, ERR(CONFLICT, "a newer link of this device took over"));
    link_begins(s, d);
    memcpy(d->instance, s->in->link.instance, sizeof d->instance);
    d->seen       = s->now;
    d->quarrel    = (struct instant){ 0 };
    d->has_images = false;
    if (d->state == DEVICE_READY || d->state == DEVICE_OFFLINE) device_move(d, DEVICE_CONNECTED);
    device_changed(s, d);
    welcome(s, d->id.id);
    device_tell(s, d);
    for (uint32_t i = 0; i < d->nodes_count; i++) {
        struct node *x = table_find(&n->nodes, d->nodes[i]);
        x->mesh_owed   = true;
        x->heard       = s->now;
        cluster_owe_maps(s, table_find(&n->clusters, x->cluster.id));
    }
}

static void gateway_link_up(struct step *s)
{
    struct network *n     = s->n;
    uint32_t        place = map_find(&n->gateways_by_tag, network_tag(s->in->link.public_key));
    struct gateway *g     = place == MAP_NONE ? NULL : table_at(&n->gateways, place);
    if (g && memcmp(g->public_key, s->in->link.public_key, sizeof g->public_key) != 0)
        return refuse(s, ERR(DENIED, "this key is not this gateway's"));
    if (!g) {
        struct join_grant *grant = NULL;
        struct err         e     = grant_of(s, &grant);
        if (e.code) return refuse(s, e);
        g = table_add(&n->gateways, step_id(s, STR("gateway")));
        if (!g) return refuse(s, ERR(LIMIT, "the network holds no more gateways"));
        memcpy(g->public_key, s->in->link.public_key, sizeof g->public_key);
        g->key_tag  = network_tag(g->public_key);
        g->enrolled = s->now;
        map_put(&n->gateways_by_tag, table_place(&n->gateways, g));
        account_lets_go(n, &join_grant_type, grant);
        grant->used_by = g->id.id;
        step_changed(s, &join_grant_type, grant);
        step_changed(s, &gateway_type, g);
    } else if (g->session) {
        struct effect *e = step_effect(s, EFFECT_CLOSE, g->id.id);
        e->session       = g->session;
        e->error         = ERR(CONFLICT, "a newer link of this gateway took over");
    }
    memcpy(g->instance, s->in->link.instance, sizeof g->instance);
    g->session = s->in->session;
    g->since   = s->now;
    welcome(s, g->id.id);
}

void on_link_up(struct step *s)
{
    if (s->in->link.purpose == TOKEN_GATEWAY)
        gateway_link_up(s);
    else
        device_link_up(s);
}

/* The device that this link is of; null when the link is no longer the one that counts. */
static struct device *device_of(struct step *s)
{
    struct device *d = table_find(&s->n->devices, s->in->subject);
    return d && d->session == s->in->session ? d : NULL;
}

void on_link_down(struct step *s)
{
    struct gateway *g = table_find(&s->n->gateways, s->in->subject);
    if (g && g->session == s->in->session) g->session = 0;

    struct device *d = device_of(s);
    if (!d) return;
    link_ends(s->n, d);
    d->seen    = s->now;
    d->quarrel = (struct instant){ 0 };
    if (d->state == DEVICE_CONNECTED || d->state == DEVICE_READY) device_move(d, DEVICE_OFFLINE);
    device_changed(s, d);
}

/* In a third of the memory that the text would take, for each of a million. */
static struct id name_of_gpu(const struct observed_gpu *g)
{
    struct hash h = hash_sha256(str_from(g->uuid));
    return network_tag(h.bytes);
}

static void take_specs(struct step *s, struct device *d, const struct device_specs *specs)
{
    struct device was = *d;
    d->cpus           = specs->cpus;
    d->memory_bytes   = specs->memory_bytes;
    d->disk_bytes     = specs->disk_bytes;
    memcpy(d->cpu_model, specs->cpu_model, sizeof d->cpu_model);
    memcpy(d->os, specs->os, sizeof d->os);
    memcpy(d->arch, specs->arch, sizeof d->arch);
    d->egress     = specs->egress;
    d->gpus_count = specs->gpus_count;
    for (uint32_t i = 0; i < specs->gpus_count; i++) {
        d->gpus[i].name = name_of_gpu(&specs->gpus[i]);
        memcpy(d->gpus[i].chip, specs->gpus[i].chip, sizeof d->gpus[i].chip);
        d->gpus[i].memory_mib = specs->gpus[i].memory_mib;
    }
    if (record_stored_eq(&device_type, &was, d) && was.egress == d->egress) return;
    device_changed(s, d);
    if (d->nodes_count && device_is_less(&was, d))
        hold(s, d, STR("its hardware changed while it was hired: release it to offer what it has now"));
}

static bool holds(const struct observed *o, const char *image)
{
    for (uint32_t i = 0; i < o->images_count; i++)
        if (strcmp(o->images[i].image, image) == 0) return true;
    return false;
}

static bool holds_all(const struct network *n, const struct observed *o)
{
    const char *images[ASSIGN_IMAGES_MAX];
    uint32_t    count = network_images(n, images);
    for (uint32_t i = 0; i < count; i++)
        if (!holds(o, images[i])) return false;
    return true;
}

/* Ready: it holds the base images, is known, and nothing troubles it. */
static void device_judge(struct step *s, struct device *d, const struct observed *o)
{
    bool       known = d->cpus > 0 && d->memory_bytes > 0;
    bool       ahead = o->epoch > s->n->meta.epoch; /* it would ignore all it is told */
    struct str trouble =
        ahead ? STR("it says that it has seen a later state of this network") : str_from(o->trouble);
    const char *wait  = !d->has_images ? "it fetches the base images" : "it has not said what it is";
    bool        ready = d->has_images && known && trouble.len == 0;
    struct str  why   = ready ? STR("") : trouble.len ? trouble : str_from(wait);

    bool same = str_eq(why, str_from(d->why));
    check(str_copy(why, d->why, sizeof d->why).code == ERR_NONE);
    if (ready != (d->state == DEVICE_READY))
        device_move(d, ready ? DEVICE_READY : DEVICE_CONNECTED);
    else if (same)
        return;
    device_changed(s, d);
}

/* Public halves are no secret: a node that shows another's as its own would take that one's place in the mesh. */
static bool key_is_taken(const struct network *n, const struct cluster *c, const struct node *x,
                         const uint8_t *key)
{
    for (const struct node *y = NULL; (y = cluster_node(n, c, y));)
        if (y != x && node_is_live(y) && memcmp(y->mesh_key, key, MESH_KEY_BYTES) == 0) return true;
    return false;
}

static void take_report(struct step *s, struct device *d, const struct observed_node *o)
{
    struct node *x = table_find(&s->n->nodes, o->node.id);
    if (!x || !id_eq(x->device.id, d->id.id) || o->incarnation != x->incarnation) return;
    if (x->state == NODE_CLOSED) return; /* its desired state will end it */

    struct cluster *c         = table_find(&s->n->clusters, x->cluster.id);
    uint64_t        stored_ms = x->served_ms / SERVED_STORE_MS;
    node_reported(x, o->served_ms);
    if (x->served_ms / SERVED_STORE_MS != stored_ms) step_changed(s, &node_type, x);
    if (x->copied != o->copied && node_is_live(x)) {
        x->copied = o->copied;
        step_changed(s, &node_type, x);
        cluster_event(s, c);
    }
    x->cpu_milli    = o->cpu_milli;
    x->memory_bytes = o->memory_bytes;
    if (!node_is_live(x)) return;

    static const uint8_t none[MESH_KEY_BYTES];
    bool                 has_key = memcmp(o->mesh_key, none, sizeof none) != 0;
    bool                 new_key = has_key && memcmp(o->mesh_key, x->mesh_key, sizeof none) != 0;
    bool                 moved   = has_key && (!x->has_inside || strcmp(o->inside, x->inside) != 0);
    memcpy(x->inside, o->inside, sizeof x->inside);
    x->has_inside |= has_key;
    if (new_key && !key_is_taken(s->n, c, x, o->mesh_key)) {
        if (x->has_key) node_leaves_mesh(s, c, x);
        memcpy(x->mesh_key, o->mesh_key, sizeof x->mesh_key);
        x->has_key = true;
        step_changed(s, &node_type, x);
        step_effect(s, EFFECT_MEET, x->id.id);
        node_met(s, c, x);
    } else if (moved) {
        node_moved_at_home(s, c, x);
    }
    if (o->phase == PHASE_ENDED) return node_ended(s, c, x, o);
    if (o->phase == x->phase) return;
    x->phase = o->phase;
    cluster_event(s, c);
    cluster_advance(s, c);
}

/* A node that is being closed waits for its worker's word that it no longer runs. */
static void settle_ended(struct step *s, struct device *d, const struct observed *o)
{
    for (uint32_t i = d->nodes_count; i-- > 0;) {
        struct node *x = table_find(&s->n->nodes, d->nodes[i]);
        if (x->state != NODE_CLOSING || o->epoch != s->n->meta.epoch || o->version < x->without) continue;
        bool runs = false;
        for (uint32_t k = 0; k < o->nodes_count; k++)
            runs |= id_eq(o->nodes[k].node.id, x->id.id) && o->nodes[k].phase != PHASE_ENDED;
        if (runs) continue;
        node_settle(s, table_find(&s->n->clusters, x->cluster.id), x);
    }
}

/* This store is older than what the worker has seen: a restored backup. Believed once a device and start, and within
 * reason, so that a liar can't count the epochs up to where numbers end, or have everybody told again and again. */
static void leap_past(struct step *s, struct device *d, uint64_t epoch)
{
    struct meta *meta = &s->n->meta;
    if (epoch <= meta->epoch || epoch - meta->epoch > EPOCH_LEAP_MAX || d->leapt) return;
    d->leapt    = true;
    meta->epoch = epoch + 1;
    step_changed(s, &meta_type, meta);
    devices_tell_all(s);
}

void on_observed(struct step *s)
{
    struct device         *d = device_of(s);
    const struct observed *o = s->in->observed;
    if (!d) return;
    d->seen = s->now;
    leap_past(s, d, o->epoch);
    if (o->specs_count) take_specs(s, d, &o->specs[0]);
    if (!d->session) return; /* held */
    d->has_images = holds_all(s->n, o);
    device_judge(s, d, o);
    for (uint32_t i = 0; i < o->nodes_count; i++) take_report(s, d, &o->nodes[i]);
    settle_ended(s, d, o);

    bool stale = o->epoch != s->n->meta.epoch || o->version != d->version;
    if (stale && instant_since(s->now, d->told).ms >= TELL_AGAIN_MS) device_tell(s, d);
}

static struct device *own_device(struct step *s)
{
    struct device *d = table_find(&s->n->devices, s->in->subject);
    return d && id_eq(d->owner.id, s->in->account.id) ? d : NULL;
}

void on_retire(struct step *s)
{
    struct device *d = own_device(s);
    if (!d || d->state == DEVICE_RETIRED)
        return step_reply(s, ERR(MISSING, "there is no such device"), s->in->subject, 0);
    if (d->nodes_count)
        return step_reply(s, ERR(CONFLICT, "the device is hired: retire it when its clusters have ended"),
                          d->id.id, 0);
    close_link(s, d, ERR(DENIED, "this device was retired by its owner"));
    device_move(d, DEVICE_RETIRED);
    device_changed(s, d);
    step_reply(s, OK, d->id.id, 0);
}

void on_release(struct step *s)
{
    struct device *d = own_device(s);
    if (!d) return step_reply(s, ERR(MISSING, "there is no such device"), s->in->subject, 0);
    if (d->state != DEVICE_HELD) return step_reply(s, ERR(CONFLICT, "the device is not held"), d->id.id, 0);
    d->why[0] = 0;
    device_move(d, DEVICE_OFFLINE);
    device_changed(s, d);
    step_reply(s, OK, d->id.id, 0);
}
