#include "sys/sys.h"
#include "wg_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* One request to the kernel (rtnetlink(7)): a header, a fixed part, attributes. */
struct request {
    struct nlmsghdr head;
    char            body[512];
};

static void request_start(struct request *r, uint16_t type, uint16_t flags, const void *fixed, size_t bytes)
{
    memset(r, 0, sizeof *r);
    r->head.nlmsg_type  = type;
    r->head.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
    r->head.nlmsg_len   = (uint32_t)NLMSG_LENGTH(bytes);
    memcpy(r->body, fixed, bytes);
}

static struct rtattr *request_add(struct request *r, uint16_t type, const void *value, size_t bytes)
{
    size_t at = NLMSG_ALIGN(r->head.nlmsg_len);
    check(at + RTA_LENGTH(bytes) <= sizeof *r);
    struct rtattr *a = (struct rtattr *)(void *)((char *)r + at);
    a->rta_type      = type;
    a->rta_len       = (uint16_t)RTA_LENGTH(bytes);
    if (bytes) memcpy(RTA_DATA(a), value, bytes);
    r->head.nlmsg_len = (uint32_t)(at + RTA_ALIGN(a->rta_len));
    return a;
}

/* Sends it and awaits the kernel's word. */
static struct err request_send(int fd, struct request *r, const char *why)
{
    char answer[4096];
    if (send(fd, r, r->head.nlmsg_len, 0) < 0) return (struct err){ ERR_IO, why };
    ssize_t got = recv(fd, answer, sizeof answer, 0);
    if (got < (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr))) return (struct err){ ERR_IO, why };
    const struct nlmsghdr *head = (const void *)answer;
    const struct nlmsgerr *said = (const void *)(answer + NLMSG_HDRLEN);
    if (head->nlmsg_type != NLMSG_ERROR) return (struct err){ ERR_IO, why };
    if (said->error == -ENODEV) return ERR(MISSING, "there is no such interface");
    return said->error ? (struct err){ ERR_IO, why } : OK;
}

static struct err route_socket(int *out)
{
    scoped_fd int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0) return ERR(IO, "the kernel gives no socket for interfaces");
    *out = sys_take_fd(&fd);
    return OK;
}

/* A socket keeps the namespace in which it was made, so this thread is in the other one only for a moment. */
static struct err route_socket_in(const char *netns, int *out)
{
    if (!netns[0]) return route_socket(out);
    scoped_fd int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    scoped_fd int away = open(netns, O_RDONLY | O_CLOEXEC);
    if (home < 0) return ERR(IO, "our own network namespace can't be opened");
    if (away < 0) return ERR(MISSING, "the network namespace is not there");
    if (setns(away, CLONE_NEWNET) < 0) return ERR(IO, "the network namespace can't be entered");
    struct err e = route_socket(out);
    check(setns(home, CLONE_NEWNET) == 0);
    return e;
}

static void link_request(struct request *r, uint16_t type, uint16_t flags, const char *name, unsigned set_flags)
{
    struct ifinfomsg m = { .ifi_family = AF_UNSPEC, .ifi_flags = set_flags, .ifi_change = set_flags };
    request_start(r, type, flags, &m, sizeof m);
    request_add(r, IFLA_IFNAME, name, strlen(name) + 1);
}

struct err iface_create_kernel(const char *name)
{
    scoped_fd int fd = -1;
    TRY(route_socket(&fd));
    struct request r;
    link_request(&r, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, name, 0);
    struct rtattr *info = request_add(&r, IFLA_LINKINFO, NULL, 0);
    request_add(&r, IFLA_INFO_KIND, "wireguard", sizeof "wireguard" - 1);
    info->rta_len = (uint16_t)((char *)&r + r.head.nlmsg_len - (char *)info);
    return request_send(fd, &r, "the kernel makes no WireGuard device");
}

static struct err set_mtu(int fd, const struct iface *f)
{
    struct request r;
    link_request(&r, RTM_NEWLINK, 0, f->name, 0);
    request_add(&r, IFLA_MTU, &f->mtu, sizeof f->mtu);
    return request_send(fd, &r, "the MTU can't be set");
}

static struct err move(int fd, const struct iface *f)
{
    scoped_fd int away = open(f->netns, O_RDONLY | O_CLOEXEC);
    if (away < 0) return ERR(MISSING, "the network namespace is not there");
    struct request r;
    link_request(&r, RTM_NEWLINK, 0, f->name, 0);
    request_add(&r, IFLA_NET_NS_FD, &away, sizeof away);
    return request_send(fd, &r, "the interface can't be moved into its namespace");
}

static struct err link_index(int fd, const char *name, int *out)
{
    char           answer[8192];
    struct request r;
    link_request(&r, RTM_GETLINK, 0, name, 0);
    r.head.nlmsg_flags = NLM_F_REQUEST;
    if (send(fd, &r, r.head.nlmsg_len, 0) < 0) return ERR(IO, "the interface can't be asked for");
    ssize_t                got  = recv(fd, answer, sizeof answer, 0);
    const struct nlmsghdr *head = (const void *)answer;
    if (got < (ssize_t)NLMSG_LENGTH(sizeof(struct ifinfomsg)) || head->nlmsg_type != RTM_NEWLINK)
        return ERR(MISSING, "there is no such interface");
    *out = ((const struct ifinfomsg *)(const void *)(answer + NLMSG_HDRLEN))->ifi_index;
    return OK;
}

static struct err add_address(int fd, const struct iface *f)
{
    uint8_t address[16];
    int     family = strchr(f->address, ':') ? AF_INET6 : AF_INET, index;
    if (inet_pton(family, f->address, address) != 1) return ERR(INVALID, "the interface's address is none");
    TRY(link_index(fd, f->name, &index));
    size_t           bytes = family == AF_INET6 ? 16 : 4;
    struct ifaddrmsg m     = { .ifa_family    = (uint8_t)family,
                               .ifa_prefixlen = (uint8_t)f->prefix_bits,
                               .ifa_flags     = IFA_F_PERMANENT,
                               .ifa_index     = (uint32_t)index };
    struct request   r;
    request_start(&r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &m, sizeof m);
    request_add(&r, IFA_LOCAL, address, bytes);
    request_add(&r, IFA_ADDRESS, address, bytes);
    return request_send(fd, &r, "the interface can't be given its address");
}

/* wireguard-go hears of its interface through a netlink socket of its own namespace. Once the interface has moved it
 * hears nothing more and looks by itself, once a second. So it is told in the kernel's words: a socket that nobody
 * gave a name has its process's number. Not heard, it finds out by itself a little later. */
static void tell_watcher(int fd, pid_t watcher, int index)
{
    struct {
        struct nlmsghdr  head;
        struct ifinfomsg link;
    } news                = { { .nlmsg_len = sizeof news, .nlmsg_type = RTM_NEWLINK },
                              { .ifi_index = index, .ifi_flags = IFF_UP | IFF_RUNNING } };
    struct sockaddr_nl to = { .nl_family = AF_NETLINK, .nl_pid = (uint32_t)watcher };
    if (sendto(fd, &news, sizeof news, MSG_DONTWAIT, (const void *)&to, sizeof to) < 0) return;
}

struct err iface_raise(const struct iface *f)
{
    int           index;
    scoped_fd int here = -1, there = -1;
    TRY(route_socket(&here));
    TRY(route_socket_in(f->netns, &there));
    TRY(link_index(here, f->name, &index));
    TRY(set_mtu(here, f)); /* wireguard-go hears it only here */
    if (f->netns[0]) {
        TRY(move(here, f));
        TRY(set_mtu(there, f));
    }
    if (f->address[0]) TRY(add_address(there, f));

    struct request up;
    link_request(&up, RTM_NEWLINK, 0, f->name, IFF_UP);
    TRY(request_send(there, &up, "the interface can't be set up"));
    if (f->netns[0] && f->watcher) tell_watcher(here, f->watcher, index);
    return OK;
}

struct err iface_remove(const char *name, const char *netns)
{
    scoped_fd int  fd = -1;
    struct request r;
    struct err     e = route_socket_in(netns, &fd);
    if (e.code == ERR_MISSING) return OK; /* with its namespace went the interface */
    TRY(e);
    link_request(&r, RTM_DELLINK, 0, name, 0);
    e = request_send(fd, &r, "the interface can't be removed");
    return e.code == ERR_MISSING ? OK : e;
}
