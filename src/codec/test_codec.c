#include "codec.h"

#include "base/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void known_bytes_have_known_texts(void **state)
{
    (void)state;
    /* RFC 4648, section 10, and the examples of draft-msporny-base58. */
    static const struct {
        const char *bytes, *base64, *base58;
    } rows[] = {
        { "", "", "" },
        { "f", "Zg==", "2m" },
        { "fo", "Zm8=", "8o8" },
        { "foobar", "Zm9vYmFy", "t1Zv2yaZ" },
        { "Hello World!", "SGVsbG8gV29ybGQh", "2NEpo7TZRRrLZSi2U" },
    };
    for (size_t i = 0; i < countof(rows); i++) {
        char           room[2][64];
        struct text    a = TEXT_IN(room[0]), b = TEXT_IN(room[1]);
        const uint8_t *bytes = (const uint8_t *)rows[i].bytes;
        base64_write(bytes, strlen(rows[i].bytes), &a);
        base58_write(bytes, strlen(rows[i].bytes), &b);
        assert_string_equal(text_z(&a), rows[i].base64);
        assert_string_equal(text_z(&b), rows[i].base58);
    }
    char          room[64];
    struct text   t      = TEXT_IN(room);
    const uint8_t with[] = { 0x00, 0x00, 0x28, 0x7f, 0xb4, 0xcd };
    base58_write(with, sizeof with, &t);
    assert_string_equal(text_z(&t), "11233QC4");
}

static void random_bytes_come_back(void **state)
{
    (void)state;
    struct prng p = { 3 };
    for (int round = 0; round < 20000; round++) {
        uint8_t     bytes[40], back[40];
        size_t      count = prng_below(&p, sizeof bytes + 1), got;
        char        room[128];
        struct text t = TEXT_IN(room);
        for (size_t i = 0; i < count; i++) bytes[i] = prng_below(&p, 4) ? (uint8_t)prng_next(&p) : 0;

        base64_write(bytes, count, &t);
        assert_int_equal(base64_read(text_str(&t), back, count).code, ERR_NONE);
        assert_memory_equal(back, bytes, count);
        t.len = 0;
        base64url_write(bytes, count, &t);
        assert_int_equal(base64url_read(text_str(&t), back, sizeof back, &got).code, ERR_NONE);
        assert_int_equal(got, count);
        assert_memory_equal(back, bytes, count);
        t.len = 0;
        base58_write(bytes, count, &t);
        assert_int_equal(base58_read(text_str(&t), back, count).code, ERR_NONE);
        assert_memory_equal(back, bytes, count);
        t.len = 0;
        text_add_hex(&t, bytes, count);
        assert_int_equal(hex_read(text_str(&t), back, count).code, ERR_NONE);
        assert_memory_equal(back, bytes, count);
    }
}

static void a_second_spelling_is_refused(void **state)
{
    (void)state;
    uint8_t out[64];
    size_t  got;
    assert_int_equal(base64_read(STR("Zh=="), out, 1).code, ERR_INVALID); /* spare bits set */
    assert_int_equal(base64_read(STR("Zg="), out, 1).code, ERR_INVALID);
    assert_int_equal(base64_read(STR("Zg"), out, 1).code, ERR_INVALID);
    assert_int_equal(base64url_read(STR("Zh"), out, 64, &got).code, ERR_INVALID);
    assert_int_equal(base64url_read(STR("Z"), out, 64, &got).code, ERR_INVALID);
    assert_int_equal(base64url_read(STR("Zg=="), out, 64, &got).code, ERR_INVALID);
    assert_int_equal(base58_read(STR("0"), out, 1).code, ERR_INVALID);
    assert_int_equal(base58_read(STR("12m"), out, 1).code, ERR_INVALID);
    assert_int_equal(hex_read(STR("AA"), out, 1).code, ERR_INVALID);
}

static void what_has_another_length_is_refused(void **state)
{
    (void)state;
    uint8_t out[64] = { 7 };
    size_t  got;
    assert_int_equal(base64_read(STR("Zm9v"), out, 2).code, ERR_INVALID);
    assert_int_equal(base64_read(STR("Zm9v"), out, 4).code, ERR_INVALID);
    assert_int_equal(base64url_read(STR("Zm9v"), out, 2, &got).code, ERR_LIMIT);
    assert_int_equal(base58_read(STR("2m"), out, 0).code, ERR_INVALID);
    assert_int_equal(base58_read(STR("2m"), out, 2).code, ERR_INVALID);
    assert_int_equal(base58_read(STR("t1Zv2yaZ"), out, 5).code, ERR_INVALID);
    assert_int_equal(hex_read(STR("aab"), out, 1).code, ERR_INVALID);
    assert_int_equal(hex_read(STR("aabb"), out, 1).code, ERR_INVALID);

    char        letters[65], room[128];
    uint8_t     most[BASE58_BYTES_MAX];
    struct text t = TEXT_IN(room);
    memset(letters, 'z', sizeof letters);
    memset(most, 0xff, sizeof most);
    assert_int_equal(base58_read((struct str){ letters, sizeof letters }, out, 32).code, ERR_INVALID);
    base58_write(most, sizeof most, &t); /* the largest that it takes */
    assert_int_equal(base58_read(text_str(&t), out, sizeof out).code, ERR_NONE);
    assert_memory_equal(out, most, sizeof most);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_bytes_have_known_texts),
        cmocka_unit_test(random_bytes_come_back),
        cmocka_unit_test(a_second_spelling_is_refused),
        cmocka_unit_test(what_has_another_length_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
