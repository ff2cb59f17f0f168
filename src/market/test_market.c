#include "market.h"

#include "base/prng.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void a_total_is_what_one_costs_times_how_many(void **state)
{
    (void)state;
    static const struct {
        int64_t  price;
        uint32_t quantity;
        int64_t  duration, total;
    } rows[] = {
        { 100000, 3, MS_PER_HOUR, 300000 },
        { 100000, 3, MS_PER_HOUR / 2, 150000 },
        { 1, 3, MS_PER_HOUR - 1, 0 }, /* a micro each is not reached */
        { 1, 3, MS_PER_HOUR, 3 },
        { HOURLY_MICROS_MAX, 10, (int64_t)24 * MS_PER_HOUR, HOURLY_MICROS_MAX * 240 },
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct money total;
        assert_int_equal(market_total((struct hourly){ rows[i].price }, rows[i].quantity,
                                      (struct span){ rows[i].duration }, &total)
                             .code,
                         ERR_NONE);
        assert_int_equal(total.micros, rows[i].total);
    }
}

static void what_nobody_can_pay_has_no_total(void **state)
{
    (void)state;
    struct money total = { 7 };
    assert_int_equal(
        market_total((struct hourly){ HOURLY_MICROS_MAX }, 2, (struct span){ SPAN_MS_MAX }, &total).code,
        ERR_LIMIT);
    assert_int_equal(
        market_total((struct hourly){ HOURLY_MICROS_MAX }, QUANTITY_MAX, (struct span){ SPAN_MS_MAX }, &total)
            .code,
        ERR_LIMIT);
    assert_int_equal(total.micros, 7);
}

/* However the time is cut into pieces, what all nodes are charged never exceeds the quote. */
static void no_division_of_the_time_costs_more_than_the_quote(void **state)
{
    (void)state;
    struct prng p = { 5 };
    for (int round = 0; round < 20000; round++) {
        struct hourly price    = { (int64_t)prng_below(&p, 5000000) };
        struct span   duration = { DURATION_MS_MIN + (int64_t)prng_below(&p, MS_PER_DAY) };
        uint32_t      quantity = 1 + (uint32_t)prng_below(&p, 20);
        int64_t       charged  = 0;
        struct money  total;
        assert_int_equal(market_total(price, quantity, duration, &total).code, ERR_NONE);
        for (uint32_t i = 0; i < quantity; i++) {
            int64_t first =
                (int64_t)prng_below(&p, (uint64_t)duration.ms + 1); /* served by one, the rest by another */
            charged += bill_usage(price, 1, (struct span){ first }).micros;
            charged += bill_usage(price, 1, (struct span){ duration.ms - first }).micros;
        }
        assert_true(charged <= total.micros);
    }
}

static void the_fee_and_the_rest_are_the_charge(void **state)
{
    (void)state;
    struct prng p = { 6 };
    for (int round = 0; round < 20000; round++) {
        struct money charge = { (int64_t)prng_below(&p, 1000000000) };
        uint32_t     points = (uint32_t)prng_below(&p, 10001);
        struct money fee    = market_fee(charge, points);
        assert_true(fee.micros >= 0 && fee.micros <= charge.micros);
        assert_true(fee.micros * 10000 <= charge.micros * points);
        assert_true((fee.micros + 1) * 10000 > charge.micros * points);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_total_is_what_one_costs_times_how_many),
        cmocka_unit_test(what_nobody_can_pay_has_no_total),
        cmocka_unit_test(no_division_of_the_time_costs_more_than_the_quote),
        cmocka_unit_test(the_fee_and_the_rest_are_the_charge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
