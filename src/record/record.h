/* record.h: what a record is, said once.
 *
 * A stored or sent thing (device, cluster, observed …) is a plain C struct with a field table beside it.
 * From that one table come the JSON reader and writer (json/), the SQL schema and statements (store/),
 * the OpenAPI schema (json/), the columns of the command line, and the redaction: a field that is not
 * marked public can't reach the explorer, one marked for the operator can't reach an owner.
 *
 *     struct chip { char name[32]; uint32_t memory_mib; };
 *     static const struct field chip_fields[] = {
 *         FIELD_TEXT(struct chip, name, SEEN_PUBLIC, STORED, "what its maker calls it"),
 *         FIELD_U32(struct chip, memory_mib, 1, 1u << 24, SEEN_PUBLIC, STORED, "memory in MiB"),
 *     };
 *     const struct record_type chip_type = RECORD_TYPE("chip", "chips", struct chip, chip_fields, "a kind of GPU");
 *
 * A record owns no memory outside its struct: texts are arrays in it, zero-ended; a list is an array in
 * it with a count beside. So a record can be copied, compared and kept by value. This module is pure. */
#ifndef RECORD_RECORD_H
#define RECORD_RECORD_H

#include "base/id.h"
#include "base/str.h"
#include "base/units.h"

#include <stddef.h>

#define RECORD_FIELDS_MAX 48
#define RECORD_DEPTH_MAX 4 /* lists within lists */
#define RECORD_INT_MAX \
    (((int64_t)1 << 53) - 1) /* what JSON carries exactly: every number is shown to somebody */

enum field_kind {
    FIELD_KIND_ID,    /* struct x_id: 16 letters; none is null in JSON and SQL */
    FIELD_KIND_TEXT,  /* char[n], zero-ended, UTF-8 without control characters; "" is allowed if `least` is 0 */
    FIELD_KIND_LINES, /* the same, but line ends and tabs may be in it (the end of a log) */
    FIELD_KIND_U32,   /* uint32_t */
    FIELD_KIND_U64,   /* uint64_t */
    FIELD_KIND_I64,   /* int64_t; also money, hourly, instant, span: the name ends in the unit */
    FIELD_KIND_BOOL,  /* bool */
    FIELD_KIND_ENUM,  /* an enum of unsigned int's size; `names` gives its words, by value */
    FIELD_KIND_SET, /* uint32_t, a bit a word: a list of words in JSON, a number in SQL; `names` gives the words */
    FIELD_KIND_BYTES, /* uint8_t[n]: lower-case hex in JSON, a blob in SQL */
    FIELD_KIND_LIST,  /* struct item[n], count in a uint32_t at `count_offset`; a child table in SQL */
    FIELD_KIND_COUNT
};

/* Who may see a field. Each sees what those before see. As a viewer, SEEN_NOBODY is our own programs among
 * themselves (the worker link): they see all. */
enum field_seen { SEEN_PUBLIC, SEEN_OWNER, SEEN_OPERATOR, SEEN_NOBODY };

enum field_flags {
    LIVE     = 0,      /* memory only: lost with the process */
    STORED   = 1 << 0, /* has a column */
    WRITABLE = 1 << 1, /* a request may set it */
    OPTIONAL = 1 << 2, /* may be left out of JSON that comes in; its value is then zero, or what it was */
    KEY      = 1 << 3, /* the primary key of its table: exactly one field a stored type, the first, an id
                          or a number */
    COLUMN   = 1 << 4, /* a column of the command line's list */
};

struct record_type;

struct field {
    const char        *name; /* [a-z0-9_]+, the same in C, JSON, SQL and OpenAPI */
    enum field_kind    kind;
    uint32_t           offset;
    uint32_t           size; /* bytes of the member (whole array for lists) */
    int64_t            least;
    int64_t            most; /* numbers: bounds, within ± RECORD_INT_MAX; texts: bytes */
    enum field_seen    seen;
    uint32_t           flags;
    const char *const *names;       /* enums: `most` + 1 words, null where none is; sets: one a bit of `most` */
    const struct record_type *item; /* lists */
    uint32_t                  count_offset;
    const char               *doc;
};

struct record_type {
    const char         *name;   /* one of them: "device" */
    const char         *plural; /* its table and path: "devices" */
    uint32_t            size;
    uint32_t            field_count;
    const struct field *fields;
    const char         *doc;
};

#define FIELD_PLACE(type, member) (uint32_t) offsetof(type, member), (uint32_t)sizeof(((type *)0)->member)
#define FIELD_NAMED(type, name, member, kind, least, most, seen, flags, doc)                \
    {                                                                                       \
        name, kind, FIELD_PLACE(type, member), least, most, seen, flags, NULL, NULL, 0, doc \
    }

#define FIELD_ID(type, member, seen, flags, doc) \
    FIELD_NAMED(type, #member, member, FIELD_KIND_ID, 0, 0, seen, flags, doc)
#define FIELD_TEXT(type, member, seen, flags, doc)                                                         \
    FIELD_NAMED(type, #member, member, FIELD_KIND_TEXT, 0, (int64_t)sizeof(((type *)0)->member) - 1, seen, \
                flags, doc)
#define FIELD_LINES(type, member, seen, flags, doc)                                                         \
    FIELD_NAMED(type, #member, member, FIELD_KIND_LINES, 0, (int64_t)sizeof(((type *)0)->member) - 1, seen, \
                flags, doc)
#define FIELD_U32(type, member, least, most, seen, flags, doc) \
    FIELD_NAMED(type, #member, member, FIELD_KIND_U32, least, most, seen, flags, doc)
#define FIELD_U64(type, member, least, most, seen, flags, doc) \
    FIELD_NAMED(type, #member, member, FIELD_KIND_U64, least, most, seen, flags, doc)
#define FIELD_I64(type, member, least, most, seen, flags, doc) \
    FIELD_NAMED(type, #member, member, FIELD_KIND_I64, least, most, seen, flags, doc)
#define FIELD_BOOL(type, member, seen, flags, doc) \
    FIELD_NAMED(type, #member, member, FIELD_KIND_BOOL, 0, 1, seen, flags, doc)
#define FIELD_BYTES(type, member, seen, flags, doc) \
    FIELD_NAMED(type, #member, member, FIELD_KIND_BYTES, 0, 0, seen, flags, doc)
#define FIELD_ENUM(type, member, words, seen, flags, doc)                                                 \
    {                                                                                                     \
        #member, FIELD_KIND_ENUM, FIELD_PLACE(type, member), 0, (int64_t)countof(words) - 1, seen, flags, \
            words, NULL, 0, doc                                                                           \
    }
#define FIELD_SET(type, member, words, seen, flags, doc)                                                 \
    {                                                                                                    \
        #member, FIELD_KIND_SET, FIELD_PLACE(type, member), 0, (1ll << countof(words)) - 1, seen, flags, \
            words, NULL, 0, doc                                                                          \
    }
/* type.member is an array, type.member_count (a uint32_t) says how many are in it. */
#define FIELD_LIST(type, member, count_member, item_type, seen, flags, doc)                                  \
    {                                                                                                        \
        #member, FIELD_KIND_LIST, FIELD_PLACE(type, member), 0, (int64_t)countof(((type *)0)->member), seen, \
            flags, NULL, item_type, (uint32_t)offsetof(type, count_member), doc                              \
    }
/* Money, hourly, instant and span are one-field structs; their name in JSON carries the unit. */
#define FIELD_MICROS(type, member, name, least, seen, flags, doc) \
    FIELD_NAMED(type, name, member.micros, FIELD_KIND_I64, least, MONEY_MICROS_MAX, seen, flags, doc)
#define FIELD_MS(type, member, name, seen, flags, doc) \
    FIELD_NAMED(type, name, member.ms, FIELD_KIND_I64, 0, (int64_t)1 << 52, seen, flags, doc)

#define RECORD_TYPE(one, many, type, table, text)                                \
    {                                                                            \
        one, many, (uint32_t)sizeof(type), (uint32_t)countof(table), table, text \
    }

const struct field *record_field(const struct record_type *type, struct str name); /* null if none */
const struct field *record_key(const struct record_type *type); /* check() that there is one */

/* The table itself keeps this header's rules: names, sizes, limits, one key, no list of an item stored (its
 * child table would need a key of its own). For tests, and for a store when it opens. */
bool record_type_is_sound(const struct record_type *type);

bool field_is_visible(const struct field *f, enum field_seen viewer);
bool field_has_column(const struct field *f); /* stored, and no list: that has a table of its own */

/* Values by field, for the writers. check() that the kind fits. */
int64_t        field_i64(const struct field *f,
                         const void         *record); /* U32, I64, BOOL, ENUM, SET, U64 (checked to fit) */
struct str     field_str(const struct field *f, const void *record); /* TEXT, LINES; ENUM: its word */
struct id      field_id(const struct field *f, const void *record);
uint32_t       field_count(const struct field *f, const void *record); /* LIST: items that are there */
const void    *field_item(const struct field *f, const void *record, uint32_t index);
const uint8_t *field_bytes(const struct field *f, const void *record); /* BYTES: f->size of them */

/* The setters refuse what the table's limits refuse; the record is unchanged then. */
must_check struct err field_set_i64(const struct field *f, void *record, int64_t value);
must_check struct err field_set_str(const struct field *f, void *record, struct str value); /* ENUM: by word */
must_check struct err field_set_id(const struct field *f, void *record, struct id value);
must_check struct err field_set_bytes(const struct field *f, void *record, const uint8_t *bytes, size_t count);
must_check struct err field_push(const struct field *f, void *record,
                                 void **item); /* LIST: room for one more, zeroed */

/* Every field within its limits; every enum a word; every text ended and UTF-8; the key, if an id, not
 * none; lists by their items. For what was built by hand or loaded. *bad is the field at fault (bad may be null). */
must_check struct err record_check(const struct record_type *type, const void *record,
                                   const struct field **bad);

/* Equal in all stored fields (what a store must write again). */
bool record_stored_eq(const struct record_type *type, const void *a, const void *b);

/* ---- SQL text, for any engine that speaks the common part ---------------------------------------- */

/* CREATE TABLE plural (key PRIMARY KEY, …) STRICT; and one child table `plural_member` for each stored list,
 * keyed (parent, at), each statement a line. Ids, texts and enums are TEXT, numbers INTEGER, bytes BLOB; only
 * an id that is none is NULL. Names are quoted. */
void record_sql_create(const struct record_type *type, struct text *out);
/* INSERT INTO plural (…) VALUES (?1, …) ON CONFLICT (key) DO UPDATE SET …: parameters in field order, stored
 * non-list fields only. */
void record_sql_upsert(const struct record_type *type, struct text *out);
void record_sql_rows(const struct record_type *type, struct text *out);   /* SELECT … FROM plural, no more */
void record_sql_select(const struct record_type *type, struct text *out); /* all rows, by key */
void record_sql_delete(const struct record_type *type, struct text *out); /* by key */
/* The same for the child table of list field `f`: insert (parent, at, item fields…), select by parent, delete by parent. */
void record_sql_child_insert(const struct record_type *type, const struct field *f, struct text *out);
void record_sql_child_select(const struct record_type *type, const struct field *f, struct text *out);
void record_sql_child_delete(const struct record_type *type, const struct field *f, struct text *out);

#endif
