/* turn.c: one turn. Collect what waits, step each, commit what changed, and only then let the effects out. */
#include "ionetd_int.h"

#include "sys/log.h"
#include "sys/sys.h"

#include <stdlib.h>
#include <string.h>

struct err ionetd_ask(struct ionetd *i, const struct input *in, void *owned)
{
    TRY(queue_put(&i->queue, in, owned));
    turn_soon(i);
    return OK;
}

void turn_soon(struct ionetd *i)
{
    if (!i->committing) net_wake(i->turn_waker);
}

/* ---- stepping ------------------------------------------------------------------------------------------------ */

static struct err keep_changes(struct ionetd *i)
{
    for (uint32_t k = 0; k < i->effects.change_count; k++) {
        const struct change *c = &i->effects.changes[k];
        TRY(c->removed ? store_delete(i->store, c->type, c->record) : store_put(i->store, c->type, c->record));
    }
    return OK;
}

/* Copied: the next step writes over them. */
static void hold_effects(struct ionetd *i)
{
    size_t need = i->held_count + i->effects.count;
    if (need > i->held_room) {
        i->held_room = need * 2;
        i->held      = realloc(i->held, i->held_room * sizeof *i->held);
        check(i->held);
    }
    if (i->effects.count)
        memcpy(i->held + i->held_count, i->effects.effects, i->effects.count * sizeof *i->held);
    i->held_count = need;
}

static struct err step(struct ionetd *i, const struct input *in)
{
    effects_clear(&i->effects);
    network_step(&i->network, sys_wall_now(), in, &i->effects);
    TRY(keep_changes(i));
    hold_effects(i);
    return OK;
}

/* ---- letting out -------------------------------------------------------------------------------------------------- */

static void log_change(const struct ionetd *i, const struct effect *e)
{
    const struct cluster *c = e->kind == EFFECT_EVENT_CLUSTER ? network_cluster(&i->network, e->subject) : NULL;
    const struct device  *d = e->kind == EFFECT_EVENT_DEVICE ? network_device(&i->network, e->subject) : NULL;
    if (c)
        log_info("cluster", LOG_ID("cluster", c->id), LOG_TEXT("state", cluster_state_names[c->state]),
                 LOG_I64("nodes", c->size), LOG_I64("alive", c->nodes_alive), LOG_TEXT("why", c->why));
    if (d)
        log_info("device", LOG_ID("device", d->id), LOG_TEXT("state", device_state_names[d->state]),
                 LOG_I64("nodes", d->nodes_count), LOG_TEXT("why", d->why));
}

static void let_out_one(struct ionetd *i, const struct effect *e)
{
    log_change(i, e);
    switch (e->kind) {
    case EFFECT_REPLY:
    case EFFECT_EVENT_CLUSTER:
    case EFFECT_EVENT_DEVICE: api_effect(i->api, e); return;
    case EFFECT_WELCOME:
    case EFFECT_REFUSE:
    case EFFECT_CLOSE: link_effect(i, e); return;
    case EFFECT_DESIRED: down_desired(i, e); return;
    case EFFECT_MESH_ALL:
    case EFFECT_MESH_PEER:
    case EFFECT_MESH_GONE: return; /* down_meshes */
    case EFFECT_MEET:
    case EFFECT_MEET_GONE:
    case EFFECT_RELAY:
    case EFFECT_RELAY_GONE:
    case EFFECT_PROBE:
    case EFFECT_REVOKE:
    case EFFECT_REVOKE_NODE:
    case EFFECT_GATEWAY_ALL: return; /* gateways_tell */
    case EFFECT_KIND_COUNT: break;
    }
    check_failed("an effect has a kind", __FILE__, __LINE__);
}

/* The gateway is told before the workers: whoever is told to meet there should be known there. */
static void let_out(struct ionetd *i)
{
    gateways_tell(i, i->held, i->held_count);
    for (size_t k = 0; k < i->held_count; k++) let_out_one(i, &i->held[k]);
    down_meshes(i, i->held, i->held_count);
    i->held_count = 0;
    api_resume(i->api);
}

/* ---- a turn --------------------------------------------------------------------------------------------------------- */

static void fail(struct ionetd *i, struct err e)
{
    log_error("turn.failed", LOG_ERR(e));
    i->failed   = true;
    i->stopping = true;
    net_stop(i->net);
}

static void on_committed(void *ctx, struct err e)
{
    struct ionetd *i = ctx;
    i->committing    = false;
    i->commits++;
    i->commit_ms += net_now_ms(i->net) - i->commit_began_ms;
    if (e.code) return fail(i, e); /* nobody is told anything */
    let_out(i);
    if (i->stopping)
        net_stop(i->net);
    else if (queue_first(&i->queue))
        turn_soon(i);
}

void turn_run(void *ionetd)
{
    struct ionetd *i       = ionetd;
    uint32_t       changes = 0;
    if (i->committing || i->stopping || !queue_first(&i->queue)) return;

    api_pause(i->api);
    for (uint32_t k = 0; k < TURN_INPUTS_MAX && i->held_count < HELD_MAX && queue_first(&i->queue); k++) {
        if (changes > STORE_CHANGES_MAX - CHANGES_MAX)
            break; /* the next step's might not fit into this commit */
        struct err e = step(i, &queue_first(&i->queue)->in);
        if (queue_first(&i->queue)->in.kind == INPUT_TICK) i->tick_waits = false;
        queue_drop_first(&i->queue);
        if (e.code) return fail(i, e);
        changes += i->effects.change_count;
    }
    i->turns++;
    if (changes == 0) {
        let_out(i);
        if (queue_first(&i->queue)) turn_soon(i);
        return;
    }
    i->committing      = true;
    i->commit_began_ms = net_now_ms(i->net);
    struct err e       = store_commit(i->store, on_committed, i);
    if (e.code) fail(i, e);
}

struct err turn_start(struct ionetd *i)
{
    struct input in = { .kind = INPUT_START };
    sys_random(in.start.chance, sizeof in.start.chance);
    TRY(step(i, &in));
    TRY(store_commit_now(i->store));
    i->held_count = 0; /* nobody is there yet to be told */
    return OK;
}
