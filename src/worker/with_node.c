#include "with_node_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct worker        *w;
struct worker_actions out;
uint64_t              now;
struct worker_ref     ref;

struct worker_input input(enum worker_input_kind kind)
{
    return (struct worker_input){ .kind = kind, .boot_id = "boot", .ref = ref, .inside = "" };
}

void step(struct worker_input in)
{
    worker_step(w, now, &in, &out);
}

void tick_after(uint64_t ms)
{
    now += ms;
    step(input(IN_TICK));
}

const char *done(void)
{
    static const char *const words[ACT_COUNT] = {
        [ACT_SET_PEER] = "set",         [ACT_REMOVE_PEER] = "remove", [ACT_SEND_SILENT] = "silent",
        [ACT_TRY_PEER] = "try",         [ACT_MOVE_PEER] = "move",     [ACT_SEND_REACHED] = "reached",
        [ACT_SEND_UNHEARD] = "unheard", [ACT_POKE_PEER] = "poke"
    };
    static char room[1024];
    struct text t = TEXT_IN(room);
    for (uint32_t i = 0; i < out.count; i++) {
        const struct worker_action *a = &out.list[i];
        if (!words[a->kind]) continue;
        text_add(&t, t.len ? STR(", ") : STR(""));
        text_add(&t, str_from(words[a->kind]));
        text_add_char(&t, ' ');
        text_add_char(&t, (char)a->peer.key[0]);
    }
    return text_z(&t);
}

bool does(enum worker_action_kind kind)
{
    for (uint32_t i = 0; i < out.count; i++)
        if (out.list[i].kind == kind) return true;
    return false;
}

struct mesh_map new_map(bool reset)
{
    return (struct mesh_map){ .node = ref.node, .reset = reset };
}

void add(struct mesh_map *m, char letter, enum mesh_via via, uint32_t wait_ms)
{
    struct mesh_peer *p = &m->peers[m->peers_count++];
    *p                  = (struct mesh_peer){ .via = via, .wait_ms = wait_ms, .valid = { 100000 } };
    memset(p->key, letter, sizeof p->key);
    mesh_address((uint32_t)letter, p->address);
    snprintf(p->endpoint, sizeof p->endpoint, "198.51.100.%d:4000", letter);
}

void tell(const struct mesh_map *m)
{
    struct worker_input in = input(IN_MAP);
    in.map                 = m;
    step(in);
}

void read_as(const char *peers)
{
    struct worker_peer_seen seen[8] = { { .handshake_ms = 0 } };
    struct worker_input     in      = input(IN_PEERS);
    for (const char *p = peers; *p; p++) {
        if (*p == '!')
            seen[in.peers_count - 1].handshake_ms = now;
        else {
            struct worker_peer_seen *next = &seen[in.peers_count++];
            memset(next->key, *p, MESH_KEY_BYTES);
            snprintf(next->endpoint, sizeof next->endpoint, "198.51.100.%d:4000", *p);
        }
    }
    in.peers = seen;
    step(in);
}

int begin(void **state)
{
    (void)state;
    struct desired     d = { .epoch = 1, .version = 1, .assignments_count = 1 };
    struct assignment *a = &d.assignments[0];
    now                  = 1000000;
    w                    = calloc(1, sizeof *w);
    if (!w) return -1;
    *a = (struct assignment){ .incarnation = 1,
                              .index       = 2,
                              .head_index  = 1,
                              .nodes       = 3,
                              .witness     = true,
                              .paid        = { 1000000 },
                              .meets_count = 1 };
    memset(a->node.id.bytes, 7, ID_BYTES);
    memset(a->meets[0].key_a, 'M', MESH_KEY_BYTES);
    memset(a->meets[0].key_b, 'N', MESH_KEY_BYTES);
    strcpy(a->image, "r/i@sha256:00");
    ref = (struct worker_ref){ a->node, 1 };

    step(input(IN_START));
    step(input(IN_LINK_UP));
    struct worker_input in = input(IN_DESIRED);
    in.desired             = &d;
    step(in);
    step(input(IN_RECIPE));
    in      = input(IN_IMAGE);
    in.text = STR("r/i@sha256:00");
    step(in);
    step(input(IN_MESH));
    step(input(IN_CONTAINER));
    tick_after(1000);
    read_as("MN");
    return worker_find(w, ref)->step == STEP_SERVING ? 0 : -1;
}

int end(void **state)
{
    (void)state;
    free(w);
    return 0;
}
