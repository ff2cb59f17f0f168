/* network.h: the whole network as a value. Pure: no clock, socket, disk, heap or chance.
 *
 * Everything that happens is an input; everything the world must then do is an effect; every record that changed is
 * listed. The program around it collects inputs, steps each, commits the changed records in one transaction, and only
 * then lets the effects out. After any crash the network is what the store holds: network_load puts each stored
 * record back, network_check says whether they make sense together, and INPUT_START begins a new epoch.
 *
 * Effects carry names, not content: who sends a worker its desired state reads it with network_desired when the commit
 * is through. The same inputs give the same records and effects, byte for byte.
 *
 * Time is an argument and never goes back: a smaller `now` counts as the last one. */
#ifndef NETWORK_NETWORK_H
#define NETWORK_NETWORK_H

#include "base/table.h"
#include "cluster/assign.h"
#include "cluster/cluster.h"
#include "crypto/crypto.h"
#include "fleet/fleet.h"
#include "ledger/ledger.h"
#include "market/market.h"
#include "mesh/mesh.h"
#include "place/place.h"
#include "record/record.h"

#define NETWORK_RECIPES_MAX 32
#define NETWORK_GATEWAYS_MAX 16
#define NETWORK_DOOMED_MAX \
    32768 /* records removed in one step: all relayed pairs at once, and some that have expired */
#define NETWORK_NODES_MAX 2500 /* of one cluster: a full mesh is offered so far */
#define NETWORK_TICK_MS 200    /* give INPUT_TICK at least so often */
#define SILENT_MS_MAX 15000    /* patience with nodes of a recipe that is no longer offered */

/* What one account may hold open of tables that all share, so that none can fill them for the others. Beyond that
 * the reply is ERR_LIMIT, its count the limit. */
#define ACCOUNT_QUOTES_MAX 256 /* not taken, until they are forgotten soon after they expired */
#define ACCOUNT_KEYS_MAX 1024 /* API keys: who signs in every hour and never out has 720 within their 30 days */
#define ACCOUNT_TOKENS_MAX 1024 /* join tokens not used, until a day after they expired */

/* ---- records of its own ------------------------------------------------------------------------------ */

enum account_open { OPEN_QUOTES, OPEN_KEYS, OPEN_TOKENS, ACCOUNT_OPEN_COUNT };

struct account {
    struct account_id id;
    uint8_t           public_key[32]; /* Ed25519: the wallet */
    struct id         key_tag;        /* network_tag(public_key) */
    bool              operator;
    struct instant    made;
    uint32_t          open[ACCOUNT_OPEN_COUNT]; /* counted in memory, anew at each start */
};
extern const struct record_type account_type;

enum key_scope { SCOPE_READ = 1, SCOPE_CLUSTERS = 2, SCOPE_DEVICES = 4, SCOPE_OPERATOR = 8 };
#define SCOPE_ALL 15
#define KEY_SCOPE_COUNT 4
extern const char *const key_scope_names[KEY_SCOPE_COUNT]; /* by bit */

struct api_key {
    struct id         id; /* network_tag(SHA-256 of the key's text) */
    uint8_t           hash[32];
    struct account_id account;
    uint32_t          scopes;
    char              name[64];
    struct instant    made;
    struct instant    expires;
};
extern const struct record_type api_key_type;

enum token_for { TOKEN_DEVICE, TOKEN_GATEWAY, TOKEN_FOR_COUNT };
extern const char *const token_for_names[TOKEN_FOR_COUNT];

struct join_grant {       /* a join token, as the network keeps it */
    struct id         id; /* network_tag(SHA-256 of the secret) */
    uint8_t           hash[32];
    enum token_for    purpose;
    struct account_id account; /* who will own what joins */
    struct hourly     ask;
    struct instant    made;
    struct instant    expires;
    struct id         used_by; /* none while unused */
};
extern const struct record_type join_grant_type;

struct gateway {
    struct gateway_id id;
    uint8_t           public_key[32];
    struct id         key_tag;
    struct instant    enrolled;
    /* As it last said of itself; kept, so that a restart of the network changes no worker's desired state. */
    struct mesh_meet meets[1];
    uint32_t         meets_count; /* 0 until it first came up */
    char             relay_host[MESH_ENDPOINT_TEXT];
    uint32_t         relay_port_base;
    uint32_t         relay_slots;
    char             tunnel[MESH_ENDPOINT_TEXT];

    uint64_t       session; /* live from here on; 0: no link */
    struct instant since;   /* of that link */
    uint8_t        instance[16];
};
extern const struct record_type gateway_type;

/* A relayed pair. Its slot is its number. */
struct relay {
    struct id        id; /* of the pair: network-made */
    struct mesh_pair pair;

    /* Whether it can do without is tried now and then; in memory alone. */
    struct instant tried; /* last, or relayed; 0: not since the network's start */
    uint32_t       tries;
    bool           trying;
    bool           reached[2]; /* by a, by b: in this try */
};
extern const struct record_type relay_type;

struct meta {              /* one row */
    uint64_t       number; /* 1 */
    uint64_t       epoch;
    uint64_t       sequence; /* inputs stepped in all: ids come from it */
    uint64_t       transfers;
    struct instant now;
};
extern const struct record_type meta_type;

/* Every stored type, in the order in which a store makes and loads them. */
extern const struct record_type *const network_types[];
extern const size_t                    network_type_count;

/* The name by which something with a key or a hash is found: its first bytes, hashed once more. */
struct id network_tag(const uint8_t bytes[32]);

/* ---- inputs ------------------------------------------------------------------------------------------- */

enum input_kind {
    INPUT_START,     /* first of every epoch; `start` */
    INPUT_TICK,      /* time passed */
    INPUT_SIGN_IN,   /* a proven public key: opens the account if it is new, and keeps an API key; `sign_in` */
    INPUT_KEY_END,   /* account, subject: an API key is void from now on */
    INPUT_GRANT,     /* operator gives test credit; account (the receiver), `grant` */
    INPUT_TOKEN,     /* a join token is to be good; account, `token` */
    INPUT_QUOTE,     /* account, `quote` */
    INPUT_CREATE,    /* account, subject = quote, `name` */
    INPUT_EXTEND,    /* account, subject = cluster, `duration` */
    INPUT_TERMINATE, /* account, subject = cluster */
    INPUT_RETIRE,    /* account, subject = device */
    INPUT_RELEASE,   /* account, subject = device: a held one is believed again */
    INPUT_LINK_UP,   /* a proven device or gateway; `link` */
    INPUT_LINK_DOWN, /* session */
    INPUT_OBSERVED,  /* session, `observed` */
    INPUT_WITNESSED, /* session, `witnessed` */
    INPUT_SILENT,    /* session, `silent` */
    INPUT_REACHED,   /* session, `reached` */
    INPUT_GW_UP,     /* session, `gw_up` */
    INPUT_GW_SEEN,   /* session, `gw_seen` */
    INPUT_GW_PROBED, /* session, `gw_probed` */
    INPUT_KIND_COUNT
};

struct input {
    enum input_kind   kind;
    uint64_t          request; /* handle of who waits for the reply; 0: nobody */
    uint64_t          session; /* of the link it came by; never 0 for links, never used twice in an epoch */
    struct account_id account; /* who asks, proven */
    struct id         subject; /* links, but for LINK_UP: the id that EFFECT_WELCOME named */
    union {
        struct {
            uint8_t chance[32];
        } start;
        struct {
            uint8_t     public_key[32];
            bool        operator;
            uint8_t     key_hash[32]; /* of the new API key's text */
            uint32_t    scopes;
            struct span valid;
            char        name[64];
        } sign_in;
        struct money grant;
        struct {
            uint8_t        hash[32];
            enum token_for purpose;
            struct hourly  ask;
            struct span    valid;
        } token;
        struct {
            char        recipe[32];
            uint32_t    quantity;
            struct span duration;
        } quote;
        char        name[64];
        struct span duration;
        struct {
            enum token_for purpose;
            uint8_t        public_key[32];
            uint8_t        instance[16];
            uint8_t        token_hash[32];
            bool           has_token;
            char           name[64];
            struct id      machine; /* what it runs on, as it says; none: several may share one */
        } link;
        const struct observed     *observed;
        const struct witnessed    *witnessed;
        const struct mesh_silent  *silent;
        const struct mesh_reached *reached;
        struct {
            struct mesh_meet meet;
            char             relay_host[MESH_ENDPOINT_TEXT];
            uint32_t         relay_port_base;
            uint32_t         relay_slots;
            char             tunnel[MESH_ENDPOINT_TEXT];
        } gw_up;
        struct {
            struct node_id node;
            char           seen_a[MESH_ENDPOINT_TEXT];
            char           seen_b[MESH_ENDPOINT_TEXT];
        } gw_seen; /* one place an input */
        struct {
            struct node_id node;
            uint64_t       seen_ms;
        } gw_probed; /* one node an input */
    };
};

/* ---- effects ------------------------------------------------------------------------------------------ */

enum effect_kind {
    EFFECT_REPLY, /* request, error, subject: what was made or is meant; count: see the error (how many, micros) */
    EFFECT_WELCOME,       /* session, subject: the device or gateway */
    EFFECT_REFUSE,        /* session, error: close it */
    EFFECT_CLOSE,         /* session, error: an accepted link that must go */
    EFFECT_DESIRED,       /* subject = device: send it its desired state */
    EFFECT_MESH_ALL,      /* subject = node: send it its whole mesh map */
    EFFECT_MESH_PEER,     /* subject = node, other = node: tell it of that peer */
    EFFECT_MESH_GONE,     /* subject = node, key: that peer is none any more */
    EFFECT_MEET,          /* subject = node: it may meet at the gateway */
    EFFECT_MEET_GONE,     /* subject = node, key */
    EFFECT_RELAY,         /* subject = relay */
    EFFECT_RELAY_GONE,    /* count = slot */
    EFFECT_PROBE,         /* subject = node: it is alone, the gateway is to see it serve */
    EFFECT_REVOKE,        /* subject = cluster: its tickets are void, its probe ends */
    EFFECT_REVOKE_NODE,   /* subject = node: its tickets are void, though its cluster goes on */
    EFFECT_GATEWAY_ALL,   /* subject = gateway: it came up: everything */
    EFFECT_EVENT_CLUSTER, /* subject changed: watchers */
    EFFECT_EVENT_DEVICE,
    EFFECT_KIND_COUNT
};

struct effect {
    enum effect_kind kind;
    uint64_t         request;
    uint64_t         session;
    struct err       error;
    struct id        subject;
    struct id        other;
    uint64_t         count;
    uint8_t          key[MESH_KEY_BYTES];
};

/* A record that is to be stored (or removed). The pointer is good until the next step. */
struct change {
    const struct record_type *type;
    const void               *record;
    bool                      removed;
};

/* Twice what the largest single thing can bring (a cluster of NETWORK_NODES_MAX that ends). What time brings to many
 * clusters at once is spread over ticks. */
#define EFFECTS_MAX 131072
#define CHANGES_MAX 131072
#define TRANSFERS_A_STEP_MAX 65536

/* What one step brought; emptied by the caller between steps. */
struct effects {
    struct effect   *effects;
    uint32_t         count;
    struct change   *changes;
    uint32_t         change_count;
    struct transfer *transfers; /* room that changes point into */
    uint32_t         transfer_count;
};

/* ---- the value ------------------------------------------------------------------------------------------ */

struct network_limits {
    uint32_t accounts_max;
    uint32_t devices_max;
    uint32_t clusters_max; /* live and ended that are kept in memory */
    uint32_t nodes_max;
    uint32_t quotes_max;
    uint32_t keys_max;
    uint32_t relays_max;
};
extern const struct network_limits network_limits_small; /* tests, one machine's demo */
extern const struct network_limits network_limits_full;

struct network_config {
    uint8_t             private_ids[32]; /* key of the ids */
    uint8_t             secrets[32];     /* key of the clusters' secrets */
    uint32_t            fee_basis_points;
    uint32_t            recipe_count;
    struct recipe_facts recipes[NETWORK_RECIPES_MAX];
};

struct network {
    struct network_config config;
    struct meta           meta;
    uint8_t               id_key[32]; /* this epoch's */
    struct ledger         ledger;
    struct table          accounts, keys, grants, devices, quotes, clusters, nodes, gateways, relays;
    struct map            accounts_by_tag, devices_by_tag, gateways_by_tag;
    struct map            devices_by_machine; /* those that are linked */
    uint8_t              *slots_used;         /* of the relay, a byte each */
    struct device       **chosen;             /* room for place_choose */
    uint64_t              made;               /* ids made in this step */
    struct instant        back_by;            /* after a start: whoever has not linked again by then is away */
    uint32_t              watched;            /* place of the cluster that the ticks last looked at */
    uint32_t              forgot_quotes, forgot_keys, forgot_grants; /* places that were looked at last */
    uint32_t              looked_relays; /* place of the relayed pair that the ticks last looked at */
    uint32_t telling; /* place + 1 of the device that hears next of what all must hear; 0: nothing */
    struct network_doomed {
        struct table *table;
        void         *row;
    } doomed[NETWORK_DOOMED_MAX]; /* removed in the last step; their rows go at the start of the next */
    uint32_t doomed_count;
};

size_t network_bytes(const struct network_limits *limits);
/* `memory` holds network_bytes, zeroed, and lives as long as the network. */
void   network_init(struct network *n, const struct network_limits *limits, const struct network_config *config,
                    void *memory, size_t bytes);
size_t effects_bytes(void);
void   effects_init(struct effects *out, void *memory, size_t bytes);
void   effects_clear(struct effects *out);

/* One stored record back into memory; any order within the order of network_types. ERR_LIMIT: the tables are too small. */
must_check struct err network_load(struct network *n, const struct record_type *type, const void *record);

/* The invariants that every stored state keeps: books sum to zero, nobody owes, escrow = Σ of live clusters, no device
 * promised twice, charged ≤ escrow, references lead somewhere. Static text says which is broken. */
must_check struct err network_check(const struct network *n);

void network_step(struct network *n, struct instant now, const struct input *in, struct effects *out);

/* ---- reading: after the commit, between steps ------------------------------------------------------------- */

struct instant network_now(const struct network *n);

const struct account *network_account(const struct network *n, struct account_id id);
const struct account *network_account_by_key(const struct network *n, const uint8_t public_key[32]);
/* The API key with that hash, if it has not expired. */
const struct api_key *network_key(const struct network *n, const uint8_t hash[32]);
const struct device  *network_device(const struct network *n, struct id id);
const struct cluster *network_cluster(const struct network *n, struct id id);
const struct node    *network_node(const struct network *n, struct id id);
const struct quote   *network_quote(const struct network *n, struct id id);
/* All nodes of a cluster, the closed ones too: begin with null, end with null. */
const struct node *network_cluster_node(const struct network *n, const struct cluster *c,
                                        const struct node *after);
const struct gateway      *
network_gateway(const struct network *n); /* one that has been up, with a live link if any has; or null */
bool network_is_probed(const struct network *n, const struct node *x); /* it serves, alone in its cluster */
const struct recipe_facts *network_recipe(const struct network *n, struct str name);

/* What that device should be running. Signature and ticket are left zero: the edge signs. */
void network_desired(const struct network *n, const struct device *d, struct desired *out);
/* What to tell node `to` of node `about`; false if it can't be told yet. */
bool network_peer(const struct network *n, const struct node *to, const struct node *about,
                  struct mesh_peer *out);
/* Charged up to now, the unsettled part included. */
struct money network_charged(const struct network *n, const struct cluster *c);
struct money network_node_charged(const struct network *n, const struct node *x);

#endif
