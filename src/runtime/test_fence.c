#include "with_rig_int.h"

#include "machine.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

/* What a stranger's program sees and may do, asked from inside. */

static void ask(struct rig *rig, const char *script, char log[CONTAINER_LOG_END_BYTES])
{
    struct node_id node = rig_node(rig);
    struct rig_run run;
    rig_run_script(rig, node, script, &run, log);
    rig_clean(rig, node);
    if (!run.end.known || run.end.code || run.end.signal) fail_msg("%s\n%s", run.end.why, log);
    assert_true(run.started && run.end.started);
}

static void it_has_no_capability_and_gets_none(void **state)
{
    char log[CONTAINER_LOG_END_BYTES];
    ask(*state, "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status", log);
    static const char *const sets[] = { "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb" };
    for (size_t i = 0; i < countof(sets); i++) {
        char line[64];
        snprintf(line, sizeof line, "%s:\t0000000000000000", sets[i]);
        assert_has(log, line);
    }
    assert_has(log, "NoNewPrivs:\t1");
    assert_has(log, "Seccomp:\t2");
}

static void its_users_are_nobody_outside(void **state)
{
    char log[CONTAINER_LOG_END_BYTES];
    ask(*state, "id -u; id -g; cat /proc/self/uid_map; stat -c owner=%u /usr/bin/sh", log);
    assert_has(log, "1000\n1000\n");
    assert_has(log, "1879048192"); /* 0x70000000 */
    assert_has(log, "owner=65534");
}

static void two_containers_share_no_user(void **state)
{
    struct rig    *rig = *state;
    struct node_id a = rig_node(rig), b = rig_node(rig);
    struct rig_run run_a, run_b;
    char           log_a[CONTAINER_LOG_END_BYTES], log_b[CONTAINER_LOG_END_BYTES];
    rig_run_script(rig, a, "cat /proc/self/uid_map", &run_a, log_a);
    rig_run_script(rig, b, "cat /proc/self/uid_map", &run_b, log_b);
    assert_string_not_equal(log_a, log_b);
    rig_clean(rig, a);
    rig_clean(rig, b);
}

static void it_sees_no_interface_but_lo(void **state)
{
    char log[CONTAINER_LOG_END_BYTES];
    ask(*state,
        "echo interfaces $(grep -c : /proc/net/dev); grep -o lo: /proc/net/dev; echo routes $(cat "
        "/proc/net/route | wc -l);"
        " cat /proc/sys/net/ipv4/tcp_retries2",
        log);
    assert_string_equal(log,
                        "interfaces 1\nlo:\nroutes 1\n6\n"); /* one is the heading of the table; the setting */
}

static void it_sees_no_file_and_no_process_of_this_machine(void **state)
{
    char log[CONTAINER_LOG_END_BYTES];
    ask(*state,
        "echo $(ls /); echo $(ls /etc); ls /root /home /var 2>&1; echo pids $(ls /proc | grep -c '^[0-9]')",
        log);
    assert_has(log, "bin dev etc home lib lib64 proc sys tmp usr\n");
    assert_has(log, "hosts nsswitch.conf resolv.conf\n");
    assert_has(log, "/root': No such file");
    unsigned pids; /* at most sh, its copy, ls, grep */
    assert_int_equal(sscanf(strstr(log, "pids "), "pids %u", &pids), 1);
    assert_in_range(pids, 1, 4);
}

static void its_root_is_read_only(void **state)
{
    char log[CONTAINER_LOG_END_BYTES];
    ask(*state,
        "touch /x 2>&1; touch /usr/x 2>&1; touch /etc/hosts 2>&1; mkdir /dev/x 2>&1;"
        " for g in /sys/fs/cgroup /sys/fs/cgroup/*/; do mkdir $g/x 2>/dev/null && echo made $g/x; done; touch "
        "/tmp/x",
        log);
    assert_has(log, "'/x': Read-only file system");
    assert_has(log, "'/usr/x': Read-only file system");
    assert_has(log, "'/etc/hosts': ");
    assert_has(log, "'/dev/x': Permission denied");
    assert_lacks(log, "made");
    assert_lacks(log, "'/tmp/x'");
}

static void its_own_folders_are_as_asked_for(void **state)
{
    char log[CONTAINER_LOG_END_BYTES];
    ask(*state,
        "pwd; echo ok > mine && cat mine; stat -c '%a %u' . /tmp;"
        " printf '#!/bin/sh\\necho ran\\n' | tee x > /tmp/x; chmod +x x /tmp/x; ./x; /tmp/x 2>&1;"
        " head -c 2M /dev/zero > /tmp/big 2>/dev/null; echo $? $(stat -c %s /tmp/big);"
        " hostname; echo $COLOUR; cat /etc/hosts",
        log);
    assert_has(log, "/home/user\nok\n700 1000\n1777 0\nran\n");
    assert_has(log, "/tmp/x: Permission denied"); /* no exec there */
    assert_has(log, "\n1 10");                    /* its size held: 1 MiB less a page or two */
    assert_has(log, "node-7\nblue\n127.0.0.1 localhost\n10.99.0.2 other\n");
}

static void it_makes_no_namespace_and_no_mount(void **state)
{
    char log[CONTAINER_LOG_END_BYTES];
    ask(*state,
        "unshare -U true 2>&1; unshare -n true 2>&1; mount -t tmpfs x /tmp 2>&1 || echo no mount;"
        " /usr/sbin/chroot / true 2>&1; nsenter -t 1 -m true 2>&1 || echo no entering; python3 -c 'import "
        "ctypes,os; l=ctypes.CDLL(None,use_errno=True);"
        "print(\"clone\", l.syscall(56, 0x10000000|17, 0, 0, 0, 0));"
        "print(\"clone3\", l.syscall(435, 0, 0), ctypes.get_errno());"
        "print(\"keyctl\", l.syscall(250, 0, 0), \"uring\", l.syscall(425, 1, 0))'",
        log);
    assert_has(log, "unshare: unshare failed");
    assert_has(log, "no mount");
    assert_has(log, "chroot: cannot change root");
    assert_has(log, "no entering");
    assert_has(log, "clone -1");
    assert_has(log, "clone3 -1 38");
    assert_has(log, "keyctl -1 uring -1");
}

static void it_opens_no_socket_that_leads_past_its_namespace(void **state)
{
    char log[CONTAINER_LOG_END_BYTES];
    ask(*state,
        "exec python3 -c '\n"
        "import socket\n"
        "def tried(family, kind, protocol):\n"
        "  try: return socket.socket(family, kind, protocol) and 0\n"
        "  except OSError as e: return e.errno\n"
        "print(\"others\", [tried(f, k, 0) for f in (38, 40, 42) for k in (1, 2, 5)])\n"
        "print(\"audit\", tried(16, 3, 9))\n"
        "print(\"ours\", tried(1, 1, 0), tried(2, 2, 0), tried(10, 1, 0), tried(16, 3, 0), "
        "socket.if_nameindex())\n"
        "'",
        log);
    assert_has(log, "others [38, 38, 38, 38, 38, 38, 38, 38, 38]"); /* AF_ALG, AF_VSOCK, AF_QIPCRTR: ENOSYS */
    assert_has(log, "audit 22");
    assert_has(log, "ours 0 0 0 0 [(1, 'lo')]");
}

#ifdef __x86_64__
/* getpid as 32-bit programs ask for it: mov eax, 20; int 0x80; ret. */
static void it_makes_no_call_of_32_bits(void **state)
{
    char log[CONTAINER_LOG_END_BYTES];
    ask(*state,
        "python3 -c '\n"
        "import ctypes, mmap\n"
        "page = mmap.mmap(-1, 4096, prot=7)\n"
        "page.write(bytes.fromhex(\"b814000000cd80c3\"))\n"
        "ask = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))\n"
        "print(\"asks\", flush=True)\n"
        "print(\"was told\", ask())\n"
        "'; echo ended with $?",
        log);
    assert_has(log, "asks\n");
    assert_has(log, "ended with 159"); /* 128 + SIGSYS */
}
#endif

/* Its own setting may forbid that as well, by EPERM. */
static void it_asks_nothing_of_the_kernels_log(void **state)
{
    char log[CONTAINER_LOG_END_BYTES];
    ask(*state,
        "exec python3 -c '\n"
        "import ctypes\n"
        "l = ctypes.CDLL(None, use_errno=True)\n"
        "print(\"log\", [(l.klogctl(what, None, 0), ctypes.get_errno()) for what in (3, 10)])'",
        log);
    assert_string_equal(log, "log [(-1, 38), (-1, 38)]\n");
}

/* crun gives what it is handed to the container's user: that must not be the machine's own /dev/null. */
static void its_input_is_no_file_of_this_machine(void **state)
{
    struct stat before, after;
    char        log[CONTAINER_LOG_END_BYTES];
    assert_int_equal(stat("/dev/null", &before), 0);
    ask(*state, "readlink /proc/self/fd/0 | cut -c 1-5; cat; echo ended", log);
    assert_string_equal(log, "pipe:\nended\n");
    assert_int_equal(stat("/dev/null", &after), 0);
    assert_int_equal(before.st_uid, after.st_uid);
}

static void it_sees_its_own_limits(void **state)
{
    char log[CONTAINER_LOG_END_BYTES];
    ask(*state,
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; ulimit -n; "
        "ulimit -c",
        log);
    assert_has(log, "67108864\n");
    assert_has(log, "1024\n0\n");
}

static void a_fork_bomb_ends_at_its_limit(void **state)
{
    struct rig           *rig  = *state;
    struct node_id        node = rig_node(rig);
    struct rig_run        run;
    const char           *args[3];
    char                  log[CONTAINER_LOG_END_BYTES];
    struct container_spec s = rig_spec(rig, node,
                                       "exec python3 -u -c '\n"
                                       "import os, time\n"
                                       "try:\n"
                                       "  for n in range(1000):\n"
                                       "    if os.fork() == 0: time.sleep(1000)\n"
                                       "except OSError: print(\"stopped at\", n)\n"
                                       "time.sleep(1000)'",
                                       args);
    s.processes_max         = 32;
    rig_start(rig, &s, &run);
    struct machine_usage usage = { 0 };
    do {
        rig_turn(rig);
        usleep(10000);
        container_log_end(rig->r, node, log);
        assert_false(run.ended);
    } while (!log[0]);
    assert_string_equal(log, "stopped at 31\n");
    assert_ok(machine_node_usage(rig->r, node, &usage));
    assert_int_equal(usage.processes, 32);
    assert_true(usage.memory_bytes > 0 && usage.cpu_us > 0);
    rig_clean(rig, node);
}

static void what_takes_too_much_memory_is_killed(void **state)
{
    struct rig    *rig  = *state;
    struct node_id node = rig_node(rig);
    struct rig_run run;
    char           log[CONTAINER_LOG_END_BYTES];
    rig_run_script(rig, node, "exec python3 -c 'x = bytearray(b\"x\" * (200 << 20))'", &run, log);
    assert_true(run.end.known);
    assert_int_equal(run.end.signal, 9);
    assert_in_range(run.end.oom_kills, 1, 100);
    assert_has(run.end.why, "out of memory");
    rig_clean(rig, node);
}

static void memory_in_its_own_folders_counts(void **state)
{
    struct rig           *rig  = *state;
    struct node_id        node = rig_node(rig);
    struct rig_run        run;
    const char           *args[3];
    struct container_spec s = rig_spec(rig, node, "head -c 100M /dev/zero > /dev/shm/x; echo survived", args);
    s.shm_bytes             = 200u << 20;
    rig_start(rig, &s, &run);
    rig_until(rig, &run.ended);
    assert_in_range(run.end.oom_kills, 1, 100);
    rig_clean(rig, node);
}

/* Of a node of 64 MiB: connections to itself that nobody reads take ten times that, if they may. */
static void what_waits_in_its_connections_is_limited(void **state)
{
    char log[CONTAINER_LOG_END_BYTES];
    ask(*state,
        "exec python3 -c '\n"
        "import socket\n"
        "at = socket.create_server((\"127.0.0.1\", 0), backlog=512)\n"
        "held, waits = [], 0\n"
        "for i in range(400):\n"
        "  held.append(s := socket.create_connection(at.getsockname()))\n"
        "  held.append(at.accept()[0])\n"
        "  s.setblocking(False)\n"
        "  try:\n"
        "    while True: waits += s.send(b\"x\" * 65536)\n"
        "  except BlockingIOError: pass\n"
        "print(\"few\" if waits < 64 << 20 else waits)'",
        log);
    assert_string_equal(log, "few\n");
}

/* An image may bring any: what the container may open is decided by its group, not by the file. */
static void a_device_that_an_image_brings_is_not_opened(void **state)
{
    struct rig *rig = *state;
    char        path[400], log[CONTAINER_LOG_END_BYTES];
    snprintf(path, sizeof path, "%s/loop-control", rig->root);
    assert_int_equal(mknod(path, S_IFCHR | 0666, makedev(10, 237)), 0);
    assert_int_equal(chmod(path, 0666), 0);
    ask(rig, "test -c /loop-control && cat /loop-control 2>&1; cat /dev/null && echo ours", log);
    assert_int_equal(unlink(path), 0);
    assert_string_equal(log, "cat: /loop-control: Operation not permitted\nours\n");
}

static void a_mount_can_not_leave_the_root(void **state)
{
    struct rig    *rig  = *state;
    struct node_id node = rig_node(rig);
    const char *args[3], *const bad[] = { "/tmp/../etc", "/proc/x", "/sys",    "/dev/x", "relative",
                                          "/a/..",       "/",       "//dev/x", "/./sys", "/a/." };
    struct rig_run run;
    for (size_t i = 0; i < countof(bad); i++) {
        const struct container_mount m = {
            .kind = CONTAINER_TMPFS, .target = bad[i], .bytes = 4096, .mode = 0755
        };
        struct container_spec s = rig_spec(rig, node, "true", args);
        s.mounts                = &m;
        s.mounts_count          = 1;
        assert_int_equal(container_start(rig->r, &s, &rig_calls, &run, &run.c).code, ERR_INVALID);
    }
    char link[400];
    snprintf(link, sizeof link, "%s/out", rig->root);
    assert_int_equal(symlink("../../../../..", link), 0);
    const struct container_mount m = {
        .kind = CONTAINER_TMPFS, .target = "/out/made-here", .bytes = 4096, .mode = 0755
    };
    struct container_spec s = rig_spec(rig, node, "true", args);
    s.mounts                = &m;
    s.mounts_count          = 1;
    rig_start(rig, &s, &run); /* the link leads to the root itself */
    rig_until(rig, &run.ended);
    snprintf(link, sizeof link, "%s/made-here", rig->root);
    assert_int_equal(access(link, F_OK), 0);
    assert_int_not_equal(access("/made-here", F_OK), 0);
    rig_clean(rig, node);
}

static void a_gpu_that_is_not_there_is_not_given(void **state)
{
    struct rig           *rig  = *state;
    struct node_id        node = rig_node(rig);
    struct rig_run        run;
    const char           *args[3];
    const uint32_t        far = 15;
    struct container_spec s   = rig_spec(rig, node, "true", args);
    s.gpus                    = &far;
    s.gpus_count              = 1;
    assert_int_equal(container_start(rig->r, &s, &rig_calls, &run, &run.c).code, ERR_MISSING);
    rig_clean(rig, node);
}

int main(int argc, char **argv)
{
    runtime_child_main(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_has_no_capability_and_gets_none),
        cmocka_unit_test(its_users_are_nobody_outside),
        cmocka_unit_test(two_containers_share_no_user),
        cmocka_unit_test(it_sees_no_interface_but_lo),
        cmocka_unit_test(it_sees_no_file_and_no_process_of_this_machine),
        cmocka_unit_test(its_root_is_read_only),
        cmocka_unit_test(its_own_folders_are_as_asked_for),
        cmocka_unit_test(it_makes_no_namespace_and_no_mount),
        cmocka_unit_test(it_opens_no_socket_that_leads_past_its_namespace),
#ifdef __x86_64__
        cmocka_unit_test(it_makes_no_call_of_32_bits),
#endif
        cmocka_unit_test(it_asks_nothing_of_the_kernels_log),
        cmocka_unit_test(its_input_is_no_file_of_this_machine),
        cmocka_unit_test(it_sees_its_own_limits),
        cmocka_unit_test(a_fork_bomb_ends_at_its_limit),
        cmocka_unit_test(what_takes_too_much_memory_is_killed),
        cmocka_unit_test(memory_in_its_own_folders_counts),
        cmocka_unit_test(what_waits_in_its_connections_is_limited),
        cmocka_unit_test(a_device_that_an_image_brings_is_not_opened),
        cmocka_unit_test(a_mount_can_not_leave_the_root),
        cmocka_unit_test(a_gpu_that_is_not_there_is_not_given),
    };
    return cmocka_run_group_tests(tests, rig_begin, rig_end);
}
