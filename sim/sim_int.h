/* sim_int.h: what the parts of the simulated world share. */
#ifndef SIM_SIM_INT_H
#define SIM_SIM_INT_H

#include "checks_int.h"
#include "sim.h"
#include "store_int.h"

#include "base/prng.h"
#include "network/network.h"
#include "worker/worker.h"

#define MACHINES_MAX 256
#define GATES_MAX 2
#define CLIENTS_MAX 8
#define LINKS_MAX 4096
#define IMAGES 3
#define THING_PEERS_MAX 32
#define FULL_CHECK_STEPS 10000

/* ---- what a seed decides about its world ------------------------------------------------------------------ */

struct plan {
    uint64_t inputs; /* to both values, before the faults cease */
    uint32_t machines, gates, suppliers, users, sites;
    uint32_t tick_slack;     /* timers are up to so many times late */
    int64_t  client_ms;      /* between two wishes of a client, at most twice that */
    int64_t  trouble_ms;     /* between two troubles */
    int64_t  delay_ms;       /* of messages, at most */
    int64_t  outage_ms;      /* longest absence of the network */
    uint32_t loss, repeat;   /* of a thousand messages that may be lost */
    uint32_t crash;          /* of ten thousand commits and saves */
    uint32_t fails;          /* of a thousand actions of a worker */
    uint32_t mutes;          /* of a hundred tenants, who stop their witness */
    uint32_t liars;          /* of a hundred machines */
    uint32_t drift_ppm_most; /* of a machine's clock */
    int64_t  jump_ms;        /* of the network's clock, at most */
    bool     is_long;
};

/* ---- events --------------------------------------------------------------------------------------------------- */

enum event_kind {
    EVENT_VOID,        /* it was taken back */
    EVENT_TURN,        /* the network's program begins a turn */
    EVENT_TICK,        /* its timer */
    EVENT_START,       /* it starts again */
    EVENT_LETTER,      /* a message reaches it; what: struct letter */
    EVENT_PARCEL,      /* a message from it reaches a machine, a gateway or a client; what: struct parcel */
    EVENT_LINK_GONE,   /* the network's program learns that a link is over */
    EVENT_MACHINE,     /* a machine is to be: who */
    EVENT_WORKER_TICK, /* run: which of its timers */
    EVENT_CONNECT,     /* a worker or gateway opens a link */
    EVENT_DONE,        /* an action of a worker's program is done; what: struct done */
    EVENT_LINE,        /* a witness says a line */
    EVENT_GATE_TICK,
    EVENT_GATE_START,
    EVENT_COPY, /* the copy of a machine's state folder wants in */
    EVENT_CLIENT,
    EVENT_TROUBLE,
    EVENT_KIND_COUNT
};

struct event {
    int64_t         due_ms;
    uint64_t        order;
    enum event_kind kind;
    uint32_t        who;
    uint64_t        run; /* of the process that it is meant for */
    void           *what;
};

struct events {
    struct event *heap;
    uint32_t      count, room;
    uint64_t      made;
};

/* ---- messages ------------------------------------------------------------------------------------------------- */

struct letter { /* up: an input, and what it points to */
    struct input in;
    size_t       size;
    _Alignas(16) uint8_t body[];
};

enum parcel_kind { PARCEL_WELCOME, PARCEL_CLOSED, PARCEL_DESIRED, PARCEL_MAP, PARCEL_NOTES, PARCEL_REPLY };

/* What a gateway is told. */
struct note {
    enum effect_kind  kind; /* EFFECT_GATEWAY_ALL: forget all that was told before */
    struct node_id    node;
    struct cluster_id cluster;
    uint32_t          slot;
    uint8_t           key_a[MESH_KEY_BYTES], key_b[MESH_KEY_BYTES];
};

struct parcel { /* down */
    enum parcel_kind kind;
    uint64_t         session; /* of the link; of a reply: the request */
    struct id        subject;
    enum err_code    error;
    uint64_t         count;
    uint32_t         notes;
    _Alignas(16) uint8_t body[]; /* struct desired, struct mesh_map, or `notes` of struct note */
};

enum end_kind { END_WORKER, END_COPY, END_GATE };

/* A connection. Its session says its place: made × LINKS_MAX + place. */
struct link {
    uint64_t      session; /* 0: free */
    enum end_kind end;
    uint32_t      who;
    bool          is_open;              /* the network's program holds the socket */
    bool          is_asked;             /* and has asked the network whether to let it in */
    bool          is_welcome;           /* and has let it in */
    struct id     id;                   /* of what was let in */
    uint64_t      told_in;              /* the turn in which it was last sent its desired state */
    int64_t       up_at_ms, down_at_ms; /* when the last message arrives: they don't overtake each other */
};

/* ---- the network's program ---------------------------------------------------------------------------------------- */

struct control {
    struct network_limits limits;
    struct network_config config;
    struct network        n;
    void                 *memory, *room;
    size_t                bytes;
    struct effects        out;
    bool                  up, turn_is_due, disk_is_full;
    uint64_t              run, turns, commits, steps;
    int64_t               wall_ahead_ms; /* of the truth */
    uint64_t              epoch;         /* the last one that anybody was told */
    struct letter       **queue;
    uint32_t              queue_first, queue_count, queue_room;
    struct effect        *held;
    uint32_t              held_count, held_room;
    uint64_t              links_made;
    struct link           links[LINKS_MAX];
};

/* ---- things: what there really is of a node -------------------------------------------------------------------------- */

struct thing_peer {
    uint8_t  key[MESH_KEY_BYTES];
    uint32_t other; /* thing's place + 1; 0: a stranger */
    char     endpoint[MESH_ENDPOINT_TEXT];
    uint64_t handshake_ms; /* by the machine's clock */
    uint64_t rx_bytes, tx_bytes;
};

struct thing {
    struct id         id; /* of the node */
    struct cluster_id cluster;
    uint32_t          machine, index;
    uint32_t          next; /* of its cluster: place + 1 */
    bool              has_mesh, has_container, has_meets, has_witness, is_mute, clean_asked;
    bool              has_copy; /* whole, of its head's state */
    uint8_t           key[MESH_KEY_BYTES];
    char              inside[MESH_ENDPOINT_TEXT];
    struct thing_peer peers[THING_PEERS_MAX];
    uint32_t          peers_count;
    uint32_t          tunnels;
    int64_t           started_ms;
    uint64_t          ran_ms; /* before started_ms */
    int64_t           paid_until_ms;
    uint64_t          witness_run;
    int64_t           line_ms; /* of its witness's last line; 0: none yet in this life of its worker */
    uint32_t          named[THING_PEERS_MAX]; /* in that line: places + 1 */
    uint32_t          named_count;
    uint64_t          seen_ms; /* of it, by any witness that counts, or a gateway */
    int64_t           probed_until_ms;
    bool              is_lied_about;
};

struct group { /* a cluster's things */
    struct id id;
    uint32_t  first; /* place + 1 */
};

/* ---- machines ---------------------------------------------------------------------------------------------------------- */

enum lie {
    LIE_SERVED  = 1 << 0, /* reports more than it served */
    LIE_PHASE   = 1 << 1, /* says that it runs what it does not */
    LIE_SPECS   = 1 << 2, /* its hardware changes */
    LIE_WITNESS = 1 << 3, /* its witness says what it likes */
    LIE_EPOCH   = 1 << 4, /* it has seen states of the network that are to come */
    LIE_KEY     = 1 << 5, /* shows the mesh keys of others */
    LIE_TWICE   = 1 << 6, /* it is the machine that another one is */
    LIE_ALL     = (1 << 7) - 1,
};

struct machine {
    uint32_t             place;
    uint8_t              key[32];
    uint8_t              token[32];
    bool                 has_token, is_enrolled; /* is_enrolled: it is on its disk */
    struct id            id;
    bool                 is_powered, is_up;
    uint64_t             run; /* of its worker's program; grows with each start */
    uint64_t             timer;
    uint64_t             timer_ms;
    uint64_t             boots;
    int64_t              boot_at_ms;
    int64_t              drift_ppm;
    char                 boot_id[16];
    uint8_t              instance[16];
    struct worker       *w;
    struct worker_saved *disk;
    bool                 has_saved, disk_is_full, save_failed;
    uint32_t             images; /* held, by bits */
    uint64_t             session;
    bool                 link_welcome, specs_sent;
    int64_t              wait_ms;
    struct device_specs  specs;
    uint32_t             lies;
    uint32_t             site;
    bool                 is_symmetric; /* its router is */
    bool                 cut_network, cut_mesh;
    uint32_t             moves;                      /* how often its router gave it another port */
    int64_t              copy_until_ms;              /* a copy of its state folder is about */
    uint64_t             copied_session, copied_run; /* of whom it has been refused since copied_at_ms */
    int64_t              copied_at_ms;
    int64_t              still_until_ms; /* its worker's process stands still until then */
    int64_t              up_since_ms;
    uint64_t             seen_epoch, seen_version;
};

struct gate {
    uint8_t   key[32], token[32];
    bool      has_token, is_up;
    struct id id;
    uint64_t  run;
    uint64_t  session;
    bool      link_welcome;
    bool      cut_network;
    uint8_t   instance[16];
    struct gate_meet {
        struct node_id node;
        uint8_t        key[MESH_KEY_BYTES];
        uint32_t       said; /* its machine's moves + 1 when it was last said where it is; 0: never */
    }       *meets;
    uint32_t meets_count;
    struct gate_relay {
        bool    is_used;
        uint8_t key_a[MESH_KEY_BYTES], key_b[MESH_KEY_BYTES];
    } *relays;
    struct gate_probe {
        struct node_id    node;
        struct cluster_id cluster;
        uint64_t          seen_ms;
        int64_t           answered_ms; /* 0: it was last asked in vain */
        bool              is_named;    /* in the last whole list, or since */
    }       *probes;
    uint32_t probes_count;
};

struct client {
    uint8_t           key[32], key_hash[32]; /* key_hash: of the API key it has */
    struct account_id account;
    bool              is_operator, is_supplier, is_in;
    uint64_t          request; /* that it waits for; 0: none */
    struct input      asked;
    int64_t           asked_ms;
    struct id         quote;
    uint32_t          keys;        /* made */
    bool              has_ordered; /* after all faults have ceased */
    struct id         last;        /* the cluster of that order */
};

/* ---- the world ------------------------------------------------------------------------------------------------------------ */

struct sim {
    uint64_t            seed;
    struct prng         chance;
    struct plan         plan;
    bool                is_faulty; /* else nothing goes wrong any more */
    int64_t             now_ms;
    struct events       events;
    struct store        store;
    struct control      control;
    struct machine      machines[MACHINES_MAX];
    struct gate         gates[GATES_MAX];
    struct client       clients[CLIENTS_MAX];
    uint32_t            clients_count;
    uint64_t            requests, keys_made;
    struct table        things, groups;
    void               *things_memory;
    struct checks       checks;
    struct sim_figures *sum;
    uint64_t            digest;
};

/* sim.c */
uint64_t below(struct sim *s, uint64_t limit);
bool     strikes(struct sim *s, uint32_t of, uint32_t in); /* while there are faults */
void     mix(struct sim *s, uint64_t value);               /* into the digest */
void     random_bytes(struct sim *s, uint8_t *out, size_t count);
void     trouble(struct sim *s); /* something goes wrong */

/* events.c */
void later(struct sim *s, int64_t wait_ms, enum event_kind kind, uint32_t who, uint64_t run, void *what);
bool events_take(struct events *e, struct event *out);
struct event *events_next(struct events *e, struct event *after); /* walks, in no order */
void          events_finish(struct events *e);

/* control.c */
void           control_open(struct sim *s);
void           control_close(struct sim *s);
void           control_take(struct sim *s, struct letter *l); /* its to free */
void           control_turn(struct sim *s);
void           control_tick(struct sim *s);
void           control_start(struct sim *s);
void           control_crash(struct sim *s, int64_t down_ms);
struct instant control_wall(const struct sim *s);

/* tell.c */
void tell_all(struct sim *s); /* lets out the effects that are held */

/* links.c */
struct link *link_open(struct sim *s, enum end_kind end, uint32_t who);
struct link *link_find(struct sim *s, uint64_t session);          /* null when it is over */
void link_drop(struct sim *s, uint64_t session, int64_t wait_ms); /* an end left: the network hears later */
void link_gone(struct sim *s, uint64_t session);
void link_send_up(struct sim *s, uint64_t session, struct letter *l, bool may_be_lost);
void link_send_down(struct sim *s, struct link *l, struct parcel *p, bool may_be_lost);
struct letter *letter_new(enum input_kind kind, const void *body,
                          size_t size); /* of what it points to, or nothing */
struct parcel *parcel_new(enum parcel_kind kind, const void *body, size_t size);

/* machine.c */
int64_t machine_clock(const struct sim *s, const struct machine *m);
void    machine_open(struct sim *s, uint32_t place);
void    machine_close(struct machine *m);
void    machine_start(struct sim *s, struct machine *m);
void    machine_crash(struct sim *s, struct machine *m, int64_t down_ms);
void    machine_power_off(struct sim *s, struct machine *m, int64_t off_ms);
void    machine_connect(struct sim *s, struct machine *m);
void    machine_parcel(struct sim *s, struct machine *m, const struct parcel *p);
void    machine_step(struct sim *s, struct machine *m, struct worker_input in);
void    machine_copy(struct sim *s, struct machine *m, const struct parcel *p); /* null: it is time to try */
void    machine_flood(struct sim *s, struct machine *m);
struct machine *machine_of(struct sim *s, struct id device);

/* site.c: what the worker's program does */
void site_act(struct sim *s, struct machine *m, const struct worker_action *a);
void site_done(struct sim *s, struct machine *m, const struct event *e);
void site_drop_tunnels(struct sim *s, struct machine *m, struct thing *t);
void site_line(struct sim *s, const struct event *e);
void site_forget(struct sim *s, struct machine *m); /* it crashed: some of what it began happens yet */
void site_image(uint32_t image, char out[ASSIGN_IMAGE_TEXT]);

/* liars.c */
void lie_observed(struct sim *s, struct machine *m, struct observed *o);
void lie_at_large(struct sim *s, struct machine *m);
void lie_witnessed(struct sim *s, struct witnessed *w);

/* things.c */
struct thing *thing_of(struct sim *s, struct id node); /* null if there is none yet */
struct thing *thing_make(struct sim *s, const struct machine *m, const struct assignment *a);
struct thing *thing_next(struct sim *s, struct id cluster, const struct thing *after);
void          thing_start(struct sim *s, struct thing *t);
void          thing_stop(struct sim *s, struct thing *t);
void     thing_probed(struct sim *s, struct thing *t, int64_t span_ms); /* by a gateway, in the last while */
uint32_t thing_place(const struct sim *s, const struct thing *t);       /* + 1 */
uint64_t thing_ran_ms(const struct sim *s, const struct thing *t);
bool     thing_reaches(const struct sim *s, const struct thing *from, const struct thing *to,
                       const char *endpoint);                          /* without the relay */
bool     things_meet(struct sim *s, struct thing *a, struct thing *b); /* the mesh carries bytes between them */
void     machine_address(const struct machine *m, bool second_port, char out[MESH_ENDPOINT_TEXT]);

/* gates.c */
void gate_open(struct sim *s, uint32_t place);
void gate_close(struct gate *g);
void gate_start(struct sim *s, struct gate *g);
void gate_stop(struct sim *s, struct gate *g, int64_t down_ms);
void gate_connect(struct sim *s, struct gate *g);
void gate_tick(struct sim *s, struct gate *g);
void gate_parcel(struct sim *s, struct gate *g, const struct parcel *p);
bool gate_relays(const struct sim *s, const struct thing *from, const struct thing *to, const char *endpoint);

/* clients.c */
void clients_open(struct sim *s);
void client_turn(struct sim *s, struct client *c);
void client_reply(struct sim *s, const struct parcel *p);
void clients_order(struct sim *s);   /* now that all is well again */
void clients_end_all(struct sim *s); /* every cluster is terminated */

#endif
