#include "store_int.h"

#include <stdlib.h>
#include <string.h>

/* ---- a record as bytes ---------------------------------------------------------------------------------------- */

static uint32_t pack_field(const struct field *f, const void *record, uint8_t *out)
{
    const char *at = (const char *)record + f->offset;
    if (f->kind == FIELD_KIND_TEXT || f->kind == FIELD_KIND_LINES) {
        size_t len = strlen(at) + 1;
        memcpy(out, at, len);
        return (uint32_t)len;
    }
    if (f->kind != FIELD_KIND_LIST) {
        memcpy(out, at, f->size);
        return f->size;
    }
    uint32_t count = field_count(f, record), len = sizeof count;
    memcpy(out, &count, sizeof count);
    for (uint32_t i = 0; i < count; i++) len += store_pack(f->item, field_item(f, record, i), out + len);
    return len;
}

uint32_t store_pack(const struct record_type *type, const void *record, uint8_t out[STORE_ROW_BYTES_MAX])
{
    uint32_t len = 0;
    for (uint32_t i = 0; i < type->field_count; i++)
        if (type->fields[i].flags & STORED) len += pack_field(&type->fields[i], record, out + len);
    check(len <= STORE_ROW_BYTES_MAX);
    return len;
}

static const uint8_t *unpack(const struct record_type *type, const uint8_t *bytes, void *record)
{
    for (uint32_t i = 0; i < type->field_count; i++) {
        const struct field *f  = &type->fields[i];
        char               *at = (char *)record + f->offset;
        if (!(f->flags & STORED)) continue;
        if (f->kind == FIELD_KIND_LIST) {
            uint32_t count;
            memcpy(&count, bytes, sizeof count);
            memcpy((char *)record + f->count_offset, &count, sizeof count);
            bytes += sizeof count;
            for (uint32_t k = 0; k < count; k++) bytes = unpack(f->item, bytes, at + (size_t)k * f->item->size);
            continue;
        }
        bool   is_text = f->kind == FIELD_KIND_TEXT || f->kind == FIELD_KIND_LINES;
        size_t len     = is_text ? strlen((const char *)bytes) + 1 : f->size;
        memcpy(at, bytes, len);
        bytes += len;
    }
    return bytes;
}

void store_unpack(const struct record_type *type, const uint8_t *bytes, void *record)
{
    memset(record, 0, type->size);
    unpack(type, bytes, record);
}

/* ---- the map -------------------------------------------------------------------------------------------------- */

static void name_of(const struct record_type *type, const void *record, uint8_t name[16])
{
    const struct field *key = &type->fields[0];
    memset(name, 0, 16);
    memcpy(name, (const char *)record + key->offset, key->size);
}

static uint64_t hash_of(const struct record_type *type, const uint8_t name[16])
{
    uint64_t a, b;
    memcpy(&a, name, sizeof a);
    memcpy(&b, name + 8, sizeof b);
    a = (a ^ (b << 17) ^ type->size) * 0x9e3779b97f4a7c15u;
    return a ^ a >> 29;
}

static struct store_row *row_of(const struct store *s, const struct record_type *type, const uint8_t name[16])
{
    uint32_t at = (uint32_t)hash_of(type, name) & s->mask;
    while (s->rows[at].type && (s->rows[at].type != type || memcmp(s->rows[at].name, name, 16) != 0))
        at = (at + 1) & s->mask;
    return &s->rows[at];
}

static void grow(struct store *s)
{
    struct store old = *s;
    s->mask          = 2 * old.mask + 1;
    s->rows          = calloc((size_t)s->mask + 1, sizeof *s->rows);
    check(s->rows);
    s->dirty_count = 0;
    for (uint32_t i = 0; i <= old.mask; i++) {
        if (!old.rows[i].type) continue;
        struct store_row *row = row_of(s, old.rows[i].type, old.rows[i].name);
        *row                  = old.rows[i];
        if (row->is_dirty) s->dirty[s->dirty_count++] = (uint32_t)(row - s->rows);
    }
    free(old.rows);
}

static struct store_row *dirty_row(struct store *s, const struct record_type *type, const void *record)
{
    uint8_t name[16];
    if (s->used * 4 > s->mask * 3) grow(s);
    name_of(type, record, name);
    struct store_row *row = row_of(s, type, name);
    if (!row->type) {
        row->type = type;
        memcpy(row->name, name, sizeof row->name);
        s->used++;
    }
    if (!row->is_dirty) {
        if (s->dirty_count == s->dirty_room) {
            s->dirty_room = s->dirty_room ? 2 * s->dirty_room : 256;
            s->dirty      = realloc(s->dirty, s->dirty_room * sizeof *s->dirty);
            check(s->dirty);
        }
        s->dirty[s->dirty_count++] = (uint32_t)(row - s->rows);
        row->is_dirty              = true;
    }
    free(row->next);
    row->next = NULL;
    return row;
}

void store_put(struct store *s, const struct record_type *type, const void *record)
{
    uint8_t           bytes[STORE_ROW_BYTES_MAX];
    struct store_row *row = dirty_row(s, type, record);
    row->next_len         = store_pack(type, record, bytes);
    row->next             = malloc(row->next_len);
    check(row->next);
    memcpy(row->next, bytes, row->next_len);
}

void store_delete(struct store *s, const struct record_type *type, const void *record)
{
    dirty_row(s, type, record);
}

void store_commit(struct store *s)
{
    for (uint32_t i = 0; i < s->dirty_count; i++) {
        struct store_row *row = &s->rows[s->dirty[i]];
        free(row->bytes);
        row->bytes    = row->next;
        row->len      = row->next_len;
        row->next     = NULL;
        row->is_dirty = false;
    }
    s->dirty_count = 0;
}

void store_abort(struct store *s)
{
    for (uint32_t i = 0; i < s->dirty_count; i++) {
        struct store_row *row = &s->rows[s->dirty[i]];
        free(row->next);
        row->next     = NULL;
        row->is_dirty = false;
    }
    s->dirty_count = 0;
}

const struct store_row *store_next(const struct store *s, const struct store_row *after,
                                   const struct record_type *type, bool newest)
{
    for (const struct store_row *row = after ? after + 1 : s->rows; row <= s->rows + s->mask; row++) {
        const uint8_t *bytes = newest && row->is_dirty ? row->next : row->bytes;
        if (row->type == type && bytes) return row;
    }
    return NULL;
}

const struct store_row *store_find(const struct store *s, const struct record_type *type, struct id id)
{
    uint8_t name[16] = { 0 };
    memcpy(name, id.bytes, sizeof id.bytes);
    const struct store_row *row = row_of(s, type, name);
    return row->type && row->bytes ? row : NULL;
}

const struct store_row *store_newest(const struct store *s, const struct record_type *type, const void *record)
{
    uint8_t name[16];
    name_of(type, record, name);
    const struct store_row *row = row_of(s, type, name);
    return row->type && (row->is_dirty ? row->next : row->bytes) ? row : NULL;
}

void store_open(struct store *s)
{
    *s      = (struct store){ .mask = (1u << 12) - 1 };
    s->rows = calloc((size_t)s->mask + 1, sizeof *s->rows);
    check(s->rows);
}

void store_close(struct store *s)
{
    for (uint32_t i = 0; i <= s->mask; i++) {
        free(s->rows[i].bytes);
        free(s->rows[i].next);
    }
    free(s->rows);
    free(s->dirty);
    *s = (struct store){ 0 };
}
