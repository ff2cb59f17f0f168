/* The standby's copy of the head's state: the program that keeps it is run, restarted and adopted, and the network told how
 * it stands. */
#include "with_node_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The next desired state, with this node as it was, standby or not. */
static void appoint(bool standby)
{
    struct worker_input in = input(IN_DESIRED);
    struct desired      d  = w->desired;
    d.version++;
    d.assignments[0].standby = standby;
    in.desired               = &d;
    step(in);
}

static void says(const char *line)
{
    struct worker_input in = input(IN_COPY_LINE);
    in.text                = str_from(line);
    step(in);
}

static bool is_reported(void)
{
    static struct observed o;
    worker_observe(w, now, &o);
    assert_int_equal(o.nodes_count, 1);
    return o.nodes[0].copied;
}

static void who_becomes_the_standby_copies_and_says_when_the_copy_is_whole(void **state)
{
    (void)state;
    tick_after(1000);
    assert_false(does(ACT_START_COPY));
    appoint(true);
    assert_true(does(ACT_START_COPY));
    assert_false(is_reported());

    says("copying");
    assert_false(is_reported());
    says("it is copied"); /* no word of ours */
    assert_false(is_reported());
    says("copied");
    assert_true(out.observe && is_reported());
    says("copied");
    assert_false(out.observe);
    says("copying");
    assert_true(out.observe && !is_reported());
}

static void a_copying_program_that_ends_is_started_again_and_has_no_copy(void **state)
{
    (void)state;
    appoint(true);
    says("copied");
    step(input(IN_COPY));
    assert_true(out.observe && !is_reported());
    assert_false(does(ACT_START_COPY));
    says("copied"); /* a last word that comes late */
    assert_false(is_reported());
    tick_after(WORKER_COPY_MS);
    assert_true(does(ACT_START_COPY));
    tick_after(WORKER_COPY_MS);
    assert_false(does(ACT_START_COPY));
    says("copied");
    assert_true(is_reported());
}

static void who_is_no_standby_any_more_stops_copying(void **state)
{
    (void)state;
    appoint(true);
    says("copied");
    appoint(false);
    assert_true(does(ACT_STOP_COPY));
    assert_false(is_reported());
    appoint(true);
    assert_true(does(ACT_START_COPY));
}

static void a_worker_that_starts_anew_finds_the_copy_as_whole_as_it_left_it(void **state)
{
    (void)state;
    appoint(true);
    says("copied");
    assert_true(out.save);
    struct worker_saved *saved = calloc(1, sizeof *saved);
    assert_non_null(saved);
    worker_save(w, now, saved);

    memset(w, 0, sizeof *w);
    struct worker_input in = input(IN_START);
    in.saved               = saved;
    step(in);
    free(saved);
    in                 = input(IN_FOUND);
    in.found_container = in.found_mesh = true;
    step(in);
    assert_true(is_reported());
    assert_true(does(ACT_START_COPY)); /* it went on in the container; who listens to it is new */
    says("copying");
    assert_false(is_reported());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_becomes_the_standby_copies_and_says_when_the_copy_is_whole, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_copying_program_that_ends_is_started_again_and_has_no_copy, begin,
                                        end),
        cmocka_unit_test_setup_teardown(who_is_no_standby_any_more_stops_copying, begin, end),
        cmocka_unit_test_setup_teardown(a_worker_that_starts_anew_finds_the_copy_as_whole_as_it_left_it, begin,
                                        end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
