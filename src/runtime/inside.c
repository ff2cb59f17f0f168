/* inside.c: work in a network namespace, done by a process that enters it, so that the worker never does. */
#include "egress/egress.h"
#include "inside_int.h"
#include "netns.h"
#include "runtime_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LISTEN_TRIES 100
#define LISTEN_AGAIN_US 20000

__attribute__((noreturn)) static void fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- making one ------------------------------------------------------------------------------ */

static void lo_up(void)
{
    int          fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq lo = { .ifr_name = "lo" };
    if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &lo) < 0) fail("lo");
    lo.ifr_flags |= IFF_UP;
    if (ioctl(fd, SIOCSIFFLAGS, &lo) < 0) fail("lo up");
    close(fd);
}

static bool enter(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    bool in = setns(fd, CLONE_NEWNET) == 0;
    close(fd);
    return in;
}

/* In new namespaces until its end of the pipe closes; the parent sees by one byte that it is. */
__attribute__((noreturn)) static void stay_in_new_ones(int ready, int over)
{
    char byte = 0;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) _exit(1);
    if (write(ready, &byte, 1) == 1 && read(over, &byte, 1) < 0) _exit(1);
    _exit(0);
}

static void map_ids(pid_t child, const char *file, const char *base)
{
    char path[64], map[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)child, file);
    int len = snprintf(map, sizeof map, "0 %s %d", base, NETNS_IDS);
    int fd  = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, map, (size_t)len) != len) fail(file);
    close(fd);
}

/* The mount is what keeps it: at a file of its own, as `ip netns` does. */
static void hold(pid_t child, const char *kind, const char *path)
{
    char from[64];
    int  fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) fail("namespace's file");
    close(fd);
    snprintf(from, sizeof from, "/proc/%d/ns/%s", (int)child, kind);
    if (mount(from, path, NULL, MS_BIND, NULL) < 0) fail("hold namespace");
}

/* The network namespace belongs to the user namespace, not to the host's: else nothing that has joined the one could
 * join the other, which is what runc does for programs that are run inside later. */
static void make(const char *user_path, const char *net_path, const char *base)
{
    int  ready[2], over[2];
    char byte;
    if (pipe2(ready, O_CLOEXEC) < 0 || pipe2(over, O_CLOEXEC) < 0) fail("pipe");
    pid_t child = fork();
    if (child < 0) fail("fork");
    if (child == 0) {
        close(over[1]);
        stay_in_new_ones(ready[1], over[0]);
    }
    close(ready[1]);
    if (read(ready[0], &byte, 1) != 1) {
        errno = EPERM;
        fail("new namespaces");
    }
    map_ids(child, "uid_map", base);
    map_ids(child, "gid_map", base);
    hold(child, "user", user_path);
    hold(child, "net", net_path);
    close(over[1]);
    waitpid(child, NULL, 0);
}

static void set(const char *name, const char *value)
{
    char path[RUNTIME_PATH_TEXT] = "/proc/sys/net/";
    if (strstr(name, "..") || strlen(name) > 128) {
        errno = EINVAL;
        fail("setting's name");
    }
    for (size_t i = 0, at = strlen(path); i <= strlen(name); i++) path[at + i] = name[i] == '.' ? '/' : name[i];
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, value, strlen(value)) != (ssize_t)strlen(value)) fail(name);
    close(fd);
}

void inside_netns_main(int argc, char **argv)
{
    if (argc < 4 || argc % 2) exit(1);
    if (!enter(argv[2])) {
        make(argv[1], argv[2], argv[3]);
        if (!enter(argv[2])) fail("enter");
    }
    lo_up();
    for (int i = 4; i < argc; i += 2) set(argv[i], argv[i + 1]);
    exit(0);
}

/* ---- dialing --------------------------------------------------------------------------------- */

static bool parse_address(const char *text, uint16_t port, struct sockaddr_storage *out, socklen_t *len)
{
    struct sockaddr_in  *v4 = (void *)out;
    struct sockaddr_in6 *v6 = (void *)out;
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port   = htons(port);
        *len           = sizeof *v4;
        return true;
    }
    if (inet_pton(AF_INET6, text, &v6->sin6_addr) != 1) return false;
    v6->sin6_family = AF_INET6;
    v6->sin6_port   = htons(port);
    *len            = sizeof *v6;
    return true;
}

static enum dial_exit dial(int fd, const struct sockaddr *to, socklen_t len, int timeout_ms)
{
    if (connect(fd, to, len) == 0) return DIAL_OK;
    if (errno != EINPROGRESS) return DIAL_REFUSED;
    struct pollfd writable = { fd, POLLOUT, 0 };
    int           ready    = poll(&writable, 1, timeout_ms);
    if (ready == 0) return DIAL_TIMEOUT;

    int       failed = 0;
    socklen_t size   = sizeof failed;
    if (ready < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size) < 0) return DIAL_REFUSED;
    return failed == 0 ? DIAL_OK : failed == ETIMEDOUT ? DIAL_TIMEOUT : DIAL_REFUSED;
}

static bool hand_back(int fd)
{
    char         byte = 0;
    struct iovec one  = { &byte, 1 };
    union {
        struct cmsghdr header;
        char           room[CMSG_SPACE(sizeof(int))];
    } control       = { 0 };
    struct msghdr m = {
        .msg_iov = &one, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };
    struct cmsghdr *right = CMSG_FIRSTHDR(&m);
    right->cmsg_level     = SOL_SOCKET;
    right->cmsg_type      = SCM_RIGHTS;
    right->cmsg_len       = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(right), &fd, sizeof fd);
    return sendmsg(DIAL_SOCKET_FD, &m, MSG_NOSIGNAL) == 1;
}

void inside_dial_main(char **argv)
{
    struct sockaddr_storage to;
    socklen_t               len;
    if (!parse_address(argv[2], (uint16_t)atoi(argv[3]), &to, &len)) exit(DIAL_INVALID);
    if (!enter(argv[1])) exit(DIAL_MISSING);
    int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) exit(DIAL_REFUSED);
    enum dial_exit e = dial(fd, (const struct sockaddr *)&to, len, atoi(argv[4]));
    if (e == DIAL_OK && !hand_back(fd)) e = DIAL_REFUSED;
    exit((int)e);
}

/* ---- the way out ----------------------------------------------------------------------------- */

/* One before it may be at its end. */
static int listen_here(void)
{
    const struct sockaddr_in at = { .sin_family      = AF_INET,
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                    .sin_port        = htons(EGRESS_PORT) };
    int                      fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0) fail("socket");
    for (int tries = 0; bind(fd, (const struct sockaddr *)&at, sizeof at) < 0; tries++) {
        if (errno != EADDRINUSE || tries == LISTEN_TRIES) fail("bind");
        usleep(LISTEN_AGAIN_US);
    }
    if (listen(fd, 1) < 0) fail("listen");
    return fd;
}

void inside_out_main(char **argv)
{
    static struct egress_rules rules;
    int                        home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (home < 0 || !enter(argv[1])) fail("enter");
    int fd = listen_here();
    if (setns(home, CLONE_NEWNET) < 0) fail("return");
    if (dup2(fd, EGRESS_LISTENER_FD) < 0) fail("descriptor");
    struct err e = egress_rules_read(str_from(argv[3]), &rules);
    if (!e.code) e = egress_drop((uint32_t)strtoul(argv[2], NULL, 10));
    if (e.code || write(STDOUT_FILENO, "ready\n", 6) != 6) {
        fprintf(stderr, "%s\n", e.code ? e.why : "nobody waits for it");
        exit(1);
    }
    egress_serve(EGRESS_LISTENER_FD, &rules);
}

/* ---- which life ------------------------------------------------------------------------------ */

void runtime_child_main(int argc, char **argv)
{
    if (argc < 2) return;
    if (strcmp(argv[0], CHILD_KEEPER) == 0 && argc == 5) keeper_main(argv);
    if (strcmp(argv[0], CHILD_NETNS) == 0) inside_netns_main(argc, argv);
    if (strcmp(argv[0], CHILD_DIAL) == 0 && argc == 5) inside_dial_main(argv);
    if (strcmp(argv[0], CHILD_CONFINED) == 0 && argc >= 5) inside_confined_main(argv);
    if (strcmp(argv[0], CHILD_OUT) == 0 && argc == 4) inside_out_main(argv);
}
