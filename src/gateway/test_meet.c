#include "meet_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The meeting point without its interfaces: where nodes are is told as a file tells it. */

static struct net    *net;
static struct meet   *meet;
static struct gw_seen told;
static const uint8_t  secrets[2][WG_KEY_BYTES];

static void nothing(void *ctx)
{
    (void)ctx;
}

static void nobody(void *ctx, struct err e)
{
    (void)ctx, (void)e;
}

static struct node_id node_of(uint32_t number)
{
    struct node_id id = { { { 7 } } };
    memcpy(id.id.bytes + 1, &number, sizeof number);
    return id;
}

static void nodes_come(uint32_t count)
{
    static struct gw_meet frame;
    memset(&frame, 0, sizeof frame);
    for (uint32_t i = 0; i < count; i++) {
        struct gw_key *k = &frame.nodes[frame.nodes_count++];
        k->node          = node_of(i);
        memcpy(k->key, k->node.id.bytes, sizeof k->node.id.bytes);
        if (frame.nodes_count < countof(frame.nodes) && i + 1 < count) continue;
        meet_take_meet(meet, &frame);
        frame.nodes_count = 0;
    }
}

static void is_seen(uint32_t number, const char *a, const char *b)
{
    static struct gw_seen frame;
    frame.places_count   = 1;
    frame.places[0].node = node_of(number);
    strcpy(frame.places[0].seen_a, a);
    strcpy(frame.places[0].seen_b, b);
    meet_restore_seen(meet, &frame);
}

static int open_world(void **state)
{
    (void)state;
    static const struct meet_calls calls = { nothing, nothing, nobody };
    if (net_open(&net).code) return -1;
    struct meet_options o = { .net = net, .name = "none", .secrets = { secrets[0], secrets[1] }, .slots = 16 };
    return meet_open(&o, &calls, NULL, &meet).code ? -1 : 0;
}

static int close_world(void **state)
{
    (void)state;
    meet_stop(meet);
    net_stop(net);
    net_run(net);
    net_close(net);
    meet_free(meet);
    return 0;
}

#define HERE "198.51.100.7:4000"
#define THERE "198.51.100.7:4001"

/* Both ports learn it at different moments; between them it looks as if its router were a symmetric one. */
static void half_a_move_is_told_only_with_its_other_half(void **state)
{
    (void)state;
    nodes_come(1);
    is_seen(0, HERE, HERE);
    assert_true(meet_take_unsent(meet, &told));
    is_seen(0, THERE, HERE);
    assert_false(meet_take_unsent(meet, &told));
    is_seen(0, THERE, THERE);
    assert_true(meet_take_unsent(meet, &told));
    assert_int_equal(told.places_count, 1);
    assert_string_equal(told.places[0].seen_a, THERE);
    assert_string_equal(told.places[0].seen_b, THERE);
}

static void a_node_that_was_at_two_places_before_is_told_of_at_once(void **state)
{
    (void)state;
    nodes_come(1);
    is_seen(0, HERE, THERE);
    assert_true(meet_take_unsent(meet, &told));
    is_seen(0, "198.51.100.7:4002", THERE);
    assert_true(meet_take_unsent(meet, &told));
    assert_string_equal(told.places[0].seen_a, "198.51.100.7:4002");
}

static void of_many_each_is_told_once(void **state)
{
    (void)state;
    enum { MANY = 1000 };
    uint32_t count = 0, frames = 0;
    nodes_come(MANY);
    for (uint32_t i = 0; i < MANY; i++) is_seen(i, HERE, HERE);
    for (; meet_take_unsent(meet, &told); frames++) count += told.places_count;
    assert_int_equal(count, MANY);
    assert_int_equal(frames, (MANY + countof(told.places) - 1) / countof(told.places));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(half_a_move_is_told_only_with_its_other_half),
        TEST(a_node_that_was_at_two_places_before_is_told_of_at_once),
        TEST(of_many_each_is_told_once),
    };
    return cmocka_run_group_tests_name("meet", tests, NULL, NULL);
}
