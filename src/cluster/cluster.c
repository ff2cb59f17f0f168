#include "cluster.h"

#include <string.h>

const char *const cluster_state_names[CLUSTER_STATE_COUNT] = {
    [CLUSTER_RESERVED] = "reserved", [CLUSTER_IMAGES] = "images",     [CLUSTER_MESH] = "mesh",
    [CLUSTER_STARTING] = "starting", [CLUSTER_CHECKING] = "checking", [CLUSTER_READY] = "ready",
    [CLUSTER_HEALING] = "healing",   [CLUSTER_ENDING] = "ending",     [CLUSTER_ENDED] = "ended",
    [CLUSTER_FAILED] = "failed",
};

const char *const node_state_names[NODE_STATE_COUNT] = {
    [NODE_PLACED]  = "placed",
    [NODE_SERVING] = "serving",
    [NODE_CLOSING] = "closing",
    [NODE_CLOSED]  = "closed",
};

/* The only place that says which state may follow which. */
static const bool cluster_moves[CLUSTER_STATE_COUNT][CLUSTER_STATE_COUNT] = {
    [CLUSTER_RESERVED] = { [CLUSTER_IMAGES] = true, [CLUSTER_ENDING] = true },
    [CLUSTER_IMAGES]   = { [CLUSTER_MESH] = true, [CLUSTER_ENDING] = true },
    [CLUSTER_MESH]     = { [CLUSTER_STARTING] = true, [CLUSTER_ENDING] = true },
    [CLUSTER_STARTING] = { [CLUSTER_CHECKING] = true, [CLUSTER_ENDING] = true },
    [CLUSTER_CHECKING] = { [CLUSTER_READY] = true, [CLUSTER_ENDING] = true },
    [CLUSTER_READY]    = { [CLUSTER_HEALING] = true, [CLUSTER_ENDING] = true },
    [CLUSTER_HEALING]  = { [CLUSTER_READY] = true, [CLUSTER_ENDING] = true },
    [CLUSTER_ENDING]   = { [CLUSTER_ENDED] = true, [CLUSTER_FAILED] = true },
    [CLUSTER_ENDED]    = { false },
    [CLUSTER_FAILED]   = { false },
};

static const bool node_moves[NODE_STATE_COUNT][NODE_STATE_COUNT] = {
    [NODE_PLACED]  = { [NODE_SERVING] = true, [NODE_CLOSED] = true },
    [NODE_SERVING] = { [NODE_CLOSING] = true },
    [NODE_CLOSING] = { [NODE_CLOSED] = true },
    [NODE_CLOSED]  = { false },
};

static const struct field cluster_fields[] = {
    FIELD_ID(struct cluster, id, SEEN_OWNER, STORED | KEY | COLUMN,
             "its name in the network and in host names"),
    FIELD_ID(struct cluster, owner, SEEN_OPERATOR, STORED, "the account that pays"),
    FIELD_TEXT(struct cluster, name, SEEN_OWNER, STORED | COLUMN, "what its owner calls it"),
    FIELD_ENUM(struct cluster, state, cluster_state_names, SEEN_PUBLIC, STORED | COLUMN, "see cluster.h"),
    FIELD_TEXT(struct cluster, recipe, SEEN_PUBLIC, STORED | COLUMN, "kind of cluster"),
    FIELD_BYTES(struct cluster, recipe_hash, SEEN_OWNER, STORED, "SHA-256 of the recipe it runs"),
    FIELD_TEXT(struct cluster, image, SEEN_OWNER, STORED, "OCI image by digest"),
    FIELD_U32(struct cluster, quantity, 1, 20000, SEEN_PUBLIC, STORED | COLUMN, "units paid for"),
    FIELD_U32(struct cluster, size, 1, 20000, SEEN_PUBLIC, STORED, "nodes"),
    FIELD_U32(struct cluster, nodes_alive, 0, 20000, SEEN_PUBLIC, LIVE | COLUMN,
              "nodes its witness sees alive"),
    FIELD_NAMED(struct cluster, "price_micros_per_hour", price.micros, FIELD_KIND_I64, 0, HOURLY_MICROS_MAX,
                SEEN_PUBLIC, STORED, "of one unit for one hour"),
    FIELD_U32(struct cluster, fee_basis_points, 0, 10000, SEEN_OWNER, STORED, "the network's part"),
    FIELD_NAMED(struct cluster, "duration_ms", duration.ms, FIELD_KIND_I64, 0, SPAN_MS_MAX, SEEN_OWNER, STORED,
                "paid for"),
    FIELD_MICROS(struct cluster, escrow, "escrow_micros", 0, SEEN_OWNER, STORED, "held for it, in all"),
    FIELD_MICROS(struct cluster, charged, "charged_micros", 0, SEEN_OWNER, STORED | COLUMN, "settled so far"),
    FIELD_MICROS(struct cluster, refunded, "refunded_micros", 0, SEEN_OWNER, STORED, "given back"),
    FIELD_BYTES(struct cluster, secret, SEEN_NOBODY, STORED, "its services' tokens come from it"),
    FIELD_U32(struct cluster, next_index, 1, MESH_INDEX_MAX, SEEN_NOBODY, STORED, "next mesh address"),
    FIELD_U32(struct cluster, head_index, 1, MESH_INDEX_MAX, SEEN_OWNER, STORED, "mesh address of its head"),
    FIELD_U32(struct cluster, lost, 0, UINT32_MAX, SEEN_PUBLIC, STORED, "nodes that were lost and replaced"),
    FIELD_BOOL(struct cluster, failed, SEEN_OWNER, STORED, "it ends by no wish of its owner"),
    FIELD_TEXT(struct cluster, why, SEEN_OWNER, STORED, "why it ended or failed, or what it waits for"),
    FIELD_U32(struct cluster, failures, 0, UINT32_MAX, SEEN_OWNER, STORED,
              "replacements in a row that did not come up"),
    FIELD_U32(struct cluster, head_moves, 0, UINT32_MAX, SEEN_OWNER, STORED,
              "how often another machine took a lost head's place"),
    FIELD_TEXT(struct cluster, state_lost, SEEN_OWNER, STORED, "what was gone with a lost head"),
    FIELD_LINES(struct cluster, log_end, SEEN_OWNER, STORED, "end of the log of the node it failed by"),
    FIELD_MS(struct cluster, made, "reserved_ms", SEEN_OWNER, STORED, "when its devices were reserved"),
    FIELD_MS(struct cluster, images, "images_ms", SEEN_OWNER, STORED, "when all its nodes had been told"),
    FIELD_MS(struct cluster, mesh, "mesh_ms", SEEN_OWNER, STORED, "when all had their image"),
    FIELD_MS(struct cluster, starting, "starting_ms", SEEN_OWNER, STORED, "when all containers ran"),
    FIELD_MS(struct cluster, checking, "checking_ms", SEEN_OWNER, STORED, "when its witness first spoke"),
    FIELD_MS(struct cluster, ready, "ready_ms", SEEN_OWNER, STORED, "when its witness first saw all alive"),
    FIELD_MS(struct cluster, ends, "ends_ms", SEEN_OWNER, STORED | COLUMN, "when what was paid for ends"),
    FIELD_MS(struct cluster, ended, "ended_ms", SEEN_OWNER, STORED, "when it was settled"),
    FIELD_MS(struct cluster, hurt, "hurt_ms", SEEN_OWNER, STORED, "when a node was last found lost"),
    FIELD_MS(struct cluster, healed, "healed_ms", SEEN_OWNER, STORED, "when that was made good"),
    FIELD_MS(struct cluster, head_lost, "head_lost_ms", SEEN_OWNER, STORED, "when its head was last lost"),
    FIELD_MS(struct cluster, head_back, "head_back_ms", SEEN_OWNER, STORED, "when another was in its place"),
};
const struct record_type cluster_type =
    RECORD_TYPE("cluster", "clusters", struct cluster, cluster_fields, "machines that work as one");

static const struct field node_fields[] = {
    FIELD_ID(struct node, id, SEEN_OWNER, STORED | KEY | COLUMN, "its name"),
    FIELD_ID(struct node, cluster, SEEN_OWNER, STORED, "of which cluster"),
    FIELD_ID(struct node, device, SEEN_OWNER, STORED | COLUMN, "on which device"),
    FIELD_ENUM(struct node, role, node_role_names, SEEN_PUBLIC, STORED | COLUMN, "head or worker"),
    FIELD_ENUM(struct node, state, node_state_names, SEEN_PUBLIC, STORED | COLUMN, "see cluster.h"),
    FIELD_ENUM(struct node, phase, node_phase_names, SEEN_PUBLIC, LIVE | COLUMN, "how far its worker is"),
    FIELD_U32(struct node, index, 1, MESH_INDEX_MAX, SEEN_OWNER, STORED,
              "its mesh address is 10.99.0.0 + index"),
    FIELD_U32(struct node, units, 1, 65536, SEEN_PUBLIC, STORED, "units it is paid for"),
    FIELD_U64(struct node, incarnation, 1, RECORD_INT_MAX, SEEN_OWNER, STORED, "grows with each start"),
    FIELD_BOOL(struct node, witness, SEEN_OWNER, STORED, "it watches the others"),
    FIELD_BOOL(struct node, standby, SEEN_OWNER, STORED, "it keeps a copy of the head's state"),
    FIELD_BOOL(struct node, copied, SEEN_OWNER, STORED, "that copy is whole"),
    FIELD_U32(struct node, restores, 0, MESH_INDEX_MAX, SEEN_OWNER, STORED,
              "a head in a lost one's place: the mesh index of who kept the copy"),
    FIELD_BOOL(struct node, lost, SEEN_PUBLIC, STORED, "it went away and was replaced"),
    FIELD_MS(struct node, made, "made_ms", SEEN_OWNER, STORED, "when it was placed"),
    FIELD_MS(struct node, passed, "passed_ms", SEEN_OWNER, STORED, "when it passed its first check"),
    FIELD_MS(struct node, closed, "closed_ms", SEEN_OWNER, STORED, "when it stopped to count"),
    FIELD_U64(struct node, served_ms, 0, SPAN_MS_MAX, SEEN_OWNER, STORED | COLUMN, "reported by its worker"),
    FIELD_U64(struct node, seen_ms, 0, RECORD_INT_MAX, SEEN_OWNER, STORED, "witnessed by another"),
    FIELD_ID(struct node, seen_by, SEEN_OPERATOR, STORED, "the node or gateway whose witness that was"),
    FIELD_U64(struct node, seen_last, 0, RECORD_INT_MAX, SEEN_NOBODY, STORED, "what that witness last said"),
    FIELD_BYTES(struct node, seen_run, SEEN_NOBODY, STORED, "the gateway's instance that said it"),
    FIELD_MICROS(struct node, charged, "charged_micros", 0, SEEN_OWNER, STORED | COLUMN, "settled so far"),
    FIELD_MICROS(struct node, fee, "fee_micros", 0, SEEN_OWNER, STORED, "of that, the network's"),
    FIELD_BYTES(struct node, mesh_key, SEEN_OPERATOR, STORED, "WireGuard, public"),
    FIELD_BOOL(struct node, has_key, SEEN_NOBODY, STORED, "mesh_key is there"),
    FIELD_TEXT(struct node, why, SEEN_OWNER, STORED, "why it ended"),
    FIELD_U32(struct node, cpu_milli, 0, UINT32_MAX, SEEN_OWNER, LIVE, "CPU in use, thousandths of one"),
    FIELD_U64(struct node, memory_bytes, 0, RECORD_INT_MAX, SEEN_OWNER, LIVE, "memory in use"),
};
const struct record_type node_type =
    RECORD_TYPE("node", "nodes", struct node, node_fields, "one container on one device, in one cluster");

bool cluster_may_move(enum cluster_state from, enum cluster_state to)
{
    return cluster_moves[from][to];
}

void cluster_move(struct cluster *c, enum cluster_state to)
{
    check(cluster_may_move(c->state, to));
    c->state = to;
}

bool cluster_is_live(const struct cluster *c)
{
    return c->state < CLUSTER_ENDED;
}

bool cluster_is_forming(const struct cluster *c)
{
    return c->state < CLUSTER_READY;
}

bool node_may_move(enum node_state from, enum node_state to)
{
    return node_moves[from][to];
}

void node_move(struct node *n, enum node_state to)
{
    check(node_may_move(n->state, to));
    n->state = to;
}

void node_reported(struct node *n, uint64_t served_ms)
{
    if (n->state == NODE_CLOSED || served_ms > (uint64_t)SPAN_MS_MAX) return;
    if (served_ms > n->served_ms) n->served_ms = served_ms;
}

void node_witnessed(struct node *n, struct node_id by, uint64_t link, uint64_t seen_ms)
{
    if (n->state == NODE_CLOSED || seen_ms > (uint64_t)SPAN_MS_MAX) return;
    bool     same   = id_eq(n->seen_by, by.id);
    uint64_t before = same ? n->seen_last : 0;
    if (same && n->seen_link == link && seen_ms < before) return;
    if (seen_ms > before) n->seen_ms += seen_ms - before;
    n->seen_by   = by.id;
    n->seen_link = link;
    n->seen_last = seen_ms;
}

void node_probed(struct node *n, struct gateway_id by, const uint8_t run[16], uint64_t seen_ms)
{
    if (n->state == NODE_CLOSED || seen_ms > (uint64_t)SPAN_MS_MAX) return;
    bool first = id_is_none(n->seen_by), same = id_eq(n->seen_by, by.id);
    bool goes_on = same && memcmp(n->seen_run, run, sizeof n->seen_run) == 0;
    if (goes_on && seen_ms <= n->seen_last) return;
    if (first || same) n->seen_ms += seen_ms - (goes_on ? n->seen_last : 0);
    n->seen_by   = by.id;
    n->seen_last = seen_ms;
    memcpy(n->seen_run, run, sizeof n->seen_run);
}

static uint64_t lesser(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

struct span node_counted(const struct node *n, struct instant now)
{
    if (n->passed.ms == 0) return (struct span){ 0 };
    struct instant until   = n->closed.ms ? n->closed : now;
    uint64_t       elapsed = (uint64_t)instant_since(until, n->passed).ms;
    return (struct span){ (int64_t)lesser(elapsed, lesser(n->served_ms, n->seen_ms)) };
}

struct money node_charge(const struct node *n, struct hourly price, struct instant now)
{
    return bill_usage(price, n->units, node_counted(n, now));
}

struct span cluster_lease(const struct cluster *c, struct instant now)
{
    struct span most = { LEASE_MS };
    return c->ends.ms ? span_min(instant_since(c->ends, now), most) : most;
}
