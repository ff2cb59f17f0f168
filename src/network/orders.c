/* orders.c: what an engineer orders: a quote, a cluster of it, more time, its end. */
#include "network_int.h"

#include <string.h>

static struct place_need need_of(const struct recipe_facts *r, struct hourly price_max)
{
    return (struct place_need){
        .gpus_min   = r->unit == UNIT_GPU ? 1 : 0,
        .cpus_min   = r->cpus_min,
        .memory_min = r->memory_min,
        .egress     = r->egress,
        .price_max  = price_max,
    };
}

static uint32_t nodes_most(const struct recipe_facts *r)
{
    return r->nodes_max < NETWORK_NODES_MAX ? r->nodes_max : NETWORK_NODES_MAX;
}

void on_quote(struct step *s)
{
    struct network            *n    = s->n;
    const struct recipe_facts *r    = network_recipe(n, str_from(s->in->quote.recipe));
    struct id                  none = { { 0 } };
    uint32_t                   want = s->in->quote.quantity;
    struct span                span = s->in->quote.duration;
    if (!r) return step_reply(s, ERR(MISSING, "there is no such recipe"), none, 0);
    if (want == 0 || want > QUANTITY_MAX)
        return step_reply(s, ERR(INVALID, "the quantity is 1 to 20,000"), none, 0);
    if (span.ms < DURATION_MS_MIN || span.ms > SPAN_MS_MAX)
        return step_reply(s, ERR(INVALID, "the duration is a minute to a year"), none, 0);
    if (want > nodes_most(r) && r->unit == UNIT_MACHINE)
        return step_reply(s, ERR(INVALID, "that is more nodes than this recipe can have"), none, nodes_most(r));

    struct hourly     price;
    struct place_need need  = need_of(r, (struct hourly){ HOURLY_MICROS_MAX });
    uint32_t          units = place_available(&n->devices, &need, want, n->chosen, &price);
    if (units < want) return step_reply(s, ERR(CAPACITY, "the network has not that many free"), none, units);
    struct money total;
    struct err   e = market_total(price, want, span, &total);
    if (e.code) return step_reply(s, e, none, 0);
    uint64_t most = 0;
    e             = account_may_open(n, s->in->account, OPEN_QUOTES, &most);
    if (e.code) return step_reply(s, e, none, most);
    struct quote *q = table_add(&n->quotes, step_id(s, STR("quote")));
    if (!q) return step_reply(s, ERR(LIMIT, "too many quotes are open: try again in a minute"), none, 0);

    struct id id = q->id.id;
    *q           = (struct quote){
                  .id               = { id },
                  .account          = s->in->account,
                  .quantity         = want,
                  .unit             = r->unit,
                  .duration         = span,
                  .price            = price,
                  .fee_basis_points = n->config.fee_basis_points,
                  .total            = total,
                  .available        = units,
                  .made             = s->now,
                  .expires          = instant_add(s->now, (struct span){ QUOTE_VALID_MS }),
    };
    memcpy(q->recipe, r->name, sizeof q->recipe);
    check(account_holds(n, &quote_type, q));
    step_changed(s, &quote_type, q);
    step_reply(s, OK, id, 0);
}

/* What keeps this quote from becoming a cluster. *count says how much is missing. */
static struct err quote_usable(const struct step *s, const struct quote *q, uint64_t *count)
{
    if (!q || !id_eq(q->account.id, s->in->account.id)) return ERR(MISSING, "there is no such quote");
    if (q->taken) return ERR(CONFLICT, "a cluster was already made of this quote: ask for a new one");
    if (!instant_before(s->now, q->expires)) return ERR(EXPIRED, "the quote has expired: ask for a new one");
    if (!network_recipe(s->n, str_from(q->recipe)))
        return ERR(MISSING, "the quote's recipe is no longer offered");
    if (s->in->name[0] && !str_is_label(str_from(s->in->name)))
        return ERR(INVALID, "a cluster's name has 1 to 63 of a-z, 0-9 and '-'");

    const struct gateway *g = network_gateway(s->n);
    if (!g || !g->session) return ERR(CONFLICT, "no gateway is connected to the network: try again later");
    struct money has = ledger_balance(&s->n->ledger, LEDGER_BALANCE, s->in->account.id);
    if (has.micros < q->total.micros) {
        *count = (uint64_t)(q->total.micros - has.micros);
        return ERR(FUNDS, "the balance does not cover the quote's total");
    }
    if (s->n->clusters.live == s->n->clusters.most || s->n->nodes.most - s->n->nodes.live < q->quantity)
        return ERR(LIMIT, "the network holds no more clusters");
    return OK;
}

/* Devices for `quantity` units into n->chosen. Their number, or 0 with *units, what there was. */
static uint32_t choose(struct network *n, const struct place_need *need, uint32_t quantity, uint32_t *units)
{
    uint32_t found = place_choose(&n->devices, need, quantity, n->chosen);
    *units         = 0;
    for (uint32_t i = 0; i < found; i++) {
        *units += place_units(n->chosen[i], need);
        if (*units >= quantity) return i + 1;
    }
    return 0;
}

/* The head does the most: the strongest machine, and of those the one that has been here longest. */
static uint32_t choose_head(struct device *const *chosen, uint32_t count)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < count; i++) {
        const struct device *a = chosen[i], *b = chosen[best];
        if (a->memory_bytes != b->memory_bytes ? a->memory_bytes > b->memory_bytes
            : a->cpus != b->cpus               ? a->cpus > b->cpus
                                               : a->enrolled.ms < b->enrolled.ms)
            best = i;
    }
    return best;
}

static void add_nodes(struct step *s, struct cluster *c, uint32_t count, const struct place_need *need)
{
    struct device **chosen = s->n->chosen;
    uint32_t        head = choose_head(chosen, count), rest = c->quantity;
    for (uint32_t i = 0; i < count; i++) {
        /* The head comes first, so that its mesh address is the first. */
        struct device *d     = chosen[i == 0 ? head : i <= head ? i - 1 : i];
        uint32_t       most  = rest - (count - i - 1); /* one at least for each that follows */
        uint32_t       units = place_units(d, need) < most ? place_units(d, need) : most;
        rest -= units;
        struct node *x = cluster_add_node(s, c, d, i == 0 ? NODE_HEAD : NODE_WORKER, c->next_index++, units);
        x->witness     = i < 2; /* the head watches all, the first worker watches the head */
    }
}

/* From its id, which no other cluster has, not even one that a restored backup has forgotten. */
static struct hash cluster_secret(const struct network *n, struct cluster_id id)
{
    return secret_derive(n->config.secrets, (struct str){ (const char *)id.id.bytes, ID_BYTES }, 0);
}

void on_create(struct step *s)
{
    struct network *n     = s->n;
    struct quote   *q     = table_find(&n->quotes, s->in->subject);
    uint64_t        count = 0;
    struct err      e     = quote_usable(s, q, &count);
    if (e.code) return step_reply(s, e, s->in->subject, count);

    const struct recipe_facts *r    = network_recipe(n, str_from(q->recipe));
    struct place_need          need = need_of(r, q->price);
    uint32_t                   units, size = choose(n, &need, q->quantity, &units);
    if (size == 0)
        return step_reply(s, ERR(CAPACITY, "the network has not that many free any more"), q->id.id, units);
    if (size > nodes_most(r))
        return step_reply(
            s, ERR(CAPACITY, "the machines that are free would be more nodes than this recipe can have"),
            q->id.id, units);

    struct ledger_account *balance = ledger_account(&n->ledger, LEDGER_BALANCE, s->in->account.id);
    struct cluster        *c       = table_add(&n->clusters, step_id(s, STR("cluster")));
    struct ledger_account *escrow  = ledger_account(&n->ledger, LEDGER_ESCROW, c->id.id);
    check(balance && escrow);
    check(step_post(s, balance, escrow, q->total, CAUSE_ESCROW, c->id.id).code == ERR_NONE);

    c->owner            = s->in->account;
    c->quantity         = q->quantity;
    c->size             = size;
    c->price            = q->price;
    c->fee_basis_points = q->fee_basis_points;
    c->duration         = q->duration;
    c->escrow           = q->total;
    c->next_index       = 1;
    c->head_index       = 1;
    c->made             = s->now;
    c->renew            = instant_add(s->now, (struct span){ LEASE_RENEW_MS });
    struct hash secret  = cluster_secret(n, c->id);
    memcpy(c->secret, secret.bytes, sizeof c->secret);
    memcpy(c->recipe, r->name, sizeof c->recipe);
    memcpy(c->recipe_hash, r->hash, sizeof c->recipe_hash);
    memcpy(c->image, r->image, sizeof c->image);
    memcpy(c->name, s->in->name[0] ? s->in->name : r->name, s->in->name[0] ? sizeof c->name : sizeof r->name);
    add_nodes(s, c, size, &need);
    cluster_changed(s, c);

    account_lets_go(n, &quote_type, q);
    q->taken = true;
    step_changed(s, &quote_type, q);
    step_reply(s, OK, c->id.id, 0);
}

static struct cluster *own_cluster(struct step *s)
{
    struct cluster *c = table_find(&s->n->clusters, s->in->subject);
    return c && id_eq(c->owner.id, s->in->account.id) ? c : NULL;
}

void on_extend(struct step *s)
{
    struct cluster *c    = own_cluster(s);
    struct span     more = s->in->duration;
    if (!c) return step_reply(s, ERR(MISSING, "there is no such cluster"), s->in->subject, 0);
    if (c->state >= CLUSTER_ENDING) return step_reply(s, ERR(CONFLICT, "the cluster has ended"), c->id.id, 0);
    if (more.ms < DURATION_MS_MIN || more.ms > SPAN_MS_MAX - c->duration.ms)
        return step_reply(s, ERR(INVALID, "the duration is a minute to a year, in all"), c->id.id, 0);

    /* The difference of two totals, so that no micro is lost between two roundings. */
    struct span  all = { c->duration.ms + more.ms };
    struct money before, after;
    struct err   e = market_total(c->price, c->quantity, all, &after);
    if (e.code) return step_reply(s, e, c->id.id, 0);
    check(market_total(c->price, c->quantity, c->duration, &before).code == ERR_NONE);
    struct money cost = money_sub(after, before);
    struct money has  = ledger_balance(&s->n->ledger, LEDGER_BALANCE, c->owner.id);
    if (has.micros < cost.micros)
        return step_reply(s, ERR(FUNDS, "the balance does not cover the extension"), c->id.id,
                          (uint64_t)(cost.micros - has.micros));

    struct ledger_account *balance = ledger_account(&s->n->ledger, LEDGER_BALANCE, c->owner.id);
    struct ledger_account *escrow  = ledger_account(&s->n->ledger, LEDGER_ESCROW, c->id.id);
    check(step_post(s, balance, escrow, cost, CAUSE_ESCROW, c->id.id).code == ERR_NONE);
    c->escrow   = money_add(c->escrow, cost);
    c->duration = all;
    if (c->ends.ms) c->ends = instant_add(c->ends, more);
    c->renew = s->now; /* the next tick tells the workers */
    cluster_changed(s, c);
    step_reply(s, OK, c->id.id, 0);
}

void on_terminate(struct step *s)
{
    struct cluster *c = own_cluster(s);
    if (!c) return step_reply(s, ERR(MISSING, "there is no such cluster"), s->in->subject, 0);
    if (c->state < CLUSTER_ENDING) cluster_end(s, c, false, STR("terminated by its owner"));
    step_reply(s, OK, c->id.id, 0);
}
