/* accounts.c: who may ask: accounts, their API keys, test credit, join tokens. */
#include "network_int.h"

#include <string.h>

/* ---- what an account holds open ------------------------------------------------------------------------- */

struct holding {
    struct account_id account;
    enum account_open what;
    bool              is_open;
};

static struct holding holding_of(const struct record_type *type, const void *record)
{
    const struct quote      *quote = record;
    const struct api_key    *key   = record;
    const struct join_grant *grant = record;
    if (type == &quote_type) return (struct holding){ quote->account, OPEN_QUOTES, !quote->taken };
    if (type == &api_key_type) return (struct holding){ key->account, OPEN_KEYS, true };
    check(type == &join_grant_type);
    return (struct holding){ grant->account, OPEN_TOKENS, id_is_none(grant->used_by) };
}

bool account_holds(struct network *n, const struct record_type *type, const void *record)
{
    struct holding  h = holding_of(type, record);
    struct account *a = table_find(&n->accounts, h.account.id);
    if (a) a->open[h.what] += h.is_open;
    return a != NULL;
}

void account_lets_go(struct network *n, const struct record_type *type, const void *record)
{
    struct holding  h = holding_of(type, record);
    struct account *a = table_find(&n->accounts, h.account.id);
    if (!h.is_open) return;
    check(a && a->open[h.what] > 0);
    a->open[h.what]--;
}

struct err account_may_open(const struct network *n, struct account_id id, enum account_open what,
                            uint64_t *most)
{
    static const struct {
        uint32_t    most;
        const char *why;
    } limits[ACCOUNT_OPEN_COUNT] = {
        [OPEN_QUOTES] = { ACCOUNT_QUOTES_MAX, "this account has too many open quotes: wait until some expire" },
        [OPEN_KEYS]   = { ACCOUNT_KEYS_MAX, "this account has too many API keys: end some of them" },
        [OPEN_TOKENS] = { ACCOUNT_TOKENS_MAX, "this account has too many unused join tokens: use some first" },
    };
    const struct account *a = network_account(n, id);
    if (!a) return ERR(MISSING, "there is no such account");
    if (a->open[what] < limits[what].most) return OK;
    *most = limits[what].most;
    return ERR(LIMIT, limits[what].why);
}

/* ---- inputs ----------------------------------------------------------------------------------------------- */

static struct account *account_of_key(struct network *n, const uint8_t public_key[32])
{
    uint32_t place = map_find(&n->accounts_by_tag, network_tag(public_key));
    if (place == MAP_NONE) return NULL;
    struct account *a = table_at(&n->accounts, place);
    return memcmp(a->public_key, public_key, 32) == 0 ? a : NULL;
}

static struct account *account_open(struct step *s, const uint8_t public_key[32])
{
    struct network *n = s->n;
    struct account *a = table_add(&n->accounts, step_id(s, STR("account")));
    if (!a) return NULL;
    memcpy(a->public_key, public_key, 32);
    a->key_tag = network_tag(public_key);
    a->made    = s->now;
    map_put(&n->accounts_by_tag, table_place(&n->accounts, a));
    return a;
}

void on_sign_in(struct step *s)
{
    struct network *n    = s->n;
    struct id       tag  = network_tag(s->in->sign_in.key_hash);
    struct account *a    = account_of_key(n, s->in->sign_in.public_key);
    uint64_t        most = 0;
    struct err      e    = a ? account_may_open(n, a->id, OPEN_KEYS, &most) : OK;
    if (e.code) return step_reply(s, e, tag, most);
    if (n->keys.live == n->keys.most || table_find(&n->keys, tag))
        return step_reply(s, ERR(LIMIT, "the network keeps no more API keys"), tag, 0);
    if (!a) a = account_open(s, s->in->sign_in.public_key);
    if (!a) return step_reply(s, ERR(LIMIT, "the network keeps no more accounts"), tag, 0);

    a->operator = s->in->sign_in.operator;
    step_changed(s, &account_type, a);

    struct api_key *k = table_add(&n->keys, tag);
    memcpy(k->hash, s->in->sign_in.key_hash, sizeof k->hash);
    memcpy(k->name, s->in->sign_in.name, sizeof k->name);
    k->account = a->id;
    k->scopes  = s->in->sign_in.scopes & (a->operator ? SCOPE_ALL : SCOPE_ALL & ~(unsigned)SCOPE_OPERATOR);
    k->made    = s->now;
    k->expires = instant_add(s->now, s->in->sign_in.valid);
    check(account_holds(n, &api_key_type, k));
    step_changed(s, &api_key_type, k);
    step_reply(s, OK, a->id.id, 0);
}

void on_key_end(struct step *s)
{
    struct api_key *k = table_find(&s->n->keys, s->in->subject);
    if (!k || !id_eq(k->account.id, s->in->account.id))
        return step_reply(s, ERR(MISSING, "there is no such key"), s->in->subject, 0);
    account_lets_go(s->n, &api_key_type, k);
    step_removed(s, &api_key_type, &s->n->keys, k);
    step_reply(s, OK, k->id, 0);
}

void on_grant(struct step *s)
{
    struct ledger *l  = &s->n->ledger;
    struct id      to = s->in->account.id;
    if (!table_find(&s->n->accounts, to)) return step_reply(s, ERR(MISSING, "there is no such account"), to, 0);
    if (s->in->grant.micros <= 0) return step_reply(s, ERR(INVALID, "a grant is above zero"), to, 0);

    struct ledger_account *outside = ledger_account(l, LEDGER_OUTSIDE, (struct id){ { 0 } });
    struct ledger_account *balance = ledger_account(l, LEDGER_BALANCE, to);
    if (!outside || !balance) return step_reply(s, ERR(LIMIT, "the books keep no more accounts"), to, 0);
    struct err e = step_post(s, outside, balance, s->in->grant, CAUSE_GRANT, to);
    step_reply(s, e, to, e.code ? 0 : (uint64_t)balance->balance.micros);
}

void on_token(struct step *s)
{
    struct network *n    = s->n;
    struct id       tag  = network_tag(s->in->token.hash);
    uint64_t        most = 0;
    struct err      e    = account_may_open(n, s->in->account, OPEN_TOKENS, &most);
    if (e.code) return step_reply(s, e, tag, most);
    if (s->in->token.ask.micros < 0 || s->in->token.ask.micros > HOURLY_MICROS_MAX)
        return step_reply(s, ERR(INVALID, "a unit asks at most 100,000 USDC an hour"), tag, 0);
    struct join_grant *g = table_find(&n->grants, tag) ? NULL : table_add(&n->grants, tag);
    if (!g) return step_reply(s, ERR(LIMIT, "the network keeps no more join tokens"), tag, 0);

    memcpy(g->hash, s->in->token.hash, sizeof g->hash);
    g->purpose = s->in->token.purpose;
    g->account = s->in->account;
    g->ask     = s->in->token.ask;
    g->made    = s->now;
    g->expires = instant_add(s->now, s->in->token.valid);
    check(account_holds(n, &join_grant_type, g));
    step_changed(s, &join_grant_type, g);
    step_reply(s, OK, g->id, 0);
}
