#include "crypto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void assert_hex(const uint8_t *bytes, size_t count, const char *expected)
{
    char        room[129];
    struct text t = TEXT_IN(room);
    text_add_hex(&t, bytes, count);
    assert_string_equal(text_z(&t), expected);
}

static void a_signed_text_matches_the_rfc(void **state)
{
    (void)state;
    /* RFC 8032, section 7.1, test 1. */
    static const uint8_t seed[32] = { 0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a,
                                      0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32,
                                      0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60 };
    struct sign_key      key;
    struct public_key    mine;
    sign_key_from_seed(seed, &key, &mine);
    assert_hex(mine.bytes, 32, "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    struct signature s = sign_text(&key, STR(""));
    assert_hex(
        s.bytes, 64,
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
        "d25bf5f0595bbe24655141438e7a100b");
    assert_true(sign_text_verify(mine, STR(""), s));
    assert_false(sign_text_verify(mine, STR("x"), s));
    assert_false(sign_verify(mine, STR(""), STR(""), s)); /* no purpose's signature is a text's */

    sign_key_wipe(&key);
    static const struct sign_key wiped;
    assert_memory_equal(&key, &wiped, sizeof key);
}

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
    uint8_t              public_half[32];
    mesh_key_public(secret, public_half);
    assert_hex(public_half, 32, "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
}

static void sha256_matches_the_standard(void **state)
{
    (void)state;
    assert_hex(hash_sha256(STR("abc")).bytes, 32, /* FIPS 180-4 */
               "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void ids_and_secrets_differ_by_key_kind_and_number(void **state)
{
    (void)state;
    const uint8_t a[32] = { 1 }, b[32] = { 2 };
    struct id     id = id_derive(a, STR("device"), 1);
    assert_true(id_eq(id, id_derive(a, STR("device"), 1)));
    assert_false(id_eq(id, id_derive(b, STR("device"), 1)));
    assert_false(id_eq(id, id_derive(a, STR("cluster"), 1)));
    assert_false(id_eq(id, id_derive(a, STR("device"), 2)));

    struct hash secret = secret_derive(a, STR("token"), 1);
    assert_true(hash_eq(secret, secret_derive(a, STR("token"), 1)));
    assert_false(hash_eq(secret, secret_derive(b, STR("token"), 1)));
    assert_false(hash_eq(secret, secret_derive(a, STR("other"), 1)));
    assert_false(hash_eq(secret, secret_derive(a, STR("token"), 2)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signed_text_matches_the_rfc),
        cmocka_unit_test(a_signature_is_good_for_one_purpose_one_key_one_message),
        cmocka_unit_test(mesh_keys_match_the_rfc),
        cmocka_unit_test(sha256_matches_the_standard),
        cmocka_unit_test(ids_and_secrets_differ_by_key_kind_and_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
