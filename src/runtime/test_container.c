#include "with_rig_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

/* The life of a container: start, end, stop, adoption, and that nothing is left. */

#define PARENT_ARG "start-one-and-die"

/* ---- how it ends ----------------------------------------------------------------------------- */

static void its_code_and_its_last_words_are_kept(void **state)
{
    struct rig    *rig  = *state;
    struct node_id node = rig_node(rig);
    struct rig_run run;
    char           log[CONTAINER_LOG_END_BYTES];
    rig_run_script(rig, node, "echo to be; printf '\\033[1mor\\033[22m \\377 n\\303\\266t\\n' >&2; exit 3",
                   &run, log);
    assert_true(run.started && run.end.known && run.end.started);
    assert_int_equal(run.end.code, 3);
    assert_int_equal(run.end.signal, 0);
    assert_string_equal(run.end.why, "ended with code 3");
    assert_string_equal(log, "to be\nor ? n\303\266t\n");
    rig_clean(rig, node);
}

static void what_can_not_start_says_why(void **state)
{
    struct rig           *rig  = *state;
    struct node_id        node = rig_node(rig);
    struct rig_run        run;
    const char           *args[3];
    struct container_spec s = rig_spec(rig, node, "true", args);
    args[0]                 = "/usr/bin/no-such-program";
    rig_start(rig, &s, &run);
    rig_until(rig, &run.ended);
    assert_false(run.started || run.end.started || run.end.known);
    assert_has(run.end.why, "no-such-program");
    rig_clean(rig, node);
}

static void a_program_that_listens_to_term_ends_by_itself(void **state)
{
    struct rig    *rig  = *state;
    struct node_id node = rig_node(rig);
    struct rig_run run;
    rig_start_script(rig, node, "trap 'echo asked; exit 5' TERM; echo ready; while :; do sleep 0.05; done",
                     &run);
    rig_wait_log(rig, node, "ready");
    container_stop(run.c, 20000);
    rig_until(rig, &run.ended);
    assert_int_equal(run.end.code, 5);
    rig_wait_log(rig, node, "asked");
    rig_clean(rig, node);
}

static void a_program_that_does_not_is_killed_after_its_grace(void **state)
{
    struct rig    *rig  = *state;
    struct node_id node = rig_node(rig);
    struct rig_run run;
    rig_start_script(rig, node, "trap '' TERM; echo ready; while :; do sleep 0.05; done", &run);
    rig_wait_log(rig, node, "ready");
    uint64_t start = sys_boot_now_ms();
    container_stop(run.c, 300);
    rig_until(rig, &run.ended);
    assert_true(sys_boot_now_ms() - start >= 300);
    assert_int_equal(run.end.signal, SIGKILL);
    rig_clean(rig, node);
}

static void a_stop_before_the_start_is_over_holds(void **state)
{
    struct rig           *rig  = *state;
    struct node_id        node = rig_node(rig);
    struct rig_run        run;
    const char           *args[3];
    struct container_spec s = rig_spec(rig, node, "sleep 1000", args);
    rig_start(rig, &s, &run);
    container_stop(run.c, 50);
    rig_until(rig, &run.ended);
    assert_int_equal(run.end.signal, SIGKILL);
    rig_clean(rig, node);
}

static void its_log_keeps_within_its_room_and_keeps_the_end(void **state)
{
    struct rig                *rig  = *state;
    struct node_id             node = rig_node(rig);
    struct rig_run             run;
    char                       log[CONTAINER_LOG_END_BYTES], path[RUNTIME_PATH_TEXT];
    uint64_t                   start = sys_boot_now_ms();
    struct container_log_place place = { 0 };
    static char                chunk[65536];
    size_t                     along = 0, got;
    rig_run_script(rig, node, "yes 'all work and no play' | head -c 5500000; echo the end", &run, log);
    assert_true(str_ends(str_from(log), STR("the end\n")));
    assert_true(strlen(log) > 1900);
    assert_true(sys_boot_now_ms() - start > 3500); /* a MiB a second: who writes faster waits */
    uint64_t                 bytes   = 0;
    static const char *const files[] = { "log", "log.1" };
    for (size_t i = 0; i < countof(files); i++) {
        struct text t = TEXT_IN(path);
        text_add(&t, str_from(rig->run_dir));
        text_add(&t, STR("/nodes/"));
        id_write(node.id, &t);
        text_add_char(&t, '/');
        text_add(&t, str_from(files[i]));
        struct stat st;
        assert_int_equal(stat(text_z(&t), &st), 0);
        bytes += (uint64_t)st.st_size;
    }
    assert_true(bytes <= CONTAINER_LOG_BYTES && bytes > 1000000);
    while ((got = container_log_read(rig->r, node, &place, chunk, sizeof chunk)) > 0) along += got;
    assert_int_equal(along, bytes); /* both files, each once */
    rig_clean(rig, node);
}

static void its_log_is_read_along(void **state)
{
    struct rig                *rig  = *state;
    struct node_id             node = rig_node(rig);
    struct rig_run             run;
    struct container_log_place place = { 0 };
    const char                *args[3];
    static char                all[1 << 16];
    size_t                     len = 0, got;
    struct container_spec s = rig_spec(rig, node, "for i in 1 2 3 4 5; do echo line $i; sleep 0.1; done", args);
    rig_start(rig, &s, &run);
    unsigned times = 0;
    while (!run.ended) {
        rig_turn(rig);
        got = container_log_read(rig->r, node, &place, all + len, 7); /* smaller than a line */
        times += got > 0;
        len += got;
    }
    while ((got = container_log_read(rig->r, node, &place, all + len, sizeof all - len)) > 0) len += got;
    assert_true(times > 2);
    assert_string_equal(all, "line 1\nline 2\nline 3\nline 4\nline 5\n");
    rig_clean(rig, node);
}

/* ---- when others die ------------------------------------------------------------------------- */

static void start_one_and_die(const char *dir)
{
    static struct rig rig;
    struct rig_run    run;
    const char       *args[3];
    rig_name(&rig, dir);
    rig_open_runtime(&rig);
    struct node_id        node = rig_node(&rig);
    struct container_spec s    = rig_spec(&rig, node, "echo I live; sleep 2; echo still; sleep 1000", args);
    rig_start(&rig, &s, &run);
    rig_until(&rig, &run.started);
    kill(getpid(), SIGKILL);
}

static struct container_found let_a_parent_die(struct rig *rig)
{
    rig_close_runtime(rig); /* one process a folder */
    pid_t pid = fork();
    if (pid == 0) {
        execl("/proc/self/exe", "test_container", PARENT_ARG, rig->dir, (char *)NULL);
        _exit(1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    rig_open_runtime(rig);
    struct container_found found[4];
    assert_int_equal(container_list(rig->r, found, countof(found)), 1);
    return found[0];
}

static void a_container_outlives_the_worker_and_is_adopted(void **state)
{
    struct rig            *rig   = *state;
    struct container_found found = let_a_parent_die(rig);
    assert_true(found.running);
    assert_int_equal(found.incarnation, 7);

    struct rig_run run = { 0 };
    assert_int_equal(container_adopt(rig->r, found.node, 8, &rig_calls, &run, &run.c).code, ERR_MISSING);
    assert_ok(container_adopt(rig->r, found.node, 7, &rig_calls, &run, &run.c));
    assert_int_equal(container_adopt(rig->r, found.node, 7, &rig_calls, &run, &run.c).code, ERR_CONFLICT);
    rig_until(rig, &run.started);
    rig_wait_log(rig, found.node, "still"); /* its output goes on */
    container_stop(run.c, 0);
    rig_until(rig, &run.ended);
    assert_true(run.end.known);
    assert_int_equal(run.end.signal, SIGKILL);
    rig_clean(rig, found.node);
}

static void an_end_that_nobody_watched_is_known(void **state)
{
    struct rig    *rig  = *state;
    struct node_id node = rig_node(rig);
    struct rig_run run;
    rig_start_script(rig, node, "sleep 0.3; echo done; exit 7", &run);
    rig_close_runtime(rig);
    usleep(800000);
    rig_open_runtime(rig);
    struct container_found found[4];
    assert_int_equal(container_list(rig->r, found, countof(found)), 1);
    assert_false(found[0].running);
    struct rig_run again = { 0 };
    assert_ok(container_adopt(rig->r, node, 7, &rig_calls, &again, &again.c));
    rig_until(rig, &again.ended);
    assert_true(again.started && again.end.known);
    assert_int_equal(again.end.code, 7);
    rig_wait_log(rig, node, "done");
    rig_clean(rig, node);
}

static void if_its_keeper_is_killed_the_container_ends(void **state)
{
    struct rig    *rig  = *state;
    struct node_id node = rig_node(rig);
    struct rig_run run;
    char           name[ID_TEXT + 1];
    struct text    t = TEXT_IN(name);
    id_write(node.id, &t);
    rig_start_script(rig, node, "sleep 1234.5", &run);
    rig_wait_log(rig, node, "");
    pid_t keeper = rig_find_process(text_z(&t));
    assert_true(keeper > 1);
    assert_int_equal(kill(keeper, SIGKILL), 0);
    rig_until(rig, &run.ended);
    assert_true(run.end.started && !run.end.known);
    assert_has(run.end.why, "was killed");
    for (int i = 0; i < 200 && rig_find_process("1234.5"); i++) usleep(10000);
    assert_int_equal(rig_find_process("1234.5"), 0);
    rig_clean(rig, node);
}

/* ---- nothing is left ------------------------------------------------------------------------- */

/* What of ours the system holds: mounts, cgroups and processes, as lines that must be the same before and after. */
static void survey(const struct rig *rig, char out[65536])
{
    char command[2048];
    snprintf(
        command, sizeof command,
        "grep '%s/' /proc/self/mounts; find /sys/fs/cgroup -path '*/%s/*' | sort; ls -A '%s/nodes' '%s/oci';"
        " for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline | grep -E '%s/|sleep 77[0-9]' ; done 2>/dev/null",
        rig->dir, rig->cgroup, rig->run_dir, rig->run_dir, rig->run_dir);
    FILE *f = popen(command, "re");
    assert_non_null(f);
    size_t len = fread(out, 1, 65535, f);
    out[len]   = 0;
    pclose(f);
}

/* The number of a namespace that has gone is soon another's, so ours are told by a name at their lo. */
static void mark_space(struct rig *rig, struct node_id node)
{
    char path[RUNTIME_PATH_TEXT], command[RUNTIME_PATH_TEXT + 128];
    netns_path(rig->r, node, path);
    snprintf(command, sizeof command, "nsenter --net=%s ip link set lo alias %s", path, rig->cgroup);
    assert_int_equal(system(command), 0);
}

/* Whether any process is left in one; of those without a process, the mounts are surveyed. */
static bool a_marked_space_lives(const struct rig *rig)
{
    char command[256];
    snprintf(command, sizeof command,
             "for p in $(lsns -n -t net -o PID); do nsenter -t $p -n ip link show lo 2>&1; done | grep -q "
             "'alias %s'",
             rig->cgroup);
    return system(command) == 0;
}

static void a_clean_leaves_nothing_in_whatever_state(void **state)
{
    struct rig *rig = *state;
    static char before[65536], after[65536];
    survey(rig, before);

    struct node_id only_space = rig_node(rig), running = rig_node(rig), starting = rig_node(rig),
                   ended = rig_node(rig), dead = rig_node(rig);
    struct rig_run    run, run_starting, run_ended, run_dead;
    struct rig_inside in = { 0 };
    const char       *args[3];
    char              log[CONTAINER_LOG_END_BYTES], name[ID_TEXT + 1];
    rig_start_script(rig, running, "for i in 1 2 3 4 5; do (trap '' TERM; sleep 771) & done; sleep 772", &run);
    rig_exec(&run, "sleep 773", 0, &in);
    rig_run_script(rig, ended, "exit 1", &run_ended, log);
    rig_start_script(rig, dead, "sleep 774", &run_dead);
    struct text t = TEXT_IN(name);
    id_write(dead.id, &t);
    kill(rig_find_process(text_z(&t)), SIGKILL);
    struct container_spec s = rig_spec(rig, starting, "sleep 775", args);
    rig_start(rig, &s, &run_starting);

    struct node_id    all[]                 = { only_space, running, starting, ended, dead };
    struct rig_answer cleaned[countof(all)] = { 0 };
    for (size_t i = 0; i < countof(all); i++) mark_space(rig, all[i]);
    assert_true(a_marked_space_lives(rig));
    for (size_t i = 0; i < countof(all); i++)
        assert_ok(container_clean(rig->r, all[i], rig_on_err, &cleaned[i]));
    assert_int_equal(container_clean(rig->r, running, rig_on_err, &cleaned[1]).code, ERR_CONFLICT);
    for (size_t i = 0; i < countof(all); i++) {
        rig_until(rig, &cleaned[i].done);
        assert_ok(cleaned[i].e);
    }
    survey(rig, after);
    assert_string_equal(before, after);
    assert_false(a_marked_space_lives(rig));
    assert_false(run.ended || run_starting.started || run_starting.ended || in.done);
    rig_clean(rig, running); /* again is well */
}

static void as_many_nodes_as_may_be_and_no_more(void **state)
{
    struct rig    *rig = *state;
    struct node_id nodes[RUNTIME_NODES_MAX];
    struct rig_run runs[RUNTIME_NODES_MAX];
    const char    *args[3];
    for (size_t i = 0; i < RUNTIME_NODES_MAX; i++) {
        nodes[i]                = rig_node(rig);
        struct container_spec s = rig_spec(rig, nodes[i], "sleep 1000", args);
        rig_start(rig, &s, &runs[i]);
        rig_until(rig, &runs[i].started);
    }
    struct node_id    more;
    struct rig_answer made = { 0 };
    struct container *c;
    sys_random(&more, sizeof more);
    assert_int_equal(netns_make(rig->r, more, NULL, 0, rig_on_err, &made).code, ERR_LIMIT);
    struct container_spec s = rig_spec(rig, nodes[0], "sleep 1000", args);
    assert_int_equal(container_start(rig->r, &s, &rig_calls, &runs[0], &c).code, ERR_CONFLICT);
    for (size_t i = 0; i < RUNTIME_NODES_MAX; i++) rig_clean(rig, nodes[i]);
    rig_clean(rig, rig_node(rig)); /* there is a place again */
}

/* The number of its user ids, as the node's folder says. */
static char slot_of(struct rig *rig, struct node_id node)
{
    char   path[RUNTIME_PATH_TEXT], text[8];
    size_t len;
    netns_path(rig->r, node, path);
    assert_ok(str_copy(STR("slot"), strrchr(path, '/') + 1, sizeof "slot"));
    assert_ok(sys_read_file(path, text, sizeof text, &len));
    assert_int_equal(len, 1);
    return text[0];
}

/* A worker may be killed between making a node's folder and writing down which ids are its own. */
static void a_node_of_which_only_the_folder_was_made_shares_no_ids(void **state)
{
    struct rig       *rig  = *state;
    struct node_id    node = rig_node(rig), half;
    struct rig_answer made = { 0 };
    char              path[RUNTIME_PATH_TEXT];
    sys_random(&half, sizeof half);
    netns_path(rig->r, half, path);
    *strrchr(path, '/') = 0;
    assert_int_equal(mkdir(path, 0711), 0);
    rig_close_runtime(rig);
    rig_open_runtime(rig);
    assert_ok(netns_make(rig->r, half, NULL, 0, rig_on_err, &made));
    rig_until(rig, &made.done);
    assert_ok(made.e);
    assert_int_not_equal(slot_of(rig, half), slot_of(rig, node));
    rig_clean(rig, half);
    rig_clean(rig, node);
}

/* ---- into its namespace ---------------------------------------------------------------------- */

static void on_dialed(void *ctx, struct err e, int fd)
{
    struct rig_answer *a = ctx;
    *a                   = (struct rig_answer){ true, e, fd };
}

static void dial(struct rig *rig, struct node_id node, const char *address, uint16_t port, struct rig_answer *a)
{
    *a = (struct rig_answer){ .fd = -1 };
    assert_ok(netns_dial(rig->r, node, address, port, 2000, on_dialed, a));
    rig_until(rig, &a->done);
}

static void what_listens_inside_is_reached_by_dialing(void **state)
{
    struct rig       *rig  = *state;
    struct node_id    node = rig_node(rig), other = rig_node(rig);
    struct rig_run    run;
    struct rig_answer a;
    char              text[64] = "";
    rig_start_script(
        rig, node,
        "exec python3 -u -c 'import socket; s=socket.create_server((\"127.0.0.1\",8265)); print(\"listens\");"
        " c=s.accept()[0]; c.sendall(b\"hello \"+c.recv(100))'",
        &run);
    rig_wait_log(rig, node, "listens");
    dial(rig, node, "127.0.0.1", 8265, &a);
    assert_ok(a.e);
    struct pollfd p = { a.fd, POLLIN, 0 };
    assert_int_equal(write(a.fd, "you", 3), 3);
    assert_int_equal(poll(&p, 1, 5000), 1);
    assert_int_equal(read(a.fd, text, sizeof text - 1), 9);
    assert_string_equal(text, "hello you");
    close(a.fd);

    dial(rig, node, "127.0.0.1", 9, &a);
    assert_int_equal(a.e.code, ERR_IO);
    assert_int_equal(a.fd, -1);
    dial(rig, other, "127.0.0.1", 8265, &a); /* of another node */
    assert_int_equal(a.e.code, ERR_IO);
    dial(rig, node, "192.0.2.1", 80, &a); /* there is no way out */
    assert_int_equal(a.e.code, ERR_IO);
    dial(rig, node, "localhost", 8265, &a);
    assert_int_equal(a.e.code, ERR_INVALID);
    rig_clean(rig, node);
    dial(rig, node, "127.0.0.1", 8265, &a);
    assert_int_equal(a.e.code, ERR_MISSING);
    rig_clean(rig, other);
}

static void a_namespace_is_made_once(void **state)
{
    struct rig       *rig  = *state;
    struct node_id    node = rig_node(rig);
    struct rig_answer made = { 0 };
    char              path[RUNTIME_PATH_TEXT];
    struct stat       before, after, ours;
    netns_path(rig->r, node, path);
    assert_true(netns_is_there(rig->r, node));
    assert_int_equal(stat(path, &before), 0);
    assert_ok(netns_make(rig->r, node, NULL, 0, rig_on_err, &made));
    rig_until(rig, &made.done);
    assert_ok(made.e);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_int_equal(stat("/proc/self/ns/net", &ours), 0);
    assert_int_not_equal(ours.st_ino, after.st_ino);

    const struct netns_sysctl bad = { "ipv4.no_such_setting", "1" };
    made                          = (struct rig_answer){ 0 };
    assert_ok(netns_make(rig->r, node, &bad, 1, rig_on_err, &made));
    rig_until(rig, &made.done);
    assert_int_equal(made.e.code, ERR_IO);
    rig_clean(rig, node);
    assert_false(netns_is_there(rig->r, node));
}

int main(int argc, char **argv)
{
    runtime_child_main(argc, argv);
    if (argc == 3 && strcmp(argv[1], PARENT_ARG) == 0) start_one_and_die(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_code_and_its_last_words_are_kept),
        cmocka_unit_test(what_can_not_start_says_why),
        cmocka_unit_test(a_program_that_listens_to_term_ends_by_itself),
        cmocka_unit_test(a_program_that_does_not_is_killed_after_its_grace),
        cmocka_unit_test(a_stop_before_the_start_is_over_holds),
        cmocka_unit_test(its_log_is_read_along),
        cmocka_unit_test(its_log_keeps_within_its_room_and_keeps_the_end),
        cmocka_unit_test(a_container_outlives_the_worker_and_is_adopted),
        cmocka_unit_test(an_end_that_nobody_watched_is_known),
        cmocka_unit_test(if_its_keeper_is_killed_the_container_ends),
        cmocka_unit_test(a_clean_leaves_nothing_in_whatever_state),
        cmocka_unit_test(as_many_nodes_as_may_be_and_no_more),
        cmocka_unit_test(a_node_of_which_only_the_folder_was_made_shares_no_ids),
        cmocka_unit_test(what_listens_inside_is_reached_by_dialing),
        cmocka_unit_test(a_namespace_is_made_once),
    };
    return cmocka_run_group_tests(tests, rig_begin, rig_end);
}
