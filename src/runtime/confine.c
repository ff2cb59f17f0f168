/* confine.c: skopeo and umoci, which read what strangers made and must be root for it: they see the machine's files, and
 * write into one folder alone. */
#include "inside_int.h"
#include "runtime_int.h"

#include "sys/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#define MEMORY_BYTES_MAX (2ull << 30) /* of its heap: a manifest may be a bomb as well */

/* Of files that belong to others, as in an image they do. */
#define CAPABILITIES                                                                          \
    (1ull << CAP_CHOWN | 1ull << CAP_DAC_OVERRIDE | 1ull << CAP_FOWNER | 1ull << CAP_FSETID | \
     1ull << CAP_MKNOD | 1ull << CAP_SETFCAP)

__attribute__((noreturn)) static void fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static void set_mount(const char *path, unsigned flags, uint64_t set, uint64_t clear)
{
    struct mount_attr a = { .attr_set = set, .attr_clr = clear };
    if (mount_setattr(AT_FDCWD, path, flags, &a, sizeof a) < 0) fail(path);
}

/* All mounts of a namespace of its own are read-only; the folder is a mount on itself that is not. */
static void write_only_into(const char *folder)
{
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) fail("mounts");
    if (folder[0] && mount(folder, folder, NULL, MS_BIND, NULL) < 0) fail(folder);
    set_mount("/", AT_RECURSIVE, MOUNT_ATTR_RDONLY, 0);
    if (folder[0])
        set_mount(folder, 0, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, MOUNT_ATTR_RDONLY);
}

void inside_confined_main(char **argv)
{
    static const struct sandbox rest     = { .calls        = SANDBOX_MACHINE | SANDBOX_CHILDREN,
                                             .capabilities = CAPABILITIES,
                                             .everywhere   = true };
    const char                 *folder   = argv[1];
    bool                        is_alone = strcmp(argv[2], CONFINED_ALONE) == 0;
    struct sandbox_made         made;
    if (unshare(CLONE_NEWNS | CLONE_NEWIPC | (is_alone ? CLONE_NEWNET : 0)) < 0) fail("namespaces");
    write_only_into(folder);
    if (setenv("TMPDIR", folder[0] ? folder : "/", 1) < 0 || chdir(folder[0] ? folder : "/") < 0) fail(folder);
    const struct rlimit file = { strtoull(argv[3], NULL, 10), strtoull(argv[3], NULL, 10) };
    if (setrlimit(RLIMIT_FSIZE, &file) < 0) fail("limit");
    struct err e = sandbox_limit_memory(MEMORY_BYTES_MAX);
    if (!e.code) e = sandbox_enter(&rest, &made);
    if (e.code) {
        fprintf(stderr, "%s\n", e.why);
        exit(1);
    }
    execvp(argv[4], argv + 4);
    fail(argv[4]);
}
