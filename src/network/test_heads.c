/* The head is lost: its place is taken by another machine, with its state, or its cluster ends; and what is charged. */
#include "with_days_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void another_takes_a_lost_heads_place_at_its_address_with_its_state(void **state)
{
    (void)state;
    struct id          cluster = days_ready(4, 3, MS_PER_HOUR);
    const struct node *head = days_head(), *keeper = days_standby();
    assert_non_null(keeper);
    days_pass(60);
    assert_true(keeper->copied);
    struct money before = network_node_charged(&w.n, head);
    assert_true(before.micros > 0);

    days_die(head);
    days_pass(20);
    const struct cluster *c      = network_cluster(&w.n, cluster);
    const struct node    *second = days_head();
    assert_non_null(second);
    assert_ptr_not_equal(second, head);
    assert_int_equal(c->state, CLUSTER_READY);
    assert_int_equal(second->index, head->index);
    assert_int_equal(second->restores, keeper->index);
    assert_int_equal(head->state, NODE_CLOSED);
    assert_int_equal(c->head_moves, 1);
    assert_true(c->head_lost.ms > c->ready.ms && c->head_back.ms > c->head_lost.ms);
    assert_string_equal(c->state_lost, "what ran on the head");
    assert_string_equal(c->why, "");

    struct desired d;
    network_desired(&w.n, network_device(&w.n, second->device.id), &d);
    assert_int_equal(d.assignments[0].role, NODE_HEAD);
    assert_int_equal(d.assignments[0].restores, keeper->index);

    /* the gap is nobody's: not the lost one's, and not the others', though they served in it */
    int64_t gap_ms = instant_since(c->head_back, c->head_lost).ms;
    assert_true(head->charged.micros - before.micros <= bill_usage(c->price, 1, (struct span){ 2000 }).micros);
    int64_t elapsed_ms = instant_since(w.now, keeper->passed).ms;
    assert_in_range(node_counted(keeper, w.now).ms, 60000, elapsed_ms - gap_ms + 1000);

    /* when it returns, it is told to run nothing, and bills nothing */
    int          old     = world_device_of(&w, head);
    struct money charged = head->charged;
    assert_int_equal(world_link(&w, old, 1, false).code, ERR_NONE);
    network_desired(&w.n, network_device(&w.n, head->device.id), &d);
    assert_int_equal(d.assignments_count, 0);
    days_pass(10);
    assert_int_equal(head->charged.micros, charged.micros);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(another_takes_a_lost_heads_place_at_its_address_with_its_state,
                                        days_open, days_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
