/* The network is away for two hours: nothing stops, all that was served is paid for once, nobody is taken for lost before
 * he had time to come back. */
#include "with_story_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define OUTAGE_MS (2 * MS_PER_HOUR)
#define SERVED_MS 90000 /* before it */
#define PRICE 100000    /* micros an hour, of a machine */

/* Three of four machines, paid for four hours; served for SERVED_MS, and seen. */
static struct id hire(void)
{
    struct id quote, cluster;
    world_come(&w, 4);
    assert_int_equal(world_quote(&w, 3, 4 * MS_PER_HOUR, &quote, NULL).code, ERR_NONE);
    assert_int_equal(world_create(&w, quote, &cluster, NULL).code, ERR_NONE);
    w.now.ms += 10;
    for (enum node_phase p = PHASE_IMAGE; p <= PHASE_RUNNING; p++) world_work(&w, cluster, p, 0);
    world_witness(&w, cluster, 0, 0);
    assert_int_equal(at(cluster)->state, CLUSTER_READY);
    for (uint64_t ms = 10000; ms <= SERVED_MS; ms += 10000) {
        world_pass(&w, 10000);
        world_witness(&w, cluster, 0, ms);
        world_work(&w, cluster, PHASE_RUNNING, ms);
    }
    return cluster;
}

/* The workers' leases are longer than that. */
static void the_pay_of_a_node_lasts_through_the_outage(struct id cluster)
{
    struct desired d;
    network_desired(&w.n, table_find(&w.n.devices, w.devices[0].id), &d);
    assert_int_equal(d.assignments_count, 1);
    assert_true(d.assignments[0].paid.ms > OUTAGE_MS);
    assert_int_equal(at(cluster)->state, CLUSTER_READY);
}

static void end_and_expect(struct id cluster, int64_t served_ms)
{
    struct input in = { .kind = INPUT_TERMINATE, .account = w.user, .subject = cluster };
    assert_int_equal(world_ask(&w, &in, NULL, NULL).code, ERR_NONE);
    world_work(&w, cluster, PHASE_ENDED, (uint64_t)served_ms);
    world_pass(&w, 2 * NODE_CLOSING_MS);
    assert_int_equal(at(cluster)->state, CLUSTER_ENDED);
    assert_int_equal(at(cluster)->charged.micros, 3 * (PRICE * served_ms / MS_PER_HOUR));
    assert_int_equal(at(cluster)->charged.micros + at(cluster)->refunded.micros, at(cluster)->escrow.micros);
}

/* Every worker says in the end what it served and saw; some say it twice, and the network dies again in between. */
static void two_hours_away_stop_nothing_and_are_paid_for_once(void **state)
{
    (void)state;
    struct id cluster = hire();
    the_pay_of_a_node_lasts_through_the_outage(cluster);
    w.now.ms += OUTAGE_MS;
    uint64_t served_ms = OUTAGE_MS + SERVED_MS;
    for (int again = 0; again < 3; again++) {
        world_restart(&w);
        for (int i = 0; i < 4; i++) { /* one after the other, within the time that they have */
            assert_int_equal(at(cluster)->state, CLUSTER_READY);
            assert_int_equal(world_link(&w, i, 1, false).code, ERR_NONE);
            world_report(&w, 3);
            world_pass(&w, 1000);
        }
        world_gateway_back(&w);
        served_ms += 4000;
        world_work(&w, cluster, PHASE_RUNNING, served_ms);
        world_witness(&w, cluster, 0, served_ms);
        world_work(&w, cluster, PHASE_RUNNING, served_ms);
        world_pass(&w, 1000);
        served_ms += 1000;
        assert_int_equal(at(cluster)->state, CLUSTER_READY);
        assert_int_equal(at(cluster)->lost, 0);
    }
    world_work(&w, cluster, PHASE_RUNNING, served_ms);
    world_witness(&w, cluster, 0, served_ms);
    end_and_expect(cluster, (int64_t)served_ms);
}

/* One machine died meanwhile. The others' witness says so as soon as it is heard; its place is taken then. What it had
 * reported before is its pay, but for the last minute, that the network forgot with its own death. */
static void who_died_meanwhile_is_found_and_replaced_after_it(void **state)
{
    (void)state;
    struct id cluster = hire();
    w.now.ms += OUTAGE_MS;
    world_restart(&w);
    const struct node *dead = NULL;
    for (const struct node *x = NULL; (x = table_next(&w.n.nodes, x));)
        if (x->role == NODE_WORKER && !x->witness) dead = x;
    assert_non_null(dead);
    int gone = world_device_of(&w, dead);
    for (int i = 0; i < 4; i++)
        if (i != gone) assert_int_equal(world_link(&w, i, 1, false).code, ERR_NONE);
    for (int i = 0; i < 4; i++)
        if (i != gone) world_report(&w, i);
    world_gateway_back(&w);
    for (int s = 0; s < 30 && !dead->lost; s++) {
        world_pass(&w, 1000);
        world_work(&w, cluster, PHASE_RUNNING, OUTAGE_MS);
        world_witness(&w, cluster, dead->index, OUTAGE_MS / 2);
    }
    assert_true(dead->lost);
    world_pass(&w, 1000);
    assert_int_equal(at(cluster)->state, CLUSTER_HEALING);
    assert_int_equal(dead->charged.micros, PRICE / 60); /* its last whole minute before that */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(two_hours_away_stop_nothing_and_are_paid_for_once),
        TEST(who_died_meanwhile_is_found_and_replaced_after_it),
    };
    return cmocka_run_group_tests_name("outage", tests, NULL, NULL);
}
