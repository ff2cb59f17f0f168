/* Seccomp, by libseccomp: which system calls there are for a program. */
#include "sandbox_int.h"

#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define ALL 0u /* of every program */

static void release(scmp_filter_ctx *filter)
{
    if (*filter) seccomp_release(*filter);
}
#define scoped_filter __attribute__((cleanup(release)))

/* ---- what is allowed -------------------------------------------------------------------------------------------- */

struct row {
    unsigned    groups; /* any of them; ALL */
    const char *names;  /* with blanks between */
};

static const struct row allowed[] = {
    /* The C library: memory, threads, signals to itself, the end. */
    { ALL,
      "brk munmap mremap madvise mlock mlock2 munlock futex set_robust_list rseq sched_yield sched_getaffinity "
      "rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait sigaltstack restart_syscall "
      "exit exit_group "
      "gettid getpid getuid geteuid getgid getegid capget membarrier" },
    /* Clocks, randomness, what machine this is. */
    { ALL, "clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time times getrandom uname "
           "sysinfo getrusage" },
    /* Descriptors that are open. */
    { ALL,
      "read readv pread64 preadv write writev pwrite64 pwritev lseek close fstat dup dup2 dup3 fcntl flock "
      "fsync fdatasync ftruncate fallocate fadvise64" },
    /* The loop. */
    { ALL, "epoll_create1 epoll_ctl epoll_wait epoll_pwait poll ppoll select pselect6 eventfd2 pipe2 pipe "
           "timerfd_create timerfd_settime" },
    { SANDBOX_FILES,
      "open openat stat lstat newfstatat statx access faccessat faccessat2 readlink readlinkat "
      "getcwd getdents64 mkdir mkdirat rename renameat renameat2 unlink unlinkat rmdir chmod "
      "fchmod fchmodat chown fchown fchownat umask truncate utimensat statfs fstatfs fchdir chdir" },
    { SANDBOX_SERVE | SANDBOX_SOCKETS | SANDBOX_LOCAL | SANDBOX_DEVICES,
      "accept accept4 shutdown getsockname getpeername getsockopt setsockopt recvfrom recvmsg recvmmsg sendto "
      "sendmsg sendmmsg" },
    { SANDBOX_SOCKETS | SANDBOX_LOCAL | SANDBOX_DEVICES, "bind listen connect socketpair" },
    /* What a child of Go does between its beginning and its end (wireguard-go) is here too: a filter is inherited. */
    { SANDBOX_CHILDREN,
      "clone vfork fork execve wait4 waitid kill tgkill tkill pidfd_open pidfd_send_signal setsid "
      "setpgid getpgid getpgrp getppid getpriority arch_prctl set_tid_address prlimit64 setrlimit "
      "getrlimit memfd_create sched_setaffinity setitimer timer_create timer_settime timer_delete "
      "mincore epoll_pwait2 close_range prctl getsid getgroups setpriority ioctl mmap mprotect" },
    { SANDBOX_DEVICES, "setns ioctl inotify_init1 inotify_add_watch inotify_rm_watch" },
};

/* What no honest program of ours calls without the group that needs it. */
static const struct row never[] = {
    { SANDBOX_CHILDREN, "execve fork vfork" },
    { SANDBOX_DEVICES, "setns" },
    { SANDBOX_SOCKETS | SANDBOX_LOCAL | SANDBOX_DEVICES, "socket bind listen connect" },
    { ALL, "execveat ptrace process_vm_readv process_vm_writev process_madvise pidfd_getfd kcmp" },
    { ALL, "setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid setgroups capset" },
    { ALL, "mount umount2 pivot_root chroot mknod mknodat unshare open_tree move_mount fsopen fsconfig fsmount "
           "fspick "
           "mount_setattr name_to_handle_at open_by_handle_at swapon swapoff quotactl quotactl_fd symlink "
           "symlinkat link linkat setxattr lsetxattr fsetxattr" },
    { ALL, "bpf perf_event_open userfaultfd io_uring_setup io_uring_enter io_uring_register keyctl add_key "
           "request_key personality seccomp memfd_secret vmsplice" },
    { ALL, "init_module finit_module delete_module kexec_load kexec_file_load reboot iopl ioperm acct syslog "
           "settimeofday clock_settime adjtimex clock_adjtime sethostname setdomainname vhangup lookup_dcookie "
           "modify_ldt" },
};

/* Of a program that runs containers: what changes the machine itself, or has been the way out of a container. */
static const char of_machine[] =
    "init_module finit_module delete_module kexec_load kexec_file_load reboot iopl ioperm acct swapon swapoff "
    "settimeofday clock_settime adjtimex clock_adjtime vhangup lookup_dcookie modify_ldt perf_event_open "
    "userfaultfd io_uring_setup io_uring_enter io_uring_register quotactl quotactl_fd syslog "
    "process_vm_writev open_by_handle_at";

/* The sanitizers: their tracer at the end, and what they ask of the process. */
static const char of_sanitizers[] =
    "getdents clone fork ptrace wait4 prctl tgkill tkill kill getppid prlimit64 mmap mprotect "
    "ioctl openat readlink newfstatat process_vm_readv sched_getparam";

static bool is_in(const char *names, struct str name)
{
    struct str one, rest = str_from(names);
    while (rest.len) {
        str_split(rest, ' ', &one, &rest);
        if (str_eq(one, name)) return true;
    }
    return false;
}

static int number_of(struct str name)
{
    char room[32];
    check(!str_copy(name, room, sizeof room).code);
    return seccomp_syscall_resolve_name(room);
}

static struct err add_all(scmp_filter_ctx f, uint32_t action, const char *names)
{
    struct str one, rest = str_from(names);
    while (rest.len) {
        str_split(rest, ' ', &one, &rest);
        int number = number_of(one);
        if (number == __NR_SCMP_ERROR) continue; /* younger than libseccomp: then it is one of "all others" */
        if (seccomp_rule_add_array(f, action, number, 0, NULL) < 0)
            return ERR(DENIED, "the filter of system calls can't be made");
    }
    return OK;
}

/* ---- by their arguments ----------------------------------------------------------------------------------------- */

#define WHOLE (~(scmp_datum_t)0)

/* The call if an argument, counted from 0, is `value` as far as `mask` goes. */
static struct err allow_if(scmp_filter_ctx f, int call, unsigned argument, scmp_datum_t mask,
                           scmp_datum_t value)
{
    struct scmp_arg_cmp how = { argument, SCMP_CMP_MASKED_EQ, mask, value };
    return seccomp_rule_add_array(f, SCMP_ACT_ALLOW, call, 1, &how) < 0
               ? ERR(DENIED, "the filter of system calls can't be made")
               : OK;
}

/* A thread, not a process; no memory that is both written by us and run; only itself is sent a signal. */
static struct err allow_own(scmp_filter_ctx f)
{
    static const unsigned long ioctls[] = { FIONBIO, FIOCLEX, FIONREAD, TCGETS, TIOCGWINSZ };
    TRY(allow_if(f, SCMP_SYS(clone), 0, CLONE_THREAD, CLONE_THREAD));
    TRY(allow_if(f, SCMP_SYS(mmap), 2, PROT_EXEC, 0));
    TRY(allow_if(f, SCMP_SYS(mprotect), 2, PROT_EXEC, 0));
    TRY(allow_if(f, SCMP_SYS(tgkill), 0, WHOLE, (scmp_datum_t)getpid()));
    TRY(allow_if(f, SCMP_SYS(kill), 0, WHOLE, (scmp_datum_t)getpid()));
    TRY(allow_if(f, SCMP_SYS(prctl), 0, WHOLE, PR_SET_NAME));
    TRY(allow_if(f, SCMP_SYS(prlimit64), 2, WHOLE, 0)); /* asks, sets nothing */
    for (size_t i = 0; i < countof(ioctls); i++) TRY(allow_if(f, SCMP_SYS(ioctl), 1, WHOLE, ioctls[i]));
    return OK;
}

static struct err allow_sockets(scmp_filter_ctx f, unsigned groups)
{
    if (groups & SANDBOX_SOCKETS) {
        TRY(allow_if(f, SCMP_SYS(socket), 0, WHOLE, AF_INET));
        TRY(allow_if(f, SCMP_SYS(socket), 0, WHOLE, AF_INET6));
    }
    if (groups & SANDBOX_LOCAL) TRY(allow_if(f, SCMP_SYS(socket), 0, WHOLE, AF_UNIX));
    if (groups & (SANDBOX_DEVICES | SANDBOX_LINKS)) TRY(allow_if(f, SCMP_SYS(socket), 0, WHOLE, AF_NETLINK));
    return OK;
}

/* ---- whole ------------------------------------------------------------------------------------------------------ */

static bool is_allowed_anyway(struct str name, unsigned groups)
{
    if (SANDBOX_SANITIZED && is_in(of_sanitizers, name)) return true;
    for (size_t i = 0; i < countof(allowed); i++)
        if ((allowed[i].groups == ALL || allowed[i].groups & groups) && is_in(allowed[i].names, name))
            return true;
    return false;
}

/* clone3 hides its flags from a filter; told that there is none, the C library takes clone. */
static struct err fill_list(scmp_filter_ctx f, const struct sandbox *s)
{
    for (size_t i = 0; i < countof(allowed); i++)
        if (allowed[i].groups == ALL || allowed[i].groups & s->calls)
            TRY(add_all(f, SCMP_ACT_ALLOW, allowed[i].names));
    if (SANDBOX_SANITIZED) TRY(add_all(f, SCMP_ACT_ALLOW, of_sanitizers));
    TRY(allow_own(f));
    TRY(allow_sockets(f, s->calls));
    if (s->strict && seccomp_rule_add_array(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0, NULL) < 0)
        return ERR(DENIED, "the filter of system calls can't be made");
    return OK;
}

static struct err fill_never(scmp_filter_ctx f, const struct sandbox *s)
{
    struct str one, rest;
    for (size_t i = 0; i < countof(never); i++) {
        if (never[i].groups & s->calls) continue;
        for (rest = str_from(never[i].names); rest.len;) {
            str_split(rest, ' ', &one, &rest);
            int number = number_of(one);
            if (number == __NR_SCMP_ERROR || is_allowed_anyway(one, s->calls)) continue;
            if (seccomp_rule_add_array(f, SCMP_ACT_KILL_PROCESS, number, 0, NULL) < 0)
                return ERR(DENIED, "the filter of system calls can't be made");
        }
    }
    return OK;
}

struct err sandbox_calls(const struct sandbox *s)
{
    bool     machine = s->calls & SANDBOX_MACHINE;
    uint32_t others  = machine ? SCMP_ACT_ALLOW : s->strict ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(ENOSYS);
    scoped_filter scmp_filter_ctx f = seccomp_init(others);
    if (!f) return ERR(LIMIT, "there is no memory for the filter of system calls");
    if (seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) < 0 ||
        seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2) < 0) /* a tree: the same few steps for each call */
        return ERR(DENIED, "the filter of system calls can't be made");
    if (machine) {
        TRY(add_all(f, s->strict ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(EPERM), of_machine));
    } else {
        TRY(fill_list(f, s));
        if (!s->strict) TRY(fill_never(f, s));
    }
    return seccomp_load(f) < 0 ? ERR(DENIED, "the kernel refuses the filter of system calls") : OK;
}
