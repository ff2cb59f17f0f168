#include "link.h"

#include "json/json.h"

#include <string.h>

#define COUNTED_MAX ((int64_t)1 << 52)

static const char *const who_names[LINK_WHO_COUNT] = { "device", "gateway" };

/* ---- the first four frames --------------------------------------------------------------------------- */

static const struct field hello_fields[] = {
    FIELD_ENUM(struct link_hello, who, who_names, SEEN_OPERATOR, LIVE, "a worker's device or a gateway"),
    FIELD_U32(struct link_hello, protocol, 1, 1000, SEEN_OPERATOR, LIVE, "newest version spoken"),
    FIELD_TEXT(struct link_hello, program, SEEN_OPERATOR, LIVE, "name and version of the program"),
    FIELD_BYTES(struct link_hello, public_key, SEEN_OPERATOR, LIVE, "its Ed25519 key"),
    FIELD_TEXT(struct link_hello, boot_id, SEEN_OPERATOR, LIVE, "another after each boot"),
    FIELD_BYTES(struct link_hello, instance, SEEN_OPERATOR, LIVE, "another after each start"),
    FIELD_TEXT(struct link_hello, token, SEEN_OPERATOR, OPTIONAL, "the join token's secret, the first time"),
    FIELD_TEXT(struct link_hello, name, SEEN_OPERATOR, OPTIONAL, "the name it would like"),
};
const struct record_type link_hello_type =
    RECORD_TYPE("hello", "hellos", struct link_hello, hello_fields, "who opens the link");

static const struct field challenge_fields[] = {
    FIELD_BYTES(struct link_challenge, nonce, SEEN_OPERATOR, LIVE, "to be signed"),
};
const struct record_type link_challenge_type = RECORD_TYPE("challenge", "challenges", struct link_challenge,
                                                           challenge_fields, "prove that the key is yours");

static const struct field proof_fields[] = {
    FIELD_BYTES(struct link_proof, signature, SEEN_OPERATOR, LIVE, "over the nonce"),
};
const struct record_type link_proof_type =
    RECORD_TYPE("proof", "proofs", struct link_proof, proof_fields, "the key is mine");

static const struct field welcome_fields[] = {
    FIELD_U64(struct link_welcome, epoch, 1, COUNTED_MAX, SEEN_OPERATOR, LIVE,
              "grows at every start of the network"),
    FIELD_ID(struct link_welcome, id, SEEN_OPERATOR, LIVE, "of the device or gateway"),
    FIELD_BYTES(struct link_welcome, signing_key, SEEN_OPERATOR, LIVE, "of the network"),
    FIELD_TEXT(struct link_welcome, address, SEEN_OPERATOR, OPTIONAL, "from which the client came"),
};
const struct record_type link_welcome_type =
    RECORD_TYPE("welcome", "welcomes", struct link_welcome, welcome_fields, "the link is open");

/* ---- down to a gateway ------------------------------------------------------------------------------- */

static const struct field gw_config_fields[] = {
    FIELD_TEXT(struct gw_config, domain, SEEN_OPERATOR, LIVE, "services are names under it"),
    FIELD_LINES(struct gw_config, chain_pem, SEEN_OPERATOR, LIVE, "certificate and its authority's, PEM"),
};
const struct record_type gw_config_type =
    RECORD_TYPE("gw_config", "gw_configs", struct gw_config, gw_config_fields, "what a gateway serves as");

static const struct field gw_key_fields[] = {
    FIELD_ID(struct gw_key, node, SEEN_OPERATOR, LIVE, "the node"),
    FIELD_BYTES(struct gw_key, key, SEEN_OPERATOR, LIVE, "its public mesh key"),
};
static const struct record_type gw_key_type =
    RECORD_TYPE("gw_key", "gw_keys", struct gw_key, gw_key_fields, "a node that may be met");

static const struct field gw_meet_fields[] = {
    FIELD_BOOL(struct gw_meet, reset, SEEN_OPERATOR, OPTIONAL, "forget all told before"),
    FIELD_LIST(struct gw_meet, nodes, nodes_count, &gw_key_type, SEEN_OPERATOR, OPTIONAL, "may meet here"),
    FIELD_LIST(struct gw_meet, gone, gone_count, &gw_key_type, SEEN_OPERATOR, OPTIONAL, "no longer may"),
};
const struct record_type gw_meet_type =
    RECORD_TYPE("gw_meet", "gw_meets", struct gw_meet, gw_meet_fields, "who meets at a gateway");

static const struct field gw_pair_fields[] = {
    FIELD_U32(struct gw_pair, slot, 0, 65535, SEEN_OPERATOR, LIVE, "which two ports"),
    FIELD_BYTES(struct gw_pair, key_a, SEEN_OPERATOR, LIVE, "of who sends to the lower port"),
    FIELD_BYTES(struct gw_pair, key_b, SEEN_OPERATOR, LIVE, "of who sends to the upper port"),
};
static const struct record_type gw_pair_type =
    RECORD_TYPE("gw_pair", "gw_pairs", struct gw_pair, gw_pair_fields, "two nodes that are relayed");

static const struct field gw_slot_fields[] = {
    FIELD_U32(struct gw_slot, slot, 0, 65535, SEEN_OPERATOR, LIVE, "which two ports"),
};
static const struct record_type gw_slot_type =
    RECORD_TYPE("gw_slot", "gw_slots", struct gw_slot, gw_slot_fields, "a slot that is free again");

static const struct field gw_relay_fields[] = {
    FIELD_BOOL(struct gw_relay, reset, SEEN_OPERATOR, OPTIONAL, "forget all told before"),
    FIELD_LIST(struct gw_relay, pairs, pairs_count, &gw_pair_type, SEEN_OPERATOR, OPTIONAL, "to be relayed"),
    FIELD_LIST(struct gw_relay, gone, gone_count, &gw_slot_type, SEEN_OPERATOR, OPTIONAL, "no longer"),
};
const struct record_type gw_relay_type =
    RECORD_TYPE("gw_relay", "gw_relays", struct gw_relay, gw_relay_fields, "whom a gateway relays");

static const struct field gw_probed_service_fields[] = {
    FIELD_ID(struct gw_probed_service, node, SEEN_OPERATOR, LIVE, "the node"),
    FIELD_ID(struct gw_probed_service, cluster, SEEN_OPERATOR, LIVE, "in which it is alone"),
    FIELD_TEXT(struct gw_probed_service, service, SEEN_OPERATOR, LIVE, "which of its services is to answer"),
    FIELD_BOOL(struct gw_probed_service, http, SEEN_OPERATOR, LIVE,
               "it answers a request, not just a connection"),
    FIELD_TEXT(struct gw_probed_service, path, SEEN_OPERATOR, OPTIONAL, "http: what is asked for"),
};
static const struct record_type gw_probed_service_type =
    RECORD_TYPE("gw_probed_service", "gw_probed_services", struct gw_probed_service, gw_probed_service_fields,
                "a node that no other node can see");

static const struct field gw_probe_fields[] = {
    FIELD_BOOL(struct gw_probe, reset, SEEN_OPERATOR, OPTIONAL, "forget all told before"),
    FIELD_LIST(struct gw_probe, nodes, nodes_count, &gw_probed_service_type, SEEN_OPERATOR, OPTIONAL,
               "to be probed"),
};
const struct record_type gw_probe_type =
    RECORD_TYPE("gw_probe", "gw_probes", struct gw_probe, gw_probe_fields, "whom a gateway is to see serve");

static const struct field gw_cluster_fields[] = {
    FIELD_ID(struct gw_cluster, cluster, SEEN_OPERATOR, LIVE, "the cluster"),
};
static const struct record_type gw_cluster_type =
    RECORD_TYPE("gw_cluster", "gw_clusters", struct gw_cluster, gw_cluster_fields, "a cluster that is over");

static const struct field gw_node_fields[] = {
    FIELD_ID(struct gw_node, node, SEEN_OPERATOR, LIVE, "the node"),
};
static const struct record_type gw_node_type =
    RECORD_TYPE("gw_node", "gw_nodes", struct gw_node, gw_node_fields, "a node that was replaced");

static const struct field gw_revoke_fields[] = {
    FIELD_LIST(struct gw_revoke, clusters, clusters_count, &gw_cluster_type, SEEN_OPERATOR, OPTIONAL,
               "that are over"),
    FIELD_LIST(struct gw_revoke, nodes, nodes_count, &gw_node_type, SEEN_OPERATOR, OPTIONAL,
               "that were replaced"),
};
const struct record_type gw_revoke_type =
    RECORD_TYPE("gw_revoke", "gw_revokes", struct gw_revoke, gw_revoke_fields, "whose tickets are void");

/* ---- up from a gateway ------------------------------------------------------------------------------- */

static const struct field gw_up_fields[] = {
    FIELD_LIST(struct gw_up, meets, meets_count, &mesh_meet_type, SEEN_OPERATOR, LIVE, "where nodes meet"),
    FIELD_TEXT(struct gw_up, relay_host, SEEN_OPERATOR, LIVE, "address of its relay"),
    FIELD_U32(struct gw_up, relay_port_base, 1, 65535, SEEN_OPERATOR, LIVE, "port of slot 0"),
    FIELD_U32(struct gw_up, relay_slots, 0, 32767, SEEN_OPERATOR, LIVE, "how many pairs at once"),
    FIELD_TEXT(struct gw_up, tunnel, SEEN_OPERATOR, LIVE, "its HTTPS, host:port"),
    FIELD_LINES(struct gw_up, csr_pem, SEEN_OPERATOR, LIVE, "request for its certificate, PEM"),
};
const struct record_type gw_up_type =
    RECORD_TYPE("gw_up", "gw_ups", struct gw_up, gw_up_fields, "a gateway is up");

static const struct field gw_place_fields[] = {
    FIELD_ID(struct gw_place, node, SEEN_OPERATOR, LIVE, "the node"),
    FIELD_TEXT(struct gw_place, seen_a, SEEN_OPERATOR, OPTIONAL,
               "where its packets to the first port come from"),
    FIELD_TEXT(struct gw_place, seen_b, SEEN_OPERATOR, OPTIONAL,
               "where its packets to the second port come from"),
};
static const struct record_type gw_place_type =
    RECORD_TYPE("gw_place", "gw_places", struct gw_place, gw_place_fields, "where a node is");

static const struct field gw_seen_fields[] = {
    FIELD_LIST(struct gw_seen, places, places_count, &gw_place_type, SEEN_OPERATOR, LIVE, "new or changed"),
};
const struct record_type gw_seen_type =
    RECORD_TYPE("gw_seen", "gw_seens", struct gw_seen, gw_seen_fields, "where nodes are");

static const struct field gw_answered_fields[] = {
    FIELD_ID(struct gw_answered, node, SEEN_OPERATOR, LIVE, "the node"),
    FIELD_U64(struct gw_answered, seen_ms, 0, COUNTED_MAX, SEEN_OPERATOR, LIVE,
              "how long it has answered since the gateway's start"),
};
static const struct record_type gw_answered_type = RECORD_TYPE(
    "gw_answered", "gw_answereds", struct gw_answered, gw_answered_fields, "a node that was probed");

static const struct field gw_probed_fields[] = {
    FIELD_LIST(struct gw_probed, nodes, nodes_count, &gw_answered_type, SEEN_OPERATOR, LIVE, "new or changed"),
};
const struct record_type gw_probed_type =
    RECORD_TYPE("gw_probed", "gw_probeds", struct gw_probed, gw_probed_fields, "whom a gateway has seen serve");

static const struct field gw_count_fields[] = {
    FIELD_U64(struct gw_count, joins, 0, COUNTED_MAX, SEEN_OPERATOR, LIVE, "connections joined"),
    FIELD_U64(struct gw_count, joined_bytes, 0, COUNTED_MAX, SEEN_OPERATOR, LIVE, "carried by them"),
    FIELD_U64(struct gw_count, relayed_bytes, 0, COUNTED_MAX, SEEN_OPERATOR, LIVE, "carried between nodes"),
};
const struct record_type gw_count_type =
    RECORD_TYPE("gw_count", "gw_counts", struct gw_count, gw_count_fields, "what a gateway carried");

/* ---- frames ------------------------------------------------------------------------------------------ */

/* The word in a frame's "kind" is the name of its record. */
static const struct record_type *const types[LINK_KIND_COUNT] = {
    [LINK_HELLO] = &link_hello_type,        [LINK_CHALLENGE] = &link_challenge_type,
    [LINK_PROOF] = &link_proof_type,        [LINK_WELCOME] = &link_welcome_type,
    [LINK_DESIRED] = &desired_type,         [LINK_MESH_MAP] = &mesh_map_type,
    [LINK_OBSERVED] = &observed_type,       [LINK_WITNESSED] = &witnessed_type,
    [LINK_MESH_SILENT] = &mesh_silent_type, [LINK_MESH_REACHED] = &mesh_reached_type,
    [LINK_GW_CONFIG] = &gw_config_type,     [LINK_GW_MEET] = &gw_meet_type,
    [LINK_GW_RELAY] = &gw_relay_type,       [LINK_GW_PROBE] = &gw_probe_type,
    [LINK_GW_REVOKE] = &gw_revoke_type,     [LINK_GW_UP] = &gw_up_type,
    [LINK_GW_SEEN] = &gw_seen_type,         [LINK_GW_PROBED] = &gw_probed_type,
    [LINK_GW_COUNT] = &gw_count_type,
};

static bool kind_of(struct str word, enum link_kind *kind)
{
    for (uint32_t k = 0; k < LINK_KIND_COUNT; k++) {
        if (!str_eq(word, str_from(types[k]->name))) continue;
        *kind = (enum link_kind)k;
        return true;
    }
    return false;
}

struct err link_read(struct str frame, enum link_kind *kind, union link_message *message)
{
    scoped_json struct json_doc doc = { { NULL } };
    struct json_fault           fault;
    enum link_kind              k;
    if (frame.len > LINK_FRAME_BYTES_MAX) return ERR(LIMIT, "a link frame is too long");
    TRY(json_parse(frame, &doc, &fault));
    if (!kind_of(json_as_str(json_member(doc.root, "kind")), &k))
        return ERR(INVALID, "a link frame of unknown kind");

    memset(message, 0, types[k]->size);
    TRY(json_read_value(doc.root, types[k], JSON_PEER, message, &fault));
    *kind = k;
    return OK;
}

void link_write(enum link_kind kind, const void *message, struct text *out)
{
    check(kind < LINK_KIND_COUNT);
    json_write_kind(types[kind]->name, types[kind], message, SEEN_OPERATOR, out);
}

struct signature link_prove(const struct sign_key *key, const uint8_t nonce[32])
{
    return sign(key, STR(LINK_DOMAIN), (struct str){ (const char *)nonce, 32 });
}

bool link_is_proven(struct public_key who, const uint8_t nonce[32], struct signature s)
{
    return sign_verify(who, STR(LINK_DOMAIN), (struct str){ (const char *)nonce, 32 }, s);
}

#define WAIT_LEAST_MS 500
#define WAIT_MOST_MS 20000
#define JITTER_PERCENT 30
_Static_assert(WAIT_MOST_MS / 100 * (100 + JITTER_PERCENT) == ASSIGN_RETURN_MS,
               "the network waits as long as that");

uint32_t link_wait_ms(uint64_t away_ms, uint64_t chance)
{
    uint64_t wait = away_ms / 10;
    if (wait < WAIT_LEAST_MS) wait = WAIT_LEAST_MS;
    if (wait > WAIT_MOST_MS) wait = WAIT_MOST_MS;
    uint64_t spread = wait * 2 * JITTER_PERCENT / 100;
    return (uint32_t)(wait - spread / 2 + chance % (spread + 1));
}
