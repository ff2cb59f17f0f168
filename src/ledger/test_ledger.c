#include "ledger.h"

#include "base/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct ledger l;
static void         *memory;

static int open_ledger(void **state)
{
    (void)state;
    size_t bytes   = ledger_bytes(16) + 64;
    memory         = calloc(1, bytes);
    struct arena a = ARENA_IN(memory, bytes);
    ledger_init(&l, &a, 16);
    return 0;
}

static int close_ledger(void **state)
{
    (void)state;
    free(memory);
    return 0;
}

/* Accounts are named by one letter and its owner: "b1" the balance of owner 1, "o" the outside. */
static struct ledger_account *named(struct str name)
{
    static const char kinds[LEDGER_KIND_COUNT] = { 'o', 'b', 'e', 's', 'f' };
    const char       *kind                     = memchr(kinds, name.ptr[0], sizeof kinds);
    struct id         owner                    = { { 0 } };
    assert_non_null(kind);
    if (name.len > 1) owner.bytes[0] = (uint8_t)name.ptr[1];
    struct ledger_account *a = ledger_account(&l, (enum ledger_kind)(kind - kinds), owner);
    assert_non_null(a);
    return a;
}

/* One row a step: FROM TO AMOUNT, what becomes of it, and what FROM and TO hold after. */
static void money_moves_as_the_table_says(void **state)
{
    (void)state;
    static const struct {
        const char   *from, *to;
        int64_t       amount;
        enum err_code code;
        int64_t       from_after, to_after;
    } rows[] = {
        { "b1", "s1", 1, ERR_FUNDS, 0, 0 },
        { "o", "b1", 1000, ERR_NONE, -1000, 1000 },
        { "b1", "s1", 600, ERR_NONE, 400, 600 },
        { "b1", "s1", 401, ERR_FUNDS, 400, 600 },
        { "s1", "e1", 200, ERR_NONE, 400, 200 },
        { "s1", "f", 1, ERR_NONE, 399, 1 },
        { "s1", "b1", 0, ERR_NONE, 399, 400 },
        { "s1", "b1", 399, ERR_NONE, 0, 799 },
        { "s1", "b1", 1, ERR_FUNDS, 0, 799 },
        { "o", "b1", MONEY_MICROS_MAX, ERR_LIMIT, -1000, 799 },
        { "o", "b2", MONEY_MICROS_MAX, ERR_LIMIT, -1000, 0 }, /* the outside's side must fit its record too */
        { "o", "b2", MONEY_MICROS_MAX - 1000, ERR_NONE, -MONEY_MICROS_MAX, MONEY_MICROS_MAX - 1000 },
        { "o", "b2", 1, ERR_LIMIT, -MONEY_MICROS_MAX, MONEY_MICROS_MAX - 1000 },
        { "e1", "b2", 200, ERR_NONE, 0, MONEY_MICROS_MAX - 800 },
    };
    uint64_t moved = 0;
    for (size_t i = 0; i < countof(rows); i++) {
        struct ledger_account *from = named(str_from(rows[i].from)), *to = named(str_from(rows[i].to));
        struct transfer        t;
        struct err e = ledger_post(&l, from, to, (struct money){ rows[i].amount }, CAUSE_GRANT, to->id,
                                   (struct instant){ 5 }, &t);
        assert_int_equal(e.code, rows[i].code);
        assert_int_equal(from->balance.micros, rows[i].from_after);
        assert_int_equal(to->balance.micros, rows[i].to_after);
        moved += !e.code && rows[i].amount;
        assert_int_equal(t.number, !e.code && rows[i].amount ? moved : 0);
        assert_int_equal(ledger_sum(&l).micros, 0);
    }
}

static void whatever_is_tried_nobody_owes_and_the_sum_stays_zero(void **state)
{
    (void)state;
    struct prng              p       = { 11 };
    static const char *const names[] = { "o", "b1", "b2", "e1", "s1", "f" };
    for (int step = 0; step < 100000; step++) {
        struct ledger_account *from = named(str_from(names[prng_below(&p, 6)]));
        struct ledger_account *to   = named(str_from(names[prng_below(&p, 6)]));
        struct transfer        t;
        if (from == to) continue;
        struct err e = ledger_post(&l, from, to, (struct money){ (int64_t)prng_below(&p, 5000) }, CAUSE_GRANT,
                                   to->id, (struct instant){ step }, &t);
        assert_true(e.code == ERR_NONE || e.code == ERR_FUNDS);
        assert_true(from->kind == LEDGER_OUTSIDE || from->balance.micros >= 0);
        assert_int_equal(ledger_sum(&l).micros, 0);
    }
}

static void each_kind_and_owner_has_one_account_until_the_table_is_full(void **state)
{
    (void)state;
    struct id owner = { { 0 } };
    for (uint8_t i = 0; i < 16; i++) {
        owner.bytes[0]           = i;
        struct ledger_account *a = ledger_account(&l, LEDGER_BALANCE, owner);
        assert_non_null(a);
        assert_ptr_equal(a, ledger_account(&l, LEDGER_BALANCE, owner));
    }
    assert_null(ledger_account(&l, LEDGER_EARNINGS, owner));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_ledger, close_ledger)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(money_moves_as_the_table_says),
        TEST(whatever_is_tried_nobody_owes_and_the_sum_stays_zero),
        TEST(each_kind_and_owner_has_one_account_until_the_table_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
