/* with_world_int.h: a network in a test, with a store beside it that holds what it was told to hold. After every step the
 * invariants are checked, and the store is loaded into a second network that must pass them too. */
#ifndef NETWORK_WITH_WORLD_INT_H
#define NETWORK_WITH_WORLD_INT_H

#include "network.h"

#define WORLD_DEVICES 6
#define WORLD_IMAGE \
    "203.0.113.3:5000/ray@sha256:0000000000000000000000000000000000000000000000000000000000000001"

struct world {
    struct network    n;
    struct effects    out;
    void             *memory, *room;
    size_t            bytes;
    struct instant    now;
    uint64_t          requests, sessions;
    struct row       *rows; /* the store: latest content by type and key */
    uint32_t          row_count;
    struct account_id operator, user, supplier;
    struct device_id  devices[WORLD_DEVICES];
    uint64_t          device_session[WORLD_DEVICES];
    struct id         gateway;
    uint64_t          gateway_session;
    uint8_t           gateway_run; /* grows with each start of it */
    const char       *recipe;      /* of what is quoted */
    bool              copied;      /* whether standbys say that their copies are whole */
    struct probed    *probed;      /* what it has said of each node */
    uint32_t          probed_count;
};

void world_open(struct world *w);
void world_close(struct world *w);
void world_step(struct world *w, struct input *in); /* and all checks */
void world_pass(struct world *w, int64_t ms);       /* time, in ticks */
/* Steps and gives the reply's error. */
struct err           world_ask(struct world *w, struct input *in, struct id *subject, uint64_t *count);
const struct effect *world_effect(const struct world *w,
                                  enum effect_kind    kind); /* of the last step; null if none */

/* Crash and restart: a new network from what the store holds. All links are gone. */
void world_restart(struct world *w);

struct account_id world_sign_in(struct world *w, uint8_t seed, bool operator);
struct err        world_link(struct world *w, int device, uint8_t instance, bool with_token);
void              world_link_goes(struct world *w, int device);
void              world_observe(struct world *w, int device, struct observed *o);
void              world_report(struct world *w, int device); /* it holds its image and runs nothing */
void              world_gateway_back(struct world *w);       /* after a restart of either side */
void              world_come(struct world *w, int count);    /* gateway and devices: enrolled, linked, ready */
struct err        world_quote(struct world *w, uint32_t quantity, int64_t duration_ms, struct id *quote,
                              uint64_t *count);
struct err        world_create(struct world *w, struct id quote, struct id *cluster, uint64_t *count);
int               world_device_of(const struct world *w, const struct node *x);

/* Plays the worker of every live node: keys, places, phases up to `phase`, served_ms. */
void world_work(struct world *w, struct id cluster, enum node_phase phase, uint64_t served_ms);
/* Plays the two witnesses: all live nodes but `missing` (index; 0: none) were seen for seen_ms. */
void world_witness(struct world *w, struct id cluster, uint32_t missing, uint64_t seen_ms);
/* Plays the gateway: all nodes of the cluster have answered it for seen_ms since its start. */
void world_probe(struct world *w, struct id cluster, uint64_t seen_ms);
void world_gateway_restart(struct world *w);
/* A cluster of `size` that is ready, of a quote for an hour. */
struct id world_ready(struct world *w, uint32_t size);

#endif
