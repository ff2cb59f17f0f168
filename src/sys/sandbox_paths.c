/* Landlock (landlock(7)): rights over what lies below some folders; all else is refused. */
#include "sandbox_int.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What Debian 12's header does not know yet (include/uapi/linux/landlock.h of Linux 6.12). */
#define FS_TRUNCATE (1ull << 14)
#define FS_IOCTL_DEV (1ull << 15)
#define NET_BIND_TCP (1ull << 0)
#define NET_CONNECT_TCP (1ull << 1)
#define SCOPE_ABSTRACT_UNIX (1ull << 0)
#define SCOPE_SIGNAL (1ull << 1)

struct ruleset { /* struct landlock_ruleset_attr, whole; an older kernel is given less of it */
    uint64_t fs, net, scoped;
};

#define READS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITES                                                                                                \
    (READS | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | \
     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |               \
     LANDLOCK_ACCESS_FS_REFER | FS_TRUNCATE)
#define OF_FILES \
    (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_EXECUTE | FS_TRUNCATE)

/* All rights that are refused where no rule gives them: each kernel's own. */
static struct ruleset refused_by(const struct sandbox *s, int version)
{
    struct ruleset r = { .fs = LANDLOCK_ACCESS_FS_MAKE_SYM * 2 - 1 };
    if (version >= 2) r.fs |= LANDLOCK_ACCESS_FS_REFER;
    if (version >= 3) r.fs |= FS_TRUNCATE;
    if (version >= 4 && !(s->calls & SANDBOX_SOCKETS)) r.net = NET_BIND_TCP | NET_CONNECT_TCP;
    if (version >= 5 && !(s->calls & SANDBOX_DEVICES)) r.fs |= FS_IOCTL_DEV;
    if (version >= 6) r.scoped = SCOPE_ABSTRACT_UNIX;
    if (version >= 6 && !(s->calls & SANDBOX_CHILDREN)) r.scoped |= SCOPE_SIGNAL;
    return r;
}

static uint64_t rights_of(enum sandbox_use use)
{
    switch (use) {
    case SANDBOX_READ: return READS;
    case SANDBOX_WRITE: return WRITES;
    case SANDBOX_RUN: return READS | LANDLOCK_ACCESS_FS_EXECUTE;
    }
    check_failed("a path has a use", __FILE__, __LINE__);
}

static struct err add_path(int ruleset, const struct sandbox_path *p, uint64_t known)
{
    struct stat   st;
    scoped_fd int fd = open(p->path, O_PATH | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) return OK;
    if (fd < 0 || fstat(fd, &st) < 0) return ERR(IO, "a path that the program needs can't be opened");
    struct landlock_path_beneath_attr rule = { .allowed_access = rights_of(p->use) & known, .parent_fd = fd };
    if (!S_ISDIR(st.st_mode)) rule.allowed_access &= OF_FILES;
    if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
        return ERR(DENIED, "landlock refuses a path");
    return OK;
}

struct err sandbox_paths(const struct sandbox *s, int *version)
{
    static const struct sandbox_path proc = { "/proc", SANDBOX_READ };
    long found = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    *version   = found > 0 ? (int)found : 0;
    if (*version == 0) return OK;

    struct ruleset r    = refused_by(s, *version);
    size_t         size = *version >= 6 ? sizeof r : *version >= 4 ? 2 * sizeof r.fs : sizeof r.fs;
    scoped_fd int  fd   = (int)syscall(SYS_landlock_create_ruleset, &r, size, 0);
    if (fd < 0) return ERR(DENIED, "landlock refuses its rules");
    for (const struct sandbox_path *p = s->paths; p->path; p++) TRY(add_path(fd, p, r.fs));
    if (SANDBOX_SANITIZED) TRY(add_path(fd, &proc, r.fs));
    return syscall(SYS_landlock_restrict_self, fd, 0) < 0 ? ERR(DENIED, "landlock can't be entered") : OK;
}
