#include "framing_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define LONG_BYTES 300
#define HUGE_BYTES 70000

/* Frames of every length form, masked and not, a message of three with a ping in its middle; `ends` are the places
 * between two messages. */
static char   stream[2 * HUGE_BYTES];
static size_t stream_len, ends[16], end_count;

static void add(uint8_t first, bool masked, size_t len, bool ends_message)
{
    uint8_t head[10] = { first, masked ? 0x80 : 0 };
    size_t  have     = len < 126 ? 2 : len < 65536 ? 4 : 10;
    head[1] |= (uint8_t)(have == 2 ? len : have == 4 ? 126 : 127);
    for (size_t i = 2; i < have; i++) head[i] = (uint8_t)(len >> 8 * (have - 1 - i));
    memcpy(stream + stream_len, head, have);
    memset(stream + stream_len + have, 0x81, len + (masked ? 4 : 0)); /* it looks like a head */
    stream_len += have + len + (masked ? 4 : 0);
    if (ends_message) ends[end_count++] = stream_len;
}

static bool is_end(size_t at)
{
    bool is = at == 0;
    for (size_t i = 0; i < end_count; i++) is |= ends[i] == at;
    return is;
}

static void the_place_between_two_messages_is_known_wherever_the_stream_is_cut(void **state)
{
    (void)state;
    add(0x81, true, 5, true);
    add(0x81, false, 0, true);
    add(0x01, true, LONG_BYTES, false);
    add(0x89, true, 3, false);
    add(0x00, true, 0, false);
    add(0x80, true, 125, true);
    add(0x81, false, 126, true);
    add(0x81, true, HUGE_BYTES, true);
    add(0x8a, true, 0, true);
    struct framing bytewise = { 0 };
    for (size_t at = 0; at <= stream_len; at++) {
        struct framing whole = { 0 };
        if (at < 2000 || at > stream_len - 2000) framing_take(&whole, (struct str){ stream, at });
        if (at < 2000 || at > stream_len - 2000) assert_int_equal(framing_is_between(&whole), is_end(at));
        assert_int_equal(framing_is_between(&bytewise), is_end(at));
        framing_take(&bytewise, (struct str){ stream + at, at < stream_len });
    }
}

static void a_length_that_no_stream_has_is_never_over(void **state)
{
    (void)state;
    static const char head[14] = "\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff";
    struct framing    f        = { 0 };
    framing_take(&f, (struct str){ head, sizeof head });
    for (int i = 0; i < 100; i++) framing_take(&f, (struct str){ stream, sizeof stream });
    assert_false(framing_is_between(&f));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_place_between_two_messages_is_known_wherever_the_stream_is_cut),
        cmocka_unit_test(a_length_that_no_stream_has_is_never_over),
    };
    return cmocka_run_group_tests_name("framing", tests, NULL, NULL);
}
