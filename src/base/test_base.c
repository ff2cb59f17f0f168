#include "arena.h"
#include "id.h"
#include "map.h"
#include "prng.h"
#include "str.h"
#include "units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct id id_of(struct prng *p)
{
    struct id id;
    for (size_t i = 0; i < ID_BYTES; i++) id.bytes[i] = (uint8_t)prng_below(p, 256);
    return id;
}

static void ids_come_back_from_their_text(void **state)
{
    (void)state;
    struct prng p = { 7 };
    for (int i = 0; i < 10000; i++) {
        struct id   id = id_of(&p), back;
        char        room[ID_TEXT];
        struct text t = TEXT_IN(room);
        id_write(id, &t);
        assert_false(t.full);
        assert_int_equal(id_read(text_str(&t), &back).code, ERR_NONE);
        assert_true(id_eq(id, back));
    }
}

static void ids_with_foreign_letters_are_refused(void **state)
{
    (void)state;
    struct id id;
    assert_int_equal(id_read(STR("0000000000000000"), &id).code, ERR_NONE);
    assert_int_equal(id_read(STR("000000000000000i"), &id).code, ERR_INVALID);
    assert_int_equal(id_read(STR("000000000000000A"), &id).code, ERR_INVALID);
    assert_int_equal(id_read(STR("000000000000000"), &id).code, ERR_INVALID);
    assert_int_equal(id_read(STR("00000000000000000"), &id).code, ERR_INVALID);
}

struct thing {
    uint32_t  mark;
    struct id id;
};

static void a_map_holds_what_a_plain_list_holds(void **state)
{
    (void)state;
    enum { MOST = 300 };
    struct thing things[MOST] = { { 0 } };
    bool         in[MOST]     = { false };
    uint32_t     slots[1024]  = { 0 };
    struct map   m;
    struct prng  p = { 42 };
    for (uint32_t i = 0; i < MOST; i++) things[i] = (struct thing){ i, id_of(&p) };
    assert_true(map_slots_for(MOST) <= countof(slots));
    map_init(&m, slots, map_slots_for(MOST), things, sizeof things[0], offsetof(struct thing, id));

    for (int step = 0; step < 200000; step++) {
        uint32_t i = (uint32_t)prng_below(&p, MOST);
        if (in[i])
            map_remove(&m, things[i].id);
        else
            map_put(&m, i);
        in[i]      = !in[i];
        uint32_t j = (uint32_t)prng_below(&p, MOST);
        assert_int_equal(map_find(&m, things[j].id), in[j] ? j : MAP_NONE);
    }
}

static void numbers_are_read_in_one_spelling_only(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool        good;
        int64_t     value;
    } rows[] = {
        { "0", true, 0 },
        { "-0", false, 0 },
        { "12", true, 12 },
        { "-7", true, -7 },
        { "", false, 0 },
        { "-", false, 0 },
        { "01", false, 0 },
        { "+1", false, 0 },
        { "1 ", false, 0 },
        { "1.0", false, 0 },
        { "9223372036854775807", true, INT64_MAX },
        { "9223372036854775808", false, 0 },
        { "99999999999999999999", false, 0 },
    };
    for (size_t i = 0; i < countof(rows); i++) {
        int64_t    value = 0;
        struct err e     = str_to_i64(str_from(rows[i].text), &value);
        assert_int_equal(e.code == ERR_NONE, rows[i].good);
        assert_int_equal(value, rows[i].value);
    }
}

static void only_shortest_utf8_is_text(void **state)
{
    (void)state;
    assert_true(str_is_utf8(STR("Angela's node \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80")));
    assert_false(str_is_utf8(STR("\xc0\xaf")));
    assert_false(str_is_utf8(STR("\xed\xa0\x80")));
    assert_false(str_is_utf8(STR("\xf4\x90\x80\x80")));
    assert_false(str_is_utf8(STR("\xe2\x82")));
    assert_false(str_is_utf8(STR("a\nb")));
    assert_false(str_is_utf8(STR("\x7f")));
    assert_false(str_is_utf8(STR("\xc2\x9b"
                                 "31m"))); /* what a terminal takes for ESC [ */
    assert_false(str_is_utf8(STR("\xc2\x80")));
    assert_true(str_is_utf8(STR("\xc2\xa0\xc3\x80")));
}

static void a_full_text_stays_full_and_keeps_whole_pieces(void **state)
{
    (void)state;
    char        room[8];
    struct text t = TEXT_IN(room);
    text_add(&t, STR("abc"));
    text_add(&t, STR("too long"));
    text_add(&t, STR("d"));
    assert_true(t.full);
    assert_string_equal(text_z(&t), "abc");
}

static void bills_round_down_and_never_overflow(void **state)
{
    (void)state;
    assert_int_equal(bill_usage((struct hourly){ 3600 }, 1, (struct span){ 999 }).micros, 0);
    assert_int_equal(bill_usage((struct hourly){ 3600 }, 1, (struct span){ 1000 }).micros, 1);
    assert_int_equal(bill_usage((struct hourly){ 100000 }, 3, (struct span){ MS_PER_HOUR }).micros, 300000);
    assert_int_equal(bill_share((struct money){ 399 }, 25).micros, 0);
    assert_int_equal(bill_share((struct money){ 400 }, 25).micros, 1);
    assert_true(bill_usage((struct hourly){ HOURLY_MICROS_MAX }, 1000, (struct span){ SPAN_MS_MAX }).micros >
                0);
}

static void an_arena_ends_and_says_so(void **state)
{
    (void)state;
    _Alignas(16) char room[64];
    struct arena      a = ARENA_IN(room, sizeof room);
    assert_non_null(arena_take(&a, 1));
    assert_ptr_equal(arena_take(&a, 48), room + 16);
    assert_null(arena_take(&a, 1));
    assert_null(arena_take(&a, SIZE_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_come_back_from_their_text),
        cmocka_unit_test(ids_with_foreign_letters_are_refused),
        cmocka_unit_test(a_map_holds_what_a_plain_list_holds),
        cmocka_unit_test(numbers_are_read_in_one_spelling_only),
        cmocka_unit_test(only_shortest_utf8_is_text),
        cmocka_unit_test(a_full_text_stays_full_and_keeps_whole_pieces),
        cmocka_unit_test(bills_round_down_and_never_overflow),
        cmocka_unit_test(an_arena_ends_and_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
