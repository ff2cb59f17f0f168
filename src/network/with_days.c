/* with_days.c: what machines do day by day. */
#include "with_days_int.h"

#include <string.h>

#define COUNTS_MAX 1024
#define START_MS 4000 /* that a container takes to come up */

static struct {
    struct id cluster;
    bool      spoilt;
    struct served {
        struct id node;
        uint64_t  ms;     /* since its start */
        bool      unseen; /* by any witness but its own */
        bool      ends;   /* its container does, once it runs */
    } served[COUNTS_MAX];
    struct seen {
        struct id by;
        uint32_t  index;
        uint64_t  ms;
        bool      alive; /* in the last line */
    } seen[COUNTS_MAX];
    uint32_t served_count, seen_count;
} days;

int days_open(void **state)
{
    memset(&days, 0, sizeof days);
    story_open(state);
    w.recipe = "kept";
    w.copied = true;
    return 0;
}

static struct served *served_of(struct id node)
{
    for (uint32_t i = 0; i < days.served_count; i++)
        if (id_eq(days.served[i].node, node)) return &days.served[i];
    check(days.served_count < COUNTS_MAX);
    struct served *s = &days.served[days.served_count++];
    *s               = (struct served){ node, 0, false, days.spoilt };
    return s;
}

static struct seen *seen_of(struct id by, uint32_t index)
{
    for (uint32_t i = 0; i < days.seen_count; i++)
        if (id_eq(days.seen[i].by, by) && days.seen[i].index == index) return &days.seen[i];
    check(days.seen_count < COUNTS_MAX);
    days.seen[days.seen_count++] = (struct seen){ by, index, 0, false };
    return &days.seen[days.seen_count - 1];
}

static bool is_live(const struct node *x)
{
    return id_eq(x->cluster.id, days.cluster) && (x->state == NODE_PLACED || x->state == NODE_SERVING);
}

/* Its machine is there, and its container runs. */
static bool is_up(const struct node *x)
{
    const struct served *s = served_of(x->id.id);
    return is_live(x) && w.device_session[world_device_of(&w, x)] && s->ms >= START_MS && !s->ends;
}

/* A head that has nothing to restore does not begin. */
static bool restores_nothing(const struct node *x)
{
    for (const struct node *y = NULL; (y = table_next(&w.n.nodes, y));)
        if (is_up(y) && y->index == x->restores && w.copied) return false;
    return x->restores && !x->passed.ms;
}

static void report(const struct node *x)
{
    int             i = world_device_of(&w, x);
    struct served  *s = served_of(x->id.id);
    struct observed o = { .epoch = w.n.meta.epoch, .images_count = 1, .nodes_count = 1 };
    o.version         = network_device(&w.n, x->device.id)->version;
    memcpy(o.images[0].image, WORLD_IMAGE, sizeof WORLD_IMAGE);
    s->ms += 1000;
    s->ends |= s->ms == START_MS && restores_nothing(x);
    bool begins = s->ms < START_MS, ends = s->ends && !begins;
    o.nodes[0] = (struct observed_node){ .node        = x->id,
                                         .incarnation = x->incarnation,
                                         .phase       = ends     ? PHASE_ENDED
                                                        : begins ? PHASE_MESH
                                                                 : PHASE_RUNNING,
                                         .served_ms   = begins || ends ? 0 : s->ms - START_MS,
                                         .copied      = x->standby && w.copied };
    memcpy(o.nodes[0].mesh_key, x->mesh_key, sizeof x->mesh_key);
    if (ends) memcpy(o.nodes[0].why, "exit 1", sizeof "exit 1");
    world_observe(&w, i, &o);
}

static void witness(const struct node *by)
{
    struct witnessed   seen = { .node = by->id, .incarnation = by->incarnation };
    const struct node *head = days_head();
    if (head) memcpy(seen.head_key, head->mesh_key, sizeof seen.head_key);
    for (const struct node *x = NULL; (x = table_next(&w.n.nodes, x));) {
        if (!is_live(x)) continue;
        struct seen *s     = seen_of(by->id.id, x->index);
        bool         alive = is_up(x) && (x == by || !served_of(x->id.id)->unseen);
        if (alive && s->alive) s->ms += 1000;
        s->alive                           = alive;
        seen.entries[seen.entries_count++] = (struct witness_entry){ x->index, s->ms, alive };
    }
    world_step(&w, &(struct input){ .kind      = INPUT_WITNESSED,
                                    .session   = w.device_session[world_device_of(&w, by)],
                                    .subject   = by->device.id,
                                    .witnessed = &seen });
}

static void idle_report(int i)
{
    const struct device *d = network_device(&w.n, w.devices[i].id);
    if (w.device_session[i] && d->nodes_count == 0) world_report(&w, i);
}

void days_pass(int seconds)
{
    while (seconds-- > 0) {
        for (int i = 0; i < 5; i++) world_pass(&w, NETWORK_TICK_MS);
        for (int i = 0; i < WORLD_DEVICES; i++) idle_report(i);
        for (const struct node *x = NULL; (x = table_next(&w.n.nodes, x));)
            if (is_live(x) && !x->has_key && w.device_session[world_device_of(&w, x)])
                world_work(&w, days.cluster, PHASE_MESH, 0);
        for (const struct node *x = NULL; (x = table_next(&w.n.nodes, x));)
            if (is_live(x) && w.device_session[world_device_of(&w, x)]) report(x);
        for (const struct node *x = NULL; (x = table_next(&w.n.nodes, x));)
            if (is_up(x) && x->witness) witness(x);
    }
}

struct id days_ready(int machines, uint32_t size, int64_t duration_ms)
{
    struct id quote;
    world_come(&w, machines);
    check(world_quote(&w, size, duration_ms, &quote, NULL).code == ERR_NONE);
    check(world_create(&w, quote, &days.cluster, NULL).code == ERR_NONE);
    days_pass(8);
    check(days_cluster()->state == CLUSTER_READY);
    return days.cluster;
}

void days_die(const struct node *x)
{
    world_link_goes(&w, world_device_of(&w, x));
}

void days_die_all(void)
{
    for (int i = 0; i < WORLD_DEVICES; i++)
        if (w.device_session[i]) world_link_goes(&w, i);
}

void days_return(int device)
{
    check(world_link(&w, device, 1, false).code == ERR_NONE);
}

void days_unseen(const struct node *x, bool unseen)
{
    served_of(x->id.id)->unseen = unseen;
}

void days_spoil(bool spoilt)
{
    days.spoilt = spoilt;
}

const struct node *days_head(void)
{
    for (const struct node *x = NULL; (x = table_next(&w.n.nodes, x));)
        if (is_live(x) && x->role == NODE_HEAD) return x;
    return NULL;
}

const struct node *days_standby(void)
{
    for (const struct node *x = NULL; (x = table_next(&w.n.nodes, x));)
        if (is_live(x) && x->standby) return x;
    return NULL;
}

const struct node *days_worker(bool witness_too)
{
    for (const struct node *x = NULL; (x = table_next(&w.n.nodes, x));)
        if (is_live(x) && x->role == NODE_WORKER && !x->standby && x->witness == witness_too) return x;
    return NULL;
}

const struct cluster *days_cluster(void)
{
    return network_cluster(&w.n, days.cluster);
}

int days_placed(void)
{
    int count = 0;
    for (const struct node *x = NULL; (x = table_next(&w.n.nodes, x));)
        count += id_eq(x->cluster.id, days.cluster);
    return count;
}

int64_t days_charged(void)
{
    return network_charged(&w.n, days_cluster()).micros;
}
