/* step.c: one input taken in, and how its changes and effects are noted. */
#include "network_int.h"

#include <string.h>

/* After a start every link is gone; only one that stays away for so long says something of its device. */
#define COME_BACK_MS 10000
#define COME_BACK_AFTER_LONG_MS (ASSIGN_RETURN_MS + 4000)
#define LONG_MS 60000

static void on_start(struct step *s);

static void (*const handlers[INPUT_KIND_COUNT])(struct step *) = {
    [INPUT_START] = on_start,         [INPUT_TICK] = on_tick,           [INPUT_SIGN_IN] = on_sign_in,
    [INPUT_KEY_END] = on_key_end,     [INPUT_GRANT] = on_grant,         [INPUT_TOKEN] = on_token,
    [INPUT_QUOTE] = on_quote,         [INPUT_CREATE] = on_create,       [INPUT_EXTEND] = on_extend,
    [INPUT_TERMINATE] = on_terminate, [INPUT_RETIRE] = on_retire,       [INPUT_RELEASE] = on_release,
    [INPUT_LINK_UP] = on_link_up,     [INPUT_LINK_DOWN] = on_link_down, [INPUT_OBSERVED] = on_observed,
    [INPUT_WITNESSED] = on_witnessed, [INPUT_SILENT] = on_silent,       [INPUT_REACHED] = on_reached,
    [INPUT_GW_UP] = on_gw_up,         [INPUT_GW_SEEN] = on_gw_seen,     [INPUT_GW_PROBED] = on_gw_probed,
};

size_t effects_bytes(void)
{
    return EFFECTS_MAX * sizeof(struct effect) + CHANGES_MAX * sizeof(struct change) +
           TRANSFERS_A_STEP_MAX * sizeof(struct transfer) + 64;
}

void effects_init(struct effects *out, void *memory, size_t bytes)
{
    struct arena a = ARENA_IN(memory, bytes);
    *out           = (struct effects){ .count = 0 };
    out->effects   = arena_take(&a, EFFECTS_MAX * sizeof(struct effect));
    out->changes   = arena_take(&a, CHANGES_MAX * sizeof(struct change));
    out->transfers = arena_take(&a, TRANSFERS_A_STEP_MAX * sizeof(struct transfer));
    check(out->effects && out->changes && out->transfers);
}

void effects_clear(struct effects *out)
{
    out->count          = 0;
    out->change_count   = 0;
    out->transfer_count = 0;
}

void step_changed(struct step *s, const struct record_type *type, const void *record)
{
    check(s->out->change_count < CHANGES_MAX);
    s->out->changes[s->out->change_count++] = (struct change){ type, record, false };
}

void step_removed(struct step *s, const struct record_type *type, struct table *table, void *row)
{
    check(s->out->change_count < CHANGES_MAX && s->n->doomed_count < NETWORK_DOOMED_MAX);
    s->out->changes[s->out->change_count++] = (struct change){ type, row, true };
    s->n->doomed[s->n->doomed_count++]      = (struct network_doomed){ table, row };
    table_unlink(table, row);
}

bool step_has_room(const struct step *s)
{
    return s->out->count < EFFECTS_MAX / 2 && s->out->change_count < CHANGES_MAX / 2 &&
           s->out->transfer_count < TRANSFERS_A_STEP_MAX / 2;
}

struct effect *step_effect(struct step *s, enum effect_kind kind, struct id subject)
{
    check(s->out->count < EFFECTS_MAX);
    struct effect *e = &s->out->effects[s->out->count++];
    *e               = (struct effect){ .kind = kind, .subject = subject, .error = OK };
    return e;
}

void step_reply(struct step *s, struct err e, struct id subject, uint64_t count)
{
    if (!s->in->request) return;
    struct effect *effect = step_effect(s, EFFECT_REPLY, subject);
    effect->request       = s->in->request;
    effect->error         = e;
    effect->count         = count;
}

struct id step_id(struct step *s, struct str kind)
{
    return id_derive(s->n->id_key, kind, s->n->meta.sequence << 20 | s->n->made++);
}

struct err step_post(struct step *s, struct ledger_account *from, struct ledger_account *to,
                     struct money amount, enum ledger_cause cause, struct id subject)
{
    check(s->out->transfer_count < TRANSFERS_A_STEP_MAX);
    struct transfer *t = &s->out->transfers[s->out->transfer_count];
    TRY(ledger_post(&s->n->ledger, from, to, amount, cause, subject, s->now, t));
    if (t->number == 0) return OK;

    s->out->transfer_count++;
    s->n->meta.transfers = t->number;
    step_changed(s, &ledger_account_type, from);
    step_changed(s, &ledger_account_type, to);
    step_changed(s, &transfer_type, t);
    return OK;
}

/* A new epoch: nothing that a link said is known any more. */
static void on_start(struct step *s)
{
    struct network *n = s->n;
    n->meta.epoch++;
    struct hash key = secret_derive(n->config.private_ids, STR("epoch"), n->meta.epoch);
    for (size_t i = 0; i < sizeof n->id_key; i++) n->id_key[i] = key.bytes[i] ^ s->in->start.chance[i];

    /* Of a network that was long away everybody takes his time to come back, so that not all come at once. */
    bool long_away = s->before.ms && instant_since(s->now, s->before).ms > LONG_MS;
    n->back_by     = instant_add(s->now, (struct span){ long_away ? COME_BACK_AFTER_LONG_MS : COME_BACK_MS });
    for (struct device *d = NULL; (d = table_next(&n->devices, d));) {
        if (d->state == DEVICE_CONNECTED || d->state == DEVICE_READY) device_move(d, DEVICE_OFFLINE);
        d->seen = n->back_by;
    }
    for (struct node *x = NULL; (x = table_next(&n->nodes, x));)
        x->settle = instant_add(s->now, (struct span){ SETTLE_MS });
    for (struct cluster *c = NULL; (c = table_next(&n->clusters, c));)
        c->renew = instant_add(s->now, (struct span){ LEASE_RENEW_MS });
    step_changed(s, &meta_type, &n->meta);
}

void network_step(struct network *n, struct instant now, const struct input *in, struct effects *out)
{
    check((unsigned)in->kind < INPUT_KIND_COUNT);
    while (n->doomed_count) {
        struct network_doomed *d = &n->doomed[--n->doomed_count];
        table_drop(d->table, d->row);
    }
    struct instant before = n->meta.now;
    if (instant_before(before, now)) n->meta.now = now;
    n->meta.sequence++;
    n->made = 0;

    struct step s       = { n, n->meta.now, before, in, out };
    uint32_t    changes = out->change_count;
    handlers[in->kind](&s);
    if (out->change_count > changes) step_changed(&s, &meta_type, &n->meta);
}
