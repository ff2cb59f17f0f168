/* account.c: money, as its owner and as the operator see it. */
#include "api_int.h"

#include "codec/codec.h"

#include <string.h>

/* ---- the account ------------------------------------------------------------------------------------------- */

static void write_account(struct json_out *w, const void *ctx)
{
    const struct api_ask *q     = ctx;
    const struct ledger  *books = &q->api->o.network->ledger;
    struct account_now    now   = {
             .balance  = ledger_balance(books, LEDGER_BALANCE, q->account->id.id),
             .earnings = ledger_balance(books, LEDGER_EARNINGS, q->account->id.id),
    };
    json_open_object(w);
    json_fields(w, &account_type, q->account, SEEN_OWNER);
    json_fields(w, &account_now_type, &now, SEEN_OWNER);
    json_close_object(w);
}

void get_account(struct api_ask *q)
{
    reply_json(q->request, 200, write_account, q);
}

/* ---- what only the operator does ------------------------------------------------------------------------------ */

static void on_granted(struct api_waiting *w, const struct effect *e)
{
    struct grant_reply reply = { { e->subject }, { (int64_t)e->count } };
    reply_record(w->request, w->route->status, &grant_reply_type, &reply, SEEN_OPERATOR);
}

/* By its id, or by the wallet's key. */
static const struct account *account_named(const struct network *n, struct str name)
{
    struct account_id id;
    uint8_t           key[CRYPTO_KEY_BYTES];
    if (!id_read(name, &id.id).code) return network_account(n, id);
    if (!base58_read(name, key, sizeof key).code) return network_account_by_key(n, key);
    return NULL;
}

void post_grant(struct api_ask *q)
{
    const struct grant_request *b   = &q->body->grant;
    const struct account       *who = account_named(q->api->o.network, str_from(b->account));
    if (!who)
        return reply_error(q->request,
                           ERR(MISSING, "there is no such account: its owner has to sign in first"));
    struct input in = { .kind = INPUT_GRANT, .account = who->id, .grant = b->amount };
    ask_network(q, &in, STR(""), on_granted);
}

void get_books(struct api_ask *q)
{
    const struct network *n = q->api->o.network;
    struct books          b = { .sum = ledger_sum(&n->ledger), .transfers = n->meta.transfers };
    for (const struct ledger_account *a = NULL; (a = table_next(&n->ledger.accounts, a));) {
        struct money *to[LEDGER_KIND_COUNT] = {
            [LEDGER_OUTSIDE] = &b.outside, [LEDGER_BALANCE] = &b.balances, [LEDGER_EARNINGS] = &b.earnings,
            [LEDGER_ESCROW] = &b.escrow,   [LEDGER_FEES] = &b.fees,
        };
        *to[a->kind] = money_add(*to[a->kind], a->balance);
    }
    reply_record(q->request, 200, &books_type, &b, SEEN_OPERATOR);
}
