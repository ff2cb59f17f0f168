/* network.c: the value itself: its memory, what is loaded into it, what is read from it. */
#include "network_int.h"

#include <string.h>

const struct network_limits network_limits_small = {
    .accounts_max = 4096,
    .devices_max  = 1024,
    .clusters_max = 4096,
    .nodes_max    = 16384,
    .quotes_max   = 4096,
    .keys_max     = 8192,
    .relays_max   = 4096,
};

const struct network_limits network_limits_full = {
    .accounts_max = 1u << 20,
    .devices_max  = 131072,
    .clusters_max = 131072,
    .nodes_max    = 1u << 20,
    .quotes_max   = 1u << 16,
    .keys_max     = 1u << 20,
    .relays_max   = 30000,
};

/* An escrow account for each cluster, two for each account, two of the network's. */
static uint32_t ledger_accounts_max(const struct network_limits *l)
{
    return l->accounts_max * 2 + l->clusters_max + 2;
}

size_t network_bytes(const struct network_limits *l)
{
    return ledger_bytes(ledger_accounts_max(l)) + table_bytes(l->accounts_max, sizeof(struct account)) +
           table_bytes(l->keys_max, sizeof(struct api_key)) +
           table_bytes(l->keys_max, sizeof(struct join_grant)) +
           table_bytes(l->devices_max, sizeof(struct device)) +
           table_bytes(l->quotes_max, sizeof(struct quote)) +
           table_bytes(l->clusters_max, sizeof(struct cluster)) +
           table_bytes(l->nodes_max, sizeof(struct node)) +
           table_bytes(NETWORK_GATEWAYS_MAX, sizeof(struct gateway)) +
           table_bytes(l->relays_max, sizeof(struct relay)) +
           (map_slots_for(l->accounts_max) + 2 * map_slots_for(l->devices_max) +
            map_slots_for(NETWORK_GATEWAYS_MAX)) *
               sizeof(uint32_t) +
           l->relays_max + l->devices_max * sizeof(struct device *) + 4096;
}

static void tag_map(struct map *m, struct arena *a, const struct table *t, size_t tag_offset)
{
    uint32_t  count = map_slots_for(t->most);
    uint32_t *slots = arena_take(a, count * sizeof(uint32_t));
    check(slots);
    map_init(m, slots, count, t->rows, t->stride, tag_offset);
}

#define TABLE(member, type, most) \
    table_init(&n->member, &a, most, sizeof(struct type), offsetof(struct type, id))

void network_init(struct network *n, const struct network_limits *l, const struct network_config *config,
                  void *memory, size_t bytes)
{
    struct arena a = ARENA_IN_ZEROS(memory, bytes);
    check(l->relays_max < NETWORK_DOOMED_MAX && config->recipe_count <= NETWORK_RECIPES_MAX);
    memset(n, 0, sizeof *n);
    n->config      = *config;
    n->meta.number = 1;
    ledger_init(&n->ledger, &a, ledger_accounts_max(l));
    TABLE(accounts, account, l->accounts_max);
    TABLE(keys, api_key, l->keys_max);
    TABLE(grants, join_grant, l->keys_max);
    TABLE(devices, device, l->devices_max);
    TABLE(quotes, quote, l->quotes_max);
    TABLE(clusters, cluster, l->clusters_max);
    TABLE(nodes, node, l->nodes_max);
    TABLE(gateways, gateway, NETWORK_GATEWAYS_MAX);
    TABLE(relays, relay, l->relays_max);
    tag_map(&n->accounts_by_tag, &a, &n->accounts, offsetof(struct account, key_tag));
    tag_map(&n->devices_by_tag, &a, &n->devices, offsetof(struct device, key_tag));
    tag_map(&n->devices_by_machine, &a, &n->devices, offsetof(struct device, machine));
    tag_map(&n->gateways_by_tag, &a, &n->gateways, offsetof(struct gateway, key_tag));
    n->slots_used = arena_take(&a, l->relays_max);
    n->chosen     = arena_take(&a, l->devices_max * sizeof(struct device *));
    check(n->slots_used && n->chosen);
}

struct id network_tag(const uint8_t bytes[32])
{
    struct hash h = hash_sha256((struct str){ (const char *)bytes, 32 });
    struct id   id;
    memcpy(id.bytes, h.bytes, sizeof id.bytes);
    return id;
}

/* ---- loading ------------------------------------------------------------------------------------------ */

/* A copy of a record in the table that keeps its type; every such record starts with its id. */
static struct err put(struct table *t, const void *record, void **row)
{
    struct id id;
    memcpy(&id, (const char *)record + t->id_offset, sizeof id);
    if (id_is_none(id) || table_find(t, id)) return ERR(CORRUPT, "a stored record has no name or another's");
    *row = table_add(t, id);
    if (!*row) return ERR(LIMIT, "the store holds more records than the tables were sized for");
    memcpy(*row, record, t->stride);
    return OK;
}

static struct err load_node(struct network *n, const void *record)
{
    void *row;
    TRY(put(&n->nodes, record, &row));
    struct node    *x = row;
    struct cluster *c = table_find(&n->clusters, x->cluster.id);
    struct device  *d = table_find(&n->devices, x->device.id);
    if (!c || !d) return ERR(CORRUPT, "a stored node has no cluster or no device");
    x->next  = c->first;
    c->first = table_place(&n->nodes, x) + 1;
    if (x->state == NODE_CLOSED) return OK;
    if (d->nodes_count == DEVICE_NODES_MAX) return ERR(CORRUPT, "a stored device has too many nodes");
    device_hire(d, x->id.id);
    return OK;
}

static struct err load_relay(struct network *n, const void *record)
{
    void *row;
    TRY(put(&n->relays, record, &row));
    struct relay *r = row;
    if (!table_find(&n->nodes, r->pair.a.id) || !table_find(&n->nodes, r->pair.b.id))
        return ERR(CORRUPT, "a stored pair lacks one of its nodes");
    if (r->pair.slot >= n->relays.most || n->slots_used[r->pair.slot])
        return ERR(CORRUPT, "two stored pairs share a slot of the relay");
    n->slots_used[r->pair.slot] = 1;
    return OK;
}

static struct err load_tagged(struct table *t, struct map *tags, const void *record)
{
    void *row;
    TRY(put(t, record, &row));
    struct id tag;
    memcpy(&tag, (const char *)row + tags->offset, sizeof tag);
    if (map_find(tags, tag) != MAP_NONE) return ERR(CORRUPT, "two stored records share a key");
    map_put(tags, table_place(t, row));
    return OK;
}

static struct err load_held(struct network *n, struct table *t, const struct record_type *type,
                            const void *record)
{
    void *row;
    TRY(put(t, record, &row));
    return account_holds(n, type, row) ? OK : ERR(CORRUPT, "a stored record's account is not there");
}

struct err network_load(struct network *n, const struct record_type *type, const void *record)
{
    void *row;
    TRY(record_check(type, record, NULL));
    if (type == &meta_type) {
        n->meta             = *(const struct meta *)record;
        n->ledger.transfers = n->meta.transfers;
        return OK;
    }
    if (type == &transfer_type) return OK; /* history: the accounts hold their outcome */
    if (type == &ledger_account_type) return put(&n->ledger.accounts, record, &row);
    if (type == &account_type) return load_tagged(&n->accounts, &n->accounts_by_tag, record);
    if (type == &device_type) return load_tagged(&n->devices, &n->devices_by_tag, record);
    if (type == &gateway_type) return load_tagged(&n->gateways, &n->gateways_by_tag, record);
    if (type == &api_key_type) return load_held(n, &n->keys, type, record);
    if (type == &join_grant_type) return load_held(n, &n->grants, type, record);
    if (type == &quote_type) return load_held(n, &n->quotes, type, record);
    if (type == &cluster_type) return put(&n->clusters, record, &row);
    if (type == &node_type) return load_node(n, record);
    if (type == &relay_type) return load_relay(n, record);
    return ERR(CORRUPT, "the store has a kind of record that this network does not know");
}

/* ---- invariants --------------------------------------------------------------------------------------- */

static struct err check_books(const struct network *n)
{
    if (ledger_sum(&n->ledger).micros != 0) return ERR(CORRUPT, "the books do not sum to zero");
    for (const struct ledger_account *a = NULL; (a = table_next(&n->ledger.accounts, a));)
        if (a->kind != LEDGER_OUTSIDE && a->balance.micros < 0) return ERR(CORRUPT, "somebody owes money");
    return OK;
}

static struct err check_cluster(const struct network *n, const struct cluster *c)
{
    struct money held = ledger_balance(&n->ledger, LEDGER_ESCROW, c->id.id), charged = { 0 };
    uint32_t     heads = 0, nodes = 0, units = 0;
    for (const struct node *x = NULL; (x = cluster_node(n, c, x));) {
        if (x->charged.micros > node_charge(x, c->price, n->meta.now).micros)
            return ERR(CORRUPT, "a node was charged more than it served");
        charged = money_add(charged, x->charged);
        if (!node_is_live(x)) continue;
        heads += x->role == NODE_HEAD;
        nodes++;
        units += x->units;
    }
    if (charged.micros != c->charged.micros) return ERR(CORRUPT, "a cluster's charge is not its nodes'");
    if (c->escrow.micros != held.micros + c->charged.micros + c->refunded.micros)
        return ERR(CORRUPT, "a cluster's escrow is not held, charged and refunded");
    if (!cluster_is_live(c) && held.micros != 0) return ERR(CORRUPT, "an ended cluster still holds money");
    if (heads > 1) return ERR(CORRUPT, "a cluster has two heads");
    if (nodes > c->size || units > c->quantity || c->size - nodes > c->quantity - units)
        return ERR(CORRUPT, "a cluster has more than was paid for");
    return OK;
}

static struct err check_device(const struct network *n, const struct device *d)
{
    uint32_t live = 0;
    for (uint32_t i = 0; i < d->nodes_count; i++) {
        const struct node *x = table_find(&n->nodes, d->nodes[i]);
        if (!x || x->state == NODE_CLOSED) return ERR(CORRUPT, "a device holds a node that is none");
        live += node_is_live(x);
    }
    return live > 1 ? ERR(CORRUPT, "a device is promised twice") : OK;
}

struct err network_check(const struct network *n)
{
    TRY(check_books(n));
    for (const struct cluster *c = NULL; (c = table_next(&n->clusters, c));) TRY(check_cluster(n, c));
    for (const struct device *d = NULL; (d = table_next(&n->devices, d));) {
        if (!table_find(&n->accounts, d->owner.id)) return ERR(CORRUPT, "a device has no owner");
        TRY(check_device(n, d));
    }
    return OK;
}

/* ---- reading ------------------------------------------------------------------------------------------ */

struct instant network_now(const struct network *n)
{
    return n->meta.now;
}

const struct account *network_account(const struct network *n, struct account_id id)
{
    return table_find(&n->accounts, id.id);
}

const struct account *network_account_by_key(const struct network *n, const uint8_t public_key[32])
{
    uint32_t place = map_find(&n->accounts_by_tag, network_tag(public_key));
    return place == MAP_NONE ? NULL : table_at(&n->accounts, place);
}

const struct api_key *network_key(const struct network *n, const uint8_t hash[32])
{
    const struct api_key *k = table_find(&n->keys, network_tag(hash));
    struct hash           a, b;
    if (!k) return NULL;
    memcpy(a.bytes, k->hash, sizeof a.bytes);
    memcpy(b.bytes, hash, sizeof b.bytes);
    return hash_eq(a, b) && instant_before(n->meta.now, k->expires) ? k : NULL;
}

const struct device *network_device(const struct network *n, struct id id)
{
    return table_find(&n->devices, id);
}

const struct cluster *network_cluster(const struct network *n, struct id id)
{
    return table_find(&n->clusters, id);
}

const struct node *network_node(const struct network *n, struct id id)
{
    return table_find(&n->nodes, id);
}

const struct node *network_cluster_node(const struct network *n, const struct cluster *c,
                                        const struct node *after)
{
    return cluster_node(n, c, after);
}

const struct quote *network_quote(const struct network *n, struct id id)
{
    return table_find(&n->quotes, id);
}

const struct gateway *network_gateway(const struct network *n)
{
    const struct gateway *any = NULL;
    for (const struct gateway *g = NULL; (g = table_next(&n->gateways, g));) {
        if (!g->meets_count) continue;
        if (g->session) return g;
        any = g;
    }
    return any;
}

bool network_is_probed(const struct network *n, const struct node *x)
{
    const struct cluster *c = table_find(&n->clusters, x->cluster.id);
    return x->state == NODE_SERVING && c->size == 1;
}

const struct recipe_facts *network_recipe(const struct network *n, struct str name)
{
    for (uint32_t i = 0; i < n->config.recipe_count; i++)
        if (str_eq(name, str_from(n->config.recipes[i].name))) return &n->config.recipes[i];
    return NULL;
}

static void assign(const struct network *n, const struct device *d, const struct node *x, struct assignment *a)
{
    const struct cluster *c = table_find(&n->clusters, x->cluster.id);
    const struct gateway *g = network_gateway(n);
    a->node                 = x->id;
    a->cluster              = c->id;
    a->incarnation          = x->incarnation;
    a->role                 = x->role;
    a->index                = x->index;
    a->head_index           = c->head_index;
    a->nodes                = c->size;
    a->witness              = x->witness;
    a->standby              = x->standby;
    a->restores             = x->restores;
    a->cpus_milli           = d->cpus * 1000;
    a->memory_bytes         = d->memory_bytes;
    a->paid                 = cluster_lease(c, n->meta.now);
    a->gpus_count           = d->gpus_count < x->units ? d->gpus_count : x->units;
    for (uint32_t i = 0; i < a->gpus_count; i++) a->gpus[i].index = i;
    memcpy(a->recipe, c->recipe, sizeof a->recipe);
    memcpy(a->recipe_hash, c->recipe_hash, sizeof a->recipe_hash);
    memcpy(a->image, c->image, sizeof a->image);
    memcpy(a->secret, c->secret, sizeof a->secret);
    if (!g) return;
    a->meets[0]    = g->meets[0];
    a->meets_count = 1;
    memcpy(a->tunnel, g->tunnel, sizeof a->tunnel);
}

uint32_t network_images(const struct network *n, const char *out[ASSIGN_IMAGES_MAX])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < n->config.recipe_count && count < ASSIGN_IMAGES_MAX; i++) {
        bool there = false;
        for (uint32_t k = 0; k < count; k++) there |= strcmp(out[k], n->config.recipes[i].image) == 0;
        if (!there) out[count++] = n->config.recipes[i].image;
    }
    return count;
}

bool network_holds_ahead(const struct network *n, const char *image)
{
    const char *images[ASSIGN_IMAGES_MAX];
    uint32_t    count = network_images(n, images);
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(images[i], image) == 0) return true;
    return false;
}

void network_desired(const struct network *n, const struct device *d, struct desired *out)
{
    memset(out, 0, sizeof *out);
    out->epoch   = n->meta.epoch;
    out->version = d->version;
    for (uint32_t i = 0; i < d->nodes_count; i++) {
        const struct node *x = table_find(&n->nodes, d->nodes[i]);
        if (node_is_live(x)) assign(n, d, x, &out->assignments[out->assignments_count++]);
    }
    const char *images[ASSIGN_IMAGES_MAX] = { NULL };
    out->images_count                     = network_images(n, images);
    for (uint32_t i = 0; i < out->images_count; i++)
        check(str_copy(str_from(images[i]), out->images[i].image, ASSIGN_IMAGE_TEXT).code == ERR_NONE);
}

bool network_peer(const struct network *n, const struct node *to, const struct node *about,
                  struct mesh_peer *out)
{
    struct mesh_member    mt = node_member(to), ma = node_member(about);
    const struct relay   *r = pair_find(n, to, about);
    const struct gateway *g = network_gateway(n);
    const struct cluster *c = table_find(&n->clusters, to->cluster.id);
    if (to == about || !g || !id_eq(to->cluster.id, about->cluster.id) || !node_is_live(to) ||
        !node_is_live(about) || !mesh_is_known(&mt) || !mesh_is_known(&ma))
        return false;
    enum mesh_via via = mesh_choose(&mt, &ma, r != NULL);
    if (via == MESH_RELAY && !r) via = MESH_DIRECT; /* no slot was left */
    mesh_tell(&mt, &ma, via, via == MESH_RELAY ? &r->pair : NULL, str_from(g->relay_host), g->relay_port_base,
              cluster_lease(c, n->meta.now), out);
    if (via == MESH_RELAY && r->trying && mesh_may_try(&mt, &ma)) mesh_tell_try(&mt, &ma, out);
    out->unheard = node_is_unheard(n, to);
    return true;
}

struct money network_node_charged(const struct network *n, const struct node *x)
{
    const struct cluster *c = table_find(&n->clusters, x->cluster.id);
    return x->state == NODE_CLOSED ? x->charged : node_charge(x, c->price, n->meta.now);
}

struct money network_charged(const struct network *n, const struct cluster *c)
{
    struct money sum = { 0 };
    for (const struct node *x = NULL; (x = cluster_node(n, c, x));)
        sum = money_add(sum, network_node_charged(n, x));
    return sum.micros < c->escrow.micros ? sum : c->escrow;
}
