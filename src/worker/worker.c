#include "worker_int.h"

#include <string.h>

/* The only place that says which step may follow which. */
static const bool moves[STEP_COUNT][STEP_COUNT] = {
    [STEP_FREE] = { [STEP_PREPARING] = true, [STEP_FINDING] = true, [STEP_ENDING] = true, [STEP_ENDED] = true },
    [STEP_FINDING]   = { [STEP_PREPARING] = true, [STEP_SERVING] = true, [STEP_ENDING] = true },
    [STEP_PREPARING] = { [STEP_STARTING] = true, [STEP_ENDING] = true },
    [STEP_STARTING]  = { [STEP_SERVING] = true, [STEP_ENDING] = true },
    [STEP_SERVING]   = { [STEP_ENDING] = true },
    [STEP_ENDING]    = { [STEP_ENDED] = true },
    [STEP_ENDED]     = { [STEP_FREE] = true },
};

void worker_node_move(struct worker *w, struct worker_node *n, enum worker_step to)
{
    check(moves[n->step][to]);
    n->step          = to;
    n->asked         = false;
    w->observe_dirty = true;
    w->save_dirty    = true;
}

struct worker_action *worker_act(struct worker_actions *out, enum worker_action_kind kind,
                                 const struct worker *w, const struct worker_node *n)
{
    if (out->count == WORKER_ACTIONS_MAX) {
        out->more = true;
        return NULL;
    }
    struct worker_action *a = &out->list[out->count++];
    *a                      = (struct worker_action){ .kind = kind };
    if (n) a->slot = (uint32_t)(n - w->nodes), a->ref = n->ref;
    return a;
}

/* For the actions that are asked for once a step. */
static void ask_once(struct worker *w, struct worker_node *n, enum worker_action_kind kind,
                     struct worker_actions *out)
{
    if (!n->asked && worker_act(out, kind, w, n)) n->asked = true;
}

void worker_text_fit(struct str s, char *room, size_t size, bool lines)
{
    if (s.len >= size) {
        s.len = size - 1;
        while (s.len && ((unsigned char)s.ptr[s.len] & 0xc0) == 0x80) s.len--; /* not within a letter */
    }
    for (size_t i = 0; i < s.len; i++) {
        char c  = s.ptr[i];
        bool ok = (unsigned char)c >= ' ' && c != 0x7f;
        room[i] = ok || (lines && (c == '\n' || c == '\t')) ? c : ' ';
    }
    room[s.len] = 0;
}

/* ---- nodes ------------------------------------------------------------------------------------------- */

bool worker_ref_eq(struct worker_ref a, struct worker_ref b)
{
    return id_eq(a.node.id, b.node.id) && a.incarnation == b.incarnation;
}

static struct worker_node *node_find(struct worker *w, struct worker_ref ref)
{
    for (size_t i = 0; i < WORKER_NODES_MAX; i++)
        if (w->nodes[i].step != STEP_FREE && worker_ref_eq(w->nodes[i].ref, ref)) return &w->nodes[i];
    return NULL;
}

const struct worker_node *worker_find(const struct worker *w, struct worker_ref ref)
{
    return node_find((struct worker *)w, ref);
}

static struct worker_ref ref_of(const struct assignment *a)
{
    return (struct worker_ref){ a->node, a->incarnation };
}

bool worker_is_wanted(const struct worker *w, const struct worker_node *n)
{
    if (w->stop_all) return false;
    for (uint32_t i = 0; i < w->desired.assignments_count; i++)
        if (worker_ref_eq(ref_of(&w->desired.assignments[i]), n->ref)) return true;
    return false;
}

void worker_node_count_served(struct worker_node *n, uint64_t now_ms)
{
    if (n->step != STEP_SERVING || now_ms <= n->served_at_ms) return;
    n->served_ms += now_ms - n->served_at_ms;
    n->served_at_ms = now_ms;
}

void worker_node_end(struct worker *w, struct worker_node *n, uint64_t now_ms, struct str why)
{
    if (n->step == STEP_ENDING || n->step == STEP_ENDED) return;
    worker_node_count_served(n, now_ms);
    worker_text_fit(why, n->why, sizeof n->why, false);
    n->peers_count = 0;
    n->retry_ms    = 0;
    worker_node_move(w, n, STEP_ENDING);
}

/* Within what the state on the disk can say: a longer one is told anew before that. */
static uint64_t paid_until(const struct assignment *a, uint64_t from_ms)
{
    return from_ms + (uint64_t)span_min(a->paid, (struct span){ SPAN_MS_MAX }).ms;
}

static void node_create(struct worker *w, const struct assignment *a)
{
    struct worker_node *n = NULL;
    for (size_t i = 0; i < WORKER_NODES_MAX && !n; i++)
        if (w->nodes[i].step == STEP_FREE) n = &w->nodes[i];
    if (!n) return; /* a later step finds room */

    memset(n, 0, offsetof(struct worker_node, peers));
    n->assignment    = *a;
    n->ref           = ref_of(a);
    n->paid_until_ms = paid_until(a, w->desired_at_ms);
    worker_node_move(w, n, STEP_PREPARING);
}

/* What may change while a node lives: how long it is paid, tickets, where it is met, whether it is the
 * witness or the standby. */
static void node_renew(struct worker_node *n, const struct assignment *a, uint64_t now_ms)
{
    n->paid_until_ms = paid_until(a, now_ms);
    if (a->meets_count != n->assignment.meets_count ||
        memcmp(a->meets, n->assignment.meets, sizeof a->meets[0] * a->meets_count) != 0)
        n->has_meets = false;
    if (strcmp(a->tunnel, n->assignment.tunnel) != 0) n->tunnels_moved = true;
    n->assignment = *a;
}

/* ---- inputs ------------------------------------------------------------------------------------------ */

static void take_desired(struct worker *w, uint64_t now_ms, const struct desired *d)
{
    bool older =
        d->epoch < w->desired.epoch || (d->epoch == w->desired.epoch && d->version < w->desired.version);
    if (older) return;

    w->desired       = *d;
    w->desired_at_ms = now_ms;
    for (uint32_t i = 0; i < d->assignments_count; i++) {
        struct worker_node *n = node_find(w, ref_of(&d->assignments[i]));
        if (n) node_renew(n, &d->assignments[i], now_ms);
    }
    w->observe_dirty = true; /* says that it was seen */
    w->save_dirty    = true;
}

static void take_found(struct worker *w, struct worker_node *n, uint64_t now_ms, const struct worker_input *in)
{
    static const uint8_t none[MESH_KEY_BYTES];
    if (n->step != STEP_FINDING) return;

    if (in->found_container && in->found_mesh) {
        n->has_recipe = n->has_mesh = n->asked_mesh = true;
        n->is_past_start                            = n->served_at_ms > 0;
        n->started_ms                               = now_ms;
        if (!n->served_at_ms) n->served_at_ms = now_ms;
        worker_node_move(w, n, STEP_SERVING);
    } else if (!in->found_container && !in->found_mesh && memcmp(n->mesh_key, none, sizeof none) == 0) {
        worker_node_move(w, n, STEP_PREPARING);
    } else {
        worker_text_fit(in->log_end, n->log_end, sizeof n->log_end, true);
        worker_node_end(w, n, now_ms,
                        in->text.len ? in->text : STR("it ended while the worker was not running"));
    }
}

bool worker_is_final(struct err e)
{
    return e.code == ERR_MISSING || e.code == ERR_CORRUPT || e.code == ERR_INVALID || e.code == ERR_LIMIT;
}

static void take_recipe(struct worker *w, struct worker_node *n, uint64_t now_ms, const struct worker_input *in)
{
    if (n->step != STEP_PREPARING) return;
    n->asked_recipe = false;
    n->has_recipe   = !in->err.code;
    n->retry_ms     = now_ms + WORKER_RETRY_MS;
    worker_text_fit(in->err.code ? str_from(in->err.why) : STR(""), n->why, sizeof n->why, false);
    if (in->err.code && worker_is_final(in->err)) worker_node_end(w, n, now_ms, str_from(in->err.why));
    w->observe_dirty = true;
}

static void take_mesh(struct worker *w, struct worker_node *n, uint64_t now_ms, const struct worker_input *in)
{
    if (in->err.code) {
        worker_node_end(w, n, now_ms, str_from(in->err.why));
        return;
    }
    if (n->step != STEP_PREPARING) return;
    n->has_mesh = true;
    memcpy(n->mesh_key, in->key, MESH_KEY_BYTES);
    worker_text_fit(str_from(in->inside), n->inside, sizeof n->inside, false);
    w->observe_dirty = w->save_dirty = true;
}

static void take_inside(struct worker *w, struct worker_node *n, const struct worker_input *in)
{
    if (!n->has_mesh || strcmp(n->inside, in->inside) == 0) return;
    worker_text_fit(str_from(in->inside), n->inside, sizeof n->inside, false);
    w->observe_dirty = w->save_dirty = true;
}

static void take_container(struct worker *w, struct worker_node *n, uint64_t now_ms,
                           const struct worker_input *in)
{
    if (in->err.code) {
        worker_text_fit(in->log_end, n->log_end, sizeof n->log_end, true);
        worker_node_end(w, n, now_ms, in->text.len ? in->text : str_from(in->err.why));
        return;
    }
    if (n->step != STEP_STARTING) return;
    n->started_ms = n->served_at_ms = now_ms;
    worker_node_move(w, n, STEP_SERVING);
}

static void take_cleaned(struct worker *w, struct worker_node *n, uint64_t now_ms,
                         const struct worker_input *in)
{
    if (n->step != STEP_ENDING) return;
    n->asked    = false;
    n->retry_ms = now_ms + WORKER_RETRY_MS;
    if (!in->err.code) worker_node_move(w, n, STEP_ENDED);
}

static void take_link(struct worker *w, bool up)
{
    w->link_up       = up;
    w->observe_dirty = true;
    for (size_t i = 0; up && i < WORKER_NODES_MAX; i++) worker_peers_link_up(&w->nodes[i]);
}

static void take_synced(struct worker *w)
{
    w->is_saving = false;
    for (size_t i = 0; i < WORKER_NODES_MAX; i++) w->nodes[i].synced_ms = w->nodes[i].saving_ms;
}

static void take_for_node(struct worker *w, struct worker_node *n, uint64_t now_ms,
                          const struct worker_input *in)
{
    switch (in->kind) {
    case IN_FOUND: take_found(w, n, now_ms, in); break;
    case IN_RECIPE: take_recipe(w, n, now_ms, in); break;
    case IN_MESH: take_mesh(w, n, now_ms, in); break;
    case IN_INSIDE: take_inside(w, n, in); break;
    case IN_PEERS: worker_peers_take_seen(n, now_ms, in); break;
    case IN_REACHED: worker_peers_take_reached(n, in->key); break;
    case IN_CONTAINER: take_container(w, n, now_ms, in); break;
    case IN_LINE: worker_witness_take_line(n, now_ms, in->text); break;
    case IN_WITNESS:
        n->witness_runs     = false;
        n->witness_retry_ms = now_ms + WORKER_WITNESS_MS;
        break;
    case IN_COPY_LINE: worker_copy_take_line(w, n, in->text); break;
    case IN_COPY: worker_copy_ended(w, n, now_ms); break;
    case IN_TUNNEL: worker_tunnels_take(n, now_ms, in->tunnel); break;
    case IN_USED:
        n->cpu_milli    = in->cpu_milli;
        n->memory_bytes = in->memory_bytes;
        break;
    case IN_CLEANED: take_cleaned(w, n, now_ms, in); break;
    case IN_START:
    case IN_LINK_UP:
    case IN_LINK_DOWN:
    case IN_DESIRED:
    case IN_MAP:
    case IN_IMAGE:
    case IN_SYNCED:
    case IN_STOP_ALL:
    case IN_TICK:
    case IN_COUNT: check(false);
    }
}

static void take(struct worker *w, uint64_t now_ms, const struct worker_input *in)
{
    struct worker_node *n;
    switch (in->kind) {
    case IN_START:
        worker_images_start(w, in);
        worker_restore(w, now_ms, in);
        break;
    case IN_LINK_UP: take_link(w, true); break;
    case IN_LINK_DOWN: take_link(w, false); break;
    case IN_DESIRED: take_desired(w, now_ms, in->desired); break;
    case IN_MAP: worker_peers_take_map(w, now_ms, in->map); break;
    case IN_IMAGE: worker_images_take(w, now_ms, in); break;
    case IN_SYNCED: take_synced(w); break;
    case IN_STOP_ALL: w->stop_all = true; break;
    case IN_TICK: break;
    case IN_FOUND:
    case IN_RECIPE:
    case IN_MESH:
    case IN_INSIDE:
    case IN_PEERS:
    case IN_REACHED:
    case IN_CONTAINER:
    case IN_LINE:
    case IN_WITNESS:
    case IN_COPY_LINE:
    case IN_COPY:
    case IN_TUNNEL:
    case IN_USED:
    case IN_CLEANED:
        n = node_find(w, in->ref);
        if (n) take_for_node(w, n, now_ms, in); /* else: of a start that is over */
        break;
    case IN_COUNT: check(false);
    }
}

/* ---- what should be, against what is ----------------------------------------------------------------- */

/* Two starts of one node don't overlap. */
static bool is_blocked(const struct worker *w, const struct worker_node *n)
{
    for (size_t i = 0; i < WORKER_NODES_MAX; i++) {
        const struct worker_node *o = &w->nodes[i];
        if (o != n && o->step != STEP_FREE && o->step != STEP_ENDED && id_eq(o->ref.node.id, n->ref.node.id))
            return true;
    }
    return false;
}

/* What ends holds memory and GPUs until it is gone. */
static bool is_room(const struct worker *w)
{
    for (size_t i = 0; i < WORKER_NODES_MAX; i++)
        if (w->nodes[i].step == STEP_ENDING || w->nodes[i].step == STEP_FINDING) return false;
    return true;
}

static void prepare(struct worker *w, struct worker_node *n, uint64_t now_ms, struct worker_actions *out)
{
    if (is_blocked(w, n)) return;
    if (!n->has_recipe && !n->asked_recipe && now_ms >= n->retry_ms && worker_act(out, ACT_FETCH_RECIPE, w, n))
        n->asked_recipe = true;
    /* The recipe says what the namespace is to be like. */
    if (n->has_recipe && !n->asked_mesh && worker_act(out, ACT_MAKE_MESH, w, n)) n->asked_mesh = true;

    const struct worker_image *image = worker_image_find(w, n->assignment.image);
    if (n->has_recipe && n->has_mesh && image && image->held && is_room(w)) {
        n->why[0] = 0;
        worker_node_move(w, n, STEP_STARTING);
    }
}

static void serve(struct worker *w, struct worker_node *n, uint64_t now_ms, struct worker_actions *out)
{
    if (!n->is_past_start && now_ms >= n->started_ms + WORKER_STARTED_MS)
        n->is_past_start = w->observe_dirty = true;
    worker_witness_act(w, n, now_ms, out);
    worker_copy_act(w, n, now_ms, out);
    worker_tunnels_act(w, n, now_ms, out);
}

static void act_for(struct worker *w, struct worker_node *n, uint64_t now_ms, struct worker_actions *out)
{
    if (n->step == STEP_FINDING) ask_once(w, n, ACT_FIND, out);
    if (n->step == STEP_PREPARING) prepare(w, n, now_ms, out);
    if (n->step == STEP_STARTING) ask_once(w, n, ACT_START_CONTAINER, out);
    if (n->step == STEP_ENDING && now_ms >= n->retry_ms) ask_once(w, n, ACT_CLEAN, out);
    if (n->step == STEP_SERVING) serve(w, n, now_ms, out);

    if (n->has_mesh && n->step >= STEP_PREPARING && n->step <= STEP_SERVING) {
        if (!n->has_meets && worker_act(out, ACT_SET_MEETS, w, n)) n->has_meets = true;
        worker_peers_act(w, n, now_ms, out);
    }
}

static void compare(struct worker *w, uint64_t now_ms, struct worker_actions *out)
{
    for (size_t i = 0; i < WORKER_NODES_MAX; i++) {
        struct worker_node *n = &w->nodes[i];
        if (n->step == STEP_FREE) continue;
        bool wanted = worker_is_wanted(w, n);
        if (n->step != STEP_FINDING && !wanted)
            worker_node_end(w, n, now_ms, STR("it is no longer wanted here"));
        if (n->step != STEP_FINDING && now_ms >= n->paid_until_ms)
            worker_node_end(w, n, now_ms, STR("what was paid for is used up"));
        if (n->step == STEP_ENDED && !wanted) worker_node_move(w, n, STEP_FREE);
    }
    for (uint32_t i = 0; i < w->desired.assignments_count && !w->stop_all; i++)
        if (!node_find(w, ref_of(&w->desired.assignments[i]))) node_create(w, &w->desired.assignments[i]);

    worker_images_want(w, out);
    worker_images_act(w, now_ms, out);
    for (size_t i = 0; i < WORKER_NODES_MAX; i++)
        if (w->nodes[i].step != STEP_FREE) act_for(w, &w->nodes[i], now_ms, out);
}

static bool any_in(const struct worker *w, enum worker_step step)
{
    for (size_t i = 0; i < WORKER_NODES_MAX; i++)
        if (w->nodes[i].step == step) return true;
    return false;
}

void worker_step(struct worker *w, uint64_t now_ms, const struct worker_input *in, struct worker_actions *out)
{
    out->count = 0;
    out->save = out->observe = out->collect = out->more = false;
    take(w, now_ms, in);
    compare(w, now_ms, out);

    bool serves = any_in(w, STEP_SERVING);
    if (w->save_dirty || ((serves || w->is_saving) && now_ms >= w->saved_at_ms + WORKER_SAVE_MS)) {
        out->save     = true;
        w->save_dirty = false;
        w->is_saving  = true;
    }
    uint64_t period = serves ? WORKER_REPORT_MS : WORKER_OBSERVED_MS;
    bool     due    = w->observe_dirty || now_ms >= w->observed_at_ms + period;
    if (w->link_up && due && !any_in(w, STEP_FINDING)) { /* half found, it would seem to have ended */
        out->observe      = true;
        w->observe_dirty  = false;
        w->observed_at_ms = now_ms;
    }
}

uint64_t worker_wait_ms(const struct worker *w)
{
    bool any = false;
    for (size_t i = 0; i < WORKER_NODES_MAX; i++) {
        const struct worker_node *n = &w->nodes[i];
        if (n->step == STEP_FREE || n->step == STEP_ENDED) continue;
        if (worker_peers_are_waiting(n)) return 10;
        any = true;
    }
    return any ? 100 : 1000;
}
