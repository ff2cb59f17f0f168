/* What ionetd may do once it serves, tried within its own policy; and that the program is really in it. */
#include "test_world_int.h"

#include "sys/sandbox_trial.h"

static int accept_there(const char *folder)
{
    (void)folder;
    return accept4(STDIN_FILENO, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC) < 0 && errno == EAGAIN ? 0 : -1;
}

static const struct deed deeds[] = {
    { "use its folder", deed_use_folder, DONE },
    { "start a thread", deed_thread, DONE },
    { "accept whoever comes", accept_there, DONE },
    { "read a file of the machine", deed_read_outside, REFUSED },
    { "make a file beside its folder", deed_write_outside, REFUSED },
    { "list another folder", deed_list_outside, REFUSED },
    { "have any capability", deed_any_capability, REFUSED },
    { "run a program", deed_exec, KILLED },
    { "make a socket", deed_inet, KILLED },
    { "make a local socket", deed_local, KILLED },
    { "open netlink", deed_netlink, KILLED },
    { "sniff", deed_packet, KILLED },
    { "trace its parent", deed_ptrace, KILLED | UNLESS_SANITIZED },
    { "mount", deed_mount, KILLED },
    { "make namespaces", deed_unshare, KILLED },
    { "become another user", deed_setuid, KILLED },
    { "load bpf", deed_bpf, KILLED },
    { "make an io_uring", deed_io_uring, KILLED },
    { "load a module", deed_module, KILLED },
    { "fork", deed_fork, REFUSED | UNLESS_SANITIZED },
    { "signal its parent", deed_kill_parent, REFUSED | UNLESS_SANITIZED },
    { "run memory that it wrote", deed_run_memory, REFUSED | UNLESS_SANITIZED },
};

/* A socket that listens stands at 0. */
static int listen_at_0(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd < 0 || listen(fd, 1) < 0 || dup2(fd, STDIN_FILENO) < 0 ? -1 : 0;
}

static void it_does_what_it_must_and_nothing_else(void **state)
{
    const struct world  *w      = *state;
    static struct config config = { .sandbox = "on" };
    struct sandbox       policy;
    assert_int_equal(listen_at_0(), 0);
    snprintf(config.state_dir, sizeof config.state_dir, "%s/state", w->dir);
    ionetd_policy(&config, &policy);
    assert_int_equal(trial_all(&policy, config.state_dir, deeds, countof(deeds)), 0);
}

static void status_of(const struct world *w, const char *name, char out[64])
{
    char   path[64], room[8192];
    size_t len;
    snprintf(path, sizeof path, "/proc/%d/status", w->pid);
    assert_int_equal(sys_read_file(path, room, sizeof room - 1, &len).code, ERR_NONE);
    room[len]      = 0;
    const char *at = strstr(room, name);
    assert_non_null(at);
    assert_int_equal(sscanf(at + strlen(name), "%63s", out), 1);
}

static void the_program_serves_without_a_right_and_with_a_filter(void **state)
{
    static const char *const none[] = { "CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:" };
    struct world            *w      = *state;
    char                     said_it[64];
    for (size_t i = 0; i < countof(none); i++) {
        status_of(w, none[i], said_it);
        assert_string_equal(said_it, "0000000000000000");
    }
    status_of(w, "NoNewPrivs:", said_it);
    assert_string_equal(said_it, "1");
    status_of(w, "Seccomp:", said_it);
    assert_string_equal(said_it, "2");
}

static void it_serves_as_another_user_and_then_as_root_again(void **state)
{
    struct world *w = *state;
    char          uid[64], key[64];
    if (getuid() != 0) skip();
    assert_int_equal(world_stop(w, SIGTERM), 0);
    assert_int_equal(chmod(w->dir, 0711), 0);
    snprintf(w->extra, sizeof w->extra, "--user=nobody");
    world_start(w);
    status_of(w, "Uid:", uid);
    assert_string_not_equal(uid, "0");
    sign_in(w, 1, "", key);
    assert_int_equal(world_stop(w, SIGTERM), 0);
    w->extra[0] = 0;
    world_start(w);
    assert_int_equal(get(w, "/v1/account", key), 200);
}

int main(int argc, char **argv)
{
    int status;
    if (world_is_program(argc, argv, &status)) return status;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_does_what_it_must_and_nothing_else, world_make, world_end),
        cmocka_unit_test_setup_teardown(the_program_serves_without_a_right_and_with_a_filter, world_make,
                                        world_end),
        cmocka_unit_test_setup_teardown(it_serves_as_another_user_and_then_as_root_again, world_make,
                                        world_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
