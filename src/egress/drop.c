/* drop.c: what the process gives up before it hears a stranger's first byte. */
#include "egress.h"

#include "sys/sandbox.h"

#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define FILES_SPARE 64     /* besides two sockets a connection */
#define MEMORY_MIB_MAX 128 /* of its heap and its threads' */

static struct err limit(__rlimit_resource_t what, rlim_t most)
{
    const struct rlimit l = { most, most };
    return setrlimit(what, &l) < 0 ? ERR(IO, "a way out can't be limited") : OK;
}

/* No user's name stands behind that number: who becomes him is nobody. Being told of the parent's end comes after: a
 * change of the user forgets it. */
static struct err become(uint32_t uid)
{
    pid_t parent = getppid();
    if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
        return ERR(IO, "a way out can't give up its rights");
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
        return ERR(IO, "a way out can't be tied to who started it");
    return OK;
}

/* The file that says who answers for names is often a link to what the machine's network writes. */
static void find_resolver(char folder[PATH_MAX])
{
    char *slash = realpath("/etc/resolv.conf", folder) ? strrchr(folder, '/') : NULL;
    if (slash) *slash = 0;
    if (!slash || slash == folder) memcpy(folder, "/etc", sizeof "/etc");
}

struct err egress_drop(uint32_t uid)
{
    static char folder[PATH_MAX];
    find_resolver(folder);
    const struct sandbox rest = {
        .calls = SANDBOX_FILES | SANDBOX_SOCKETS | SANDBOX_LINKS,
        .paths = { { "/etc", SANDBOX_READ }, { folder, SANDBOX_READ }, { "/dev/null", SANDBOX_READ } },
    };
    struct sandbox_made made;
    TRY(limit(RLIMIT_NOFILE, 2 * EGRESS_CONNECTIONS_MAX + FILES_SPARE));
    TRY(sandbox_limit_memory((uint64_t)MEMORY_MIB_MAX << 20));
    TRY(limit(RLIMIT_FSIZE, 0));
    if (close_range(EGRESS_LISTENER_FD + 1, ~0u, 0) < 0)
        return ERR(IO, "descriptors of a way out can't be closed");
    TRY(become(uid));
    return sandbox_enter(&rest, &made);
}
