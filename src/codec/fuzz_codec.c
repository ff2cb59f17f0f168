/* fuzz_codec.c: base 64, its URL form, base 58 and hex. What is taken has one spelling: written again it is the same
 * text. What is written is read. */
#include "base/fuzz.h"
#include "codec.h"

#include <string.h>

#define BYTES_MAX 96

static void spelled_once(struct str said, const struct text *again)
{
    check(!again->full && str_eq(said, text_str(again)));
}

static void read_as(unsigned form, struct str said, size_t count)
{
    uint8_t     bytes[BYTES_MAX];
    char        room[2 * BYTES_MAX];
    struct text again = TEXT_IN(room);
    size_t      got;
    switch (form) {
    case 0:
        if (base64_read(said, bytes, count).code) return;
        base64_write(bytes, count, &again);
        break;
    case 1:
        if (base64url_read(said, bytes, count, &got).code) return;
        check(got <= count);
        base64url_write(bytes, got, &again);
        break;
    case 2:
        if (base58_read(said, bytes, count % (BASE58_BYTES_MAX + 1)).code) return;
        base58_write(bytes, count % (BASE58_BYTES_MAX + 1), &again);
        break;
    default:
        if (hex_read(said, bytes, count).code) return;
        text_add_hex(&again, bytes, count);
        break;
    }
    spelled_once(said, &again);
}

static void write_and_read(struct str in)
{
    const uint8_t *bytes = (const uint8_t *)in.ptr;
    uint8_t        back[BASE58_BYTES_MAX];
    char           room[2 * BYTES_MAX];
    struct text    t     = TEXT_IN(room);
    size_t         count = in.len < BASE58_BYTES_MAX ? in.len : BASE58_BYTES_MAX, got;
    base64_write(bytes, count, &t);
    check(!base64_read(text_str(&t), back, count).code && memcmp(bytes, back, count) == 0);
    t.len = 0;
    base64url_write(bytes, count, &t);
    check(!base64url_read(text_str(&t), back, count, &got).code && got == count &&
          memcmp(bytes, back, count) == 0);
    t.len = 0;
    base58_write(bytes, count, &t);
    check(!base58_read(text_str(&t), back, count).code && memcmp(bytes, back, count) == 0);
    t.len = 0;
    text_add_hex(&t, bytes, count);
    check(!hex_read(text_str(&t), back, count).code && memcmp(bytes, back, count) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in    = fuzz_all(data, size);
    unsigned   form  = fuzz_u8(&in) % 5;
    size_t     count = fuzz_u8(&in) % (BYTES_MAX + 1);
    if (form == 4)
        write_and_read(in);
    else
        read_as(form, in, count);
    return 0;
}
