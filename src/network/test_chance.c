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
static uint32_t     ready, healed, ended, failed, charged; /* that these things did happen */

static uint32_t below(uint32_t limit)
{
    return (uint32_t)prng_below(&chance, limit);
}

static void link_drops(int device)
{
    if (!w.device_session[device]) return;
    struct input in = { .kind = INPUT_LINK_DOWN, .session = w.device_session[device], .subject = w.devices[device].id };
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
    struct input in = { .account = w.user, .subject = any_cluster(), .duration = { DURATION_MS_MIN + below(100000) } };
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

static void work(void)
{
    struct id cluster = any_cluster();
    if (id_is_none(cluster)) return;
    static const enum node_phase phases[] = { PHASE_IMAGE, PHASE_MESH, PHASE_STARTING, PHASE_RUNNING, PHASE_RUNNING, PHASE_RUNNING };
    enum node_phase phase = below(40) ? phases[below(countof(phases))] : PHASE_ENDED;
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

static void something_happens(void)
{
    uint32_t device = below(WORLD_DEVICES);
    switch (below(17)) {
    case 0: link_drops((int)device); return;
    case 1:
    case 2:
        if (!world_link(&w, (int)device, below(20) ? 1 : 2, false).code && below(8)) world_report(&w, (int)device);
        return;
    case 3: order(); return;
    case 4: {
        struct id cluster = any_cluster();
        if (!id_is_none(cluster)) world_witness(&w, cluster, below(4) ? 0 : 1 + below(6), prng_below(&chance, 1000000));
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
        if (below(2)) world_observe(&w, (int)device, &o);
        else world_report(&w, (int)device);
        return;
    }
    case 12: lose_one(); return;
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
    }
    for (const struct device *d = NULL; (d = table_next(&w.n.devices, d));) assert_int_equal(d->nodes_count, 0);
    assert_int_equal(w.n.relays.live, 0);
    int64_t user = ledger_balance(&w.n.ledger, LEDGER_BALANCE, w.user.id).micros;
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
    print_message("ready %u healed %u ended %u failed %u charged %u\n", ready, healed, ended, failed, charged);
    assert_true(ready > RUNS / 2 && healed > 0 && failed > RUNS / 10 && ended > RUNS / 10 && charged > RUNS / 2);
}

int main(int argc, char **argv)
{
    static uint64_t first = 1;
    if (argc > 1) first = strtoull(argv[1], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(whatever_happens_the_promises_hold, &first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
