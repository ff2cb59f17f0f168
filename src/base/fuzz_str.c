/* fuzz_str.c: text, numbers and ids. UTF-8 is told by a second way of reading it; a number or an id that is taken has one
 * spelling; a text that is split is whole again when it is put together. */
#include "fuzz.h"
#include "id.h"

/* Code points one by one (RFC 3629), controls refused. */
static bool is_utf8_by_points(struct str s)
{
    static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
    while (s.len) {
        uint8_t  first = fuzz_u8(&s);
        unsigned more  = first < 0x80   ? 0
                         : first < 0xc0 ? 4
                         : first < 0xe0 ? 1
                         : first < 0xf0 ? 2
                         : first < 0xf8 ? 3
                                        : 4;
        if (more > 3 || s.len < more) return false;
        uint32_t point = more ? first & (0x3fu >> more) : first;
        for (unsigned i = 0; i < more; i++) {
            uint8_t next = fuzz_u8(&s);
            if (next >> 6 != 2) return false;
            point = point << 6 | (next & 0x3f);
        }
        bool is_control = point < 0x20 || (point >= 0x7f && point < 0xa0), is_half = point >> 11 == 0x1b;
        if (point < least[more] || point > 0x10ffff || is_control || is_half) return false;
    }
    return true;
}

static void numbers(struct str s)
{
    char        room[24];
    struct text again = TEXT_IN(room);
    uint64_t    n;
    int64_t     i;
    struct id   id;
    if (!str_to_u64(s, &n).code) {
        text_add_u64(&again, n);
        check(str_eq(s, text_str(&again)));
    }
    again.len = 0;
    if (!str_to_i64(s, &i).code) {
        text_add_i64(&again, i);
        check(str_eq(s, text_str(&again)));
    }
    again.len = 0;
    if (!id_read(s, &id).code) {
        id_write(id, &again);
        check(str_eq(s, text_str(&again)));
    }
}

static void parts(struct str s, char at)
{
    struct str head, tail, trimmed = str_trim(s);
    bool       is_split = str_split(s, at, &head, &tail);
    check(head.len + tail.len + is_split == s.len && str_starts(s, head) && str_ends(s, tail));
    check(!is_split || s.ptr[head.len] == at);
    check(trimmed.len <= s.len && str_eq(str_trim(trimmed), trimmed));
    if (str_is_label(s)) check(str_is_utf8(s) && s.len <= 63);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char       room[64];
    struct str in = fuzz_all(data, size);
    check(str_is_utf8(in) == is_utf8_by_points(in));
    numbers(in);
    parts(in, (char)fuzz_u8(&in));
    if (!str_copy(in, room, sizeof room).code) check(in.len < sizeof room && room[in.len] == 0);
    return 0;
}
