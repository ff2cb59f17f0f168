/* probe_int.h: the witness of nodes that are alone in their clusters: no other node can see whether they serve, so the
 * gateway does. Every GATEWAY_PROBE_MS it opens the service that the node's recipe names, through one of the node's
 * tunnels as a user would. An answer is the first line of an HTTP response, whatever its status, or for tcp that the
 * service took the connection. The time between two answers counts, if the node was not asked in vain between them.
 *
 * Each time a tunnel is used up, which the worker dials anew: a TLS handshake a second and node.
 *
 * What it has seen is cumulative since this gateway's start and is not kept: a restart counts from nothing again, and the
 * network knows it by the link's instance. Whom it probes is kept with what else it was told. */
#ifndef GATEWAY_PROBE_INT_H
#define GATEWAY_PROBE_INT_H

#include "door_int.h"
#include "link/link.h"

#define PROBES_MAX DOOR_NODES_MAX

struct probes;

struct probes_options {
    struct net   *net;
    struct joins *joins;
    const char   *domain;          /* of services; the caller's, read at each probe */
    uint32_t      every_ms;        /* GATEWAY_PROBE_MS, less in tests */
    uint32_t      answer_ms;       /* GATEWAY_PROBE_ANSWER_MS, less in tests */
    void (*on_counted)(void *ctx); /* probes_take_unsent has something; every_ms at most */
    void *ctx;
};

must_check struct err probes_open(const struct probes_options *o, struct probes **out);
void                  probes_stop(struct probes *ps);
void                  probes_free(struct probes *ps); /* after the loop has ended */

void probes_take(struct probes *ps, const struct gw_probe *frame);
void probes_revoke(struct probes *ps, struct cluster_id cluster);

void probes_all_unsent(struct probes *ps);
bool probes_take_unsent(struct probes *ps, struct gw_probed *out); /* false: nothing more */

/* Everything, as the frames that would tell it. */
void probes_write(const struct probes *ps, void (*emit)(void *ctx, enum link_kind kind, const void *message),
                  void                *ctx);

#endif
