/* sim.c: the world's clock: what happens next happens, until it has been enough; then all must come to rest. */
#include "sim_int.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BEGIN_MS 1700000000000
#define MEND_MS 60000       /* until all are linked again */
#define REST_MS 240000      /* until all that lives is ready */
#define REST_ENDED_MS 60000 /* and, ended, is settled */
#define LARGE_BYTES (1 << 18)
#define THINGS_CHECK_MS 1000 /* between two looks at what really runs */

static jmp_buf     stop; /* where a broken promise leads */
static struct sim *running;

/* ---- chance ------------------------------------------------------------------------------------------------------ */

uint64_t below(struct sim *s, uint64_t limit)
{
    return prng_below(&s->chance, limit);
}

bool strikes(struct sim *s, uint32_t of, uint32_t in)
{
    return s->is_faulty && below(s, in) < of;
}

void random_bytes(struct sim *s, uint8_t *out, size_t count)
{
    for (size_t i = 0; i < count; i += 8) {
        uint64_t some = prng_next(&s->chance);
        memcpy(out + i, &some, count - i < 8 ? count - i : 8);
    }
}

void mix(struct sim *s, uint64_t value)
{
    s->digest = (s->digest ^ value) * 0x9e3779b97f4a7c15u;
    s->digest ^= s->digest >> 31;
}

/* One draw a line: in a list their order would be the compiler's. */
static void choose_plan(struct sim *s)
{
    struct plan *p    = &s->plan;
    p->is_long        = below(s, 3) == 0;
    bool     is_large = !p->is_long && below(s, 25) == 0;
    uint64_t spread   = p->is_long ? 6 : below(s, 4) ? 20 : 60;
    p->inputs         = 20000 + below(s, 180000);
    p->machines       = (uint32_t)(is_large ? 100 + below(s, 150) : 3 + below(s, spread));
    p->gates          = 1 + (uint32_t)below(s, GATES_MAX);
    p->suppliers      = 1 + (uint32_t)below(s, 3);
    p->users          = 1 + (uint32_t)below(s, 4);
    p->sites          = 2 + (uint32_t)below(s, 20);
    p->tick_slack     = 1 + (uint32_t)below(s, p->is_long ? 10 : 3);
    p->client_ms      = p->is_long ? 20000 : 200 + (int64_t)below(s, 2000);
    p->trouble_ms     = p->is_long ? 60000 : 200 + (int64_t)below(s, 5000);
    p->delay_ms       = 2 + (int64_t)below(s, below(s, 3) ? 50 : 2000);
    p->outage_ms      = p->is_long ? 7200000 : 20000;
    p->loss           = below(s, 3) ? (uint32_t)below(s, 100) : 0;
    p->repeat         = below(s, 3) ? (uint32_t)below(s, 100) : 0;
    p->crash          = below(s, 3) ? (uint32_t)below(s, p->is_long ? 4 : 30) : 0;
    p->fails          = (uint32_t)below(s, 60);
    p->mutes          = below(s, 4) ? 0 : (uint32_t)below(s, 20);
    p->liars          = below(s, 2) ? (uint32_t)below(s, 50) : 0;
    p->drift_ppm_most = (uint32_t)below(s, 1000);
    p->jump_ms        = below(s, 2) ? (int64_t)below(s, 60000) : 0;
}

/* ---- events -------------------------------------------------------------------------------------------------------- */

static void arrive(struct sim *s, const struct event *e)
{
    struct parcel *p   = e->what;
    enum end_kind  end = (enum end_kind)(e->run >> 32);
    uint32_t       who = (uint32_t)e->run;
    if (p->kind == PARCEL_REPLY)
        client_reply(s, p);
    else if (end == END_GATE)
        gate_parcel(s, &s->gates[who], p);
    else if (end == END_COPY)
        machine_copy(s, &s->machines[who], p);
    else
        machine_parcel(s, &s->machines[who], p);
}

static void arrive_up(struct sim *s, struct event *e)
{
    struct letter *l    = e->what;
    struct link   *link = link_find(s, l->in.session);
    e->what             = NULL;
    if (e->run != s->control.run || (l->in.session && (!link || !link->is_open))) {
        free(l);
        return;
    }
    if (l->in.kind == INPUT_LINK_UP) link->is_asked = true;
    control_take(s, l);
}

static void worker_tick(struct sim *s, const struct event *e)
{
    struct machine *m = &s->machines[e->who];
    if (!m->is_up || e->run != m->timer) return;
    later(s, (int64_t)(m->timer_ms * (1 + below(s, s->plan.tick_slack))), EVENT_WORKER_TICK, e->who, e->run,
          NULL);
    machine_step(s, m, (struct worker_input){ .kind = IN_TICK });
}

static void connect(struct sim *s, const struct event *e)
{
    if (e->who >= MACHINES_MAX) {
        struct gate *g = &s->gates[e->who - MACHINES_MAX];
        if (g->run == e->run) gate_connect(s, g);
    } else {
        struct machine *m = &s->machines[e->who];
        if (m->is_up && m->run == e->run) machine_connect(s, m);
    }
}

static void happen(struct sim *s, struct event *e)
{
    struct gate *g = &s->gates[e->who % GATES_MAX];
    switch (e->kind) {
    case EVENT_TURN:
        if (e->run == s->control.run) control_turn(s);
        return;
    case EVENT_TICK:
        if (e->run == s->control.run) control_tick(s);
        return;
    case EVENT_START:
        if (e->run == s->control.run) control_start(s);
        return;
    case EVENT_LETTER: return arrive_up(s, e);
    case EVENT_PARCEL: return arrive(s, e);
    case EVENT_LINK_GONE: return link_gone(s, e->run);
    case EVENT_MACHINE:
        if (e->run == s->machines[e->who].run) machine_start(s, &s->machines[e->who]);
        return;
    case EVENT_WORKER_TICK: return worker_tick(s, e);
    case EVENT_CONNECT: return connect(s, e);
    case EVENT_DONE: return site_done(s, &s->machines[e->who], e);
    case EVENT_LINE: return site_line(s, e);
    case EVENT_GATE_TICK:
        if (e->run == g->run) gate_tick(s, g);
        return;
    case EVENT_GATE_START:
        if (e->run == g->run) gate_start(s, g);
        return;
    case EVENT_COPY: return machine_copy(s, &s->machines[e->who], NULL);
    case EVENT_CLIENT: return client_turn(s, &s->clients[e->who]);
    case EVENT_TROUBLE: return trouble(s);
    case EVENT_VOID: return;
    case EVENT_KIND_COUNT: break;
    }
    check(false);
}

/* The machine whose worker's process the event is for; null if it is for none's. */
static const struct machine *worker_of(const struct sim *s, const struct event *e)
{
    const struct parcel *p = e->what;
    if (e->kind == EVENT_WORKER_TICK || e->kind == EVENT_DONE) return &s->machines[e->who];
    if (e->kind == EVENT_CONNECT && e->who < MACHINES_MAX) return &s->machines[e->who];
    if (e->kind == EVENT_PARCEL && p->kind != PARCEL_REPLY && e->run >> 32 == END_WORKER)
        return &s->machines[(uint32_t)e->run];
    if (e->kind != EVENT_LINE) return NULL;
    const struct thing *t = table_at(&s->things, e->who);
    return &s->machines[t->machine];
}

static bool stands_still(struct sim *s, const struct event *e)
{
    const struct machine *m = worker_of(s, e);
    if (!m || !m->is_up || s->now_ms >= m->still_until_ms || !s->is_faulty) return false;
    later(s, m->still_until_ms - s->now_ms, e->kind, e->who, e->run, e->what);
    return true;
}

static bool go_on(struct sim *s)
{
    struct event e;
    check(events_take(&s->events, &e));
    if (s->now_ms / THINGS_CHECK_MS != e.due_ms / THINGS_CHECK_MS) checks_things(s);
    s->now_ms = e.due_ms;
    if (stands_still(s, &e)) return true;
    happen(s, &e);
    free(e.what);
    return true;
}

static void pass(struct sim *s, int64_t ms)
{
    int64_t end = s->now_ms + ms;
    while (s->events.heap[0].due_ms <= end) go_on(s);
    s->now_ms = end;
}

/* ---- the course of a world -------------------------------------------------------------------------------------------- */

static void begin(struct sim *s)
{
    s->now_ms    = BEGIN_MS;
    s->is_faulty = true;
    choose_plan(s);
    size_t bytes     = table_bytes(8192, sizeof(struct thing)) + table_bytes(4096, sizeof(struct group));
    s->things_memory = calloc(1, bytes);
    check(s->things_memory);
    struct arena a = ARENA_IN_ZEROS(s->things_memory, bytes);
    table_init(&s->things, &a, 8192, sizeof(struct thing), offsetof(struct thing, id));
    table_init(&s->groups, &a, 4096, sizeof(struct group), offsetof(struct group, id));
    store_open(&s->store);
    checks_open(s);
    control_open(s);
    for (uint32_t i = 0; i < s->plan.machines; i++) machine_open(s, i);
    for (uint32_t i = 0; i < s->plan.gates; i++) gate_open(s, i);
    control_start(s);
    clients_open(s);
    later(s, s->plan.trouble_ms, EVENT_TROUBLE, 0, 0, NULL);
}

static void finish(struct sim *s)
{
    for (uint32_t i = 0; i < s->plan.machines; i++) machine_close(&s->machines[i]);
    for (uint32_t i = 0; i < s->plan.gates; i++) gate_close(&s->gates[i]);
    control_close(s);
    checks_close(s);
    store_close(&s->store);
    events_finish(&s->events);
    free(s->things_memory);
}

/* No more harm is done, and what was done is mended. */
static void cease(struct sim *s)
{
    s->is_faulty = false;
    for (uint32_t i = 0; i < s->plan.machines; i++) {
        struct machine *m = &s->machines[i];
        m->cut_network = m->cut_mesh = m->disk_is_full = false;
        m->copy_until_ms                               = 0;
        if (m->has_token) machine_start(s, m);
        if (m->lies & LIE_TWICE) machine_crash(s, m, 100); /* its link stands on the lie */
    }
    for (uint32_t i = 0; i < s->plan.gates; i++) {
        s->gates[i].cut_network = false;
        gate_start(s, &s->gates[i]);
    }
    if (!s->control.up) {
        s->control.run++; /* it starts now */
        control_start(s);
    }
    int64_t ahead_ms = network_now(&s->control.n).ms - s->now_ms;
    if (ahead_ms > s->control.wall_ahead_ms)
        s->control.wall_ahead_ms = ahead_ms; /* or time would stand still */
}

static void count(struct sim *s)
{
    struct sim_figures *f = s->sum;
    for (const struct cluster *c = NULL; (c = table_next(&s->control.n.clusters, c));) {
        f->clusters++;
        f->ready += c->ready.ms > 0;
        f->healed += c->healed.ms > 0;
        f->ended += c->state == CLUSTER_ENDED;
        f->failed += c->state == CLUSTER_FAILED;
        f->nodes_lost += c->lost;
        f->charged_micros += (uint64_t)c->charged.micros;
    }
    f->worlds++;
    f->simulated_ms += (uint64_t)(s->now_ms - BEGIN_MS);
    f->digest ^= s->digest;
}

static void live(struct sim *s)
{
    uint64_t first = s->sum->network_inputs + s->sum->worker_inputs;
    begin(s);
    while (s->sum->network_inputs + s->sum->worker_inputs - first < s->plan.inputs) go_on(s);
    cease(s);
    pass(s, MEND_MS);
    checks_rest_told(s);
    clients_order(s);
    pass(s, REST_MS);
    checks_rest_live(s);
    clients_end_all(s);
    pass(s, REST_ENDED_MS);
    checks_full(s);
    checks_rest_ended(s);
    count(s);
}

/* ---- what is broken ------------------------------------------------------------------------------------------------------ */

void broken(struct sim *s, const char *checker, const char *why, ...)
{
    va_list args;
    fprintf(stderr, "checker %s failed, seed %lu, step %lu, %.3f s: ", checker, s->seed, s->control.steps,
            (double)(s->now_ms - BEGIN_MS) / 1000);
    va_start(args, why);
    vfprintf(stderr, why, args); /* NOLINT: the compilers check it */
    va_end(args);
    fprintf(stderr, "\n");
    longjmp(stop, 1);
}

static void core_broken(const char *condition, const char *file, int line)
{
    broken(running, "core-check", "%s:%d: %s", file, line, condition);
}

static bool lives(struct sim *s)
{
    if (setjmp(stop)) return false;
    live(s);
    return true;
}

bool sim_run(uint64_t seed, struct sim_figures *sum)
{
    mallopt(M_MMAP_THRESHOLD, LARGE_BYTES); /* a worker's megabytes come zeroed, and most are never touched */
    struct sim *s = calloc(1, sizeof *s);
    check(s);
    s->seed         = seed;
    s->chance.state = seed;
    s->sum          = sum;
    running         = s;
    check_print_by(core_broken);
    bool ok = lives(s);
    check_print_by(NULL);
    finish(s);
    free(s);
    return ok;
}

void sim_print(const struct sim_figures *f, double cpu_seconds)
{
    uint64_t inputs = f->network_inputs + f->worker_inputs;
    printf("worlds %lu inputs %lu (network %lu, workers %lu) inputs_per_s %.0f effects %lu hours %.1f clusters "
           "%lu "
           "ready %lu healed %lu ended %lu failed %lu nodes_lost %lu charged_micros %lu messages %lu lost %lu "
           "crashes %lu+%lu reboots %lu digest %016lx\n",
           f->worlds, inputs, f->network_inputs, f->worker_inputs,
           cpu_seconds > 0 ? (double)inputs / cpu_seconds : 0, f->effects,
           (double)f->simulated_ms / MS_PER_HOUR, f->clusters, f->ready, f->healed, f->ended, f->failed,
           f->nodes_lost, f->charged_micros, f->messages, f->messages_lost, f->network_crashes,
           f->worker_crashes, f->reboots, f->digest);
}
