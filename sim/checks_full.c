/* checks_full.c: the promises over all there is: the sums anew, memory against the store, what was told against both. */
#include "sim_int.h"

#include <string.h>

/* ---- memory against the store ------------------------------------------------------------------------------------------ */

/* What memory may be ahead in, by design: what counts up is stored with the next change of its record, and what a link says
 * of its device's state is found out anew. */
static bool may_be_ahead(const struct record_type *type, const char *field)
{
    static const char *const of_nodes[] = { "served_ms", "seen_ms", "seen_by", "seen_last", "seen_run" };
    if (type == &meta_type) return strcmp(field, "now_ms") == 0 || strcmp(field, "sequence") == 0;
    if (type == &device_type) return strcmp(field, "state") == 0;
    if (type != &node_type) return false;
    for (size_t i = 0; i < countof(of_nodes); i++)
        if (strcmp(field, of_nodes[i]) == 0) return true;
    return false;
}

static bool state_is_found_out(enum device_state state)
{
    return state < DEVICE_HELD;
}

static void compare_fields(struct sim *s, const struct record_type *type, const void *memory,
                           const void *stored)
{
    for (uint32_t i = 0; i < type->field_count; i++) {
        const struct field *f   = &type->fields[i];
        struct record_type  one = { type->name, type->plural, type->size, 1, f, type->doc };
        if (!(f->flags & STORED) || record_stored_eq(&one, memory, stored)) continue;
        if (type == &device_type && strcmp(f->name, "state") == 0 &&
            !(state_is_found_out(((const struct device *)memory)->state) &&
              state_is_found_out(((const struct device *)stored)->state)))
            broken(s, "store-replays", "a device's state is not what the store holds");
        if (!may_be_ahead(type, f->name))
            broken(s, "store-replays", "%s.%s is not what the store holds", type->name, f->name);
    }
}

/* An account of the books is there as soon as it is looked at, and stored once it has held something. */
static bool need_not_be_stored(const struct record_type *type, const void *record)
{
    return type == &ledger_account_type && ((const struct ledger_account *)record)->balance.micros == 0;
}

/* Whether the store has it. */
static bool compare(struct sim *s, const struct record_type *type, const void *record)
{
    static union {
        struct device  device;
        struct cluster cluster;
        struct node    node;
        struct gateway gateway;
    } stored;
    uint8_t                 bytes[STORE_ROW_BYTES_MAX];
    const struct store_row *row = store_newest(&s->store, type, record);
    if (!row && need_not_be_stored(type, record)) return false;
    if (!row) broken(s, "store-replays", "the store lacks a %s", type->name);
    uint32_t       len = store_pack(type, record, bytes), has = row->is_dirty ? row->next_len : row->len;
    const uint8_t *kept = row->is_dirty ? row->next : row->bytes;
    if (len == has && memcmp(bytes, kept, len) == 0) return true;
    store_unpack(type, kept, &stored);
    compare_fields(s, type, record, &stored);
    return true;
}

static void compare_table(struct sim *s, const struct record_type *type, const struct table *t)
{
    uint32_t rows = 0, stored = 0;
    for (const void *row = NULL; (row = table_next(t, row));) {
        struct id id;
        memcpy(&id, (const char *)row + t->id_offset, sizeof id);
        if (table_find(t, id) != row) continue; /* removed in the last step */
        rows += compare(s, type, row);
    }
    for (const struct store_row *row = NULL; (row = store_next(&s->store, row, type, true));) stored++;
    if (rows != stored) broken(s, "store-replays", "%u of %s, the store has %u", rows, type->plural, stored);
}

static void compare_all(struct sim *s)
{
    const struct network *n = &s->control.n;
    if (n->meta.epoch) compare(s, &meta_type, &n->meta);
    compare_table(s, &ledger_account_type, &n->ledger.accounts);
    compare_table(s, &account_type, &n->accounts);
    compare_table(s, &api_key_type, &n->keys);
    compare_table(s, &join_grant_type, &n->grants);
    compare_table(s, &device_type, &n->devices);
    compare_table(s, &gateway_type, &n->gateways);
    compare_table(s, &quote_type, &n->quotes);
    compare_table(s, &cluster_type, &n->clusters);
    compare_table(s, &node_type, &n->nodes);
    compare_table(s, &relay_type, &n->relays);
}

/* ---- what was told --------------------------------------------------------------------------------------------------------- */

static void check_told(struct sim *s)
{
    for (const struct told_cluster *t = NULL; (t = table_next(&s->checks.told_clusters, t));) {
        const struct cluster *c = network_cluster(&s->control.n, t->id);
        if (!c) broken(s, "reply-durable", "a cluster that was told of is gone");
        if (c->escrow.micros < t->escrow || c->duration.ms < t->duration_ms)
            broken(s, "reply-durable", "an extension that was told of is gone");
        if (t->terminated && c->state < CLUSTER_ENDING)
            broken(s, "reply-durable", "a cluster whose end was told of goes on");
    }
    for (const struct told_account *t = NULL; (t = table_next(&s->checks.told_accounts, t));) {
        if (!network_account(&s->control.n, (struct account_id){ t->id }))
            broken(s, "reply-durable", "an account that was told of is gone");
    }
}

static bool is_stored(const struct sim *s, const struct record_type *type, struct id id)
{
    return store_find(&s->store, type, id) != NULL;
}

static void *told(struct table *t, struct id id)
{
    void *row = table_find(t, id);
    if (!row) row = table_add(t, id);
    check(row);
    return row;
}

static void told_cluster(struct sim *s, const struct input *asked, struct id id)
{
    const struct store_row *row = store_find(&s->store, &cluster_type, id);
    struct told_cluster    *t   = told(&s->checks.told_clusters, id);
    struct cluster          c;
    if (!row) broken(s, "reply-durable", "the store lacks the cluster that is told of");
    store_unpack(&cluster_type, row->bytes, &c);
    if (asked->kind == INPUT_EXTEND && c.duration.ms < t->duration_ms + asked->duration.ms)
        broken(s, "reply-durable", "the store lacks the extension that is told of");
    if (asked->kind == INPUT_TERMINATE && c.state < CLUSTER_ENDING)
        broken(s, "reply-durable", "the store lacks the end that is told of");
    t->escrow      = c.escrow.micros;
    t->duration_ms = c.duration.ms;
    t->terminated |= asked->kind == INPUT_TERMINATE;
}

/* What a reply says is there. */
static const struct record_type *const told_types[INPUT_KIND_COUNT] = {
    [INPUT_SIGN_IN] = &account_type, [INPUT_GRANT] = &ledger_account_type, [INPUT_TOKEN] = &join_grant_type,
    [INPUT_QUOTE] = &quote_type,     [INPUT_CREATE] = &cluster_type,       [INPUT_EXTEND] = &cluster_type,
    [INPUT_RETIRE] = &device_type,   [INPUT_RELEASE] = &device_type,       [INPUT_TERMINATE] = &cluster_type,
};

void checks_reply(struct sim *s, const struct input *asked, const struct effect *e)
{
    if (e->error.code) return;
    const struct record_type *type = told_types[asked->kind];
    if (type == &cluster_type) return told_cluster(s, asked, e->subject);
    if (asked->kind == INPUT_SIGN_IN) told(&s->checks.told_accounts, e->subject);
    bool stored =
        !type ||
        is_stored(s, type, asked->kind == INPUT_GRANT ? ledger_id(LEDGER_BALANCE, e->subject) : e->subject);
    if (asked->kind == INPUT_SIGN_IN)
        stored &= is_stored(s, &api_key_type, network_tag(asked->sign_in.key_hash));
    if (!stored) broken(s, "reply-durable", "the store lacks what is told of");
}

/* ---- what is shown --------------------------------------------------------------------------------------------------------- */

static void sound(struct sim *s, const struct record_type *type, const void *record)
{
    const struct field *bad;
    if (record_check(type, record, &bad).code)
        broken(s, "shown-sound", "%s.%s is out of its limits", type->name, bad->name);
}

/* Live fields too, and what is sent: what is out of its limits would end the program that shows it. */
static void check_shown(struct sim *s)
{
    static struct desired d;
    const struct network *n = &s->control.n;
    for (const struct cluster *c = NULL; (c = table_next(&n->clusters, c));) {
        sound(s, &cluster_type, c);
        for (const struct node *x = NULL; (x = network_cluster_node(n, c, x));) {
            struct mesh_peer peer;
            sound(s, &node_type, x);
            for (const struct node *y = NULL; (y = network_cluster_node(n, c, y));)
                if (network_peer(n, x, y, &peer)) sound(s, &mesh_peer_type, &peer);
        }
    }
    for (const struct device *e = NULL; (e = table_next(&n->devices, e));) {
        network_desired(n, e, &d);
        d.version += d.version == 0; /* it was never linked: nothing is sent */
        sound(s, &device_type, e);
        sound(s, &desired_type, &d);
    }
}

/* ---- all ---------------------------------------------------------------------------------------------------------------------- */

void checks_full(struct sim *s)
{
    struct err e = network_check(&s->control.n);
    if (e.code) broken(s, "full-sums", "%s", e.why);
    compare_all(s);
    check_shown(s);
}

void checks_loaded(struct sim *s)
{
    struct err e = network_check(&s->control.n);
    if (e.code) broken(s, "store-replays", "%s", e.why);
    check_told(s);
}
