#include "sandbox.h"
#include "sandbox_trial.h"
#include "sys.h"

#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "%s/sandbox-test-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char path[96];
    (void)state;
    snprintf(path, sizeof path, "%s-beside", folder);
    unlink(path);
    return sys_remove_tree(folder).code ? -1 : 0;
}

static struct sandbox of(unsigned calls)
{
    return (struct sandbox){ .calls = calls, .paths = { { folder, SANDBOX_WRITE } } };
}

/* What a program can do without anything named, beside what all need. */
static void what_is_not_named_is_refused_and_what_no_program_calls_ends_it(void **state)
{
    static const struct deed deeds[] = {
        { "use its folder", deed_use_folder, REFUSED },
        { "start a thread", deed_thread, DONE },
        { "run a program", deed_exec, KILLED },
        { "fork", deed_fork, REFUSED | UNLESS_SANITIZED },
        { "trace its parent", deed_ptrace, KILLED | UNLESS_SANITIZED },
        { "signal its parent", deed_kill_parent, REFUSED | UNLESS_SANITIZED },
        { "mount", deed_mount, KILLED },
        { "make namespaces", deed_unshare, KILLED },
        { "become another user", deed_setuid, KILLED },
        { "load a module", deed_module, KILLED },
        { "make a socket", deed_inet, KILLED },
        { "make a local socket", deed_local, KILLED },
        { "open netlink", deed_netlink, KILLED },
        { "sniff", deed_packet, KILLED },
        { "load bpf", deed_bpf, KILLED },
        { "make an io_uring", deed_io_uring, KILLED },
        { "run memory that it wrote", deed_run_memory, REFUSED | UNLESS_SANITIZED },
        { "call what is younger than the list", deed_unknown, REFUSED },
    };
    struct sandbox s = of(0);
    (void)state;
    assert_int_equal(trial_all(&s, folder, deeds, countof(deeds)), 0);
}

static void a_strict_sandbox_ends_at_any_call_not_foreseen(void **state)
{
    static const struct deed deeds[] = {
        { "use its folder", deed_use_folder, KILLED | UNLESS_SANITIZED },
        { "start a thread", deed_thread, DONE },
        { "fork", deed_fork, KILLED | UNLESS_SANITIZED },
        { "call what is younger than the list", deed_unknown, KILLED },
    };
    struct sandbox s = of(0);
    (void)state;
    s.strict = true;
    assert_int_equal(trial_all(&s, folder, deeds, countof(deeds)), 0);
}

static void files_are_used_in_its_folder_alone(void **state)
{
    static const struct deed deeds[] = {
        { "use its folder", deed_use_folder, DONE },
        { "read a file of the machine", deed_read_outside, REFUSED },
        { "make a file beside its folder", deed_write_outside, REFUSED },
        { "list another folder", deed_list_outside, REFUSED },
    };
    static const struct deed everywhere[] = { { "read a file of the machine", deed_read_outside, DONE } };
    struct sandbox           s            = of(SANDBOX_FILES);
    (void)state;
    assert_int_equal(trial_all(&s, folder, deeds, countof(deeds)), 0);
    s.everywhere = true;
    assert_int_equal(trial_all(&s, folder, everywhere, countof(everywhere)), 0);
}

static void sockets_are_made_of_the_families_that_are_named(void **state)
{
    static const struct deed inet[] = { { "make a socket", deed_inet, DONE },
                                        { "make a local socket", deed_local, REFUSED },
                                        { "sniff", deed_packet, REFUSED } };
    static const struct deed all[]  = { { "make a socket", deed_inet, DONE },
                                        { "make a local socket", deed_local, DONE },
                                        { "open netlink", deed_netlink, DONE },
                                        { "sniff", deed_packet, REFUSED } };
    struct sandbox           s      = of(SANDBOX_SOCKETS);
    (void)state;
    assert_int_equal(trial_all(&s, folder, inet, countof(inet)), 0);
    s.calls = SANDBOX_SOCKETS | SANDBOX_LOCAL | SANDBOX_DEVICES;
    assert_int_equal(trial_all(&s, folder, all, countof(all)), 0);
}

static int run_given(const char *path)
{
    char *words[] = { (char *)path, NULL }, *none[] = { NULL };
    execve(path, words, none);
    return -1;
}

static int run_true(const char *unused)
{
    (void)unused;
    return run_given("/usr/bin/true");
}

static int run_false(const char *unused)
{
    (void)unused;
    return run_given("/usr/bin/false") == -1 && errno == EACCES ? -1 : 0;
}

static void programs_are_run_from_the_paths_that_are_named(void **state)
{
    static const struct deed deeds[] = { { "run what is named", run_true, DONE },
                                         { "run another", run_false, REFUSED } };
    struct sandbox           s       = of(SANDBOX_FILES | SANDBOX_CHILDREN);
    (void)state;
    s.paths[1] = (struct sandbox_path){ "/usr/bin/true", SANDBOX_RUN };
    s.paths[2] = (struct sandbox_path){ "/usr/lib", SANDBOX_RUN }; /* the C library */
    s.paths[3] = (struct sandbox_path){ "/lib64", SANDBOX_RUN };
    s.paths[4] = (struct sandbox_path){ "/etc/ld.so.cache", SANDBOX_READ };
    assert_int_equal(trial_all(&s, folder, deeds, countof(deeds)), 0);
}

/* ---- privileges --------------------------------------------------------------------------------------------------- */

static int has_only_net_admin(const char *unused)
{
    struct __user_cap_header_struct head    = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct   sets[2] = { { 0 } };
    (void)unused;
    if (syscall(SYS_capget, &head, sets) < 0) return -1;
    for (unsigned long c = 0; c <= CAP_LAST_CAP; c++)
        if (prctl(PR_CAPBSET_READ, c, 0, 0, 0) == (c != CAP_NET_ADMIN)) return -1;
    return sets[0].permitted == 1u << CAP_NET_ADMIN && sets[0].effective == 1u << CAP_NET_ADMIN &&
                   !sets[1].permitted && !sets[0].inheritable
               ? 0
               : -1;
}

static void capabilities_stay_only_if_they_are_named(void **state)
{
    static const struct deed none[] = { { "have any capability", deed_any_capability, REFUSED } };
    static const struct deed one[]  = { { "have the one that is named", has_only_net_admin, DONE } };
    struct sandbox           s      = of(SANDBOX_CHILDREN | SANDBOX_DEVICES);
    (void)state;
    if (getuid() != 0) skip();
    s.calls = 0;
    assert_int_equal(trial_all(&s, folder, none, countof(none)), 0);
    s.calls        = SANDBOX_CHILDREN | SANDBOX_DEVICES;
    s.capabilities = 1ull << CAP_NET_ADMIN;
    s.everywhere   = true;
    assert_int_equal(trial_all(&s, folder, one, countof(one)), 0);
}

static int is_another_user(const char *path)
{
    struct stat st;
    char        file[128];
    snprintf(file, sizeof file, "%s/kept", path);
    return getuid() != 0 && getgid() != 0 && stat(file, &st) == 0 && st.st_uid == getuid() &&
                   deed_use_folder(path) == 0 && deed_read_outside(path) < 0
               ? 0
               : -1;
}

static int owns_it_again(const char *path)
{
    char file[128];
    snprintf(file, sizeof file, "%s/kept", path);
    return open(file, O_RDWR | O_CLOEXEC) < 0 ? -1 : 0;
}

/* And the next start, as root without his rights, has it again. */
static void it_becomes_another_user_who_owns_its_folder(void **state)
{
    static const struct deed other[] = { { "be another user with the folder", is_another_user, DONE } };
    static const struct deed again[] = { { "have its own file", owns_it_again, DONE } };
    struct sandbox           s       = of(SANDBOX_FILES);
    struct sandbox_made      made;
    char                     kept[96];
    (void)state;
    if (getuid() != 0) skip();
    snprintf(kept, sizeof kept, "%s/kept", folder);
    assert_int_equal(sys_write_file(kept, STR("x"), 0600).code, ERR_NONE);
    s.user = "nobody";
    assert_int_equal(trial_all(&s, folder, other, countof(other)), 0);
    s.user = "";
    assert_int_equal(trial_all(&s, folder, again, countof(again)), 0);
    s.user = "there-is-no-such-user";
    assert_int_equal(sandbox_enter(&s, &made).code, ERR_MISSING);
}

static int linked_file_stays(const char *path)
{
    struct stat st;
    char        file[128];
    snprintf(file, sizeof file, "%s/linked", path);
    return stat(file, &st) == 0 && st.st_uid == 0 ? 0 : -1;
}

static void a_file_that_was_linked_into_its_folder_is_not_given_away(void **state)
{
    static const struct deed deeds[] = { { "leave a linked file its owner", linked_file_stays, DONE } };
    struct sandbox           s       = of(SANDBOX_FILES);
    char                     outside[96], inside[96];
    (void)state;
    if (getuid() != 0) skip();
    snprintf(outside, sizeof outside, "%s-beside", folder);
    snprintf(inside, sizeof inside, "%s/linked", folder);
    assert_int_equal(sys_write_file(outside, STR("x"), 0600).code, ERR_NONE);
    assert_int_equal(link(outside, inside), 0);
    s.user = "nobody";
    assert_int_equal(trial_all(&s, folder, deeds, countof(deeds)), 0);
    unlink(inside);
}

static int is_closed(const char *unused)
{
    struct rlimit core;
    (void)unused;
    return getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0 && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0
               ? 0
               : -1;
}

static void its_memory_is_closed_to_others(void **state)
{
    static const struct deed deeds[] = { { "leave no core file", is_closed, DONE | UNLESS_SANITIZED } };
    struct sandbox           s       = of(SANDBOX_CHILDREN);
    (void)state;
    assert_int_equal(trial_all(&s, folder, deeds, countof(deeds)), 0);
}

/* ---- of a program that runs containers ---------------------------------------------------------------------------- */

static void who_runs_containers_can_not_change_the_machine_itself(void **state)
{
    static const struct deed deeds[] = {
        { "run a program", deed_exec, DONE },
        { "mount", deed_mount, DONE },
        { "read a file of the machine", deed_read_outside, DONE },
        { "load a module", deed_module, REFUSED },
        { "make an io_uring", deed_io_uring, REFUSED },
    };
    struct sandbox s = of(SANDBOX_MACHINE);
    (void)state;
    if (getuid() != 0) skip();
    s.everywhere   = true;
    s.capabilities = 1ull << CAP_SYS_ADMIN;
    assert_int_equal(trial_all(&s, folder, deeds, countof(deeds)), 0);
    assert_int_equal(umount2(folder, MNT_DETACH), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_named_is_refused_and_what_no_program_calls_ends_it),
        cmocka_unit_test(a_strict_sandbox_ends_at_any_call_not_foreseen),
        cmocka_unit_test(files_are_used_in_its_folder_alone),
        cmocka_unit_test(sockets_are_made_of_the_families_that_are_named),
        cmocka_unit_test(programs_are_run_from_the_paths_that_are_named),
        cmocka_unit_test(capabilities_stay_only_if_they_are_named),
        cmocka_unit_test(it_becomes_another_user_who_owns_its_folder),
        cmocka_unit_test(a_file_that_was_linked_into_its_folder_is_not_given_away),
        cmocka_unit_test(its_memory_is_closed_to_others),
        cmocka_unit_test(who_runs_containers_can_not_change_the_machine_itself),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
