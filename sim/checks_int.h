/* checks_int.h: the promises. Each checker has a name. Those that count along keep books of their own beside the network's,
 * fed with the records that each step changed; the full ones go over all there is. */
#ifndef SIM_CHECKS_INT_H
#define SIM_CHECKS_INT_H

#include "base/table.h"
#include "network/network.h"

struct sim;
struct thing;
struct machine;

/* What the checkers know of a record, from the last change of it. */
struct book { /* of a ledger account */
    struct id        id;
    enum ledger_kind kind;
    int64_t          micros, moved, explained; /* in this step: by how much it changed, by its transfers */
};

struct known_cluster {
    struct id          id;
    struct account_id  owner;
    enum cluster_state state;
    struct hourly      price;
    uint32_t           size, quantity, fee_basis_points;
    uint32_t           live, heads, units;
    int64_t            escrow, charged, refunded;
    int64_t            nodes_charged;
    bool               was_ready;
};

struct known_node {
    struct id       id;
    struct id       cluster, device;
    enum node_role  role;
    enum node_state state;
    uint32_t        units;
    int64_t         charged, fee;
};

struct known_device {
    struct id id;
    uint32_t  live;
};

struct known_slot {
    struct id relay;
};

/* What somebody was told, and may rely on from then on. */
struct told_cluster {
    struct id id;
    int64_t   escrow, duration_ms;
    bool      terminated;
};

struct told_account {
    struct id id;
    int64_t   granted;
};

struct checks {
    struct table       books, clusters, nodes, devices, told_clusters, told_accounts;
    struct known_slot *slots;
    uint32_t           slots_count;
    int64_t            sum;                       /* of all books */
    int64_t            escrow_books, escrow_live; /* of escrow accounts; of what live clusters hold */
    uint64_t           transfers;
    void              *memory, *told_memory;
};

void checks_open(struct sim *s);
void checks_close(struct sim *s);

/* A promise is broken: says so, with the seed, and the run ends. */
__attribute__((noreturn, format(printf, 3, 4))) void broken(struct sim *s, const char *checker, const char *why,
                                                            ...);

/* After each step of the network. */
void checks_step(struct sim *s, const struct input *in);
/* A new life of the network: the books begin anew with what it loaded. */
void checks_begin(struct sim *s);
/* Over all there is, and memory against the store. */
void checks_full(struct sim *s);
/* After each load. */
void checks_loaded(struct sim *s);
/* Before a reply is let out. */
void checks_reply(struct sim *s, const struct input *asked, const struct effect *e);
/* Before a desired state is sent, and before a map is. */
void checks_desired(struct sim *s, const struct desired *d);
void checks_map(struct sim *s, const struct mesh_map *m);
/* A worker reports. */
void checks_observed(struct sim *s, const struct machine *m, const struct observed *o);
/* The copy of a machine's state folder was refused. */
void checks_copy(struct sim *s, struct machine *m);
/* From time to time. */
void checks_things(struct sim *s);
/* All faults have ceased a while ago; long ago; and then: all clusters were ended long ago. */
void checks_rest_told(struct sim *s);
void checks_rest_live(struct sim *s);
void checks_rest_ended(struct sim *s);

#endif
