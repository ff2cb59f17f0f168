/* A node's peers: set when it is their time, removed when theirs is over, told of when they are silent. */
#include "worker_int.h"

#include <string.h>

static struct worker_peer *peer_find(struct worker_node *n, const uint8_t key[MESH_KEY_BYTES])
{
    for (uint32_t i = 0; i < n->peers_count; i++)
        if (memcmp(n->peers[i].told.key, key, MESH_KEY_BYTES) == 0) return &n->peers[i];
    return NULL;
}

/* Like what is set already, so that its session goes on undisturbed. */
static bool is_as_told(const struct worker_peer *p, const struct mesh_peer *told)
{
    return strcmp(p->told.endpoint, told->endpoint) == 0 && strcmp(p->told.address, told->address) == 0 &&
           (p->told.via == MESH_RELAY) == (told->via == MESH_RELAY);
}

/* Adopted, with a session that lives: it goes on where the map says it is anyway. */
static bool is_there_already(const struct worker_peer *p, const struct mesh_peer *told)
{
    return p->is_adopted && strcmp(p->told.endpoint, told->endpoint) == 0;
}

/* A relayed one is not asked whether it answers: it is taken to. */
static bool has_session(const struct worker_peer *p)
{
    return p->begin_anew || (p->is_set && (p->answered || p->told.via == MESH_RELAY));
}

static void take_told(struct worker_node *n, uint64_t now_ms, const struct mesh_peer *told)
{
    struct worker_peer *p = peer_find(n, told->key);
    if (!p && n->peers_count == WORKER_PEERS_MAX) return;

    if (!p) {
        p  = &n->peers[n->peers_count++];
        *p = (struct worker_peer){ .told = *told, .set_at_ms = now_ms + told->wait_ms };
    } else if (is_there_already(p, told)) {
        p->told       = *told;
        p->is_adopted = false;
    } else if (!is_as_told(p, told)) {
        bool knows = has_session(p);
        *p = (struct worker_peer){ .told = *told, .set_at_ms = now_ms + told->wait_ms, .begin_anew = knows };
    }
    memcpy(p->told.direct, told->direct, sizeof p->told.direct);
    p->try_due        = told->direct[0] && p->is_set && told->via == MESH_RELAY;
    p->stale_until_ms = 0;
    p->valid_until_ms = now_ms + (uint64_t)told->valid.ms;
    if (!told->unheard) return;
    n->poke_due = true;
    p->poke_due = p->is_set;
}

void worker_peers_take_map(struct worker *w, uint64_t now_ms, const struct mesh_map *map)
{
    struct worker_node *n = NULL;
    for (size_t i = 0; i < WORKER_NODES_MAX; i++) {
        struct worker_node *o = &w->nodes[i];
        if (o->step >= STEP_FINDING && o->step <= STEP_SERVING && id_eq(o->ref.node.id, map->node.id)) n = o;
    }
    if (!n) return;

    if (map->reset) {
        n->has_map = true;
        for (uint32_t i = 0; i < n->peers_count; i++) n->peers[i].stale_until_ms = now_ms + WORKER_STALE_MS;
    }
    for (uint32_t i = 0; i < map->peers_count; i++) take_told(n, now_ms, &map->peers[i]);
    for (uint32_t i = 0; i < map->gone_count; i++) {
        struct worker_peer *p = peer_find(n, map->gone[i].key);
        if (p) p->stale_until_ms = now_ms;
    }
}

/* ---- what the device knows --------------------------------------------------------------------------- */

static bool is_meet(const struct worker_node *n, const uint8_t key[MESH_KEY_BYTES])
{
    for (uint32_t i = 0; i < n->assignment.meets_count; i++) {
        const struct mesh_meet *m = &n->assignment.meets[i];
        if (memcmp(m->key_a, key, MESH_KEY_BYTES) == 0 || memcmp(m->key_b, key, MESH_KEY_BYTES) == 0)
            return true;
    }
    return false;
}

static bool session_lives(const struct worker_peer_seen *seen, uint64_t now_ms)
{
    return seen->handshake_ms && now_ms < seen->handshake_ms + WORKER_SESSION_MS;
}

/* The map came before the device was read: what the worker before this one set is not set again. */
static void take_adopted(struct worker_peer *p, const struct worker_peer_seen *seen, uint64_t now_ms)
{
    bool is_there = session_lives(seen, now_ms) && strcmp(seen->endpoint, p->told.endpoint) == 0;
    p->is_set = p->answered = is_there;
    p->begin_anew           = !is_there;
}

/* One that this worker did not set: left by the worker before it, or by a set of meeting points before these.
 * It stays until a map says better. */
static void take_unknown(struct worker_node *n, const struct worker_peer_seen *seen, uint64_t now_ms)
{
    if (n->peers_count == WORKER_PEERS_MAX) return;
    struct worker_peer *p = &n->peers[n->peers_count++];
    *p                    = (struct worker_peer){ .valid_until_ms = n->paid_until_ms,
                                                  .is_set         = true,
                                                  .answered       = true,
                                                  .is_adopted     = session_lives(seen, now_ms) };
    memcpy(p->told.key, seen->key, MESH_KEY_BYTES);
    worker_text_fit(str_from(seen->endpoint), p->told.endpoint, sizeof p->told.endpoint, false);
    if (n->has_map) p->stale_until_ms = now_ms;
}

static uint64_t watch_ms(const struct worker_node *n)
{
    return WORKER_WATCH_MS + n->peers_count;
}

/* More than the empty packets with which WireGuard keeps routers awake. */
static bool is_data(uint64_t bytes)
{
    return bytes > 2 * 32;
}

/* Who is spoken to and no longer heard may have moved, or we have: a router took another port. Only the meeting points see
 * that, and they hear us every few seconds alone. */
static void watch(struct worker_node *n, struct worker_peer *p, const struct worker_peer_seen *seen,
                  uint64_t span_ms)
{
    bool heard  = seen->rx_bytes != p->rx_bytes;
    bool spoken = seen->tx_bytes > p->tx_bytes && is_data(seen->tx_bytes - p->tx_bytes);
    p->rx_bytes = seen->rx_bytes;
    p->tx_bytes = seen->tx_bytes;
    if (heard) {
        if (p->owed_ms >= WORKER_OWED_MS) p->silent_sent = false;
        p->owed_ms = p->unheard = 0;
        p->unheard_due          = false;
        return;
    }
    if (spoken || p->owed_ms) p->owed_ms += span_ms < 2 * watch_ms(n) ? span_ms : 2 * watch_ms(n);
    if (!spoken) return;
    p->unheard++;
    if (p->unheard < WORKER_WATCHES_UNHEARD) return;
    n->poke_due = true;
    /* After 2, 4, 8 … seconds: what flows one way alone is answered every ten. */
    if ((p->unheard & (p->unheard - 1)) == 0) p->unheard_due = p->answered;
}

void worker_peers_take_seen(struct worker_node *n, uint64_t now_ms, const struct worker_input *in)
{
    n->reading    = false;
    n->read_at_ms = now_ms;
    if (in->err.code || !n->has_mesh) return;
    bool     is_first = !n->has_read;
    uint64_t span_ms  = now_ms - n->watched_at_ms;
    bool     watches  = span_ms >= watch_ms(n);
    n->has_read       = true;
    if (watches) n->watched_at_ms = now_ms;
    for (uint32_t i = 0; i < in->peers_count; i++) {
        const struct worker_peer_seen *seen = &in->peers[i];
        struct worker_peer            *p    = peer_find(n, seen->key);
        if (!p && !is_meet(n, seen->key)) take_unknown(n, seen, now_ms);
        if (p && !p->is_set && is_first) take_adopted(p, seen, now_ms);
        if (p && p->is_set && seen->handshake_ms && seen->handshake_ms >= p->set_at_ms) p->answered = true;
        if (p && p->is_set && watches) watch(n, p, seen, span_ms);
    }
}

/* It goes on where it was reached. A map that came meanwhile may have said something else: then it counts. */
void worker_peers_take_reached(struct worker_node *n, const uint8_t key[MESH_KEY_BYTES])
{
    struct worker_peer *p = peer_find(n, key);
    if (!p || !p->is_set || p->told.via != MESH_RELAY || !p->told.direct[0]) return;
    memcpy(p->told.endpoint, p->told.direct, sizeof p->told.endpoint);
    p->told.via       = MESH_DIRECT;
    p->told.direct[0] = 0;
    p->answered       = true;
    p->move_due       = true;
    p->reached_due    = true;
}

/* A report of silence may have been lost with the link. */
void worker_peers_link_up(struct worker_node *n)
{
    n->poke_due = n->peers_count > 0; /* what cut the link may have been our router */
    for (uint32_t i = 0; i < n->peers_count; i++) n->peers[i].silent_sent = false;
}

/* ---- what is to be done ------------------------------------------------------------------------------ */

static bool is_over(const struct worker_peer *p, uint64_t now_ms)
{
    return now_ms >= p->valid_until_ms || (p->stale_until_ms && now_ms >= p->stale_until_ms);
}

/* It did answer, and does no more, whatever it is told. */
static bool is_mute(const struct worker_peer *p)
{
    return p->is_set && p->answered && p->owed_ms >= WORKER_OWED_MS && !p->silent_sent &&
           p->told.via != MESH_RELAY;
}

static bool needs_answer(const struct worker_peer *p)
{
    return p->is_set && !p->answered && !p->silent_sent && p->told.via != MESH_RELAY;
}

static bool act_on(struct worker *w, struct worker_node *n, struct worker_peer *p, enum worker_action_kind kind,
                   struct worker_actions *out)
{
    struct worker_action *a = worker_act(out, kind, w, n);
    if (a) a->peer = p->told;
    return a != NULL;
}

/* WireGuard keeps a session when its peer's place changes, but a relay learns who is there from handshakes alone, and
 * only one tells whether a place answers: who had a session is removed first. */
static void set_peer(struct worker *w, struct worker_node *n, struct worker_peer *p, uint64_t now_ms,
                     struct worker_actions *out)
{
    if (p->begin_anew && !act_on(w, n, p, ACT_REMOVE_PEER, out)) return;
    if (!act_on(w, n, p, ACT_SET_PEER, out)) return;
    worker_witness_peer(w, n, &p->told);
    p->begin_anew = false;
    p->is_set     = true;
    p->set_at_ms  = now_ms;
}

static bool say(struct worker *w, struct worker_node *n, struct worker_peer *p, enum worker_action_kind kind,
                uint64_t now_ms, struct worker_actions *out)
{
    if (now_ms >= n->said_ms + 1000) {
        n->said_ms = now_ms;
        n->said    = 0;
    }
    if (!w->link_up || n->said == WORKER_WORDS_A_SECOND || !act_on(w, n, p, kind, out)) return false;
    n->said++;
    return true;
}

/* A try that comes too late for this list is made in the next step, and so is a word about it: it must come after the move. */
static void try_peer(struct worker *w, struct worker_node *n, struct worker_peer *p, uint64_t now_ms,
                     struct worker_actions *out)
{
    if (p->try_due) p->try_due = !act_on(w, n, p, ACT_TRY_PEER, out);
    if (p->poke_due) p->poke_due = !act_on(w, n, p, ACT_POKE_PEER, out);
    if (p->unheard_due) p->unheard_due = !say(w, n, p, ACT_SEND_UNHEARD, now_ms, out);
    if (p->move_due) p->move_due = !act_on(w, n, p, ACT_MOVE_PEER, out);
    if (p->reached_due && !p->move_due) p->reached_due = !say(w, n, p, ACT_SEND_REACHED, now_ms, out);
}

static void poke(struct worker *w, struct worker_node *n, uint64_t now_ms, struct worker_actions *out)
{
    if (!n->poke_due || now_ms < n->poked_at_ms + WORKER_POKE_MS) return;
    if (!worker_act(out, ACT_POKE_MEETS, w, n)) return;
    n->poke_due    = false;
    n->poked_at_ms = now_ms;
}

void worker_peers_act(struct worker *w, struct worker_node *n, uint64_t now_ms, struct worker_actions *out)
{
    bool unanswered = false;
    for (uint32_t i = 0; i < n->peers_count;) {
        struct worker_peer *p = &n->peers[i];
        if (is_over(p, now_ms)) {
            if (p->is_set && !act_on(w, n, p, ACT_REMOVE_PEER, out)) return;
            *p = n->peers[--n->peers_count];
            continue;
        }
        if (!p->is_set && n->has_read && now_ms >= p->set_at_ms) set_peer(w, n, p, now_ms, out);
        /* The other side was told at the same time, and may wait before it starts. */
        if (needs_answer(p) && now_ms >= p->set_at_ms + MESH_PUNCH_LATER_MS + MESH_PUNCH_MS)
            p->silent_sent = say(w, n, p, ACT_SEND_SILENT, now_ms, out);
        try_peer(w, n, p, now_ms, out);
        if (is_mute(p)) p->silent_sent = say(w, n, p, ACT_SEND_SILENT, now_ms, out);
        unanswered = unanswered || needs_answer(p);
        i++;
    }
    poke(w, n, now_ms, out);
    uint64_t every_ms = unanswered || !n->has_read ? WORKER_READ_MS : watch_ms(n);
    bool     due      = (n->peers_count || !n->has_read) && now_ms >= n->read_at_ms + every_ms;
    if (due && !n->reading && worker_act(out, ACT_READ_PEERS, w, n)) n->reading = true;
}

bool worker_peers_are_waiting(const struct worker_node *n)
{
    if (!n->has_mesh) return false;
    for (uint32_t i = 0; i < n->peers_count; i++) {
        const struct worker_peer *p = &n->peers[i];
        if (!p->is_set || needs_answer(p)) return true;
    }
    return false;
}
