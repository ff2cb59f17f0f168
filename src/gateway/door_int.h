/* door_int.h: the HTTPS side: who connects here, and who is joined to whom.
 *
 *   a worker   GET /.ionet/tunnel, Upgrade: ionet-bytes, bearer TUNNEL ticket. The connection waits; at a join it
 *              gets one line {"service":…,"user":…,"client":…}, answers "ok" or "no REASON", then bytes pass.
 *   ionet      GET /.ionet/join?service=NAME[&node=ID], Upgrade: ionet-bytes, bearer JOIN ticket → 101, then bytes.
 *   a browser  https://SERVICE--CLUSTER.DOMAIN/…: with ?ionet-ticket=ONCE a redirect and a cookie; with the cookie,
 *              or a bearer JOIN ticket, the whole connection goes to the service as it is, first request included.
 *
 * A ticket is looked at when a connection opens; what is revoked later is cut. Host must be the name that TLS was asked
 * for, so a connection that was let in for one service can't ask for another. */
#ifndef GATEWAY_DOOR_INT_H
#define GATEWAY_DOOR_INT_H

#include "gateway.h"
#include "pass_int.h"

#define DOOR_NODES_MAX 16384 /* with tunnels */
#define DOOR_JOINS_MAX 8192
#define DOOR_JOINS_A_CLUSTER_MAX 1024 /* so that none fills the door for the others */
#define DOOR_JOINS_A_USER_MAX 2048    /* to all his clusters, from wherever he comes */
#define DOOR_COOKIE "__Host-ionet"
#define DOOR_PROTOCOL "ionet-bytes"

struct door;

struct join_limits {
    uint32_t wait_ms; /* GATEWAY_JOIN_MS; each less in tests */
    uint32_t a_cluster;
    uint32_t a_user;
};

struct door_options {
    struct net        *net;
    struct pass       *pass;
    const char        *listen;
    uint16_t           port;
    const char        *cert_path;
    const char        *key_path;
    struct join_limits joins;
};

struct door_counts {
    uint64_t joins;
    uint64_t joined_bytes; /* of joins that are over */
    uint64_t live;
    uint64_t tunnels; /* that wait */
};

void                  door_init(const struct door_options *o, struct door **out);
must_check struct err door_open(struct door *d,
                                const char  *domain);         /* listens; again: new domain, new certificate */
uint16_t              door_port(const struct door *d);       /* 0 while it does not listen */
void door_revoke(struct door *d, struct cluster_id cluster); /* cuts what is joined and what waits */
void door_revoke_node(struct door *d, struct node_id node);  /* the same; who named no node waits for another */
void door_close(struct door *d);                             /* stops listening; cuts everything */
void door_free(struct door *d);                              /* after the loop has ended */
struct door_counts door_counts(const struct door *d);

/* ---- joins.c ------------------------------------------------------------------------------------------ */

struct joins;

struct joins *door_joins(struct door *d);
struct joins *joins_create(struct net *n, const struct join_limits *limits);
void          joins_free(struct joins *js);
/* A worker's connection, for a node by its ticket. Answers the request. */
void joins_add_tunnel(struct joins *js, struct net_request *r, const struct ticket *t);
/* A user's connection by its ticket. `plain`: the request is answered with 101 once there is a tunnel; else the whole
 * connection is taken, as it is. Either way the request is answered here. */
void joins_add(struct joins *js, struct net_request *r, const struct ticket *t, bool plain);
/* A connection of our own by a ticket, as a user would have it, but not counted among theirs. on_up: the service is
 * connected, and `rest` is what it has said already. on_over comes once, last: also by join_end, when it never was up, or
 * within_ms after its opening. Null: the loop is stopping. */
struct join;
struct joins_own_calls {
    void (*on_up)(void *ctx, struct join *j, struct str rest);
    void (*on_bytes)(void *ctx, struct join *j, struct str bytes);
    void (*on_over)(void *ctx, const char *why);
};
struct join *joins_open(struct joins *js, const struct ticket *t, uint32_t within_ms,
                        const struct joins_own_calls *own, void *ctx);
void         join_say(struct join *j, struct str bytes); /* while it is up */
void         join_end(struct join *j, const char *why);

void joins_cut(struct joins *js, const struct cluster_id *only); /* null: all */
void joins_cut_node(struct joins *js, struct node_id node);
void joins_count(const struct joins *js, struct door_counts *out);

#endif
