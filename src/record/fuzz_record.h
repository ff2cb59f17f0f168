/* fuzz_record.h: a record made of a fuzzer's bytes, each field within its table's limits. Ids are mostly some of those
 * that are given, so that what they name is met. */
#ifndef RECORD_FUZZ_RECORD_H
#define RECORD_FUZZ_RECORD_H

#include "base/fuzz.h"
#include "record.h"

#include <stdio.h>
#include <string.h>

#define FUZZ_LIST_MAX 5

struct fuzz_ids {
    const struct id *all;
    uint32_t         count; /* one at least */
};

static inline struct id fuzz_id(struct str *in, struct fuzz_ids ids)
{
    uint8_t which = fuzz_u8(in);
    return which < 240 ? ids.all[which % ids.count] : (struct id){ { which } };
}

/* Small numbers, those near the limits, and any. */
static inline int64_t fuzz_number(struct str *in, const struct field *f)
{
    uint8_t  how   = fuzz_u8(in);
    uint64_t range = (uint64_t)f->most - (uint64_t)f->least;
    uint64_t above = how < 200 ? how : how < 220 ? range - (how - 200u) : fuzz_u64(in);
    return (int64_t)((uint64_t)f->least + (range == UINT64_MAX ? above : above % (range + 1)));
}

static inline void fuzz_record(struct str *in, const struct record_type *type, struct fuzz_ids ids,
                               void *record);

static inline void fuzz_field(struct str *in, const struct field *f, struct fuzz_ids ids, void *record)
{
    struct str text;
    uint8_t    byte;
    void      *item;
    switch (f->kind) {
    case FIELD_KIND_ID: (void)field_set_id(f, record, fuzz_id(in, ids)).code; return;
    case FIELD_KIND_TEXT:
    case FIELD_KIND_LINES:
        text = fuzz_text(in);
        if (field_set_str(f, record, text).code && f->least > 0) (void)field_set_str(f, record, STR("a")).code;
        return;
    case FIELD_KIND_BYTES:
        byte = fuzz_u8(in);
        memset((char *)record + f->offset, byte, f->size);
        return;
    case FIELD_KIND_ENUM:
        byte = fuzz_u8(in);
        for (int64_t i = 0; i <= f->most; i++)
            if (!field_set_i64(f, record, (byte + i) % (f->most + 1)).code) return;
        return;
    case FIELD_KIND_LIST:
        for (byte = fuzz_u8(in) % (FUZZ_LIST_MAX + 1); byte; byte--)
            if (!field_push(f, record, &item).code) fuzz_record(in, f->item, ids, item);
        return;
    case FIELD_KIND_U32:
    case FIELD_KIND_U64:
    case FIELD_KIND_I64:
    case FIELD_KIND_BOOL:
    case FIELD_KIND_SET: (void)field_set_i64(f, record, fuzz_number(in, f)).code; return;
    case FIELD_KIND_COUNT: return;
    }
}

static inline void fuzz_record(struct str *in, const struct record_type *type, struct fuzz_ids ids,
                               void *record)
{
    for (uint32_t i = 0; i < type->field_count; i++) fuzz_field(in, &type->fields[i], ids, record);
}

static inline void fuzz_check_record(const struct record_type *type, const void *record)
{
    const struct field *bad = NULL;
    struct err          e   = record_check(type, record, &bad);
    if (e.code) fprintf(stderr, "%s.%s: %s\n", type->name, bad ? bad->name : "", e.why);
    check(e.code == ERR_NONE);
}

#endif
