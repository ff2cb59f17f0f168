/* Images: held ahead of need, one fetched at a time, those that a node waits for first. */
#include "worker_int.h"

#include <string.h>

#define FINAL_RETRY_MS 30000 /* what is not there may be put there */

const struct worker_image *worker_image_find(const struct worker *w, const char *image)
{
    for (size_t i = 0; i < WORKER_IMAGES_MAX; i++)
        if (w->images[i].image[0] && strcmp(w->images[i].image, image) == 0) return &w->images[i];
    return NULL;
}

void worker_images_start(struct worker *w, const struct worker_input *in)
{
    for (uint32_t i = 0; i < in->images_count && i < WORKER_IMAGES_MAX; i++) {
        w->images[i].held = true;
        memcpy(w->images[i].image, in->images[i].image, sizeof w->images[i].image);
    }
}

static void want(struct worker *w, const char *image, bool make_room, struct worker_actions *out)
{
    struct worker_image *room = (struct worker_image *)worker_image_find(w, image);
    if (!room && !make_room) return;
    for (size_t i = 0; i < WORKER_IMAGES_MAX && !room; i++)
        if (!w->images[i].image[0]) room = &w->images[i];
    for (size_t i = 0; i < WORKER_IMAGES_MAX && !room; i++)
        if (!w->images[i].wanted && !w->images[i].fetching) room = &w->images[i], out->collect = true;
    if (!room) return;

    if (strcmp(room->image, image) != 0) {
        *room = (struct worker_image){ .retry_ms = 0 };
        strcpy(room->image, image);
    }
    room->wanted = true;
}

static bool is_live(const struct worker_node *n)
{
    return n->step >= STEP_FINDING && n->step <= STEP_SERVING;
}

static void want_all(struct worker *w, bool make_room, struct worker_actions *out)
{
    for (size_t i = 0; i < WORKER_NODES_MAX; i++)
        if (is_live(&w->nodes[i])) want(w, w->nodes[i].assignment.image, make_room, out);
    for (uint32_t i = 0; i < w->desired.images_count; i++) want(w, w->desired.images[i].image, make_room, out);
}

void worker_images_want(struct worker *w, struct worker_actions *out)
{
    for (size_t i = 0; i < WORKER_IMAGES_MAX; i++) w->images[i].wanted = false;
    want_all(w, false, out); /* so that none of those that are there makes room for another */
    want_all(w, true, out);

    /* A network that names no image has said nothing about them: what is held stays. */
    if (!w->desired.images_count) return;
    for (size_t i = 0; i < WORKER_IMAGES_MAX; i++) {
        struct worker_image *g = &w->images[i];
        if (!g->image[0] || g->wanted || g->fetching) continue;
        out->collect = true;
        *g           = (struct worker_image){ .retry_ms = 0 };
    }
}

void worker_images_take(struct worker *w, uint64_t now_ms, const struct worker_input *in)
{
    char name[ASSIGN_IMAGE_TEXT];
    if (str_copy(in->text, name, sizeof name).code) return;
    struct worker_image *g = (struct worker_image *)worker_image_find(w, name);
    if (!g) return;

    bool final       = worker_is_final(in->err);
    g->fetching      = false;
    g->held          = !in->err.code;
    g->retry_ms      = now_ms + (final ? FINAL_RETRY_MS : WORKER_RETRY_MS);
    w->observe_dirty = true;
    worker_text_fit(str_from(in->err.code ? in->err.why : ""), g->why, sizeof g->why, false);
    for (size_t i = 0; i < WORKER_NODES_MAX; i++) {
        struct worker_node *n = &w->nodes[i];
        if (n->step != STEP_PREPARING || strcmp(n->assignment.image, name) != 0) continue;
        memcpy(n->why, g->why, sizeof n->why);
        if (final) worker_node_end(w, n, now_ms, str_from(in->err.why));
    }
}

static bool is_awaited(const struct worker *w, const struct worker_image *g)
{
    for (size_t i = 0; i < WORKER_NODES_MAX; i++)
        if (w->nodes[i].step == STEP_PREPARING && strcmp(w->nodes[i].assignment.image, g->image) == 0)
            return true;
    return false;
}

void worker_images_act(struct worker *w, uint64_t now_ms, struct worker_actions *out)
{
    struct worker_image *next = NULL;
    for (size_t i = 0; i < WORKER_IMAGES_MAX; i++) {
        struct worker_image *g = &w->images[i];
        if (g->fetching) return;
        if (!g->wanted || g->held || now_ms < g->retry_ms) continue;
        if (!next || (is_awaited(w, g) && !is_awaited(w, next))) next = g;
    }
    struct worker_action *a = next ? worker_act(out, ACT_FETCH_IMAGE, w, NULL) : NULL;
    if (!a) return;
    memcpy(a->image, next->image, sizeof a->image);
    next->fetching = true;
}
