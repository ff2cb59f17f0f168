/* assign.h: what a worker is asked to run, and what it says it runs. Pure.
 *
 * Desired state goes down whole, with (epoch, version); observed state comes up whole. Either may be lost,
 * repeated or late: after any crash one exchange puts it right. Numbers that count up (served_ms, seen_ms)
 * are cumulative for one incarnation of a node, so a repeated or lost report changes nothing. */
#ifndef CLUSTER_ASSIGN_H
#define CLUSTER_ASSIGN_H

#include "base/id.h"
#include "base/units.h"
#include "mesh/mesh.h"
#include "record/record.h"

#define ASSIGNMENTS_MAX 4 /* a device; whole devices first */
#define ASSIGN_GPUS_MAX 16
#define ASSIGN_IMAGES_MAX 8
#define ASSIGN_IMAGE_TEXT 256 /* "203.0.113.3:5000/ray@sha256:…", zero-ended */
#define ASSIGN_TICKET_TEXT 640
#define ASSIGN_WHY_TEXT 160
#define ASSIGN_LOG_TEXT 2048
#define ASSIGN_RETURN_MS 26000 /* whose link is gone tries to have it again at least so often */
#define RECIPE_HASH_BYTES 32
#define RECIPE_NAME_TEXT 32

enum node_role { NODE_HEAD, NODE_WORKER, NODE_ROLE_COUNT };
extern const char *const node_role_names[NODE_ROLE_COUNT];

/* How far a node is, as its worker says. */
enum node_phase {
    PHASE_ASKED,    /* told, nothing done yet */
    PHASE_IMAGE,    /* the image is fetched and unpacked */
    PHASE_MESH,     /* its device is made, it waits for peers */
    PHASE_STARTING, /* its container runs */
    PHASE_RUNNING,  /* it is past its start: a witness there saw it, or it has run for a while */
    PHASE_ENDED,    /* it ended by itself or could not start: see `why` */
    PHASE_COUNT
};
extern const char *const node_phase_names[PHASE_COUNT];

struct assign_gpu {
    uint32_t index; /* on that device */
};
extern const struct record_type assign_gpu_type;

struct assignment {
    struct node_id    node;
    struct cluster_id cluster;
    uint64_t          incarnation; /* of the node: a greater one is a new start */
    enum node_role    role;
    uint32_t          index; /* of its mesh address: 10.99.0.0 + index */
    uint32_t          head_index;
    uint32_t          nodes;    /* how many the cluster has */
    bool              witness;  /* runs the recipe's witness */
    bool              standby;  /* keeps a copy of the head's state: runs the recipe's state.copy */
    uint32_t          restores; /* a head in a lost one's place: index of who keeps the copy; 0: begins anew */
    char              recipe[RECIPE_NAME_TEXT];
    uint8_t           recipe_hash[RECIPE_HASH_BYTES]; /* fetched at GET /v1/recipes/HEX, held by hash */
    char              image[ASSIGN_IMAGE_TEXT];
    uint32_t          cpus_milli;
    uint64_t          memory_bytes;
    struct assign_gpu gpus[ASSIGN_GPUS_MAX];
    uint32_t          gpus_count;
    uint8_t           secret[32]; /* the cluster's; the recipe's secrets come from it */
    struct mesh_meet  meets[MESH_MEETS_MAX];
    uint32_t          meets_count;
    char              tunnel[MESH_ENDPOINT_TEXT]; /* the gateway's HTTPS "host:port" */
    char              ticket[ASSIGN_TICKET_TEXT]; /* for its tunnels */
    struct span       paid;                       /* remaining; the node ends by itself after that */
    uint8_t           signature[64];              /* of the network: assignment_signed_text */
};
extern const struct record_type assignment_type;

/* What the network signs: node, incarnation, cluster, device, recipe's hash and image, as one line of text. */
void assignment_signed_text(const struct assignment *a, struct device_id device, struct text *out);

struct wanted_image {
    char image[ASSIGN_IMAGE_TEXT];
};
extern const struct record_type wanted_image_type;

/* Down. */
struct desired {
    uint64_t            epoch;
    uint64_t            version;
    struct assignment   assignments[ASSIGNMENTS_MAX];
    uint32_t            assignments_count;
    struct wanted_image images[ASSIGN_IMAGES_MAX]; /* to be held ahead of need */
    uint32_t            images_count;
};
extern const struct record_type desired_type;

struct observed_node {
    struct node_id  node;
    uint64_t        incarnation;
    enum node_phase phase;
    uint64_t        served_ms; /* cumulative, no greater than what is synced to the worker's disk + 5 s */
    uint8_t         mesh_key[MESH_KEY_BYTES]; /* zero until made */
    char            inside[MESH_ENDPOINT_TEXT];
    bool            copied; /* a standby: its copy of the head's state is whole */
    char            why[ASSIGN_WHY_TEXT];
    char            log_end[ASSIGN_LOG_TEXT]; /* with PHASE_ENDED */
    uint32_t        cpu_milli;                /* used lately, by its cgroup */
    uint64_t        memory_bytes;             /* used now */
};
extern const struct record_type observed_node_type;

struct observed_gpu {
    char     uuid[48];
    char     chip[44];
    uint32_t memory_mib;
};
extern const struct record_type observed_gpu_type;

/* What the machine is, as measured there. Sent with observed when it changed (and on each new link). */
struct device_specs {
    uint32_t            cpus;
    uint64_t            memory_bytes;
    uint64_t            disk_bytes; /* free for images and containers */
    char                cpu_model[64];
    char                os[64];
    char                arch[16];
    bool                egress; /* its owner lets programs out, if a recipe says that they need it */
    struct observed_gpu gpus[ASSIGN_GPUS_MAX];
    uint32_t            gpus_count;
};
extern const struct record_type device_specs_type;

/* Up. */
struct observed {
    uint64_t             epoch; /* of the desired state it has seen; 0 if none */
    uint64_t             version;
    struct observed_node nodes[ASSIGNMENTS_MAX];
    uint32_t             nodes_count;
    struct wanted_image  images[ASSIGN_IMAGES_MAX]; /* held and whole */
    uint32_t             images_count;
    bool                 has_specs;
    struct device_specs  specs[1];
    uint32_t             specs_count;              /* 0 or 1 */
    char                 trouble[ASSIGN_WHY_TEXT]; /* what keeps the device from being ready; "" if nothing */
};
extern const struct record_type observed_type;

#define WITNESS_ENTRIES 256

/* Up: what the recipe's witness on `node` saw. Each entry stands for itself and counts up: how long, in all,
 * the witness of this incarnation saw that mesh address alive; `alive` whether in its last line. */
struct witness_entry {
    uint32_t index; /* mesh index of the node that was seen */
    uint64_t seen_ms;
    bool     alive;
};
extern const struct record_type witness_entry_type;

struct witnessed {
    struct node_id node; /* who saw */
    uint64_t       incarnation;
    uint64_t       age_ms;                   /* since its last line; grows when the witness is silent */
    uint8_t        head_key[MESH_KEY_BYTES]; /* of whom it sees at the head's address, since it sees that one */
    struct witness_entry entries[WITNESS_ENTRIES];
    uint32_t             entries_count;
};
extern const struct record_type witnessed_type;

#endif
