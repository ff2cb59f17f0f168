#include "mesh.h"

#include <string.h>

#define MESH_NET "10.99."

const char *const mesh_via_names[MESH_VIA_COUNT] = { "site", "direct", "relay" };

static const struct field meet_fields[] = {
    FIELD_BYTES(struct mesh_meet, key_a, SEEN_OPERATOR, STORED, "public key of its first interface"),
    FIELD_BYTES(struct mesh_meet, key_b, SEEN_OPERATOR, STORED, "public key of its second interface"),
    FIELD_TEXT(struct mesh_meet, endpoint_a, SEEN_OPERATOR, STORED, "where the first one listens"),
    FIELD_TEXT(struct mesh_meet, endpoint_b, SEEN_OPERATOR, STORED, "where the second one listens"),
};
const struct record_type mesh_meet_type =
    RECORD_TYPE("mesh_meet", "mesh_meets", struct mesh_meet, meet_fields, "a meeting point of meshes");

static const struct field peer_fields[] = {
    FIELD_BYTES(struct mesh_peer, key, SEEN_OPERATOR, LIVE, "its public key"),
    FIELD_TEXT(struct mesh_peer, address, SEEN_OPERATOR, LIVE, "its address inside the mesh"),
    FIELD_TEXT(struct mesh_peer, endpoint, SEEN_OPERATOR, LIVE, "where to send packets for it"),
    FIELD_ENUM(struct mesh_peer, via, mesh_via_names, SEEN_OPERATOR, LIVE, "how it is reached"),
    FIELD_U32(struct mesh_peer, wait_ms, 0, 60000, SEEN_OPERATOR, OPTIONAL, "set the endpoint after so long"),
    FIELD_MS(struct mesh_peer, valid, "valid_ms", SEEN_OPERATOR, LIVE, "remove the peer after so long"),
    FIELD_TEXT(struct mesh_peer, direct, SEEN_OPERATOR, OPTIONAL,
               "of a relayed one: try whether it is reached here"),
    FIELD_BOOL(struct mesh_peer, unheard, SEEN_OPERATOR, OPTIONAL,
               "it does not hear you any more: show where you are"),
};
const struct record_type mesh_peer_type =
    RECORD_TYPE("mesh_peer", "mesh_peers", struct mesh_peer, peer_fields, "another node of the same cluster");

static const struct field gone_fields[] = {
    FIELD_BYTES(struct mesh_gone, key, SEEN_OPERATOR, LIVE, "its public key"),
};
static const struct record_type gone_type =
    RECORD_TYPE("mesh_gone", "mesh_gones", struct mesh_gone, gone_fields, "a node that is no longer a peer");

static const struct field map_fields[] = {
    FIELD_ID(struct mesh_map, node, SEEN_OPERATOR, LIVE, "the node whose peers these are"),
    FIELD_BOOL(struct mesh_map, reset, SEEN_OPERATOR, OPTIONAL, "forget all peers told before"),
    FIELD_LIST(struct mesh_map, peers, peers_count, &mesh_peer_type, SEEN_OPERATOR, OPTIONAL,
               "new or changed peers"),
    FIELD_LIST(struct mesh_map, gone, gone_count, &gone_type, SEEN_OPERATOR, OPTIONAL, "peers that left"),
};
const struct record_type mesh_map_type =
    RECORD_TYPE("mesh_map", "mesh_maps", struct mesh_map, map_fields, "what a node is told of its mesh");

static const struct field silent_fields[] = {
    FIELD_ID(struct mesh_silent, node, SEEN_OPERATOR, LIVE, "the node that got no answer"),
    FIELD_BYTES(struct mesh_silent, key, SEEN_OPERATOR, LIVE, "the peer that gave none"),
    FIELD_BOOL(struct mesh_silent, lately, SEEN_OPERATOR, OPTIONAL, "it did answer until a moment ago"),
};
const struct record_type mesh_silent_type =
    RECORD_TYPE("mesh_silent", "mesh_silents", struct mesh_silent, silent_fields, "a peer that did not answer");

static const struct field reached_fields[] = {
    FIELD_ID(struct mesh_reached, node, SEEN_OPERATOR, LIVE, "the node that got an answer"),
    FIELD_BYTES(struct mesh_reached, key, SEEN_OPERATOR, LIVE, "the peer that gave it"),
};
const struct record_type mesh_reached_type = RECORD_TYPE("mesh_reached", "mesh_reacheds", struct mesh_reached,
                                                         reached_fields, "a peer that needs no relay any more");

/* ---- addresses --------------------------------------------------------------------------------------- */

void mesh_address(uint32_t index, char out[MESH_ADDRESS_TEXT])
{
    check(index >= 1 && index <= MESH_INDEX_MAX);
    struct text t = { out, 0, MESH_ADDRESS_TEXT, false };
    text_add(&t, STR(MESH_NET));
    text_add_u64(&t, index >> 8);
    text_add_char(&t, '.');
    text_add_u64(&t, index & 0xff);
    text_z(&t);
    check(!t.full);
}

bool mesh_index_of(struct str address, uint32_t *index)
{
    struct str high, low;
    uint64_t   h, l;
    if (!str_starts(address, STR(MESH_NET))) return false;
    if (!str_split(str_skip(address, sizeof MESH_NET - 1), '.', &high, &low)) return false;
    if (str_to_u64(high, &h).code || str_to_u64(low, &l).code || h > 255 || l > 255) return false;

    uint32_t i = (uint32_t)(h << 8 | l);
    if (i < 1 || i > MESH_INDEX_MAX) return false;
    *index = i;
    return true;
}

/* The address of "address:port"; an IPv6 one keeps its brackets. Empty if there is no port. */
static struct str host_of(const char *endpoint)
{
    const char *colon = strrchr(endpoint, ':');
    return colon ? (struct str){ endpoint, (size_t)(colon - endpoint) } : (struct str){ endpoint, 0 };
}

/* ---- the decision ------------------------------------------------------------------------------------ */

bool mesh_is_known(const struct mesh_member *m)
{
    return m->has_key && m->seen_a[0];
}

bool mesh_is_symmetric(const struct mesh_member *m)
{
    return m->seen_a[0] && m->seen_b[0] && strcmp(m->seen_a, m->seen_b) != 0;
}

enum mesh_via mesh_choose(const struct mesh_member *a, const struct mesh_member *b, bool relayed)
{
    check(mesh_is_known(a) && mesh_is_known(b));
    if (relayed) return MESH_RELAY;

    /* A router seldom turns packets round to its own outside address, so without inside addresses two nodes
     * of one site don't try. */
    if (str_eq(host_of(a->seen_a), host_of(b->seen_a)))
        return a->inside[0] && b->inside[0] ? MESH_SITE : MESH_RELAY;
    if (mesh_is_symmetric(a) || mesh_is_symmetric(b)) return MESH_RELAY;
    return MESH_DIRECT;
}

bool mesh_may_try(const struct mesh_member *a, const struct mesh_member *b)
{
    return mesh_choose(a, b, false) != MESH_RELAY;
}

struct span mesh_try_after(uint32_t tries)
{
    int64_t ms = MESH_TRY_LEAST_MS;
    for (uint32_t i = 0; i < tries && ms < MESH_TRY_MOST_MS; i++) ms *= 2;
    return (struct span){ ms < MESH_TRY_MOST_MS ? ms : MESH_TRY_MOST_MS };
}

void mesh_tell_try(const struct mesh_member *to, const struct mesh_member *peer, struct mesh_peer *out)
{
    check(out->via == MESH_RELAY);
    bool site = mesh_choose(to, peer, false) == MESH_SITE;
    check(!str_copy(str_from(site ? peer->inside : peer->seen_a), out->direct, sizeof out->direct).code);
}

static void relay_endpoint(const struct mesh_member *to, const struct mesh_pair *pair, struct str host,
                           uint32_t port_base, struct text *out)
{
    bool is_a = id_eq(pair->a.id, to->node.id);
    check(is_a || id_eq(pair->b.id, to->node.id));
    text_add(out, host);
    text_add_char(out, ':');
    text_add_u64(out, port_base + 2 * (uint64_t)pair->slot + (is_a ? 0 : 1));
}

void mesh_tell(const struct mesh_member *to, const struct mesh_member *peer, enum mesh_via via,
               const struct mesh_pair *pair, struct str relay_host, uint32_t relay_port_base, struct span valid,
               struct mesh_peer *out)
{
    check(mesh_is_known(to) && mesh_is_known(peer));
    *out = (struct mesh_peer){ .via = via, .valid = valid };
    memcpy(out->key, peer->key, MESH_KEY_BYTES);
    mesh_address(peer->index, out->address);

    struct text endpoint = TEXT_IN(out->endpoint);
    if (via == MESH_RELAY) {
        check(pair);
        relay_endpoint(to, pair, relay_host, relay_port_base, &endpoint);
    } else {
        text_add(&endpoint, str_from(via == MESH_SITE ? peer->inside : peer->seen_a));
    }
    text_z(&endpoint);
    check(!endpoint.full);

    /* Both sides starting at the same moment can meet in WireGuard's retry of 5 s. */
    if (via == MESH_DIRECT && memcmp(to->key, peer->key, MESH_KEY_BYTES) > 0)
        out->wait_ms = MESH_PUNCH_LATER_MS;
}
