#include "with_world_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct world w;

static int open_world(void **state)
{
    (void)state;
    world_open(&w);
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    world_close(&w);
    return 0;
}

static uint32_t effects_of(enum effect_kind kind)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < w.out.count; i++) count += w.out.effects[i].kind == kind;
    return count;
}

static void gateway_says(const char *host, uint32_t slots)
{
    struct input up = { .kind = INPUT_GW_UP, .session = w.gateway_session, .subject = w.gateway };
    strcpy(up.gw_up.relay_host, host);
    up.gw_up.relay_slots     = slots;
    up.gw_up.relay_port_base = 30000;
    world_step(&w, &up);
}

/* The ends of the first relayed pair; a is the one with the lesser id. */
static void find_pair(const struct node **a, const struct node **b)
{
    const struct relay *r = table_next(&w.n.relays, NULL);
    assert_non_null(r);
    *a = network_node(&w.n, r->pair.a.id);
    *b = network_node(&w.n, r->pair.b.id);
}

/* ---- the relay moves ------------------------------------------------------------------------------------------ */

static void a_relay_that_moved_is_told_to_both_ends_of_each_of_its_pairs(void **state)
{
    (void)state;
    const struct node *a, *b;
    struct mesh_peer   told;
    world_come(&w, 3); /* device 0 is behind a symmetric NAT */
    world_ready(&w, 3);
    gateway_says("203.0.113.2", 16);
    assert_int_equal(effects_of(EFFECT_MESH_PEER), 0); /* as before */
    gateway_says("203.0.113.4", 16);
    assert_int_equal(effects_of(EFFECT_MESH_PEER), 4);
    assert_true(effects_of(EFFECT_DESIRED) >= 3);
    find_pair(&a, &b);
    assert_true(network_peer(&w.n, a, b, &told));
    assert_memory_equal(told.endpoint, "203.0.113.4:", 12);
}

static void a_relay_that_has_less_room_lets_go_of_whom_it_has_none_for(void **state)
{
    (void)state;
    const struct node *a, *b;
    struct mesh_peer   told;
    world_come(&w, 3);
    world_ready(&w, 3);
    assert_int_equal(w.n.relays.live, 2);
    gateway_says("203.0.113.2", 1);
    assert_int_equal(effects_of(EFFECT_RELAY_GONE), 1);
    assert_int_equal(effects_of(EFFECT_MESH_PEER), 4);
    world_pass(&w, NETWORK_TICK_MS);
    assert_int_equal(w.n.relays.live, 1);
    find_pair(&a, &b);
    assert_true(network_peer(&w.n, a, b, &told));
    assert_int_equal(told.via, MESH_RELAY);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_relay_that_moved_is_told_to_both_ends_of_each_of_its_pairs),
        TEST(a_relay_that_has_less_room_lets_go_of_whom_it_has_none_for),
    };
    return cmocka_run_group_tests_name("meshes", tests, NULL, NULL);
}
