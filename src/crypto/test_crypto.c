#include "crypto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void a_signature_is_good_for_one_purpose_one_key_one_message(void **state)
{
    (void)state;
    struct sign_key   key, other;
    struct public_key mine, theirs;
    uint8_t           seed[32] = { 1 };
    sign_key_from_seed(seed, &key, &mine);
    seed[0] = 2;
    sign_key_from_seed(seed, &other, &theirs);

    struct signature s = sign(&key, STR("link"), STR("nonce"));
    assert_true(sign_verify(mine, STR("link"), STR("nonce"), s));
    assert_false(sign_verify(theirs, STR("link"), STR("nonce"), s));
    assert_false(sign_verify(mine, STR("ticket"), STR("nonce"), s));
    assert_false(sign_verify(mine, STR("link"), STR("nonce!"), s));
    assert_false(sign_verify(mine, STR("lin"), STR("knonce"), s));
    s.bytes[0] ^= 1;
    assert_false(sign_verify(mine, STR("link"), STR("nonce"), s));
}

static void mesh_keys_match_the_rfc(void **state)
{
    (void)state;
    /* RFC 7748, section 6.1: Alice's keys. */
    static const uint8_t secret[32] = { 0x77, 0x07, 0x6d, 0x0a, 0x73, 0x18, 0xa5, 0x7d, 0x3c, 0x16, 0xc1,
                                        0x72, 0x51, 0xb2, 0x66, 0x45, 0xdf, 0x4c, 0x2f, 0x87, 0xeb, 0xc0,
                                        0x99, 0x2a, 0xb1, 0x77, 0xfb, 0xa5, 0x1d, 0xb9, 0x2c, 0x2a };
    static const uint8_t expect[8]  = { 0x85, 0x20, 0xf0, 0x09, 0x89, 0x30, 0xa7, 0x54 };
    uint8_t              public_half[32];
    mesh_key_public(secret, public_half);
    assert_memory_equal(public_half, expect, sizeof expect);
}

static void sha256_matches_the_standard(void **state)
{
    (void)state;
    static const uint8_t expect[8] = { 0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea }; /* FIPS 180-4, "abc" */
    assert_memory_equal(hash_sha256(STR("abc")).bytes, expect, sizeof expect);
}

static void ids_differ_by_key_kind_and_number(void **state)
{
    (void)state;
    const uint8_t a[32] = { 1 }, b[32] = { 2 };
    struct id     id = id_derive(a, STR("device"), 1);
    assert_true(id_eq(id, id_derive(a, STR("device"), 1)));
    assert_false(id_eq(id, id_derive(b, STR("device"), 1)));
    assert_false(id_eq(id, id_derive(a, STR("cluster"), 1)));
    assert_false(id_eq(id, id_derive(a, STR("device"), 2)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signature_is_good_for_one_purpose_one_key_one_message),
        cmocka_unit_test(mesh_keys_match_the_rfc),
        cmocka_unit_test(sha256_matches_the_standard),
        cmocka_unit_test(ids_differ_by_key_kind_and_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
