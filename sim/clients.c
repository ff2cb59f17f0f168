/* clients.c: people: an operator, suppliers, engineers. Each wants one thing at a time, and does not always hear the answer. */
#include "sim_int.h"

#include <string.h>

#define PATIENCE_MS 10000
#define KEYS_MAX 64
#define CALM_MS 1000

void clients_open(struct sim *s)
{
    s->clients_count = 1 + s->plan.suppliers + s->plan.users;
    for (uint32_t i = 0; i < s->clients_count; i++) {
        struct client *c = &s->clients[i];
        c->is_operator   = i == 0;
        c->is_supplier   = i >= 1 && i <= s->plan.suppliers;
        random_bytes(s, c->key, sizeof c->key);
        later(s, (int64_t)below(s, 200), EVENT_CLIENT, i, 0, NULL);
    }
}

static void ask(struct sim *s, struct client *c, struct letter *l)
{
    c->request    = ++s->requests * CLIENTS_MAX + (uint64_t)(c - s->clients);
    c->asked_ms   = s->now_ms;
    l->in.request = c->request;
    if (l->in.kind != INPUT_SIGN_IN && l->in.kind != INPUT_GRANT) l->in.account = c->account;
    c->asked = l->in;
    later(s, 1 + (int64_t)below(s, (uint64_t)s->plan.delay_ms), EVENT_LETTER, 0, s->control.run, l);
}

static void sign_in(struct sim *s, struct client *c)
{
    struct letter *l          = letter_new(INPUT_SIGN_IN, NULL, 0);
    l->in.sign_in.operator    = c->is_operator;
    l->in.sign_in.scopes      = SCOPE_ALL;
    l->in.sign_in.valid       = (struct span){ MS_PER_HOUR };
    l->in.sign_in.key_hash[0] = (uint8_t)(c - s->clients);
    s->keys_made++;
    memcpy(l->in.sign_in.key_hash + 1, &s->keys_made, sizeof s->keys_made);
    memcpy(l->in.sign_in.public_key, c->key, sizeof c->key);
    memcpy(c->key_hash, l->in.sign_in.key_hash, sizeof c->key_hash);
    ask(s, c, l);
}

/* Signs out. */
static void end_key(struct sim *s, struct client *c)
{
    struct letter *l = letter_new(INPUT_KEY_END, NULL, 0);
    l->in.subject    = network_tag(c->key_hash);
    ask(s, c, l);
}

static void ask_token(struct sim *s, struct client *c, uint8_t token[32], enum token_for purpose)
{
    struct letter *l    = letter_new(INPUT_TOKEN, NULL, 0);
    l->in.token.valid   = (struct span){ MS_PER_DAY };
    l->in.token.ask     = (struct hourly){ (int64_t)(100000 + 1000 * below(s, 400)) };
    l->in.token.purpose = purpose;
    random_bytes(s, l->in.token.hash, sizeof l->in.token.hash);
    memcpy(token, l->in.token.hash, sizeof l->in.token.hash);
    ask(s, c, l);
}

static void operate(struct sim *s, struct client *c)
{
    for (uint32_t i = 0; i < s->plan.gates; i++)
        if (!s->gates[i].has_token) return ask_token(s, c, s->gates[i].token, TOKEN_GATEWAY);
    const struct client *to = &s->clients[below(s, s->clients_count)];
    if (!to->is_in) return;
    struct letter *l = letter_new(INPUT_GRANT, NULL, 0);
    l->in.account    = to->account;
    l->in.grant      = (struct money){ (int64_t)below(s, 4000000) - 1000 };
    ask(s, c, l);
}

/* The machine of this supplier that needs him, or null. */
static struct machine *own_machine(struct sim *s, const struct client *c, bool newcomer)
{
    uint32_t first = (uint32_t)below(s, s->plan.machines);
    for (uint32_t i = 0; i < s->plan.machines; i++) {
        struct machine *m = &s->machines[(first + i) % s->plan.machines];
        if (m->place % s->plan.suppliers != (uint32_t)(c - s->clients) - 1) continue;
        if (newcomer ? !m->has_token : m->is_enrolled) return m;
    }
    return NULL;
}

static void supply(struct sim *s, struct client *c)
{
    struct machine *m = own_machine(s, c, true);
    if (m) return ask_token(s, c, m->token, TOKEN_DEVICE);
    m = own_machine(s, c, false);
    if (!m) return;
    const struct device *d       = network_device(&s->control.n, m->id);
    bool                 is_held = s->control.up && d && d->state == DEVICE_HELD;
    bool                 retires = s->is_faulty && below(s, 2000) == 0;
    if (!is_held && !retires) return;
    struct letter *l = letter_new(is_held ? INPUT_RELEASE : INPUT_RETIRE, NULL, 0);
    l->in.subject    = m->id;
    ask(s, c, l);
}

static const struct cluster *own_cluster(struct sim *s, const struct client *c, bool live)
{
    const struct cluster *found = NULL;
    uint32_t              count = 0;
    if (!s->control.up) return NULL;
    for (const struct cluster *k = NULL; (k = table_next(&s->control.n.clusters, k));)
        if (id_eq(k->owner.id, c->account.id) && (!live || k->state < CLUSTER_ENDING) && below(s, ++count) == 0)
            found = k;
    return found;
}

static void quote(struct sim *s, struct client *c)
{
    static const char *const recipes[] = { "ray", "ray", "train", "quick", "none" };
    struct letter           *l         = letter_new(INPUT_QUOTE, NULL, 0);
    const char              *name      = recipes[below(s, countof(recipes))];
    memcpy(l->in.quote.recipe, name, strlen(name) + 1);
    l->in.quote.quantity = (uint32_t)(below(s, 3) ? 1 + below(s, 4) : below(s, 10));
    l->in.quote.duration =
        (struct span){ DURATION_MS_MIN + (int64_t)below(s, s->plan.is_long ? 20000000 : 300000) };
    ask(s, c, l);
}

static void create(struct sim *s, struct client *c)
{
    struct letter *l = letter_new(INPUT_CREATE, NULL, 0);
    l->in.subject    = c->quote;
    l->in.name[0]    = 0;
    ask(s, c, l);
}

static void extend(struct sim *s, struct client *c)
{
    const struct cluster *k = own_cluster(s, c, false);
    if (!k) return;
    struct letter *l = letter_new(INPUT_EXTEND, NULL, 0);
    l->in.subject    = k->id.id;
    l->in.duration.ms =
        (int64_t)below(s, 3) ? DURATION_MS_MIN + (int64_t)below(s, 200000) : (int64_t)below(s, 100);
    ask(s, c, l);
}

static void terminate(struct sim *s, struct client *c)
{
    const struct cluster *k = own_cluster(s, c, true);
    if (!k) return;
    struct letter *l = letter_new(INPUT_TERMINATE, NULL, 0);
    l->in.subject    = k->id.id;
    ask(s, c, l);
}

static void use(struct sim *s, struct client *c)
{
    if (!id_is_none(c->quote)) return create(s, c);
    switch (below(s, s->plan.is_long ? 24 : 8)) {
    case 0: return extend(s, c);
    case 1: return terminate(s, c);
    case 2:
    case 3:
    case 4:
    case 5: return quote(s, c);
    default: return;
    }
}

void client_turn(struct sim *s, struct client *c)
{
    bool     is_busy = !s->is_faulty || (c->is_supplier && c->is_in && own_machine(s, c, true));
    uint64_t most_ms = (uint64_t)(is_busy ? CALM_MS : 2 * s->plan.client_ms);
    later(s, 1 + (int64_t)below(s, most_ms), EVENT_CLIENT, (uint32_t)(c - s->clients), 0, NULL);
    if (c->request && s->now_ms - c->asked_ms < PATIENCE_MS) return;
    c->request = 0;
    if (!c->is_in || (c->keys < KEYS_MAX && below(s, 200) == 0)) return sign_in(s, c);
    if (s->is_faulty && below(s, 300) == 0) return end_key(s, c);
    if (c->is_operator) return operate(s, c);
    if (c->is_supplier) return supply(s, c);
    if (s->is_faulty) use(s, c);
    if (!s->is_faulty && c->has_ordered && !id_is_none(c->quote)) create(s, c);
}

/* ---- answers ---------------------------------------------------------------------------------------------------------- */

static void token_is_good(struct sim *s, const struct client *c)
{
    const uint8_t *hash = c->asked.token.hash;
    for (uint32_t i = 0; i < s->plan.gates; i++) {
        struct gate *g = &s->gates[i];
        if (g->has_token || memcmp(g->token, hash, sizeof g->token) != 0) continue;
        g->has_token = true;
        gate_start(s, g);
    }
    for (uint32_t i = 0; i < s->plan.machines; i++) {
        struct machine *m = &s->machines[i];
        if (m->has_token || memcmp(m->token, hash, sizeof m->token) != 0) continue;
        m->has_token = true;
        machine_start(s, m);
    }
}

void client_reply(struct sim *s, const struct parcel *p)
{
    struct client *c = &s->clients[p->session % CLIENTS_MAX];
    if (c->request != p->session) return;
    c->request = 0;
    if (c->asked.kind == INPUT_CREATE) c->quote = (struct id){ { 0 } };
    if (p->error == ERR_CAPACITY || p->error == ERR_LIMIT) c->has_ordered = false; /* others had it first */
    if (p->error) return;
    if (c->asked.kind == INPUT_CREATE && c->has_ordered) c->last = p->subject;
    if (c->asked.kind == INPUT_SIGN_IN) {
        c->account.id = p->subject;
        c->is_in      = true;
        c->keys++;
    }
    if (c->asked.kind == INPUT_QUOTE) c->quote = p->subject;
    if (c->asked.kind == INPUT_TOKEN) token_is_good(s, c);
}

/* One engineer wants all that is free, and can pay it. */
void clients_order(struct sim *s)
{
    struct client             *c    = &s->clients[s->clients_count - 1];
    const struct recipe_facts *r    = network_recipe(&s->control.n, STR("ray"));
    uint32_t                   free = 0;
    for (const struct device *d = NULL; (d = table_next(&s->control.n.devices, d));)
        free += device_is_free(d) && d->cpus >= r->cpus_min && d->memory_bytes >= r->memory_min;
    if (!free || !c->is_in) return;
    struct letter *grant = letter_new(INPUT_GRANT, NULL, 0), *quote = letter_new(INPUT_QUOTE, NULL, 0);
    grant->in.account        = c->account;
    grant->in.grant          = (struct money){ 1000 * (int64_t)MICROS_PER_USDC };
    quote->in.quote.quantity = free < r->nodes_max ? free : r->nodes_max;
    quote->in.quote.duration = (struct span){ MS_PER_HOUR };
    memcpy(quote->in.quote.recipe, r->name, sizeof quote->in.quote.recipe);
    c->has_ordered = true;
    control_take(s, grant);
    ask(s, c, quote);
}

void clients_end_all(struct sim *s)
{
    for (const struct cluster *k = NULL; (k = table_next(&s->control.n.clusters, k));) {
        if (k->state >= CLUSTER_ENDING) continue;
        struct letter *l = letter_new(INPUT_TERMINATE, NULL, 0);
        l->in.account    = k->owner;
        l->in.subject    = k->id.id;
        control_take(s, l);
    }
}
