#include "worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define IMAGE "203.0.113.3:5000/ray@sha256:00"

static struct worker        *w;
static struct worker_actions out;
static struct worker_saved   saved;
static uint64_t              now;

static struct worker_input input(enum worker_input_kind kind)
{
    return (struct worker_input){ .kind = kind, .boot_id = "boot-one" };
}

static void step(struct worker_input in)
{
    worker_step(w, now, &in, &out);
    if (!out.save) return;
    bool                  observe = out.observe, collect = out.collect;
    struct worker_actions kept = out;
    worker_save(w, now, &saved);
    worker_step(w, now, &(struct worker_input){ .kind = IN_SYNCED }, &out);
    assert_int_equal(out.count, 0);
    kept.observe = observe || out.observe;
    kept.collect = collect || out.collect;
    out          = kept;
}

static void tick_after(uint64_t ms)
{
    now += ms;
    step(input(IN_TICK));
}

static uint32_t count_of(enum worker_action_kind kind)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < out.count; i++) n += out.list[i].kind == kind;
    return n;
}

static const struct worker_action *the(enum worker_action_kind kind)
{
    for (uint32_t i = 0; i < out.count; i++)
        if (out.list[i].kind == kind) return &out.list[i];
    fail_msg("there is no action %d", kind);
    return NULL;
}

static struct assignment assignment_of(uint8_t node, uint64_t incarnation)
{
    struct assignment a = { .incarnation  = incarnation,
                            .index        = node,
                            .head_index   = 1,
                            .nodes        = 3,
                            .cpus_milli   = 1000,
                            .memory_bytes = 1 << 30,
                            .paid         = { 60000 } };
    memset(a.node.id.bytes, node, ID_BYTES);
    strcpy(a.recipe, "ray");
    strcpy(a.image, IMAGE);
    return a;
}

static struct worker_ref ref_of(uint8_t node, uint64_t incarnation)
{
    struct assignment a = assignment_of(node, incarnation);
    return (struct worker_ref){ a.node, incarnation };
}

static struct desired desired_of(uint64_t epoch, uint64_t version)
{
    return (struct desired){ .epoch = epoch, .version = version };
}

static void tell(const struct desired *d)
{
    struct worker_input in = input(IN_DESIRED);
    in.desired             = d;
    step(in);
}

static void tell_one(uint64_t version, uint8_t node, uint64_t incarnation)
{
    struct desired d                     = desired_of(1, version);
    d.assignments[d.assignments_count++] = assignment_of(node, incarnation);
    tell(&d);
}

static void answer(enum worker_input_kind kind, struct worker_ref ref)
{
    struct worker_input in = input(kind);
    in.ref                 = ref;
    in.inside              = "192.168.1.7:40001";
    memset(in.key, 0x55, sizeof in.key);
    step(in);
}

static void answer_image(struct err e)
{
    struct worker_input in = input(IN_IMAGE);
    in.text                = STR(IMAGE);
    in.err                 = e;
    step(in);
}

static void start_anew(const char *boot, const struct worker_saved *from)
{
    struct worker_input in = input(IN_START);
    memset(w, 0, sizeof *w);
    in.saved   = from;
    in.boot_id = boot;
    step(in);
}

/* To a container that runs. */
static void serve(uint8_t node, uint64_t incarnation)
{
    struct worker_ref r = ref_of(node, incarnation);
    answer(IN_RECIPE, r);
    answer_image(OK);
    answer(IN_MESH, r);
    assert_int_equal(the(ACT_START_CONTAINER)->slot, worker_find(w, r) - w->nodes);
    answer(IN_CONTAINER, r);
    assert_int_equal(worker_find(w, r)->step, STEP_SERVING);
}

static struct observed_node report_of(struct worker_ref r)
{
    static struct observed o;
    worker_observe(w, now, &o);
    for (uint32_t i = 0; i < o.nodes_count; i++)
        if (id_eq(o.nodes[i].node.id, r.node.id) && o.nodes[i].incarnation == r.incarnation) return o.nodes[i];
    fail_msg("it is not reported");
    return (struct observed_node){ .phase = PHASE_COUNT };
}

static int begin(void **state)
{
    (void)state;
    now = 1000000;
    w   = calloc(1, sizeof *w);
    if (!w) return -1;
    start_anew("boot-one", NULL);
    step(input(IN_LINK_UP));
    return 0;
}

static int end(void **state)
{
    (void)state;
    free(w);
    return 0;
}

/* ---- a node's life ----------------------------------------------------------------------------------- */

static void a_node_goes_from_asked_to_running(void **state)
{
    (void)state;
    struct worker_ref r = ref_of(2, 1);
    tell_one(1, 2, 1);
    assert_true(out.save && out.observe);
    assert_string_equal(the(ACT_FETCH_IMAGE)->image, IMAGE);
    assert_int_equal(count_of(ACT_FETCH_RECIPE), 1);
    assert_int_equal(count_of(ACT_MAKE_MESH), 0); /* the recipe says what the namespace is like */
    assert_int_equal(report_of(r).phase, PHASE_IMAGE);

    answer(IN_RECIPE, r);
    assert_int_equal(count_of(ACT_MAKE_MESH), 1);
    answer(IN_MESH, r);
    assert_int_equal(count_of(ACT_SET_MEETS), 1);
    assert_true(out.observe);
    assert_int_equal(report_of(r).mesh_key[0], 0x55);
    assert_string_equal(report_of(r).inside, "192.168.1.7:40001");
    assert_int_equal(count_of(ACT_START_CONTAINER), 0);
    answer_image(OK);
    assert_int_equal(count_of(ACT_START_CONTAINER), 1);
    tick_after(100);
    assert_int_equal(count_of(ACT_START_CONTAINER), 0);
    answer(IN_CONTAINER, r);
    assert_int_equal(report_of(r).phase, PHASE_STARTING);
    tick_after(WORKER_STARTED_MS);
    assert_int_equal(report_of(r).phase, PHASE_RUNNING);
}

static void what_the_newest_desired_state_drops_ends_and_leaves_no_report(void **state)
{
    (void)state;
    tell_one(1, 2, 1);
    serve(2, 1);
    struct desired none = desired_of(1, 2);
    tell(&none);
    assert_int_equal(count_of(ACT_CLEAN), 1);
    tick_after(10);
    assert_int_equal(count_of(ACT_CLEAN), 0);
    answer(IN_CLEANED, ref_of(2, 1));
    assert_null(worker_find(w, ref_of(2, 1)));
}

static void cleaning_that_failed_is_tried_again(void **state)
{
    (void)state;
    tell_one(1, 2, 1);
    serve(2, 1);
    struct desired none = desired_of(1, 2);
    tell(&none);
    struct worker_input in = input(IN_CLEANED);
    in.ref                 = ref_of(2, 1);
    in.err                 = ERR(IO, "busy");
    step(in);
    assert_int_equal(count_of(ACT_CLEAN), 0);
    tick_after(WORKER_RETRY_MS);
    assert_int_equal(count_of(ACT_CLEAN), 1);
}

static void an_older_desired_state_is_ignored(void **state)
{
    (void)state;
    static const uint64_t older[][2]     = { { 3, 6 }, { 2, 9 }, { 1, 1 } };
    struct desired        d              = desired_of(3, 7);
    d.assignments[d.assignments_count++] = assignment_of(2, 1);
    tell(&d);
    for (size_t i = 0; i < countof(older); i++) {
        struct desired old = desired_of(older[i][0], older[i][1]);
        tell(&old);
        assert_int_equal(w->desired.epoch, 3);
        assert_int_equal(w->desired.version, 7);
        assert_int_equal(worker_find(w, ref_of(2, 1))->step, STEP_PREPARING);
    }
    struct desired newer = desired_of(4, 1);
    tell(&newer);
    assert_int_equal(worker_find(w, ref_of(2, 1))->step, STEP_ENDING);
}

static void a_greater_incarnation_starts_when_the_one_before_is_gone(void **state)
{
    (void)state;
    tell_one(1, 2, 1);
    serve(2, 1);
    tell_one(2, 2, 2);
    assert_int_equal(count_of(ACT_CLEAN), 1);
    assert_int_equal(count_of(ACT_FETCH_RECIPE), 0);
    assert_int_equal(worker_find(w, ref_of(2, 2))->step, STEP_PREPARING);
    answer(IN_CONTAINER, ref_of(2, 1)); /* late, of the one before */
    answer(IN_CLEANED, ref_of(2, 1));
    assert_null(worker_find(w, ref_of(2, 1)));
    assert_int_equal(count_of(ACT_FETCH_RECIPE), 1);
    assert_int_equal(report_of(ref_of(2, 2)).served_ms, 0);
}

static void no_container_starts_while_another_node_is_being_cleaned(void **state)
{
    (void)state;
    tell_one(1, 2, 1);
    serve(2, 1);
    tell_one(2, 3, 1);
    answer(IN_RECIPE, ref_of(3, 1));
    answer(IN_MESH, ref_of(3, 1));
    assert_int_equal(count_of(ACT_START_CONTAINER), 0);
    answer(IN_CLEANED, ref_of(2, 1));
    assert_int_equal(count_of(ACT_START_CONTAINER), 1);
}

static void a_node_ends_by_itself_when_its_pay_is_used_up(void **state)
{
    (void)state;
    tell_one(1, 2, 1);
    serve(2, 1);
    step(input(IN_LINK_DOWN));
    tick_after(59000);
    assert_int_equal(worker_find(w, ref_of(2, 1))->step, STEP_SERVING);
    tick_after(1000);
    assert_int_equal(count_of(ACT_CLEAN), 1);
    answer(IN_CLEANED, ref_of(2, 1));
    assert_int_equal(report_of(ref_of(2, 1)).phase, PHASE_ENDED);
    assert_int_equal(report_of(ref_of(2, 1)).served_ms, 60000);
}

static void pay_told_again_counts_from_its_receipt(void **state)
{
    (void)state;
    tell_one(1, 2, 1);
    serve(2, 1);
    now += 50000;
    tell_one(1, 2, 1);
    tick_after(59000);
    assert_int_equal(worker_find(w, ref_of(2, 1))->step, STEP_SERVING);
    tick_after(1000);
    assert_int_equal(worker_find(w, ref_of(2, 1))->step, STEP_ENDING);
}

static void a_container_that_ends_is_reported_with_its_log_until_it_is_dropped(void **state)
{
    (void)state;
    struct worker_ref r = ref_of(2, 1);
    tell_one(1, 2, 1);
    serve(2, 1);
    now += 700;
    struct worker_input in = input(IN_CONTAINER);
    in.ref                 = r;
    in.err                 = ERR(IO, "it ended");
    in.text                = STR("ended with code 3");
    in.log_end             = STR("one\ntwo \xc3\xa9\n");
    step(in);
    assert_true(out.observe);
    answer(IN_CLEANED, r);
    tell_one(2, 2, 1); /* listed still: it is not started again */
    assert_int_equal(out.count, 0);
    struct observed_node o = report_of(r);
    assert_int_equal(o.phase, PHASE_ENDED);
    assert_string_equal(o.why, "ended with code 3");
    assert_string_equal(o.log_end, "one\ntwo \xc3\xa9\n");
    assert_int_equal(o.served_ms, 700);
    struct desired none = desired_of(1, 3);
    tell(&none);
    assert_null(worker_find(w, r));
}

static void an_image_that_fails_is_tried_again_and_told(void **state)
{
    (void)state;
    static struct observed o;
    tell_one(1, 2, 1);
    answer(IN_RECIPE, ref_of(2, 1));
    answer(IN_MESH, ref_of(2, 1));
    answer_image(ERR(IO, "the registry did not answer"));
    assert_string_equal(report_of(ref_of(2, 1)).why, "the registry did not answer");
    worker_observe(w, now, &o);
    assert_string_equal(o.trouble, "image " IMAGE ": the registry did not answer");
    tick_after(WORKER_RETRY_MS);
    assert_int_equal(count_of(ACT_FETCH_IMAGE), 1);
    answer_image(OK);
    assert_int_equal(count_of(ACT_START_CONTAINER), 1);
    worker_observe(w, now, &o);
    assert_string_equal(o.trouble, "");
    assert_string_equal(o.images[0].image, IMAGE);
}

static void an_image_that_does_not_exist_ends_the_node(void **state)
{
    (void)state;
    tell_one(1, 2, 1);
    answer_image(ERR(MISSING, "the registry has no such image"));
    assert_int_equal(report_of(ref_of(2, 1)).phase, PHASE_ENDED);
    assert_string_equal(report_of(ref_of(2, 1)).why, "the registry has no such image");
}

static void images_are_fetched_ahead_of_need_one_after_the_other(void **state)
{
    (void)state;
    struct desired d = desired_of(1, 1);
    strcpy(d.images[d.images_count++].image, "r/one@sha256:01");
    strcpy(d.images[d.images_count++].image, IMAGE);
    tell(&d);
    assert_string_equal(the(ACT_FETCH_IMAGE)->image, "r/one@sha256:01");
    assert_int_equal(count_of(ACT_FETCH_IMAGE), 1);
    struct worker_input in = input(IN_IMAGE);
    in.text                = STR("r/one@sha256:01");
    step(in);
    assert_string_equal(the(ACT_FETCH_IMAGE)->image, IMAGE);
    answer_image(OK);
    d.version      = 2;
    d.images_count = 1;
    tell(&d);
    assert_true(out.collect);
    static struct observed o;
    worker_observe(w, now, &o);
    assert_int_equal(o.images_count, 1);
}

static void an_image_that_is_held_and_wanted_makes_no_room_for_another(void **state)
{
    (void)state;
    static struct wanted_image held[WORKER_IMAGES_MAX];
    for (int i = 0; i < WORKER_IMAGES_MAX; i++)
        snprintf(held[i].image, sizeof held[i].image, "r/i@sha256:%02d", i);
    struct worker_input in = input(IN_START);
    memset(w, 0, sizeof *w);
    in.images       = held;
    in.images_count = WORKER_IMAGES_MAX;
    step(in);
    struct desired d = desired_of(1, 1);
    strcpy(d.images[d.images_count++].image, "r/new@sha256:99");
    memcpy(d.images[d.images_count++].image, held[0].image, sizeof held[0].image);
    tell(&d);
    assert_string_equal(the(ACT_FETCH_IMAGE)->image, "r/new@sha256:99");
    static struct observed o;
    worker_observe(w, now, &o);
    assert_int_equal(o.images_count, 1);
    assert_string_equal(o.images[0].image, held[0].image);
}

/* ---- counting and the disk --------------------------------------------------------------------------- */

static void served_time_counts_while_the_container_runs_and_is_synced(void **state)
{
    (void)state;
    struct worker_ref r = ref_of(2, 1);
    tell_one(1, 2, 1);
    now += 5000; /* preparing is not serving */
    serve(2, 1);
    tick_after(3000);
    assert_false(out.save);
    assert_int_equal(report_of(r).served_ms, 3000);
    tick_after(1000);
    assert_true(out.save);
    assert_int_equal(saved.nodes[0].served_ms, 4000);
}

static void no_more_is_reported_as_served_than_is_nearly_on_the_disk(void **state)
{
    (void)state;
    struct worker_ref r = ref_of(2, 1);
    tell_one(1, 2, 1);
    serve(2, 1);
    tick_after(4000);
    for (int i = 0; i < 20; i++) { /* the disk takes nothing: IN_SYNCED does not come */
        now += 1000;
        worker_step(w, now, &(struct worker_input){ .kind = IN_TICK }, &out);
    }
    assert_int_equal(report_of(r).served_ms, 4000 + WORKER_UNSYNCED_MS);
}

static void reports_come_on_change_and_every_five_seconds_while_serving(void **state)
{
    (void)state;
    tick_after(WORKER_OBSERVED_MS - 1);
    assert_false(out.observe);
    tick_after(1);
    assert_true(out.observe);
    tell_one(1, 2, 1);
    serve(2, 1);
    tick_after(WORKER_REPORT_MS - 1);
    assert_false(out.observe);
    tick_after(1);
    assert_true(out.observe);
    step(input(IN_LINK_DOWN));
    tick_after(WORKER_OBSERVED_MS);
    assert_false(out.observe);
    step(input(IN_LINK_UP));
    assert_true(out.observe);
}

static void a_worker_started_again_adopts_what_runs_and_counts_on(void **state)
{
    (void)state;
    struct worker_ref r = ref_of(2, 1);
    tell_one(1, 2, 1);
    serve(2, 1);
    tick_after(4000);
    now += 2500;
    start_anew("boot-one", &saved);
    assert_int_equal(count_of(ACT_FIND), 1);
    step(input(IN_LINK_UP));
    assert_false(out.observe); /* half found, it would seem to have ended */
    struct worker_input in = input(IN_FOUND);
    in.ref                 = r;
    in.found_mesh = in.found_container = true;
    step(in);
    assert_true(out.observe);
    assert_int_equal(count_of(ACT_START_CONTAINER) + count_of(ACT_MAKE_MESH) + count_of(ACT_CLEAN), 0);
    assert_int_equal(report_of(r).served_ms, 6500);
    assert_int_equal(report_of(r).mesh_key[0], 0x55);
    tick_after(60000);
    assert_int_equal(worker_find(w, r)->step, STEP_ENDING);
}

static void a_container_that_ended_meanwhile_is_reported_as_ended(void **state)
{
    (void)state;
    struct worker_ref r = ref_of(2, 1);
    tell_one(1, 2, 1);
    serve(2, 1);
    tick_after(4000);
    start_anew("boot-one", &saved);
    struct worker_input in = input(IN_FOUND);
    in.ref                 = r;
    in.found_mesh          = true;
    in.text                = STR("ended with code 1");
    step(in);
    assert_int_equal(count_of(ACT_CLEAN), 1);
    assert_string_equal(report_of(r).why, "ended with code 1");
    assert_int_equal(report_of(r).served_ms, 4000);
}

static void after_a_reboot_nothing_is_started_until_the_network_says_so(void **state)
{
    (void)state;
    struct worker_ref r = ref_of(2, 1);
    tell_one(1, 2, 1);
    serve(2, 1);
    tick_after(4000);
    now = 5000; /* the clock begins anew */
    start_anew("boot-two", &saved);
    assert_int_equal(count_of(ACT_CLEAN), 1);
    assert_int_equal(count_of(ACT_FIND), 0);
    assert_int_equal(report_of(r).phase, PHASE_ENDED);
    assert_int_equal(report_of(r).served_ms, 4000);
    answer(IN_CLEANED, r);
    tick_after(1000);
    assert_int_equal(out.count, 0);
    tell_one(2, 2, 2);
    assert_int_equal(count_of(ACT_FETCH_RECIPE), 1);
}

static void stopping_all_ends_what_runs_and_starts_nothing(void **state)
{
    (void)state;
    tell_one(1, 2, 1);
    serve(2, 1);
    step(input(IN_STOP_ALL));
    assert_int_equal(count_of(ACT_CLEAN), 1);
    answer(IN_CLEANED, ref_of(2, 1));
    tell_one(2, 3, 1);
    assert_int_equal(out.count, 0);
}

/* ---- tunnels ----------------------------------------------------------------------------------------- */

static void tunnel(enum worker_tunnel what)
{
    struct worker_input in = input(IN_TUNNEL);
    in.ref                 = ref_of(2, 1);
    in.tunnel              = what;
    step(in);
}

static void a_few_tunnels_wait_and_those_taken_or_lost_are_replaced(void **state)
{
    (void)state;
    struct desired d                     = desired_of(1, 1);
    d.assignments[d.assignments_count++] = assignment_of(2, 1);
    strcpy(d.assignments[0].tunnel, "203.0.113.2:443");
    strcpy(d.assignments[0].ticket, "t");
    tell(&d);
    assert_int_equal(count_of(ACT_DIAL_TUNNEL), 0);
    struct worker_ref r = ref_of(2, 1);
    answer(IN_RECIPE, r);
    answer_image(OK);
    answer(IN_MESH, r);
    answer(IN_CONTAINER, r);
    assert_int_equal(count_of(ACT_DIAL_TUNNEL), WORKER_TUNNELS);
    for (int i = 0; i < WORKER_TUNNELS; i++) tunnel(TUNNEL_OPEN);
    assert_int_equal(count_of(ACT_DIAL_TUNNEL), 0);
    tunnel(TUNNEL_TAKEN);
    assert_int_equal(count_of(ACT_DIAL_TUNNEL), 1);
    tunnel(TUNNEL_FAILED);
    assert_int_equal(count_of(ACT_DIAL_TUNNEL), 0);
    tick_after(WORKER_TUNNEL_LEAST_MS - 1);
    assert_int_equal(count_of(ACT_DIAL_TUNNEL), 0);
    tick_after(1);
    assert_int_equal(count_of(ACT_DIAL_TUNNEL), 1);
    tunnel(TUNNEL_FAILED);
    tick_after(2 * WORKER_TUNNEL_LEAST_MS - 1);
    assert_int_equal(count_of(ACT_DIAL_TUNNEL), 0);
    tick_after(1);
    assert_int_equal(count_of(ACT_DIAL_TUNNEL), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(a_node_goes_from_asked_to_running),
        TEST(what_the_newest_desired_state_drops_ends_and_leaves_no_report),
        TEST(cleaning_that_failed_is_tried_again),
        TEST(an_older_desired_state_is_ignored),
        TEST(a_greater_incarnation_starts_when_the_one_before_is_gone),
        TEST(no_container_starts_while_another_node_is_being_cleaned),
        TEST(a_node_ends_by_itself_when_its_pay_is_used_up),
        TEST(pay_told_again_counts_from_its_receipt),
        TEST(a_container_that_ends_is_reported_with_its_log_until_it_is_dropped),
        TEST(an_image_that_fails_is_tried_again_and_told),
        TEST(an_image_that_does_not_exist_ends_the_node),
        TEST(images_are_fetched_ahead_of_need_one_after_the_other),
        TEST(an_image_that_is_held_and_wanted_makes_no_room_for_another),
        TEST(served_time_counts_while_the_container_runs_and_is_synced),
        TEST(no_more_is_reported_as_served_than_is_nearly_on_the_disk),
        TEST(reports_come_on_change_and_every_five_seconds_while_serving),
        TEST(a_worker_started_again_adopts_what_runs_and_counts_on),
        TEST(a_container_that_ended_meanwhile_is_reported_as_ended),
        TEST(after_a_reboot_nothing_is_started_until_the_network_says_so),
        TEST(stopping_all_ends_what_runs_and_starts_nothing),
        TEST(a_few_tunnels_wait_and_those_taken_or_lost_are_replaced),
    };
    return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
