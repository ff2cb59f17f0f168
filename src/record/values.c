#include "record.h"

#include <string.h>

static const char *place(const struct field *f, const void *record)
{
    return (const char *)record + f->offset;
}

static bool name_is_sound(const char *name)
{
    if (!name || !name[0]) return false;
    for (; *name; name++)
        if (!(*name >= 'a' && *name <= 'z') && !(*name >= '0' && *name <= '9') && *name != '_') return false;
    return true;
}

/* Every bit that may be set has a word. */
static bool set_is_sound(const struct field *f)
{
    if (!f->names || f->most <= 0 || f->most > UINT32_MAX || (f->most & (f->most + 1)) != 0) return false;
    for (uint32_t i = 0; f->most >> i; i++)
        if (!f->names[i]) return false;
    return true;
}

static bool field_is_sound(const struct field *f, const struct record_type *type)
{
    static const uint32_t sizes[FIELD_KIND_COUNT] = {
        [FIELD_KIND_ID] = ID_BYTES,          [FIELD_KIND_U32] = sizeof(uint32_t),
        [FIELD_KIND_U64] = sizeof(uint64_t), [FIELD_KIND_I64] = sizeof(int64_t),
        [FIELD_KIND_BOOL] = sizeof(bool),    [FIELD_KIND_ENUM] = sizeof(unsigned),
        [FIELD_KIND_SET] = sizeof(uint32_t),
    };
    if ((unsigned)f->kind >= FIELD_KIND_COUNT || !name_is_sound(f->name) || !f->doc) return false;
    if (f->size == 0 || f->offset + f->size > type->size || f->least > f->most) return false;
    if (sizes[f->kind] && f->size != sizes[f->kind]) return false;
    if (f->least < -RECORD_INT_MAX || f->most > RECORD_INT_MAX) return false;
    switch (f->kind) {
    case FIELD_KIND_TEXT:
    case FIELD_KIND_LINES: return f->least >= 0 && f->most < f->size;
    case FIELD_KIND_U32: return f->least >= 0 && f->most <= UINT32_MAX;
    case FIELD_KIND_U64: return f->least >= 0;
    case FIELD_KIND_ENUM: return f->names != NULL;
    case FIELD_KIND_SET: return set_is_sound(f);
    case FIELD_KIND_LIST:
        return f->item && f->most > 0 && f->item->size * (uint64_t)f->most == f->size &&
               f->count_offset + sizeof(uint32_t) <= type->size;
    case FIELD_KIND_ID:
    case FIELD_KIND_I64:
    case FIELD_KIND_BOOL:
    case FIELD_KIND_BYTES:
    case FIELD_KIND_COUNT: return true;
    }
    return false;
}

static bool field_can_be_key(const struct field *f)
{
    bool kind = f->kind == FIELD_KIND_ID || f->kind == FIELD_KIND_U32 || f->kind == FIELD_KIND_U64 ||
                f->kind == FIELD_KIND_I64;
    return kind && (f->flags & STORED) != 0;
}

static bool is_sound_at(const struct record_type *type, bool is_item, int depth)
{
    if (depth > RECORD_DEPTH_MAX || !name_is_sound(type->name) || !name_is_sound(type->plural)) return false;
    if (type->field_count == 0 || type->field_count > RECORD_FIELDS_MAX) return false;
    for (uint32_t i = 0; i < type->field_count; i++) {
        const struct field *f = &type->fields[i];
        if (!field_is_sound(f, type) || record_field(type, str_from(f->name)) != f) return false;
        if ((f->flags & KEY) != 0 && (i > 0 || is_item || !field_can_be_key(f))) return false;
        if (f->kind != FIELD_KIND_LIST) continue;
        if ((f->flags & STORED) != 0 && is_item) return false;
        if (!is_sound_at(f->item, true, depth + 1)) return false;
    }
    return true;
}

bool record_type_is_sound(const struct record_type *type)
{
    return is_sound_at(type, false, 1);
}

const struct field *record_field(const struct record_type *type, struct str name)
{
    for (uint32_t i = 0; i < type->field_count; i++)
        if (str_eq(str_from(type->fields[i].name), name)) return &type->fields[i];
    return NULL;
}

const struct field *record_key(const struct record_type *type)
{
    check((type->fields[0].flags & KEY) != 0);
    return &type->fields[0];
}

bool field_is_visible(const struct field *f, enum field_seen viewer)
{
    return f->seen <= viewer;
}

bool field_has_column(const struct field *f)
{
    return (f->flags & STORED) != 0 && f->kind != FIELD_KIND_LIST;
}

int64_t field_i64(const struct field *f, const void *record)
{
    uint32_t u32;
    uint64_t u64;
    int64_t  i64;
    bool     yes;
    switch (f->kind) {
    case FIELD_KIND_U32:
    case FIELD_KIND_SET:
    case FIELD_KIND_ENUM: memcpy(&u32, place(f, record), sizeof u32); return u32;
    case FIELD_KIND_I64: memcpy(&i64, place(f, record), sizeof i64); return i64;
    case FIELD_KIND_BOOL: memcpy(&yes, place(f, record), sizeof yes); return yes;
    case FIELD_KIND_U64:
        memcpy(&u64, place(f, record), sizeof u64);
        check(u64 <= INT64_MAX);
        return (int64_t)u64;
    case FIELD_KIND_ID:
    case FIELD_KIND_TEXT:
    case FIELD_KIND_LINES:
    case FIELD_KIND_BYTES:
    case FIELD_KIND_LIST:
    case FIELD_KIND_COUNT: break;
    }
    check_failed("the field is a number", __FILE__, __LINE__);
    return 0;
}

struct str field_str(const struct field *f, const void *record)
{
    if (f->kind == FIELD_KIND_ENUM) {
        int64_t value = field_i64(f, record);
        check(value <= f->most && f->names[value]);
        return str_from(f->names[value]);
    }
    check(f->kind == FIELD_KIND_TEXT || f->kind == FIELD_KIND_LINES);
    const char *text = place(f, record);
    const char *end  = memchr(text, 0, f->size);
    check(end);
    return (struct str){ text, (size_t)(end - text) };
}

struct id field_id(const struct field *f, const void *record)
{
    check(f->kind == FIELD_KIND_ID);
    struct id id;
    memcpy(&id, place(f, record), sizeof id);
    return id;
}

const uint8_t *field_bytes(const struct field *f, const void *record)
{
    check(f->kind == FIELD_KIND_BYTES);
    return (const uint8_t *)place(f, record);
}

uint32_t field_count(const struct field *f, const void *record)
{
    check(f->kind == FIELD_KIND_LIST);
    uint32_t count;
    memcpy(&count, (const char *)record + f->count_offset, sizeof count);
    return count;
}

const void *field_item(const struct field *f, const void *record, uint32_t index)
{
    check(index < field_count(f, record) && index < f->most);
    return place(f, record) + (size_t)index * f->item->size;
}

struct err field_set_i64(const struct field *f, void *record, int64_t value)
{
    if (value < f->least) return ERR(INVALID, "a number is too small");
    if (value > f->most) return ERR(INVALID, "a number is too large");

    char    *at  = (char *)record + f->offset;
    uint32_t u32 = (uint32_t)value;
    bool     yes = value != 0;
    switch (f->kind) {
    case FIELD_KIND_ENUM:
        if (!f->names[value]) return ERR(INVALID, "no word stands for this number");
        memcpy(at, &u32, sizeof u32);
        return OK;
    case FIELD_KIND_U32:
    case FIELD_KIND_SET: memcpy(at, &u32, sizeof u32); return OK;
    case FIELD_KIND_U64:
    case FIELD_KIND_I64: memcpy(at, &value, sizeof value); return OK;
    case FIELD_KIND_BOOL: memcpy(at, &yes, sizeof yes); return OK;
    case FIELD_KIND_ID:
    case FIELD_KIND_TEXT:
    case FIELD_KIND_LINES:
    case FIELD_KIND_BYTES:
    case FIELD_KIND_LIST:
    case FIELD_KIND_COUNT: break;
    }
    return ERR(INVALID, "the field is no number");
}

/* Line ends and tabs part the pieces, which are text like any other. */
static bool is_lines(struct str s)
{
    size_t start = 0;
    for (size_t i = 0; i <= s.len; i++) {
        if (i < s.len && s.ptr[i] != '\n' && s.ptr[i] != '\r' && s.ptr[i] != '\t') continue;
        if (!str_is_utf8((struct str){ s.ptr + start, i - start })) return false;
        start = i + 1;
    }
    return true;
}

static struct err text_is_allowed(const struct field *f, struct str s)
{
    if (s.len > (size_t)f->most) return ERR(INVALID, "a text is too long");
    if (s.len < (size_t)f->least) return ERR(INVALID, "a text is too short");
    bool fine = f->kind == FIELD_KIND_LINES ? is_lines(s) : str_is_utf8(s);
    return fine ? OK : ERR(INVALID, "a text holds control characters or is not UTF-8");
}

static struct err set_word(const struct field *f, void *record, struct str word)
{
    for (int64_t i = 0; i <= f->most; i++)
        if (f->names[i] && str_eq(word, str_from(f->names[i]))) return field_set_i64(f, record, i);
    return ERR(INVALID, "the word is none of those allowed");
}

struct err field_set_str(const struct field *f, void *record, struct str value)
{
    if (f->kind == FIELD_KIND_ENUM) return set_word(f, record, value);
    if (f->kind != FIELD_KIND_TEXT && f->kind != FIELD_KIND_LINES) return ERR(INVALID, "the field is no text");
    TRY(text_is_allowed(f, value));

    char *at = (char *)record + f->offset;
    if (value.len) memmove(at, value.ptr, value.len); /* it may be this field's own text */
    memset(at + value.len, 0, f->size - value.len);
    return OK;
}

struct err field_set_id(const struct field *f, void *record, struct id value)
{
    if (f->kind != FIELD_KIND_ID) return ERR(INVALID, "the field is no id");
    memcpy((char *)record + f->offset, &value, sizeof value);
    return OK;
}

struct err field_set_bytes(const struct field *f, void *record, const uint8_t *bytes, size_t count)
{
    if (f->kind != FIELD_KIND_BYTES) return ERR(INVALID, "the field holds no bytes");
    if (count != f->size) return ERR(INVALID, "the number of bytes is another");
    memcpy((char *)record + f->offset, bytes, count);
    return OK;
}

struct err field_push(const struct field *f, void *record, void **item)
{
    if (f->kind != FIELD_KIND_LIST) return ERR(INVALID, "the field is no list");
    uint32_t count = field_count(f, record);
    if (count >= f->most) return ERR(LIMIT, "a list is too long");

    void *at = (char *)record + f->offset + (size_t)count * f->item->size;
    memset(at, 0, f->item->size);
    count++;
    memcpy((char *)record + f->count_offset, &count, sizeof count);
    *item = at;
    return OK;
}

static struct err number_is_allowed(const struct field *f, const void *record)
{
    if (f->kind == FIELD_KIND_U64) { /* field_i64 would end the program */
        uint64_t value;
        memcpy(&value, place(f, record), sizeof value);
        if (value > INT64_MAX) return ERR(CORRUPT, "a number is out of its range");
    }
    uint8_t yes;
    memcpy(&yes, place(f, record), 1);
    if (f->kind == FIELD_KIND_BOOL && yes > 1) return ERR(CORRUPT, "a bool is neither yes nor no");
    int64_t value = field_i64(f, record);
    if (value < f->least || value > f->most) return ERR(CORRUPT, "a number is out of its range");
    if (f->kind == FIELD_KIND_ENUM && !f->names[value]) return ERR(CORRUPT, "no word stands for this number");
    return OK;
}

static struct err items_are_allowed(const struct field *f, const void *record, const struct field **bad)
{
    uint32_t count = field_count(f, record);
    if (count > f->most) return ERR(CORRUPT, "a list is too long");
    for (uint32_t i = 0; i < count; i++) TRY(record_check(f->item, field_item(f, record, i), bad));
    return OK;
}

static struct err value_is_allowed(const struct field *f, const void *record, const struct field **bad)
{
    switch (f->kind) {
    case FIELD_KIND_ID:
        if ((f->flags & KEY) != 0 && id_is_none(field_id(f, record))) return ERR(CORRUPT, "the key is none");
        return OK;
    case FIELD_KIND_TEXT:
    case FIELD_KIND_LINES:
        if (!memchr(place(f, record), 0, f->size)) return ERR(CORRUPT, "a text has no end");
        return text_is_allowed(f, field_str(f, record)).code ? ERR(CORRUPT, "a text is out of its limits") : OK;
    case FIELD_KIND_U32:
    case FIELD_KIND_U64:
    case FIELD_KIND_I64:
    case FIELD_KIND_BOOL:
    case FIELD_KIND_SET:
    case FIELD_KIND_ENUM: return number_is_allowed(f, record);
    case FIELD_KIND_LIST: return items_are_allowed(f, record, bad);
    case FIELD_KIND_BYTES:
    case FIELD_KIND_COUNT: return OK;
    }
    return OK;
}

struct err record_check(const struct record_type *type, const void *record, const struct field **bad)
{
    const struct field *inner = NULL;
    for (uint32_t i = 0; i < type->field_count; i++) {
        struct err e = value_is_allowed(&type->fields[i], record, &inner);
        if (!e.code) continue;
        if (bad) *bad = inner ? inner : &type->fields[i];
        return e;
    }
    return OK;
}

static bool items_eq(const struct field *f, const void *a, const void *b)
{
    uint32_t count = field_count(f, a);
    if (count != field_count(f, b)) return false;
    for (uint32_t i = 0; i < count; i++)
        if (!record_stored_eq(f->item, field_item(f, a, i), field_item(f, b, i))) return false;
    return true;
}

bool record_stored_eq(const struct record_type *type, const void *a, const void *b)
{
    for (uint32_t i = 0; i < type->field_count; i++) {
        const struct field *f    = &type->fields[i];
        bool                same = true;
        if ((f->flags & STORED) == 0) continue;
        if (f->kind == FIELD_KIND_LIST)
            same = items_eq(f, a, b);
        else if (f->kind == FIELD_KIND_TEXT || f->kind == FIELD_KIND_LINES)
            same = str_eq(field_str(f, a), field_str(f, b));
        else
            same = memcmp(place(f, a), place(f, b), f->size) == 0;
        if (!same) return false;
    }
    return true;
}
