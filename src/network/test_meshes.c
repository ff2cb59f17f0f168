#include "with_story_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

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

/* ---- a node that moved and does not know it ----------------------------------------------------------------------- */

static bool is_told_unheard(const struct node *to, const struct node *about)
{
    struct mesh_peer told;
    assert_true(network_peer(&w.n, to, about, &told));
    return told.unheard;
}

static void who_is_unheard_is_asked_by_one_of_those_that_miss_him(void **state)
{
    (void)state;
    const struct node *x[3];
    int                count = 0;
    world_come(&w, 3);
    world_ready(&w, 3);
    for (const struct node *n = NULL; (n = table_next(&w.n.nodes, n));) x[count++] = n;
    uint32_t           relays = w.n.relays.live;
    struct mesh_silent silent = { .node = x[0]->id, .lately = true };
    memcpy(silent.key, x[1]->mesh_key, sizeof silent.key);
    struct input in = { .kind    = INPUT_SILENT,
                        .session = w.device_session[world_device_of(&w, x[0])],
                        .subject = w.devices[world_device_of(&w, x[0])].id,
                        .silent  = &silent };
    world_step(&w, &in);
    assert_int_equal(effects_of(EFFECT_MESH_PEER), 1);
    assert_true(id_eq(world_effect(&w, EFFECT_MESH_PEER)->subject, x[1]->id.id));
    assert_true(is_told_unheard(x[1], x[0]));
    assert_false(is_told_unheard(x[0], x[1]));
    world_step(&w, &in); /* once is enough for a while */
    assert_int_equal(effects_of(EFFECT_MESH_PEER), 0);
    world_pass(&w, 1200);
    assert_false(is_told_unheard(x[1], x[0]));
    world_step(&w, &in);
    assert_int_equal(effects_of(EFFECT_MESH_PEER), 1);
    assert_int_equal(w.n.relays.live, relays);
}

/* ---- a relayed pair tries to do without -------------------------------------------------------------------------- */

static void node_says(const struct node *x, const struct node *about, bool reached)
{
    int                 device   = world_device_of(&w, x);
    struct mesh_silent  silent   = { .node = x->id };
    struct mesh_reached answered = { .node = x->id };
    memcpy(silent.key, about->mesh_key, sizeof silent.key);
    memcpy(answered.key, about->mesh_key, sizeof answered.key);
    struct input in = { .kind    = reached ? INPUT_REACHED : INPUT_SILENT,
                        .session = w.device_session[device],
                        .subject = w.devices[device].id };
    if (reached)
        in.reached = &answered;
    else
        in.silent = &silent;
    world_step(&w, &in);
}

/* Of three ready nodes the two that are behind good routers; one says that it can't reach the other. */
static void relay_a_good_pair(const struct node **a, const struct node **b)
{
    const struct node *good[2] = { NULL, NULL };
    int                count   = 0;
    world_come(&w, 3);
    world_ready(&w, 3);
    for (const struct node *x = NULL; (x = table_next(&w.n.nodes, x));)
        if (world_device_of(&w, x) != 0) good[count++] = x;
    assert_int_equal(w.n.relays.live, 2);
    *a = good[0];
    *b = good[1];
    node_says(*a, *b, false);
    assert_int_equal(w.n.relays.live, 3);
}

static const char *told_to_try(const struct node *to, const struct node *about)
{
    static struct mesh_peer told;
    assert_true(network_peer(&w.n, to, about, &told));
    assert_int_equal(told.via, MESH_RELAY);
    return told.direct;
}

static void a_relayed_pair_is_told_to_try_at_growing_intervals_and_symmetric_ones_never(void **state)
{
    (void)state;
    const struct node *a, *b;
    struct instant     last;
    relay_a_good_pair(&a, &b);
    last = network_now(&w.n);
    assert_string_equal(told_to_try(a, b), "");
    for (uint32_t tries = 0; tries < 4; tries++) {
        uint32_t told = 0;
        while (!told) {
            world_pass(&w, NETWORK_TICK_MS);
            told = effects_of(EFFECT_MESH_PEER);
        }
        int64_t after_ms = instant_since(network_now(&w.n), last).ms;
        assert_in_range(after_ms, mesh_try_after(tries).ms, mesh_try_after(tries).ms + 2 * NETWORK_TICK_MS);
        assert_int_equal(told, 2);
        assert_string_equal(told_to_try(a, b), b->seen_a);
        assert_string_equal(told_to_try(b, a), a->seen_a);
        last = network_now(&w.n);
        world_pass(&w, MESH_TRYING_MS + NETWORK_TICK_MS);
        assert_string_equal(told_to_try(a, b), "");
    }
    assert_int_equal(w.n.relays.live, 3);
}

static void a_pair_whose_ends_both_reach_each_other_is_direct(void **state)
{
    (void)state;
    const struct node *a, *b;
    struct mesh_peer   told;
    relay_a_good_pair(&a, &b);
    node_says(a, b, true); /* nobody asked */
    node_says(b, a, true);
    assert_int_equal(w.n.relays.live, 3);
    world_pass(&w, MESH_TRY_LEAST_MS);
    node_says(a, b, true);
    node_says(a, b, true);
    assert_int_equal(effects_of(EFFECT_RELAY_GONE), 0);
    node_says(b, a, true);
    assert_int_equal(effects_of(EFFECT_RELAY_GONE), 1);
    assert_int_equal(effects_of(EFFECT_MESH_PEER), 2);
    assert_true(network_peer(&w.n, a, b, &told));
    assert_int_equal(told.via, MESH_DIRECT);
    assert_string_equal(told.endpoint, b->seen_a);
}

static void a_pair_of_which_one_end_alone_is_reached_goes_back_to_the_relay(void **state)
{
    (void)state;
    const struct node *a, *b;
    relay_a_good_pair(&a, &b);
    world_pass(&w, MESH_TRY_LEAST_MS);
    node_says(b, a, true);
    uint32_t told = 0;
    for (int i = 0; i < MESH_TRYING_MS / NETWORK_TICK_MS + 2 && !told; i++) {
        world_pass(&w, NETWORK_TICK_MS);
        told = effects_of(EFFECT_MESH_PEER);
    }
    assert_int_equal(told, 1);
    assert_true(id_eq(world_effect(&w, EFFECT_MESH_PEER)->subject, b->id.id));
    assert_string_equal(told_to_try(b, a), "");
    node_says(a, b, true); /* too late */
    assert_int_equal(w.n.relays.live, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_relay_that_moved_is_told_to_both_ends_of_each_of_its_pairs),
        TEST(a_relay_that_has_less_room_lets_go_of_whom_it_has_none_for),
        TEST(who_is_unheard_is_asked_by_one_of_those_that_miss_him),
        TEST(a_relayed_pair_is_told_to_try_at_growing_intervals_and_symmetric_ones_never),
        TEST(a_pair_whose_ends_both_reach_each_other_is_direct),
        TEST(a_pair_of_which_one_end_alone_is_reached_goes_back_to_the_relay),
    };
    return cmocka_run_group_tests_name("meshes", tests, NULL, NULL);
}
