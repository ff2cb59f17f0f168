/* Hard losses: all nodes at once, the last free machine taken, replacements that fail, a market that is empty for an hour.
 * States, what is charged, and what the owner is told. */
#include "with_days_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define WAITS "a node was lost, and no machine that fits is free: it waits for one"

static int64_t price_of(int64_t machine_seconds)
{
    return bill_usage(days_cluster()->price, 1, (struct span){ machine_seconds * 1000 }).micros;
}

static const struct node *a_worker(void)
{
    return days_worker(false) ? days_worker(false) : days_worker(true);
}

static void when_all_nodes_are_lost_nothing_is_charged_and_after_the_lease_the_rest_comes_back(void **state)
{
    (void)state;
    days_ready(3, 3, 8 * MS_PER_HOUR);
    days_pass(60);
    days_die_all();
    days_pass(20);
    int64_t charged = days_charged();
    assert_in_range(charged, price_of(3 * 50), price_of(3 * 65));
    assert_int_equal(days_cluster()->nodes_alive, 0);
    assert_string_equal(days_cluster()->why,
                        "none of its nodes is heard: what they do goes on, and counts once they are back");

    world_pass(&w, LEASE_MS - 60000);
    assert_int_equal(days_cluster()->state,
                     CLUSTER_READY); /* their leases last: they may be cut off, and work */
    world_pass(&w, 120000);
    assert_int_equal(days_cluster()->state, CLUSTER_FAILED);
    assert_string_equal(days_cluster()->why, "all its nodes were lost: none was heard of for six hours");
    assert_int_equal(days_cluster()->charged.micros, charged);
    assert_int_equal(days_cluster()->refunded.micros, days_cluster()->escrow.micros - charged);
}

static void nodes_that_were_all_cut_off_for_an_hour_go_on(void **state)
{
    (void)state;
    days_ready(3, 3, 8 * MS_PER_HOUR);
    days_pass(60);
    days_die_all();
    world_pass(&w, MS_PER_HOUR);
    for (int i = 0; i < 3; i++) days_return(i);
    days_pass(5);
    assert_int_equal(days_cluster()->state, CLUSTER_READY);
    assert_string_equal(days_cluster()->why, "");
    assert_int_equal(days_cluster()->lost, 0);
    assert_int_equal(days_cluster()->nodes_alive, 3);
}

static void the_last_free_machine_may_be_taken_by_another_and_the_place_stays_empty(void **state)
{
    (void)state;
    struct id quote, other;
    days_ready(4, 3, MS_PER_HOUR);
    days_pass(30);
    w.recipe = "ray";
    assert_int_equal(world_quote(&w, 1, MS_PER_HOUR, &quote, NULL).code, ERR_NONE);
    assert_int_equal(world_create(&w, quote, &other, NULL).code, ERR_NONE);

    const struct node *lost = a_worker();
    days_die(lost);
    days_pass(10);
    int64_t charged = days_charged(), of_lost = lost->charged.micros;
    assert_true(lost->lost);
    assert_int_equal(days_cluster()->state, CLUSTER_HEALING);
    assert_int_equal(days_cluster()->nodes_alive, 2);
    assert_string_equal(days_cluster()->why, WAITS);

    /* the two that serve are charged, the empty place is not */
    days_pass(20);
    assert_in_range(days_charged() - charged, price_of(2 * 18), price_of(2 * 22));
    assert_int_equal(lost->charged.micros, of_lost);

    /* the other one goes, and its machine takes the place */
    struct input end = { .kind = INPUT_TERMINATE, .account = w.user, .subject = other };
    assert_int_equal(world_ask(&w, &end, NULL, NULL).code, ERR_NONE);
    days_pass(20);
    assert_int_equal(days_cluster()->state, CLUSTER_READY);
    assert_string_equal(days_cluster()->why, "");
    assert_true(days_cluster()->healed.ms > days_cluster()->hurt.ms);
}

static void a_market_that_is_empty_for_an_hour_and_then_not_heals(void **state)
{
    (void)state;
    days_ready(3, 3, 4 * MS_PER_HOUR);
    days_pass(30);
    const struct node *lost = a_worker();
    days_die(lost);
    days_pass(10);
    int64_t charged = days_charged();
    days_pass(3600);
    assert_int_equal(days_cluster()->state, CLUSTER_HEALING);
    assert_string_equal(days_cluster()->why, WAITS);
    assert_in_range(days_charged() - charged, price_of(2 * 3590), price_of(2 * 3605));
    assert_int_equal(days_placed(), 3);

    days_return(world_device_of(&w, lost));
    days_pass(20);
    assert_int_equal(days_cluster()->state, CLUSTER_READY);
    assert_string_equal(days_cluster()->why, "");
    assert_int_equal(days_placed(), 4);
    charged = days_charged();
    days_pass(100);
    assert_in_range(days_charged() - charged, price_of(3 * 95), price_of(3 * 105));
}

static void replacements_that_fail_three_times_are_told_of_and_tried_at_growing_intervals(void **state)
{
    (void)state;
    days_ready(6, 3, 4 * MS_PER_HOUR);
    days_pass(30);
    days_spoil(true);
    days_die(a_worker());
    days_pass(25);
    int64_t charged = days_charged();
    assert_int_equal(days_cluster()->failures, 3);
    assert_int_equal(days_cluster()->state, CLUSTER_HEALING);
    assert_string_equal(days_cluster()->why,
                        "3 replacements in a row did not come up; the next is tried after 10 s: exit 1");
    int placed = days_placed();
    days_pass(600); /* after 10, 20, 40, 80, 160 and 300 s */
    assert_in_range(days_placed() - placed, 4, 6);
    placed = days_placed();
    days_pass(3000); /* every five minutes */
    assert_in_range(days_placed() - placed, 8, 11);
    assert_string_equal(str_skip(str_from(days_cluster()->why), str_from(days_cluster()->why).len - 37).ptr,
                        "the next is tried after 300 s: exit 1");
    assert_in_range(days_charged() - charged, price_of(2 * 3590), price_of(2 * 3605));

    days_spoil(false);
    days_pass(320);
    assert_int_equal(days_cluster()->state, CLUSTER_READY);
    assert_int_equal(days_cluster()->failures, 0);
    assert_string_equal(days_cluster()->why, "");
}

static void a_head_that_fails_three_times_eats_up_no_worker(void **state)
{
    (void)state;
    days_ready(4, 3, 4 * MS_PER_HOUR);
    days_pass(30);
    days_spoil(true);
    const struct node *worker = a_worker();
    days_die(days_head());
    days_pass(1800);
    assert_int_equal(days_cluster()->state, CLUSTER_HEALING);
    assert_true(days_cluster()->failures > 3);
    assert_in_range(days_placed(), 8, 16);
    assert_int_equal(worker->state, NODE_SERVING);
    days_spoil(false);
    days_pass(320);
    assert_int_equal(days_cluster()->state, CLUSTER_READY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(when_all_nodes_are_lost_nothing_is_charged_and_after_the_lease_the_rest_comes_back),
        STORY(nodes_that_were_all_cut_off_for_an_hour_go_on),
        STORY(the_last_free_machine_may_be_taken_by_another_and_the_place_stays_empty),
        STORY(a_market_that_is_empty_for_an_hour_and_then_not_heals),
        STORY(replacements_that_fail_three_times_are_told_of_and_tried_at_growing_intervals),
        STORY(a_head_that_fails_three_times_eats_up_no_worker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
