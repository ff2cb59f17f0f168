#include "with_rig_int.h"

#include "machine.h"

static void the_machine_is_described(void **state)
{
    struct rig         *rig = *state;
    struct device_specs s;
    machine_read(rig->r, &s);
    assert_in_range(s.cpus, 1, 4096);
    assert_true(s.memory_bytes > (64u << 20));
    assert_true(s.disk_bytes > 0);
    assert_true(s.cpu_model[0] && s.os[0]);
    assert_true(strcmp(s.arch, "x86_64") == 0 || strcmp(s.arch, "aarch64") == 0);
    assert_true(s.gpus_count == 0 || s.gpus[0].memory_mib > 0);
}

struct seen {
    bool done, ok, container, lacks;
};

static void on_row(void *ctx, const struct machine_row *row)
{
    struct seen *s = ctx;
    printf("    %-16s %s %s\n", row->name, row->ok ? "ok  " : row->needed ? "BAD " : "none", row->says);
    s->lacks = s->lacks || (row->needed && !row->ok);
    if (strcmp(row->name, "container") == 0) s->container = row->ok;
}

static void on_done(void *ctx, bool ok)
{
    struct seen *s = ctx;
    s->done        = true;
    s->ok          = ok;
}

static void a_check_runs_a_real_container_and_leaves_nothing(void **state)
{
    struct rig                *rig   = *state;
    struct seen                seen  = { 0 };
    const struct machine_calls calls = { on_row, on_done };
    char                       path[400], find_groups[128];
    machine_check(rig->r, &calls, &seen);
    rig_until(rig, &seen.done);
    assert_true(seen.container);
    assert_true(seen.ok == !seen.lacks);

    snprintf(path, sizeof path, "%s/check-root", rig->run_dir);
    assert_int_not_equal(access(path, F_OK), 0);
    rig_close_runtime(rig); /* nothing lives on, so the parent of its groups goes too */
    snprintf(find_groups, sizeof find_groups, "find /sys/fs/cgroup -name %s | grep -q .", rig->cgroup);
    assert_int_not_equal(system(find_groups), 0);
    rig_open_runtime(rig);
}

int main(int argc, char **argv)
{
    runtime_child_main(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_machine_is_described),
        cmocka_unit_test(a_check_runs_a_real_container_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, rig_begin, rig_end);
}
