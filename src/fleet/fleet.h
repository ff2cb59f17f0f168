/* fleet.h: the devices: who they are, what they have, what state they are in. Pure.
 *
 *   offline → connected → ready        connected: its link is up; ready: and it holds the base images
 *        any → held                    two machines with one key, or one that is no longer what was hired, or that
 *                                      takes what it is hired for and never begins: its owner must look and release it
 *        any → retired                 its owner took it away
 *
 * Whether a device is hired is not a state but a count of its live nodes. Held and retired are durable; the
 * others are rebuilt from the link after a restart. */
#ifndef FLEET_FLEET_H
#define FLEET_FLEET_H

#include "base/id.h"
#include "base/units.h"
#include "record/record.h"

#define DEVICE_GPUS_MAX 16
#define DEVICE_NODES_MAX 4
#define DEVICE_IDLE_MAX 3 /* nodes in a row that it may leave unbegun */

enum device_state {
    DEVICE_OFFLINE,
    DEVICE_CONNECTED,
    DEVICE_READY,
    DEVICE_HELD,
    DEVICE_RETIRED,
    DEVICE_STATE_COUNT
};
extern const char *const device_state_names[DEVICE_STATE_COUNT];

struct device_gpu {
    struct id name; /* hash of the one that its driver gives it */
    char      chip[44];
    uint32_t  memory_mib;
};
extern const struct record_type device_gpu_type;

struct device {
    struct device_id  id;
    uint8_t           public_key[32];
    struct id         key_tag; /* first bytes of the key's hash: how it is found */
    struct account_id owner;
    char              name[64];
    enum device_state state;
    struct hourly     ask;
    struct instant    enrolled;
    char              why[160]; /* held: why; else what keeps it from being ready */
    uint32_t          cpus;
    uint64_t          memory_bytes;
    uint64_t          disk_bytes;
    char              cpu_model[64];
    char              os[64];
    char              arch[16];
    struct device_gpu gpus[DEVICE_GPUS_MAX];
    uint32_t          gpus_count;
    bool              egress;    /* lets programs out; as its worker says on each link */
    uint32_t          jobs;      /* nodes it was hired for that served */
    uint64_t          served_ms; /* counted, over all of them */
    struct money      earned;

    /* live */
    uint64_t       session; /* of its link; 0: none */
    uint8_t        instance[16];
    struct instant seen;    /* last word of its link */
    struct instant quarrel; /* since when a second instance keeps asking; 0: none does */
    struct id      machine; /* while linked: which machine it runs on; none if nobody asked */
    uint32_t       idle;    /* nodes in a row that it was hired for and did not begin */
    bool           leapt;   /* the epoch has leapt past what it had seen */
    bool           has_images;
    uint64_t       version; /* of its desired state */
    struct instant told;    /* when that was last sent */
    uint64_t       event;   /* step in which its watchers were last told */
    struct id      nodes[DEVICE_NODES_MAX];
    uint32_t       nodes_count;
};
extern const struct record_type device_type;

/* check() that the move is one of the table's. */
void device_move(struct device *d, enum device_state to);
bool device_may_move(enum device_state from, enum device_state to);

/* What the device offers now: ready, and not hired. */
bool device_is_free(const struct device *d);

/* Whether a machine that was `was` and is `now` may no longer be able to do what it was hired for: fewer CPUs, less
 * memory (a sixteenth may go: kernels differ in what they keep), another kind of CPU, a GPU that is gone or another.
 * Of one that has never said what it is: no. */
bool device_is_less(const struct device *was, const struct device *now);

void device_hire(struct device *d, struct id node);
void device_release(struct device *d, struct id node); /* of one it does not hold: nothing */

#endif
