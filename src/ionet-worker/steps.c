/* Inputs go into the worker, its actions are done here. */
#include "site.h"

#include "sys/log.h"
#include "sys/sys.h"

#include <string.h>

/* ---- images ------------------------------------------------------------------------------------------ */

static void on_image_step(void *ctx, enum image_step step, uint64_t done, uint64_t total)
{
    static const char *const names[IMAGE_STEP_COUNT] = { "asking", "fetching", "unpacking" };
    const struct site       *s                       = ctx;
    log_debug("image.step", LOG_TEXT("image", s->fetching), LOG_TEXT("step", names[step]),
              LOG_I64("done", done), LOG_I64("total", total));
}

static void on_image_done(void *ctx, struct err e, const char *detail)
{
    struct site        *s  = ctx;
    struct worker_input in = { .kind = IN_IMAGE, .err = e };
    char                image[ASSIGN_IMAGE_TEXT];
    memcpy(image, s->fetching, sizeof image); /* the step may begin with the next one */
    s->fetching[0] = 0;
    in.text        = str_from(image);
    if (e.code)
        log_warn("image.failed", LOG_TEXT("image", image), LOG_ERR(e), LOG_TEXT("detail", detail));
    else
        log_info("image.held", LOG_TEXT("image", image));
    site_step(s, &in);
}

static void fetch_image(struct site *s, const char *image)
{
    static const struct image_calls calls = { on_image_step, on_image_done };
    check(!s->fetching[0]); /* one at a time: that is the worker's rule */
    memcpy(s->fetching, image, sizeof s->fetching);
    struct err e = image_fetch(s->runtime, image, &calls, s);
    if (e.code) on_image_done(s, e, "");
}

static void collect_images(struct site *s)
{
    struct wanted_image keep[WORKER_IMAGES_MAX];
    uint32_t            count = 0;
    for (size_t i = 0; i < WORKER_IMAGES_MAX; i++)
        if (s->worker->images[i].image[0])
            memcpy(keep[count++].image, s->worker->images[i].image, ASSIGN_IMAGE_TEXT);
    image_collect(s->runtime, keep, count);
}

/* ---- actions ----------------------------------------------------------------------------------------- */

static void send_witnessed(struct site *s, const struct worker_action *a)
{
    static struct witnessed w;
    worker_witnessed(s->worker, a->slot, a->from, sys_boot_now_ms(), &w);
    uplink_send(s, LINK_WITNESSED, &w);
}

static void send_silent(struct site *s, const struct worker_action *a)
{
    struct mesh_silent m = { .node = a->ref.node, .lately = a->kind == ACT_SEND_UNHEARD };
    memcpy(m.key, a->peer.key, sizeof m.key);
    if (m.lately)
        log_debug("mesh.unheard", LOG_ID("node", a->ref.node), LOG_TEXT("address", a->peer.address));
    else
        log_info("mesh.silent", LOG_ID("node", a->ref.node), LOG_TEXT("address", a->peer.address));
    uplink_send(s, LINK_MESH_SILENT, &m);
}

static void send_reached(struct site *s, const struct worker_action *a)
{
    struct mesh_reached m = { .node = a->ref.node };
    memcpy(m.key, a->peer.key, sizeof m.key);
    log_info("mesh.reached", LOG_ID("node", a->ref.node), LOG_TEXT("address", a->peer.address),
             LOG_TEXT("endpoint", a->peer.endpoint));
    uplink_send(s, LINK_MESH_REACHED, &m);
}

static void act_on_node(struct site *s, const struct worker_action *a)
{
    struct node *n = node_of(s, a->ref);
    if (!n) return; /* that start ended while this list was worked off */
    switch (a->kind) {
    case ACT_FIND: node_find_left(n); break;
    case ACT_FETCH_RECIPE: recipe_fetch(n); break;
    case ACT_MAKE_MESH: node_make_mesh(n); break;
    case ACT_SET_MEETS: node_set_meets(n); break;
    case ACT_POKE_MEETS: node_poke_meets(n); break;
    case ACT_SET_PEER: node_set_peer(n, &a->peer, false); break;
    case ACT_REMOVE_PEER: node_set_peer(n, &a->peer, true); break;
    case ACT_TRY_PEER: node_try_peer(n, &a->peer); break;
    case ACT_MOVE_PEER: node_move_peer(n, &a->peer); break;
    case ACT_POKE_PEER: node_poke_peer(n, &a->peer); break;
    case ACT_READ_PEERS: node_read_peers(n); break;
    case ACT_START_CONTAINER: node_start(n); break;
    case ACT_START_WITNESS: node_start_witness(n); break;
    case ACT_STOP_WITNESS: node_stop_witness(n); break;
    case ACT_START_COPY: node_start_copy(n); break;
    case ACT_STOP_COPY: node_stop_copy(n); break;
    case ACT_DIAL_TUNNEL: tunnel_dial(n); break;
    case ACT_DROP_TUNNELS: tunnels_drop(n); break;
    case ACT_CLEAN: node_clean(n); break;
    case ACT_SEND_WITNESSED: send_witnessed(s, a); break;
    case ACT_SEND_SILENT:
    case ACT_SEND_UNHEARD: send_silent(s, a); break;
    case ACT_SEND_REACHED: send_reached(s, a); break;
    case ACT_FETCH_IMAGE:
    case ACT_COUNT: check(false);
    }
}

static void save(struct site *s)
{
    struct err e = state_save_worker(s);
    if (e.code && !s->save_failed) log_error("state.save", LOG_ERR(e));
    s->save_failed = e.code != ERR_NONE;
    if (!e.code) site_step(s, &(struct worker_input){ .kind = IN_SYNCED });
}

static void on_timer(void *ctx)
{
    struct site *s   = ctx;
    uint64_t     now = sys_boot_now_ms();
    if (now >= s->used_at_ms + SITE_USED_MS) {
        s->used_at_ms = now;
        for (size_t i = 0; i < WORKER_NODES_MAX; i++)
            if (s->nodes[i]) node_read_used(s->nodes[i]);
    }
    site_step(s, &(struct worker_input){ .kind = IN_TICK });
}

/* A repeating one, made anew when its period changes. */
static void keep_ticking(struct site *s)
{
    uint64_t wait_ms = worker_wait_ms(s->worker);
    if (wait_ms == s->timer_ms) return;
    if (s->timer) net_timer_stop(s->timer);
    s->timer     = NULL;
    s->timer_ms  = wait_ms;
    struct err e = net_timer_start(s->net, wait_ms, wait_ms, on_timer, s, &s->timer);
    if (e.code) log_error("timer", LOG_ERR(e));
}

static bool is_all_gone(const struct site *s)
{
    for (size_t i = 0; i < WORKER_NODES_MAX; i++)
        if (s->worker->nodes[i].step != STEP_FREE || s->nodes[i]) return false;
    return true;
}

static void act_on(struct site *s, const struct worker_actions *out)
{
    if (out->save) save(s);
    for (uint32_t i = 0; i < out->count && !s->stopping; i++) {
        if (out->list[i].kind == ACT_FETCH_IMAGE)
            fetch_image(s, out->list[i].image);
        else
            act_on_node(s, &out->list[i]);
    }
    if (out->observe) uplink_observe(s);
    if (out->collect) collect_images(s);
}

void site_step(struct site *s, const struct worker_input *in)
{
    static const struct worker_input tick = { .kind = IN_TICK };
    struct worker_actions            out  = { .more = !s->stopping };
    while (out.more && !s->stopping) {
        worker_step(s->worker, sys_boot_now_ms(), in, &out);
        act_on(s, &out);
        in = &tick;
    }
    if (s->stopping) return;
    keep_ticking(s);
    if (s->stop_all && is_all_gone(s)) site_stop(s);
}

void site_tell(struct site *s, enum worker_input_kind kind, struct worker_ref ref, struct err e)
{
    site_step(s, &(struct worker_input){ .kind = kind, .ref = ref, .err = e });
}

/* ---- the beginning ----------------------------------------------------------------------------------- */

struct left {
    const struct site     *site;
    struct container_found found[RUNTIME_NODES_MAX];
    uint32_t               count;
};

/* What ran in this boot, and is to be taken over. */
static bool is_saved(const struct site *s, const struct container_found *f)
{
    for (uint32_t i = 0; i < s->saved->nodes_count; i++) {
        const struct worker_saved_node *n = &s->saved->nodes[i];
        if (id_eq(n->assignment[0].node.id, f->node.id) && n->assignment[0].incarnation == f->incarnation)
            return strcmp(s->saved->boot_id, s->boot_id) == 0 && n->step != STEP_ENDING &&
                   n->step != STEP_ENDED;
    }
    return false;
}

static bool is_wanted_device(void *ctx, struct str name)
{
    const struct left *l = ctx;
    for (uint32_t i = 0; i < l->count; i++) {
        char here[WG_NAME_TEXT];
        node_mesh_name(l->found[i].node, here);
        if (is_saved(l->site, &l->found[i]) && str_eq(name, str_from(here))) return true;
    }
    return false;
}

static void on_swept(void *ctx, struct err e)
{
    (void)ctx;
    if (e.code) log_warn("sweep", LOG_ERR(e));
}

static bool is_remembered(const struct site *s, struct node_id node)
{
    for (uint32_t i = 0; i < s->saved->nodes_count; i++)
        if (id_eq(s->saved->nodes[i].assignment[0].node.id, node.id)) return true;
    return false;
}

struct err site_begin(struct site *s)
{
    struct left l = { .site = s };
    char        dir[SITE_PATH_TEXT];
    l.count = container_list(s->runtime, l.found, RUNTIME_NODES_MAX);
    site_mesh_dir(s, dir);
    TRY(wg_sweep(dir, is_wanted_device, &l));
    for (uint32_t i = 0; i < l.count; i++) {
        if (is_remembered(s, l.found[i].node)) continue;
        log_warn("sweep", LOG_ID("node", l.found[i].node));
        TRY(state_wipe_mesh_key(s, l.found[i].node));
        TRY(container_clean(s->runtime, l.found[i].node, on_swept, NULL));
    }

    static struct wanted_image images[WORKER_IMAGES_MAX];
    struct worker_input in = { .kind = IN_START, .saved = s->saved, .boot_id = s->boot_id, .images = images };
    in.images_count        = image_list(s->runtime, images, WORKER_IMAGES_MAX);
    site_step(s, &in);
    return OK;
}

/* ---- the end ----------------------------------------------------------------------------------------- */

static void on_runtime_closed(void *ctx)
{
    struct site *s = ctx;
    s->runtime     = NULL;
    net_stop(s->net);
}

static void begin_stop(struct site *s)
{
    s->stopping = true;
    log_info("stopping");
    struct err e = state_save_worker(s);
    if (e.code) log_error("state.save", LOG_ERR(e));
    if (s->timer) net_timer_stop(s->timer);
    s->timer = NULL;
    uplink_close(s);
    for (size_t i = 0; i < WORKER_NODES_MAX; i++)
        if (s->nodes[i]) node_leave(s->nodes[i]);
}

/* Called again as each mesh device is left. What the runtime is at for a node is ended by its closing. */
void site_stop(struct site *s)
{
    if (!s->stopping) begin_stop(s);
    for (size_t i = 0; i < WORKER_NODES_MAX; i++)
        if (s->nodes[i] && s->nodes[i]->wg) return;
    if (s->stopped) return;
    s->stopped = true;
    runtime_close(s->runtime, on_runtime_closed, s);
}
