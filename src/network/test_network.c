/* The network's rules, told as stories. After every step of every story: the invariants, in memory and in what the
 * store holds (world_step). */
#include "with_story_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define HOUR MS_PER_HOUR
#define ASK 100000 /* 0.10 USDC an hour */

static int64_t balance(struct account_id a)
{
    return ledger_balance(&w.n.ledger, LEDGER_BALANCE, a.id).micros;
}

static int64_t earnings(struct account_id a)
{
    return ledger_balance(&w.n.ledger, LEDGER_EARNINGS, a.id).micros;
}

static int64_t fees(void)
{
    return ledger_balance(&w.n.ledger, LEDGER_FEES, (struct id){ { 0 } }).micros;
}

static void terminate(struct id cluster)
{
    struct input in = { .kind = INPUT_TERMINATE, .account = w.user, .subject = cluster };
    assert_int_equal(world_ask(&w, &in, NULL, NULL).code, ERR_NONE);
}

/* The node of that cluster that is no head and lives; the first of them that `skip` allows. */
static const struct node *a_worker(struct id cluster)
{
    const struct node *found = NULL;
    for (const struct node *x = NULL; (x = table_next(&w.n.nodes, x));)
        if (id_eq(x->cluster.id, cluster) && x->role == NODE_WORKER && x->state == NODE_SERVING && !x->witness)
            found = x;
    assert_non_null(found);
    return found;
}

static void a_cluster_is_paid_for_by_the_millisecond_served(void **state)
{
    (void)state;
    world_come(&w, 4);
    int64_t   before  = balance(w.user);
    struct id cluster = world_ready(&w, 3);
    assert_int_equal(at(cluster)->escrow.micros, 3 * ASK);
    assert_int_equal(balance(w.user), before - 3 * ASK);

    for (int i = 1; i <= 36; i++) { /* 36 seconds: a hundredth of an hour */
        world_pass(&w, 1000);
        world_work(&w, cluster, PHASE_RUNNING, 60000 + (uint64_t)i * 1000);
        world_witness(&w, cluster, 0, 60000 + (uint64_t)i * 1000);
    }
    terminate(cluster);
    world_work(&w, cluster, PHASE_ENDED, 0);
    world_pass(&w, NODE_CLOSING_MS + 400);
    assert_int_equal(at(cluster)->state, CLUSTER_ENDED);
    assert_int_equal(at(cluster)->charged.micros, 3000); /* 3 × 100,000 / 100 */
    assert_int_equal(at(cluster)->refunded.micros, 297000);
    assert_int_equal(balance(w.user), before - 3000);
    assert_int_equal(fees(), 3 * 2); /* 0.25 % of 1,000 is 2.5: 2 for each node */
    assert_int_equal(earnings(w.supplier), 3000 - 6);
}

static void a_node_is_charged_the_least_of_reported_elapsed_and_seen(void **state)
{
    (void)state;
    static const struct {
        int64_t elapsed, served, seen, counted;
    } rows[] = {
        { 1000, 1000, 1000, 1000 }, { 1000, 900, 1000, 900 }, { 1000, 5000, 800, 800 },
        { 1000, 5000, 5000, 1000 }, { 0, 5000, 5000, 0 },     { 1000, 0, 1000, 0 },
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct node x = { .state     = NODE_SERVING,
                          .units     = 1,
                          .passed    = { 77 },
                          .served_ms = (uint64_t)rows[i].served,
                          .seen_ms   = (uint64_t)rows[i].seen };
        assert_int_equal(node_counted(&x, (struct instant){ 77 + rows[i].elapsed }).ms, rows[i].counted);
        x.closed = (struct instant){ 77 + rows[i].elapsed };
        assert_int_equal(node_counted(&x, (struct instant){ 1 << 30 }).ms, rows[i].counted);
        x.passed = (struct instant){ 0 };
        assert_int_equal(node_counted(&x, (struct instant){ 1 << 30 }).ms, 0);
    }
}

static void repeated_and_lost_reports_change_nothing(void **state)
{
    (void)state;
    world_come(&w, 3);
    struct id cluster = world_ready(&w, 3);
    world_pass(&w, 10000);
    for (int i = 0; i < 5; i++) world_work(&w, cluster, PHASE_RUNNING, 10000);
    world_witness(&w, cluster, 0, 9000);
    world_witness(&w, cluster, 0, 9000);
    world_work(&w, cluster, PHASE_RUNNING, 4000); /* late */
    world_witness(&w, cluster, 0, 9000);
    const struct node *x = a_worker(cluster);
    assert_int_equal(x->served_ms, 10000);
    assert_int_equal(x->seen_ms, 9000);
}

static void what_the_head_served_counts_through_a_change_of_its_witness_and_a_restart(void **state)
{
    (void)state;
    world_come(&w, 4);
    struct id cluster = world_ready(&w, 3);
    world_pass(&w, 20000);
    world_work(&w, cluster, PHASE_RUNNING, 20000);
    world_witness(&w, cluster, 0, 20000);
    const struct node *head = NULL, *witness = NULL;
    for (const struct node *x = NULL; (x = table_next(&w.n.nodes, x));) {
        if (x->role == NODE_HEAD) head = x;
        if (x->role == NODE_WORKER && x->witness) witness = x;
    }
    struct id id = head->id.id, lost = witness->id.id;
    world_link_goes(&w, world_device_of(&w, witness));
    world_witness(&w, cluster, witness->index, 20000);
    world_pass(&w, 3000);
    assert_int_equal(network_node(&w.n, lost)->state, NODE_CLOSED);
    assert_int_equal(head->seen_ms, 20000);

    world_witness(&w, cluster, 0, 5000); /* its first words may have been lost */
    assert_int_equal(head->seen_ms, 25000);
    world_restart(&w);
    for (int i = 0; i < 4; i++) assert_int_equal(world_link(&w, i, 1, false).code, ERR_NONE);
    world_witness(&w, cluster, 0, 9000);
    assert_int_equal(network_node(&w.n, id)->seen_ms, 29000);
}

/* Its worker reports and its own witness sees for all of `ms`, as always. */
static void serve_alone(struct id cluster, int64_t ms, uint64_t served_ms)
{
    world_pass(&w, ms);
    world_work(&w, cluster, PHASE_RUNNING, served_ms);
    world_witness(&w, cluster, 0, served_ms);
}

static int64_t charged_alone(struct id cluster)
{
    return network_charged(&w.n, at(cluster)).micros;
}

static void a_node_that_is_alone_is_charged_by_what_the_gateway_saw(void **state)
{
    (void)state;
    world_come(&w, 2);
    struct id            cluster = world_ready(&w, 1); /* by its own witness's word */
    const struct effect *told    = world_effect(&w, EFFECT_PROBE);
    const struct node   *x       = network_cluster_node(&w.n, at(cluster), NULL);
    assert_non_null(told);
    assert_true(id_eq(told->subject, x->id.id) && network_is_probed(&w.n, x));
    serve_alone(cluster, 36000, 36000);
    assert_int_equal(x->seen_ms, 0);
    assert_int_equal(charged_alone(cluster), 0); /* nobody else has seen it */

    struct input lie = { .kind      = INPUT_GW_PROBED,
                         .session   = w.device_session[world_device_of(&w, x)],
                         .subject   = x->device.id,
                         .gw_probed = { .node = x->id, .seen_ms = 36000 } };
    world_step(&w, &lie);
    assert_int_equal(charged_alone(cluster), 0);

    world_probe(&w, cluster, 18000); /* it did not answer half of the time */
    assert_int_equal(charged_alone(cluster), ASK / 200);
    serve_alone(cluster, 36000, 45000);
    world_probe(&w, cluster, 54000); /* and half of the rest its container did not run */
    assert_int_equal(charged_alone(cluster), ASK / 80);
    terminate(cluster);
    world_probe(&w, cluster, 90000); /* nothing counts beyond what was reported */
    world_work(&w, cluster, PHASE_ENDED, 0);
    world_pass(&w, NODE_CLOSING_MS + 400);
    world_probe(&w, cluster, 99000);
    assert_int_equal(at(cluster)->state, CLUSTER_ENDED);
    assert_int_equal(at(cluster)->charged.micros, ASK / 80);

    cluster = world_ready(&w, 2); /* two see each other: what the gateway sees is nothing to them */
    assert_null(world_effect(&w, EFFECT_PROBE));
    world_probe(&w, cluster, 1000);
    for (x = NULL; (x = network_cluster_node(&w.n, at(cluster), x));) assert_int_equal(x->seen_ms, 0);
}

static void a_lone_machine_that_vanishes_ends_its_cluster(void **state)
{
    (void)state;
    world_come(&w, 1);
    int64_t            before  = balance(w.user);
    struct id          cluster = world_ready(&w, 1);
    const struct node *x       = network_cluster_node(&w.n, at(cluster), NULL);
    serve_alone(cluster, 10000, 10000);
    world_probe(&w, cluster, 9000);
    world_link_goes(&w, world_device_of(&w, x));
    for (uint64_t seen_ms = 19000; seen_ms <= 59000; seen_ms += 10000) { /* its link alone is gone */
        world_pass(&w, 10000);
        world_probe(&w, cluster, seen_ms);
    }
    assert_int_equal(at(cluster)->state, CLUSTER_READY);
    struct input down = { .kind = INPUT_LINK_DOWN, .session = w.gateway_session, .subject = w.gateway };
    world_step(&w, &down);
    world_pass(&w, 60000); /* nobody can say that it is gone */
    world_gateway_restart(&w);
    world_pass(&w, 14000);
    assert_int_equal(at(cluster)->state, CLUSTER_READY);
    world_pass(&w, 2000);
    world_pass(&w, NODE_CLOSING_MS + 400);
    assert_int_equal(at(cluster)->state, CLUSTER_FAILED);
    assert_non_null(strstr(at(cluster)->why, "lost"));
    assert_int_equal(balance(w.user), before - ASK * 10 / 3600); /* it reported ten seconds */
}

static void a_gateway_that_is_away_costs_a_lone_node_that_time_and_no_more(void **state)
{
    (void)state;
    world_come(&w, 1);
    struct id          cluster = world_ready(&w, 1);
    const struct node *x       = network_cluster_node(&w.n, at(cluster), NULL);
    serve_alone(cluster, 10000, 10000);
    world_probe(&w, cluster, 9000);
    serve_alone(cluster, 10000, 20000); /* the report of 15 s was lost */
    world_probe(&w, cluster, 19000);
    world_probe(&w, cluster, 15000); /* no: it was late */
    world_probe(&w, cluster, 19000);
    assert_int_equal(x->seen_ms, 19000);

    struct input down = { .kind = INPUT_LINK_DOWN, .session = w.gateway_session, .subject = w.gateway };
    world_step(&w, &down);
    serve_alone(cluster, 30000, 50000); /* the gateway is gone, and comes back 10 s before the link does */
    assert_int_equal(at(cluster)->state, CLUSTER_READY);
    world_probe(&w, cluster, 20000); /* by the link that is gone */
    assert_int_equal(x->seen_ms, 19000);
    world_gateway_restart(&w);
    assert_non_null(world_effect(&w, EFFECT_GATEWAY_ALL));
    world_probe(&w, cluster, 10000);
    world_probe(&w, cluster, 10000);
    assert_int_equal(x->seen_ms, 29000);
    serve_alone(cluster, 10000, 60000);
    world_probe(&w, cluster, 20000);
    assert_int_equal(charged_alone(cluster), ASK * 39 / 3600);

    world_restart(&w); /* what the network had not stored it hears again */
    world_gateway_back(&w);
    world_probe(&w, cluster, 21000);
    x = network_cluster_node(&w.n, at(cluster), NULL);
    assert_int_equal(x->seen_ms, 40000);
    world_probe(&w, cluster, 50000);
    world_restart(&w); /* and the gateway dies with it, which could say it again */
    world_gateway_restart(&w);
    world_probe(&w, cluster, 500);
    x = network_cluster_node(&w.n, at(cluster), NULL);
    assert_int_equal(x->seen_ms, 69500);
}

static void a_lost_worker_is_replaced_and_bills_nothing_more(void **state)
{
    (void)state;
    world_come(&w, 4);
    struct id cluster = world_ready(&w, 3);
    world_pass(&w, 20000);
    world_work(&w, cluster, PHASE_RUNNING, 20000);
    world_witness(&w, cluster, 0, 20000);

    const struct node *x      = a_worker(cluster);
    struct id          lost   = x->id.id;
    int                device = world_device_of(&w, x);
    world_link_goes(&w, device);
    world_pass(&w, 2000);
    assert_int_equal(at(cluster)->state, CLUSTER_READY); /* the witness still sees it: an outage is no loss */
    world_witness(&w, cluster, x->index, 22000);
    world_pass(&w, 1000);
    assert_int_equal(at(cluster)->state, CLUSTER_HEALING);
    assert_int_equal(network_node(&w.n, lost)->state, NODE_CLOSED);
    int64_t charged = network_node(&w.n, lost)->charged.micros;
    assert_true(charged > 0);

    world_work(&w, cluster, PHASE_RUNNING, 30000);
    world_witness(&w, cluster, 0, 30000);
    assert_int_equal(at(cluster)->state, CLUSTER_READY);
    assert_true(at(cluster)->healed.ms > at(cluster)->hurt.ms);

    /* It comes back and says that it served all the while. */
    assert_int_equal(world_link(&w, device, 9, false).code, ERR_NONE);
    struct observed o = { .epoch = w.n.meta.epoch, .nodes_count = 1, .images_count = 1 };
    memcpy(o.images[0].image, WORLD_IMAGE, sizeof WORLD_IMAGE);
    o.nodes[0] = (struct observed_node){
        .node = { lost }, .incarnation = 1, .phase = PHASE_RUNNING, .served_ms = 900000
    };
    world_observe(&w, device, &o);
    struct desired d;
    network_desired(&w.n, network_device(&w.n, w.devices[device].id), &d);
    assert_int_equal(d.assignments_count, 0);
    terminate(cluster);
    world_pass(&w, NODE_CLOSING_MS + 400);
    assert_int_equal(network_node(&w.n, lost)->charged.micros, charged);
}

static void a_head_that_is_lost_ends_the_cluster_with_a_refund(void **state)
{
    (void)state;
    world_come(&w, 4);
    struct id          cluster = world_ready(&w, 3);
    const struct node *head    = NULL;
    for (const struct node *x = NULL; (x = table_next(&w.n.nodes, x));)
        if (x->role == NODE_HEAD) head = x;
    world_link_goes(&w, world_device_of(&w, head));
    world_pass(&w, 8000);
    assert_true(at(cluster)->state >= CLUSTER_ENDING);
    world_pass(&w, NODE_CLOSING_MS + 400);
    assert_int_equal(at(cluster)->state, CLUSTER_FAILED);
    assert_string_equal(at(cluster)->why, "its head was lost, and its recipe keeps no state beyond that");
    assert_int_equal(at(cluster)->charged.micros + at(cluster)->refunded.micros, at(cluster)->escrow.micros);
}

static void what_comes_after_a_crash_is_what_was_before(void **state)
{
    (void)state;
    world_come(&w, 4);
    struct id cluster = world_ready(&w, 3);
    world_pass(&w, 10000);
    world_work(&w, cluster, PHASE_RUNNING, 10000);
    world_witness(&w, cluster, 0, 10000);
    uint64_t epoch = w.n.meta.epoch;

    world_restart(&w);
    assert_int_equal(w.n.meta.epoch, epoch + 1);
    assert_int_equal(at(cluster)->state, CLUSTER_READY);
    world_pass(&w, 20000); /* nobody is linked: nothing is lost by that alone */
    assert_int_equal(at(cluster)->state, CLUSTER_READY);
    for (int i = 0; i < 4; i++) assert_int_equal(world_link(&w, i, 1, false).code, ERR_NONE);
    world_work(&w, cluster, PHASE_RUNNING, 30000);
    world_witness(&w, cluster, 0, 30000);
    assert_int_equal(at(cluster)->state, CLUSTER_READY);
    assert_int_equal(at(cluster)->nodes_alive, 3);
    terminate(cluster);
    world_pass(&w, NODE_CLOSING_MS + 400);
    assert_int_equal(at(cluster)->charged.micros, 3 * (100000 * 30 / 3600)); /* once, and for the outage too */
}

static void a_container_that_exits_before_ready_costs_nothing_and_says_why(void **state)
{
    (void)state;
    world_come(&w, 3);
    struct id quote, cluster;
    int64_t   before = balance(w.user);
    assert_int_equal(world_quote(&w, 3, HOUR, &quote, NULL).code, ERR_NONE);
    assert_int_equal(world_create(&w, quote, &cluster, NULL).code, ERR_NONE);
    world_work(&w, cluster, PHASE_RUNNING, 100);
    world_work(&w, cluster, PHASE_ENDED, 100);
    world_pass(&w, 1000);
    assert_int_equal(at(cluster)->state, CLUSTER_FAILED);
    assert_non_null(strstr(at(cluster)->why, "exit 1"));
    assert_string_equal(at(cluster)->log_end, "no such file\n");
    assert_int_equal(balance(w.user), before);
}

static void a_device_lost_before_ready_gives_its_place_to_another_or_all_back(void **state)
{
    (void)state;
    world_come(&w, 4);
    struct id quote, cluster;
    int64_t   before = balance(w.user);
    assert_int_equal(world_quote(&w, 3, HOUR, &quote, NULL).code, ERR_NONE);
    assert_int_equal(world_create(&w, quote, &cluster, NULL).code, ERR_NONE);
    const struct node *x = NULL, *any = NULL;
    while ((x = table_next(&w.n.nodes, x)))
        if (x->role == NODE_WORKER) any = x;
    world_link_goes(&w, world_device_of(&w, any));
    world_pass(&w, 2000);
    assert_true(cluster_is_forming(at(cluster)));
    world_work(&w, cluster, PHASE_RUNNING, 100);
    world_witness(&w, cluster, 0, 100);
    assert_int_equal(at(cluster)->state, CLUSTER_READY);
    terminate(cluster);
    world_pass(&w, NODE_CLOSING_MS + 400);

    assert_int_equal(world_quote(&w, 3, HOUR, &quote, NULL).code, ERR_NONE);
    assert_int_equal(world_create(&w, quote, &cluster, NULL).code, ERR_NONE);
    for (x = NULL; (x = table_next(&w.n.nodes, x));)
        if (x->state == NODE_PLACED && x->role == NODE_WORKER) any = x;
    world_link_goes(&w, world_device_of(&w, any)); /* three are left, and two of them are in it: none is free */
    world_pass(&w, 2000);
    assert_int_equal(at(cluster)->state, CLUSTER_FAILED);
    assert_true(balance(w.user) >= before - 3);
}

static void a_quote_holds_until_it_expires_and_is_taken_once(void **state)
{
    (void)state;
    world_come(&w, 4);
    struct id quote, other, cluster;
    uint64_t  count = 0;
    assert_int_equal(world_quote(&w, 5, HOUR, &quote, &count).code, ERR_CAPACITY);
    assert_int_equal(count, 4);
    assert_int_equal(world_quote(&w, 0, HOUR, &quote, NULL).code, ERR_INVALID);
    assert_int_equal(world_quote(&w, 3, 0, &quote, NULL).code, ERR_INVALID);
    assert_int_equal(world_quote(&w, 3, SPAN_MS_MAX + 1, &quote, NULL).code, ERR_INVALID);
    assert_int_equal(world_quote(&w, 3, HOUR, &quote, NULL).code, ERR_NONE);
    assert_int_equal(world_quote(&w, 3, HOUR, &other, NULL).code, ERR_NONE);
    world_pass(&w, QUOTE_VALID_MS / 2);
    assert_int_equal(world_create(&w, quote, &cluster, NULL).code, ERR_NONE);
    assert_int_equal(world_create(&w, quote, &cluster, NULL).code, ERR_CONFLICT);
    world_pass(&w, 1000); /* who asks again because he heard no answer is told so later too */
    assert_int_equal(world_create(&w, quote, &cluster, NULL).code, ERR_CONFLICT);
    assert_int_equal(world_create(&w, other, &cluster, &count).code, ERR_CAPACITY);
    assert_int_equal(count, 1);
    world_pass(&w, QUOTE_VALID_MS / 2 + 200);
    assert_int_equal(world_create(&w, other, &cluster, NULL).code, ERR_MISSING);
}

static void who_has_too_little_is_told_how_much_is_missing(void **state)
{
    (void)state;
    world_come(&w, 4);
    struct id quote, cluster;
    uint64_t  count;
    assert_int_equal(world_quote(&w, 4, 365 * 24 * (int64_t)HOUR, &quote, NULL).code, ERR_NONE);
    assert_int_equal(world_create(&w, quote, &cluster, &count).code, ERR_FUNDS);
    assert_int_equal(count, 4 * (int64_t)ASK * 365 * 24 - balance(w.user));
}

static void others_clusters_and_devices_do_not_exist(void **state)
{
    (void)state;
    world_come(&w, 3);
    struct id    cluster = world_ready(&w, 3);
    struct input in      = { .kind = INPUT_TERMINATE, .account = w.supplier, .subject = cluster };
    assert_int_equal(world_ask(&w, &in, NULL, NULL).code, ERR_MISSING);
    in = (struct input){ .kind = INPUT_RETIRE, .account = w.user, .subject = w.devices[0].id };
    assert_int_equal(world_ask(&w, &in, NULL, NULL).code, ERR_MISSING);
    in =
        (struct input){ .kind = INPUT_EXTEND, .account = w.supplier, .subject = cluster, .duration = { HOUR } };
    assert_int_equal(world_ask(&w, &in, NULL, NULL).code, ERR_MISSING);
}

static void an_extension_costs_the_difference_and_moves_the_end(void **state)
{
    (void)state;
    world_come(&w, 3);
    struct id      cluster = world_ready(&w, 3);
    struct instant ends    = at(cluster)->ends;
    struct input in = { .kind = INPUT_EXTEND, .account = w.user, .subject = cluster, .duration = { HOUR / 2 } };
    assert_int_equal(world_ask(&w, &in, NULL, NULL).code, ERR_NONE);
    assert_int_equal(at(cluster)->ends.ms, ends.ms + HOUR / 2);
    assert_int_equal(at(cluster)->escrow.micros, 3 * ASK * 3 / 2);
}

static void a_cluster_ends_when_what_was_paid_for_ends(void **state)
{
    (void)state;
    world_come(&w, 3);
    struct id cluster = world_ready(&w, 3);
    for (int i = 1; i <= 61 && at(cluster)->state == CLUSTER_READY; i++) {
        world_pass(&w, 60000);
        world_work(&w, cluster, PHASE_RUNNING, (uint64_t)i * 60000);
        world_witness(&w, cluster, 0, (uint64_t)i * 60000);
    }
    world_pass(&w, NODE_CLOSING_MS + 400);
    assert_int_equal(at(cluster)->state, CLUSTER_ENDED);
    assert_true(at(cluster)->charged.micros <= 3 * ASK);
    assert_true(at(cluster)->charged.micros >= 3 * ASK * 98 / 100);
}

static void a_join_token_is_good_once_and_for_one_kind(void **state)
{
    (void)state;
    world_come(&w, 1);
    struct input in       = { .kind    = INPUT_LINK_UP,
                              .session = 9001,
                              .link    = { .purpose = TOKEN_DEVICE, .has_token = true } };
    in.link.public_key[0] = 200;
    in.link.token_hash[0] = 1; /* device 0's */
    in.link.token_hash[1] = 0xd;
    world_step(&w, &in);
    const struct effect *e = world_effect(&w, EFFECT_REFUSE);
    assert_non_null(e);
    assert_int_equal(e->error.code, ERR_DENIED);
    in.link.has_token = false;
    world_step(&w, &in);
    assert_non_null(world_effect(&w, EFFECT_REFUSE));
    assert_null(world_effect(&w, EFFECT_WELCOME));
}

static void a_copied_state_folder_holds_the_device(void **state)
{
    (void)state;
    world_come(&w, 2);
    assert_int_equal(world_link(&w, 0, 77, false).code, ERR_CONFLICT);
    assert_int_equal(network_device(&w.n, w.devices[0].id)->state, DEVICE_READY);
    world_pass(&w, 11000);
    assert_int_equal(world_link(&w, 0, 77, false).code, ERR_CONFLICT);
    assert_int_equal(network_device(&w.n, w.devices[0].id)->state, DEVICE_HELD);
    assert_int_equal(world_link(&w, 0, 1, false).code, ERR_DENIED);
    struct input in = { .kind = INPUT_RELEASE, .account = w.supplier, .subject = w.devices[0].id };
    assert_int_equal(world_ask(&w, &in, NULL, NULL).code, ERR_NONE);
    assert_int_equal(world_link(&w, 0, 1, false).code, ERR_NONE);
}

static void a_worker_that_saw_a_later_epoch_moves_the_network_past_it(void **state)
{
    (void)state;
    world_come(&w, 1);
    struct observed o = { .epoch = 41 };
    world_observe(&w, 0, &o);
    assert_int_equal(w.n.meta.epoch, 42);
    assert_non_null(world_effect(&w, EFFECT_DESIRED));
}

static void symmetric_nats_get_a_slot_of_the_relay_and_give_it_back(void **state)
{
    (void)state;
    world_come(&w, 4); /* world_work plays device 0 behind a symmetric NAT */
    struct id cluster = world_ready(&w, 3);
    uint32_t  relays  = 0;
    for (const struct relay *r = NULL; (r = table_next(&w.n.relays, r));) relays++;
    assert_int_equal(relays, 2);
    terminate(cluster);
    world_pass(&w, NODE_CLOSING_MS + 400);
    assert_int_equal(w.n.relays.live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_cluster_is_paid_for_by_the_millisecond_served),
        TEST(a_node_is_charged_the_least_of_reported_elapsed_and_seen),
        TEST(repeated_and_lost_reports_change_nothing),
        TEST(what_the_head_served_counts_through_a_change_of_its_witness_and_a_restart),
        TEST(a_node_that_is_alone_is_charged_by_what_the_gateway_saw),
        TEST(a_gateway_that_is_away_costs_a_lone_node_that_time_and_no_more),
        TEST(a_lone_machine_that_vanishes_ends_its_cluster),
        TEST(a_lost_worker_is_replaced_and_bills_nothing_more),
        TEST(a_head_that_is_lost_ends_the_cluster_with_a_refund),
        TEST(what_comes_after_a_crash_is_what_was_before),
        TEST(a_container_that_exits_before_ready_costs_nothing_and_says_why),
        TEST(a_device_lost_before_ready_gives_its_place_to_another_or_all_back),
        TEST(a_quote_holds_until_it_expires_and_is_taken_once),
        TEST(who_has_too_little_is_told_how_much_is_missing),
        TEST(others_clusters_and_devices_do_not_exist),
        TEST(an_extension_costs_the_difference_and_moves_the_end),
        TEST(a_cluster_ends_when_what_was_paid_for_ends),
        TEST(a_join_token_is_good_once_and_for_one_kind),
        TEST(a_copied_state_folder_holds_the_device),
        TEST(a_worker_that_saw_a_later_epoch_moves_the_network_past_it),
        TEST(symmetric_nats_get_a_slot_of_the_relay_and_give_it_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
