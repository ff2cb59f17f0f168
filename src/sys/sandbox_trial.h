/* sandbox_trial.h: for tests: what comes of a deed within a sandbox. Each deed is tried by a child of its own that
 * enters the sandbox before. */
#ifndef SYS_SANDBOX_TRIAL_H
#define SYS_SANDBOX_TRIAL_H

#include "base/str.h"
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum outcome { DONE, REFUSED, KILLED, OUTCOMES };
#define UNLESS_SANITIZED 16 /* with the sanitizers, which need it themselves, it is not tried */

#define TRIAL_BROKEN 101 /* the sandbox could not be entered */

struct deed {
    const char *name;
    int (*by)(const char *folder); /* 0: it was done */
    unsigned outcome;              /* of enum outcome */
};

#ifdef __SANITIZE_ADDRESS__
#define TRIAL_SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TRIAL_SANITIZED true
#endif
#endif
#ifndef TRIAL_SANITIZED
#define TRIAL_SANITIZED false
#endif

#define trial_inline __attribute__((unused)) static

trial_inline unsigned trial(const struct sandbox *s, int (*by)(const char *folder), const char *folder)
{
    int   status;
    pid_t child = fork();
    if (child == 0) {
        struct sandbox_made made;
        if (sandbox_enter(s, &made).code) _exit(TRIAL_BROKEN);
        _exit(by(folder) == 0 ? 0 : 1);
    }
    check(child > 0 && waitpid(child, &status, 0) == child);
    if (WIFSIGNALED(status)) return WTERMSIG(status) == SIGSYS ? KILLED : TRIAL_BROKEN;
    return WEXITSTATUS(status) == 0 ? DONE : WEXITSTATUS(status) == 1 ? REFUSED : TRIAL_BROKEN;
}

/* How many deeds had another outcome than they should; each is named. */
trial_inline unsigned trial_all(const struct sandbox *s, const char *folder, const struct deed *deeds,
                                size_t count)
{
    static const char *const names[] = { "done", "refused", "ends it" };
    unsigned                 wrong   = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned should = deeds[i].outcome % UNLESS_SANITIZED;
        if (TRIAL_SANITIZED && deeds[i].outcome != should) continue;
        unsigned came = trial(s, deeds[i].by, folder);
        if (came == should) continue;
        fprintf(stderr, "%s: %s, not %s\n", deeds[i].name, came < OUTCOMES ? names[came] : "broken",
                names[should]);
        wrong++;
    }
    return wrong;
}

/* ---- deeds -------------------------------------------------------------------------------------------------------- */

trial_inline int deed_socket(int family, int type)
{
    return socket(family, type, 0) < 0 ? -1 : 0;
}

trial_inline int deed_read_outside(const char *folder)
{
    (void)folder;
    return open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0 ? -1 : 0;
}

trial_inline int deed_write_outside(const char *folder)
{
    char path[512];
    snprintf(path, sizeof path, "%s-beside", folder);
    return open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0 ? -1 : 0;
}

trial_inline int deed_list_outside(const char *folder)
{
    (void)folder;
    return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC) < 0 ? -1 : 0;
}

/* Made, written, renamed, cut, removed. */
trial_inline int deed_use_folder(const char *folder)
{
    char path[512], other[512];
    snprintf(path, sizeof path, "%s/a", folder);
    snprintf(other, sizeof other, "%s/b", folder);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return fd < 0 || write(fd, "x", 1) != 1 || fsync(fd) || ftruncate(fd, 0) || rename(path, other) ||
           unlink(other);
}

trial_inline int deed_exec(const char *folder)
{
    (void)folder;
    execl("/bin/true", "true", NULL);
    return -1;
}

trial_inline int deed_fork(const char *folder)
{
    (void)folder;
    pid_t child = fork();
    if (child == 0) _exit(0);
    return child < 0 ? -1 : 0;
}

trial_inline void *trial_thread_body(void *unused)
{
    return unused;
}

trial_inline int deed_thread(const char *folder)
{
    pthread_t thread;
    (void)folder;
    return pthread_create(&thread, NULL, trial_thread_body, NULL) || pthread_join(thread, NULL);
}

trial_inline int deed_ptrace(const char *folder)
{
    (void)folder;
    return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) < 0 ? -1 : 0;
}

trial_inline int deed_mount(const char *folder)
{
    return mount("none", folder, "tmpfs", 0, NULL);
}

trial_inline int deed_unshare(const char *folder)
{
    (void)folder;
    return unshare(CLONE_NEWUSER);
}

trial_inline int deed_setuid(const char *folder)
{
    (void)folder;
    return (int)syscall(SYS_setuid, 1); /* the C library would first ask whether the number fits */
}

trial_inline int deed_kill_parent(const char *folder)
{
    (void)folder;
    return kill(getppid(), 0);
}

trial_inline int deed_bpf(const char *folder)
{
    (void)folder;
    return (int)syscall(SYS_bpf, 0, NULL, 0);
}

trial_inline int deed_io_uring(const char *folder)
{
    (void)folder;
    return (int)syscall(SYS_io_uring_setup, 1, NULL);
}

trial_inline int deed_module(const char *folder)
{
    (void)folder;
    return (int)syscall(SYS_finit_module, -1, "", 0);
}

/* One that is younger than any list. */
trial_inline int deed_unknown(const char *folder)
{
    (void)folder;
    return (int)syscall(1000);
}

trial_inline int deed_run_memory(const char *folder)
{
    (void)folder;
    void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? -1 : 0;
}

trial_inline int deed_inet(const char *folder)
{
    (void)folder;
    return deed_socket(AF_INET, SOCK_STREAM);
}

trial_inline int deed_local(const char *folder)
{
    (void)folder;
    return deed_socket(AF_UNIX, SOCK_STREAM);
}

trial_inline int deed_netlink(const char *folder)
{
    (void)folder;
    return deed_socket(AF_NETLINK, SOCK_RAW);
}

trial_inline int deed_packet(const char *folder)
{
    (void)folder;
    return deed_socket(AF_PACKET, SOCK_RAW);
}

/* No right of root's is left, none can be had by a program that is started, and none can be raised. */
trial_inline int deed_any_capability(const char *folder)
{
    struct __user_cap_header_struct head    = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct   sets[2] = { { 0 } };
    (void)folder;
    if (syscall(SYS_capget, &head, sets) < 0) return 0;
    return sets[0].permitted | sets[1].permitted ? 0 : -1;
}

#endif
