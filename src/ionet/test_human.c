#include "human_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_text(struct text *t, const char *expected)
{
    assert_string_equal(text_z(t), expected);
}

static void a_duration_is_numbers_with_units_greatest_first(void **state)
{
    static const struct {
        const char *text;
        int64_t     ms; /* 0: refused */
    } rows[] = {
        { "90m", 5400000 },
        { "1h", 3600000 },
        { "2d", 172800000 },
        { "1w", 604800000 },
        { "45s", 45000 },
        { "1h30m", 5400000 },
        { "1w2d3h4m5s", 788645000 },
        { "366d", SPAN_MS_MAX },
        { "60m", 3600000 },
        { "", 0 },
        { "0m", 0 },
        { "90", 0 },
        { "m", 0 },
        { "1.5h", 0 },
        { "30m1h", 0 },
        { "1h1h", 0 },
        { "-1h", 0 },
        { "1 h", 0 },
        { "1H", 0 },
        { "367d", 0 },
        { "366d1s", 0 },
        { "99999999999999999999w", 0 },
        { "1ms", 0 },
        { "9223372036854775807s", 0 },
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct span d = { -1 };
        struct err  e = human_duration_read(str_from(rows[i].text), &d);
        if (rows[i].ms)
            assert_int_equal(e.code, ERR_NONE);
        else
            assert_int_equal(e.code, ERR_INVALID);
        assert_int_equal(d.ms, rows[i].ms ? rows[i].ms : -1);
    }
}

static void a_duration_is_written_with_two_units_at_most(void **state)
{
    static const struct {
        int64_t     ms;
        const char *text;
    } rows[] = {
        { 0, "0.0s" },       { 8449, "8.4s" },      { 59999, "59.9s" },  { 60000, "1m" },
        { 61000, "1m1s" },   { 5400000, "1h30m" },  { 3600000, "1h" },   { 3605000, "1h" },
        { 172980000, "2d" }, { 187200000, "2d4h" }, { 604800000, "7d" }, { -5, "0.0s" },
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        char        room[40];
        struct text t = TEXT_IN(room);
        human_duration_write((struct span){ rows[i].ms }, &t);
        assert_text(&t, rows[i].text);
    }
}

static void an_amount_is_read_to_the_micro(void **state)
{
    static const struct {
        const char *text;
        int64_t     micros; /* below nothing: refused */
    } rows[] = {
        { "0", 0 },          { "1", 1000000 },     { "12.5", 12500000 },
        { "0.000001", 1 },   { "0.10", 100000 },   { "999999999.999999", 999999999999999 },
        { "", -1 },          { ".5", -1 },         { "5.", -1 },
        { "1.0000001", -1 }, { "-1", -1 },         { "1e3", -1 },
        { "1,5", -1 },       { "1000000000", -1 }, { "01", -1 },
        { "1.-5", -1 },
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        struct money m = { -1 };
        struct err   e = human_usdc_read(str_from(rows[i].text), &m);
        assert_int_equal(e.code, rows[i].micros < 0 ? ERR_INVALID : ERR_NONE);
        assert_int_equal(m.micros, rows[i].micros);
    }
}

static void an_amount_that_is_written_is_read_as_the_same(void **state)
{
    static const struct {
        int64_t     micros;
        const char *text;
    } rows[] = {
        { 0, "0.00" },
        { 1, "0.000001" },
        { 100000, "0.10" },
        { 1234500, "1.2345" },
        { 12500000, "12.50" },
        { 1000010, "1.00001" },
        { 999999999999999, "999999999.999999" },
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        char         room[40];
        struct text  t = TEXT_IN(room);
        struct money back;
        human_usdc_write((struct money){ rows[i].micros }, &t);
        assert_text(&t, rows[i].text);
        assert_int_equal(human_usdc_read(text_str(&t), &back).code, ERR_NONE);
        assert_int_equal(back.micros, rows[i].micros);
    }
}

static void an_amount_below_nothing_has_a_sign(void **state)
{
    char        room[40];
    struct text t = TEXT_IN(room);
    (void)state;
    human_usdc_write((struct money){ -1500000 }, &t);
    assert_text(&t, "-1.50");
}

static void memory_is_written_in_the_unit_that_fits(void **state)
{
    static const struct {
        uint64_t    bytes;
        const char *text;
    } rows[] = {
        { 0, "0 B" },
        { 1023, "1023 B" },
        { 1024, "1.0 KiB" },
        { 4080218931, "3.7 GiB" },
        { 274877906944, "256 GiB" },
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        char        room[40];
        struct text t = TEXT_IN(room);
        human_bytes_write(rows[i].bytes, &t);
        assert_text(&t, rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_duration_is_numbers_with_units_greatest_first),
        cmocka_unit_test(a_duration_is_written_with_two_units_at_most),
        cmocka_unit_test(an_amount_is_read_to_the_micro),
        cmocka_unit_test(an_amount_that_is_written_is_read_as_the_same),
        cmocka_unit_test(an_amount_below_nothing_has_a_sign),
        cmocka_unit_test(memory_is_written_in_the_unit_that_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
