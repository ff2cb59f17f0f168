/* machine.c: a supplier's machine and the worker's program on it: its starts and ends, its disk, its link. */
#include "sim_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_WAIT_MS 500
#define LINK_SILENT_MS 3000
#define COPY_TRIES_MS 1500
#define COPY_STAYS_MS 20000

int64_t machine_clock(const struct sim *s, const struct machine *m)
{
    int64_t up_ms = s->now_ms - m->boot_at_ms;
    return 1000 + up_ms + up_ms * m->drift_ppm / 1000000;
}

struct machine *machine_of(struct sim *s, struct id device)
{
    for (uint32_t i = 0; i < s->plan.machines; i++)
        if (id_eq(s->machines[i].id, device)) return &s->machines[i];
    return NULL;
}

static void boot(struct sim *s, struct machine *m)
{
    uint64_t ppm  = s->plan.drift_ppm_most;
    m->is_powered = true;
    m->boot_at_ms = s->now_ms;
    m->drift_ppm  = (int64_t)below(s, 2 * ppm + 1) - (int64_t)ppm;
    m->boots++;
    snprintf(m->boot_id, sizeof m->boot_id, "%u-%lu", m->place, m->boots);
}

void machine_open(struct sim *s, uint32_t place)
{
    struct machine *m = &s->machines[place];
    m->place          = place;
    m->site           = (uint32_t)below(s, s->plan.sites);
    m->is_symmetric   = below(s, 4) == 0;
    if (below(s, 100) < s->plan.liars) m->lies = (uint32_t)below(s, LIE_ALL + 1);
    m->specs.cpus         = 2 + (uint32_t)below(s, 15);
    m->specs.memory_bytes = (4 + below(s, 64)) << 30;
    m->specs.disk_bytes   = (uint64_t)1 << 40;
    m->specs.gpus_count   = below(s, 2) ? (uint32_t)below(s, 5) : 0;
    memcpy(m->specs.arch, "x86_64", 7);
    for (uint32_t i = 0; i < m->specs.gpus_count; i++) {
        m->specs.gpus[i].memory_mib = 81920;
        snprintf(m->specs.gpus[i].uuid, sizeof m->specs.gpus[i].uuid, "GPU-%u-%u", place, i);
        memcpy(m->specs.gpus[i].chip, "H100", 5);
    }
    random_bytes(s, m->key, sizeof m->key);
    m->disk = calloc(1, sizeof *m->disk);
    check(m->disk);
    boot(s, m);
}

void machine_close(struct machine *m)
{
    free(m->w);
    free(m->disk);
}

static int64_t below_ms(struct sim *s, uint64_t most)
{
    return (int64_t)below(s, most);
}

/* ---- the disk --------------------------------------------------------------------------------------------------------- */

/* Either the file is replaced, or it stays: and the program may be killed on either side of that. */
static void save(struct sim *s, struct machine *m)
{
    static struct worker_saved lost; /* what did not get to the disk */
    bool                       fails = m->disk_is_full || strikes(s, s->plan.crash, 10000);
    bool                       dies  = strikes(s, s->plan.crash, 10000);
    worker_save(m->w, (uint64_t)machine_clock(s, m), fails ? &lost : m->disk);
    m->save_failed = fails;
    m->has_saved |= !fails;
    if (dies) return machine_crash(s, m, 200 + below_ms(s, 5000));
    if (!fails) machine_step(s, m, (struct worker_input){ .kind = IN_SYNCED });
}

/* ---- the link --------------------------------------------------------------------------------------------------------------- */

static void observe(struct sim *s, struct machine *m)
{
    static struct observed o;
    if (!m->link_welcome) return;
    worker_observe(m->w, (uint64_t)machine_clock(s, m), &o);
    if (!m->specs_sent) {
        o.has_specs   = true;
        o.specs_count = 1;
        o.specs[0]    = m->specs;
        m->specs_sent = true;
    }
    if (m->save_failed) memcpy(o.trouble, "the state folder can't be written", 34);
    checks_observed(s, m, &o);
    if (m->lies) lie_observed(s, m, &o);
    struct letter *l = letter_new(INPUT_OBSERVED, &o, sizeof o);
    l->in.subject    = m->id;
    link_send_up(s, m->session, l, !o.specs_count); /* those are said once a link */
}

static void connect_later(struct sim *s, struct machine *m)
{
    later(s, CONNECT_WAIT_MS + (int64_t)below(s, 1500), EVENT_CONNECT, m->place, m->run, NULL);
}

static struct letter *hello(struct sim *s, const struct machine *m, const uint8_t instance[16])
{
    struct letter        *l   = letter_new(INPUT_LINK_UP, NULL, 0);
    bool                  lie = m->lies & LIE_TWICE && s->is_faulty;
    const struct machine *is  = lie ? &s->machines[m->place / 2] : m;
    l->in.link.purpose        = TOKEN_DEVICE;
    l->in.link.has_token      = !m->is_enrolled;
    memcpy(l->in.link.public_key, m->key, sizeof m->key);
    memcpy(l->in.link.instance, instance, 16);
    memcpy(l->in.link.token_hash, m->token, sizeof m->token);
    memcpy(l->in.link.name, "machine", 8);
    l->in.link.machine.bytes[0] = (uint8_t)(is->place + 1);
    memcpy(l->in.link.machine.bytes + 1, &is->boots, sizeof is->boots);
    return l;
}

void machine_connect(struct sim *s, struct machine *m)
{
    if (m->session) return;
    struct link *l = s->control.up && !m->cut_network ? link_open(s, END_WORKER, m->place) : NULL;
    if (!l) return connect_later(s, m);
    m->session = l->session;
    link_send_up(s, m->session, hello(s, m, m->instance), false);
}

static void lose_link(struct sim *s, struct machine *m)
{
    bool was_up     = m->link_welcome;
    m->session      = 0;
    m->link_welcome = false;
    if (!m->is_up) return;
    connect_later(s, m);
    if (was_up) machine_step(s, m, (struct worker_input){ .kind = IN_LINK_DOWN });
}

/* Whether the worker takes it; what it then may run is paid for so long. */
static bool is_news(const struct worker *w, const struct desired *d)
{
    return d->epoch > w->desired.epoch || (d->epoch == w->desired.epoch && d->version >= w->desired.version);
}

static void take_desired(struct sim *s, struct machine *m, const struct desired *d)
{
    for (uint32_t i = 0; i < d->assignments_count; i++) {
        struct thing *t       = thing_make(s, m, &d->assignments[i]);
        int64_t       paid_ms = d->assignments[i].paid.ms;
        if (is_news(m->w, d))
            t->paid_until_ms = s->now_ms + paid_ms + paid_ms * s->plan.drift_ppm_most / 900000;
    }
    machine_step(s, m, (struct worker_input){ .kind = IN_DESIRED, .desired = d });
}

void machine_parcel(struct sim *s, struct machine *m, const struct parcel *p)
{
    if (p->session != m->session || !m->is_up) return;
    if (p->kind == PARCEL_CLOSED) return lose_link(s, m);
    if (p->kind == PARCEL_WELCOME) {
        m->id           = p->subject;
        m->is_enrolled  = true;
        m->link_welcome = true;
        m->specs_sent   = false;
        machine_step(s, m, (struct worker_input){ .kind = IN_LINK_UP });
    }
    if (!m->link_welcome) return;
    if (p->kind == PARCEL_DESIRED) take_desired(s, m, (const struct desired *)p->body);
    if (p->kind == PARCEL_MAP)
        machine_step(s, m, (struct worker_input){ .kind = IN_MAP, .map = (const struct mesh_map *)p->body });
}

/* ---- steps ----------------------------------------------------------------------------------------------------------------- */

static void keep_ticking(struct sim *s, struct machine *m)
{
    uint64_t wait_ms = worker_wait_ms(m->w);
    if (wait_ms == m->timer_ms) return;
    m->timer_ms = wait_ms;
    m->timer++;
    later(s, (int64_t)(wait_ms * (1 + below(s, s->plan.tick_slack))), EVENT_WORKER_TICK, m->place, m->timer,
          NULL);
}

void machine_step(struct sim *s, struct machine *m, struct worker_input in)
{
    struct worker_actions out;
    uint64_t              run = m->run;
    do {
        worker_step(m->w, (uint64_t)machine_clock(s, m), &in, &out);
        s->sum->worker_inputs++;
        mix(s, (uint64_t)in.kind << 32 ^ out.count << 8 ^ m->place ^ (uint64_t)out.observe << 40);
        if (out.save) save(s, m);
        for (uint32_t i = 0; i < out.count && m->run == run; i++) {
            site_act(s, m, &out.list[i]);
            if (m->run == run && strikes(s, s->plan.crash, 40000)) machine_crash(s, m, below_ms(s, 5000));
        }
        if (m->run != run) return; /* it died */
        if (out.observe) observe(s, m);
        in = (struct worker_input){ .kind = IN_TICK };
    } while (out.more);
    keep_ticking(s, m);
}

/* ---- lives --------------------------------------------------------------------------------------------------------------------- */

static bool is_remembered(const struct machine *m, const struct thing *t)
{
    for (uint32_t i = 0; m->has_saved && i < m->disk->nodes_count; i++)
        if (id_eq(m->disk->nodes[i].assignment[0].node.id, t->id)) return true;
    return false;
}

/* What no saved state knows of is removed before anything else. */
static void sweep(struct sim *s, struct machine *m)
{
    for (uint32_t i = 0; i < s->things.used; i++) {
        struct thing *t = table_at(&s->things, i);
        if (t->machine != m->place || is_remembered(m, t)) continue;
        thing_stop(s, t);
        t->has_mesh = t->has_meets = false;
        t->peers_count             = 0;
    }
}

void machine_start(struct sim *s, struct machine *m)
{
    static struct wanted_image images[IMAGES];
    struct worker_input        in = { .kind = IN_START, .boot_id = m->boot_id, .images = images };
    if (m->is_up) return;
    if (!m->is_powered) boot(s, m);
    free(m->w);
    m->w = calloc(1, sizeof *m->w);
    check(m->w);
    m->is_up       = true;
    m->up_since_ms = s->now_ms;
    m->timer_ms    = 0;
    m->save_failed = false;
    m->run++;
    random_bytes(s, m->instance, sizeof m->instance);
    for (uint32_t i = 0; i < IMAGES; i++)
        if (m->images & 1u << i) site_image(i, images[in.images_count++].image);
    if (m->has_saved) in.saved = m->disk;
    m->seen_epoch   = m->has_saved ? m->disk->epoch : 0;
    m->seen_version = m->has_saved ? m->disk->version : 0;
    sweep(s, m);
    later(s, (int64_t)below(s, 200), EVENT_CONNECT, m->place, m->run, NULL);
    machine_step(s, m, in);
}

static void end_program(struct sim *s, struct machine *m, int64_t noticed_ms)
{
    m->is_up = m->link_welcome = false;
    link_drop(s, m->session, noticed_ms);
    m->session = 0;
    m->timer++;
    site_forget(s, m);
    m->run++;
}

void machine_crash(struct sim *s, struct machine *m, int64_t down_ms)
{
    if (!m->is_up) return;
    s->sum->worker_crashes++;
    end_program(s, m, (int64_t)below(s, 50));
    later(s, down_ms, EVENT_MACHINE, m->place, m->run, NULL);
}

void machine_power_off(struct sim *s, struct machine *m, int64_t off_ms)
{
    if (!m->is_powered) return;
    s->sum->reboots++;
    if (m->is_up) end_program(s, m, LINK_SILENT_MS);
    m->is_powered = false;
    m->run++;
    for (uint32_t i = 0; i < s->things.used; i++) {
        struct thing *t = table_at(&s->things, i);
        if (t->machine != m->place) continue;
        thing_stop(s, t);
        t->has_mesh    = false;
        t->has_meets   = false;
        t->peers_count = 0;
    }
    later(s, off_ms, EVENT_MACHINE, m->place, m->run, NULL);
}

/* ---- the copy of its state folder --------------------------------------------------------------------------------------------- */

/* It runs nothing and wants in, under the same key; let in, it says that it runs nothing, and soon leaves. */
void machine_copy(struct sim *s, struct machine *m, const struct parcel *p)
{
    static const uint8_t         instance[16] = "the copy";
    static const struct observed nothing;
    if (!p) {
        struct link *l = s->now_ms < m->copy_until_ms && s->control.up && m->is_enrolled
                             ? link_open(s, END_COPY, m->place)
                             : NULL;
        if (l) {
            link_send_up(s, l->session, hello(s, m, instance), false);
            link_drop(s, l->session, COPY_STAYS_MS);
        }
        if (s->now_ms < m->copy_until_ms)
            later(s, (int64_t)below(s, COPY_TRIES_MS), EVENT_COPY, m->place, 0, NULL);
        return;
    }
    if (p->kind == PARCEL_CLOSED) link_drop(s, p->session, 0);
    if (p->kind == PARCEL_CLOSED && p->error == ERR_CONFLICT) checks_copy(s, m);
    if (p->kind != PARCEL_WELCOME) return;
    struct letter *l = letter_new(INPUT_OBSERVED, &nothing, sizeof nothing);
    l->in.subject    = m->id;
    link_send_up(s, p->session, l, false);
    link_drop(s, p->session, 1000 + (int64_t)below(s, 5000));
}
