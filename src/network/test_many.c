/* Many at once: what one step brings stays within its limits when clusters are large, and when time brings the same to
 * all of them. No store stands beside this network; network_check does. */
#include "network.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DEVICES_MAX 16000
#define IMAGE "203.0.113.3:5000/ray@sha256:0000000000000000000000000000000000000000000000000000000000000001"

static struct network    n;
static struct effects    out;
static void             *memory, *room;
static struct instant    now;
static struct account_id user;
static struct id         gateway;
static struct id         devices[DEVICES_MAX]; /* their sessions are 1 + place */

static const struct network_limits limits = {
    .accounts_max = 8,
    .devices_max  = DEVICES_MAX,
    .clusters_max = 16,
    .nodes_max    = 2 * DEVICES_MAX,
    .quotes_max   = 1024,
    .keys_max     = DEVICES_MAX + 8,
    .relays_max   = 30000,
};

static void print_check(const char *condition, const char *file, int line)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, condition);
}

static const struct effect *step(struct input in, enum effect_kind kind)
{
    effects_clear(&out);
    network_step(&n, now, &in, &out);
    for (uint32_t i = 0; i < out.count; i++)
        if (out.effects[i].kind == kind) return &out.effects[i];
    return NULL;
}

static struct id ask(struct input in)
{
    in.request             = 1;
    const struct effect *e = step(in, EFFECT_REPLY);
    assert_non_null(e);
    assert_int_equal(e->error.code, ERR_NONE);
    return e->subject;
}

static uint32_t told(enum effect_kind kind)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < out.count; i++) count += out.effects[i].kind == kind;
    return count;
}

static struct id join(enum token_for purpose, uint64_t session)
{
    struct input token = { .kind    = INPUT_TOKEN,
                           .account = user,
                           .token   = { .purpose = purpose, .valid = { MS_PER_DAY } } };
    struct input link  = { .kind    = INPUT_LINK_UP,
                           .session = session,
                           .link    = { .purpose = purpose, .has_token = true } };
    memcpy(token.token.hash, &session, sizeof session);
    memcpy(link.link.token_hash, &session, sizeof session);
    memcpy(link.link.public_key, &session, sizeof session);
    token.token.ask = (struct hourly){ 1000 };
    ask(token);
    const struct effect *e = step(link, EFFECT_WELCOME);
    assert_non_null(e);
    return e->subject;
}

static void gateway_is_up(const char *tunnel)
{
    struct input in          = { .kind = INPUT_GW_UP, .session = UINT32_MAX, .subject = gateway };
    in.gw_up.relay_port_base = 1024;
    in.gw_up.relay_slots     = 30000;
    memcpy(in.gw_up.relay_host, "203.0.113.2", 12);
    memcpy(in.gw_up.tunnel, tunnel, strlen(tunnel));
    step(in, EFFECT_GATEWAY_ALL);
}

static void open_network(uint32_t count)
{
    struct network_config config = { .recipe_count = 1 };
    config.recipes[0]            = (struct recipe_facts){ .name          = "ray",
                                                          .image         = IMAGE,
                                                          .unit          = UNIT_MACHINE,
                                                          .nodes_max     = NETWORK_NODES_MAX,
                                                          .ready_timeout = { MS_PER_HOUR },
                                                          .silent        = { 500 },
                                                          .missed        = { 4000 } };
    size_t bytes                 = network_bytes(&limits);
    memory                       = calloc(1, bytes);
    room                         = malloc(effects_bytes());
    assert_true(memory && room);
    check_print_by(print_check);
    network_init(&n, &limits, &config, memory, bytes);
    effects_init(&out, room, effects_bytes());
    now = (struct instant){ 1700000000000 };
    step((struct input){ .kind = INPUT_START }, EFFECT_REPLY);
    now.ms += 20000;
    user = (struct account_id){ ask(
        (struct input){ .kind = INPUT_SIGN_IN, .sign_in = { .scopes = SCOPE_ALL, .valid = { MS_PER_DAY } } }) };
    ask((struct input){ .kind = INPUT_GRANT, .account = user, .grant = { 1000000000 } });
    gateway = join(TOKEN_GATEWAY, UINT32_MAX);
    gateway_is_up("a:443");

    static struct observed o;
    o = (struct observed){ .images_count = 1, .specs_count = 1, .specs = { { .cpus = 1, .memory_bytes = 1 } } };
    memcpy(o.images[0].image, IMAGE, sizeof IMAGE);
    for (uint32_t i = 0; i < count; i++) {
        devices[i] = join(TOKEN_DEVICE, i + 1);
        step((struct input){ .kind = INPUT_OBSERVED, .session = i + 1, .subject = devices[i], .observed = &o },
             EFFECT_REPLY);
    }
}

static int close_network(void **state)
{
    (void)state;
    free(memory);
    free(room);
    return 0;
}

static struct id hire(uint32_t quantity)
{
    struct id quote =
        ask((struct input){ .kind    = INPUT_QUOTE,
                            .account = user,
                            .quote   = { .recipe = "ray", .quantity = quantity, .duration = { MS_PER_DAY } } });
    return ask((struct input){ .kind = INPUT_CREATE, .account = user, .subject = quote });
}

static uint64_t session_of(const struct node *x)
{
    return network_device(&n, x->device.id)->session;
}

static void works(const struct node *x, enum node_phase phase, bool has_key, uint64_t served_ms)
{
    static struct observed o;
    o = (struct observed){ .epoch = n.meta.epoch, .nodes_count = 1, .images_count = 1 };
    o.nodes[0] =
        (struct observed_node){ .node = x->id, .incarnation = 1, .phase = phase, .served_ms = served_ms };
    memcpy(o.images[0].image, IMAGE, sizeof IMAGE);
    if (has_key) memcpy(o.nodes[0].mesh_key, x->id.id.bytes, ID_BYTES);
    step(
        (struct input){
            .kind = INPUT_OBSERVED, .session = session_of(x), .subject = x->device.id, .observed = &o },
        EFFECT_REPLY);
}

/* All were seen for so long, as the head says; the first worker says it of the head. */
static void witness(const struct cluster *c, uint64_t seen_ms)
{
    static struct witnessed w;
    for (const struct node *by = NULL; (by = network_cluster_node(&n, c, by));) {
        if (!by->witness) continue;
        for (uint32_t first = 1; first <= c->size; first += WITNESS_ENTRIES) {
            w = (struct witnessed){ .node = by->id, .incarnation = 1 };
            for (uint32_t i = first; i <= c->size && w.entries_count < WITNESS_ENTRIES; i++)
                w.entries[w.entries_count++] = (struct witness_entry){ i, seen_ms, true };
            step((struct input){ .kind      = INPUT_WITNESSED,
                                 .session   = session_of(by),
                                 .subject   = by->device.id,
                                 .witnessed = &w },
                 EFFECT_REPLY);
        }
    }
}

/* Seven hundred nodes are 244,650 pairs; told of each, the end of their cluster would not fit. Those of the first eighty sit
 * behind one router, so that more pairs are relayed than are removed in most steps. */
static void a_large_mesh_ends_in_one_step(void **state)
{
    (void)state;
    enum { NODES = 700 };
    open_network(NODES);
    struct id             cluster = hire(NODES);
    const struct cluster *c       = network_cluster(&n, cluster);
    uint32_t              met     = 0;
    for (const struct node *x = NULL; (x = network_cluster_node(&n, c, x)); met++) {
        works(x, PHASE_MESH, true, 0);
        struct input seen = {
            .kind = INPUT_GW_SEEN, .session = UINT32_MAX, .subject = gateway, .gw_seen = { .node = x->id }
        };
        uint32_t site = met < 80 ? 0 : met;
        snprintf(seen.gw_seen.seen_a, MESH_ENDPOINT_TEXT, "198.51.%u.%u:51820", site / 256, site % 256);
        memcpy(seen.gw_seen.seen_b, seen.gw_seen.seen_a, MESH_ENDPOINT_TEXT);
        step(seen, EFFECT_REPLY);
    }
    assert_int_equal(n.relays.live, 80 * 79 / 2);

    ask((struct input){ .kind = INPUT_TERMINATE, .account = user, .subject = cluster });
    assert_int_equal(told(EFFECT_RELAY_GONE), 80 * 79 / 2);
    assert_int_equal(told(EFFECT_MEET_GONE), NODES);
    now.ms += NETWORK_TICK_MS;
    step((struct input){ .kind = INPUT_TICK }, EFFECT_REPLY);
    assert_int_equal(n.relays.live, 0);
    assert_int_equal(c->state, CLUSTER_ENDED);
    assert_int_equal(network_check(&n).code, ERR_NONE);
}

/* All were settled last in the same millisecond, and all links hear of a new gateway: each takes several ticks. */
static void what_comes_to_all_at_once_is_spread_over_ticks(void **state)
{
    (void)state;
    enum { CLUSTERS = 6, NODES = 2500 };
    open_network(CLUSTERS * NODES);
    const struct cluster *clusters[CLUSTERS];
    for (int i = 0; i < CLUSTERS; i++) {
        clusters[i] = network_cluster(&n, hire(NODES));
        for (const struct node *x = NULL; (x = network_cluster_node(&n, clusters[i], x));)
            works(x, PHASE_RUNNING, false, 0);
    }
    now.ms += 10;
    for (int i = 0; i < CLUSTERS; i++) {
        witness(clusters[i], 0);
        assert_int_equal(clusters[i]->state, CLUSTER_READY);
    }
    for (int i = 0; i < CLUSTERS; i++) {
        for (const struct node *x = NULL; (x = network_cluster_node(&n, clusters[i], x));)
            works(x, PHASE_RUNNING, false, SETTLE_MS);
        witness(clusters[i], SETTLE_MS);
    }

    now.ms += SETTLE_MS;
    uint32_t ticks = 0, settled = 0;
    while (settled < CLUSTERS * NODES && ticks++ < 20) {
        step((struct input){ .kind = INPUT_TICK }, EFFECT_REPLY);
        assert_int_equal(network_check(&n).code, ERR_NONE);
        now.ms += NETWORK_TICK_MS;
        settled = 0;
        for (const struct node *x = NULL; (x = table_next(&n.nodes, x));) settled += x->charged.micros == 1000;
    }
    assert_int_equal(settled, CLUSTERS * NODES);
    assert_true(ticks > 1);

    gateway_is_up("b:443");
    uint32_t heard = told(EFFECT_DESIRED);
    assert_true(heard > 0 && heard < CLUSTERS * NODES);
    for (int i = 0; i < 4; i++) {
        step((struct input){ .kind = INPUT_TICK }, EFFECT_REPLY);
        heard += told(EFFECT_DESIRED);
    }
    assert_true(heard >= CLUSTERS * NODES);
}

#define TEST(name) cmocka_unit_test_teardown(name, close_network)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_large_mesh_ends_in_one_step),
        TEST(what_comes_to_all_at_once_is_spread_over_ticks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
