/* records.c: the field tables of the network's own records. */
#include "network.h"

const char *const token_for_names[TOKEN_FOR_COUNT] = { [TOKEN_DEVICE] = "device", [TOKEN_GATEWAY] = "gateway" };

const char *const key_scope_names[KEY_SCOPE_COUNT] = { "read", "clusters", "devices", "operator" };

static const struct field account_fields[] = {
    FIELD_ID(struct account, id, SEEN_OWNER, STORED | KEY | COLUMN, "its name"),
    FIELD_BYTES(struct account, public_key, SEEN_OWNER, STORED, "Ed25519: the wallet"),
    FIELD_ID(struct account, key_tag, SEEN_NOBODY, STORED, "finds it by its key"),
    FIELD_BOOL(struct account, operator, SEEN_OWNER, STORED, "the network's operator"),
    FIELD_MS(struct account, made, "made_ms", SEEN_OWNER, STORED, "when it was opened"),
};
const struct record_type account_type =
    RECORD_TYPE("account", "accounts", struct account, account_fields, "who signs with a wallet");

static const struct field key_fields[] = {
    FIELD_ID(struct api_key, id, SEEN_OWNER, STORED | KEY, "finds it by its hash"),
    FIELD_BYTES(struct api_key, hash, SEEN_NOBODY, STORED, "SHA-256 of its text"),
    FIELD_ID(struct api_key, account, SEEN_OWNER, STORED, "whose"),
    FIELD_SET(struct api_key, scopes, key_scope_names, SEEN_OWNER, STORED, "what it may do"),
    FIELD_TEXT(struct api_key, name, SEEN_OWNER, STORED, "what for"),
    FIELD_MS(struct api_key, made, "made_ms", SEEN_OWNER, STORED, "when"),
    FIELD_MS(struct api_key, expires, "expires_ms", SEEN_OWNER, STORED, "good until then"),
};
const struct record_type api_key_type =
    RECORD_TYPE("api_key", "api_keys", struct api_key, key_fields, "a bearer key");

static const struct field grant_fields[] = {
    FIELD_ID(struct join_grant, id, SEEN_OWNER, STORED | KEY, "finds it by its hash"),
    FIELD_BYTES(struct join_grant, hash, SEEN_NOBODY, STORED, "SHA-256 of its secret"),
    FIELD_ENUM(struct join_grant, purpose, token_for_names, SEEN_OWNER, STORED, "what may join by it"),
    FIELD_ID(struct join_grant, account, SEEN_OWNER, STORED, "who will own what joins"),
    FIELD_MICROS(struct join_grant, ask, "ask_micros_per_hour", 0, SEEN_OWNER, STORED, "a device's price"),
    FIELD_MS(struct join_grant, made, "made_ms", SEEN_OWNER, STORED, "when"),
    FIELD_MS(struct join_grant, expires, "expires_ms", SEEN_OWNER, STORED, "good until then"),
    FIELD_ID(struct join_grant, used_by, SEEN_OWNER, STORED, "what joined by it"),
};
const struct record_type join_grant_type = RECORD_TYPE("join_grant", "join_grants", struct join_grant,
                                                       grant_fields, "a join token, without its secret");

static const struct field gateway_fields[] = {
    FIELD_ID(struct gateway, id, SEEN_OPERATOR, STORED | KEY | COLUMN, "its name"),
    FIELD_BYTES(struct gateway, public_key, SEEN_OPERATOR, STORED, "Ed25519, proves its link"),
    FIELD_ID(struct gateway, key_tag, SEEN_NOBODY, STORED, "finds it by its key"),
    FIELD_MS(struct gateway, enrolled, "enrolled_ms", SEEN_OPERATOR, STORED, "when it came"),
    FIELD_LIST(struct gateway, meets, meets_count, &mesh_meet_type, SEEN_OPERATOR, STORED,
               "where nodes are seen"),
    FIELD_TEXT(struct gateway, relay_host, SEEN_OPERATOR, STORED, "address of its relay"),
    FIELD_U32(struct gateway, relay_port_base, 0, 65535, SEEN_OPERATOR, STORED, "first port of the relay"),
    FIELD_U32(struct gateway, relay_slots, 0, 32768, SEEN_OPERATOR, STORED, "pairs it can relay"),
    FIELD_TEXT(struct gateway, tunnel, SEEN_OPERATOR, STORED, "host:port of its HTTPS"),
};
const struct record_type gateway_type =
    RECORD_TYPE("gateway", "gateways", struct gateway, gateway_fields, "a door of the data plane");

static const struct field relay_fields[] = {
    FIELD_ID(struct relay, id, SEEN_OPERATOR, STORED | KEY, "of the pair"),
    FIELD_NAMED(struct relay, "a", pair.a, FIELD_KIND_ID, 0, 0, SEEN_OPERATOR, STORED, "node of the lower id"),
    FIELD_NAMED(struct relay, "b", pair.b, FIELD_KIND_ID, 0, 0, SEEN_OPERATOR, STORED, "node of the higher id"),
    FIELD_NAMED(struct relay, "slot", pair.slot, FIELD_KIND_U32, 0, 32767, SEEN_OPERATOR, STORED,
                "of the relay"),
};
const struct record_type relay_type =
    RECORD_TYPE("relay", "relays", struct relay, relay_fields, "a relayed pair");

static const struct field meta_fields[] = {
    FIELD_U64(struct meta, number, 1, 1, SEEN_OPERATOR, STORED | KEY, "there is one"),
    FIELD_U64(struct meta, epoch, 0, RECORD_INT_MAX, SEEN_OPERATOR, STORED, "grows with every start"),
    FIELD_U64(struct meta, sequence, 0, RECORD_INT_MAX, SEEN_OPERATOR, STORED, "inputs taken in"),
    FIELD_U64(struct meta, transfers, 0, RECORD_INT_MAX, SEEN_OPERATOR, STORED, "number of the last transfer"),
    FIELD_MS(struct meta, now, "now_ms", SEEN_OPERATOR, STORED, "the network's clock: never goes back"),
};
const struct record_type meta_type =
    RECORD_TYPE("meta", "meta", struct meta, meta_fields, "where the network stands");

const struct record_type *const network_types[] = {
    &meta_type,   &ledger_account_type, &transfer_type, &account_type, &api_key_type, &join_grant_type,
    &device_type, &gateway_type,        &quote_type,    &cluster_type, &node_type,    &relay_type,
};
const size_t network_type_count = countof(network_types);
