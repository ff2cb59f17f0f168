/* What broken and hostile machines say and do, and what it must not bring about. After every step: the invariants, in
 * memory and in what the store holds (world_step). */
#include "with_story_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* A live worker of the cluster that is no witness; null if there is none. */
static const struct node *a_worker(struct id cluster, enum node_state state)
{
    for (const struct node *x = NULL; (x = table_next(&w.n.nodes, x));)
        if (id_eq(x->cluster.id, cluster) && x->role == NODE_WORKER && x->state == state && !x->witness)
            return x;
    return NULL;
}

/* As its worker would, about one node. */
static void report(const struct node *x, struct observed_node said)
{
    struct observed o = { .epoch = w.n.meta.epoch, .nodes_count = 1, .images_count = 1 };
    memcpy(o.images[0].image, WORLD_IMAGE, sizeof WORLD_IMAGE);
    o.nodes[0]             = said;
    o.nodes[0].node        = x->id;
    o.nodes[0].incarnation = x->incarnation;
    world_observe(&w, world_device_of(&w, x), &o);
}

static void every_number_that_is_stored_can_be_shown(void **state)
{
    (void)state;
    for (size_t t = 0; t < network_type_count; t++)
        for (uint32_t i = 0; i < network_types[t]->field_count; i++) {
            const struct field *f = &network_types[t]->fields[i];
            if (f->kind == FIELD_KIND_U64 || f->kind == FIELD_KIND_I64)
                assert_true(f->most <= RECORD_INT_MAX && f->least >= -RECORD_INT_MAX);
        }
}

static void prices_that_nobody_can_pay_are_refused(void **state)
{
    (void)state;
    struct input in = { .kind    = INPUT_TOKEN,
                        .account = w.supplier,
                        .token   = { .ask = { HOURLY_MICROS_MAX + 1 }, .valid = { 1000 } } };
    assert_int_equal(world_ask(&w, &in, NULL, NULL).code, ERR_INVALID);

    world_come(&w, 2);
    device(0)->ask = device(1)->ask = (struct hourly){ HOURLY_MICROS_MAX };
    struct id quote;
    assert_int_equal(world_quote(&w, 2, SPAN_MS_MAX, &quote, NULL).code, ERR_LIMIT);
    assert_int_equal(world_quote(&w, 2, MS_PER_HOUR, &quote, NULL).code, ERR_NONE);
}

static void grants_beyond_what_the_books_hold_are_refused(void **state)
{
    (void)state;
    struct input in = { .kind = INPUT_GRANT, .account = w.supplier, .grant = { MONEY_MICROS_MAX } };
    assert_int_equal(world_ask(&w, &in, NULL, NULL).code, ERR_LIMIT); /* the user has had some already */
}

static void the_greatest_machine_that_a_link_can_name_can_be_stored_and_hired(void **state)
{
    (void)state;
    world_come(&w, 1);
    struct observed o = { .epoch = w.n.meta.epoch, .images_count = 1, .specs_count = 1 };
    memcpy(o.images[0].image, WORLD_IMAGE, sizeof WORLD_IMAGE);
    o.specs[0] = (struct device_specs){ .cpus         = 65536,
                                        .memory_bytes = (uint64_t)1 << 52,
                                        .disk_bytes   = (uint64_t)1 << 52,
                                        .gpus_count   = 1,
                                        .gpus         = { { .memory_mib = 1u << 30 } } };
    assert_int_equal(record_check(&observed_type, &o, NULL).code, ERR_NONE);
    world_observe(&w, 0, &o); /* and the store is loaded again */

    struct desired d;
    world_ready(&w, 1);
    network_desired(&w.n, device(0), &d);
    assert_int_equal(d.assignments_count, 1);
    assert_int_equal(record_check(&desired_type, &d, NULL).code, ERR_NONE);
}

/* Devices are told to hold as many as an observed state can name: more must not be asked of them. */
static void many_recipes_keep_no_device_from_being_ready(void **state)
{
    (void)state;
    world_come(&w, 1);
    struct network_config *c = &w.n.config;
    for (c->recipe_count = 0; c->recipe_count < NETWORK_RECIPES_MAX; c->recipe_count++) {
        c->recipes[c->recipe_count]          = c->recipes[0];
        c->recipes[c->recipe_count].image[0] = (char)('0' + c->recipe_count);
    }
    struct desired  d;
    struct observed o = { .epoch = w.n.meta.epoch };
    network_desired(&w.n, device(0), &d);
    assert_int_equal(d.images_count, ASSIGN_IMAGES_MAX);
    memcpy(o.images, d.images, sizeof o.images);
    o.images_count = d.images_count - 1;
    world_observe(&w, 0, &o);
    assert_int_equal(device(0)->state, DEVICE_CONNECTED);
    o.images_count++;
    world_observe(&w, 0, &o);
    assert_int_equal(device(0)->state, DEVICE_READY);
}

static void an_epoch_is_leapt_past_once_a_device_and_within_reason(void **state)
{
    (void)state;
    world_come(&w, 2);
    uint64_t        was = w.n.meta.epoch;
    struct observed o   = { .epoch = (uint64_t)1 << 52, .images_count = 1 };
    memcpy(o.images[0].image, WORLD_IMAGE, sizeof WORLD_IMAGE);
    world_observe(&w, 0, &o);
    assert_int_equal(w.n.meta.epoch, was);
    assert_int_equal(device(0)->state, DEVICE_CONNECTED); /* it ignores what it is told: nobody may hire it */

    o.epoch = was + 1000;
    world_observe(&w, 0, &o);
    assert_int_equal(w.n.meta.epoch, was + 1001);
    o.epoch = was + 2000;
    world_observe(&w, 0, &o);
    assert_int_equal(w.n.meta.epoch, was + 1001);
    world_observe(&w, 1, &o);
    assert_int_equal(w.n.meta.epoch, was + 2001);
}

static void a_node_that_shows_anothers_key_is_not_believed(void **state)
{
    (void)state;
    world_come(&w, 3);
    struct id          cluster = world_ready(&w, 3);
    const struct node *x = a_worker(cluster, NODE_SERVING), *other = NULL;
    for (const struct node *y = NULL; (y = table_next(&w.n.nodes, y));)
        if (y != x) other = y;
    struct observed_node said = { .phase = PHASE_RUNNING };
    uint8_t              own[MESH_KEY_BYTES];
    memcpy(own, x->mesh_key, sizeof own);
    memcpy(said.mesh_key, other->mesh_key, sizeof said.mesh_key);
    report(x, said);
    assert_memory_equal(x->mesh_key, own, sizeof own);
    assert_null(world_effect(&w, EFFECT_MESH_GONE));
    said.mesh_key[0] ^= 0x80; /* a new one of its own is fine */
    report(x, said);
    assert_memory_equal(x->mesh_key, said.mesh_key, sizeof own);
    assert_non_null(world_effect(&w, EFFECT_MESH_GONE));
}

/* What the gateway says of one behind a router that has another behind it too. */
static void seen_at_home(const struct node *x)
{
    struct input in = { .kind = INPUT_GW_SEEN, .session = w.gateway_session, .subject = w.gateway };
    struct text  a = TEXT_IN(in.gw_seen.seen_a), b = TEXT_IN(in.gw_seen.seen_b);
    in.gw_seen.node = x->id;
    text_add(&a, STR("198.51.100.1:5000"));
    text_add_u64(&a, x->index);
    text_add(&b, text_str(&a));
    text_z(&a), text_z(&b);
    world_step(&w, &in);
}

static void report_home(const struct node *x, const char *inside)
{
    struct observed_node said = { .phase = PHASE_RUNNING };
    memcpy(said.mesh_key, x->mesh_key, sizeof said.mesh_key);
    memcpy(said.inside, inside, strlen(inside) + 1);
    report(x, said);
}

static void assert_told(const struct node *to, const struct node *about, const char *endpoint)
{
    struct mesh_peer told;
    assert_true(network_peer(&w.n, to, about, &told));
    assert_int_equal(told.via, MESH_SITE);
    assert_string_equal(told.endpoint, endpoint);
}

/* All nodes of the cluster; the last is the one that was behind a symmetric NAT, so its pairs are relayed. */
static void find_three(const struct node *three[3])
{
    int count = 0;
    for (const struct node *x = NULL; (x = table_next(&w.n.nodes, x));)
        three[world_device_of(&w, x) == 0 ? 2 : count++] = x;
    assert_int_equal(count, 2);
}

static void an_address_that_changes_at_home_is_told_to_the_neighbours(void **state)
{
    (void)state;
    const struct node *x[3];
    world_come(&w, 3);
    world_ready(&w, 3);
    find_three(x);
    report_home(x[0], "192.168.1.10:51820");
    report_home(x[1], "192.168.1.11:51820");
    seen_at_home(x[0]);
    seen_at_home(x[1]);
    assert_told(x[0], x[1], "192.168.1.11:51820");
    report_home(x[1], "192.168.1.11:51820");
    assert_null(world_effect(&w, EFFECT_MESH_PEER));
    report_home(x[1], "192.168.7.11:51820");
    const struct effect *e = world_effect(&w, EFFECT_MESH_PEER);
    assert_non_null(e);
    assert_true(id_eq(e->subject, x[0]->id.id) || id_eq(e->subject, x[1]->id.id));
    assert_told(x[0], x[1], "192.168.7.11:51820");
    assert_told(x[1], x[0], "192.168.1.10:51820");
}

static void neighbours_are_not_relayed_because_the_network_was_started_again(void **state)
{
    (void)state;
    const struct node *x[3];
    world_come(&w, 3);
    world_ready(&w, 3);
    find_three(x);
    report_home(x[0], "192.168.1.10:51820");
    report_home(x[1], "192.168.1.11:51820");
    world_restart(&w);
    find_three(x);
    world_gateway_back(&w);
    for (int i = 0; i < 3; i++) seen_at_home(x[i]);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(world_link(&w, world_device_of(&w, x[i]), 1, false).code, ERR_NONE);
        assert_null(world_effect(&w, EFFECT_RELAY));
        assert_null(world_effect(&w, EFFECT_MESH_ALL)); /* not whole yet */
    }
    report_home(x[0], "192.168.1.10:51820");
    report_home(x[1], "192.168.1.11:51820");
    assert_told(x[0], x[1], "192.168.1.11:51820");
    assert_null(world_effect(&w, EFFECT_RELAY));
    assert_null(world_effect(&w, EFFECT_MESH_ALL));
    report_home(x[2], "192.168.1.12:51820");
    assert_non_null(world_effect(&w, EFFECT_MESH_ALL));
}

static void a_gateway_whose_relay_fits_no_endpoint_is_turned_away(void **state)
{
    (void)state;
    world_come(&w, 1);
    struct input up = { .kind = INPUT_GW_UP, .session = w.gateway_session, .subject = w.gateway };
    memset(up.gw_up.relay_host, 'h', MESH_ENDPOINT_TEXT - 1);
    up.gw_up.relay_port_base = 30000;
    up.gw_up.relay_slots     = 16;
    world_step(&w, &up);
    assert_non_null(world_effect(&w, EFFECT_CLOSE));
    assert_string_equal(network_gateway(&w.n)->relay_host, "203.0.113.2");

    world_gateway_back(&w);
    up.session               = w.gateway_session;
    up.gw_up.relay_host[10]  = 0;
    up.gw_up.relay_port_base = 65535;
    world_step(&w, &up);
    assert_non_null(world_effect(&w, EFFECT_CLOSE));
}

static void a_substitute_that_never_begins_is_replaced_too(void **state)
{
    (void)state;
    world_come(&w, 5);
    struct id cluster = world_ready(&w, 3);
    report(a_worker(cluster, NODE_SERVING), (struct observed_node){ .phase = PHASE_ENDED });
    world_pass(&w, 1000);
    const struct node *late = a_worker(cluster, NODE_PLACED);
    assert_non_null(late);
    struct id first = late->device.id;
    report(late, (struct observed_node){ .phase = PHASE_IMAGE });
    world_pass(&w, 30000);
    assert_int_equal(late->state, NODE_PLACED);
    world_pass(&w, 32000);
    assert_int_equal(late->state, NODE_CLOSED);
    assert_non_null(a_worker(cluster, NODE_PLACED));
    assert_false(id_eq(a_worker(cluster, NODE_PLACED)->device.id, first));
}

/* The device that failed is the longest enrolled of those that are free: without its past it would be first. */
static void a_device_that_failed_comes_after_the_others_and_rests(void **state)
{
    (void)state;
    world_come(&w, 4);
    struct id          cluster = world_ready(&w, 3);
    const struct node *x       = a_worker(cluster, NODE_SERVING);
    int                failed  = world_device_of(&w, x);
    assert_true(failed < 3);
    report(x, (struct observed_node){ .phase = PHASE_ENDED });
    world_pass(&w, 200);
    assert_int_equal(world_device_of(&w, a_worker(cluster, NODE_PLACED)), 3);

    world_link_goes(&w, 3); /* now it is the only one */
    world_pass(&w, 2000);
    assert_null(a_worker(cluster, NODE_PLACED));
    world_pass(&w, 9000);
    assert_non_null(a_worker(cluster, NODE_PLACED));
    assert_int_equal(world_device_of(&w, a_worker(cluster, NODE_PLACED)), failed);
}

static void a_substitute_brings_the_units_that_are_missing_and_no_more(void **state)
{
    (void)state;
    static const uint32_t gpus[] = { 2, 2, 1, 8 };
    world_come(&w, 4);
    for (int i = 0; i < 4; i++) device(i)->gpus_count = gpus[i];
    struct input in = { .kind    = INPUT_QUOTE,
                        .account = w.user,
                        .quote   = { .recipe = "gpu", .quantity = 4, .duration = { MS_PER_HOUR } } };
    struct id    quote, cluster;
    assert_int_equal(world_ask(&w, &in, &quote, NULL).code, ERR_NONE);
    assert_int_equal(world_create(&w, quote, &cluster, NULL).code, ERR_NONE);
    assert_int_equal(at(cluster)->size, 2);
    w.now.ms += 10;
    for (enum node_phase p = PHASE_IMAGE; p <= PHASE_RUNNING; p++) world_work(&w, cluster, p, 0);
    world_witness(&w, cluster, 0, 0);
    assert_int_equal(at(cluster)->state, CLUSTER_READY);

    const struct node *x = network_cluster_node(&w.n, at(cluster), NULL); /* the last that was added */
    report(x, (struct observed_node){ .phase = PHASE_ENDED });
    world_pass(&w, 1000);
    x = network_cluster_node(&w.n, at(cluster), NULL);
    assert_int_equal(world_device_of(&w, x), 3); /* one GPU would be too few */
    assert_int_equal(x->units, 2);
    struct desired d;
    network_desired(&w.n, device(3), &d);
    assert_int_equal(d.assignments[0].gpus_count, 2);
}

/* The strongest becomes the head, though it was not the first to be chosen. */
static void a_head_that_has_all_that_is_ordered_leaves_some_to_the_others(void **state)
{
    (void)state;
    world_come(&w, 2);
    device(0)->gpus_count   = 1;
    device(1)->gpus_count   = 8;
    device(1)->memory_bytes = device(0)->memory_bytes * 2;
    struct input in         = { .kind    = INPUT_QUOTE,
                                .account = w.user,
                                .quote   = { .recipe = "gpu", .quantity = 4, .duration = { MS_PER_HOUR } } };
    struct id    quote, cluster;
    assert_int_equal(world_ask(&w, &in, &quote, NULL).code, ERR_NONE);
    assert_int_equal(world_create(&w, quote, &cluster, NULL).code, ERR_NONE);
    for (const struct node *x = NULL; (x = network_cluster_node(&w.n, at(cluster), x));)
        assert_int_equal(x->units, x->role == NODE_HEAD ? 3 : 1);
    world_restart(&w); /* a node of no units would not be let in */
    assert_int_equal(at(cluster)->size, 2);
}

static void nothing_counts_after_the_paid_end(void **state)
{
    (void)state;
    world_come(&w, 3);
    struct id cluster = world_ready(&w, 3);
    w.now.ms += MS_PER_HOUR + 7000; /* the network slept */
    world_work(&w, cluster, PHASE_RUNNING, 2 * MS_PER_HOUR);
    world_witness(&w, cluster, 0, 2 * MS_PER_HOUR);
    world_pass(&w, NODE_CLOSING_MS + 400);
    assert_int_equal(at(cluster)->state, CLUSTER_ENDED);
    for (const struct node *x = NULL; (x = table_next(&w.n.nodes, x));) {
        assert_int_equal(x->closed.ms, at(cluster)->ends.ms);
        assert_int_equal(x->charged.micros, at(cluster)->price.micros);
    }
}

static void what_ended_while_the_network_was_away_still_gets_its_last_reports(void **state)
{
    (void)state;
    world_come(&w, 3);
    struct id cluster = world_ready(&w, 3);
    world_restart(&w);
    w.now.ms += MS_PER_HOUR; /* the clock, not the ticks: the network was down */
    world_restart(&w);
    world_pass(&w, NODE_CLOSING_MS + 1000);
    assert_int_equal(at(cluster)->state, CLUSTER_ENDING);
    for (int i = 0; i < 3; i++) assert_int_equal(world_link(&w, i, 1, false).code, ERR_NONE);
    world_work(&w, cluster, PHASE_RUNNING, MS_PER_HOUR);
    world_witness(&w, cluster, 0, MS_PER_HOUR);
    world_pass(&w, 30000); /* all workers may take that long to come back */
    assert_int_equal(at(cluster)->state, CLUSTER_ENDED);
    assert_true(at(cluster)->charged.micros >= at(cluster)->escrow.micros * 99 / 100);
}

static void a_restart_alone_makes_nobody_seen(void **state)
{
    (void)state;
    world_come(&w, 3);
    struct id quote, cluster;
    assert_int_equal(world_quote(&w, 3, MS_PER_HOUR, &quote, NULL).code, ERR_NONE);
    assert_int_equal(world_create(&w, quote, &cluster, NULL).code, ERR_NONE);
    w.now.ms += 10;
    for (enum node_phase p = PHASE_IMAGE; p <= PHASE_RUNNING; p++) world_work(&w, cluster, p, 0);
    world_witness(&w, cluster, 3, 0);
    assert_int_equal(at(cluster)->state, CLUSTER_CHECKING);
    world_restart(&w);
    for (int i = 0; i < 3; i++) assert_int_equal(world_link(&w, i, 1, false).code, ERR_NONE);

    const struct node *head = NULL;
    for (const struct node *x = NULL; (x = table_next(&w.n.nodes, x));)
        if (x->role == NODE_HEAD) head = x;
    struct witnessed seen = {
        .node = head->id, .incarnation = 1, .entries_count = 1, .entries = { { head->index, 0, true } }
    };
    int          i  = world_device_of(&w, head);
    struct input in = {
        .kind = INPUT_WITNESSED, .session = w.device_session[i], .subject = w.devices[i].id, .witnessed = &seen
    };
    world_step(&w, &in);
    assert_int_equal(at(cluster)->state, CLUSTER_CHECKING);
    assert_int_equal(at(cluster)->nodes_alive, 1);
}

static void an_old_line_of_a_witness_misses_nobody(void **state)
{
    (void)state;
    world_come(&w, 4);
    struct id          cluster = world_ready(&w, 3);
    const struct node *x = a_worker(cluster, NODE_SERVING), *head = NULL;
    for (const struct node *y = NULL; (y = table_next(&w.n.nodes, y));)
        if (y->role == NODE_HEAD) head = y;
    struct witnessed seen = { .node          = head->id,
                              .incarnation   = 1,
                              .age_ms        = 60000,
                              .entries_count = 1,
                              .entries       = { { x->index, 0, false } } };
    int              i    = world_device_of(&w, head);
    struct input     in   = {
              .kind = INPUT_WITNESSED, .session = w.device_session[i], .subject = w.devices[i].id, .witnessed = &seen
    };
    world_step(&w, &in);
    assert_int_equal(x->missed.ms, 0);
    seen.age_ms = 0;
    world_step(&w, &in);
    assert_int_equal(x->missed.ms, w.now.ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_that_is_stored_can_be_shown),
        TEST(prices_that_nobody_can_pay_are_refused),
        TEST(grants_beyond_what_the_books_hold_are_refused),
        TEST(the_greatest_machine_that_a_link_can_name_can_be_stored_and_hired),
        TEST(many_recipes_keep_no_device_from_being_ready),
        TEST(an_epoch_is_leapt_past_once_a_device_and_within_reason),
        TEST(a_node_that_shows_anothers_key_is_not_believed),
        TEST(an_address_that_changes_at_home_is_told_to_the_neighbours),
        TEST(neighbours_are_not_relayed_because_the_network_was_started_again),
        TEST(a_gateway_whose_relay_fits_no_endpoint_is_turned_away),
        TEST(a_substitute_that_never_begins_is_replaced_too),
        TEST(a_device_that_failed_comes_after_the_others_and_rests),
        TEST(a_substitute_brings_the_units_that_are_missing_and_no_more),
        TEST(a_head_that_has_all_that_is_ordered_leaves_some_to_the_others),
        TEST(nothing_counts_after_the_paid_end),
        TEST(what_ended_while_the_network_was_away_still_gets_its_last_reports),
        TEST(a_restart_alone_makes_nobody_seen),
        TEST(an_old_line_of_a_witness_misses_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
