/* What the gateway may do once it serves, tried within its own policy. */
#include "config.h"

#include "sys/sandbox_trial.h"
#include "sys/sys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct config config;
static char          folder[64];

/* The file of a user of the machine, beside what names are found with. */
static int read_passwords(const char *unused)
{
    (void)unused;
    return open("/etc/shadow", O_RDONLY | O_CLOEXEC) < 0 ? -1 : 0;
}

static int run_wireguard(const char *unused)
{
    char *words[] = { config.wireguard_go, (char *)"--version", NULL };
    (void)unused;
    execv(config.wireguard_go, words);
    return -1;
}

static int has_one_capability(const char *unused)
{
    struct __user_cap_header_struct head    = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct   sets[2] = { { 0 } };
    (void)unused;
    return syscall(SYS_capget, &head, sets) == 0 && sets[0].permitted == 1u << CAP_NET_ADMIN &&
                   !sets[1].permitted
               ? 0
               : -1;
}

static const struct deed deeds[] = {
    { "use its folder", deed_use_folder, DONE },
    { "start a thread", deed_thread, DONE },
    { "make a socket", deed_inet, DONE },
    { "make a local socket", deed_local, DONE },
    { "speak of interfaces", deed_netlink, DONE },
    { "have one capability, of networks", has_one_capability, DONE },
    { "run wireguard-go", run_wireguard, DONE },
    { "run another program", deed_exec, REFUSED },
    { "read a file of the machine", deed_read_outside, REFUSED },
    { "read its passwords", read_passwords, REFUSED },
    { "make a file beside its folder", deed_write_outside, REFUSED },
    { "list another folder", deed_list_outside, REFUSED },
    { "sniff", deed_packet, REFUSED },
    { "trace its parent", deed_ptrace, KILLED | UNLESS_SANITIZED },
    { "mount", deed_mount, KILLED },
    { "make namespaces", deed_unshare, KILLED },
    { "become another user", deed_setuid, KILLED },
    { "load bpf", deed_bpf, KILLED },
    { "make an io_uring", deed_io_uring, KILLED },
    { "load a module", deed_module, KILLED },
};

static void it_does_what_it_must_and_nothing_else(void **state)
{
    char state_dir[] = "--state_dir", host[] = "--host", address[] = "127.0.0.1", program[] = "ionet-gateway",
         wireguard[] = "--wireguard_go", wireguard_go[] = "build/tools/bin/wireguard-go",
         port[]            = "--port=8443";
    char          *words[] = { program, state_dir, folder, host, address, wireguard, wireguard_go, port, NULL };
    char           room[256];
    struct text    complaint = TEXT_IN(room);
    struct sandbox policy;
    (void)state;
    if (getuid() != 0) skip();
    assert_int_equal(config_read(&config, (int)countof(words) - 1, words, &complaint).code, ERR_NONE);
    assert_int_equal(config_policy(&config, &policy).code, ERR_NONE);
    assert_int_equal(trial_all(&policy, folder, deeds, countof(deeds)), 0);
}

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "%s/policy-test-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return sys_remove_tree(folder).code ? -1 : 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(it_does_what_it_must_and_nothing_else) };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
