/* What a recipe's witness says: one line "alive ADDRESS ADDRESS …" after another, each naming the nodes that
 * it holds for alive. The time between two lines counts for those that both name. */
#include "worker_int.h"

#include <string.h>

#define WITNESS_WORD "alive"

/* Its place among the entries, or that where it belongs. */
static uint32_t place_of(const struct worker_node *n, uint32_t index)
{
    uint32_t low = 0, high = n->seen_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (n->seen[middle].entry.index < index)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct worker_seen *seen_at(struct worker_node *n, uint32_t index)
{
    uint32_t at = place_of(n, index);
    if (at < n->seen_count && n->seen[at].entry.index == index) return &n->seen[at];
    if (n->seen_count == WORKER_SEEN_MAX) return NULL;

    memmove(&n->seen[at + 1], &n->seen[at], (n->seen_count - at) * sizeof n->seen[0]);
    n->seen_count++;
    n->seen[at] = (struct worker_seen){ .entry = { .index = index } };
    return &n->seen[at];
}

static bool next_word(struct str *line, struct str *word)
{
    struct str rest = str_trim(*line);
    if (!rest.len) return false;
    str_split(rest, ' ', word, line);
    return true;
}

/* A line counts whole or not at all. */
static bool is_line(struct str line)
{
    struct str word;
    uint32_t   index;
    if (!next_word(&line, &word) || !str_eq(word, STR(WITNESS_WORD))) return false;
    while (next_word(&line, &word))
        if (!mesh_index_of(word, &index)) return false;
    return true;
}

static void take_alive(struct worker_node *n, uint32_t index, uint64_t span_ms)
{
    struct worker_seen *s = seen_at(n, index);
    if (!s || s->line == n->line) return; /* no room, or named twice */
    if (s->line && s->line == n->line - 1) s->entry.seen_ms += span_ms;
    if (!s->entry.alive) n->witness_dirty = true;
    s->entry.alive = true;
    s->line        = n->line;
}

void worker_witness_peer(struct worker *w, struct worker_node *n, const struct mesh_peer *peer)
{
    uint32_t head = n->assignment.head_index, index;
    if (!mesh_index_of(str_from(peer->address), &index) || index != head) return;
    if (memcmp(n->head_key, peer->key, MESH_KEY_BYTES) == 0) return;
    memcpy(n->head_key, peer->key, MESH_KEY_BYTES);
    w->save_dirty = true;

    uint32_t at = place_of(n, head); /* what was seen there was another's */
    if (at < n->seen_count && n->seen[at].entry.index == head)
        n->seen[at] = (struct worker_seen){ .entry = { .index = head } };
}

void worker_witness_take_line(struct worker_node *n, uint64_t now_ms, struct str line)
{
    struct str word;
    uint32_t   index;
    if (n->step != STEP_SERVING || !is_line(line)) return;

    uint64_t span_ms = n->line ? now_ms - n->line_ms : 0;
    if (span_ms > WORKER_SEEN_SPAN_MS) span_ms = WORKER_SEEN_SPAN_MS;
    n->line++;
    n->line_ms = now_ms;
    next_word(&line, &word);
    while (next_word(&line, &word)) {
        if (!mesh_index_of(word, &index)) continue;
        take_alive(n, index, span_ms);
        if (index == n->assignment.index) n->names_itself = true;
    }
    for (uint32_t i = 0; i < n->seen_count; i++) {
        struct worker_seen *s = &n->seen[i];
        if (s->line == n->line || !s->entry.alive) continue;
        s->entry.alive   = false;
        n->witness_dirty = true;
    }
}

static void send_seen(struct worker *w, struct worker_node *n, uint64_t now_ms, struct worker_actions *out)
{
    for (uint32_t from = 0; from < n->seen_count; from += WITNESS_ENTRIES) {
        struct worker_action *a = worker_act(out, ACT_SEND_WITNESSED, w, n);
        if (!a) return; /* all of it again in the next step */
        a->from = from;
    }
    n->witness_dirty   = false;
    n->witnessed_at_ms = now_ms;
}

void worker_witness_act(struct worker *w, struct worker_node *n, uint64_t now_ms, struct worker_actions *out)
{
    if (n->names_itself && !n->is_past_start) n->is_past_start = w->observe_dirty = true;
    if (n->assignment.witness && !n->witness_runs && now_ms >= n->witness_retry_ms)
        n->witness_runs = worker_act(out, ACT_START_WITNESS, w, n) != NULL;
    if (!n->assignment.witness && n->witness_runs) n->witness_runs = !worker_act(out, ACT_STOP_WITNESS, w, n);

    bool due = n->witness_dirty || now_ms >= n->witnessed_at_ms + WORKER_WITNESS_MS;
    if (w->link_up && n->line && n->assignment.witness && due) send_seen(w, n, now_ms, out);
}

uint32_t worker_witnessed(const struct worker *w, uint32_t slot, uint32_t from, uint64_t now_ms,
                          struct witnessed *out)
{
    const struct worker_node *n = &w->nodes[slot];
    *out                        = (struct witnessed){ .node        = n->ref.node,
                                                      .incarnation = n->ref.incarnation,
                                                      .age_ms      = now_ms - n->line_ms };
    memcpy(out->head_key, n->head_key, sizeof out->head_key);
    while (from < n->seen_count && out->entries_count < WITNESS_ENTRIES)
        out->entries[out->entries_count++] = n->seen[from++].entry;
    return from < n->seen_count ? from : 0;
}
