/* Whatever happens in whatever order, the promises hold: world_step checks all invariants after each input, in memory and
 * in what the store holds. One seed prints and replays a run: test_chance SEED. */
#include "with_world_int.h"

#include "base/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RUNS 60
#define STEPS 600

static struct world w;
static struct prng  chance;
static uint64_t     seed_now;
static bool         misbehave;
static uint32_t     ready, healed, ended, failed, charged, alone; /* that these things did happen */

static uint32_t below(uint32_t limit)
{
    return (uint32_t)prng_below(&chance, limit);
}

static uint64_t any_number(void)
{
    return below(2) ? below(100000) : prng_below(&chance, ((uint64_t)1 << 52) + 1);
}

static void link_drops(int device)
{
    if (!w.device_session[device]) return;
    struct input in = { .kind    = INPUT_LINK_DOWN,
                        .session = w.device_session[device],
                        .subject = w.devices[device].id };
    world_step(&w, &in);
    w.device_session[device] = 0;
}

/* Some cluster, or none. */
static struct id any_cluster(void)
{
    struct id found = { { 0 } };
    uint32_t  count = 0;
    for (const struct cluster *c = NULL; (c = table_next(&w.n.clusters, c));)
        if (below(++count) == 0) found = c->id.id;
    return found;
}

static void order(void)
{
    struct id    quote, cluster;
    struct input in = { .account  = w.user,
                        .subject  = any_cluster(),
                        .duration = { DURATION_MS_MIN + below(100000) } };
    switch (below(3)) {
    case 0:
        if (world_quote(&w, 1 + below(5), DURATION_MS_MIN + below(600000), &quote, NULL).code) return;
        if (world_create(&w, quote, &cluster, NULL).code) return;
        return;
    case 1: in.kind = INPUT_EXTEND; break;
    default: in.kind = below(3) ? INPUT_EXTEND : INPUT_TERMINATE; break;
    }
    world_ask(&w, &in, NULL, NULL);
}

static void gateway_says(void)
{
    if (below(10) == 0) world_gateway_restart(&w);
    world_probe(&w, any_cluster(), any_number());
}

static void work(void)
{
    struct id cluster = any_cluster();
    if (id_is_none(cluster)) return;
    static const enum node_phase phases[] = { PHASE_IMAGE,   PHASE_MESH,    PHASE_STARTING,
                                              PHASE_RUNNING, PHASE_RUNNING, PHASE_RUNNING };
    enum node_phase              phase    = below(40) ? phases[below(countof(phases))] : PHASE_ENDED;
    world_work(&w, cluster, phase, prng_below(&chance, 1000000));
}

/* A machine's cable is cut and the others miss it; then perhaps all goes on. */
static void lose_one(void)
{
    struct id          cluster = any_cluster();
    const struct node *lost    = NULL;
    uint32_t           count   = 0;
    for (const struct node *x = NULL; (x = table_next(&w.n.nodes, x));)
        if (id_eq(x->cluster.id, cluster) && x->state == NODE_SERVING && below(++count) == 0) lost = x;
    if (!lost) return;
    uint32_t index = lost->index;
    link_drops(world_device_of(&w, lost));
    world_witness(&w, cluster, index, prng_below(&chance, 1000000));
    world_pass(&w, 1 + below(2000));
    if (below(2)) return;
    world_work(&w, cluster, PHASE_RUNNING, prng_below(&chance, 1000000));
    world_witness(&w, cluster, 0, prng_below(&chance, 1000000));
}

/* ---- mischief: whatever the tables of the messages allow, and no more --------------------------------------- */

static const struct node *any_node(void)
{
    const struct node *found = NULL;
    uint32_t           count = 0;
    for (const struct node *x = NULL; (x = table_next(&w.n.nodes, x));)
        if (below(++count) == 0) found = x;
    return found;
}

static void any_place(char out[MESH_ENDPOINT_TEXT])
{
    static const char *const places[] = {
        "", "203.0.113.9:1", "203.0.113.9:2", "198.51.100.4:51820", "[2001:db8::1]:51820", "nowhere"
    };
    const char *place = places[below(countof(places))];
    memcpy(out, place, strlen(place) + 1);
}

static void observes(int device, const struct node *x)
{
    static struct observed o;
    o = (struct observed){ .epoch        = below(4) ? w.n.meta.epoch : any_number(),
                           .version      = any_number(),
                           .images_count = 1,
                           .nodes_count  = 2 };
    memcpy(o.images[0].image, WORLD_IMAGE, sizeof WORLD_IMAGE);
    for (int i = 0; i < 2; i++) {
        struct observed_node *said = &o.nodes[i];
        *said                      = (struct observed_node){ .node         = x->id,
                                                             .incarnation  = 1 + below(2),
                                                             .phase        = below(PHASE_COUNT),
                                                             .served_ms    = any_number(),
                                                             .cpu_milli    = 1u << 30,
                                                             .memory_bytes = any_number() };
        said->mesh_key[0]          = (uint8_t)below(3); /* often another's */
        any_place(said->inside);
        memset(said->why, 'y', below(sizeof said->why));
    }
    if (below(3) == 0) {
        o.specs_count                 = 1;
        o.specs[0]                    = (struct device_specs){ .cpus         = 1 + below(65536),
                                                               .memory_bytes = any_number(),
                                                               .disk_bytes   = any_number() };
        o.specs[0].gpus_count         = below(ASSIGN_GPUS_MAX + 1);
        o.specs[0].gpus[0].memory_mib = below(1u << 30);
    }
    if (below(8) == 0) memset(o.trouble, 't', below(sizeof o.trouble));
    world_observe(&w, device, &o);
}

static void witnesses(struct input *in, const struct node *x)
{
    static struct witnessed seen;
    seen = (struct witnessed){
        .node = x->id, .incarnation = 1, .age_ms = any_number(), .entries_count = WITNESS_ENTRIES
    };
    for (uint32_t i = 0; i < WITNESS_ENTRIES; i++)
        seen.entries[i] =
            (struct witness_entry){ 1 + below(below(2) ? 8 : MESH_INDEX_MAX), any_number(), below(2) };
    in->kind      = INPUT_WITNESSED;
    in->witnessed = &seen;
    world_step(&w, in);
}

/* A worker speaks as if it were the gateway. */
static void probes(struct input *in, const struct node *x)
{
    in->kind      = INPUT_GW_PROBED;
    in->gw_probed = (typeof(in->gw_probed)){ x->id, any_number() };
    world_step(&w, in);
}

static void mischief(void)
{
    const struct node *x = any_node();
    if (!x) return;
    int          device = below(3) ? world_device_of(&w, x) : (int)below(WORLD_DEVICES);
    struct input in     = { .session = w.device_session[device], .subject = w.devices[device].id };
    switch (below(5)) {
    case 0:
        if (w.device_session[device]) observes(device, x);
        return;
    case 1: witnesses(&in, x); return;
    case 3: probes(&in, x); return;
    case 2: {
        const struct node *other  = any_node();
        struct mesh_silent silent = { .node = x->id };
        memcpy(silent.key, other->mesh_key, sizeof silent.key);
        in.kind   = INPUT_SILENT;
        in.silent = &silent;
        if (!below(3)) {
            struct mesh_reached reached = { .node = x->id };
            memcpy(reached.key, other->mesh_key, sizeof reached.key);
            in.kind    = INPUT_REACHED;
            in.reached = &reached;
        }
        world_step(&w, &in);
        return;
    }
    default:
        in = (struct input){ .kind    = INPUT_GW_SEEN,
                             .session = w.gateway_session,
                             .subject = w.gateway,
                             .gw_seen = { .node = x->id } };
        any_place(in.gw_seen.seen_a);
        any_place(in.gw_seen.seen_b);
        world_step(&w, &in);
        return;
    }
}

/* Live fields too, and what the workers are sent: a number out of its limits would end the program that shows it. */
static void check_shown(void)
{
    static struct desired d;
    for (const struct cluster *c = NULL; (c = table_next(&w.n.clusters, c));)
        assert_int_equal(record_check(&cluster_type, c, NULL).code, ERR_NONE);
    for (const struct node *x = NULL; (x = table_next(&w.n.nodes, x));) {
        struct mesh_peer peer;
        assert_int_equal(record_check(&node_type, x, NULL).code, ERR_NONE);
        if (network_peer(&w.n, x, any_node(), &peer))
            assert_int_equal(record_check(&mesh_peer_type, &peer, NULL).code, ERR_NONE);
    }
    for (const struct device *e = NULL; (e = table_next(&w.n.devices, e));) {
        network_desired(&w.n, e, &d);
        d.version += d.version == 0; /* it was never linked: nothing is sent */
        assert_int_equal(record_check(&device_type, e, NULL).code, ERR_NONE);
        assert_int_equal(record_check(&desired_type, &d, NULL).code, ERR_NONE);
    }
}

static void something_happens(void)
{
    uint32_t device = below(WORLD_DEVICES);
    if (misbehave && below(4) == 0) {
        mischief();
        check_shown();
        return;
    }
    switch (below(18)) {
    case 0: link_drops((int)device); return;
    case 1:
    case 2:
        if (!world_link(&w, (int)device, below(20) ? 1 : 2, false).code && below(8))
            world_report(&w, (int)device);
        return;
    case 3: order(); return;
    case 4: {
        struct id cluster = any_cluster();
        if (!id_is_none(cluster))
            world_witness(&w, cluster, below(4) ? 0 : 1 + below(6), prng_below(&chance, 1000000));
        return;
    }
    case 5:
        if (below(10)) return;
        world_restart(&w);
        world_gateway_back(&w);
        return;
    case 6: {
        struct input in = { .kind = INPUT_RELEASE, .account = w.supplier, .subject = w.devices[device].id };
        world_ask(&w, &in, NULL, NULL);
        return;
    }
    case 7: w.now.ms -= below(5000); return; /* the wall clock is set back */
    case 8:
    case 9:
    case 10: world_pass(&w, 1 + below(3000)); return;
    case 11: {
        struct observed o = { .epoch = w.n.meta.epoch - (w.n.meta.epoch > 0) * below(2), .version = below(50) };
        if (!w.device_session[device]) return;
        if (below(2))
            world_observe(&w, (int)device, &o);
        else
            world_report(&w, (int)device);
        return;
    }
    case 12: lose_one(); return;
    case 13: gateway_says(); return;
    default: work(); return;
    }
}

/* With faults off, all comes to rest: every cluster ends and every micro of its escrow is charged or given back. */
static void come_to_rest(void)
{
    w.now = network_now(&w.n);
    for (const struct cluster *c = NULL; (c = table_next(&w.n.clusters, c));) {
        struct input in = { .kind = INPUT_TERMINATE, .account = w.user, .subject = c->id.id };
        world_ask(&w, &in, NULL, NULL);
    }
    world_pass(&w, NODE_CLOSING_MS + 10000);
    for (const struct cluster *c = NULL; (c = table_next(&w.n.clusters, c));) {
        assert_false(cluster_is_live(c));
        assert_int_equal(c->charged.micros + c->refunded.micros, c->escrow.micros);
        ready += c->ready.ms > 0;
        healed += c->healed.ms > 0;
        ended += c->state == CLUSTER_ENDED;
        failed += c->state == CLUSTER_FAILED;
        charged += c->charged.micros > 0;
        alone += c->charged.micros > 0 && c->size == 1;
    }
    for (const struct device *d = NULL; (d = table_next(&w.n.devices, d));) assert_int_equal(d->nodes_count, 0);
    assert_int_equal(w.n.relays.live, 0);
    int64_t user   = ledger_balance(&w.n.ledger, LEDGER_BALANCE, w.user.id).micros;
    int64_t earned = ledger_balance(&w.n.ledger, LEDGER_EARNINGS, w.supplier.id).micros;
    int64_t fees   = ledger_balance(&w.n.ledger, LEDGER_FEES, (struct id){ { 0 } }).micros;
    assert_int_equal(user + earned + fees, 5000000);
}

static void say_seed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "seed %llu: %s:%d: %s\n", (unsigned long long)seed_now, file, line, condition);
}

static void run(uint64_t seed)
{
    seed_now     = seed;
    chance.state = seed;
    world_open(&w);
    check_print_by(say_seed);
    world_come(&w, WORLD_DEVICES);
    for (int i = 0; i < STEPS; i++) something_happens();
    come_to_rest();
    world_close(&w);
}

static void whatever_happens_the_promises_hold(void **state)
{
    const uint64_t *first = *state;
    for (uint64_t i = 0; i < RUNS; i++) run(*first + i);
    print_message("ready %u healed %u ended %u failed %u charged %u, alone %u\n", ready, healed, ended, failed,
                  charged, alone);
    assert_true(ready > RUNS / 2 && healed > 0 && failed > RUNS / 10 && ended > RUNS / 10 &&
                charged > RUNS / 2 && alone > RUNS / 20);
}

/* The same with liars among the machines: less comes to be ready, nothing comes to be untrue. */
static void whatever_liars_say_the_promises_hold(void **state)
{
    const uint64_t *first = *state;
    misbehave             = true;
    for (uint64_t i = 0; i < RUNS; i++) run(*first + i);
    misbehave = false;
}

int main(int argc, char **argv)
{
    static uint64_t first = 1;
    if (argc > 1) first = strtoull(argv[1], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(whatever_happens_the_promises_hold, &first),
        cmocka_unit_test_prestate(whatever_liars_say_the_promises_hold, &first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
