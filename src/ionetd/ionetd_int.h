/* ionetd_int.h: the parts of the program.
 *
 *   open.c      folder, keys, recipes, port; then, with all else given up, store → a network that was checked
 *   policy.c    what it needs after that
 *   queue.c     inputs that wait for their turn
 *   turn.c      one turn: step what waits, commit, let the effects out
 *   links.c     the worker link: who is there, frames → inputs
 *   down.c      effects → frames to workers
 *   gateways.c  effects → frames to gateways
 *   serve.c     the server, the timer, the signals
 */
#ifndef IONETD_IONETD_INT_H
#define IONETD_IONETD_INT_H

#include "api/api.h"
#include "config.h"
#include "link/link.h"
#include "net/net.h"
#include "network/network.h"
#include "store/store.h"
#include "sys/sandbox.h"

#define IONETD_VERSION "0.1.0"
#define QUEUE_MAX 32768
#define TURN_INPUTS_MAX 4096
#define HELD_MAX 262144 /* effects of one turn; with more, the turn takes no further input */
#define LINKS_MAX NET_CONNECTIONS_MAX
#define LINK_PROOF_MS 5000      /* from the socket to the proof */
#define LINK_FRAMES_A_TICK 1000 /* a link that says more is cut */

/* ---- inputs that wait --------------------------------------------------------------------------------------- */

struct queued {
    struct input in;
    void        *owned; /* what the input points to; freed after its step */
};

struct queue {
    struct queued *ring; /* QUEUE_MAX */
    uint32_t       first, count;
};

/* Takes `owned` over, also when it is refused: ERR_LIMIT. */
must_check struct err queue_put(struct queue *q, const struct input *in, void *owned);
struct queued        *queue_first(struct queue *q); /* null: none waits */
void                  queue_drop_first(struct queue *q);

/* ---- links --------------------------------------------------------------------------------------------------- */

enum link_state { LINK_FREE, LINK_NEW, LINK_CHALLENGED, LINK_ASKED, LINK_OPEN };

struct ionetd;

struct link {
    struct ionetd     *ionetd;
    struct net_socket *socket;  /* null: it is gone, and only its LINK_DOWN is owed */
    uint64_t           session; /* never used twice */
    enum link_state    state;
    struct link_hello  hello;
    uint8_t            nonce[32];
    struct id          id; /* of the device or gateway, once it is open */
    uint64_t           since_ms;
    uint32_t           frames;  /* since the last look */
    uint64_t           told_in; /* the turn in which its desired state was last sent */
    struct gw_up      *gw_up;   /* a gateway's last word of itself */
};

struct links {
    struct link *all; /* LINKS_MAX */
    uint32_t    *free;
    uint32_t     free_count;
    uint32_t     top; /* places ever used */
    uint64_t     made;
    uint32_t     open;
    uint64_t     frames;
};

void         links_open(struct ionetd *i);
void         links_close(struct ionetd *i);
void         links_accept(struct ionetd *i, struct net_request *r); /* on_upgrade of /v1/link */
struct link *link_find(struct ionetd *i, uint64_t session);         /* an open one, or null */
void         link_send(struct link *l, enum link_kind kind, const void *message);
void         link_effect(struct ionetd *i, const struct effect *e); /* WELCOME, REFUSE, CLOSE */
void         links_tick(struct ionetd *i);                          /* every NETWORK_TICK_MS */

/* ---- the program ----------------------------------------------------------------------------------------------- */

struct keys {
    struct net_pin    pin;
    struct sign_key   sign;
    struct public_key sign_public;
    char              cert_path[CONFIG_TEXT + 32];
    char              key_path[CONFIG_TEXT + 32];
};

struct ionetd {
    struct config         config;
    struct keys           keys;
    int                   lock;
    struct net           *net;
    struct net_server    *server;
    struct net_waker     *turn_waker, *store_waker;
    struct store         *store;
    struct store_reader  *reader;
    struct api           *api;
    struct network        network;
    struct network_config network_config;
    void                 *network_memory, *effects_memory;
    struct effects        effects; /* of the step that runs */
    struct api_recipe     recipes[NETWORK_RECIPES_MAX];
    size_t                recipe_count;

    struct queue    queue;
    struct links    links;
    struct effect  *held; /* of the turn that runs */
    size_t          held_count, held_room;
    bool            committing;
    bool            stopping;
    bool            failed;
    struct gw_count gateway_counts; /* as the gateway last said */
    uint64_t        turns, commits, commit_ms;
    uint64_t        commit_began_ms;
    bool            tick_waits;
};

must_check struct err ionetd_open(struct ionetd *i, struct text *complaint); /* open.c */
must_check struct err ionetd_listen(struct ionetd *i);                       /* serve.c */
must_check struct err ionetd_give_up(struct ionetd *i); /* policy.c; before the first thread */
void                  ionetd_policy(const struct config *c, struct sandbox *out);
must_check struct err keys_issue(struct ionetd *i);   /* the server's certificate, anew when it ends soon */
must_check struct err ionetd_serve(struct ionetd *i); /* serve.c; until it is stopped */
void                  ionetd_close(struct ionetd *i);

/* ---- turns ------------------------------------------------------------------------------------------------------- */

/* Into the queue, and a turn will come. */
must_check struct err ionetd_ask(struct ionetd *i, const struct input *in, void *owned);
void                  turn_soon(struct ionetd *i);
void                  turn_run(void *ionetd);
/* The first of an epoch, here and now: before anything is served. */
must_check struct err turn_start(struct ionetd *i);

/* ---- effects --------------------------------------------------------------------------------------------------------- */

void down_desired(struct ionetd *i, const struct effect *e);
void down_meshes(struct ionetd *i, const struct effect *held, size_t count); /* all EFFECT_MESH_… of a turn */
void gateways_tell(struct ionetd *i, const struct effect *held, size_t count); /* all of a turn for gateways */
void gateways_certify(struct ionetd *i); /* a new certificate to each that is linked */

#endif
