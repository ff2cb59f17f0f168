/* meet_int.h: the meeting point: two WireGuard interfaces of which every node is a peer, without any allowed
 * address, so they can carry nothing. What they give is where a node's packets come from, authenticated; two ports tell
 * a symmetric NAT from others. It also keeps the table of relayed pairs, since a place seen here is what the relay
 * believes. */
#ifndef GATEWAY_MEET_INT_H
#define GATEWAY_MEET_INT_H

#include "gateway.h"
#include "link/link.h"
#include "relay_int.h"

struct meet;

struct meet_options {
    struct net    *net;
    struct relay  *relay;
    enum wg_kind   kind;
    const char    *program;
    const char    *dir; /* of the devices' files */
    const char    *name;
    const uint8_t *secrets[2];
    uint16_t       ports[2];
    uint32_t       slots;
};

struct meet_calls {
    void (*on_seen)(void *ctx);               /* meet_take_unsent has something */
    void (*on_ready)(void *ctx);              /* both interfaces are up for the first time */
    void (*on_over)(void *ctx, struct err e); /* after meet_stop, or they can't be made */
};

must_check struct err meet_open(const struct meet_options *o, const struct meet_calls *calls, void *ctx,
                                struct meet **out);
void                  meet_start(struct meet *m); /* makes the interfaces, with all nodes told so far */
void                  meet_stop(struct meet *m);
void                  meet_free(struct meet *m); /* after on_over */

void meet_take_meet(struct meet *m, const struct gw_meet *frame);
void meet_take_relay(struct meet *m, const struct gw_relay *frame);
void meet_restore_seen(struct meet *m, const struct gw_seen *frame); /* from disk */

void meet_all_unsent(struct meet *m);
bool meet_take_unsent(struct meet *m, struct gw_seen *out); /* false: nothing more */

/* Everything, as the frames that would tell it. */
void meet_write(const struct meet *m, void (*emit)(void *ctx, enum link_kind kind, const void *message),
                void              *ctx);

size_t meet_count(const struct meet *m);

#endif
