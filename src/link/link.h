/* link.h: the frames that ionetd, its workers and its gateways exchange over one WebSocket each, /v1/link.
 *
 * Text frames, one JSON object each, at most 64 KiB: {"kind": KIND, …the fields of the kind's record}. Both
 * sides read with unknown fields skipped (a newer peer) and missing optional ones zero.
 *
 *   client → hello   → server          who I am: kind, key, instance; a join token the first time
 *   client ← challenge ← server        32 random bytes
 *   client → proof   → server          signature over the nonce, domain LINK_DOMAIN
 *   client ← welcome ← server          epoch, session, my id; or the server closes with a reason
 *
 * then, worker:   ← desired, mesh_map     → observed, witnessed, mesh_silent, mesh_reached
 *      gateway:   ← gw_config, gw_meet, gw_relay, gw_probe, gw_revoke     → gw_up, gw_seen, gw_probed, gw_count
 *
 * Nothing here knows a socket: text in, struct out, and back. */
#ifndef LINK_LINK_H
#define LINK_LINK_H

#include "base/id.h"
#include "base/str.h"
#include "cluster/assign.h"
#include "crypto/crypto.h"
#include "mesh/mesh.h"
#include "record/record.h"
#include "ticket.h"

#define LINK_PATH "/v1/link"
#define LINK_PROTOCOL 1
#define LINK_DOMAIN "ionet link"
#define LINK_ASSIGN_DOMAIN "ionet assignment"
#define LINK_FRAME_BYTES_MAX 65536
#define LINK_PING_MS 1000   /* each side pings that often */
#define LINK_SILENT_MS 4000 /* and gives a link up after so long without a byte */
#define LINK_OBSERVED_MS 30000
#define LINK_WITNESS_MS 1000
#define LINK_REPORT_MS 5000 /* observed is sent at least so often while a node serves */

/* When to open the link again that has been gone for away_ms: after a tenth of that, so that a short outage is over at
 * once, and 30 % more or less by chance, so that a network which was long away is not run over by all its machines at
 * once. 350 ms to ASSIGN_RETURN_MS. */
uint32_t link_wait_ms(uint64_t away_ms, uint64_t chance);

enum link_kind {
    LINK_HELLO,
    LINK_CHALLENGE,
    LINK_PROOF,
    LINK_WELCOME,
    LINK_DESIRED,
    LINK_MESH_MAP,
    LINK_OBSERVED,
    LINK_WITNESSED,
    LINK_MESH_SILENT,
    LINK_MESH_REACHED,
    LINK_GW_CONFIG,
    LINK_GW_MEET,
    LINK_GW_RELAY,
    LINK_GW_PROBE,
    LINK_GW_REVOKE,
    LINK_GW_UP,
    LINK_GW_SEEN,
    LINK_GW_PROBED,
    LINK_GW_COUNT,
    LINK_KIND_COUNT
};

enum link_who { LINK_DEVICE, LINK_GATEWAY, LINK_WHO_COUNT };

struct link_hello {
    enum link_who who;
    uint32_t      protocol;
    char          program[32]; /* "ionet-worker 0.1.0" */
    uint8_t       public_key[32];
    char          boot_id[33];
    uint8_t       instance[16]; /* drawn at each start of the program */
    char          token[64];    /* the join token's secret, the first time only; else "" */
    char          name[64];     /* device name wanted at enrolment */
};

struct link_challenge {
    uint8_t nonce[32];
};

struct link_proof {
    uint8_t signature[64];
};

struct link_welcome {
    uint64_t  epoch;
    struct id id;              /* of the device or gateway */
    uint8_t   signing_key[32]; /* the network's, for assignments and tickets */
    char      address[64];     /* from which the client came: his router's, outside; "" if that was not told */
};

/* Down to a gateway, after welcome: its certificate for `*.domain` (chain, PEM), and the names. */
struct gw_config {
    char domain[128];
    char chain_pem[8192];
};

/* Down: keys that may meet here. With `reset` the first of a whole list, then additions; `gone` leave. */
struct gw_meet {
    bool reset;
    struct gw_key {
        struct node_id node;
        uint8_t        key[MESH_KEY_BYTES];
    } nodes[128];
    uint32_t      nodes_count;
    struct gw_key gone[128];
    uint32_t      gone_count;
};

/* Down: pairs to relay, by slot: ports base + 2 slot for a's packets to b and base + 2 slot + 1 for b's to a:
 * a sends to base + 2 slot, b to base + 2 slot + 1; what comes in on one leaves from the other. */
struct gw_relay {
    bool reset;
    struct gw_pair {
        uint32_t slot;
        uint8_t  key_a[MESH_KEY_BYTES];
        uint8_t  key_b[MESH_KEY_BYTES];
    } pairs[128];
    uint32_t pairs_count;
    struct gw_slot {
        uint32_t slot;
    } gone[128];
    uint32_t gone_count;
};

/* Down: nodes that are alone in their clusters: whether each answers through its tunnel, the gateway is to see. With
 * `reset` the first of a whole list, then additions; a node leaves with its cluster, by gw_revoke. */
struct gw_probe {
    bool reset;
    struct gw_probed_service {
        struct node_id    node;
        struct cluster_id cluster;
        char              service[TICKET_SERVICE_TEXT];
        bool              http; /* else its taking the connection is the answer */
        char              path[128];
    } nodes[128];
    uint32_t nodes_count;
};

/* Down: clusters, and nodes that were replaced in theirs, whose tickets are void from now on; live joins and tunnels of
 * theirs are cut, probes end. */
struct gw_revoke {
    struct gw_cluster {
        struct cluster_id cluster;
    } clusters[128];
    uint32_t clusters_count;
    struct gw_node {
        struct node_id node;
    } nodes[128];
    uint32_t nodes_count;
};

/* Up, first after welcome: where this gateway is met, and a request for its certificate. */
struct gw_up {
    struct mesh_meet meets[1];
    uint32_t         meets_count;                    /* always 1 */
    char             relay_host[MESH_ENDPOINT_TEXT]; /* address without port */
    uint32_t         relay_port_base;
    uint32_t         relay_slots;
    char             tunnel[MESH_ENDPOINT_TEXT]; /* "host:port" of its HTTPS */
    char             csr_pem[4096];
};

/* Up: where a node's packets come from, when that changed; all of them after each welcome. */
struct gw_seen {
    struct gw_place {
        struct node_id node;
        char           seen_a[MESH_ENDPOINT_TEXT];
        char           seen_b[MESH_ENDPOINT_TEXT];
    } places[128];
    uint32_t places_count;
};

/* Up, while it grows: for how long a probed node has answered since the gateway's start, in all; all of them after each
 * welcome. */
struct gw_probed {
    struct gw_answered {
        struct node_id node;
        uint64_t       seen_ms;
    } nodes[128];
    uint32_t nodes_count;
};

/* Up, every 10 s while there is something: cumulative since the gateway's start. */
struct gw_count {
    uint64_t joins;
    uint64_t joined_bytes;
    uint64_t relayed_bytes;
};

extern const struct record_type link_hello_type, link_challenge_type, link_proof_type, link_welcome_type,
    gw_config_type, gw_meet_type, gw_relay_type, gw_probe_type, gw_revoke_type, gw_up_type, gw_seen_type,
    gw_probed_type, gw_count_type;

/* The frame's kind, and its record into *message (room for the kind's struct: union link_message). */
union link_message {
    struct link_hello     hello;
    struct link_challenge challenge;
    struct link_proof     proof;
    struct link_welcome   welcome;
    struct desired        desired;
    struct mesh_map       mesh_map;
    struct observed       observed;
    struct witnessed      witnessed;
    struct mesh_silent    mesh_silent;
    struct mesh_reached   mesh_reached;
    struct gw_config      gw_config;
    struct gw_meet        gw_meet;
    struct gw_relay       gw_relay;
    struct gw_probe       gw_probe;
    struct gw_revoke      gw_revoke;
    struct gw_up          gw_up;
    struct gw_seen        gw_seen;
    struct gw_probed      gw_probed;
    struct gw_count       gw_count;
};
must_check struct err link_read(struct str frame, enum link_kind *kind, union link_message *message);
/* LINK_FRAME_BYTES_MAX is room enough. */
void link_write(enum link_kind kind, const void *message, struct text *out);

struct signature link_prove(const struct sign_key *key, const uint8_t nonce[32]);
bool             link_is_proven(struct public_key who, const uint8_t nonce[32], struct signature s);

#endif
