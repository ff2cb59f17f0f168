/* netns.h: a network namespace a node: only its own lo, and the mesh device that is moved into it later. It has
 * no other way in or to this machine, and none out unless it is let out. It belongs to the node's user namespace, made with it, and both are held
 * by mounts in RUN/nodes/NODE, so they outlive the worker, which itself never enters one; container_clean removes
 * them. netns_make is the first thing done for a node: it takes its place among RUNTIME_NODES_MAX, and its user ids. */
#ifndef RUNTIME_NETNS_H
#define RUNTIME_NETNS_H

#include "egress/egress.h"
#include "runtime.h"

#define NETNS_SYSCTLS_MAX 16

/* Settings below /proc/sys/net, set before anything runs there: { "ipv4.tcp_retries2", "6" }. */
struct netns_sysctl {
    const char *name;
    const char *value;
};

typedef void (*netns_on_made)(void *ctx, struct err e);

/* Made anew, or taken as it is when it is there already (then only the settings are set again). ERR_LIMIT: this machine
 * holds as many nodes as it may. ERR_CONFLICT: the node is being cleaned. */
must_check struct err netns_make(struct runtime *r, struct node_id node, const struct netns_sysctl *sysctls,
                                 size_t count, netns_on_made call, void *ctx);

void netns_path(const struct runtime *r, struct node_id node, char out[RUNTIME_PATH_TEXT]);
bool netns_is_there(const struct runtime *r, struct node_id node);

/* Gives the node a way out: what egress.h says listens on port EGRESS_PORT of its loopback. `call` when it does, or can't.
 * From then on it is kept there, by a process that is started anew should it end, until the node is cleaned or this
 * process ends: who adopts a container asks again. Again with other rules: connections through the old way are cut. */
must_check struct err netns_let_out(struct runtime *r, struct node_id node, const struct egress_rules *rules,
                                    netns_on_made call, void *ctx);

/* A TCP connection made inside, by a small process that enters the namespace and hands the socket back. fd is the
 * callee's to close (not blocking, close-on-exec), -1 with an error: ERR_IO refused or no way, ERR_TIMEOUT,
 * ERR_MISSING no such namespace. A dial can't be taken back: a ctx must live until the call. */
typedef void (*netns_on_dialed)(void *ctx, struct err e, int fd);
must_check struct err netns_dial(struct runtime *r, struct node_id node, const char *address, uint16_t port,
                                 uint32_t timeout_ms, netns_on_dialed call, void *ctx);

#endif
