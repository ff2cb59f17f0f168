/* trouble.c: what goes wrong from outside: the power, cables, clocks, disks, the tenants' programs. */
#include "sim_int.h"

#define LINK_SILENT_MS 3000

static struct machine *any_machine(struct sim *s)
{
    return &s->machines[below(s, s->plan.machines)];
}

static int64_t a_while(struct sim *s)
{
    int64_t most = below(s, 10) ? 10000 : s->plan.is_long ? 3 * MS_PER_HOUR : 60000;
    return 200 + (int64_t)below(s, (uint64_t)most);
}

static struct thing *any_running(struct sim *s)
{
    struct thing *found = NULL;
    uint32_t      count = 0;
    for (uint32_t i = 0; i < s->things.used; i++) {
        struct thing *t = table_at(&s->things, i);
        if (t->has_container && below(s, ++count) == 0) found = t;
    }
    return found;
}

/* Nothing gets through, and after a while both sides take the link for gone. */
static void cut_link(struct sim *s, enum end_kind end, uint32_t who, uint64_t session)
{
    if (!session) return;
    struct parcel *p = parcel_new(PARCEL_CLOSED, NULL, 0);
    p->session       = session;
    later(s, LINK_SILENT_MS, EVENT_PARCEL, 0, (uint64_t)end << 32 | who, p);
    link_drop(s, session, LINK_SILENT_MS);
}

static void container_ends(struct sim *s)
{
    struct thing *t = any_running(s);
    if (!t) return;
    struct machine     *m  = &s->machines[t->machine];
    struct worker_input in = { .kind    = IN_CONTAINER,
                               .ref     = { { t->id }, 1 },
                               .err     = ERR(IO, "it ended"),
                               .text    = STR("exit 1"),
                               .log_end = STR("Killed\n") };
    thing_stop(s, t);
    if (m->is_up) machine_step(s, m, in);
}

static void mesh_ends(struct sim *s)
{
    struct thing *t = any_running(s);
    if (!t) return;
    struct machine *m      = &s->machines[t->machine];
    t->has_mesh            = false;
    t->peers_count         = 0;
    struct worker_input in = { .kind = IN_MESH, .ref = { { t->id }, 1 }, .err = ERR(IO, "its device is gone") };
    if (m->is_up) machine_step(s, m, in);
}

static void cut_machine(struct sim *s, struct machine *m, bool mesh)
{
    if (mesh) {
        m->cut_mesh = !m->cut_mesh;
        return;
    }
    m->cut_network = !m->cut_network;
    if (m->cut_network) cut_link(s, END_WORKER, m->place, m->session);
}

/* All links at once, as when the operator's provider fails. */
static void cut_all(struct sim *s)
{
    for (uint32_t i = 0; i < s->plan.machines; i++)
        if (!s->machines[i].cut_network) cut_machine(s, &s->machines[i], false);
}

static void mend_some(struct sim *s)
{
    bool all = below(s, 2);
    for (uint32_t i = 0; i < s->plan.machines; i++) {
        struct machine *m = &s->machines[i];
        if (!all && below(s, 3)) continue;
        m->cut_network = m->cut_mesh = m->disk_is_full = false;
    }
    for (uint32_t i = 0; i < s->plan.gates; i++) s->gates[i].cut_network = false;
}

static void cut_gate(struct sim *s, struct gate *g)
{
    g->cut_network = true;
    cut_link(s, END_GATE, (uint32_t)(g - s->gates), g->session);
}

/* It steps ahead or behind at once; what is behind, the network does not follow. */
static void move_clock(struct sim *s)
{
    s->control.wall_ahead_ms = (int64_t)below(s, (uint64_t)(2 * s->plan.jump_ms + 1)) - s->plan.jump_ms;
}

static void reset_link(struct sim *s, struct machine *m)
{
    if (!m->session) return;
    struct parcel *p = parcel_new(PARCEL_CLOSED, NULL, 0);
    p->session       = m->session;
    later(s, 0, EVENT_PARCEL, 0, (uint64_t)END_WORKER << 32 | m->place, p);
    link_drop(s, m->session, (int64_t)below(s, LINK_SILENT_MS));
}

/* Its worker's process gets no CPU; what runs, runs on. */
static void stand_still(struct sim *s, struct machine *m)
{
    m->still_until_ms = s->now_ms + (int64_t)below(s, below(s, 3) ? 2000 : 20000);
    if (m->up_since_ms < m->still_until_ms) m->up_since_ms = m->still_until_ms;
}

static void copy(struct sim *s, struct machine *m)
{
    if (s->plan.liars == 0 || s->now_ms < m->copy_until_ms) return;
    m->copy_until_ms = s->now_ms + a_while(s);
    later(s, 0, EVENT_COPY, m->place, 0, NULL);
}

void trouble(struct sim *s)
{
    if (!s->is_faulty) return;
    later(s, 1 + (int64_t)below(s, (uint64_t)(2 * s->plan.trouble_ms)), EVENT_TROUBLE, 0, 0, NULL);
    struct machine *m = any_machine(s);
    struct gate    *g = &s->gates[below(s, s->plan.gates)];
    switch (below(s, 24)) {
    case 0:
    case 1: return container_ends(s);
    case 2: return mesh_ends(s);
    case 3:
    case 4: return machine_crash(s, m, a_while(s));
    case 5:
    case 6: return machine_power_off(s, m, a_while(s));
    case 7: return cut_machine(s, m, true);
    case 8: return cut_machine(s, m, false);
    case 9:
        if (below(s, 4) == 0) cut_all(s);
        return;
    case 10:
    case 11:
    case 12: return mend_some(s);
    case 13: return gate_stop(s, g, a_while(s));
    case 14: return cut_gate(s, g);
    case 15: return move_clock(s);
    case 16: m->disk_is_full = !m->disk_is_full; return;
    case 17: m->moves++; return;
    case 18: return copy(s, m);
    case 19: return reset_link(s, m);
    case 20: return stand_still(s, m);
    case 21: s->control.disk_is_full = below(s, 4) == 0; return;
    case 22: s->control.disk_is_full = false; return;
    default: return;
    }
}
