/* netns.c: a network namespace a node, made and dialed into by children of ours (inside.c). */
#include "netns.h"
#include "container_int.h"
#include "inside_int.h"

#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <unistd.h>

#define MAKE_MS_MAX 10000
#define DIAL_SLACK_MS 2000 /* for the child itself, beyond the time it has to connect */

void netns_path(const struct runtime *r, struct node_id node, char out[RUNTIME_PATH_TEXT])
{
    node_path(r, node, NODE_FILE_NET, out);
}

/* The file alone is not enough: the mount on it is the namespace. */
bool netns_is_there(const struct runtime *r, struct node_id node)
{
    char          path[RUNTIME_PATH_TEXT];
    struct statfs fs;
    netns_path(r, node, path);
    return statfs(path, &fs) == 0 && fs.f_type == NSFS_MAGIC;
}

/* ---- making ---------------------------------------------------------------------------------- */

struct making {
    struct runtime *r;
    netns_on_made   call;
    void           *ctx;
};

static void on_made(void *ctx, const struct child_result *result)
{
    struct making *m = ctx;
    struct err     e = result->ended && result->code == 0 ? OK : ERR(IO, "a network namespace can't be made");
    if (result->timed_out) e = ERR(TIMEOUT, "making a network namespace takes too long");
    if (!m->r->closing) m->call(m->ctx, e);
    free(m);
}

struct err netns_make(struct runtime *r, struct node_id node, const struct netns_sysctl *sysctls, size_t count,
                      netns_on_made call, void *ctx)
{
    if (count > NETNS_SYSCTLS_MAX) return ERR(LIMIT, "too many settings of a network namespace");
    struct container *c;
    TRY(node_prepare(r, node, &c));
    char user[RUNTIME_PATH_TEXT], net[RUNTIME_PATH_TEXT], base[16];
    node_path(r, node, NODE_FILE_USER, user);
    netns_path(r, node, net);
    snprintf(base, sizeof base, "%u", r->uid_base + c->slot * NETNS_IDS);
    const char *args[4 + 2 * NETNS_SYSCTLS_MAX + 1] = { CHILD_NETNS, user, net, base };
    for (size_t i = 0; i < count; i++) {
        args[4 + 2 * i] = sysctls[i].name;
        args[5 + 2 * i] = sysctls[i].value;
    }
    struct making *m = runtime_alloc(sizeof *m);
    *m               = (struct making){ r, call, ctx };

    const struct child_order order = {
        .file       = CHILD_SELF,
        .args       = args,
        .timeout_ms = MAKE_MS_MAX,
        .extra_fd   = -1,
        .on_done    = on_made,
        .ctx        = m,
    };
    struct err e = child_start(r, &order, NULL);
    if (e.code) free(m);
    return e;
}

/* ---- dialing --------------------------------------------------------------------------------- */

struct dialing {
    struct runtime *r;
    netns_on_dialed call;
    void           *ctx;
    int             socket;
};

/* The socket that the child sent, or -1. It is sent before the child ends, so nothing has to be waited for. */
static int take_socket(int from)
{
    char         byte;
    struct iovec one = { &byte, 1 };
    union {
        struct cmsghdr header;
        char           room[CMSG_SPACE(sizeof(int))];
    } control       = { 0 };
    struct msghdr m = {
        .msg_iov = &one, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };
    if (recvmsg(from, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != 1) return -1;

    const struct cmsghdr *right = CMSG_FIRSTHDR(&m);
    if (!right || right->cmsg_level != SOL_SOCKET || right->cmsg_type != SCM_RIGHTS) return -1;
    int fd;
    memcpy(&fd, CMSG_DATA(right), sizeof fd);
    return fd;
}

static struct err dial_error(const struct child_result *result)
{
    if (result->timed_out || result->code == DIAL_TIMEOUT)
        return ERR(TIMEOUT, "nothing answered in the node in time");
    if (result->code == DIAL_MISSING) return ERR(MISSING, "the node has no network namespace");
    if (result->code == DIAL_INVALID) return ERR(INVALID, "the address to connect to is not one");
    return ERR(IO, "nothing listens there in the node");
}

static void on_dialed(void *ctx, const struct child_result *result)
{
    struct dialing *d  = ctx;
    scoped_fd int   fd = result->ended && result->code == DIAL_OK ? take_socket(d->socket) : -1;
    struct err      e  = fd >= 0 ? OK : dial_error(result); /* before the descriptor is taken */
    if (!d->r->closing) d->call(d->ctx, e, sys_take_fd(&fd));
    close(d->socket);
    free(d);
}

struct err netns_dial(struct runtime *r, struct node_id node, const char *address, uint16_t port,
                      uint32_t timeout_ms, netns_on_dialed call, void *ctx)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return ERR(IO, "the system gives no more sockets");
    char path[RUNTIME_PATH_TEXT], port_text[8], timeout_text[16];
    netns_path(r, node, path);
    snprintf(port_text, sizeof port_text, "%u", port);
    snprintf(timeout_text, sizeof timeout_text, "%u", timeout_ms);
    const char *const args[] = { CHILD_DIAL, path, address, port_text, timeout_text, NULL };

    struct dialing *d = runtime_alloc(sizeof *d);
    *d                = (struct dialing){ r, call, ctx, pair[0] };

    const struct child_order order = {
        .file       = CHILD_SELF,
        .args       = args,
        .timeout_ms = timeout_ms + DIAL_SLACK_MS,
        .extra_fd   = pair[1],
        .on_done    = on_dialed,
        .ctx        = d,
    };
    struct err e = child_start(r, &order, NULL);
    close(pair[1]);
    if (e.code) {
        close(pair[0]);
        free(d);
    }
    return e;
}
