#include "ledger.h"

const char *const ledger_kind_names[LEDGER_KIND_COUNT] = {
    [LEDGER_OUTSIDE] = "outside", [LEDGER_BALANCE] = "balance", [LEDGER_EARNINGS] = "earnings",
    [LEDGER_ESCROW] = "escrow",   [LEDGER_FEES] = "fees",
};

const char *const ledger_cause_names[CAUSE_COUNT] = {
    [CAUSE_GRANT] = "grant", [CAUSE_ESCROW] = "escrow", [CAUSE_EARNING] = "earning",
    [CAUSE_FEE] = "fee",     [CAUSE_REFUND] = "refund",
};

static const struct field account_fields[] = {
    FIELD_ID(struct ledger_account, id, SEEN_OPERATOR, STORED | KEY, "of this ledger account"),
    FIELD_ENUM(struct ledger_account, kind, ledger_kind_names, SEEN_OWNER, STORED, "what it is for"),
    FIELD_ID(struct ledger_account, owner, SEEN_OWNER, STORED,
             "account or cluster; none for the network's own"),
    FIELD_MICROS(struct ledger_account, balance, "balance_micros", -MONEY_MICROS_MAX, SEEN_OWNER, STORED,
                 "micro-USDC"),
};
const struct record_type ledger_account_type = RECORD_TYPE(
    "ledger_account", "ledger_accounts", struct ledger_account, account_fields, "one side of the books");

static const struct field transfer_fields[] = {
    FIELD_U64(struct transfer, number, 1, RECORD_INT_MAX, SEEN_OWNER, STORED | KEY, "counts up without a gap"),
    FIELD_ID(struct transfer, from, SEEN_OPERATOR, STORED, "ledger account that gave"),
    FIELD_ID(struct transfer, to, SEEN_OPERATOR, STORED, "ledger account that got"),
    FIELD_MICROS(struct transfer, amount, "amount_micros", 1, SEEN_OWNER, STORED, "micro-USDC"),
    FIELD_ENUM(struct transfer, cause, ledger_cause_names, SEEN_OWNER, STORED, "why"),
    FIELD_ID(struct transfer, subject, SEEN_OWNER, STORED, "the account, cluster or node it is about"),
    FIELD_MS(struct transfer, at, "at_ms", SEEN_OWNER, STORED, "when, in ms since 1970"),
};
const struct record_type transfer_type =
    RECORD_TYPE("transfer", "transfers", struct transfer, transfer_fields, "money that was moved");

/* An owner's id with its last byte mixed with the kind would meet another owner's; so the kind goes into all
 * bytes by a fixed stride. Owners are keyed hashes: two of these meet as seldom as two of those. */
struct id ledger_id(enum ledger_kind kind, struct id owner)
{
    struct id id = owner;
    for (size_t i = 0; i < ID_BYTES; i++) id.bytes[i] ^= (uint8_t)((kind + 1) * 0x1d * (i + 1));
    return id;
}

size_t ledger_bytes(uint32_t accounts_max)
{
    return table_bytes(accounts_max, sizeof(struct ledger_account));
}

void ledger_init(struct ledger *l, struct arena *a, uint32_t accounts_max)
{
    *l = (struct ledger){ .transfers = 0 };
    table_init(&l->accounts, a, accounts_max, sizeof(struct ledger_account),
               offsetof(struct ledger_account, id));
}

struct ledger_account *ledger_account(struct ledger *l, enum ledger_kind kind, struct id owner)
{
    struct id              id = ledger_id(kind, owner);
    struct ledger_account *a  = table_find(&l->accounts, id);
    if (a) return a;

    a = table_add(&l->accounts, id);
    if (!a) return NULL;
    a->kind  = kind;
    a->owner = owner;
    return a;
}

struct money ledger_balance(const struct ledger *l, enum ledger_kind kind, struct id owner)
{
    const struct ledger_account *a = table_find(&l->accounts, ledger_id(kind, owner));
    return a ? a->balance : (struct money){ 0 };
}

struct err ledger_post(struct ledger *l, struct ledger_account *from, struct ledger_account *to,
                       struct money amount, enum ledger_cause cause, struct id subject, struct instant at,
                       struct transfer *t)
{
    check(amount.micros >= 0 && from != to);
    *t = (struct transfer){ .number = 0 };
    if (amount.micros == 0) return OK;
    if (from->kind != LEDGER_OUTSIDE && from->balance.micros < amount.micros)
        return ERR(FUNDS, "the balance does not cover it");
    if (amount.micros > MONEY_MICROS_MAX || to->balance.micros > MONEY_MICROS_MAX - amount.micros)
        return ERR(LIMIT, "an account can't hold that much");
    if (from->balance.micros < amount.micros - MONEY_MICROS_MAX)
        return ERR(LIMIT, "the network can't hold that much");

    from->balance = money_sub(from->balance, amount);
    to->balance   = money_add(to->balance, amount);
    *t            = (struct transfer){ ++l->transfers, from->id, to->id, amount, cause, subject, at };
    return OK;
}

struct money ledger_sum(const struct ledger *l)
{
    struct money sum = { 0 };
    for (const struct ledger_account *a = NULL; (a = table_next(&l->accounts, a));)
        sum = money_add(sum, a->balance);
    return sum;
}
