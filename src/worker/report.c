/* What is told to the network, and what is written to the disk and read from it. */
#include "worker_int.h"

#include <string.h>

#define MOMENT_MAX ((int64_t)1 << 52)

static const char *const step_names[STEP_COUNT] = { "free",    "finding", "preparing", "starting",
                                                    "serving", "ending",  "ended" };

static const struct field saved_node_fields[] = {
    FIELD_LIST(struct worker_saved_node, assignment, assignment_count, &assignment_type, SEEN_OPERATOR, LIVE,
               "what was asked for"),
    FIELD_U32(struct worker_saved_node, slot, 0, WORKER_NODES_MAX - 1, SEEN_OPERATOR, LIVE,
              "its place in the worker"),
    FIELD_BOOL(struct worker_saved_node, wanted, SEEN_OPERATOR, LIVE, "the newest desired state lists it"),
    FIELD_ENUM(struct worker_saved_node, step, step_names, SEEN_OPERATOR, LIVE, "how far it is"),
    FIELD_U64(struct worker_saved_node, paid_until_ms, 0, MOMENT_MAX, SEEN_OPERATOR, LIVE, "since that boot"),
    FIELD_U64(struct worker_saved_node, served_ms, 0, MOMENT_MAX, SEEN_OPERATOR, LIVE, "served in all"),
    FIELD_U64(struct worker_saved_node, served_at_ms, 0, MOMENT_MAX, SEEN_OPERATOR, LIVE, "counted until then"),
    FIELD_BYTES(struct worker_saved_node, mesh_key, SEEN_OPERATOR, LIVE, "public half"),
    FIELD_TEXT(struct worker_saved_node, inside, SEEN_OPERATOR, LIVE, "where its mesh device listens at home"),
    FIELD_BYTES(struct worker_saved_node, head_key, SEEN_OPERATOR, OPTIONAL,
                "mesh key of the peer at the head's address"),
    FIELD_BOOL(struct worker_saved_node, copied, SEEN_OPERATOR, OPTIONAL,
               "its copy of the head's state is whole"),
    FIELD_TEXT(struct worker_saved_node, why, SEEN_OPERATOR, LIVE, "why it ended"),
    FIELD_LINES(struct worker_saved_node, log_end, SEEN_OPERATOR, LIVE, "the end of its log"),
    FIELD_LIST(struct worker_saved_node, seen, seen_count, &witness_entry_type, SEEN_OPERATOR, LIVE,
               "whom its witness saw"),
};
static const struct record_type saved_node_type =
    RECORD_TYPE("worker_saved_node", "worker_saved_nodes", struct worker_saved_node, saved_node_fields,
                "a node of this worker");

static const struct field saved_fields[] = {
    FIELD_TEXT(struct worker_saved, boot_id, SEEN_OPERATOR, LIVE, "the boot that its moments belong to"),
    FIELD_U64(struct worker_saved, epoch, 0, MOMENT_MAX, SEEN_OPERATOR, LIVE, "of the newest desired state"),
    FIELD_U64(struct worker_saved, version, 0, MOMENT_MAX, SEEN_OPERATOR, LIVE, "of the newest desired state"),
    FIELD_LIST(struct worker_saved, nodes, nodes_count, &saved_node_type, SEEN_OPERATOR, LIVE, "its nodes"),
};
const struct record_type worker_saved_type =
    RECORD_TYPE("worker_saved", "worker_saveds", struct worker_saved, saved_fields, "what a worker remembers");

/* ---- up ---------------------------------------------------------------------------------------------- */

static enum node_phase phase_of(const struct worker *w, const struct worker_node *n)
{
    const struct worker_image *image = worker_image_find(w, n->assignment.image);
    switch (n->step) {
    case STEP_PREPARING:
        if (!n->has_recipe && !n->asked_recipe) return PHASE_ASKED;
        return image && image->held ? PHASE_MESH : PHASE_IMAGE;
    case STEP_STARTING: return PHASE_MESH;
    case STEP_SERVING: return n->is_past_start ? PHASE_RUNNING : PHASE_STARTING;
    case STEP_ENDING:
    case STEP_ENDED: return PHASE_ENDED;
    case STEP_FREE:
    case STEP_FINDING:
    case STEP_COUNT: break;
    }
    return PHASE_ASKED;
}

static uint64_t served_now_ms(const struct worker_node *n, uint64_t now_ms)
{
    bool counts = n->step == STEP_SERVING && now_ms > n->served_at_ms;
    return n->served_ms + (counts ? now_ms - n->served_at_ms : 0);
}

static void observe_node(const struct worker *w, const struct worker_node *n, uint64_t now_ms,
                         struct observed_node *o)
{
    uint64_t served_ms = served_now_ms(n, now_ms), most_ms = n->synced_ms + WORKER_UNSYNCED_MS;
    *o = (struct observed_node){ .node         = n->ref.node,
                                 .incarnation  = n->ref.incarnation,
                                 .phase        = phase_of(w, n),
                                 .served_ms    = served_ms < most_ms ? served_ms : most_ms,
                                 .copied       = n->step == STEP_SERVING && n->copied,
                                 .cpu_milli    = n->cpu_milli,
                                 .memory_bytes = n->memory_bytes };
    memcpy(o->mesh_key, n->mesh_key, sizeof o->mesh_key);
    memcpy(o->inside, n->inside, sizeof o->inside);
    memcpy(o->why, n->why, sizeof o->why);
    if (o->phase == PHASE_ENDED) memcpy(o->log_end, n->log_end, sizeof o->log_end);
}

static void observe_trouble(const struct worker *w, struct observed *out)
{
    for (size_t i = 0; i < WORKER_IMAGES_MAX; i++) {
        const struct worker_image *g = &w->images[i];
        if (!g->wanted || g->held || !g->why[0]) continue;
        char        room[ASSIGN_IMAGE_TEXT + ASSIGN_WHY_TEXT + 16];
        struct text t = TEXT_IN(room);
        text_add(&t, STR("image "));
        text_add(&t, str_from(g->image));
        text_add(&t, STR(": "));
        text_add(&t, str_from(g->why));
        worker_text_fit(text_str(&t), out->trouble, sizeof out->trouble, false);
        return;
    }
}

void worker_observe(const struct worker *w, uint64_t now_ms, struct observed *out)
{
    memset(out, 0, sizeof *out);
    out->epoch   = w->desired.epoch;
    out->version = w->desired.version;
    /* There is room for the wanted ones, and for some of the others. */
    for (int wanted = 1; wanted >= 0; wanted--) {
        for (size_t i = 0; i < WORKER_NODES_MAX && out->nodes_count < ASSIGNMENTS_MAX; i++) {
            const struct worker_node *n = &w->nodes[i];
            if (n->step == STEP_FREE || worker_is_wanted(w, n) != (wanted == 1)) continue;
            observe_node(w, n, now_ms, &out->nodes[out->nodes_count++]);
        }
    }
    for (size_t i = 0; i < WORKER_IMAGES_MAX && out->images_count < ASSIGN_IMAGES_MAX; i++)
        if (w->images[i].held)
            memcpy(out->images[out->images_count++].image, w->images[i].image, ASSIGN_IMAGE_TEXT);
    observe_trouble(w, out);
}

/* ---- the disk ---------------------------------------------------------------------------------------- */

void worker_save(struct worker *w, uint64_t now_ms, struct worker_saved *out)
{
    memcpy(out->boot_id, w->boot_id, sizeof out->boot_id);
    out->epoch       = w->desired.epoch;
    out->version     = w->desired.version;
    out->nodes_count = 0;
    w->saved_at_ms   = now_ms;
    for (size_t i = 0; i < WORKER_NODES_MAX; i++) {
        struct worker_node *n = &w->nodes[i];
        if (n->step == STEP_FREE) continue;
        struct worker_saved_node *s = &out->nodes[out->nodes_count++];
        worker_node_count_served(n, now_ms);
        n->saving_ms        = n->served_ms;
        s->assignment[0]    = n->assignment;
        s->assignment_count = 1;
        s->slot             = (uint32_t)i;
        s->wanted           = worker_is_wanted(w, n);
        s->step             = n->step;
        s->paid_until_ms    = n->paid_until_ms;
        s->served_ms        = n->served_ms;
        s->served_at_ms     = n->served_at_ms;
        s->seen_count       = n->seen_count;
        s->copied           = n->copied;
        memcpy(s->head_key, n->head_key, sizeof s->head_key);
        memcpy(s->mesh_key, n->mesh_key, sizeof s->mesh_key);
        memcpy(s->inside, n->inside, sizeof s->inside);
        memcpy(s->why, n->why, sizeof s->why);
        memcpy(s->log_end, n->log_end, sizeof s->log_end);
        for (uint32_t k = 0; k < n->seen_count; k++) s->seen[k] = n->seen[k].entry;
    }
}

static void restore_node(struct worker *w, struct worker_node *n, const struct worker_saved_node *s,
                         bool same_boot)
{
    const struct assignment *a = &s->assignment[0];
    n->assignment              = *a;
    n->ref                     = (struct worker_ref){ a->node, a->incarnation };
    n->paid_until_ms           = same_boot ? s->paid_until_ms : 0;
    n->served_ms = n->saving_ms = n->synced_ms = s->served_ms;
    n->served_at_ms                            = same_boot ? s->served_at_ms : 0;
    memcpy(n->mesh_key, s->mesh_key, sizeof n->mesh_key);
    memcpy(n->inside, s->inside, sizeof n->inside);
    memcpy(n->why, s->why, sizeof n->why);
    memcpy(n->log_end, s->log_end, sizeof n->log_end);
    n->copied = s->copied;
    memcpy(n->head_key, s->head_key, sizeof n->head_key);
    n->seen_count = s->seen_count;
    for (uint32_t k = 0; k < s->seen_count; k++) {
        n->seen[k].entry       = s->seen[k];
        n->seen[k].entry.alive = false; /* until a line says so again */
    }

    bool lived = s->step != STEP_ENDING && s->step != STEP_ENDED;
    if (lived && !same_boot) worker_text_fit(STR("its machine was started anew"), n->why, sizeof n->why, false);
    worker_node_move(w, n,
                     s->step == STEP_ENDED ? STEP_ENDED
                     : lived && same_boot  ? STEP_FINDING
                                           : STEP_ENDING);
}

void worker_restore(struct worker *w, uint64_t now_ms, const struct worker_input *in)
{
    const struct worker_saved *saved = in->saved;
    check(strlen(in->boot_id) < sizeof w->boot_id);
    strcpy(w->boot_id, in->boot_id);
    if (!saved) return;

    bool same_boot     = strcmp(saved->boot_id, w->boot_id) == 0;
    w->desired.epoch   = saved->epoch;
    w->desired.version = saved->version;
    w->desired_at_ms   = now_ms;
    for (uint32_t i = 0; i < saved->nodes_count; i++) {
        const struct worker_saved_node *s = &saved->nodes[i];
        if (s->assignment_count != 1 || s->step == STEP_FREE || w->nodes[s->slot].step != STEP_FREE) continue;
        restore_node(w, &w->nodes[s->slot], s, same_boot);
        if (s->wanted && w->desired.assignments_count < ASSIGNMENTS_MAX)
            w->desired.assignments[w->desired.assignments_count++] = s->assignment[0];
    }
}
