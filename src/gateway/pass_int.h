/* pass_int.h: who may pass. A ticket is good by the network's signature alone; what is void before its time was told
 * here. For browsers a one-time ticket is exchanged for a cookie, which is the same statement signed by the
 * gateway's own key: it opens that one service, at this gateway. */
#ifndef GATEWAY_PASS_INT_H
#define GATEWAY_PASS_INT_H

#include "link/ticket.h"

#define PASS_REVOKED_MAX \
    16384 /* clusters, and as many nodes; the oldest are forgotten, whose tickets have long expired */
#define PASS_USED_MAX 4096
#define PASS_ONCE_MS 120000 /* a one-time ticket is used so soon after its making */

struct pass {
    bool              has_signer;
    struct public_key signer; /* the network's */
    struct sign_key   own;
    struct public_key own_public;
    struct instant    started;
    struct cluster_id revoked[PASS_REVOKED_MAX];
    uint64_t          revoked_count;
    struct node_id    replaced[PASS_REVOKED_MAX];
    uint64_t          replaced_count;
    struct {
        struct id      serial;
        struct instant until;
    } used[PASS_USED_MAX];
    uint64_t used_count;
};

/* What a connection wants to open. */
struct wish {
    struct cluster_id cluster; /* none: any that the ticket names */
    struct str        service;
    struct node_id    node; /* none: the one that the ticket names, or the head */
};

void pass_init(struct pass *p, const uint8_t cookie_seed[32], struct instant now);
void pass_set_signer(struct pass *p, const uint8_t public_key[32]);
void pass_revoke(struct pass *p, struct cluster_id cluster);
bool pass_is_revoked(const struct pass *p, struct cluster_id cluster);
void pass_revoke_node(struct pass *p, struct node_id node); /* another took its place in its cluster */
bool pass_is_replaced(const struct pass *p, struct node_id node);

must_check struct err pass_tunnel(const struct pass *p, struct str ticket, struct instant now,
                                  struct ticket *out);
must_check struct err pass_join(const struct pass *p, struct str ticket, const struct wish *w,
                                struct instant now, struct ticket *out);
must_check struct err pass_cookie(const struct pass *p, struct str cookie, const struct wish *w,
                                  struct instant now, struct ticket *out);
/* Takes a one-time ticket, for good, and writes the cookie for it. */
must_check struct err pass_once(struct pass *p, struct str ticket, const struct wish *w, struct instant now,
                                struct text *cookie);

#endif
