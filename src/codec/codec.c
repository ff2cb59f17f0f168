#include "codec.h"

#include <string.h>

static const char base64_letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_letters[]    = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char base58_letters[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
static const char hex_letters[]    = "0123456789abcdef";

static int value_of(const char *letters, size_t count, char c)
{
    const char *at = memchr(letters, c, count);
    return at ? (int)(at - letters) : -1;
}

static void six_bits_write(const char *letters, const uint8_t *bytes, size_t count, struct text *t)
{
    uint32_t bits = 0, held = 0;
    for (size_t i = 0; i < count; i++) {
        bits = bits << 8 | bytes[i];
        for (held += 8; held >= 6; held -= 6) text_add_char(t, letters[bits >> (held - 6) & 63]);
    }
    if (held) text_add_char(t, letters[bits << (6 - held) & 63]);
}

/* Without padding; the unused low bits of the last letter must be zero. */
static struct err six_bits_read(const char *letters, struct str s, uint8_t *out, size_t cap, size_t *count)
{
    uint32_t bits = 0, held = 0;
    size_t   at = 0;
    if (s.len % 4 == 1) return ERR(INVALID, "base 64 has a length that none has");
    for (size_t i = 0; i < s.len; i++) {
        int value = value_of(letters, 64, s.ptr[i]);
        if (value < 0) return ERR(INVALID, "base 64 holds a foreign letter");
        bits = bits << 6 | (uint32_t)value;
        held += 6;
        if (held < 8) continue;
        if (at == cap) return ERR(LIMIT, "base 64 holds too many bytes");
        held -= 8;
        out[at++] = (uint8_t)(bits >> held & 0xff);
    }
    if (bits & ((1u << held) - 1)) return ERR(INVALID, "base 64 does not end clean");
    *count = at;
    return OK;
}

void base64_write(const uint8_t *bytes, size_t count, struct text *t)
{
    six_bits_write(base64_letters, bytes, count, t);
    for (size_t rest = count % 3; rest && rest < 3; rest++) text_add_char(t, '=');
}

struct err base64_read(struct str s, uint8_t *out, size_t count)
{
    size_t pad = count % 3 ? 3 - count % 3 : 0, got;
    if (s.len != (count + 2) / 3 * 4) return ERR(INVALID, "base 64 has another length");
    for (size_t i = 0; i < pad; i++)
        if (s.ptr[s.len - 1 - i] != '=') return ERR(INVALID, "base 64 lacks its padding");
    s.len -= pad;
    TRY(six_bits_read(base64_letters, s, out, count, &got));
    return got == count ? OK : ERR(INVALID, "base 64 has another length");
}

void base64url_write(const uint8_t *bytes, size_t count, struct text *t)
{
    six_bits_write(url_letters, bytes, count, t);
}

struct err base64url_read(struct str s, uint8_t *out, size_t cap, size_t *count)
{
    return six_bits_read(url_letters, s, out, cap, count);
}

/* The bytes are one big number, most significant first; each leading zero byte is a '1'. */
void base58_write(const uint8_t *bytes, size_t count, struct text *t)
{
    check(count <= BASE58_BYTES_MAX);
    uint8_t digits[BASE58_BYTES_MAX * 138 / 100 + 1] = { 0 };
    size_t  used = 0, zeros = 0;
    while (zeros < count && bytes[zeros] == 0) zeros++;
    for (size_t i = zeros; i < count; i++) {
        uint32_t carry = bytes[i];
        for (size_t d = 0; d < used; d++) {
            carry += (uint32_t)digits[d] << 8;
            digits[d] = (uint8_t)(carry % 58);
            carry /= 58;
        }
        for (; carry; carry /= 58) digits[used++] = (uint8_t)(carry % 58);
    }
    for (size_t i = 0; i < zeros; i++) text_add_char(t, '1');
    while (used) text_add_char(t, base58_letters[digits[--used]]);
}

struct err base58_read(struct str s, uint8_t *out, size_t count)
{
    check(count <= BASE58_BYTES_MAX);
    uint8_t number[BASE58_BYTES_MAX] = { 0 }; /* least significant first */
    size_t  used = 0, zeros = 0;
    while (zeros < s.len && s.ptr[zeros] == '1') zeros++;
    for (size_t i = zeros; i < s.len; i++) {
        int value = value_of(base58_letters, 58, s.ptr[i]);
        if (value < 0) return ERR(INVALID, "base 58 holds a foreign letter");
        uint32_t carry = (uint32_t)value;
        for (size_t b = 0; b < used; b++) {
            carry += number[b] * 58u;
            number[b] = (uint8_t)carry;
            carry >>= 8;
        }
        for (; carry; carry >>= 8) {
            if (used == count) return ERR(INVALID, "base 58 holds too many bytes");
            number[used++] = (uint8_t)carry;
        }
    }
    if (zeros + used != count) return ERR(INVALID, "base 58 has another length");
    memset(out, 0, zeros);
    for (size_t i = 0; i < used; i++) out[zeros + i] = number[used - 1 - i];
    return OK;
}

struct err hex_read(struct str s, uint8_t *out, size_t count)
{
    if (s.len != count * 2) return ERR(INVALID, "hex has another length");
    for (size_t i = 0; i < count; i++) {
        int high = value_of(hex_letters, 16, s.ptr[2 * i]), low = value_of(hex_letters, 16, s.ptr[2 * i + 1]);
        if (high < 0 || low < 0) return ERR(INVALID, "hex holds a foreign letter");
        out[i] = (uint8_t)(high << 4 | low);
    }
    return OK;
}
