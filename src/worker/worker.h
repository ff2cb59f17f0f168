/* worker.h: the worker as a value: what it was told and what it sees → what to do. Pure.
 *
 *     desired state, mesh maps ─┐                    ┌─ images, recipes, meshes, containers, tunnels
 *     what became of an action ─┼→ worker_step(now) ─┼─ peers set and removed
 *     a tick ───────────────────┘                    └─ what to write to the disk, what to report
 *
 * The newest desired state by (epoch, version) rules; an older one is ignored. What it lists runs, what it
 * does not list ends and is cleaned away; another incarnation of a node waits until the one before is gone. A
 * node also ends by itself: when what was paid is used up, when it can't be started, when its container or
 * its mesh ends. It is then reported as ended, with the reason, until the desired state drops it. After a
 * reboot nothing is started again: what ran is reported as ended, and the network decides.
 *
 * Every action may be answered late, or be answered for an incarnation that is gone: answers name both. All
 * that is asked is asked again after a failure, and every step compares what should be with what is, so any
 * order and any loss of inputs ends at the newest desired state.
 *
 * Time is milliseconds of CLOCK_BOOTTIME. One `struct worker` is some megabytes and owns no other memory. */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include "base/id.h"
#include "base/units.h"
#include "cluster/assign.h"
#include "mesh/mesh.h"
#include "record/record.h"

#define WORKER_NODES_MAX (2 * ASSIGNMENTS_MAX) /* the desired ones, and as many that are being cleaned */
#define WORKER_PEERS_MAX 2560
#define WORKER_SEEN_MAX 2560
#define WORKER_IMAGES_MAX 16
#define WORKER_ACTIONS_MAX 64
#define WORKER_TUNNELS 3 /* idle ones a node */

#define WORKER_REPORT_MS 5000    /* observed: at least so often while a node serves */
#define WORKER_OBSERVED_MS 30000 /* and else */
#define WORKER_WITNESS_MS 1000
#define WORKER_COPY_MS 1000      /* before a copying program that ended is started again */
#define WORKER_SAVE_MS 4000      /* the state is synced so often while a node serves */
#define WORKER_UNSYNCED_MS 5000  /* what is reported as served is at most so much beyond what is synced */
#define WORKER_SEEN_SPAN_MS 2500 /* of the time between two lines of a witness, so much counts */
#define WORKER_LINE_BYTES_MAX \
    (5 + WORKER_SEEN_MAX * MESH_ADDRESS_TEXT) /* of a witness: "alive", and a blank each */
#define WORKER_STALE_MS 2000       /* after a new map began, peers that it does not name stay so long */
#define WORKER_SESSION_MS 180000   /* for so long after its handshake WireGuard keeps a session */
#define WORKER_READ_MS 100         /* the mesh is read so often while a peer has not answered */
#define WORKER_RETRY_MS 2000       /* images, recipes, cleaning */
#define WORKER_TUNNEL_LEAST_MS 250 /* wait after a failed tunnel; doubles */
#define WORKER_TUNNEL_MOST_MS 2000
#define WORKER_WATCH_MS \
    1000 /* so often is looked whether peers are still heard, and 1 ms later for each of them */
#define WORKER_WATCHES_UNHEARD \
    2                       /* so often in a row a peer that was spoken to was not heard: something moved */
#define WORKER_POKE_MS 3000 /* the meeting points are shown where we are now at most so often */
#define WORKER_WORDS_A_SECOND 250 /* about peers: of some thousand at once the network would cut the link */
#define WORKER_OWED_MS 20000      /* WireGuard answers data within 10 s, if only by an empty packet */
#define WORKER_STARTED_MS 10000   /* a container that ran so long is past its start */

/* Which start of which node. */
struct worker_ref {
    struct node_id node;
    uint64_t       incarnation;
};

enum worker_step {
    STEP_FREE,      /* the slot holds nothing */
    STEP_FINDING,   /* from before a restart of the worker: what is left of it is being looked for */
    STEP_PREPARING, /* recipe, image, mesh */
    STEP_STARTING,  /* its container was asked for */
    STEP_SERVING,   /* its container runs */
    STEP_ENDING,    /* all of it is being removed */
    STEP_ENDED,     /* nothing is left but the report */
    STEP_COUNT
};

struct worker_peer {
    struct mesh_peer told;
    uint64_t         set_at_ms; /* when it is, or was, to be set */
    uint64_t         valid_until_ms;
    uint64_t         stale_until_ms; /* 0: the map names it */
    bool             is_set;
    bool             answered; /* a handshake since it was set */
    bool             silent_sent;
    bool             is_adopted; /* with a session, from the worker before this one; no map has named it yet */
    bool             try_due, move_due, reached_due, poke_due, unheard_due;
    bool             begin_anew; /* the device has a session with it that is to end when it is set */
    uint64_t         rx_bytes, tx_bytes;
    uint64_t         owed_ms; /* data went out, and for so long nothing came in */
    uint32_t         unheard; /* watches in a row in which it was spoken to and not heard */
};

struct worker_node {
    enum worker_step  step;
    struct assignment assignment;
    struct worker_ref ref;
    uint64_t          paid_until_ms;
    uint64_t          served_ms; /* counted up to served_at_ms */
    uint64_t          served_at_ms;
    uint64_t          saving_ms, synced_ms; /* served_ms as last written, and as last known to be on the disk */
    uint64_t          started_ms;
    uint64_t          retry_ms; /* of recipe or cleaning */
    bool              has_recipe, asked_recipe;
    bool              has_mesh, asked_mesh, has_meets;
    bool              is_past_start; /* its own witness named it, or it has run for long enough */
    bool              asked;         /* ACT_FIND, ACT_START_CONTAINER, ACT_CLEAN: of its step */
    uint8_t           mesh_key[MESH_KEY_BYTES];
    char              inside[MESH_ENDPOINT_TEXT];
    char              why[ASSIGN_WHY_TEXT];
    char              log_end[ASSIGN_LOG_TEXT];
    uint32_t          cpu_milli;
    uint64_t          memory_bytes;

    uint32_t peers_count;
    bool     has_map; /* since this worker started: what the device holds besides is removed */
    bool     reading, has_read;
    uint64_t read_at_ms;
    uint64_t watched_at_ms, poked_at_ms;
    bool     poke_due;
    uint64_t said_ms; /* the second in which so many words were said about peers */
    uint32_t said;

    uint32_t seen_count;
    uint64_t line, line_ms;            /* number and time of the last line; 0: none yet */
    uint8_t  head_key[MESH_KEY_BYTES]; /* of the peer at the head's address, which may change */
    bool     witness_runs, witness_dirty, names_itself;
    uint64_t witness_retry_ms, witnessed_at_ms;

    bool     copy_runs, copied;
    uint64_t copy_retry_ms;

    uint32_t tunnels_idle, tunnels_dialing;
    uint64_t tunnels_retry_ms, tunnels_wait_ms;
    bool     tunnels_moved; /* those that wait do so where the gateway was */

    /* Beyond their counts these hold nothing, not even zeros: a new node costs what it uses. */
    struct worker_peer peers[WORKER_PEERS_MAX];
    struct worker_seen {
        struct witness_entry entry;
        uint64_t             line; /* number of the last line that named it */
    } seen[WORKER_SEEN_MAX];       /* in order of index */
};

struct worker_image {
    char     image[ASSIGN_IMAGE_TEXT]; /* "": free */
    bool     wanted, held, fetching;
    uint64_t retry_ms;
    char     why[ASSIGN_WHY_TEXT]; /* of the last failure */
};

struct worker {
    char                boot_id[33];
    bool                link_up;
    struct desired      desired; /* the newest; epoch 0: none */
    uint64_t            desired_at_ms;
    struct worker_node  nodes[WORKER_NODES_MAX];
    struct worker_image images[WORKER_IMAGES_MAX];
    bool                observe_dirty, save_dirty;
    bool                is_saving; /* IN_SYNCED is awaited */
    uint64_t            observed_at_ms, saved_at_ms;
    bool                stop_all; /* nothing may run any more */
};

/* ---- what is on the disk ----------------------------------------------------------------------------- */

struct worker_saved_node {
    struct assignment    assignment[1];
    uint32_t             assignment_count; /* always 1 */
    uint32_t             slot;
    bool                 wanted; /* the newest desired state lists it */
    enum worker_step     step;
    uint64_t             paid_until_ms;
    uint64_t             served_ms;
    uint64_t             served_at_ms;
    uint8_t              mesh_key[MESH_KEY_BYTES];
    char                 inside[MESH_ENDPOINT_TEXT];
    bool                 copied;
    uint8_t              head_key[MESH_KEY_BYTES];
    char                 why[ASSIGN_WHY_TEXT];
    char                 log_end[ASSIGN_LOG_TEXT];
    struct witness_entry seen[WORKER_SEEN_MAX];
    uint32_t             seen_count;
};

struct worker_saved {
    char                     boot_id[33]; /* of the boot that the moments in it belong to */
    uint64_t                 epoch;
    uint64_t                 version;
    struct worker_saved_node nodes[WORKER_NODES_MAX];
    uint32_t                 nodes_count;
};
extern const struct record_type worker_saved_type;

/* ---- inputs ------------------------------------------------------------------------------------------ */

enum worker_input_kind {
    IN_START, /* the first: saved (null: none), boot_id, images */
    IN_FOUND, /* ref, found: what is left of a node from before */
    IN_LINK_UP,
    IN_LINK_DOWN,
    IN_DESIRED,   /* desired */
    IN_MAP,       /* map */
    IN_RECIPE,    /* ref, err: the recipe is held, or not to be had */
    IN_IMAGE,     /* text is its name, err */
    IN_MESH,      /* ref, err; key, inside: its device is up. With an error also: it ended */
    IN_INSIDE,    /* ref, inside: where its device is at home now */
    IN_PEERS,     /* ref, err, peers: what the device knows */
    IN_REACHED,   /* ref, key: the relayed peer is reached where it was tried */
    IN_CONTAINER, /* ref, err: it runs. With an error: it could not start, or ended; text: why, log_end */
    IN_LINE,      /* ref, text: the witness said it, whole, up to WORKER_LINE_BYTES_MAX */
    IN_WITNESS,   /* ref: the witness ended */
    IN_COPY_LINE, /* ref, text: the copying program said it */
    IN_COPY,      /* ref: the copying program ended */
    IN_TUNNEL,    /* ref, tunnel */
    IN_USED,      /* ref, used: by its group */
    IN_CLEANED,   /* ref, err: nothing is left of it, or some is */
    IN_SYNCED,    /* what worker_save gave last is on the disk; until then it is given again and again */
    IN_STOP_ALL,  /* end all nodes, run none any more */
    IN_TICK,      /* after worker_wait_ms at the latest */
    IN_COUNT
};

enum worker_tunnel {
    TUNNEL_OPEN,  /* a dialled one waits */
    TUNNEL_TAKEN, /* a waiting one is in use now */
    TUNNEL_LOST,  /* a waiting one ended */
    TUNNEL_FAILED /* a dialled one could not be opened */
};

struct worker_peer_seen {
    uint8_t  key[MESH_KEY_BYTES];
    char     endpoint[MESH_ENDPOINT_TEXT];
    uint64_t handshake_ms; /* of the last one, in CLOCK_BOOTTIME; 0: never */
    uint64_t rx_bytes, tx_bytes;
};

struct worker_input {
    enum worker_input_kind         kind;
    struct worker_ref              ref;
    struct err                     err;
    struct str                     text; /* borrowed, as all pointers here, for the step */
    struct str                     log_end;
    const struct worker_saved     *saved;
    const char                    *boot_id;
    const struct wanted_image     *images;
    uint32_t                       images_count;
    bool                           found_mesh, found_container;
    const struct desired          *desired;
    const struct mesh_map         *map;
    uint8_t                        key[MESH_KEY_BYTES];
    const char                    *inside;
    const struct worker_peer_seen *peers;
    uint32_t                       peers_count;
    enum worker_tunnel             tunnel;
    uint32_t                       cpu_milli;
    uint64_t                       memory_bytes;
};

/* ---- actions ----------------------------------------------------------------------------------------- */

enum worker_action_kind {
    ACT_FIND,         /* say by IN_FOUND what is left of it, adopt it */
    ACT_FETCH_RECIPE, /* of its assignment */
    ACT_FETCH_IMAGE,  /* image; one at a time */
    ACT_MAKE_MESH,    /* with a new key that never leaves */
    ACT_SET_MEETS,    /* of its assignment, as peers without addresses */
    ACT_POKE_MEETS,   /* something to each of them at once, so that they see where we are now */
    ACT_SET_PEER,     /* peer */
    ACT_REMOVE_PEER,  /* peer.key */
    ACT_TRY_PEER,     /* peer.key at peer.direct; IN_REACHED if it is reached */
    ACT_MOVE_PEER,    /* peer: sent to elsewhere, with its session */
    ACT_POKE_PEER,    /* peer: something to it at once */
    ACT_READ_PEERS,   /* say by IN_PEERS */
    ACT_START_CONTAINER,
    ACT_START_WITNESS,
    ACT_STOP_WITNESS,
    ACT_START_COPY,
    ACT_STOP_COPY,
    ACT_DIAL_TUNNEL,    /* with its assignment's ticket */
    ACT_DROP_TUNNELS,   /* those that wait, or are being dialled */
    ACT_CLEAN,          /* stop and remove all of it, whatever there is; then IN_CLEANED */
    ACT_SEND_WITNESSED, /* worker_witnessed, from entry `from` on */
    ACT_SEND_SILENT,    /* peer.key */
    ACT_SEND_UNHEARD,   /* peer.key */
    ACT_SEND_REACHED,   /* peer.key */
    ACT_COUNT
};

struct worker_action {
    enum worker_action_kind kind;
    uint32_t                slot; /* of worker.nodes; ref is that node's */
    struct worker_ref       ref;
    uint32_t                from;
    struct mesh_peer        peer;
    char                    image[ASSIGN_IMAGE_TEXT];
};

/* To be done in this order: save, then list, then observe, then collect. */
struct worker_actions {
    bool                 save; /* worker_save to the disk, synced, then IN_SYNCED */
    struct worker_action list[WORKER_ACTIONS_MAX];
    uint32_t             count;
    bool                 observe; /* worker_observe to the link */
    bool                 collect; /* images that are not in worker.images */
    bool                 more;    /* the list was too short: step with IN_TICK at once */
};

/* `w` is zeroed before the first step, which is IN_START. */
void worker_step(struct worker *w, uint64_t now_ms, const struct worker_input *in, struct worker_actions *out);

/* How long until the next tick. */
uint64_t worker_wait_ms(const struct worker *w);

/* The node of that start, or null. */
const struct worker_node *worker_find(const struct worker *w, struct worker_ref ref);
bool                      worker_ref_eq(struct worker_ref a, struct worker_ref b);

/* What to report; specs are the caller's to add. */
void worker_observe(const struct worker *w, uint64_t now_ms, struct observed *out);

/* One message of what the witness in that slot saw. Returns the entry to go on from, 0 at the end. */
uint32_t worker_witnessed(const struct worker *w, uint32_t slot, uint32_t from, uint64_t now_ms,
                          struct witnessed *out);

/* The state for the disk. */
void worker_save(struct worker *w, uint64_t now_ms, struct worker_saved *out);

#endif
