/* site.h: one worker's program: the worker as a value (worker.h), and around it all that touches the machine.
 *
 *   main.c     which task                 config.c   options
 *   run.c      the order of things        check.c    --check
 *   state.c    the state folder           uplink.c   the link to the network
 *   steps.c    inputs in, actions out     node.c     what there is of a node
 *   recipes.c  recipes by hash            start.c    a node's container, from its recipe, and what runs beside it
 *   tunnel.c   users' connections         out.c      a node's way out
 *   try.c      whether a relayed peer can be reached without the relay
 *
 * Everything runs on net's loop. An action that fails at once is answered at once; steps may nest, and an
 * action for a start that is over does nothing. */
#ifndef IONET_WORKER_SITE_H
#define IONET_WORKER_SITE_H

#include "config.h"
#include "crypto/crypto.h"
#include "link/link.h"
#include "net/net.h"
#include "recipe/recipe.h"
#include "runtime/container.h"
#include "runtime/image.h"
#include "runtime/machine.h"
#include "runtime/netns.h"
#include "runtime/runtime.h"
#include "wg/wg.h"
#include "worker/worker.h"

#define SITE_PROGRAM "ionet-worker 0.1.0"
#define SITE_PATH_TEXT 512
#define SITE_KEEPALIVE_S 15     /* what a home router forgets last */
#define SITE_MEET_INSIST_MS 250 /* the gateway learns of our key while we already knock */
#define SITE_PEER_INSIST_MS 500
#define SITE_USED_MS 2000
#define SITE_STOP_ALL_MS 60000 /* then what would not go is said, and left */

/* What there is of one start of a node on this machine. It lives until it is cleaned, or left at the
 * program's end, and until every callback that it waits for has come. */
struct node {
    struct site           *site;
    uint32_t               slot;
    struct worker_ref      ref;
    uint32_t               holds;   /* callbacks to come that can't be taken back */
    bool                   finding; /* what was left of it is being taken over */
    bool                   cleaning;
    bool                   leaving;
    bool                   is_clean;
    struct recipe         *recipe;
    struct net_call       *recipe_call;
    char                  *recipe_room;
    size_t                 recipe_len;
    struct wg_device      *wg;
    uint8_t                mesh_key[MESH_KEY_BYTES]; /* the public half */
    uint16_t               mesh_port;                /* 0: its device is not up yet */
    struct container      *container;
    bool                   container_runs;
    struct container_exec *witness;
    uint64_t               line_ms; /* when a line of it was last heard */
    struct container_exec *copy;    /* of the head's state, if it is the standby */
    uint64_t               copy_line_ms;
    struct tunnel         *tunnels;
    struct try            *tries;
    char                   refused[64]; /* the service that was refused last, */
    const char            *refused_why; /* static; null: it has been there since */
    uint64_t               cpu_us, cpu_at_ms;
};

/* Which network this state folder belongs to, and who it is there: STATE/network.json. */
struct site_network {
    char             host[128];
    uint32_t         port;
    uint8_t          pin[32];
    struct device_id device;          /* none until enrolled */
    uint8_t          signing_key[32]; /* the network's, since the first welcome */
};

struct site {
    struct config        config;
    struct net          *net;
    struct runtime      *runtime;
    struct worker       *worker;
    struct worker_saved *saved;
    struct text          saved_text;
    char                 boot_id[33];
    uint8_t              instance[16];
    struct sign_key      key;
    struct public_key    public_key;
    struct site_network  network;
    struct net_pin       pin;
    char                 secret[64]; /* of the join token */
    struct device_specs  specs;
    bool                 save_failed;
    char                 trouble[ASSIGN_WHY_TEXT];       /* of the machine itself; "" if it can serve */
    char                 found_trouble[ASSIGN_WHY_TEXT]; /* by the check that is on */
    char                 fetching[ASSIGN_IMAGE_TEXT];    /* the image that is being fetched; "" if none */
    int                  lock_fd;

    struct net_socket *link;
    bool               link_welcome, specs_sent;
    char               outside[64];  /* our address, as the network sees it; "" if it did not say */
    uint64_t           link_gone_ms; /* since when; 0: it is up, or was never tried */

    struct node      *nodes[WORKER_NODES_MAX]; /* what there is of the worker's slots */
    struct net_timer *timer;
    uint64_t          timer_ms, used_at_ms;
    bool              stopping, stopped, stop_all;
    struct err        result;
};

/* ---- state.c ---- */

must_check struct err state_open(struct site *s); /* lock, key, network, what ran; complains in the log */
void                  state_close(struct site *s);
must_check struct err state_save_network(struct site *s);
must_check struct err state_save_worker(struct site *s);
/* A node's private mesh key, drawn when it is asked for the first time; wiped: overwritten, then removed. */
must_check struct err state_mesh_key(const struct site *s, struct node_id node, uint8_t out[MESH_KEY_BYTES]);
must_check struct err state_wipe_mesh_key(const struct site *s, struct node_id node);
void                  site_mesh_dir(const struct site *s, char out[SITE_PATH_TEXT]);
void                  state_recipe_path(const struct site *s, const uint8_t hash[32], char out[SITE_PATH_TEXT]);

/* ---- steps.c ---- */

void site_step(struct site *s, const struct worker_input *in);
void site_tell(struct site *s, enum worker_input_kind kind, struct worker_ref ref, struct err e);
must_check struct err site_begin(struct site *s); /* what a worker before this one left is found or removed */
void                  site_stop(struct site *s);

/* ---- uplink.c ---- */

void uplink_open(struct site *s);
void uplink_close(struct site *s);
void uplink_send(struct site *s, enum link_kind kind, const void *message);
void uplink_observe(struct site *s);

/* ---- node.c: each answers by an input ---- */

struct node *node_of(struct site *s, struct worker_ref ref); /* made if need be; null: that start is over */
const struct assignment *node_assignment(const struct node *n);
void                     node_mesh_name(struct node_id node, char out[WG_NAME_TEXT]);
bool                     node_is_over(const struct node *n); /* it is being cleaned, or left */
void                     node_hold(struct node *n);
void                     node_release(struct node *n);
void                     node_find_left(struct node *n);
void                     node_make_mesh(struct node *n);
void                     node_tell_inside(struct node *n); /* its address at home, which may have changed */
void                     node_set_meets(struct node *n);
void                     node_poke_meets(struct node *n); /* says something to each now */
void                     node_set_peer(struct node *n, const struct mesh_peer *peer, bool gone);
void                     node_move_peer(struct node *n, const struct mesh_peer *peer);
void                     node_poke_peer(struct node *n, const struct mesh_peer *peer);
void                     node_read_peers(struct node *n);
void                     node_clean(struct node *n);
void                     node_leave(struct node *n); /* the program ends, the node does not */
void                     node_read_used(struct node *n);

/* ---- recipes.c ---- */

void                  recipe_fetch(struct node *n);
must_check struct err recipe_load(struct node *n); /* from the state folder */

/* ---- start.c ---- */

void node_start(struct node *n);
void node_start_let_out(struct node *n, struct err e); /* it is out, or why not */
void node_start_witness(struct node *n);
void node_stop_witness(struct node *n);
void node_start_copy(struct node *n);
void node_stop_copy(struct node *n);
extern const struct container_calls node_container_calls; /* of node.c */

/* ---- out.c ---- */

/* The node's way out, if its recipe declares one, and then, if `and_start`, its container. */
void node_let_out(struct node *n, bool and_start);
/* Those given, and the variables by which its programs find the way out, written into `room`; how many there are. */
size_t node_out_env(const struct node *n, const char *const *given, const char *env[CONTAINER_ENV_MAX],
                    struct text *room);

/* ---- tunnel.c ---- */

void tunnel_dial(struct node *n);
void tunnels_drop(struct node *n); /* those that nobody uses yet */
void tunnels_cut(struct node *n);

/* ---- try.c ---- */

void node_try_peer(struct node *n, const struct mesh_peer *peer); /* at peer->direct; IN_REACHED, if it is */
void tries_end(struct node *n);

/* ---- run.c, check.c ---- */

must_check struct err site_run(const struct config *c);

void site_runtime_options(const struct config *c, struct runtime_options *out);

must_check struct err check_machine(const struct config *c);
void check_begin(struct site *s); /* of a worker that runs: what is missing is reported as its trouble */

#endif
