#include "wg_int.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* What wireguard-go and wg print, read. */

#define KEY_HEX "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static void an_answer_is_read_whole_or_refused(void **state)
{
    (void)state;
    struct wg_answer a = { 0 };
    struct str       good =
        STR("private_key=00\nlisten_port=51820\npublic_key=" KEY_HEX
            "\nendpoint=192.0.2.1:7\nlast_handshake_time_sec=12\nlast_handshake_time_nsec=34000000\n"
            "tx_bytes=5\nrx_bytes=6\nnew_in_a_later_version=x\nerrno=0\n\n");
    assert_int_equal(uapi_read(good, &a).code, ERR_NONE);
    assert_int_equal(a.listen_port, 51820);
    assert_int_equal(a.count, 1);
    assert_int_equal(a.peers[0].key[31], 31);
    assert_string_equal(a.peers[0].endpoint, "192.0.2.1:7");
    assert_int_equal(a.peers[0].handshake_ms, 12034);
    assert_int_equal(a.peers[0].tx_bytes, 5);
    assert_int_equal(a.peers[0].rx_bytes, 6);
    answer_free(&a);

    assert_int_equal(uapi_read(STR("errno=-98\n\n"), &a).code, ERR_IO);
    assert_int_equal(uapi_read(STR("public_key=zz\nerrno=0\n\n"), &a).code, ERR_INVALID);
    assert_int_equal(uapi_read(STR("no line\n\n"), &a).code, ERR_CORRUPT);
    assert_int_equal(uapi_read(STR("listen_port=65536\nerrno=0\n\n"), &a).code, ERR_CORRUPT);
    answer_free(&a);

    for (size_t cut = 0; cut < good.len; cut++)
        assert_int_equal(uapi_answer_end((struct str){ good.ptr, cut }, cut / 2), 0);
    for (size_t from = 0; from < good.len; from++) assert_int_equal(uapi_answer_end(good, from), good.len);
}

static void a_dump_of_the_kernels_device_is_read(void **state)
{
    (void)state;
#define KEY_64 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    struct wg_answer a = { 0 };
    assert_int_equal(kernel_read_dump(STR(KEY_64 "\t" KEY_64 "\t51821\toff\n" KEY_64
                                                 "\t(none)\t192.0.2.1:7\t10.99.0.2/32\t12\t6\t5\t15\n" KEY_64
                                                 "\t(none)\t(none)\t(none)\t0\t0\t0\toff\n"),
                                      &a)
                         .code,
                     ERR_NONE);
    assert_int_equal(a.listen_port, 51821);
    assert_int_equal(a.count, 2);
    assert_string_equal(a.peers[0].endpoint, "192.0.2.1:7");
    assert_int_equal(a.peers[0].handshake_ms, 12000);
    assert_int_equal(a.peers[0].rx_bytes, 6);
    assert_int_equal(a.peers[0].key[31], 31);
    assert_string_equal(a.peers[1].endpoint, "");
    answer_free(&a);
    assert_int_equal(kernel_read_dump(STR(KEY_64 "\t" KEY_64 "\t51821\toff\n" KEY_64 "\t(none)\n"), &a).code,
                     ERR_CORRUPT);
    answer_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_read_whole_or_refused),
        cmocka_unit_test(a_dump_of_the_kernels_device_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
