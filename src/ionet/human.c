#include "human_int.h"

#include <time.h>

struct unit {
    char    letter;
    int64_t ms;
};

static const struct unit units[] = {
    { 'w', 7 * (int64_t)MS_PER_DAY }, { 'd', MS_PER_DAY }, { 'h', MS_PER_HOUR }, { 'm', 60000 }, { 's', 1000 },
};

static size_t digits_at(struct str s)
{
    size_t n = 0;
    while (n < s.len && s.ptr[n] >= '0' && s.ptr[n] <= '9') n++;
    return n;
}

struct err human_duration_read(struct str s, struct span *out)
{
    int64_t total = 0;
    size_t  next  = 0; /* each unit at most once, greatest first */
    if (!s.len) return ERR(INVALID, "a duration is a number and a unit: 90m, 1h, 2d, 1w");

    while (s.len) {
        size_t   digits = digits_at(s);
        uint64_t n;
        if (!digits || digits == s.len || str_to_u64((struct str){ s.ptr, digits }, &n).code)
            return ERR(INVALID, "a duration is a number and a unit: 90m, 1h, 2d, 1w");
        while (next < countof(units) && units[next].letter != s.ptr[digits]) next++;
        if (next == countof(units))
            return ERR(INVALID, "the units of a duration are w, d, h, m and s, greatest first");
        if (n > (uint64_t)(SPAN_MS_MAX / units[next].ms)) return ERR(INVALID, "a duration is at most 366 days");
        total += (int64_t)n * units[next].ms;
        next++;
        s = str_skip(s, digits + 1);
    }
    if (total > SPAN_MS_MAX) return ERR(INVALID, "a duration is at most 366 days");
    if (!total) return ERR(INVALID, "a duration must be above nothing");
    *out = (struct span){ total };
    return OK;
}

void human_duration_write(struct span d, struct text *t)
{
    int64_t ms = d.ms < 0 ? 0 : d.ms;
    if (ms < 60000) {
        text_add_i64(t, ms / 1000);
        text_add_char(t, '.');
        text_add_i64(t, ms / 100 % 10);
        text_add_char(t, 's');
        return;
    }
    unsigned said = 0;
    for (size_t i = 1; i < countof(units) && said < 2; i++) {
        int64_t n = ms / units[i].ms;
        if (!n && !said) continue;
        said++; /* a unit that is nought still uses up its place: 2d is said for 2 days and 3 minutes */
        ms %= units[i].ms;
        if (!n) continue;
        text_add_i64(t, n);
        text_add_char(t, units[i].letter);
    }
}

struct err human_usdc_read(struct str s, struct money *out)
{
    struct str whole, part;
    bool       pointed = str_split(s, '.', &whole, &part);
    uint64_t   usdc, micros = 0;
    if (str_to_u64(whole, &usdc).code) return ERR(INVALID, "an amount is USDC with up to six decimals: 12.5");
    if (pointed && (!part.len || part.len > 6 || digits_at(part) != part.len))
        return ERR(INVALID, "an amount is USDC with up to six decimals: 12.5");
    if (usdc >= (uint64_t)(MONEY_MICROS_MAX / MICROS_PER_USDC))
        return ERR(INVALID, "that is more USDC than there can be");

    for (size_t i = 0; i < 6; i++) micros = micros * 10 + (i < part.len ? (uint64_t)(part.ptr[i] - '0') : 0);
    *out = (struct money){ (int64_t)(usdc * MICROS_PER_USDC + micros) };
    return OK;
}

void human_usdc_write(struct money m, struct text *t)
{
    uint64_t micros = m.micros < 0 ? 0 - (uint64_t)m.micros : (uint64_t)m.micros;
    if (m.micros < 0) text_add_char(t, '-');
    text_add_u64(t, micros / MICROS_PER_USDC);
    text_add_char(t, '.');

    uint64_t part = micros % MICROS_PER_USDC, scale = MICROS_PER_USDC / 10;
    for (unsigned places = 0; places < 2 || part; places++) {
        text_add_char(t, (char)('0' + part / scale));
        part %= scale;
        scale = scale > 1 ? scale / 10 : 1;
    }
}

void human_instant_write(struct instant at, struct text *t)
{
    if (!at.ms) {
        text_add_char(t, '-');
        return;
    }
    time_t    seconds = (time_t)(at.ms / 1000);
    struct tm parts;
    char      room[32];
    if (!localtime_r(&seconds, &parts) || !strftime(room, sizeof room, "%Y-%m-%d %H:%M:%S", &parts)) {
        text_add_i64(t, at.ms);
        return;
    }
    text_add(t, str_from(room));
}

void human_bytes_write(uint64_t bytes, struct text *t)
{
    static const char *const names[] = { " B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB" };
    size_t                   at      = 0;
    uint64_t                 rest    = 0;
    while (bytes >= 1024 && at + 1 < countof(names)) {
        rest = bytes % 1024;
        bytes /= 1024;
        at++;
    }
    text_add_u64(t, bytes);
    if (at && bytes < 100) {
        text_add_char(t, '.');
        text_add_u64(t, rest * 10 / 1024);
    }
    text_add(t, str_from(names[at]));
}
