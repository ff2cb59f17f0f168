/* A worker in a world that loses, repeats and delays what the network says, whose disks and registries fail,
 * and that restarts and reboots it: when the faults end, what runs is what the newest desired state says, and
 * at no moment was anything reported as served that did not run. */
#include "base/prng.h"
#include "worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEEDS 500
#define FAULTY_MS 40000
#define QUIET_MS 60000
#define THINGS_MAX 256
#define EVENTS_MAX 512
#define NODES 3

/* What there really is of one start of a node, and for how long its container ran. */
struct thing {
    struct worker_ref ref;
    bool              mesh, container;
    uint64_t          started_ms, ran_ms;
};

/* What is still to come: an answer to an action, or a message. */
struct event {
    uint64_t               due_ms;
    enum worker_input_kind kind;
    struct worker_ref      ref;
    char                   text[ASSIGN_IMAGE_TEXT];
    bool                   fails;
    struct desired         desired;
};

static struct {
    struct prng         p;
    uint64_t            seed, now, boot_at;
    bool                faulty;
    char                boot_id[8];
    struct worker      *w;
    struct worker_saved saved;
    bool                has_saved;
    struct thing        things[THINGS_MAX];
    uint32_t            things_count;
    struct event        events[EVENTS_MAX];
    uint32_t            events_count;
    struct desired      wanted; /* the network's newest */
    struct observed     observed;
} world;

static bool chance(uint64_t percent)
{
    return prng_below(&world.p, 100) < percent;
}

static uint64_t clock_ms(void)
{
    return world.now - world.boot_at;
}

static struct thing *thing_of(struct worker_ref ref)
{
    for (uint32_t i = 0; i < world.things_count; i++)
        if (worker_ref_eq(world.things[i].ref, ref)) return &world.things[i];
    assert_true(world.things_count < THINGS_MAX);
    world.things[world.things_count] = (struct thing){ .ref = ref };
    return &world.things[world.things_count++];
}

static void thing_stop(struct thing *t)
{
    if (t->container) t->ran_ms += world.now - t->started_ms;
    t->container = false;
}

static void thing_start(struct thing *t)
{
    assert_true(t->mesh);
    for (uint32_t i = 0; i < world.things_count; i++) {
        const struct thing *o = &world.things[i];
        if (o->container && id_eq(o->ref.node.id, t->ref.node.id))
            fail_msg("seed %lu: a node runs twice", world.seed);
    }
    t->container  = true;
    t->started_ms = world.now;
}

static void later(struct event e, uint64_t most_ms)
{
    if (world.events_count == EVENTS_MAX) return; /* as if it were lost */
    e.due_ms                           = world.now + prng_below(&world.p, most_ms);
    world.events[world.events_count++] = e;
}

/* ---- the worker's program ---------------------------------------------------------------------------- */

static void step(struct worker_input in);

static void answer_later(const struct worker_action *a, enum worker_input_kind kind)
{
    struct event e = { .kind = kind, .ref = a->ref, .fails = world.faulty && chance(10) };
    memcpy(e.text, a->image, sizeof e.text);
    later(e, 400);
}

static void find(const struct worker_action *a)
{
    struct thing       *t  = thing_of(a->ref);
    struct worker_input in = {
        .kind = IN_FOUND, .ref = a->ref, .found_mesh = t->mesh, .found_container = t->container
    };
    step(in);
}

static void work_on(const struct worker_action *a)
{
    switch (a->kind) {
    case ACT_FIND: find(a); break;
    case ACT_FETCH_RECIPE: answer_later(a, IN_RECIPE); break;
    case ACT_FETCH_IMAGE: answer_later(a, IN_IMAGE); break;
    case ACT_MAKE_MESH: answer_later(a, IN_MESH); break;
    case ACT_START_CONTAINER: answer_later(a, IN_CONTAINER); break;
    case ACT_CLEAN: answer_later(a, IN_CLEANED); break;
    case ACT_READ_PEERS: answer_later(a, IN_PEERS); break;
    case ACT_START_WITNESS: answer_later(a, IN_WITNESS); break;
    case ACT_DIAL_TUNNEL:
    case ACT_DROP_TUNNELS:
    case ACT_SET_MEETS:
    case ACT_POKE_MEETS:
    case ACT_SET_PEER:
    case ACT_REMOVE_PEER:
    case ACT_TRY_PEER:
    case ACT_MOVE_PEER:
    case ACT_STOP_WITNESS:
    case ACT_SEND_WITNESSED:
    case ACT_SEND_SILENT:
    case ACT_SEND_REACHED:
    case ACT_COUNT: break;
    }
}

/* Nothing is reported as served that did not run, and what was seen is never unseen, not even by a restart. */
static void take_report(void)
{
    uint64_t epoch = world.observed.epoch, version = world.observed.version;
    worker_observe(world.w, clock_ms(), &world.observed);
    if (world.observed.epoch < epoch || (world.observed.epoch == epoch && world.observed.version < version))
        fail_msg("seed %lu: it went back to an older desired state", world.seed);
    for (uint32_t i = 0; i < world.observed.nodes_count; i++) {
        const struct observed_node *o      = &world.observed.nodes[i];
        const struct thing         *t      = thing_of((struct worker_ref){ o->node, o->incarnation });
        uint64_t                    ran_ms = t->ran_ms + (t->container ? world.now - t->started_ms : 0);
        if (o->served_ms > ran_ms)
            fail_msg("seed %lu: %lu ms reported, %lu ms ran", world.seed, o->served_ms, ran_ms);
    }
}

static void step(struct worker_input in)
{
    struct worker_actions out;
    do {
        worker_step(world.w, clock_ms(), &in, &out);
        if (out.save) {
            worker_save(world.w, clock_ms(), &world.saved);
            world.has_saved = true;
            step((struct worker_input){ .kind = IN_SYNCED });
        }
        for (uint32_t i = 0; i < out.count; i++) work_on(&out.list[i]);
        if (out.observe) take_report();
        in = (struct worker_input){ .kind = IN_TICK };
    } while (out.more);
}

/* ---- what happens ------------------------------------------------------------------------------------ */

/* Cleaning awaits what was begun for the node, and undoes it. */
static void forget_begun(struct worker_ref ref)
{
    for (uint32_t i = 0; i < world.events_count;) {
        const struct event *e = &world.events[i];
        if ((e->kind == IN_MESH || e->kind == IN_CONTAINER) && worker_ref_eq(e->ref, ref))
            world.events[i] = world.events[--world.events_count];
        else
            i++;
    }
}

static void happen(const struct event *e)
{
    struct thing       *t  = e->kind == IN_IMAGE || e->kind == IN_DESIRED ? NULL : thing_of(e->ref);
    struct worker_input in = { .kind = e->kind, .ref = e->ref, .text = str_from(e->text), .inside = "" };
    if (e->fails) in.err = ERR(IO, "it failed");
    if (e->kind == IN_DESIRED) in.desired = &e->desired;
    if (e->kind == IN_MESH && !e->fails) t->mesh = true, in.key[0] = 1;
    if (e->kind == IN_CONTAINER && !e->fails && t->mesh) thing_start(t);
    if (e->kind == IN_CLEANED) {
        forget_begun(e->ref);
        thing_stop(t);
        t->mesh = e->fails && t->mesh;
    }
    step(in);
}

static void happen_due(void)
{
    for (uint32_t i = 0; i < world.events_count;) {
        struct event e = world.events[i];
        if (e.due_ms > world.now) {
            i++;
            continue;
        }
        world.events[i] = world.events[--world.events_count];
        happen(&e);
        i = 0;
    }
}

/* The program is killed: what it had asked for may have happened, and it never hears of it. */
static void restart(bool reboot)
{
    for (uint32_t i = 0; i < world.events_count; i++) {
        const struct event *e = &world.events[i];
        if (e->kind == IN_DESIRED || e->kind == IN_IMAGE || reboot || chance(50)) continue;
        struct thing *t = thing_of(e->ref);
        if (e->kind == IN_MESH) t->mesh = true;
        if (e->kind == IN_CONTAINER && t->mesh) thing_start(t);
        if (e->kind == IN_CLEANED) thing_stop(t);
    }
    world.events_count = 0;
    for (uint32_t i = 0; i < world.things_count && reboot; i++) {
        thing_stop(&world.things[i]);
        world.things[i].mesh = false;
    }
    if (reboot) {
        world.boot_at = world.now - 500;
        world.boot_id[0]++;
    }
    memset(world.w, 0, sizeof *world.w);
    step((struct worker_input){
        .kind = IN_START, .boot_id = world.boot_id, .saved = world.has_saved ? &world.saved : NULL });
    step((struct worker_input){ .kind = IN_LINK_UP });
}

static void container_ends(void)
{
    struct thing *t = world.things_count ? &world.things[prng_below(&world.p, world.things_count)] : NULL;
    if (!t || !t->container) return;
    thing_stop(t);
    step((struct worker_input){ .kind = IN_CONTAINER, .ref = t->ref, .err = ERR(IO, "it ended") });
}

/* ---- the network ------------------------------------------------------------------------------------- */

static struct assignment assignment_of(uint8_t node, uint64_t incarnation)
{
    struct assignment a = { .incarnation  = incarnation,
                            .index        = node,
                            .head_index   = 1,
                            .nodes        = NODES,
                            .cpus_milli   = 1000,
                            .memory_bytes = 1 << 30,
                            .witness      = node == 1,
                            .paid         = { 3600000 } };
    memset(a.node.id.bytes, node, ID_BYTES);
    strcpy(a.image, "r/i@sha256:00");
    return a;
}

static uint64_t next_incarnation[NODES + 1];

static void change_mind(void)
{
    struct desired *d = &world.wanted;
    if (chance(5)) d->epoch++;
    d->version++;
    d->assignments_count = 0;
    for (uint8_t node = 1; node <= NODES; node++) {
        if (chance(30)) continue;
        if (chance(30)) next_incarnation[node]++;
        d->assignments[d->assignments_count++] = assignment_of(node, next_incarnation[node]);
    }
}

static void tell(void)
{
    struct event e = { .kind = IN_DESIRED, .desired = world.wanted };
    if (world.faulty && chance(30)) return;
    later(e, world.faulty ? 3000 : 50);
    if (world.faulty && chance(30)) later(e, 6000);
}

/* As the network does: what ended by itself is started once more. */
static void mend(void)
{
    bool changed = false;
    for (uint32_t i = 0; i < world.observed.nodes_count; i++) {
        const struct observed_node *o = &world.observed.nodes[i];
        for (uint32_t k = 0; k < world.wanted.assignments_count; k++) {
            struct assignment *a = &world.wanted.assignments[k];
            if (!id_eq(a->node.id, o->node.id) || a->incarnation != o->incarnation || o->phase != PHASE_ENDED)
                continue;
            a->incarnation = ++next_incarnation[a->index];
            changed        = true;
        }
    }
    if (changed) {
        world.wanted.version++;
        tell();
    }
}

/* ---- the test ---------------------------------------------------------------------------------------- */

static void pass(uint64_t ms)
{
    world.now += ms;
    happen_due();
    step((struct worker_input){ .kind = IN_TICK });
}

static void live_with_faults(void)
{
    world.faulty = true;
    while (world.now < world.boot_at + FAULTY_MS && world.now < 3 * FAULTY_MS) {
        if (chance(10)) change_mind();
        if (chance(30)) tell();
        if (chance(3)) restart(chance(30));
        if (chance(3)) container_ends();
        if (chance(5)) step((struct worker_input){ .kind = chance(50) ? IN_LINK_UP : IN_LINK_DOWN });
        pass(prng_below(&world.p, 500));
    }
}

static void is_as_wanted(void)
{
    uint32_t running = 0;
    for (uint32_t i = 0; i < world.things_count; i++) {
        const struct thing *t = &world.things[i];
        if (!t->mesh && !t->container) continue;
        const struct worker_node *n = worker_find(world.w, t->ref);
        if (!n || n->step != STEP_SERVING) fail_msg("seed %lu: something was left behind", world.seed);
        running += t->container;
    }
    if (running != world.wanted.assignments_count)
        fail_msg("seed %lu: %u run of %u", world.seed, running, world.wanted.assignments_count);
    for (uint32_t i = 0; i < world.wanted.assignments_count; i++) {
        const struct assignment  *a = &world.wanted.assignments[i];
        const struct worker_node *n = worker_find(world.w, (struct worker_ref){ a->node, a->incarnation });
        if (!n || n->step != STEP_SERVING) fail_msg("seed %lu: a wanted node does not serve", world.seed);
    }
    for (size_t i = 0; i < WORKER_NODES_MAX; i++)
        if (world.w->nodes[i].step != STEP_FREE && world.w->nodes[i].step != STEP_SERVING)
            fail_msg("seed %lu: a node is stuck", world.seed);
}

static void whatever_went_wrong_the_newest_desired_state_is_reached(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct worker *w = world.w;
        memset(&world, 0, sizeof world);
        memset(next_incarnation, 0, sizeof next_incarnation);
        for (size_t i = 0; i <= NODES; i++) next_incarnation[i] = 1;
        world.w       = w;
        world.p.state = world.seed = seed;
        world.wanted.epoch         = 1;
        strcpy(world.boot_id, "a");
        restart(false);
        live_with_faults();

        world.faulty = false;
        step((struct worker_input){ .kind = IN_LINK_UP });
        world.wanted.version++;
        for (uint64_t end = world.now + QUIET_MS; world.now < end;) {
            if (chance(20)) tell();
            pass(100);
            mend();
        }
        is_as_wanted();
    }
}

static int begin(void **state)
{
    (void)state;
    world.w = calloc(1, sizeof *world.w);
    return world.w ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    free(world.w);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whatever_went_wrong_the_newest_desired_state_is_reached, begin, end),
    };
    return cmocka_run_group_tests_name("worker converges", tests, NULL, NULL);
}
