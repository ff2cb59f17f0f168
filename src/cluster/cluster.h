/* cluster.h: the life of a cluster and of its nodes, and what a node has earned. Pure.
 *
 *   reserved → images → mesh → starting → checking → ready ⇄ healing → ending → ended
 *   (any before ready) → failed: everything is refunded
 *   ready, healing → ending: the user's word, the end of what was paid, or the loss of its head and of its state
 *
 * The phases before ready are the least that all its nodes have reached, so they only go forward: all were told (images),
 * all have their image (mesh), all their containers run (starting), the witness on the head speaks (checking). Ready means
 * that the recipe's own check said so: that witness saw every node alive.
 *
 *   node: placed → serving → closing → closed        serving: since the network saw it pass its first check
 *
 * Metering. A worker reports how long a node served (cumulative); the witness on *another* node how long it was seen
 * alive (cumulative). The network charges
 *     price × min(reported, elapsed by its own clock since the first passed check, seen) − already charged
 * so that a repeated, lost or late report changes nothing. A closing node's last reports still count for NODE_CLOSING_MS,
 * up to the moment it was closed; after that nothing does.
 *
 * The head's state may outlive its machine (recipe.h): a standby, one of the workers, keeps a copy of it. While that copy
 * is whole a lost head is replaced as any other node is, at the same mesh address; until it passes nobody's word counts for
 * the others, so nobody is charged for that gap.
 *
 * A cluster of one node has no other node to watch it: the gateway does, through the node's tunnel, from the time it is
 * ready. Its own witness says only when that is. */
#ifndef CLUSTER_CLUSTER_H
#define CLUSTER_CLUSTER_H

#include "assign.h"
#include "base/id.h"
#include "base/units.h"
#include "record/record.h"

#define LEASE_MS (6 * MS_PER_HOUR)
#define LEASE_RENEW_MS MS_PER_HOUR
#define NODE_CLOSING_MS 5000
#define SETTLE_MS MS_PER_HOUR /* a serving node is settled that often, and at its end */

enum cluster_state {
    CLUSTER_RESERVED,
    CLUSTER_IMAGES,
    CLUSTER_MESH,
    CLUSTER_STARTING,
    CLUSTER_CHECKING,
    CLUSTER_READY,
    CLUSTER_HEALING,
    CLUSTER_ENDING,
    CLUSTER_ENDED,
    CLUSTER_FAILED,
    CLUSTER_STATE_COUNT
};
extern const char *const cluster_state_names[CLUSTER_STATE_COUNT];

/* What was served and what a witness saw of it, from a moment on. */
struct weighing {
    struct instant since;
    uint64_t       session; /* of the witness's link */
    uint64_t       served_ms, seen_ms;
};

struct cluster {
    struct cluster_id  id;
    struct account_id  owner;
    char               name[64];
    enum cluster_state state;
    char               recipe[32];
    uint8_t            recipe_hash[32];
    char               image[256];
    uint32_t           quantity; /* units paid for */
    uint32_t           size;     /* nodes */
    struct hourly      price;
    uint32_t           fee_basis_points;
    struct span        duration;
    struct money       escrow; /* moved in, in all */
    struct money       charged;
    struct money       refunded;
    uint8_t            secret[32];
    uint32_t           next_index;
    uint32_t           head_index;
    uint32_t           lost;            /* nodes that were replaced */
    bool               failed;          /* it ends, or ended, by no wish of its owner */
    char               why[160];        /* why it ended or failed, or what it waits for while it heals */
    uint32_t           failures;        /* replacements in a row that did not come up */
    uint32_t           head_moves;      /* how often another machine took a lost head's place */
    char               state_lost[160]; /* what was gone with a lost head; "" if none was lost */
    char               log_end[2048];
    struct instant     made; /* reserved */
    struct instant     images, mesh, starting, checking;
    struct instant     ready; /* the first time */
    struct instant     ends;  /* what was paid for ends then */
    struct instant     ended;
    struct instant     hurt;      /* the loss that is being healed, or the last */
    struct instant     healed;    /* when that was made good */
    struct instant     head_lost; /* when its head was last lost */
    struct instant     head_back; /* when another was there in its place */
    /* live */
    uint32_t        nodes_alive; /* as the witness last said */
    struct instant  renew;       /* when the lease is to be renewed */
    struct weighing weighed;     /* all nodes */
    struct instant  retry;       /* no other replacement is tried before */
    uint32_t        first;       /* of its nodes: place in the network's table + 1 */
    uint64_t        told;        /* step in which its watchers were last told */
};
extern const struct record_type cluster_type;

enum node_state { NODE_PLACED, NODE_SERVING, NODE_CLOSING, NODE_CLOSED, NODE_STATE_COUNT };
extern const char *const node_state_names[NODE_STATE_COUNT];

struct node {
    struct node_id    id;
    struct cluster_id cluster;
    struct device_id  device;
    enum node_role    role;
    enum node_state   state;
    uint32_t
        index; /* of its mesh address; in a cluster never used twice, but by a head in a lost one's place */
    uint32_t       units;
    uint64_t       incarnation;
    bool           witness;
    bool           standby;  /* it keeps a copy of the head's state */
    bool           copied;   /* which is whole, as it last said */
    uint32_t       restores; /* a head in a lost one's place: index of who kept the copy; else 0 */
    bool           lost;     /* it was replaced, or its cluster ended by its loss */
    struct instant made;
    struct instant passed; /* its first check */
    struct instant closed;
    uint64_t       served_ms;    /* reported */
    uint64_t       seen_ms;      /* witnessed */
    struct id      seen_by;      /* whose witness that was last: a node's, or a gateway */
    uint64_t       seen_last;    /* what that one last said */
    uint8_t        seen_run[16]; /* of the gateway: the instance that said it */
    struct money   charged;
    struct money   fee;
    uint8_t        mesh_key[MESH_KEY_BYTES];
    bool           has_key;
    char           why[160];

    /* live */
    enum node_phase phase;
    uint32_t        next;       /* node of its cluster: place + 1 */
    uint64_t        without;    /* closing: the version of its device's desired state that no longer has it */
    struct instant  settle;     /* when it is to be settled next */
    struct instant  alive;      /* when a witness last saw it */
    struct instant  missed;     /* since when the witness says that it is gone; 0: it does not */
    uint64_t        seen_link;  /* by which seen_by last said it */
    struct instant  heard;      /* witnesses: last report of theirs with a fresh line */
    struct instant  probed;     /* alone in its cluster: when the gateway last saw more of it */
    struct weighing weighed;    /* all until the last report of it */
    struct instant  unheard;    /* when another node last said that it hears it no more */
    bool            mesh_owed;  /* its whole map is to be sent once all are known */
    bool            has_inside; /* said since the network's start, be it "" */
    char            inside[MESH_ENDPOINT_TEXT];
    char            seen_a[MESH_ENDPOINT_TEXT];
    char            seen_b[MESH_ENDPOINT_TEXT];
    uint32_t        cpu_milli;
    uint64_t        memory_bytes;
};
extern const struct record_type node_type;

bool cluster_may_move(enum cluster_state from, enum cluster_state to);
void cluster_move(struct cluster *c, enum cluster_state to); /* check() that it may */
bool cluster_is_live(const struct cluster *c);               /* holds devices */
bool cluster_is_forming(const struct cluster *c);            /* before ready */

bool node_may_move(enum node_state from, enum node_state to);
void node_move(struct node *n, enum node_state to);

/* Takes over a report; less than before is no report (a restarted worker that lost its last seconds). */
void node_reported(struct node *n, uint64_t served_ms);
/* `by` saw it for seen_ms in all, it says by that link. Less than before by one link is an old report; by a new link it may
 * go back (a restarted worker that lost its last seconds): only what is added from there counts. Of another witness than
 * before all counts, since it watches only after that one is closed: the caller lets no witness speak that is. */
void node_witnessed(struct node *n, struct node_id by, uint64_t link, uint64_t seen_ms);
/* The same of a gateway, which counts from nothing in each of its runs: of a new run of the same gateway all counts; less
 * than before in one run is an old report. Two gateways may see it at once, so another than before starts from what it
 * says now. */
void node_probed(struct node *n, struct gateway_id by, const uint8_t run[16], uint64_t seen_ms);

/* The counted time: the least of reported, elapsed until now (or its closing) and seen; 0 before it serves. */
struct span node_counted(const struct node *n, struct instant now);
/* What it has cost in all: price × units × counted, rounded down once. */
struct money node_charge(const struct node *n, struct hourly price, struct instant now);

/* How long the workers may go on: the earlier of the paid end and LEASE_MS. */
struct span cluster_lease(const struct cluster *c, struct instant now);

#endif
