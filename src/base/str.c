#include "str.h"

#include <string.h>

struct str str_from(const char *zero_ended)
{
    return zero_ended ? (struct str){ zero_ended, strlen(zero_ended) } : STR("");
}

bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool str_starts(struct str s, struct str prefix)
{
    return s.len >= prefix.len && str_eq((struct str){ s.ptr, prefix.len }, prefix);
}

bool str_ends(struct str s, struct str suffix)
{
    return s.len >= suffix.len && str_eq(str_skip(s, s.len - suffix.len), suffix);
}

struct str str_skip(struct str s, size_t count)
{
    return count >= s.len ? STR("") : (struct str){ s.ptr + count, s.len - count };
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str s)
{
    while (s.len && is_blank(s.ptr[0])) s = str_skip(s, 1);
    while (s.len && is_blank(s.ptr[s.len - 1])) s.len--;
    return s;
}

bool str_split(struct str s, char at, struct str *head, struct str *tail)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] != at) continue;
        *head = (struct str){ s.ptr, i };
        *tail = str_skip(s, i + 1);
        return true;
    }
    *head = s;
    *tail = STR("");
    return false;
}

struct err str_to_u64(struct str s, uint64_t *out)
{
    if (s.len == 0) return ERR(INVALID, "a number is missing");
    if (s.len > 1 && s.ptr[0] == '0') return ERR(INVALID, "a number starts with a zero");

    uint64_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9') return ERR(INVALID, "a number holds other than digits");
        if (__builtin_mul_overflow(n, 10u, &n) || __builtin_add_overflow(n, (uint64_t)(s.ptr[i] - '0'), &n))
            return ERR(INVALID, "a number is too large");
    }
    *out = n;
    return OK;
}

struct err str_to_i64(struct str s, int64_t *out)
{
    bool     negative = str_starts(s, STR("-"));
    uint64_t n;
    TRY(str_to_u64(negative ? str_skip(s, 1) : s, &n));
    if (n > (uint64_t)INT64_MAX) return ERR(INVALID, "a number is too large");
    if (negative && n == 0) return ERR(INVALID, "nothing has no sign");

    *out = negative ? -(int64_t)n : (int64_t)n;
    return OK;
}

/* Bytes of the character that starts at s, or 0 if it is not well formed (RFC 3629, section 4). */
static size_t utf8_length(struct str s)
{
    const uint8_t *p = (const uint8_t *)s.ptr;
    if (p[0] < 0x80) return (p[0] >= 0x20 && p[0] != 0x7f) ? 1 : 0;

    size_t  need = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    uint8_t low = 0x80, high = 0xbf;
    if (p[0] < 0xc2 || p[0] > 0xf4 || s.len < need) return 0;
    if (p[0] == 0xc2 || p[0] == 0xe0) low = 0xa0; /* U+0080 to U+009F are controls: terminals obey them */
    if (p[0] == 0xed) high = 0x9f;
    if (p[0] == 0xf0) low = 0x90;
    if (p[0] == 0xf4) high = 0x8f;
    if (p[1] < low || p[1] > high) return 0;
    for (size_t i = 2; i < need; i++)
        if (p[i] < 0x80 || p[i] > 0xbf) return 0;
    return need;
}

bool str_is_utf8(struct str s)
{
    while (s.len) {
        size_t length = utf8_length(s);
        if (length == 0) return false;
        s = str_skip(s, length);
    }
    return true;
}

bool str_is_label(struct str s)
{
    if (s.len == 0 || s.len > 63 || s.ptr[0] == '-' || s.ptr[s.len - 1] == '-') return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-') return false;
    }
    return true;
}

struct err str_copy(struct str s, char *room, size_t size)
{
    if (s.len >= size) return ERR(LIMIT, "a text is too long");
    if (s.len) memcpy(room, s.ptr, s.len);
    room[s.len] = 0;
    return OK;
}

void text_add(struct text *t, struct str s)
{
    if (t->full || s.len > t->cap - t->len) {
        t->full = true;
        return;
    }
    if (s.len) memcpy(t->ptr + t->len, s.ptr, s.len);
    t->len += s.len;
}

void text_add_char(struct text *t, char c)
{
    text_add(t, (struct str){ &c, 1 });
}

void text_add_u64(struct text *t, uint64_t n)
{
    char   digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    text_add(t, (struct str){ digits + at, sizeof digits - at });
}

void text_add_i64(struct text *t, int64_t n)
{
    if (n < 0) text_add_char(t, '-');
    text_add_u64(t, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
}

void text_add_hex(struct text *t, const uint8_t *bytes, size_t count)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        char two[2] = { digits[bytes[i] >> 4], digits[bytes[i] & 15] };
        text_add(t, (struct str){ two, 2 });
    }
}

struct str text_str(const struct text *t)
{
    return (struct str){ t->ptr, t->len };
}

const char *text_z(struct text *t)
{
    check(t->cap > 0);
    if (t->len == t->cap) {
        t->full = true;
        t->len--;
    }
    t->ptr[t->len] = 0;
    return t->ptr;
}
