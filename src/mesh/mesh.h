/* mesh.h: who meets whom inside a cluster, and how. Pure.
 *
 * A cluster's nodes form a full WireGuard mesh. Each node makes its own key; the meeting point (in
 * ionet-gateway) sees, authenticated, which outside address and port the node's packets come from, on
 * two ports of its own. From that alone this module decides, for each pair: at one site (the inside
 * address), direct (hole punching), or through the blind relay. A node is told its peers and until when
 * each is valid; nobody else takes part in the decision.
 *
 *   outside ports differ between the two meeting ports → the NAT is symmetric: its pairs are relayed
 *   both seen from one outside IP address              → one site: inside addresses
 *   a pair that found no handshake in MESH_PUNCH_MS    → relayed (reported by the worker)
 *   otherwise                                          → direct; the lower key starts, the other waits
 *
 * A relayed pair of which nothing known speaks against it tries again whether it can do without, at growing intervals:
 * its nodes are told where each other may be reached, ask there beside the mesh (wg_probe), and whoever is answered goes
 * on there with the same session, so that nothing is lost. When both have said so, the pair is direct.
 *
 * One `struct mesh` a cluster, sized at its making; it borrows the memory it is given. */
#ifndef MESH_MESH_H
#define MESH_MESH_H

#include "base/id.h"
#include "base/units.h"
#include "record/record.h"

#define MESH_KEY_BYTES 32
#define MESH_ENDPOINT_TEXT 56 /* "203.0.113.7:51820" or "[2001:db8::1]:51820", zero-ended */
#define MESH_ADDRESS_TEXT 16  /* "10.99.255.254", zero-ended */
#define MESH_PREFIX_BITS 16   /* every cluster uses 10.99.0.0/16; they can't see each other */
#define MESH_INDEX_MAX 65533  /* index 1 is 10.99.0.1 */
#define MESH_PUNCH_MS 1000
#define MESH_PUNCH_LATER_MS 50
#define MESH_PORT 51820
#define MESH_MTU 1420
#define MESH_PEERS_A_MESSAGE 64
#define MESH_MEETS_MAX 2
#define MESH_TRY_LEAST_MS 10000 /* after a pair was relayed, then twice as long, and so on */
#define MESH_TRY_MOST_MS 1800000
#define MESH_TRYING_MS 5000 /* a try and the words about it take so long at most */

void mesh_address(uint32_t index, char out[MESH_ADDRESS_TEXT]);
bool mesh_index_of(struct str address, uint32_t *index); /* false if it is none of 10.99.0.0/16 */

enum mesh_via { MESH_SITE, MESH_DIRECT, MESH_RELAY, MESH_VIA_COUNT };
extern const char *const mesh_via_names[MESH_VIA_COUNT];

/* A meeting point, as told to a node: two ports, each an interface with a key of its own. No allowed-ips
 * on either side, so it can carry nothing. */
struct mesh_meet {
    uint8_t key_a[MESH_KEY_BYTES];
    uint8_t key_b[MESH_KEY_BYTES];
    char    endpoint_a[MESH_ENDPOINT_TEXT];
    char    endpoint_b[MESH_ENDPOINT_TEXT];
};
extern const struct record_type mesh_meet_type;

/* One peer, as told to a node. */
struct mesh_peer {
    uint8_t       key[MESH_KEY_BYTES];
    char          address[MESH_ADDRESS_TEXT];   /* the one allowed-ip */
    char          endpoint[MESH_ENDPOINT_TEXT]; /* where to send to */
    enum mesh_via via;
    uint32_t      wait_ms;           /* set the endpoint after so long: MESH_PUNCH_LATER_MS on the later side */
    struct span   valid;             /* remove the peer by yourself after so long */
    char direct[MESH_ENDPOINT_TEXT]; /* of a relayed one: try now whether it is reached here; else "" */
    bool unheard; /* it does not hear you any more: show it and the meeting point where you are */
};
extern const struct record_type mesh_peer_type;

/* Down, to one node: its peers. With `reset` the first of a whole list, else what changed. Several follow each
 * other on one link, in order. */
struct mesh_map {
    struct node_id   node;
    bool             reset;
    struct mesh_peer peers[MESH_PEERS_A_MESSAGE]; /* new or changed */
    uint32_t         peers_count;
    struct mesh_gone {
        uint8_t key[MESH_KEY_BYTES];
    } gone[MESH_PEERS_A_MESSAGE]; /* no longer peers */
    uint32_t gone_count;
};
extern const struct record_type mesh_map_type;

/* Up, from a node: a direct peer that did not answer; the pair is relayed from now on. With `lately` any peer that did and
 * was not heard for a moment, though it was spoken to: it may have moved, and is asked to show where it is. */
struct mesh_silent {
    struct node_id node;
    uint8_t        key[MESH_KEY_BYTES]; /* the peer's */
    bool           lately;
};
extern const struct record_type mesh_silent_type;

/* Up, from a node: a relayed peer is reached without the relay, as it was told to try, and is sent to there from now on. */
struct mesh_reached {
    struct node_id node;
    uint8_t        key[MESH_KEY_BYTES]; /* the peer's */
};
extern const struct record_type mesh_reached_type;

/* ---- the decision ---------------------------------------------------------------------------------- */

struct mesh_member {
    struct node_id node;
    uint32_t       index; /* of its mesh address */
    uint8_t        key[MESH_KEY_BYTES];
    bool           has_key;
    char           seen_a[MESH_ENDPOINT_TEXT]; /* by the meeting point; "" while not seen */
    char           seen_b[MESH_ENDPOINT_TEXT];
    char           inside[MESH_ENDPOINT_TEXT]; /* as the node says: its address at home */
};

struct mesh_pair {       /* only relayed ones are held */
    struct node_id a, b; /* in order of id */
    uint32_t       slot; /* of the relay: ports base + 2 slot (for a to send to) and + 2 slot + 1 (for b) */
};

/* Whether a and b may be told each other: both have keys and were seen. */
bool mesh_is_known(const struct mesh_member *m);

/* A NAT that gives each destination another port. Only when seen on both ports. */
bool mesh_is_symmetric(const struct mesh_member *m);

/* How a should reach b: site, direct or relay, from what was seen and whether the pair is in the relayed
 * list. */
enum mesh_via mesh_choose(const struct mesh_member *a, const struct mesh_member *b, bool relayed);

/* Whether a relayed pair may try to do without. */
bool mesh_may_try(const struct mesh_member *a, const struct mesh_member *b);
/* How long after its last try, or, after none, since it was relayed. */
struct span mesh_try_after(uint32_t tries);
/* Adds to what mesh_tell wrote of a relayed peer where it is to be tried. */
void mesh_tell_try(const struct mesh_member *to, const struct mesh_member *peer, struct mesh_peer *out);

/* What to tell `to` of `peer`. `relay_host` ("203.0.113.2"), base and pair give the endpoint of a relayed one
 * (pair null otherwise). Both must be known. */
void mesh_tell(const struct mesh_member *to, const struct mesh_member *peer, enum mesh_via via,
               const struct mesh_pair *pair, struct str relay_host, uint32_t relay_port_base, struct span valid,
               struct mesh_peer *out);

#endif
