#include "with_shop_int.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Ways out of a container that others have found, tried from inside one. Where a weakness has a number, it is said. What a
 * container sees and may do in general: test_fence.c. */

static void ask(struct rig *rig, const char *script, char log[CONTAINER_LOG_END_BYTES])
{
    struct node_id node = rig_node(rig);
    struct rig_run run;
    rig_run_script(rig, node, script, &run, log);
    rig_clean(rig, node);
    if (!run.end.known || run.end.code || run.end.signal) fail_msg("%s\n%s", run.end.why, log);
}

/* ---- files of the kernel and of the machine -------------------------------------------------- */

/* Every file of /proc and /sys but those of its own processes, and what is masked, which is /dev/null; among them core_pattern, release_agent, sysrq-trigger,
 * uevent_helper, modprobe, binfmt_misc. */
static void no_file_of_the_kernel_opens_for_writing(void **state)
{
    char log[CONTAINER_LOG_END_BYTES];
    ask(*state,
        "exec python3 -c '\n"
        "import os\n"
        "tried, opened = 0, []\n"
        "for top in (\"/proc\", \"/sys\"):\n"
        "  for at, folders, files in os.walk(top):\n"
        "    if at == \"/proc\": folders[:] = [f for f in folders if not f.isdigit() and f not in (\"self\", "
        "\"thread-self\")]\n"
        "    for f in files:\n"
        "      tried += 1\n"
        "      try: fd = os.open(at + \"/\" + f, os.O_WRONLY | os.O_NONBLOCK)\n"
        "      except OSError: continue\n"
        "      if os.fstat(fd).st_rdev != os.stat(\"/dev/null\").st_rdev: opened.append(at + \"/\" + f)\n"
        "      os.close(fd)\n"
        "print(tried > 500, opened)'",
        log);
    assert_string_equal(log, "True []\n");
}

static void what_it_can_write_is_in_memory(void **state)
{
    char log[CONTAINER_LOG_END_BYTES];
    ask(*state,
        "exec python3 -c '\n"
        "import os\n"
        "kinds = set()\n"
        "mounts = {l.split()[1]: l.split()[2] for l in open(\"/proc/self/mounts\")}\n"
        "places = set(mounts)\n"
        "for at, folders, files in os.walk(\"/\"):\n"
        "  if at == \"/\": folders[:] = [f for f in folders if f not in (\"proc\", \"usr\")]\n"
        "  places.add(at)\n"
        "for p in places:\n"
        "  name = p + \"/written\"\n"
        "  try: os.close(os.open(name, os.O_CREAT | os.O_WRONLY))\n"
        "  except OSError: continue\n"
        "  while p not in mounts: p = os.path.dirname(p)\n"
        "  kinds.add(mounts[p])\n"
        "print(sorted(kinds))'",
        log);
    assert_string_equal(log, "['mqueue', 'tmpfs']\n");
}

static void empty_files_are_counted_too(void **state)
{
    char log[CONTAINER_LOG_END_BYTES];
    ask(*state,
        "exec python3 -c '\n"
        "import errno, os\n"
        "for folder in (\"/tmp\", \"/home/user\", \"/dev/shm\"):\n"
        "  n = 0\n"
        "  try:\n"
        "    while n < 100000: os.close(os.open(folder + \"/%d\" % n, os.O_CREAT | os.O_WRONLY)); n += 1\n"
        "  except OSError as e: print(n <= 16384, errno.errorcode[e.errno])'",
        log);
    assert_string_equal(log, "True ENOSPC\nTrue ENOSPC\nTrue ENOSPC\n");
}

static void it_makes_no_device(void **state)
{
    char log[CONTAINER_LOG_END_BYTES];
    ask(*state,
        "for how in 'b 8 0' 'c 1 1' 'c 10 237' 'c 1 3'; do mknod /home/user/d $how 2>&1; done; mkfifo "
        "/home/user/p && "
        "echo fifo",
        log);
    assert_string_equal(
        log, "mknod: /home/user/d: Operation not permitted\nmknod: /home/user/d: Operation not permitted\n"
             "mknod: /home/user/d: Operation not permitted\nmknod: /home/user/d: Operation not permitted\n"
             "fifo\n");
}

/* Of the machine's root, and of the container's own. */
static void a_program_of_an_image_gets_no_other_user(void **state)
{
    struct rig *rig = *state;
    char        path[2][400], log[CONTAINER_LOG_END_BYTES];
    for (int i = 0; i < 2; i++) {
        snprintf(path[i], sizeof path[i], "%s/suid%d", rig->root, i);
        shop_shell("cp /usr/bin/id %s && chown %u:%u %s && chmod 6755 %s", path[i], i ? 0x70000000u : 0,
                   i ? 0x70000000u : 0, path[i], path[i]);
    }
    ask(rig, "test -u /suid0 && test -u /suid1 && /suid0 -u && /suid1 -u && /suid0 -g && /suid1 -g", log);
    for (int i = 0; i < 2; i++) assert_int_equal(unlink(path[i]), 0);
    assert_string_equal(log, "1000\n1000\n1000\n1000\n");
}

/* ---- the OCI runtime on its way in ----------------------------------------------------------- */

/* CVE-2019-5736: whoever comes in is, for a moment, a program of the machine, which could be written to by its own
 * /proc/…/exe. Tried without a pause while programs are run inside. */
static void the_program_that_comes_in_is_not_overwritten(void **state)
{
    struct rig       *rig  = *state;
    struct node_id    node = rig_node(rig);
    struct rig_run    run;
    struct rig_inside in = { 0 };
    struct stat       before, after;
    char              log[CONTAINER_LOG_END_BYTES], oci[300] = "/usr/sbin/";
    rig_start_script(rig, node,
                     "exec python3 -u -c '\n"
                     "import os\n"
                     "print(\"tries\")\n"
                     "while True:\n"
                     "  for p in os.listdir(\"/proc\"):\n"
                     "    if not p.isdigit(): continue\n"
                     "    for name in (\"exe\", \"fd/3\", \"fd/4\", \"fd/5\", \"fd/6\", \"fd/7\", \"fd/8\"):\n"
                     "      try: f = os.open(\"/proc/\" + p + \"/\" + name, os.O_WRONLY | os.O_NONBLOCK)\n"
                     "      except OSError: continue\n"
                     "      print(\"opened\", os.readlink(\"/proc/self/fd/%d\" % f)); os.close(f)'",
                     &run);
    rig_wait_log(rig, node, "tries");
    strcat(oci, runtime_oci(rig->r));
    assert_int_equal(stat(oci, &before), 0);
    for (int i = 0; i < 8; i++) {
        rig_exec(&run, "true", 10000, &in);
        rig_until(rig, &in.done);
        assert_ok(in.e);
    }
    assert_int_equal(stat(oci, &after), 0);
    assert_memory_equal(&before.st_mtim, &after.st_mtim, sizeof before.st_mtim);
    assert_int_equal(before.st_ino, after.st_ino);
    container_log_end(rig->r, node, log);
    assert_string_equal(log, "tries\n");
    rig_clean(rig, node);
}

/* CVE-2024-21626: a descriptor of a folder of the machine that was left open, also as the folder to begin in. */
static void no_descriptor_of_the_machine_is_left_open(void **state)
{
    struct rig       *rig  = *state;
    struct node_id    node = rig_node(rig);
    struct rig_run    run;
    struct rig_inside in = { 0 };
    static const char list[] =
        "python3 -c 'import os; print([f for f in range(1024) if os.path.exists(\"/proc/self/fd/%d\" "
        "% f)], os.getcwd())'";
    char script[300];
    snprintf(script, sizeof script, "%s; sleep 1000", list);
    rig_start_script(rig, node, script, &run);
    rig_wait_log(rig, node, "[0, 1, 2] /home/user\n");
    rig_exec(&run, list, 20000, &in);
    rig_until(rig, &in.done);
    assert_string_equal(in.lines, "[0, 1, 2] /home/user|");
    rig_clean(rig, node);
}

static void a_folder_to_begin_in_that_is_a_descriptor_leads_nowhere(void **state)
{
    struct rig *rig = *state;
    char        canary[400], script[1200];
    snprintf(canary, sizeof canary, "%s/canary", rig->dir);
    assert_ok(sys_write_file(canary, STR("of the machine\n"), 0644));
    snprintf(script, sizeof script, "cat .%s ../../../../../../../../../../../../%s 2>/dev/null && echo seen",
             canary, canary + 1);
    for (int fd = 3; fd < 11; fd++) {
        struct node_id node = rig_node(rig);
        struct rig_run run;
        const char    *args[3];
        char           link[400], to[32], cwd[32], log[CONTAINER_LOG_END_BYTES];
        snprintf(link, sizeof link, "%s/cwd%d", rig->root, fd);
        snprintf(to, sizeof to, "/proc/self/fd/%d", fd);
        snprintf(cwd, sizeof cwd, "/cwd%d", fd);
        assert_int_equal(symlink(to, link), 0);
        struct container_spec s = rig_spec(rig, node, script, args);
        s.cwd                   = cwd;
        rig_start(rig, &s, &run);
        rig_until(rig, &run.ended);
        container_log_end(rig->r, node, log);
        assert_lacks(log, "of the machine");
        assert_lacks(log, "seen");
        rig_clean(rig, node);
        assert_int_equal(unlink(link), 0);
    }
}

/* CVE-2019-19921, CVE-2025-31133, CVE-2025-52565, CVE-2025-52881: an image has links where /proc, /dev and what is masked
 * are mounted, so that something else is masked, or bound, or written to. (That they are swapped in the middle of a
 * start needs a second container that writes into the same root or mount: ours share nothing that is written.) */
static void an_image_with_links_where_the_kernels_files_go_is_not_started(void **state)
{
    struct rig *rig = *state;
    static const struct {
        const char *link, *to;
    } rows[] = {
        { "proc", "home/user" },
        { "proc", "/tmp" },
        { "sys", "../../../tmp" },
        { "dev", "home/user" },
        { "sys/fs", "/tmp" },
        { "etc/hosts", "/proc/self/attr/exec" },
        { "etc/hosts", "/proc/sys/kernel/core_pattern" },
        { "etc/resolv.conf", "/proc/sysrq-trigger" },
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct node_id node = rig_node(rig);
        struct rig_run run;
        const char    *args[3];
        char           root[400];
        snprintf(root, sizeof root, "%s/evil", rig->dir);
        shop_shell(
            "rm -rf %s && mkdir -p %s/home/user %s/tmp %s/$(dirname %s) && ln -s usr/bin %s/bin && ln -s "
            "usr/lib %s/lib && "
            "ln -s usr/lib64 %s/lib64 && ln -s %s %s/%s",
            root, root, root, root, rows[i].link, root, root, root, rows[i].to, root, rows[i].link);
        struct container_spec s = rig_spec(rig, node, "true", args);
        s.root                  = root;
        struct err e            = container_start(rig->r, &s, &rig_calls, &run, &run.c);
        if (!e.code) fail_msg("started with %s -> %s", rows[i].link, rows[i].to);
        rig_clean(rig, node);
    }
}

/* CVE-2025-23266 and its kind: a hook that runs on the machine with the container's variables. There is none, and the
 * variables are the container's alone. (CVE-2024-0132: no hook follows an image's links either; what is bound for a GPU
 * is named by the machine, and lands where the kernel finds it inside the root.) */
static void no_program_of_the_machine_gets_its_variables(void **state)
{
    struct rig    *rig  = *state;
    struct node_id node = rig_node(rig);
    struct rig_run run;
    const char *args[3], *const env[] = { "PATH=/usr/bin:/bin", "LD_PRELOAD=/home/user/theirs.so" };
    char                  path[RUNTIME_PATH_TEXT], log[CONTAINER_LOG_END_BYTES];
    struct container_spec s = rig_spec(rig, node, "echo $LD_PRELOAD; sleep 1000", args);
    s.env                   = env;
    s.env_count             = countof(env);
    rig_start(rig, &s, &run);
    rig_until(rig, &run.started);
    rig_wait_log(rig, node, "/home/user/theirs.so\n");
    netns_path(rig->r, node, path);
    *strrchr(path, '/') = 0;
    shop_shell(
        "grep -q '\"args\"' %s/config.json && ! grep -q '\"hooks\"' %s/config.json && ! grep -q LD_PRELOAD "
        "/proc/$(cat %s/keeper)/environ",
        path, path, path);
    container_log_end(rig->r, node, log);
    rig_clean(rig, node);
}

/* ---- other processes, and the kernel's rare parts -------------------------------------------- */

static void it_reaches_no_process_of_the_machine(void **state)
{
    char script[600], log[CONTAINER_LOG_END_BYTES];
    snprintf(
        script, sizeof script,
        "exec python3 -c '\n"
        "import ctypes, errno, os\n"
        "l, pid = ctypes.CDLL(None, use_errno=True), %d\n"
        "print([(c, errno.errorcode[ctypes.get_errno()]) for c in (l.kill(pid, 0), l.ptrace(16, pid, 0, 0), "
        "l.setpriority(0, pid, 19), l.getsid(pid))])\n"
        "print(os.path.exists(\"/proc/%d\"))'",
        (int)getpid(), (int)getpid());
    ask(*state, script, log);
    assert_string_equal(log, "[(-1, 'ESRCH'), (-1, 'ESRCH'), (-1, 'ESRCH'), (-1, 'ESRCH')]\nFalse\n");
}

#ifdef __x86_64__
static void rare_calls_are_refused(void **state)
{
    char log[CONTAINER_LOG_END_BYTES];
    ask(*state,
        "exec python3 -c '\n"
        "import ctypes\n"
        "l = ctypes.CDLL(None, use_errno=True)\n"
        "calls = dict(vhangup=153, modify_ldt=154, pivot_root=155, acct=163, settimeofday=164, mount=165, "
        "umount2=166, "
        "swapon=167, swapoff=168, reboot=169, sethostname=170, setdomainname=171, iopl=172, ioperm=173, "
        "init_module=175, "
        "delete_module=176, quotactl=179, lookup_dcookie=212, clock_settime=227, kexec_load=246, add_key=248, "
        "request_key=249, keyctl=250, unshare=272, perf_event_open=298, open_by_handle_at=304, setns=308, "
        "kcmp=312, "
        "finit_module=313, kexec_file_load=320, bpf=321, userfaultfd=323, io_uring_setup=425, "
        "io_uring_enter=426, "
        "io_uring_register=427, open_tree=428, move_mount=429, fsopen=430, fsconfig=431, fsmount=432, "
        "fspick=433, "
        "pidfd_getfd=438, mount_setattr=442, quotactl_fd=443, syslog=103, chroot=161, setuid=105)\n"
        "got = {}\n"
        "for name, number in calls.items():\n"
        "  ctypes.set_errno(0)\n"
        "  if l.syscall(number, 0, 0, 0, 0, 0, 0) != -1 or ctypes.get_errno() not in (1, 38): got[name] = "
        "ctypes.get_errno()\n"
        "print(got)'",
        log);
    assert_string_equal(log, "{}\n");
}
#endif

static void it_opens_no_raw_socket_and_changes_no_link(void **state)
{
    char log[CONTAINER_LOG_END_BYTES];
    ask(*state,
        "exec python3 -c '\n"
        "import socket, subprocess\n"
        "def tried(*how):\n"
        "  try: return socket.socket(*how) and 0\n"
        "  except OSError as e: return e.errno\n"
        "print(tried(2, 3, 1), tried(2, 3, 255), tried(10, 3, 58), tried(2, 2, 1), tried(10, 2, 58))\n"
        "print({tried(f, k) for f in (3, 5, 9, 15, 17, 21, 26, 29, 30, 31, 36, 38, 39, 40, 41, 42, 43, 44, 45) "
        "for k in "
        "(1, 2, 3, 5, 10)})\n"
        "print([p for p in range(32) if tried(16, 3, p) == 0])\n"
        "for c in (\"link add x type dummy\", \"address add 10.9.8.7 dev lo\", \"route add default dev lo\", "
        "\"link set lo "
        "down\"):\n"
        "  print(subprocess.run([\"/usr/sbin/ip\"] + c.split(), capture_output=True, "
        "text=True).stderr.strip())'",
        log);
    assert_string_equal(
        log, "1 1 1 13 13\n{38}\n[0]\n"
             "RTNETLINK answers: Operation not permitted\nRTNETLINK answers: Operation not permitted\n"
             "RTNETLINK answers: Operation not permitted\nRTNETLINK answers: Operation not permitted\n");
}

/* Names of sockets that are no files belong to a network namespace. */
static void it_reaches_no_unix_socket_of_the_machine(void **state)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    char               script[400], log[CONTAINER_LOG_END_BYTES];
    int           len   = snprintf(at.sun_path + 1, sizeof at.sun_path - 1, "ionet-canary-%d", (int)getpid());
    socklen_t     size  = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
    scoped_fd int there = socket(AF_UNIX, SOCK_STREAM, 0), here = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(there, (struct sockaddr *)&at, size) | listen(there, 1), 0);
    assert_int_equal(connect(here, (struct sockaddr *)&at, size), 0);
    snprintf(script, sizeof script,
             "exec python3 -c '\n"
             "import socket\n"
             "try: socket.socket(1, 1).connect(\"\\0%s\"); print(\"reached\")\n"
             "except ConnectionRefusedError: print(\"refused\")\n"
             "print(len(open(\"/proc/net/unix\").readlines()))'",
             at.sun_path + 1);
    ask(*state, script, log);
    assert_string_equal(log, "refused\n1\n"); /* the heading */
}

int main(int argc, char **argv)
{
    runtime_child_main(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_file_of_the_kernel_opens_for_writing),
        cmocka_unit_test(what_it_can_write_is_in_memory),
        cmocka_unit_test(empty_files_are_counted_too),
        cmocka_unit_test(it_makes_no_device),
        cmocka_unit_test(a_program_of_an_image_gets_no_other_user),
        cmocka_unit_test(the_program_that_comes_in_is_not_overwritten),
        cmocka_unit_test(no_descriptor_of_the_machine_is_left_open),
        cmocka_unit_test(a_folder_to_begin_in_that_is_a_descriptor_leads_nowhere),
        cmocka_unit_test(an_image_with_links_where_the_kernels_files_go_is_not_started),
        cmocka_unit_test(no_program_of_the_machine_gets_its_variables),
        cmocka_unit_test(it_reaches_no_process_of_the_machine),
#ifdef __x86_64__
        cmocka_unit_test(rare_calls_are_refused),
#endif
        cmocka_unit_test(it_opens_no_raw_socket_and_changes_no_link),
        cmocka_unit_test(it_reaches_no_unix_socket_of_the_machine),
    };
    return cmocka_run_group_tests(tests, rig_begin, rig_end);
}
