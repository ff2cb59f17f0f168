/* What a supplier may try to be paid for what he does not lend. Each is refused, or goes unpaid and is replaced. (What is
 * charged at most: test_network.c; two machines with one key: there too.) */
#include "with_story_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* A worker of the cluster that is no witness. */
static const struct node *a_worker(struct id cluster)
{
    for (const struct node *x = NULL; (x = table_next(&w.n.nodes, x));)
        if (id_eq(x->cluster.id, cluster) && x->role == NODE_WORKER && x->state != NODE_CLOSED && !x->witness)
            return x;
    fail();
    return NULL;
}

/* Says that it is that machine and serves that node, if it is given one. */
static void say(int i, struct device_specs specs, const struct node *serves, uint64_t served_ms)
{
    struct observed o = { .epoch = w.n.meta.epoch, .version = device(i)->version, .images_count = 1 };
    memcpy(o.images[0].image, WORLD_IMAGE, sizeof WORLD_IMAGE);
    o.specs[0]    = specs;
    o.specs_count = 1;
    if (serves) {
        o.nodes_count = 1;
        o.nodes[0]    = (struct observed_node){ .node        = serves->id,
                                                .incarnation = serves->incarnation,
                                                .phase       = PHASE_RUNNING,
                                                .served_ms   = served_ms };
        memcpy(o.nodes[0].mesh_key, serves->mesh_key, sizeof serves->mesh_key);
    }
    world_observe(&w, i, &o);
}

static const struct device_specs whole = { .cpus = 4, .memory_bytes = (uint64_t)1 << 33 };

/* All nodes serve, and are seen to, up to ms. */
static void serve_until(struct id cluster, uint64_t ms)
{
    while (w.now.ms < at(cluster)->ready.ms + (int64_t)ms) {
        world_pass(&w, 1000);
        uint64_t so_far = (uint64_t)(w.now.ms - at(cluster)->ready.ms);
        world_work(&w, cluster, PHASE_RUNNING, so_far);
        world_witness(&w, cluster, 0, so_far);
    }
}

static void a_device_that_speaks_for_another_is_not_heard(void **state)
{
    (void)state;
    world_come(&w, 3);
    struct id          cluster = world_ready(&w, 3);
    const struct node *x       = a_worker(cluster);
    int                victim = world_device_of(&w, x), liar = (victim + 1) % 3;
    serve_until(cluster, 5000);
    uint64_t served_ms = x->served_ms;

    /* by its own link, in the other's name */
    struct observed o = { .epoch = w.n.meta.epoch, .nodes_count = 1 };
    o.nodes[0]        = (struct observed_node){
               .node = x->id, .incarnation = x->incarnation, .phase = PHASE_ENDED, .served_ms = 3600000
    };
    struct input in = { .kind     = INPUT_OBSERVED,
                        .session  = w.device_session[liar],
                        .subject  = w.devices[victim].id,
                        .observed = &o };
    world_step(&w, &in);
    assert_int_equal(x->phase, PHASE_RUNNING);
    assert_int_equal(x->served_ms, served_ms);

    /* in its own name, about the other's node */
    in.subject = w.devices[liar].id;
    world_step(&w, &in);
    assert_int_equal(x->phase, PHASE_RUNNING);
    assert_int_equal(x->served_ms, served_ms);

    /* as the witness that the head is */
    const struct node *head = NULL;
    for (const struct node *y = NULL; (y = table_next(&w.n.nodes, y));)
        if (y->role == NODE_HEAD) head = y;
    struct witnessed seen  = { .node = head->id, .incarnation = head->incarnation, .entries_count = 1 };
    seen.entries[0]        = (struct witness_entry){ x->index, 3600000, true };
    uint64_t     seen_ms   = x->seen_ms;
    int          other     = world_device_of(&w, head) == liar ? victim : liar;
    struct input witnessed = { .kind      = INPUT_WITNESSED,
                               .session   = w.device_session[other],
                               .subject   = w.devices[other].id,
                               .witnessed = &seen };
    world_step(&w, &witnessed);
    assert_int_equal(x->seen_ms, seen_ms);
}

static void who_answers_for_a_dead_container_is_replaced_and_unpaid(void **state)
{
    (void)state;
    world_come(&w, 4);
    struct id          cluster = world_ready(&w, 3);
    const struct node *x       = a_worker(cluster);
    serve_until(cluster, 10000);
    struct money before = network_node_charged(&w.n, x);
    assert_true(before.micros > 0);

    /* its worker goes on saying that it runs; the check on the head no longer sees it */
    uint64_t so_far = 10000;
    for (int i = 0; i < 30 && x->state == NODE_SERVING; i++) {
        world_pass(&w, 1000);
        so_far += 1000;
        world_work(&w, cluster, PHASE_RUNNING, so_far);
        world_witness(&w, cluster, x->index, 10000);
    }
    assert_true(x->lost);
    assert_true(so_far < 25000);
    world_pass(&w, 2 * NODE_CLOSING_MS);
    assert_int_equal(x->state, NODE_CLOSED);
    assert_int_equal(x->charged.micros, before.micros);
    assert_int_equal(at(cluster)->lost, 1);
}

static void a_machine_that_is_less_while_it_is_hired_is_held_and_replaced(void **state)
{
    (void)state;
    world_come(&w, 4);
    struct id          cluster = world_ready(&w, 3);
    const struct node *x       = a_worker(cluster);
    int                liar    = world_device_of(&w, x);
    serve_until(cluster, 5000);

    struct device_specs less = whole;
    less.memory_bytes        = whole.memory_bytes / 16 * 15; /* a kernel may keep that much */
    say(liar, less, x, 5000);
    assert_int_equal(device(liar)->state, DEVICE_READY);

    less.memory_bytes /= 2;
    say(liar, less, x, 3600000);
    const struct effect *e = world_effect(&w, EFFECT_CLOSE);
    assert_non_null(e);
    assert_true(id_eq(e->subject, w.devices[liar].id));
    assert_int_equal(device(liar)->state, DEVICE_HELD);
    assert_int_equal(x->served_ms, 5000); /* nothing it said then counts */
    w.device_session[liar] = 0;
    world_pass(&w, 1000);
    assert_true(x->lost);
    assert_int_equal(at(cluster)->state, CLUSTER_HEALING);
    assert_int_equal(world_link(&w, liar, 1, false).code, ERR_DENIED);

    struct input release = { .kind = INPUT_RELEASE, .account = w.supplier, .subject = w.devices[liar].id };
    assert_int_equal(world_ask(&w, &release, NULL, NULL).code, ERR_NONE);
    assert_int_equal(world_link(&w, liar, 1, false).code, ERR_NONE);
    say(liar, less, NULL, 0);
    assert_int_equal(device(liar)->state, DEVICE_READY); /* as what it is now */
}

static void a_machine_that_nobody_hired_may_change(void **state)
{
    (void)state;
    world_come(&w, 1);
    struct device_specs less = { .cpus = 2, .memory_bytes = (uint64_t)1 << 31 };
    say(0, less, NULL, 0);
    assert_int_equal(device(0)->state, DEVICE_READY);
    assert_int_equal(device(0)->cpus, 2);
}

static void a_recipe_that_needs_a_way_out_is_served_by_who_gives_one(void **state)
{
    (void)state;
    struct device_specs out = whole;
    uint64_t            had = 0;
    world_come(&w, 3);
    w.n.config.recipes[0].egress = true;
    assert_int_equal(world_quote(&w, 1, MS_PER_HOUR, NULL, NULL).code, ERR_CAPACITY);
    out.egress = true;
    say(1, out, NULL, 0);
    assert_int_equal(world_quote(&w, 2, MS_PER_HOUR, NULL, &had).code, ERR_CAPACITY);
    assert_int_equal(had, 1);
    struct id cluster = world_ready(&w, 1);
    assert_int_equal(device(1)->nodes_count, 1);
    assert_int_equal(at(cluster)->state, CLUSTER_READY);
}

/* Links a device of that key, with a join token, which says that it runs on that machine. */
static struct err link_on(uint8_t key, uint8_t machine, uint64_t *session, struct id *id)
{
    struct input token = { .kind    = INPUT_TOKEN,
                           .account = w.supplier,
                           .token   = { .hash = { key, 0xe }, .ask = { 1000 }, .valid = { MS_PER_DAY } } };
    (void)world_ask(&w, &token, NULL, NULL); /* known already the second time */
    struct input in = { .kind    = INPUT_LINK_UP,
                        .session = ++w.sessions,
                        .link    = { .public_key = { key },
                                     .instance   = { key },
                                     .token_hash = { key, 0xe },
                                     .has_token  = true,
                                     .machine    = { { machine } } } };
    *session        = in.session;
    world_step(&w, &in);
    const struct effect *refused = world_effect(&w, EFFECT_REFUSE), *e = world_effect(&w, EFFECT_WELCOME);
    if (!refused) *id = e->subject;
    return refused ? refused->error : OK;
}

static void a_machine_is_linked_once(void **state)
{
    (void)state;
    uint64_t  first, second;
    struct id id, other;
    assert_int_equal(link_on(200, 1, &first, &id).code, ERR_NONE);
    assert_int_equal(link_on(201, 1, &second, &other).code, ERR_CONFLICT);
    assert_int_equal(w.n.devices.live, 1); /* nor was it enrolled */
    assert_int_equal(link_on(202, 2, &second, &other).code, ERR_NONE);
    assert_int_equal(link_on(200, 1, &first, &id).code, ERR_NONE); /* itself it may link again */

    struct input down = { .kind = INPUT_LINK_DOWN, .session = first, .subject = id };
    world_step(&w, &down);
    assert_int_equal(link_on(201, 1, &second, &other).code, ERR_NONE); /* with the token that was not used up */
    assert_int_equal(link_on(200, 1, &first, &id).code, ERR_CONFLICT);
}

static void who_takes_nodes_and_begins_none_is_replaced_and_in_the_end_held(void **state)
{
    (void)state;
    world_come(&w, 4);
    int idle = 1; /* chosen second, for a worker */
    for (int i = 0; i < DEVICE_IDLE_MAX; i++) {
        struct id quote, cluster;
        assert_int_equal(world_quote(&w, 2, MS_PER_HOUR, &quote, NULL).code, ERR_NONE);
        assert_int_equal(world_create(&w, quote, &cluster, NULL).code, ERR_NONE);
        assert_int_equal(device(idle)->nodes_count, 1);
        uint64_t session       = w.device_session[idle];
        w.device_session[idle] = 0; /* its link stays up; world_work does not play it */
        for (int s = 0; s < 35; s++) {
            world_pass(&w, 1000);
            for (enum node_phase p = PHASE_IMAGE; p <= PHASE_MESH; p++) world_work(&w, cluster, p, 0);
        }
        w.device_session[idle] = session;
        assert_int_equal(device(idle)->nodes_count, 0);
        assert_true(cluster_is_forming(at(cluster))); /* on two others */
        struct input end = { .kind = INPUT_TERMINATE, .account = w.user, .subject = cluster };
        assert_int_equal(world_ask(&w, &end, NULL, NULL).code, ERR_NONE);
        world_pass(&w, 2 * NODE_CLOSING_MS);
        assert_int_equal(at(cluster)->charged.micros, 0);
    }
    assert_int_equal(device(idle)->state, DEVICE_HELD);
    assert_non_null(strstr(device(idle)->why, "began none"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_device_that_speaks_for_another_is_not_heard),
        TEST(who_answers_for_a_dead_container_is_replaced_and_unpaid),
        TEST(a_machine_that_is_less_while_it_is_hired_is_held_and_replaced),
        TEST(a_machine_that_nobody_hired_may_change),
        TEST(a_recipe_that_needs_a_way_out_is_served_by_who_gives_one),
        TEST(a_machine_is_linked_once),
        TEST(who_takes_nodes_and_begins_none_is_replaced_and_in_the_end_held),
    };
    return cmocka_run_group_tests_name("suppliers", tests, NULL, NULL);
}
