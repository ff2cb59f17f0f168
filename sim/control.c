/* control.c: the program around the network: it collects inputs, steps each, commits what changed, and only then lets the
 * effects out. It dies between any two of these, and comes back with what the store holds. */
#include "sim_int.h"

#include <stdlib.h>
#include <string.h>

#define TURN_INPUTS_MAX 64
#define COMMIT_MS_MAX 20
#define COMMIT_SLOW_MS_MAX 4000 /* of one in a thousand */

static const struct network_limits limits = {
    .accounts_max = 32,
    .devices_max  = 2 * MACHINES_MAX,
    .clusters_max = 1024,
    .nodes_max    = 8192,
    .quotes_max   = 1024,
    .keys_max     = 2048,
    .relays_max   = 256,
};

static struct recipe_facts recipe(const char *name, uint32_t image, enum unit unit)
{
    struct recipe_facts r = { .unit          = unit,
                              .nodes_max     = 16,
                              .cpus_min      = 2,
                              .memory_min    = (uint64_t)1 << 32,
                              .ready_timeout = { 120000 },
                              .silent        = { 500 },
                              .missed        = { 4000 } };
    memcpy(r.name, name, strlen(name) + 1);
    r.hash[0] = (uint8_t)(image + 1);
    site_image(image, r.image);
    return r;
}

void control_open(struct sim *s)
{
    struct control *c                = &s->control;
    c->limits                        = limits;
    c->config                        = (struct network_config){ .fee_basis_points = 25, .recipe_count = 3 };
    c->config.recipes[0]             = recipe("ray", 0, UNIT_MACHINE);
    c->config.recipes[1]             = recipe("train", 1, UNIT_GPU);
    c->config.recipes[2]             = recipe("quick", 0, UNIT_MACHINE);
    c->config.recipes[2].missed      = (struct span){ 2000 };
    c->config.recipes[0].keeps_state = true;
    c->bytes                         = network_bytes(&c->limits);
    c->room                          = malloc(effects_bytes());
    check(c->room);
    random_bytes(s, c->config.private_ids, sizeof c->config.private_ids);
    random_bytes(s, c->config.secrets, sizeof c->config.secrets);
    effects_init(&c->out, c->room, effects_bytes());
}

void control_close(struct sim *s)
{
    struct control *c = &s->control;
    for (uint32_t i = 0; i < c->queue_count; i++) free(c->queue[c->queue_first + i]);
    free(c->queue);
    free(c->held);
    free(c->memory);
    free(c->room);
}

struct instant control_wall(const struct sim *s)
{
    return (struct instant){ s->now_ms + s->control.wall_ahead_ms };
}

/* ---- the queue -------------------------------------------------------------------------------------------------- */

static void turn_soon(struct sim *s, int64_t wait_ms)
{
    if (s->control.turn_is_due) return;
    s->control.turn_is_due = true;
    later(s, wait_ms, EVENT_TURN, 0, s->control.run, NULL);
}

void control_take(struct sim *s, struct letter *l)
{
    struct control *c = &s->control;
    if (!c->up) {
        free(l);
        return;
    }
    if (c->queue_first + c->queue_count == c->queue_room) {
        if (c->queue_first < c->queue_room / 2 || !c->queue_room) {
            c->queue_room = c->queue_room ? 2 * c->queue_room : 1024;
            c->queue      = realloc(c->queue, c->queue_room * sizeof *c->queue);
            check(c->queue);
        }
        memmove(c->queue, c->queue + c->queue_first, c->queue_count * sizeof *c->queue);
        c->queue_first = 0;
    }
    c->queue[c->queue_first + c->queue_count++] = l;
    turn_soon(s, 0);
}

void control_tick(struct sim *s)
{
    static const struct input tick = { .kind = INPUT_TICK };
    struct letter            *l    = letter_new(INPUT_TICK, NULL, 0);
    l->in                          = tick;
    control_take(s, l);
    later(s, NETWORK_TICK_MS * (int64_t)(1 + below(s, s->plan.tick_slack)), EVENT_TICK, 0, s->control.run,
          NULL);
}

/* ---- a step ------------------------------------------------------------------------------------------------------ */

static void mix_effect(struct sim *s, const struct effect *e)
{
    uint64_t subject, other, key;
    memcpy(&subject, e->subject.bytes, sizeof subject);
    memcpy(&other, e->other.bytes, sizeof other);
    memcpy(&key, e->key, sizeof key);
    mix(s, (uint64_t)e->kind << 32 ^ e->error.code ^ e->request << 8);
    mix(s, subject ^ e->count);
    mix(s, other ^ key ^ e->session);
}

static void hold_effects(struct sim *s)
{
    struct control *c    = &s->control;
    uint32_t        need = c->held_count + c->out.count;
    if (need > c->held_room) {
        c->held_room = 2 * need;
        c->held      = realloc(c->held, c->held_room * sizeof *c->held);
        check(c->held);
    }
    for (uint32_t i = 0; i < c->out.count; i++) {
        mix_effect(s, &c->out.effects[i]);
        c->held[c->held_count++] = c->out.effects[i];
    }
    s->sum->effects += c->out.count;
}

static void step(struct sim *s, const struct input *in)
{
    struct control *c = &s->control;
    effects_clear(&c->out);
    network_step(&c->n, control_wall(s), in, &c->out);
    c->steps++;
    s->sum->network_inputs++;
    for (uint32_t i = 0; i < c->out.change_count; i++) {
        const struct change *change = &c->out.changes[i];
        if (change->removed)
            store_delete(&s->store, change->type, change->record);
        else
            store_put(&s->store, change->type, change->record);
    }
    hold_effects(s);
    checks_step(s, in);
    if (c->steps % FULL_CHECK_STEPS == 0) checks_full(s);
}

/* ---- a turn ------------------------------------------------------------------------------------------------------- */

static int64_t downtime(struct sim *s)
{
    int64_t least_ms = s->control.disk_is_full ? 10000 : 100;
    return least_ms + (int64_t)below(s, (uint64_t)(below(s, 8) ? 5000 : s->plan.outage_ms));
}

void control_turn(struct sim *s)
{
    struct control *c    = &s->control;
    uint64_t        most = 1 + below(s, TURN_INPUTS_MAX);
    c->turn_is_due       = false;
    c->turns++;
    while (c->queue_count && most--) {
        struct letter *l = c->queue[c->queue_first++];
        c->queue_count--;
        step(s, &l->in);
        free(l);
    }
    bool commits = s->store.dirty_count > 0;
    bool fails   = c->disk_is_full && s->is_faulty; /* then nobody is told anything */
    if (commits && (fails || strikes(s, s->plan.crash, 10000))) return control_crash(s, downtime(s));
    store_commit(&s->store);
    c->commits += commits;
    if (commits && strikes(s, s->plan.crash, 10000)) return control_crash(s, downtime(s));
    tell_all(s);
    if (c->up && c->queue_count)
        turn_soon(s, commits ? (int64_t)below(s, strikes(s, 1, 1000) ? COMMIT_SLOW_MS_MAX : COMMIT_MS_MAX) : 0);
}

/* ---- lives ----------------------------------------------------------------------------------------------------------- */

void control_crash(struct sim *s, int64_t down_ms)
{
    struct control *c = &s->control;
    if (!c->up) return;
    checks_full(s);
    s->sum->network_crashes++;
    c->up = c->turn_is_due = false;
    c->run++;
    while (c->queue_count) free(c->queue[c->queue_first + --c->queue_count]);
    c->queue_first = c->held_count = 0;
    store_abort(&s->store);
    for (uint32_t i = 0; i < LINKS_MAX; i++) {
        struct link *l = &c->links[i];
        if (!l->session) continue;
        struct parcel *p = parcel_new(PARCEL_CLOSED, NULL, 0);
        if (l->is_open)
            link_send_down(s, l, p, false);
        else
            free(p);
        *l = (struct link){ 0 };
    }
    later(s, down_ms, EVENT_START, 0, c->run, NULL);
}

static void load(struct sim *s)
{
    struct control *c = &s->control;
    union {
        struct device  device;
        struct cluster cluster;
        struct node    node;
        struct gateway gateway;
        struct account account;
        struct api_key key;
    } record;
    for (size_t t = 0; t < network_type_count; t++) {
        const struct record_type *type = network_types[t];
        check(type->size <= sizeof record);
        for (const struct store_row *row = NULL; (row = store_next(&s->store, row, type, false));) {
            store_unpack(type, row->bytes, &record);
            const struct field *bad = NULL;
            struct err          e   = record_check(type, &record, &bad);
            if (!e.code) e = network_load(&c->n, type, &record);
            if (e.code)
                broken(s, "store-replays", "a %s does not load: %s %s", type->name, bad ? bad->name : "",
                       e.why);
        }
    }
}

void control_start(struct sim *s)
{
    struct control *c  = &s->control;
    struct input    in = { .kind = INPUT_START };
    free(c->memory);
    c->memory = calloc(1, c->bytes);
    check(c->memory);
    network_init(&c->n, &c->limits, &c->config, c->memory, c->bytes);
    load(s);
    c->up = true;
    checks_loaded(s);
    checks_begin(s);
    random_bytes(s, in.start.chance, sizeof in.start.chance);
    step(s, &in);
    c->held_count = 0; /* nobody is there yet to be told */
    if (c->disk_is_full && s->is_faulty) return control_crash(s, downtime(s));
    store_commit(&s->store);
    if (c->n.meta.epoch <= c->epoch)
        broken(s, "epoch-grows", "epoch %lu follows %lu", c->n.meta.epoch, c->epoch);
    c->epoch = c->n.meta.epoch;
    control_tick(s);
}
