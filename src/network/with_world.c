/* with_world.c: plays the world around a network in tests: its store, its workers, its gateway. */
#include "with_world_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 8192
#define PROBED_MAX 512
#define ASK 100000

struct row {
    const struct record_type *type;
    uint64_t                  number; /* of meta and transfers; 0: named by id */
    struct id                 id;
    void                     *content; /* null: removed */
};

struct probed {
    struct node_id node;
    uint64_t       before; /* said by earlier runs of the gateway */
    uint64_t       most;   /* and by this one */
};

static const struct network_limits limits = {
    .accounts_max = 16,
    .devices_max  = 16,
    .clusters_max = 64,
    .nodes_max    = 512,
    .quotes_max   = ACCOUNT_QUOTES_MAX + 64,
    .keys_max     = ACCOUNT_KEYS_MAX + 64,
    .relays_max   = 64,
};

static struct network_config config(void)
{
    struct network_config c = { .fee_basis_points = 25, .recipe_count = 3 };
    c.private_ids[0]        = 1;
    c.secrets[0]            = 2;
    c.recipes[0]            = (struct recipe_facts){ .name          = "ray",
                                                     .image         = WORLD_IMAGE,
                                                     .unit          = UNIT_MACHINE,
                                                     .nodes_max     = 100,
                                                     .cpus_min      = 1,
                                                     .memory_min    = 1,
                                                     .ready_timeout = { 60000 },
                                                     .silent        = { 500 },
                                                     .missed        = { 4000 } };
    c.recipes[1]            = c.recipes[0];
    c.recipes[1].unit       = UNIT_GPU;
    memcpy(c.recipes[1].name, "gpu", sizeof "gpu");
    c.recipes[2]             = c.recipes[0];
    c.recipes[2].keeps_state = true;
    memcpy(c.recipes[2].name, "kept", sizeof "kept");
    memcpy(c.recipes[2].state_lost, "what ran on the head", sizeof "what ran on the head");
    return c;
}

static void init(struct world *w, struct network *n, void *memory)
{
    struct network_config c = config();
    memset(memory, 0, w->bytes);
    network_init(n, &limits, &c, memory, w->bytes);
}

static void print_check(const char *condition, const char *file, int line)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, condition);
}

static void check_ok(struct err e)
{
    if (e.code) fprintf(stderr, "%s: %s\n", err_name(e.code), e.why);
    check(e.code == ERR_NONE);
}

/* ---- the store ---------------------------------------------------------------------------------------- */

/* A store keeps what its table says and nothing else. */
static void copy_stored(const struct field *f, const void *from, void *to)
{
    if (!(f->flags & STORED)) return;
    memcpy((char *)to + f->offset, (const char *)from + f->offset, f->size);
    if (f->kind == FIELD_KIND_LIST)
        memcpy((char *)to + f->count_offset, (const char *)from + f->count_offset, sizeof(uint32_t));
}

static void keep(struct world *w, const struct change *c)
{
    uint64_t  number = 0;
    struct id id     = { { 0 } };
    if (c->type->fields[0].kind == FIELD_KIND_ID)
        id = field_id(&c->type->fields[0], c->record);
    else
        number = (uint64_t)field_i64(&c->type->fields[0], c->record);

    struct row *row = NULL;
    for (uint32_t i = 0; i < w->row_count && !row; i++)
        if (w->rows[i].type == c->type && w->rows[i].number == number && id_eq(w->rows[i].id, id))
            row = &w->rows[i];
    if (!row) {
        check(w->row_count < ROWS_MAX);
        row  = &w->rows[w->row_count++];
        *row = (struct row){ c->type, number, id, NULL };
    }
    free(row->content);
    row->content = NULL;
    if (c->removed) return;
    row->content = calloc(1, c->type->size);
    check(row->content);
    for (uint32_t i = 0; i < c->type->field_count; i++)
        copy_stored(&c->type->fields[i], c->record, row->content);
}

static void load(const struct world *w, struct network *n)
{
    for (size_t t = 0; t < network_type_count; t++)
        for (uint32_t i = 0; i < w->row_count; i++)
            if (w->rows[i].type == network_types[t] && w->rows[i].content)
                check(network_load(n, network_types[t], w->rows[i].content).code == ERR_NONE);
}

/* The transfers that the store holds explain every balance that it holds. */
static void check_transfers(const struct world *w, const struct network *n)
{
    for (const struct ledger_account *a = NULL; (a = table_next(&n->ledger.accounts, a));) {
        int64_t sum = 0;
        for (uint32_t i = 0; i < w->row_count; i++) {
            const struct transfer *t = w->rows[i].content;
            if (w->rows[i].type != &transfer_type) continue;
            if (id_eq(t->to, a->id)) sum += t->amount.micros;
            if (id_eq(t->from, a->id)) sum -= t->amount.micros;
        }
        check(sum == a->balance.micros);
    }
}

/* What an account holds open is counted as it goes; the store, counted anew, says the same. */
static void check_open(const struct world *w, const struct network *n)
{
    for (const struct account *a = NULL; (a = table_next(&w->n.accounts, a));)
        check(memcmp(a->open, network_account(n, a->id)->open, sizeof a->open) == 0);
}

static void check_store(struct world *w)
{
    struct network *n      = malloc(sizeof *n);
    void           *memory = malloc(w->bytes);
    check(n && memory);
    init(w, n, memory);
    load(w, n);
    check_ok(network_check(n));
    check_transfers(w, n);
    check_open(w, n);
    free(memory);
    free(n);
}

/* ---- the gateway's word --------------------------------------------------------------------------------- */

static struct probed *probed_find(const struct world *w, struct node_id node)
{
    for (uint32_t i = 0; i < w->probed_count; i++)
        if (id_eq(w->probed[i].node.id, node.id)) return &w->probed[i];
    return NULL;
}

static void probed_say(struct world *w, struct node_id node, uint64_t seen_ms)
{
    struct probed *p = probed_find(w, node);
    if (!p) {
        check(w->probed_count < PROBED_MAX);
        p  = &w->probed[w->probed_count++];
        *p = (struct probed){ .node = node };
    }
    if (seen_ms > p->most) p->most = seen_ms;
}

/* Whatever its supplier's worker and witness say: a node that is alone was seen only by the gateway, and is charged for
 * no more than that. */
static void check_alone(const struct world *w)
{
    for (const struct node *x = NULL; (x = table_next(&w->n.nodes, x));) {
        const struct cluster *c = network_cluster(&w->n, x->cluster.id);
        const struct probed  *p = probed_find(w, x->id);
        if (c->size != 1) continue;
        uint64_t said = p ? p->before + p->most : 0;
        check(x->seen_ms <= said);
        uint64_t least = said < x->served_ms ? said : x->served_ms;
        check(x->charged.micros <= bill_usage(c->price, x->units, (struct span){ (int64_t)least }).micros);
    }
}

/* ---- steps -------------------------------------------------------------------------------------------- */

void world_step(struct world *w, struct input *in)
{
    effects_clear(&w->out);
    network_step(&w->n, w->now, in, &w->out);
    for (uint32_t i = 0; i < w->out.change_count; i++) keep(w, &w->out.changes[i]);
    check_ok(network_check(&w->n));
    check_alone(w);
    if (w->out.change_count) check_store(w);
}

void world_pass(struct world *w, int64_t ms)
{
    for (int64_t end = w->now.ms + ms; w->now.ms < end;) {
        int64_t step = end - w->now.ms < NETWORK_TICK_MS ? end - w->now.ms
                       : ms > 30000                      ? ms / 100
                                                         : NETWORK_TICK_MS;
        w->now.ms += step;
        world_step(w, &(struct input){ .kind = INPUT_TICK });
    }
}

const struct effect *world_effect(const struct world *w, enum effect_kind kind)
{
    for (uint32_t i = 0; i < w->out.count; i++)
        if (w->out.effects[i].kind == kind) return &w->out.effects[i];
    return NULL;
}

struct err world_ask(struct world *w, struct input *in, struct id *subject, uint64_t *count)
{
    in->request = ++w->requests;
    world_step(w, in);
    const struct effect *e = world_effect(w, EFFECT_REPLY);
    check(e && e->request == in->request);
    if (subject) *subject = e->subject;
    if (count) *count = e->count;
    return e->error;
}

void world_open(struct world *w)
{
    check_print_by(print_check);
    memset(w, 0, sizeof *w);
    w->now    = (struct instant){ 1700000000000 };
    w->recipe = "ray";
    w->bytes  = network_bytes(&limits);
    w->memory = malloc(w->bytes);
    w->room   = malloc(effects_bytes());
    w->rows   = calloc(ROWS_MAX, sizeof *w->rows);
    w->probed = calloc(PROBED_MAX, sizeof *w->probed);
    check(w->memory && w->room && w->rows && w->probed);
    effects_init(&w->out, w->room, effects_bytes());
    init(w, &w->n, w->memory);
    world_step(w, &(struct input){ .kind = INPUT_START, .start = { { 7 } } });
    w->now.ms += 20000; /* long after the start: nobody is waited for any more */
    w->operator        = world_sign_in(w, 1, true);
    w->user            = world_sign_in(w, 2, false);
    w->supplier        = world_sign_in(w, 3, false);
    struct input grant = { .kind = INPUT_GRANT, .account = w->user, .grant = { 5000000 } };
    check(world_ask(w, &grant, NULL, NULL).code == ERR_NONE);
}

void world_close(struct world *w)
{
    for (uint32_t i = 0; i < w->row_count; i++) free(w->rows[i].content);
    free(w->probed);
    free(w->rows);
    free(w->room);
    free(w->memory);
}

void world_restart(struct world *w)
{
    init(w, &w->n, w->memory);
    load(w, &w->n);
    memset(w->device_session, 0, sizeof w->device_session);
    world_step(w, &(struct input){ .kind = INPUT_START, .start = { { 8 } } });
}

struct account_id world_sign_in(struct world *w, uint8_t seed, bool operator)
{
    struct id    id;
    struct input in          = { .kind    = INPUT_SIGN_IN,
                                 .sign_in = { .operator = operator, .scopes = SCOPE_ALL, .valid = { MS_PER_DAY } } };
    in.sign_in.public_key[0] = seed;
    in.sign_in.key_hash[0]   = seed;
    check(world_ask(w, &in, &id, NULL).code == ERR_NONE);
    return (struct account_id){ id };
}

/* ---- devices ------------------------------------------------------------------------------------------ */

static void give_token(struct world *w, enum token_for purpose, uint8_t seed)
{
    struct input in  = { .kind    = INPUT_TOKEN,
                         .account = w->supplier,
                         .token   = { .purpose = purpose, .ask = { ASK }, .valid = { MS_PER_DAY } } };
    in.token.hash[0] = seed;
    in.token.hash[1] = 0xd;
    check(world_ask(w, &in, NULL, NULL).code == ERR_NONE);
}

struct err world_link(struct world *w, int device, uint8_t instance, bool with_token)
{
    struct input in       = { .kind    = INPUT_LINK_UP,
                              .session = ++w->sessions,
                              .link    = { .purpose = TOKEN_DEVICE, .has_token = with_token } };
    in.link.public_key[0] = (uint8_t)(100 + device);
    in.link.instance[0]   = instance;
    in.link.token_hash[0] = (uint8_t)(1 + device);
    in.link.token_hash[1] = 0xd;
    memcpy(in.link.name, "device", 7);
    world_step(w, &in);
    const struct effect *e = world_effect(w, EFFECT_WELCOME), *refused = world_effect(w, EFFECT_REFUSE);
    if (!e) return refused->error;
    w->devices[device]        = (struct device_id){ e->subject };
    w->device_session[device] = in.session;
    return OK;
}

void world_link_goes(struct world *w, int device)
{
    struct input in = { .kind    = INPUT_LINK_DOWN,
                        .session = w->device_session[device],
                        .subject = w->devices[device].id };
    world_step(w, &in);
    w->device_session[device] = 0;
}

void world_observe(struct world *w, int device, struct observed *o)
{
    struct input in = { .kind     = INPUT_OBSERVED,
                        .session  = w->device_session[device],
                        .subject  = w->devices[device].id,
                        .observed = o };
    world_step(w, &in);
}

static struct observed report(const struct world *w, int device)
{
    const struct device *d = network_device(&w->n, w->devices[device].id);
    struct observed      o = { .epoch = w->n.meta.epoch, .version = d->version, .images_count = 1 };
    memcpy(o.images[0].image, WORLD_IMAGE, sizeof WORLD_IMAGE);
    return o;
}

void world_report(struct world *w, int device)
{
    struct observed o = report(w, device);
    world_observe(w, device, &o);
}

void world_gateway_back(struct world *w)
{
    struct input in       = { .kind    = INPUT_LINK_UP,
                              .session = ++w->sessions,
                              .link    = { .purpose = TOKEN_GATEWAY, .has_token = true } };
    in.link.public_key[0] = 99;
    in.link.instance[0]   = w->gateway_run;
    in.link.token_hash[0] = 99;
    in.link.token_hash[1] = 0xd;
    world_step(w, &in);
    w->gateway           = world_effect(w, EFFECT_WELCOME)->subject;
    w->gateway_session   = in.session;
    struct input up      = { .kind = INPUT_GW_UP, .session = in.session, .subject = w->gateway };
    up.gw_up.relay_slots = 16;
    memcpy(up.gw_up.relay_host, "203.0.113.2", 12);
    up.gw_up.relay_port_base = 30000;
    world_step(w, &up);
}

void world_come(struct world *w, int count)
{
    give_token(w, TOKEN_GATEWAY, 99);
    world_gateway_back(w);
    for (int i = 0; i < count; i++) {
        w->now.ms++;
        give_token(w, TOKEN_DEVICE, (uint8_t)(1 + i));
        check(world_link(w, i, 1, true).code == ERR_NONE);
        struct observed o = report(w, i);
        o.specs_count     = 1;
        o.specs[0]        = (struct device_specs){ .cpus = 4, .memory_bytes = (uint64_t)1 << 33 };
        world_observe(w, i, &o);
        check(network_device(&w->n, w->devices[i].id)->state == DEVICE_READY);
    }
}

int world_device_of(const struct world *w, const struct node *x)
{
    for (int i = 0; i < WORLD_DEVICES; i++)
        if (id_eq(w->devices[i].id, x->device.id)) return i;
    return -1;
}

/* ---- clusters ----------------------------------------------------------------------------------------- */

struct err world_quote(struct world *w, uint32_t quantity, int64_t duration_ms, struct id *quote,
                       uint64_t *count)
{
    struct input in = { .kind    = INPUT_QUOTE,
                        .account = w->user,
                        .quote   = { .quantity = quantity, .duration = { duration_ms } } };
    check(str_copy(str_from(w->recipe), in.quote.recipe, sizeof in.quote.recipe).code == ERR_NONE);
    return world_ask(w, &in, quote, count);
}

struct err world_create(struct world *w, struct id quote, struct id *cluster, uint64_t *count)
{
    struct input in = { .kind = INPUT_CREATE, .account = w->user, .subject = quote };
    return world_ask(w, &in, cluster, count);
}

static void see(struct world *w, const struct node *x, int device)
{
    struct input in = { .kind = INPUT_GW_SEEN, .session = w->gateway_session, .subject = w->gateway };
    in.gw_seen.node = x->id;
    char room[2][MESH_ENDPOINT_TEXT];
    for (int port = 0; port < 2; port++) {
        struct text t = TEXT_IN(room[port]);
        text_add(&t, STR("203.0.113."));
        text_add_u64(&t, 11 + (uint64_t)device);
        text_add(&t, device == 0 && port == 1 ? STR(":41000") : STR(":51820"));
        memcpy(port ? in.gw_seen.seen_b : in.gw_seen.seen_a, text_z(&t), t.len + 1);
    }
    world_step(w, &in);
}

void world_work(struct world *w, struct id cluster, enum node_phase phase, uint64_t served_ms)
{
    for (const struct node *x = NULL; (x = table_next(&w->n.nodes, x));) {
        int device = world_device_of(w, x);
        if (!id_eq(x->cluster.id, cluster) || x->state == NODE_CLOSED || !w->device_session[device]) continue;
        struct observed       o = report(w, device);
        struct observed_node *r = &o.nodes[o.nodes_count++];
        *r                      = (struct observed_node){
                                 .node = x->id, .incarnation = x->incarnation, .phase = phase, .served_ms = served_ms
        };
        r->copied      = x->standby && w->copied;
        r->mesh_key[0] = 1;
        memcpy(r->mesh_key + 1, x->id.id.bytes, ID_BYTES);
        if (phase == PHASE_ENDED) {
            memcpy(r->why, "exit 1", 7);
            memcpy(r->log_end, "no such file\n", 14);
        }
        bool met = x->has_key;
        world_observe(w, device, &o);
        if (!met && x->has_key) see(w, x, device);
    }
}

void world_witness(struct world *w, struct id cluster, uint32_t missing, uint64_t seen_ms)
{
    for (const struct node *by = NULL; (by = table_next(&w->n.nodes, by));) {
        int device = world_device_of(w, by);
        if (!id_eq(by->cluster.id, cluster) || !by->witness || by->state == NODE_CLOSED ||
            !w->device_session[device])
            continue;
        struct witnessed seen = { .node = by->id, .incarnation = by->incarnation };
        for (const struct node *x = NULL; (x = table_next(&w->n.nodes, x));)
            if (id_eq(x->cluster.id, cluster) && x->state != NODE_CLOSED)
                seen.entries[seen.entries_count++] =
                    (struct witness_entry){ x->index, seen_ms, x->index != missing };
        struct input in = { .kind      = INPUT_WITNESSED,
                            .session   = w->device_session[device],
                            .subject   = w->devices[device].id,
                            .witnessed = &seen };
        world_step(w, &in);
    }
}

void world_probe(struct world *w, struct id cluster, uint64_t seen_ms)
{
    for (const struct node *x = NULL; (x = table_next(&w->n.nodes, x));) {
        if (!id_eq(x->cluster.id, cluster)) continue;
        struct input in = { .kind      = INPUT_GW_PROBED,
                            .session   = w->gateway_session,
                            .subject   = w->gateway,
                            .gw_probed = { .node = x->id, .seen_ms = seen_ms } };
        if (seen_ms <= (uint64_t)SPAN_MS_MAX) probed_say(w, x->id, seen_ms);
        world_step(w, &in);
    }
}

void world_gateway_restart(struct world *w)
{
    w->gateway_run++;
    for (uint32_t i = 0; i < w->probed_count; i++) {
        w->probed[i].before += w->probed[i].most;
        w->probed[i].most = 0;
    }
    world_gateway_back(w);
}

struct id world_ready(struct world *w, uint32_t size)
{
    struct id quote, cluster;
    check(world_quote(w, size, MS_PER_HOUR, &quote, NULL).code == ERR_NONE);
    check(world_create(w, quote, &cluster, NULL).code == ERR_NONE);
    w->now.ms += 10;
    world_work(w, cluster, PHASE_IMAGE, 0);
    world_work(w, cluster, PHASE_MESH, 0);
    world_work(w, cluster, PHASE_RUNNING, 0);
    world_witness(w, cluster, 0, 0);
    check(network_cluster(&w->n, cluster)->state == CLUSTER_READY);
    return cluster;
}
