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

static void both_sides_of_a_moving_head_survive_the_networks_restart(void **state)
{
    (void)state;
    struct id cluster = days_ready(4, 3, MS_PER_HOUR);
    days_pass(20);
    const struct node *standby = days_standby();
    struct node_id     kept    = standby->id, moved;
    days_die(days_head());
    days_pass(2);
    moved = days_head()->id;
    assert_int_equal(days_head()->state, NODE_PLACED);

    int dead = -1;
    for (int i = 0; i < 4; i++)
        if (!w.device_session[i]) dead = i;
    world_restart(&w);
    world_gateway_back(&w);
    for (int i = 0; i < 4; i++)
        if (i != dead) days_return(i);
    assert_true(id_eq(days_standby()->id.id, kept.id));
    assert_true(days_standby()->copied);
    assert_int_equal(days_head()->restores, days_standby()->index);
    days_pass(20);
    assert_true(id_eq(days_head()->id.id, moved.id));
    assert_int_equal(network_cluster(&w.n, cluster)->state, CLUSTER_READY);
    assert_int_equal(days_cluster()->head_moves, 1);
}

static void without_a_free_machine_a_worker_that_is_not_the_standby_becomes_the_head(void **state)
{
    (void)state;
    days_ready(3, 3, MS_PER_HOUR);
    days_pass(30);
    const struct node *head = days_head(), *keeper = days_standby(), *worker = days_worker(true);
    if (!worker) worker = days_worker(false);
    assert_non_null(worker);
    int64_t earned = network_node_charged(&w.n, worker).micros;
    days_die(head);
    days_pass(15);
    assert_true(id_eq(days_head()->device.id, worker->device.id));
    assert_int_equal(worker->state, NODE_CLOSED);
    assert_true(worker->charged.micros >= earned);
    assert_true(!worker->lost);
    assert_string_equal(worker->why, "its machine became the head");
    assert_true(days_standby() == keeper && keeper->witness);
    assert_int_equal(days_cluster()->state, CLUSTER_HEALING);
    assert_int_equal(days_cluster()->nodes_alive, 2);
    assert_string_equal(days_cluster()->why,
                        "a node was lost, and no machine that fits is free: it waits for one");

    /* when the market has one, the worker's place is filled as well */
    days_return(world_device_of(&w, head));
    days_pass(30);
    assert_int_equal(days_cluster()->state, CLUSTER_READY);
    assert_string_equal(days_cluster()->why, "");
    assert_int_equal(days_placed(), 5);
}

static void with_its_standby_alone_a_cluster_waits_for_a_head_and_is_not_charged(void **state)
{
    (void)state;
    days_ready(2, 2, 4 * MS_PER_HOUR);
    days_pass(30);
    const struct node *head = days_head(), *keeper = days_standby();
    days_die(head);
    days_pass(10);
    int64_t charged = days_charged();
    assert_int_equal(days_cluster()->state, CLUSTER_HEALING);
    assert_string_equal(days_cluster()->why,
                        "its head was lost, and no machine that fits is free: it waits for one");
    days_pass(3600);
    assert_int_equal(days_cluster()->state, CLUSTER_HEALING);
    assert_int_equal(days_charged(), charged);
    assert_true(days_standby() == keeper && keeper->copied);

    days_return(world_device_of(&w, head));
    days_pass(20);
    assert_int_equal(days_cluster()->state, CLUSTER_READY);
    assert_int_equal(days_head()->restores, keeper->index);
    days_pass(60); /* an hour that nobody saw mutes nobody */
    assert_int_equal(days_cluster()->state, CLUSTER_READY);
    int64_t minute = bill_usage(days_cluster()->price, 2, (struct span){ 80000 }).micros;
    assert_in_range(days_charged(), charged + minute / 2, charged + minute);
}

static void ends_with_a_refund(const char *why)
{
    days_pass(20);
    const struct cluster *c = days_cluster();
    assert_int_equal(c->state, CLUSTER_FAILED);
    assert_string_equal(c->why, why);
    assert_int_equal(c->charged.micros + c->refunded.micros, c->escrow.micros);
    assert_true(c->refunded.micros > 0);
}

static void a_head_whose_copy_is_not_whole_ends_its_cluster(void **state)
{
    (void)state;
    days_ready(4, 3, MS_PER_HOUR);
    w.copied = false; /* as after its program was started anew */
    days_pass(10);
    days_die(days_head());
    ends_with_a_refund("its head was lost while its standby held no whole copy of its state");
}

static void a_head_that_is_lost_with_its_standby_ends_its_cluster(void **state)
{
    (void)state;
    days_ready(6, 4, MS_PER_HOUR);
    days_pass(10);
    const struct node *head = days_head();
    days_die(days_standby());
    days_die(head);
    days_pass(60);
    ends_with_a_refund("its head and the standby that kept its state were lost");
}

static void a_copy_that_goes_while_there_is_no_head_ends_its_cluster(void **state)
{
    (void)state;
    days_ready(2, 2, MS_PER_HOUR);
    days_pass(10);
    days_die(days_head());
    days_pass(10);
    assert_int_equal(days_cluster()->state, CLUSTER_HEALING);
    w.copied = false;
    days_pass(1);
    ends_with_a_refund("its head was lost while its standby held no whole copy of its state");
}

static void a_head_that_is_alone_has_nobody_to_keep_its_state(void **state)
{
    (void)state;
    struct id cluster = days_ready(2, 1, MS_PER_HOUR);
    world_probe(&w, cluster, 1000);
    assert_null(days_standby());
    days_die(days_head());
    days_pass(20);
    ends_with_a_refund("its head was lost, and it had no other node to keep its state");
}

static void a_lost_standby_has_a_successor_who_copies_anew(void **state)
{
    (void)state;
    days_ready(4, 3, MS_PER_HOUR);
    days_pass(10);
    const struct node *head = days_head(), *first = days_standby();
    assert_true(first->copied);
    w.copied = false;
    days_die(first);
    days_pass(7);
    const struct node *second = days_standby();
    assert_non_null(second);
    assert_ptr_not_equal(second, first);
    assert_false(second->copied);
    assert_ptr_equal(days_head(), head);
    w.copied = true;
    days_pass(20);
    assert_true(second->copied);
    assert_int_equal(days_cluster()->state, CLUSTER_READY);

    days_die(head); /* it serves as well as the first */
    days_return(world_device_of(&w, first));
    days_pass(30);
    assert_int_equal(days_cluster()->state, CLUSTER_READY);
    assert_int_equal(days_head()->restores, second->index);
}

static void a_head_is_missed_though_its_witness_went_with_it(void **state)
{
    (void)state;
    days_ready(6, 4, MS_PER_HOUR);
    days_pass(10);
    const struct node *head = days_head(), *witness = days_worker(true);
    assert_non_null(witness);
    days_die(witness);
    days_die(head);
    days_pass(70);
    assert_int_equal(days_cluster()->state, CLUSTER_READY);
    assert_true(head->lost && witness->lost);
    assert_int_equal(days_cluster()->head_moves, 1);
    assert_int_equal(days_cluster()->lost, 2);
}

static void a_second_head_may_be_lost_too(void **state)
{
    (void)state;
    days_ready(6, 3, MS_PER_HOUR);
    for (uint32_t moves = 1; moves <= 3; moves++) {
        days_pass(30);
        days_die(days_head());
        days_pass(20);
        assert_int_equal(days_cluster()->state, CLUSTER_READY);
        assert_int_equal(days_cluster()->head_moves, moves);
        assert_int_equal(days_head()->index, days_cluster()->head_index);
    }
}

static void a_new_head_gives_the_others_time_to_come_back_to_it(void **state)
{
    (void)state;
    days_ready(6, 3, MS_PER_HOUR);
    days_pass(10);
    days_die(days_head());
    days_pass(2);
    const struct node *worker = days_worker(true) ? days_worker(true) : days_worker(false);
    days_unseen(worker, true); /* its programs still call the old one */
    days_pass(14);
    assert_int_equal(days_head()->state, NODE_SERVING);
    assert_false(worker->lost);
    days_unseen(worker, false);
    days_pass(5);
    assert_int_equal(days_cluster()->state, CLUSTER_READY);
    assert_int_equal(days_cluster()->lost, 1);

    days_die(days_head());
    days_pass(2);
    days_unseen(worker, true); /* and one that never does is lost */
    days_pass(40);
    assert_true(worker->lost);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(another_takes_a_lost_heads_place_at_its_address_with_its_state),
        STORY(both_sides_of_a_moving_head_survive_the_networks_restart),
        STORY(without_a_free_machine_a_worker_that_is_not_the_standby_becomes_the_head),
        STORY(with_its_standby_alone_a_cluster_waits_for_a_head_and_is_not_charged),
        STORY(a_head_whose_copy_is_not_whole_ends_its_cluster),
        STORY(a_head_that_is_lost_with_its_standby_ends_its_cluster),
        STORY(a_copy_that_goes_while_there_is_no_head_ends_its_cluster),
        STORY(a_head_that_is_alone_has_nobody_to_keep_its_state),
        STORY(a_lost_standby_has_a_successor_who_copies_anew),
        STORY(a_head_is_missed_though_its_witness_went_with_it),
        STORY(a_second_head_may_be_lost_too),
        STORY(a_new_head_gives_the_others_time_to_come_back_to_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
