/* gateway.h: the data plane of a network: joins users' connections to the tunnels that workers have dialled, is
 * the meeting point of the meshes, relays the pairs that can't reach each other, and sees whether nodes that are alone in
 * their clusters serve.
 *
 * It is an enrolled client of ionetd and decides nothing: whom it meets, relays and refuses it is told over its link. What
 * it was told last it keeps on its disk, so it restarts and serves without ionetd. A ticket is checked with the
 * network's public key alone; nobody is asked at a join.
 *
 * A state folder holds: device.key (its identity), meet-a.key and meet-b.key (of the two meeting points), cookie.key,
 * gateway.key and gateway.crt (TLS), network (where ionetd is, and its authority's pin), told (the last frames), relay
 * (which places it has learned), devices (files of wg.h). */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include "base/err.h"
#include "net/net.h"
#include "wg/wg.h"

#define GATEWAY_NODES_MAX 65536
#define GATEWAY_TUNNELS_A_NODE_MAX 8
#define GATEWAY_JOIN_MS 10000        /* a join that no tunnel took by then is refused */
#define GATEWAY_PROBE_MS 1000        /* so often a node that is alone is asked whether it serves */
#define GATEWAY_PROBE_ANSWER_MS 3000 /* so long its answer may take, the wait for a tunnel included */
#define GATEWAY_SEEN_FAST_MS 50
#define GATEWAY_SEEN_SLOW_MS 500
#define GATEWAY_COUNT_MS 10000

struct gateway_options {
    const char  *program; /* "ionet-gateway 0.1.0" */
    const char  *state_dir;
    const char  *token;  /* of ionetd, needed the first time; else null */
    const char  *listen; /* numeric address of all its ports */
    const char  *host;   /* numeric address by which the world reaches it */
    uint16_t     port;   /* HTTPS; 0: any */
    uint16_t     meet_port_a;
    uint16_t     meet_port_b;
    uint16_t     relay_port_base;
    uint32_t     relay_slots;
    uint32_t     relay_pair_mbit; /* 0: without limit */
    enum wg_kind mesh_device;
    const char  *wireguard_go; /* null: from PATH */
    const char  *device_name;  /* of the meeting points' interfaces, up to 13 letters: NAME-a, NAME-b */
};

struct gateway;

/* on_over: it can't go on, or it was stopped; once, last. The options' texts must outlive it. */
must_check struct err gateway_open(struct net *n, const struct gateway_options      *o,
                                   void (*on_over)(void *ctx, struct err why), void *ctx, struct gateway **out);
void gateway_stop(struct gateway *g); /* removes its devices, cuts what is joined; on_over follows */
void gateway_free(struct gateway *g); /* after on_over and net_run */

/* What can be found out without serving: state folder, token, ports, wireguard-go. */
must_check struct err gateway_check(const struct gateway_options *o);

#endif
