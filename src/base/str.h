/* str.h: borrowed text, and text written into given room.
 *
 * A `struct str` is a pointer and a length; it owns nothing and need not end in a zero. A `struct
 * text` writes into memory that the caller gave and goes `full` once, for good; who writes asks
 * about that once, at the end. Neither calls the system. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str {
    const char *ptr;
    size_t      len;
};

#define STR(literal) ((struct str){ "" literal, sizeof(literal) - 1 })

struct str str_from(const char *zero_ended); /* null gives the empty one */
bool       str_eq(struct str a, struct str b);
bool       str_starts(struct str s, struct str prefix);
bool       str_ends(struct str s, struct str suffix);
struct str str_skip(struct str s, size_t count); /* past the end gives the empty one */
struct str str_trim(struct str s);               /* without blanks and line ends at both ends */

/* Splits s at the first `at`: true and both halves, or false, all in head, tail empty. */
bool str_split(struct str s, char at, struct str *head, struct str *tail);

/* Decimal digits only, no sign, blank or leading zero (but "0"), no overflow. */
must_check struct err str_to_u64(struct str s, uint64_t *out);
must_check struct err str_to_i64(struct str s, int64_t *out); /* one '-' may lead, but not "-0" */

/* Well-formed UTF-8 (RFC 3629: shortest forms, no surrogates) without control characters. */
bool str_is_utf8(struct str s);

/* 1 to 63 of a-z, 0-9 and '-', neither first nor last a '-': fit for a DNS label. */
bool str_is_label(struct str s);

/* A zero-ended copy in `room`, which keeps `size` bytes; ERR_LIMIT if it does not fit. */
must_check struct err str_copy(struct str s, char *room, size_t size);

struct text {
    char  *ptr;
    size_t len;
    size_t cap;
    bool   full;
};

#define TEXT_IN(array) ((struct text){ (array), 0, sizeof(array), false })

void       text_add(struct text *t, struct str s);
void       text_add_char(struct text *t, char c);
void       text_add_u64(struct text *t, uint64_t n);
void       text_add_i64(struct text *t, int64_t n);
void       text_add_hex(struct text *t, const uint8_t *bytes, size_t count);
struct str text_str(const struct text *t);

/* Puts a zero behind what was written (it needs one byte of room) and returns the start. Full texts
 * end at their last whole piece. */
const char *text_z(struct text *t);

#endif
