#include "with_rig_int.h"

/* Programs inside a container. */

static void programs_inside_tell_line_by_line(void **state)
{
    struct rig       *rig  = *state;
    struct node_id    node = rig_node(rig);
    struct rig_run    run;
    struct rig_inside in = { 0 }, slow = { 0 };
    rig_start_script(rig, node, "sleep 1000", &run);
    rig_exec(&run,
             "echo one; sleep 0.2; printf 'two\\r\\nthree'; echo $COLOUR $SHAPE $(id -u) >&2; pwd >&2; exit 9",
             0, &in);
    rig_exec(&run, "while :; do echo tick; sleep 0.05; done", 0, &slow);
    rig_until(rig, &in.done);
    assert_ok(in.e);
    if (in.code != 9) fail_msg("code %d: %s", in.code, in.said);
    assert_string_equal(in.lines, "one|two|three|");
    assert_string_equal(in.said, "blue round 1000\n/home/user\n");
    rig_until(rig, &slow.two); /* lines come before the end */
    assert_false(slow.done);

    rig_exec(&run, "grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status; ulimit -n", 0, &in);
    rig_until(rig, &in.done);
    assert_string_equal(in.lines, "CapEff:\t0000000000000000|NoNewPrivs:\t1|Seccomp:\t2|1024|");
    rig_clean(rig, node);
    assert_false(slow.done); /* what was cleaned calls nobody */
}

static void a_line_is_told_whole_or_not_at_all(void **state)
{
    struct rig       *rig  = *state;
    struct node_id    node = rig_node(rig);
    struct rig_run    run;
    struct rig_inside in = { 0 };
    char              script[256];
    rig_start_script(rig, node, "sleep 1000", &run);
    snprintf(script, sizeof script,
             "head -c %d /dev/zero | tr '\\0' a; echo; head -c %d /dev/zero | tr '\\0' b; echo; echo; echo end",
             CONTAINER_LINE_BYTES_MAX, CONTAINER_LINE_BYTES_MAX + 1);
    rig_exec(&run, script, 0, &in);
    rig_until(rig, &in.done);
    assert_int_equal(in.longest, CONTAINER_LINE_BYTES_MAX);
    assert_int_equal(in.count, 3);
    assert_string_equal(in.lines, "|end|"); /* the longest does not fit in there */
    rig_clean(rig, node);
}

static void who_talks_too_much_inside_is_slowed_down(void **state)
{
    struct rig       *rig  = *state;
    struct node_id    node = rig_node(rig);
    struct rig_run    run;
    struct rig_inside in = { 0 };
    rig_start_script(rig, node, "sleep 1000", &run);
    uint64_t start = sys_boot_now_ms();
    rig_exec(&run, "yes | head -c 1500000; yes | head -c 1500000 >&2; echo", 0, &in);
    rig_until(rig, &in.done);
    uint64_t seconds = (sys_boot_now_ms() - start) / 1000;
    assert_true(seconds >= 2); /* 3 MB by one MiB a second, less what the pipes hold */
    assert_in_range(in.count, CONTAINER_LINES_PER_SECOND, CONTAINER_LINES_PER_SECOND * (seconds + 1));
    rig_clean(rig, node);
}

/* More of them than the kernel tells in one page. */
static void a_program_inside_is_ended_with_all_that_it_started(void **state)
{
    struct rig           *rig  = *state;
    struct node_id        node = rig_node(rig);
    struct rig_run        run;
    struct rig_inside     in = { .stop_at_line = true };
    const char           *args[3];
    struct container_spec s = rig_spec(rig, node, "sleep 1000", args);
    s.processes_max         = 1000;
    s.memory_bytes          = 1u << 30;
    rig_start(rig, &s, &run);
    rig_until(rig, &run.started);
    rig_exec(&run, "for i in $(seq 900); do sleep 4321.6 & done; echo now; wait", 0, &in);
    rig_until(rig, &in.one);
    for (int i = 0; i < 500 && rig_find_process("4321.6"); i++) {
        rig_turn(rig);
        usleep(10000);
    }
    assert_int_equal(rig_find_process("4321.6"), 0);
    assert_false(run.ended);
    rig_clean(rig, node);
}

static void what_is_no_text_is_not_run_inside(void **state)
{
    struct rig       *rig  = *state;
    struct node_id    node = rig_node(rig);
    struct rig_run    run;
    struct rig_inside in     = { 0 };
    const char *const good[] = { "/bin/true" }, *const bad[] = { "A=\377" };
    rig_start_script(rig, node, "sleep 1000", &run);
    assert_int_equal(container_exec(run.c, bad, 1, NULL, 0, 0, &rig_exec_calls, &in, &in.x).code, ERR_INVALID);
    assert_int_equal(container_exec(run.c, good, 1, bad, 1, 0, &rig_exec_calls, &in, &in.x).code, ERR_INVALID);
    rig_clean(rig, node);
}

static void a_program_inside_is_ended_whole(void **state)
{
    struct rig       *rig  = *state;
    struct node_id    node = rig_node(rig);
    struct rig_run    run;
    struct rig_inside in = { 0 };
    rig_start_script(rig, node, "sleep 1000", &run);
    rig_exec(&run, "sleep 4321.5", 300, &in);
    rig_until(rig, &in.done);
    assert_int_equal(in.e.code, ERR_TIMEOUT);
    for (int i = 0; i < 200 && rig_find_process("4321.5"); i++) usleep(10000);
    assert_int_equal(rig_find_process("4321.5"), 0);

    in.stop_at_line = true;
    rig_exec(&run, "echo now; exec sleep 4321.7", 0, &in);
    while (!in.count) rig_turn(rig);
    for (int i = 0; i < 200 && rig_find_process("4321.7"); i++) {
        rig_turn(rig);
        usleep(10000);
    }
    assert_int_equal(rig_find_process("4321.7"), 0);
    assert_false(in.done); /* stopped: no more calls */

    in.stop_at_line          = false;
    const char *const args[] = { "/usr/bin/no-such-program" };
    in                       = (struct rig_inside){ 0 };
    assert_ok(container_exec(run.c, args, 1, NULL, 0, 0, &rig_exec_calls, &in, &in.x));
    rig_until(rig, &in.done);
    assert_int_not_equal(in.code, 0);
    assert_has(in.said, "no-such-program");
    rig_clean(rig, node);
}

int main(int argc, char **argv)
{
    runtime_child_main(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(programs_inside_tell_line_by_line),
        cmocka_unit_test(a_line_is_told_whole_or_not_at_all),
        cmocka_unit_test(who_talks_too_much_inside_is_slowed_down),
        cmocka_unit_test(a_program_inside_is_ended_with_all_that_it_started),
        cmocka_unit_test(what_is_no_text_is_not_run_inside),
        cmocka_unit_test(a_program_inside_is_ended_whole),
    };
    return cmocka_run_group_tests(tests, rig_begin, rig_end);
}
