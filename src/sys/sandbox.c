#include "sandbox_int.h"

#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FOLDERS_OPEN_MAX 32
#define CAPABILITY_SETS 2 /* a capability's number has 6 bits, a set has 32 */

struct identity {
    uid_t uid;
    gid_t gid;
    bool  switches;
};

static struct identity heir; /* of the folders, while they are given to him: nftw hands nothing on */

static struct err find_user(const struct sandbox *s, struct identity *out)
{
    *out = (struct identity){ getuid(), getgid(), false };
    if (!s->user || !s->user[0]) return OK;
    errno                  = 0;
    const struct passwd *p = getpwnam(s->user);
    if (!p) return ERR(MISSING, "there is no such user");
    if (getuid() != 0) return p->pw_uid == getuid() ? OK : ERR(DENIED, "only root can become another user");
    *out = (struct identity){ p->pw_uid, p->pw_gid, true };
    return OK;
}

/* A file of several names may be somebody else's that was linked here, so it is left as it is. */
static int give_one(const char *path, const struct stat *st, int flag, struct FTW *where)
{
    (void)where;
    if (st->st_uid == heir.uid && st->st_gid == heir.gid) return 0;
    if (flag == FTW_NS || (!S_ISDIR(st->st_mode) && st->st_nlink > 1)) return 0;
    return lchown(path, heir.uid, heir.gid) < 0 && errno != ENOENT ? -1 : 0;
}

/* Also back to root, who can't read another user's files any more once his capabilities are gone. */
static struct err give_folders(const struct sandbox *s, const struct identity *to)
{
    if (getuid() != 0) return OK;
    heir = *to;
    for (const struct sandbox_path *p = s->paths; p->path; p++)
        if (p->use == SANDBOX_WRITE && nftw(p->path, give_one, FOLDERS_OPEN_MAX, FTW_PHYS | FTW_MOUNT) < 0 &&
            errno != ENOENT)
            return ERR(IO, "a folder can't be given to the user that the program becomes");
    return OK;
}

/* Those not in the bounding set can't be had by any program that is started. Without the right to drop them there
 * is nothing that no_new_privs would not forbid as well. */
static void narrow_bounds(uint64_t kept)
{
    for (unsigned long c = 0; c <= CAP_LAST_CAP; c++)
        if (!(kept >> c & 1)) (void)prctl(PR_CAPBSET_DROP, c, 0, 0, 0);
}

static struct err become(const struct identity *to)
{
    if (!to->switches) return OK;
    bool became = prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0 && setgroups(0, NULL) == 0 &&
                  setresgid(to->gid, to->gid, to->gid) == 0 && setresuid(to->uid, to->uid, to->uid) == 0;
    return became ? OK : ERR(DENIED, "the user can't be changed");
}

/* Only what it has can be kept. Another user's program gets what stays through the ambient set. */
static struct err keep_capabilities(uint64_t kept, bool ambient)
{
    struct __user_cap_header_struct head                  = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct   sets[CAPABILITY_SETS] = { { 0 } };
    if (syscall(SYS_capget, &head, sets) < 0) return ERR(DENIED, "the capabilities can't be read");
    for (unsigned i = 0; i < CAPABILITY_SETS; i++) {
        sets[i].permitted &= (uint32_t)(kept >> (32 * i));
        sets[i].effective   = sets[i].permitted;
        sets[i].inheritable = ambient ? sets[i].permitted : 0;
    }
    if (syscall(SYS_capset, &head, sets) < 0) return ERR(DENIED, "capabilities can't be dropped");
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    for (unsigned long c = 0; ambient && c <= CAP_LAST_CAP; c++)
        if (sets[c / 32].permitted >> (c % 32) & 1) (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, c, 0, 0);
    return OK;
}

static struct err be_alone(void)
{
    struct stat tasks;
    if (stat("/proc/self/task", &tasks) < 0) return ERR(MISSING, "/proc is not there");
    check(tasks.st_nlink == 3); /* itself, its parent, and one thread */
    return OK;
}

struct err sandbox_close_memory(bool children_too)
{
    struct rlimit none = { 0, 0 };
    if (children_too && setrlimit(RLIMIT_CORE, &none) < 0) return ERR(DENIED, "core files can't be forbidden");
    if (!SANDBOX_SANITIZED && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return ERR(DENIED, "the memory can't be closed to others");
    return OK;
}

struct err sandbox_limit_memory(uint64_t bytes)
{
    const struct rlimit l      = { bytes, bytes };
    bool                limits = SANDBOX_SANITIZED || setrlimit(RLIMIT_DATA, &l) == 0;
    return limits ? OK : ERR(DENIED, "the memory can't be limited");
}

bool sandbox_is_word(const char *word)
{
    return strcmp(word, "on") == 0 || strcmp(word, "strict") == 0 || strcmp(word, "off") == 0;
}

struct err sandbox_enter(const struct sandbox *s, struct sandbox_made *made)
{
    struct identity who;
    *made = (struct sandbox_made){ 0 };
    TRY(be_alone());
    TRY(find_user(s, &who));
    TRY(give_folders(s, &who));
    narrow_bounds(s->capabilities);
    TRY(become(&who));
    TRY(keep_capabilities(s->capabilities, who.switches && (s->calls & SANDBOX_CHILDREN)));
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return ERR(DENIED, "the kernel does not know no_new_privs");
    TRY(sandbox_close_memory(true));
    if (!s->everywhere) TRY(sandbox_paths(s, &made->landlock));
    TRY(sandbox_calls(s));
    made->uid = getuid();
    return OK;
}
