/* checks_step.c: the promises that are counted along: after each step, with what it changed. */
#include "sim_int.h"

#include <stdlib.h>
#include <string.h>

#define BOOKS_MAX 4096
#define CLUSTERS_MAX 2048
#define NODES_MAX 16384
#define SLOTS_MAX 4096
#define DEVICES_MAX (2 * MACHINES_MAX)
#define ACCOUNTS_MAX 64

#define TABLE(member, most, type) \
    table_init(&c->member, &a, most, sizeof(struct type), offsetof(struct type, id))

static size_t told_bytes(void)
{
    return table_bytes(CLUSTERS_MAX, sizeof(struct told_cluster)) +
           table_bytes(ACCOUNTS_MAX, sizeof(struct told_account)) + 1024;
}

static size_t known_bytes(void)
{
    return table_bytes(BOOKS_MAX, sizeof(struct book)) +
           table_bytes(CLUSTERS_MAX, sizeof(struct known_cluster)) +
           table_bytes(NODES_MAX, sizeof(struct known_node)) +
           table_bytes(DEVICES_MAX, sizeof(struct known_device)) + SLOTS_MAX * sizeof(struct known_slot) + 1024;
}

static struct arena room(void **memory, size_t bytes)
{
    *memory = calloc(1, bytes);
    check(*memory);
    return ARENA_IN_ZEROS(*memory, bytes);
}

void checks_open(struct sim *s)
{
    struct checks *c = &s->checks;
    struct arena   a = room(&c->told_memory, told_bytes());
    TABLE(told_clusters, CLUSTERS_MAX, told_cluster);
    TABLE(told_accounts, ACCOUNTS_MAX, told_account);
}

/* Nothing is known yet. */
static void know_nothing(struct checks *c)
{
    free(c->memory);
    struct arena a = room(&c->memory, known_bytes());
    TABLE(books, BOOKS_MAX, book);
    TABLE(clusters, CLUSTERS_MAX, known_cluster);
    TABLE(nodes, NODES_MAX, known_node);
    TABLE(devices, DEVICES_MAX, known_device);
    c->slots = arena_take(&a, SLOTS_MAX * sizeof *c->slots);
    c->sum = c->escrow_books = c->escrow_live = 0;
    check(c->slots);
}

void checks_close(struct sim *s)
{
    free(s->checks.memory);
    free(s->checks.told_memory);
}

static void *known(struct table *t, struct id id)
{
    void *row = table_find(t, id);
    if (!row) row = table_add(t, id);
    check(row);
    return row;
}

/* ---- money ------------------------------------------------------------------------------------------------------------- */

static void take_transfer(struct sim *s, const struct transfer *t)
{
    struct checks *c = &s->checks;
    if (t->number != ++c->transfers)
        broken(s, "transfers-explain", "transfer %lu follows %lu", t->number, c->transfers - 1);
    ((struct book *)known(&c->books, t->from))->explained -= t->amount.micros;
    ((struct book *)known(&c->books, t->to))->explained += t->amount.micros;
}

static void take_account(struct sim *s, const struct ledger_account *a)
{
    struct checks *c     = &s->checks;
    struct book   *b     = known(&c->books, a->id);
    int64_t        delta = a->balance.micros - b->micros;
    b->kind              = a->kind;
    b->micros            = a->balance.micros;
    b->moved += delta;
    c->sum += delta;
    if (a->kind == LEDGER_ESCROW) c->escrow_books += delta;
    if (a->kind != LEDGER_OUTSIDE && a->balance.micros < 0)
        broken(s, "nobody-owes", "an account of kind %s holds %ld", ledger_kind_names[a->kind],
               a->balance.micros);
}

static void explain(struct sim *s, const struct ledger_account *a)
{
    struct book *b = known(&s->checks.books, a->id);
    if (b->moved != b->explained)
        broken(s, "transfers-explain", "an account's balance moved by %ld, its transfers by %ld", b->moved,
               b->explained);
    b->moved = b->explained = 0;
}

/* ---- nodes and clusters --------------------------------------------------------------------------------------------------- */

static bool is_live(enum node_state state)
{
    return state == NODE_PLACED || state == NODE_SERVING;
}

static void count_node(struct sim *s, const struct known_node *k, int sign)
{
    struct known_cluster *c = known(&s->checks.clusters, k->cluster);
    struct known_device  *d = known(&s->checks.devices, k->device);
    c->nodes_charged += sign * k->charged;
    if (!is_live(k->state)) return;
    d->live += (uint32_t)sign;
    c->live += (uint32_t)sign;
    c->units += (uint32_t)sign * k->units;
    c->heads += (uint32_t)sign * (k->role == NODE_HEAD);
    if (d->live > 1) broken(s, "device-once", "a device is promised %u times", d->live);
}

static int64_t bill(const struct known_cluster *c, const struct node *x, uint64_t ms)
{
    return bill_usage(c->price, x->units, (struct span){ (int64_t)ms }).micros;
}

/* A clock that is as wrong as clocks are here. */
static uint64_t loosely(const struct sim *s, uint64_t ms)
{
    return ms + ms * (s->plan.drift_ppm_most + 1) / 1000000 + 2;
}

static void check_charge(struct sim *s, const struct known_cluster *c, const struct node *x)
{
    const struct thing   *t     = thing_of(s, x->id.id);
    const struct machine *m     = machine_of(s, x->device.id);
    struct instant        until = x->closed.ms ? x->closed : s->control.n.meta.now;
    struct instant        ends  = network_cluster(&s->control.n, x->cluster.id)->ends;
    if (ends.ms && instant_before(ends, until)) until = ends;
    int64_t elapsed_ms = instant_since(until, x->passed).ms;
    bool    liar       = m && m->lies & LIE_SERVED;
    if (x->charged.micros > bill(c, x, (uint64_t)elapsed_ms))
        broken(s, "charged-elapsed", "a node cost %ld in %ld ms", x->charged.micros, elapsed_ms);
    uint64_t ran_ms = t ? thing_ran_ms(s, t) : 0, seen_ms = t ? t->seen_ms : 0;
    if (!liar && x->charged.micros > bill(c, x, loosely(s, ran_ms)))
        broken(s, "charged-served", "a node cost %ld and ran for %lu ms", x->charged.micros, ran_ms);
    if (!(t && t->is_lied_about) && x->charged.micros > bill(c, x, loosely(s, seen_ms)))
        broken(s, "charged-seen", "a node cost %ld and was seen for %lu ms", x->charged.micros, seen_ms);
    if (x->fee.micros != (int64_t)((__int128)x->charged.micros * c->fee_basis_points / 10000))
        broken(s, "fee-share", "a node that cost %ld paid a fee of %ld", x->charged.micros, x->fee.micros);
}

/* It is hired: by nobody who pays less than its owner asks. */
static void check_hire(struct sim *s, const struct node *x)
{
    const struct known_cluster *c = known(&s->checks.clusters, x->cluster.id);
    const struct device        *d = network_device(&s->control.n, x->device.id);
    if (d->ask.micros > c->price.micros)
        broken(s, "ask-met", "a device asks %ld and is hired for %ld", d->ask.micros, c->price.micros);
}

static void check_keys(struct sim *s, const struct node *x)
{
    const struct cluster *c = network_cluster(&s->control.n, x->cluster.id);
    for (const struct node *y = NULL; x->has_key && (y = network_cluster_node(&s->control.n, c, y));)
        if (y != x && is_live(x->state) && is_live(y->state) &&
            memcmp(x->mesh_key, y->mesh_key, MESH_KEY_BYTES) == 0)
            broken(s, "mesh-keys", "two nodes of a cluster have one key");
}

static void take_node(struct sim *s, const struct node *x)
{
    struct known_node    *k         = known(&s->checks.nodes, x->id.id);
    struct known_cluster *c         = known(&s->checks.clusters, x->cluster.id);
    bool                  was_known = !id_is_none(k->cluster);
    if (was_known && k->state == NODE_CLOSED && (x->state != NODE_CLOSED || x->charged.micros != k->charged))
        broken(s, "closed-stays", "a closed node changes");
    if (was_known && x->charged.micros < k->charged) broken(s, "charged-grows", "a charge was taken back");
    if (x->charged.micros > k->charged) check_charge(s, c, x);
    check_keys(s, x);
    if (was_known) count_node(s, k, -1);
    *k = (struct known_node){ x->id.id, x->cluster.id, x->device.id,      x->role,
                              x->state, x->units,      x->charged.micros, x->fee.micros };
    count_node(s, k, 1);
}

static int64_t held_by(const struct known_cluster *c)
{
    return c->state < CLUSTER_ENDED ? c->escrow - c->charged - c->refunded : 0;
}

/* What was paid is what the quote said: the price of a unit for the whole time, rounded down, for each unit. */
static void check_price(struct sim *s, const struct cluster *c)
{
    int64_t unit = (int64_t)((__int128)c->price.micros * c->duration.ms / MS_PER_HOUR);
    if (c->escrow.micros != unit * c->quantity)
        broken(s, "escrow-covers", "%ld was paid for %u units at %ld", c->escrow.micros, c->quantity, unit);
}

static void take_cluster(struct sim *s, const struct cluster *x)
{
    struct known_cluster *k = known(&s->checks.clusters, x->id.id);
    if (k->state >= CLUSTER_ENDED && (x->state != k->state || x->charged.micros != k->charged))
        broken(s, "ended-stays", "an ended cluster changes");
    s->checks.escrow_live -= held_by(k);
    k->owner            = x->owner;
    k->state            = x->state;
    k->price            = x->price;
    k->size             = x->size;
    k->quantity         = x->quantity;
    k->fee_basis_points = x->fee_basis_points;
    k->escrow           = x->escrow.micros;
    k->charged          = x->charged.micros;
    k->refunded         = x->refunded.micros;
    k->was_ready        = x->ready.ms > 0;
    s->checks.escrow_live += held_by(k);
    check_price(s, x);
}

static void check_cluster(struct sim *s, struct id id)
{
    const struct known_cluster *c = known(&s->checks.clusters, id);
    if (c->heads > 1) broken(s, "cluster-whole", "a cluster has %u heads", c->heads);
    if (c->live > c->size || c->units > c->quantity)
        broken(s, "cluster-whole", "a cluster has %u nodes of %u, %u units of %u", c->live, c->size, c->units,
               c->quantity);
    if (c->charged != c->nodes_charged)
        broken(s, "charge-adds-up", "a cluster's charge is %ld, its nodes' %ld", c->charged, c->nodes_charged);
    if (c->charged + c->refunded > c->escrow)
        broken(s, "quote-covers", "%ld was charged and %ld refunded of %ld", c->charged, c->refunded,
               c->escrow);
    if (c->state >= CLUSTER_ENDED && c->charged + c->refunded != c->escrow)
        broken(s, "quote-covers", "%ld was charged and %ld refunded of %ld", c->charged, c->refunded,
               c->escrow);
    if (!c->was_ready && c->charged) broken(s, "ready-first", "a cluster was charged before it was ready");
}

/* ---- relays -------------------------------------------------------------------------------------------------------------- */

static void take_relay(struct sim *s, const struct relay *r, bool removed)
{
    check(r->pair.slot < SLOTS_MAX);
    struct known_slot *slot = &s->checks.slots[r->pair.slot];
    if (removed) {
        if (id_eq(slot->relay, r->id)) slot->relay = (struct id){ { 0 } };
        return;
    }
    if (!id_is_none(slot->relay) && !id_eq(slot->relay, r->id))
        broken(s, "relay-slots", "two pairs share slot %u", r->pair.slot);
    slot->relay = r->id;
}

/* ---- quotes -------------------------------------------------------------------------------------------------------------- */

static uint32_t units_below(struct sim *s, const struct recipe_facts *r, int64_t ask)
{
    uint32_t units = 0;
    for (const struct device *d = NULL; (d = table_next(&s->control.n.devices, d));) {
        bool fits = device_is_free(d) && d->cpus >= r->cpus_min && d->memory_bytes >= r->memory_min &&
                    d->ask.micros < ask;
        if (fits) units += r->unit == UNIT_GPU ? d->gpus_count : 1;
    }
    return units;
}

/* The lowest price at which so many are to be had. */
static void take_quote(struct sim *s, const struct quote *q)
{
    const struct recipe_facts *r = network_recipe(&s->control.n, str_from(q->recipe));
    if (units_below(s, r, q->price.micros) >= q->quantity ||
        units_below(s, r, q->price.micros + 1) < q->quantity)
        broken(s, "price-lowest", "%ld is not the lowest price for %u", q->price.micros, q->quantity);
}

/* ---- links --------------------------------------------------------------------------------------------------------------- */

/* One machine is linked as one device. */
static void take_link(struct sim *s, struct id machine)
{
    uint32_t linked = 0;
    for (const struct device *d = NULL; (d = table_next(&s->control.n.devices, d));)
        linked += d->session && id_eq(d->machine, machine);
    if (linked > 1) broken(s, "machine-once", "a machine is linked as %u devices", linked);
}

/* ---- a step --------------------------------------------------------------------------------------------------------------- */

static void take(struct sim *s, const struct change *c)
{
    if (c->type == &relay_type) take_relay(s, c->record, c->removed);
    if (c->removed) return;
    if (c->type == &ledger_account_type) take_account(s, c->record);
    if (c->type == &cluster_type) take_cluster(s, c->record);
    if (c->type == &node_type) take_node(s, c->record);
}

static void check_whole(struct sim *s)
{
    struct checks *c = &s->checks;
    if (c->sum != 0) broken(s, "books-balance", "the books sum to %ld", c->sum);
    if (c->escrow_books != c->escrow_live)
        broken(s, "escrow-live", "escrow holds %ld, live clusters %ld", c->escrow_books, c->escrow_live);
}

void checks_step(struct sim *s, const struct input *in)
{
    const struct effects *out = &s->control.out;
    if (in->kind == INPUT_LINK_UP && in->link.purpose == TOKEN_DEVICE) take_link(s, in->link.machine);
    if (!out->change_count) return;
    for (uint32_t i = 0; i < out->change_count; i++)
        if (out->changes[i].type == &transfer_type) take_transfer(s, out->changes[i].record);
    for (uint32_t i = 0; i < out->change_count; i++) take(s, &out->changes[i]);
    for (uint32_t i = 0; i < out->change_count; i++) {
        const struct change *c = &out->changes[i];
        if (c->type == &cluster_type) check_cluster(s, ((const struct cluster *)c->record)->id.id);
        if (c->type == &node_type) check_cluster(s, ((const struct node *)c->record)->cluster.id);
        if (c->type == &node_type && in->kind != INPUT_START) check_hire(s, c->record);
        if (c->type == &quote_type && in->kind == INPUT_QUOTE) take_quote(s, c->record);
    }
    check_whole(s);
    for (uint32_t i = 0; i < out->change_count; i++)
        if (out->changes[i].type == &ledger_account_type) explain(s, out->changes[i].record);
}

void checks_begin(struct sim *s)
{
    struct checks        *c = &s->checks;
    const struct network *n = &s->control.n;
    know_nothing(c);
    c->transfers = n->meta.transfers;
    for (const struct ledger_account *a = NULL; (a = table_next(&n->ledger.accounts, a));) {
        take_account(s, a);
        struct book *b = known(&c->books, a->id);
        b->moved       = 0;
    }
    for (const struct cluster *x = NULL; (x = table_next(&n->clusters, x));) take_cluster(s, x);
    for (const struct node *x = NULL; (x = table_next(&n->nodes, x));) take_node(s, x);
    for (const struct relay *r = NULL; (r = table_next(&n->relays, r));) take_relay(s, r, false);
    check_whole(s);
}
