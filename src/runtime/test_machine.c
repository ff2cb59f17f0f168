#include "machine.h"
#include "sys/sys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

static void the_machine_is_described(void **state)
{
    (void)state;
    struct device_specs s;
    machine_read("/", &s);
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

static void on_closed(void *ctx)
{
    *(bool *)ctx = true;
}

static void a_check_runs_a_real_container_and_leaves_nothing(void **state)
{
    (void)state;
    char template[512];
    const char *tmp = getenv("TMPDIR");
    snprintf(template, sizeof template, "%s/ionet-machine-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(template));
    assert_int_equal(chmod(template, 0711), 0);
    char run[600], states[600];
    snprintf(run, sizeof run, "%s/run", template);
    snprintf(states, sizeof states, "%s/state", template);

    struct net     *n;
    struct runtime *r;
    assert_int_equal(net_open(&n).code, ERR_NONE);
    const struct runtime_options o = { .state_dir = states, .run_dir = run, .cgroup = "ionet-test-machine" };
    assert_int_equal(runtime_open(n, &o, &r).code, ERR_NONE);
    struct seen                seen  = { 0 };
    const struct machine_calls calls = { on_row, on_done };
    machine_check(r, &calls, &seen);
    while (!seen.done) uv_run(net_uv_loop(n), UV_RUN_ONCE);
    assert_true(seen.container);
    assert_true(seen.ok == !seen.lacks);

    char left[700];
    snprintf(left, sizeof left, "%s/check-root", run);
    assert_int_not_equal(access(left, F_OK), 0);
    bool closed = false;
    runtime_close(r, on_closed, &closed);
    while (!closed) uv_run(net_uv_loop(n), UV_RUN_ONCE);
    net_close(n);
    assert_int_equal(sys_remove_tree(template).code, ERR_NONE);
    assert_int_not_equal(access("/sys/fs/cgroup/pids/ionet-test-machine", F_OK), 0);
}

int main(int argc, char **argv)
{
    runtime_child_main(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_machine_is_described),
        cmocka_unit_test(a_check_runs_a_real_container_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
