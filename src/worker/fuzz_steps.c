/* fuzz_steps.c: a worker with a node that serves is told anything, as its link and the programs in the container could tell
 * it, one thing after another. What it then reports and saves is within its records' limits. */
#include "record/fuzz_record.h"
#include "with_node_int.h"

#include <stdlib.h>
#include <string.h>

#define STEPS_MAX 48
#define PEERS_MAX 6

static struct id       names[6]; /* the first is the node's */
static struct fuzz_ids ids = { names, countof(names) };

/* The worker as `begin` left it. Slots that hold nothing are not looked at by anyone. */
static void start_anew(void)
{
    static struct worker    *first;
    static struct worker_ref first_ref;
    if (!first) {
        check(begin(NULL) == 0);
        first     = w;
        first_ref = ref;
        names[0]  = ref.node.id;
        for (size_t i = 0; i < WORKER_NODES_MAX; i++) { /* what `begin` leaves out */
            if (first->nodes[i].step == STEP_FREE) continue;
            first->nodes[i].assignment.cpus_milli   = 1;
            first->nodes[i].assignment.memory_bytes = 1;
        }
        for (size_t i = 1; i < countof(names); i++) names[i].bytes[0] = (uint8_t)i;
        w = calloc(1, sizeof *w);
        check(w);
    }
    for (size_t i = 0; i < WORKER_NODES_MAX; i++) {
        if (first->nodes[i].step == STEP_FREE && w->nodes[i].step == STEP_FREE) continue;
        memcpy(&w->nodes[i], &first->nodes[i], sizeof w->nodes[i]);
    }
    memcpy(w, first, offsetof(struct worker, nodes));
    size_t rest = offsetof(struct worker, nodes) + sizeof w->nodes;
    memcpy((char *)w + rest, (const char *)first + rest, sizeof *w - rest);
    ref = first_ref;
    now = 2000000;
}

static struct worker_ref a_ref(struct str *in)
{
    uint8_t which = fuzz_u8(in);
    return (struct worker_ref){ { names[which % countof(names)] }, 1 + (which >> 6) };
}

static void take_peers(struct str *in, struct worker_input *next)
{
    static struct worker_peer_seen seen[PEERS_MAX];
    next->peers       = seen;
    next->peers_count = fuzz_u8(in) % (PEERS_MAX + 1);
    for (uint32_t i = 0; i < next->peers_count; i++) {
        seen[i] = (struct worker_peer_seen){ .handshake_ms = now - fuzz_u8(in) * 1000u,
                                             .rx_bytes     = fuzz_u8(in),
                                             .tx_bytes     = fuzz_u32(in) };
        memset(seen[i].key, fuzz_u8(in), sizeof seen[i].key);
        if (str_copy(fuzz_text(in), seen[i].endpoint, sizeof seen[i].endpoint).code) seen[i].endpoint[0] = 0;
    }
}

static void say(struct str *in)
{
    static struct desired  desired;
    static struct mesh_map map;
    static char            place[MESH_ENDPOINT_TEXT];
    enum worker_input_kind kind = 1 + fuzz_u8(in) % (IN_COUNT - 1); /* IN_START came */
    uint8_t                how  = fuzz_u8(in);
    struct worker_input    next = { .kind = kind, .ref = a_ref(in), .inside = place, .boot_id = "boot" };
    now += how & 0x70 ? (how & 0x70u) : (uint64_t)fuzz_u8(in) * 100;
    if ((how & 0xf) == 15) next.err = ERR(IO, "it failed");
    if ((how & 0xf) == 14) next.err = ERR(INVALID, "it can't be");
    next.tunnel          = how % 4;
    next.found_container = next.found_mesh = how & 0x80;
    place[0]                               = 0;
    if (kind == IN_DESIRED) {
        memset(&desired, 0, sizeof desired);
        fuzz_record(in, &desired_type, ids, &desired);
        next.desired = &desired;
    } else if (kind == IN_MAP) {
        memset(&map, 0, sizeof map);
        fuzz_record(in, &mesh_map_type, ids, &map);
        next.map = &map;
    } else if (kind == IN_PEERS) {
        take_peers(in, &next);
    } else if (kind == IN_INSIDE || kind == IN_MESH) {
        if (str_copy(fuzz_text(in), place, sizeof place).code || !str_is_utf8(str_from(place))) place[0] = 0;
        memset(next.key, how, sizeof next.key);
    } else {
        next.text = fuzz_text(in); /* what a witness says comes as it is, all else as text */
        if (kind != IN_LINE && kind != IN_COPY_LINE && !str_is_utf8(next.text)) next.text = STR("?");
        next.log_end = next.text;
    }
    step(next);
    check(out.count <= WORKER_ACTIONS_MAX);
}

static void check_told(void)
{
    static struct observed     observed;
    static struct worker_saved saved;
    static struct witnessed    witnessed;
    uint32_t                   from = 0;
    worker_observe(w, now, &observed);
    fuzz_check_record(&observed_type, &observed);
    worker_save(w, now, &saved);
    fuzz_check_record(&worker_saved_type, &saved);
    for (uint32_t slot = 0; slot < WORKER_NODES_MAX; slot++) {
        const struct worker_node *n = &w->nodes[slot];
        if (n->step == STEP_PREPARING)
            check(!n->seen_count && !n->line && !n->witness_runs && !n->tunnels_idle);
        if (w->nodes[slot].step != STEP_SERVING) continue;
        do {
            from = worker_witnessed(w, slot, from, now, &witnessed);
            fuzz_check_record(&witnessed_type, &witnessed);
        } while (from);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = fuzz_all(data, size);
    start_anew();
    for (int i = 0; i < STEPS_MAX && in.len; i++) say(&in);
    check_told();
    return 0;
}
