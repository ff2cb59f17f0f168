/* sandbox.h: a program gives up what it does not need any more. It says in one table what it still needs, and enters
 * once its sockets, folders and keys are open:
 *
 *   capabilities   all but those named are dropped, from the bounding set too; no_new_privs is set, so that no program
 *                  it may start gains any
 *   files          landlock: below the paths named, and nowhere else; and no TCP port is bound or connected to but by who
 *                  may make sockets. A kernel without landlock can't do this: `made` says so, and it goes on
 *   system calls   seccomp: the groups named. What no honest program of ours ever calls (execve, ptrace, mount, setuid …
 *                  without the group that needs it) ends the process at once: whoever calls it is an intruder, and ends
 *                  with the first try. Any other call that is not listed is answered ENOSYS, as by an older kernel: a
 *                  library that was mended and tries a new call falls back, and an operator's network does not die of
 *                  it. A strict sandbox, for tests, ends the process then too, so that the lists stay whole
 *   memory         the process can't be traced or dumped by others of its user
 *
 * What is dropped can't be had back, by this process, its later threads and its children. The first thread enters, before
 * there is another: landlock and capabilities belong to a thread. */
#ifndef SYS_SANDBOX_H
#define SYS_SANDBOX_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SANDBOX_PATHS_MAX 16

enum sandbox_use {
    SANDBOX_READ,  /* files and folders below */
    SANDBOX_WRITE, /* read, written, made, renamed and removed below */
    SANDBOX_RUN,   /* read and run */
};

struct sandbox_path {
    const char      *path; /* null ends the list; one that is not there gives nothing */
    enum sandbox_use use;
};

/* Beside memory, threads, clocks, what waits on descriptors, and these themselves, which all have. */
enum sandbox_calls {
    SANDBOX_FILES    = 1 << 0, /* open, make, rename, remove */
    SANDBOX_SERVE    = 1 << 1, /* accept and talk at sockets that are there */
    SANDBOX_SOCKETS  = 1 << 2, /* make, bind and connect such of TCP and UDP */
    SANDBOX_LOCAL    = 1 << 3, /* the same of the machine's own, AF_UNIX */
    SANDBOX_CHILDREN = 1 << 4, /* start programs and end them */
    SANDBOX_DEVICES  = 1 << 5, /* network interfaces: netlink, tunnels, namespaces */
    SANDBOX_MACHINE  = 1 << 6, /* runs containers: everything but what changes the machine itself */
    SANDBOX_LINKS    = 1 << 7, /* ask which links and addresses the machine has (getifaddrs) */
};

struct sandbox {
    unsigned    calls;        /* of enum sandbox_calls */
    uint64_t    capabilities; /* bits of linux/capability.h that stay */
    bool        everywhere;   /* no landlock: it mounts (which landlock forbids) or needs all paths */
    bool        strict;
    const char *user; /* to become if it runs as root, with what is below its SANDBOX_WRITE paths; "": stays */
    struct sandbox_path paths[SANDBOX_PATHS_MAX];
};

struct sandbox_made {
    int   landlock; /* version of the kernel's; 0: it has none, and any path may be used */
    uid_t uid;
};

/* ERR_MISSING: there is no such user. ERR_DENIED: the kernel refuses what a sandbox is made of. */
must_check struct err sandbox_enter(const struct sandbox *s, struct sandbox_made *made);

/* What the option `sandbox` of a program may say: on, strict or off. */
bool sandbox_is_word(const char *word);

/* Nobody of the same user reads this process's memory, and no core file holds its keys. `children_too`: programs that it
 * starts write none either. Part of entering; on its own for programs that have no sandbox. */
must_check struct err sandbox_close_memory(bool children_too);

/* As much of its own memory and no more, of this process and of what it becomes. Before it enters. Of no effect in a build
 * with the sanitizers, whose shadow is larger than any program's memory. */
must_check struct err sandbox_limit_memory(uint64_t bytes);

#endif
