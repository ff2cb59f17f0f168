/* ledger.h: who owns what. Double entry, in memory, pure.
 *
 * Money is only ever moved: a transfer takes an amount from one account and gives it to another, so the sum
 * over all accounts is zero, always. Only an account of the outside world may go below zero, down to
 * -MONEY_MICROS_MAX: there money enters and leaves the network. So all the others together hold no more than
 * MONEY_MICROS_MAX, and a transfer between two of them never fails for size. Every transfer names its cause and
 * its subject, so that each balance can be explained.
 *
 * Accounts are records, their balance stored with them; transfers are records that are only ever added. */
#ifndef LEDGER_LEDGER_H
#define LEDGER_LEDGER_H

#include "base/id.h"
#include "base/table.h"
#include "base/units.h"
#include "record/record.h"

enum ledger_kind {
    LEDGER_OUTSIDE,  /* one: grants now, deposits and payouts later */
    LEDGER_BALANCE,  /* an account's money to spend */
    LEDGER_EARNINGS, /* what a supplier has earned */
    LEDGER_ESCROW,   /* a cluster's prepaid money */
    LEDGER_FEES,     /* one: the network's */
    LEDGER_KIND_COUNT
};
extern const char *const ledger_kind_names[LEDGER_KIND_COUNT];

enum ledger_cause {
    CAUSE_GRANT,   /* outside → balance, by the operator; subject: the account */
    CAUSE_ESCROW,  /* balance → escrow; subject: the cluster */
    CAUSE_EARNING, /* escrow → earnings; subject: the node */
    CAUSE_FEE,     /* escrow → fees; subject: the node */
    CAUSE_REFUND,  /* escrow → balance; subject: the cluster */
    CAUSE_COUNT
};
extern const char *const ledger_cause_names[CAUSE_COUNT];

/* Named by kind and owner together: an owner has at most one of each kind. */
struct ledger_account {
    struct id        id; /* ledger_id(kind, owner) */
    enum ledger_kind kind;
    struct id        owner; /* an account's or a cluster's id; none for the two of the network */
    struct money     balance;
};
extern const struct record_type ledger_account_type;

struct transfer {
    uint64_t          number; /* 1, 2, 3 … without a gap */
    struct id         from;
    struct id         to;
    struct money      amount; /* above zero */
    enum ledger_cause cause;
    struct id         subject;
    struct instant    at;
};
extern const struct record_type transfer_type;

struct ledger {
    struct table accounts;
    uint64_t     transfers; /* number of the last */
};

size_t ledger_bytes(uint32_t accounts_max);
void   ledger_init(struct ledger *l, struct arena *a, uint32_t accounts_max);

struct id ledger_id(enum ledger_kind kind, struct id owner);

/* The account of that kind and owner, made when it is not there (balance zero); null when the table is full. */
struct ledger_account *ledger_account(struct ledger *l, enum ledger_kind kind, struct id owner);
struct money           ledger_balance(const struct ledger *l, enum ledger_kind kind, struct id owner);

/* Moves money and fills *t, number included. ERR_FUNDS when `from` would go below zero, and it is not the
 * outside; ERR_LIMIT when more would be in the network than MONEY_MICROS_MAX. `amount` zero moves nothing: *t then has number 0. */
must_check struct err ledger_post(struct ledger *l, struct ledger_account *from, struct ledger_account *to,
                                  struct money amount, enum ledger_cause cause, struct id subject,
                                  struct instant at, struct transfer *t);

/* The sum over all accounts: zero, or the books are wrong. */
struct money ledger_sum(const struct ledger *l);

#endif
